"""Delivery events of AWS End User Messaging SMS, as they arrive on the event topic or by EventBridge.

Source: AWS, *Example event data* and *Event types for configuration sets*. Prices are decimal US dollars in
every sample and every real event, whatever the table there says.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from sms_engagement_runtime.channel.domain.ledger import DeliveryEvent
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.reasons import Reason

CONTEXT_INTENT: Final = "intent"
"""``Context`` key under which a text carries its ledger key."""
CONTEXT_CAMPAIGN: Final = "campaign"
CONTEXT_JOURNEY: Final = "journey"

_MILLICENTS_PER_DOLLAR: Final = 100_000
_LATEST_TIMESTAMP: Final = 253_402_300_799_999
"""The last millisecond of the year 9999, the last that ``datetime`` can hold."""


@dataclass(frozen=True, slots=True)
class NotATextEvent:
    """Something else than a delivery event of a text.

    Attributes
    ----------
    reason
        ``NOT_A_TEXT_EVENT`` for voice, media and RCS, ``MALFORMED_EVENT`` for what cannot be read.
    """

    reason: Reason


_MALFORMED: Final = NotATextEvent(Reason.MALFORMED_EVENT)


def loads(text: str | bytes) -> object:
    """Read JSON with numbers as ``Decimal``, so that no price passes through binary floating point.

    Raises
    ------
    ValueError
        Where it is no JSON.
    """
    return json.loads(text, parse_float=Decimal)


def parse(payload: object) -> DeliveryEvent | NotATextEvent:
    """Read a delivery event. Foreign shapes give a reason and never raise.

    Parameters
    ----------
    payload
        The event as decoded by ``loads``, e.g. ``{"eventType": "TEXT_DELIVERED", "eventTimestamp":
        1712944268877, "isFinal": true, "messageId": "221b…", "destinationPhoneNumber": "+1613…", "context":
        {"intent": "…"}, …}``, or EventBridge's envelope with that under ``detail``.
    """
    if not isinstance(payload, Mapping):
        return _MALFORMED
    if "detail-type" in payload:
        payload = payload.get("detail")
        if not isinstance(payload, Mapping):
            return _MALFORMED
    event_type = _text(payload, "eventType")
    message_id = _text(payload, "messageId")
    at = _instant(payload.get("eventTimestamp"))
    if event_type is None:
        return _MALFORMED
    if not event_type.startswith("TEXT_"):
        return NotATextEvent(Reason.NOT_A_TEXT_EVENT)
    if message_id is None or at is None:
        return _MALFORMED
    context = payload.get("context")
    context = context if isinstance(context, Mapping) else {}
    parts = payload.get("totalMessageParts")
    return DeliveryEvent(
        message_id=message_id,
        key=_text(context, CONTEXT_INTENT),
        event_type=event_type,
        status=_text(payload, "messageStatus") or event_type.removeprefix("TEXT_"),
        is_final=payload.get("isFinal") is True,
        at=at,
        destination=_number(payload.get("destinationPhoneNumber")),
        country=_text(payload, "isoCountryCode"),
        parts=parts if isinstance(parts, int) and not isinstance(parts, bool) and parts > 0 else None,
        price_millicents=_millicents(payload.get("totalMessagePrice")),
        carrier_fee_millicents=_millicents(payload.get("totalCarrierFee")),
        carrier=_text(payload, "carrierName"),
        origination=_text(payload, "originationPhoneNumber"),
        message_type=_text(payload, "messageType"),
        campaign_id=_text(context, CONTEXT_CAMPAIGN),
        journey_id=_text(context, CONTEXT_JOURNEY),
    )


def _text(payload: Mapping[object, object], name: str) -> str | None:
    value = payload.get(name)
    return value if isinstance(value, str) and value else None


def _number(value: object) -> PhoneNumber | None:
    try:
        return PhoneNumber(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _instant(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value <= _LATEST_TIMESTAMP:
        return None
    return datetime.fromtimestamp(int(value) / 1000, UTC)


def _millicents(value: object) -> int | None:
    """Turn decimal US dollars into thousandths of a cent; None for what is no sane price."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    try:
        # A float is read by its shortest decimal form, which is what the sender wrote.
        dollars = Decimal(str(value))
        # NaN and infinities are no amounts; nor is what no text can cost.
        if not dollars.is_finite() or not 0 <= dollars < 1_000_000:
            return None
        return int((dollars * _MILLICENTS_PER_DOLLAR).to_integral_value())
    except InvalidOperation:
        return None
