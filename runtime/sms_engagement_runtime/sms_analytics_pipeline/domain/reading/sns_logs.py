"""Delivery logs of texts that Amazon SNS sent, as CloudWatch Logs has them.

Source: Amazon SNS developer guide, *Viewing Amazon CloudWatch metrics and logs for SMS deliveries*, which
also lists the provider's responses.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from sms_engagement_runtime.sms_analytics_pipeline.domain.events import (
    MILLICENTS_PER_USD,
    EventType,
    SetAside,
    delivery_event_id,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading import draft as values
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading.draft import Draft, Payload

_TYPES: Final = {"SUCCESS": EventType.SUCCESS.value, "FAILURE": EventType.FAILURE.value}

_STATUSES: Final = {
    "message has been accepted by phone carrier": "SUCCESSFUL",
    "message has been accepted by phone": "DELIVERED",
    "blocked as spam by phone carrier": "SPAM",
    "destination is on a blocked list": "BLOCKED",
    "invalid phone number": "INVALID",
    "message body is invalid": "INVALID_MESSAGE",
    "phone carrier has blocked this message": "CARRIER_BLOCKED",
    "phone carrier is currently unreachable/unavailable": "CARRIER_UNREACHABLE",
    "phone has blocked sms": "BLOCKED",
    "phone is on a blocked list": "BLOCKED",
    "phone is currently unreachable/unavailable": "UNREACHABLE",
    "phone number is opted out": "OPTED_OUT",
    "this delivery would exceed max price": "MAX_PRICE_EXCEEDED",
    "unknown error attempting to reach phone": "UNKNOWN",
    "no quota left for account": "NO_QUOTA_LEFT_ON_ACCOUNT",
}
"""The words of End User Messaging and Pinpoint for what SNS says in a sentence."""

MOST_LOG_EVENTS: Final = 50_000
"""More log events than a subscription delivers at once are not read."""


def read_delivery_log(payload: Payload, *, received_at_ms: int) -> list[Draft] | SetAside:
    """Read ``{"notification": {"messageId", "timestamp"}, "delivery": {…}, "status": "SUCCESS"}``."""
    notification, delivery = payload.get("notification"), payload.get("delivery")
    if not isinstance(notification, Mapping) or not isinstance(delivery, Mapping):
        return SetAside.UNKNOWN_SHAPE
    outcome = payload.get("status")
    kind = _TYPES.get(outcome) if isinstance(outcome, str) else None
    if kind is None:
        return SetAside.UNKNOWN_EVENT_TYPE
    occasion = values.occasion_of(
        notification.get("messageId"), notification.get("timestamp"), received_at_ms
    )
    if isinstance(occasion, SetAside):
        return occasion
    response = values.text(delivery.get("providerResponse"), values.LONGEST_NAME)
    status = _STATUSES.get((response or "").strip().rstrip(".").lower(), outcome)
    return [
        Draft(
            event_type=kind,
            event_id=delivery_event_id(occasion.message_id, kind, status),
            message_id=occasion.message_id,
            event_timestamp=occasion.at,
            arrival_timestamp=received_at_ms,
            phone=values.text(delivery.get("destination")),
            record_status=status,
            message_type=values.message_type(delivery.get("smsType")),
            price_millicents=values.millicents(delivery.get("priceInUSD"), per_unit=MILLICENTS_PER_USD),
            parts=values.parts(delivery.get("numberOfMessageParts")),
        )
    ]


def log_messages(payload: object) -> Sequence[object] | None:
    """Take the messages out of what a log subscription delivers; None for what is no such thing.

    Parameters
    ----------
    payload
        ``{"messageType": "DATA_MESSAGE", "logGroup", "logEvents": [{"id", "timestamp", "message"}, …]}``
        (Amazon CloudWatch Logs user guide, *Subscription filters*). A ``CONTROL_MESSAGE`` only checks that we
        are there.

    Returns
    -------
    The text of each log line; what is no log line, as it is.
    """
    if not isinstance(payload, Mapping) or not {"logEvents", "messageType"} <= payload.keys():
        return None
    if payload["messageType"] == "CONTROL_MESSAGE":
        return []
    events = payload["logEvents"]
    if not isinstance(events, list) or len(events) > MOST_LOG_EVENTS:
        return None
    return [event.get("message", event) if isinstance(event, Mapping) else event for event in events]
