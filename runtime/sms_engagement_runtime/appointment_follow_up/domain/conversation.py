"""The conversation about one appointment: one explicit state machine.

``TRANSITIONS`` is all of it: state x event -> state. Webhooks come twice and in any order, answers and
delivery events come whenever they like, and each of them is recorded by one conditional write of the row. So
the table is built to converge: an event has one state that it leads to, states have an order, and a
conversation takes the higher of where it is and where the event leads. Whatever order the same events come
in, the row ends the same. Only the host's word on a no-show can be taken back; there the later word counts,
by the provider's own clock.

``MAY_SEND`` says which text may go out in which state. It is asked again in the transaction that claims the
text, against the version of the row: a text is claimed either before an answer or a cancellation is recorded,
or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from sms_engagement_runtime.appointment_follow_up.domain.bookings import (
    Booked,
    Booking,
    Cancelled,
    MovedAway,
    NoShowMarked,
    Party,
    appointment_id,
)
from sms_engagement_runtime.appointment_follow_up.domain.purposes import Purpose
from sms_engagement_runtime.appointment_follow_up.domain.reply_kinds import ReplyKind
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.reasons import Reason

MOST_SEEN: Final = 100
"""How many of a provider's events a row remembers: a dozen happen in the life of an appointment."""


class Status(StrEnum):
    """State of a conversation, in the order in which one outranks another."""

    PENDING = "PENDING"
    """Booked; the invitee has not been told yet."""
    CONFIRMED_SENT = "CONFIRMED_SENT"
    """The confirmation, or that it was moved, went out."""
    FOLLOWED_UP = "FOLLOWED_UP"
    """Nobody answered it, and a second text went out."""
    FAILED = "FAILED"
    """The invitee cannot be reached by text; the row has the reason."""
    RESPONDED = "RESPONDED"
    """The invitee answered."""
    OPTED_OUT = "OPTED_OUT"
    """The invitee has left. The appointment itself stands."""
    NO_SHOW = "NO_SHOW"
    """The host says that the invitee did not come."""
    CANCELED = "CANCELED"
    """The appointment will not take place."""
    RESCHEDULED = "RESCHEDULED"
    """Another appointment took its place."""


class Event(StrEnum):
    """What happens to a conversation."""

    BOOKED = "BOOKED"
    """The provider told of the booking."""
    SKIPPED = "SKIPPED"
    """The booking has no phone number that could be texted, or begins in the past."""
    CONFIRMATION_SENT = "CONFIRMATION_SENT"
    """The text that tells of the appointment went out, or may have."""
    FOLLOW_UP_SENT = "FOLLOW_UP_SENT"
    """The second text went out, or may have."""
    REPLIED = "REPLIED"
    """The invitee answered."""
    TEXT_FAILED = "TEXT_FAILED"
    """A text was refused for good, by us, by the service or by the carrier."""
    OPTED_OUT = "OPTED_OUT"
    """The invitee opted out, or is not the one who has the number."""
    NO_SHOW = "NO_SHOW"
    """The host marked the invitee as absent."""
    NO_SHOW_UNDONE = "NO_SHOW_UNDONE"
    """The host took that back."""
    CANCELLED = "CANCELLED"
    """Host or invitee cancelled."""
    MOVED_AWAY = "MOVED_AWAY"
    """Another appointment takes its place."""


class _Before:
    """The state in which a conversation would be without the no-show."""

    def __repr__(self) -> str:
        return "as before the no-show"


BEFORE: Final = _Before()

_P, _C, _F, _X, _R, _O, _N, _K, _M = Status

_ROWS: Final[Mapping[Status, tuple[Status | _Before, ...]]] = {
    #   BOOKED SKIPPED CONF. FOLLOW_UP REPLIED FAILED OPTED_OUT NO_SHOW UNDONE CANCELLED MOVED_AWAY
    _P: (_P, _X, _C, _F, _R, _X, _O, _N, _P, _K, _M),
    _C: (_C, _X, _C, _F, _R, _X, _O, _N, _C, _K, _M),
    _F: (_F, _X, _F, _F, _R, _X, _O, _N, _F, _K, _M),
    _X: (_X, _X, _X, _X, _R, _X, _O, _N, _X, _K, _M),
    _R: (_R, _R, _R, _R, _R, _R, _O, _N, _R, _K, _M),
    _O: (_O, _O, _O, _O, _O, _O, _O, _N, _O, _K, _M),
    _N: (_N, _N, _N, _N, _N, _N, _N, _N, BEFORE, _K, _M),
    _K: (_K, _K, _K, _K, _K, _K, _K, _K, _K, _K, _M),
    _M: (_M, _M, _M, _M, _M, _M, _M, _M, _M, _M, _M),
}

TRANSITIONS: Final[Mapping[Status, Mapping[Event, Status | _Before]]] = MappingProxyType(
    {state: MappingProxyType(dict(zip(Event, row, strict=True))) for state, row in _ROWS.items()}
)
"""State x event -> state. Every cell is there; ``docs/appointments.md`` prints it."""

_TAKES_PLACE: Final = frozenset({Status.CONFIRMED_SENT, Status.FOLLOWED_UP, Status.RESPONDED})

MAY_SEND: Final[Mapping[Purpose, frozenset[Status]]] = MappingProxyType(
    {
        # Who answered before they were told, as to a text about another appointment, is still to be told.
        Purpose.CONFIRMATION: frozenset({Status.PENDING, Status.RESPONDED}),
        Purpose.MOVED: frozenset({Status.PENDING, Status.RESPONDED}),
        Purpose.FOLLOW_UP: frozenset({Status.CONFIRMED_SENT}),
        Purpose.REMINDER: _TAKES_PLACE,
        # Another wording of the one before.
        Purpose.REMINDER_CONFIRMED: frozenset({Status.RESPONDED}),
        Purpose.FEEDBACK: _TAKES_PLACE,
        Purpose.CANCELLED: frozenset({Status.CANCELED}),
        Purpose.NO_SHOW: frozenset({Status.NO_SHOW}),
    }
)
"""In which states a text may go out; of CANCELLED and NO_SHOW those only hear who were told of the
appointment."""

TOLD_BY: Final = (Purpose.CONFIRMATION, Purpose.MOVED)
"""Texts that tell of an appointment: one of them comes first."""

OVER: Final = frozenset(
    {Status.FAILED, Status.OPTED_OUT, Status.NO_SHOW, Status.CANCELED, Status.RESCHEDULED}
)
"""States in which nothing more is sent before and after the appointment."""


_UNREACHABLE: Final = frozenset({Status.FAILED, Status.OPTED_OUT})
_OPT_OUT_REASONS: Final = frozenset({Reason.OPTED_OUT, Reason.WRONG_NUMBER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Who gets the texts.

    Attributes
    ----------
    country
        ISO 3166-1 alpha-2 of the number, None where it belongs to no single one.
    """

    number: PhoneNumber
    country: str | None
    subscriber_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The latest answer of the invitee."""

    at: datetime
    kind: ReplyKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """The row of one appointment.

    Attributes
    ----------
    version
        Counts the writes of the row; 0 means that there is none yet.
    before_no_show
        The state behind a NO_SHOW; None in every other state.
    reason
        Why it is FAILED or OPTED_OUT: a reason code.
    booking, booking_at
        What the provider said last, and when; None where only its end was heard of so far.
    recipient
        None where there is no number to text.
    no_show_at
        When the host last said something about a no-show.
    moved_to
        Id of the appointment that took its place.
    cancelled_by, cancelled_at
        Who cancelled, where the provider says, and when.
    told_at, followed_up_at
        When the text that tells of the appointment, and the second one, were recorded as sent.
    reply
        None while nobody answered.
    seen
        Keys of the provider's events that are in this row.
    """

    appointment_id: str
    created_at: datetime
    updated_at: datetime
    version: int = 0
    status: Status = Status.PENDING
    before_no_show: Status | None = None
    reason: str | None = None
    booking: Booking | None = None
    booking_at: datetime | None = None
    recipient: Recipient | None = None
    no_show_at: datetime | None = None
    moved_to: str | None = None
    cancelled_by: Party | None = None
    cancelled_at: datetime | None = None
    told_at: datetime | None = None
    followed_up_at: datetime | None = None
    reply: Reply | None = None
    seen: frozenset[str] = frozenset()

    @property
    def is_over(self) -> bool:
        """Whether nothing more is sent about it, but what its end calls for."""
        return self.status in OVER

    def may_send(self, purpose: Purpose) -> bool:
        """Whether a text of this purpose may go out now."""
        if self.booking is None or self.recipient is None or self.before_no_show in _UNREACHABLE:
            return False
        return self.status in MAY_SEND[purpose]

    def first_purpose(self) -> Purpose:
        """Give the text that tells of it: that it was moved here, or that it was booked."""
        is_moved = self.booking is not None and self.booking.replaces is not None
        return Purpose.MOVED if is_moved else Purpose.CONFIRMATION


def unknown(appointment_id: str, now: datetime) -> Conversation:
    """Give the conversation about an appointment that nobody told us of yet."""
    return Conversation(appointment_id=appointment_id, created_at=now, updated_at=now)


def move(conversation: Conversation, event: Event) -> Conversation:
    """Apply one event to the state, by the table."""
    status = conversation.status
    target = TRANSITIONS[status][event]
    if status is Status.NO_SHOW:
        # What else happens is kept behind the no-show, which may be taken back.
        hidden = TRANSITIONS[conversation.before_no_show or Status.PENDING][event]
        assert isinstance(hidden, Status)
        if isinstance(target, _Before):
            return replace(conversation, status=hidden, before_no_show=None)
        if target is Status.NO_SHOW:
            before = conversation.before_no_show if event is Event.NO_SHOW else hidden
            return replace(conversation, before_no_show=before)
        return replace(conversation, status=target, before_no_show=None)
    assert isinstance(target, Status)
    return replace(
        conversation,
        status=target,
        before_no_show=status if target is Status.NO_SHOW else None,
    )


def book(conversation: Conversation, event: Booked, recipient: Recipient | str) -> Conversation:
    """Record a booking.

    Parameters
    ----------
    recipient
        Whom to text, or the reason code of why nobody can be.
    """
    is_newer = conversation.booking_at is None or event.at >= conversation.booking_at
    booked = _saw(conversation, event.key)
    if is_newer:
        booked = replace(
            booked,
            booking=event.booking,
            booking_at=event.at,
            recipient=recipient if isinstance(recipient, Recipient) else None,
        )
    booked = move(booked, Event.BOOKED)
    return booked if isinstance(recipient, Recipient) else fail(booked, Event.SKIPPED, recipient)


def cancel(conversation: Conversation, event: Cancelled) -> Conversation:
    """Record that it will not take place; the first word counts, and of two at once the one that says who."""
    cancelled = _saw(conversation, event.key)
    known_at = conversation.cancelled_at
    if known_at is None or (event.at, _rank(event.by)) < (known_at, _rank(conversation.cancelled_by)):
        cancelled = replace(cancelled, cancelled_at=event.at, cancelled_by=event.by)
    return move(cancelled, Event.CANCELLED)


def move_away(conversation: Conversation, event: MovedAway) -> Conversation:
    """Record that another appointment takes its place."""
    to = None if event.to is None else appointment_id(event.provider, event.to)
    # The pair that tells of one move may name it in one half only.
    known = [one for one in (conversation.moved_to, to) if one is not None]
    return move(replace(_saw(conversation, event.key), moved_to=max(known, default=None)), Event.MOVED_AWAY)


def mark_no_show(conversation: Conversation, event: NoShowMarked) -> Conversation:
    """Record what the host says of a no-show; the host's later word counts, and of two at once the mark."""
    said_at = conversation.no_show_at
    marked = _saw(conversation, event.key)
    if said_at is not None and (event.at < said_at or (event.at == said_at and event.is_undone)):
        return marked
    return move(
        replace(marked, no_show_at=event.at), Event.NO_SHOW_UNDONE if event.is_undone else Event.NO_SHOW
    )


def tell(conversation: Conversation, event: Event, at: datetime) -> Conversation:
    """Record that the text went out that tells of the appointment, or the one that follows up."""
    if event is Event.CONFIRMATION_SENT:
        sent = replace(conversation, told_at=min(conversation.told_at or at, at))
    else:
        sent = replace(conversation, followed_up_at=min(conversation.followed_up_at or at, at))
    return move(sent, event)


def answer(conversation: Conversation, reply: Reply) -> Conversation:
    """Record an answer; the latest one stays."""
    known = conversation.reply
    is_newer = known is None or (reply.at, reply.kind) >= (known.at, known.kind)
    return move(replace(conversation, reply=reply if is_newer else known), Event.REPLIED)


def fail(conversation: Conversation, event: Event, reason: str) -> Conversation:
    """Record why nothing more can be sent: SKIPPED, TEXT_FAILED or OPTED_OUT. An opt-out says more."""
    reasons = [one for one in (conversation.reason, reason) if one is not None]
    return replace(
        move(conversation, event), reason=max(reasons, key=lambda one: (one in _OPT_OUT_REASONS, one))
    )


def forget(conversation: Conversation) -> Conversation:
    """Keep of an erased person's appointment that it takes place, and nothing of whom it is with."""
    failed = fail(conversation, Event.TEXT_FAILED, Reason.ERASED)
    booking = failed.booking and replace(
        failed.booking, invitee_name=None, reschedule_url=None, cancel_url=None
    )
    return replace(failed, recipient=None, booking=booking)


def kept_until(conversation: Conversation, retention: timedelta) -> datetime:
    """Say until when the row is kept: its retention begins when the appointment has ended."""
    booking = conversation.booking
    last = conversation.updated_at if booking is None else max(conversation.updated_at, booking.ends_at)
    return last + retention


def _rank(party: Party | None) -> int:
    return len(Party) if party is None else list(Party).index(party)


def _saw(conversation: Conversation, key: str) -> Conversation:
    if key in conversation.seen or len(conversation.seen) >= MOST_SEEN:
        return conversation
    return replace(conversation, seen=conversation.seen | {key})
