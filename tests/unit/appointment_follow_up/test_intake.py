"""Webhooks become rows and executions: whatever comes, however often, in what order, wherever cut off."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest

from sms_engagement_runtime.appointment_follow_up.domain.bookings import (
    Party,
    PhoneCandidate,
    PhoneSource,
)
from sms_engagement_runtime.appointment_follow_up.domain.changing import ConversationChangedError
from sms_engagement_runtime.appointment_follow_up.domain.conversation import Status, unknown
from sms_engagement_runtime.appointment_follow_up.domain.intake import BookingReason
from sms_engagement_runtime.appointment_follow_up.domain.purposes import Purpose
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.reasons import Reason
from tests.support.appointment_fakes import (
    LANDLINE,
    PHONE,
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

OTHER_PHONE = "+12025550147"


@pytest.fixture
def system():
    return System()


def candidates(*raws):
    sources = (PhoneSource.REMINDER_NUMBER, PhoneSource.QUESTION, PhoneSource.LOCATION)
    return tuple(PhoneCandidate(raw, source) for raw, source in zip(raws, sources, strict=False))


# Whom to text


@pytest.mark.parametrize(
    ("raws", "expected"),
    [
        ((PHONE,), PHONE),
        (("(202) 555-0123",), PHONE),
        ((PHONE, OTHER_PHONE), PHONE),
        (("none of your business", OTHER_PHONE), OTHER_PHONE),
        (("", " ", OTHER_PHONE), OTHER_PHONE),
        ((LANDLINE, OTHER_PHONE), OTHER_PHONE),
        ((LANDLINE, "?", PHONE), PHONE),
        ((), Reason.NO_PHONE),
        (("", "  "), Reason.NO_PHONE),
        (("12",), Reason.INVALID_PHONE),
        (("", "12"), Reason.INVALID_PHONE),
        ((LANDLINE,), Reason.LANDLINE),
        ((LANDLINE, "12"), Reason.LANDLINE),
        (("12", LANDLINE), Reason.INVALID_PHONE),
    ],
)
def test_the_first_number_that_can_be_texted_is_else_the_reason_of_the_first(system, raws, expected):
    (row,) = system.take(booked(phones=candidates(*raws)))

    if expected.startswith("+"):
        assert row.recipient.number.e164 == expected
        assert row.recipient.subscriber_id == subscriber(expected)
        assert row.recipient.country == "US"
        assert (row.status, row.reason) == (Status.PENDING, None)
    else:
        assert row.recipient is None
        assert (row.status, row.reason) == (Status.FAILED, expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"phone": None},
        {"starts_at": START},
        {"starts_at": START - timedelta(days=1)},
        {"phones": candidates(LANDLINE)},
    ],
)
def test_a_booking_that_leads_to_no_text_is_recorded_and_told_and_over(system, changes):
    system.take(booked(**changes))
    system.run_all()

    assert system.row().status is Status.FAILED
    assert system.texts == []
    (told,) = system.told("AppointmentBooked")
    assert told["reason"] == system.row().reason
    assert told["subscriberId"] is None
    assert PHONE not in str(system.bus.events)


def test_a_start_in_the_past_says_so(system):
    (row,) = system.take(booked(starts_at=START - timedelta(minutes=1)))

    assert row.reason == BookingReason.START_IN_PAST


def test_a_webhook_that_is_repeated_behind_the_start_changes_nothing(system):
    system.book("A")
    system.write("1")
    before = system.row()
    system.clock.instant = STARTS_AT + timedelta(minutes=1)

    system.take(booked("A"))

    assert system.row() == before
    assert system.row().status is Status.RESPONDED


# Repeated, at once, in any order


def test_each_webhook_ten_times_is_as_once(system):
    events = [booked("A"), no_show("A", at=START + timedelta(days=4))]
    for event in events:
        for _ in range(10):
            system.take(event)

    assert system.row().version == 2
    assert sorted(system.workflow.executions) == sorted(
        [
            id_of("A"),
            f"{id_of('A')}-no-show-{round(events[1].at.timestamp())}",
        ]
    )


def test_ten_deliveries_at_once_are_as_one(system):
    """In threads, as Lambda would run them; whatever they do to each other, nothing differs at the end."""
    system.book("A")
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: system.take(cancelled("A")), range(10)))
    system.run_all()

    assert system.purposes == [Purpose.CONFIRMATION, Purpose.CANCELLED]
    assert len(system.workflow.executions) == 2
    assert [what.status for kind, what in system.journal if kind == "saved"][-1] is Status.CANCELED
    assert sum(kind == "saved" and what.status is Status.CANCELED for kind, what in system.journal) == 1


def test_nine_others_that_write_meanwhile_lose_nothing(system):
    """Ten webhooks about one appointment at once: each of them loses to those that were faster."""
    others = [no_show("A", at=START + timedelta(minutes=minute)) for minute in range(9)]

    def interfere():
        event = others.pop()
        if others:
            system.conversations.before_save = interfere
        row = system.conversations.rows.get(id_of("A"))
        system.conversations.rows[id_of("A")] = (
            replace(row, version=row.version + 1, seen=row.seen | {event.key})
            if row is not None
            else replace(system.intake()._record(_unknown(), event, START), version=1)
        )

    system.conversations.before_save = interfere

    with_all = system.take(booked("A"))[0]

    assert with_all.booking is not None
    assert len(with_all.seen) == 10


def _unknown():
    return unknown(id_of("A"), START)


def test_who_loses_for_ever_gives_up_and_is_repeated(system):
    def interfere():
        system.conversations.before_save = interfere
        row = system.conversations.rows.get(id_of("A")) or _unknown()
        system.conversations.rows[id_of("A")] = replace(row, version=row.version + 1)

    system.conversations.before_save = interfere
    with pytest.raises(ConversationChangedError):
        system.take(booked("A"))

    system.conversations.before_save = None
    system.take(booked("A"))
    assert system.row().booking is not None


def test_the_booking_may_come_behind_its_end(system):
    system.take(cancelled("A", by=Party.HOST))
    assert system.workflow.executions == {}
    assert system.row().booking is None

    system.book("A")
    system.run_all()

    assert system.row().status is Status.CANCELED
    assert system.texts == []
    assert [detail["by"] for detail in system.told("AppointmentCancelled")] == ["host"]


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (cancelled("A"), Status.CANCELED),
        (moved_away("A", "B"), Status.RESCHEDULED),
        (no_show("A"), Status.NO_SHOW),
        (no_show("A", is_undone=True), Status.PENDING),
    ],
)
def test_what_is_told_of_an_unknown_appointment_is_kept_until_it_is_known(system, event, status):
    system.take(event)
    assert system.row().status is status

    system.take(booked("A"))

    assert system.row().status is status
    assert system.row().booking is not None


def test_a_cancellation_stops_what_waits_and_tells_of_it(system):
    system.book("A")

    system.cancel("A")

    (waiting,) = system.running()
    assert (waiting.step, waiting.notice) == ("notify", Purpose.CANCELLED)


def test_a_cancelled_appointment_that_was_moved_after_all_is_told_as_moved(system):
    for order in permutations([cancelled("A"), moved_away("A", "B")]):
        system = System()
        system.book("A")
        system.take(*order)
        system.run_all()

        assert system.row().status is Status.RESCHEDULED
        assert system.texts == [(Purpose.CONFIRMATION, id_of("A"))]
        assert system.told("AppointmentCancelled") == []


def test_who_was_seen_is_known_by_the_key_of_the_event(system):
    system.take(booked("A"))
    intake = system.intake()

    assert intake.was_seen([booked("A")])
    assert not intake.was_seen([booked("A"), cancelled("A")])
    assert not intake.was_seen([cancelled("B")])
    assert not intake.was_seen([])


# Cut off


def test_a_machine_that_could_not_be_started_is_started_by_the_next_delivery(system):
    system.workflow.failures.append(TransientError("throttled"))
    with pytest.raises(TransientError):
        system.take(booked("A"))
    assert system.row().status is Status.PENDING
    assert system.running() == []

    system.take(booked("A"))
    system.run_due()

    assert system.purposes == [Purpose.CONFIRMATION]


@pytest.mark.parametrize("failing", [1, 2])
def test_an_end_that_could_not_be_told_is_told_by_the_next_delivery(system, failing):
    """Of the two calls, to stop and to tell, either may fail."""
    system.book("A")
    system.workflow.failures = [TransientError("throttled")]
    if failing == 2:
        stops = system.workflow.stop

        def stop_then_fail(appointment_id):
            failures, system.workflow.failures = system.workflow.failures, []
            stops(appointment_id)
            system.workflow.failures = failures

        system.workflow.stop = stop_then_fail
    with pytest.raises(TransientError):
        system.take(cancelled("A"))

    system.take(cancelled("A"))
    system.run_all()

    assert system.purposes == [Purpose.CONFIRMATION, Purpose.CANCELLED]


STORIES = {
    "booked": [booked("A")],
    "booked without a number": [booked("A", phone=None)],
    "cancelled": [booked("A"), cancelled("A")],
    "cancelled before it was booked": [cancelled("A"), booked("A")],
    "no-show": [booked("A"), no_show("A", at=START + timedelta(minutes=1))],
    "no-show undone": [
        booked("A"),
        no_show("A", at=START + timedelta(minutes=1)),
        no_show("A", at=START + timedelta(minutes=2), is_undone=True),
    ],
    "moved in one webhook": [booked("A"), moved_away("A", "B", half="created"), booked("B", replaces="A")],
    "moved in two": [
        booked("A"),
        moved_away("A", "B", half="created"),
        booked("B", replaces="A"),
        moved_away("A", "B", half="canceled"),
    ],
}


@pytest.mark.parametrize("told_before", [True, False], ids=["told before", "in one burst"])
@pytest.mark.parametrize("events", STORIES.values(), ids=STORIES)
def test_a_webhook_that_is_cut_off_anywhere_and_repeated_ends_the_same(events, told_before):
    first, rest = events[:1], events[1:]

    def played(crash_at=None):
        system, plan = System(), CrashPlan(crash_at=crash_at)
        for event in first:
            _deliver(system, [event], plan)
        if told_before:
            system.run_due()
        for event in rest:
            _deliver(system, [event], plan)
        system.run_all()
        return system, plan

    whole, plan = played()
    assert plan.instants >= 6
    for instant in range(1, plan.instants + 1):
        system, _ = played(instant)
        assert system.texts == whole.texts, instant
        assert _facts(system) == _facts(whole), instant


def _deliver(system, events, plan):
    """The provider gets no answer, and delivers again."""
    with suppress(Crash):
        system.intake(plan.wrap).take(events)
        return
    system.intake().take(events)


def _facts(system):
    return {
        appointment_id: replace(row, version=0, updated_at=START, created_at=START)
        for appointment_id, row in system.conversations.rows.items()
    }


def test_people_who_share_a_phone_have_rows_of_their_own(system):
    system.book("A", invitee_name="Ada Lovelace")
    system.book("B", invitee_name="Charles Babbage", starts_at=STARTS_AT + timedelta(days=1))
    system.cancel("A")

    system.run_all()

    assert (system.row("A").status, system.row("B").status) == (Status.CANCELED, Status.FOLLOWED_UP)
    assert system.row("A").recipient == system.row("B").recipient
    assert [text for text in system.texts if text[1] == id_of("A")] == [
        (Purpose.CONFIRMATION, id_of("A")),
        (Purpose.CANCELLED, id_of("A")),
    ]


def test_input_of_the_machine_is_an_id_and_nothing_else(system):
    system.book("A")
    system.cancel("A")
    system.take(no_show("B"), booked("B"))

    assert all(PHONE not in str(part) for call in system.workflow.calls for part in call)
    assert all(name.isascii() for name in system.workflow.executions)


def test_no_number_is_printed_with_a_booking(system):
    system.book("A")

    assert PHONE not in repr(system.row())
    assert PHONE not in repr(booked("A"))
