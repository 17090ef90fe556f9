"""What people answer to texts of journeys, and who opts out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.attention import SnsAttentionTopic
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.instants import from_milliseconds
from sms_engagement_runtime.journeys.adapters.dynamodb_enrolments import DynamoEnrolments
from sms_engagement_runtime.journeys.adapters.dynamodb_subscribers import DynamoSubscribers
from sms_engagement_runtime.journeys.domain.replies import ReplyService, read_event
from sms_engagement_runtime.journeys.domain.reply_reading import read_kind
from sms_engagement_runtime.observability import instrumented, logger, metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneEventSettings:
    """Environment of this function.

    Attributes
    ----------
    contacts_table
        Where prompts are.
    attention_topic_arn
        What a human reads.
    """

    contacts_table: str
    enrolments_table: str
    subscribers_table: str
    attention_topic_arn: str


_settings = settings.load(PhoneEventSettings)
_dynamodb = clients.dynamodb_client()
_service = ReplyService(
    enrolments=DynamoEnrolments(_dynamodb, table=_settings.enrolments_table),
    subscribers=DynamoSubscribers(_dynamodb, table=_settings.subscribers_table),
    prompts=DynamoContacts(_dynamodb, table=_settings.contacts_table),
    attention=SnsAttentionTopic(clients.sns_client(), topic_arn=_settings.attention_topic_arn),
    clock=build_clock(),
    read_kind=read_kind,
)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle one event of the channel, however often it comes.

    Parameters
    ----------
    event
        EventBridge event, source ``sms-engagement``, detail-type ``ReplyReceived`` of construct ``journeys``,
        or ``OptedOut``.

    Returns
    -------
    dict
        ``{"action"}``.
    """
    event_id, event_type = str(event.get("id") or context.aws_request_id), event.get("detail-type")
    told = read_event(event_type, event.get("detail"), to_instant=from_milliseconds)
    if told is None:
        logger.error("Event cannot be carried out", event_id=event_id, event_type=event_type)
        metrics.add_metric(name="MalformedEvents", unit=MetricUnit.Count, value=1)
        return {"action": "MALFORMED"}
    handled = _service.handle(told)
    logger.info(
        "Phone event handled",
        event_id=event_id,
        event_type=event_type,
        action=handled.action,
        run_ids=handled.run_ids,
    )
    name = f"Journey{handled.action.capitalize()}"
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
    return {"action": handled.action}
