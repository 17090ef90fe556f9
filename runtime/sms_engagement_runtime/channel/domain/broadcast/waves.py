"""Which parts are sent next: as many as fit into a stretch of time and into the hours of their people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sms_engagement_runtime.channel.domain.broadcast.hours import NEVER, HoursOfGroup, last_text_at
from sms_engagement_runtime.channel.domain.broadcast.run import Part
from sms_engagement_runtime.channel.domain.pacing import LEAVES_WITHIN

FIRST_WAVE: Final = timedelta(minutes=1)
LONGEST_WAVE: Final = timedelta(minutes=15)

_WORTH_STARTING: Final = timedelta(seconds=30)
"""A part is begun this shortly before its hours end; whom it does not get to comes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """What to send now, and what not yet.

    Attributes
    ----------
    parts
        To be sent, those whose hours end first in front.
    later
        The others.
    """

    parts: Sequence[Part]
    later: Sequence[Part]


def wave_length(waves: int) -> timedelta:
    """Return how long the next wave may take after so many waves.

    It doubles from a minute to a quarter of an hour: the first ones soon show whether people leave, the later
    ones lose little time between them.
    """
    return LONGEST_WAVE if waves > 3 else min(LONGEST_WAVE, FIRST_WAVE * 2**waves)


def choose_wave(
    parts: Sequence[Part],
    *,
    now: datetime,
    hours_of: HoursOfGroup,
    length: timedelta,
    recipients_per_second: float,
) -> Wave:
    """Choose the parts of the next wave.

    Parameters
    ----------
    parts
        All that are left, in the order in which they are to be sent.
    length
        How long it may take. One part is sent at least, where one can be.
    recipients_per_second
        Of all parts of the wave together.
    """
    ending = {group: _ends_at(group, now, hours_of) for group in dict.fromkeys(part.group for part in parts)}
    ready = [part for part in parts if (part.not_before or now) <= now and ending[part.group] is not None]
    ready.sort(key=lambda part: ending[part.group] or NEVER)
    chosen: list[Part] = []
    people = 0
    for part in ready:
        begins_at = now + timedelta(seconds=people / recipients_per_second)
        if chosen and begins_at - now >= length:
            break
        takes = min(timedelta(seconds=part.people / recipients_per_second), _WORTH_STARTING)
        ends_at = ending[part.group]
        assert ends_at is not None
        if begins_at + takes <= ends_at:
            chosen.append(part)
            people += part.people
    keys = {part.key for part in chosen}
    return Wave(parts=chosen, later=[part for part in parts if part.key not in keys])


def starts_at(part: Part, *, now: datetime, hours_of: HoursOfGroup) -> datetime:
    """Return the first instant from now on at which a part could be sent and not be closed at once."""
    hours = hours_of(part.group)
    at = max(part.not_before or now, now)
    opens_at = hours.next_open(at)
    if opens_at is None:
        return at
    ends_at = last_text_at(hours, opens_at)
    if ends_at is None or ends_at - opens_at >= _WORTH_STARTING:
        return opens_at
    return hours.next_open(ends_at + LEAVES_WITHIN) or at


def _ends_at(group: str, now: datetime, hours_of: HoursOfGroup) -> datetime | None:
    """Return until when texts to a group pass; None where its hours have not begun."""
    hours = hours_of(group)
    # Nothing is known of the hours: the gate has its own reason for such people.
    return NEVER if hours.next_open(now) is None else last_text_at(hours, now)
