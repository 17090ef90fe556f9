"""What the texts about an appointment are for."""

from enum import StrEnum
from typing import Final

CONSTRUCT: Final = "appointments"
"""Name of this capability in ledger keys, prompts and bus events."""


class Purpose(StrEnum):
    """One kind of text. The value is the key of its templates, and part of its ledger key."""

    CONFIRMATION = "confirmation"
    """An appointment was booked; asks for an answer."""
    MOVED = "moved"
    """An appointment was moved to another time; asks for an answer, in place of a confirmation."""
    FOLLOW_UP = "follow-up"
    """Nobody answered."""
    REMINDER = "reminder"
    """It is soon."""
    REMINDER_CONFIRMED = "reminder-confirmed"
    """The same to who has confirmed it, and is not asked again."""
    CANCELLED = "cancelled"
    """It will not take place."""
    NO_SHOW = "no-show"
    """It took place without the invitee."""
    FEEDBACK = "feedback"
    """It is over. Sent by ReviewCollector, with its link."""
    RESCHEDULE = "reschedule"
    """The answer to who wants another time: where to choose it."""
    CALL_BACK = "call-back"
    """The same where there is no such place."""
    WHICH = "which"
    """Asks which of several appointments an answer meant."""
    OPT_OUT = "opt-out"
    """The confirmation of an opt-out by CANCEL: the appointment itself stands."""
