"""Names of the events by which journeys meet other capabilities on the bus; shapes in ``docs/events``."""

from typing import Final

CONSTRUCT: Final = "journeys"
"""Name of this capability in ledger keys and prompts."""

SCHEMA_VERSION: Final = 1

CONFIRMATION_ASKED: Final = "ConfirmationAsked"
"""A text is about to go out that asks a person to confirm."""

SUBSCRIBER_ENTERED: Final = "SubscriberEntered"
"""Somebody came into a segment: journeys with that trigger start for them."""
