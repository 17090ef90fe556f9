"""One part of the broadcast: asks its people, and writes down what became of each of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.campaign_counts import DynamoCampaignCounts
from sms_engagement_runtime.channel.adapters.pacing import workers_for
from sms_engagement_runtime.channel.adapters.run_store import S3RunStore
from sms_engagement_runtime.channel.domain.broadcast.asking import PartAsker
from sms_engagement_runtime.channel.domain.broadcast.outcomes import PersonOutcome
from sms_engagement_runtime.channel.domain.broadcast.run import Assignment, Run
from sms_engagement_runtime.channel.domain.broadcast.stop_rules import StopRules
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.observability import instrumented, logger, metrics
from sms_engagement_runtime.review_collector.domain.customers import Customer
from sms_engagement_runtime.review_collector.domain.reasons import NOT_ASKED, AskReason
from sms_engagement_runtime.review_collector.handlers.asking import AskingSettings, build_asker

MARGIN_SECONDS = 45
"""Time left at which nobody new is asked: those who wait for their slot, and the results, fit into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendPartSettings(AskingSettings):
    """Environment of the send-part function.

    Attributes
    ----------
    broadcast_concurrency
        Parts that are sent at once; they share the rate.
    stop_rules
        ``{"maxOptOutPercent", "minDeliveryPercent", "minVolume"}``, each with its default.
    """

    broadcast_bucket: str
    broadcast_concurrency: int = 1
    stop_rules: Mapping[str, Any] = field(default_factory=dict)


_settings = settings.load(SendPartSettings)
_asker = build_asker(_settings)
_service = _asker.send_service
_dynamodb = clients.dynamodb_client()
_store = S3RunStore(clients.s3_client(), bucket=_settings.broadcast_bucket)
_counts = DynamoCampaignCounts(_dynamodb, table=_settings.contacts_table, clock=_service.clock)
_stop_rules = StopRules.from_settings(_settings.stop_rules)
_workers = workers_for(_settings.parts_per_second / _settings.broadcast_concurrency)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Ask the people of one part. Repeating a part texts nobody twice: the ledger knows who was asked.

    Parameters
    ----------
    event
        ``Assignment``: ``{"run", "part", "reportKey"}``.

    Returns
    -------
    dict
        ``{"reportKey", "outcomes": {state: n}, "reasons": {code: n}, "rest": n, "stoppedBy"}``: how many
        ended in which state, and how many come back.
    """
    assignment = Assignment.from_json(event)
    asker = PartAsker(
        find=_asker.customers.find,
        missing_reason=AskReason.NO_CUSTOMER,
        ask=lambda customer: _ask(customer, assignment.run),
        store=_store,
        hours_of=_service.policy.quiet_hours.hours_of_key,
        clock=_service.clock,
        pause=_service.pause,
        counts=_counts,
        stop_rules=_stop_rules,
        has_time=lambda: context.get_remaining_time_in_millis() > MARGIN_SECONDS * 1000,
        on_error=lambda error: logger.error(NOT_ASKED, run_id=assignment.run.run_id, error=error.__name__),
        sleep=time.sleep,
        workers=_workers,
    )
    try:
        report = asker.carry_out(assignment, token=context.aws_request_id)
    finally:
        _service.budget.settle()
    if not assignment.run.is_dry:
        sent = report.final.outcomes.get(OutcomeState.ACCEPTED, 0)
        metrics.add_metric(name="ReviewRequestsSent", unit=MetricUnit.Count, value=sent)
    answer: dict[str, Any] = {
        "reportKey": assignment.report_key,
        "outcomes": dict(report.final.outcomes),
        "reasons": dict(report.final.reasons),
        "rest": assignment.part.people if report.is_untouched else len(report.rest),
        "stoppedBy": report.stopped_by,
    }
    logger.info("Part sent", run_id=assignment.run.run_id, **answer)
    return answer


def _ask(customer: Customer, run: Run) -> PersonOutcome:
    return _asker.ask_due(customer, run_id=run.run_id, dry_run=run.is_dry, follow_up=run.follows is not None)
