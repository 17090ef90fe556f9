"""The state machine of an appointment: its table, and that the order of events makes no difference."""

from dataclasses import fields
from datetime import timedelta
from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sms_engagement_runtime.appointment_follow_up.domain import conversation as rules
from sms_engagement_runtime.appointment_follow_up.domain.bookings import Party
from sms_engagement_runtime.appointment_follow_up.domain.conversation import (
    BEFORE,
    MAY_SEND,
    OVER,
    TRANSITIONS,
    Conversation,
    Event,
    Recipient,
    Reply,
    Status,
    unknown,
)
from sms_engagement_runtime.appointment_follow_up.domain.purposes import Purpose
from sms_engagement_runtime.appointment_follow_up.domain.reply_kinds import ReplyKind
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from tests.support.appointment_fakes import (
    PHONE,
    booked,
    cancelled,
    id_of,
    moved_away,
    no_show,
    subscriber,
)
from tests.support.fakes import START

RECIPIENT = Recipient(number=PhoneNumber(PHONE), country="US", subscriber_id=subscriber())
UNTIL_NOW = {"version", "created_at", "updated_at"}
ORDER = list(Status)


def at(minutes):
    return START + timedelta(minutes=minutes)


def _higher(one, other):
    return max(one, other, key=ORDER.index)


# What each event leads to, from which the rest of the table follows.
LEADS_TO = {
    Event.BOOKED: Status.PENDING,
    Event.SKIPPED: Status.FAILED,
    Event.CONFIRMATION_SENT: Status.CONFIRMED_SENT,
    Event.FOLLOW_UP_SENT: Status.FOLLOWED_UP,
    Event.REPLIED: Status.RESPONDED,
    Event.TEXT_FAILED: Status.FAILED,
    Event.OPTED_OUT: Status.OPTED_OUT,
    Event.NO_SHOW: Status.NO_SHOW,
    Event.CANCELLED: Status.CANCELED,
    Event.MOVED_AWAY: Status.RESCHEDULED,
}


def test_the_table_has_every_state_and_every_event():
    assert set(TRANSITIONS) == set(Status)
    assert all(set(row) == set(Event) for row in TRANSITIONS.values())


@pytest.mark.parametrize("event", LEADS_TO)
def test_a_conversation_takes_the_higher_of_where_it_is_and_where_the_event_leads(event):
    for status in Status:
        assert TRANSITIONS[status][event] is _higher(status, LEADS_TO[event]), status


def test_only_a_no_show_is_ever_taken_back():
    undone = {status: TRANSITIONS[status][Event.NO_SHOW_UNDONE] for status in Status}

    assert undone.pop(Status.NO_SHOW) is BEFORE
    assert undone == {status: status for status in undone}


@pytest.mark.parametrize("status", Status)
def test_two_events_lead_to_the_same_state_in_either_order(status):
    def after(*events):
        state = status
        for event in events:
            state = TRANSITIONS[state][event]
        return state

    for first, second in product(LEADS_TO, repeat=2):
        assert after(first, second) is after(second, first)
        assert after(first, first) is after(first)


def test_states_in_which_something_may_be_sent():
    assert set(MAY_SEND) == {
        Purpose.CONFIRMATION,
        Purpose.MOVED,
        Purpose.FOLLOW_UP,
        Purpose.REMINDER,
        Purpose.REMINDER_CONFIRMED,
        Purpose.FEEDBACK,
        Purpose.CANCELLED,
        Purpose.NO_SHOW,
    }
    assert MAY_SEND[Purpose.FOLLOW_UP] == {Status.CONFIRMED_SENT}
    assert MAY_SEND[Purpose.REMINDER_CONFIRMED] == {Status.RESPONDED}
    for purpose, states in MAY_SEND.items():
        ends = {Purpose.CANCELLED: {Status.CANCELED}, Purpose.NO_SHOW: {Status.NO_SHOW}}.get(purpose, set())
        assert states & OVER == ends, purpose


@pytest.mark.parametrize("purpose", MAY_SEND)
def test_nothing_is_sent_without_a_booking_or_without_a_number(purpose):
    booking = booked().booking
    for status in Status:
        row = {"appointment_id": id_of("A"), "created_at": START, "updated_at": START, "status": status}
        assert not Conversation(**row, booking=booking).may_send(purpose)
        assert not Conversation(**row, recipient=RECIPIENT).may_send(purpose)


@pytest.mark.parametrize(
    ("before", "may"),
    [
        (Status.CONFIRMED_SENT, True),
        (Status.RESPONDED, True),
        (Status.FAILED, False),
        (Status.OPTED_OUT, False),
    ],
)
def test_who_cannot_be_reached_hears_nothing_of_a_no_show(before, may):
    row = rules.book(unknown(id_of("A"), START), booked(), RECIPIENT)
    event = {
        Status.CONFIRMED_SENT: Event.CONFIRMATION_SENT,
        Status.RESPONDED: Event.REPLIED,
        Status.FAILED: Event.TEXT_FAILED,
        Status.OPTED_OUT: Event.OPTED_OUT,
    }[before]

    row = rules.mark_no_show(rules.move(row, event), no_show())

    assert (row.status, row.before_no_show) == (Status.NO_SHOW, before)
    assert row.may_send(Purpose.NO_SHOW) is may


def test_what_happens_behind_a_no_show_is_there_when_it_is_taken_back():
    row = rules.book(unknown(id_of("A"), START), booked(), RECIPIENT)
    row = rules.mark_no_show(row, no_show(at=at(1)))
    row = rules.tell(row, Event.CONFIRMATION_SENT, at(2))
    row = rules.answer(row, Reply(at=at(3), kind=ReplyKind.CONFIRM))
    assert row.status is Status.NO_SHOW

    row = rules.mark_no_show(row, no_show(at=at(4), is_undone=True))

    assert (row.status, row.before_no_show) == (Status.RESPONDED, None)


def test_the_hosts_later_word_counts_whichever_comes_first():
    words = [no_show(at=at(1)), no_show(at=at(2), is_undone=True), no_show(at=at(3))]
    for several in (words, words[:2], words[1:], words[::2]):
        last = max(several, key=lambda word: word.at)
        for order in permutations(several):
            row = rules.book(unknown(id_of("A"), START), booked(), RECIPIENT)
            for word in order:
                row = rules.mark_no_show(row, word)

            assert row.status is (Status.PENDING if last.is_undone else Status.NO_SHOW)
            assert row.no_show_at == last.at


def test_of_two_words_at_one_instant_the_mark_counts():
    words = [no_show(at=at(1)), no_show(at=at(1), is_undone=True)]
    for order in permutations(words):
        row = unknown(id_of("A"), START)
        for word in order:
            row = rules.mark_no_show(row, word)
        assert row.status is Status.NO_SHOW


def test_a_row_is_kept_from_the_end_of_the_appointment_on():
    retention = timedelta(days=90)
    row = rules.book(unknown(id_of("A"), START), booked(), RECIPIENT)

    assert rules.kept_until(row, retention) == row.booking.ends_at + retention
    assert rules.kept_until(unknown(id_of("A"), START), retention) == START + retention


def test_a_row_does_not_grow_without_end():
    row = unknown(id_of("A"), START)
    for minute in range(500):
        row = rules.mark_no_show(row, no_show(at=at(minute)))

    assert len(row.seen) == rules.MOST_SEEN
    assert row.no_show_at == at(499)


# Each of these may happen to the old appointment A, or to B, to which it was moved; all of them are recorded
# one by one, as the handlers do.
OF_A = {
    "booked": lambda row: rules.book(row, booked("A"), RECIPIENT),
    "booked without a number": lambda row: rules.book(
        row, booked("A", booked_at=at(-9), phone=None), "NO_PHONE"
    ),
    "booked for another time": lambda row: rules.book(
        row, booked("A", booked_at=at(9), starts_at=at(5000)), RECIPIENT
    ),
    "cancelled by the invitee": lambda row: rules.cancel(row, cancelled("A", at=at(20))),
    "cancelled by the host": lambda row: rules.cancel(row, cancelled("A", at=at(20), by=Party.HOST)),
    "cancelled by nobody knows whom": lambda row: rules.cancel(row, cancelled("A", at=at(20), by=None)),
    "cancelled earlier": lambda row: rules.cancel(row, cancelled("A", at=at(10))),
    "half of a move": lambda row: rules.move_away(row, moved_away("A", None, half="canceled")),
    "other half of a move": lambda row: rules.move_away(row, moved_away("A", "B", half="created")),
    "another move": lambda row: rules.move_away(row, moved_away("A", "C", half="again")),
}
OF_EITHER = {
    "no-show": lambda row: rules.mark_no_show(row, no_show(at=at(100))),
    "no-show undone": lambda row: rules.mark_no_show(row, no_show(at=at(110), is_undone=True)),
    "undone at the same instant": lambda row: rules.mark_no_show(row, no_show(at=at(100), is_undone=True)),
    "no-show again": lambda row: rules.mark_no_show(row, no_show(at=at(120))),
    "confirmed": lambda row: rules.answer(row, Reply(at=at(5), kind=ReplyKind.CONFIRM)),
    "wrote at the same instant": lambda row: rules.answer(row, Reply(at=at(5), kind=ReplyKind.OTHER)),
    "wants another time": lambda row: rules.answer(row, Reply(at=at(6), kind=ReplyKind.RESCHEDULE)),
    "opted out": lambda row: rules.fail(row, Event.OPTED_OUT, "OPTED_OUT"),
    "wrong number": lambda row: rules.fail(row, Event.OPTED_OUT, "WRONG_NUMBER"),
    "text blocked": lambda row: rules.fail(row, Event.TEXT_FAILED, "BLOCKED"),
    "text invalid": lambda row: rules.fail(row, Event.TEXT_FAILED, "INVALID"),
    "told": lambda row: rules.tell(row, Event.CONFIRMATION_SENT, at(1)),
    "told again": lambda row: rules.tell(row, Event.CONFIRMATION_SENT, at(2)),
    "followed up": lambda row: rules.tell(row, Event.FOLLOW_UP_SENT, at(31)),
    "followed up again": lambda row: rules.tell(row, Event.FOLLOW_UP_SENT, at(32)),
}
OF_B = {
    "booked": lambda row: rules.book(row, booked("B", replaces="A"), RECIPIENT),
    "moved on": lambda row: rules.move_away(row, moved_away("B", "C", half="created")),
    "cancelled": lambda row: rules.cancel(row, cancelled("B", at=at(200))),
}


def _happenings():
    named = {("A", name): do for name, do in (OF_A | OF_EITHER).items()}
    return named | {("B", name): do for name, do in (OF_B | OF_EITHER).items()}


HAPPENINGS = _happenings()


def _rows(names):
    rows = {one: unknown(id_of(one), START) for one in "AB"}
    for appointment, name in names:
        rows[appointment] = HAPPENINGS[appointment, name](rows[appointment])
    return {
        one: {field.name: getattr(row, field.name) for field in fields(row) if field.name not in UNTIL_NOW}
        for one, row in rows.items()
    }


@st.composite
def _histories(draw):
    """The same happenings twice, in two orders and with different repetitions."""
    happened = draw(st.lists(st.sampled_from(sorted(HAPPENINGS)), unique=True, min_size=2, max_size=14))
    return [
        draw(st.permutations(happened + draw(st.lists(st.sampled_from(happened), max_size=4))))
        for _ in range(2)
    ]


@settings(max_examples=400)
@given(_histories())
def test_the_same_events_in_any_order_and_number_leave_the_same_rows(histories):
    one, other = histories

    assert _rows(one) == _rows(other)


@pytest.mark.parametrize("first", sorted(HAPPENINGS), ids="-".join)
def test_any_two_events_leave_the_same_row_in_either_order(first):
    for second in sorted(HAPPENINGS):
        for before in ([], [("A", "booked"), ("B", "booked")]):
            one_way = _rows([*before, first, second])

            assert one_way == _rows([*before, second, first]), second
            assert one_way == _rows([*before, first, second, first]), second
