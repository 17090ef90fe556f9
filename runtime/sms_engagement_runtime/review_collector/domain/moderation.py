"""Approving and rejecting reviews: a decision is about the version that the moderator saw.

Ratings play no part in it: what is approved is shown whatever its stars (FTC, 16 CFR 465.7, bars showing
reviews by whether they are good).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.ports import Clock
from sms_engagement_runtime.review_collector.domain.reviews import Decision, Review, ReviewStatus, clean_text

MAX_REASON_LENGTH: Final = 500
"""Code points of a reason."""

MAX_DECISIONS: Final = 100
"""Of one review: so many are kept, and after the last one it stays as it is, so that its row stays small."""

REASON_REQUIRED: Final = "Reason is required"
REASON_NOT_TEXT: Final = "Reason must be text"
REASON_TOO_LONG: Final = f"Reason exceeds {MAX_REASON_LENGTH} character limit"
VERSION_REQUIRED: Final = "Version is required"
VERSION_NOT_A_NUMBER: Final = "Version must be a whole number from 1 on"
STATUS_UNKNOWN: Final = "Status must be new, approved or rejected"

_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the moderator had on the screen.

    Attributes
    ----------
    version
        Of the review.
    status
        ``new`` for what waits; another one by whoever changes an earlier decision.
    """

    version: int
    status: ReviewStatus = ReviewStatus.NEW


@dataclass(frozen=True, slots=True)
class Decided:
    """The review stands as wanted.

    Attributes
    ----------
    changed
        False where it did already: the same decision about the same version, sent twice or taken twice.
    """

    review: Review
    changed: bool


@dataclass(frozen=True, slots=True)
class Outdated:
    """The review is not what was shown: its customer edited it, or somebody decided otherwise."""

    review: Review


@dataclass(frozen=True, slots=True)
class Unknown:
    """There is no such review."""


type ModerationOutcome = Decided | Outdated | Unknown


class ModerationDesk(Protocol):
    """The reviews table, as moderators change it. May raise ``TransientError``."""

    def get(self, review_id: str) -> Review | None:
        """Read one, consistently."""
        ...

    def decide(self, review_id: str, decision: Decision, *, shown: Shown) -> bool:
        """Set status and add to the decisions, where version and status are those that were shown."""
        ...


def moderate(
    desk: ModerationDesk,
    review_id: str,
    wanted: ReviewStatus,
    *,
    shown: Shown,
    by: str,
    reason: str | None,
    clock: Clock,
) -> ModerationOutcome:
    """Approve or reject a review, once.

    Parameters
    ----------
    by
        ARN of whoever decides.
    reason
        Needed for a rejection; `read_reason` checks it.
    """
    for _ in range(_ATTEMPTS):
        review = desk.get(review_id)
        if review is None or is_expired(review, clock.now()):
            return Unknown()
        if review.version != shown.version:
            return Outdated(review)
        if review.status is wanted:
            return Decided(review, changed=False)
        if review.status is not shown.status or len(review.decisions) >= MAX_DECISIONS:
            return Outdated(review)
        decision = Decision(
            status=wanted,
            version=shown.version,
            decided_at=clock.now().replace(microsecond=0),
            decided_by=by,
            reason=reason,
        )
        if desk.decide(review_id, decision, shown=shown):
            decided = desk.get(review_id)
            return Unknown() if decided is None else Decided(decided, changed=True)
    raise TransientError("the review is being changed by others at the same time")


def is_expired(review: Review, now: datetime) -> bool:
    """Whether a review is past its retention, though the table may hold it for some days more."""
    return review.expires_at is not None and review.expires_at <= now


def read_shown(version: object, status: object) -> Shown | tuple[str, ...]:
    """Read what a moderator saw, from a form or JSON; the errors where it is not said.

    Parameters
    ----------
    status
        None and an empty text mean ``new``.
    """
    errors = []
    number = _number(version)
    if version is None or version == "":
        errors.append(VERSION_REQUIRED)
    elif number is None:
        errors.append(VERSION_NOT_A_NUMBER)
    known = ReviewStatus.NEW if status in (None, "") else _status(status)
    if known is None:
        errors.append(STATUS_UNKNOWN)
    if errors or number is None or known is None:
        return tuple(errors)
    return Shown(version=number, status=known)


def read_reason(reason: object) -> str | tuple[str, ...]:
    """Read why a review is rejected; the errors where that is not said."""
    if reason is None:
        return (REASON_REQUIRED,)
    if not isinstance(reason, str):
        return (REASON_NOT_TEXT,)
    text = " ".join(clean_text(reason).split())
    if not text:
        return (REASON_REQUIRED,)
    return (REASON_TOO_LONG,) if len(text) > MAX_REASON_LENGTH else text


def _number(version: object) -> int | None:
    match version:
        case bool():
            return None
        case int() if version >= 1:
            return version
        case str() if version.isascii() and version.isdigit() and len(version) <= 9 and int(version) >= 1:
            return int(version)
    return None


def _status(status: object) -> ReviewStatus | None:
    return next((one for one in ReviewStatus if one.value == status), None)
