"""The channel's tables in moto, with the keys and indexes that the construct gives them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import RLock
from typing import Any
from unittest.mock import patch

import boto3
from botocore.client import BaseClient
from moto import mock_aws

CONTACTS = "contacts"
MESSAGES = "messages"


@cache
def _client() -> Any:
    # Made after moto was imported, a client meets moto whenever mocking is on; making one takes long.
    return boto3.client("dynamodb")


@contextmanager
def one_call_at_a_time() -> Iterator[None]:
    """Have calls of several threads follow one another, as far as each of them goes.

    A write to a row is atomic in DynamoDB, and in moto it is not: two that add at once may count as one.
    """
    real, lock = BaseClient._make_api_call, RLock()

    def call(self: BaseClient, *arguments: Any) -> Any:
        with lock:
            return real(self, *arguments)

    with patch.object(BaseClient, "_make_api_call", call):
        yield


@contextmanager
def channel_tables() -> Iterator[Any]:
    """Mock AWS and yield a DynamoDB client that sees both tables, empty."""
    with mock_aws(), one_call_at_a_time():
        client = _client()
        client.create_table(
            TableName=CONTACTS,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "subscriberId", "KeyType": "HASH"},
                {"AttributeName": "record", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "subscriberId", "AttributeType": "S"},
                {"AttributeName": "record", "AttributeType": "S"},
            ],
        )
        client.create_table(
            TableName=MESSAGES,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "messageKey", "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": "messageKey", "AttributeType": "S"},
                {"AttributeName": "subscriberId", "AttributeType": "S"},
                {"AttributeName": "claimedAt", "AttributeType": "N"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "subscriberId-claimedAt-index",
                    "KeySchema": [
                        {"AttributeName": "subscriberId", "KeyType": "HASH"},
                        {"AttributeName": "claimedAt", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
        )
        yield client
