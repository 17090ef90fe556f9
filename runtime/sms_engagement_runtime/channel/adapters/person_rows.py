"""What the channel's tables have of one person, found by key and by index."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import batched
from typing import TYPE_CHECKING, Any, Final

from sms_engagement_runtime.channel.adapters.aws_errors import service_call
from sms_engagement_runtime.channel.adapters.batch_get import MOST_KEYS, read_batch
from sms_engagement_runtime.channel.adapters.dynamodb_messages import INDEX
from sms_engagement_runtime.channel.adapters.plain_rows import plain_row
from sms_engagement_runtime.channel.domain.timeline import ChannelRows

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOST_TEXTS: Final = 1_000
"""So many texts of a person are read at the most, the latest first: more than anybody reads."""


class PersonRows:
    """Reads a person's rows.

    Parameters
    ----------
    sleep
        Waits before keys that came back unread are asked for again.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        *,
        contacts_table: str,
        messages_table: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._contacts = contacts_table
        self._messages = messages_table
        self._sleep = sleep

    def of(self, subscriber_id: str, *, most_texts: int | None = MOST_TEXTS) -> ChannelRows:
        """Read what there is; the index of the ledger follows writes within moments.

        Raises
        ------
        TransientError
            A table did not answer.
        """
        contacts = [
            plain_row(item)
            for item in query(
                self._client, self._contacts, "subscriberId", subscriber_id, ConsistentRead=True
            )
        ]
        keys: list[Any] = []
        for item in query(
            self._client,
            self._messages,
            "subscriberId",
            subscriber_id,
            IndexName=INDEX,
            ScanIndexForward=False,
        ):
            if most_texts is not None and len(keys) >= most_texts:
                break
            keys.append({"messageKey": item["messageKey"]})
        messages = [
            plain_row(item)
            for some in batched(keys, MOST_KEYS, strict=False)
            for item in read_batch(self._client, self._messages, some, sleep=self._sleep, ConsistentRead=True)
        ]
        return ChannelRows(contacts, messages)


def query(
    client: DynamoDBClient, table: str, key: str, value: str, **options: Any
) -> Iterator[dict[str, Any]]:
    """Give the rows of one partition, of a table or of an index, in wire format."""
    pages = client.get_paginator("query").paginate(
        TableName=table,
        KeyConditionExpression="#key = :value",
        ExpressionAttributeNames={"#key": key},
        ExpressionAttributeValues={":value": {"S": value}},
        **options,
    )
    with service_call("dynamodb:Query"):
        for page in pages:
            yield from page["Items"]
