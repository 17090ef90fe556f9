"""The virtual clock of the emulator: real time plus an offset, what waits for it, and what is running.

Time goes on at real speed, and forward in jumps on request. A jump is a discrete-event run: whoever drives it
goes to the earliest due instant, waits until nothing runs, and asks again. So the clock knows three things.

*Sleepers* are threads that wait for an instant, or for a call that may come first. *Alarms* are actions at an
instant. *Sources* find out by themselves what is due next: schedules, delayed messages, expiring rows.

*Activity* is what runs now. A thread counts from the moment it is started, and not while it sleeps. Whoever
wakes another one lets it count before it ends itself: at no moment is everything asleep while something is
about to run.

Imports the standard library only, like all of this package.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from pathlib import Path
from time import struct_time
from typing import Any, Final, Protocol

EARLY_SECONDS: Final = 1e-6
"""What is due within a microsecond is due: sums of instants are not exact to the last bit."""

TICK_SECONDS: Final = 0.2
"""How late an alarm or a source is noticed while time goes on at real speed, where looking is quick."""

_REST: Final = 9
_LONGEST_REST_SECONDS: Final = 2.0
"""After looking, nobody looks for nine times as long: it takes a tenth of the time, however much there is."""

LONGEST_NAP_SECONDS: Final = 60.0
"""A sleeper looks at the clock at least so often; a laptop that was closed wakes up at another real time."""

LOGGED: Final = 10_000
"""How many things that fell due are remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Something that happens at an instant.

    Attributes
    ----------
    at
        Virtual time in epoch seconds.
    what
        ``wait``, ``retry``, ``timeout``, ``schedule``, ``queue``, ``stream`` or ``expiry``.
    name
        Which one, for a person: a state machine and its state, a schedule, a queue, a stream and its reader,
        a table.
    """

    at: float
    what: str
    name: str

    def describe(self) -> dict[str, str]:
        """Return it as JSON, the instant in ISO 8601."""
        return {"at": exact_iso(self.at), "what": self.what, "name": self.name}


class Source(Protocol):
    """Finds out by itself what is due."""

    def next_due(self, now: float) -> Due | None:
        """Return the earliest thing after `now`; None when there is none."""
        ...

    def fire(self, since: float, now: float) -> Iterable[Due]:
        """Start what is due after `since`, up to `now`, and return it."""
        ...


class Woken(Enum):
    """Why a sleeper woke."""

    DUE = auto()
    CALLED = auto()
    OVER = auto()


@dataclass(eq=False, slots=True, kw_only=True)
class _Sleeper:
    due: Due | None
    call: "Call | None"
    is_over: Callable[[], bool]
    is_counted: bool
    is_logged: bool
    condition: threading.Condition
    woken: Woken | None = None


@dataclass(eq=False, slots=True)
class Alarm:
    """An action at an instant; ``cancel`` it when it is no longer wanted."""

    due: Due
    action: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        """Let nothing happen at its instant."""
        self.is_cancelled = True


def iso(instant: float) -> str:
    """Return epoch seconds as ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def exact_iso(instant: float) -> str:
    """Return epoch seconds as ISO 8601 in UTC with microseconds, so that nothing is due a little later."""
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _never() -> bool:
    return False


class VirtualClock:
    """One clock for all services of one emulator.

    Parameters
    ----------
    offset_file
        Where the offset is published, as decimal text of seconds, for processes that read the time by
        themselves. An offset that is there already is taken over: the time is kept with the state. Nothing
        is published when left out.
    start
        Where time begins, in epoch seconds, unless the file says otherwise; now when left out.
    real_time
        The machine's clock.
    """

    def __init__(
        self,
        offset_file: Path | None = None,
        *,
        start: float | None = None,
        real_time: Callable[[], float] = time.time,
    ) -> None:
        self._lock = threading.RLock()
        self._quiet = threading.Condition(self._lock)
        self._firing = threading.RLock()
        self._real_time = real_time
        self._offset_file = offset_file
        self._sleepers: set[_Sleeper] = set()
        self._alarms: list[Alarm] = []
        self._sources: list[Source] = []
        self._forgetting: list[Callable[[], None]] = []
        self._running = 0
        self._thread = threading.local()
        self._log: deque[tuple[int, Due]] = deque(maxlen=LOGGED)
        self._logged = 0
        if offset_file is not None and offset_file.is_file():
            self._offset = float(offset_file.read_text())
        else:
            self._offset = 0.0
            self._set_offset(0.0 if start is None else start - real_time())
        self._fired_until = self.now()

    # Time

    def now(self) -> float:
        """Return the virtual time in epoch seconds."""
        return self._real_time() + self._offset

    @property
    def offset(self) -> float:
        """Seconds by which virtual time is ahead of the machine's."""
        return self._offset

    def advance(self, to: float) -> None:
        """Go forward to `to`, and start all that is due by then; never backwards.

        What is started runs on by itself: `wait_until_quiet` tells when it is done.
        """
        with self.counted(), self._firing:
            with self._lock:
                if to > self.now():
                    self._set_offset(to - self._real_time())
                self._wake_due(max(to, self.now()))
            self._fire(max(to, self.now()))

    def put_back(self, to: float) -> None:
        """Go to `to`, backwards too, without starting anything: the beginning of another story."""
        with self._firing, self._lock:
            self._set_offset(to - self._real_time())
            self._fired_until = self.now()
            self._alarms.clear()
            for sleeper in self._sleepers:
                sleeper.condition.notify()
        for forget in self._forgetting:
            forget()

    def when_put_back(self, forget: Callable[[], None]) -> None:
        """Do something whenever the clock was put back, such as to forget what is of a time to come."""
        self._forgetting.append(forget)

    def _set_offset(self, offset: float) -> None:
        self._offset = offset
        if self._offset_file is not None:
            # Readers see the old offset or the new one, and never half of it.
            draft = self._offset_file.with_suffix(".new")
            draft.write_text(f"{offset:.6f}")
            draft.replace(self._offset_file)

    # Waiting

    def sleep(
        self,
        due: Due | None,
        *,
        call: "Call | None" = None,
        is_over: Callable[[], bool] = _never,
        is_logged: bool = True,
        real_seconds: float | None = None,
    ) -> Woken:
        """Block until `due`, a call, or the end of what waits.

        Parameters
        ----------
        due
            When to wake; None for never.
        call
            Wakes before it is due.
        is_over
            Tells that nobody needs the waiting any more; asked whenever `wake_over` is called.
        is_logged
            Whether it counts as having fallen due.
        real_seconds
            Wake as due after so long by the machine's clock.
        """
        deadline = None if real_seconds is None else time.monotonic() + real_seconds
        with self._lock:
            if is_over():
                return Woken.OVER
            if call is not None and call.is_set():
                return Woken.CALLED
            if due is not None and due.at <= self.now() + EARLY_SECONDS:
                self._note(due, is_logged=is_logged)
                return Woken.DUE
            sleeper = _Sleeper(
                due=due,
                call=call,
                is_over=is_over,
                is_counted=self._is_counted,
                is_logged=is_logged,
                condition=threading.Condition(self._lock),
            )
            self._sleepers.add(sleeper)
            self._count(-sleeper.is_counted)
            while sleeper.woken is None:
                sleeper.condition.wait(self._nap(due, deadline))
                if sleeper.woken is None and self._is_awake(due, deadline):
                    self._wake(sleeper, Woken.DUE)
            return sleeper.woken

    def _nap(self, due: Due | None, deadline: float | None) -> float:
        naps = [LONGEST_NAP_SECONDS]
        if due is not None:
            naps.append(due.at - self.now())
        if deadline is not None:
            naps.append(deadline - time.monotonic())
        return max(0.0, min(naps))

    def _is_awake(self, due: Due | None, deadline: float | None) -> bool:
        is_due = due is not None and due.at <= self.now() + EARLY_SECONDS
        return is_due or (deadline is not None and deadline <= time.monotonic())

    def _wake(self, sleeper: _Sleeper, why: Woken) -> None:
        self._sleepers.discard(sleeper)
        self._count(sleeper.is_counted)
        sleeper.woken = why
        sleeper.condition.notify()
        if why is Woken.DUE and sleeper.due is not None:
            self._note(sleeper.due, is_logged=sleeper.is_logged)

    def _wake_due(self, now: float) -> None:
        awake = [
            (sleeper.due.at, sleeper)
            for sleeper in self._sleepers
            if sleeper.due is not None and sleeper.due.at <= now + EARLY_SECONDS
        ]
        for _, sleeper in sorted(awake, key=lambda pair: pair[0]):
            self._wake(sleeper, Woken.OVER if sleeper.is_over() else Woken.DUE)

    def wake_over(self) -> None:
        """Wake the sleepers that nobody needs any more."""
        with self._lock:
            for sleeper in [sleeper for sleeper in self._sleepers if sleeper.is_over()]:
                self._wake(sleeper, Woken.OVER)

    def wake_called(self, call: "Call") -> None:
        """Wake the sleepers that wait for a call."""
        with self._lock:
            for sleeper in [sleeper for sleeper in self._sleepers if sleeper.call is call]:
                self._wake(sleeper, Woken.CALLED)

    # What is due

    def call_at(self, due: Due, action: Callable[[], None]) -> Alarm:
        """Do something at an instant; a short thing, that starts others."""
        alarm = Alarm(due, action)
        with self._lock:
            self._alarms.append(alarm)
        return alarm

    def add_source(self, source: Source) -> None:
        """Ask `source` too from now on."""
        self._sources.append(source)

    def next_due(self) -> Due | None:
        """Return the earliest thing that is to happen; None when nothing is."""
        with self._lock:
            dues = [s.due for s in self._sleepers if s.due is not None and not s.is_over()]
            dues += [alarm.due for alarm in self._alarms if not alarm.is_cancelled]
            now = self.now()
        dues += [due for source in self._sources if (due := source.next_due(now)) is not None]
        return min(dues, key=lambda due: due.at, default=None)

    def keep_ticking(self) -> None:
        """Start noticing what falls due while time goes on at real speed."""

        def tick() -> None:
            took = 0.0
            while True:
                time.sleep(max(TICK_SECONDS, took * _REST))
                begun = time.monotonic()
                with self._firing, self.counted():
                    self._fire(self.now())
                took = min(time.monotonic() - begun, _LONGEST_REST_SECONDS / _REST)

        threading.Thread(target=tick, daemon=True, name="virtual-clock").start()

    def _fire(self, now: float) -> None:
        since, self._fired_until = self._fired_until, now
        with self._lock:
            self._alarms = [alarm for alarm in self._alarms if not alarm.is_cancelled]
            ringing = [alarm for alarm in self._alarms if alarm.due.at <= now + EARLY_SECONDS]
            self._alarms = [alarm for alarm in self._alarms if alarm not in ringing]
        for alarm in sorted(ringing, key=lambda alarm: alarm.due.at):
            self.note(alarm.due)
            alarm.action()
        for source in self._sources:
            for due in source.fire(since, now + EARLY_SECONDS):
                self.note(due)

    def note(self, due: Due) -> None:
        """Remember that something fell due."""
        self._note(due, is_logged=True)

    def _note(self, due: Due, *, is_logged: bool) -> None:
        if is_logged:
            with self._lock:
                self._logged += 1
                self._log.append((self._logged, due))

    @property
    def logged(self) -> int:
        """How many things have fallen due since the beginning."""
        return self._logged

    def fell_due(self, after: int) -> list[Due]:
        """Return what fell due after the first `after` things, in order."""
        with self._lock:
            return [due for number, due in self._log if number > after]

    # What runs

    @property
    def running(self) -> int:
        """How many threads are at work."""
        return self._running

    @property
    def _is_counted(self) -> bool:
        return bool(getattr(self._thread, "is_counted", False))

    def _count(self, more: int) -> None:
        with self._lock:
            self._running += more
            if self._running == 0:
                self._quiet.notify_all()

    @contextlib.contextmanager
    def counted(self, *, begun: bool = False) -> Iterator[None]:
        """Let this thread count as running, once however often it is asked for.

        Parameters
        ----------
        begun
            It counts already, since before it was started.
        """
        if self._is_counted:
            yield
            return
        self._thread.is_counted = True
        if not begun:
            self._count(1)
        try:
            yield
        finally:
            self._thread.is_counted = False
            self._count(-1)

    def counted_from_now(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return `work` for another thread to do once; it counts as running before that thread begins."""
        self._count(1)

        def do(*arguments: Any, **options: Any) -> Any:
            with self.counted(begun=True):
                return work(*arguments, **options)

        return do

    def hold(self) -> Callable[[], None]:
        """Let something that is no thread count as running, until the returned function is called."""
        self._count(1)
        return lambda: self._count(-1)

    def wait_until_quiet(self, real_seconds: float) -> bool:
        """Block until nothing runs; return whether that came in time."""
        with self._lock:
            return self._quiet.wait_for(lambda: self._running == 0, real_seconds)


class Call:
    """As :class:`threading.Event`, but whoever waits for it counts as running from the moment it is set."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._event = threading.Event()

    def is_set(self) -> bool:
        """Tell whether it was set."""
        return self._event.is_set()

    def set(self) -> None:
        """Wake whoever waits."""
        with self._clock._lock:
            self._event.set()
            self._clock.wake_called(self)

    def clear(self) -> None:
        """Let the next ones wait."""
        self._event.clear()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, or `timeout` has passed by the machine's clock; return whether it is set."""
        woken = self._clock.sleep(None, call=self, is_logged=False, real_seconds=timeout)
        return woken is Woken.CALLED


class CountedThread(threading.Thread):
    """A thread that counts as running; set ``clock`` in a subclass."""

    clock: VirtualClock

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._done = Call(self.clock)

    def start(self) -> None:
        """Start it, counted."""
        self.clock._count(1)
        try:
            super().start()
        except BaseException:
            self.clock._count(-1)
            raise

    def run(self) -> None:
        """Do the work, and wake whoever waits for its end before it ends to count."""
        with self.clock.counted(begun=True):
            try:
                super().run()
            finally:
                self._done.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end; the waiting one does not count."""
        if self._done.wait(timeout):
            super().join(timeout)


@dataclass(slots=True, kw_only=True)
class VirtualTime:
    """What stands in for the module ``time`` in a service: the time of day is virtual, the rest is real."""

    clock: VirtualClock
    _real: Any = field(default=time)

    def time(self) -> float:
        """Return the virtual time in epoch seconds."""
        return self.clock.now()

    def gmtime(self, seconds: float | None = None) -> struct_time:
        """Break up an instant, by default the virtual one."""
        return time.gmtime(self.clock.now() if seconds is None else seconds)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)
