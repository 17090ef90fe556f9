"""The hour at which a person likes to be texted."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sms_engagement_runtime.channel.domain.quiet_hours import RecipientHours

LASTS: Final = timedelta(hours=1)
"""How long after it the preferred time still is one."""

_WRITTEN: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def next_preferred(
    preferred: str | None, *, due: datetime, zone: str | None, hours: RecipientHours
) -> datetime | None:
    """Return when a text that is due should go out for who prefers an hour.

    The next time that the person's clock shows it, counted from when the text is due; within an hour after it
    at once. None where nothing is preferred, nobody knows the clock, or no text may go out at that hour.

    Parameters
    ----------
    preferred
        ``HH:MM``; anything else counts as nothing.
    zone
        IANA name.
    """
    written = _WRITTEN.fullmatch((preferred or "").strip())
    if written is None or zone is None:
        return None
    try:
        clock = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
    local = due.astimezone(clock)
    wanted = time(int(written[1]), int(written[2]))
    for days in range(-1, 2):
        at = datetime.combine(local.date() + timedelta(days=days), wanted, tzinfo=clock)
        if at + LASTS > due:
            starts = max(at.astimezone(due.tzinfo), due)
            return starts if hours.is_open(starts) else None
    return None
