"""The table of conversations in moto, with the key and the index that the construct gives it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.dynamodb_tables import channel_tables

CONVERSATIONS = "conversations"


@contextmanager
def appointment_tables() -> Iterator[Any]:
    """Mock AWS and yield a DynamoDB client that sees the channel's tables and this one, empty."""
    with channel_tables() as client:
        client.create_table(
            TableName=CONVERSATIONS,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "appointmentId", "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": "appointmentId", "AttributeType": "S"},
                {"AttributeName": "subscriberId", "AttributeType": "S"},
                {"AttributeName": "startsAt", "AttributeType": "N"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "subscriberId-startsAt-index",
                    "KeySchema": [
                        {"AttributeName": "subscriberId", "KeyType": "HASH"},
                        {"AttributeName": "startsAt", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
        yield client
