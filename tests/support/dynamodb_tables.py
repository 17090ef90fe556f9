"""The channel's tables in moto, with the keys and indexes that the construct gives them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import RLock
from types import ModuleType
from typing import Any
from unittest.mock import patch

import boto3
from botocore.client import BaseClient
from moto import mock_aws

from sms_engagement_runtime.channel.adapters.erased_people import PARTITION, ErasedPeople

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


def put_erased(client: Any, *subscriber_ids: str) -> None:
    """List people as erased."""
    for each in subscriber_ids:
        client.put_item(TableName=CONTACTS, Item={"subscriberId": {"S": PARTITION}, "record": {"S": each}})


@contextmanager
def erased_at_once(module: ModuleType, *subscriber_ids: str) -> Iterator[None]:
    """Have a handler know of erased people, without waiting until its list is old."""
    fresh = ErasedPeople(_client(), table=CONTACTS, max_age_seconds=0)
    with patch.object(module, "_erased", fresh):
        put_erased(_client(), *subscriber_ids)
        yield


def create_table(client: Any, name: str, key: str, *indexes: tuple[str, str]) -> None:
    """Make a table with a text as its key, and indexes of a text and a number that are named by both."""
    attributes = {key: "S"} | {text: "S" for text, _ in indexes} | {number: "N" for _, number in indexes}
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in attributes.items()],
        **(
            {
                "GlobalSecondaryIndexes": [
                    {
                        "IndexName": f"{text}-{number}-index",
                        "KeySchema": [
                            {"AttributeName": text, "KeyType": "HASH"},
                            {"AttributeName": number, "KeyType": "RANGE"},
                        ],
                        "Projection": {"ProjectionType": "ALL"},
                    }
                    for text, number in indexes
                ]
            }
            if indexes
            else {}
        ),
    )
