"""The review collector's tables in moto, with the keys and indexes that the construct gives them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3

from tests.support.dynamodb_tables import channel_tables, create_table

CUSTOMERS = "customers"
REVIEWS = "reviews"
REVIEW_REQUESTS = "review-requests"
FIGURES = "review-figures"


@cache
def aws_client(service: str) -> Any:
    """A client that meets moto whenever mocking is on. Making one takes longer than most tests."""
    return boto3.client(service)


@contextmanager
def review_tables() -> Iterator[Any]:
    """Mock AWS and yield a DynamoDB client that sees the channel's tables and these, empty."""
    with channel_tables() as client:
        create_table(client, CUSTOMERS, "userId")
        create_table(client, REVIEWS, "reviewId", ("userId", "timestamp"), ("status", "timestamp"))
        create_table(client, REVIEW_REQUESTS, "requestId", ("userId", "recordedAt"))
        client.create_table(
            TableName=FIGURES,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "part", "KeyType": "HASH"},
                {"AttributeName": "id", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("part", "id")],
        )
        yield client
