from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.channel.domain.frequency import FrequencyCap
from sms_engagement_runtime.channel.domain.pacing import LEAVES_WITHIN

NOW = datetime(2026, 11, 21, 17, tzinfo=UTC)
INSTANTS = st.integers(0, 3 * 24 * 60).map(lambda minutes: NOW + timedelta(minutes=minutes))
CAPS = st.builds(
    FrequencyCap, texts=st.integers(1, 4), period=st.integers(1, 36).map(lambda hours: timedelta(hours=hours))
)


def test_the_default_is_what_the_strictest_states_allow():
    assert FrequencyCap() == FrequencyCap(texts=3, period=timedelta(hours=24))


@pytest.mark.parametrize(
    ("settings", "cap"),
    [
        ({}, FrequencyCap()),
        ({"texts": 1}, FrequencyCap(texts=1)),
        ({"texts": 2, "seconds": 3600}, FrequencyCap(texts=2, period=timedelta(hours=1))),
    ],
)
def test_settings(settings, cap):
    assert FrequencyCap.from_settings(settings) == cap


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"texts": 0}, "at least 1 text, got 0"),
        ({"seconds": 0}, "must be positive, got 0:00:00"),
        ({"texts": "3"}, "texts of a frequency cap must be a whole number, got '3'"),
        ({"texts": True}, "must be a whole number, got True"),
        ({"seconds": 1.5}, "seconds of a frequency cap must be a whole number, got 1.5"),
        ({"hours": 24}, "has texts and seconds, got hours"),
    ],
)
def test_malformed_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        FrequencyCap.from_settings(settings)


@given(CAPS, st.lists(st.tuples(INSTANTS, st.integers(0, 30)), max_size=40))
def test_no_period_ever_holds_more_texts_than_the_cap(cap, attempts):
    recent: dict[str, datetime] = {}
    left: list[datetime] = []

    for number, (now, seconds_on_its_way) in enumerate(sorted(attempts)):
        if cap.blocked_until(recent, f"text {number}", now) is None:
            recent = cap.remember(recent, f"text {number}", now)
            left.append(now + timedelta(seconds=seconds_on_its_way))

    # Of any texts + 1 in a row, the last left a whole period after the first, or later.
    left.sort()
    windows = zip(left, left[cap.texts :], strict=False)
    assert all(last - first >= cap.period for first, last in windows)
    assert len(recent) <= cap.texts


@given(CAPS, st.dictionaries(st.text(max_size=3), INSTANTS, max_size=8), INSTANTS)
def test_a_text_is_blocked_until_the_first_instant_that_lets_it_pass(cap, recent, now):
    until = cap.blocked_until(recent, "own", now)

    if until is not None:
        assert until > now
        assert cap.blocked_until(recent, "own", until) is None
        assert cap.blocked_until(recent, "own", until - timedelta(microseconds=1)) == until


@given(CAPS, st.dictionaries(st.text(max_size=3), INSTANTS, max_size=8), INSTANTS)
def test_what_left_the_period_is_forgotten_and_decides_nothing(cap, recent, now):
    kept = cap.remember(recent, "own", now)

    assert kept.pop("own") == now
    assert all(at > now - cap.period - LEAVES_WITHIN for at in kept.values())
    others = {key: at for key, at in recent.items() if key != "own"}
    assert cap.blocked_until(kept, "own", now) == cap.blocked_until(others, "own", now)


def test_a_second_attempt_at_the_same_text_counts_once():
    cap = FrequencyCap(texts=1)
    first = cap.remember({}, "own", NOW)

    again = cap.remember(first, "own", NOW + timedelta(hours=1))

    assert cap.blocked_until(first, "own", NOW + timedelta(hours=1)) is None
    assert again == {"own": NOW + timedelta(hours=1)}
    assert (
        cap.blocked_until(again, "other", NOW + timedelta(hours=2))
        == NOW + timedelta(hours=25) + LEAVES_WITHIN
    )


def test_the_wait_ends_later_the_more_there_are():
    cap = FrequencyCap(texts=2, period=timedelta(hours=10))
    hours = [0, 1, 2, 3]

    waits = [
        cap.blocked_until({str(n): NOW + timedelta(hours=n) for n in hours[:count]}, "own", NOW)
        for count in (2, 3, 4)
    ]

    assert waits == [NOW + timedelta(hours=10 + n) + LEAVES_WITHIN for n in (0, 1, 2)]
    assert all(earlier < later for earlier, later in pairwise(waits))
