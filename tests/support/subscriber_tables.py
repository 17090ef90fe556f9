"""Tables of subscribers and responses in moto, with the keys and indexes that the construct gives them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.dynamodb_tables import channel_tables

SUBSCRIBERS = "subscribers"
RESPONSES = "responses"


@contextmanager
def subscriber_tables() -> Iterator[Any]:
    """Mock AWS and yield a DynamoDB client that sees the channel's tables and these, empty."""
    with channel_tables() as client:
        _create(client, SUBSCRIBERS, ("subscriber_id",), ("segment", "subscription_status"))
        _create(client, RESPONSES, ("subscriber_id", "response_key"), ("campaign_id", "response_key"))
        yield client


def _create(client: Any, name: str, key: tuple[str, ...], index: tuple[str, str]) -> None:
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=_schema(key),
        AttributeDefinitions=[
            {"AttributeName": attribute, "AttributeType": "S"} for attribute in sorted({*key, *index})
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": f"{index[0]}-{index[1]}-index",
                "KeySchema": _schema(index),
                "Projection": _projection(index),
            }
        ],
    )


def _projection(index: tuple[str, str]) -> dict[str, Any]:
    """Give an index what the construct gives it: that of segments holds little."""
    if index[0] != "segment":
        return {"ProjectionType": "ALL"}
    names = ["phone_number", "opt_in_timestamp", "opt_out_timestamp", "attributes"]
    return {"ProjectionType": "INCLUDE", "NonKeyAttributes": names}


def _schema(key: tuple[str, ...]) -> list[dict[str, str]]:
    return [
        {"AttributeName": attribute, "KeyType": kind}
        for attribute, kind in zip(key, ("HASH", "RANGE"), strict=False)
    ]
