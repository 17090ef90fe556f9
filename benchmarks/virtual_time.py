"""Threads on a clock that jumps: hours of waiting in seconds, and the same run each time.

One thread runs at a time. Where it sleeps, or waits for a lock or a pool of this module, the one that is due
next runs, and the clock stands where that one is due (a discrete-event simulation). Nothing ever waits
really, so code that takes its clock, its sleep, its locks and its threads from here behaves as on machines
that compute in no time.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Self

START = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
"""Where the clock stands first: an afternoon all over the United States."""

_MICROSECOND = timedelta(microseconds=1)


class StuckError(Exception):
    """Everybody waits for a lock, and nobody is left to give it back."""


class VirtualTime:
    """A clock, a sleep, and threads that go by it.

    Only ``run`` is called from outside; everything else from the threads that it runs.
    """

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._microseconds = 0
        # (due, number, what lets the thread go on): the number keeps threads that are due together in order.
        self._due: list[tuple[int, int, threading.Lock]] = []
        self._number = 0
        self._own = threading.local()
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
        gate: threading.Lock = self._own.gate
        self._wait_until(self._microseconds + max(0, round(seconds * 1_000_000)), gate)
        self._switch()

    def lock(self) -> VirtualLock:
        """Make a lock that threads of this clock wait for."""
        return VirtualLock(self)

    def pool(self, workers: int) -> VirtualPool:
        """Make a pool of threads that go by this clock, in place of a ``ThreadPoolExecutor``."""
        return VirtualPool(self, workers)

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
        everybody = list(functions)
        if not everybody:
            return
        self._start_threads(_Group(len(everybody), on_end=self._is_over.set, on_error=self._end), everybody)
        self._wake_next()
        self._is_over.wait()
        if self._error is not None:
            raise self._error

    def together(self, functions: Iterable[Callable[[], object]]) -> None:
        """Run further functions in threads of their own, and wait until all have ended.

        Raises
        ------
        BaseException
            The first one that a function raised, once the others have ended too.
        """
        everybody = list(functions)
        if not everybody:
            return
        errors: list[BaseException] = []
        gate: threading.Lock = self._own.gate
        group = _Group(
            len(everybody),
            on_end=lambda: self._wait_until(self._microseconds, gate),
            on_error=errors.append,
        )
        self._start_threads(group, everybody)
        self._switch()
        if errors:
            raise errors[0]

    def _start_threads(self, group: _Group, functions: Iterable[Callable[[], object]]) -> None:
        for function in functions:
            gate = threading.Lock()
            gate.acquire()
            self._wait_until(self._microseconds, gate)
            threading.Thread(target=self._live, args=(function, gate, group), daemon=True).start()

    def _live(self, function: Callable[[], object], gate: threading.Lock, group: _Group) -> None:
        self._own.gate = gate
        gate.acquire()
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - it is raised where the thread was started
            group.on_error(error)
        group.alive -= 1
        if group.alive == 0:
            group.on_end()
        if not self._is_over.is_set():
            self._wake_next()

    def _end(self, error: BaseException) -> None:
        self._error = error
        self._due.clear()
        self._is_over.set()

    def _wait_until(self, microseconds: int, gate: threading.Lock) -> None:
        self._number += 1
        heapq.heappush(self._due, (microseconds, self._number, gate))

    def _switch(self) -> None:
        """Stop until whatever opens the gate of this thread."""
        gate: threading.Lock = self._own.gate
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


class _Group:
    """Threads that were started together."""

    def __init__(
        self, alive: int, *, on_end: Callable[[], None], on_error: Callable[[BaseException], None]
    ) -> None:
        self.alive = alive
        self.on_end = on_end
        self.on_error = on_error


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


class VirtualPool(Executor):
    """Threads that share the items of each ``map`` among them."""

    def __init__(self, time: VirtualTime, workers: int) -> None:
        self._time = time
        self._workers = workers

    def map[T](
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,  # noqa: ARG002 - of the class that it stands for
        chunksize: int = 1,  # noqa: ARG002
        buffersize: int | None = None,  # noqa: ARG002
    ) -> Iterator[T]:
        """Call the function with each item; give what it returned, in the order of the items."""
        calls = [partial(fn, *arguments) for arguments in zip(*iterables, strict=False)]
        results: dict[int, T] = {}
        left = iter(enumerate(calls))

        def work() -> None:
            for number, call in left:
                results[number] = call()

        self._time.together([work] * min(self._workers, len(calls)))
        return (results[number] for number in range(len(calls)))
