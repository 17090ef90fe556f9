"""Counts in DynamoDB: one item a batch of the stream, which the batch overwrites when it comes again.

======================  ==================================================================================
attribute               content
======================  ==================================================================================
``day`` (key)           ``2026-11-21``: UTC day of the first event of the batch
``batch`` (sort key)    ``<shard id>#<sequence number of its first event>``
``groups``              zlib of a JSON array of ``[hour, campaign, journey, country, delivered, failed,
                        responses, opt-outs, millicents]``; ``hour`` is hours since 1970, UTC
``expiresAt``           epoch seconds
``schemaVersion``       1
======================  ==================================================================================

Sums are made on reading. An event may be counted in an item of a later day than its own, since receipts come
up to 72 hours late and later in a replay; the hour inside is the event's own.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sms_engagement_runtime.channel.adapters.aws_errors import service_call
from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import (
    MILLISECONDS_PER_HOUR,
    Counts,
    Group,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Item = dict[str, Any]
"""A row in DynamoDB's notation."""

LATEST_RECEIPT: Final = timedelta(days=4)
"""An event comes at most so long after what it tells of: carriers' receipts take 72 hours (AWS, *Event
types*), and a day for what waits on the way."""

_SCHEMA_VERSION: Final = "1"
_HOURS_PER_DAY: Final = 24
_MOST_BYTES: Final = 380_000
"""Short of the 400 KB of an item."""

OTHER_CAMPAIGNS: Final = "(other)"

_encode = msgspec.json.Encoder().encode
_Row = tuple[int, str | None, str | None, str | None, int, int, int, int, int]
_decode = msgspec.json.Decoder(list[_Row]).decode


class DynamoCounts:
    """Writes and reads the counts of batches."""

    def __init__(self, client: DynamoDBClient, *, table: str, retention: timedelta) -> None:
        self._client = client
        self._table = table
        self._retention = retention

    def put(
        self, shard_id: str, first_sequence_number: str, first_event_ms: int, groups: Mapping[Group, Counts]
    ) -> dict[Group, Counts]:
        """Write the counts of a batch; return what it had counted before, empty for a batch that is new.

        Raises
        ------
        ServiceCallError
            The table did not answer. The batch shall come again.
        """
        item = to_item(shard_id, first_sequence_number, first_event_ms, groups, self._retention)
        with service_call("dynamodb:PutItem"):
            answer = self._client.put_item(TableName=self._table, Item=item, ReturnValues="ALL_OLD")
        old = answer.get("Attributes")
        return from_item(old) if old else {}

    def read(self, first: date, last: date) -> dict[Group, Counts]:
        """Add up what was counted for the hours of some days, both included."""
        sums: dict[Group, Counts] = {}
        first_hour = _hour_of(first)
        end_hour = _hour_of(last) + _HOURS_PER_DAY
        # The first event of a batch may be a day older than the others.
        day = first - timedelta(days=1)
        while day <= last + LATEST_RECEIPT:
            for item in self._items(day):
                for group, counts in from_item(item).items():
                    if first_hour <= group.hour < end_hour:
                        sums.setdefault(group, Counts()).add(counts)
            day += timedelta(days=1)
        return {group: counts for group, counts in sums.items() if counts}

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


def to_item(
    shard_id: str,
    first_sequence_number: str,
    first_event_ms: int,
    groups: Mapping[Group, Counts],
    retention: timedelta,
) -> Item:
    """Return a batch's item."""
    at = datetime.fromtimestamp(first_event_ms / 1000, UTC)
    return {
        "day": {"S": at.date().isoformat()},
        "batch": {"S": f"{shard_id}#{first_sequence_number}"},
        "groups": {"B": _packed(groups)},
        "expiresAt": {"N": str(int((at + retention).timestamp()))},
        "schemaVersion": {"N": _SCHEMA_VERSION},
    }


def from_item(item: Mapping[str, Any]) -> dict[Group, Counts]:
    """Return the counts of a batch's item."""
    rows = _decode(zlib.decompress(item["groups"]["B"]))
    return {Group(*row[:4]): Counts(*row[4:]) for row in rows}


def _packed(groups: Mapping[Group, Counts]) -> bytes:
    packed = _compressed(groups)
    if len(packed) <= _MOST_BYTES:
        return packed
    # Thousands of long campaign names in one batch: nothing is lost but whose texts they were.
    merged: dict[Group, Counts] = {}
    for group, counts in groups.items():
        merged.setdefault(Group(group.hour, OTHER_CAMPAIGNS, None, group.country_code), Counts()).add(counts)
    return _compressed(merged)


def _compressed(groups: Mapping[Group, Counts]) -> bytes:
    rows = [
        (*group, counts.delivered, counts.failed, counts.responses, counts.opt_outs, counts.cost_millicents)
        for group, counts in groups.items()
    ]
    return zlib.compress(_encode(rows), 1)


def _hour_of(day: date) -> int:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return int(midnight.timestamp() * 1000) // MILLISECONDS_PER_HOUR
