"""What a run came to, once it is over."""

from __future__ import annotations

from typing import Any, Final

from sms_engagement_runtime.channel.domain.broadcast.outcomes import REMAINING, RunReason
from sms_engagement_runtime.channel.domain.broadcast.planning import Progress
from sms_engagement_runtime.channel.domain.broadcast.run import Run, RunStore
from sms_engagement_runtime.channel.domain.budget import in_dollars
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState

# Not sent, or nobody knows; a later run asks them.
_LEFT: Final[frozenset[str]] = frozenset({REMAINING, OutcomeState.DEFERRED})
_LEFT_REASONS: Final[frozenset[str]] = frozenset({RunReason.PART_FAILED, RunReason.RUN_EXPIRED})


def summarise(
    run: Run, *, store: RunStore, millicents_per_part: int, is_followed_up: bool, is_paused: bool
) -> dict[str, Any]:
    """Sum up a run that is over, write the sum beside its results, and return it.

    Parameters
    ----------
    millicents_per_part
        Price of a message part, for the estimate; 1 USD is 100,000.
    is_followed_up
        Whether the people whom a run texted are asked again later.
    is_paused
        Whether all sending is paused now; a dry run reports it.

    Returns
    -------
    dict
        ``{"runId", "dryRun", "recipients", "customers", "outcomes": {state: n}, "reasons": {code: n},
        "parts", "estimatedCostUsd", "complete", "reason", "follows", "paused", "stoppedBy", "waves"}``.
        ``recipients`` are the people in parts, ``customers`` everybody whom the source named; ``outcomes``
        adds up to ``customers``. Not ``complete`` where anybody is ``REMAINING`` or ``DEFERRED``, was in a
        part that failed, or still waited when the run expired: a new run takes care of them. ``followUp``
        is there only where a run is to follow: its name.
    """
    (saved,) = store.read_json([run.plan_key], prefix=run.prefix)
    progress = Progress.from_json(saved)
    tally = progress.tally
    summary: dict[str, Any] = {
        "runId": run.run_id,
        "dryRun": run.is_dry,
        "recipients": progress.recipients,
        "customers": progress.customers,
        "outcomes": dict(tally.outcomes),
        "reasons": dict(tally.reasons),
        "parts": tally.parts,
        "estimatedCostUsd": in_dollars(tally.parts * millicents_per_part),
        "complete": _LEFT.isdisjoint(tally.outcomes) and _LEFT_REASONS.isdisjoint(tally.reasons),
        "reason": run.reason,
        "follows": run.follows,
        "paused": run.is_dry and is_paused,
        "stoppedBy": progress.stopped_by,
        "waves": progress.waves,
    }
    has_texted = tally.outcomes.get(OutcomeState.ACCEPTED, 0) > 0
    if is_followed_up and has_texted and not run.is_dry and run.follows is None:
        summary["followUp"] = run.follow_up_id
    store.write_json(run.summary_key, summary)
    return summary
