"""Hours in which states of the USA forbid what the federal rule allows, as data with their sources.

Each rule covers marketing texts ("telephone solicitations", "commercial telephone calls") to people in the
state, at the person's own local time. They are kept here as a team without a lawyer at hand needs them: the
stricter reading where sources disagree. They are no legal advice, and no complete list of what states forbid.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Self

_MINUTES_A_DAY: Final = 24 * 60


class Weekday(IntEnum):
    """Days as ``date.weekday()`` numbers them."""

    MONDAY = 0
    TUESDAY = 1
    WEDNESDAY = 2
    THURSDAY = 3
    FRIDAY = 4
    SATURDAY = 5
    SUNDAY = 6


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a local day in which texts may go out.

    Attributes
    ----------
    from_minute
        The first minute of the day that is inside, 0 to 1439.
    until_minute
        The first minute that is outside again, up to 1440, the end of the day.

    Raises
    ------
    ValueError
        The window is empty, ends before it begins, or leaves the day.
    """

    from_minute: int
    until_minute: int

    def __post_init__(self) -> None:
        if not 0 <= self.from_minute < self.until_minute <= _MINUTES_A_DAY:
            raise ValueError(f"a window must begin before it ends, within one day; got {self}")

    @classmethod
    def of_hours(cls, from_hour: int, until_hour: int) -> Self:
        """Make a window of whole hours."""
        return cls(from_hour * 60, until_hour * 60)

    def within(self, other: Self) -> Self | None:
        """Return what both windows allow; None where that is nothing."""
        begin = max(self.from_minute, other.from_minute)
        end = min(self.until_minute, other.until_minute)
        return type(self)(begin, end) if begin < end else None

    def __str__(self) -> str:
        begin, end = (
            f"{minute // 60:02d}:{minute % 60:02d}" for minute in (self.from_minute, self.until_minute)
        )
        return f"{begin}–{end}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRule:
    """What one state allows.

    Attributes
    ----------
    state
        ISO 3166-2.
    week
        A window for each day, Monday first; None where the day is barred.
    bars_holidays
        Nothing goes out on a legal holiday (:func:`is_holiday`).
    source
        Where the rule is written.
    """

    state: str
    week: tuple[Window | None, ...]
    source: str
    bars_holidays: bool = False

    def __post_init__(self) -> None:
        if len(self.week) != len(Weekday):
            raise ValueError(f"a week has {len(Weekday)} days, got {len(self.week)}")


def _every_day(window: Window) -> tuple[Window, ...]:
    return (window,) * len(Weekday)


def _by_state(rules: Iterable[StateRule]) -> Mapping[str, StateRule]:
    return MappingProxyType({rule.state: rule for rule in rules})


_FROM_8_TO_20: Final = _every_day(Window.of_hours(8, 20))

STATE_RULES: Final = _by_state(
    (
        StateRule(
            state="US-CT",
            week=_every_day(Window.of_hours(9, 20)),
            source="Conn. Gen. Stat. 42-288a, as amended by Public Act 23-98",
        ),
        StateRule(
            state="US-FL",
            week=_FROM_8_TO_20,
            source="Fla. Stat. 501.616(6)",
        ),
        StateRule(
            state="US-MD",
            week=_FROM_8_TO_20,
            source="Md. Code, Com. Law, Title 14, Subtitle 45 (Stop the Spam Calls Act of 2023)",
        ),
        StateRule(
            state="US-OK",
            # Sources name 20:00 and 21:00 as the end: the earlier one.
            week=_FROM_8_TO_20,
            bars_holidays=True,
            source="Okla. Stat. tit. 15, 775C (Telephone Solicitation Act of 2022)",
        ),
        StateRule(
            state="US-TX",
            week=(*(Window.of_hours(9, 21),) * 6, Window.of_hours(12, 21)),
            source="Tex. Bus. & Com. Code 301.051; texts are covered since SB 140 of 2025",
        ),
        StateRule(
            state="US-WA",
            # That texts are covered, beside calls, could not be confirmed: the stricter reading.
            week=_FROM_8_TO_20,
            source="RCW 80.36.390, as amended in 2022",
        ),
    )
)
"""The rules by state. A state that is not here has the federal hours (47 CFR 64.1200(c)(1): 08:00–21:00)."""


@lru_cache(maxsize=16)
def federal_holidays(year: int) -> frozenset[date]:
    """Days of a year that are legal holidays of the USA, with the days on which they are observed.

    Both count where a holiday falls on a weekend, since state law follows now the one, now the other.
    Source: 5 U.S.C. 6103(a) and (b).
    """
    fixed = [
        *(date(year, month, day) for month, day in ((1, 1), (6, 19), (7, 4), (11, 11), (12, 25))),
        # New Year's Day of a year that begins on a Saturday is observed in this one.
        *((date(year + 1, 1, 1),) if year < date.max.year else ()),
    ]
    observed = [_observed(day) for day in fixed]
    moving = [
        _nth(year, 1, Weekday.MONDAY, 3),
        _nth(year, 2, Weekday.MONDAY, 3),
        _nth(year, 6, Weekday.MONDAY, 1) - timedelta(weeks=1),
        _nth(year, 9, Weekday.MONDAY, 1),
        _nth(year, 10, Weekday.MONDAY, 2),
        _nth(year, 11, Weekday.THURSDAY, 4),
    ]
    return frozenset(day for day in (*fixed, *observed, *moving) if day.year == year)


def is_holiday(day: date) -> bool:
    """Say whether a day is a legal holiday of the USA, or one on which such a day is observed."""
    return day in federal_holidays(day.year)


def _observed(day: date) -> date:
    match day.weekday():
        case Weekday.SATURDAY:
            return day - timedelta(days=1)
        case Weekday.SUNDAY:
            return day + timedelta(days=1)
    return day


def _nth(year: int, month: int, weekday: Weekday, n: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7, weeks=n - 1)
