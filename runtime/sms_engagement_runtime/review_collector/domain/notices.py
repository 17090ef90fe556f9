"""What the admin is told about a review."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from unicodedata import category

SUBJECT: Final = "New review"
"""Constant: SNS refuses subjects of more than 100 characters or with control characters (*Publish*)."""

MAX_NAME_LENGTH = 60
"""Code points of a name in a notice."""

MAX_EXCERPT_LENGTH = 1000
"""Code points of the review's text in a notice; the whole text is in the table."""

UNANNOUNCED: Final = "Review stored without notice"
"""Log message where a notice did not go out; an alarm counts it."""

NAMELESS: Final = "a customer"

_JOINERS: Final = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"


@dataclass(frozen=True, slots=True)
class Notice:
    """A message to the admin topic."""

    subject: str
    message: str


def new_review_notice(*, review_id: str, rating: int, name: str | None, text: str) -> Notice:
    """Word the notice of a new review.

    The first line is ``New 5★ review from John Doe``. The words of the customer follow after an empty line,
    and last the id under which the review is found: whoever reads only the first line has what matters.
    """
    headline = f"New {rating}★ review from {display_name(name)}"
    excerpt = text if len(text) <= MAX_EXCERPT_LENGTH else f"{text[:MAX_EXCERPT_LENGTH]}…"
    paragraphs = (headline, excerpt, f"Review {review_id}")
    return Notice(SUBJECT, "\n\n".join(paragraph for paragraph in paragraphs if paragraph))


def display_name(name: str | None) -> str:
    """Return a name that can stand in a line of plain text.

    Format characters go (the bidirectional ones among them, which would turn the line around) but the two
    joiners that some scripts are written with; control, line-separating, surrogate and private characters
    count as spaces; spaces are collapsed; 60 code points at the most.
    """
    printable = "".join(_printable(character) for character in name or "")
    return " ".join(printable.split())[:MAX_NAME_LENGTH].rstrip() or NAMELESS


def _printable(character: str) -> str:
    match category(character):
        case "Cf" if character not in _JOINERS:
            return ""
        case "Cc" | "Cs" | "Co" | "Zl" | "Zp" | "Zs":
            return " "
    return character
