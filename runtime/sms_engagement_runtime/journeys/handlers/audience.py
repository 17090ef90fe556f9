"""Who one moment of a journey is for, in parts, and who is not, with the reason."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError
from sms_engagement_runtime.channel.adapters.broadcasting import (
    RunSettings,
    broadcast_settings,
    quiet_hours,
)
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.adapters.number_places import NumberPlaces
from sms_engagement_runtime.channel.adapters.phone_numbers import LibPhoneNumberParser
from sms_engagement_runtime.channel.adapters.run_store import S3RunStore
from sms_engagement_runtime.channel.adapters.secrets import SecretCache
from sms_engagement_runtime.channel.adapters.shuffle import S3Shuffle
from sms_engagement_runtime.channel.domain.broadcast.audience import AudienceSource
from sms_engagement_runtime.channel.domain.broadcast.run import read_run
from sms_engagement_runtime.channel.domain.broadcast.snapshot import Snapshot
from sms_engagement_runtime.journeys.adapters.dynamodb_subscribers import DynamoSubscribers
from sms_engagement_runtime.journeys.domain.audience import (
    AudienceNotReadyError,
    FirstAudience,
    LaterAudience,
)
from sms_engagement_runtime.journeys.domain.runs import StepRun
from sms_engagement_runtime.observability import instrumented, logger

MARGIN_SECONDS = 90
"""Time left at which the call ends: one page or bucket more, and the checkpoint, fit into it."""

LOOKS_AGAIN_AFTER_SECONDS = 60
WAITS_FOR_THE_FIRST = timedelta(hours=12)
"""How long a later moment waits for the snapshot of the first: that of millions takes longer than a Wait of a
minute, and than the state machine would try again for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceSettings(RunSettings):
    """Environment of the audience function.

    Attributes
    ----------
    default_country
        Of numbers that are written without one.
    """

    subscribers_table: str
    default_country: str
    subscriber_key_secret_arn: str


_settings = settings.load(AudienceSettings)
_s3 = clients.s3_client()
_store = S3RunStore(_s3, bucket=_settings.broadcast_bucket)
_subscribers = DynamoSubscribers(clients.dynamodb_client(), table=_settings.subscribers_table)
_parser = LibPhoneNumberParser(_settings.default_country)
# Never rotated, so it is read once a process.
_key = SecretCache(
    clients.secrets_client(), _settings.subscriber_key_secret_arn, max_age_seconds=float("inf")
)
_hours = quiet_hours(_settings.quiet_hours)
_clock = build_clock()
_sleep = time.sleep


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take the snapshot, or as much of it as there is time for; called again, it goes on.

    Parameters
    ----------
    event
        ``{"runId", "startedAt": ISO 8601, "input": {"reason", "dryRun", "about": StepRun.to_json()}}``.

    Returns
    -------
    dict
        ``{"run", "more": true}`` where it is to be called again, else ``{"run", "more": false, "turn": 0}``.

    Raises
    ------
    BroadcastInputError, JourneyInputError
        The engine was not started by a journey.
    """
    run = read_run(event)
    snapshot = Snapshot(
        run=run,
        source=_source(StepRun.from_json(run.about)),
        store=_store,
        shuffle=S3Shuffle(_s3, bucket=_settings.broadcast_bucket),
        settings=broadcast_settings(_settings),
        token=context.aws_request_id,
        may_go_on=lambda: context.get_remaining_time_in_millis() > MARGIN_SECONDS * 1000,
    )
    try:
        audience = snapshot.take()
    except AudienceNotReadyError as error:
        if _clock.now() - run.started_at >= WAITS_FOR_THE_FIRST:
            # By this name the state machine tries again, and fails after some times.
            raise ServiceCallError(str(error)) from error
        _sleep(LOOKS_AGAIN_AFTER_SECONDS)
        return {"run": run.to_json(), "more": True}
    if audience is None:
        return {"run": run.to_json(), "more": True}
    logger.info(
        "Audience taken",
        run_id=run.run_id,
        subscribers=audience.customers,
        recipients=audience.recipients,
        reasons=audience.skipped.reasons,
        dry_run=run.is_dry,
    )
    return {"run": run.to_json(), "more": False, "turn": 0}


def _source(step: StepRun) -> AudienceSource:
    if step.number > 1:
        return LaterAudience(step=step, store=_store)
    return FirstAudience(
        step=step,
        subscribers=_subscribers,
        parser=_parser,
        subscriber_key=_key.key,
        places=NumberPlaces(),
        hours=_hours,
        clock=_clock,
    )
