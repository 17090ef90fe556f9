"""Questions about reviews, answered by an index, newest first, in pages.

A cursor says how far each index partition was read, and which question it belongs to. It is opaque, not
secret: the partition itself (a status, a customer) is always taken from the question, so that whoever makes a
cursor up gets to another place of the same list, and to nothing else.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, NamedTuple, Protocol

from sms_engagement_runtime.review_collector.domain.reviews import Review, ReviewStatus

DEFAULT_LIMIT: Final = 10
MAX_LIMIT: Final = 100
MAX_HOURS: Final = 24 * 366
MAX_CURSOR_LENGTH: Final = 600
MAX_USER_ID_LENGTH: Final = 256

_STATUS_ERROR: Final = "status must be new, approved, rejected or all"
_LIMIT_ERROR: Final = f"limit must be a whole number from 1 to {MAX_LIMIT}"
_HOURS_ERROR: Final = f"hours must be a whole number from 1 to {MAX_HOURS}"
_USER_ERROR: Final = f"userId must be 1 to {MAX_USER_ID_LENGTH} characters"
_CURSOR_ERROR: Final = "cursor is not one of this list"
_BOTH_ERROR: Final = "userId and status cannot be combined"


class InvalidQueryError(ValueError):
    """A question that cannot be answered; `errors` says all that is wrong with it."""

    def __init__(self, *errors: str) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


class Position(NamedTuple):
    """A place in an index: after this review.

    Attributes
    ----------
    timestamp
        Epoch milliseconds of the first submission.
    """

    timestamp: int
    review_id: str


class Slice(NamedTuple):
    """Some reviews of one partition, newest first.

    Attributes
    ----------
    last
        Where to go on; None at the end.
    """

    reviews: Sequence[Review]
    last: Position | None


class ReviewShelf(Protocol):
    """The indexes of the reviews table, without what is past its retention. May raise ``TransientError``."""

    def of_status(
        self, status: ReviewStatus, *, since: datetime | None, after: Position | None, limit: int
    ) -> Slice:
        """Read reviews of a status, newest first."""
        ...

    def of_customer(
        self, user_id: str, *, since: datetime | None, after: Position | None, limit: int
    ) -> Slice:
        """Read reviews of a customer, newest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewQuery:
    """A question: a customer's reviews, those of one status, or all; of the last hours, or ever.

    Attributes
    ----------
    user_id
        Of one customer; None for all of them.
    status
        None for every status.
    hours
        How far back; None for all time.
    """

    user_id: str | None = None
    status: ReviewStatus | None = None
    hours: int | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """Index partitions that hold the answer, by short names."""
        if self.user_id is not None:
            return ("customer",)
        return tuple(status.value for status in ([self.status] if self.status else ReviewStatus))

    @property
    def seal(self) -> str:
        """What binds a cursor to the question: eight characters that tell nothing of the customer."""
        said = json.dumps([self.user_id, self.status, self.hours]).encode()
        return urlsafe_b64encode(sha256(b"review-query" + said).digest()[:6]).decode("ascii")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of an answer.

    Attributes
    ----------
    cursor
        Of the next page; None on the last one. The page after a cursor may be empty.
    """

    reviews: Sequence[Review]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question as it came in, with the size of a page and the place to go on from."""

    query: ReviewQuery
    limit: int
    cursor: str | None = None


def read_query(parameters: Mapping[str, str], *, default_status: ReviewStatus | None = None) -> Asked:
    """Read ``limit``, ``hours``, ``status``, ``userId`` and ``cursor``; others are ignored.

    Raises
    ------
    InvalidQueryError
        With everything that is wrong.
    """
    errors: list[str] = []
    user_id = parameters.get("userId")
    if user_id is not None and not (1 <= len(user_id) <= MAX_USER_ID_LENGTH and user_id.isprintable()):
        errors.append(_USER_ERROR)
    named = parameters.get("status")
    if user_id is not None and named not in (None, "all"):
        errors.append(_BOTH_ERROR)
    status = next((one for one in ReviewStatus if one.value == named), None)
    if named is not None and named != "all" and status is None:
        errors.append(_STATUS_ERROR)
    if named is None and user_id is None:
        status = default_status
    limit = _bounded(parameters.get("limit"), MAX_LIMIT, _LIMIT_ERROR, errors)
    hours = _bounded(parameters.get("hours"), MAX_HOURS, _HOURS_ERROR, errors)
    cursor = parameters.get("cursor")
    query = ReviewQuery(user_id=user_id, status=status if user_id is None else None, hours=hours)
    if cursor is not None and not errors:
        try:
            _open(cursor, query)
        except InvalidQueryError as error:
            errors += error.errors
    if errors:
        raise InvalidQueryError(*errors)
    return Asked(query=query, limit=limit or DEFAULT_LIMIT, cursor=cursor)


def read_page(shelf: ReviewShelf, asked: Asked, *, now: datetime) -> Page:
    """Answer a question: one index query a partition, whatever the size of the table.

    Reviews that change their status between two pages may be missed or come twice; nothing else moves, since
    lists are ordered by the first submission.

    Raises
    ------
    InvalidQueryError
        The cursor is damaged or of another question.
    """
    query, limit = asked.query, asked.limit
    since = None if query.hours is None else now - timedelta(hours=query.hours)
    places: dict[str, Position | None] = dict.fromkeys(query.parts)
    if asked.cursor is not None:
        places = _open(asked.cursor, query)
    slices = {part: _read(shelf, query, part, since, after, limit) for part, after in places.items()}
    found = sorted(
        ((review, part) for part, read in slices.items() for review in read.reviews),
        key=lambda pair: pair[0].created_at,
        reverse=True,
    )
    taken, left = found[:limit], {part for _, part in found[limit:]}
    goes_on: dict[str, Position | None] = {}
    for part, read in slices.items():
        own = [review for review, of in taken if of == part]
        if part in left:
            goes_on[part] = _position(own[-1]) if own else places[part]
        elif read.last is not None:
            goes_on[part] = read.last
    cursor = _seal(query, goes_on) if goes_on else None
    return Page([review for review, _ in taken], cursor)


def _read(
    shelf: ReviewShelf,
    query: ReviewQuery,
    part: str,
    since: datetime | None,
    after: Position | None,
    limit: int,
) -> Slice:
    if query.user_id is not None:
        return shelf.of_customer(query.user_id, since=since, after=after, limit=limit)
    return shelf.of_status(ReviewStatus(part), since=since, after=after, limit=limit)


def _position(review: Review) -> Position:
    return Position(round(review.created_at.timestamp() * 1000), review.review_id)


def _seal(query: ReviewQuery, places: Mapping[str, Position | None]) -> str:
    content = json.dumps([query.seal, places], separators=(",", ":")).encode()
    return urlsafe_b64encode(content).decode("ascii").rstrip("=")


def _open(cursor: str, query: ReviewQuery) -> dict[str, Position | None]:
    if len(cursor) > MAX_CURSOR_LENGTH:
        raise InvalidQueryError(_CURSOR_ERROR)
    try:
        content: Any = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        seal, places = content
        known = {part: None if place is None else _place(place) for part, place in places.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise InvalidQueryError(_CURSOR_ERROR) from None
    if seal != query.seal or not known or not set(known) <= set(query.parts):
        raise InvalidQueryError(_CURSOR_ERROR)
    return known


def _place(place: Any) -> Position:
    timestamp, review_id = place
    # A number of more digits than an instant has, or a longer key, is refused by DynamoDB.
    if type(timestamp) is not int or not 0 <= timestamp < 10**15:
        raise ValueError("not an instant")
    if type(review_id) is not str or not 1 <= len(review_id) <= 200:
        raise ValueError("not an id")
    # Half of a surrogate pair, which JSON can spell, is refused by DynamoDB, too; this raises a ValueError.
    review_id.encode()
    return Position(timestamp, review_id)


def _bounded(text: str | None, most: int, error: str, errors: list[str]) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most):
        errors.append(error)
        return None
    return int(text)
