"""Counts in DynamoDB: one item a batch of the stream and day, which the batch overwrites when it comes again.

======================  ==================================================================================
attribute               content
======================  ==================================================================================
``day`` (key)           ``2026-11-21``: UTC day of what is counted
``batch`` (sort key)    ``<shard id>#<sequence number>`` of the first event in the batch that is of this day
``groups``              zlib of a JSON array of ``[hour, campaign, journey, country, delivered, failed,
                        responses, opt-outs, millicents]``; ``hour`` is hours since 1970, UTC
``expiresAt``           epoch seconds
``schemaVersion``       1
======================  ==================================================================================

Sums are made on reading: those of a day are the sums of its items.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sms_engagement_runtime.channel.adapters.aws_errors import service_call
from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Counts, Group

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Item = dict[str, Any]
"""A row in DynamoDB's notation."""

_SCHEMA_VERSION: Final = "1"
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
        self,
        shard_id: str,
        sequence_number: str,
        day_ms: int,
        groups: Mapping[Group, Counts],
        *,
        arrived_ms: int = 0,
    ) -> dict[Group, Counts]:
        """Write what a batch counts of a day; return what it had counted before, nothing where it is new.

        Parameters
        ----------
        sequence_number
            Of the first event that is of this day.
        day_ms
            Any instant of the day, epoch milliseconds.
        arrived_ms
            When the stream took the batch: what tells of days long ago is kept as long as anything else.

        Raises
        ------
        ServiceCallError
            The table did not answer. The batch shall come again.
        """
        item = to_item(shard_id, sequence_number, day_ms, groups, self._retention, arrived_ms=arrived_ms)
        with service_call("dynamodb:PutItem"):
            answer = self._client.put_item(TableName=self._table, Item=item, ReturnValues="ALL_OLD")
        old = answer.get("Attributes")
        return from_item(old) if old else {}

    def read(self, first: date, last: date) -> dict[Group, Counts]:
        """Add up what was counted for some days, both included."""
        sums: dict[Group, Counts] = {}
        day = first
        while day <= last:
            for item in self._items(day):
                for group, counts in from_item(item).items():
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
    sequence_number: str,
    day_ms: int,
    groups: Mapping[Group, Counts],
    retention: timedelta,
    *,
    arrived_ms: int = 0,
) -> Item:
    """Return the item of a batch and a day; see :meth:`DynamoCounts.put`."""
    kept_until = max(day_ms, arrived_ms) // 1000 + int(retention.total_seconds())
    return {
        "day": {"S": datetime.fromtimestamp(day_ms / 1000, UTC).date().isoformat()},
        "batch": {"S": f"{shard_id}#{sequence_number}"},
        "groups": {"B": _packed(groups)},
        "expiresAt": {"N": str(kept_until)},
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
