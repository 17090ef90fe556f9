"""Each rule at its edges, on the clocks of its state."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from sms_engagement_runtime.channel.domain.quiet_hours import DEFAULT, Place, QuietHoursPolicy
from sms_engagement_runtime.channel.domain.state_rules import (
    STATE_RULES,
    StateRule,
    Window,
    federal_holidays,
    is_holiday,
)

MONDAY = date(2026, 11, 16)
SATURDAY = MONDAY + timedelta(days=5)
SUNDAY = MONDAY + timedelta(days=6)

# State, one of its zones, a part of the rule's source, and what it allows: Monday, Saturday, Sunday.
RULES = [
    ("US-CT", "America/New_York", "42-288a", ("09:00", "20:00"), ("09:00", "20:00"), ("09:00", "20:00")),
    ("US-FL", "America/New_York", "501.616", ("08:00", "20:00"), ("08:00", "20:00"), ("08:00", "20:00")),
    ("US-FL", "America/Chicago", "501.616", ("08:00", "20:00"), ("08:00", "20:00"), ("08:00", "20:00")),
    ("US-MD", "America/New_York", "Subtitle 45", ("08:00", "20:00"), ("08:00", "20:00"), ("08:00", "20:00")),
    ("US-OK", "America/Chicago", "775C", ("08:00", "20:00"), ("08:00", "20:00"), ("08:00", "20:00")),
    ("US-TX", "America/Chicago", "301.051", ("09:00", "21:00"), ("09:00", "21:00"), ("12:00", "21:00")),
    ("US-TX", "America/Denver", "301.051", ("09:00", "21:00"), ("09:00", "21:00"), ("12:00", "21:00")),
    ("US-WA", "America/Los_Angeles", "80.36.390", ("08:00", "20:00"), ("08:00", "20:00"), ("08:00", "20:00")),
]
EDGES = [
    pytest.param(state, zone, day, edges, id=f"{state} {zone} {day:%A}")
    for state, zone, _, *week in RULES
    for day, edges in zip((MONDAY, SATURDAY, SUNDAY), week, strict=True)
]


def _wall(day: date, time: str, zone: str) -> datetime:
    return datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=ZoneInfo(zone))


def test_every_rule_is_checked_here_and_names_its_source():
    assert {(state, source) for state, _, source, *_ in RULES if source in STATE_RULES[state].source} == {
        (state, source) for state, _, source, *_ in RULES
    }
    assert {state for state, *_ in RULES} == STATE_RULES.keys()


@pytest.mark.parametrize(("state", "zone", "day", "edges"), EDGES)
def test_opens_and_closes_to_the_second(state, zone, day, edges):
    hours = DEFAULT.hours_for(Place((zone,), (state,)))
    opens, closes = (_wall(day, time, zone) for time in edges)
    second = timedelta(seconds=1)

    assert [hours.is_open(at) for at in (opens - second, opens, closes - second, closes)] == [
        False, True, True, False
    ]  # fmt: skip
    assert hours.next_open(closes - timedelta(days=1)) == opens
    assert hours.open_until(opens) == closes


@pytest.mark.parametrize(("state", "zone", "day", "edges"), EDGES)
def test_a_person_elsewhere_and_a_policy_without_state_rules_have_the_federal_hours(state, zone, day, edges):
    for hours in (
        DEFAULT.hours_for(Place((zone,))),
        DEFAULT.hours_for(Place((zone,), ("US-NY",))),
        QuietHoursPolicy(state_rules=False).hours_for(Place((zone,), (state,))),
    ):
        assert hours.is_open(_wall(day, "08:00", zone))
        assert hours.is_open(_wall(day, "20:59", zone))
        assert not hours.is_open(_wall(day, "21:00", zone))
        assert hours.key == zone


def test_a_rule_never_widens_what_the_channel_allows():
    policy = QuietHoursPolicy(window=Window.of_hours(10, 19))
    texas = policy.hours_for(Place(("America/Chicago",), ("US-TX",)))

    assert not texas.is_open(_wall(MONDAY, "09:59", "America/Chicago"))
    assert not texas.is_open(_wall(MONDAY, "19:00", "America/Chicago"))
    assert not texas.is_open(_wall(SUNDAY, "11:59", "America/Chicago"))
    assert texas.is_open(_wall(SUNDAY, "12:00", "America/Chicago"))


def test_a_rule_that_forbids_nothing_more_makes_no_group_of_its_own():
    policy = QuietHoursPolicy(window=Window.of_hours(12, 20))
    zone = "America/New_York"

    assert policy.hours_for(Place((zone,), ("US-FL",))).key == policy.hours_for(Place((zone,))).key


def test_the_rules_of_several_states_add_up():
    hours = DEFAULT.hours_for(Place(("America/New_York",), ("US-TX", "US-CT")))

    assert not hours.is_open(_wall(SUNDAY, "11:59", "America/New_York"))
    assert hours.is_open(_wall(SUNDAY, "12:00", "America/New_York"))
    assert not hours.is_open(_wall(SUNDAY, "20:00", "America/New_York"))


def test_the_texan_sunday_is_sunday_in_texas():
    hours = DEFAULT.hours_for(Place(("America/Chicago",), ("US-TX",)))
    saturday_evening = _wall(SATURDAY, "20:30", "America/Chicago")

    assert saturday_evening.astimezone(ZoneInfo("UTC")).date() == SUNDAY
    assert hours.is_open(saturday_evening)
    assert hours.next_open(saturday_evening + timedelta(hours=1)) == _wall(SUNDAY, "12:00", "America/Chicago")


@pytest.mark.parametrize(
    ("closed", "opens_again"),
    [
        (date(2026, 11, 26), date(2026, 11, 27)),  # Thanksgiving
        (date(2026, 12, 25), date(2026, 12, 26)),
        (date(2026, 7, 3), date(2026, 7, 5)),  # Independence Day is a Saturday, observed on the day before
        (date(2027, 7, 4), date(2027, 7, 6)),  # and a Sunday, observed on the day after
        (date(2027, 12, 31), date(2028, 1, 2)),  # New Year's Day of 2028 is a Saturday
    ],
)
def test_oklahoma_is_silent_on_holidays(closed, opens_again):
    zone = "America/Chicago"
    oklahoma = DEFAULT.hours_for(Place((zone,), ("US-OK",)))
    texas = DEFAULT.hours_for(Place((zone,), ("US-TX",)))

    assert not oklahoma.is_open(_wall(closed, "15:00", zone))
    assert texas.is_open(_wall(closed, "15:00", zone))
    assert oklahoma.next_open(_wall(closed, "00:00", zone)) == _wall(opens_again, "08:00", zone)


def test_holidays_are_barred_whatever_the_hours():
    policy = QuietHoursPolicy(window=Window.of_hours(9, 17))
    oklahoma = policy.hours_for(Place(("America/Chicago",), ("US-OK",)))

    assert not oklahoma.is_open(_wall(date(2026, 11, 26), "12:00", "America/Chicago"))


# U.S. Office of Personnel Management, Federal Holidays; the holiday itself added where it is observed on
# another day.
@pytest.mark.parametrize(
    ("year", "days"),
    [
        (2026, "01-01 01-19 02-16 05-25 06-19 07-03 07-04 09-07 10-12 11-11 11-26 12-25"),
        (2027, "01-01 01-18 02-15 05-31 06-18 06-19 07-04 07-05 09-06 10-11 11-11 11-25 12-24 12-25 12-31"),
        (2028, "01-01 01-17 02-21 05-29 06-19 07-04 09-04 10-09 11-10 11-11 11-23 12-25"),
        (2023, "01-01 01-02 01-16 02-20 05-29 06-19 07-04 09-04 10-09 11-10 11-11 11-23 12-25"),
    ],
)
def test_federal_holidays(year, days):
    assert sorted(f"{day:%m-%d}" for day in federal_holidays(year)) == days.split()
    assert all(is_holiday(day) for day in federal_holidays(year))


def test_the_last_year_of_the_calendar_has_holidays():
    assert is_holiday(date(9999, 12, 25))


@pytest.mark.parametrize(("begin", "end"), [(600, 600), (601, 600), (-1, 600), (600, 1441)])
def test_a_window_is_a_part_of_one_day(begin, end):
    with pytest.raises(ValueError, match="begin before it ends, within one day"):
        Window(begin, end)


def test_a_rule_has_a_window_for_each_day():
    with pytest.raises(ValueError, match="a week has 7 days, got 1"):
        StateRule(state="US-XX", week=(Window.of_hours(8, 20),), source="none")
