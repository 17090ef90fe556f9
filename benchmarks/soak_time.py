"""Actions at instants of a clock that jumps, any of which may wait in the middle while others go on."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from benchmarks.virtual_time import VirtualTime

_MICROSECOND = timedelta(microseconds=1)


class _Worker:
    """A thread that plays one action after another; ``gate`` is what it waits at between them."""

    __slots__ = ("action", "gate")

    def __init__(self) -> None:
        self.gate = threading.Lock()
        self.gate.acquire()
        self.action: Callable[[], object] | None = None


class Schedule(VirtualTime):
    """Virtual time that also plays actions when they are due; there are as many threads as wait at once.

    One thread runs at a time, and what is due together runs in the order in which it was asked for: the same
    actions make the same run each time.
    """

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self._instant, self._instant_of = start, 0
        self._idle: list[_Worker] = []

    def now(self) -> datetime:
        """Give the present instant."""
        if self._instant_of != self._microseconds:
            self._instant_of = self._microseconds
            self._instant = self._start + self._microseconds * _MICROSECOND
        return self._instant

    def at(self, instant: datetime, action: Callable[[], object]) -> None:
        """Play an action at an instant; at once where that has passed."""
        self._put(max(self._microseconds, (instant - self._start) // _MICROSECOND), action)

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Play an action after so many seconds."""
        self._put(self._microseconds + max(0, round(seconds * 1_000_000)), action)

    def play(self) -> None:
        """Play everything, until nothing is due any more.

        Raises
        ------
        BaseException
            The first one that an action raised; nobody goes on then.
        """
        self._is_over.clear()
        self._error = None
        self._wake_next()
        self._is_over.wait()
        idle, self._idle = self._idle, []
        for worker in idle:
            worker.action = None
            worker.gate.release()
        if self._error is not None:
            raise self._error

    def _put(self, microseconds: int, action: Callable[[], object]) -> None:
        self._number += 1
        heapq.heappush(self._due, (microseconds, self._number, action))  # type: ignore[misc]

    def _wake_next(self) -> None:
        if not self._due:
            self._is_over.set()
            return
        self._microseconds, _, what = heapq.heappop(self._due)
        if callable(what):
            worker = self._idle.pop() if self._idle else self._hire()
            worker.action = what
            worker.gate.release()
        else:
            what.release()

    def _hire(self) -> _Worker:
        worker = _Worker()
        threading.Thread(target=self._work, args=(worker,), daemon=True).start()
        return worker

    def _work(self, worker: _Worker) -> None:
        self._own.gate = worker.gate
        while True:
            worker.gate.acquire()
            action = worker.action
            if action is None:
                return
            while action is not None:
                try:
                    action()
                except BaseException as error:  # noqa: BLE001 - it is raised where the clock is played
                    self._end(error)
                    return
                action = self._next(worker)

    def _next(self, worker: _Worker) -> Callable[[], object] | None:
        """Give the action that is due next; None where somebody else goes on."""
        if self._due and callable(what := self._due[0][2]):
            self._microseconds = heapq.heappop(self._due)[0]
            return what
        # Before the other one is woken: it may have something to play.
        self._idle.append(worker)
        self._wake_next()
        return None
