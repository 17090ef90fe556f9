"""The simulator's only source of time: what the time is, and doing something later."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

type Action = Callable[[], Coroutine[Any, Any, None]]


class Timeline(Protocol):
    """Time as the carrier sees it. Delays, ``sent_at``, rates and the 30 days of an opt-in all follow it."""

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        ...

    def call_after(self, delay: timedelta, action: Action) -> None:
        """Run `action` once `delay` has passed. Actions due at the same instant start in the order given."""
        ...

    async def close(self) -> None:
        """Drop what is not due yet, and what is running at its next pause."""
        ...


class RealTimeline:
    """The machine's own clock and the running event loop."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.TimerHandle] = set()
        self._running: set[asyncio.Task[None]] = set()

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        return datetime.now(UTC)

    def call_after(self, delay: timedelta, action: Action) -> None:
        """Run `action` once `delay` has passed."""

        def start() -> None:
            self._waiting.discard(handle)
            task = asyncio.get_running_loop().create_task(action())
            # The loop keeps weak references only: an unreferenced task may vanish before it ran.
            self._running.add(task)
            task.add_done_callback(self._running.discard)

        handle = asyncio.get_running_loop().call_later(delay.total_seconds(), start)
        self._waiting.add(handle)

    async def close(self) -> None:
        """Drop what is not due yet, and what is running at its next pause."""
        for handle in self._waiting:
            handle.cancel()
        self._waiting.clear()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
