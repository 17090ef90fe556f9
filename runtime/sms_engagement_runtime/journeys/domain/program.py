"""What a person gets at one moment of a journey: a pure walk through its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sms_engagement_runtime.journeys.domain.conditions import Facts, holds
from sms_engagement_runtime.journeys.domain.description import Branch, Exit, Goal, Send, Step, Wait
from sms_engagement_runtime.journeys.domain.reasons import JourneyReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is due for a person at a moment.

    Attributes
    ----------
    send
        The text; None where there is none.
    leaves
        Why the person is at the end of their way; None where another text may still come.
    decided
        Every branch that the person has come to, by its place, and whether its condition held.
    """

    send: Send | None = None
    leaves: JourneyReason | None = None
    decided: Mapping[str, bool] = field(default_factory=dict)


def decide(steps: Sequence[Step], *, at: timedelta, facts: Facts, decided: Mapping[str, bool]) -> Verdict:
    """Walk from the start to a moment, and say what is due then.

    Parameters
    ----------
    at
        The moment, one of ``JourneyDefinition.offsets``.
    decided
        Branches that were decided at earlier moments: they stay as they are, whatever the facts say now.
    """
    walk = _Walk(at, facts, dict(decided))
    walk.go(steps, timedelta(0), "")
    leaves = walk.leaves
    if walk.send is None and leaves is None and not walk.is_ahead:
        leaves = JourneyReason.COMPLETED
    return Verdict(send=walk.send, leaves=leaves, decided=walk.decided)


class _Walk:
    """One way through the steps; over once it has a text, a reason to leave, or passed the moment."""

    def __init__(self, moment: timedelta, facts: Facts, decided: dict[str, bool]) -> None:
        self._moment = moment
        self._facts = facts
        self.decided = decided
        self.send: Send | None = None
        self.leaves: JourneyReason | None = None
        self.is_ahead = False

    @property
    def _is_over(self) -> bool:
        return self.is_ahead or self.send is not None or self.leaves is not None

    def go(self, steps: Sequence[Step], at: timedelta, place: str) -> timedelta:
        for number, step in enumerate(steps):
            match step:
                case Wait():
                    at += step.span
                    self.is_ahead = at > self._moment
                case Send():
                    if at == self._moment:
                        self.send = step
                case Branch():
                    at = self._branch(step, at, f"{place}{number}")
                case Goal(condition):
                    if holds(condition, self._facts):
                        self.leaves = JourneyReason.GOAL_REACHED
                case Exit():
                    self.leaves = JourneyReason.EXITED
            if self._is_over:
                break
        return at

    def _branch(self, step: Branch, at: timedelta, place: str) -> timedelta:
        is_true = self.decided.setdefault(place, holds(step.on, self._facts))
        return self.go(step.then if is_true else step.otherwise, at, f"{place}{'t' if is_true else 'o'}")
