"""One step of an appointment's state machine: confirm, follow up, remind, finish, or tell of its end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime import settings
from sms_engagement_runtime.appointment_follow_up.domain.follow_up import FollowUpService, Step
from sms_engagement_runtime.appointment_follow_up.domain.policy import FollowUpPolicy
from sms_engagement_runtime.appointment_follow_up.domain.purposes import Purpose
from sms_engagement_runtime.appointment_follow_up.handlers.speaking import (
    SpeakingSettings,
    build_conversations,
    build_speaker,
)
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.event_bus import EventBridgeBus
from sms_engagement_runtime.channel.adapters.later import timestamp
from sms_engagement_runtime.channel.adapters.wiring import build_send_service
from sms_engagement_runtime.observability import instrumented, logger, metrics


class UnknownStepError(ValueError):
    """The state machine asks for a step that this function does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpSettings(SpeakingSettings):
    """Environment of this function.

    Attributes
    ----------
    channel_bus_name
        Where ReviewCollector listens.
    """

    channel_bus_name: str


_settings = settings.load(FollowUpSettings)
_dynamodb = clients.dynamodb_client()
_send_service = build_send_service(_settings, dynamodb=_dynamodb)
_events = clients.events_client()
_service = FollowUpService(
    conversations=build_conversations(_settings, _dynamodb),
    send_service=_send_service,
    prompts=DynamoContacts(_dynamodb, table=_settings.contacts_table),
    bus=EventBridgeBus(_events, bus_name=_settings.bus_name),
    channel_bus=EventBridgeBus(_events, bus_name=_settings.channel_bus_name),
    speaker=build_speaker(_settings, _dynamodb, _send_service.clock),
    clock=_send_service.clock,
    policy=FollowUpPolicy.from_settings(_settings.follow_up_policy),
)


@instrumented
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Carry out one step, as often as it is called.

    Parameters
    ----------
    event
        ``{"step": "confirm" | "follow-up" | "finish", "appointmentId"}``, ``{"step": "remind",
        "appointmentId", "leadSeconds"}`` or ``{"step": "notify", "appointmentId", "notice": "cancelled" |
        "no-show"}``.

    Returns
    -------
    dict
        ``{"next", "until", "leadSeconds"}``: what the machine does now (``Next``), until when it waits (RFC
        3339, else null), and which reminder is due then (else null).
    """
    step = carry_out(event)
    logger.info(
        "Step of an appointment done",
        appointment_id=event["appointmentId"],
        step=event["step"],
        state=step.state,
        reason=step.reason,
        next=step.next,
    )
    if step.state is not None:
        name = f"Appointment{''.join(word.capitalize() for word in step.state.split('_'))}"
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
    return {
        "next": step.next.value,
        "until": step.until and timestamp(step.until),
        "leadSeconds": step.lead and step.lead // timedelta(seconds=1),
    }


def carry_out(event: dict[str, Any]) -> Step:
    """Call the service for a step."""
    appointment_id = event["appointmentId"]
    match event["step"]:
        case "confirm":
            return _service.confirm(appointment_id)
        case "follow-up":
            return _service.follow_up(appointment_id)
        case "remind":
            return _service.remind(appointment_id, timedelta(seconds=event["leadSeconds"]))
        case "finish":
            return _service.finish(appointment_id)
        case "notify":
            return _service.notify(appointment_id, Purpose(event["notice"]))
    raise UnknownStepError(event["step"])
