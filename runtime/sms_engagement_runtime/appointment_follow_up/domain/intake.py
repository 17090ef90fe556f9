"""What a booking provider told becomes conversations, and the state machine that serves them.

The row is written first, then the machine is started under a name that the appointment gives. A provider that
gets no answer repeats its webhook, so whatever is cut off in between is done then: rows converge, and names
keep anything from running twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sms_engagement_runtime.appointment_follow_up.domain import conversation as rules
from sms_engagement_runtime.appointment_follow_up.domain.bookings import (
    Booked,
    Booking,
    BookingEvent,
    Cancelled,
    MovedAway,
    NoShowMarked,
)
from sms_engagement_runtime.appointment_follow_up.domain.changing import change
from sms_engagement_runtime.appointment_follow_up.domain.conversation import Conversation, Recipient, Status
from sms_engagement_runtime.appointment_follow_up.domain.ports import ConversationRepository, Workflow
from sms_engagement_runtime.appointment_follow_up.domain.purposes import Purpose
from sms_engagement_runtime.channel.domain.errors import InvalidPhoneNumberError
from sms_engagement_runtime.channel.domain.phone_number import NumberKind
from sms_engagement_runtime.channel.domain.ports import Clock, PhoneNumberParser
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id


class BookingReason(StrEnum):
    """Why a booking leads to no text, beside the reasons of the channel."""

    START_IN_PAST = "START_IN_PAST"
    """The appointment had begun when we heard of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingIntake:
    """Takes events of all providers, each of them as often as it comes.

    Attributes
    ----------
    subscriber_key
        Returns the key of subscriber ids.
    """

    conversations: ConversationRepository
    workflow: Workflow
    parser: PhoneNumberParser
    subscriber_key: Callable[[], bytes]
    clock: Clock = field(repr=False)

    def take(self, events: Sequence[BookingEvent]) -> Sequence[Conversation]:
        """Record events in their order, and begin what follows from them.

        Returns
        -------
        Sequence
            The conversations as they are now, one an event.

        Raises
        ------
        TransientError
            Something did not answer. All of it may be repeated.
        """
        return [self._take(event) for event in events]

    def was_seen(self, events: Sequence[BookingEvent]) -> bool:
        """Say whether all of these events are in their rows already."""
        rows = [(event, self.conversations.get(event.appointment_id)) for event in events]
        return bool(rows) and all(row is not None and event.key in row.seen for event, row in rows)

    def _take(self, event: BookingEvent) -> Conversation:
        now = self.clock.now()
        _, after = change(
            self.conversations,
            event.appointment_id,
            lambda conversation: self._record(conversation, event, now),
            now=now,
        )
        if isinstance(event, Cancelled | MovedAway):
            # It could not send any more as it is; it would only wait, perhaps for months, to find that out.
            self.workflow.stop(after.appointment_id)
        if after.booking is not None:
            self._begin(after, event)
        return after

    def _record(self, conversation: Conversation, event: BookingEvent, now: datetime) -> Conversation:
        match event:
            case Booked() if event.key in conversation.seen:
                # Who can be texted was decided when it came first: in the past it begins some day.
                return conversation
            case Booked():
                return rules.book(conversation, event, self._recipient(event.booking, now))
            case Cancelled():
                return rules.cancel(conversation, event)
            case MovedAway():
                return rules.move_away(conversation, event)
            case NoShowMarked():
                return rules.mark_no_show(conversation, event)

    def _begin(self, conversation: Conversation, event: BookingEvent) -> None:
        appointment_id = conversation.appointment_id
        if isinstance(event, Booked):
            self.workflow.start(appointment_id)
        if conversation.status is Status.CANCELED:
            self.workflow.notify(appointment_id, Purpose.CANCELLED, occasion=Purpose.CANCELLED)
        elif conversation.status is Status.NO_SHOW and conversation.no_show_at is not None:
            said_at = round(conversation.no_show_at.timestamp())
            self.workflow.notify(appointment_id, Purpose.NO_SHOW, occasion=f"{Purpose.NO_SHOW}-{said_at}")

    def _recipient(self, booking: Booking, now: datetime) -> Recipient | str:
        """Choose the number to text: the first candidate that can be texted; else the reason of the first."""
        if booking.starts_at <= now:
            return BookingReason.START_IN_PAST
        reasons: list[str] = []
        for candidate in booking.phones:
            try:
                parsed = self.parser.parse(candidate.raw)
            except InvalidPhoneNumberError as error:
                reasons.append(error.reason)
                continue
            if parsed.kind is NumberKind.LANDLINE:
                reasons.append(Reason.LANDLINE)
                continue
            return Recipient(
                number=parsed.number,
                country=parsed.country,
                subscriber_id=subscriber_id(parsed.number, self.subscriber_key()),
            )
        return next((reason for reason in reasons if reason != Reason.NO_PHONE), Reason.NO_PHONE)
