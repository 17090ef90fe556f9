"""Taking a review in, and asking for a new link: what a person can do on the pages.

Every step is safe to repeat, since people send forms twice and functions are cut off: the review has its id
from the request, so a second post finds it; the notice goes out under a claim that ends by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from sms_engagement_runtime.channel.domain.errors import EngagementError, TransientError
from sms_engagement_runtime.channel.domain.ports import AttentionTopic, Clock, EventBus
from sms_engagement_runtime.review_collector.domain.bus_events import REVIEW_LINK_REQUESTED, REVIEW_SUBMITTED
from sms_engagement_runtime.review_collector.domain.notices import new_review_notice
from sms_engagement_runtime.review_collector.domain.ports import ReviewRepository, ReviewRequestRepository
from sms_engagement_runtime.review_collector.domain.public_names import public_name
from sms_engagement_runtime.review_collector.domain.requests import ReviewRequest
from sms_engagement_runtime.review_collector.domain.reviews import (
    EditRefusal,
    Opinion,
    Review,
    ReviewStatus,
    revise,
)

ANNOUNCEMENT_CLAIM: Final = timedelta(seconds=15)
"""How long one invocation may take to announce a review before another may: over the function's time-out."""

_EDIT_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Created:
    """A new review is stored."""

    review_id: str


@dataclass(frozen=True, slots=True)
class Edited:
    """The review says what was sent now, whether it was changed or said so before."""

    review_id: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Closed:
    """The review can no longer be changed."""


@dataclass(frozen=True, slots=True)
class Gone:
    """Nobody was asked, or the person was erased since."""


type SubmissionOutcome = Created | Edited | Closed | Gone


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewDesk:
    """Takes reviews in.

    Attributes
    ----------
    edit_window
        How long after the first submission a review may be changed.
    on_unannounced
        Called where a review is stored and its notice could not be published: the place for a log line and a
        metric. The person is not told; the next post of the same form, or its edit, tries again.
    link_lifetime
        Of a link that is sent now.
    """

    requests: ReviewRequestRepository
    reviews: ReviewRepository
    admin_topic: AttentionTopic
    bus: EventBus
    clock: Clock
    edit_window: timedelta
    on_unannounced: Callable[[str, EngagementError], None]
    link_lifetime: timedelta

    def submit(self, request_id: str, opinion: Opinion) -> SubmissionOutcome:
        """Store a review, or edit the one that the occasion has already."""
        request = self.requests.get(request_id)
        if request is None:
            return Gone()
        now = self.clock.now()
        review = Review(
            review_id=request_id,
            user_id=request.user_id,
            opinion=opinion,
            status=ReviewStatus.NEW,
            created_at=now,
            author_name=public_name(request.name),
        )
        existing = self.reviews.create(review, announcing_until=now + ANNOUNCEMENT_CLAIM)
        outcome = Created(request_id) if existing is None else self._edit(existing, opinion)
        self.requests.mark_answered(request_id, now)
        if existing is None:
            self._announce(request, review)
        elif existing.announced_at is None and self.reviews.claim_announcement(
            request_id, now=now, until=now + ANNOUNCEMENT_CLAIM
        ):
            # The invocation that created the review was cut off before its notice.
            current = replace(existing, opinion=opinion) if isinstance(outcome, Edited) else existing
            self._announce(request, current)
        return outcome

    def ask_for_new_link(self, request_id: str) -> bool:
        """Ask for a new link in place of an expired one, once an occasion.

        The event goes out before the request is marked: a crash in between sends a second event, which the
        ledger answers with nothing, where the other order would lose the only one.

        Returns
        -------
        bool
            Whether a link is on its way or was sent and still works. False where the request is gone or was
            answered, and where the one new link has expired too: the ledger sends no other.
        """
        request = self.requests.get(request_id)
        if request is None or request.answered_at is not None:
            return False
        now = self.clock.now()
        if request.new_link_at is not None:
            return now - request.new_link_at < self.link_lifetime
        self.bus.publish(REVIEW_LINK_REQUESTED, {"requestId": request_id})
        self.requests.mark_new_link(request_id, now)
        return True

    def _edit(self, existing: Review, opinion: Opinion) -> Edited | Closed | Gone:
        for _ in range(_EDIT_ATTEMPTS):
            revised = revise(existing, opinion, now=self.clock.now(), edit_window=self.edit_window)
            if revised is EditRefusal.UNCHANGED:
                return Edited(existing.review_id, changed=False)
            if isinstance(revised, EditRefusal):
                return Closed()
            if self.reviews.update(revised, expected_version=existing.version):
                return Edited(existing.review_id, changed=True)
            current = self.reviews.get(existing.review_id)
            if current is None:
                return Gone()
            existing = current
        raise TransientError("the review is being changed by others at the same time")

    def _announce(self, request: ReviewRequest, review: Review) -> None:
        notice = new_review_notice(
            review_id=review.review_id,
            rating=review.opinion.rating,
            name=request.name,
            text=review.opinion.text,
        )
        try:
            # The bus first: its consumers take an event twice, and an administrator would rather not.
            self.bus.publish(
                REVIEW_SUBMITTED,
                {
                    "reviewId": review.review_id,
                    "userId": review.user_id,
                    "rating": review.opinion.rating,
                    "occasion": request.occasion,
                },
            )
            self.admin_topic.publish(notice.subject, notice.message)
            self.reviews.mark_announced(review.review_id, self.clock.now())
        except EngagementError as error:
            self.on_unannounced(review.review_id, error)
