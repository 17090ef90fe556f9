"""Rows that a rebuild compares with those that are there, and writes where they differ.

Everything here may be ended anywhere and done again.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import batched
from typing import TYPE_CHECKING, Any, Final, Protocol

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError, service_call
from sms_engagement_runtime.channel.adapters.batch_get import MOST_KEYS, read_batch
from sms_engagement_runtime.channel.adapters.dynamodb_item import Item, to_item
from sms_engagement_runtime.channel.domain.errors import PermanentError
from sms_engagement_runtime.channel.domain.sentiment import SentimentAnalyser
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_counts import (
    from_item,
)
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_counts import (
    to_item as counts_item,
)
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_responses import to_row
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_subscribers import DynamoSubscribers
from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Counts, Group
from sms_engagement_runtime.sms_analytics_pipeline.domain.rebuilding import (
    Days,
    History,
    by_day,
    hours_of,
    missing_counts,
    rebuilt,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.responses import response_of
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import (
    Subscriber,
    SubscriberChangedError,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOST_WRITES: Final = 25
"""Rows in one ``BatchWriteItem`` (Amazon DynamoDB API reference)."""

CORRECTION: Final = "rebuilt"
"""Stands where the shard's name does in the sort key of what a rebuild adds to a day's counts."""

_PAUSES_SECONDS: Final = tuple(0.05 * 2**number for number in range(9))
_MOST_ATTEMPTS: Final = 8
_LARGEST_ITEM: Final = 300_000
"""Bytes of packed counts: short of the 400 KB of an item."""


@dataclass(slots=True, kw_only=True)
class RowTally:
    """What became of rows.

    Attributes
    ----------
    same, missing, different
        As the archive tells them; not there; there and not as the archive tells them.
    written
        Of those that are missing or different.
    """

    same: int = 0
    missing: int = 0
    different: int = 0
    written: int = 0

    def add(self, other: RowTally) -> None:
        """Add up."""
        self.same += other.same
        self.missing += other.missing
        self.different += other.different
        self.written += other.written

    def as_report(self) -> dict[str, int]:
        """Return the figures by name."""
        return asdict(self)


class ResponseRebuild:
    """Writes rows of ``responses``.

    Parameters
    ----------
    now
        Epoch seconds: rows whose time is over are not written.
    is_dry
        Compare, and write nothing.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        *,
        table: str,
        analyse: SentimentAnalyser,
        now: int,
        is_dry: bool,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table = table
        self._analyse = analyse
        self._now = now
        self._is_dry = is_dry
        self._sleep = sleep

    def write(self, people: Iterable[History]) -> RowTally:
        """Write the answers of some people.

        Raises
        ------
        ServiceCallError
            The table did not answer, or left rows unprocessed time and again.
        """
        responses = (
            response_of(answer, self._analyse) for person in people for answer in person.answers.values()
        )
        rows = (to_row(response) for response in responses if response.ttl > self._now)
        tally = RowTally()
        for some in batched(rows, MOST_KEYS, strict=False):
            wanted = {_key_of(row): row for row in some}
            there = {_key_of(row): row for row in self._read(wanted.values())}
            to_write = [row for key, row in wanted.items() if there.get(key) != row]
            tally.same += len(wanted) - len(to_write)
            tally.missing += len(wanted) - len(there)
            tally.different += len(to_write) - (len(wanted) - len(there))
            if not self._is_dry:
                for portion in batched(to_write, MOST_WRITES, strict=False):
                    self._put(portion)
                    tally.written += len(portion)
        return tally

    def _read(self, rows: Iterable[Item]) -> Iterator[Item]:
        keys = [{"subscriber_id": row["subscriber_id"], "response_key": row["response_key"]} for row in rows]
        return read_batch(
            self._client, self._table, keys, sleep=self._sleep, pauses=_PAUSES_SECONDS, ConsistentRead=True
        )

    def _put(self, rows: Iterable[Item]) -> None:
        requests: Any = {self._table: [{"PutRequest": {"Item": row}} for row in rows]}
        for pause in (0, *_PAUSES_SECONDS):
            self._sleep(pause)
            with service_call("dynamodb:BatchWriteItem"):
                answer = self._client.batch_write_item(RequestItems=requests)
            requests = answer.get("UnprocessedItems")
            if not requests:
                return
        raise ServiceCallError("dynamodb:BatchWriteItem: rows stayed unprocessed")


def _key_of(row: Item) -> tuple[str, str]:
    return row["subscriber_id"]["S"], row["response_key"]["S"]


class RunAll(Protocol):
    """How calls that do not depend on one another are made: in turn, or in several threads."""

    def __call__[T, R](self, work: Callable[[T], R], things: Iterable[T], /) -> Iterable[R]:
        """Give the results in the order of the things."""
        ...


class SubscriberRebuild:
    """Writes rows of ``subscribers``, each on the condition that it is the one that was read.

    Parameters
    ----------
    is_dry
        Compare, and write nothing.
    run_all
        ``ThreadPoolExecutor.map`` or ``map``: rows are written one by one.
    """

    def __init__(
        self,
        subscribers: DynamoSubscribers,
        *,
        is_dry: bool,
        run_all: RunAll,
    ) -> None:
        self._subscribers = subscribers
        self._is_dry = is_dry
        self._run_all = run_all

    def write(self, people: Iterable[History]) -> RowTally:
        """Join what the archive says of some people to their rows.

        Raises
        ------
        SubscriberChangedError
            Others kept writing a row.
        ServiceCallError
            The table did not answer.
        """
        tally = RowTally()
        for some in batched(people, MOST_KEYS, strict=False):
            rows = self._subscribers.find(person.subscriber_id for person in some)
            to_write = []
            for person in some:
                row = rows.get(person.subscriber_id)
                if rebuilt(row, person) == row:
                    tally.same += 1
                    continue
                tally.missing += row is None
                tally.different += row is not None
                to_write.append((person, row))
            if not self._is_dry:
                for written in self._run_all(self._put, to_write):
                    tally.add(written)
        return tally

    def _put(self, entry: tuple[History, Subscriber | None]) -> RowTally:
        person, row = entry
        for left in reversed(range(_MOST_ATTEMPTS)):
            becomes = rebuilt(row, person)
            if becomes == row:
                break
            try:
                self._subscribers.put(becomes, expected_version=becomes.version)
            except SubscriberChangedError:
                if not left:
                    raise
                row = self._subscribers.find([person.subscriber_id]).get(person.subscriber_id)
                continue
            return RowTally(written=1)
        return RowTally()


class CountsChangedError(PermanentError):
    """Events of these days were counted while the archive was read."""


@dataclass(slots=True, kw_only=True)
class CountsComparison:
    """What the table says of the hours of a day, and what the archive says.

    Attributes
    ----------
    counted
        With what an earlier rebuild has added.
    differing
        Groups of hour, campaign, journey and country that the two do not agree about.
    written
        Whether the difference was written.
    """

    counted: Counts
    archived: Counts
    differing: int
    written: bool = False

    def as_report(self) -> dict[str, object]:
        """Return the figures by name."""
        return asdict(self)


class CountsRebuild:
    """Compares the counts table with the archive, and adds what it lacks.

    What is added lies under the day and ``rebuilt#000`` and up: for each hour of the day, what the items of
    batches are short of, or have too much. Written anew each time.

    Parameters
    ----------
    retention
        How long counts are kept, as in the analytics function.
    now
        Epoch seconds.
    """

    def __init__(self, client: DynamoDBClient, *, table: str, retention: timedelta, now: int) -> None:
        self._client = client
        self._table = table
        self._retention = retention
        self._now = now

    def read(self, days: Days) -> CountedHours:
        """Read what is counted of some days.

        Raises
        ------
        ServiceCallError
            The table did not answer.
        """
        hours = hours_of(days)
        by_batches: dict[Group, Counts] = {}
        added: dict[Group, Counts] = {}
        items: dict[tuple[str, str], Item] = {}
        for day in days:
            for item in self._items(day):
                is_ours = item["batch"]["S"].startswith(f"{CORRECTION}#")
                if is_ours:
                    items[item["day"]["S"], item["batch"]["S"]] = item
                sums = added if is_ours else by_batches
                for group, counts in from_item(item).items():
                    if group.hour in hours:
                        sums.setdefault(group, Counts()).add(counts)
        return CountedHours(days=days, by_batches=by_batches, added=added, items=items)

    def _items(self, day: date) -> Iterator[Item]:
        start: dict[str, Any] = {}
        while True:
            with service_call("dynamodb:Query"):
                page = self._client.query(
                    TableName=self._table,
                    KeyConditionExpression="#day = :day",
                    ExpressionAttributeNames={"#day": "day"},
                    ExpressionAttributeValues={":day": {"S": day.isoformat()}},
                    ConsistentRead=True,
                    **start,
                )
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def compare(
        self, before: CountedHours, archived: Mapping[Group, Counts], *, write: bool
    ) -> dict[date, CountsComparison]:
        """Compare, and write what is missing.

        Parameters
        ----------
        before
            What the table said before the archive was read.
        archived
            What the archive says of the same hours.

        Raises
        ------
        CountsChangedError
            The table says something else by now: events came in, and the archive may have them or not.
            Nothing was written.
        ServiceCallError
            The table did not answer.
        """
        counted = self.read(before.days)
        if missing_counts(counted.by_batches, before.by_batches):
            msg = "events of these days were counted meanwhile; no count was changed, run it again"
            raise CountsChangedError(msg)
        differing = by_day(missing_counts(archived, counted.sums))
        comparisons = {
            day: CountsComparison(counted=Counts(), archived=Counts(), differing=len(differing.get(day, {})))
            for day in before.days
        }
        for day, groups in by_day(counted.sums).items():
            for counts in groups.values():
                comparisons[day].counted.add(counts)
        for day, groups in by_day(archived).items():
            for counts in groups.values():
                comparisons[day].archived.add(counts)
        if write:
            corrections = by_day(missing_counts(archived, counted.by_batches))
            for day, comparison in comparisons.items():
                comparison.written = self._write(day, corrections.get(day, {}), counted.items)
        return comparisons

    def _write(
        self, day: date, groups: Mapping[Group, Counts], there: Mapping[tuple[str, str], Item]
    ) -> bool:
        """Write what a day is to have besides its batches' items; whether anything had to be."""
        midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
        ordered = sorted(groups.items(), key=lambda entry: tuple(str(part) for part in entry[0]))
        # It goes when the batches' items of the day go; that of a day whose time is over stays as long anew.
        is_over = midnight // 1000 + self._retention.total_seconds() <= self._now
        arrived_ms = self._now * 1000 if is_over else 0
        items = [
            counts_item(
                CORRECTION, f"{number:03}", midnight, dict(portion), self._retention, arrived_ms=arrived_ms
            )
            for number, portion in enumerate(_portions(ordered))
        ]
        keys = {item["batch"]["S"] for item in items}
        changed = False
        for item in items:
            old = there.get((item["day"]["S"], item["batch"]["S"]))
            if old is None or old["groups"] != item["groups"]:
                with service_call("dynamodb:PutItem"):
                    self._client.put_item(TableName=self._table, Item=item)
                changed = True
        for place, name in there:
            if place == day.isoformat() and name not in keys:
                with service_call("dynamodb:DeleteItem"):
                    self._client.delete_item(
                        TableName=self._table, Key=to_item({"day": place, "batch": name})
                    )
                changed = True
        return changed


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedHours:
    """What the counts table has for the hours of some days.

    Attributes
    ----------
    by_batches, added
        In the items of batches, and in those of earlier rebuilds.
    items
        Of earlier rebuilds, by key.
    """

    days: Days
    by_batches: Mapping[Group, Counts]
    added: Mapping[Group, Counts]
    items: Mapping[tuple[str, str], Item]

    @property
    def sums(self) -> dict[Group, Counts]:
        """What a reader of the table gets."""
        sums = {group: replace(counts) for group, counts in self.by_batches.items()}
        for group, counts in self.added.items():
            sums.setdefault(group, Counts()).add(counts)
        return {group: counts for group, counts in sums.items() if counts}


def _portions(
    groups: Sequence[tuple[Group, Counts]],
) -> Iterator[Sequence[tuple[Group, Counts]]]:
    """Cut what is too much for one item: nothing is merged, as a batch of the stream would be."""
    if not groups:
        return
    text = repr([(tuple(group), asdict(counts)) for group, counts in groups]).encode()
    if len(groups) > 1 and len(zlib.compress(text, 1)) > _LARGEST_ITEM:
        middle = len(groups) // 2
        yield from _portions(groups[:middle])
        yield from _portions(groups[middle:])
        return
    yield groups
