"""Pacing in message parts a second: who may take a slot of the rate, and when.

Everybody who sends through one origination identity stands in one queue, and all that is known of the queue
is the instant at which it ends (a *generic cell rate algorithm*, ITU-T I.371, annex A): a text takes the
stretch from there on that its parts need at the rate. Nothing that was not used in a quiet minute is sent in
a burst after it, which the carrier would throttle.

Texts are reserved in blocks, so that a thousand texts a second are not a thousand writes to one row.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sms_engagement_runtime.channel.domain.errors import TransientError

HEADROOM: Final = 0.02
"""Share of the rate that is left unused.

A text reaches the carrier some milliseconds after its slot, now more, now fewer. With slots 3 % further apart
than the rate asks for, a text that is up to 30 ms later than the others are still leaves no second with a
part too many.
"""

BLOCK: Final = timedelta(seconds=1)
"""The most that is reserved at once, and how far ahead promotional texts may reserve.

So a transactional text waits for two blocks at worst: the queue ends within one when the last promotional
block is put behind it.
"""

LEAVES_WITHIN: Final = timedelta(seconds=30)
"""How long after gate and claim a text may still leave: it waits for its slot and for the service."""

LONGEST_WAIT: Final = timedelta(seconds=30)
"""How long anybody stands in the queue. A function that waits longer would end in the middle of its work."""

FARTHEST_END: Final = 2 * LONGEST_WAIT
"""Where the queue can end at the most; what is beyond was written by a clock that was wrong."""

TOLERANCE: Final = timedelta(milliseconds=10)
"""How late a slot may be used: half of what the headroom makes up for. The other half is for the call."""


class Lane(StrEnum):
    """Which texts go first where the rate is short."""

    TRANSACTIONAL = "TRANSACTIONAL"
    """Somebody waits for it: served before everything promotional."""
    PROMOTIONAL = "PROMOTIONAL"


class NoSlotError(TransientError):
    """The rate is taken for as long as anybody could wait. Nothing was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What carrier and account take.

    Attributes
    ----------
    parts_per_second
        Message parts a second of the origination identity. A text of more parts than that goes all the same,
        and takes its seconds.
    requests_per_second
        Calls a second of the account, however many parts a text has; None where the first limit is the
        stricter one.

    Raises
    ------
    ValueError
        A rate is not above 0: nothing would ever be sent.
    """

    parts_per_second: float
    requests_per_second: float | None = None

    def __post_init__(self) -> None:
        _check("parts_per_second", self.parts_per_second)
        if self.requests_per_second is not None:
            _check("requests_per_second", self.requests_per_second)

    def spacing(self, parts: int) -> timedelta:
        """Distance from the slot of a text of so many parts to the next one."""
        seconds = parts / self.parts_per_second
        if self.requests_per_second is not None:
            seconds = max(seconds, 1 / self.requests_per_second)
        return timedelta(seconds=seconds * (1 + HEADROOM))

    def block(self, texts: Iterable[int]) -> Sequence[timedelta]:
        """Spacings of as many texts as one block holds, given their parts: always the first, however long."""
        spacings: list[timedelta] = []
        length = timedelta(0)
        for parts in texts:
            spacing = self.spacing(parts)
            length += spacing
            if spacings and length > BLOCK:
                break
            spacings.append(spacing)
        return spacings


def _check(name: str, rate: float) -> None:
    if not (rate > 0 and math.isfinite(rate)):
        raise ValueError(f"{name} must be above 0, got {rate}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """When a text may leave.

    Attributes
    ----------
    at
        The instant itself. The text goes to the gate shortly before, so that what the gate takes, now more,
        now less, does not make the texts uneven.
    parts
        Of the text.
    taken_at
        When it went to the gate.
    is_tight
        Whether the text must leave at that very instant.
    """

    at: datetime
    parts: int
    taken_at: datetime
    is_tight: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """A stretch of the queue, from ``start`` on and as long as was asked for."""

    start: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Full:
    """Nothing can be reserved before ``until``."""

    until: datetime


def reserve(end: datetime | None, now: datetime, lane: Lane) -> Reserved | Full:
    """Decide where texts stand that come now.

    Parameters
    ----------
    end
        Where the queue ends; None where nobody ever stood in it.
    """
    if end is None or not is_queue(end, now):
        return Reserved(start=now)
    ahead = farthest(lane)
    return Reserved(start=end) if end - now <= ahead else Full(until=end - ahead)


def is_queue(end: datetime, now: datetime) -> bool:
    """Whether anybody stands in a queue that ends there.

    Nobody does behind an end that has passed; and an end beyond all that can be reserved was written by a
    clock that was wrong.
    """
    return now < end <= now + FARTHEST_END


def farthest(lane: Lane) -> timedelta:
    """How far ahead the queue may end where a text of the lane is put behind it."""
    return BLOCK if lane is Lane.PROMOTIONAL else LONGEST_WAIT


def slots(start: datetime, spacings: Iterable[timedelta]) -> Sequence[datetime]:
    """When each text of a block may leave."""
    instants = []
    for spacing in spacings:
        instants.append(start)
        start += spacing
    return instants


def is_sparse(spacing: timedelta) -> bool:
    """Whether texts are so few that one of them is more than the headroom of a second.

    Where they are not, one that nobody was in front of may leave some moments before or behind its slot.
    """
    return spacing > HEADROOM * timedelta(seconds=1)


def is_missed(slot: datetime, now: datetime) -> bool:
    """Whether it is too late for a slot: texts that leave late leave together with those behind them."""
    return now - slot > TOLERANCE
