"""Who a broadcast is for: what a capability tells the engine about its people.

The engine reads an audience page by page, in any number of function calls, and judges each person beside all
that is known about them. So a capability answers for one page or one person at a time, and never holds more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

type Cursor = Mapping[str, Any]
"""Where the next page begins: anything that JSON can hold. Only the source that gave it reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A person who can be texted.

    Attributes
    ----------
    recipient_id
        What the capability knows the person by; any non-empty text.
    subscriber_id
        Keyed hash of the phone number: two candidates with the same one are one recipient.
    group
        ``RecipientHours.key``: people of one group may be texted at the same times.
    """

    recipient_id: str
    subscriber_id: str
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A person who cannot be texted.

    Attributes
    ----------
    reason
        Code, as ``NO_PHONE``.
    """

    recipient_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page[T]:
    """Some rows, and where the next ones are.

    Attributes
    ----------
    rows
        May be empty, also where there is a next page.
    next
        Cursor of the next page; None after the last one.
    """

    rows: Sequence[T]
    next: Cursor | None


class AudienceSource(Protocol):
    """The people of a capability.

    Every method may raise ``TransientError``: the snapshot then goes on later from where it was safe.
    """

    def candidates(self, cursor: Cursor | None) -> Page[Candidate | Skipped]:
        """Read a page of everybody, the first one for None. A person is on one page only."""
        ...

    def histories(self, cursor: Cursor | None) -> Page[tuple[str, Mapping[str, Any]]]:
        """Read a page of what is known about people: recipient id, and anything that JSON can hold.

        In any order, any number of rows a person; of people who are no candidates too. No phone number and no
        name: the rows lie in the bucket for some days.
        """
        ...

    def objection(self, candidate: Candidate, history: Sequence[Mapping[str, Any]]) -> str | None:
        """Return why nothing is due for a person now, as a reason code; None where something is.

        ``history`` holds all rows of this person, in any order.
        """
        ...
