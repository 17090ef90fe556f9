import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.budget import SpendLimits
from sms_engagement_runtime.channel.domain.consent import (
    ALL_SCOPES,
    ConsentState,
    Contact,
    Evidence,
    Scope,
    opt_out,
)
from sms_engagement_runtime.channel.domain.errors import (
    ContactChangedError,
    OutcomeUnknownError,
    SendingDisabledError,
    SendRefusedError,
    SendThrottledError,
    TransientError,
)
from sms_engagement_runtime.channel.domain.frequency import FrequencyCap
from sms_engagement_runtime.channel.domain.gate import Answers, ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.ledger import DeliveryEvent, Guard, Intent, MessageState
from sms_engagement_runtime.channel.domain.pacing import LEAVES_WITHIN, Lane, NoSlotError, Slot
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.channel.domain.sending import OutcomeState, SendOutcome, SendPolicy, SendService
from sms_engagement_runtime.channel.domain.variants import campaign_id
from tests.support.fakes import (
    START,
    Crash,
    CrashPlan,
    FakeBudget,
    FakeClock,
    FakeContacts,
    FakeLedger,
    FakePacer,
    FakePause,
    FakePlaces,
    FakeSender,
)

PERSON = PhoneNumber("+12065550123")
# START is noon in New York and seven in Honolulu.
EIGHT_IN_HONOLULU = START + timedelta(hours=1)
INTENT = Intent(
    construct="reviews",
    purpose="review-request",
    occasion="order-1",
    scope=Scope.REVIEWS,
    message_class=MessageClass.PROMOTIONAL,
    consent_rule=ConsentRule.IMPLIED,
    recipient=PERSON,
    subscriber_id="v1:a",
    country="US",
    body="Hi John! How was it?",
    campaign_id="spring",
)
STOP = " Reply STOP to opt out"


@dataclass
class Channel:
    """A send service on fakes, and the means to look behind it."""

    clock: FakeClock = field(default_factory=FakeClock)
    contacts: FakeContacts = field(default_factory=FakeContacts)
    sender: FakeSender = field(default_factory=FakeSender)
    pause: FakePause = field(default_factory=FakePause)
    pacer: FakePacer = field(default_factory=FakePacer)
    disabled: list[str] = field(default_factory=list)
    budget: FakeBudget = field(default_factory=FakeBudget)

    def __post_init__(self) -> None:
        self.ledger = FakeLedger(self.contacts)

    def service(
        self,
        plan: CrashPlan | None = None,
        *,
        zones: tuple[str, ...] = ("America/New_York",),
        **policy: Any,
    ) -> SendService:
        wrap = (plan or CrashPlan()).wrap
        return SendService(
            contacts=wrap(self.contacts),
            ledger=wrap(self.ledger),
            sender=wrap(self.sender),
            pause=wrap(self.pause),
            pacer=wrap(self.pacer),
            places=FakePlaces(zones),
            budget=wrap(self.budget),
            clock=self.clock,
            policy=SendPolicy(**{"allowed_countries": frozenset({"US"}), "max_parts": 1, **policy}),
            on_sending_disabled=self.disabled.append,
        )

    def have_sent(self, texts: int) -> None:
        """Arrange: so many other texts went to the person just now."""
        for _ in range(texts):
            earlier = replace(INTENT, occasion=f"earlier-{len(self.ledger.rows)}")
            outcome = self.service().send(earlier)
            assert outcome.state is OutcomeState.ACCEPTED

    def opt_out(self) -> None:
        contact = self.contacts.get(INTENT.subscriber_id)
        evidence = Evidence(source="inbound-message", words="STOP", message_id="in-1", at=START)
        change = opt_out(contact, evidence)
        assert change is not None
        self.contacts.save(change.contact, expected_version=contact.version, records=change.records)

    @property
    def row(self):
        return self.ledger.rows[INTENT.key]


@pytest.fixture
def channel() -> Channel:
    return Channel()


def test_sends_a_text_once_and_records_it(channel):
    outcome = channel.service().send(INTENT)

    assert (outcome.state, outcome.message_id, outcome.parts, outcome.reason) == (
        OutcomeState.ACCEPTED, "message-1", 1, None,
    )  # fmt: skip
    assert (channel.row.state, channel.row.message_id) == (MessageState.ACCEPTED, "message-1")
    message = channel.sender.sent[0]
    assert (message.destination, message.body, message.key) == (PERSON, INTENT.body + STOP, INTENT.key)
    assert (message.campaign_id, message.message_class) == ("spring", MessageClass.PROMOTIONAL)


def test_a_second_attempt_sends_nothing(channel):
    channel.service().send(INTENT)

    outcome = channel.service().send(INTENT)

    assert (outcome.state, outcome.message_id) == (OutcomeState.ALREADY_SENT, "message-1")
    assert channel.sender.calls == 1


def test_typography_is_normalised_on_the_way_out(channel):
    channel.service().send(replace(INTENT, body="It’s “done” – thanks…"))

    assert channel.sender.bodies == ['It\'s "done" - thanks...' + STOP]


def test_the_rate_slot_is_taken_in_parts(channel):
    service = channel.service(max_parts=3)

    service.send(replace(INTENT, body="a" * 307))

    assert channel.pacer.acquired == [3]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"country": "FR"}, Reason.COUNTRY_NOT_ALLOWED),
        ({"country": None}, Reason.COUNTRY_UNKNOWN),
        ({"body": "a" * 161}, Reason.TOO_MANY_PARTS),
        ({"body": "  \n"}, Reason.EMPTY_BODY),
        ({"body": ""}, Reason.EMPTY_BODY),
        ({"consent_rule": ConsentRule.RECORDED}, Reason.NO_CONSENT),
        ({"expires_at": START}, Reason.EXPIRED),
    ],
)
def test_every_refusal_of_the_gate_is_recorded(channel, change, reason):
    intent = replace(INTENT, **change)

    outcome = channel.service().send(intent)

    assert (outcome.state, outcome.reason) == (OutcomeState.SUPPRESSED, reason)
    row = channel.ledger.rows[intent.key]
    assert (row.state, row.reason) == (MessageState.SUPPRESSED, reason)
    assert channel.sender.calls == 0


def test_nothing_is_sent_that_is_no_longer_true(channel):
    outcome = channel.service().send(INTENT, still_true=lambda: False)

    assert (outcome.state, outcome.reason) == (OutcomeState.SUPPRESSED, Reason.NO_LONGER_TRUE)


def test_nothing_is_sent_to_a_person_who_opted_out(channel):
    channel.opt_out()

    outcome = channel.service().send(INTENT)

    assert (outcome.state, outcome.reason) == (OutcomeState.SUPPRESSED, Reason.OPTED_OUT)
    assert channel.sender.calls == 0


def test_a_pause_defers_and_the_text_goes_out_after_it(channel):
    channel.pause.paused = True
    outcome = channel.service().send(INTENT)
    assert (outcome.state, outcome.reason, outcome.stops_sending) == (
        OutcomeState.DEFERRED,
        Reason.PAUSED,
        True,
    )
    assert channel.row.state is MessageState.DEFERRED

    channel.pause.paused = False

    assert channel.service().send(INTENT).state is OutcomeState.ACCEPTED


def test_a_suppressed_text_may_be_asked_for_again(channel):
    channel.service().send(INTENT, still_true=lambda: False)

    assert channel.service().send(INTENT).state is OutcomeState.ACCEPTED


def test_a_refusal_later_does_not_hide_that_the_text_was_sent(channel):
    channel.service().send(INTENT)
    channel.opt_out()

    outcome = channel.service().send(INTENT)

    assert (outcome.state, outcome.message_id) == (OutcomeState.ALREADY_SENT, "message-1")
    assert channel.row.state is MessageState.ACCEPTED


def test_a_pause_does_not_hide_that_another_attempt_is_at_it(channel):
    answers = []

    def meanwhile():
        channel.pause.paused = True
        answers.append(channel.service().send(INTENT).state)

    channel.sender.answers = [meanwhile]

    assert channel.service().send(INTENT).state is OutcomeState.ACCEPTED
    assert answers == [OutcomeState.IN_FLIGHT]


def test_stop_while_the_text_waits_for_its_rate_slot(channel):
    channel.pacer.on_acquire = channel.opt_out

    outcome = channel.service().send(INTENT)

    assert (outcome.state, outcome.reason) == (OutcomeState.SUPPRESSED, Reason.OPTED_OUT)
    assert channel.sender.calls == 0


def test_the_slot_is_waited_for_when_nothing_but_the_call_is_left(channel):
    held = []

    class NotingPacer(FakePacer):
        def hold(self, slot: Slot) -> bool:
            held.append((slot.parts, channel.row.state, channel.sender.calls))
            return True

    channel.pacer = NotingPacer()

    channel.service().send(INTENT)

    assert held == [(1, MessageState.CLAIMED, 0)]
    assert channel.sender.calls == 1


class LatePacer(FakePacer):
    """Misses as many slots as there are actions in ``missed``; each happens during the next wait for one."""

    def __init__(self, *missed):
        super().__init__()
        self.missed = list(missed)

    def hold(self, slot: Slot) -> bool:
        super().hold(slot)
        if not self.missed:
            return True
        self.on_acquire = self.missed.pop(0)
        return False


def nothing() -> None:
    """Let the wait pass."""


def test_a_text_that_misses_its_slot_takes_another_one(channel):
    states = []
    channel.pacer = LatePacer(lambda: states.append((channel.row.state, channel.row.reason)))

    outcome = channel.service().send(INTENT)

    assert outcome.state is OutcomeState.ACCEPTED
    assert channel.pacer.acquired == [1, 1]
    assert channel.pacer.lanes == [Lane.PROMOTIONAL] * 2
    # While it waits nobody takes it for sent.
    assert states == [(MessageState.DEFERRED, Reason.SLOT_MISSED)]
    assert channel.sender.bodies == [INTENT.body + STOP]


def test_a_text_that_always_misses_its_slot_leaves_late(channel):
    channel.pacer = LatePacer(*[nothing] * 9)

    assert channel.service().send(INTENT).state is OutcomeState.ACCEPTED
    assert len(channel.pacer.held) == 3


def test_stop_while_the_text_waits_for_another_slot(channel):
    channel.pacer = LatePacer(channel.opt_out)

    outcome = channel.service().send(INTENT)

    assert (outcome.state, outcome.reason) == (OutcomeState.SUPPRESSED, Reason.OPTED_OUT)
    assert (channel.sender.calls, channel.budget.spent) == (0, {})
    contact = channel.contacts.get(INTENT.subscriber_id)
    assert (contact.introduced_at, contact.recent_texts) == (None, {})


def test_a_text_that_finds_no_other_slot_leaves_no_trace(channel):
    def full():
        raise NoSlotError("the rate is taken")

    channel.pacer = LatePacer(full)

    with pytest.raises(NoSlotError):
        channel.service().send(INTENT)

    assert channel.row.state is MessageState.DEFERRED
    contact = channel.contacts.get(INTENT.subscriber_id)
    assert (contact.introduced_at, contact.recent_texts) == (None, {})


def test_what_another_attempt_sent_meanwhile_stays_with_the_contact(channel):
    def send_and_full():
        assert channel.service().send(INTENT).state is OutcomeState.ACCEPTED
        raise NoSlotError("the rate is taken")

    channel.pacer = LatePacer(send_and_full)

    with pytest.raises(NoSlotError):
        channel.service().send(INTENT)

    contact = channel.contacts.get(INTENT.subscriber_id)
    assert (contact.introduced_by, list(contact.recent_texts)) == (INTENT.key, [INTENT.key])


class EarlyPacer(FakePacer):
    """Lets a text go to the gate a moment before its slot."""

    at = START + timedelta(milliseconds=300)

    def acquire(self, parts: int, lane: Lane) -> Slot:
        return replace(super().acquire(parts, lane), at=self.at)


@pytest.mark.parametrize("useful_for", [timedelta(milliseconds=200), timedelta(milliseconds=300)])
def test_a_text_that_is_useless_when_its_slot_comes_is_not_sent(channel, useful_for):
    channel.pacer = EarlyPacer()

    outcome = channel.service().send(replace(INTENT, expires_at=START + useful_for))

    assert (outcome.state, outcome.reason) == (OutcomeState.SUPPRESSED, Reason.EXPIRED)


def test_the_hours_are_those_at_the_slot(channel):
    # The last promotional text leaves half a minute before nine in the evening, New York.
    last = datetime(2026, 11, 22, 1, 59, 30, tzinfo=UTC)
    channel.clock.instant = last - timedelta(milliseconds=200)
    channel.pacer = EarlyPacer()
    channel.pacer.at = last

    assert channel.service().send(INTENT).reason is Reason.QUIET_HOURS


def test_a_text_that_the_gate_refuses_waits_for_no_slot(channel):
    channel.opt_out()

    channel.service().send(INTENT)

    assert channel.pacer.acquired == [1]
    assert channel.pacer.held == []


def test_each_attempt_after_throttling_has_a_slot_of_its_own(channel):
    channel.sender.answers = [SendThrottledError("ThrottlingException"), None]

    channel.service().send(INTENT)

    assert channel.pacer.acquired == [1, 1]
    assert len(channel.pacer.held) == 2


def test_stop_between_gate_and_claim(channel):
    class StoppingPause(FakePause):
        def is_paused(self) -> bool:
            if not channel.contacts.rows:
                channel.opt_out()
            return False

    service = replace(channel.service(), pause=StoppingPause())

    outcome = service.send(INTENT)

    assert (outcome.state, outcome.reason) == (OutcomeState.SUPPRESSED, Reason.OPTED_OUT)
    assert channel.sender.calls == 0


def test_a_contact_that_never_stands_still_defers_the_text(channel):
    class Restless(FakePause):
        def is_paused(self) -> bool:
            channel.contacts.put(channel.contacts.get(INTENT.subscriber_id))
            return False

    outcome = replace(channel.service(), pause=Restless()).send(INTENT)

    assert (outcome.state, outcome.reason) == (OutcomeState.DEFERRED, Reason.CONTACT_CHANGED)
    assert channel.sender.calls == 0


# What the text is about


@dataclass
class Appointment:
    """A row in another table that a text is about; ``look`` is what asks whether the text still holds.

    What is in ``between`` happens one by one, each between an answer and the claim that relies on it.
    """

    version: int = 1
    is_cancelled: bool = False
    answers: list[bool | Guard] = field(default_factory=list)
    between: list[Callable[[], None]] = field(default_factory=list)

    def cancel(self) -> None:
        self.version += 1
        self.is_cancelled = True

    def touch(self) -> None:
        self.version += 1

    def look(self) -> bool | Guard:
        self.answers.append(False if self.is_cancelled else self._guard())
        return self.answers[-1]

    def holds(self, guard: Guard) -> bool:
        if self.between:
            self.between.pop(0)()
        return guard == self._guard()

    def _guard(self) -> Guard:
        return Guard(table="appointments", key=("appointmentId", "a-1"), version=self.version)


@pytest.fixture
def appointment(channel) -> Appointment:
    appointment = Appointment()
    channel.ledger.holds = appointment.holds
    return appointment


def test_a_text_whose_reason_stands_still_is_sent(channel, appointment):
    assert channel.service().send(INTENT, still_true=appointment.look).state is OutcomeState.ACCEPTED
    assert len(appointment.answers) == 1


def test_what_is_over_between_gate_and_claim_is_not_sent(channel, appointment):
    budget = _budget(channel, day=1)
    appointment.between = [appointment.cancel]

    outcome = channel.service().send(INTENT, still_true=appointment.look)

    assert (outcome.state, outcome.reason) == (OutcomeState.SUPPRESSED, Reason.NO_LONGER_TRUE)
    assert (channel.row.state, channel.row.reason) == (MessageState.SUPPRESSED, Reason.NO_LONGER_TRUE)
    assert (channel.sender.calls, channel.ledger.claims) == (0, 0)
    assert set(budget.spent.values()) == {0}
    contact = channel.contacts.get(INTENT.subscriber_id)
    assert (contact.introduced_at, contact.recent_texts) == (None, {})


def test_what_changed_and_still_holds_is_asked_about_again_and_sent_once(channel, appointment):
    appointment.between = [appointment.touch, appointment.touch]

    outcome = channel.service().send(INTENT, still_true=appointment.look)

    assert outcome.state is OutcomeState.ACCEPTED
    assert [answer.version for answer in appointment.answers] == [1, 2, 3]
    assert (channel.sender.calls, channel.ledger.claims) == (1, 1)


def test_what_never_stands_still_defers_the_text(channel, appointment):
    appointment.between = [appointment.touch] * 99

    outcome = channel.service().send(INTENT, still_true=appointment.look)

    assert (outcome.state, outcome.reason) == (OutcomeState.DEFERRED, Reason.CONTACT_CHANGED)
    assert (channel.sender.calls, channel.ledger.claims) == (0, 0)


@pytest.mark.parametrize("wait", ["throttled", "slot missed"])
def test_what_is_over_while_a_claimed_text_waits_again_is_not_sent(channel, appointment, wait):
    def cancel_and_throttle() -> None:
        appointment.cancel()
        raise SendThrottledError("ThrottlingException")

    if wait == "throttled":
        channel.sender.answers = [cancel_and_throttle]
    else:
        channel.pacer = LatePacer(appointment.cancel)

    outcome = channel.service().send(INTENT, still_true=appointment.look)

    assert (outcome.state, outcome.reason) == (OutcomeState.SUPPRESSED, Reason.NO_LONGER_TRUE)
    assert channel.sender.sent == []


def test_a_text_that_was_sent_stays_sent_when_what_it_was_about_changes(channel, appointment):
    channel.service().send(INTENT, still_true=appointment.look)
    appointment.between = [appointment.touch]

    again = channel.service().send(INTENT, still_true=appointment.look)

    assert (again.state, again.message_id) == (OutcomeState.ALREADY_SENT, "message-1")
    assert channel.sender.calls == 1


@dataclass
class DisturbancePlan(CrashPlan):
    """Lets something happen at one of the instants around the calls of all ports."""

    happens: Callable[[], None] = field(kw_only=True)

    def reach(self) -> None:
        self.instants += 1
        if self.instants == self.crash_at:
            self.happens()


def test_a_text_is_sent_only_if_it_was_claimed_before_the_cancellation_whenever_that_comes():
    def attempt(instant: int | None) -> tuple[int, bool, Channel]:
        channel, appointment = Channel(), Appointment()
        claims_before = []

        def cancel() -> None:
            claims_before.append(channel.ledger.claims)
            appointment.cancel()

        channel.ledger.holds = appointment.holds
        plan = DisturbancePlan(crash_at=instant, happens=cancel)
        channel.service(plan).send(INTENT, still_true=appointment.look)
        return plan.instants, claims_before == [1], channel

    instants, _, undisturbed = attempt(None)
    assert undisturbed.sender.calls == 1

    was_claimed_first = []
    for instant in range(1, instants + 1):
        _, is_claimed_first, channel = attempt(instant)
        was_claimed_first.append(is_claimed_first)
        assert channel.sender.calls == channel.ledger.claims == int(is_claimed_first)

    assert set(was_claimed_first) == {True, False}


@pytest.mark.parametrize(
    ("is_cancelled", "state"), [(False, OutcomeState.WOULD_SEND), (True, OutcomeState.SUPPRESSED)]
)
def test_a_dry_run_asks_whether_it_holds_and_guards_nothing(channel, appointment, is_cancelled, state):
    appointment.is_cancelled = is_cancelled

    outcome = channel.service().send(INTENT, still_true=appointment.look, dry_run=True)

    assert outcome.state is state
    assert channel.ledger.rows == {}


# The hour, and how often


def test_a_promotional_text_waits_for_the_morning_of_the_recipient(channel):
    outcome = channel.service(zones=("Pacific/Honolulu",)).send(INTENT)

    assert (outcome.state, outcome.reason, outcome.until) == (
        OutcomeState.DEFERRED, Reason.QUIET_HOURS, EIGHT_IN_HONOLULU,
    )  # fmt: skip
    assert not outcome.stops_sending
    assert channel.ledger.deferred_until[INTENT.key] == EIGHT_IN_HONOLULU
    assert (channel.sender.calls, channel.contacts.rows) == (0, {})
    channel.clock.instant = EIGHT_IN_HONOLULU
    assert channel.service(zones=("Pacific/Honolulu",)).send(INTENT).state is OutcomeState.ACCEPTED


def test_the_zone_on_record_is_what_counts(channel):
    hawaiian = replace(INTENT, time_zone="Pacific/Honolulu")

    assert channel.service().send(hawaiian).reason is Reason.QUIET_HOURS


@pytest.mark.parametrize(
    ("zones", "expires_at", "reason"),
    [
        (("Pacific/Honolulu",), EIGHT_IN_HONOLULU, Reason.EXPIRES_IN_QUIET_HOURS),
        ((), None, Reason.TIME_ZONE_UNKNOWN),
    ],
)
def test_what_cannot_be_sent_in_time_or_at_any_known_hour_is_not_sent(channel, zones, expires_at, reason):
    outcome = channel.service(zones=zones).send(replace(INTENT, expires_at=expires_at))

    assert (outcome.state, outcome.reason) == (OutcomeState.SUPPRESSED, reason)
    assert channel.sender.calls == 0


def test_transactional_texts_and_replies_go_out_at_night_above_the_cap_and_over_the_budget(channel):
    channel.have_sent(3)
    channel.budget = FakeBudget(SpendLimits(per_day=881, per_campaign=881))
    channel.budget.spent = {"day#2026-11-21": 881}
    transactional = replace(INTENT, message_class=MessageClass.TRANSACTIONAL)
    service = channel.service(zones=())

    states = [service.send(intent).state for intent in (transactional, _reply(Answers.MESSAGE))]

    assert states == [OutcomeState.ACCEPTED] * 2
    assert channel.budget.spent == {"day#2026-11-21": 3 * 881}
    assert channel.pacer.lanes[-2:] == [Lane.TRANSACTIONAL, Lane.TRANSACTIONAL]
    assert len(channel.contacts.get("v1:a").recent_texts) == 3


def test_the_fourth_text_of_a_day_waits_until_the_first_is_a_day_old(channel):
    channel.have_sent(1)
    channel.clock.advance(hours=1)
    channel.have_sent(2)
    channel.clock.advance(hours=1)

    outcome = channel.service().send(INTENT)

    assert (outcome.state, outcome.reason) == (OutcomeState.DEFERRED, Reason.FREQUENCY_CAP)
    assert outcome.until == START + timedelta(hours=24) + LEAVES_WITHIN
    assert channel.sender.calls == 3
    channel.clock.instant = outcome.until
    assert channel.service().send(INTENT).state is OutcomeState.ACCEPTED


def test_of_two_broadcasts_at_once_only_one_gets_the_last_text_of_the_day(channel):
    channel.have_sent(2)
    others: list[SendOutcome] = []

    class Meanwhile(FakePause):
        def is_paused(self) -> bool:
            # Behind the gate's look at the contact, and before the claim.
            if not others:
                others.append(channel.service().send(replace(INTENT, occasion="of the other broadcast")))
            return False

    outcome = replace(channel.service(), pause=Meanwhile()).send(INTENT)

    assert others[0].state is OutcomeState.ACCEPTED
    assert (outcome.state, outcome.reason) == (OutcomeState.DEFERRED, Reason.FREQUENCY_CAP)
    assert channel.sender.calls == 3


@given(st.integers(1, 3), st.integers(1, 8))
def test_however_many_at_once_never_more_than_the_cap(cap, texts):
    channel = Channel()
    service = channel.service(frequency_cap=FrequencyCap(texts=cap))

    with ThreadPoolExecutor(texts) as pool:
        outcomes = list(
            pool.map(service.send, [replace(INTENT, occasion=f"order-{n}") for n in range(texts)])
        )

    assert channel.sender.calls <= cap
    assert {outcome.reason for outcome in outcomes} <= {None, Reason.FREQUENCY_CAP, Reason.CONTACT_CHANGED}
    if all(outcome.reason is not Reason.CONTACT_CHANGED for outcome in outcomes):
        assert channel.sender.calls == min(cap, texts)


@pytest.mark.parametrize(
    "refusal", [SendRefusedError("INVALID_PARAMETER"), SendingDisabledError("ACCOUNT_DISABLED")]
)
def test_a_text_that_was_not_sent_does_not_count(channel, refusal):
    channel.sender.answers = [refusal]
    channel.service().send(INTENT)

    channel.have_sent(3)

    assert len(channel.sender.sent) == 3


def test_a_text_that_may_have_been_sent_counts(channel):
    channel.sender.answers = [OutcomeUnknownError("ReadTimeoutError")]
    channel.service().send(replace(INTENT, occasion="lost"))
    channel.have_sent(2)

    assert channel.service().send(INTENT).reason is Reason.FREQUENCY_CAP


# Who speaks


def test_the_first_text_says_who_speaks_and_the_second_does_not(channel):
    service = channel.service(sender_name="Demo Store")

    for occasion in ("order-1", "order-2"):
        service.send(replace(INTENT, occasion=occasion))

    assert channel.sender.bodies == [
        "Hi John! How was it? Demo Store: Reply STOP to opt out",
        "Hi John! How was it?",
    ]
    contact = channel.contacts.get("v1:a")
    assert (contact.introduced_at, contact.introduced_by) == (START, INTENT.key)


def test_the_name_of_the_person_gives_way_to_who_speaks(channel):
    long = replace(INTENT, body="Hi John! " + "x" * 120, shorter_body="Hi! " + "x" * 120, locale="de")

    channel.service(sender_name="Demo Store").send(long)

    assert channel.sender.bodies == ["Hi! " + "x" * 120 + " Antworten Sie STOP zum Abmelden"]


def test_who_could_not_be_told_is_told_with_the_next_text(channel):
    first = channel.service().send(replace(INTENT, body="x" * 160))
    channel.service().send(replace(INTENT, occasion="order-2"))

    assert first.parts == 1
    assert channel.sender.bodies == ["x" * 160, "Hi John! How was it?" + STOP]


def test_a_reply_introduces_nobody(channel):
    channel.service().send(_reply(Answers.MESSAGE))
    channel.service().send(INTENT)

    assert channel.sender.bodies == ["Hi John! How was it?", "Hi John! How was it?" + STOP]


def test_a_text_that_was_throttled_still_says_who_speaks(channel):
    channel.sender.answers = [SendThrottledError("ThrottlingException"), None]

    channel.service().send(INTENT)

    assert channel.sender.bodies == ["Hi John! How was it?" + STOP]


def test_after_a_throttled_text_that_became_useless_the_next_one_says_who_speaks(channel):
    class SlowPacer(FakePacer):
        def back_off(self, attempt: int) -> None:
            channel.clock.advance(minutes=10)

    channel.sender.answers = [SendThrottledError("ThrottlingException")]
    service = replace(channel.service(), pacer=SlowPacer())
    outcome = service.send(replace(INTENT, expires_at=START + timedelta(minutes=5)))
    assert (outcome.reason, channel.contacts.get("v1:a").recent_texts) == (Reason.EXPIRED, {})

    service.send(replace(INTENT, occasion="order-2"))

    assert channel.sender.bodies == ["Hi John! How was it?" + STOP]


@pytest.mark.parametrize(
    "answers",
    [
        [SendRefusedError("INVALID_PARAMETER")],
        [SendingDisabledError("ACCOUNT_DISABLED")],
        [SendThrottledError("ThrottlingException")] * 5,
    ],
    ids=["refused", "disabled", "throttled to the end"],
)
def test_after_a_text_that_was_not_sent_the_next_one_says_who_speaks(channel, answers):
    channel.sender.answers = list(answers)
    channel.service().send(INTENT)

    channel.service().send(replace(INTENT, occasion="order-2"))

    assert channel.sender.bodies == ["Hi John! How was it?" + STOP]


def test_of_two_first_texts_at_once_one_says_who_speaks(channel):
    transactional = replace(INTENT, message_class=MessageClass.TRANSACTIONAL, purpose="booked")
    others: list[SendOutcome] = []

    class Meanwhile(FakePause):
        def is_paused(self) -> bool:
            if not others:
                others.append(channel.service().send(INTENT))
            return False

    replace(channel.service(), pause=Meanwhile()).send(transactional)

    assert channel.sender.bodies == ["Hi John! How was it?" + STOP, "Hi John! How was it?"]


# What may be spent


def _budget(channel: Channel, *, day: int | None = None, campaign: int | None = None) -> FakeBudget:
    """Arrange: a budget of so many texts."""
    price = 881
    channel.budget = FakeBudget(
        SpendLimits(
            per_day=None if day is None else day * price,
            per_campaign=None if campaign is None else campaign * price,
        )
    )
    return channel.budget


@pytest.mark.parametrize(
    ("budget", "reason", "until"),
    [
        ({"day": 2}, Reason.DAY_BUDGET, datetime(2026, 11, 22, tzinfo=UTC)),
        ({"campaign": 2}, Reason.CAMPAIGN_BUDGET, None),
        ({"day": 2, "campaign": 2}, Reason.DAY_BUDGET, datetime(2026, 11, 22, tzinfo=UTC)),
        ({"day": 3, "campaign": 2}, Reason.CAMPAIGN_BUDGET, None),
    ],
)
def test_sending_stops_when_the_budget_runs_out_in_the_middle(channel, budget, reason, until):
    _budget(channel, **budget)
    service = channel.service()

    outcomes = [service.send(replace(INTENT, subscriber_id=f"v1:{n}")) for n in range(4)]

    assert [outcome.state for outcome in outcomes] == ["ACCEPTED", "ACCEPTED", "DEFERRED", "DEFERRED"]
    assert {(o.reason, o.until, o.stops_sending) for o in outcomes[2:]} == {(reason, until, True)}
    assert channel.sender.calls == 2
    assert all(spent <= 3 * 881 for spent in channel.budget.spent.values())


def test_the_next_day_has_its_own_budget(channel):
    _budget(channel, day=1)
    channel.service().send(INTENT)
    until = channel.service().send(replace(INTENT, subscriber_id="v1:b")).until

    # Midnight of UTC is the evening of the day before in New York.
    channel.clock.instant = until

    assert channel.service().send(replace(INTENT, subscriber_id="v1:b")).state is OutcomeState.ACCEPTED


@pytest.mark.parametrize(
    ("change", "answers"),
    [
        ({"country": "FR"}, []),
        ({"expires_at": START}, []),
        ({}, [SendRefusedError("INVALID_PARAMETER")]),
        ({}, [SendRefusedError("DESTINATION_PHONE_NUMBER_OPTED_OUT")]),
        ({}, [SendingDisabledError("ACCOUNT_DISABLED")]),
        ({}, [SendThrottledError("ThrottlingException")] * 5),
    ],
    ids=["country", "expired", "refused", "opted out", "disabled", "throttled"],
)
def test_a_text_that_is_not_sent_costs_nothing(channel, change, answers):
    budget = _budget(channel, day=1, campaign=1)
    channel.sender.answers = list(answers)

    channel.service().send(replace(INTENT, **change))

    assert set(budget.spent.values()) == {0}


def test_a_variant_of_a_transactional_text_is_never_refused_by_a_budget(channel):
    campaign = campaign_id("appointments", "confirmation", 1)
    budget = _budget(channel, day=1, campaign=1)
    budget.spent = {f"campaign#{campaign}": 99 * 881}
    confirmation = replace(
        INTENT, purpose="confirmation", message_class=MessageClass.TRANSACTIONAL, campaign_id=campaign
    )

    outcomes = [channel.service().send(replace(confirmation, occasion=f"a-{n}")) for n in range(3)]

    assert [outcome.state for outcome in outcomes] == [OutcomeState.ACCEPTED] * 3
    assert {message.campaign_id for message in channel.sender.sent} == {"appointments/confirmation/b"}
    assert {row.campaign_id for row in channel.ledger.rows.values()} == {"appointments/confirmation/b"}
    assert budget.spent == {f"campaign#{campaign}": 99 * 881, "day#2026-11-21": 3 * 881}


def test_a_text_that_was_sent_before_is_paid_once(channel):
    budget = _budget(channel, day=2)

    for _ in range(3):
        channel.service().send(INTENT)

    assert budget.spent == {"day#2026-11-21": 881}


def test_a_text_whose_outcome_nobody_knows_is_paid(channel):
    budget = _budget(channel, day=2)
    channel.sender.answers = [OutcomeUnknownError("ReadTimeoutError")]

    channel.service().send(INTENT)

    assert budget.spent == {"day#2026-11-21": 881}


def test_an_error_during_the_call_that_nobody_foresaw_is_paid(channel):
    budget = _budget(channel, day=2)
    channel.sender.answers = [KeyError("what nobody foresaw")]

    with pytest.raises(KeyError):
        channel.service().send(INTENT)

    assert budget.spent == {"day#2026-11-21": 881}


@pytest.mark.parametrize("error", [TransientError("no answer"), KeyError("what nobody foresaw")])
@pytest.mark.parametrize("port", ["contacts", "ledger", "pause"])
def test_an_error_before_the_call_costs_nothing(channel, port, error):
    budget = _budget(channel, day=1)

    class Failing:
        def __getattr__(self, name: str) -> Any:
            raise error

    with pytest.raises(type(error)):
        replace(channel.service(), **{port: Failing()}).send(INTENT)

    assert budget.spent == {"day#2026-11-21": 0}


def test_a_text_that_was_sent_is_paid_even_where_its_answer_cannot_be_recorded(channel):
    budget = _budget(channel, day=1)

    class Forgetful(FakeLedger):
        def accept(self, key: str, message_id: str, now: datetime) -> None:
            raise TransientError("no answer")

    with pytest.raises(TransientError):
        replace(channel.service(), ledger=Forgetful(channel.contacts)).send(INTENT)

    assert budget.spent == {"day#2026-11-21": 881}


def test_a_crash_at_any_instant_never_spends_more_than_the_budget():
    def arranged() -> Channel:
        channel = Channel()
        _budget(channel, day=1, campaign=1)
        return channel

    plan, channel = CrashPlan(), arranged()
    channel.service(plan).send(INTENT)
    for instant in range(1, plan.instants + 1):
        channel = arranged()
        with pytest.raises(Crash):
            channel.service(CrashPlan(crash_at=instant)).send(INTENT)

        for number in range(3):
            channel.service().send(replace(INTENT, subscriber_id=f"v1:{number}"))

        # What was reserved at the crash stays reserved: less is spent, never more.
        assert channel.sender.calls <= 1
        assert set(channel.budget.spent.values()) == {881}


# What the carrier answers


@pytest.mark.parametrize("reason", ["InternalServerException", "ReadTimeoutError"])
def test_an_unknown_outcome_is_never_sent_again(channel, reason):
    channel.sender.answers = [OutcomeUnknownError(reason)]

    outcome = channel.service().send(INTENT)

    assert (outcome.state, outcome.reason, outcome.detail) == (
        OutcomeState.UNCERTAIN, Reason.OUTCOME_UNKNOWN, reason,
    )  # fmt: skip
    assert channel.row.state is MessageState.CLAIMED
    assert channel.service().send(INTENT).state is OutcomeState.IN_FLIGHT
    channel.clock.advance(seconds=61)
    assert channel.service().send(INTENT).state is OutcomeState.UNCERTAIN
    assert channel.service().send(INTENT).reason is Reason.OUTCOME_UNKNOWN
    channel.clock.advance(days=4)
    assert channel.service().send(INTENT).state is OutcomeState.UNCERTAIN
    assert channel.sender.calls == 1


def test_an_unknown_outcome_is_healed_by_its_event(channel):
    channel.sender.answers = [OutcomeUnknownError("ReadTimeoutError")]
    channel.service().send(INTENT)

    channel.ledger.record_event(
        DeliveryEvent(
            message_id="m", key=INTENT.key, event_type="TEXT_DELIVERED", status="DELIVERED", is_final=True,
            at=START, destination=PERSON,
        ),
        START,
    )  # fmt: skip

    assert channel.service().send(INTENT).state is OutcomeState.ALREADY_SENT
    assert channel.sender.calls == 1


def test_throttling_is_waited_out(channel):
    channel.sender.answers = [SendThrottledError("ThrottlingException"), SendThrottledError("x"), None]

    outcome = channel.service().send(INTENT)

    assert outcome.state is OutcomeState.ACCEPTED
    assert channel.pacer.back_offs == [1, 2]
    assert channel.pacer.acquired == [1, 1, 1]
    assert len(channel.sender.sent) == 1


def test_the_gate_is_asked_again_after_every_throttling(channel):
    def stop_meanwhile() -> None:
        channel.opt_out()
        raise SendThrottledError("ThrottlingException")

    channel.sender.answers = [stop_meanwhile]

    outcome = channel.service().send(INTENT)

    assert (outcome.state, outcome.reason) == (OutcomeState.SUPPRESSED, Reason.OPTED_OUT)
    assert channel.sender.sent == []
    assert (channel.row.state, channel.row.reason) == (MessageState.SUPPRESSED, Reason.OPTED_OUT)


def test_throttling_does_not_outlast_the_use_of_a_text(channel):
    class SlowPacer(FakePacer):
        def back_off(self, attempt: int) -> None:
            channel.clock.advance(minutes=10)

    channel.sender.answers = [SendThrottledError("ThrottlingException")] * 9
    intent = replace(INTENT, expires_at=START + timedelta(minutes=15))

    outcome = replace(channel.service(), pacer=SlowPacer()).send(intent)

    assert (outcome.state, outcome.reason) == (OutcomeState.SUPPRESSED, Reason.EXPIRED)
    assert channel.sender.calls == 2


def test_throttling_without_end_defers_the_text_which_may_be_asked_for_again(channel):
    channel.sender.answers = [SendThrottledError("ThrottlingException")] * 5

    outcome = channel.service().send(INTENT)

    assert (outcome.state, outcome.reason) == (OutcomeState.DEFERRED, Reason.THROTTLED)
    assert not outcome.stops_sending
    assert channel.sender.calls == 5
    assert channel.pacer.back_offs == [1, 2, 3, 4]
    assert channel.service().send(INTENT).state is OutcomeState.ACCEPTED


def test_a_refusal_for_good_is_recorded_and_never_tried_again(channel):
    channel.sender.answers = [SendRefusedError("DESTINATION_COUNTRY_BLOCKED")]

    outcome = channel.service().send(INTENT)

    assert (outcome.state, outcome.reason) == (OutcomeState.FAILED, "DESTINATION_COUNTRY_BLOCKED")
    assert (channel.row.state, channel.row.reason) == (MessageState.FAILED, "DESTINATION_COUNTRY_BLOCKED")
    again = channel.service().send(INTENT)
    assert (again.state, again.reason) == (OutcomeState.FAILED, "DESTINATION_COUNTRY_BLOCKED")
    assert channel.contacts.records == []
    assert channel.sender.calls == 1


def test_an_opt_out_that_only_the_carrier_knows_reaches_the_consent_record(channel):
    channel.sender.answers = [SendRefusedError("DESTINATION_PHONE_NUMBER_OPTED_OUT")]

    outcome = channel.service().send(INTENT)

    assert (outcome.state, outcome.reason) == (OutcomeState.FAILED, "DESTINATION_PHONE_NUMBER_OPTED_OUT")
    contact = channel.contacts.get(INTENT.subscriber_id)
    assert contact.consents == dict.fromkeys(ALL_SCOPES, ConsentState.OPTED_OUT)
    assert (contact.opted_out_by, contact.phone_number) == ("carrier", PERSON)
    assert {(r.source, r.words, r.message_id) for r in channel.contacts.records} == {
        ("carrier", "DESTINATION_PHONE_NUMBER_OPTED_OUT", INTENT.key)
    }
    other = channel.service().send(replace(INTENT, occasion="order-2"))
    assert other.reason is Reason.OPTED_OUT
    assert channel.sender.calls == 1


def test_an_opt_out_by_the_carrier_survives_a_race_on_the_contact(channel):
    channel.sender.answers = [SendRefusedError("DESTINATION_PHONE_NUMBER_OPTED_OUT")]
    channel.contacts.before_save = lambda: channel.contacts.put(Contact(subscriber_id=INTENT.subscriber_id))

    channel.service().send(INTENT)

    assert channel.contacts.get(INTENT.subscriber_id).is_opted_out
    assert len(channel.contacts.records) == len(ALL_SCOPES)


def test_an_opt_out_by_the_carrier_is_not_given_up_silently(channel):
    class Contested(FakeContacts):
        def save(self, contact, *, expected_version, records):
            raise ContactChangedError

    channel.sender.answers = [SendRefusedError("DESTINATION_PHONE_NUMBER_OPTED_OUT")]

    with pytest.raises(ContactChangedError):
        replace(channel.service(), contacts=Contested()).send(INTENT)
    assert channel.service().send(INTENT).state is OutcomeState.IN_FLIGHT
    assert channel.sender.calls == 1


def test_a_disabled_account_stops_everything_and_is_reported(channel):
    channel.sender.answers = [SendingDisabledError("MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT")]

    outcome = channel.service().send(INTENT)

    assert (outcome.state, outcome.reason) == (OutcomeState.DEFERRED, Reason.SENDING_DISABLED)
    assert outcome.detail == "MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT"
    assert outcome.stops_sending
    assert channel.disabled == ["MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT"]
    assert channel.sender.calls == 1
    assert channel.service().send(INTENT).state is OutcomeState.ACCEPTED


# Replies


def _reply(answers: Answers) -> Intent:
    return replace(
        INTENT,
        purpose=answers,
        scope=None,
        message_class=MessageClass.REPLY,
        consent_rule=ConsentRule.NONE,
        answers=answers,
    )


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        (Answers.OPT_OUT, OutcomeState.ACCEPTED),
        (Answers.HELP, OutcomeState.ACCEPTED),
        (Answers.MESSAGE, OutcomeState.SUPPRESSED),
    ],
)
def test_only_some_replies_follow_an_opt_out(channel, answers, state):
    channel.opt_out()

    assert channel.service().send(_reply(answers)).state is state


# Dry runs


def test_a_dry_run_writes_and_sends_nothing(channel):
    outcome = channel.service().send(INTENT, dry_run=True)

    assert (outcome.state, outcome.parts) == (OutcomeState.WOULD_SEND, 1)
    assert (channel.ledger.rows, channel.sender.calls, channel.pacer.acquired) == ({}, 0, [])


def test_a_dry_run_tells_who_not_and_why(channel):
    service = channel.service()
    suppressed = service.send(replace(INTENT, country="FR"), dry_run=True)
    service.send(INTENT)
    sent = service.send(INTENT, dry_run=True)

    assert (suppressed.state, suppressed.reason) == (OutcomeState.SUPPRESSED, Reason.COUNTRY_NOT_ALLOWED)
    assert sent.state is OutcomeState.ALREADY_SENT


def test_a_dry_run_during_a_pause_tells_what_comes_after_it(channel):
    channel.pause.paused = True

    assert channel.service().send(INTENT, dry_run=True).state is OutcomeState.WOULD_SEND


def test_a_dry_run_at_night_tells_who_will_wait_and_until_when(channel):
    service = channel.service(zones=("Pacific/Honolulu",))

    waits = service.send(INTENT, dry_run=True)
    other = service.send(replace(INTENT, country="FR"), dry_run=True)
    useless = service.send(replace(INTENT, expires_at=EIGHT_IN_HONOLULU), dry_run=True)
    lost = channel.service(zones=()).send(INTENT, dry_run=True)

    assert (waits.state, waits.reason, waits.until) == (
        OutcomeState.WOULD_SEND, Reason.QUIET_HOURS, EIGHT_IN_HONOLULU,
    )  # fmt: skip
    assert (other.state, other.reason) == (OutcomeState.SUPPRESSED, Reason.COUNTRY_NOT_ALLOWED)
    assert (useless.state, useless.reason) == (OutcomeState.SUPPRESSED, Reason.EXPIRES_IN_QUIET_HOURS)
    assert (lost.state, lost.reason) == (OutcomeState.SUPPRESSED, Reason.TIME_ZONE_UNKNOWN)
    assert (channel.ledger.rows, channel.contacts.rows) == ({}, {})


def test_a_dry_run_tells_who_has_had_enough_for_today(channel):
    channel.have_sent(3)

    outcome = channel.service().send(INTENT, dry_run=True)

    assert (outcome.state, outcome.reason, outcome.until) == (
        OutcomeState.WOULD_SEND, Reason.FREQUENCY_CAP, START + timedelta(hours=24) + LEAVES_WITHIN,
    )  # fmt: skip


def test_a_dry_run_spends_nothing(channel):
    channel.budget = FakeBudget(SpendLimits(per_day=881))

    for _ in range(2):
        assert channel.service().send(INTENT, dry_run=True).state is OutcomeState.WOULD_SEND

    assert channel.budget.spent == {}


# Crashes and races

ANSWERS = {
    "accepted": [],
    "throttled": [SendThrottledError("ThrottlingException")],
    "refused": [SendRefusedError("INVALID_PARAMETER")],
    "opted out": [SendRefusedError("DESTINATION_PHONE_NUMBER_OPTED_OUT")],
    "disabled": [SendingDisabledError("ACCOUNT_DISABLED")],
    "unknown": [OutcomeUnknownError("ReadTimeoutError")],
}


def _instants(answers: list[Exception]) -> int:
    plan, channel = CrashPlan(), Channel()
    channel.sender.answers = list(answers)
    channel.service(plan).send(INTENT)
    return plan.instants


@pytest.mark.parametrize(
    ("answers", "instant"),
    [(name, i) for name, answers in ANSWERS.items() for i in range(1, _instants(answers) + 1)],
)
def test_a_crash_at_any_instant_never_sends_twice(answers, instant):
    channel = Channel()
    channel.sender.answers = list(ANSWERS[answers])
    plan = CrashPlan(crash_at=instant)
    with pytest.raises(Crash):
        channel.service(plan).send(INTENT)
    was_called = channel.sender.calls > 0

    outcomes = [channel.service().send(INTENT)]
    channel.clock.advance(minutes=2)
    outcomes += [channel.service().send(INTENT) for _ in range(2)]

    assert len(channel.sender.sent) <= 1
    if answers == "accepted" and not channel.sender.sent:
        # Nobody can tell a claim that was left before the call from one after it: it is counted as uncertain.
        assert outcomes[-1].state is OutcomeState.UNCERTAIN
    if was_called and answers in ("accepted", "unknown"):
        assert channel.sender.calls == 1
    if answers == "opted out" and outcomes[-1].state is OutcomeState.FAILED:
        assert channel.contacts.get(INTENT.subscriber_id).is_opted_out


def test_many_at_once_send_one_text(channel):
    barrier = threading.Barrier(8, timeout=60)

    def attempt(_: int) -> OutcomeState:
        barrier.wait()
        return channel.service().send(INTENT).state

    with ThreadPoolExecutor(8) as pool:
        states = list(pool.map(attempt, range(8)))

    assert channel.sender.calls == 1
    assert states.count(OutcomeState.ACCEPTED) == 1
    assert set(states) <= {OutcomeState.ACCEPTED, OutcomeState.IN_FLIGHT, OutcomeState.ALREADY_SENT}


def test_half_of_the_calls_throttled_loses_nobody(channel):
    channel.sender.answers = [SendThrottledError("ThrottlingException"), None] * 20
    service = channel.service()

    outcomes = [service.send(replace(INTENT, subscriber_id=f"v1:{n}")) for n in range(20)]

    assert {outcome.state for outcome in outcomes} == {OutcomeState.ACCEPTED}
    assert len(channel.sender.sent) == 20
    assert len({message.key for message in channel.sender.sent}) == 20
