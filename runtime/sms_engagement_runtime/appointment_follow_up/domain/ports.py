"""What appointments need from outside, beside what the channel needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sms_engagement_runtime.appointment_follow_up.domain.conversation import Conversation
    from sms_engagement_runtime.channel.domain.ledger import Guard


class ConversationRepository(Protocol):
    """Rows of the ``conversations`` table, one an appointment.

    Every method may raise ``TransientError`` where the table does not answer.
    """

    def get(self, appointment_id: str) -> Conversation | None:
        """Read a conversation, strongly consistent."""
        ...

    def save(self, conversation: Conversation) -> Conversation:
        """Write a conversation that was read, or that is new, and return it with its next version.

        Raises
        ------
        ConversationChangedError
            Where the stored row has another version than this one; nothing is written then.
        """
        ...

    def of_subscriber(self, subscriber_id: str, *, since: datetime) -> Sequence[Conversation]:
        """List the conversations of a person about appointments that begin after an instant.

        By an index that follows the table within moments.
        """
        ...

    def guard(self, conversation: Conversation) -> Guard:
        """Give what a text claims together with this row: that it is as it was read."""
        ...


class Workflow(Protocol):
    """The state machine that takes an appointment through its texts."""

    def start(self, appointment_id: str) -> None:
        """Begin, once an appointment however often this is called."""
        ...

    def notify(self, appointment_id: str, notice: str, *, occasion: str) -> None:
        """Tell of its end: ``cancelled`` or ``no-show``; once an occasion."""
        ...

    def stop(self, appointment_id: str) -> None:
        """End what waits; what never began, or is over, stays so."""
        ...


class HostTopic(Protocol):
    """What the host of an appointment reads."""

    def publish(self, subject: str, message: str) -> None:
        """Tell the host. Subjects are ASCII, at most 100 characters."""
        ...
