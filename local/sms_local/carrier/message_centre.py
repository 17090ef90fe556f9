"""The short message service centre: takes texts to phones, and what phones answer to the account."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import uuid4

from sms_engagement_runtime.channel.domain.encoding import exceeds_cap, measure
from sms_local.carrier.account import PRE_OWNED_NUMBER_ID, Account
from sms_local.carrier.destinations import Destination, parse_destination
from sms_local.carrier.errors import ServiceError
from sms_local.carrier.events import delivery_event, events_until, inbound_payload
from sms_local.carrier.messages import Message
from sms_local.carrier.publisher import Publisher, publish_or_log
from sms_local.carrier.resources import Keyword, OriginationSettings, PhoneNumber
from sms_local.carrier.script import Outcome, Script
from sms_local.carrier.timeline import Action, Timeline

EVENT_INTERVAL: Final = timedelta(milliseconds=150)
"""Time to the first event of a message and between two of them."""

OPT_OUT_WORDS: Final = frozenset(
    {"ARRET", "CANCEL", "END", "OPT-OUT", "OPTOUT", "QUIT", "REMOVE", "STOP", "TD", "UNSUBSCRIBE"}
)
"""Words that the service itself takes for STOP (AWS user guide, "SMS opt out"), alone in a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMessage:
    """What a phone sends. `destination` is the account's number, by default the last that texted the phone.

    `previous_message_id` is by default the last text that the phone got from that number.
    """

    origination: str | None
    body: str | None
    destination: str | None = None
    id: str | None = None
    previous_message_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedText:
    """What the carrier got from a phone.

    Attributes
    ----------
    received_at, told_at
        Virtual time, aware: when the phone sent it, and when the first copy is told to the account.
    """

    id: str
    origination: str | None
    body: str | None
    received_at: datetime
    told_at: datetime

    def describe(self) -> dict[str, Any]:
        """Return it as the control API shows it."""
        return {
            "inbound_message_id": self.id,
            "from": self.origination,
            "body": self.body,
            "received_at": self.received_at.isoformat(),
            "told_at": self.told_at.isoformat(),
        }


class MessageCentre:
    """Keeps the messages of the account and publishes what becomes of them.

    Parameters
    ----------
    event_interval
        Time to the first event of a message and between two of them.
    """

    def __init__(
        self,
        account: Account,
        script: Script,
        timeline: Timeline,
        publisher: Publisher,
        *,
        event_interval: timedelta = EVENT_INTERVAL,
    ) -> None:
        self._account = account
        self._script = script
        self._timeline = timeline
        self._publisher = publisher
        self._event_interval = event_interval
        self._messages: dict[str, Message] = {}
        # The last text of each of the account's numbers to each phone: a search through all takes too long
        # where thousands answer.
        self._last: dict[tuple[str, str], Message] = {}
        self._received: dict[str, ReceivedText] = {}
        self._answered: set[str] = set()

    def submit(self, message: Message) -> None:
        """Take `message` and let its events follow, as the script says for its destination."""
        self._messages[message.id] = message
        self._last[message.destination.e164, message.origination] = message
        outcome = self._script.outcome_for(message.destination.e164)
        event_type = "TEXT_INVALID_MESSAGE" if exceeds_cap(message.measured) else outcome.event_type
        for position, (kind, is_final) in enumerate(events_until(event_type), start=1):
            self._timeline.call_after(
                outcome.delay + position * self._event_interval,
                partial(self._happen, message, kind, is_final=is_final, outcome=outcome),
                name=f"{kind} of a text to {message.destination.e164}",
            )

    async def _happen(self, message: Message, event_type: str, *, is_final: bool, outcome: Outcome) -> None:
        if message.id not in self._messages:  # cleared in the meantime
            return
        message.status = event_type
        event = delivery_event(message, event_type, is_final=is_final, at=self._timeline.now())
        topics = self._topics_for(message, event_type)
        for topic_arn in topics:
            for _ in range(outcome.duplicates):
                await publish_or_log(self._publisher, topic_arn, event)
        for late in self._script.arrivals("event"):
            for topic_arn in topics:
                told = partial(publish_or_log, self._publisher, topic_arn, event)
                await self._in_time(told, late, name=f"{event_type} that is late")

    async def _in_time(self, action: Action, late: timedelta, *, name: str) -> None:
        if late:
            self._timeline.call_after(late, action, name=name)
        else:
            await action()

    def _topics_for(self, message: Message, event_type: str) -> list[str]:
        configuration_set = self._account.configuration_sets.get(message.configuration_set_name or "")
        if configuration_set is None:
            return []
        return [
            destination.topic_arn
            for destination in configuration_set.event_destinations.values()
            if destination.topic_arn is not None and destination.matches(event_type)
        ]

    def messages(self, phone: str | None = None) -> list[Message]:
        """Return the messages to `phone`, or all, in the order in which they were accepted."""
        return [m for m in self._messages.values() if phone is None or m.destination.e164 == phone]

    def clear(self) -> int:
        """Forget all messages and the events still to come; return how many messages there were."""
        count = len(self._messages)
        self._messages.clear()
        self._last.clear()
        self._received.clear()
        self._answered.clear()
        self._timeline.drop()
        return count

    async def receive(self, inbound: InboundMessage) -> tuple[str, str | None]:
        """Take a text that a phone sent; return its id and the topic that it was published to, if any.

        A number whose opt-outs AWS manages answers STOP and HELP itself first and keeps its opt-out list. The
        text is then published all the same: whether AWS does so for a managed STOP is not documented, and
        who consumes the topic has to bear it either way.

        Raises
        ------
        ServiceError
            ``ResourceNotFoundException``: the account has no such destination.
        PublishError
            The two-way topic did not take the message.
        """
        number = self._receiving_number(inbound)
        settings = self._account.settings_of(number)
        inbound_id = inbound.id or str(uuid4())
        now = self._timeline.now()
        first, *others = self._script.arrivals("inbound")
        received = ReceivedText(
            id=inbound_id,
            origination=inbound.origination,
            body=inbound.body,
            received_at=now,
            told_at=now + first,
        )
        self._received.setdefault(inbound_id, received)
        keyword = _keyword_in(inbound.body, settings)
        if keyword is not None and not settings.self_managed_opt_outs_enabled:
            self._answer(keyword, number, settings, inbound, inbound_id)
        topic_arn = settings.two_way_channel_arn if settings.two_way_enabled else None
        if topic_arn is None:
            return inbound_id, None
        previous = inbound.previous_message_id or self._last_message_id(inbound.origination, number)
        payload = inbound_payload(
            origination=inbound.origination,
            destination=number.e164,
            keyword=keyword or f"KEYWORD_{self._account.account_id}",
            body=inbound.body,
            inbound_message_id=inbound_id,
            previous_message_id=previous,
        )
        told = partial(publish_or_log, self._publisher, topic_arn, payload)
        if first:
            await self._in_time(told, first, name="a text of a phone that is late")
        else:
            # Who sends it learns that the topic refuses.
            await self._publisher.publish(topic_arn, payload)
        for late in others:
            await self._in_time(told, late, name="a text of a phone that comes again")
        return inbound_id, topic_arn

    def received(self, phone: str | None = None) -> list[ReceivedText]:
        """Return the texts that a phone sent, or all, each once, in order."""
        return [text for text in self._received.values() if phone is None or text.origination == phone]

    def _receiving_number(self, inbound: InboundMessage) -> PhoneNumber:
        if inbound.destination is not None:
            return self._account.phone_number(inbound.destination)
        texted = [
            (message.accepted_at, number)
            for number in self._account.phone_numbers.values()
            if (message := self._last.get((inbound.origination or "", number.e164))) is not None
        ]
        if texted:
            return max(texted, key=lambda one: one[0])[1]
        return self._account.phone_number(PRE_OWNED_NUMBER_ID)

    def _last_message_id(self, phone: str | None, number: PhoneNumber) -> str | None:
        message = self._last.get((phone or "", number.e164))
        return None if message is None else message.id

    def _answer(
        self,
        keyword: str,
        number: PhoneNumber,
        settings: OriginationSettings,
        inbound: InboundMessage,
        inbound_id: str,
    ) -> None:
        if inbound_id in self._answered:  # a redelivery by the topic, which the service knows nothing of
            return
        try:
            phone = parse_destination(inbound.origination or "")
        except ServiceError:  # nobody to answer
            return
        self._answered.add(inbound_id)
        text, action = _reply_to(keyword, settings)
        opt_out_list = self._account.opt_out_list(settings.opt_out_list_name)
        if action == "OPT_OUT":
            opt_out_list.add(phone.e164, at=self._timeline.now(), end_user_opted_out=True)
        elif action == "OPT_IN":
            opt_out_list.entries.pop(phone.e164, None)
        self.submit(self._automatic_reply(text, number, phone))

    def _automatic_reply(self, text: str, number: PhoneNumber, phone: Destination) -> Message:
        return Message(
            id=str(uuid4()),
            origination=number.e164,
            destination=phone,
            body=text,
            measured=measure(text),
            message_type="TRANSACTIONAL",
            context={},
            configuration_set_name=None,
            accepted_at=self._timeline.now(),
        )


def _keyword_in(body: str | None, settings: OriginationSettings) -> str | None:
    """Return the keyword that `body` begins with, the longest that does, or the opt-out word that it is.

    The user guide says that a message matches when it begins with the keyword. It is read here as whole
    words: END would otherwise opt out whoever writes "Ending now".
    """
    text = (body or "").strip().upper()
    if text in OPT_OUT_WORDS:
        return text
    matching = [keyword for keyword in settings.keywords if _begins_with(text, keyword)]
    return max(matching, key=len, default=None)


def _begins_with(text: str, keyword: str) -> bool:
    return text.startswith(keyword) and not text[len(keyword) : len(keyword) + 1].isalnum()


def _reply_to(keyword: str, settings: OriginationSettings) -> Keyword:
    return settings.keywords.get(keyword) or settings.keywords["STOP"]
