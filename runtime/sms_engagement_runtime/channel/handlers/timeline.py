"""Timeline: why somebody did or did not get a text, for whoever is asked by them.

Event: ``{"phoneNumber": "+1…"}``, in any usual notation, or ``{"subscriberId": "v1:…"}``. Answer::

    {"subscriberId": "v1:…", "phoneNumber": "+1••••••0123", "entries": [{"at": ISO 8601, "what": "text",
     "sentence": "reviews, review-request: the gate refused it, …", "reason": "OPTED_OUT"}, …],
     "conclusion": "The last text (…) was not sent because they opted out; what can be done: …"}

or ``{"error": "INVALID_PHONE"}``. Numbers and words of people are always masked: the answer is for a screen
of support staff. ``sms-engagement timeline --unmask`` shows them to who may read the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime.channel.adapters.clients import dynamodb_client
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.adapters.person_rows import PersonRows
from sms_engagement_runtime.channel.adapters.phone_numbers import LibPhoneNumberParser
from sms_engagement_runtime.channel.adapters.subscriber_ids import build_subscriber_id
from sms_engagement_runtime.channel.domain.errors import InvalidPhoneNumberError
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.timeline import timeline
from sms_engagement_runtime.observability import instrumented, logger
from sms_engagement_runtime.settings import load

_SUBSCRIBER: Final = "v1:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Environment of this function."""

    contacts_table: str
    messages_table: str
    subscriber_key_secret_arn: str
    default_country: str = "US"


_settings = load(Settings)
_clock = build_clock()
_rows = PersonRows(
    dynamodb_client(), contacts_table=_settings.contacts_table, messages_table=_settings.messages_table
)
_subscriber_id_of = build_subscriber_id(_settings.subscriber_key_secret_arn)
_parser = LibPhoneNumberParser(_settings.default_country)


@instrumented
def handler(event: Mapping[str, Any], _: LambdaContext) -> dict[str, Any]:
    """Tell the timeline of a person."""
    number: PhoneNumber | None = None
    subscriber_id = event.get("subscriberId")
    if not isinstance(subscriber_id, str) or not subscriber_id.startswith(_SUBSCRIBER):
        try:
            number = _parser.parse(str(event.get("phoneNumber") or "")).number
        except InvalidPhoneNumberError as error:
            return {"error": error.reason}
        subscriber_id = _subscriber_id_of(number)
    told = timeline(_rows.of(subscriber_id), now=_clock.now())
    logger.info("timeline told", subscriber_id=subscriber_id, entries=len(told.entries))
    return {
        "subscriberId": subscriber_id,
        "phoneNumber": None if number is None else number.masked,
        "entries": [entry.to_json() for entry in told.entries],
        "conclusion": told.conclusion,
    }
