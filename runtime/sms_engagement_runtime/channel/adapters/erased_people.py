"""Who was erased, as a list: for readers that meet thousands of people and must keep none of these.

Beside their tombstone, each erased person has a row of the contacts table under one partition key:
``subscriberId`` = ``erased``, ``record`` = the subscriber id, ``erasedAt`` (epoch ms). So one query, every
few seconds, is all that it costs to know: a page of a megabyte holds some ten thousand of them.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Final

from sms_engagement_runtime.channel.adapters.aws_errors import service_call

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PARTITION: Final = "erased"

MAX_AGE_SECONDS: Final = 10.0
"""How old a reader's list may be. An erasure waits longer than that before it looks at what readers write."""


class ErasedPeople:
    """The list, read again when it is older than ``max_age_seconds``. Safe to use from several threads.

    Parameters
    ----------
    clock
        Seconds that only grow.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        *,
        table: str,
        max_age_seconds: float = MAX_AGE_SECONDS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._client = client
        self._table = table
        self._max_age_seconds = max_age_seconds
        self._clock = clock
        self._lock = Lock()
        self._ids: frozenset[str] = frozenset()
        self._read_at = float("-inf")

    def __call__(self) -> frozenset[str]:
        """Return the subscriber ids of all who were erased.

        Raises
        ------
        TransientError
            The table did not answer.
        """
        with self._lock:
            if self._clock() - self._read_at >= self._max_age_seconds:
                # Before the query: the list is as old as the moment in which its reading began.
                began = self._clock()
                self._ids = self._read()
                self._read_at = began
            return self._ids

    def _read(self) -> frozenset[str]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            ConsistentRead=True,
            KeyConditionExpression="subscriberId = :erased",
            ExpressionAttributeValues={":erased": {"S": PARTITION}},
            ProjectionExpression="#record",
            ExpressionAttributeNames={"#record": "record"},
        )
        with service_call("dynamodb:Query"):
            return frozenset(item["record"]["S"] for page in pages for item in page["Items"])
