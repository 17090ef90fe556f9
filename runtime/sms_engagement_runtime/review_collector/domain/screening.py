"""Who can be asked at all: what is known before any text is thought of."""

from __future__ import annotations

from sms_engagement_runtime.channel.domain.errors import InvalidPhoneNumberError
from sms_engagement_runtime.channel.domain.phone_number import NumberKind, ParsedNumber
from sms_engagement_runtime.channel.domain.ports import PhoneNumberParser
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.review_collector.domain.customers import Customer


def screen(customer: Customer, parser: PhoneNumberParser) -> ParsedNumber | Reason:
    """Return the number that a customer can be texted at, or why there is none."""
    if not customer.is_active:
        return Reason.INACTIVE
    try:
        parsed = parser.parse(customer.phone_number)
    except InvalidPhoneNumberError as error:
        return error.reason
    return Reason.LANDLINE if parsed.kind is NumberKind.LANDLINE else parsed
