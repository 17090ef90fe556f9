"""Offering a text about an appointment to the channel, and what is made of how that ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sms_engagement_runtime.channel.domain.ledger import Guard, Intent
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.channel.domain.pacing import NoSlotError
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.channel.domain.sending import SendOutcome, SendService

SENT: Final = frozenset({OutcomeState.ACCEPTED, OutcomeState.ALREADY_SENT, OutcomeState.UNCERTAIN})
"""Outcomes of a text that went out, or may have: it is not sent again, and what follows it follows."""

MOST_MOVES: Final = 20
"""How many moves of one appointment are followed. More are a ring in the data."""

_SHORTEST_LOOK: Final = timedelta(minutes=5)
"""How long to wait before looking again where nobody can say when it is worth it: sending is paused."""

LONGEST_LOOK: Final = timedelta(hours=1)
_LOOKS_PER_AGE: Final = 12

_IN_FLIGHT: Final = timedelta(seconds=61)
"""When an attempt that holds the text is over: then the ledger says so (``ledger.UNCERTAIN_AFTER``)."""


def offer(service: SendService, intent: Intent, still_true: Callable[[], bool | Guard]) -> SendOutcome:
    """Send a text while what it says is true; one for which the rate has no room waits."""
    try:
        return service.send(intent, still_true=still_true)
    except NoSlotError:
        return SendOutcome(state=OutcomeState.DEFERRED, reason=Reason.THROTTLED, key=intent.key)
    finally:
        service.budget.settle()


def waits_until(outcome: SendOutcome, *, now: datetime, since: datetime) -> datetime | None:
    """Say when a text is to be offered again; None where it is decided.

    Parameters
    ----------
    since
        When what it follows from happened. An execution's history has room for two and a half thousand looks
        (Step Functions, quotas): a pause that lasts is looked at once an hour.
    """
    if outcome.state is OutcomeState.IN_FLIGHT:
        return now + _IN_FLIGHT
    if outcome.state is not OutcomeState.DEFERRED:
        return None
    age = now - since
    return outcome.until or now + min(max(age / _LOOKS_PER_AGE, _SHORTEST_LOOK), LONGEST_LOOK)
