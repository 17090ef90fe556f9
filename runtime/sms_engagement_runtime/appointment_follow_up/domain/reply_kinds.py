"""What an answer can mean; apart from how that is read, which most functions do without."""

from enum import StrEnum


class ReplyKind(StrEnum):
    """What to do with an answer."""

    CONFIRM = "CONFIRM"
    RESCHEDULE = "RESCHEDULE"
    OTHER = "OTHER"
    """A human reads it."""
