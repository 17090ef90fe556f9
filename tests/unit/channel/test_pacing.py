import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.pacing import (
    BLOCK,
    HEADROOM,
    LONGEST_WAIT,
    Block,
    Full,
    Lane,
    Rate,
    is_missed,
    reserve,
)

NOW = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def seconds(count):
    return timedelta(seconds=count)


@pytest.mark.parametrize(
    ("rate", "parts", "spacing"),
    [
        (Rate(parts_per_second=1), 1, 1.03),
        (Rate(parts_per_second=100), 1, 0.0103),
        (Rate(parts_per_second=10), 3, 0.309),
        (Rate(parts_per_second=3), 10, 10.3 / 3),
        (Rate(parts_per_second=10, requests_per_second=1), 1, 1.03),
        (Rate(parts_per_second=10, requests_per_second=1), 20, 2.06),
        (Rate(parts_per_second=10, requests_per_second=100), 1, 0.103),
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
    assert Rate(parts_per_second=3).block([10, 1, 1]) == [seconds(10.3 / 3)]


@pytest.mark.parametrize("end", [None, NOW - seconds(3600), NOW])
def test_nothing_unused_is_made_up_for(end):
    decision = reserve(end, NOW, [seconds(1), seconds(2)], Lane.PROMOTIONAL)

    assert decision == Block(slots=[NOW, NOW + seconds(1)], end=NOW + seconds(3))


def test_texts_stand_behind_those_who_came_first():
    decision = reserve(NOW + seconds(0.5), NOW, [seconds(0.1)], Lane.PROMOTIONAL)

    assert decision == Block(slots=[NOW + seconds(0.5)], end=NOW + seconds(0.6))


@pytest.mark.parametrize(("lane", "ahead"), [(Lane.PROMOTIONAL, BLOCK), (Lane.TRANSACTIONAL, LONGEST_WAIT)])
def test_a_lane_reserves_so_far_ahead_and_no_further(lane, ahead):
    spacings = [seconds(1)]

    assert isinstance(reserve(NOW + ahead, NOW, spacings, lane), Block)
    assert reserve(NOW + ahead + MICROSECOND, NOW, spacings, lane) == Full(until=NOW + MICROSECOND)


def test_waiting_until_told_is_enough():
    full = reserve(NOW + seconds(1.7), NOW, [seconds(1)], Lane.PROMOTIONAL)

    assert isinstance(full, Full)
    assert isinstance(reserve(NOW + seconds(1.7), full.until, [seconds(1)], Lane.PROMOTIONAL), Block)


def test_a_transactional_text_waits_for_two_blocks_at_worst():
    rate = Rate(parts_per_second=10)
    end = NOW
    while isinstance(block := reserve(end, NOW, rate.block([1] * 30), Lane.PROMOTIONAL), Block):
        end = block.end

    decision = reserve(end, NOW, rate.block([1]), Lane.TRANSACTIONAL)

    assert isinstance(decision, Block)
    assert BLOCK < decision.slots[0] - NOW <= 2 * BLOCK


def test_an_end_that_only_a_wrong_clock_can_have_written_is_passed_over():
    decision = reserve(NOW + timedelta(days=3), NOW, [seconds(1)], Lane.PROMOTIONAL)

    assert decision == Block(slots=[NOW], end=NOW + seconds(1))


@pytest.mark.parametrize(("late", "missed"), [(-1, False), (0, False), (0.015, False), (0.0151, True)])
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
        decision = reserve(end, now, spacings, lane)
        if isinstance(decision, Block):
            end = decision.end
            sent += zip(decision.slots, texts, strict=False)

    assert sent
    for (slot, parts), (following, _) in itertools.pairwise(sent):
        assert (following - slot) >= seconds(parts / rate * (1 + HEADROOM)) - MICROSECOND
