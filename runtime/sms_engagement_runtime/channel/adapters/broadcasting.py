"""What the functions of a broadcast have in common: their settings, and how they become the engine's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sms_engagement_runtime.channel.domain.broadcast.run import BroadcastSettings
from sms_engagement_runtime.channel.domain.quiet_hours import QuietHoursPolicy
from sms_engagement_runtime.settings import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """Environment of the functions that take a snapshot and that plan.

    Attributes
    ----------
    recipients_per_part, recipients_per_second
        As of ``BroadcastSettings``.
    run_expiry_seconds
        Age at which a run gives up.
    follow_up_seconds
        How long after a text its person's follow-up may come; none when left out.
    quiet_hours
        As of the functions that send.
    """

    broadcast_bucket: str
    recipients_per_part: int
    recipients_per_second: int
    run_expiry_seconds: int
    follow_up_seconds: int | None = None
    quiet_hours: Mapping[str, Any] = field(default_factory=dict)


def broadcast_settings(values: RunSettings) -> BroadcastSettings:
    """Return how runs are carried out."""
    follow_up = values.follow_up_seconds
    return BroadcastSettings(
        recipients_per_part=values.recipients_per_part,
        recipients_per_second=values.recipients_per_second,
        expires_after=timedelta(seconds=values.run_expiry_seconds),
        follow_up_after=None if follow_up is None else timedelta(seconds=follow_up),
    )


def quiet_hours(value: Mapping[str, Any]) -> QuietHoursPolicy:
    """Return when promotional texts go out.

    Raises
    ------
    SettingsError
        The variable is malformed.
    """
    try:
        return QuietHoursPolicy.from_settings(value)
    except ValueError as error:
        raise SettingsError(f"environment variable QUIET_HOURS: {error}") from error
