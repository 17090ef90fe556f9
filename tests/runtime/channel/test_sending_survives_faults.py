"""Sending on the tables (moto) with a carrier that misbehaves: nobody gets a text twice, nobody is lost."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import cycle, pairwise

import pytest

from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.dynamodb_messages import DynamoLedger
from sms_engagement_runtime.channel.adapters.pacing import SharedPacer
from sms_engagement_runtime.channel.domain.consent import Evidence, Scope, Source, opt_out
from sms_engagement_runtime.channel.domain.errors import (
    OutcomeUnknownError,
    SendingDisabledError,
    SendRefusedError,
    SendThrottledError,
)
from sms_engagement_runtime.channel.domain.gate import ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.ledger import DeliveryEvent, Intent, MessageState
from sms_engagement_runtime.channel.domain.pacing import Rate
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.channel.domain.sending import OutcomeState, SendPolicy, SendService
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from tests.support.dynamodb_tables import CONTACTS, MESSAGES, channel_tables
from tests.support.fakes import Crash, FakeClock, FakePacer, FakePause, FakePlaces, FakeRateQueue, FakeSender

KEY = b"a key of sixteen bytes or more"
THROTTLED = SendThrottledError("ThrottlingException")


@pytest.fixture
def dynamodb():
    with channel_tables() as client:
        yield client


class Channel:
    """A channel on two tables. ``restarted`` is a new process on the same ones."""

    def __init__(self, dynamodb, *, answers=()):
        self.dynamodb = dynamodb
        self.clock = FakeClock()
        self.sender = FakeSender(answers=list(answers))
        self.pacer = FakePacer()
        self._start()

    def _start(self):
        self.contacts = DynamoContacts(self.dynamodb, table=CONTACTS)
        self.ledger = DynamoLedger(
            self.dynamodb,
            messages_table=MESSAGES,
            contacts_table=CONTACTS,
            subscriber_id_of=lambda number: subscriber_id(number, KEY),
            sleep=lambda _: None,
        )
        self.service = SendService(
            contacts=self.contacts,
            ledger=self.ledger,
            sender=self.sender,
            pause=FakePause(),
            pacer=self.pacer,
            places=FakePlaces(),
            clock=self.clock,
            policy=SendPolicy(allowed_countries=frozenset({"US"})),
        )

    def restarted(self):
        self._start()
        return self

    def send(self, intent=None):
        return self.service.send(intent or intent_for(0))

    def stop(self, number):
        contact = self.contacts.get(subscriber_id(number, KEY))
        change = opt_out(
            contact,
            Evidence(source=Source.INBOUND_MESSAGE, words="STOP", message_id="in-1", at=self.clock.now()),
        )
        self.contacts.save(change.contact, expected_version=contact.version, records=change.records)


def intent_for(person):
    number = PhoneNumber(f"+1206555{person:04}")
    return Intent(
        construct="reviews",
        purpose="review-request",
        occasion="registration",
        scope=Scope.REVIEWS,
        message_class=MessageClass.PROMOTIONAL,
        consent_rule=ConsentRule.IMPLIED,
        recipient=number,
        subscriber_id=subscriber_id(number, KEY),
        country="US",
        body="Hi! Please review your recent purchase.",
    )


def delivered(intent, message_id="message-1"):
    return DeliveryEvent(
        message_id=message_id,
        key=intent.key,
        event_type="TEXT_DELIVERED",
        status="DELIVERED",
        is_final=True,
        at=datetime(2026, 11, 21, 17, 1, tzinfo=UTC),
        destination=intent.recipient,
    )


def crash():
    raise Crash


def test_a_crash_after_the_call_and_before_the_record_sends_nothing_again(dynamodb):
    channel = Channel(dynamodb)
    channel.ledger.accept = lambda *_: crash()
    with pytest.raises(Crash):
        channel.send()

    at_once = channel.restarted().send()
    channel.clock.advance(seconds=61)
    later = channel.send()

    assert len(channel.sender.sent) == 1
    assert at_once.state is OutcomeState.IN_FLIGHT
    assert (later.state, later.reason) == (OutcomeState.UNCERTAIN, Reason.OUTCOME_UNKNOWN)


def test_the_delivery_event_heals_what_a_crash_left_open(dynamodb):
    channel = Channel(dynamodb)
    channel.ledger.accept = lambda *_: crash()
    with pytest.raises(Crash):
        channel.send()
    channel.restarted().clock.advance(seconds=61)

    channel.ledger.record_event(delivered(intent_for(0)), channel.clock.now())

    assert channel.send().state is OutcomeState.ALREADY_SENT
    assert channel.ledger.get(intent_for(0).key).state is MessageState.DELIVERED


def test_a_crash_in_the_middle_of_the_call_is_uncertain_and_not_sent_again(dynamodb):
    channel = Channel(dynamodb, answers=[crash])
    with pytest.raises(Crash):
        channel.send()

    channel.restarted().clock.advance(seconds=61)

    assert channel.send().state is OutcomeState.UNCERTAIN
    assert channel.sender.calls == 1


def test_a_carrier_that_throttles_half_of_the_calls_gets_every_text_once(dynamodb):
    answers = [answer for _, answer in zip(range(80), cycle([THROTTLED, None]), strict=False)]
    channel = Channel(dynamodb, answers=answers)
    people = [intent_for(person) for person in range(40)]

    outcomes = [channel.send(intent) for intent in people]

    assert {outcome.state for outcome in outcomes} == {OutcomeState.ACCEPTED}
    assert sorted(text.key for text in channel.sender.sent) == sorted(intent.key for intent in people)
    assert len(channel.pacer.back_offs) == 40


def test_a_carrier_that_throttles_all_the_time_defers_and_the_next_run_sends(dynamodb):
    channel = Channel(dynamodb, answers=[THROTTLED] * 5)

    deferred = channel.send()
    sent = channel.restarted().send()

    assert (deferred.state, deferred.reason) == (OutcomeState.DEFERRED, Reason.THROTTLED)
    assert sent.state is OutcomeState.ACCEPTED
    assert len(channel.sender.sent) == 1


@dataclass
class OneASecond(FakeSender):
    """Refuses a second text to a recipient within a second, as AWS does, and keeps when each one left."""

    clock: FakeClock = field(kw_only=True)
    left_at: list[datetime] = field(default_factory=list)

    def send(self, message):
        if self.left_at and self.clock.now() - self.left_at[-1] < timedelta(seconds=1):
            self.calls += 1
            raise THROTTLED
        self.left_at.append(self.clock.now())
        return super().send(message)


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_three_texts_to_one_person_at_once_leave_a_second_apart_and_once_each(dynamodb, jitter):
    channel = Channel(dynamodb)
    channel.sender = OneASecond(clock=channel.clock)
    channel.pacer = SharedPacer(
        Rate(parts_per_second=100, requests_per_second=None),
        queue=FakeRateQueue(),
        clock=channel.clock,
        sleep=lambda seconds: channel.clock.advance(seconds=seconds),
        jitter=lambda: jitter,
    )
    channel.restarted()
    intents = [replace(intent_for(0), occasion=occasion) for occasion in ("one", "two", "three")]

    outcomes = [channel.send(intent) for intent in intents]

    assert [outcome.state for outcome in outcomes] == [OutcomeState.ACCEPTED] * 3
    assert [text.key for text in channel.sender.sent] == [intent.key for intent in intents]
    apart = [later - sooner for sooner, later in pairwise(channel.sender.left_at)]
    # Half a second to a second is waited after the first refusal, twice that after the next.
    assert all(timedelta(seconds=1) <= each < timedelta(seconds=3.2) for each in apart)
    assert channel.sender.calls <= 7


def test_an_unknown_outcome_is_counted_and_never_sent_again(dynamodb):
    channel = Channel(dynamodb, answers=[OutcomeUnknownError("InternalServerException")])

    first = channel.send()
    channel.clock.advance(hours=1)
    second = channel.restarted().send()

    assert (first.state, second.state) == (OutcomeState.UNCERTAIN, OutcomeState.UNCERTAIN)
    assert channel.sender.calls == 1


def test_a_disabled_account_loses_nobody(dynamodb):
    channel = Channel(dynamodb, answers=[SendingDisabledError("MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT")])

    stopped = channel.send()
    sent = channel.send()

    assert stopped.stops_sending
    assert stopped.detail == "MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT"
    assert sent.state is OutcomeState.ACCEPTED


def test_an_event_that_overtakes_the_answer_of_the_call_is_not_undone(dynamodb):
    channel = Channel(dynamodb)
    intent = intent_for(0)
    channel.sender.answers = [
        lambda: channel.ledger.record_event(delivered(intent), channel.clock.now() + timedelta(seconds=1))
    ]

    outcome = channel.send(intent)

    assert outcome.state is OutcomeState.ACCEPTED
    assert channel.ledger.get(intent.key).state is MessageState.DELIVERED


def test_a_stop_during_the_wait_for_a_rate_slot_is_seen(dynamodb):
    channel = Channel(dynamodb)
    intent = intent_for(0)
    channel.pacer.on_acquire = lambda: channel.stop(intent.recipient)

    outcome = channel.send(intent)

    assert (outcome.state, outcome.reason) == (OutcomeState.SUPPRESSED, Reason.OPTED_OUT)
    assert channel.sender.calls == 0


def test_a_stop_between_gate_and_claim_is_seen(dynamodb):
    channel = Channel(dynamodb)
    intent = intent_for(0)
    read = channel.contacts.get
    stops = [lambda: channel.stop(intent.recipient)]

    def read_then_stop(person):
        contact = read(person)
        if stops:
            channel.contacts.get = read
            stops.pop()()
        return contact

    channel.contacts.get = read_then_stop

    outcome = channel.send(intent)

    assert (outcome.state, outcome.reason) == (OutcomeState.SUPPRESSED, Reason.OPTED_OUT)
    assert channel.sender.calls == 0


def test_a_carrier_that_knows_of_an_opt_out_closes_the_gate(dynamodb):
    channel = Channel(dynamodb, answers=[SendRefusedError("DESTINATION_PHONE_NUMBER_OPTED_OUT")])

    refused = channel.send()
    other = channel.send(replace(intent_for(0), occasion="o-2"))

    assert refused.state is OutcomeState.FAILED
    assert (other.state, other.reason) == (OutcomeState.SUPPRESSED, Reason.OPTED_OUT)
    assert channel.contacts.get(intent_for(0).subscriber_id).opted_out_by == Source.CARRIER
