"""A million events through the four consumers: is memory flat, and does everything add up.

``python benchmarks/million_events.py`` makes events with the generator of the sequential baseline, a share of
them broken, puts them onto the shards of a stream by subscriber, and gives each consumer its batches: the
product's own code, over tables and a bucket that lie in files. A share of the batches comes again: at once
and whole, in halves, in halves of halves, or after those of all other shards.

What is expected is summed up by itself, of the generator's events in the shape of the baseline. At the end
these are read back and compared with it:

- the table of counts, by hour, campaign, journey and country;
- the metrics, as CloudWatch reads them from the log lines;
- the rows of answers and of subscribers;
- the lines of the archive, each as the event that it was, and under the day of that event;
- the quarantine of each consumer.

It prints one JSON line and ends with 1 where something differs, or memory grows from a fifth of the way on;
``--write`` puts the figures into ``docs/performance.md``.
Ingest, which lets each event onto the stream once, is not part of it; nor are machines of AWS.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import resource
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import RLock
from time import perf_counter
from typing import Any, Final, cast

if __package__ in {None, ""}:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.answer_tables import AnswerTables, Item
from benchmarks.consumers import BATCH, answer_keeper
from sms_engagement_runtime.sms_analytics_pipeline.adapters import (
    answer_batches,
    counted_batches,
    monitored_batches,
    s3_archive,
)
from sms_engagement_runtime.sms_analytics_pipeline.adapters.archive_json import unpacked
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_counts import DynamoCounts
from sms_engagement_runtime.sms_analytics_pipeline.adapters.kinesis_records import RejectedRecord
from sms_engagement_runtime.sms_analytics_pipeline.adapters.record_quarantine import RecordQuarantine
from sms_engagement_runtime.sms_analytics_pipeline.domain.responses import Kept
from tools.appointment_tables import table, write_block

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "performance.md"

type Event = Mapping[str, Any]
type Batch = Mapping[str, Any]
"""As Lambda hands it to a function."""

GOAL_OF_MEMORY: Final = 8.0
"""Megabytes between a fifth of the way and its end."""

_CHUNK: Final = 20_000
_SHARDS: Final = 4
_BROKEN: Final = 0.001
"""Share of events that are none."""
_MIDNIGHT: Final = datetime(2024, 1, 16, tzinfo=UTC)
"""In the middle of the events, so that batches have two days."""
_BETWEEN_EVENTS: Final = timedelta(milliseconds=9)
"""On average, as the generator has it."""
_HOUR: Final = timedelta(hours=1)
_RETENTION: Final = timedelta(days=400)

# Shares of the batches that come again, and how.
_WHOLE: Final = 0.10
_HALVES: Final = 0.10
_QUARTERS: Final = 0.05
_LATER: Final = 0.10

_gen: Final = import_module("benchmarks.sequential_baseline.gen")

# What is expected


@dataclass(slots=True)
class Expected:
    """The generator's totals.

    Attributes
    ----------
    groups
        By hour since 1970, campaign, journey and country: delivered, failed, responses, opt-outs, millicents.
    archive, answers
        Sums of hashes: the same for the same events or answers, however they are ordered, and for no others.
    answer_count, broken, broken_answers
        How many answers, broken events, and broken events that say that they are answers.
    """

    events: int = 0
    groups: dict[tuple[int, str | None, str | None, str | None], list[int]] = field(default_factory=dict)
    archive: int = 0
    answers: int = 0
    answer_count: int = 0
    broken: int = 0
    broken_answers: int = 0

    def add(self, event: Event, canonical: Event) -> None:
        """Add an event in both of its shapes: counts are made of the older one."""
        if "arrival_timestamp" not in event:
            self.broken += 1
            self.broken_answers += event.get("event_type") == "_SMS.RECEIVED"
            return
        self.events += 1
        attributes = event["attributes"]
        hour = datetime.fromisoformat(event["event_timestamp"]) - datetime.fromtimestamp(0, UTC)
        group = (
            hour // _HOUR,
            attributes.get("campaign_id"),
            attributes.get("journey_id"),
            attributes.get("iso_country_code"),
        )
        kind = event["event_type"]
        if kind != "_SMS.BUFFERED":
            counts = self.groups.setdefault(group, [0] * 5)
            counts[_COUNTED.index(kind)] += 1
            if kind in {"_SMS.SUCCESS", "_SMS.FAILURE"}:
                counts[4] += event["metrics"]["price_in_millicents_usd"]
        self.archive += _hash([canonical.get(name) for name in _FIELDS])
        if kind == "_SMS.RECEIVED":
            self.answer_count += 1
            self.answers += _hash(
                [canonical["phone_number"], canonical["response_text"], canonical["event_timestamp"]]
            )

    def metrics(self) -> dict[str, int]:
        """Return the totals as metrics have them; money in thousandths of a cent."""
        sums: Counter[str] = Counter()
        for (_, _, _, country), counts in self.groups.items():
            for name, value in zip(_METRICS, counts, strict=True):
                sums[name] += value
            if country:
                for name, value in (
                    ("MessagesDelivered", counts[0]),
                    ("MessagesFailed", counts[1]),
                    ("Cost", counts[4]),
                ):
                    sums[f"{name}ByCountry {country}"] += value
        return {name: value for name, value in sums.items() if value}


_COUNTED: Final = ("_SMS.SUCCESS", "_SMS.FAILURE", "_SMS.RECEIVED", "_SMS.OPTOUT")
_METRICS: Final = ("MessagesDelivered", "MessagesFailed", "ResponsesReceived", "OptOuts", "TotalCostUSD")
_FIELDS: Final = (
    "event_type",
    "event_id",
    "event_timestamp",
    "arrival_timestamp",
    "subscriber_id",
    "phone_number",
    "message_id",
    "campaign_id",
    "journey_id",
    "record_status",
    "message_type",
    "country_code",
    "price_millicents",
    "parts",
    "response_text",
    "keyword",
    "origination",
    "counted_as",
    "counted_at",
    "counted_price_millicents",
    "schema_version",
)
_fields_of: Final = attrgetter(*_FIELDS)


def _hash(values: Iterable[Any]) -> int:
    return int.from_bytes(blake2b(repr(list(values)).encode(), digest_size=16).digest())


# What keeps: on disk


class Database:
    """Tables in a file."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "tables.sqlite", check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = MEMORY")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._lock = RLock()

    def table(self, name: str) -> DiskRows:
        """Make a table."""
        self.run(f"CREATE TABLE {name} (key TEXT PRIMARY KEY, row TEXT) WITHOUT ROWID")
        return DiskRows(self, name)

    def run(self, statement: str, *values: str) -> list[tuple[str, ...]]:
        """Run a statement; return its rows."""
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def each(self, table: str) -> Iterator[Item]:
        """Return the rows of a table, read a few at a time."""
        for (row,) in self._connection.execute(f"SELECT row FROM {table}"):
            yield json.loads(row)

    def __enter__(self) -> None:
        """Begin a transaction: nobody else reads or writes meanwhile."""
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._connection.commit()
        self._lock.release()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class DiskRows:
    """Rows of one table by their key."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._get = f"SELECT row FROM {name} WHERE key = ?"
        self._put = f"INSERT OR REPLACE INTO {name} VALUES (?, ?)"

    def get(self, key: str) -> Item | None:
        """Read a row."""
        found = self._database.run(self._get, key)
        return json.loads(found[0][0]) if found else None

    def __setitem__(self, key: str, row: Item) -> None:
        self._database.run(self._put, key, json.dumps(row))


class CountsTable:
    """The methods of a DynamoDB client that the counts call."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = database.table("counts")

    def put_item(self, *, Item: Mapping[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's name
        """Write an item; return what it was before."""
        key = f"{Item['day']['S']}/{Item['batch']['S']}"
        with self._database:
            before = self._rows.get(key)
            self._rows[key] = {**Item, "groups": {"B": Item["groups"]["B"].hex()}}
        return {"Attributes": _with_bytes(before)} if before else {}

    def query(
        self,
        *,
        ExpressionAttributeValues: Mapping[str, Any],  # noqa: N803 - boto3's name
        ExclusiveStartKey: str = "",  # noqa: N803 - boto3's name
        **_: Any,
    ) -> dict[str, Any]:
        """Read a page of the items of a day."""
        day = ExpressionAttributeValues[":day"]["S"]
        found = self._database.run(
            "SELECT key, row FROM counts WHERE key > ? AND key LIKE ? ORDER BY key LIMIT 50",
            ExclusiveStartKey,
            f"{day}/%",
        )
        items = [_with_bytes(json.loads(row)) for _, row in found]
        return {"Items": items, **({"LastEvaluatedKey": found[-1][0]} if found else {})}


def _with_bytes(row: Item) -> Item:
    return {**row, "groups": {"B": bytes.fromhex(row["groups"]["B"])}}


class Bucket:
    """The one method of an S3 client that the consumers call; objects are files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.puts: Counter[str] = Counter()

    def put_object(self, *, Key: str, Body: bytes, **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's names
        """Write an object."""
        path = self._folder / Key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(Body)
        self.puts[Key.split("/")[0]] += 1
        return {}

    def objects(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """Return key and content of the objects below a prefix."""
        for path in sorted((self._folder / prefix).rglob("*")):
            if path.is_file():
                yield path.relative_to(self._folder).as_posix(), path.read_bytes()


# The stream and its consumers


@dataclass(slots=True)
class Consumers:
    """The four consumers, and what they told.

    Attributes
    ----------
    metrics
        Sums of what the log lines say, as CloudWatch reads them; money in US dollars.
    delivered
        Records that each consumer was given, those that came again included.
    """

    bucket: Bucket
    counts: DynamoCounts
    answers: AnswerTables
    workers: ThreadPoolExecutor
    metrics: Counter[str] = field(default_factory=Counter)
    delivered: Counter[str] = field(default_factory=Counter)
    lines: Counter[str] = field(default_factory=Counter)

    def event_processor(self, event: Batch) -> None:
        """Log a batch."""
        batch = monitored_batches.read(event)
        self._set_aside("event-processor", batch.shard_id, batch.rejected)
        self._tell("event_processor", [monitored_batches.line(batch, service="analytics", now=0, at_ms=0)])

    def response_handler(self, event: Batch) -> None:
        """Keep the answers of a batch."""
        batch = answer_batches.read(event)
        if batch is None:
            return
        self._set_aside("response-handler", batch.shard_id, batch.rejected)
        outcomes, failed_at = answer_batches.keep_batch(batch, answer_keeper(self.answers), self.workers)
        assert failed_at is None
        self.delivered["answers kept"] += outcomes.get(Kept.ADDED, 0)
        self.delivered["answers that came again"] += outcomes.get(Kept.DUPLICATE, 0)

    def analytics(self, event: Batch) -> None:
        """Count a batch."""
        batch = counted_batches.read(event)
        self._set_aside("analytics", batch.shard_id, batch.rejected)
        for added in counted_batches.record(batch, self.counts):
            self._tell("analytics", counted_batches.lines(added, by_campaign=False, at_ms=0))

    def archive(self, event: Batch) -> None:
        """Archive a batch."""
        batch = s3_archive.read(event)
        self._set_aside("archive", batch.shard_id, batch.rejected)
        s3_archive.S3EventArchive(cast("Any", self.bucket), bucket="archive").keep(
            s3_archive.objects_of(batch)
        )

    def take(self, consumer: str, event: Batch) -> None:
        """Give a batch to a consumer."""
        self.delivered[consumer] += len(event["Records"])
        duty: Callable[[Batch], None] = getattr(self, consumer)
        duty(event)

    def _set_aside(self, consumer: str, shard_id: str, rejected: Sequence[RejectedRecord]) -> None:
        RecordQuarantine(cast("Any", self.bucket), bucket="archive", consumer=consumer).keep(
            shard_id, rejected
        )

    def _tell(self, consumer: str, lines: Iterable[str]) -> None:
        for line in lines:
            self.lines[consumer] += 1
            told = json.loads(line)
            for directive in told["_aws"]["CloudWatchMetrics"]:
                for dimensions in directive["Dimensions"]:
                    names = "".join(f" {told[name]}" for name in dimensions)
                    for metric in directive["Metrics"]:
                        self.metrics[metric["Name"] + names] += told[metric["Name"]]


def deliver(consumers: Consumers, shards: Sequence[Batch], rng: random.Random) -> None:
    """Give the records of some shards to every consumer, a share of their batches more than once."""
    for consumer, size in BATCH.items():
        later: list[Batch] = []
        for shard in rng.sample(shards, len(shards)):
            for start in range(0, len(shard["Records"]), size):
                batch: Batch = {"Records": shard["Records"][start : start + size]}
                consumers.take(consumer, batch)
                for part, comes_later in _again(batch, rng):
                    if comes_later:
                        later.append(part)
                    else:
                        consumers.take(consumer, part)
        rng.shuffle(later)
        for late in later:
            consumers.take(consumer, late)


def _again(batch: Batch, rng: random.Random) -> Iterator[tuple[Batch, bool]]:
    """Return the batches in which a batch comes again, and whether after all other shards."""
    chance = rng.random()
    if chance < _WHOLE:
        yield batch, False
    elif chance < _WHOLE + _HALVES:
        yield from ((half, False) for half in _halves(batch))
    elif chance < _WHOLE + _HALVES + _QUARTERS:
        yield from ((half, False) for half in _halves(batch))
        yield from ((quarter, False) for half in _halves(batch) for quarter in _halves(half))
    elif chance < _WHOLE + _HALVES + _QUARTERS + _LATER:
        yield batch, True


def _halves(batch: Batch) -> list[Batch]:
    records = batch["Records"]
    middle = len(records) // 2
    return [{"Records": half} for half in (records[:middle], records[middle:]) if half]


def _shard_of(event: Event, number: int) -> int:
    """Return where an event goes: all of one subscriber to the same shard."""
    name = event.get("subscriber_id")
    return (_hash([name]) if name else number) % _SHARDS


# The run


@dataclass(slots=True, kw_only=True)
class Figures:
    """What a run found."""

    events: int
    seconds: float
    deliveries: Mapping[str, int]
    log_lines_per_1000: Mapping[str, float]
    archive_puts_per_1000: float
    archive_bytes_per_event: float
    memory_mb: tuple[float, float]
    differences: list[str]

    def misses(self) -> list[str]:
        """Say which goals are missed."""
        grown = self.memory_mb[1] - self.memory_mb[0]
        too_much = grown > GOAL_OF_MEMORY
        return [*self.differences, *([f"memory grew by {grown:.1f} MB"] if too_much else [])]


def run(events: int, *, seed: int, folder: Path, chunk: int = _CHUNK) -> Figures:
    """Send so many events, and compare.

    Parameters
    ----------
    folder
        Where tables and objects lie.
    chunk
        So many events are in memory at once.
    """
    started = perf_counter()
    rng, expected = random.Random(seed), Expected()
    database, bucket = Database(folder), Bucket(folder / "bucket")
    counts = DynamoCounts(cast("Any", CountsTable(database)), table="counts", retention=_RETENTION)
    answers = AnswerTables(database.table("responses"), database.table("subscribers"), database)
    at = _MIDNIGHT - _BETWEEN_EVENTS * (events // 2)
    next_number = [0] * _SHARDS
    peaks = [0.0, 0.0]
    with ThreadPoolExecutor(answer_batches.WORKERS) as workers:
        consumers = Consumers(bucket, counts, answers, workers)
        for start in range(0, events, chunk):
            size = min(chunk, events - start)
            made = _gen.events(size, seed + start, poison=_BROKEN, start=at.isoformat())
            at = datetime.fromisoformat(
                next(event["event_timestamp"] for event in reversed(made) if "arrival_timestamp" in event)
            )
            deliver(consumers, _shards(made, expected, next_number), rng)
            del made
            peaks[1] = _peak_mb()
            if start + size <= max(events // 5, chunk):
                peaks[0] = peaks[1]
        grown = (peaks[0], peaks[1])
    differences = compare(expected, consumers, database)
    database.close()
    archive = sum(len(body) for _, body in bucket.objects("events"))
    return Figures(
        events=events,
        seconds=round(perf_counter() - started, 1),
        deliveries=dict(consumers.delivered),
        log_lines_per_1000={
            name: round(lines / consumers.delivered[name] * 1000, 2)
            for name, lines in consumers.lines.items()
        },
        archive_puts_per_1000=round(bucket.puts["events"] / consumers.delivered["archive"] * 1000, 2),
        archive_bytes_per_event=round(archive / expected.events, 1),
        memory_mb=grown,
        differences=differences,
    )


def _shards(made: Sequence[Event], expected: Expected, next_number: list[int]) -> list[Batch]:
    """Sum up events, and put them onto the stream."""
    shards: list[list[Event]] = [[] for _ in range(_SHARDS)]
    for number, event in enumerate(made):
        canonical = _gen.canonical(event)
        expected.add(event, canonical)
        shards[_shard_of(canonical, number)].append(canonical)
    records = []
    for shard, events in enumerate(shards):
        records.append(_gen.kinesis_event(events, shard=shard, base=next_number[shard]))
        next_number[shard] += len(events)
    return records


def _peak_mb() -> float:
    gc.collect()
    # Kilobytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)


def compare(expected: Expected, consumers: Consumers, database: Database) -> list[str]:
    """Read back what was kept, and say what is not as the generator has it."""
    first = min(group[0] for group in expected.groups) // 24
    last = max(group[0] for group in expected.groups) // 24
    first_day, last_day = (datetime.fromtimestamp(day * 86_400, UTC).date() for day in (first, last))
    counted = {
        tuple(group): [each.delivered, each.failed, each.responses, each.opt_outs, each.cost_millicents]
        for group, each in consumers.counts.read(first_day, last_day).items()
    }
    told = {
        # Money is told in dollars; sums of them are exact to the thousandth of a cent.
        name: round(value * 100_000) if "Cost" in name else value
        for name, value in consumers.metrics.items()
        if not name.startswith(("Events", "EventLag", "Records"))
    }
    broken = expected.broken
    checks: list[tuple[str, object, object]] = [
        ("counts table", counted, expected.groups),
        ("metrics", {name: value for name, value in told.items() if value}, expected.metrics()),
        ("responses", _answers(database), (expected.answer_count, expected.answers)),
        ("responses of subscribers", _responses_of_subscribers(database), expected.answer_count),
        ("answers that were new", consumers.delivered["answers kept"], expected.answer_count),
        ("archive", _archived(consumers.bucket), (expected.events, expected.archive, 0)),
        *(
            (f"quarantine of {name}", _set_aside(consumers.bucket, name), broken)
            for name in ("event-processor", "analytics", "archive")
        ),
        (
            "quarantine of response-handler",
            _set_aside(consumers.bucket, "response-handler"),
            expected.broken_answers,
        ),
        (
            "records that the event processor saw",
            consumers.metrics["EventsSeen"] + consumers.metrics["RecordsSetAside"],
            consumers.delivered["event_processor"],
        ),
    ]
    return [f"{name} differs" for name, found, wanted in checks if found != wanted]


def _answers(database: Database) -> tuple[int, int]:
    count = total = 0
    for row in database.each("responses"):
        count += 1
        total += _hash(
            [row["phone_number"]["S"], row["response_text"]["S"], int(row["response_timestamp"]["N"])]
        )
    return count, total


def _responses_of_subscribers(database: Database) -> int:
    return sum(int(row["total_responses"]["N"]) for row in database.each("subscribers"))


def _archived(bucket: Bucket) -> tuple[int, int, int]:
    """Return how many events the archive has, the sum of their hashes, and how many lie under a wrong day."""
    count = total = misplaced = 0
    for key, body in bucket.objects("events"):
        for event in unpacked(body):
            count += 1
            total += _hash(_fields_of(event))
            at = datetime.fromtimestamp(event.event_timestamp / 1000, UTC)
            misplaced += f"/year={at:%Y}/month={at:%m}/day={at:%d}/" not in key
    return count, total, misplaced


def _set_aside(bucket: Bucket, consumer: str) -> int:
    """Count the records of a consumer's quarantine; one that stands there twice counts once."""
    seen = {
        json.loads(line)["sequenceNumber"] + json.loads(line)["shardId"]
        for _, body in bucket.objects(f"quarantine/{consumer}")
        for line in body.splitlines()
    }
    return len(seen)


def page(figures: Figures) -> str:
    """Write the figures as a table."""
    given = figures.deliveries
    rows = [
        ["events of the generator", f"{figures.events:,}"],
        ["records given to the event processor, again ones included", f"{given['event_processor']:,}"],
        ["to the response handler", f"{given['response_handler']:,}"],
        ["to analytics", f"{given['analytics']:,}"],
        ["to the archive", f"{given['archive']:,}"],
        ["answers kept, and found there when they came again", _two(given, *_OUTCOMES)],
        ["peak memory at a fifth and at the end", " MB, ".join(map(str, figures.memory_mb)) + " MB"],
        ["bytes of an archived event", f"{figures.archive_bytes_per_event}"],
        ["time", f"{figures.seconds:.0f} s"],
        ["what differs from the generator's totals", "; ".join(figures.misses()) or "nothing"],
    ]
    return f"{table(['what', 'figure'], rows)}\n"


_OUTCOMES: Final = ("answers kept", "answers that came again")


def _two(given: Mapping[str, int], first: str, second: str) -> str:
    return f"{given[first]:,} and {given[second]:,}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print one JSON line, and return 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description="Send events through the consumers and add everything up.")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=20240115)
    parser.add_argument("--chunk", type=int, default=_CHUNK, help="events in memory at once")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.relative_to(ROOT)}")
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        figures = run(options.events, seed=options.seed, folder=Path(folder), chunk=options.chunk)
    misses = figures.misses()
    if options.write:
        write_block("million", page(figures), PAGE)
    print(
        json.dumps(
            {
                "events": figures.events,
                "seconds": figures.seconds,
                "deliveries": figures.deliveries,
                "log_lines_per_1000": figures.log_lines_per_1000,
                "archive_puts_per_1000": figures.archive_puts_per_1000,
                "archive_bytes_per_event": figures.archive_bytes_per_event,
                "memory_mb": {"at a fifth": figures.memory_mb[0], "at the end": figures.memory_mb[1]},
                "misses": misses,
            }
        )
    )
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
