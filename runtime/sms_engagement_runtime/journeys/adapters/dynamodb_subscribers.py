"""The subscribers table: read by index or as a whole, and by key. Others write it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import batched
from typing import TYPE_CHECKING, Any, Final

from sms_engagement_runtime.channel.adapters.aws_errors import service_call
from sms_engagement_runtime.channel.adapters.batch_get import MOST_KEYS, read_batch
from sms_engagement_runtime.channel.domain.broadcast.audience import Cursor, Page
from sms_engagement_runtime.journeys.domain.conditions import SubscriberState
from sms_engagement_runtime.journeys.domain.subscribers import Subscriber, read_subscriber

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

INDEX: Final = "segment-subscription_status-index"
"""Subscribers of a segment by state; it has to project `INDEX_ATTRIBUTES`."""

KEY: Final = "subscriber_id"

# Nothing else of a subscriber is read: what is not in memory cannot leak into a log.
_NAMES: Final = {
    "#id": KEY,
    "#phone": "phone_number",
    "#status": "subscription_status",
    "#optedIn": "opt_in_timestamp",
    "#optedOut": "opt_out_timestamp",
    "#segment": "segment",
    "#attributes": "attributes",
}
_PROJECTION: Final = ", ".join(_NAMES)

INDEX_ATTRIBUTES: Final = frozenset(_NAMES.values())
"""What the index is asked for."""

# Of who is about to be texted: an index refuses to be asked for what it does not project.
_ALL_NAMES: Final = {**_NAMES, "#facts": "facts"}
_ALL: Final = ", ".join(_ALL_NAMES)

_SEGMENTS: Final = 8
"""Parts of the table that are scanned at once, each a page of 1 MB a call."""

_READERS: Final = 8


class DynamoSubscribers:
    """Reads subscribers, and never changes one.

    Parameters
    ----------
    sleep
        Waits before keys that came back unread are asked for again.
    """

    def __init__(
        self, client: DynamoDBClient, *, table: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._table = table
        self._sleep = sleep

    def page(
        self, cursor: Cursor | None, *, states: frozenset[SubscriberState], segment: str | None
    ) -> Page[Subscriber]:
        """Read a page of each state of a segment, or of each part of the table, at once.

        Whether an opt-in counts is not read here: `find` does, in the person's turn.

        Raises
        ------
        TransientError
            One could not be read.
        """
        lanes: list[str] = [str(number) for number in range(_SEGMENTS)] if segment is None else sorted(states)
        # Lanes that are read to their end are not in the cursor any more.
        starts: Mapping[str, Any] = dict.fromkeys(lanes) if cursor is None else cursor["lanes"]

        def read(lane: str) -> Any:
            start = {} if starts[lane] is None else {"ExclusiveStartKey": starts[lane]}
            if segment is None:
                return self._scan(int(lane), states, start)
            return self._query(segment, lane, start)

        with ThreadPoolExecutor(_SEGMENTS) as readers:
            pages = list(readers.map(read, starts))
        rows = [read_subscriber(_row(item)) for page in pages for item in page["Items"]]
        following = {
            lane: page["LastEvaluatedKey"]
            for lane, page in zip(starts, pages, strict=True)
            if page.get("LastEvaluatedKey")
        }
        return Page(rows=rows, next={"lanes": following} if following else None)

    def _scan(self, lane: int, states: frozenset[SubscriberState], start: dict[str, Any]) -> Any:
        wanted = {f":state{number}": {"S": str(state)} for number, state in enumerate(sorted(states))}
        with service_call("dynamodb:Scan"):
            return self._client.scan(
                TableName=self._table,
                Segment=lane,
                TotalSegments=_SEGMENTS,
                ProjectionExpression=_PROJECTION,
                FilterExpression=f"#status IN ({', '.join(wanted)})",
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues=wanted,
                **start,
            )

    def _query(self, segment: str, state: str, start: dict[str, Any]) -> Any:
        with service_call("dynamodb:Query"):
            return self._client.query(
                TableName=self._table,
                IndexName=INDEX,
                KeyConditionExpression="#segment = :segment AND #status = :state",
                ProjectionExpression=_PROJECTION,
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues={":segment": {"S": segment}, ":state": {"S": state}},
                **start,
            )

    def find(self, subscriber_ids: Sequence[str]) -> Mapping[str, Subscriber]:
        """Read these subscribers, a hundred in a call; those that do not exist are absent.

        Raises
        ------
        TransientError
            A call failed, or DynamoDB kept handing keys back unread.
        """
        chunks = list(batched(dict.fromkeys(subscriber_ids), MOST_KEYS, strict=False))
        with ThreadPoolExecutor(_READERS) as readers:
            return {one.subscriber_id: one for found in readers.map(self._find_some, chunks) for one in found}

    def _find_some(self, subscriber_ids: Sequence[str]) -> Sequence[Subscriber]:
        rows = read_batch(
            self._client,
            self._table,
            [{KEY: {"S": one}} for one in subscriber_ids],
            sleep=self._sleep,
            ProjectionExpression=_ALL,
            ExpressionAttributeNames=_ALL_NAMES,
            # Who was written down a moment ago, or opted out a moment ago.
            ConsistentRead=True,
        )
        return [read_subscriber(_row(row)) for row in rows]


def _row(item: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return texts, numbers, and maps and lists of them; leave out the rest: rows may be written by hand."""
    row: dict[str, Any] = {}
    for name, attribute in item.items():
        match attribute:
            case {"S": str(text)} | {"N": str(text)}:
                row[name] = text
            case {"M": members}:
                row[name] = _row(members)
            case {"L": elements}:
                row[name] = [*_row({str(number): one for number, one in enumerate(elements)}).values()]
    return row
