"""Which parts are sent next: what is open, what closes first, and no more than fits."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.broadcast.hours import always_open
from sms_engagement_runtime.channel.domain.broadcast.run import Part
from sms_engagement_runtime.channel.domain.broadcast.waves import choose_wave, starts_at, wave_length
from sms_engagement_runtime.channel.domain.quiet_hours import DEFAULT

EAST, WEST, HAWAII = "America/New_York", "America/Los_Angeles", "Pacific/Honolulu"
NOON = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)  # noon in New York, nine in Los Angeles, seven in Honolulu
# Half a minute before nine in the evening, New York: until then the gate lets texts pass.
CLOSING = datetime(2026, 11, 22, 1, 59, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def part(name, group=EAST, people=10, not_before=None):
    return Part(key=f"runs/r/parts/{name}.jsonl", group=group, people=people, not_before=not_before)


def choose(*parts, now=NOON, length=15 * MINUTE, rate=1, hours_of=DEFAULT.hours_of_key):
    wave = choose_wave(parts, now=now, hours_of=hours_of, length=length, recipients_per_second=rate)
    assert sorted(p.key for p in (*wave.parts, *wave.later)) == sorted(p.key for p in parts)
    return [p.name for p in wave.parts]


def test_parts_go_in_their_order():
    assert choose(part("1"), part("2"), part("3")) == ["1", "2", "3"]


def test_those_whose_hours_end_first_go_first():
    parts = [part("1", WEST), part("2", EAST), part("3", WEST), part("4", EAST)]

    assert choose(*parts) == ["2", "4", "1", "3"]


def test_those_whose_hours_have_not_begun_wait():
    assert choose(part("1", HAWAII), part("2")) == ["2"]


def test_those_whose_time_has_not_come_wait():
    assert choose(part("1", not_before=NOON + MINUTE), part("2", not_before=NOON)) == ["2"]


def test_people_of_whom_nobody_knows_the_hours_go_last():
    assert choose(part("1", "unknown"), part("2")) == ["2", "1"]


def test_a_wave_is_no_longer_than_it_may_be():
    parts = [part(str(n), people=30) for n in range(1, 9)]

    assert choose(*parts, length=MINUTE) == ["1", "2"]
    assert choose(*parts, length=MINUTE, rate=2) == ["1", "2", "3", "4"]


def test_one_part_at_least_is_sent():
    assert choose(part("1", people=5000), part("2"), length=MINUTE) == ["1"]


def test_no_part_begins_when_its_hours_are_over():
    parts = [part(str(n), people=50) for n in range(1, 6)]

    # At 0, 50 and 100 seconds; the fourth would begin half a minute too late.
    assert choose(*parts, now=CLOSING - timedelta(seconds=140)) == ["1", "2", "3"]


def test_a_part_that_does_not_fit_makes_way_for_one_that_does():
    late, early = part("1", EAST, people=100), part("2", WEST, people=10)

    assert choose(late, early, now=CLOSING - timedelta(seconds=20)) == ["2"]


def test_a_small_part_is_sent_in_the_last_seconds():
    assert choose(part("1", people=5), now=CLOSING - timedelta(seconds=5)) == ["1"]
    assert choose(part("1", people=6), now=CLOSING - timedelta(seconds=5)) == []


@pytest.mark.parametrize(
    ("group", "not_before", "now", "expected"),
    [
        (EAST, None, NOON, NOON),
        (EAST, NOON + MINUTE, NOON, NOON + MINUTE),
        (EAST, NOON - MINUTE, NOON, NOON),
        (HAWAII, None, NOON, datetime(2026, 11, 21, 18, 0, tzinfo=UTC)),
        (EAST, CLOSING + MINUTE, NOON, datetime(2026, 11, 22, 13, 0, tzinfo=UTC)),
        # It could begin, and would be closed at once.
        (EAST, None, CLOSING - timedelta(seconds=10), datetime(2026, 11, 22, 13, 0, tzinfo=UTC)),
        ("unknown", None, NOON, NOON),
    ],
)
def test_the_first_instant_at_which_a_part_can_be_sent(group, not_before, now, expected):
    assert (
        starts_at(part("1", group, not_before=not_before), now=now, hours_of=DEFAULT.hours_of_key) == expected
    )


def test_in_a_dry_run_it_is_always_the_hour():
    assert choose(part("1", HAWAII), part("2"), hours_of=always_open, length=timedelta.max) == ["1", "2"]


def test_waves_grow_from_a_minute_to_a_quarter_of_an_hour():
    minutes = [wave_length(waves) / MINUTE for waves in (0, 1, 2, 3, 4, 5, 1000)]

    assert minutes == [1, 2, 4, 8, 15, 15, 15]


@given(
    people=st.lists(st.integers(1, 400), min_size=1, max_size=12),
    groups=st.lists(st.sampled_from([EAST, WEST, HAWAII, "unknown"]), min_size=12, max_size=12),
    seconds=st.integers(0, 24 * 3600),
    rate=st.sampled_from([0.1, 1, 75, 1000]),
)
def test_where_no_part_can_be_sent_all_can_be_waited_for(people, groups, seconds, rate):
    now = NOON + timedelta(seconds=seconds)
    parts = [part(str(n), groups[n], people=many) for n, many in enumerate(people)]

    if choose(*parts, now=now, rate=rate):
        return

    # Else the run would turn on the spot.
    assert min(starts_at(one, now=now, hours_of=DEFAULT.hours_of_key) for one in parts) > now
