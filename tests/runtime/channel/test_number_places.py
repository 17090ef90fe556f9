"""Places of numbers, held to libphonenumber and to the tz database."""

import os
import re
import subprocess
import sys
import zipfile
from collections import defaultdict
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType
from phonenumbers.timezone import time_zones_for_number

import build_layer
from sms_engagement_runtime.channel.adapters import number_places
from sms_engagement_runtime.channel.adapters.number_places import NumberPlaces
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.quiet_hours import DEFAULT, Place
from sms_engagement_runtime.channel.domain.state_rules import STATE_RULES

ROOT = Path(__file__).resolve().parents[3]
PLACES = NumberPlaces()


def _zone_tab():
    zones = defaultdict(list)
    for line in files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            country, _, zone, *_ = line.split("\t")
            zones[country].append(zone)
    return {country: tuple(names) for country, names in zones.items()}


BY_COUNTRY = _zone_tab()


def _zones(e164, country, time_zone=None):
    return PLACES.place_of(PhoneNumber(e164), country, time_zone).zones


def _clocks(zones):
    """Offsets of zones at the middle of winter and of summer: equal for two names of the same zone."""
    return {
        tuple(
            datetime(2026, month, 15, tzinfo=UTC).astimezone(ZoneInfo(zone)).utcoffset() for month in (1, 7)
        )
        for zone in zones
    }


# The number alone.


@pytest.mark.parametrize(
    ("e164", "country", "zones"),
    [
        ("+12065550123", "US", ("America/Los_Angeles",)),
        ("+13055550123", "US", ("America/New_York",)),
        ("+18085550123", "US", ("Pacific/Honolulu",)),
        ("+16025550123", "US", ("America/Phoenix",)),
        ("+14165550123", "CA", ("America/Toronto",)),
        ("+17095550123", "CA", ("America/Halifax", "America/St_Johns")),
        ("+17875550123", "PR", ("America/Puerto_Rico",)),
        ("+16715550123", "GU", ("Pacific/Guam",)),
        # Florida on both sides of the Apalachicola: one area code, and another laid over it.
        ("+18505550123", "US", ("America/Chicago", "America/New_York")),
        ("+14485550123", "US", ("America/Chicago", "America/New_York")),
        ("+447400123456", "GB", ("Europe/London",)),
        ("+33612345678", "FR", ("Europe/Paris",)),
        ("+919812345678", "IN", ("Asia/Kolkata",)),
        # No row in zone.tab: what the calling code says.
        ("+38343201234", "XK", ("Europe/Belgrade",)),
        ("+38343201234", None, ("Europe/Belgrade",)),
        ("+33612345678", None, ("Europe/Paris",)),
    ],
)  # fmt: skip
def test_finds_the_zones_of_a_number(e164, country, zones):
    assert _zones(e164, country) == zones


@pytest.mark.parametrize(
    ("e164", "country"),
    [
        ("+18005550123", "US"),  # toll-free
        ("+15005550123", "US"),  # follows its owner
        # libphonenumber says Sydney, Moscow, Madrid, Guayaquil, Auckland, Jakarta, Mongolia's capital,
        ("+61412345678", "AU"),
        ("+79123456789", "RU"),
        ("+34612345678", "ES"),
        ("+593991234567", "EC"),
        ("+6421123456", "NZ"),
        ("+628123456789", "ID"),
        ("+97688123456", "MN"),
        # of Recife the island far off the coast, and of Chihuahua the clock that it had until 2022.
        ("+5581961234567", "BR"),
        ("+526141234567", "MX"),
        ("+77710009998", "KZ"),
        ("+351912345678", "PT"),
    ],
)
def test_a_number_that_may_be_anywhere_in_its_country_has_all_zones_of_it(e164, country):
    assert len(BY_COUNTRY[country]) > 1
    assert _zones(e164, country) == BY_COUNTRY[country]


def test_countries_behind_one_calling_code_are_told_apart():
    """What libphonenumber gives for +7 alone are the zones of Russia and of Kazakhstan."""
    assert _clocks(_zones("+77710009998", "KZ")) == _clocks(["Asia/Almaty"])
    assert "Asia/Almaty" not in _zones("+79123456789", "RU")
    assert {"Asia/Almaty", "Europe/Moscow"} <= set(_zones("+79123456789", None))


def test_toll_free_numbers_of_an_unknown_country_may_be_anywhere_in_north_america():
    zones = set(_zones("+18005550123", None))

    assert {"America/New_York", "Pacific/Honolulu", "America/St_Johns", "Pacific/Guam"} <= zones


@pytest.mark.parametrize(
    "e164", ["+88213312345", "+87077312345", "+80012345678", "+9991234567", "+2101234567"]
)
def test_a_number_of_no_country_is_nowhere(e164):
    place = PLACES.place_of(PhoneNumber(e164), None, None)

    assert place == Place(())
    assert DEFAULT.hours_for(place).next_open(datetime(2026, 11, 21, 17, tzinfo=UTC)) is None


def test_an_area_code_has_the_zones_of_all_its_exchanges():
    from phonenumbers.tzdata import TIMEZONE_DATA

    area_codes = set()
    for prefix, expected in TIMEZONE_DATA.items():
        # Its entry for 879, an overlay of Newfoundland, has Puerto Rico in it.
        if prefix.startswith("1") and len(prefix) >= 4 and prefix != "1879":
            area_codes.add(prefix[:4])
            assert set(expected) <= set(_zones(f"+{prefix:0<11}", None)), prefix
    assert len(area_codes) > 400


def test_a_single_exchange_does_not_tell_the_zone():
    """Numbers of Pensacola and of Tallahassee: who has the one may live in the other town."""
    pensacola, tallahassee = (f"+1850{exchange}0123" for exchange in ("432", "224"))

    assert [time_zones_for_number(phonenumbers.parse(number)) for number in (pensacola, tallahassee)] == [
        ("America/Chicago",),
        ("America/New_York",),
    ]
    assert _zones(pensacola, "US") == _zones(tallahassee, "US") == ("America/Chicago", "America/New_York")


def test_overlays_are_in_the_state_of_the_area_code_below():
    from phonenumbers.geodata import GEOCODE_DATA

    for overlay, below in number_places._OVERLAYS.items():
        # libphonenumber writes `British Colombia` once.
        states = [GEOCODE_DATA[code]["en"].replace("Colombia", "Columbia") for code in (overlay, below)]
        assert states[0] == states[1], overlay
        assert _zones(f"+{overlay}5550123", None) == _zones(f"+{below}5550123", None)
        assert len(_zones(f"+{overlay}5550123", None)) > 1


@pytest.mark.parametrize("kind", [PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE])
def test_the_own_country_is_never_left_out(kind):
    """For libphonenumber's example of each country: zones of that country, and all that it names there."""
    for country in phonenumbers.SUPPORTED_REGIONS:
        number = phonenumbers.example_number_for_type(country, kind)
        if number is None:
            continue
        zones = _zones(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), country)
        assert zones, country
        of_country = _clocks(BY_COUNTRY.get(country, zones))
        assert _clocks(zones) <= of_country, country
        assert _clocks(time_zones_for_number(number)) & of_country <= _clocks(zones), country
        assert DEFAULT.hours_for(Place(zones)).next_open(datetime(2026, 11, 21, tzinfo=UTC)), country


@given(st.from_regex(r"\A\+[1-9][0-9]{6,14}\Z"), st.sampled_from([None, "US", "DE", "XK", "ZZ"]))
def test_any_number_has_a_place_whose_hours_can_be_asked_for(e164, country):
    place = PLACES.place_of(PhoneNumber(e164), country, None)

    hours = DEFAULT.hours_for(place)

    assert (hours.key == "unknown") == (place.zones == ())
    assert place is PLACES.place_of(PhoneNumber(e164), country, None)


def test_every_zone_that_a_number_can_have_is_in_the_tz_database():
    from phonenumbers.tzdata import TIMEZONE_DATA

    for zones in {*TIMEZONE_DATA.values(), *BY_COUNTRY.values()}:
        assert DEFAULT.hours_for(Place(zones)).key != "unknown"


# The record of a person.


def test_the_zone_on_record_wins():
    assert _zones("+12065550123", "US", "Europe/Berlin") == ("Europe/Berlin",)
    assert _zones("+88213312345", None, "US/Eastern") == ("US/Eastern",)


@pytest.mark.parametrize(
    "time_zone",
    [
        "", " ", "America", "Mars/Olympus", "America/New_York ", "america/new_york", "EDT", "-05:00",
        "Eastern", "../../../etc/passwd", "/etc/localtime", "localtime", "posixrules", "zone.tab",
        "America/New_York\0", "😀", "Etc/Unknown",
    ],
)  # fmt: skip
def test_a_zone_that_does_not_exist_is_as_none(time_zone):
    assert _zones("+12065550123", "US", time_zone) == ("America/Los_Angeles",)


@pytest.mark.parametrize("time_zone", ["UTC", "GMT", "Etc/UTC", "Etc/GMT+5", "Zulu", "Factory"])
def test_a_zone_in_which_nobody_lives_is_as_none(time_zone):
    """Most often a default that nobody changed: at its word, Seattle's midnight would be day."""
    assert _zones("+12065550123", "US", time_zone) == ("America/Los_Angeles",)


@pytest.mark.parametrize(
    ("e164", "time_zone", "wall"),
    [
        ("+12125550123", "EST", "America/New_York"),
        ("+14045550123", "EST", "America/New_York"),
        ("+13035550123", "MST", "America/Denver"),
        # Who moved to the East with a number of Seattle.
        ("+12065550123", "EST", "America/New_York"),
        ("+12065550123", "EST", "America/Los_Angeles"),
        ("+16025550123", "MST", "America/Phoenix"),
        ("+19075550123", "HST", "America/Adak"),
        ("+18085550123", "HST", "Pacific/Honolulu"),
        # Clocks without a summer behind names that have one in the tz database.
        ("+21620123456", "CET", "Africa/Tunis"),
        ("+21620123456", "MET", "Africa/Tunis"),
        ("+218912345678", "EET", "Africa/Tripoli"),
        ("+2207012345", "WET", "Africa/Banjul"),
        ("+33612345678", "CET", "Europe/Paris"),
    ],
)
@pytest.mark.parametrize("month", [1, 7])
def test_an_abbreviation_never_opens_the_night_of_any_clock_that_it_may_stand_for(
    e164, time_zone, wall, month
):
    country = phonenumbers.region_code_for_number(phonenumbers.parse(e164))
    hours = DEFAULT.hours_for(PLACES.place_of(PhoneNumber(e164), country, time_zone))
    midnight = datetime(2026, month, 15, tzinfo=ZoneInfo(wall))

    open_at = [
        at
        for minutes in range(0, 24 * 60, 15)
        if hours.is_open(at := midnight.replace(hour=minutes // 60, minute=minutes % 60))
    ]

    assert open_at
    assert {8 <= at.hour < 21 for at in open_at} == {True}


def test_an_abbreviation_counts_beside_the_zones_of_the_number():
    assert _zones("+12125550123", "US", "EST") == ("America/New_York", "EST")
    assert _zones("+12065550123", "US", "EST") == ("America/Los_Angeles", "America/New_York", "EST")
    assert _zones("+33612345678", "FR", "CET") == ("Europe/Paris", "CET")


def test_an_abbreviation_tells_no_place_where_the_number_tells_none():
    for abbreviation in number_places._ABBREVIATIONS:
        assert PLACES.place_of(PhoneNumber("+88213312345"), None, abbreviation) == Place(())


def test_a_name_for_clocks_with_the_summer_of_the_united_states_is_a_place():
    for name in ("EST5EDT", "CST6CDT", "MST7MDT", "PST8PDT"):
        assert _zones("+12065550123", "US", name) == (name,)


def test_every_other_zone_of_the_tz_database_may_be_on_record():
    names = files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    no_place = r"Etc/.*|GMT.*|UCT|UTC|Universal|Zulu|Greenwich|Factory|[CEMW]ET|[EHM]ST"
    places = [name for name in names if not re.fullmatch(no_place, name)]

    assert len(places) > 500
    for name in places:
        assert _zones("+12065550123", "US", name) == (name,)


# States.


def _states_of_area_codes():
    """Read libphonenumber's geocoder: ``1904`` is ``Florida``, ``1728`` only known as ``Palm Beach, FL``."""
    from phonenumbers.geodata import GEOCODE_DATA

    names = {
        "Connecticut": "CT", "Florida": "FL", "Maryland": "MD", "Oklahoma": "OK", "Texas": "TX",
        "Washington State": "WA",
    }  # fmt: skip
    states = defaultdict(set)
    for prefix, texts in GEOCODE_DATA.items():
        if prefix.startswith("1") and len(prefix) >= 4 and "en" in texts:
            city = re.search(r", ([A-Z]{2})$", texts["en"])
            state = names.get(texts["en"]) or (city[1] if city else None)
            if f"US-{state}" in STATE_RULES:
                states[prefix[1:4]].add(f"US-{state}")
    return states


def test_the_states_of_area_codes_are_those_of_libphonenumbers_geocoder():
    expected = _states_of_area_codes()

    found = {
        str(area_code): set(place.states)
        for area_code in range(200, 1000)
        if (place := PLACES.place_of(PhoneNumber(f"+1{area_code}5550123"), "US", None)).states
    }

    assert found == expected
    assert {state for states in found.values() for state in states} == STATE_RULES.keys()


def test_the_zones_of_a_state_are_those_of_its_area_codes():
    """An area code in the wrong state would show in its clocks."""
    eastern, central, mountain = "America/New_York", "America/Chicago", "America/Denver"
    allowed = {
        "US-CT": {eastern}, "US-FL": {eastern, central}, "US-MD": {eastern}, "US-OK": {central},
        "US-TX": {central, mountain}, "US-WA": {"America/Los_Angeles"},
    }  # fmt: skip
    for area_code in range(200, 1000):
        place = PLACES.place_of(PhoneNumber(f"+1{area_code}5550123"), "US", None)
        for state in place.states:
            assert _clocks(place.zones) <= _clocks(allowed[state]), area_code


@pytest.mark.parametrize(
    ("e164", "states"),
    [
        ("+13055550123", ("US-FL",)),
        ("+18185550123", ()),
        ("+14165550123", ()),
        ("+4930555012", ()),
        ("+3055550123", ()),  # Greece's calling code begins as Miami's area code does
    ],
)
def test_states_are_those_with_rules_of_their_own(e164, states):
    assert PLACES.place_of(PhoneNumber(e164), None, None).states == states


def test_who_moved_away_keeps_the_protection_of_the_number():
    assert PLACES.place_of(PhoneNumber("+13055550123"), "US", "America/Denver") == Place(
        ("America/Denver",), ("US-FL",)
    )


# What runs in Lambda.


def test_the_layer_holds_all_that_is_needed(tmp_path):
    """With the layer's libraries only, and no time zone data of the operating system."""
    with zipfile.ZipFile(ROOT / build_layer.LAYER_FOLDER / "x86_64.zip") as layer:
        layer.extractall(
            tmp_path, [n for n in layer.namelist() if re.match(r"python/(phonenumbers|tzdata)/", n)]
        )
    program = """
from sms_engagement_runtime.channel.adapters import number_places
from sms_engagement_runtime.channel.adapters.number_places import NumberPlaces
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.quiet_hours import DEFAULT
for number, country, zone in (
    ("+13055550123", "US", None), ("+61412345678", "AU", None), ("+13055550123", "US", "Europe/Berlin")
):
    print(DEFAULT.hours_for(NumberPlaces().place_of(PhoneNumber(number), country, zone)).key)
"""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(tmp_path / "python"), str(ROOT / "runtime"))),
        "PYTHONTZPATH": "",
        "PYTHONDONTWRITEBYTECODE": "1",
    }

    printed = subprocess.run(
        [sys.executable, "-S", "-c", program], env=environment, capture_output=True, text=True, check=True
    ).stdout.splitlines()

    assert printed == [
        "America/New_York;US-FL",
        DEFAULT.hours_for(Place(BY_COUNTRY["AU"])).key,
        "Europe/Berlin;US-FL",
    ]
