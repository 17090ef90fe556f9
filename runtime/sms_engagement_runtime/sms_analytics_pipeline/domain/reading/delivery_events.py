"""Delivery events of End User Messaging, from the event topic or EventBridge, as drafts.

Source: AWS, *Example event data*, *Event types for configuration sets*; EventBridge's have the same
``detail`` without ``destinationPhoneNumber`` and ``context`` (*Monitor AWS End User Messaging SMS with
EventBridge*).
"""

from typing import Final

from sms_engagement_runtime.channel.domain.delivery import NotATextEvent, parse
from sms_engagement_runtime.channel.domain.ledger import DeliveryEvent, MessageState, classify_event
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import (
    MILLICENTS_PER_USD,
    EventType,
    SetAside,
    delivery_event_id,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading import draft as values
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading.draft import Draft, Payload

_OTHER_CHANNELS: Final = ("VOICE_", "MEDIA_", "RCS_")

_TEXT_EVENTS: Final = frozenset(
    f"TEXT_{kind}"
    for kind in (
        "SENT",
        "PENDING",
        "QUEUED",
        "SUCCESSFUL",
        "DELIVERED",
        "INVALID",
        "INVALID_MESSAGE",
        "UNREACHABLE",
        "CARRIER_UNREACHABLE",
        "BLOCKED",
        "CARRIER_BLOCKED",
        "SPAM",
        "UNKNOWN",
        "TTL_EXPIRED",
        "PROTECT_BLOCKED",
    )
)
"""``EventType`` of the service model ``pinpoint-sms-voice-v2``."""

_NO_PRICES: Final = {"totalMessagePrice": None, "totalCarrierFee": None}

_TYPES: Final = {
    MessageState.DELIVERED: EventType.SUCCESS,
    MessageState.FAILED: EventType.FAILURE,
    MessageState.EXPIRED: EventType.FAILURE,
    MessageState.ACCEPTED: EventType.BUFFERED,
}


def read_delivery_event(payload: Payload, *, received_at_ms: int) -> list[Draft] | SetAside:
    """Read ``{"eventType": "TEXT_DELIVERED", "eventTimestamp": 1712944268877, "isFinal": true, …}``."""
    kind = payload.get("eventType")
    if not isinstance(kind, str):
        return SetAside.UNKNOWN_SHAPE
    if kind.startswith(_OTHER_CHANNELS):
        return SetAside.NOT_A_TEXT
    if kind not in _TEXT_EVENTS:
        # One that is new may end a text: counted as on its way, it would be missing for good.
        return SetAside.UNKNOWN_EVENT_TYPE
    occasion = values.occasion_of(payload.get("messageId"), payload.get("eventTimestamp"), received_at_ms)
    if isinstance(occasion, SetAside):
        return occasion
    # Prices are read here, with limits of our own.
    read_here = {"messageId": occasion.message_id, "eventTimestamp": occasion.at, **_NO_PRICES}
    event = parse({**payload, **read_here})
    if isinstance(event, NotATextEvent):
        return SetAside.UNKNOWN_SHAPE
    return [_draft(event, payload, at=occasion.at, received_at_ms=received_at_ms)]


def _draft(event: DeliveryEvent, payload: Payload, *, at: int, received_at_ms: int) -> Draft:
    state, _ = classify_event(event.event_type, is_final=event.is_final)
    event_type = _TYPES[state].value
    status = values.text(event.status)
    return Draft(
        event_type=event_type,
        event_id=delivery_event_id(event.message_id, event_type, status),
        message_id=event.message_id,
        event_timestamp=at,
        arrival_timestamp=received_at_ms,
        phone=None if event.destination is None else event.destination.e164,
        campaign_id=values.name(event.campaign_id),
        journey_id=values.name(event.journey_id),
        record_status=status,
        message_type=values.message_type(event.message_type),
        country_code=values.country(event.country),
        price_millicents=values.millicents(payload.get("totalMessagePrice"), per_unit=MILLICENTS_PER_USD),
        parts=values.parts(event.parts),
        origination=values.text(event.origination),
    )


def read_bus_event(payload: Payload, *, received_at_ms: int) -> list[Draft] | SetAside:
    """Read EventBridge's envelope: ``{"detail-type", "source": "aws.sms-voice", "detail": {…}}``."""
    detail = payload.get("detail")
    if not isinstance(detail, dict):
        return SetAside.UNKNOWN_SHAPE
    return read_delivery_event(detail, received_at_ms=received_at_ms)
