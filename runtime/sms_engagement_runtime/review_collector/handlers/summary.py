"""Last step of the broadcast: what the run came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.observability import instrumented, logger
from sms_engagement_runtime.review_collector.adapters.s3_runs import S3RunStore
from sms_engagement_runtime.review_collector.domain.runs import Run, summarise


@dataclass(frozen=True, slots=True, kw_only=True)
class SummarySettings:
    """Environment of the summary function.

    Attributes
    ----------
    millicents_per_part
        Price of a message part, for the estimate; 1 USD is 100,000. The default is a US text on a 10DLC or
        toll-free number, 0.00581 USD and 0.003 USD of carrier fee (the prices in AWS's sample events).
    """

    broadcast_bucket: str
    millicents_per_part: int = 881


_settings = settings.load(SummarySettings)
_store = S3RunStore(clients.s3_client(), bucket=_settings.broadcast_bucket)


@instrumented
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Count, and keep the sum beside the results.

    Parameters
    ----------
    event
        Output of the audience function; anything else in it is passed over.

    Returns
    -------
    dict
        ``{"runId", "dryRun", "recipients", "customers", "outcomes": {state: n}, "reasons": {code: n},
        "parts", "estimatedCostUsd", "complete", "reason"}``. ``recipients`` are the people in parts,
        ``customers`` everybody in the table; ``outcomes`` adds up to ``customers``. Not ``complete`` where
        anybody is ``REMAINING`` or ``DEFERRED``: a new run takes care of them.
    """
    run = Run(
        run_id=event["runId"],
        started_at=event["startedAt"],
        is_dry=event["dryRun"] is True,
        reason=event.get("reason"),
    )
    summary = summarise(run, store=_store, millicents_per_part=_settings.millicents_per_part)
    logger.info("Broadcast over", **{key: value for key, value in summary.items() if key != "reason"})
    return summary
