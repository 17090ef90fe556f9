"""Last step of a broadcast: what it came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.pause import DynamoPauseFlag
from sms_engagement_runtime.channel.adapters.run_store import S3RunStore
from sms_engagement_runtime.channel.domain.broadcast.run import Run
from sms_engagement_runtime.channel.domain.broadcast.summary import summarise
from sms_engagement_runtime.channel.domain.budget import MILLICENTS_PER_PART
from sms_engagement_runtime.observability import instrumented, logger


@dataclass(frozen=True, slots=True, kw_only=True)
class SummarySettings:
    """Environment of the summary function.

    Attributes
    ----------
    millicents_per_part
        Price of a message part, for the estimate; 1 USD is 100,000.
    follow_up_seconds
        How long after a text its person's follow-up may come; none when left out.
    """

    broadcast_bucket: str
    contacts_table: str
    millicents_per_part: int = MILLICENTS_PER_PART
    follow_up_seconds: int | None = None


_settings = settings.load(SummarySettings)
_store = S3RunStore(clients.s3_client(), bucket=_settings.broadcast_bucket)
_pause = DynamoPauseFlag(clients.dynamodb_client(), table=_settings.contacts_table, max_age_seconds=0)


@instrumented
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Sum up, and keep the sum beside the results.

    Parameters
    ----------
    event
        ``{"run": run}``; anything else in it is passed over.

    Returns
    -------
    dict
        See ``summary.summarise``.
    """
    summary = summarise(
        Run.from_json(event["run"]),
        store=_store,
        millicents_per_part=_settings.millicents_per_part,
        is_followed_up=_settings.follow_up_seconds is not None,
        is_paused=_pause.is_paused(),
    )
    logger.info("Broadcast over", **{key: value for key, value in summary.items() if key != "reason"})
    return summary
