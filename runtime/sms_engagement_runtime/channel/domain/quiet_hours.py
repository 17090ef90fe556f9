"""When a person may be sent a promotional text: by the clock on their own wall.

A number does not say where its owner is. So a person has a :class:`Place`: every time zone they may be in,
and the states whose law may protect them. A text may go out while it is an allowed hour in *all* of them.

The hours of a place are computed as stretches of absolute time, cut at every change of the zone's offset.
Hence a day of 23 or 25 hours, a window that begins in the hour that a clock skips and an hour that comes
twice need no rule of their own.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sms_engagement_runtime.channel.domain.state_rules import (
    STATE_RULES,
    StateRule,
    Weekday,
    Window,
    is_holiday,
)

HORIZON: Final = timedelta(days=14)
"""How far ahead an open hour is looked for: longer than any run of barred days, weekends beside holidays."""

# 47 CFR 64.1200(c)(1).
_FEDERAL: Final = Window.of_hours(8, 21)

_UNKNOWN: Final = "unknown"
_ZONE_SEPARATOR: Final = ","
_STATE_SEPARATOR: Final = ";"

_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
_STEP: Final = timedelta(weeks=2)
_CLOCKS_FROM: Final = datetime(2025, 1, 1, tzinfo=UTC)
_CLOCKS_UNTIL: Final = datetime(2040, 1, 1, tzinfo=UTC)
_TIME_OF_DAY: Final = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00")
_DAYS_KEPT: Final = 32


@dataclass(frozen=True, slots=True)
class Place:
    """Where a person may be.

    Attributes
    ----------
    zones
        IANA names of every time zone that is possible; none where nothing is known.
    states
        ISO 3166-2 codes (``US-FL``) of the states that the person may be in, as far as they have rules of
        their own (``STATE_RULES``); others are ignored.
    """

    zones: tuple[str, ...]
    states: tuple[str, ...] = ()


type Stretch = tuple[datetime, datetime]
"""From an instant, included, to another, excluded. Aware, UTC."""


@dataclass(frozen=True, slots=True, eq=False)
class RecipientHours:
    """When people of one place may be sent promotional texts.

    Made by :class:`QuietHoursPolicy`. Instants may be in any zone but must be aware; answers are UTC.

    Attributes
    ----------
    key
        Hours of equal keys, under one policy, are equal: recipients with the same key can be handled as a
        group. ASCII, as ``America/New_York;US-FL``.
    """

    key: str
    _zones: tuple[ZoneInfo, ...]
    _week: tuple[Window | None, ...]
    _bars_holidays: bool
    _days: dict[date, tuple[Stretch, ...]] = field(default_factory=dict, init=False, repr=False)

    def is_open(self, at: datetime) -> bool:
        """Say whether a text may go out at this instant."""
        return self._stretch_of(_in_utc(at)) is not None

    def next_open(self, at: datetime) -> datetime | None:
        """Return the first instant not before `at` at which a text may go out: `at` itself when open.

        None where there is no such instant within 14 days: the zone is unknown, or no instant suits every
        zone and rule.
        """
        at = _in_utc(at)
        for begin, end in self._stretches_from(at):
            if end > at:
                return max(begin, at) if begin <= at + HORIZON else None
        return None

    def open_until(self, at: datetime) -> datetime | None:
        """Return the first instant after `at` at which no text may go out any more; None when closed.

        At most 14 days after `at`, where texts may go out around the clock.
        """
        at = _in_utc(at)
        stretch = self._stretch_of(at)
        if stretch is None:
            return None
        until = stretch[1]
        for begin, end in self._stretches_from(at):
            if begin <= until < end:
                until = end
        return min(until, at + HORIZON)

    def _stretch_of(self, at: datetime) -> Stretch | None:
        for stretch in self._stretches_on(at.date()):
            if stretch[0] <= at < stretch[1]:
                return stretch
        return None

    def _stretches_from(self, at: datetime) -> Iterator[Stretch]:
        for days in range(HORIZON.days + 1):
            yield from self._stretches_on(at.date() + days * _DAY)

    def _stretches_on(self, day: date) -> tuple[Stretch, ...]:
        """Return the open stretches of a UTC day, in order.

        Kept for the next question: a broadcast asks for the same few days a million times.
        """
        known = self._days.get(day)
        if known is None:
            if len(self._days) >= _DAYS_KEPT:
                self._days.clear()
            known = self._days[day] = self._compute(day)
        return known

    def _compute(self, day: date) -> tuple[Stretch, ...]:
        if not self._zones:
            return ()
        begin = datetime.combine(day, time(), UTC)
        stretches: Sequence[Stretch] = [(begin, begin + _DAY)]
        for zone in self._zones:
            stretches = _intersection(stretches, self._open_in(zone, begin, begin + _DAY))
            if not stretches:
                break
        return tuple(stretches)

    def _open_in(self, zone: ZoneInfo, begin: datetime, end: datetime) -> list[Stretch]:
        """Return the stretches from `begin` to `end` in which wall time is inside the window."""
        found: list[Stretch] = []
        for piece_begin, piece_end in pairwise((begin, *_offset_changes(zone, begin, end), end)):
            offset = _offset(zone, piece_begin)
            # Within a piece, wall time and UTC differ by a constant.
            day = (piece_begin + offset).date()
            last = (piece_end + offset - _SECOND).date()
            while day <= last:
                window = self._window_of(day)
                if window is not None:
                    midnight = datetime.combine(day, time(), UTC) - offset
                    opens = max(piece_begin, midnight + timedelta(minutes=window.from_minute))
                    closes = min(piece_end, midnight + timedelta(minutes=window.until_minute))
                    if opens < closes:
                        found.append((opens, closes))
                day += _DAY
        return found

    def _window_of(self, day: date) -> Window | None:
        if self._bars_holidays and is_holiday(day):
            return None
        return self._week[day.weekday()]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHoursPolicy:
    """The hours in which a channel sends promotional texts, at the recipient's own wall clock.

    Attributes
    ----------
    window
        The same for every day. By default 08:00 to 21:00, which is the federal rule of the USA for
        telephone solicitations. Source: 47 CFR 64.1200(c)(1).
    weekends
        Whether texts go out on Saturdays and Sundays.
    state_rules
        Whether stricter state law narrows the window (``STATE_RULES``).

    Raises
    ------
    ValueError
        The rules of a state leave nothing of the window.
    """

    window: Window = _FEDERAL
    weekends: bool = True
    state_rules: bool = True

    def __post_init__(self) -> None:
        for rule in STATE_RULES.values() if self.state_rules else ():
            if not any(_narrowed(self.week, [rule])):
                raise ValueError(
                    f"the hours {self.window} leave nothing in {rule.state}, whose law allows "
                    f"{_described(rule)} ({rule.source})"
                )

    @classmethod
    def from_settings(cls, settings: Mapping[str, object]) -> "QuietHoursPolicy":
        """Read the policy from JSON.

        Parameters
        ----------
        settings
            ``{"from": "08:00", "until": "21:00", "weekends": true, "stateRules": true}``; what is left out
            takes its default.

        Raises
        ------
        ValueError
            Naming what is unknown or malformed.
        """
        unknown = settings.keys() - {"from", "until", "weekends", "stateRules"}
        if unknown:
            raise ValueError(f"quiet hours have no {', '.join(sorted(unknown))}")
        return cls(
            window=Window(
                minute_of_day(settings.get("from", "08:00")), minute_of_day(settings.get("until", "21:00"))
            ),
            weekends=_flag(settings, "weekends"),
            state_rules=_flag(settings, "stateRules"),
        )

    def hours_for(self, place: Place) -> RecipientHours:
        """Return the hours of a place. The same object for the same place, so that asking again is cheap.

        Raises
        ------
        ValueError
            A zone of the place does not exist.
        """
        return _hours(self, place)

    def hours_of_key(self, key: str) -> RecipientHours:
        """Return the hours that have this key.

        A key names zones and states, not hours: hours of a key that was stored are those of this policy.

        Raises
        ------
        ValueError
            The key is none, or names a zone that does not exist.
        """
        if key == _UNKNOWN:
            return _hours(self, Place(()))
        zones, _, states = key.partition(_STATE_SEPARATOR)
        return _hours(
            self,
            Place(
                tuple(zones.split(_ZONE_SEPARATOR)), tuple(states.split(_STATE_SEPARATOR)) if states else ()
            ),
        )

    @property
    def week(self) -> tuple[Window | None, ...]:
        """A window for each day, Monday first, before any state's rule."""
        return tuple(self.window if self.weekends or day < Weekday.SATURDAY else None for day in Weekday)


def minute_of_day(text: object) -> int:
    """Read a time of day.

    Parameters
    ----------
    text
        ``HH:MM`` from ``00:00`` to ``24:00``, the end of the day.

    Raises
    ------
    ValueError
        It is something else.
    """
    if not isinstance(text, str) or not _TIME_OF_DAY.fullmatch(text):
        raise ValueError(f"a time of day is written HH:MM, from 00:00 to 24:00; got {text!r}")
    return int(text[:2]) * 60 + int(text[3:])


def _flag(settings: Mapping[str, object], name: str) -> bool:
    value = settings.get(name, True)
    if not isinstance(value, bool):
        raise ValueError(f"{name} of the quiet hours must be true or false; got {value!r}")
    return value


# As many as there are combinations of zones in the numbering plans, of zones that customers' records may
# name, and of states, several times over.
@lru_cache(maxsize=8192)
def _hours(policy: QuietHoursPolicy, place: Place) -> RecipientHours:
    zones = _distinct(tuple(dict.fromkeys(place.zones)))
    candidates = STATE_RULES.keys() & set(place.states) if zones and policy.state_rules else ()
    # A rule that forbids nothing more than the policy does would only make another key.
    states = [state for state in sorted(candidates) if _tightens(STATE_RULES[state], policy)]
    rules = [STATE_RULES[state] for state in states]
    return RecipientHours(
        key=_STATE_SEPARATOR.join((_ZONE_SEPARATOR.join(zone.key for zone in zones), *states)) or _UNKNOWN,
        _zones=zones,
        _week=_narrowed(policy.week, rules),
        _bars_holidays=any(rule.bars_holidays for rule in rules),
    )


def _tightens(rule: StateRule, policy: QuietHoursPolicy) -> bool:
    return rule.bars_holidays or _narrowed(policy.week, [rule]) != policy.week


def _narrowed(week: Sequence[Window | None], rules: Sequence[StateRule]) -> tuple[Window | None, ...]:
    return tuple(_common([week[day], *(rule.week[day] for rule in rules)]) for day in Weekday)


def _common(windows: Sequence[Window | None]) -> Window | None:
    first, *rest = windows
    for window in rest:
        first = first.within(window) if first is not None and window is not None else None
    return first


def _described(rule: StateRule) -> str:
    return ", ".join(dict.fromkeys(str(window) for window in rule.week if window is not None))


@lru_cache(maxsize=1024)
def _distinct(names: tuple[str, ...]) -> tuple[ZoneInfo, ...]:
    """Return the zones less those whose clocks agree with one before: the 29 of the USA are 8 clocks.

    It keeps keys short, and the hours of a whole country as quick as those of a city.
    """
    if len(names) == 1:
        return (_zone(names[0]),)
    by_clock: dict[tuple[object, ...], ZoneInfo] = {}
    for name in names:
        zone = _zone(name)
        by_clock.setdefault(_clock(zone), zone)
    return tuple(by_clock.values())


@lru_cache(maxsize=1024)
def _clock(zone: ZoneInfo) -> tuple[object, ...]:
    """Return all that a clock of the zone shows from 2025 to 2040: its offset, and every change of it."""
    changes = [
        change
        for step in range((_CLOCKS_UNTIL - _CLOCKS_FROM) // _STEP)
        for change in _offset_changes(zone, _CLOCKS_FROM + step * _STEP, _CLOCKS_FROM + (step + 1) * _STEP)
    ]
    return (_offset(zone, _CLOCKS_FROM), *((change, _offset(zone, change)) for change in changes))


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        # A name such as `America` is a folder of the time zone data, hence OSError.
        raise ValueError(f"there is no time zone {name!r}; use an IANA name, as America/New_York") from error


def _in_utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("an instant must be aware: without a zone it names no instant")
    return at.astimezone(UTC)


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def _offset_changes(zone: ZoneInfo, begin: datetime, end: datetime) -> Iterator[datetime]:
    """Find the instants after `begin` and before `end` at which the zone's offset changes.

    ``zoneinfo`` does not tell them, so they are searched for. No zone changes to another offset and back
    within two weeks.
    """
    last = _offset(zone, end - _SECOND)
    while (offset := _offset(zone, begin)) != last:
        before, after = begin, end - _SECOND
        while after - before > _SECOND:
            middle = before + (after - before) // _SECOND // 2 * _SECOND
            if _offset(zone, middle) == offset:
                before = middle
            else:
                after = middle
        yield after
        begin = after


def _intersection(left: Sequence[Stretch], right: Sequence[Stretch]) -> list[Stretch]:
    common = (
        (max(begin, other_begin), min(end, other_end))
        for begin, end in left
        for other_begin, other_end in right
    )
    return [(begin, end) for begin, end in common if begin < end]


DEFAULT: Final = QuietHoursPolicy()
"""08:00 to 21:00 on every day, and less where a state's law says so."""
