"""Figures of all reviews, kept up to date day by day: nobody counts millions of rows to draw a chart.

What each review and each request adds to the figures is kept beside them, under its id. A change takes that
off and adds what holds now, both in one transaction with the new entry: a change that comes twice finds its
entry and does nothing, and one that was lost is made good by the next one, or by counting again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from sms_engagement_runtime.review_collector.domain.reviews import ReviewStatus

RATINGS: Final = (1, 2, 3, 4, 5)
SENTIMENTS: Final = ("positive", "neutral", "negative")

MAX_DAYS: Final = 366

type Counts = Mapping[str, int]
"""Name of a counter to its value: ``rating1`` to ``rating5``, the sentiments, the statuses, ``asked`` and
``answered``."""

COUNTERS: Final = (
    *(f"rating{rating}" for rating in RATINGS),
    *SENTIMENTS,
    *(status.value for status in ReviewStatus),
    "asked",
    "answered",
)

_STATUSES: Final = frozenset(status.value for status in ReviewStatus)


@dataclass(frozen=True, slots=True)
class Entry:
    """What one review or one request adds to the figures.

    Attributes
    ----------
    day
        ``2026-11-21``, on which the review was first submitted, or the request went out.
    counters
        Names, each of which it raises by one.
    """

    day: str
    counters: tuple[str, ...]

    def written(self) -> str:
        """Spell the entry, as it is stored and compared."""
        return "|".join((self.day, *self.counters))

    @classmethod
    def read(cls, text: str) -> Entry:
        """Read what `written` wrote."""
        day, *counters = text.split("|")
        return cls(day, tuple(counters))


@dataclass(frozen=True, slots=True)
class Change:
    """What the figures are to hold of one review or request.

    Attributes
    ----------
    key
        ``review#<id>`` or ``request#<id>``.
    entry
        None where it is gone.
    by_age
        Whether it went for its age: then the days keep what they had of it, apart from its status.
    """

    key: str
    entry: Entry | None
    by_age: bool = False


class FiguresReader(Protocol):
    """Figures by day. May raise ``TransientError``."""

    def since(self, first: str) -> Mapping[str, Counts]:
        """Read the days from one on, in order, and ``total`` at the end; days without any are missing."""
        ...


class FiguresLedger(Protocol):
    """Entries and figures. May raise ``TransientError``."""

    def apply(self, changes: Sequence[Change]) -> int:
        """Bring entries and figures to what the changes say; return how many were not so yet."""
        ...


def review_entry(
    *, timestamp_ms: object, rating: object, status: object, sentiment: object, zone: ZoneInfo
) -> Entry | None:
    """Return what a review adds; None where the row is none that we count.

    Parameters
    ----------
    timestamp_ms
        First submission, epoch milliseconds.
    """
    day = _day(timestamp_ms, zone, per_second=1000)
    if day is None or type(rating) is not int or rating not in RATINGS:
        return None
    if status not in _STATUSES or sentiment not in SENTIMENTS:
        return None
    return Entry(day, (f"rating{rating}", str(sentiment), str(status)))


def request_entry(*, asked_at: object, answered_at: object, zone: ZoneInfo) -> Entry | None:
    """Return what a request adds, on the day it went out; None where no text went out.

    Parameters
    ----------
    asked_at, answered_at
        Epoch seconds.
    """
    day = _day(asked_at, zone)
    if day is None:
        return None
    return Entry(day, ("asked",) if answered_at is None else ("asked", "answered"))


def differences(changes: Iterable[tuple[Change, Entry | None]]) -> dict[str, Counter[str]]:
    """Return by how much each day's counters change.

    Parameters
    ----------
    changes
        With the entry that is there before.
    """
    days: dict[str, Counter[str]] = {}
    for change, before in changes:
        if before is not None:
            taken = _STATUSES.intersection(before.counters) if change.by_age else before.counters
            days.setdefault(before.day, Counter()).subtract(taken)
        if change.entry is not None:
            days.setdefault(change.entry.day, Counter()).update(change.entry.counters)
    for counters in days.values():
        for name in [name for name, value in counters.items() if value == 0]:
            del counters[name]
    return {day: counters for day, counters in days.items() if counters}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Sums over some days.

    Attributes
    ----------
    first, last
        Days, both counted.
    counts
        By the names of `COUNTERS`.
    """

    first: date
    last: date
    counts: Counts = field(default_factory=dict)

    def of(self, name: str) -> int:
        """Return one counter, never below zero."""
        return max(0, self.counts.get(name, 0))

    @property
    def ratings(self) -> tuple[int, ...]:
        """Reviews with one to five stars."""
        return tuple(self.of(f"rating{rating}") for rating in RATINGS)

    @property
    def reviews(self) -> int:
        """Number of reviews."""
        return sum(self.ratings)

    @property
    def average(self) -> float | None:
        """Stars on average; None without reviews."""
        if not self.reviews:
            return None
        return sum(rating * times for rating, times in zip(RATINGS, self.ratings, strict=True)) / self.reviews

    @property
    def response_rate(self) -> float | None:
        """Share of the requests of these days that were answered, whenever; None where nobody was asked."""
        asked = self.of("asked")
        return min(1.0, self.of("answered") / asked) if asked else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What the charts show.

    Attributes
    ----------
    period
        Sums of all its days.
    ever
        Counters since the beginning.
    steps
        The period in pieces of equal length (the first may be shorter), oldest first: what a trend is drawn
        from.
    """

    period: Figures
    ever: Counts
    steps: tuple[Figures, ...]


def overview(reader: FiguresReader, *, days: int, now: datetime, zone: ZoneInfo) -> Overview:
    """Read the figures of the last days, today included, in one query."""
    today = now.astimezone(zone).date()
    first = today - timedelta(days=days - 1)
    found = dict(reader.since(first.isoformat()))
    ever = found.pop("total", {})
    length = 1 if days <= 31 else 7 if days <= 100 else 30
    steps: list[Figures] = []
    last = today
    while last >= first:
        begins = max(first, last - timedelta(days=length - 1))
        steps.append(Figures(first=begins, last=last, counts=_sum(found, begins, last)))
        last = begins - timedelta(days=1)
    steps.reverse()
    return Overview(
        period=Figures(first=first, last=today, counts=_sum(found, first, today)),
        ever=ever,
        steps=tuple(steps),
    )


def _sum(days: Mapping[str, Counts], first: date, last: date) -> Counter[str]:
    total: Counter[str] = Counter()
    for day, counts in days.items():
        if first.isoformat() <= day <= last.isoformat():
            total.update(counts)
    return total


def _day(instant: object, zone: ZoneInfo, *, per_second: int = 1) -> str | None:
    if type(instant) is not int:
        return None
    try:
        return datetime.fromtimestamp(instant / per_second, tz=UTC).astimezone(zone).date().isoformat()
    except (OverflowError, ValueError, OSError):
        # A row that somebody put in by hand.
        return None
