"""Pacing of one process in message parts a second."""

from collections.abc import Callable
from threading import Lock
from typing import Final

from sms_engagement_runtime.channel.domain.pacing import Lane

LONGEST_BACK_OFF_SECONDS: Final = 8
"""A sender lives for minutes at most; a text that waits longer is deferred and comes with the next run."""


class TokenBucketPacer:
    """Hands out slots so that this process sends at most a number of parts a second.

    The bucket holds one text: slots follow one another evenly, and nothing that was not used in a quiet
    minute is sent in a burst after it, which the carrier would throttle. Safe to use from several threads.

    Parameters
    ----------
    parts_per_second
        Rate of the origination identity, or this process's share of it.
    clock
        Seconds that only grow, as ``time.monotonic``.
    sleep
        Waits for a number of seconds, as ``time.sleep``.
    jitter
        A number from 0 to 1, as ``random.random``: senders that were throttled together do not come back
        together.

    Raises
    ------
    ValueError
        The rate is not positive.
    """

    def __init__(
        self,
        parts_per_second: float,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        jitter: Callable[[], float],
    ) -> None:
        if not parts_per_second > 0:
            raise ValueError(f"parts_per_second must be above 0, got {parts_per_second}")
        self._seconds_a_part = 1 / parts_per_second
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._next_slot = clock()
        self._lock = Lock()

    def acquire(self, parts: int, lane: Lane = Lane.TRANSACTIONAL) -> None:  # noqa: ARG002 - the port's
        """Wait until ``parts`` message parts may be sent. The first call does not wait."""
        with self._lock:
            now = self._clock()
            slot = max(now, self._next_slot)
            self._next_slot = slot + parts * self._seconds_a_part
        wait = slot - now
        if wait > 0:
            self._sleep(wait)

    def back_off(self, attempt: int) -> None:
        """Wait after the carrier throttled: half to all of 1, 2, 4 or 8 seconds."""
        longest = min(LONGEST_BACK_OFF_SECONDS, 2 ** (attempt - 1))
        self._sleep(longest * (1 + self._jitter()) / 2)
