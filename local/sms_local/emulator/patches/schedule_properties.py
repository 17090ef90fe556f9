"""A schedule's time zone, dates and what becomes of it reach the schedule from its template.

Reason
    The broadcast is scheduled by a template, for ten o'clock of a time zone; without it everybody gets their
    text five hours early.
AWS
    ``ScheduleExpressionTimezone``, ``StartDate``, ``EndDate`` and ``ActionAfterCompletion`` are properties of
    ``AWS::Scheduler::Schedule``.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-scheduler-schedule.html
MiniStack 1.5.33
    Leaves them out.
Hook
    After a schedule was created or updated they are put into its record, with the defaults for what the
    template leaves out.
"""

from typing import Any

from sms_local.emulator.patches._cloudformation import Properties, after_provisioning
from sms_local.emulator.patches._pinned import PatchSettings, require

DEFAULTS: dict[str, Any] = {
    "ScheduleExpressionTimezone": "UTC",
    "StartDate": None,
    "EndDate": None,
    "ActionAfterCompletion": "NONE",
}


def apply(_: PatchSettings) -> None:
    """Carry the properties over."""
    from ministack.services import scheduler

    for name in ("_schedules", "_now"):
        require(holds=hasattr(scheduler, name), what=f"scheduler.{name}")
    after_provisioning("AWS::Scheduler::Schedule", _carry_over)


def _carry_over(name: str, properties: Properties) -> None:
    from ministack.services import scheduler

    record = scheduler._schedules[f"{properties.get('GroupName', 'default')}/{name}"]
    record |= {key: properties.get(key, default) for key, default in DEFAULTS.items()}
    record["LastModificationDate"] = scheduler._now()
