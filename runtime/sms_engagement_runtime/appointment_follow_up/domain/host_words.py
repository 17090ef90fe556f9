"""What the host of an appointment reads: with the number and the words of whom it is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sms_engagement_runtime.appointment_follow_up.domain.bookings import Booking
from sms_engagement_runtime.appointment_follow_up.domain.conversation import Conversation, Recipient
from sms_engagement_runtime.appointment_follow_up.domain.phone_events import OptedOut
from sms_engagement_runtime.appointment_follow_up.domain.reply_kinds import ReplyKind
from sms_engagement_runtime.appointment_follow_up.domain.speaking import Speaker


def parties(conversation: Conversation) -> tuple[Booking, Recipient]:
    """Give what was booked, and who gets the texts, of a conversation that has both."""
    assert conversation.booking is not None
    assert conversation.recipient is not None
    return conversation.booking, conversation.recipient


_HOST_SUBJECTS: Final = {
    ReplyKind.CONFIRM: "Answer about an appointment that is over",
    ReplyKind.RESCHEDULE: "An invitee wants another time",
    ReplyKind.OTHER: "An invitee wrote",
}


def answer_words(
    body: str | None,
    kind: ReplyKind,
    conversations: Sequence[Conversation],
    speaker: Speaker,
    about_it: str,
) -> tuple[str, str]:
    """Give subject and message about something that an invitee wrote.

    Parameters
    ----------
    about_it
        What was done about it; empty where nothing was.
    """
    lines = [f"{_who(conversations[0])} wrote “{(body or '').strip()}”"]
    lines += [_about(one, speaker) for one in conversations]
    if about_it:
        lines.append(about_it)
    return _HOST_SUBJECTS[kind], "\n".join(lines)


def opt_out_words(
    event: OptedOut, conversations: Sequence[Conversation], speaker: Speaker
) -> tuple[str, str]:
    """Give subject and message about an invitee who left, and whose appointments stand."""
    lines = [f"{_who(conversations[0])} wrote “{(event.body or '').strip()}”"]
    if event.is_wrong_number:
        lines.append("The number belongs to somebody else: the invitee has not been reached by text.")
    else:
        lines.append("They get no more texts.")
    lines.append(
        "The appointment itself stands; ask whether they meant to cancel it:"
        if event.is_cancel and event.answered is not None
        else "Their appointments stand:"
    )
    lines += [_about(one, speaker) for one in conversations]
    return ("CANCEL by text" if event.is_cancel else "An invitee opted out"), "\n".join(lines)


def _who(conversation: Conversation) -> str:
    booking, recipient = parties(conversation)
    name = f" ({booking.invitee_name})" if booking.invitee_name else ""
    return f"{recipient.number.e164}{name}"


def _about(conversation: Conversation, speaker: Speaker) -> str:
    booking, recipient = parties(conversation)
    return (
        f"{booking.event_name}, {booking.starts_at:%Y-%m-%d %H:%M} UTC "
        f"({speaker.time(booking, recipient)} where they are), {conversation.status}: {booking.external_id}"
    )
