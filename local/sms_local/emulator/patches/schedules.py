"""Schedules of EventBridge Scheduler fire at their local time, by the virtual clock, once an occurrence.

Reason
    The daily broadcast starts at ten in New York, in summer and in winter, and five times in five days, also
    when those are one jump.
AWS
    ``ScheduleExpressionTimezone`` holds for ``cron`` and ``at``; a wall time that a change to summer time
    leaves out is skipped, one that comes twice counts once. Nothing fires before ``StartDate`` or after
    ``EndDate``. ``<aws.scheduler.scheduled-time>`` in the input becomes the instant that was scheduled.
    https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
    https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
MiniStack 1.5.33
    Takes all expressions as UTC, looks every ten seconds by the machine's clock, fires a schedule that missed
    several occurrences once, and one whose instant is past when it is created at once.
Hook
    A source of the clock knows the next occurrence of each schedule and hands those due to MiniStack's own
    sweep, which dispatches them; its thread is not started. A rate counts from creation or the last change
    (AWS: it fires at once, then by the rate).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite
from sms_local.emulator.patches._schedules import Planner, Schedule, first
from sms_local.emulator.virtual_clock import Due, iso

SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"

type Key = tuple[str, str, str]


def apply(settings: PatchSettings) -> None:
    """Let the clock start schedules."""
    from ministack.services import eventbridge, scheduler

    for name in ("_parse_rate_seconds", "_parse_cron_fields", "_cron_next_fire", "_invoke_target"):
        require(holds=hasattr(eventbridge, name), what=f"eventbridge.{name}")
    rewrite(
        scheduler,
        "_tick_schedules",
        ("def _tick_schedules():", "def _tick_schedules(chosen, now):"),
        ("    now = time.time()\n", ""),
        ('            if sched.get("State") != "ENABLED":\n', "            if state_key not in chosen:\n"),
        (
            """\
                # One-time at(): fire once when the moment has passed.
                if now < at_epoch or state_key in _schedule_last_fired:
                    continue
""",
            "",
        ),
        ("            if end is not None and now > end:\n", "            if False:\n"),
        ("            if start is not None and now < start:\n", "            if False:\n"),
        (
            """\
                    if now - _schedule_last_fired[state_key] < interval:
                        continue
""",
            "                    pass\n",
        ),
        (
            """\
                    if state_key not in _schedule_last_fired:
                        _schedule_last_fired[state_key] = now
                        continue
                    last_dt = datetime.fromtimestamp(_schedule_last_fired[state_key], tz=timezone.utc)
                    next_fire = _eb._cron_next_fire(fields, last_dt)
                    if next_fire is None or now_dt < next_fire:
                        continue
""",
            "",
        ),
        ('            target = sched.get("Target") or {}\n', "            target = _target_at(sched, now)\n"),
    )
    vars(scheduler)["_target_at"] = target_at
    require(holds=hasattr(scheduler, "start_scheduler"), what="scheduler.start_scheduler")
    scheduler.start_scheduler = _start_nothing
    settings.clock.add_source(Schedules())


def _start_nothing() -> None:
    """Stand in for the start of the thread that looks for due schedules."""


def target_at(schedule: Mapping[str, Any], at: float) -> dict[str, Any]:
    """Return the target of a schedule with what its input says of the occurrence filled in."""
    target = dict(schedule.get("Target") or {})
    if isinstance(target.get("Input"), str):
        target["Input"] = target["Input"].replace(SCHEDULED_TIME, f"{iso(at)[:19]}Z")
    return target


class Schedules:
    """The schedules of all accounts and Regions."""

    def __init__(self) -> None:
        from ministack.services import eventbridge

        self._planner = Planner(
            eventbridge._parse_rate_seconds, eventbridge._parse_cron_fields, eventbridge._cron_next_fire
        )

    def next_due(self, now: float) -> Due | None:
        """Return the next occurrence of any schedule."""
        found = ((self._planner.next_after(schedule, now), name) for _, name, schedule in self._enabled())
        return first(Due(at=at, what="schedule", name=name) for at, name in found if at is not None)

    def fire(self, since: float, now: float) -> Iterable[Due]:
        """Start the targets of the occurrences after `since`, up to `now`, in order."""
        from ministack.services import scheduler

        occurrences = sorted(
            (at, key, name)
            for key, name, schedule in self._enabled()
            for at in self._planner.between(schedule, since, now)
        )
        for at, key, name in occurrences:
            scheduler._tick_schedules({key}, at)
            yield Due(at=at, what="schedule", name=name)

    def _enabled(self) -> list[tuple[Key, str, Schedule]]:
        from ministack.services import scheduler

        return [
            (key, record["Name"], _schedule(record))
            for key, record in list(scheduler._schedules._data.items())
            if record.get("State") == "ENABLED"
        ]


def _schedule(record: Mapping[str, Any]) -> Schedule:
    return Schedule(
        expression=record["ScheduleExpression"],
        zone=record.get("ScheduleExpressionTimezone") or "UTC",
        since=record["LastModificationDate"],
        start=_epoch(record.get("StartDate")),
        end=_epoch(record.get("EndDate")),
    )


def _epoch(value: object) -> float | None:
    """Read a date as the API (epoch seconds) or a template (ISO 8601) gives it."""
    if value is None:
        return None
    if isinstance(value, int | float):
        return float(value)
    return datetime.fromisoformat(str(value)).timestamp()
