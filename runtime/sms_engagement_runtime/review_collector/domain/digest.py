"""The daily digest: what came in since the last one, for whoever reads the admin topic."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sms_engagement_runtime.review_collector.domain.notices import Notice
from sms_engagement_runtime.review_collector.domain.ports import ReviewListing
from sms_engagement_runtime.review_collector.domain.reviews import ReviewStatus

SUBJECT: Final = "Daily review digest"

MAX_UNHAPPY: Final = 20
"""Ids of reviews with one or two stars in a digest; the table has all of them."""

_UNHAPPY: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestHour:
    """When the digest comes.

    Attributes
    ----------
    hour, minute
        By the wall clock of `zone`.
    """

    zone: ZoneInfo
    hour: int = 8
    minute: int = 0

    def period_before(self, now: datetime) -> tuple[datetime, datetime]:
        """Return the day that ended last: from this hour of one day to this hour of the next.

        Whenever the function is called, and however late, a period ends where the next one begins, on days
        of 23 and of 25 hours too.
        """
        today = now.astimezone(self.zone).date()
        # Where the clocks go back, today's hour may come twice: the first time counts.
        last = next(day for day in (today, today - _DAY, today - 2 * _DAY) if self._at(day) <= now)
        return self._at(last - _DAY), self._at(last)

    def _at(self, day: date) -> datetime:
        return datetime.combine(day, time(self.hour, self.minute), self.zone).astimezone(UTC)


_DAY: Final = timedelta(days=1)


def daily_digest(reviews: ReviewListing, hour: DigestHour, now: datetime) -> Notice:
    """Count the reviews of the day that ended last, and word the notice.

    Its first line says it all: ``12 reviews, 4.3★ on average``. Below are the distribution, what waits for
    moderation, and the ids of those with one or two stars. No name and no text: the notice of each review had
    them.
    """
    start, end = hour.period_before(now)
    ratings: Counter[int] = Counter()
    unhappy: list[str] = []
    waiting = 0
    for status in ReviewStatus:
        for review_id, rating in reviews.submitted_between(status, start, end):
            ratings[rating] += 1
            waiting += status is ReviewStatus.NEW
            if rating <= _UNHAPPY:
                unhappy.append(f"Review {review_id} ({rating}★)")
    paragraphs = [_headline(ratings), _distribution(ratings)] if ratings else [_headline(ratings)]
    if waiting:
        paragraphs.append(f"{waiting} of them {'waits' if waiting == 1 else 'wait'} for moderation.")
    if unhappy:
        more = [f"and {len(unhappy) - MAX_UNHAPPY} more"] if len(unhappy) > MAX_UNHAPPY else []
        paragraphs.append("\n".join(["Not happy:", *unhappy[:MAX_UNHAPPY], *more]))
    paragraphs.append(f"{_written(start, hour.zone)} to {_written(end, hour.zone)}, {hour.zone.key}")
    return Notice(SUBJECT, "\n\n".join(paragraphs))


def _headline(ratings: Counter[int]) -> str:
    count = ratings.total()
    if not count:
        return "No reviews"
    average = sum(rating * times for rating, times in ratings.items()) / count
    return f"{count} {'review' if count == 1 else 'reviews'}, {average:.1f}★ on average"


def _distribution(ratings: Counter[int]) -> str:
    return "\n".join(f"{rating}★  {ratings[rating]}" for rating in range(5, 0, -1))


def _written(instant: datetime, zone: ZoneInfo) -> str:
    return f"{instant.astimezone(zone):%Y-%m-%d %H:%M}"
