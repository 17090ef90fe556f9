import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

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
)
from sms_engagement_runtime.channel.domain.gate import Answers, ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.ledger import DeliveryEvent, Intent, MessageState
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.channel.domain.sending import OutcomeState, SendPolicy, SendService
from tests.support.fakes import (
    START,
    Crash,
    CrashPlan,
    FakeClock,
    FakeContacts,
    FakeLedger,
    FakePacer,
    FakePause,
    FakePlaces,
    FakeSender,
)

PERSON = PhoneNumber("+12065550123")
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


@dataclass
class Channel:
    """A send service on fakes, and the means to look behind it."""

    clock: FakeClock = field(default_factory=FakeClock)
    contacts: FakeContacts = field(default_factory=FakeContacts)
    sender: FakeSender = field(default_factory=FakeSender)
    pause: FakePause = field(default_factory=FakePause)
    pacer: FakePacer = field(default_factory=FakePacer)
    disabled: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = FakeLedger(self.contacts)

    def service(self, plan: CrashPlan | None = None) -> SendService:
        wrap = (plan or CrashPlan()).wrap
        return SendService(
            contacts=wrap(self.contacts),
            ledger=wrap(self.ledger),
            sender=wrap(self.sender),
            pause=wrap(self.pause),
            pacer=wrap(self.pacer),
            places=FakePlaces(),
            clock=self.clock,
            policy=SendPolicy(allowed_countries=frozenset({"US"}), max_parts=1),
            on_sending_disabled=self.disabled.append,
        )

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
    assert (message.destination, message.body, message.key) == (PERSON, INTENT.body, INTENT.key)
    assert (message.campaign_id, message.message_class) == ("spring", MessageClass.PROMOTIONAL)


def test_a_second_attempt_sends_nothing(channel):
    channel.service().send(INTENT)

    outcome = channel.service().send(INTENT)

    assert (outcome.state, outcome.message_id) == (OutcomeState.ALREADY_SENT, "message-1")
    assert channel.sender.calls == 1


def test_typography_is_normalised_on_the_way_out(channel):
    channel.service().send(replace(INTENT, body="It’s “done” – thanks…"))

    assert channel.sender.bodies == ['It\'s "done" - thanks...']


def test_the_rate_slot_is_taken_in_parts(channel):
    service = replace(channel.service(), policy=SendPolicy(allowed_countries=frozenset({"US"}), max_parts=3))

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

    assert channel.service().send(INTENT).reason is Reason.OPTED_OUT
    assert channel.row.state is MessageState.ACCEPTED


def test_stop_while_the_text_waits_for_its_rate_slot(channel):
    channel.pacer.on_acquire = channel.opt_out

    outcome = channel.service().send(INTENT)

    assert (outcome.state, outcome.reason) == (OutcomeState.SUPPRESSED, Reason.OPTED_OUT)
    assert channel.sender.calls == 0


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
    channel.pause.paused = True
    paused = service.send(INTENT, dry_run=True)

    assert (suppressed.state, suppressed.reason) == (OutcomeState.SUPPRESSED, Reason.COUNTRY_NOT_ALLOWED)
    assert sent.state is OutcomeState.ALREADY_SENT
    assert (paused.state, paused.reason) == (OutcomeState.DEFERRED, Reason.PAUSED)


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
    barrier = threading.Barrier(8)

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

    outcomes = [service.send(replace(INTENT, occasion=f"order-{n}")) for n in range(20)]

    assert {outcome.state for outcome in outcomes} == {OutcomeState.ACCEPTED}
    assert len(channel.sender.sent) == 20
    assert len({message.key for message in channel.sender.sent}) == 20
