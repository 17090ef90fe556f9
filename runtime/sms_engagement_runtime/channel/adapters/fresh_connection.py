"""Keeps calls of one attempt off connections that ended while nobody used them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final, Protocol

IDLE_LIMIT_SECONDS: Final = 5
"""Well below what servers and NAT gateways grant an idle connection (NAT gateway: 350 s, Amazon VPC guide).

Between two invocations a Lambda environment is frozen, and does not hear that its connection has ended. The
next request then goes into the void, and where a call has one attempt only, its outcome stays unknown for
ever. A new connection costs one handshake.
"""


class Connected(Protocol):
    """A client that keeps its connections; a botocore client makes new ones when used after ``close``."""

    def close(self) -> None:
        """Close the connections that are kept."""
        ...


class FreshConnection:
    """Closes a client's connections before a call that follows a pause. Safe to use from several threads.

    Parameters
    ----------
    clock
        Seconds since any fixed instant. Of the wall: a monotonic clock does not count the time that the
        system is suspended (``clock_gettime(2)``).
    """

    def __init__(self, client: Connected, *, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._clock = clock
        self._lock = Lock()
        self._in_flight = 0
        self._last_end: float | None = None

    @contextmanager
    def call(self) -> Iterator[None]:
        """Wrap one call of the client."""
        with self._lock:
            # A call in flight may be about to take its connection from the pool, and would find it closed.
            if self._in_flight == 0 and self._was_idle():
                self._client.close()
            self._in_flight += 1
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1
                self._last_end = self._clock()

    def _was_idle(self) -> bool:
        # A clock that was set back tells nothing, so it counts as a pause.
        return self._last_end is not None and not 0 <= self._clock() - self._last_end <= IDLE_LIMIT_SECONDS
