"""A submitted review: what is accepted, what a refused one is told, and how long it may be changed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

RATING_REQUIRED: Final = "Rating is required"
RATING_NOT_A_NUMBER: Final = "Rating must be a number"
RATING_OUT_OF_RANGE: Final = "Rating must be between 1 and 5"
TEXT_TOO_LONG: Final = "Review text exceeds 5000 character limit"
TEXT_NOT_TEXT: Final = "Review text must be text"

MAX_TEXT_LENGTH = 5000
"""Code points of a review text after `clean_text`."""


type Errors = tuple[str, ...]
"""What is wrong with a submission, in the fixed words; empty where nothing is."""


class Repeated:
    """Stands for a field that was given more than once, so that no value of it is picked at random."""

    __slots__ = ()


REPEATED: Final = Repeated()


class ReviewStatus(StrEnum):
    """Where a review stands in moderation."""

    NEW = "new"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What a person thinks: valid by construction through `read_opinion`.

    Attributes
    ----------
    rating
        1 to 5.
    text
        Cleaned, at most `MAX_TEXT_LENGTH` code points; may be empty.
    """

    rating: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a moderator decided about one version of a review.

    Attributes
    ----------
    status
        `ReviewStatus.APPROVED` or `ReviewStatus.REJECTED`.
    version
        Of the review that the moderator saw.
    decided_at
        Aware UTC, whole seconds.
    decided_by
        ARN of the IAM principal.
    reason
        Why it was rejected; None for an approval.
    """

    status: ReviewStatus
    version: int
    decided_at: datetime
    decided_by: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One review, of one customer on one occasion.

    Attributes
    ----------
    review_id
        Equal to the id of the review request, so that an occasion has one review by construction.
    user_id
        The customer.
    opinion
        Stars and words.
    status
        `ReviewStatus.NEW` until somebody moderates it, and again after an edit.
    created_at
        First submission, aware UTC; kept by edits.
    updated_at
        Last edit; None where there was none.
    version
        Starts at 1 and grows with each edit: an approval names the version that was shown.
    announced_at
        When the admin topic was told; None where it was not yet.
    author_name
        What the public may know of the customer's name, as `public_name` gives it; None where the customer
        has none, and in rows that were written before this was kept.
    sentiment
        What the text says: ``positive``, ``neutral`` or ``negative``; None until it is judged, which takes a
        second, and again after an edit.
    helpful
        Votes of readers.
    decisions
        Of moderators, oldest first; edits keep them.
    expires_at
        From when on the review is to be seen by nobody; None where it stays for good.
    """

    review_id: str
    user_id: str
    opinion: Opinion
    status: ReviewStatus
    created_at: datetime
    updated_at: datetime | None = None
    version: int = 1
    announced_at: datetime | None = None
    author_name: str | None = None
    sentiment: str | None = None
    helpful: int = 0
    decisions: tuple[Decision, ...] = ()
    expires_at: datetime | None = None


class EditRefusal(StrEnum):
    """Why a second post changes nothing."""

    UNCHANGED = "UNCHANGED"
    """It says what the review says already: the same form sent twice."""
    CLOSED = "CLOSED"
    """The time for changes is over."""


def read_opinion(rating: object, review_text: object) -> Opinion | Errors:
    """Read what was submitted.

    Parameters
    ----------
    rating
        A form's text or any JSON value; None where the field is missing, `REPEATED` where it came twice.
        ``"5"``, ``" 5 "``, ``5`` and ``5.0`` as a JSON number (JSON knows one kind of number only, RFC 8259
        §6) are five. ``"5.0"``, ``"five"``, ``true`` and digits outside ASCII, which no form and no client of
        ours sends, are no numbers here.
    review_text
        The same; None and an empty text are both "nothing to add".

    Returns
    -------
    Opinion, or tuple of str
        The errors, all of them, in the fixed words, in the order of the form.
    """
    errors = find_errors(rating, review_text)
    if errors:
        return errors
    text = clean_text(review_text) if isinstance(review_text, str) else ""
    return Opinion(rating=_whole_number(rating), text=text)


def find_errors(rating: object, review_text: object) -> Errors:
    """Return what is wrong with a submission, nothing where nothing is; parameters as of `read_opinion`."""
    # A single digit is what the form sends: looked up, not parsed.
    errors = _DIGITS.get(rating) if type(rating) is str else None
    if errors is None:
        errors = _rating_errors(rating)
    # Cleaning never makes a text longer, so that a short one need not be cleaned to be counted.
    if type(review_text) is str and len(review_text) <= MAX_TEXT_LENGTH:
        return errors
    return errors + _text_errors(review_text)


def clean_text(text: str) -> str:
    """Bring a text into the one form that is counted, compared and stored.

    Line ends become LF, since browsers send CRLF for what their own counter counts as one; control characters
    apart from tab and LF go, NUL among them; half of a surrogate pair, which no UTF-8 can hold, becomes
    U+FFFD; white space around the text goes. Scripts, emoji and the marks of right-to-left text stay as they
    are.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
    return _CONTROL.sub("", text).strip()


def revise(
    review: Review, opinion: Opinion, *, now: datetime, edit_window: timedelta
) -> Review | EditRefusal:
    """Return the review as edited, or why it stays as it is."""
    if review.opinion == opinion:
        return EditRefusal.UNCHANGED
    if now >= review.created_at + edit_window:
        return EditRefusal.CLOSED
    return replace(
        review,
        opinion=opinion,
        status=ReviewStatus.NEW,
        updated_at=now,
        version=review.version + 1,
        sentiment=None,
    )


_DIGITS: Final[dict[str, Errors]] = {
    digit: () if digit in "12345" else (RATING_OUT_OF_RANGE,) for digit in "0123456789"
}
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
# Longer than any number that could be in range, short enough to be converted at no cost.
_MAX_DIGITS = 20


def _rating_errors(rating: object) -> Errors:
    if rating is None or (isinstance(rating, str) and not rating.strip()):
        return (RATING_REQUIRED,)
    try:
        number = _whole_number(rating)
    except ValueError:
        return (RATING_NOT_A_NUMBER,)
    return () if 1 <= number <= 5 else (RATING_OUT_OF_RANGE,)


def _text_errors(review_text: object) -> Errors:
    if review_text is None:
        return ()
    if not isinstance(review_text, str):
        return (TEXT_NOT_TEXT,)
    return (TEXT_TOO_LONG,) if len(clean_text(review_text)) > MAX_TEXT_LENGTH else ()


def _whole_number(rating: object) -> int:
    match rating:
        case bool():
            pass
        case int():
            return rating
        case float() if rating.is_integer():
            return int(rating)
        case str() if _WHOLE_NUMBER.fullmatch(digits := rating.strip()):
            return int(digits[:_MAX_DIGITS])
    raise ValueError("not a whole number")
