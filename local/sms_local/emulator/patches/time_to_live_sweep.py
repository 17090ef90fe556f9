"""Rows whose time to live is over go when the virtual time has come.

Reason
    A prompt that nobody answered, a review whose retention has ended: after a jump they must be gone, and the
    archive must have got them, before the jump is answered.
AWS
    Deletes rows "within a few days" after the instant in their time-to-live attribute.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html
MiniStack 1.5.33
    Sweeps once a minute of the machine's clock.
Hook
    A source of the clock knows the next minute in which a row expires, and sweeps then. By minutes, since the
    rows of a broadcast expire one by one over the time that it took.
"""

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite
from sms_local.emulator.patches._schedules import first
from sms_local.emulator.patches.time_to_live_stream import SWEEP
from sms_local.emulator.virtual_clock import Due

SECONDS_A_MINUTE: Final = 60.0


def apply(settings: PatchSettings) -> None:
    """Let the clock start sweeps."""
    from ministack.services import dynamodb

    for name in ("_ttl_settings", "_tables", "_extract_key_val"):
        require(holds=hasattr(dynamodb, name), what=f"dynamodb.{name}")
    # The threads that sweep for ever go on, by the virtual time too, since they look it up in the module.
    rewrite(
        dynamodb,
        "_ttl_reaper",
        ("    while True:\n        time.sleep(", "    for _ in range(1):\n        abs("),
    )
    settings.clock.add_source(Expiries(dynamodb._ttl_reaper))


class Expiries:
    """Rows that expire, of all tables."""

    def __init__(self, sweep: Callable[[], None]) -> None:
        self._sweep = sweep

    def next_due(self, now: float) -> Due | None:
        """Return the end of the minute in which the next rows expire."""
        return first(
            Due(at=_end_of_minute(expiry), what="expiry", name=table)
            for table, expiry in _expiries()
            if _end_of_minute(expiry) > now
        )

    def fire(self, since: float, now: float) -> Iterable[Due]:
        """Sweep when a minute has passed in which rows expired, and say how many of which table."""
        if math.floor(since / SECONDS_A_MINUTE) == math.floor(now / SECONDS_A_MINUTE):
            return []
        expired: dict[tuple[float, str], int] = {}
        for table, expiry in _expiries():
            if (at := _end_of_minute(expiry)) <= now:
                # What had expired before is only found now, e.g. written with an instant in the past.
                key = (max(at, math.ceil(since / SECONDS_A_MINUTE) * SECONDS_A_MINUTE), table)
                expired[key] = expired.get(key, 0) + 1
        if expired:
            # By its name the deletion is told from a caller's, in the table's stream.
            thread = threading.Thread(target=self._sweep, name=SWEEP)
            thread.start()
            thread.join()
        return [
            Due(at=at, what="expiry", name=f"{table}: {count} {'row' if count == 1 else 'rows'}")
            for (at, table), count in sorted(expired.items())
        ]


def _end_of_minute(expiry: float) -> float:
    return math.ceil(expiry / SECONDS_A_MINUTE) * SECONDS_A_MINUTE


def _expiries() -> Iterator[tuple[str, float]]:
    from ministack.services import dynamodb

    for (account, region, name), setting in list(dynamodb._ttl_settings.all_items()):
        attribute = setting.get("AttributeName")
        table = dynamodb._tables.get_scoped(account, region, name)
        if setting.get("TimeToLiveStatus") != "ENABLED" or not attribute or not table:
            continue
        with dynamodb._lock:
            rows: list[dict[str, Any]] = [row for part in table["items"].values() for row in part.values()]
        for row in rows:
            expiry = row.get(attribute, {}).get("N")
            if expiry is not None:
                yield name, float(expiry)
