"""What became of each person of a run, and the sum of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Self

from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.channel.domain.reasons import Reason

REMAINING: Final = "REMAINING"
"""State of a person whom this run did not get to. Nothing was sent, and the next run does it.

The other states are those of ``OutcomeState``.
"""

_OPEN: Final[frozenset[str]] = frozenset({REMAINING, OutcomeState.DEFERRED, OutcomeState.IN_FLIGHT})


class RunReason(StrEnum):
    """Reasons of the engine, beside the channel's ``Reason`` and those of the capability."""

    OUT_OF_TIME = "OUT_OF_TIME"
    """The function's time, or the allowed hours of its people, ended before this person's turn."""
    PART_FAILED = "PART_FAILED"
    """The function that was to ask this person's part died, again and again, and may have asked them before.

    A new run asks whom it did not.
    """
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    """A service of ours did not answer, again and again."""
    UNEXPECTED_ERROR = "UNEXPECTED_ERROR"
    """Asking this person failed in a way that nobody foresaw; the log names the error."""
    STOPPED_OPT_OUTS = "STOPPED_OPT_OUTS"
    """Too many people opted out; the run stopped itself."""
    STOPPED_FAILURES = "STOPPED_FAILURES"
    """Too few texts were delivered; the run stopped itself."""
    RUN_EXPIRED = "RUN_EXPIRED"
    """The run ended before this person could be texted in their allowed hours."""


PASSING: Final[frozenset[str | None]] = frozenset(
    {RunReason.SERVICE_UNAVAILABLE, Reason.THROTTLED, Reason.CONTACT_CHANGED}
)
"""Reasons that pass by themselves: likely to go better in a moment, or after a longer wait.

Whom a text reached all the same, the ledger knows then.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonOutcome:
    """What one person's turn in one run came to.

    Attributes
    ----------
    user_id
        Recipient id.
    state
        `REMAINING`, or the value of an ``OutcomeState``.
    reason
        Why, where there is something to explain.
    message_id
        The service's id of the text.
    parts
        Message parts that this run sent or, in a dry run, would send.
    until
        The first instant worth another turn, where that is known; aware UTC.
    """

    user_id: str
    state: str
    reason: str | None = None
    message_id: str | None = None
    parts: int = 0
    until: datetime | None = None

    @property
    def is_final(self) -> bool:
        """Whether another turn in the same run would change nothing."""
        return self.state not in _OPEN


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

    people: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    parts: int = 0

    def __add__(self, other: Self) -> Tally:
        """Sum over the people of both."""
        return Tally(
            people=self.people + other.people,
            outcomes=_sum(self.outcomes, other.outcomes),
            reasons=_sum(self.reasons, other.reasons),
            parts=self.parts + other.parts,
        )


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
    return Tally(people=people, outcomes=_sum(states), reasons=_sum(reasons), parts=parts)


def _sum(*counts: Mapping[str, int]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))
