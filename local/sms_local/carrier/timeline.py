"""The simulator's only source of time: what the time is, and doing something later."""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final, Protocol

type Action = Callable[[], Coroutine[Any, Any, None]]

_LOOK_SECONDS: Final = 1.0
"""How often, at least, the clock is looked at; another process may have moved it."""

_LOGGED: Final = 10_000
"""How many things that fell due are remembered."""


class Timeline(Protocol):
    """Time as the carrier sees it. Delays, ``sent_at``, rates and the 30 days of an opt-in all follow it."""

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        ...

    def call_after(self, delay: timedelta, action: Action, *, name: str = "") -> None:
        """Run `action` once `delay` has passed. Actions due at the same instant start in the order given.

        `name` says what it is, to a person who sees it fall due.
        """
        ...

    def drop(self) -> None:
        """Forget what is not due yet."""
        ...

    async def close(self) -> None:
        """Drop what is not due yet, and what is running at its next pause."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Something that happens at an instant.

    Attributes
    ----------
    what
        ``carrier``, or what the emulator calls it: ``wait``, ``schedule``, ``timeout``, ``expiry`` …
    name
        Which one, for a person.
    """

    at: datetime
    what: str
    name: str

    def describe(self) -> dict[str, str]:
        """Return it as the control API answers it."""
        return {"at": self.at.isoformat(), "what": self.what, "name": self.name}


class VirtualTimeline:
    """Real time plus the offset of the embedded cloud's clock.

    Time goes on at real speed between the jumps, on the running event loop.

    Parameters
    ----------
    offset_file
        Published by the emulator: decimal text of seconds. Without a file it is the machine's own clock.
    """

    def __init__(self, offset_file: Path | None = None) -> None:
        self._offset_file = offset_file
        self._waiting: list[tuple[datetime, int, Action, str]] = []
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._log: deque[Due] = deque(maxlen=_LOGGED)

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        offset = float(self._offset_file.read_text()) if self._offset_file else 0
        return datetime.now(UTC) + timedelta(seconds=offset)

    def call_after(self, delay: timedelta, action: Action, *, name: str = "") -> None:
        """Run `action` once `delay` has passed."""
        heapq.heappush(self._waiting, (self.now() + delay, next(self._numbers), action, name))
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            left = (self._waiting[0][0] - self.now()).total_seconds()
            seconds = max(0.0, min(left, _LOOK_SECONDS))
            self._timer = asyncio.get_running_loop().call_later(seconds, self.start_due)

    def start_due(self) -> None:
        """Start what is due by now."""
        now = self.now()
        while self._waiting and self._waiting[0][0] <= now:
            at, _, action, name = heapq.heappop(self._waiting)
            self._log.append(Due(at=at, what="carrier", name=name))
            task = asyncio.get_running_loop().create_task(action())
            # The loop keeps weak references only: an unreferenced task may vanish before it ran.
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        self._set_timer()

    @property
    def next_due(self) -> Due | None:
        """What is due next; None when nothing is."""
        if not self._waiting:
            return None
        at, _, _, name = self._waiting[0]
        return Due(at=at, what="carrier", name=name)

    @property
    def is_running(self) -> bool:
        """Whether something that was due is not done yet."""
        return bool(self._running)

    async def until_done(self) -> None:
        """Wait until all is done that was due."""
        while self._running:
            await asyncio.wait(set(self._running))

    def take_log(self) -> list[Due]:
        """Return what fell due since the last time this was asked, and forget it."""
        log = list(self._log)
        self._log.clear()
        return log

    def drop(self) -> None:
        """Forget what is not due yet."""
        self._waiting.clear()
        self._set_timer()

    async def close(self) -> None:
        """Drop what is not due yet, and what is running at its next pause."""
        self.drop()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
