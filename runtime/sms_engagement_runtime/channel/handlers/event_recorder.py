"""Delivery events: each is folded into the ledger row of its text.

SQS batch of SNS envelopes; answers with the records that failed. Events come twice, late and in any order;
the fold makes nothing of that. Statuses and prices are counted when an event ends its text or adds to its
price, so once a text.

The same holds for what the stop rules of a campaign look at. Those counts are added up over the batch, since
all texts of a campaign share one row, and written when the batch is folded: where that fails, or the process
ends before it, they stay too low by what this batch ended, for nothing tells later that it was not counted.

The bus is told of every text that failed for good (``TextFailed``), in one call a text: moments, even where a
whole batch failed. It is told for each delivery of the event, as nothing here knows whether the one before
came so far. Where the bus does not take it, the record goes back to the queue.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime.channel.adapters.campaign_counts import DynamoCampaignCounts
from sms_engagement_runtime.channel.adapters.clients import dynamodb_client, events_client
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.adapters.dynamodb_messages import DynamoLedger
from sms_engagement_runtime.channel.adapters.event_bus import EventBridgeBus
from sms_engagement_runtime.channel.adapters.sns_batch import BatchResponse, Notification, process_batch
from sms_engagement_runtime.channel.adapters.subscriber_ids import build_subscriber_id
from sms_engagement_runtime.channel.domain.campaign_counts import tally_ended
from sms_engagement_runtime.channel.domain.delivery import NotATextEvent, parse
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.failed_texts import failed_for_good, tell_of_failure
from sms_engagement_runtime.channel.domain.ledger import DeliveryEvent, FoldResult, LedgerRow
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.observability import instrumented, logger, metrics
from sms_engagement_runtime.settings import load


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Environment of this function."""

    messages_table: str
    contacts_table: str
    subscriber_key_secret_arn: str
    bus_name: str


_settings = load(Settings)
_clock = build_clock()
_dynamodb = dynamodb_client()
_ledger = DynamoLedger(
    _dynamodb,
    messages_table=_settings.messages_table,
    contacts_table=_settings.contacts_table,
    subscriber_id_of=build_subscriber_id(_settings.subscriber_key_secret_arn),
)
_counts = DynamoCampaignCounts(_dynamodb, table=_settings.contacts_table, clock=_clock)
_bus = EventBridgeBus(events_client(), bus_name=_settings.bus_name)


@instrumented
def handler(event: Mapping[str, Any], _: LambdaContext) -> BatchResponse:
    """Record a batch of delivery events."""
    ended: list[LedgerRow] = []
    response = process_batch(event, lambda notification: record(notification, ended))
    count(ended)
    return response


def record(notification: Notification, ended: list[LedgerRow]) -> None:
    """Record one delivery event; what is none, or belongs to nobody's text, is acknowledged and counted.

    Parameters
    ----------
    ended
        Takes the row of the text, where it was this event that ended it.

    Raises
    ------
    TransientError
        The ledger or the bus did not answer. The record shall be delivered again.
    """
    parsed = parse(notification.payload)
    if isinstance(parsed, NotATextEvent):
        _report_aside(notification, parsed.reason)
        return
    result = _ledger.record_event(parsed, _clock.now())
    if result.row is None:
        _report_aside(notification, Reason.UNKNOWN_MESSAGE)
        return
    if result.became_final:
        ended.append(result.row)
    _report(parsed, result)
    # Last: a record that comes back for this has been counted, and is not counted again.
    if failed_for_good(result.row, parsed):
        tell_of_failure(_bus, result.row, parsed)


def count(ended: Iterable[LedgerRow]) -> None:
    """Add texts that ended to the counts of their campaigns."""
    for campaign_id, counts in tally_ended(ended).items():
        try:
            _counts.add(campaign_id, delivered=counts.delivered, failed=counts.failed)
        except TransientError as error:
            # Sending the records back would not help: their texts have ended, and are not counted again.
            logger.error("texts not counted", campaign_id=campaign_id, reason=str(error))
            metrics.add_metric(
                name="CampaignTextsNotCounted", unit=MetricUnit.Count, value=counts.delivered + counts.failed
            )


def _report_aside(notification: Notification, reason: Reason) -> None:
    logger.info("delivery event set aside", notification=notification.message_id, reason=reason)
    name = "".join(word.capitalize() for word in reason.split("_"))
    metrics.add_metric(name=f"DeliveryEvent{name}", unit=MetricUnit.Count, value=1)


def _report(event: DeliveryEvent, result: FoldResult) -> None:
    logger.info(
        "delivery event recorded",
        message_id=event.message_id,
        event_type=event.event_type,
        state=result.row.state if result.row else None,
        changed=result.changed,
        became_final=result.became_final,
    )
    if result.became_final and result.row is not None:
        name = f"Messages{result.row.state.capitalize()}"
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
    if result.price_added_millicents:
        # One US dollar is 100,000 millicents.
        metrics.add_metric(
            name="MessageCostMillicents", unit=MetricUnit.Count, value=result.price_added_millicents
        )
