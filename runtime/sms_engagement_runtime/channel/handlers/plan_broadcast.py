"""Says what a broadcast does next: send a wave of parts, wait for an instant, or end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.broadcasting import (
    RunSettings,
    broadcast_settings,
    quiet_hours,
)
from sms_engagement_runtime.channel.adapters.campaign_counts import DynamoCampaignCounts
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.adapters.pause import DynamoPauseFlag
from sms_engagement_runtime.channel.adapters.run_store import S3RunStore
from sms_engagement_runtime.channel.domain.broadcast.planning import Planner
from sms_engagement_runtime.channel.domain.broadcast.run import Run
from sms_engagement_runtime.channel.domain.broadcast.stop_rules import StopRules
from sms_engagement_runtime.observability import instrumented, logger


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSettings(RunSettings):
    """Environment of the plan function.

    Attributes
    ----------
    stop_rules
        ``{"maxOptOutPercent", "minDeliveryPercent", "minVolume"}``, each with its default.
    """

    contacts_table: str
    stop_rules: Mapping[str, Any] = field(default_factory=dict)


_settings = settings.load(PlanSettings)
_clock = build_clock()
_dynamodb = clients.dynamodb_client()
_planner = Planner(
    store=S3RunStore(clients.s3_client(), bucket=_settings.broadcast_bucket),
    hours_of=quiet_hours(_settings.quiet_hours).hours_of_key,
    pause=DynamoPauseFlag(_dynamodb, table=_settings.contacts_table, max_age_seconds=0),
    counts=DynamoCampaignCounts(_dynamodb, table=_settings.contacts_table, clock=_clock),
    stop_rules=StopRules.from_settings(_settings.stop_rules),
    settings=broadcast_settings(_settings),
)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take a turn.

    Parameters
    ----------
    event
        ``{"run": run, "turn": number of the last turn, 0 before the first}``; anything else in it is passed
        over.

    Returns
    -------
    dict
        ``{"run", "turn", "next": "SEND", "bucket", "manifestKey"}``,
        ``{"run", "turn", "next": "WAIT", "until": ISO 8601}`` or ``{"run", "turn", "next": "DONE"}``.
    """
    run = Run.from_json(event["run"])
    turn = _planner.take_turn(run, after=event["turn"], now=_clock.now(), token=context.aws_request_id)
    logger.info("Turn taken", run_id=run.run_id, turn=turn.number, next=turn.next, until=turn.until)
    answer: dict[str, Any] = {"run": run.to_json(), "turn": turn.number, "next": turn.next}
    if turn.until is not None:
        answer["until"] = _whole_second(turn.until)
    if turn.manifest_key is not None:
        answer |= {"bucket": _settings.broadcast_bucket, "manifestKey": turn.manifest_key}
    return answer


def _whole_second(instant: datetime) -> str:
    """Return the first whole second not before an instant, as the state machine waits for it."""
    rounded = (instant + timedelta(microseconds=999_999)).astimezone(UTC).replace(microsecond=0)
    return rounded.strftime("%Y-%m-%dT%H:%M:%SZ")
