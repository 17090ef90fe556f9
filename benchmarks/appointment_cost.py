"""Bill of 1,000 appointments a month, next to the one that was published: $11.16.

``python benchmarks/appointment_cost.py`` prints it; ``--write`` puts it into ``docs/appointments.md``.

What is counted is counted: the product's own services run over its own adapters, with DynamoDB played by moto
and every request looked at as it leaves boto3; the state machine is its real definition, walked state by
state. What is assumed is a constant of this file, with its reason. Nothing was measured on AWS, and prices
are those of us-east-1, from public notes where no document has them: each says which.

Every invocation of a function is reckoned as a cold start, without anything cached. With a thousand
appointments a month most of them are.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import boto3
from moto import mock_aws

if __name__ == "__main__":
    # As a script, its own folder is on the path and not the one above.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.request_units import RequestUnits, Usage
from sms_engagement_runtime.appointment_follow_up.adapters.dynamodb_conversations import DynamoConversations
from sms_engagement_runtime.appointment_follow_up.domain.answering import AnswerService
from sms_engagement_runtime.appointment_follow_up.domain.bookings import (
    Booked,
    Booking,
    PhoneCandidate,
    PhoneSource,
    Provider,
)
from sms_engagement_runtime.appointment_follow_up.domain.follow_up import FollowUpService, Step
from sms_engagement_runtime.appointment_follow_up.domain.intake import BookingIntake
from sms_engagement_runtime.appointment_follow_up.domain.phone_events import read_event
from sms_engagement_runtime.appointment_follow_up.domain.policy import FollowUpPolicy
from sms_engagement_runtime.appointment_follow_up.domain.speaking import Speaker
from sms_engagement_runtime.appointment_follow_up.domain.texts import AppointmentTexts
from sms_engagement_runtime.channel.adapters.campaign_counts import DynamoCampaignCounts
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.dynamodb_messages import DynamoLedger
from sms_engagement_runtime.channel.adapters.number_places import NumberPlaces
from sms_engagement_runtime.channel.adapters.pacing import DynamoRateQueue, SharedPacer
from sms_engagement_runtime.channel.adapters.pause import DynamoPauseFlag
from sms_engagement_runtime.channel.adapters.phone_numbers import LibPhoneNumberParser
from sms_engagement_runtime.channel.domain.delivery import NotATextEvent, parse
from sms_engagement_runtime.channel.domain.encoding import measure
from sms_engagement_runtime.channel.domain.inbound import InboundMessage, InboundService
from sms_engagement_runtime.channel.domain.pacing import Rate
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.ports import OutboundMessage
from sms_engagement_runtime.channel.domain.sending import SendPolicy, SendService
from tools.appointment_tables import table, write_block

ROOT: Final = Path(__file__).resolve().parents[1]
DEFINITION: Final = ROOT / "constructs" / "sms_engagement" / "appointment_follow_up" / "follow_up.asl.json"
COMMAND: Final = "python benchmarks/appointment_cost.py --write"

# The published bill

PUBLISHED: Final = 11.16
"""Dollars a month for 1,000 appointments."""

APPOINTMENTS: Final = 1_000
FOLLOWED_UP: Final = 700
"""Of them, in our reading of the published bill: 1,000 confirmations and 700 follow-ups at $0.00645 a part
are $10.965, and leave $0.195 for everything else. No other round share leaves so plausible a rest."""

PUBLISHED_PRICE_PER_PART: Final = 0.00645
"""In older samples of AWS, and in our reading of that bill."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a unit costs.

    Attributes
    ----------
    usd
        For `per` units.
    source
        ``page``: AWS's price page, as public copies have it. ``document``: AWS's documentation, its samples
        and real events. ``notes``: public cost notes that agree. Held to the cost command's list by a test.
    """

    unit: str
    usd: float
    per: int
    source: str


PRICES: Final = (
    Price("message parts", 0.00581, 1, "document"),
    Price("state transitions", 0.025, 1_000, "document"),
    Price("Lambda GB-seconds, arm64", 0.0000133334, 1, "notes"),
    Price("Lambda requests", 0.20, 1_000_000, "notes"),
    Price("DynamoDB write units", 0.625, 1_000_000, "notes"),
    Price("DynamoDB read units", 0.125, 1_000_000, "notes"),
    Price("HTTP API requests", 1.00, 1_000_000, "document"),
    Price("EventBridge events", 1.00, 1_000_000, "notes"),
    Price("SNS messages", 0.50, 1_000_000, "notes"),
    Price("SQS requests", 0.40, 1_000_000, "notes"),
    Price("KMS requests", 0.03, 10_000, "notes"),
    Price("Secrets Manager requests", 0.05, 10_000, "page"),
    Price("X-Ray traces", 5.00, 1_000_000, "page"),
    Price("CloudWatch Logs, KB", 0.50, 1_000_000, "page"),
)
PARTS: Final = PRICES[0]

KEY_A_MONTH: Final = 1.00
SECRET_A_MONTH: Final = 0.40
ALARM_METRIC_A_MONTH: Final = 0.10
CUSTOM_METRIC_A_MONTH: Final = 0.30
"""All of them of AWS's price pages, as public copies have them."""

CARRIER_FEE: Final = Price("carrier fees, a part", 0.003, 1, "document")

FREE_EACH_MONTH: Final = {
    "state transitions": 4_000,
    "Lambda GB-seconds, arm64": 400_000,
    "Lambda requests": 1_000_000,
    "SNS messages": 1_000_000,
    "SQS requests": 1_000_000,
    "KMS requests": 20_000,
    "X-Ray traces": 100_000,
    "CloudWatch Logs, KB": 5_000_000,
}
"""What no account pays for, in whatever year (AWS, *Always free*; unverified)."""

# What the constructs make; ``tests/infrastructure/test_cost_assumptions.py`` holds it to their templates.

MEMORY_GB: Final = {
    "webhook": 1.0,
    "follow up": 1.0,
    "phone events": 1.0,
    "router": 0.5,
    "event recorder": 0.5,
}
ALARM_METRICS: Final = {"SmsChannel": 27, "AppointmentFollowUp": 22}
SECRETS: Final = {"SmsChannel": 1, "AppointmentFollowUp": 2}
KMS_KEYS: Final = {"SmsChannel": 1, "AppointmentFollowUp": 0}
POLLED_QUEUES: Final = {"SmsChannel": 2, "AppointmentFollowUp": 0}

# Assumptions

BOOKED_AHEAD: Final = timedelta(days=3)
ANSWERS_AFTER: Final = timedelta(minutes=10)

START_SECONDS: Final = 1.5
"""Of a cold start, which AWS bills. ``docs/performance.md`` has 0.3 to 0.4 s of a whole processor, and half a
GB has 0.29 of one (Lambda, *Configure memory*)."""

WORK_SECONDS: Final = 0.05
"""Of our own code in an invocation; some milliseconds of a whole processor."""

CALL_SECONDS: Final = {"DynamoDB": 0.01, "send": 0.05, "other": 0.03}
"""More than ``docs/performance.md`` assumes of AWS."""

EVENTS_PER_TEXT: Final = ("TEXT_SUCCESSFUL", "TEXT_DELIVERED")
"""Delivery events: the carrier took it, the handset has it."""

LOG_KB_PER_INVOCATION: Final = 2.5
"""Lambda's own three lines, ours, and the metrics in them."""

LOG_KB_PER_HISTORY_EVENT: Final = 0.6
"""Without execution data, as the construct has it."""

_HISTORY_EVENTS: Final = {"Choice": 2, "Wait": 2, "Task": 5, "Succeed": 2}
"""By the kind of a state (Step Functions, *HistoryEvent*): entered, exited, and what a task does between."""

CUSTOM_METRICS: Final = {"SmsChannel": 6, "AppointmentFollowUp": 8}
"""That get values in an ordinary month, cold starts among them. Billed for hours in which they do."""

_POLLS_A_MONTH: Final = 5 * 3 * 60 * 24 * 30
"""Of a queue that Lambda reads: five pollers, each of which waits 20 seconds (Lambda, *Using Lambda with
Amazon SQS*)."""

_SQS_REQUESTS_PER_MESSAGE: Final = 3
"""SNS puts it in, Lambda gets and deletes it."""

_KEY: Final = b"a key of subscriber ids for reckoning"
_PHONE: Final = "+12025550123"
_OUR_NUMBER: Final = "+12025550199"


def make_tables(client: Any) -> None:
    """Make the tables, with the keys and indexes of the constructs."""
    _make_table(client, "contacts", ("subscriberId", "record"))
    _make_table(client, "messages", ("messageKey",), index=("subscriberId", "claimedAt"), whole=False)
    _make_table(client, "conversations", ("appointmentId",), index=("subscriberId", "startsAt"), whole=True)


def _make_table(
    client: Any, name: str, keys: Sequence[str], *, index: tuple[str, str] | None = None, whole: bool = False
) -> None:
    attributes = dict.fromkeys(keys, "S") | ({index[0]: "S", index[1]: "N"} if index else {})
    indexes = index and [
        {
            "IndexName": f"{index[0]}-{index[1]}-index",
            "KeySchema": _key_schema(index),
            "Projection": {"ProjectionType": "ALL" if whole else "KEYS_ONLY"},
        }
    ]
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=_key_schema(keys),
        AttributeDefinitions=[
            {"AttributeName": attribute, "AttributeType": kind} for attribute, kind in attributes.items()
        ],
        **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
    )


def _key_schema(keys: Sequence[str]) -> list[dict[str, str]]:
    return [
        {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
    ]


# One life of an appointment


@dataclass
class _Clock:
    instant: datetime

    def now(self) -> datetime:
        return self.instant

    def sleep(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)


@dataclass
class Invocation:
    """One call of a function, and what it used besides itself."""

    function: str
    step: str
    usage: Usage


@dataclass(order=True)
class _Happening:
    at: datetime
    do: Callable[[], None] = field(compare=False)


class Life:
    """One appointment from the webhook to the end of its state machine, on a clock of its own.

    Parameters
    ----------
    answers
        Whether the invitee writes ``1``, ten minutes after the first text.

    Attributes
    ----------
    invocations
        In their order.
    states
        Names of the states that were entered, once an entering: what Step Functions bills.
    texts
        Bodies of the texts.
    inbound
        Inbound messages.
    """

    def __init__(self, client: Any, plain: Any, policy: FollowUpPolicy, *, answers: bool) -> None:
        self.invocations: list[Invocation] = []
        self.states: list[str] = []
        self.texts: list[str] = []
        self.inbound = 0
        self.history_events = 2
        self._client = client
        self._units = RequestUnits(client, plain)
        self._policy = policy
        self._answers = answers
        self._clock = _Clock(datetime(2026, 11, 23, 15, tzinfo=UTC))
        self._agenda: list[_Happening] = []
        self._used: Usage = Counter()
        self._seconds = 0.0

    def run(self) -> None:
        """Play it."""
        booking = _booking(self._clock.now())
        with self._invocation("webhook", "webhook"):
            self._used["HTTP API requests"] += 1
            self._call("other", "Secrets Manager requests", 2)
            BookingIntake(
                conversations=self._conversations(),
                workflow=self,
                parser=LibPhoneNumberParser("US"),
                subscriber_key=lambda: _KEY,
                clock=self._clock,
            ).take([Booked(key="booked", at=booking.booked_at, booking=booking)])
        _walk(
            self._definition(),
            {"step": "confirm", "appointmentId": booking.appointment_id},
            enter=self._enter,
            task=self._step,
            wait=self._wait_until,
            now=self._clock.now,
        )
        self._wait_until(self._clock.now() + timedelta(days=1))

    @property
    def usage(self) -> Usage:
        """All of it."""
        total: Usage = Counter()
        for invocation in self.invocations:
            total += invocation.usage
        total["state transitions"] += len(self.states)
        total["X-Ray traces"] += 1
        _add(total, "CloudWatch Logs, KB", self.history_events * LOG_KB_PER_HISTORY_EVENT)
        return total

    def usage_of(self, step: str) -> Usage:
        """Return what a step of the machine used, with the delivery events of its one text."""
        first = next(n for n, each in enumerate(self.invocations) if each.step == step)
        total: Usage = Counter()
        for invocation in self.invocations[first : first + 1 + len(EVENTS_PER_TEXT)]:
            total += invocation.usage
        return total

    @property
    def usage_at_the_end(self) -> Usage:
        """What waiting for the end and finishing used."""
        total: Usage = Counter()
        for invocation in self.invocations:
            if invocation.step == "finish":
                total += invocation.usage
        # Whatever was before, the machine ends in one more state: it is not counted as saved.
        total["state transitions"] += len(self.states) - self.states.index("Wait for the end") - 1
        return total

    # The ports that are no tables

    def start(self, appointment_id: str) -> None:  # noqa: ARG002 - the port's
        """Begin the machine, as ``Workflow``; it is walked afterwards."""
        self._call("other")

    def notify(self, appointment_id: str, notice: str, *, occasion: str) -> None:
        """Never called: nothing ends early here."""
        raise NotImplementedError

    def stop(self, appointment_id: str) -> None:
        """Never called, as above."""
        raise NotImplementedError

    def publish(self, subject: str, detail: Any) -> None:
        """Take an event, as ``EventBus``, and act on it where a rule would."""
        self._call("other", "EventBridge events")
        told = read_event(subject, detail)
        if told is not None:
            event = partial(self._answer, told)
            self._agenda.append(_Happening(self._clock.now() + timedelta(seconds=1), event))

    def send(self, message: OutboundMessage) -> str:
        """Take a text, as ``MessageSender``, and have its delivery told."""
        self._call("send", "message parts", measure(message.body).parts)
        self.texts.append(message.body)
        message_id = f"00000000-0000-4000-8000-{len(self.texts):012}"
        for number, event_type in enumerate(EVENTS_PER_TEXT, start=1):
            event = partial(self._record, event_type, message_id, message.key)
            self._agenda.append(_Happening(self._clock.now() + timedelta(seconds=2 * number), event))
        if self._answers and len(self.texts) == 1:
            answer = partial(self._route, message_id)
            self._agenda.append(_Happening(self._clock.now() + ANSWERS_AFTER, answer))
        return message_id

    # The functions

    def _step(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        name, appointment_id = payload["step"], payload["appointmentId"]
        with self._invocation("follow up", name):
            send_service = self._send_service()
            service = FollowUpService(
                conversations=self._conversations(),
                send_service=send_service,
                prompts=self._contacts(),
                bus=self,
                channel_bus=self,
                speaker=self._speaker(),
                clock=self._clock,
                policy=self._policy,
            )
            match name:
                case "confirm":
                    step = service.confirm(appointment_id)
                case "follow-up":
                    step = service.follow_up(appointment_id)
                case "remind":
                    step = service.remind(appointment_id, timedelta(seconds=payload["leadSeconds"]))
                case "finish":
                    step = service.finish(appointment_id)
                case _:
                    raise NotImplementedError(name)
        return _result(step)

    def _record(self, event_type: str, message_id: str, key: str) -> None:
        now = self._clock.now()
        parsed = parse(
            {
                "eventType": event_type,
                "eventTimestamp": round(now.timestamp() * 1000),
                "isFinal": event_type == "TEXT_DELIVERED",
                "messageId": message_id,
                "destinationPhoneNumber": _PHONE,
                "totalMessageParts": 1,
                "totalMessagePrice": PARTS.usd,
                "context": {"intent": key},
            }
        )
        assert not isinstance(parsed, NotATextEvent)
        with self._invocation("event recorder", event_type):
            self._from_topic()
            self._ledger().record_event(parsed, now)

    def _route(self, previous: str) -> None:
        self.inbound += 1
        with self._invocation("router", "inbound message"):
            self._from_topic()
            self._call("other", "Secrets Manager requests")
            contacts, send_service = self._contacts(), self._send_service()
            InboundService(
                contacts=contacts,
                prompts=contacts,
                ledger=send_service.ledger,
                send_service=send_service,
                opt_out_list=_Nothing(),
                bus=self,
                attention=self,
                counts=self._counts(),
                clock=self._clock,
                parser=LibPhoneNumberParser("US"),
                subscriber_key=_KEY,
            ).handle(
                InboundMessage(
                    id="0c6a1b5e-1d6f-4c2b-9a5e-000000000001",
                    from_=_PHONE,
                    to=_OUR_NUMBER,
                    body="1",
                    received_at=self._clock.now(),
                    previous_message_id=previous,
                    keyword=None,
                )
            )

    def _answer(self, told: Any) -> None:
        with self._invocation("phone events", "answer"):
            contacts = self._contacts()
            AnswerService(
                conversations=self._conversations(),
                send_service=self._send_service(),
                contacts=contacts,
                prompts=contacts,
                bus=self,
                host=self,
                speaker=self._speaker(),
                clock=self._clock,
            ).handle(told)

    def _from_topic(self) -> None:
        self._used["SNS messages"] += 1
        self._used["KMS requests"] += 1
        self._used["SQS requests"] += _SQS_REQUESTS_PER_MESSAGE

    # What an invocation uses

    @contextmanager
    def _invocation(self, function: str, step: str) -> Iterator[None]:
        self._used, self._units.usage, self._units.calls, self._seconds = Counter(), Counter(), 0, 0.0
        yield
        usage = self._used + self._units.usage
        seconds = START_SECONDS + WORK_SECONDS + self._seconds
        seconds += self._units.calls * CALL_SECONDS["DynamoDB"]
        usage["Lambda requests"] += 1
        _add(usage, "Lambda GB-seconds, arm64", seconds * MEMORY_GB[function])
        _add(usage, "CloudWatch Logs, KB", LOG_KB_PER_INVOCATION)
        if function != "follow up":
            # Those belong to the trace of the state machine.
            usage["X-Ray traces"] += 1
        self.invocations.append(Invocation(function, step, usage))

    def _call(self, kind: str, unit: str | None = None, count: int = 1) -> None:
        self._seconds += CALL_SECONDS[kind]
        if unit is not None:
            self._used[unit] += count

    def _enter(self, name: str, kind: str) -> None:
        self.states.append(name)
        self.history_events += _HISTORY_EVENTS[kind]

    def _wait_until(self, until: datetime) -> None:
        while self._agenda and min(self._agenda).at <= until:
            happening = min(self._agenda)
            self._agenda.remove(happening)
            self._clock.instant = max(self._clock.instant, happening.at)
            happening.do()
        self._clock.instant = max(self._clock.instant, until)

    def _definition(self) -> Mapping[str, Any]:
        delay = str(self._policy.follow_up_delay // timedelta(seconds=1))
        text = DEFINITION.read_text(encoding="utf-8").replace('"${FollowUpDelaySeconds}"', delay)
        definition: dict[str, Any] = json.loads(text)
        return definition

    # Adapters, made anew for each invocation as in a cold start

    def _conversations(self) -> DynamoConversations:
        return DynamoConversations(self._client, table="conversations", retention=self._policy.retention)

    def _contacts(self) -> DynamoContacts:
        return DynamoContacts(self._client, table="contacts")

    def _counts(self) -> DynamoCampaignCounts:
        return DynamoCampaignCounts(self._client, table="contacts", clock=self._clock)

    def _ledger(self) -> DynamoLedger:
        return DynamoLedger(self._client, messages_table="messages", contacts_table="contacts")

    def _speaker(self) -> Speaker:
        return Speaker(texts=_texts(), counts=self._counts())

    def _send_service(self) -> SendService:
        return SendService(
            contacts=self._contacts(),
            ledger=self._ledger(),
            sender=self,
            pause=DynamoPauseFlag(self._client, table="contacts"),
            pacer=SharedPacer(
                Rate(parts_per_second=1),
                queue=DynamoRateQueue(self._client, table="contacts"),
                clock=self._clock,
                sleep=self._clock.sleep,
                jitter=random.Random(1).random,
            ),
            places=NumberPlaces(),
            clock=self._clock,
            policy=SendPolicy(allowed_countries=frozenset({"US"})),
        )


class _Nothing:
    """An opt-out list that nobody is put on."""

    def put(self, number: PhoneNumber) -> None:
        raise NotImplementedError

    def delete(self, number: PhoneNumber) -> None:
        raise NotImplementedError


@cache
def _texts() -> AppointmentTexts:
    return AppointmentTexts()


def _add(usage: Usage, unit: str, amount: float) -> None:
    usage[unit] += amount  # type: ignore[assignment] # as for half units


def _booking(now: datetime) -> Booking:
    """Give a booking whose texts are as long as Calendly's are."""
    uri = "https://api.calendly.com/scheduled_events/4b0a4f3e-6a3c-4e0d-9d55-5d2f6a7c8e90/invitees/"
    return Booking(
        provider=Provider.CALENDLY,
        external_id=f"{uri}7f1d2c3b-4a59-4687-9e0f-1a2b3c4d5e6f",
        booked_at=now,
        starts_at=now + BOOKED_AHEAD,
        ends_at=now + BOOKED_AHEAD + timedelta(minutes=30),
        event_name="Initial consultation",
        invitee_name="Alexandra Thompson",
        host_name="Dr. Maya Brooks",
        phones=(PhoneCandidate(_PHONE, PhoneSource.REMINDER_NUMBER),),
        time_zone="America/New_York",
        reschedule_url="https://calendly.com/reschedulings/7f1d2c3b-4a59-4687-9e0f-1a2b3c4d5e6f",
        cancel_url="https://calendly.com/cancellations/7f1d2c3b-4a59-4687-9e0f-1a2b3c4d5e6f",
    )


# The state machine


def _walk(
    definition: Mapping[str, Any],
    data: dict[str, Any],
    *,
    enter: Callable[[str, str], None],
    task: Callable[[Mapping[str, Any]], dict[str, Any]],
    wait: Callable[[datetime], None],
    now: Callable[[], datetime],
) -> None:
    """Carry out a state machine of the few kinds of states that this one has, where no task fails."""
    name = definition["StartAt"]
    while True:
        state = definition["States"][name]
        enter(name, state["Type"])
        match state["Type"]:
            case "Choice":
                taken = (
                    rule["Next"]
                    for rule in state["Choices"]
                    if _at(data, rule["Variable"]) == rule["StringEquals"]
                )
                name = next(taken, state["Default"])
                continue
            case "Wait" if "Seconds" in state:
                wait(now() + timedelta(seconds=state["Seconds"]))
            case "Wait":
                wait(datetime.fromisoformat(_at(data, state["TimestampPath"])))
            case "Task":
                answer = {"Payload": task(_filled(state["Parameters"]["Payload"], data))}
                data[state["ResultPath"].removeprefix("$.")] = _filled(state["ResultSelector"], answer)
            case "Succeed":
                return
            case other:
                raise NotImplementedError(other)
        name = state["Next"]


def _at(data: Any, path: str) -> Any:
    for step in path.removeprefix("$.").split("."):
        data = data[step]
    return data


def _filled(template: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key.removesuffix(".$"): _at(data, value) if key.endswith(".$") else value
        for key, value in template.items()
    }


def _result(step: Step) -> dict[str, Any]:
    return {
        "next": step.next.value,
        "until": step.until and step.until.isoformat(),
        "leadSeconds": step.lead and step.lead // timedelta(seconds=1),
    }


# The month

LIKE_FOR_LIKE: Final = FollowUpPolicy(reminders=(), feedback_delay=None)
"""The published bill's texts and no others."""

DEFAULTS: Final = FollowUpPolicy()


@dataclass(frozen=True, slots=True)
class Month:
    """A month of 1,000 appointments.

    Attributes
    ----------
    usage
        By unit.
    transitions
        Of an appointment that is answered, and of one that is followed up.
    after_follow_up
        Part of `usage`: the wait for the end, and what is done then.
    """

    usage: Usage
    inbound: int
    transitions: tuple[int, int]
    after_follow_up: Usage

    def dollars(self, price: Price, *, is_free_first: bool = False) -> float:
        """Return what one kind of unit costs."""
        free = FREE_EACH_MONTH.get(price.unit, 0) if is_free_first else 0
        return max(0.0, self.usage[price.unit] - free) * price.usd / price.per

    def total(self, price_per_part: float = PARTS.usd, *, is_free_first: bool = False) -> float:
        """Return the bill, without carrier fees and what is fixed."""
        return self.usage[PARTS.unit] * price_per_part + self.rest(is_free_first=is_free_first)

    def rest(self, *, is_free_first: bool = False) -> float:
        """Return all but the texts."""
        return sum(self.dollars(price, is_free_first=is_free_first) for price in PRICES[1:])

    @property
    def end(self) -> float:
        """Return what the end of the appointments costs."""
        return self.rest() - self._without_end().rest()

    @property
    def end_free(self) -> float:
        """Return the same after what is free each month."""
        return self.rest(is_free_first=True) - self._without_end().rest(is_free_first=True)

    def _without_end(self) -> Month:
        return replace(self, usage=self.usage - self.after_follow_up)


@cache
def month(policy: FollowUpPolicy) -> Month:
    """Play one appointment of each kind, and multiply.

    The request for a review goes out through ReviewCollector: its text is counted, and what is done around
    it as for a reminder, which is one text as well.
    """
    answered, followed_up = (play(policy, answers=answers) for answers in (True, False))
    usage: Usage = Counter()
    after: Usage = Counter()
    for life, count in ((answered, APPOINTMENTS - FOLLOWED_UP), (followed_up, FOLLOWED_UP)):
        used = life.usage
        if policy.feedback_delay is not None:
            used += life.usage_of("remind")
        for unit, amount in used.items():
            usage[unit] += count * amount
        for unit, amount in life.usage_at_the_end.items():
            after[unit] += count * amount
    return Month(
        usage,
        (APPOINTMENTS - FOLLOWED_UP) * answered.inbound,
        (len(answered.states), len(followed_up.states)),
        after,
    )


def play(policy: FollowUpPolicy, *, answers: bool) -> Life:
    """Play one appointment."""
    with _account() as (client, plain):
        life = Life(client, plain, policy, answers=answers)
        life.run()
        return life


@contextmanager
def _account() -> Iterator[tuple[Any, Any]]:
    """Give a client that is counted, and one that is not, over empty tables."""
    fixed = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    before = {name: os.environ.get(name) for name in fixed}
    os.environ.update(fixed)
    try:
        with mock_aws():
            plain = boto3.client("dynamodb")
            make_tables(plain)
            yield boto3.client("dynamodb"), plain
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# What is printed


def page() -> str:
    """Compose the tables, in Markdown."""
    like, default = month(LIKE_FOR_LIKE), month(DEFAULTS)
    units = table(
        ["unit", "like for like", "$", "default", "$", "price, and where it is from"],
        [
            [
                price.unit,
                f"{like.usage[price.unit]:,.0f}",
                f"{like.dollars(price):.3f}",
                f"{default.usage[price.unit]:,.0f}",
                f"{default.dollars(price):.3f}",
                _price(price),
            ]
            for price in PRICES
        ],
    )
    sums = table(
        ["a month, without carrier fees and what is fixed", "like for like, $", "default, $"],
        [
            [
                f"**sum, at today's ${PARTS.usd} a part**",
                *(f"**{each.total():.2f}**" for each in (like, default)),
            ],
            [
                f"sum, at the published bill's ${PUBLISHED_PRICE_PER_PART} a part",
                *(f"{each.total(PUBLISHED_PRICE_PER_PART):.2f}" for each in (like, default)),
            ],
            ["of it, all but the texts", *(f"{each.rest():.2f}" for each in (like, default))],
            [
                "the same after what AWS gives every account each month",
                *(f"{each.rest(is_free_first=True):.2f}" for each in (like, default)),
            ],
        ],
    )
    return f"{units}\n\n{sums}\n\n{_verdict()}\n\n{_fixed()}\n"


def _price(price: Price) -> str:
    usd = f"{price.usd:.10f}".rstrip("0")
    whole, _, cents = usd.partition(".")
    per = "" if price.per == 1 else f" / {price.per:,}"
    return f"${whole}.{cents:0<2}{per}, {price.source}"


def _verdict() -> str:
    like, default = month(LIKE_FOR_LIKE), month(DEFAULTS)
    same_price, free = like.total(PUBLISHED_PRICE_PER_PART), like.rest(is_free_first=True)
    same_price_free = PUBLISHED_PRICE_PER_PART * like.usage[PARTS.unit] + free
    answered, followed_up = like.transitions
    fee = CARRIER_FEE.usd
    lines = [
        f"**Like for like, ${like.total():.2f} against ${PUBLISHED}**, at today's price of a part: "
        f"{_compared(like.total())}.",
        f"At the price of a part that we read into the published bill, it is ${same_price:.2f}: "
        f"{_compared(same_price)}; after what AWS gives every account each month ${same_price_free:.2f}: "
        f"{_compared(same_price_free)}. A bill of ${PUBLISHED} leaves everything but the texts "
        f"${PUBLISHED - PUBLISHED_PRICE_PER_PART * like.usage[PARTS.unit]:.3f} there, and ours takes "
        f"${like.rest():.2f}.",
        f"What would get it there is a machine that stops after the follow-up where no reminder and no "
        f"feedback is wanted: it saves ${like.end:.2f}, and tells nobody that the appointment has taken "
        f"place. With that, and with what AWS gives, it is ${same_price_free - like.end_free:.2f}.",
        f"State transitions: {answered} for an appointment that is answered, {followed_up} for one that is "
        f"followed up; {default.transitions[0]} and {default.transitions[1]} with reminder and feedback.",
        f"Carrier fees come on top, there as here: ${fee:g} a part, ${fee * like.usage[PARTS.unit]:.2f} like "
        f"for like and ${fee * default.usage[PARTS.unit]:.2f} with all texts. So do the {like.inbound} "
        f"inbound messages, whose price is not among the facts that we could look up.",
    ]
    return "\n".join(
        textwrap.fill(line, width=135, initial_indent="- ", subsequent_indent="  ") for line in lines
    )


def _compared(dollars: float) -> str:
    difference = dollars - PUBLISHED
    return f"${abs(difference):.2f} {'above' if difference > 0 else 'below'} it"


def _fixed() -> str:
    owners = ("SmsChannel", "AppointmentFollowUp")
    poll = next(price for price in PRICES if price.unit == "SQS requests")
    counted = [
        ("KMS keys", KMS_KEYS, KEY_A_MONTH),
        ("secrets", SECRETS, SECRET_A_MONTH),
        ("metrics that alarms watch", ALARM_METRICS, ALARM_METRIC_A_MONTH),
        ("metrics of our own, at most", CUSTOM_METRICS, CUSTOM_METRIC_A_MONTH),
        ("queues that Lambda looks into", POLLED_QUEUES, _POLLS_A_MONTH * poll.usd / poll.per),
    ]
    rows = [
        [what, *(f"{counts[owner]} × ${each:.2f} = {counts[owner] * each:.2f}" for owner in owners)]
        for what, counts, each in counted
    ]
    sums = (f"**{sum(counts[owner] * each for _, counts, each in counted):.2f}**" for owner in owners)
    return table(["fixed, a month, whatever the number of appointments", *owners], [*rows, ["sum", *sums]])


def main() -> None:
    """Print the bill, or write it into the page."""
    parser = argparse.ArgumentParser(description="Reckon the bill of 1,000 appointments a month.")
    parser.add_argument("--write", action="store_true", help="into docs/appointments.md")
    if parser.parse_args().write:
        write_block("cost", page())
    else:
        print(re.sub(r"\*\*", "", page()))


if __name__ == "__main__":
    main()
