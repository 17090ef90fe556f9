"""How an attempt to send ended: a word that is also read where nothing is sent, as in summaries of runs."""

from enum import StrEnum


class OutcomeState(StrEnum):
    """How an attempt to send ended."""

    ACCEPTED = "ACCEPTED"
    SUPPRESSED = "SUPPRESSED"
    DEFERRED = "DEFERRED"
    ALREADY_SENT = "ALREADY_SENT"
    """An earlier attempt sent it."""
    IN_FLIGHT = "IN_FLIGHT"
    """Another attempt is at it this minute."""
    UNCERTAIN = "UNCERTAIN"
    """It may have gone out, and is not sent again."""
    FAILED = "FAILED"
    """The service refused it for good, now or earlier, or it could not be delivered."""
    WOULD_SEND = "WOULD_SEND"
    """Dry runs only."""
