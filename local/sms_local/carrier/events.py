"""What the service publishes: delivery events and inbound messages, in its real JSON shapes.

Shapes and descriptions follow the AWS user guide ("Event types", "Two-way SMS message payload") and real
receipts published by the Canadian Digital Service, where the two differ the receipts.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sms_local.carrier.messages import Message

_DESCRIPTIONS: Final[Mapping[str, str]] = {
    "TEXT_PENDING": "Message is pending delivery",
    "TEXT_QUEUED": "Message is queued for delivery",
    "TEXT_SUCCESSFUL": "Message has been accepted by phone carrier",
    "TEXT_DELIVERED": "Message has been accepted by phone",
    "TEXT_INVALID": "Invalid phone number",
    "TEXT_INVALID_MESSAGE": "Message body is invalid",
    "TEXT_UNREACHABLE": "Phone is currently unreachable/unavailable",
    "TEXT_CARRIER_UNREACHABLE": "Phone carrier is currently unreachable/unavailable",
    "TEXT_BLOCKED": "Phone has blocked SMS",
    "TEXT_CARRIER_BLOCKED": "Phone carrier has blocked this message",
    "TEXT_SPAM": "Blocked as spam by phone carrier",
    "TEXT_UNKNOWN": "Unknown error attempting to reach phone",
    "TEXT_TTL_EXPIRED": "Message time to live has expired",
    "TEXT_PROTECT_BLOCKED": "Message blocked by protect configuration",
}
EVENT_TYPES: Final = frozenset(_DESCRIPTIONS)
"""Every event of a text. ``TEXT_SENT`` is in the service's model and documented as not supported."""

_ON_THE_WAY: Final = frozenset({"TEXT_PENDING", "TEXT_QUEUED"})
_REACHED_CARRIER: Final = frozenset({"TEXT_SUCCESSFUL", "TEXT_DELIVERED"})
_BY_PROTECT: Final = frozenset({"TEXT_PROTECT_BLOCKED"})
_NAMES_NETWORK: Final = _REACHED_CARRIER | _BY_PROTECT


def events_until(event_type: str) -> tuple[tuple[str, bool], ...]:
    """Return the events of a message whose last is `event_type`, as pairs of type and ``isFinal``.

    A delivery is announced twice, first by the carrier and then by the phone. A carrier that gives no
    receipts ends with ``TEXT_SUCCESSFUL``; ``TEXT_PENDING`` and ``TEXT_QUEUED`` end nothing.
    """
    if event_type == "TEXT_DELIVERED":
        return (("TEXT_SUCCESSFUL", False), ("TEXT_DELIVERED", True))
    return ((event_type, event_type not in _ON_THE_WAY),)


def delivery_event(message: Message, event_type: str, *, is_final: bool, at: datetime) -> dict[str, Any]:
    """Return the event `event_type` of `message`, as it happened `at`.

    Times are epoch milliseconds, prices USD: published samples and real receipts agree on USD, although the
    field's documentation speaks of thousandths of a cent.
    """
    tariff, network = message.destination.tariff, message.destination.network
    parts = 0 if event_type in _BY_PROTECT else message.measured.parts
    event: dict[str, Any] = {
        "eventType": event_type,
        "eventVersion": "1.0",
        "eventTimestamp": _milliseconds(at),
        "isFinal": is_final,
        "originationPhoneNumber": message.origination,
        "destinationPhoneNumber": message.destination.e164,
        "isoCountryCode": message.destination.iso_country_code,
    }
    if network is not None and event_type in _NAMES_NETWORK:
        event |= {"mcc": network.mcc, "mnc": network.mnc}
    if network is not None and event_type in _REACHED_CARRIER:
        event["carrierName"] = network.carrier_name
    event |= {
        "messageId": message.id,
        "messageRequestTimestamp": _milliseconds(message.accepted_at),
        "messageEncoding": message.measured.encoding.value,
        "messageType": message.message_type,
        "messageStatus": event_type.removeprefix("TEXT_"),
        "messageStatusDescription": _DESCRIPTIONS[event_type],
    }
    if message.context:
        event["context"] = dict(message.context)
    event |= {
        "totalMessageParts": message.measured.parts,
        "totalMessagePrice": _usd(tariff.price * parts),
        "totalCarrierFee": _usd(tariff.carrier_fee * parts),
    }
    if event_type in _BY_PROTECT and message.protect_configuration_id is not None:
        event |= _protect_members(message.protect_configuration_id)
    return event


def _protect_members(protect_configuration_id: str) -> dict[str, Any]:
    # A country that is blocked is refused before the text is accepted; what blocks afterwards is the filter.
    return {
        "protectConfiguration": {
            "protectConfigurationId": protect_configuration_id,
            "protectStatus": "FILTER",
        },
        "protectConfigurationAssessment": {
            "protectRecommendation": "BLOCK",
            "protectInsights": {"blockReason": "AIT_SUSPECTED"},
        },
    }


def inbound_payload(
    *,
    origination: str | None,
    destination: str,
    keyword: str,
    body: str | None,
    inbound_message_id: str,
    previous_message_id: str | None,
) -> dict[str, Any]:
    """Return an inbound message as it reaches the two-way topic; members that are none are left out.

    The service's own messages always have number and body; a caller may leave them out to test what happens
    to a message without.
    """
    payload = {
        "originationNumber": origination,
        "destinationNumber": destination,
        "messageKeyword": keyword,
        "messageBody": body,
        "inboundMessageId": inbound_message_id,
        "previousPublishedMessageId": previous_message_id,
    }
    return {name: value for name, value in payload.items() if value is not None}


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def _usd(amount: Decimal) -> float:
    # JSON has no decimals; the shortest float that reads as the amount is what the service writes too.
    return float(amount)
