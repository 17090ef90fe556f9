"""First step of the broadcast: who is asked, in parts, and who is not, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
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
from sms_engagement_runtime.channel.domain.broadcast.run import read_run
from sms_engagement_runtime.channel.domain.broadcast.snapshot import Snapshot
from sms_engagement_runtime.observability import instrumented, logger
from sms_engagement_runtime.review_collector.adapters.dynamodb_customers import DynamoCustomers
from sms_engagement_runtime.review_collector.adapters.dynamodb_requests import DynamoReviewRequests
from sms_engagement_runtime.review_collector.domain.audience import ReviewAudience
from sms_engagement_runtime.review_collector.domain.occasions import OccasionPolicy

MARGIN_SECONDS = 90
"""Time left at which the call ends: one page or bucket more, and the checkpoint, fit into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceSettings(RunSettings):
    """Environment of the audience function.

    Attributes
    ----------
    occasion_policy
        ``OccasionPolicy.to_settings``; what is absent takes its default.
    """

    customers_table: str
    review_requests_table: str
    default_country: str
    subscriber_key_secret_arn: str
    occasion_policy: Mapping[str, Any] = field(default_factory=dict)


_settings = settings.load(AudienceSettings)
_dynamodb, _s3 = clients.dynamodb_client(), clients.s3_client()
_store = S3RunStore(_s3, bucket=_settings.broadcast_bucket)
_audience = ReviewAudience(
    customers=DynamoCustomers(_dynamodb, table=_settings.customers_table),
    requests=DynamoReviewRequests(_dynamodb, table=_settings.review_requests_table),
    parser=LibPhoneNumberParser(_settings.default_country),
    # Never rotated, so it is read once a process.
    subscriber_key=SecretCache(
        clients.secrets_client(), _settings.subscriber_key_secret_arn, max_age_seconds=float("inf")
    ).key,
    places=NumberPlaces(),
    hours=quiet_hours(_settings.quiet_hours),
    policy=OccasionPolicy.from_settings(_settings.occasion_policy),
    clock=build_clock(),
)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take the snapshot, or as much of it as there is time for; called again, it goes on.

    Parameters
    ----------
    event
        ``{"runId", "startedAt": ISO 8601, "input": {"reason"?: text, "dryRun"?: true or false, "follows"?:
        run id}}``.

    Returns
    -------
    dict
        ``{"run", "more": true}`` where it is to be called again, else ``{"run", "more": false, "turn": 0}``.

    Raises
    ------
    BroadcastInputError
        See ``read_run``; the execution fails with its sentence.
    """
    run = read_run(event)
    audience = Snapshot(
        run=run,
        source=_audience,
        store=_store,
        shuffle=S3Shuffle(_s3, bucket=_settings.broadcast_bucket),
        settings=broadcast_settings(_settings),
        token=context.aws_request_id,
        may_go_on=lambda: context.get_remaining_time_in_millis() > MARGIN_SECONDS * 1000,
    ).take()
    if audience is None:
        return {"run": run.to_json(), "more": True}
    logger.info(
        "Audience taken",
        run_id=run.run_id,
        customers=audience.customers,
        recipients=audience.recipients,
        reasons=audience.skipped.reasons,
        dry_run=run.is_dry,
    )
    return {"run": run.to_json(), "more": False, "turn": 0}
