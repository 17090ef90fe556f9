"""Rules of EventBridge with a rate or a cron fire by the virtual clock, once an occurrence.

Reason
    A rule's occurrences within a jump must come one after the other, at their instants, as those of a
    schedule do.
AWS
    A ``cron`` of a rule is in UTC, a ``rate`` counts from the creation of the rule.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
MiniStack 1.5.33
    Looks at its rules every few seconds by the machine's clock, and fires one that missed several occurrences
    once.
Hook
    As for schedules: a source of the clock knows the next occurrence of each rule and hands those due to
    MiniStack's own sweep; its thread is not started.
"""

from collections.abc import Iterable

from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite
from sms_local.emulator.patches._schedules import Planner, Schedule, first
from sms_local.emulator.virtual_clock import Due

type Key = tuple[str, str, str]


def apply(settings: PatchSettings) -> None:
    """Let the clock start rules."""
    from ministack.services import eventbridge

    rewrite(
        eventbridge,
        "_tick_scheduled_rules",
        ("def _tick_scheduled_rules():", "def _tick_scheduled_rules(chosen, now):"),
        ("    now = _now_ts()\n", ""),
        ("        state_key = (account_id, region, rule_key)\n", _CHOSEN),
        (
            "        interval = _parse_rate_seconds(schedule)\n        if interval is not None:\n",
            "        if False:\n",
        ),
        (
            """\
            if state_key not in _rule_last_fired:
                _rule_last_fired[state_key] = now
                continue
            last_dt = datetime.fromtimestamp(_rule_last_fired[state_key], tz=timezone.utc)
            next_fire = _cron_next_fire(fields, last_dt)
            if next_fire is None or now_dt < next_fire:
                continue
""",
            "",
        ),
        (
            "            fields = _parse_cron_fields(schedule)\n            if fields is None:\n",
            "            if False:\n",
        ),
    )
    require(holds=hasattr(eventbridge, "start_scheduler"), what="eventbridge.start_scheduler")
    eventbridge.start_scheduler = _start_nothing
    settings.clock.add_source(ScheduledRules())


_CHOSEN = """\
        state_key = (account_id, region, rule_key)
        if state_key not in chosen:
            continue
"""


def _start_nothing() -> None:
    """Stand in for the start of the thread that looks for due rules."""


class ScheduledRules:
    """The rules with a schedule, of all accounts and Regions."""

    def __init__(self) -> None:
        from ministack.services import eventbridge

        self._planner = Planner(
            eventbridge._parse_rate_seconds, eventbridge._parse_cron_fields, eventbridge._cron_next_fire
        )

    def next_due(self, now: float) -> Due | None:
        """Return the next occurrence of any rule."""
        found = ((self._planner.next_after(rule, now), name) for _, name, rule in self._enabled())
        return first(Due(at=at, what="schedule", name=name) for at, name in found if at is not None)

    def fire(self, since: float, now: float) -> Iterable[Due]:
        """Start the targets of the occurrences after `since`, up to `now`, in order."""
        from ministack.services import eventbridge

        occurrences = sorted(
            (at, key, name)
            for key, name, rule in self._enabled()
            for at in self._planner.between(rule, since, now)
        )
        for at, key, name in occurrences:
            eventbridge._tick_scheduled_rules({key}, at)
            yield Due(at=at, what="schedule", name=name)

    def _enabled(self) -> list[tuple[Key, str, Schedule]]:
        from ministack.services import eventbridge

        return [
            (
                key,
                rule.get("Name", key[2]),
                Schedule(expression=rule["ScheduleExpression"], zone="UTC", since=rule["CreationTime"]),
            )
            for key, rule in list(eventbridge._rules._data.items())
            if rule.get("State") == "ENABLED" and rule.get("ScheduleExpression")
        ]
