"""One part of a moment of a journey: its people's turns, and what became of each of them."""

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
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.event_bus import EventBridgeBus
from sms_engagement_runtime.channel.adapters.pacing import workers_for
from sms_engagement_runtime.channel.adapters.phone_numbers import LibPhoneNumberParser
from sms_engagement_runtime.channel.adapters.run_store import S3RunStore
from sms_engagement_runtime.channel.adapters.secrets import SecretCache
from sms_engagement_runtime.channel.adapters.wiring import SendingSettings, build_send_service
from sms_engagement_runtime.channel.domain.broadcast.asking import PartAsker
from sms_engagement_runtime.channel.domain.broadcast.run import Assignment
from sms_engagement_runtime.channel.domain.broadcast.stop_rules import StopRules
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.journeys.adapters.dynamodb_enrolments import DynamoEnrolments
from sms_engagement_runtime.journeys.adapters.dynamodb_subscribers import DynamoSubscribers
from sms_engagement_runtime.journeys.domain.audience import PreviousRun
from sms_engagement_runtime.journeys.domain.reasons import NOT_TEXTED, JourneyReason
from sms_engagement_runtime.journeys.domain.runs import StepRun
from sms_engagement_runtime.journeys.domain.turn import JourneySender
from sms_engagement_runtime.observability import instrumented, logger, metrics

MARGIN_SECONDS = 45
"""Time left at which nobody new is texted: those who wait for their slot, and the results, fit into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendPartSettings(SendingSettings):
    """Environment of the send-part function.

    Attributes
    ----------
    broadcast_concurrency
        Parts that are sent at once; they share the rate.
    stop_rules
        ``{"maxOptOutPercent", "minDeliveryPercent", "minVolume"}``, each with its default.
    requires_recorded_consent
        Whether an opt-in that only the subscriber's row knows counts for nothing.
    """

    broadcast_bucket: str
    subscribers_table: str
    enrolments_table: str
    bus_name: str
    broadcast_concurrency: int = 1
    stop_rules: Mapping[str, Any] = field(default_factory=dict)
    requires_recorded_consent: bool = False


_settings = settings.load(SendPartSettings)
_dynamodb = clients.dynamodb_client()
_service = build_send_service(_settings, dynamodb=_dynamodb)
_subscribers = DynamoSubscribers(_dynamodb, table=_settings.subscribers_table)
_sender = JourneySender(
    send_service=_service,
    enrolments=DynamoEnrolments(_dynamodb, table=_settings.enrolments_table),
    prompts=DynamoContacts(_dynamodb, table=_settings.contacts_table),
    bus=EventBridgeBus(clients.events_client(), bus_name=_settings.bus_name),
    parser=LibPhoneNumberParser(_settings.default_country),
    # Never rotated, so it is read once a process.
    subscriber_key=SecretCache(
        clients.secrets_client(), _settings.subscriber_key_secret_arn, max_age_seconds=float("inf")
    ).key,
    requires_recorded_consent=_settings.requires_recorded_consent,
)
_store = S3RunStore(clients.s3_client(), bucket=_settings.broadcast_bucket)
_counts = DynamoCampaignCounts(_dynamodb, table=_settings.contacts_table, clock=_service.clock)
_stop_rules = StopRules.from_settings(_settings.stop_rules)
_workers = workers_for(_settings.parts_per_second / _settings.broadcast_concurrency)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take the turns of the people of one part. Repeating a part texts nobody twice.

    Parameters
    ----------
    event
        ``Assignment``: ``{"run", "part", "reportKey"}``; the run's ``about`` is a ``StepRun``.

    Returns
    -------
    dict
        ``{"reportKey", "outcomes": {state: n}, "reasons": {code: n}, "rest": n, "stoppedBy"}``: how many
        ended in which state, and how many come back.
    """
    assignment = Assignment.from_json(event)
    run, step = assignment.run, StepRun.from_json(assignment.run.about)
    previous = PreviousRun(step=step, store=_store, clock=_service.clock)
    asker = PartAsker(
        find=_subscribers.find,
        missing_reason=JourneyReason.NO_SUBSCRIBER,
        ask=lambda person: _sender.take_turn(person, run, step, previous_is_over=previous.is_over),
        store=_store,
        hours_of=_service.policy.quiet_hours.hours_of_key,
        clock=_service.clock,
        pause=_service.pause,
        counts=_counts,
        stop_rules=_stop_rules,
        has_time=lambda: context.get_remaining_time_in_millis() > MARGIN_SECONDS * 1000,
        on_error=lambda error: logger.error(NOT_TEXTED, run_id=run.run_id, error=error.__name__),
        sleep=time.sleep,
        workers=_workers,
    )
    try:
        report = asker.carry_out(assignment, token=context.aws_request_id)
    finally:
        _service.budget.settle()
    if not run.is_dry:
        sent = report.final.outcomes.get(OutcomeState.ACCEPTED, 0)
        metrics.add_metric(name="JourneyTextsSent", unit=MetricUnit.Count, value=sent)
    answer: dict[str, Any] = {
        "reportKey": assignment.report_key,
        "outcomes": dict(report.final.outcomes),
        "reasons": dict(report.final.reasons),
        "rest": assignment.part.people if report.is_untouched else len(report.rest),
        "stoppedBy": report.stopped_by,
    }
    logger.info("Part sent", run_id=run.run_id, journey=step.journey.name, step=step.number, **answer)
    return answer
