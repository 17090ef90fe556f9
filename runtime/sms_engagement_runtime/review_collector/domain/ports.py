"""What collecting reviews needs from outside; adapters implement each on one AWS service and hold no rules.

Every method may raise ``TransientError`` where the service behind it does not answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

# For annotations only: whoever needs one port is not made to load the whole domain.
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sms_engagement_runtime.review_collector.domain.customers import Customer
    from sms_engagement_runtime.review_collector.domain.requests import ReviewRequest
    from sms_engagement_runtime.review_collector.domain.reviews import Review


class CustomerDirectory(Protocol):
    """The customers table, which may be somebody else's: read only."""

    def everybody(self) -> Iterable[Customer]:
        """Read all customers, page by page, in no order."""
        ...

    def find(self, user_ids: Sequence[str]) -> Mapping[str, Customer]:
        """Read these customers; those that do not exist are absent."""
        ...


class ReviewRequestRepository(Protocol):
    """Who was asked about what."""

    def reserve(self, request: ReviewRequest) -> ReviewRequest | None:
        """Write a request unless it exists: then return what is there, unchanged; None after writing."""
        ...

    def was_asked(self, user_id: str, *, besides: str) -> bool:
        """Say whether this customer was asked by any request but the one with this id.

        A request of the last seconds may be missed.
        """
        ...

    def mark_asked(self, request_id: str, at: datetime) -> None:
        """Record when the text went out, where that is not recorded yet."""
        ...

    def withdraw(self, request_id: str, at: datetime) -> None:
        """Take back that the text went out at this very instant: the gate refused it."""
        ...

    def get(self, request_id: str) -> ReviewRequest | None:
        """Read one, consistently."""
        ...

    def mark_answered(self, request_id: str, at: datetime) -> None:
        """Record the first answer; a later one, and a request that is gone, change nothing."""
        ...

    def mark_new_link(self, request_id: str, at: datetime) -> None:
        """Record that a new link was asked for, where that is not recorded yet."""
        ...


class ReviewRepository(Protocol):
    """The reviews table."""

    def create(self, review: Review, *, announcing_until: datetime) -> Review | None:
        """Write a review unless its id exists: then return what is there, unchanged; None after writing.

        The writer gets the right to announce it until the given instant, in the same write.
        """
        ...

    def update(self, review: Review, *, expected_version: int) -> bool:
        """Write an edited review over the version it was made from; False where that version is gone."""
        ...

    def get(self, review_id: str) -> Review | None:
        """Read one, consistently."""
        ...

    def claim_announcement(self, review_id: str, *, now: datetime, until: datetime) -> bool:
        """Take the right to announce a review, unless it was announced or somebody holds the right now."""
        ...

    def mark_announced(self, review_id: str, at: datetime) -> None:
        """Record that a review was announced."""
        ...
