"""Reviews and requests that were written, changed or deleted are counted; a new text is judged.

DynamoDB streams of both tables, at least once and in order by row. A batch that comes again changes
nothing, since the figures know what they hold of each row (``domain/figures.py``). A failure lets the batch
come again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.observability import instrumented, logger
from sms_engagement_runtime.review_collector.adapters.dynamodb_figures import DynamoFigures
from sms_engagement_runtime.review_collector.adapters.dynamodb_reviews import DynamoReviews
from sms_engagement_runtime.review_collector.adapters.review_counting import ReviewCounting
from sms_engagement_runtime.review_collector.adapters.review_stream import key_of


@dataclass(frozen=True, slots=True, kw_only=True)
class CountSettings:
    """Environment of this function.

    Attributes
    ----------
    reporting_time_zone
        IANA zone whose days are counted.
    """

    reviews_table: str
    figures_table: str
    reporting_time_zone: str


_settings = settings.load(CountSettings)
_client = clients.dynamodb_client()
_figures = DynamoFigures(_client, table=_settings.figures_table)
_counting = ReviewCounting(
    reviews=DynamoReviews(_client, table=_settings.reviews_table),
    zone=ZoneInfo(_settings.reporting_time_zone),
)


@instrumented
def handler(event: Mapping[str, Any], _context: object) -> None:
    """Count a batch of either stream."""
    records = event["Records"]
    # Of a row that changed twice in the batch only the last state counts.
    latest = {key_of(record): record for record in records}
    changed = _figures.apply([_counting.of_record(record) for record in latest.values()])
    logger.info("Reviews counted", records=len(records), changed=changed)
