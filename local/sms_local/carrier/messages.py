"""A text on its way to a phone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sms_engagement_runtime.channel.domain.encoding import Measured
from sms_local.carrier.destinations import Destination


@dataclass(slots=True, kw_only=True)
class Message:
    """A text that the service accepted. `status` is the type of its last event, none before the first.

    `origination` is what the phone shows as the sender: a phone number or a sender id.
    """

    id: str
    origination: str
    destination: Destination
    body: str
    measured: Measured
    message_type: str
    context: Mapping[str, str]
    configuration_set_name: str | None
    accepted_at: datetime
    protect_configuration_id: str | None = None
    status: str | None = None

    def describe(self) -> dict[str, Any]:
        """Return the message as the control API shows it."""
        return {
            "message_id": self.id,
            "from": self.origination,
            "to": self.destination.e164,
            "body": self.body,
            "parts": self.measured.parts,
            "encoding": self.measured.encoding.value,
            "message_type": self.message_type,
            "context": dict(self.context),
            "status": self.status,
            "sent_at": self.accepted_at.isoformat(),
        }
