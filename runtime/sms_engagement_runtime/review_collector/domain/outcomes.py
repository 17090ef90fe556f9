"""What became of each person of a run, and the sum of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

REMAINING = "REMAINING"
"""State of a person whom this run did not get to. Nothing was sent, and the next run does it.

The other states are those of ``channel.domain.outcome_state.OutcomeState``.
"""


class AskReason(StrEnum):
    """Reasons of this capability, beside the channel's ``Reason``."""

    ALREADY_ASKED = "ALREADY_ASKED"
    """The person was asked about this occasion before."""
    NO_CUSTOMER = "NO_CUSTOMER"
    """The customer is not in the table, or not any more."""
    NO_OCCASION = "NO_OCCASION"
    """There is nothing that the person was not asked about yet."""
    NO_REQUEST = "NO_REQUEST"
    """Nobody was asked, or the person was erased since."""
    OUT_OF_TIME = "OUT_OF_TIME"
    """The function's time ended before this person's turn."""
    PART_FAILED = "PART_FAILED"
    """The function that was to ask this person's part failed."""
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    """A service of ours did not answer, again and again."""
    UNEXPECTED_ERROR = "UNEXPECTED_ERROR"
    """Asking this person failed in a way that nobody foresaw; the log names the error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonOutcome:
    """The one final state of one person in one run.

    Attributes
    ----------
    user_id
        Customer id.
    state
        `REMAINING`, or the value of an ``OutcomeState``.
    reason
        Why, where there is something to explain.
    message_id
        The service's id of the text.
    parts
        Message parts that this run sent or, in a rehearsal, would send.
    """

    user_id: str
    state: str
    reason: str | None = None
    message_id: str | None = None
    parts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Sum over people.

    Attributes
    ----------
    people
        How many there are.
    outcomes, reasons
        How many in each state, and for each reason.
    parts
        Message parts sent.
    """

    people: int
    outcomes: Mapping[str, int]
    reasons: Mapping[str, int]
    parts: int


def tally(outcomes: Iterable[PersonOutcome]) -> Tally:
    """Count; the outcomes are gone through once and not kept."""
    people = parts = 0
    states: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for outcome in outcomes:
        people += 1
        parts += outcome.parts
        states[outcome.state] += 1
        if outcome.reason is not None:
            reasons[outcome.reason] += 1
    return Tally(
        people=people,
        outcomes=dict(sorted(states.items())),
        reasons=dict(sorted(reasons.items())),
        parts=parts,
    )
