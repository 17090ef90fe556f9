"""What a customer may be asked about now: occasions, the pause between two of them, and the one reminder.

The rows of a customer come from an index that follows the table within moments. So two askings of one
customer within such a moment, about two occasions, do not see each other, and both pass the cooldown: two
broadcasts at once, or a broadcast and an event. About one occasion there is never a second text, and the
channel's frequency cap, which is exact, bounds what a person gets.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from sms_engagement_runtime.review_collector.domain.reasons import AskReason
from sms_engagement_runtime.review_collector.domain.requests import REGISTRATION, ReviewRequest

REMINDER_WINDOW: Final = timedelta(days=7)
"""How long after its hour a reminder is still one: quiet hours, pauses and weekends fit in between."""

UNSETTLED: Final = timedelta(hours=36)
"""How long every broadcast checks what another one wrote about its asking against the ledger.

A broadcast writes that it asks before it sends. Where it is cut off in between, the next one, a day later
and some hours long, finds the row and has to tell whether the text went out. What is older is checked only
where neither a reminder nor an answer will tell or has told.
"""

LONGEST_RUN: Final = timedelta(days=60)
"""How long a broadcast can last (its state machine's time-out), and so come back to what it wrote itself.

A run of the same name cannot be younger than that: names are free again 90 days after an execution ended
(Step Functions, ``StartExecution``).
"""

_LEAST_CHECKED: Final = timedelta(days=10)
"""How long the registration, which is never over, is checked at least where occasions live for less: the run
that was cut off may last a week, and the next one comes after it."""


_SECOND: Final = timedelta(seconds=1)
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class OccasionPolicy:
    """How often people are asked.

    Attributes
    ----------
    cooldown
        Between two requests of broadcasts to the same person.
    reminder_delay
        Between a request and its reminder; None where nobody is reminded.
    lifetime
        Of an occasion: what is longer ago is not asked about any more. The registration has no end.
    """

    cooldown: timedelta = timedelta(days=90)
    reminder_delay: timedelta | None = timedelta(days=3)
    lifetime: timedelta = timedelta(days=30)

    def to_settings(self) -> str:
        """Return the text of an environment variable."""
        delay = self.reminder_delay
        return json.dumps(
            {
                "cooldownSeconds": self.cooldown // _SECOND,
                "reminderDelaySeconds": None if delay is None else delay // _SECOND,
                "lifetimeSeconds": self.lifetime // _SECOND,
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_settings(cls, value: Mapping[str, Any]) -> Self:
        """Read the object in such a text; what is absent takes its default."""
        names = {
            "cooldownSeconds": "cooldown",
            "reminderDelaySeconds": "reminder_delay",
            "lifetimeSeconds": "lifetime",
        }
        spans: dict[str, Any] = {
            names[key]: None if seconds is None else timedelta(seconds=seconds)
            for key, seconds in value.items()
        }
        return cls(**spans)


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask about this occasion.

    Attributes
    ----------
    request
        Its row; None where it has none yet.
    """

    occasion: str
    request: ReviewRequest | None = None


@dataclass(frozen=True, slots=True)
class Remind:
    """Remind of this request."""

    request: ReviewRequest


@dataclass(frozen=True, slots=True)
class Settle:
    """Look into the ledger whether the text of this request went out, and send it where it did not."""

    request: ReviewRequest


@dataclass(frozen=True, slots=True)
class Nothing:
    """Leave the person alone.

    Attributes
    ----------
    until
        When asking again is worth it; None where the same broadcast need not.
    """

    reason: AskReason
    until: datetime | None = None


type Choice = Ask | Remind | Settle | Nothing


def choose(
    requests: Collection[ReviewRequest],
    now: datetime,
    policy: OccasionPolicy,
    *,
    run_id: str | None = None,
    follow_up: bool = False,
) -> Choice:
    """Choose what to do about one customer.

    The newest occasion that nobody asked about wins. A customer for whom none was ever recorded has one: the
    registration. Of a request, the person is reminded once, unless they answered; of the last one only.

    Parameters
    ----------
    requests
        All rows of the customer, in any order.
    run_id
        The broadcast that asks. A part of it that was cut off comes back after an hour or, where hours or a
        pause are in the way, after days: what this very run wrote is settled first, whatever its age.
    follow_up
        Whether this is about reminders only.
    """
    own = _asked_by(run_id, requests, now)
    if own is not None:
        return Settle(own)
    last = last_asked(requests)
    if follow_up:
        return remind(last, now, policy)
    occasion = _newest_open(requests, now, policy)
    if last is None or last.asked_at is None:
        return occasion
    is_free = now >= last.asked_at + policy.cooldown
    if is_free and isinstance(occasion, Ask):
        return occasion
    reminder = remind(last, now, policy)
    if isinstance(reminder, Remind):
        return reminder
    if _is_unsettled(last, last.asked_at, now, policy):
        return Settle(last)
    return occasion if isinstance(occasion, Nothing) else Nothing(AskReason.COOLDOWN)


def last_asked(requests: Collection[ReviewRequest]) -> ReviewRequest | None:
    """Return the request that went out last; None where none did."""
    asked = [request for request in requests if request.asked_at]
    return max(asked, key=_asked, default=None)


def is_later(request: ReviewRequest, other: ReviewRequest) -> bool:
    """Whether a request went out after another one."""
    return _asked(request) > _asked(other)


def remind(request: ReviewRequest | None, now: datetime, policy: OccasionPolicy) -> Remind | Nothing:
    """Say whether it is time to remind of a request."""
    if policy.reminder_delay is None:
        return Nothing(AskReason.NO_REMINDERS)
    if request is None or request.asked_at is None:
        return Nothing(AskReason.NO_REQUEST)
    if request.answered_at is not None:
        return Nothing(AskReason.ANSWERED)
    if request.reminded_at is not None:
        return Nothing(AskReason.ALREADY_REMINDED)
    due_at = request.asked_at + policy.reminder_delay
    if now < due_at:
        return Nothing(AskReason.REMINDER_NOT_DUE, due_at)
    if now >= due_at + REMINDER_WINDOW:
        return Nothing(AskReason.REMINDER_EXPIRED)
    return Remind(request)


def useful_until(request: ReviewRequest, policy: OccasionPolicy) -> datetime | None:
    """Return when asking about an occasion stops being of use; None for the registration."""
    if request.occasion == REGISTRATION:
        return None
    return _happened(request) + policy.lifetime


def reminder_useful_until(request: ReviewRequest, policy: OccasionPolicy) -> datetime | None:
    """Return when reminding of a request stops being of use; None where nobody is reminded of it."""
    if policy.reminder_delay is None or request.asked_at is None:
        return None
    return request.asked_at + policy.reminder_delay + REMINDER_WINDOW


def _asked_by(run_id: str | None, requests: Collection[ReviewRequest], now: datetime) -> ReviewRequest | None:
    if run_id is None:
        return None
    return last_asked(
        [
            request
            for request in requests
            if request.run_id == run_id and request.asked_at and now < request.asked_at + LONGEST_RUN
        ]
    )


def _is_unsettled(request: ReviewRequest, asked_at: datetime, now: datetime, policy: OccasionPolicy) -> bool:
    """Whether nobody may have noticed yet that the text of a request never went out."""
    if now < asked_at + UNSETTLED:
        # A single event is delivered again until it is done.
        return request.run_id is not None
    if request.answered_at is not None or request.reminded_at is not None:
        return False
    ends_at = useful_until(request, policy)
    if policy.reminder_delay is not None:
        remind_at = asked_at + policy.reminder_delay
        if now < remind_at and (ends_at is None or remind_at < ends_at):
            # Its reminder will look, and in time: no need to look up everybody on each day until then.
            return False
    return now < (ends_at or asked_at + max(policy.lifetime, _LEAST_CHECKED))


def _newest_open(requests: Collection[ReviewRequest], now: datetime, policy: OccasionPolicy) -> Ask | Nothing:
    recorded = [request for request in requests if request.occasion != REGISTRATION]
    unasked = _open(recorded or requests)
    if not recorded:
        if requests and not unasked:
            return Nothing(AskReason.NO_OCCASION)
        return Ask(REGISTRATION, unasked[0] if unasked else None)
    begun = [request for request in unasked if _happened(request) <= now]
    alive = [request for request in begun if now < _happened(request) + policy.lifetime]
    if not alive:
        return Nothing(AskReason.OCCASION_EXPIRED if begun else AskReason.NO_OCCASION)
    newest = max(alive, key=lambda request: (_happened(request), request.request_id))
    return Ask(newest.occasion, newest)


def _open(requests: Collection[ReviewRequest]) -> Sequence[ReviewRequest]:
    return [request for request in requests if request.asked_at is None and request.answered_at is None]


def _happened(request: ReviewRequest) -> datetime:
    return request.occurred_at or request.recorded_at


def _asked(request: ReviewRequest) -> tuple[datetime, str]:
    # Rows of one second are told apart by their ids, so that their order never matters.
    return request.asked_at or _NEVER, request.request_id
