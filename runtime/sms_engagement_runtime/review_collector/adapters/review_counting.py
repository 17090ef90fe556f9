"""From rows of the tables to what the figures hold of them: for the streams, and for counting again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sms_engagement_runtime.channel.domain.sentiment import SentimentAnalyser, analyse
from sms_engagement_runtime.review_collector.adapters.dynamodb_reviews import DynamoReviews
from sms_engagement_runtime.review_collector.adapters.review_stream import is_expiry, key_of, new_row
from sms_engagement_runtime.review_collector.domain.archive import Row
from sms_engagement_runtime.review_collector.domain.figures import Change, Entry, request_entry, review_entry


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewCounting:
    """Turns rows into what the figures are to hold of them.

    Attributes
    ----------
    reviews
        Told what a text says that nobody has judged; None where nothing is to be written.
    """

    reviews: DynamoReviews | None
    zone: ZoneInfo
    judge: SentimentAnalyser = analyse

    def _review(self, row: Row) -> Entry | None:
        """Return what a review adds; a text that nobody has judged is judged, and the row says so then."""
        sentiment = row.get("sentiment")
        if sentiment is None:
            text, version = row.get("reviewText"), row.get("version", 1)
            sentiment = self.judge(text if isinstance(text, str) else None).value
            if isinstance(version, int) and self.reviews is not None:
                # False where the review was edited meanwhile: that version comes behind this one.
                self.reviews.set_sentiment(str(row["reviewId"]), sentiment, version=version)
        return review_entry(
            timestamp_ms=row.get("timestamp"),
            rating=row.get("rating"),
            status=row.get("status"),
            sentiment=sentiment,
            zone=self.zone,
        )

    def of_row(self, row: Row) -> Change:
        """Return what a row of either table makes of the figures."""
        if "reviewId" in row:
            return Change(f"review#{row['reviewId']}", self._review(row))
        entry = request_entry(asked_at=row.get("askedAt"), answered_at=row.get("answeredAt"), zone=self.zone)
        return Change(f"request#{row['requestId']}", entry)

    def of_record(self, record: Mapping[str, Any]) -> Change:
        """Return what a record of either stream makes of the figures."""
        row = new_row(record)
        if row is not None:
            return self.of_row(row)
        name, identifier = key_of(record)
        key = f"{'review' if name == 'reviewId' else 'request'}#{identifier}"
        return Change(key, None, by_age=is_expiry(record))
