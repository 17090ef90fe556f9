"""Texts that will not arrive however often they are sent: the bus is told of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sms_engagement_runtime.channel.domain.bus_events import CONSTRUCT, SCHEMA_VERSION, TEXT_FAILED
from sms_engagement_runtime.channel.domain.ledger import DeliveryEvent, LedgerRow, MessageState

if TYPE_CHECKING:
    from sms_engagement_runtime.channel.domain.ports import EventBus

LASTING_REASONS: Final = frozenset(
    {"INVALID", "INVALID_MESSAGE", "BLOCKED", "CARRIER_BLOCKED", "SPAM", "PROTECT_BLOCKED"}
)
"""Why a text fails where another one to that number, or with that content, would fare no better.

UNREACHABLE, CARRIER_UNREACHABLE, TTL_EXPIRED and UNKNOWN may pass. Source: AWS, *Event types for
configuration sets*.
"""


def failed_for_good(row: LedgerRow, event: DeliveryEvent) -> bool:
    """Whether an event says of a text of a capability, as its row says, that it failed for a lasting reason.

    True for every delivery of the event, whether or not it changed the row this time.

    Parameters
    ----------
    row
        The row of the text after the event.
    """
    return (
        event.is_final
        and event.event_type.removeprefix("TEXT_") in LASTING_REASONS
        and row.state is MessageState.FAILED
        and row.reason in LASTING_REASONS
        and row.message_id == event.message_id
        and row.construct != CONSTRUCT
    )


def tell_of_failure(bus: EventBus, row: LedgerRow, event: DeliveryEvent) -> None:
    """Publish that a text failed for good: one event a text, for every delivery of what ended it."""
    bus.publish(
        TEXT_FAILED,
        {
            "messageKey": row.key,
            "messageId": event.message_id,
            "construct": row.construct,
            "purpose": row.purpose,
            "occasion": row.occasion,
            "subscriberId": row.subscriber_id,
            "reason": row.reason,
            "at": round(event.at.timestamp() * 1000),
            "schemaVersion": SCHEMA_VERSION,
        },
    )
