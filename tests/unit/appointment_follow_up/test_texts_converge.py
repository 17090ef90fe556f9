"""The same events in any order lead to the same texts; whenever they come, none is wrong or comes twice."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sms_engagement_runtime.appointment_follow_up.domain.bookings import Party, appointment_id
from sms_engagement_runtime.appointment_follow_up.domain.conversation import Status
from sms_engagement_runtime.appointment_follow_up.domain.phone_events import OptedOut, read_event
from sms_engagement_runtime.appointment_follow_up.domain.purposes import Purpose
from sms_engagement_runtime.channel.domain.errors import (
    OutcomeUnknownError,
    SendingDisabledError,
    SendRefusedError,
)
from sms_engagement_runtime.channel.domain.inbound import ReplyDeferredError
from sms_engagement_runtime.channel.domain.ledger import Intent
from tests.support.appointment_fakes import (
    STARTS_AT,
    System,
    booked,
    cancelled,
    id_of,
    moved_away,
    no_show,
    subscriber,
)
from tests.support.fakes import START, Crash, CrashPlan

BEFORE_IT = {Purpose.CONFIRMATION, Purpose.MOVED, Purpose.FOLLOW_UP, "reminder-1440"}
"""Texts about an appointment that is to take place."""

FINAL = set(Status) - {Status.PENDING}


def at(minutes):
    return START + timedelta(minutes=minutes)


@dataclass(frozen=True)
class Happening:
    """One thing that happens; `needs` is what must have happened before for it to be possible at all."""

    do: Callable[[System], object]
    needs: str | None = None


def _webhook(*events) -> Happening:
    return Happening(lambda system: system.take(*events))


def _opt_out(system):
    """What the router does about STOP: it records it, then tells the bus."""
    system.write("STOP")


def _opt_out_is_told_again(system):
    system.answers().handle(
        OptedOut(
            inbound_id="inbound-stop",
            subscriber_id=subscriber(),
            body="STOP",
            is_cancel=False,
            is_wrong_number=False,
            received_at=system.clock.now(),
            answered=None,
        )
    )


A, B, C = (
    booked("A"),
    booked("B", replaces="A", starts_at=STARTS_AT + timedelta(hours=5)),
    booked("C", replaces="B", starts_at=STARTS_AT + timedelta(days=2)),
)
WEBHOOKS = {
    "A booked": _webhook(A),
    "A cancelled": _webhook(cancelled("A")),
    "A cancelled by the host": _webhook(cancelled("A", at=at(1), by=Party.HOST)),
    "A moved away": _webhook(moved_away("A", "B", half="canceled")),
    "A moved away, nobody says where": _webhook(moved_away("A", None, half="early")),
    "B booked in place of A": _webhook(moved_away("A", "B", half="created"), B),
    "B moved away": _webhook(moved_away("B", "C", half="canceled")),
    "C booked in place of B": _webhook(moved_away("B", "C", half="created"), C),
    "B cancelled": _webhook(cancelled("B")),
    "C cancelled": _webhook(cancelled("C")),
    "A no-show": _webhook(no_show("A", at=at(2))),
    "A no-show undone": _webhook(no_show("A", at=at(3), is_undone=True)),
    "B no-show": _webhook(no_show("B", at=at(2))),
    "B no-show undone": _webhook(no_show("B", at=at(3), is_undone=True)),
    "D booked": _webhook(booked("D", starts_at=STARTS_AT + timedelta(minutes=45))),
    "D cancelled": _webhook(cancelled("D", by=None)),
}
BY_PHONE = {
    "answer to A": Happening(lambda system: system.reply("A", "1", inbound_id="a"), needs="A booked"),
    "other answer to A": Happening(lambda system: system.reply("A", "R", inbound_id="r"), needs="A booked"),
    "answer to B": Happening(
        lambda system: system.reply("B", "hm", inbound_id="b"), needs="B booked in place of A"
    ),
    "STOP": Happening(_opt_out),
    "the STOP again": Happening(_opt_out_is_told_again, needs="STOP"),
}
HAPPENINGS = WEBHOOKS | BY_PHONE


def _possible(names):
    """Leave out what is answered or repeated before it exists."""
    happened = set()
    for name in names:
        needs = HAPPENINGS[name].needs
        if needs is None or needs in happened:
            happened.add(name)
            yield name


@st.composite
def _bursts(draw):
    names = draw(st.lists(st.sampled_from(sorted(HAPPENINGS)), unique=True, min_size=1, max_size=9))
    orders = [
        list(
            _possible(
                draw(st.permutations(names + draw(st.lists(st.sampled_from(names), max_size=3)))),
            )
        )
        for _ in range(2)
    ]
    # An answer that is possible in one of the orders only is no repetition.
    both = set(orders[0]) & set(orders[1])
    return [[name for name in _possible(order) if name in both] for order in orders]


def _after_burst(names):
    system = System()
    for name in names:
        HAPPENINGS[name].do(system)
    # STOP takes moments of its own; what waits begins at the same time either way.
    system.clock.instant = at(4)
    system.run_all()
    return system


def _owed(system):
    """Texts that steps sent. What answers a message depends on what was true when it was written."""
    return Counter(text for text in system.texts if text[0] not in (Purpose.RESCHEDULE, Purpose.WHICH))


def _statuses(system):
    return {row.appointment_id: row.status for row in system.conversations.rows.values() if row.booking}


@settings(max_examples=250)
@given(_bursts())
def test_a_burst_in_any_order_and_number_ends_in_the_same_states_and_texts(bursts):
    one, other = map(_after_burst, bursts)

    assert _owed(one) == _owed(other)
    assert _statuses(one) == _statuses(other)
    assert {(detail["eventId"]) for detail in one.told("AppointmentCancelled")} == {
        detail["eventId"] for detail in other.told("AppointmentCancelled")
    }


@pytest.mark.parametrize("booked_first", [True, False], ids=["A first", "the move first"])
def test_of_a_chain_of_moves_in_one_burst_only_the_last_is_told(booked_first):
    moves = ["C booked in place of B", "A moved away", "B booked in place of A", "B moved away"]

    system = _after_burst(["A booked", *moves] if booked_first else [*moves, "A booked"])

    assert system.texts == [
        (Purpose.MOVED, id_of("C")),
        (Purpose.FOLLOW_UP, id_of("C")),
        ("reminder-1440", id_of("C")),
    ]


# Step by step: events at any time among the steps


@st.composite
def _stories(draw):
    names = draw(st.lists(st.sampled_from(sorted(HAPPENINGS)), min_size=2, max_size=10))
    story = ["A booked", *names] if draw(st.booleans()) else names
    acts = []
    for name in story:
        acts.append(name)
        acts += draw(st.lists(st.sampled_from(["step", "31 minutes", "26 hours"]), max_size=2))
    return acts


def _do(system, act, happened):
    if act == "step":
        if due := system.due():
            system.run(due[0])
    elif act in ("31 minutes", "26 hours"):
        system.skip(**({"minutes": 31} if act == "31 minutes" else {"hours": 26}))
    elif HAPPENINGS[act].needs is None or HAPPENINGS[act].needs in happened:
        happened.add(act)
        HAPPENINGS[act].do(system)


def _play(acts):
    system = System()
    happened = set()
    for act in acts:
        _do(system, act, happened)
    system.run_all()
    return system


def check_journal(journal):
    """Walk through all that was recorded, in its order: no text claimed that was not true any more.

    Notices of a cancellation or a no-show are for who was told of the appointment before.
    """
    rows, claims, is_opted_out = {}, Counter(), False
    for kind, what in journal:
        if kind == "opted-out":
            is_opted_out = True
        elif kind == "saved":
            rows[what.appointment_id] = what
        elif isinstance(what, Intent) and what.construct == "appointments":
            assert not is_opted_out, f"{what.purpose} after an opt-out"
            if what.scope is None:
                continue
            claims[what.purpose, what.occasion] += 1
            row = rows[what.occasion]
            if what.purpose in BEFORE_IT:
                over = {Status.CANCELED, Status.RESCHEDULED, Status.NO_SHOW, Status.OPTED_OUT, Status.FAILED}
                assert row.status not in over, f"{what.purpose} while {row.status}"
                first = Purpose.MOVED if row.booking.replaces else Purpose.CONFIRMATION
                assert claims[first, what.occasion], f"{what.purpose} before {first}"
            else:
                assert _was_told(row, rows, claims), f"{what.purpose} for who was never told"
            if what.purpose == Purpose.FOLLOW_UP:
                assert row.reply is None, "a follow-up after an answer"
            if what.purpose == Purpose.CANCELLED:
                assert row.status is Status.CANCELED
            if what.purpose == Purpose.NO_SHOW:
                assert row.status is Status.NO_SHOW


def _was_told(row, rows, claims):
    """Of the appointment, or of one that it was moved from: then they expect one, too."""
    while row is not None and row.booking is not None:
        if claims[Purpose.CONFIRMATION, row.appointment_id] or claims[Purpose.MOVED, row.appointment_id]:
            return True
        replaced = row.booking.replaces
        row = None if replaced is None else rows.get(appointment_id(row.booking.provider, replaced))
    return False


def check_end(system):
    """No text twice, and every appointment that we heard of in one final state, told where it stands."""
    texts = Counter(system.texts)
    assert set(texts.values()) <= {1}, texts
    for row in system.conversations.rows.values():
        if row.booking is None:
            continue
        assert row.status in FINAL, row.status
        first = Purpose.MOVED if row.booking.replaces else Purpose.CONFIRMATION
        other = Purpose.CONFIRMATION if row.booking.replaces else Purpose.MOVED
        assert (other, row.appointment_id) not in texts
        if row.status in (Status.CONFIRMED_SENT, Status.FOLLOWED_UP, Status.RESPONDED):
            assert (first, row.appointment_id) in texts, f"nobody was told, and it is {row.status}"


@settings(max_examples=400)
@given(_stories())
def test_whenever_events_come_no_text_is_wrong_and_none_comes_twice(acts):
    system = _play(acts)

    check_journal(system.journal)
    check_end(system)


def _cut_off(system, instant):
    if due := system.due():
        with suppress(Crash):
            system.run(due[0], CrashPlan(crash_at=instant).wrap)


def _say_again(system):
    told = [detail for kind, detail in system.router_bus.events if kind == "ReplyReceived"]
    if told:
        system.answers().handle(read_event("ReplyReceived", told[0]))


FAULTS = {
    "sending is paused": lambda system: setattr(system.pause, "paused", True),
    "sending goes on": lambda system: setattr(system.pause, "paused", False),
    "the carrier refuses": lambda system: system.sender.answers.append(SendRefusedError("INVALID")),
    "nobody knows whether it was sent": lambda s: s.sender.answers.append(OutcomeUnknownError("timeout")),
    "the account may not send": lambda s: s.sender.answers.append(SendingDisabledError("DISABLED")),
    "they write 1": lambda system: system.write("1"),
    "they write R": lambda system: system.write("R"),
    "they write": lambda system: system.write("Is there parking?"),
    "the first answer comes again": _say_again,
}


@settings(max_examples=300)
@given(
    hour=st.sampled_from([0, 6, 11, 15]),
    acts=st.lists(
        st.sampled_from(sorted(HAPPENINGS))
        | st.sampled_from(sorted(FAULTS))
        | st.sampled_from(["step", "step", "31 minutes", "26 hours"])
        | st.integers(1, 40),
        min_size=3,
        max_size=16,
    ),
)
def test_nor_where_steps_are_cut_off_and_texts_refused_by_day_and_by_night(hour, acts):
    """A number is the instant at which a step is cut off."""
    system = System()
    system.clock.instant = START + timedelta(hours=hour)
    happened = set()
    for act in ["A booked", *acts]:
        # A STOP while sending is paused is recorded, and its own confirmation waits.
        with suppress(ReplyDeferredError):
            if isinstance(act, int):
                _cut_off(system, act)
            elif act in FAULTS:
                FAULTS[act](system)
            else:
                _do(system, act, happened)
    system.pause.paused = False
    system.run_all()

    check_journal(system.journal)
    assert set(Counter(system.texts).values()) <= {1}
    statuses = {row.status for row in system.conversations.rows.values() if row.booking is not None}
    assert statuses <= FINAL


def test_whoever_answers_the_old_text_after_a_move_is_told_of_the_new_time():
    system = System()
    system.book("A")
    system.take(moved_away("A", "B", half="created"), B)

    answered = system.write("1")
    system.run_all()

    # They confirmed the time that is over: the host knows, and the new one asks for an answer of its own.
    assert answered[0].appointment_ids == (id_of("A"),)
    assert [subject for subject, _ in system.host.notices] == ["Answer about an appointment that is over"]
    assert system.texts == [
        (Purpose.CONFIRMATION, id_of("A")),
        (Purpose.MOVED, id_of("B")),
        (Purpose.FOLLOW_UP, id_of("B")),
        ("reminder-1440", id_of("B")),
    ]
    assert system.told("AppointmentConfirmed") == []
