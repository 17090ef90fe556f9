"""Records of Amazon Pinpoint's event stream, which ended on 2026-10-30: archives of it are replayed.

Times are epoch milliseconds at AWS, and ISO 8601 in what others made of it. Source: AWS, *SMS events* of the
Pinpoint developer guide. ``_SMS.RECEIVED`` is not in it; where an archive has it, its attributes are those of
the two-way payload in Pinpoint's spelling: ``inbound_message_id``, ``origination_number`` (the person),
``destination_number``, ``message_body``, ``keyword``.
"""

import json
from collections.abc import Mapping
from typing import Final

from sms_engagement_runtime.sms_analytics_pipeline.domain.events import (
    EventType,
    SetAside,
    delivery_event_id,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading import draft as values
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading.draft import Draft, Payload

_TYPES: Final = frozenset(kind.value for kind in EventType)
_LONGEST_CONTEXT: Final = 10_000


def read_pinpoint(payload: Payload, *, received_at_ms: int) -> list[Draft] | SetAside:
    """Read ``{"event_type": "_SMS.SUCCESS", "event_timestamp", "attributes": {…}, "metrics": {…}}``."""
    kind = payload.get("event_type")
    if not isinstance(kind, str):
        return SetAside.UNKNOWN_SHAPE
    if kind not in _TYPES:
        # Journeys and campaigns tell of their sends to any channel (`_journey.send`, `_campaign.send`); what
        # becomes of a text is told by the records of `_SMS`.
        is_other_channel = kind.startswith("_") and not kind.startswith("_SMS.")
        return SetAside.NOT_A_TEXT if is_other_channel else SetAside.UNKNOWN_EVENT_TYPE
    attributes = payload.get("attributes")
    if not isinstance(attributes, Mapping):
        return SetAside.UNKNOWN_SHAPE
    is_inbound = kind == EventType.RECEIVED
    message_id = attributes.get("inbound_message_id") if is_inbound else None
    occasion = values.occasion_of(
        message_id or attributes.get("message_id"), payload.get("event_timestamp"), received_at_ms
    )
    if isinstance(occasion, SetAside):
        return occasion
    arrival = values.instant(payload.get("arrival_timestamp"))
    if arrival is None or values.is_ahead(arrival, received_at_ms):
        arrival = received_at_ms
    context = _customer_context(attributes)
    status = values.text(attributes.get("record_status"))
    metrics = payload.get("metrics")
    price = metrics.get("price_in_millicents_usd") if isinstance(metrics, Mapping) else None
    names = ("origination_number", "destination_number")
    person, ours = names if is_inbound else ("destination_phone_number", "origination_phone_number")
    return [
        Draft(
            event_type=kind,
            event_id=occasion.message_id
            if is_inbound
            else delivery_event_id(occasion.message_id, kind, status),
            message_id=occasion.message_id,
            event_timestamp=occasion.at,
            arrival_timestamp=arrival,
            phone=values.text(attributes.get(person)),
            campaign_id=values.name(attributes.get("campaign_id")) or values.name(context.get("campaign")),
            journey_id=values.name(attributes.get("journey_id")) or values.name(context.get("journey")),
            record_status=status,
            message_type=values.message_type(attributes.get("message_type")),
            country_code=values.country(attributes.get("iso_country_code")),
            price_millicents=values.millicents(price, per_unit=1),
            parts=values.parts(attributes.get("number_of_message_parts")),
            response_text=values.text(attributes.get("message_body"), values.LONGEST_BODY) or ""
            if is_inbound
            else None,
            keyword=values.text(attributes.get("keyword")) if is_inbound else None,
            origination=values.text(attributes.get(ours)),
        )
    ]


def _customer_context(attributes: Payload) -> Payload:
    """Return what the sender passed along with the text: JSON within JSON."""
    spelled = attributes.get("customer_context")
    if not isinstance(spelled, str) or len(spelled) > _LONGEST_CONTEXT:
        return {}
    try:
        context = json.loads(spelled)
    except (ValueError, RecursionError):
        return {}
    return context if isinstance(context, Mapping) else {}
