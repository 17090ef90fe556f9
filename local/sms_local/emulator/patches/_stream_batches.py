"""What an event source mapping does with the records of a shard: lanes, batches, retries.

Plain values and decisions, without the emulator. The rules are Lambda's:
https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html
https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html
https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html
"""

import json
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final, Self

PAYLOAD_BYTES: Final = 6 * 1024 * 1024
"""Lambda's limit of a synchronous invocation's payload.

https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

DEFAULT_BATCH_SIZE: Final = 100
FIRST_PAUSE_SECONDS: Final = 0.25
LONGEST_PAUSE_SECONDS: Final = 60.0
"""Lambda backs off exponentially between attempts; how long is not documented."""

EARLY_SECONDS: Final = 1e-6

SEQUENCE_DIGITS: Final = 30
"""Of MiniStack's sequence numbers, which compare as text since all are equally long."""

BEGINNING: Final = "0" * SEQUENCE_DIGITS
"""A position before every record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingSettings:
    """What a mapping is set to, with Lambda's defaults.

    Attributes
    ----------
    retries
        None for as often as it takes.
    record_age_seconds
        None for as old as the stream keeps them.
    destination
        ARN of a queue, topic or bucket that is told of discarded batches.
    """

    batch_size: int = DEFAULT_BATCH_SIZE
    window_seconds: float = 0.0
    lanes: int = 1
    bisects: bool = False
    reports_failures: bool = False
    retries: int | None = None
    record_age_seconds: float | None = None
    destination: str | None = None

    @classmethod
    def of(cls, mapping: Mapping[str, Any]) -> Self:
        """Read an event source mapping; a template may have numbers and booleans as text."""

        def limit(name: str) -> int | None:
            value = mapping.get(name)
            return None if value is None or int(value) < 0 else int(value)

        destination = (mapping.get("DestinationConfig") or {}).get("OnFailure") or {}
        return cls(
            batch_size=int(mapping.get("BatchSize") or DEFAULT_BATCH_SIZE),
            window_seconds=float(mapping.get("MaximumBatchingWindowInSeconds") or 0),
            lanes=int(mapping.get("ParallelizationFactor") or 1),
            bisects=str(mapping.get("BisectBatchOnFunctionError")).lower() == "true",
            reports_failures="ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or []),
            retries=limit("MaximumRetryAttempts"),
            record_age_seconds=limit("MaximumRecordAgeInSeconds"),
            destination=destination.get("Destination"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRecord:
    """A record of a shard.

    Attributes
    ----------
    arrived_at
        Virtual time in epoch seconds.
    event
        As the function gets it.
    payload_bytes
        How much of an invocation's payload that takes.
    """

    sequence_number: str
    arrived_at: float
    partition_key: str
    event: Mapping[str, Any]
    payload_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Records of one lane that go to the function together.

    Attributes
    ----------
    retries
        Attempts beyond the first one; splitting is none.
    invocations
        How often the function was called with them.
    """

    records: tuple[StreamRecord, ...]
    retries: int = 0
    invocations: int = 0

    def invoked(self) -> "Batch":
        """Return it after another invocation."""
        return replace(self, invocations=self.invocations + 1)

    def expired(self, before: float) -> int:
        """Return how many records, from the first on, arrived before an instant."""
        return next(
            (index for index, record in enumerate(self.records) if record.arrived_at >= before),
            len(self.records),
        )

    def without_first(self, count: int) -> "Batch":
        """Return it without its first records."""
        return replace(self, records=self.records[count:])


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterFailure:
    """What follows on a failure.

    Attributes
    ----------
    again
        What goes to the function next, in order.
    discarded
        What never does again.
    is_retry
        Whether there is a pause before it.
    """

    again: tuple[Batch, ...] = ()
    discarded: Batch | None = None
    is_retry: bool = False


def failed_from(body: object, records: Sequence[StreamRecord]) -> int | None:
    """Return where a function that reports failures wants to go on; None when all is done.

    Parameters
    ----------
    body
        The function's answer: an object, its JSON, or nothing. A member that names no record of the batch
        fails all of it.
    """
    if isinstance(body, str):
        try:
            body = json.loads(body) if body else None
        except ValueError:
            return 0
    if not body:
        return None
    if not isinstance(body, Mapping):
        return 0
    failures = body.get("batchItemFailures")
    if not failures:
        return None
    numbers = {record.sequence_number: index for index, record in enumerate(records)}
    named = [failure.get("itemIdentifier") if isinstance(failure, Mapping) else None for failure in failures]
    return min(numbers.get(str(name), 0) for name in named)


def after_failure(batch: Batch, failed: int, settings: MappingSettings) -> AfterFailure:
    """Decide what follows when a batch failed from its record number `failed` on.

    What is before that record is done. A batch is split at it, or in the middle when all of it failed; only
    what is not split is another attempt.
    """
    rest = batch.without_first(failed)
    if settings.bisects and failed > 0:
        return AfterFailure(again=(rest,))
    if settings.bisects and len(rest.records) > 1:
        middle = len(rest.records) // 2
        first, second = replace(rest, records=rest.records[:middle]), rest.without_first(middle)
        return AfterFailure(again=(first, second))
    if settings.retries is not None and batch.retries >= settings.retries:
        return AfterFailure(discarded=rest)
    return AfterFailure(again=(replace(rest, retries=rest.retries + 1),), is_retry=True)


def pause_seconds(attempts: int) -> float:
    """Return how long to wait after so many failed attempts in a row."""
    return float(min(FIRST_PAUSE_SECONDS * 2 ** min(attempts, 20), LONGEST_PAUSE_SECONDS))


@dataclass(slots=True)
class Lane:
    """Records whose partition keys belong together, in order; one batch at a time is with the function.

    Attributes
    ----------
    unfinished
        What is read and not done, the batch that is with the function first.
    taken
        How many of them are in that batch; 0 when the lane is free.
    since
        When the first record that waits for a batch was read.
    """

    unfinished: deque[StreamRecord] = field(default_factory=deque)
    taken: int = 0
    is_busy: bool = False
    since: float = 0.0

    def add(self, record: StreamRecord, now: float) -> None:
        """Let a record wait for its batch."""
        if len(self.unfinished) == self.taken:
            self.since = now
        self.unfinished.append(record)

    def waiting(self) -> int:
        """Return how many records wait for a batch."""
        return len(self.unfinished) - self.taken

    def due_at(self, settings: MappingSettings) -> float | None:
        """Return when the window of what waits is over; None when nothing waits or the lane is busy."""
        return None if self.is_busy or not self.waiting() else self.since + settings.window_seconds

    def take(self, settings: MappingSettings, now: float) -> Batch | None:
        """Return the next batch, when it is full or its window is over; the lane is busy from then on."""
        due_at = self.due_at(settings)
        if due_at is None:
            return None
        # The clock was put back meanwhile.
        self.since = min(self.since, now)
        records, is_full = self._next(settings)
        if not is_full and self.since + settings.window_seconds > now + EARLY_SECONDS:
            return None
        self.taken, self.is_busy, self.since = len(records), True, now
        return Batch(records=records)

    def _next(self, settings: MappingSettings) -> tuple[tuple[StreamRecord, ...], bool]:
        chosen: list[StreamRecord] = []
        payload = 0
        for record in islice(self.unfinished, settings.batch_size):
            payload += record.payload_bytes
            if chosen and payload > PAYLOAD_BYTES:
                return tuple(chosen), True
            chosen.append(record)
        return tuple(chosen), len(chosen) >= settings.batch_size

    def finish(self, count: int) -> None:
        """Let the first records be done."""
        for _ in range(count):
            self.unfinished.popleft()
        self.taken -= count

    def free(self, now: float) -> None:
        """Let the next batch be taken."""
        self.taken, self.is_busy = 0, False
        if not self.unfinished:
            self.since = now


def lane_of(partition_key: str, lanes: int) -> int:
    """Return which lane a partition key belongs to."""
    return zlib.crc32(partition_key.encode()) % lanes


def position_before(sequence_number: str) -> str:
    """Return the position from which on a record is the next one."""
    return f"{int(sequence_number) - 1:0{SEQUENCE_DIGITS}d}"
