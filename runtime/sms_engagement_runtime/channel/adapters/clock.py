"""The clock that decisions are taken by: the machine's own, or one that a test cloud moves.

Waits, quiet hours and expiries are tried out in minutes by moving the time of a whole test environment. Only
decisions follow: request signing, TLS, logs, metrics, ages of caches in the process and pauses between
attempts stay on the machine's clock.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sms_engagement_runtime.channel.domain.ports import Clock
from sms_engagement_runtime.settings import SettingsError, load


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSettings:
    """Environment of every function that takes decisions about time.

    Attributes
    ----------
    clock
        ``system``, or ``virtual`` in test environments.
    clock_offset_file
        Needed by ``virtual``. Holds the seconds by which the time is ahead of the machine's, as decimal text;
        replaced whole, never written in place.
    """

    clock: str = "system"
    clock_offset_file: str = ""


class SystemClock:
    """Clock of the machine."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        return datetime.now(UTC)


class VirtualClock:
    """Clock of the machine, moved by an offset that another process sets.

    The offset is read at every call, since a function that was started before a move lives on after it.
    """

    def __init__(self, offset_file: str) -> None:
        # Here, because the form page, which never gets this far, would pay for the import at every start.
        from pathlib import Path

        self._offset_file = Path(offset_file)

    def now(self) -> datetime:
        """Return the present virtual instant, aware, in UTC."""
        offset = timedelta(seconds=float(self._offset_file.read_text()))
        return datetime.now(UTC) + offset


def build_clock(settings: ClockSettings | None = None) -> Clock:
    """Make the clock that the settings name; they are read from the environment unless given.

    Raises
    ------
    SettingsError
        The clock is unknown, or is virtual and has no file.
    """
    settings = settings or load(ClockSettings)
    match settings.clock:
        case "system":
            return SystemClock()
        case "virtual":
            if not settings.clock_offset_file:
                raise SettingsError("CLOCK virtual needs CLOCK_OFFSET_FILE")
            return VirtualClock(settings.clock_offset_file)
    raise SettingsError("environment variable CLOCK must be system or virtual")
