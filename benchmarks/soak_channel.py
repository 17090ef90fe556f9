"""The channel in memory: carrier, gate, ledger, router and event recorder, on ports that fail.

Domain and application code is the product's; tables, carrier and lists are those of the tests' support.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from benchmarks.soak_audit import Heard, Sent
from benchmarks.soak_people import Person
from benchmarks.soak_transport import Bus, Queue, World
from benchmarks.virtual_time import VirtualLock
from sms_engagement_runtime.channel.adapters.number_places import NumberPlaces
from sms_engagement_runtime.channel.adapters.pacing import SharedPacer
from sms_engagement_runtime.channel.adapters.phone_numbers import LibPhoneNumberParser
from sms_engagement_runtime.channel.domain.budget import MILLICENTS_PER_PART, SpendLimits
from sms_engagement_runtime.channel.domain.campaign_counts import tally_ended
from sms_engagement_runtime.channel.domain.delivery import (
    CONTEXT_CAMPAIGN,
    CONTEXT_INTENT,
    CONTEXT_JOURNEY,
    NotATextEvent,
    parse,
)
from sms_engagement_runtime.channel.domain.errors import (
    OutcomeUnknownError,
    SendThrottledError,
    TransientError,
)
from sms_engagement_runtime.channel.domain.failed_texts import failed_for_good, tell_of_failure
from sms_engagement_runtime.channel.domain.inbound import InboundMessage, InboundService, ReplyDeferredError
from sms_engagement_runtime.channel.domain.ledger import Guard, LedgerRow
from sms_engagement_runtime.channel.domain.pacing import Lane, Rate, Slot
from sms_engagement_runtime.channel.domain.ports import OutboundMessage
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.channel.domain.sending import SendPolicy, SendService
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from tests.support.fakes import (
    SUBSCRIBER_KEY,
    FakeAttention,
    FakeBudget,
    FakeCampaignCounts,
    FakeContacts,
    FakeLedger,
    FakeOptOutList,
    FakePause,
    FakeRateQueue,
    FakeSender,
)

OUR_NUMBER: Final = "+12025550199"
_TEXTS_A_DAY: Final = 1.1
"""Of the budget, for each person: less than the day of the broadcast asks for."""

_PRICE_DOLLARS: Final = 0.00645
_RECEIPT_SECONDS: Final = 4.0
_LATE_RECEIPT_SECONDS: Final = 900.0
_VERY_LATE_RECEIPT_SECONDS: Final = 36 * 3600.0


@dataclass(slots=True)
class Text:
    """A text that the carrier took; `is_delivered` once it has told how it ended."""

    message_id: str
    message: OutboundMessage
    sent_at: datetime
    is_delivered: bool | None = None


@dataclass(frozen=True, slots=True)
class Inbound:
    """What the two-way topic brings."""

    payload: Mapping[str, Any]
    told_at: datetime


class Carrier(FakeSender):
    """Takes texts, unless it throttles or the connection breaks, and tells how each ended."""

    def __init__(self, world: World, opt_out_list: FakeOptOutList, failures: Mapping[str, str]) -> None:
        super().__init__(opt_out_list=opt_out_list)
        self.texts: list[Text] = []
        self.queues: list[Queue] = []
        self.on_delivered: Callable[[Text], None] = lambda _: None
        self._world = world
        self._failures = failures

    def send(self, message: OutboundMessage) -> str:
        """Take a text, or fail as the service does."""
        luck = self._world.luck
        if luck.happens("throttle"):
            raise SendThrottledError("THROTTLED")
        if luck.happens("request_lost"):
            raise OutcomeUnknownError("the connection broke")
        message_id: str = super().send(message)
        text = Text(message_id, message, self._world.now)
        self.texts.append(text)
        self._tell(text)
        if luck.happens("answer_lost"):
            raise OutcomeUnknownError("the connection broke")
        return message_id

    def _tell(self, text: Text) -> None:
        luck, schedule = self._world.luck, self._world.schedule
        seconds = luck.chance.expovariate(1 / _RECEIPT_SECONDS)
        if luck.happens("very_late"):
            seconds += luck.chance.random() * _VERY_LATE_RECEIPT_SECONDS
        elif luck.happens("late"):
            seconds += luck.chance.random() * _LATE_RECEIPT_SECONDS
        # Of some, the carrier tells that they are on their way.
        if luck.chance.random() < 0.2:
            queued = luck.chance.random() * _RECEIPT_SECONDS
            schedule.after(queued, lambda: self._publish(text, "TEXT_QUEUED", is_final=False))
        schedule.after(seconds, lambda: self._end_text(text))

    def _end_text(self, text: Text) -> None:
        failure = self._failures.get(text.message.destination.e164)
        text.is_delivered = failure is None
        self._publish(text, failure or "TEXT_DELIVERED", is_final=True)
        if failure is None:
            self.on_delivered(text)

    def _publish(self, text: Text, event_type: str, *, is_final: bool) -> None:
        at = round(self._world.now.timestamp() * 1000)
        message = text.message
        context = {
            CONTEXT_INTENT: message.key,
            CONTEXT_CAMPAIGN: message.campaign_id,
            CONTEXT_JOURNEY: message.journey_id,
        }
        event = {
            "eventType": event_type,
            "eventVersion": "1.0",
            "eventTimestamp": at,
            "isFinal": is_final,
            "originationPhoneNumber": OUR_NUMBER,
            "destinationPhoneNumber": message.destination.e164,
            "isoCountryCode": "US",
            "messageId": text.message_id,
            "messageRequestTimestamp": round(text.sent_at.timestamp() * 1000),
            "messageType": "PROMOTIONAL" if message.message_class.is_promotional else "TRANSACTIONAL",
            "messageStatus": event_type.removeprefix("TEXT_"),
            "context": {name: value for name, value in context.items() if value is not None},
            "totalMessageParts": 1,
            "totalMessagePrice": _PRICE_DOLLARS,
        }
        for queue in self.queues:
            queue.put(event)


class Budget(FakeBudget):
    """A budget of a day, which counts what it held back."""

    def __init__(self, texts_a_day: int) -> None:
        super().__init__(SpendLimits(per_day=texts_a_day * MILLICENTS_PER_PART))
        self.held_back = 0

    def reserve(self, *arguments: Any, **options: Any) -> Reason | None:
        """Reserve, or say which budget is spent."""
        reason: Reason | None = super().reserve(*arguments, **options)
        self.held_back += reason is not None
        return reason


class ProcessPacers:
    """A pacer for each process of a function: one that ends its call takes the next, as those of Lambda do.

    A thread of the clock stands for a process. All pacers share one queue.
    """

    def __init__(self, make: Callable[[], SharedPacer]) -> None:
        self._make = make
        self._own = threading.local()

    def acquire(self, parts: int, lane: Lane) -> Slot:
        """Wait for a slot."""
        return self._mine().acquire(parts, lane)

    def hold(self, slot: Slot) -> bool:
        """Wait for the slot itself."""
        return self._mine().hold(slot)

    def back_off(self, attempt: int) -> None:
        """Wait after the carrier throttled."""
        self._mine().back_off(attempt)

    def _mine(self) -> SharedPacer:
        pacer: SharedPacer | None = getattr(self._own, "pacer", None)
        if pacer is None:
            pacer = self._own.pacer = self._make()
        return pacer


class Channel:
    """The channel: what it owns, and the functions that it runs.

    Attributes
    ----------
    guards
        Who answers for the rows of a table that a claim depends on, by table.
    inbound_queues
        What an inbound text reaches.
    """

    def __init__(self, world: World, persons: Sequence[Person], *, parts_per_second: float) -> None:
        self.world = world
        self.contacts = FakeContacts()
        self.ledger = FakeLedger(self.contacts)
        self.guards: dict[str, Callable[[Guard], bool]] = {}
        self.ledger.holds = lambda guard: self.guards[guard.table](guard)
        self.opt_out_list = FakeOptOutList()
        failures = {person.phone: person.failure for person in persons if person.failure is not None}
        self.carrier = Carrier(world, self.opt_out_list, failures)
        self.pause = FakePause()
        self.budget = Budget(max(1, round(len(persons) * _TEXTS_A_DAY)))
        self.counts = FakeCampaignCounts()
        self.attention = FakeAttention()
        self.bus = Bus(world)
        self.parser = LibPhoneNumberParser("US")
        self.places = NumberPlaces()
        self.policy = SendPolicy(allowed_countries=frozenset({"US"}), max_parts=2)
        self.heard: list[Inbound] = []
        self._rate = Rate(parts_per_second=parts_per_second)
        self._rate_queue = FakeRateQueue()
        self._router = self._build_router()
        self._inbound = Queue(world, "inbound", self._route)
        self.inbound_queues = [self._inbound]
        self.carrier.queues.append(Queue(world, "events", self._record))

    def wrap[T](self, port: T, *, fails: bool = True) -> T:
        """Make a port unreliable."""
        return self.world.functions.wrap(port, fails=fails)

    def send_service(self) -> SendService:
        """Make the service of one function: it has a pacer of its own."""
        schedule = self.world.schedule
        return SendService(
            contacts=self.wrap(self.contacts),
            ledger=self.wrap(self.ledger),
            sender=self.wrap(self.carrier, fails=False),
            pause=self.wrap(self.pause, fails=False),
            pacer=ProcessPacers(self._pacer),
            places=self.places,
            budget=self.wrap(self.budget, fails=False),
            clock=schedule,
            policy=self.policy,
        )

    def _pacer(self) -> SharedPacer:
        schedule = self.world.schedule
        return SharedPacer(
            self._rate,
            queue=self.wrap(self._rate_queue),
            clock=schedule,
            sleep=schedule.sleep,
            jitter=self.world.luck.chance.random,
            lock=lambda: VirtualLock(schedule),
        )

    def subscriber(self, phone: str) -> str:
        """Give the id of a phone's owner."""
        return subscriber_id(self.parser.parse(phone).number, SUBSCRIBER_KEY)

    def text_from(self, phone: str, body: str, *, previous: str | None) -> None:
        """Have a phone send a text."""
        world = self.world
        payload = {
            "originationNumber": phone,
            "destinationNumber": OUR_NUMBER,
            "messageKeyword": "KEYWORD_000000000000",
            "messageBody": body,
            "inboundMessageId": f"inbound-{next(world.ids)}",
            "previousPublishedMessageId": previous,
        }
        # An SNS envelope tells the time in milliseconds.
        now = world.now
        told = Inbound(payload, now.replace(microsecond=now.microsecond // 1000 * 1000))
        self.heard.append(told)
        for queue in self.inbound_queues:
            queue.put(told)

    # --- the functions

    def _build_router(self) -> InboundService:
        contacts, send_service = self.wrap(self.contacts), self.send_service()
        return InboundService(
            contacts=contacts,
            prompts=contacts,
            ledger=send_service.ledger,
            send_service=send_service,
            opt_out_list=self.wrap(self.opt_out_list),
            bus=self.wrap(self.bus),
            attention=self.wrap(self.attention),
            counts=self.wrap(self.counts),
            clock=self.world.schedule,
            parser=self.parser,
            subscriber_key=SUBSCRIBER_KEY,
        )

    def _route(self, batch: Sequence[Inbound]) -> Sequence[Inbound]:
        """Do what the router's handler does."""
        if len(batch) > 1:
            process(batch, lambda one: self._router.close_gate(_message(one)))
        return process(batch, self._handle)

    def _handle(self, inbound: Inbound) -> None:
        try:
            self._router.handle(_message(inbound))
        except ReplyDeferredError as error:
            self._inbound.put_back(inbound, error.retry_after)

    def _record(self, batch: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Do what the event recorder's handler does."""
        ended: list[LedgerRow] = []
        failed = process(batch, lambda event: self._record_one(event, ended))
        for campaign_id, counts in tally_ended(ended).items():
            # Sending the records back would not help: their texts have ended, and are not counted again.
            try:
                self._counts.add(campaign_id, delivered=counts.delivered, failed=counts.failed)
            except TransientError:
                self.world.luck.done["texts not counted"] += 1
        return failed

    def _record_one(self, payload: Mapping[str, Any], ended: list[LedgerRow]) -> None:
        event = parse(payload)
        assert not isinstance(event, NotATextEvent)
        result = self._ledger.record_event(event, self.world.now)
        assert result.row is not None, "the ledger does not know a text"
        if result.became_final:
            ended.append(result.row)
        if failed_for_good(result.row, event):
            tell_of_failure(self._bus, result.row, event)

    @property
    def _ledger(self) -> FakeLedger:
        return self.wrap(self.ledger)

    @property
    def _counts(self) -> FakeCampaignCounts:
        return self.wrap(self.counts)

    @property
    def _bus(self) -> Bus:
        return self.wrap(self.bus)

    # --- what the books are made of

    def sent(self) -> list[Sent]:
        """Tell what the carrier took."""
        return [
            Sent(
                message_id=text.message_id,
                phone=text.message.destination.e164,
                body=text.message.body,
                is_promotional=text.message.message_class.is_promotional,
                intent=text.message.key,
                sent_at=text.sent_at,
                is_delivered=text.is_delivered,
            )
            for text in self.carrier.texts
        ]

    def heard_texts(self) -> list[Heard]:
        """Tell what phones sent, and when the router was done with it."""
        return [
            Heard(
                id=one.payload["inboundMessageId"],
                phone=one.payload["originationNumber"],
                body=one.payload["messageBody"],
                told_at=one.told_at,
                handled_at=self.contacts.handled.get(one.payload["inboundMessageId"]),
            )
            for one in self.heard
        ]


def process[T](batch: Sequence[T], handle: Callable[[T], object]) -> list[T]:
    """Handle each of a batch, and give those that failed; a crash ends all."""
    failed = []
    for one in batch:
        try:
            handle(one)
        except TransientError:
            failed.append(one)
    return failed


def _message(inbound: Inbound) -> InboundMessage:
    payload = inbound.payload
    return InboundMessage(
        id=payload["inboundMessageId"],
        from_=payload["originationNumber"],
        to=payload["destinationNumber"],
        body=payload["messageBody"],
        received_at=inbound.told_at,
        previous_message_id=payload["previousPublishedMessageId"],
        keyword=payload["messageKeyword"],
    )
