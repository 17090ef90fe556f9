"""Inbound texts: opt-outs and opt-ins, answers to questions, and whatever a human has to read.

SQS batch of SNS envelopes; answers with the records that failed. Every step is safe to repeat, so a record
that failed in the middle is simply handled again. The opt-outs of a batch are recorded before anything of it
is answered, since replies may wait until the function's time is over.

A text whose reply has to wait (sending is paused, the carrier throttles) goes back into the queue with a
delay, as often as it takes and for at most a day: ``InboundService`` gives up then, and tells a human. If it
were reported as failed, it would be a dead letter after five rounds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime.channel.adapters.attention import SnsAttentionTopic
from sms_engagement_runtime.channel.adapters.campaign_counts import DynamoCampaignCounts
from sms_engagement_runtime.channel.adapters.clients import (
    dynamodb_client,
    events_client,
    secrets_client,
    sms_settings_client,
    sns_client,
    sqs_client,
)
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.end_user_messaging import EndUserMessagingOptOutList
from sms_engagement_runtime.channel.adapters.event_bus import EventBridgeBus
from sms_engagement_runtime.channel.adapters.inbound_payload import inbound_message
from sms_engagement_runtime.channel.adapters.inbound_queue import InboundQueue
from sms_engagement_runtime.channel.adapters.phone_numbers import LibPhoneNumberParser
from sms_engagement_runtime.channel.adapters.secrets import SecretCache
from sms_engagement_runtime.channel.adapters.sns_batch import BatchResponse, Notification, process_batch
from sms_engagement_runtime.channel.adapters.wiring import SendingSettings, build_send_service
from sms_engagement_runtime.channel.domain.inbound import (
    InboundResult,
    InboundService,
    OptOutMode,
    Replies,
    ReplyDeferredError,
)
from sms_engagement_runtime.observability import instrumented, logger, metrics
from sms_engagement_runtime.settings import load


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(SendingSettings):
    """Environment of this function.

    Attributes
    ----------
    inbound_queue_url
        The queue that this function reads.
    opt_out_mode
        ``self`` or ``aws``.
    replies
        Texts that replace the standard ones, by the names of :class:`Replies`; may be ``{}``.
    """

    bus_name: str
    attention_topic_arn: str
    inbound_queue_url: str
    opt_out_list: str
    opt_out_mode: str
    replies: Mapping[str, str]


_settings = load(Settings)
_dynamodb = dynamodb_client()
_send_service = build_send_service(_settings, dynamodb=_dynamodb)
_contacts = DynamoContacts(_dynamodb, table=_settings.contacts_table)
_subscriber_key = SecretCache(secrets_client(), _settings.subscriber_key_secret_arn)
_opt_out_list = EndUserMessagingOptOutList(sms_settings_client(), list_name=_settings.opt_out_list)
_bus = EventBridgeBus(events_client(), bus_name=_settings.bus_name)
_attention = SnsAttentionTopic(sns_client(), topic_arn=_settings.attention_topic_arn)
_counts = DynamoCampaignCounts(_dynamodb, table=_settings.contacts_table, clock=build_clock())
_parser = LibPhoneNumberParser(_settings.default_country)
_replies = Replies(**_settings.replies)
_mode = OptOutMode(_settings.opt_out_mode)


@instrumented
def handler(event: Mapping[str, Any], _: LambdaContext) -> BatchResponse:
    """Handle a batch of inbound texts."""
    if len(event["Records"]) > 1:
        process_batch(event, close_gate)
    return process_batch(event, handle)


def close_gate(notification: Notification) -> None:
    """Record an opt-out; where that fails, the text's own turn comes."""
    message = inbound_message(notification)
    if message is not None:
        _service().close_gate(message)


def handle(notification: Notification) -> None:
    """Handle one inbound text; what is none is acknowledged and counted."""
    message = inbound_message(notification)
    if message is None:
        logger.info("not an inbound message", notification=notification.message_id)
        metrics.add_metric(name="InboundForeign", unit=MetricUnit.Count, value=1)
        return
    try:
        result = _service().handle(message)
    except ReplyDeferredError as error:
        _queue().put_back(notification.body, error.retry_after)
        logger.info("reply has to wait", inbound_message_id=message.id, reason=str(error))
        metrics.add_metric(name="InboundReplyDeferred", unit=MetricUnit.Count, value=1)
        return
    _report(message.id, result)


@cache
def _queue() -> InboundQueue:
    # Few processes ever need it.
    return InboundQueue(sqs_client(), url=_settings.inbound_queue_url)


@cache
def _service() -> InboundService:
    # Made with the first record: the subscriber key is a call to Secrets Manager, which importing a module
    # must not make.
    return InboundService(
        contacts=_contacts,
        prompts=_contacts,
        ledger=_send_service.ledger,
        send_service=_send_service,
        opt_out_list=_opt_out_list,
        bus=_bus,
        attention=_attention,
        counts=_counts,
        clock=build_clock(),
        parser=_parser,
        subscriber_key=_subscriber_key.key(),
        replies=_replies,
        mode=_mode,
    )


def _report(inbound_id: str, result: InboundResult) -> None:
    logger.info(
        "inbound message handled",
        inbound_message_id=inbound_id,
        action=result.action,
        keyword=result.keyword,
        reason=result.reason,
        subscriber_id=result.subscriber_id,
        reply=result.reply.state if result.reply else None,
        reply_reason=result.reply.reason if result.reply else None,
        is_flagged=result.is_flagged,
    )
    name = "".join(word.capitalize() for word in result.action.split("_"))
    metrics.add_metric(name=f"Inbound{name}", unit=MetricUnit.Count, value=1)
    if result.is_wrong_number:
        metrics.add_metric(name="InboundWrongNumber", unit=MetricUnit.Count, value=1)
