"""Threads on a clock that jumps: hours of waiting in seconds, and the same run each time.

One thread runs at a time. Where it sleeps, or waits for a lock of this module, the one that is due next runs,
and the clock stands where that one is due (a discrete-event simulation). Nothing ever waits really, so code
that takes its clock, its sleep and its locks from here behaves as on machines that compute in no time.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Self

START = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
"""Where the clock stands first: an afternoon all over the United States."""

_MICROSECOND = timedelta(microseconds=1)


class StuckError(Exception):
    """Everybody waits for a lock, and nobody is left to give it back."""


class VirtualTime:
    """A clock, a sleep and threads that go by it.

    Only ``run`` is called from outside; everything else from the threads that it runs.
    """

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._microseconds = 0
        # (due, number, what lets the thread go on): the number keeps threads that are due together in order.
        self._due: list[tuple[int, int, threading.Lock]] = []
        self._number = 0
        self._own = threading.local()
        self._alive = 0
        self._is_over = threading.Event()
        self._error: BaseException | None = None

    def now(self) -> datetime:
        """Give the present instant, aware UTC."""
        return self._start + self._microseconds * _MICROSECOND

    def elapsed(self) -> float:
        """Seconds since the start, exact to the microsecond."""
        return self._microseconds / 1_000_000

    def sleep(self, seconds: float) -> None:
        """Let the others run until so much time has passed."""
        self._wait_until(self._microseconds + max(0, round(seconds * 1_000_000)), self._own.gate)
        self._switch()

    def lock(self) -> VirtualLock:
        """Make a lock that threads of this clock wait for."""
        return VirtualLock(self)

    def run(self, functions: Iterable[Callable[[], object]]) -> None:
        """Run functions, each in a thread of its own, until all have ended.

        Raises
        ------
        StuckError
            None of them can go on.
        BaseException
            The first one that a function raised; nobody goes on then.
        """
        self._is_over.clear()
        self._error = None
        threads = [
            threading.Thread(target=self._begin, args=(function, self._new_gate()), daemon=True)
            for function in functions
        ]
        if not threads:
            return
        self._alive = len(threads)
        for thread in threads:
            thread.start()
        self._wake_next()
        self._is_over.wait()
        if self._error is not None:
            raise self._error

    def _new_gate(self) -> threading.Lock:
        gate = threading.Lock()
        gate.acquire()
        self._wait_until(self._microseconds, gate)
        return gate

    def _begin(self, function: Callable[[], object], gate: threading.Lock) -> None:
        self._own.gate = gate
        gate.acquire()
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - it is raised where the threads were started
            self._end(error)
            return
        self._alive -= 1
        if self._alive == 0:
            self._end(None)
        else:
            self._wake_next()

    def _end(self, error: BaseException | None) -> None:
        self._error = error
        self._due.clear()
        self._is_over.set()

    def _wait_until(self, microseconds: int, gate: threading.Lock) -> None:
        self._number += 1
        heapq.heappush(self._due, (microseconds, self._number, gate))

    def _switch(self) -> None:
        """Stop until whatever opens the gate of this thread."""
        gate = self._own.gate
        if self._due and self._due[0][2] is gate:
            self._microseconds = heapq.heappop(self._due)[0]
            return
        self._wake_next()
        gate.acquire()

    def _wake_next(self) -> None:
        if not self._due:
            self._end(StuckError("every thread waits for a lock"))
            return
        self._microseconds, _, gate = heapq.heappop(self._due)
        gate.release()


class VirtualLock:
    """A lock as ``threading.Lock`` in a ``with`` statement; first come, first served."""

    def __init__(self, time: VirtualTime) -> None:
        self._time = time
        self._is_held = False
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> Self:
        if self._is_held:
            self._waiting.append(self._time._own.gate)
            self._time._switch()
        self._is_held = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._waiting:
            # Handed over, never free in between: whoever comes now stands behind those who wait.
            self._time._wait_until(self._time._microseconds, self._waiting.popleft())
        else:
            self._is_held = False
