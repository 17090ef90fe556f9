"""What the bus tells about subscribers that no text tells: who was asked to confirm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from sms_engagement_runtime.sms_analytics_pipeline.domain.events import LATEST_TIMESTAMP
from sms_engagement_runtime.sms_analytics_pipeline.domain.lifecycle import Happening, SubscriptionStatus
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import (
    Fact,
    Subscriber,
    SubscriberChangedError,
    record,
)

CONFIRMATION_ASKED: Final = "ConfirmationAsked"
"""A text is about to go out that asks a person to confirm."""

MOST_ATTEMPTS: Final = 8
FIRST_PAUSE_SECONDS: Final = 0.05
"""Between attempts at a row that others write too, doubled each time; at random up to that."""

_LONGEST_ID: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A fact about a subscriber."""

    subscriber_id: str
    fact: Fact


class SubscriberRows(Protocol):
    """Rows of subscribers."""

    def find(self, ids: Iterable[str]) -> Mapping[str, Subscriber]:
        """Read rows, strongly consistent; unknown people are left out."""

    def put(self, subscriber: Subscriber, *, expected_version: int) -> None:
        """Write a row; raises ``SubscriberChangedError`` where it has another version."""


def read_notice(event_type: object, detail: object, event_id: str) -> Notice | None:
    """Read an event of the bus: ``ConfirmationAsked {"subscriberId", "at": epoch milliseconds}``.

    None for anything else.
    """
    if event_type != CONFIRMATION_ASKED or not isinstance(detail, Mapping):
        return None
    subscriber_id, at = detail.get("subscriberId"), detail.get("at")
    if not isinstance(subscriber_id, str) or not 0 < len(subscriber_id) <= _LONGEST_ID:
        return None
    # A boolean is an `int` for Python.
    if type(at) is not int or not 0 <= at <= LATEST_TIMESTAMP:
        return None
    fact = Fact(happening=Happening.ASKED_TO_CONFIRM, at=at, id=event_id)
    return Notice(subscriber_id=subscriber_id, fact=fact)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRecorder:
    """Records notices.

    Attributes
    ----------
    sleep, jitter
        Waits so many seconds; gives a number from 0 to 1.
    """

    subscribers: SubscriberRows
    sleep: Callable[[float], None]
    jitter: Callable[[], float]

    def record(self, notice: Notice) -> SubscriptionStatus:
        """Record a notice and return the status that it leads to; one that was recorded changes nothing.

        A person without a row gets one: whatever else is known of them may come later.

        Raises
        ------
        SubscriberChangedError
            Others kept writing the row.
        TransientError
            The table did not answer.
        """
        subscriber_id, last = notice.subscriber_id, MOST_ATTEMPTS - 1
        for number in range(MOST_ATTEMPTS):
            if number:
                self.sleep(FIRST_PAUSE_SECONDS * 2 ** (number - 1) * self.jitter())
            row = self.subscribers.find([subscriber_id]).get(subscriber_id)
            becomes = record(row, [notice.fact], subscriber_id=subscriber_id, phone_number=None)
            if becomes == row:
                break
            try:
                self.subscribers.put(becomes, expected_version=becomes.version)
            except SubscriberChangedError:
                if number == last:
                    raise
                continue
            break
        return becomes.subscription_status
