"""The table of figures: counters a day, what each review and request added to them, and votes.

===================  ==============  ======================================================================
``part``             ``id``          other attributes
===================  ==============  ======================================================================
``days``             ``2026-11-21``  counters by the names of ``figures.COUNTERS``
``days``             ``total``       the same since the beginning
``review#<id>``      ``entry``       ``entry``: what the review added
``request#<id>``     ``entry``       ``entry``: what the request added
``vote#<reviewId>``  a bucket        ``expiresAt`` (epoch seconds)
===================  ==============  ======================================================================

All with ``schemaVersion``.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import batched
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import (
    ServiceCallError,
    cancellation_codes,
    error_code,
    service_call,
)
from sms_engagement_runtime.channel.adapters.batch_get import read_batch
from sms_engagement_runtime.channel.adapters.busy_rows import write_when_free
from sms_engagement_runtime.channel.adapters.dynamodb_item import Value, from_item, to_item
from sms_engagement_runtime.channel.adapters.instants import to_seconds
from sms_engagement_runtime.review_collector.domain.figures import COUNTERS, Change, Entry, differences
from sms_engagement_runtime.review_collector.domain.votes import Vote

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SCHEMA_VERSION: Final = 1

_DAYS: Final = "days"
_TOTAL: Final = "total"

# A transaction takes 100 actions (DynamoDB API reference, TransactWriteItems): an entry each, a day each at
# the worst, and the total.
_CHANGES: Final = 49
_PAUSES_SECONDS: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
_FAILED: Final = "ConditionalCheckFailed"
_MEANWHILE: Final = frozenset({_FAILED, "TransactionConflict", "ThrottlingError"})


class DynamoFigures:
    """Figures by day, and the entries that they are the sums of."""

    def __init__(
        self, client: DynamoDBClient, *, table: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._table = table
        self._sleep = sleep

    def since(self, first: str) -> dict[str, dict[str, int]]:
        """Read the days from one on, and the total, which sorts behind every day."""
        found: dict[str, dict[str, int]] = {}
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "#part = :days AND #id >= :first",
            "ExpressionAttributeNames": {"#part": "part", "#id": "id"},
            "ExpressionAttributeValues": to_item({":days": _DAYS, ":first": first}),
        }
        while True:
            with service_call("dynamodb:Query"):
                page = self._client.query(**request)
            for item in page["Items"]:
                row = from_item(item)
                found[row["id"]] = {name: row[name] for name in COUNTERS if name in row}
            last = page.get("LastEvaluatedKey")
            if not last:
                return found
            request["ExclusiveStartKey"] = last

    def apply(self, changes: Sequence[Change]) -> int:
        """Bring entries and figures to what the changes say; of two with one key the last one counts."""
        latest = {change.key: change for change in changes}
        return sum(self._apply(list(some)) for some in batched(latest.values(), _CHANGES, strict=False))

    def differing(self, changes: Sequence[Change]) -> int:
        """Return how many entries are not what the changes say; writes nothing."""
        found = 0
        for some in batched(changes, _CHANGES, strict=False):
            before = self._entries(some)
            found += sum(
                before.get(change.key) != (change.entry and change.entry.written()) for change in some
            )
        return found

    def keys(self) -> Iterator[str]:
        """Read the keys of all entries, by a scan: for whoever counts everything again."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "FilterExpression": "#id = :entry",
            "ProjectionExpression": "#part",
            "ExpressionAttributeNames": {"#part": "part", "#id": "id"},
            "ExpressionAttributeValues": to_item({":entry": "entry"}),
        }
        while True:
            with service_call("dynamodb:Scan"):
                page = self._client.scan(**request)
            yield from (from_item(item)["part"] for item in page["Items"])
            last = page.get("LastEvaluatedKey")
            if not last:
                return
            request["ExclusiveStartKey"] = last

    def _apply(self, changes: list[Change]) -> int:
        for pause in (*_PAUSES_SECONDS, None):
            before = self._entries(changes)
            news = [
                (change, before.get(change.key))
                for change in changes
                if before.get(change.key) != (change.entry and change.entry.written())
            ]
            if not news or self._write(news):
                return len(news)
            if pause is not None:
                self._sleep(pause)
        raise ServiceCallError("dynamodb:TransactWriteItems: others wrote the same figures each time")

    def _entries(self, changes: Sequence[Change]) -> dict[str, str]:
        keys = [to_item({"part": change.key, "id": "entry"}) for change in changes]
        rows = read_batch(self._client, self._table, keys, sleep=self._sleep, ConsistentRead=True)
        return {row["part"]: row["entry"] for row in map(from_item, rows)}

    def _write(self, news: Sequence[tuple[Change, str | None]]) -> bool:
        """Write all of it or nothing; False where something else was written meanwhile."""
        days = differences((change, Entry.read(text) if text else None) for change, text in news)
        total: Counter[str] = Counter()
        for counters in days.values():
            total.update(counters)
        actions: list[Any] = [self._entry_action(change, text) for change, text in news]
        actions += [self._add(day, counters) for day, counters in days.items()]
        total = Counter({name: value for name, value in total.items() if value})
        if total:
            actions.append(self._add(_TOTAL, total))
        with service_call("dynamodb:TransactWriteItems"):
            try:
                self._client.transact_write_items(TransactItems=actions)
            except ClientError as error:
                if _MEANWHILE.isdisjoint((error_code(error), *cancellation_codes(error))):
                    raise
                return False
        return True

    def _entry_action(self, change: Change, before: str | None) -> dict[str, Any]:
        key = to_item({"part": change.key, "id": "entry"})
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(#part)"}
        names = {"#part": "part"}
        if before is not None:
            condition = {
                "ConditionExpression": "#entry = :before",
                "ExpressionAttributeValues": to_item({":before": before}),
            }
            names = {"#entry": "entry"}
        common = {"TableName": self._table, "ExpressionAttributeNames": names, **condition}
        if change.entry is None:
            return {"Delete": {"Key": key, **common}}
        row = to_item({"entry": change.entry.written(), "schemaVersion": SCHEMA_VERSION})
        return {"Put": {"Item": {**key, **row}, **common}}

    def _add(self, day: str, counters: Counter[str]) -> dict[str, Any]:
        names = {f"#{name}": name for name in counters}
        sums = ", ".join(f"#{name} :{name}" for name in counters)
        values: dict[str, Value | None] = {f":{name}": value for name, value in counters.items()}
        return {
            "Update": {
                "TableName": self._table,
                "Key": to_item({"part": _DAYS, "id": day}),
                "UpdateExpression": f"ADD {sums} SET schemaVersion = :schema",
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": to_item(values | {":schema": SCHEMA_VERSION}),
            }
        }


class DynamoVotes:
    """Votes for reviews: counted on the review, once a bucket."""

    def __init__(
        self,
        client: DynamoDBClient,
        *,
        reviews_table: str,
        figures_table: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._reviews = reviews_table
        self._figures = figures_table
        self._sleep = sleep

    def add(self, review_id: str, bucket: str, *, now: datetime, until: datetime) -> Vote:
        """Count a vote in one transaction.

        Parameters
        ----------
        until
            When the bucket is free again. DynamoDB deletes rows later than that, so their time counts.
        """
        vote: dict[str, Value | None] = {
            "part": f"vote#{review_id}",
            "id": bucket,
            "expiresAt": to_seconds(until),
            "schemaVersion": SCHEMA_VERSION,
        }
        taken = {
            "TableName": self._figures,
            "Item": to_item(vote),
            "ConditionExpression": "attribute_not_exists(#part) OR expiresAt <= :now",
            "ExpressionAttributeNames": {"#part": "part"},
            "ExpressionAttributeValues": to_item({":now": to_seconds(now)}),
        }
        counted = {
            "TableName": self._reviews,
            "Key": to_item({"reviewId": review_id}),
            "UpdateExpression": "ADD helpful :one",
            "ConditionExpression": (
                "#status = :approved AND (attribute_not_exists(expiresAt) OR expiresAt > :now)"
            ),
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": to_item(
                {":one": 1, ":approved": "approved", ":now": to_seconds(now)}
            ),
        }
        actions: Any = [{"Put": taken}, {"Update": counted}]
        try:
            write_when_free(
                lambda: self._client.transact_write_items(TransactItems=actions),
                operation="dynamodb:TransactWriteItems",
                pauses=_PAUSES_SECONDS[:4],
                sleep=self._sleep,
            )
        except ServiceCallError as error:
            codes = cancellation_codes(error.__cause__) if isinstance(error.__cause__, ClientError) else []
            if _FAILED not in codes:
                raise
            return Vote.UNKNOWN if codes[-1] == _FAILED else Vote.REPEATED
        return Vote.COUNTED
