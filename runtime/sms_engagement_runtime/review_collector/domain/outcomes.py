"""Why one person was not asked: reasons beside those of the channel and of its broadcast engine."""

from __future__ import annotations

from enum import StrEnum

from sms_engagement_runtime.channel.domain.broadcast.outcomes import (
    REMAINING,
    PersonOutcome,
    Tally,
    tally,
)

__all__ = ["REMAINING", "AskReason", "PersonOutcome", "Tally", "tally"]


class AskReason(StrEnum):
    """Reasons of this capability, beside the channel's ``Reason``."""

    ALREADY_ASKED = "ALREADY_ASKED"
    """The person was asked about this occasion before."""
    NO_CUSTOMER = "NO_CUSTOMER"
    """The customer is not in the table, or not any more."""
    NO_OCCASION = "NO_OCCASION"
    """There is nothing that the person was not asked about yet."""
    NO_REQUEST = "NO_REQUEST"
    """Nobody was asked, or the person was erased since."""
    OUT_OF_TIME = "OUT_OF_TIME"
    """The function's time ended before this person's turn."""
    PART_FAILED = "PART_FAILED"
    """The function that was to ask this person's part failed."""
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    """A service of ours did not answer, again and again."""
    UNEXPECTED_ERROR = "UNEXPECTED_ERROR"
    """Asking this person failed in a way that nobody foresaw; the log names the error."""
