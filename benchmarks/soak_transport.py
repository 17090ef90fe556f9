"""Queues, bus, stream and state machines of the simulation, as far as their callers can tell them apart.

Modelled: at-least-once delivery, batches, late and repeated messages, another attempt where a function failed
or died, how many attempts there are, and what becomes of what nobody could take. Not modelled: sizes, limits
of concurrency, filters, and the state machines' own language: those run in the embedded cloud.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Any, Final
from zlib import crc32

from benchmarks.soak_faults import Functions, Luck
from benchmarks.soak_time import Schedule
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.sms_analytics_pipeline.domain.ports import StreamRecord
from tests.support.analytics_fakes import FakeStream
from tests.support.fakes import Crash, FakeBus

MAX_RECEIVES: Final = 5
"""Of a queue's message, before it is a dead letter (``SmsChannel``)."""

_VISIBILITY_SECONDS: Final = 180.0
_QUEUE_BATCH: Final = 10
_ASYNC_PAUSES: Final = (60.0, 120.0)
"""Before the second and the third attempt of an asynchronous invocation (Lambda, *Error handling*)."""
_HELD_TO_SCHEMA: Final = 100
_LATE_SECONDS: Final = 120.0
_TASK_ATTEMPTS: Final = 9
_TASK_PAUSE_SECONDS: Final = 10.0
_STREAM_BATCH: Final = 100
_STREAM_WINDOW_SECONDS: Final = 5.0


@dataclass(slots=True)
class World:
    """What everything happens in.

    Attributes
    ----------
    dead_letters, failed_executions
        How many, by queue and by state machine; a name is here from the beginning.
    """

    schedule: Schedule
    luck: Luck
    functions: Functions
    dead_letters: Counter[str] = field(default_factory=Counter)
    failed_executions: Counter[str] = field(default_factory=Counter)
    ids: Iterator[int] = field(default_factory=count)

    @property
    def now(self) -> datetime:
        """The present instant."""
        return self.schedule.now()

    def soon(self) -> float:
        """Draw how long something is under way."""
        return 0.02 + self.luck.chance.random()

    def task(self, machine: str, function: Callable[[], object], *, instants: int = 60) -> object:
        """Call a function as a state machine's task does: again where it failed, then the execution fails."""
        for attempt in range(_TASK_ATTEMPTS):
            try:
                return self.functions.call(function, instants=instants)
            except (Crash, TransientError):
                self.schedule.sleep(_TASK_PAUSE_SECONDS * 2 ** min(attempt, 5))
        self.failed_executions[machine] += 1
        return None


class Queue:
    """A queue in front of a function, which is told a batch and returns what of it has failed."""

    def __init__(self, world: World, name: str, take: Callable[[Sequence[Any]], Sequence[Any]]) -> None:
        self._world = world
        self._name = f"{name}-dead-letters"
        self._take = take
        self._ready: list[tuple[Any, int]] = []
        self._is_polled = False
        world.dead_letters[self._name] = 0

    def put(self, message: Any) -> None:
        """Put a message, which may come late, and twice."""
        world = self._world
        copies = 2 if world.luck.happens("duplicate") else 1
        for _ in range(copies):
            late = world.luck.chance.random() * _LATE_SECONDS if world.luck.happens("late") else 0.0
            world.schedule.after(late + world.soon(), partial(self._arrive, message, 1))

    def put_back(self, message: Any, delay: timedelta) -> None:
        """Put a message that has to wait, once: of hundreds of times, one in twenty doubled is a flood."""
        self._world.schedule.after(delay.total_seconds(), partial(self._arrive, message, 1))

    def _arrive(self, message: Any, receives: int) -> None:
        self._ready.append((message, receives))
        if not self._is_polled:
            self._is_polled = True
            self._world.schedule.after(self._world.soon(), self._poll)

    def _poll(self) -> None:
        batch, self._ready = self._ready[:_QUEUE_BATCH], self._ready[_QUEUE_BATCH:]
        self._is_polled = bool(self._ready)
        if self._is_polled:
            # Another function takes the rest while this one is at work.
            self._world.schedule.after(0, self._poll)
        messages = [message for message, _ in batch]
        try:
            failed = self._world.functions.call(lambda: self._take(messages))
        except (Crash, TransientError):
            failed = messages
        for message, receives in batch:
            if not any(message is one for one in failed):
                continue
            if receives == MAX_RECEIVES:
                self._world.dead_letters[self._name] += 1
            else:
                again = partial(self._arrive, message, receives + 1)
                self._world.schedule.after(_VISIBILITY_SECONDS, again)


type Detail = Mapping[str, Any]
type Target = Callable[[str, str, Detail], object]
"""Takes an event's id, its type and its detail."""


class Bus(FakeBus):
    """The event bus: each rule's function is called for each event, three times at most."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self.told: Counter[str] = Counter()
        self._rules: list[tuple[str, frozenset[str], Target]] = []

    def rule(self, name: str, detail_types: Sequence[str], target: Target) -> None:
        """Have a function called for events of these types."""
        self._rules.append((name, frozenset(detail_types), target))
        self._world.dead_letters[f"{name}-dead-letters"] = 0

    def publish(self, detail_type: str, detail: Detail) -> None:
        """Deliver an event; it is held to its schema, of many of a type one in twenty."""
        world = self._world
        self.told[detail_type] += 1
        number = self.told[detail_type]
        if number <= _HELD_TO_SCHEMA or number % 20 == 0:
            super().publish(detail_type, detail)
        event_id = f"event-{next(world.ids)}"
        for name, detail_types, target in self._rules:
            if detail_type not in detail_types:
                continue
            for _ in range(2 if world.luck.happens("duplicate") else 1):
                late = world.luck.chance.random() * _LATE_SECONDS if world.luck.happens("late") else 0.0
                call = partial(target, event_id, detail_type, detail)
                world.schedule.after(world.soon() + late, partial(self._invoke, name, call, 0))

    def _invoke(self, name: str, call: Callable[[], object], attempt: int) -> None:
        world = self._world
        try:
            world.functions.call(call)
        except (Crash, TransientError):
            if attempt == len(_ASYNC_PAUSES):
                world.dead_letters[f"{name}-dead-letters"] += 1
            else:
                again = partial(self._invoke, name, call, attempt + 1)
                world.schedule.after(_ASYNC_PAUSES[attempt], again)


class Later:
    """The state machine of what waits: its function is called again at each instant that it names.

    Executions have names; a name runs once.
    """

    def __init__(self, world: World, name: str, again: Callable[[Detail], datetime | None]) -> None:
        self._world = world
        self._name = name
        self._again = again
        self._names: set[str] = set()
        world.failed_executions[name] = 0

    def postpone(self, name: str, event: Detail, until: datetime) -> None:
        """Have the event come back."""
        if name not in self._names:
            self._names.add(name)
            self._world.schedule.at(until, partial(self._come_back, event))

    def _come_back(self, event: Detail) -> None:
        until = self._world.task(self._name, lambda: self._again(event))
        if isinstance(until, datetime):
            self._world.schedule.at(until, partial(self._come_back, event))


class Stream(FakeStream):
    """The stream in shards, each consumer with a place of its own in each of them.

    A batch that fails comes again from where its consumer says, as often as it takes.
    """

    def __init__(self, world: World, *, shards: int = 4) -> None:
        super().__init__(world.schedule)
        self._world = world
        self.shards: list[list[StreamRecord]] = [[] for _ in range(shards)]
        self._consumers: list[Callable[[int, int, Sequence[StreamRecord]], int | None]] = []
        self._places: dict[tuple[int, int], int] = {}
        self._is_polled: set[tuple[int, int]] = set()

    def consumer(self, take: Callable[[int, int, Sequence[StreamRecord]], int | None]) -> None:
        """Have a function called with a shard, the place of the first record, and records.

        It returns how many of them are done where something failed, None where all are.
        """
        self._consumers.append(take)

    def put(self, records: Sequence[StreamRecord]) -> frozenset[str]:
        """Take records."""
        taken: frozenset[str] = super().put(records)
        for record in records:
            shard = crc32(record.subscriber_id.encode()) % len(self.shards)
            self.shards[shard].append(record)
            for number in range(len(self._consumers)):
                self._wake((number, shard))
        return taken

    def _wake(self, place: tuple[int, int], *, delay: float = _STREAM_WINDOW_SECONDS) -> None:
        if place not in self._is_polled:
            self._is_polled.add(place)
            self._world.schedule.after(delay, partial(self._poll, place))

    def _poll(self, place: tuple[int, int]) -> None:
        number, shard = place
        first = self._places.get(place, 0)
        batch = self.shards[shard][first : first + _STREAM_BATCH]
        try:
            done = self._world.functions.call(
                lambda: self._consumers[number](shard, first, batch), instants=150
            )
        except (Crash, TransientError):
            done = 0
        self._places[place] = first + (len(batch) if done is None else done)
        self._is_polled.discard(place)
        if self._places[place] < len(self.shards[shard]):
            self._wake(place, delay=1.0 if done is not None else 0.0)
