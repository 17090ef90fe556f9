"""What the bus is told about appointments, for a CRM and whoever else wants to know.

Events hold ids and no personal data: a CRM finds the person by the provider's own id. They come at least
once, and ``eventId`` is the same each time. Schemas: ``docs/events``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sms_engagement_runtime.appointment_follow_up.domain.conversation import Conversation

BOOKED: Final = "AppointmentBooked"
CONFIRMATION_SENT: Final = "AppointmentConfirmationSent"
CONFIRMED: Final = "AppointmentConfirmed"
FOLLOW_UP_SENT: Final = "AppointmentFollowUpSent"
REPLIED: Final = "AppointmentReplied"
CANCELLED: Final = "AppointmentCancelled"
MOVED: Final = "AppointmentMoved"
NO_SHOW: Final = "AppointmentNoShow"
FINISHED: Final = "AppointmentFinished"

REVIEW_REQUESTED: Final = "ReviewRequested"
"""Of ReviewCollector, which asks for the review."""

SCHEMA_VERSION: Final = 1


def detail(
    event_type: str, conversation: Conversation, *, occurred_at: datetime, occasion: str = "", **more: object
) -> dict[str, object]:
    """Compose the detail of an event.

    Parameters
    ----------
    occasion
        Tells events of one type and appointment apart.
    """
    booking = conversation.booking
    assert booking is not None
    return {
        "eventId": "/".join(filter(None, (event_type, conversation.appointment_id, occasion))),
        "appointmentId": conversation.appointment_id,
        "provider": booking.provider.value,
        "externalId": booking.external_id,
        "subscriberId": conversation.recipient.subscriber_id if conversation.recipient else None,
        "status": conversation.status.value,
        "reason": conversation.reason,
        "eventName": booking.event_name,
        "startsAt": booking.starts_at.isoformat(),
        "endsAt": booking.ends_at.isoformat(),
        "occurredAt": occurred_at.isoformat(),
        **more,
        "schemaVersion": SCHEMA_VERSION,
    }
