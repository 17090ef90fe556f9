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

HEADROOM: Final = 0.03
"""Share of the rate that is left unused.

A text leaves some milliseconds after its slot, now more, now fewer. With slots 3 % further apart than the
rate asks for, a text that is up to 30 ms later behind its slot than the others are behind theirs still leaves
no second with a part too many.
"""

BLOCK: Final = timedelta(seconds=1)
"""The most that is reserved at once, and how far ahead promotional texts may reserve.

So a transactional text waits for two blocks at worst: the queue ends within one when the last promotional
block is put behind it.
"""

LONGEST_WAIT: Final = timedelta(seconds=30)
"""How long anybody stands in the queue. A function that waits longer would end in the middle of its work."""

_FARTHEST_END: Final = 2 * LONGEST_WAIT
"""Where the queue can end at the most; what is beyond was written by a clock that was wrong."""

_MISSED_AFTER: Final = timedelta(milliseconds=15)
"""Half of what the headroom makes up for; the other half is for the calls between slot and text."""


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
class Block:
    """Slots one after another.

    Attributes
    ----------
    slots
        When each text may leave, in the order in which they were asked for.
    end
        Where the queue ends behind them.
    """

    slots: Sequence[datetime]
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Full:
    """Nothing may be reserved before ``until``."""

    until: datetime


def reserve(end: datetime | None, now: datetime, spacings: Sequence[timedelta], lane: Lane) -> Block | Full:
    """Put texts at the end of the queue.

    Parameters
    ----------
    end
        Where the queue ends; None where nobody ever stood in it.
    spacings
        What `Rate.block` gave.
    """
    if end is None or not now < end <= now + _FARTHEST_END:
        end = now
    ahead = BLOCK if lane is Lane.PROMOTIONAL else LONGEST_WAIT
    if end - now > ahead:
        return Full(until=end - ahead)
    slots = []
    for spacing in spacings:
        slots.append(end)
        end += spacing
    return Block(slots=slots, end=end)


def is_missed(slot: datetime, now: datetime) -> bool:
    """Whether it is too late for a slot: texts that leave late leave together with those behind them."""
    return now - slot > _MISSED_AFTER
