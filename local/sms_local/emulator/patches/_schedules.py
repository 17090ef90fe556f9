"""When a schedule fires next, by the rules of EventBridge."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sms_local.emulator.virtual_clock import Due

type CronFields = Any
type NextFire = Callable[[CronFields, datetime], datetime | None]

_AT: Final = re.compile(r"^\s*at\((.+)\)\s*$")
_ONE_SECOND: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What decides when a schedule fires.

    Attributes
    ----------
    expression
        ``at(…)``, ``rate(…)`` or ``cron(…)``.
    zone
        IANA name; ``at`` and ``cron`` are wall times there.
    since
        Epoch seconds of its creation or last change: what was before is not made up for.
    start, end
        Epoch seconds between which it fires, both included; None for no limit.
    """

    expression: str
    zone: str
    since: float
    start: float | None = None
    end: float | None = None


class Planner:
    """Computes instants, and remembers them as long as they are ahead.

    Parameters
    ----------
    parse_rate, parse_cron, next_fire
        MiniStack's own reading of expressions; `next_fire` gives the first minute after a wall time.
    """

    def __init__(
        self,
        parse_rate: Callable[[str], float | None],
        parse_cron: Callable[[str], CronFields | None],
        next_fire: NextFire,
    ) -> None:
        self._parse_rate = parse_rate
        self._parse_cron = parse_cron
        self._next_fire = next_fire
        self._known: dict[Schedule, tuple[float, float | None]] = {}

    def next_after(self, schedule: Schedule, after: float) -> float | None:
        """Return the first instant after `after` at which `schedule` fires; None when there is none."""
        asked, found = self._known.get(schedule, (after + _ONE_SECOND, None))
        if asked <= after and (found is None or found > after):
            return found
        found = self._find(schedule, after)
        self._known[schedule] = (after, found)
        return found

    def between(self, schedule: Schedule, after: float, until: float) -> Iterable[float]:
        """Return the instants after `after`, up to `until`."""
        while (at := self.next_after(schedule, after)) is not None and at <= until:
            yield at
            after = at

    def _find(self, schedule: Schedule, after: float) -> float | None:
        after = max(after, schedule.since)
        if schedule.start is not None:
            # A start that is an occurrence itself counts.
            after = max(after, schedule.start - _ONE_SECOND)
        at = self._occurrence(schedule, after)
        return None if at is None or (schedule.end is not None and at > schedule.end) else at

    def _occurrence(self, schedule: Schedule, after: float) -> float | None:
        if wall := _AT.match(schedule.expression):
            at = _instant(datetime.fromisoformat(wall[1].strip()), ZoneInfo(schedule.zone))
            return at if at is not None and at > after else None
        seconds = self._parse_rate(schedule.expression)
        if seconds:
            anchor = (
                schedule.since if schedule.start is None else max(schedule.start, schedule.since) - seconds
            )
            return anchor + (max(0, (after - anchor) // seconds) + 1) * seconds
        fields = self._parse_cron(schedule.expression)
        return None if fields is None else self._cron(fields, ZoneInfo(schedule.zone), after)

    def _cron(self, fields: CronFields, zone: ZoneInfo, after: float) -> float | None:
        wall = datetime.fromtimestamp(after, zone).replace(tzinfo=UTC)  # only the wall time is looked at
        if datetime.fromtimestamp(after, zone).fold:
            # The clock shows for the second time what may be scheduled for the first.
            wall -= timedelta(minutes=1)
        while (found := self._next_fire(fields, wall)) is not None:
            at = _instant(found.replace(tzinfo=None), zone)
            if at is not None and at > after:
                return at
            wall = found
        return None


def _instant(wall: datetime, zone: ZoneInfo) -> float | None:
    """Return when a clock in `zone` shows a wall time first; None when it never does.

    AWS: "If a cron expression falls on a non-existent date and time, your schedule invocation is skipped";
    "when time shifts backwards, your schedule runs only once".
    https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#daylist-savings-time
    """
    local = wall if wall.tzinfo is not None else wall.replace(tzinfo=zone, fold=0)
    instant = local.astimezone(UTC)
    shown = instant.astimezone(local.tzinfo)
    return instant.timestamp() if shown.replace(tzinfo=None) == local.replace(tzinfo=None) else None


def first(dues: Iterable[Due]) -> Due | None:
    """Return the earliest."""
    return min(dues, key=lambda due: due.at, default=None)
