"""First step of the broadcast: who is asked, in parts, and who is not, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.phone_numbers import LibPhoneNumberParser
from sms_engagement_runtime.channel.adapters.subscriber_ids import build_subscriber_id
from sms_engagement_runtime.channel.domain.errors import PermanentError
from sms_engagement_runtime.observability import instrumented, logger
from sms_engagement_runtime.review_collector.adapters.dynamodb_customers import DynamoCustomers
from sms_engagement_runtime.review_collector.adapters.phone_buckets import DiskBuckets
from sms_engagement_runtime.review_collector.adapters.s3_runs import S3RunStore
from sms_engagement_runtime.review_collector.domain.runs import ManifestItem, Run, take_audience

MAX_REASON_LENGTH = 200
"""Characters of the free text that a run is started with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceSettings:
    """Environment of the audience function."""

    customers_table: str
    broadcast_bucket: str
    default_country: str
    subscriber_key_secret_arn: str
    recipients_per_part: int


_settings = settings.load(AudienceSettings)
_customers = DynamoCustomers(clients.dynamodb_client(), table=_settings.customers_table)
_store = S3RunStore(clients.s3_client(), bucket=_settings.broadcast_bucket)
_parser = LibPhoneNumberParser(_settings.default_country)
_identify = build_subscriber_id(_settings.subscriber_key_secret_arn)


@instrumented
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take the snapshot.

    Parameters
    ----------
    event
        ``{"runId", "startedAt", "input": {"reason"?: text, "dryRun"?: true or false}}``.

    Returns
    -------
    dict
        ``{"runId", "bucket", "manifestKey", "recipients", "dryRun", "reason", "startedAt", "resultPrefix"}``.

    Raises
    ------
    BroadcastInputError
        See `read_run`; the execution fails with its sentence.
    """
    run = read_run(event)

    def entry(item: ManifestItem) -> dict[str, Any]:
        return {
            "runId": run.run_id,
            "bucket": _settings.broadcast_bucket,
            "partKey": item.part_key,
            "resultKey": item.result_key,
            "dryRun": run.is_dry,
            "startedAt": run.started_at,
        }

    with TemporaryDirectory() as folder, DiskBuckets(Path(folder)) as buckets:
        audience = take_audience(
            run,
            customers=_customers,
            parser=_parser,
            identify=_identify,
            buckets=buckets,
            store=_store,
            recipients_per_part=_settings.recipients_per_part,
            manifest=entry,
        )
    logger.info(
        "Audience taken",
        run_id=run.run_id,
        customers=audience.customers,
        recipients=audience.recipients,
        dry_run=run.is_dry,
    )
    return {
        "runId": run.run_id,
        "bucket": _settings.broadcast_bucket,
        "manifestKey": run.manifest_key,
        "recipients": audience.recipients,
        "dryRun": run.is_dry,
        "reason": run.reason,
        "startedAt": run.started_at,
        "resultPrefix": run.result_prefix,
    }


class BroadcastInputError(PermanentError):
    """A run was started with something that it does not know. Nobody is asked."""


def read_run(event: dict[str, Any]) -> Run:
    """Read what a run was started with.

    Raises
    ------
    BroadcastInputError
        The input is anything but ``{"reason"?: text, "dryRun"?: true or false}``. A mistyped rehearsal must
        not become a real run.
    """
    given = event.get("input")
    if not isinstance(given, dict):
        raise BroadcastInputError(
            f"the input must be a JSON object, got {type(given).__name__}; start with {{}}"
        )
    if unknown := given.keys() - {"reason", "dryRun"}:
        raise BroadcastInputError(
            f"the input is reason and dryRun, got {', '.join(sorted(unknown))}; leave out the rest"
        )
    is_dry, reason = given.get("dryRun", False), given.get("reason", "")
    if not isinstance(is_dry, bool):
        raise BroadcastInputError("dryRun must be true or false; leave it out to send")
    if not isinstance(reason, str):
        raise BroadcastInputError("reason must be text; leave it out where there is none")
    return Run(
        run_id=event["runId"],
        started_at=event["startedAt"],
        is_dry=is_dry,
        reason=reason[:MAX_REASON_LENGTH] or None,
    )
