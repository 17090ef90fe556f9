"""When an appointment is, as the invitee reads it: their zone, their language, GSM characters only.

Source of the patterns and of who uses which clock: Unicode CLDR, *Date/Time Patterns* and the supplemental
``timeData``. Letters outside the GSM alphabet lose their accents (sáb → sab, août → aout), since one of them
would more than halve what a message part holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MAX_TIME_LENGTH: Final = 24
"""The most characters of a time in the invitee's own zone."""

MAX_MARKED_TIME_LENGTH: Final = 30
"""The most characters of a time that names its zone."""

# Twice the longest name in the IANA time zone database. Nothing else is looked for in the file system, where
# a name is a path.
_MAX_ZONE_LENGTH: Final = 64
_ZONE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")

# Files beside the zones that are none: the machine's own clock, a placeholder, and copies for other purposes.
_NO_ZONES: Final = frozenset({"Factory", "localtime", "posixrules"})
_NO_ZONE_FOLDERS: Final = ("posix/", "right/")


@dataclass(frozen=True, slots=True)
class _Language:
    """Words of a language, Monday and January first, and how they make a time."""

    days: tuple[str, ...]
    months: tuple[str, ...]
    write: Callable[[str, int, str, datetime], str]


def _clock(at: datetime) -> str:
    return f"{at.hour}:{at.minute:02}"


def _half_day_clock(at: datetime) -> str:
    return f"{at.hour % 12 or 12}:{at.minute:02} {'AM' if at.hour < 12 else 'PM'}"


_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_AMERICAN: Final = _Language(
    _DAYS, _MONTHS, lambda day, number, month, at: f"{day}, {month} {number}, {_half_day_clock(at)}"
)
_AUSTRALIAN: Final = _Language(
    _DAYS, _MONTHS, lambda day, number, month, at: f"{day} {number} {month}, {_half_day_clock(at)}"
)
_INTERNATIONAL: Final = _Language(
    _DAYS, _MONTHS, lambda day, number, month, at: f"{day} {number} {month}, {_clock(at)}"
)

_OTHERS: Final = {
    "es": _Language(
        ("lun", "mar", "mié", "jue", "vie", "sab", "dom"),
        ("ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"),
        lambda day, number, month, at: f"{day} {number} {month}, {_clock(at)}",
    ),
    "fr": _Language(
        ("lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim."),
        (
            "janv.", "févr.", "mars", "avr.", "mai", "juin",
            "juil.", "aout", "sept.", "oct.", "nov.", "déc.",
        ),
        lambda day, number, month, at: f"{day} {'1er' if number == 1 else number} {month} à {_clock(at)}",
    ),
    "de": _Language(
        ("Mo.", "Di.", "Mi.", "Do.", "Fr.", "Sa.", "So."),
        (
            "Jan.", "Feb.", "März", "Apr.", "Mai", "Juni",
            "Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez.",
        ),
        lambda day, number, month, at: f"{day}, {number}. {month}, {_clock(at)}",
    ),
    "pt": _Language(
        ("seg", "ter", "qua", "qui", "sex", "sab", "dom"),
        ("jan", "fev", "mar", "abr", "mai", "jun", "jul", "ago", "set", "out", "nov", "dez"),
        lambda day, number, month, at: f"{day}, {number} {month}, {_clock(at)}",
    ),
}  # fmt: skip

_MONTH_FIRST: Final = frozenset({"us", "ca", "ph", "pr"})
_HALF_DAYS: Final = frozenset({"au", "nz", "in", "pk", "sg", "hk", "my", "eg", "jm"})
"""Countries whose English has the day before the month, and AM and PM."""


def spoken_time(instant: datetime, *, time_zone: str | None, locale: str | None, fallback_zone: str) -> str:
    """Say when something begins: ``Tue, Dec 1, 1:00 PM``, ``mar 1 dic, 13:00``.

    Parameters
    ----------
    instant
        Aware.
    time_zone
        The invitee's, as given. Where there is no such zone, the time is that of `fallback_zone` and names
        its zone: ``Tue, Dec 1, 1:00 PM EST``, ``Tue 1 Dec, 21:45 UTC+5:45``.
    locale
        Language tag; English where it is none of ours, and that of the USA where it is missing.

    Returns
    -------
    At most `MAX_TIME_LENGTH` characters, or `MAX_MARKED_TIME_LENGTH` where the zone is named; all of GSM.

    Raises
    ------
    ValueError
        The instant is naive, or there is no `fallback_zone` either.
    """
    if instant.tzinfo is None:
        msg = "an instant must be aware: without a zone it names no instant"
        raise ValueError(msg)
    own = _zone(time_zone)
    if own is not None and (local := _local(instant, own)) is not None:
        return _written(local, locale)
    fallback = _zone(fallback_zone)
    if fallback is None:
        msg = f"there is no time zone {fallback_zone!r}; use an IANA name, as America/New_York"
        raise ValueError(msg)
    local = _local(instant, fallback) or instant.astimezone(UTC)
    written = _written(local, locale)
    named = f"{written} {_zone_mark(local)}"
    # The clocks that need it are those of Nepal and the Chatham Islands, in September.
    return named if len(named) <= MAX_MARKED_TIME_LENGTH else named.replace(" UTC", " ")


def zone_exists(name: str | None) -> bool:
    """Say whether a text, whoever wrote it, is the name of an IANA time zone."""
    return _zone(name) is not None


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None or len(name) > _MAX_ZONE_LENGTH or not _ZONE_NAME.fullmatch(name):
        return None
    if name in _NO_ZONES or name.startswith(_NO_ZONE_FOLDERS):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # A name such as `America` is a folder of the time zone data, hence OSError; a file that is no zone
        # gives ValueError.
        return None


def _local(instant: datetime, zone: tzinfo) -> datetime | None:
    try:
        return instant.astimezone(zone)
    except OverflowError:
        # Within a day of year 1 or of year 9999.
        return None


def _written(local: datetime, locale: str | None) -> str:
    language = _language(locale)
    return language.write(language.days[local.weekday()], local.day, language.months[local.month - 1], local)


def _language(locale: str | None) -> _Language:
    tags = (locale or "en-us").strip().replace("_", "-").lower().split("-")
    if tags[0] in _OTHERS:
        return _OTHERS[tags[0]]
    if tags[0] != "en":
        return _INTERNATIONAL
    # A script may stand between language and country: en-Latn-US.
    country = next((tag for tag in tags[1:] if len(tag) == 2), None)
    if country is None or country in _MONTH_FIRST:
        return _AMERICAN
    return _AUSTRALIAN if country in _HALF_DAYS else _INTERNATIONAL


def _zone_mark(local: datetime) -> str:
    abbreviation = local.tzname() or ""
    # Zones without an abbreviation in use have their offset in its place ("+0545"): of these, a mark of our
    # own.
    if abbreviation.isalpha() and abbreviation.isascii():
        return abbreviation
    offset = local.utcoffset() or timedelta()
    hours, minutes = divmod(abs(int(offset.total_seconds())) // 60, 60)
    sign = "-" if offset < timedelta() else "+"
    return f"UTC{sign}{hours}" + (f":{minutes:02}" if minutes else "")
