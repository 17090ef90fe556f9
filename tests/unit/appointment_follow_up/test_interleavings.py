"""A text, and what makes it wrong, in the same instant: played call by call in a thousand orders each."""

from collections import Counter
from datetime import timedelta

import pytest

from sms_engagement_runtime.appointment_follow_up.domain.bookings import Party
from sms_engagement_runtime.appointment_follow_up.domain.conversation import Status
from sms_engagement_runtime.appointment_follow_up.domain.follow_up import FollowUpService
from sms_engagement_runtime.appointment_follow_up.domain.purposes import Purpose
from sms_engagement_runtime.channel.domain.inbound import InboundMessage
from sms_engagement_runtime.channel.domain.ledger import Intent
from tests.support.appointment_fakes import (
    OUR_NUMBER,
    PHONE,
    STARTS_AT,
    System,
    booked,
    cancelled,
    id_of,
    moved_away,
    no_show,
)
from tests.support.turns import Turns, schedules

INTERLEAVINGS = 1000
REMINDER = "reminder-1440"


# Each arranges a system in which the text is due at this instant.


def _before_confirmation(system):
    system.take(booked("A"))


def _before_moved(system):
    system.take(moved_away("Z", "A", half="created"), booked("A", replaces="Z"))


def _before_follow_up(system):
    system.book("A")
    system.clock.advance(minutes=30)


def _before_reminder(system):
    system.book("A")
    system.run_until(STARTS_AT - timedelta(hours=24, seconds=1))
    system.clock.advance(seconds=1)


def _before_no_show_text(system):
    system.book("A")
    system.run_until(STARTS_AT + timedelta(minutes=40))
    system.take(no_show("A", at=system.clock.now()))


def _before_cancelled_text(system):
    system.book("A")
    system.take(cancelled("A", at=system.clock.now(), by=Party.INVITEE))


DUE = {
    Purpose.CONFIRMATION: _before_confirmation,
    Purpose.MOVED: _before_moved,
    Purpose.FOLLOW_UP: _before_follow_up,
    REMINDER: _before_reminder,
    Purpose.NO_SHOW: _before_no_show_text,
    Purpose.CANCELLED: _before_cancelled_text,
}


# Each makes the text wrong.


def _invitee_answers(system, wrap):
    system.answers(wrap).handle(system.reply_to("A", "1"))


def _it_is_cancelled(system, wrap):
    system.intake(wrap).take([cancelled("A", at=system.clock.now())])


def _it_is_moved(system, wrap):
    system.intake(wrap).take([moved_away("A", "B", at=system.clock.now())])


def _host_takes_it_back(system, wrap):
    at = system.clock.now() + timedelta(milliseconds=1)
    system.intake(wrap).take([no_show("A", at=at, is_undone=True)])


def _invitee_stops(system, wrap):
    system.router(wrap).handle(
        InboundMessage(
            id="inbound-stop",
            from_=PHONE,
            to=OUR_NUMBER,
            body="STOP",
            received_at=system.clock.now(),
        )
    )
    for event in system.routed():
        system.answers(wrap).handle(event)


ENDS = {
    _invitee_answers: Status.RESPONDED,
    _it_is_cancelled: Status.CANCELED,
    _it_is_moved: Status.RESCHEDULED,
    _invitee_stops: Status.OPTED_OUT,
}
RACES = [
    (Purpose.FOLLOW_UP, _invitee_answers),
    *(
        (purpose, act)
        for purpose in (Purpose.CONFIRMATION, Purpose.MOVED, Purpose.FOLLOW_UP, REMINDER)
        for act in (_it_is_cancelled, _it_is_moved, _invitee_stops)
    ),
    (Purpose.NO_SHOW, _it_is_cancelled),
    (Purpose.NO_SHOW, _host_takes_it_back),
    (Purpose.NO_SHOW, _invitee_stops),
    (Purpose.CANCELLED, _it_is_moved),
    (Purpose.CANCELLED, _invitee_stops),
]
IDS = [f"{purpose} while{act.__name__.replace('_', ' ')}" for purpose, act in RACES]


class Outcome:
    """What one interleaving left in the journal."""

    def __init__(self, purpose, act, schedule):
        self.system = system = System()
        DUE[purpose](system)
        self.begins_with = system.row()
        start, turns = len(system.journal), Turns(schedule)
        execution = next(one for one in system.due() if one.appointment_id == id_of("A"))
        turns.play(lambda: system.run(execution, turns.wrap), lambda: act(system, turns.wrap))
        self.calls = turns.calls
        self.claims, self.recorded_at = [], None
        for position, (kind, what) in enumerate(system.journal[start:]):
            if kind == "claimed" and isinstance(what, Intent) and what.purpose == purpose:
                self.claims.append(position)
            elif self.recorded_at is None and self._makes_it_wrong(kind, what, act):
                self.recorded_at = position
        self.texts = Counter(system.texts)[purpose, id_of("A")]

    def _makes_it_wrong(self, kind, what, act):
        if act is _invitee_stops:
            return kind == "opted-out"
        if kind != "saved" or what.appointment_id != id_of("A"):
            return False
        if act is _invitee_answers:
            return what.reply is not None
        return what.status is not self.begins_with.status and what.status in (
            Status.CANCELED,
            Status.RESCHEDULED,
            Status.CONFIRMED_SENT if act is _host_takes_it_back else Status.CANCELED,
            Status.FOLLOWED_UP if act is _host_takes_it_back else Status.CANCELED,
        )

    @property
    def violation(self):
        if self.recorded_at is None:
            return "it was never recorded"
        if len(self.claims) > 1 or self.texts > 1:
            return "twice"
        if self.claims and self.claims[0] > self.recorded_at:
            return "claimed after it was recorded"
        if self.texts != len(self.claims):
            return "claimed and not sent"
        return None


def _interleavings(purpose, act, count=INTERLEAVINGS):
    """Play every schedule, each on a system of its own."""
    alone = Outcome(purpose, act, ())
    for schedule in schedules(*alone.calls, count=count):
        yield Outcome(purpose, act, schedule)


@pytest.mark.parametrize(("purpose", "act"), RACES, ids=IDS)
def test_either_the_text_is_claimed_first_or_it_is_never_sent(purpose, act):
    outcomes = list(_interleavings(purpose, act, INTERLEAVINGS if act is _invitee_answers else 70))

    assert {outcome.violation for outcome in outcomes} == {None}
    # Both happened, or nothing was raced for.
    assert {outcome.texts for outcome in outcomes} == {0, 1}
    if act in ENDS and purpose not in (Purpose.NO_SHOW, Purpose.CANCELLED):
        assert {outcome.system.row().status for outcome in outcomes} == {ENDS[act]}


@pytest.mark.parametrize(("purpose", "act"), [RACES[0], RACES[1], RACES[2]], ids=IDS[:3])
def test_what_follows_is_the_same_whoever_came_first(purpose, act):
    """The rest of the story has neither text nor step left that could be wrong."""
    for outcome in _interleavings(purpose, act, 40):
        system = outcome.system
        system.run_all()

        assert max(Counter(system.texts).values(), default=0) <= 1
        assert system.row().status is ENDS[act]
        later = set(system.purposes) - {purpose, Purpose.CONFIRMATION, Purpose.CANCELLED}
        assert later == ({REMINDER} if act is _invitee_answers else set())


@pytest.mark.parametrize(
    ("purpose", "act"),
    [race for race in RACES if race[1] is not _invitee_stops],
    ids=[name for name, race in zip(IDS, RACES, strict=True) if race[1] is not _invitee_stops],
)
def test_without_the_guard_the_interleavings_find_it(purpose, act, monkeypatch):
    monkeypatch.setattr(FollowUpService, "_still_true", lambda self, *_: True)

    violations = Counter(outcome.violation for outcome in _interleavings(purpose, act, 50))

    assert violations["claimed after it was recorded"]


def test_a_look_at_the_row_alone_is_not_enough(monkeypatch):
    """Between a look and the claim there is always room for an answer: only the guard closes it."""
    looks = FollowUpService._still_true
    monkeypatch.setattr(FollowUpService, "_still_true", lambda self, *about: bool(looks(self, *about)))

    violations = Counter(
        outcome.violation for outcome in _interleavings(Purpose.FOLLOW_UP, _invitee_answers, 200)
    )

    assert violations["claimed after it was recorded"]


def test_a_thousand_interleavings_are_different_ones():
    alone = Outcome(Purpose.FOLLOW_UP, _invitee_answers, ())
    chosen = schedules(*alone.calls, count=INTERLEAVINGS)

    assert len(set(chosen)) == INTERLEAVINGS
