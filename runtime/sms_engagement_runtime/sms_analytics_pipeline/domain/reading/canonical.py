"""Canonical events themselves: what was on the stream, or lies in the archive, may come again.

``counted_as`` and its like are not read: how a message was counted before is for the register to say.
"""

from typing import Final

from sms_engagement_runtime.sms_analytics_pipeline.domain.events import (
    SCHEMA_VERSION,
    EventType,
    SetAside,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading import draft as values
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading.draft import Draft, Payload

_TYPES: Final = frozenset(kind.value for kind in EventType)


def read_canonical(payload: Payload, *, received_at_ms: int) -> list[Draft] | SetAside:
    """Read ``{"schema_version": 1, "event_type": "_SMS.SUCCESS", "event_id", "subscriber_id", …}``."""
    version = payload.get("schema_version", SCHEMA_VERSION)
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        return SetAside.UNKNOWN_SHAPE
    if version > SCHEMA_VERSION:
        return SetAside.FUTURE_SCHEMA
    kind = payload.get("event_type")
    if not isinstance(kind, str):
        return SetAside.UNKNOWN_SHAPE
    if kind not in _TYPES:
        return SetAside.UNKNOWN_EVENT_TYPE
    event_id = values.identifier(payload.get("event_id"))
    if event_id is None:
        return SetAside.UNKNOWN_SHAPE if payload.get("event_id") else SetAside.NO_MESSAGE_ID
    # Inbound texts of some writers have one id only.
    occasion = values.occasion_of(
        payload.get("message_id") or event_id, payload.get("event_timestamp"), received_at_ms
    )
    if isinstance(occasion, SetAside):
        return occasion
    arrival = values.instant(payload.get("arrival_timestamp"))
    response = payload.get("response_text")
    return [
        Draft(
            event_type=kind,
            event_id=event_id,
            message_id=occasion.message_id,
            event_timestamp=occasion.at,
            arrival_timestamp=received_at_ms if arrival is None else arrival,
            phone=values.text(payload.get("phone_number")),
            subscriber_id=values.subscriber(payload.get("subscriber_id")),
            campaign_id=values.name(payload.get("campaign_id")),
            journey_id=values.name(payload.get("journey_id")),
            record_status=values.text(payload.get("record_status")),
            message_type=values.message_type(payload.get("message_type")),
            country_code=values.country(payload.get("country_code")),
            price_millicents=values.millicents(payload.get("price_millicents"), per_unit=1),
            parts=values.parts(payload.get("parts")),
            response_text="" if response == "" else values.text(response, values.LONGEST_BODY),
            keyword=values.text(payload.get("keyword")),
            origination=values.text(payload.get("origination")),
        )
    ]
