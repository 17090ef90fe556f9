"""The virtual clock as the page sees it: how far ahead it is, and jumps on request."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sms_local.phone.carrier import CarrierControl, CarrierError

#: A request takes some milliseconds, by which the offset seems to move; below this it has not.
_UNSTEADINESS = timedelta(seconds=0.5)

#: A clock that somebody else moved, in words only from here on.
_NOTICEABLE = timedelta(seconds=30)

#: Moves that are remembered, for the account of what happened.
_MOST_JUMPS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """One move of the clock, from here or by another program.

    Attributes
    ----------
    began_at, target
        Virtual time before and after, aware, in UTC.
    asked_here
        Whether the page asked for it.
    ended_at
        Virtual time when all that fell due was done; None while it runs, and for the move of another program.
    due
        What fell due, in order: ``{"at", "what", "name"}``.
    problem
        Why it did not work, in a sentence.
    """

    number: int
    began_at: datetime
    target: datetime
    asked_here: bool
    ended_at: datetime | None = None
    due: tuple[dict[str, Any], ...] = ()
    problem: str | None = None


class PageClock:
    """Follows the virtual clock and moves it.

    Parameters
    ----------
    carrier
        Who tells the time and moves it.
    real_now
        The machine's own time, aware.
    """

    def __init__(
        self, carrier: CarrierControl, *, real_now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._carrier = carrier
        self._real_now = real_now
        self._offset: timedelta | None = None
        self._jumps: list[Jump] = []
        self._running: asyncio.Task[None] | None = None
        self._moved = 0

    @property
    def jumps(self) -> tuple[Jump, ...]:
        """Moves so far, oldest first; the last one may be under way."""
        return tuple(self._jumps)

    @property
    def is_jumping(self) -> bool:
        """Whether a jump asked for here is under way."""
        return self._running is not None and not self._running.done()

    def now(self) -> datetime:
        """Return the virtual time by what is known of it; the machine's own before the first look."""
        return self._real_now() + (self._offset or timedelta(0))

    async def look(self) -> None:
        """Ask for the time.

        Raises
        ------
        CarrierError
        """
        now, real_now = await self._carrier.now(), self._real_now()
        offset = now - real_now
        known = self._offset
        if known is not None and abs(offset - known) < _UNSTEADINESS:
            return
        self._offset = offset
        if known is not None and offset - known > _NOTICEABLE and not self.is_jumping:
            self._note_a_move_by_others(real_now + known, now)

    def skip(self, ahead: timedelta) -> int | None:
        """Begin a jump and return its number; None when one is under way."""
        if self.is_jumping:
            return None
        began_at = self.now()
        jump = self._note(began_at, began_at + ahead, asked_here=True)
        self._running = asyncio.create_task(self._carry_out(jump, ahead))
        return jump.number

    def forget(self) -> None:
        """Forget the moves so far, and what is known of the time."""
        self._jumps.clear()
        self._offset = None

    def describe(self) -> dict[str, Any]:
        """Return ``{"offsetSeconds", "jump"}`` for the page.

        ``jump`` is the one that began last: ``{"number", "from", "to", "running", "due", "problem"}``, with
        the number of what fell due; None where the page asked for none.
        """
        offset = self._offset
        asked = [jump for jump in self._jumps if jump.asked_here]
        last = asked[-1] if asked else None
        return {
            "offsetSeconds": None if offset is None else round(offset.total_seconds(), 1),
            "jump": None
            if last is None
            else {
                "number": last.number,
                "from": last.began_at.isoformat(),
                "to": last.target.isoformat(),
                "running": last.ended_at is None,
                "due": len(last.due),
                "problem": last.problem,
            },
        }

    async def close(self) -> None:
        """Stop waiting for a jump that is under way."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _carry_out(self, jump: Jump, ahead: timedelta) -> None:
        try:
            now, due = await self._carrier.advance(ahead)
        except CarrierError as error:
            ended = replace(jump, ended_at=self.now(), problem=str(error))
        else:
            self._offset = now - self._real_now()
            ended = replace(jump, ended_at=now, due=tuple(due))
        self._jumps = [ended if one.number == jump.number else one for one in self._jumps]

    def _note_a_move_by_others(self, began_at: datetime, now: datetime) -> None:
        last = self._jumps[-1] if self._jumps else None
        # A jump that is looked at several times while it goes on is one jump.
        if last is not None and not last.asked_here and began_at - last.target < _NOTICEABLE:
            self._jumps = [*self._jumps[:-1], replace(last, target=now)]
        else:
            self._note(began_at, now, asked_here=False)

    def _note(self, began_at: datetime, target: datetime, *, asked_here: bool) -> Jump:
        self._moved += 1
        jump = Jump(number=self._moved, began_at=began_at, target=target, asked_here=asked_here)
        self._jumps = [*self._jumps[1 - _MOST_JUMPS :], jump]
        return jump
