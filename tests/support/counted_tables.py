"""The tables of analytics in moto, with the keys and indexes of the construct, and their rows."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_counts import DynamoCounts
from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import (
    MILLISECONDS_PER_HOUR,
    Counts,
    Group,
)
from tests.support.review_tables import review_tables

COUNTS = "counts"
RESPONSES = "responses"
SUBSCRIBERS = "subscribers"


@contextmanager
def counted_tables() -> Iterator[Any]:
    """Mock AWS and yield a DynamoDB client that sees these, the channel's and the reviews' tables, empty."""
    with review_tables() as client:
        _create(client, COUNTS, "day", "batch")
        _create(client, RESPONSES, "subscriber_id", "response_key")
        _create(client, SUBSCRIBERS, "subscriber_id", index=("segment", "subscription_status"))
        yield client


def _create(
    client: Any, name: str, key: str, sort_key: str | None = None, *, index: tuple[str, str] | None = None
) -> None:
    names = [key, *([sort_key] if sort_key else ())]
    indexes = [
        {
            "IndexName": f"{index[0]}-{index[1]}-index",
            "KeySchema": _schema(index),
            # As the construct has it: see `SmsAnalyticsPipeline`.
            "Projection": {
                "ProjectionType": "INCLUDE",
                "NonKeyAttributes": ["phone_number", "opt_in_timestamp", "opt_out_timestamp", "attributes"],
            },
        }
        for index in ((index,) if index else ())
    ]
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=_schema(names),
        AttributeDefinitions=[
            {"AttributeName": one, "AttributeType": "S"} for one in (*names, *(index or ()))
        ],
        **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
    )


def _schema(names: Any) -> list[dict[str, str]]:
    kinds = ("HASH", "RANGE")
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, kinds, strict=False)]


def hour_of(at: datetime) -> int:
    """Hours since 1970."""
    return int(at.timestamp() * 1000) // MILLISECONDS_PER_HOUR


def group(at: datetime, campaign: str | None = "c1", country: str | None = "US") -> Group:
    return Group(hour_of(at), campaign, "welcome" if campaign else None, country)


def put_counts(client: Any, groups: Mapping[Group, Counts], *, batch: str = "1") -> None:
    """Write what a batch counts, day by day, as the analytics consumer does."""
    days: dict[int, dict[Group, Counts]] = {}
    for one, counts in groups.items():
        days.setdefault(one.hour // 24, {})[one] = counts
    table = DynamoCounts(client, table=COUNTS, retention=timedelta(days=400))
    for day, counted in days.items():
        table.put("shard-0", f"{batch}-{day}", day * 24 * MILLISECONDS_PER_HOUR, counted)


def put_subscriber(client: Any, subscriber_id: str, status: str = "NEW", **further: Any) -> None:
    """Write a row by hand, in segment demo."""
    row: dict[str, Any] = {
        "subscriber_id": {"S": subscriber_id},
        "subscription_status": {"S": status},
        "segment": {"S": "demo"},
        "attributes": {"M": {"segment": {"S": "demo"}, "name": {"S": further.pop("name", "John Doe")}}},
    }
    for name, value in further.items():
        row[name] = {"N": str(value)} if isinstance(value, int) else {"S": value}
    client.put_item(TableName=SUBSCRIBERS, Item=row)


def put_answer(client: Any, subscriber_id: str, text: str, sentiment: str, *, at: datetime) -> None:
    """Write an answer as the response handler does."""
    ms = int(at.astimezone(UTC).timestamp() * 1000)
    client.put_item(
        TableName=RESPONSES,
        Item={
            "subscriber_id": {"S": subscriber_id},
            "response_key": {"S": f"{ms:013}#in-{ms}"},
            "response_timestamp": {"N": str(ms)},
            "response_text": {"S": text},
            "sentiment": {"S": sentiment},
        },
    )
