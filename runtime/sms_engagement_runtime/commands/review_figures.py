"""``sms-engagement repair reviews``: counts all reviews and requests again, and puts right what differs.

For rows that were there before anybody counted, and where the streams were not read for a day. Each row is
compared with what the figures hold of it, so that running it twice, or while others write, counts nothing
twice. A row that changes in the very moment in which it is read may need a second run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import batched
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.aws_errors import service_call
from sms_engagement_runtime.channel.adapters.batch_get import PATIENT_PAUSES_SECONDS, read_batch
from sms_engagement_runtime.commands.exits import ExitStatus, end, fail
from sms_engagement_runtime.commands.progress import Progress
from sms_engagement_runtime.review_collector.adapters.dynamodb_figures import DynamoFigures
from sms_engagement_runtime.review_collector.adapters.dynamodb_reviews import DynamoReviews
from sms_engagement_runtime.review_collector.adapters.review_counting import ReviewCounting
from sms_engagement_runtime.review_collector.adapters.review_stream import plain_row
from sms_engagement_runtime.review_collector.domain.figures import Change

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ROWS: Final = 100


def repair_reviews(options: argparse.Namespace) -> ExitStatus:
    """Compare, and write where that is asked for."""
    try:
        zone = ZoneInfo(options.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        return fail(f"{options.time_zone!r} is no time zone; give one as America/New_York")
    client = clients.dynamodb_client(options.endpoint_url)
    figures = DynamoFigures(client, table=options.figures_table)
    is_to_write = options.write and not options.dry_run
    reviews = DynamoReviews(client, table=options.reviews_table) if is_to_write else None
    counting = ReviewCounting(reviews=reviews, zone=zone)
    settle = figures.apply if is_to_write else figures.differing
    report: dict[str, object] = {"command": "repair reviews", "dry_run": not is_to_write}
    rows = {"reviews": 0, "requests": 0}
    differed = 0
    with Progress("Rows") as progress:
        for name, table in (("reviews", options.reviews_table), ("requests", options.requests_table)):
            for page in batched(_rows(client, table), _ROWS, strict=False):
                differed += settle([counting.of_row(plain_row(row)) for row in page])
                rows[name] += len(page)
                progress.advance(len(page))
        gone = 0
        for keys in batched(figures.keys(), _ROWS, strict=False):
            lost = _lost(client, options, keys)
            # Whether they were deleted or left for their age nobody knows any more: the trend keeps them.
            gone += settle([Change(key, None, by_age=True) for key in lost])
            progress.advance(len(keys))
    found = {"rows": rows, "differed": differed, "gone": gone}
    return end(report | found, is_done=True)


def _rows(client: DynamoDBClient, table: str) -> Iterator[dict[str, Any]]:
    request: dict[str, Any] = {"TableName": table, "ConsistentRead": True, "Limit": _ROWS}
    while True:
        with service_call("dynamodb:Scan"):
            page = client.scan(**request)
        yield from page["Items"]
        last = page.get("LastEvaluatedKey")
        if not last:
            return
        request["ExclusiveStartKey"] = last


def _lost(client: DynamoDBClient, options: argparse.Namespace, keys: Sequence[str]) -> list[str]:
    """Return the entries whose row is gone."""
    lost: list[str] = []
    for kind, table, attribute in (
        ("review", options.reviews_table, "reviewId"),
        ("request", options.requests_table, "requestId"),
    ):
        wanted: Mapping[str, str] = {
            key.removeprefix(f"{kind}#"): key for key in keys if key.startswith(f"{kind}#")
        }
        if not wanted:
            continue
        found = read_batch(
            client,
            table,
            [{attribute: {"S": identifier}} for identifier in wanted],
            sleep=time.sleep,
            pauses=PATIENT_PAUSES_SECONDS,
            ProjectionExpression=attribute,
            ConsistentRead=True,
        )
        there = {row[attribute]["S"] for row in found}
        lost += [key for identifier, key in wanted.items() if identifier not in there]
    return lost
