"""Moving the time of the whole embedded cloud: a discrete-event run over the emulator and the carrier.

A jump goes to the earliest instant at which anything is due, on either side, waits until nothing runs any
more, and does so again until nothing is due before its end. So a chain of waits ends at its right instants, a
daily schedule fires once a day, and what a text leads to has happened before the next day begins.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import httpx

from sms_local.carrier.timeline import Due, VirtualTimeline

CLOCK_PATH: Final = "/_sms_local/clock"

QUIET_SECONDS: Final = 1000.0
"""How long one instant may take by the machine's clock: a function may run for 15 minutes."""

MAX_JUMP: Final = timedelta(days=3660)
"""Ten years, for retention; more is a mistake of unit."""


EACH: Final = timedelta(0)
"""Everything happens at its own instant."""


class ClockError(Exception):
    """The clock cannot be moved, or not as asked. The message is a sentence for a person."""


class BackwardsError(ClockError):
    """Time only goes forward."""


class UnreachableError(ClockError):
    """The emulator does not answer, or answers with an error."""


class RestlessError(ClockError):
    """Something has been running for too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudState:
    """How the emulator is at an instant at which nothing runs in it.

    Attributes
    ----------
    fell_due
        Since the count that was asked for.
    logged
        Count of all that has fallen due so far.
    """

    next_due: Due | None
    fell_due: Sequence[Due]
    logged: int


class CloudClock(Protocol):
    """The clock of the rest of the embedded cloud."""

    async def settle(self, *, after: int | None = None) -> CloudState:
        """Wait until nothing runs; raise `RestlessError` when that does not come."""
        ...

    async def go_to(self, at: datetime) -> None:
        """Move forward to `at` and start what is due there."""
        ...


class EmulatorClock:
    """The emulator's clock, over HTTP.

    Parameters
    ----------
    endpoint
        Of the emulator, as ``http://127.0.0.1:4570``.
    quiet_seconds
        How long one instant may take.
    """

    def __init__(self, endpoint: str, *, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._url = f"{endpoint}{CLOCK_PATH}"
        self._quiet_seconds = quiet_seconds
        self._client = httpx.AsyncClient(trust_env=False, timeout=httpx.Timeout(10, read=quiet_seconds + 30))

    async def settle(self, *, after: int | None = None) -> CloudState:
        """Wait until nothing runs in the emulator."""
        query = {"quiet_within": self._quiet_seconds} | ({} if after is None else {"after": after})
        answer = await self._call("GET", params=query)
        due = answer["next_due"]
        return CloudState(
            next_due=_due(due) if due else None,
            fell_due=[_due(one) for one in answer["fell_due"]],
            logged=answer["logged"],
        )

    async def go_to(self, at: datetime) -> None:
        """Move forward to `at` and start what is due there."""
        await self._call("POST", json={"at": at.isoformat()})

    async def _call(self, method: str, **options: Any) -> Mapping[str, Any]:
        try:
            response = await self._client.request(method, self._url, **options)
        except httpx.TransportError as error:
            raise UnreachableError(f"The emulator does not answer: {type(error).__name__}.") from error
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise RestlessError(
                f"The emulator is not done after {self._quiet_seconds:.0f} seconds: "
                f"{response.json()['error']}; the clock stays where it is."
            )
        if response.status_code != httpx.codes.OK:
            raise UnreachableError(f"The emulator answered {response.status_code} when asked for its clock.")
        answer: Mapping[str, Any] = response.json()
        return answer

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()


def _due(described: Mapping[str, str]) -> Due:
    return Due(at=datetime.fromisoformat(described["at"]), what=described["what"], name=described["name"])


class TimeMachine:
    """Moves emulator and carrier together, one jump at a time."""

    def __init__(self, timeline: VirtualTimeline, cloud: CloudClock) -> None:
        self._timeline = timeline
        self._cloud = cloud
        self._lock = asyncio.Lock()

    def now(self) -> datetime:
        """Return the current instant."""
        return self._timeline.now()

    async def advance(self, duration: timedelta, *, together: timedelta = EACH) -> list[Due]:
        """Let `duration` pass, from when all is done that runs now; see `go_to`.

        What was just begun, and waits as long, has then ended.
        """
        async with self._lock:
            before = await self._settle()
            return await self._run(self._timeline.now() + duration, before, together)

    async def go_to(self, at: datetime, *, together: timedelta = EACH) -> list[Due]:
        """Let time pass until `at`; return what fell due, in order, when all of it is done.

        Parameters
        ----------
        together
            What is due within so long after the first thing happens with it, when the last of it is due, as
            where a service is late. Each thing has its own instant when left out.

        Raises
        ------
        BackwardsError
            `at` is past.
        UnreachableError, RestlessError
            The emulator does not answer, or something in it does not end.
        """
        async with self._lock:
            now = self._timeline.now()
            if at < now:
                raise BackwardsError(
                    f"The clock only goes forward: {at.isoformat()} is before {now.isoformat()}; "
                    "`sms-local reset` puts it back to its start."
                )
            return await self._run(at, await self._settle(), together)

    async def _run(self, end: datetime, before: CloudState, together: timedelta) -> list[Due]:
        self._timeline.take_log()
        state = before
        while True:
            due = min(
                (due for due in (state.next_due, self._timeline.next_due) if due is not None),
                key=lambda due: due.at,
                default=None,
            )
            if (due is None or due.at > end) and self._timeline.now() >= end:
                break
            # What is due is not later than it should be, whatever the last step took.
            await self._cloud.go_to(end if due is None else min(due.at + together, end))
            self._timeline.start_due()
            state = await self._settle(after=before.logged)
        return sorted([*state.fell_due, *self._timeline.take_log()], key=lambda due: due.at)

    async def _settle(self, *, after: int | None = None) -> CloudState:
        """Wait until nothing runs on either side."""
        while True:
            await self._timeline.until_done()
            state = await self._cloud.settle(after=after)
            # What ran in the emulator may have sent a text, and that have events that are due already.
            if not self._timeline.is_running:
                return state
