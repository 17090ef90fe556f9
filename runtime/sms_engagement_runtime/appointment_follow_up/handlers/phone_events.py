"""What the channel tells about invitees' phones: answers, opt-outs, texts that failed for good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime import settings
from sms_engagement_runtime.appointment_follow_up.domain.answering import AnswerService
from sms_engagement_runtime.appointment_follow_up.domain.phone_events import read_event
from sms_engagement_runtime.appointment_follow_up.handlers.speaking import (
    SpeakingSettings,
    build_conversations,
    build_speaker,
)
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.attention import SnsAttentionTopic
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.event_bus import EventBridgeBus
from sms_engagement_runtime.channel.adapters.later import StepFunctionsLater, timestamp
from sms_engagement_runtime.channel.adapters.wiring import build_send_service
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.observability import instrumented, logger, metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneEventSettings(SpeakingSettings):
    """Environment of this function.

    Attributes
    ----------
    host_topic_arn
        What the host reads.
    later_arn
        State machine that waits for answers which cannot be sent now.
    aws_lambda_function_name
        Set by Lambda: whom that machine calls.
    """

    host_topic_arn: str
    later_arn: str
    aws_lambda_function_name: str = ""


_KEPT: Final = (
    "inboundMessageId",
    "subscriberId",
    "construct",
    "purpose",
    "occasion",
    "alternatives",
    "receivedAt",
)
"""What an answer is called again with: ids, and no number, not even ours."""

_settings = settings.load(PhoneEventSettings)
_dynamodb = clients.dynamodb_client()
_send_service = build_send_service(_settings, dynamodb=_dynamodb)
_contacts = DynamoContacts(_dynamodb, table=_settings.contacts_table)
_service = AnswerService(
    conversations=build_conversations(_settings, _dynamodb),
    send_service=_send_service,
    contacts=_contacts,
    prompts=_contacts,
    bus=EventBridgeBus(clients.events_client(), bus_name=_settings.bus_name),
    host=SnsAttentionTopic(clients.sns_client(), topic_arn=_settings.host_topic_arn),
    speaker=build_speaker(_settings, _dynamodb, _send_service.clock),
    clock=_send_service.clock,
)
_later = StepFunctionsLater(
    clients.stepfunctions_client(),
    state_machine_arn=_settings.later_arn,
    function_name=_settings.aws_lambda_function_name,
)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle one event of the channel, once, however often it comes.

    Parameters
    ----------
    event
        EventBridge event, source ``sms-engagement``, detail-type ``ReplyReceived``, ``OptedOut`` or
        ``TextFailed``; after a wait the same with ``waited``.

    Returns
    -------
    dict
        ``{"state", "until"}``: DEFERRED with an instant where an answer has to wait, else DONE.
    """
    event_id, event_type = str(event.get("id") or context.aws_request_id), event.get("detail-type")
    told = read_event(event_type, event.get("detail"))
    if told is None:
        logger.error("Event cannot be carried out", event_id=event_id, event_type=event_type)
        metrics.add_metric(name="MalformedEvents", unit=MetricUnit.Count, value=1)
        return {"state": "DONE", "until": None}
    try:
        result = _service.handle(told)
    finally:
        _send_service.budget.settle()
    logger.info(
        "Phone event handled",
        event_id=event_id,
        event_type=event_type,
        action=result.action,
        reason=result.reason,
        appointment_ids=result.appointment_ids,
    )
    metrics.add_metric(
        name=f"Appointment{''.join(word.capitalize() for word in result.action.split('_'))}",
        unit=MetricUnit.Count,
        value=1,
    )
    if result.until is None:
        return {"state": "DONE", "until": None}
    if "waited" not in event:
        detail = {name: event["detail"][name] for name in _KEPT if name in event["detail"]}
        detail["body"] = result.said
        kept = {"id": event_id, "detail-type": event_type, "detail": detail, "waited": True}
        _later.postpone(event_id, kept, result.until)
    return {"state": OutcomeState.DEFERRED.value, "until": timestamp(result.until)}
