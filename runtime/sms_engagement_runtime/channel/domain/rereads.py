"""How often somebody without a key may make a process read a secret anew.

A signature by a key that is not at hand is forged, or made with a key that is newer than ours: only reading
the secret tells which. Were one reading allowed in half a minute, a single forged signature would have the
next genuine one under a new key refused; were all allowed, a flood of forged ones would be a flood of calls.
So a few are allowed at once, and then one now and then (a *token bucket*).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

AT_ONCE: Final = 3
"""Readings that are allowed one right after the other, after a quiet time."""

SECONDS_FOR_ONE: Final = 10.0
"""Time in which one more becomes allowed: six a minute in a process that is flooded."""


class RereadAllowance:
    """Readings that are allowed still. Not safe to use from several threads without a lock.

    Parameters
    ----------
    clock
        Seconds that only grow.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        at_once: int = AT_ONCE,
        seconds_for_one: float = SECONDS_FOR_ONE,
    ) -> None:
        self._clock = clock
        self._at_once = at_once
        self._seconds_for_one = seconds_for_one
        self._left = float(at_once)
        self._counted_at = clock()

    def take(self) -> bool:
        """Take one reading, and tell whether it is allowed."""
        now = self._clock()
        gained = max(0.0, now - self._counted_at) / self._seconds_for_one
        self._left = min(self._left + gained, float(self._at_once))
        self._counted_at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
