"""Where a phone number may be, by the numbering plans of libphonenumber and the tables of the tz database."""

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Final

from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.quiet_hours import Place

# Area codes of the North American numbering plan by state, for the states that have rules of their own: those
# of libphonenumber's geocoder, whose 20 MB stay out of the functions. A test holds them to it. That an area
# code tells the state is also what the law presumes (Fla. Stat. 501.059, Okla. HB 3168 of 2022).
_AREA_CODES: Final[Mapping[str, str]] = {
    "US-CT": "203 475 860 959",
    "US-FL": "239 305 321 324 352 386 407 448 561 645 656 689 727 728 754 772 786 813 850 863 904 941 954",
    "US-MD": "227 240 301 410 443 667",
    "US-OK": "405 539 572 580 918",
    "US-TX": (
        "210 214 254 281 325 346 361 409 430 432 469 512 682 713 726 737 806 817 830 832 903 915 936 940 "
        "945 956 972 979"
    ),
    "US-WA": "206 253 360 425 509 564",
}
_STATE_BY_PREFIX: Final = {
    f"+1{area_code}": (state,)
    for state, area_codes in _AREA_CODES.items()
    for area_code in area_codes.split()
}
_PREFIX_LENGTH: Final = len("+1206")

# Area codes laid over another one that lies in two time zones: libphonenumber knows one zone of them, that of
# the larger part. Source: the North American Numbering Plan Administrator's overlays.
_OVERLAYS: Final[Mapping[str, str]] = {
    "1236": "1250",
    "1257": "1250",
    "1364": "1270",
    "1367": "1418",
    "1448": "1850",
    "1458": "1541",
    "1581": "1418",
    "1672": "1250",
    "1778": "1250",
    "1879": "1709",
    "1930": "1812",
}

_NORTH_AMERICA: Final = "1"
_LONGEST_CALLING_CODE: Final = 3

# Clocks that no place has: where they stand in a record they are a default that nobody filled in.
_NO_PLACE: Final = frozenset(
    {"Factory", "GMT", "GMT+0", "GMT-0", "GMT0", "Greenwich", "UCT", "UTC", "Universal", "Zulu"}
)
_NO_PLACE_FOLDER: Final = "Etc/"

# Abbreviations of a standard time, with the clocks that they may stand for. The tz database has zones of
# these names, three of which know no summer: by that of `EST`, New York's night would begin at ten in summer.
# The zones beside them are those of most people; who lives elsewhere has a number that tells so.
_ABBREVIATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "EST": ("America/New_York", "EST"),
    "MST": ("America/Denver", "MST"),
    "HST": ("America/Adak", "HST"),
    "CET": ("CET",),
    "EET": ("EET",),
    "MET": ("MET",),
    "WET": ("WET",),
}


class NumberPlaces:
    """Finds the time zones and the state of a number without parsing it again.

    A time zone on record wins. Else a number of North America has every zone of its area code, by
    libphonenumber's table. Its zones of single exchanges are not used, since people move about within their
    area code; nor is what it says of other countries: mobile numbers there tell no place, and it answers
    with the capital (``+61 4`` is Sydney) or with what was true once. Such a number, and a toll-free one,
    may be anywhere in its country.

    An abbreviation on record (``EST``) is no place. It only narrows what the number says: every clock that it
    may stand for counts beside the number's zones, and where the number has none, nothing is known.

    The state follows from the area code alone, and counts beside a time zone on record: who moved with their
    number is protected by both.
    """

    def place_of(self, number: PhoneNumber, country: str | None, time_zone: str | None) -> Place:
        """Return where the owner of the number may be."""
        e164 = number.e164
        states = _STATE_BY_PREFIX.get(e164[:_PREFIX_LENGTH], ())
        if time_zone is not None and time_zone in _time_zones():
            return _place((time_zone,), states)
        zones = _zones_of_number(e164[1:], country)
        if zones:
            zones = tuple(dict.fromkeys((*zones, *_ABBREVIATIONS.get(time_zone or "", ()))))
        return _place(zones, states)


# One object a place, so that a broadcast does not hold a million of them.
@lru_cache(maxsize=8192)
def _place(zones: tuple[str, ...], states: tuple[str, ...]) -> Place:
    return Place(zones, states)


def _zones_of_number(digits: str, country: str | None) -> tuple[str, ...]:
    by_prefix = _zones_by_prefix()
    return (
        by_prefix.get(digits[: _PREFIX_LENGTH - 1])
        or _zones_by_country().get(country or "")
        # Calling codes have one to three digits, and none begins with another one (ITU-T E.164).
        or by_prefix.get(digits[:1])
        or by_prefix.get(digits[:2])
        or by_prefix.get(digits[:3])
        or ()
    )


@cache
def _zones_by_prefix() -> Mapping[str, tuple[str, ...]]:
    """Return the zones of calling codes, and of North America's area codes with the 1 before them."""
    # 115 kB of source, which Lambda compiles at each start; functions that send replies only never need it.
    from phonenumbers.tzdata import TIMEZONE_DATA

    zones: dict[str, set[str]] = {}
    for prefix, names in TIMEZONE_DATA.items():
        if prefix[0] == _NORTH_AMERICA and len(prefix) > 1:
            zones.setdefault(prefix[: _PREFIX_LENGTH - 1], set()).update(names)
        elif len(prefix) <= _LONGEST_CALLING_CODE:
            zones[prefix] = set(names)
    for overlay, below in _OVERLAYS.items():
        zones[overlay] = zones[below]
    return {prefix: tuple(sorted(names)) for prefix, names in zones.items()}


@cache
def _zones_by_country() -> Mapping[str, tuple[str, ...]]:
    """Read ``zone.tab`` of the tz database: country (ISO 3166-1), coordinates, zone, comment, by tabs."""
    lines = _tz_database("zoneinfo", "zone.tab").splitlines()
    zones: dict[str, tuple[str, ...]] = {}
    for line in lines:
        if line and not line.startswith("#"):
            country, _, zone, *_ = line.split("\t")
            zones[country] = (*zones.get(country, ()), zone)
    return zones


@cache
def _time_zones() -> frozenset[str]:
    """Names that a record may hold. Not ``zoneinfo.available_timezones``, which opens 600 files."""
    names = set(_tz_database("zones").split()) - _NO_PLACE - _ABBREVIATIONS.keys()
    return frozenset(name for name in names if not name.startswith(_NO_PLACE_FOLDER))


def _tz_database(*path: str) -> str:
    """Read a table of the ``tzdata`` package, which the dependency layer has: not every system has a copy."""
    from importlib.resources import files

    return files("tzdata").joinpath(*path).read_text(encoding="utf-8")
