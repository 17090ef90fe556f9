"""Hours by wall clocks, held to a slow and obvious reading of the same rules."""

from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.quiet_hours import (
    DEFAULT,
    HORIZON,
    Place,
    QuietHoursPolicy,
    minute_of_day,
)
from sms_engagement_runtime.channel.domain.state_rules import STATE_RULES, Window, is_holiday

MINUTE = timedelta(minutes=1)
NOW = datetime(2026, 11, 21, 17, tzinfo=UTC)


def _lines(name):
    text = files("tzdata").joinpath("zoneinfo", name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]


ZONES = sorted(row[2] for row in _lines("zone1970.tab"))
"""Every zone whose clocks have differed from the others' since 1970."""
BY_COUNTRY = {
    country: tuple(row[2] for row in _lines("zone.tab") if row[0] == country)
    for country in {row[0] for row in _lines("zone.tab")}
}

# Where clocks have surprised programmers: half an hour of summer time, two hours of it, none in Ramadan, gaps
# and overlaps at midnight, quarters of an hour, and both ends of the date line.
ODD_ZONES = [
    "Africa/Cairo", "Africa/Casablanca", "America/Havana", "America/Nuuk", "America/Santiago",
    "America/St_Johns", "Antarctica/Troll", "Asia/Beirut", "Asia/Kathmandu", "Australia/Eucla",
    "Australia/Lord_Howe", "Europe/Dublin", "Europe/Lisbon", "Pacific/Apia", "Pacific/Chatham",
    "Pacific/Easter", "Pacific/Kiritimati", "Pacific/Pago_Pago",
]  # fmt: skip

zones = st.one_of(st.sampled_from(ODD_ZONES), st.sampled_from(ZONES))
places = st.builds(
    Place,
    st.one_of(
        st.lists(zones, min_size=1, max_size=3, unique=True).map(tuple),
        st.sampled_from(sorted(BY_COUNTRY.values())),
    ),
    st.lists(st.sampled_from(sorted(STATE_RULES)), max_size=2, unique=True).map(tuple),
)
windows = st.tuples(st.integers(0, 1439), st.integers(1, 1440)).filter(lambda w: w[0] < w[1])
# Their state rules may leave nothing of a window: then there is no such policy.
free_policies = st.builds(
    lambda window, weekends: QuietHoursPolicy(window=Window(*window), weekends=weekends, state_rules=False),
    windows,
    st.booleans(),
)
policies = st.one_of(
    free_policies,
    st.builds(
        lambda begin, end, weekends: QuietHoursPolicy(window=Window(begin, end), weekends=weekends),
        st.integers(0, 19 * 60),
        st.integers(20 * 60, 1440),
        st.booleans(),
    ),
)
instants = st.integers(0, 14 * 366 * 86_400).map(
    lambda s: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=s)
)


def _is_allowed(policy, place, at):
    """Say by the plain wording of the rules whether a text may go out."""
    rules = [STATE_RULES[state] for state in place.states] if policy.state_rules else []
    for name in place.zones:
        wall = at.astimezone(ZoneInfo(name))
        minute = wall.hour * 60 + wall.minute
        if wall.weekday() >= 5 and not policy.weekends:
            return False
        for window in [policy.window, *(rule.week[wall.weekday()] for rule in rules)]:
            if not window.from_minute <= minute < window.until_minute:
                return False
        if is_holiday(wall.date()) and any(rule.bars_holidays for rule in rules):
            return False
    return bool(place.zones)


def _steps(begin, end, step):
    """Yield `begin` and every whole step of the clock after it, up to `end`, which is left out."""
    at = begin
    while at < end:
        yield at
        at += step - (at - datetime.min.replace(tzinfo=UTC)) % step


def _transitions(zone, years=(2026, 2027)):
    """Yield the instants at which the offset of a zone changes, to the minute."""
    at, end = datetime(years[0], 1, 1, tzinfo=UTC), datetime(years[1] + 1, 1, 1, tzinfo=UTC)
    hour = timedelta(hours=1)
    while at < end:
        if _offset(zone, at) != _offset(zone, at + hour):
            yield next(
                at + n * MINUTE for n in range(1, 61) if _offset(zone, at) != _offset(zone, at + n * MINUTE)
            )
        at += hour


def _offset(zone, at):
    return at.astimezone(ZoneInfo(zone)).utcoffset()


# What the answers are, against the plain wording.


@given(policies, places, instants)
@settings(max_examples=300)
@example(DEFAULT, Place(BY_COUNTRY["US"]), datetime(2026, 11, 1, 17, 59, 59, tzinfo=UTC))
def test_open_is_what_every_wall_clock_and_every_rule_allow(policy, place, at):
    assert policy.hours_for(place).is_open(at) == _is_allowed(policy, place, at)


@pytest.mark.parametrize("zone", [*ODD_ZONES, "America/New_York", "Australia/Sydney", "Europe/Berlin"])
def test_every_minute_around_a_change_of_the_clocks_is_right(zone):
    """Windows that begin or end in the hour that is skipped, and in the one that comes twice."""
    day = timedelta(days=1)
    for change in _transitions(zone):
        wall = change.astimezone(ZoneInfo(zone))
        edge = wall.hour * 60 + wall.minute
        for begin, end in (
            (edge - 30, edge + 45),
            (edge + 15, edge + 300),
            (edge - 45, edge - 15),
            (0, 1440),
        ):
            if not 0 <= begin < end <= 1440:
                continue
            policy = QuietHoursPolicy(window=Window(begin, end), state_rules=False)
            place = Place((zone,))
            hours = policy.hours_for(place)
            for at in _steps(change - day, change + day, MINUTE):
                assert hours.is_open(at) == _is_allowed(policy, place, at), (zone, at, begin, end)


@given(policies, places, instants)
@settings(max_examples=60)
def test_next_open_is_open_and_no_minute_before_it_is(policy, place, at):
    hours = policy.hours_for(place)
    opens = hours.next_open(at)

    # Minute by minute for the two days before, and every quarter of an hour before that.
    end = at + HORIZON if opens is None else opens
    before = [*_steps(at, end, 15 * MINUTE), *_steps(max(at, end - timedelta(days=2)), end, MINUTE)]
    assert not any(_is_allowed(policy, place, minute) for minute in before)
    if opens is not None:
        assert at <= opens <= at + HORIZON
        assert _is_allowed(policy, place, opens)


@given(policies, places, instants)
@settings(max_examples=60)
def test_open_until_is_the_first_minute_that_is_closed(policy, place, at):
    hours = policy.hours_for(place)
    closes = hours.open_until(at)

    assert (closes is None) == (not _is_allowed(policy, place, at))
    if closes is not None:
        assert at < closes
        assert all(
            _is_allowed(policy, place, minute)
            for minute in _steps(at, min(closes, at + timedelta(days=2)), MINUTE)
        )
        assert closes == at + HORIZON or not _is_allowed(policy, place, closes)


@given(policies, places, instants)
def test_the_three_answers_agree(policy, place, at):
    hours = policy.hours_for(place)
    opens = hours.next_open(at)

    assert hours.is_open(at) == (opens == at) == (hours.open_until(at) is not None)
    if opens is not None:
        closes = hours.open_until(opens)
        assert closes is not None
        if closes < opens + HORIZON:
            assert hours.open_until(closes - timedelta(microseconds=1)) == closes
            assert not hours.is_open(closes)


# Days of 23 and 25 hours, in words.


def _wall(text, zone, *, fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def _hours(zone, begin, end):
    policy = QuietHoursPolicy(window=Window(minute_of_day(begin), minute_of_day(end)), state_rules=False)
    return policy.hours_for(Place((zone,)))


@pytest.mark.parametrize(
    ("zone", "begin", "midnight", "opens"),
    [
        ("America/New_York", "02:30", "2026-03-08T00:00", "2026-03-08T03:00"),
        ("Europe/Berlin", "02:15", "2026-03-29T00:00", "2026-03-29T03:00"),
        ("Australia/Sydney", "02:59", "2026-10-04T00:00", "2026-10-04T03:00"),
        ("Australia/Lord_Howe", "02:10", "2026-10-04T00:00", "2026-10-04T02:30"),
        ("America/Santiago", "00:20", "2026-09-05T23:30", "2026-09-06T01:00"),
        ("Africa/Cairo", "00:00", "2026-04-23T23:00", "2026-04-24T01:00"),
        ("Antarctica/Troll", "01:30", "2026-03-29T00:00", "2026-03-29T03:00"),
    ],
)
def test_a_window_that_begins_in_a_gap_opens_when_the_clock_has_jumped(zone, begin, midnight, opens):
    hours = _hours(zone, begin, "12:00")

    assert hours.next_open(_wall(midnight, zone)) == _wall(opens, zone)


@pytest.mark.parametrize(
    ("zone", "day", "time", "back_to"),
    [
        ("America/New_York", "2026-11-01", "01:30", "01:00"),
        ("Europe/London", "2026-10-25", "01:30", "01:00"),
        ("Australia/Adelaide", "2026-04-05", "02:30", "02:00"),
        ("Australia/Lord_Howe", "2026-04-05", "01:40", "01:30"),
    ],
)
def test_a_window_that_ends_in_an_hour_that_comes_twice_closes_twice(zone, day, time, back_to):
    hours = _hours(zone, "00:10", time)
    start = _wall(f"{day}T00:30", zone)
    first, second = (_wall(f"{day}T{time}", zone, fold=fold) for fold in (0, 1))
    again = _wall(f"{day}T{back_to}", zone, fold=1)

    assert hours.open_until(start) == first.astimezone(UTC)
    assert not hours.is_open(first.astimezone(UTC))
    assert hours.next_open(first.astimezone(UTC)) == again.astimezone(UTC)
    assert hours.open_until(again.astimezone(UTC)) == second.astimezone(UTC)


@pytest.mark.parametrize(
    "zone", ["America/New_York", "America/Santiago", "Europe/Lisbon", "Australia/Lord_Howe"]
)
def test_the_window_by_day_is_as_long_on_days_of_23_and_25_hours(zone):
    hours = DEFAULT.hours_for(Place((zone,)))
    for change in _transitions(zone):
        morning = _wall(f"{change.astimezone(ZoneInfo(zone)).date()}T08:00", zone)

        assert hours.next_open(morning - timedelta(hours=9)) == morning
        assert hours.open_until(morning) - morning.astimezone(UTC) == timedelta(hours=13)


def test_the_day_that_samoa_skips_does_not_exist():
    """Apia went from 29 to 31 December 2011. The rule is the same for a zone that will do so again."""
    hours = _hours("Pacific/Apia", "08:00", "21:00")

    closes = _wall("2011-12-29T21:00", "Pacific/Apia")

    assert hours.next_open(closes) == _wall("2011-12-31T08:00", "Pacific/Apia")
    assert hours.next_open(closes) - closes.astimezone(UTC) == timedelta(hours=11)


def test_hours_around_the_clock_are_one_stretch_as_far_as_it_is_looked_for():
    hours = _hours("America/New_York", "00:00", "24:00")

    assert hours.open_until(NOW) == NOW + HORIZON


def test_weekdays_around_the_clock_end_at_midnight_of_the_wall_clock():
    policy = QuietHoursPolicy(window=Window(0, 1440), weekends=False, state_rules=False)
    hours = policy.hours_for(Place(("America/New_York",)))
    saturday = _wall("2026-11-21T00:00", "America/New_York")

    assert hours.open_until(_wall("2026-11-16T00:00", "America/New_York")) == saturday
    assert hours.next_open(saturday) == _wall("2026-11-23T00:00", "America/New_York")


@pytest.mark.parametrize(("weekends", "opens"), [(True, "2026-11-21T08:00"), (False, "2026-11-23T08:00")])
def test_without_weekends_friday_night_waits_for_monday(weekends, opens):
    hours = QuietHoursPolicy(weekends=weekends).hours_for(Place(("America/New_York",)))

    assert hours.next_open(_wall("2026-11-20T21:00", "America/New_York")) == _wall(opens, "America/New_York")


# Several zones, and none.


def test_a_number_of_the_whole_country_waits_until_it_is_morning_in_the_last_zone():
    hours = DEFAULT.hours_for(Place(BY_COUNTRY["US"]))

    assert hours.next_open(NOW) == _wall("2026-11-21T08:00", "Pacific/Honolulu")
    assert hours.open_until(hours.next_open(NOW)) == _wall("2026-11-21T21:00", "America/New_York")


def test_no_hour_suits_both_sides_of_the_world():
    policy = QuietHoursPolicy(window=Window.of_hours(9, 17))
    hours = policy.hours_for(Place(("America/New_York", "Asia/Shanghai")))

    assert hours.next_open(NOW) is None
    assert hours.open_until(NOW) is None
    assert not any(hours.is_open(NOW + n * 15 * MINUTE) for n in range(14 * 96))


@pytest.mark.parametrize("place", [Place(()), Place((), ("US-FL",))])
def test_an_unknown_place_is_never_open(place):
    hours = DEFAULT.hours_for(place)

    assert not any(hours.is_open(NOW + n * 15 * MINUTE) for n in range(14 * 96))
    assert hours.next_open(NOW) is None
    assert hours.open_until(NOW) is None
    assert hours.key == "unknown"


@pytest.mark.parametrize(("day", "opens"), [("10-19", "2026-11-01T14:00"), ("10-17", None)])
def test_an_hour_is_looked_for_fourteen_days_ahead(day, opens):
    """New York at 14:00 and Honolulu at 09:00 meet when New York's summer time ends, on 1 November."""
    policy = QuietHoursPolicy(window=Window(9 * 60, 14 * 60 + 30), state_rules=False)
    hours = policy.hours_for(Place(("America/New_York", "Pacific/Honolulu")))

    assert hours.next_open(_wall(f"2026-{day}T12:00", "America/New_York")) == (
        opens and _wall(opens, "America/New_York")
    )


def test_a_weekend_beside_holidays_is_waited_for():
    oklahoma = QuietHoursPolicy(weekends=False).hours_for(Place(("America/Chicago",), ("US-OK",)))

    opens = oklahoma.next_open(_wall("2026-12-24T20:00", "America/Chicago"))

    assert opens == _wall("2026-12-28T08:00", "America/Chicago")


# Keys.


@given(policies, places, instants)
def test_a_key_gives_the_same_hours_back(policy, place, at):
    hours = policy.hours_for(place)
    again = policy.hours_of_key(hours.key)

    assert again.key == hours.key
    assert again.is_open(at) == hours.is_open(at)
    assert again.next_open(at) == hours.next_open(at)
    assert again.open_until(at) == hours.open_until(at)


@given(policies, places, places)
def test_equal_keys_are_the_same_wall_clocks_and_rules(policy, one, other):
    if policy.hours_for(one).key == policy.hours_for(other).key:
        for hour in range(14 * 24):
            at = NOW + timedelta(hours=hour)
            assert policy.hours_for(one).is_open(at) == policy.hours_for(other).is_open(at)


@given(policies, places)
def test_a_key_is_printable_ascii_without_blanks(policy, place):
    key = policy.hours_for(place).key

    assert key.isascii()
    assert key.isprintable()
    assert " " not in key


def test_zones_whose_clocks_agree_are_one():
    assert DEFAULT.hours_for(Place(BY_COUNTRY["US"])).key == ",".join(
        [
            "America/New_York", "America/Chicago", "America/Denver", "America/Phoenix", "America/Los_Angeles",
            "America/Anchorage", "America/Adak", "Pacific/Honolulu",
        ]
    )  # fmt: skip
    assert DEFAULT.hours_for(Place(("Asia/Calcutta", "Asia/Kolkata"))).key == "Asia/Calcutta"


def test_zones_that_differ_on_a_few_days_only_are_kept():
    """Morocco's clocks go back an hour in Ramadan; Nuuk's and Sao Paulo's agree for a half of each year."""
    for pair in [("Africa/Lagos", "Africa/Casablanca"), ("America/Nuuk", "America/Sao_Paulo")]:
        assert DEFAULT.hours_for(Place(pair)).key == ",".join(pair)


def test_no_zone_changes_its_clocks_there_and_back_within_two_weeks():
    """Only so are changes found by comparing the offsets of two days."""
    day = timedelta(days=1)
    for name in ZONES:
        zone = ZoneInfo(name)
        at = datetime(2025, 1, 1, tzinfo=UTC)
        offsets = [(at + n * day).astimezone(zone).utcoffset() for n in range(15 * 365)]
        changes = [n for n in range(1, len(offsets)) if offsets[n] != offsets[n - 1]]
        assert all(later - earlier > 14 for earlier, later in pairwise(changes)), name


@pytest.mark.parametrize(
    "key", ["", ",", "Mars/Olympus", "America/New_York,", "America", "../etc/passwd", "US-FL"]
)
def test_refuses_a_key_that_is_none(key):
    with pytest.raises(ValueError, match="there is no time zone"):
        DEFAULT.hours_of_key(key)


# Cost.


def test_asking_again_computes_nothing():
    place = Place(("America/New_York", "America/Chicago"), ("US-FL",))
    equal = Place(("America/New_York", "America/Chicago"), ("US-FL",))

    assert DEFAULT.hours_for(place) is DEFAULT.hours_for(equal)
    assert QuietHoursPolicy().hours_for(place) is DEFAULT.hours_for(place)


def test_answers_stay_right_when_more_days_are_asked_for_than_are_kept():
    place = Place(("Europe/Berlin",))
    hours = DEFAULT.hours_for(place)

    for n in [*range(200), *range(200)]:
        at = NOW + timedelta(days=n, hours=n % 24)
        assert hours.is_open(at) == _is_allowed(DEFAULT, place, at)


# Instants and settings.


def test_instants_may_be_in_any_zone_and_answers_are_utc():
    hours = DEFAULT.hours_for(Place(("America/New_York",)))
    tokyo = NOW.astimezone(ZoneInfo("Asia/Tokyo"))

    assert hours.is_open(tokyo)
    assert hours.next_open(tokyo) == NOW
    assert hours.next_open(tokyo).tzinfo is UTC
    assert hours.open_until(tokyo).tzinfo is UTC


@pytest.mark.parametrize("question", ["is_open", "next_open", "open_until"])
def test_refuses_a_time_that_names_no_instant(question):
    hours = DEFAULT.hours_for(Place(("America/New_York",)))

    with pytest.raises(ValueError, match="an instant must be aware"):
        getattr(hours, question)(datetime.fromisoformat("2026-11-21T17:00"))


def test_a_place_in_a_zone_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="there is no time zone 'Mars/Olympus'"):
        DEFAULT.hours_for(Place(("Mars/Olympus",)))


@pytest.mark.parametrize(
    ("values", "policy"),
    [
        ({}, DEFAULT),
        ({"from": "08:00", "until": "21:00", "weekends": True, "stateRules": True}, DEFAULT),
        ({"from": "09:30"}, QuietHoursPolicy(window=Window(570, 1260))),
        ({"until": "24:00", "from": "00:00"}, QuietHoursPolicy(window=Window(0, 1440))),
        ({"weekends": False}, QuietHoursPolicy(weekends=False)),
        ({"stateRules": False}, QuietHoursPolicy(state_rules=False)),
    ],
)
def test_reads_its_settings(values, policy):
    assert QuietHoursPolicy.from_settings(values) == policy


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"from": "8:00"}, "a time of day is written HH:MM, from 00:00 to 24:00; got '8:00'"),
        ({"until": "24:01"}, "got '24:01'"),
        ({"until": "21:60"}, "got '21:60'"),
        ({"from": 8}, "got 8"),
        ({"from": "08:00\n"}, "got '08:00"),
        ({"from": "٠٨:٠٠"}, "a time of day is written HH:MM"),
        ({"from": "21:00", "until": "08:00"}, "begin before it ends, within one day; got 21:00–08:00"),
        ({"from": "08:00", "until": "08:00"}, "begin before it ends"),
        ({"weekends": "false"}, "weekends of the quiet hours must be true or false; got 'false'"),
        ({"stateRules": 1}, "stateRules of the quiet hours must be true or false; got 1"),
        ({"allowedFrom": "08:00"}, "quiet hours have no allowedFrom"),
        (
            {"from": "20:30", "until": "22:00"},
            "20:30–22:00 leave nothing in US-CT, whose law allows 09:00–20:00",
        ),
        ({"from": "21:00", "until": "22:00"}, "leave nothing in US-CT"),
    ],
)
def test_refuses_settings_that_are_none(values, message):
    with pytest.raises(ValueError, match=message):
        QuietHoursPolicy.from_settings(values)


def test_late_hours_are_possible_where_no_text_goes_to_the_states_that_forbid_them():
    policy = QuietHoursPolicy.from_settings({"from": "20:30", "until": "22:00", "stateRules": False})

    assert policy.hours_for(Place(("Europe/Rome",))).is_open(_wall("2026-11-21T21:00", "Europe/Rome"))
