"""What collecting reviews needs from outside; adapters implement each on one AWS service and hold no rules.

Every method may raise ``TransientError`` where the service behind it does not answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

# For annotations only: whoever needs one port is not made to load the whole domain.
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sms_engagement_runtime.channel.domain.broadcast.audience import Cursor, Page
    from sms_engagement_runtime.review_collector.domain.customers import Customer
    from sms_engagement_runtime.review_collector.domain.requests import ReviewRequest
    from sms_engagement_runtime.review_collector.domain.reviews import Review, ReviewStatus


class CustomerDirectory(Protocol):
    """The customers table, which may be somebody else's: read alone."""

    def page(self, cursor: Cursor | None) -> Page[Customer]:
        """Read some customers, in no order: the first page for None, the one after another by its cursor."""
        ...

    def find(self, user_ids: Sequence[str]) -> Mapping[str, Customer]:
        """Read these customers; those that do not exist are absent."""
        ...


class CustomerRegister(Protocol):
    """The customers table, where this collector may add to it."""

    def add(self, customer: Customer, *, created_at: datetime, source: str) -> Customer | None:
        """Write a customer unless there is one of that id: then return who is there, unchanged.

        Parameters
        ----------
        source
            Where we know the customer from.

        Returns
        -------
        Customer or None
            Who stands there already; None after writing.
        """
        ...


class ReviewRequestRepository(Protocol):
    """Who has what to be asked about, and who was asked."""

    def page(self, cursor: Cursor | None) -> Page[ReviewRequest]:
        """Read some requests of anybody, in no order, as ``CustomerDirectory.page``."""
        ...

    def of_customer(self, user_id: str) -> Sequence[ReviewRequest]:
        """Read all requests of one customer, in no order. Changes of the last seconds may be missed."""
        ...

    def get(self, request_id: str) -> ReviewRequest | None:
        """Read one, consistently."""
        ...

    def record(self, request: ReviewRequest) -> bool:
        """Write an occasion that nobody asks about yet; False where it is there already."""
        ...

    def reserve(self, request: ReviewRequest, *, instead_of: datetime | None = None) -> ReviewRequest | None:
        """Write a request that is about to go out, unless it has gone out or was answered.

        What is there already of an occasion that nobody asked about is completed; when it was recorded and
        when it happened stay as they are, and so does its text where this request has none.

        Parameters
        ----------
        request
            With ``asked_at``.
        instead_of
            An ``asked_at`` at which the text is proven not to have gone out.

        Returns
        -------
        ReviewRequest or None
            What stands against it, unchanged; None after writing.
        """
        ...

    def withdraw(self, request_id: str, at: datetime) -> None:
        """Take back that the text went out at this very instant: the gate refused it."""
        ...

    def mark_reminded(self, request_id: str, at: datetime) -> None:
        """Record when the reminder went out, where that is not recorded yet."""
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


class ReviewListing(Protocol):
    """Reviews by status and time of their first submission."""

    def submitted_between(
        self, status: ReviewStatus, start: datetime, end: datetime
    ) -> Iterable[tuple[str, int]]:
        """Read id and rating of the reviews of a status, from a start on and before an end, oldest first."""
        ...
