"""Why somebody gets no text of a journey, or not yet: the codes beside the channel's ``Reason``."""

from enum import StrEnum
from typing import Final

NOT_TEXTED: Final = "Person not texted"
"""Log message of a step where somebody's turn failed as nobody foresaw; an alarm counts it."""


class JourneyReason(StrEnum):
    """Reasons that results, summaries and enrolments show."""

    ALREADY_CONFIRMED = "ALREADY_CONFIRMED"
    """The text asks to confirm, and the person has."""
    ALREADY_TEXTED = "ALREADY_TEXTED"
    """Another run has sent the person this text, which goes out once."""
    COMPLETED = "COMPLETED"
    """The person is at the end of the journey."""
    DECLINED = "DECLINED"
    """The person answered with a no."""
    EARLIER_STEP = "EARLIER_STEP"
    """The person's turn in the step before this one has not come yet."""
    EXITED = "EXITED"
    """The journey ends there for people like this one."""
    GOAL_REACHED = "GOAL_REACHED"
    """The person has done what the journey is for."""
    NO_SUBSCRIBER = "NO_SUBSCRIBER"
    """The subscriber is not in the table, or not any more."""
    NOT_DELIVERED = "NOT_DELIVERED"
    """The text before did not reach the person, for a reason that lasts."""
    NOT_DUE = "NOT_DUE"
    """The wait since the person's own text before is not over."""
    NOT_IN_AUDIENCE = "NOT_IN_AUDIENCE"
    """The subscriber has another state or segment than the run is for."""
    NOTHING_DUE = "NOTHING_DUE"
    """The journey has no text for the person at this moment; a later one may have."""
    PHONE_CHANGED = "PHONE_CHANGED"
    """The phone number of the row is not the one that its id was made of."""
    PREFERRED_TIME = "PREFERRED_TIME"
    """It is not the hour that the person prefers."""
    STEP_MISSED = "STEP_MISSED"
    """The step before this one ended before the person's turn."""
    TEXT_FAILED = "TEXT_FAILED"
    """The service refused the text for good, or it could not be delivered."""
