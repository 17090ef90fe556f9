"""Subscribers, as far as a journey looks at them: rows that others write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from sms_engagement_runtime.channel.domain.errors import InvalidPhoneNumberError
from sms_engagement_runtime.channel.domain.phone_number import NumberKind, ParsedNumber
from sms_engagement_runtime.channel.domain.ports import PhoneNumberParser
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.journeys.domain.conditions import SubscriberState
from sms_engagement_runtime.journeys.domain.reasons import JourneyReason

_EPOCH: Final = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """A row of the subscribers table.

    Attributes
    ----------
    subscriber_id
        The channel's keyed id of the phone number.
    state
        None where the row has none that we know.
    has_opted_in
        Whether somebody wrote down when the person opted in. A YES that only the pipeline took for one is
        none: the person may have meant an appointment. What the channel took for one, its contact knows.
    opted_out_at
        When the person opted out, as the row has it.
    attributes
        Texts of ``attributes``: ``segment``, ``language``, ``name``, ``time_zone``, ``preferred_time`` and
        whatever else is there.
    """

    subscriber_id: str
    phone_number: str | None = None
    state: SubscriberState | None = None
    has_opted_in: bool = False
    opted_out_at: datetime | None = None
    segment: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_on_record(self) -> bool:
        """Whether the row proves that the person agreed to marketing texts."""
        return self.state is SubscriberState.ACTIVE and self.has_opted_in


def read_subscriber(row: Mapping[str, Any]) -> Subscriber:
    """Read a row; what is not as described counts as absent."""
    attributes = row.get("attributes")
    texts = (
        {name: value for name, value in attributes.items() if isinstance(value, str)}
        if isinstance(attributes, Mapping)
        else {}
    )
    state, opted_in = row.get("subscription_status"), row.get("opt_in_timestamp")
    return Subscriber(
        subscriber_id=str(row["subscriber_id"]),
        phone_number=_text(row.get("phone_number")),
        state=SubscriberState(state) if state in tuple(SubscriberState) else None,
        has_opted_in=opted_in is not None and not isinstance(opted_in, bool) and _is_given(row.get("facts")),
        opted_out_at=_instant(row.get("opt_out_timestamp")),
        segment=_text(row.get("segment")) or texts.get("segment"),
        attributes=texts,
    )


def _is_given(facts: object) -> bool:
    """Whether the opt-in of a row was there before what happened was written into it.

    Rows that were written by hand or imported have no ``facts``. The pipeline takes such an opt-in for a
    question and its YES at the very same instant (``sms_analytics_pipeline``, ``given_facts``), and no
    question of ours is answered within the millisecond.
    """
    if not isinstance(facts, Mapping):
        return facts is None
    asked, confirmed = (facts.get(name) for name in ("asked", "confirmed"))
    return isinstance(asked, list) and isinstance(confirmed, list) and any(at in confirmed for at in asked)


def _instant(milliseconds: object) -> datetime | None:
    try:
        return _EPOCH + timedelta(milliseconds=int(Decimal(str(milliseconds))))
    except (InvalidOperation, OverflowError, ValueError):
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def screen(
    subscriber: Subscriber, parser: PhoneNumberParser, key: bytes
) -> ParsedNumber | Reason | JourneyReason:
    """Return the number that a subscriber can be texted at, or why there is none.

    The id has to be that of the number: consent, ledger and cap are found by it, so a row whose number was
    exchanged would text a stranger under somebody else's consent.
    """
    try:
        parsed = parser.parse(subscriber.phone_number)
    except InvalidPhoneNumberError as error:
        return error.reason
    if parsed.kind is NumberKind.LANDLINE:
        return Reason.LANDLINE
    if subscriber_id(parsed.number, key) != subscriber.subscriber_id:
        return JourneyReason.PHONE_CHANGED
    return parsed
