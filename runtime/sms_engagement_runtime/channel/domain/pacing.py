"""Pacing in message parts a second: who may take a slot of the rate, and when."""

from enum import StrEnum


class Lane(StrEnum):
    """Which texts go first where the rate is short."""

    TRANSACTIONAL = "TRANSACTIONAL"
    """Somebody waits for it: served before everything promotional."""
    PROMOTIONAL = "PROMOTIONAL"
