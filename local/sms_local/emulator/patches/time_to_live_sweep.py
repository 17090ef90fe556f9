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
    rows of a broadcast expire one by one over the time that it took. A sweep looks at the rows of minutes
    that have come, not at all of a table.
"""

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite
from sms_local.emulator.patches._schedules import first
from sms_local.emulator.patches.time_to_live_stream import SWEEP
from sms_local.emulator.virtual_clock import Due

SECONDS_A_MINUTE: Final = 60.0

type Row = Mapping[str, Any]
type Table = Mapping[str, Any]
type Key = tuple[str, str]


def apply(settings: PatchSettings) -> None:
    """Let the clock start sweeps."""
    from ministack.services import dynamodb

    for name in (
        "_ttl_settings",
        "_tables",
        "_extract_key_val",
        "_set_item",
        "_remove_item",
        "_rows_to_sweep",
    ):
        require(holds=hasattr(dynamodb, name), what=f"dynamodb.{name}")
    # The threads that sweep for ever go on, by the virtual time too, since they look it up in the module.
    rewrite(
        dynamodb,
        "_ttl_reaper",
        ("    while True:\n        time.sleep(", "    for _ in range(1):\n        abs("),
    )
    expiries = Expiries(dynamodb._ttl_reaper)
    settings.clock.add_source(expiries)
    dynamodb._rows_to_sweep = lambda table: expiries.rows(table, settings.clock.now())
    set_item, remove_item = dynamodb._set_item, dynamodb._remove_item

    def set_and_count(table: Table, partition_key: str, sort_key: str, row: Row) -> Any:
        with expiries.counting:
            former = set_item(table, partition_key, sort_key, row)
            expiries.replace(table, (partition_key, sort_key), former, row)
        return former

    def remove_and_count(table: Table, partition_key: str, sort_key: str) -> Any:
        with expiries.counting:
            former = remove_item(table, partition_key, sort_key)
            expiries.replace(table, (partition_key, sort_key), former, None)
        return former

    dynamodb._set_item, dynamodb._remove_item = set_and_count, remove_and_count


@dataclass(frozen=True, slots=True)
class _Counted:
    """Which rows of a table expire by the end of which minute."""

    rows: Any
    attribute: str
    minutes: dict[float, set[Key]] = field(default_factory=dict)

    def add(self, key: Key, row: Row | None) -> None:
        minute = self._minute(row)
        if minute is not None:
            self.minutes.setdefault(minute, set()).add(key)

    def remove(self, key: Key, row: Row | None) -> None:
        minute = self._minute(row)
        if minute is not None and (keys := self.minutes.get(minute)) is not None:
            keys.discard(key)
            if not keys:
                del self.minutes[minute]

    def _minute(self, row: Row | None) -> float | None:
        expiry = None if row is None else row.get(self.attribute, {}).get("N")
        return None if expiry is None else _end_of_minute(float(expiry))


class Expiries:
    """Rows that expire, of all tables.

    The clock asks at every step, so they are counted as they are written and not each time.

    Attributes
    ----------
    counting
        Held by whoever writes a row, until it is counted.
    """

    def __init__(self, sweep: Callable[[], None]) -> None:
        self._sweep = sweep
        self.counting = threading.RLock()  # a row that goes may have one of another table written
        self._counted: dict[int, _Counted] = {}

    def replace(self, table: Table, key: Key, former: Row | None, row: Row | None) -> None:
        """Count a row that was written instead of `former`, or removed."""
        counted = self._counted.get(id(table["items"]))
        if counted is not None and counted.rows is table["items"]:
            counted.remove(key, former)
            counted.add(key, row)

    def rows(self, table: Table, now: float) -> list[tuple[str, dict[str, Row]]]:
        """Return the rows of a table that expire by the end of this minute, in MiniStack's shape."""
        self._minutes()  # counts tables that were not asked for yet
        with self.counting:
            counted = self._counted.get(id(table["items"]))
            if counted is None:
                return []
            last = _end_of_minute(now)
            keys = [key for minute, keys in counted.minutes.items() if minute <= last for key in keys]
            found = ((part, sort, table["items"].get(part, {}).get(sort)) for part, sort in keys)
            return [(part, {sort: row}) for part, sort, row in found if row is not None]

    def next_due(self, now: float) -> Due | None:
        """Return the end of the minute in which the next rows expire."""
        return first(
            Due(at=minute, what="expiry", name=table)
            for table, minutes in self._minutes()
            if (minute := min((one for one in minutes if one > now), default=None)) is not None
        )

    def fire(self, since: float, now: float) -> Iterable[Due]:
        """Sweep when a minute has passed in which rows expired, and say how many of which table."""
        if math.floor(since / SECONDS_A_MINUTE) == math.floor(now / SECONDS_A_MINUTE):
            return []
        expired: dict[tuple[float, str], int] = {}
        for table, minutes in self._minutes():
            for minute, count in minutes.items():
                if minute <= now:
                    # What had expired before is only found now, e.g. written with an instant in the past.
                    key = (max(minute, math.ceil(since / SECONDS_A_MINUTE) * SECONDS_A_MINUTE), table)
                    expired[key] = expired.get(key, 0) + count
        if expired:
            # By its name the deletion is told from a caller's, in the table's stream.
            thread = threading.Thread(target=self._sweep, name=SWEEP)
            thread.start()
            thread.join()
        return [
            Due(at=at, what="expiry", name=f"{table}: {count} {'row' if count == 1 else 'rows'}")
            for (at, table), count in sorted(expired.items())
        ]

    def _minutes(self) -> list[tuple[str, Mapping[float, int]]]:
        """Return the counts of each table whose rows expire."""
        from ministack.services import dynamodb

        found: list[tuple[str, Mapping[float, int]]] = []
        with self.counting:
            former, self._counted = self._counted, {}
            for (account, region, name), setting in list(dynamodb._ttl_settings.all_items()):
                attribute = setting.get("AttributeName")
                table = dynamodb._tables.get_scoped(account, region, name)
                if setting.get("TimeToLiveStatus") != "ENABLED" or not attribute or not table:
                    continue
                counted = former.get(id(table["items"]))
                if counted is None or counted.rows is not table["items"] or counted.attribute != attribute:
                    counted = _Counted(table["items"], attribute)
                    for part, rows in table["items"].items():
                        for sort, row in rows.items():
                            counted.add((part, sort), row)
                self._counted[id(table["items"])] = counted
                found.append((name, {minute: len(keys) for minute, keys in counted.minutes.items()}))
            return found


def _end_of_minute(expiry: float) -> float:
    return math.ceil(expiry / SECONDS_A_MINUTE) * SECONDS_A_MINUTE
