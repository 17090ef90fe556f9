"""How far one person is on one run of a journey. No phone number and no name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.journeys.domain.conditions import ReplyKind

KEPT_FOR: Final = timedelta(days=90)
"""How long after the end of the journey a row is kept."""


class EnrolmentChangedError(TransientError):
    """Somebody else wrote the row meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A text that the person was sent.

    Attributes
    ----------
    name
        Of the text.
    at
        When it was claimed.
    """

    name: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """One person on one run.

    Attributes
    ----------
    version
        Counts the writes; 0 means that there is no row yet.
    settled
        Number of the last moment (1, 2, …) at which the person's turn came to its end.
    attempt
        Text that an attempt at the moment after that was about to send. Written before the text is claimed,
        and the claim holds only while it is: of two attempts that decide differently, one is in time.
    attempt_decided
        What that attempt had decided. It counts once the text is out: until then, whoever answers meanwhile
        gets what fits.
    decided
        Branches, as ``program.Verdict``.
    sent
        By the number of their moment.
    replies
        Kinds of what the person answered.
    ended
        Why nothing more is due; None while the person is on the way.
    updated_at, kept_until
        When the row was written last, and when it may be forgotten; None before it is written.
    """

    run_id: str
    subscriber_id: str
    journey: str
    version: int = 0
    settled: int = 0
    attempt: str | None = None
    attempt_decided: Mapping[str, bool] = field(default_factory=dict)
    decided: Mapping[str, bool] = field(default_factory=dict)
    sent: Mapping[int, Sent] = field(default_factory=dict)
    replies: frozenset[ReplyKind] = frozenset()
    ended: str | None = None
    updated_at: datetime | None = None
    kept_until: datetime | None = None

    @property
    def last_sent(self) -> tuple[int, Sent] | None:
        """Number of the moment of the last text, and the text."""
        number = max(self.sent, default=None)
        return None if number is None else (number, self.sent[number])

    def settle(
        self,
        number: int,
        *,
        now: datetime,
        sent: Sent | None = None,
        decided: Mapping[str, bool] | None = None,
        ended: str | None = None,
    ) -> Enrolment:
        """Return the row after the person's turn at a moment; the first reason to have ended stays."""
        if decided is None:
            decided = self.decided if sent is None else self.attempt_decided
        return replace(
            self,
            settled=max(self.settled, number),
            attempt=None,
            attempt_decided={},
            decided=decided,
            sent=self.sent if sent is None else {**self.sent, number: sent},
            ended=self.ended or ended,
            updated_at=now,
        )

    def answer(self, kind: ReplyKind, *, now: datetime, ended: str | None) -> Enrolment:
        """Return the row after an answer."""
        return replace(self, replies=self.replies | {kind}, ended=self.ended or ended, updated_at=now)
