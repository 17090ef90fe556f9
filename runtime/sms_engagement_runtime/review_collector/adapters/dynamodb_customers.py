"""The customers table: read by everybody's page and by key, and added to where events bring customers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import batched
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import error_code, service_call
from sms_engagement_runtime.channel.adapters.batch_get import MOST_KEYS, read_batch
from sms_engagement_runtime.channel.adapters.dynamodb_item import to_item
from sms_engagement_runtime.channel.adapters.instants import to_seconds
from sms_engagement_runtime.channel.domain.broadcast.audience import Cursor, Page
from sms_engagement_runtime.review_collector.adapters.attributes import tolerant_row
from sms_engagement_runtime.review_collector.adapters.dynamodb_requests import CONDITION_FAILED
from sms_engagement_runtime.review_collector.domain.customers import Customer, read_customer

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Nothing else of a customer is read: what is not in memory cannot leak into a log.
_NAMES: Final = {
    "#userId": "userId",
    "#phoneNumber": "phoneNumber",
    "#name": "name",
    "#status": "status",
    "#locale": "locale",
    "#timeZone": "timeZone",
}
_PROJECTION: Final = ", ".join(_NAMES)

_READERS: Final = 8
"""Such calls at the same time."""

KEPT_FOR: Final = timedelta(days=90)
"""How long a customer is kept whom an event brought; longer than a request and its reminder take."""


class DynamoCustomers:
    """Reads customers, and adds some; never changes one.

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

    def page(self, cursor: Cursor | None) -> Page[Customer]:
        """Read a page of the table (1 MB of it).

        Raises
        ------
        TransientError
            It could not be read.
        """
        start: dict[str, Any] = {"ExclusiveStartKey": dict(cursor)} if cursor else {}
        with service_call("dynamodb:Scan"):
            page = self._client.scan(
                TableName=self._table,
                ProjectionExpression=_PROJECTION,
                ExpressionAttributeNames=_NAMES,
                **start,
            )
        rows = [read_customer(tolerant_row(item)) for item in page["Items"]]
        return Page(rows=rows, next=page.get("LastEvaluatedKey"))

    def everybody(self) -> Iterator[Customer]:
        """Read the table page by page (1 MB each), so that memory does not grow with it.

        Raises
        ------
        TransientError
            A page could not be read.
        """
        start: dict[str, Any] = {}
        while True:
            with service_call("dynamodb:Scan"):
                page = self._client.scan(
                    TableName=self._table,
                    ProjectionExpression=_PROJECTION,
                    ExpressionAttributeNames=_NAMES,
                    **start,
                )
            for item in page["Items"]:
                yield read_customer(tolerant_row(item))
            last = page.get("LastEvaluatedKey")
            if not last:
                return
            start = {"ExclusiveStartKey": last}

    def find(self, user_ids: Sequence[str]) -> Mapping[str, Customer]:
        """Read these customers, a hundred in a call; those that do not exist are absent.

        Raises
        ------
        TransientError
            A call failed, or DynamoDB kept handing keys back unread.
        """
        chunks = list(batched(dict.fromkeys(user_ids), MOST_KEYS, strict=False))
        if len(chunks) == 1:
            return {customer.user_id: customer for customer in self._find_some(chunks[0])}
        # Nobody of a part is asked before all of it is read.
        with ThreadPoolExecutor(_READERS) as readers:
            return {
                customer.user_id: customer
                for customers in readers.map(self._find_some, chunks)
                for customer in customers
            }

    def add(self, customer: Customer, *, created_at: datetime, source: str) -> Customer | None:
        """Write a row unless there is one of that id: then return that one.

        The row has ``userId``, ``status``, ``createdAt`` (epoch seconds), ``source``, ``expiresAt`` and,
        where they are known, ``phoneNumber``, ``name``, ``locale`` and ``timeZone``. It is kept for
        `KEPT_FOR`: it was added for one request, and whoever comes back is added again.

        Raises
        ------
        TransientError
            It could not be written.
        """
        row = {
            "userId": customer.user_id,
            "phoneNumber": customer.phone_number,
            "name": customer.name,
            "status": "active" if customer.is_active else "inactive",
            "locale": customer.locale,
            "timeZone": customer.time_zone,
            "createdAt": to_seconds(created_at),
            "source": source,
            "expiresAt": to_seconds(created_at + KEPT_FOR),
        }
        with service_call("dynamodb:PutItem"):
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item=to_item(row),
                    ConditionExpression="attribute_not_exists(userId)",
                    # The reading before this may have missed it, and so may another one.
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                if error_code(error) != CONDITION_FAILED:
                    raise
                refusal: Any = error.response
                return read_customer(tolerant_row(refusal["Item"]))
        return None

    def _find_some(self, user_ids: Sequence[str]) -> Sequence[Customer]:
        rows = read_batch(
            self._client,
            self._table,
            [{"userId": {"S": user_id}} for user_id in user_ids],
            sleep=self._sleep,
            ProjectionExpression=_PROJECTION,
            ExpressionAttributeNames=_NAMES,
        )
        return [read_customer(tolerant_row(row)) for row in rows]
