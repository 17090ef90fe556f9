"""The channel's tables in moto, with the keys and indexes that the construct gives them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3
from moto import mock_aws

CONTACTS = "contacts"
MESSAGES = "messages"


@cache
def _client() -> Any:
    # Made after moto was imported, a client meets moto whenever mocking is on; making one takes long.
    return boto3.client("dynamodb")


@contextmanager
def channel_tables() -> Iterator[Any]:
    """Mock AWS and yield a DynamoDB client that sees both tables, empty."""
    with mock_aws():
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
