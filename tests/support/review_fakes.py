"""In-memory ports of review collecting. Each passes the same contract tests as its adapter."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sms_engagement_runtime.channel.domain.broadcast.audience import Cursor, Page
from sms_engagement_runtime.review_collector.domain.customers import Customer
from sms_engagement_runtime.review_collector.domain.link_keys import LinkKeys
from sms_engagement_runtime.review_collector.domain.moderation import Shown
from sms_engagement_runtime.review_collector.domain.queries import Position, Slice
from sms_engagement_runtime.review_collector.domain.requests import ReviewRequest
from sms_engagement_runtime.review_collector.domain.reviews import Decision, Review, ReviewStatus
from tests.support.indexed import Indexed

LINK_KEY = b"a link key of the tests"
LINK_KEYS = LinkKeys(1, {1: LINK_KEY})


@dataclass
class FakeLinkKeys:
    """Keys that stand still; ``next_keys`` are what a refresh finds."""

    keys: LinkKeys = LINK_KEYS
    next_keys: LinkKeys | None = None
    refreshes: int = 0

    def current(self) -> LinkKeys:
        return self.keys

    def refresh(self) -> bool:
        self.refreshes += 1
        if self.next_keys is None:
            return False
        self.keys = self.next_keys
        return True


def page_of[T](rows: Sequence[T], cursor: Cursor | None, size: int) -> Page[T]:
    """A page of rows; the cursor counts those before it."""
    start = int(cursor["start"]) if cursor else 0
    end = start + size
    return Page(rows=rows[start:end], next={"start": end} if end < len(rows) else None)


class FakeCustomers:
    """Customers by id, in the order given; ``sources`` of those who were added. ``unseen`` are not found."""

    def __init__(self, *customers: Customer, page_size: int = 2) -> None:
        self.rows = {customer.user_id: customer for customer in customers}
        self.page_size = page_size
        self.sources: dict[str, str] = {}
        self.unseen: set[str] = set()

    def everybody(self) -> Iterator[Customer]:
        yield from list(self.rows.values())

    def page(self, cursor: Cursor | None) -> Page[Customer]:
        return page_of(list(self.rows.values()), cursor, self.page_size)

    def find(self, user_ids: Sequence[str]) -> Mapping[str, Customer]:
        return {
            user_id: self.rows[user_id]
            for user_id in user_ids
            if user_id in self.rows and user_id not in self.unseen
        }

    def add(self, customer: Customer, *, created_at: datetime, source: str) -> Customer | None:
        standing = self.rows.get(customer.user_id)
        if standing is None:
            self.rows[customer.user_id] = customer
            self.sources[customer.user_id] = source
        return standing


@dataclass
class FakeReviewRequests:
    """Requests by id. ``unseen`` are in the table, and not in its index yet."""

    rows: Mapping[str, ReviewRequest] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    page_size: int = 2

    def __post_init__(self) -> None:
        given, self.rows = self.rows, Indexed[str, ReviewRequest](lambda row: row.user_id)
        self.rows.update(given)

    def page(self, cursor: Cursor | None) -> Page[ReviewRequest]:
        page = page_of(list(self.rows.values()), cursor, self.page_size)
        nameless = [
            replace(
                row, name=None, first_name=None, locale=None, new_link_at=None, subscriber_id=None, text=None
            )
            for row in page.rows
        ]
        return Page(rows=nameless, next=page.next)

    def of_customer(self, user_id: str) -> Sequence[ReviewRequest]:
        with self.lock:
            return [row for row in self.rows.of(user_id) if row.request_id not in self.unseen]

    def get(self, request_id: str) -> ReviewRequest | None:
        return self.rows.get(request_id)

    def record(self, request: ReviewRequest) -> bool:
        with self.lock:
            is_new = request.request_id not in self.rows
            self.rows.setdefault(request.request_id, request)
            return is_new

    def reserve(self, request: ReviewRequest, *, instead_of: datetime | None = None) -> ReviewRequest | None:
        with self.lock:
            standing = self.rows.get(request.request_id)
            if standing is None:
                self.rows[request.request_id] = request
                return None
            if standing.answered_at is not None or standing.asked_at not in (None, instead_of):
                return standing
            self.rows[request.request_id] = replace(
                request,
                recorded_at=standing.recorded_at,
                occurred_at=standing.occurred_at or request.occurred_at,
                reminded_at=standing.reminded_at,
                new_link_at=standing.new_link_at,
                text=request.text or standing.text,
            )
            return None

    def withdraw(self, request_id: str, at: datetime) -> None:
        with self.lock:
            row = self.rows.get(request_id)
            if row is not None and row.asked_at == at:
                self.rows[request_id] = replace(row, asked_at=None)

    def mark_reminded(self, request_id: str, at: datetime) -> None:
        self._mark(request_id, "reminded_at", at)

    def mark_answered(self, request_id: str, at: datetime) -> None:
        self._mark(request_id, "answered_at", at)

    def mark_new_link(self, request_id: str, at: datetime) -> None:
        self._mark(request_id, "new_link_at", at)

    def _mark(self, request_id: str, name: str, at: datetime) -> None:
        with self.lock:
            row = self.rows.get(request_id)
            if row is not None and getattr(row, name) is None:
                self.rows[request_id] = replace(row, **{name: at})


@dataclass
class FakeReviews:
    rows: dict[str, Review] = field(default_factory=dict)
    announcing_until: dict[str, datetime] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def create(self, review: Review, *, announcing_until: datetime) -> Review | None:
        with self.lock:
            existing = self.rows.get(review.review_id)
            if existing is None:
                self.rows[review.review_id] = review
                self.announcing_until[review.review_id] = announcing_until
            return existing

    def update(self, review: Review, *, expected_version: int) -> bool:
        with self.lock:
            stored = self.rows.get(review.review_id)
            if stored is None or stored.version != expected_version:
                return False
            self.rows[review.review_id] = replace(review, announced_at=stored.announced_at)
            return True

    def get(self, review_id: str) -> Review | None:
        return self.rows.get(review_id)

    def submitted_between(
        self, status: ReviewStatus, start: datetime, end: datetime
    ) -> Iterator[tuple[str, int]]:
        found = [row for row in self.rows.values() if row.status is status and start <= row.created_at < end]
        for row in sorted(found, key=lambda row: row.created_at):
            yield row.review_id, row.opinion.rating

    def of_status(
        self, status: ReviewStatus, *, since: datetime | None, after: Position | None, limit: int
    ) -> Slice:
        rows = [row for row in self.rows.values() if row.status is status]
        return self._slice(rows, since, after, limit)

    def of_customer(
        self, user_id: str, *, since: datetime | None, after: Position | None, limit: int
    ) -> Slice:
        rows = [row for row in self.rows.values() if row.user_id == user_id]
        return self._slice(rows, since, after, limit)

    def _slice(self, rows: list[Review], since: datetime | None, after: Position | None, limit: int) -> Slice:
        def place(row: Review) -> Position:
            return Position(round(row.created_at.timestamp() * 1000), row.review_id)

        found = sorted(
            (
                row
                for row in rows
                if (since is None or row.created_at >= since) and (after is None or place(row) < after)
            ),
            key=place,
            reverse=True,
        )
        # DynamoDB names a place to go on from even where nothing follows.
        return Slice(found[:limit], place(found[limit - 1]) if len(found) >= limit else None)

    def decide(self, review_id: str, decision: Decision, *, shown: Shown) -> bool:
        with self.lock:
            row = self.rows.get(review_id)
            if row is None or row.version != shown.version or row.status is not shown.status:
                return False
            self.rows[review_id] = replace(row, status=decision.status, decisions=(*row.decisions, decision))
            return True

    def set_sentiment(self, review_id: str, sentiment: str, *, version: int) -> bool:
        with self.lock:
            row = self.rows.get(review_id)
            if row is None or row.version != version:
                return False
            self.rows[review_id] = replace(row, sentiment=sentiment)
            return True

    def claim_announcement(self, review_id: str, *, now: datetime, until: datetime) -> bool:
        with self.lock:
            row = self.rows.get(review_id)
            if row is None or row.announced_at is not None or self.announcing_until[review_id] > now:
                return False
            self.announcing_until[review_id] = until
            return True

    def mark_announced(self, review_id: str, at: datetime) -> None:
        with self.lock:
            if review_id in self.rows:
                self.rows[review_id] = replace(self.rows[review_id], announced_at=at)
