"""Why somebody is not asked for a review: the codes of this capability, beside the channel's ``Reason``."""

from enum import StrEnum
from typing import Final

NOT_ASKED: Final = "Person not asked"
"""Log message of a broadcast where asking somebody failed as nobody foresaw; an alarm counts it."""


class TextFault(StrEnum):
    """Why a text that an event brought is not used; log lines show it, and the standard text goes out."""

    MALFORMED = "MALFORMED"
    """It is no text, it is blank, or its braces hold no placeholder."""
    NO_LINK = "NO_LINK"
    """It has no place for the link."""
    UNKNOWN_PLACEHOLDER = "UNKNOWN_PLACEHOLDER"
    """It has a placeholder that nobody fills in."""
    TOO_LONG = "TOO_LONG"
    """With the longest link and without a name it takes more than one message part."""


class AskReason(StrEnum):
    """Reasons that results, summaries and log lines show."""

    ALREADY_ASKED = "ALREADY_ASKED"
    """The person was asked about this occasion before."""
    ALREADY_RECORDED = "ALREADY_RECORDED"
    """The occasion was written down before."""
    ALREADY_REMINDED = "ALREADY_REMINDED"
    """The person was reminded of this occasion, and is reminded once."""
    ANSWERED = "ANSWERED"
    """The person has written the review."""
    ASKED_SINCE = "ASKED_SINCE"
    """The person was asked about something else since, and is reminded of the last request only."""
    COOLDOWN = "COOLDOWN"
    """There is an occasion, and the person was asked about another one not long ago."""
    NOT_BEGUN = "NOT_BEGUN"
    """What the person is to be asked about lies in the future."""
    NOT_DELIVERED = "NOT_DELIVERED"
    """The request did not reach the person, so there is nothing to remind of."""
    NO_CUSTOMER = "NO_CUSTOMER"
    """The customer is not in the table, or not any more."""
    NO_OCCASION = "NO_OCCASION"
    """There is nothing that the person was not asked about yet."""
    NO_REMINDERS = "NO_REMINDERS"
    """Nobody is reminded: reminders are switched off."""
    NO_REQUEST = "NO_REQUEST"
    """Nobody was asked, or the person was erased since."""
    OCCASION_EXPIRED = "OCCASION_EXPIRED"
    """What the person could be asked about is too long ago."""
    REMINDER_EXPIRED = "REMINDER_EXPIRED"
    """The request is too long ago to be reminded of."""
    REMINDER_NOT_DUE = "REMINDER_NOT_DUE"
    """The person has had less time to answer than they shall have."""
