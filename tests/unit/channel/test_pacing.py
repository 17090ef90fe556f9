import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.pacing import (
    BLOCK,
    HEADROOM,
    LONGEST_WAIT,
    Full,
    Lane,
    Rate,
    Reserved,
    is_missed,
    reserve,
    slots,
)

NOW = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def seconds(count):
    return timedelta(seconds=count)


@pytest.mark.parametrize(
    ("rate", "parts", "spacing"),
    [
        (Rate(parts_per_second=1), 1, 1.02),
        (Rate(parts_per_second=100), 1, 0.0102),
        (Rate(parts_per_second=10), 3, 0.306),
        (Rate(parts_per_second=3), 10, 3.4),
        (Rate(parts_per_second=10, requests_per_second=1), 1, 1.02),
        (Rate(parts_per_second=10, requests_per_second=1), 20, 2.04),
        (Rate(parts_per_second=10, requests_per_second=100), 1, 0.102),
    ],
)
def test_the_stricter_limit_decides_how_far_texts_are_apart(rate, parts, spacing):
    assert rate.spacing(parts) == seconds(spacing)


@pytest.mark.parametrize("name", ["parts_per_second", "requests_per_second"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_sends_nothing_or_everything_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be above 0"):
        Rate(**{"parts_per_second": 1, name: value})


def test_a_block_holds_a_second_of_texts_at_the_most():
    rate = Rate(parts_per_second=10)

    block = rate.block([1] * 30)

    assert len(block) == 9
    assert sum(block, timedelta(0)) <= BLOCK < sum([*block, block[0]], timedelta(0))


def test_a_text_of_more_parts_than_a_second_takes_is_a_block_of_its_own():
    assert Rate(parts_per_second=3).block([10, 1, 1]) == [seconds(3.4)]


@pytest.mark.parametrize("end", [None, NOW - seconds(3600), NOW])
@pytest.mark.parametrize("lane", Lane)
def test_nothing_unused_is_made_up_for(end, lane):
    assert reserve(end, NOW, lane) == Reserved(start=NOW)


def test_texts_stand_behind_those_who_came_first():
    assert reserve(NOW + seconds(0.5), NOW, Lane.PROMOTIONAL) == Reserved(start=NOW + seconds(0.5))


@pytest.mark.parametrize(("lane", "ahead"), [(Lane.PROMOTIONAL, BLOCK), (Lane.TRANSACTIONAL, LONGEST_WAIT)])
def test_a_lane_reserves_so_far_ahead_and_no_further(lane, ahead):
    assert reserve(NOW + ahead, NOW, lane) == Reserved(start=NOW + ahead)
    assert reserve(NOW + ahead + MICROSECOND, NOW, lane) == Full(until=NOW + MICROSECOND)


@pytest.mark.parametrize("lane", Lane)
def test_waiting_until_told_is_enough(lane):
    end = NOW + seconds(31.7)
    full = reserve(end, NOW, lane)

    assert isinstance(full, Full)
    assert reserve(end, full.until, lane) == Reserved(start=end)


def test_a_transactional_text_waits_for_two_blocks_at_worst():
    rate = Rate(parts_per_second=10)
    end = NOW
    while isinstance(decision := reserve(end, NOW, Lane.PROMOTIONAL), Reserved):
        end = decision.start + sum(rate.block([1] * 30), timedelta(0))

    decision = reserve(end, NOW, Lane.TRANSACTIONAL)

    assert isinstance(decision, Reserved)
    assert BLOCK < decision.start - NOW <= 2 * BLOCK


@pytest.mark.parametrize("lane", Lane)
def test_an_end_that_only_a_wrong_clock_can_have_written_is_passed_over(lane):
    assert reserve(NOW + timedelta(days=3), NOW, lane) == Reserved(start=NOW)


def test_slots_of_a_block_are_as_far_apart_as_its_texts_ask_for():
    assert slots(NOW, [seconds(1), seconds(2), seconds(1)]) == [NOW, NOW + seconds(1), NOW + seconds(3)]


@pytest.mark.parametrize(("late", "missed"), [(-1, False), (0, False), (0.01, False), (0.0101, True)])
def test_a_slot_is_missed_when_half_the_headroom_is_gone(late, missed):
    assert is_missed(NOW, NOW + seconds(late)) is missed


@given(
    rate=st.sampled_from([0.5, 1, 3, 10, 75, 100, 1000]),
    asked=st.lists(
        st.tuples(
            st.floats(0, 2), st.lists(st.integers(1, 4), min_size=1, max_size=30), st.sampled_from(Lane)
        ),
        min_size=1,
        max_size=40,
    ),
)
def test_texts_are_always_as_far_apart_as_their_parts_ask_for(rate, asked):
    now, end, sent = NOW, None, []
    limits = Rate(parts_per_second=rate)

    for idle, texts, lane in asked:
        now += seconds(idle)
        spacings = limits.block(texts)
        decision = reserve(end, now, lane)
        if isinstance(decision, Reserved):
            end = decision.start + sum(spacings, timedelta(0))
            sent += zip(slots(decision.start, spacings), texts, strict=False)

    assert sent
    for (slot, parts), (following, _) in itertools.pairwise(sent):
        assert (following - slot) >= seconds(parts / rate * (1 + HEADROOM)) - MICROSECOND
