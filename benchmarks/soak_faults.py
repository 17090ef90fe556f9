"""What goes wrong in the simulation, and how often it did: everything is drawn from one seed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from benchmarks.soak_time import Schedule
from sms_engagement_runtime.channel.domain.errors import TransientError
from tests.support.fakes import Crash

_SLOWEST_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How likely each fault is, from 0 to 1.

    Attributes
    ----------
    crash
        A function dies in the middle of a call of its own: before or after any call of a port.
    part_crash
        The same of a function that texts hundreds.
    unavailable
        A call of a table, a bus or a list fails; half of those calls were done all the same.
    slow
        A call takes up to two seconds: what else runs goes on meanwhile.
    throttle
        The carrier refuses a text for now.
    request_lost, answer_lost
        The connection to the carrier breaks before it took the text, and after.
    duplicate
        A queue, the bus or a booking site brings the same again; so do people who start a run twice.
    late, very_late
        What is delivered comes minutes late, and so in another order; hours late, for receipts only.
    """

    crash: float = 0.01
    part_crash: float = 0.15
    unavailable: float = 0.0005
    slow: float = 0.005
    throttle: float = 0.02
    request_lost: float = 0.003
    answer_lost: float = 0.005
    duplicate: float = 0.05
    late: float = 0.05
    very_late: float = 0.01


NO_FAULTS: Final = Faults(
    crash=0,
    part_crash=0,
    unavailable=0,
    slow=0,
    throttle=0,
    request_lost=0,
    answer_lost=0,
    duplicate=0,
    late=0,
    very_late=0,
)


class Luck:
    """Draws what happens, and counts it."""

    def __init__(self, seed: int, faults: Faults) -> None:
        self.chance = Random(f"{seed} faults")
        self.faults = faults
        self.done: Counter[str] = Counter()

    def happens(self, kind: str) -> bool:
        """Say whether a fault happens now."""
        if self.chance.random() >= getattr(self.faults, kind):
            return False
        self.done[kind] += 1
        return True


class _Process:
    """One call of a function; ``dies_at`` is the instant around a port's call at which it ends."""

    __slots__ = ("dies_at", "instants")

    def __init__(self, dies_at: int | None) -> None:
        self.dies_at = dies_at
        self.instants = 0


class Functions:
    """Calls functions, any of which may die, and makes the ports that they use unreliable.

    A port's call has two instants, before its effect and after it, as in ``CrashPlan`` of the tests.
    Once a function has died nothing of it happens any more.
    """

    def __init__(self, schedule: Schedule, luck: Luck) -> None:
        self._schedule = schedule
        self._luck = luck
        self._own = threading.local()

    def call[T](self, function: Callable[[], T], *, kind: str = "crash", instants: int = 40) -> T:
        """Call a function.

        Parameters
        ----------
        kind
            Which of the faults says how likely it dies.
        instants
            Before how many of its instants it may die.

        Raises
        ------
        Crash
            It died.
        """
        dies = self._luck.chance.random() < getattr(self._luck.faults, kind)
        former = getattr(self._own, "process", None)
        self._own.process = _Process(self._luck.chance.randint(1, instants) if dies else None)
        try:
            return function()
        except Crash:
            self._luck.done[kind] += 1
            raise
        finally:
            self._own.process = former

    def wrap[T](self, port: T, *, fails: bool = True) -> T:
        """Make a port unreliable.

        Parameters
        ----------
        fails
            Whether its calls may raise ``TransientError``; all may be slow, and may be the last of their
            function.
        """
        return _Unreliable(port, self, fails=fails)  # type: ignore[return-value]

    def reach(self, *, fails: bool) -> None:
        """Stand at an instant before or after a port's call."""
        process: _Process | None = getattr(self._own, "process", None)
        if process is None:
            return
        process.instants += 1
        if process.dies_at is not None and process.instants >= process.dies_at:
            raise Crash(f"instant {process.instants}")
        luck = self._luck
        drawn, slow = luck.chance.random(), luck.faults.slow / 2
        if drawn < slow:
            luck.done["slow"] += 1
            self._schedule.sleep(luck.chance.random() * _SLOWEST_SECONDS)
        elif fails and drawn < slow + luck.faults.unavailable / 2:
            luck.done["unavailable"] += 1
            raise TransientError("a service does not answer")


class _Unreliable:
    """Stands for a port. What is no method is handed through."""

    def __init__(self, port: object, functions: Functions, *, fails: bool) -> None:
        self._port = port
        self._functions = functions
        self._fails = fails

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found):
            return found
        reach, fails = self._functions.reach, self._fails

        def call(*args: object, **kwargs: object) -> object:
            reach(fails=fails)
            result = found(*args, **kwargs)
            reach(fails=fails)
            return result

        # A port's methods stay what they are, and are called some ten times a text.
        self.__dict__[name] = call
        return call
