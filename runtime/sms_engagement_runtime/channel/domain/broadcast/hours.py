"""Allowed hours of a group of recipients, as far as the engine looks at them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

from sms_engagement_runtime.channel.domain.pacing import LEAVES_WITHIN

NEVER: Final = datetime.max.replace(tzinfo=UTC)
"""Later than everything."""


class Hours(Protocol):
    """When the people of one group may be texted; ``quiet_hours.RecipientHours`` is one."""

    def next_open(self, at: datetime) -> datetime | None:
        """Return the first allowed instant from this one on; None where there is none to be found."""
        ...

    def open_until(self, at: datetime) -> datetime | None:
        """Return the end of the allowed stretch that holds this instant; None outside of one."""
        ...


type HoursOfGroup = Callable[[str], Hours]
"""Returns the hours of a group, by ``Candidate.group``."""


def last_text_at(hours: Hours, at: datetime) -> datetime | None:
    """Return until when the gate lets texts of this allowed stretch pass; None outside of one."""
    until = hours.open_until(at)
    return None if until is None else until - LEAVES_WITHIN


class AlwaysOpen:
    """Hours around the clock: those of a dry run, which only says what would be done."""

    def next_open(self, at: datetime) -> datetime:
        """Return the instant itself."""
        return at

    def open_until(self, at: datetime) -> datetime:  # noqa: ARG002 - of the protocol
        """Return an instant that never comes."""
        return NEVER


def always_open(_: str) -> Hours:
    """Return these hours for any group."""
    return _ALWAYS_OPEN


_ALWAYS_OPEN: Final = AlwaysOpen()
