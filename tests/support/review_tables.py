"""The review collector's tables in moto, with the keys and indexes that the construct gives them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3

from tests.support.dynamodb_tables import channel_tables

CUSTOMERS = "customers"
REVIEWS = "reviews"
REVIEW_REQUESTS = "review-requests"


@cache
def aws_client(service: str) -> Any:
    """A client that meets moto whenever mocking is on. Making one takes longer than most tests."""
    return boto3.client(service)


@contextmanager
def review_tables() -> Iterator[Any]:
    """Mock AWS and yield a DynamoDB client that sees the channel's tables and these, empty."""
    with channel_tables() as client:
        _create(client, CUSTOMERS, "userId")
        _create(client, REVIEWS, "reviewId", ("userId", "timestamp"), ("status", "timestamp"))
        _create(client, REVIEW_REQUESTS, "requestId", ("userId", "recordedAt"))
        yield client


def _create(client: Any, name: str, key: str, *indexes: tuple[str, str]) -> None:
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
