"""When reviews are asked for."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from aws_cdk import Annotations, Duration, TimeZone, Token
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as targets
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from sms_engagement._acknowledge import acknowledge_wildcard
from sms_engagement.queues import grant_queue_key
from sms_engagement.roles import schedule_role

# What begins hours late would go on past the allowed hours of the day.
_MAX_EVENT_AGE: Final = Duration.hours(6)

# Clocks are changed by the same rule each year. Not the days ahead of today: the same app makes the same
# warnings whenever it is synthesized.
_FIRST_DAY: Final = date(2026, 1, 1)
_DAYS: Final = 5 * 365


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastSchedule:
    """A time of day at which everybody who is due is asked for a review.

    Attributes
    ----------
    hour, minute
        By the wall clock of `time_zone`; 10:00 by default. Whom it is not an allowed hour for by then, in
        their own zone, is asked when it is.
    time_zone
        IANA name. A time that this zone's clock skips in spring does not come that day: nobody is asked then,
        and the next day asks everybody who is due (*EventBridge Scheduler user guide, Daylight savings
        time*). Such a time is warned of.
    enabled
        Whether it is kept. The schedule is there in any case and can be switched on and off.

    Raises
    ------
    ValueError
        A time that no clock shows, or a zone that does not exist.
    """

    hour: int = 10
    minute: int = 0
    time_zone: str = "America/New_York"
    enabled: bool = True

    def __post_init__(self) -> None:
        for name, value, last in (("hour", self.hour, 23), ("minute", self.minute, 59)):
            if not Token.is_unresolved(value) and not 0 <= value <= last:
                msg = f"{name} of the schedule must be between 0 and {last}, got {value}"
                raise ValueError(msg)
        # A machine without a database of zones (Windows) cannot tell; the service does, at deployment.
        if not Token.is_unresolved(self.time_zone) and self.time_zone not in (_zones() or {self.time_zone}):
            msg = (
                f"time_zone of the schedule must be a zone of the IANA database, as 'Europe/Berlin', "
                f"got {self.time_zone!r}"
            )
            raise ValueError(msg)


def first_day_without(when: BroadcastSchedule) -> date | None:
    """Return the first day on which the zone's clock does not show that time; None where it always does."""
    if any(map(Token.is_unresolved, (when.hour, when.minute, when.time_zone))) or not _zones():
        return None
    zone = ZoneInfo(when.time_zone)
    for number in range(_DAYS):
        wall = datetime.combine(_FIRST_DAY + timedelta(days=number), time(when.hour, when.minute))
        shown = wall.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)
        if shown.replace(tzinfo=None) != wall:
            return wall.date()
    return None


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def start_daily(
    scope: Construct,
    id: str,
    when: BroadcastSchedule,
    *,
    broadcast: sfn.IStateMachine,
    dead_letter_queue: sqs.IQueue,
) -> scheduler.Schedule:
    """Start broadcasts by the clock.

    EventBridge Scheduler starts each of them at least once: a second one, which is rare, asks nobody again.
    """
    role = schedule_role(scope, f"{id}Role")
    grant_queue_key(role, dead_letter_queue)
    return _daily(
        scope,
        id,
        when,
        description="Asks everybody who is due for a review",
        target=targets.StepFunctionsStartExecution(
            broadcast,
            input=scheduler.ScheduleTargetInput.from_object({"reason": "schedule"}),
            dead_letter_queue=dead_letter_queue,
            max_event_age=_MAX_EVENT_AGE,
            role=role,
        ),
    )


def call_daily(
    scope: Construct,
    id: str,
    when: BroadcastSchedule,
    *,
    function: lambda_.IFunction,
    dead_letter_queue: sqs.IQueue,
) -> scheduler.Schedule:
    """Call a function by the clock, at least once a day."""
    role = schedule_role(scope, f"{id}Role")
    grant_queue_key(role, dead_letter_queue)
    acknowledge_wildcard(
        role, f"{function.function_arn}:*", "the L2 grant is for versions of the function too"
    )
    return _daily(
        scope,
        id,
        when,
        description="Publishes the daily digest of reviews",
        target=targets.LambdaInvoke(
            function,
            dead_letter_queue=dead_letter_queue,
            max_event_age=_MAX_EVENT_AGE,
            role=role,
        ),
    )


def _daily(
    scope: Construct,
    id: str,
    when: BroadcastSchedule,
    *,
    description: str,
    target: scheduler.IScheduleTarget,
) -> scheduler.Schedule:
    schedule = scheduler.Schedule(
        scope,
        id,
        description=description,
        enabled=when.enabled,
        schedule=scheduler.ScheduleExpression.cron(
            hour=str(when.hour), minute=str(when.minute), time_zone=TimeZone.of(when.time_zone)
        ),
        target=target,
    )
    skipped = first_day_without(when)
    if skipped is not None:
        Annotations.of(schedule).add_warning_v2(
            "sms-engagement:skipped-time",
            f"the clock of {when.time_zone} skips {when.hour:02}:{when.minute:02} when it is put forward, "
            f"as on {skipped}: EventBridge Scheduler leaves out such a day. Take a time that always comes.",
        )
    return schedule
