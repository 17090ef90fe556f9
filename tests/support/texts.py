"""Outbound texts for tests."""

from dataclasses import replace
from typing import Any

from sms_engagement_runtime.channel.domain.gate import MessageClass
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.ports import OutboundMessage

DESTINATION = PhoneNumber("+12065550123")

_MESSAGE = OutboundMessage(
    destination=DESTINATION,
    body="Hi John! Please review your recent purchase: https://r.example/r/abc",
    message_class=MessageClass.PROMOTIONAL,
    key="47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
    campaign_id=None,
    journey_id=None,
)


def outbound_message(**fields: Any) -> OutboundMessage:
    """A review request, with any field replaced."""
    return replace(_MESSAGE, **fields)
