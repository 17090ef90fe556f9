"""What ingest needs from outside, in memory, and faults between any two of its steps."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, auto
from typing import Any

from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import CanonicalEvent, SetAside
from sms_engagement_runtime.sms_analytics_pipeline.domain.ingesting import Arrival, IngestService
from sms_engagement_runtime.sms_analytics_pipeline.domain.ports import Attribution, Sought, StreamRecord
from sms_engagement_runtime.sms_analytics_pipeline.domain.register import RegisterRow, marked
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import Subscriber
from tests.support.fakes import START, SUBSCRIBER_KEY, FakeBus, FakeClock, FakeParser

PUBLISHED_MS = round(START.timestamp() * 1000)


class Fault(Enum):
    """What happens to one call."""

    NONE = auto()
    FAILED = auto()
    """It is not done, and says so."""
    ANSWER_LOST = auto()
    """It is done, and seems to have failed."""
    KILLED_BEFORE = auto()
    """The process ends, and the call is not made."""
    KILLED_AFTER = auto()
    """The process ends, and the call is done."""
    PARTIAL = auto()
    """Every other record of a put is refused; other calls are done."""


class KilledError(BaseException):
    """The process has ended."""


class LostError(TransientError):
    """A service did not answer."""


@dataclass
class Faults:
    """Faults for the next calls, in their order; all later calls are done."""

    next: list[Fault] = field(default_factory=list)

    @contextmanager
    def call(self) -> Any:
        fault = self.next.pop(0) if self.next else Fault.NONE
        if fault is Fault.FAILED:
            raise LostError
        if fault is Fault.KILLED_BEFORE:
            raise KilledError
        yield fault
        if fault is Fault.ANSWER_LOST:
            raise LostError
        if fault is Fault.KILLED_AFTER:
            raise KilledError


class FakeRegister:
    """Rows of messages, and those of subscribers, which are written together."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.rows: dict[str, RegisterRow] = {}
        self.subscribers: dict[str, Subscriber] = {}
        self.before_write: Callable[[], None] = lambda: None
        self._faults = faults or Faults()

    def find(self, message_ids: Iterable[str]) -> dict[str, RegisterRow]:
        with self._faults.call():
            return {i: self.rows[i] for i in set(message_ids) if i in self.rows}

    def write(self, rows: Sequence[RegisterRow], subscriber: Subscriber | None, *, now: int) -> bool:
        self.before_write()
        with self._faults.call():
            if any(self._version(self.rows.get(row.message_id)) != row.version for row in rows):
                return False
            if subscriber is not None:
                former = self.subscribers.get(subscriber.subscriber_id)
                if self._version(former) != subscriber.version:
                    return False
                self.subscribers[subscriber.subscriber_id] = replace(
                    subscriber, version=subscriber.version + 1
                )
            for row in rows:
                self.rows[row.message_id] = replace(row, version=row.version + 1)
            return True

    def mark(self, message_id: str, event_ids: Sequence[str], *, now: int) -> None:
        with self._faults.call():
            row = self.rows.get(message_id)
            if row is None:
                return
            for event_id in event_ids:
                row = marked(row, event_id, now=now)
            self.rows[message_id] = replace(row, version=row.version + 1)

    @staticmethod
    def _version(row: RegisterRow | Subscriber | None) -> int:
        return 0 if row is None else row.version


class FakeSubscriberRows:
    """Rows of subscribers, as the register writes them."""

    def __init__(self, register: FakeRegister, faults: Faults | None = None) -> None:
        self._register = register
        self._faults = faults or Faults()

    def find(self, ids: Iterable[str]) -> dict[str, Subscriber]:
        with self._faults.call():
            known = self._register.subscribers
            return {i: known[i] for i in set(ids) if i in known}


class FakeStream:
    """The stream: what was put at which time."""

    def __init__(self, clock: FakeClock, faults: Faults | None = None) -> None:
        self.records: list[tuple[int, StreamRecord]] = []
        self.before_put: Callable[[], None] = lambda: None
        # When each was put, by event and subscriber, of as many records as have been looked through so far.
        self._puts: dict[tuple[str, ...], list[int]] = {}
        self._found = 0
        self._clock = clock
        self._faults = faults or Faults()

    @property
    def events(self) -> list[CanonicalEvent]:
        return [CanonicalEvent(**json.loads(record.data)) for _, record in self.records]

    def put(self, records: Sequence[StreamRecord]) -> frozenset[str]:
        self.before_put()
        with self._faults.call() as fault:
            taken = records[::2] if fault is Fault.PARTIAL else records
            now = round(self._clock.now().timestamp() * 1000)
            self.records += [(now, record) for record in taken]
            return frozenset(record.event_id for record in taken)

    def find(self, sought: Sequence[Sought]) -> frozenset[str]:
        with self._faults.call():
            for at, record in self.records[self._found :]:
                self._puts.setdefault(record[:2], []).append(at)
            self._found = len(self.records)
            return frozenset(
                one.event_id
                for one in sought
                for at in self._puts.get(one[:2], ())
                if one.since <= at <= one.until
            )


class FakeAttribution:
    """What inbound texts answer: the same for each."""

    def __init__(self, answer: Attribution | None = None) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str | None, datetime]] = []

    def of(
        self, subscriber_id: str, *, previous_message_id: str | None, received_at: datetime
    ) -> Attribution | None:
        self.asked.append((subscriber_id, previous_message_id, received_at))
        return self.answer


class FakeQuarantine:
    """What was kept, by reason and name."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.kept: dict[tuple[SetAside, str], str] = {}
        self._faults = faults or Faults()

    def keep(self, name: str, reason: SetAside, body: str, *, received_at: datetime) -> None:
        with self._faults.call():
            self.kept[reason, name] = body


class FaultyBus(FakeBus):
    """What the bus was told."""

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults

    def publish(self, detail_type: str, detail: Mapping[str, object]) -> None:
        with self._faults.call():
            super().publish(detail_type, detail)


@dataclass
class IngestSystem:
    """Ingest with everything around it in memory."""

    clock: FakeClock = field(default_factory=FakeClock)
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        self.register = FakeRegister(self.faults)
        self.stream = FakeStream(self.clock, self.faults)
        self.attribution = FakeAttribution()
        self.quarantine = FakeQuarantine(self.faults)
        self.bus = FaultyBus(self.faults)
        self.service = IngestService(
            register=self.register,
            subscribers=FakeSubscriberRows(self.register, self.faults),
            stream=self.stream,
            attribution=self.attribution,
            quarantine=self.quarantine,
            parser=FakeParser(),
            subscriber_id_of=lambda number: subscriber_id(number, SUBSCRIBER_KEY),
            clock=self.clock,
            pause=lambda attempt: None,
            bus=self.bus,
        )

    def arrivals(self, *payloads: object) -> list[Arrival]:
        """A batch in which each payload has a record of its own, named by its place; published long ago."""
        return [
            Arrival(
                record=f"r-{number}",
                name=f"n-{number}",
                received_at_ms=PUBLISHED_MS,
                payload=payload,
                body=json.dumps(payload, default=str),
            )
            for number, payload in enumerate(payloads)
        ]

    def put_counts(self) -> Counter[str]:
        """How often each event is on the stream."""
        return Counter(record.event_id for _, record in self.stream.records)
