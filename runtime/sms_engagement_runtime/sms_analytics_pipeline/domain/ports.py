"""What ingest needs from outside. Adapters implement these on one AWS service each; they hold no rules.

Every method may raise ``TransientError`` where the service behind it does not answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from sms_engagement_runtime.sms_analytics_pipeline.domain.events import SetAside
from sms_engagement_runtime.sms_analytics_pipeline.domain.register import RegisterRow
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import Subscriber


class MessageRegister(Protocol):
    """One row a message."""

    def find(self, message_ids: Iterable[str]) -> Mapping[str, RegisterRow]:
        """Read rows, strongly consistent; unknown messages are left out."""
        ...

    def write(self, rows: Sequence[RegisterRow], subscriber: Subscriber | None, *, now: int) -> bool:
        """Write rows, and the row of the subscriber where there is one, all or none.

        Parameters
        ----------
        rows, subscriber
            With the versions that they were read in.
        now
            Epoch milliseconds.

        Returns
        -------
        bool
            False where one of them was written by somebody else since it was read, or is just being written.
        """
        ...

    def mark(self, message_id: str, event_ids: Sequence[str], *, now: int) -> None:
        """Write that claimed events are on the stream, whatever else became of the row."""
        ...


class SubscriberRows(Protocol):
    """Rows of subscribers."""

    def find(self, ids: Iterable[str]) -> Mapping[str, Subscriber]:
        """Read rows, strongly consistent; unknown people are left out."""
        ...


class StreamRecord(NamedTuple):
    """One event for the stream: the partition key is the subscriber id."""

    event_id: str
    subscriber_id: str
    data: str


class Sought(NamedTuple):
    """An event that may be on the stream: put between these two instants, epoch milliseconds."""

    event_id: str
    subscriber_id: str
    since: int
    until: int


class EventStream(Protocol):
    """The stream of canonical events."""

    def put(self, records: Sequence[StreamRecord]) -> frozenset[str]:
        """Put events. Gives the ids of those of which it is certain that they are on the stream.

        Never puts one again that may be there.
        """
        ...

    def find(self, sought: Sequence[Sought]) -> frozenset[str]:
        """Look for events on the stream. Gives the ids of those that are there."""
        ...


@dataclass(frozen=True, slots=True)
class Attribution:
    """Whose text an inbound text answers."""

    campaign_id: str | None
    journey_id: str | None


class TextAttribution(Protocol):
    """Which of our texts an inbound text answers."""

    def of(
        self, subscriber_id: str, *, previous_message_id: str | None, received_at: datetime
    ) -> Attribution | None:
        """Give campaign and journey of the text that is answered; None where we sent none."""
        ...


class Quarantine(Protocol):
    """What cannot be read, kept for a human."""

    def keep(self, name: str, reason: SetAside, body: str, *, received_at: datetime) -> None:
        """Keep what came.

        Parameters
        ----------
        name
            The same for each delivery of it: what is kept twice is there once.
        """
        ...
