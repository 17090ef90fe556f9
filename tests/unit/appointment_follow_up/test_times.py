from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.appointment_follow_up.domain import times
from sms_engagement_runtime.appointment_follow_up.domain.times import (
    MAX_MARKED_TIME_LENGTH,
    MAX_TIME_LENGTH,
    spoken_time,
    zone_exists,
)
from sms_engagement_runtime.channel.domain.encoding import Encoding, measure

# A Tuesday; 13:00 in New York.
NOON = datetime(2026, 12, 1, 18, 0, tzinfo=UTC)
LOCALES = ["en", "en-GB", "en-AU", "es", "fr", "de", "pt", "nl"]


def spoken(instant=NOON, *, time_zone="America/New_York", locale="en", fallback_zone="America/Chicago"):
    return spoken_time(instant, time_zone=time_zone, locale=locale, fallback_zone=fallback_zone)


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        (None, "Tue, Dec 1, 1:00 PM"),
        ("", "Tue, Dec 1, 1:00 PM"),
        ("en", "Tue, Dec 1, 1:00 PM"),
        ("en-US", "Tue, Dec 1, 1:00 PM"),
        ("en_us", "Tue, Dec 1, 1:00 PM"),
        ("en-Latn-US", "Tue, Dec 1, 1:00 PM"),
        ("en-CA", "Tue, Dec 1, 1:00 PM"),
        ("en-AU", "Tue 1 Dec, 1:00 PM"),
        ("en-GB", "Tue 1 Dec, 13:00"),
        ("en-IE", "Tue 1 Dec, 13:00"),
        ("en-ZA", "Tue 1 Dec, 13:00"),
        ("es", "mar 1 dic, 13:00"),
        ("es-MX", "mar 1 dic, 13:00"),
        ("fr", "mar. 1er déc. à 13:00"),
        ("fr-CA", "mar. 1er déc. à 13:00"),
        ("de-AT", "Di., 1. Dez., 13:00"),
        ("pt-BR", "ter, 1 dez, 13:00"),
        ("PT", "ter, 1 dez, 13:00"),
        ("nl", "Tue 1 Dec, 13:00"),
        ("x" * 10_000, "Tue 1 Dec, 13:00"),
    ],
)
def test_a_time_is_in_the_language_of_the_invitee(locale, expected):
    assert spoken(locale=locale) == expected


@pytest.mark.parametrize(
    ("hour", "expected"),
    [(0, "12:05 AM"), (1, "1:05 AM"), (11, "11:05 AM"), (12, "12:05 PM"), (13, "1:05 PM"), (23, "11:05 PM")],
)
def test_the_clock_of_twelve_hours_has_no_hour_zero(hour, expected):
    at = datetime(2026, 12, 1, hour, 5, tzinfo=UTC)

    assert spoken(at, time_zone="Etc/UTC") == f"Tue, Dec 1, {expected}"


def test_a_zone_may_make_it_another_day():
    at = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)

    assert spoken(at, time_zone="Asia/Tokyo") == "Fri, Jan 1, 8:30 AM"
    assert spoken(at, time_zone="Pacific/Honolulu") == "Thu, Dec 31, 1:30 PM"


@pytest.mark.parametrize(
    ("at", "zone", "expected"),
    [
        # New York: clocks go ahead on 8 March 2026 at 07:00 UTC, and back on 1 November at 06:00 UTC.
        (datetime(2026, 3, 8, 6, 59, tzinfo=UTC), "America/New_York", "Sun, Mar 8, 1:59 AM"),
        (datetime(2026, 3, 8, 7, 0, tzinfo=UTC), "America/New_York", "Sun, Mar 8, 3:00 AM"),
        (datetime(2026, 11, 1, 5, 30, tzinfo=UTC), "America/New_York", "Sun, Nov 1, 1:30 AM"),
        (datetime(2026, 11, 1, 6, 30, tzinfo=UTC), "America/New_York", "Sun, Nov 1, 1:30 AM"),
        (datetime(2026, 11, 1, 7, 30, tzinfo=UTC), "America/New_York", "Sun, Nov 1, 2:30 AM"),
        # Berlin: 29 March 2026 at 01:00 UTC.
        (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), "Europe/Berlin", "Sun, Mar 29, 1:59 AM"),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "Europe/Berlin", "Sun, Mar 29, 3:00 AM"),
    ],
)
def test_daylight_saving_time_is_that_of_the_instant(at, zone, expected):
    assert spoken(at, time_zone=zone) == expected


@pytest.mark.parametrize("zone", [None, "", "Mars/Olympus", "../etc/passwd", "EST5", "Europe", "x" * 10_000])
def test_without_a_zone_the_time_says_whose_it_is(zone):
    assert spoken(time_zone=zone) == "Tue, Dec 1, 12:00 PM CST"


@pytest.mark.parametrize(
    ("fallback", "locale", "expected"),
    [
        ("Europe/Berlin", "de", "Di., 1. Dez., 19:00 CET"),
        ("Etc/UTC", "en", "Tue, Dec 1, 6:00 PM UTC"),
        ("America/Sao_Paulo", "pt", "ter, 1 dez, 15:00 UTC-3"),
        ("Asia/Kathmandu", "en-GB", "Tue 1 Dec, 23:45 UTC+5:45"),
        ("America/St_Johns", "en", "Tue, Dec 1, 2:30 PM NST"),
        ("Etc/GMT+12", "en", "Tue, Dec 1, 6:00 AM UTC-12"),
    ],
)
def test_a_zone_is_named_by_its_abbreviation_or_its_offset(fallback, locale, expected):
    assert spoken(time_zone=None, fallback_zone=fallback, locale=locale) == expected


def test_a_mark_of_summer_is_named_in_summer():
    at = datetime(2026, 7, 1, 18, 0, tzinfo=UTC)

    assert spoken(at, time_zone=None) == "Wed, Jul 1, 1:00 PM CDT"


@pytest.mark.parametrize("locale", LOCALES)
def test_no_time_of_two_years_is_long_or_outside_the_gsm_alphabet(locale):
    days = (datetime(2027, 1, 1, 12, 45, tzinfo=UTC) + timedelta(days=day) for day in range(366 + 365))

    texts = {
        spoken(day + timedelta(hours=hour), time_zone="Etc/UTC", locale=locale)
        for day in days
        for hour in (0, 10)
    }

    # The weekday tells the same date of the two years apart.
    assert len(texts) == 2 * (366 + 365)
    assert max(map(len, texts)) <= MAX_TIME_LENGTH
    assert {measure(text).encoding for text in texts} == {Encoding.GSM}


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("month", [1, 9])
def test_a_named_zone_keeps_within_its_length(locale, month):
    at = datetime(2026, month, 29, 12, 45, tzinfo=UTC)

    texts = [
        spoken(at + timedelta(days=days, hours=hours), time_zone=None, fallback_zone=zone, locale=locale)
        for zone in available_timezones() - {"Factory", "localtime"}
        for days in (0, 2)
        for hours in (0, 11)
    ]

    assert max(map(len, texts)) <= MAX_MARKED_TIME_LENGTH
    assert {measure(text).encoding for text in texts} == {Encoding.GSM}


@pytest.mark.parametrize("at", [datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)])
def test_the_ends_of_the_calendar_are_told_in_utc(at):
    zone = "Pacific/Kiritimati" if at.year > 1 else "America/New_York"

    assert spoken(at, time_zone=zone, fallback_zone=zone).endswith("UTC")


def test_a_naive_instant_is_refused():
    with pytest.raises(ValueError, match="must be aware"):
        spoken(datetime(2026, 12, 1, 18, 0))  # noqa: DTZ001


def test_a_fallback_zone_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="there is no time zone 'Mars/Olympus'; use an IANA name"):
        spoken(time_zone=None, fallback_zone="Mars/Olympus")


@pytest.mark.parametrize(
    "name",
    [
        "America/New_York",
        "America/Argentina/Buenos_Aires",
        "America/Port-au-Prince",
        "Europe/Kyiv",
        "Etc/GMT+5",
        "UTC",
        "EST5EDT",
    ],
)
def test_zones_that_exist(name):
    assert zone_exists(name)


@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        " ",
        "Mars/Olympus",
        "America",
        "America/",
        "/America/New_York",
        "America/New_York ",
        "America/New_York\n",
        "Europe/Berlin\0",
        "\0",
        "../etc/passwd",
        "/etc/passwd",
        "America/../America/New_York",
        "..",
        ".",
        "zone.tab",
        "leapseconds",
        "tzdata",
        "Factory",
        "localtime",
        "posixrules",
        "right/Europe/Berlin",
        "a" * 10_000,
        "a/" * 5_000,
        "\ud800",
        "Еurope/Berlin",  # a Cyrillic letter
        "GMT+2 (Berlin)",
        "{{link}}",
        "C:\\Windows",
    ],
)
def test_texts_that_are_no_zone(name):
    assert not zone_exists(name)


@pytest.mark.parametrize(
    "name", ["\0", "../etc/passwd", "/etc/passwd", "a" * 65, "America/a/b/c", "a b", "ä"]
)
def test_what_cannot_be_a_zone_is_looked_for_nowhere(name, monkeypatch):
    def look_up(key):
        raise AssertionError(key)

    monkeypatch.setattr(times, "ZoneInfo", look_up)

    assert not zone_exists(name)


@given(st.text() | st.text(alphabet="AEa/._-+\0 ", max_size=80))
def test_no_text_is_an_error(name):
    assert zone_exists(name) in (True, False)
    assert spoken(time_zone=name)
