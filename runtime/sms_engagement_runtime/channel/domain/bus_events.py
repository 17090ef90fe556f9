"""Names of the events by which the channel meets the capabilities on the bus.

Their shapes are in ``docs/events``.
"""

from typing import Final

CONSTRUCT: Final = "channel"
"""Name of the channel itself in ledger keys: its own replies."""

SCHEMA_VERSION: Final = 1

REPLY_RECEIVED: Final = "ReplyReceived"
"""An inbound message answered an open prompt."""

OPTED_OUT: Final = "OptedOut"
"""An inbound message opted a person out."""

OPT_OUT_REPORTED: Final = "OptOutReported"
"""An event of the service, or of an earlier system, tells of an opt-out that no router has seen."""

WRONG_NUMBER: Final = "WrongNumber"
"""Whoever has a number says that it is not that of the person who was meant."""

TEXT_FAILED: Final = "TextFailed"
"""A text failed for a reason that lasts."""
