"""One part of the broadcast: asks its people, and writes down what became of each of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.observability import instrumented, logger, metrics
from sms_engagement_runtime.review_collector.adapters.s3_runs import S3RunStore
from sms_engagement_runtime.review_collector.domain.customers import Customer
from sms_engagement_runtime.review_collector.domain.outcomes import PersonOutcome, tally
from sms_engagement_runtime.review_collector.domain.requests import REGISTRATION
from sms_engagement_runtime.review_collector.domain.runs import send_part
from sms_engagement_runtime.review_collector.handlers.asking import AskingSettings, build_asker

MARGIN_SECONDS = 45
"""Time left at which nobody new is asked: those who wait for their slot, and the results, fit into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendPartSettings(AskingSettings):
    """Environment of the send-part function."""

    broadcast_bucket: str


_settings = settings.load(SendPartSettings)
_asker = build_asker(_settings)
_store = S3RunStore(clients.s3_client(), bucket=_settings.broadcast_bucket)
# A person takes some ten calls of a few milliseconds each: two workers for each text a second never wait for
# one another, and more would only queue for their slot while the function's time runs out.
_workers = max(2, min(32, 2 * _settings.parts_per_second))


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Ask the people of one part. Repeating a part texts nobody twice: the ledger knows who was asked.

    Parameters
    ----------
    event
        ``{"runId", "bucket", "partKey", "resultKey", "dryRun", "startedAt"}``.

    Returns
    -------
    dict
        ``{"runId", "resultKey", "people", "outcomes": {state: n}, "reasons": {code: n}, "parts"}``.
    """
    is_dry = event["dryRun"] is True

    def ask(customer: Customer) -> PersonOutcome:
        return _asker.ask(customer, REGISTRATION, dry_run=is_dry, run_id=event["runId"])

    def log_error(error: type[Exception]) -> None:
        logger.error("Person not asked", run_id=event["runId"], error=error.__name__)

    outcomes = send_part(
        _store.read_people(event["partKey"]),
        customers=_asker.customers,
        ask=ask,
        may_go_on=lambda: context.get_remaining_time_in_millis() > MARGIN_SECONDS * 1000,
        on_error=log_error,
        sleep=time.sleep,
        workers=_workers,
    )
    _store.write_outcomes(event["resultKey"], outcomes)
    total = tally(outcomes)
    if not is_dry:
        metrics.add_metric(
            name="ReviewRequestsSent", unit=MetricUnit.Count, value=total.outcomes.get("ACCEPTED", 0)
        )
    logger.info("Part sent", run_id=event["runId"], outcomes=total.outcomes, reasons=total.reasons)
    return {
        "runId": event["runId"],
        "resultKey": event["resultKey"],
        "people": total.people,
        "outcomes": total.outcomes,
        "reasons": total.reasons,
        "parts": total.parts,
    }
