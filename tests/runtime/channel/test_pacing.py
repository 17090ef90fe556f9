import itertools
from threading import Barrier, Lock, Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sms_engagement_runtime.channel.adapters.pacing import TokenBucketPacer


class ManualTime:
    """A clock that moves only by sleeping."""

    def __init__(self):
        self.now = 100.0
        self.slept = []

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def pacer(time, rate, *, jitter=1.0):
    return TokenBucketPacer(rate, clock=time.clock, sleep=time.sleep, jitter=lambda: jitter)


def test_the_first_text_does_not_wait():
    time = ManualTime()

    pacer(time, 1).acquire(1)

    assert time.slept == []


def test_texts_follow_one_another_at_the_rate():
    time = ManualTime()
    paced = pacer(time, 10)

    for _ in range(11):
        paced.acquire(1)

    assert time.now == pytest.approx(101.0)


def test_a_text_of_three_parts_holds_the_next_one_for_three_slots():
    time = ManualTime()
    paced = pacer(time, 1)

    paced.acquire(3)
    paced.acquire(1)

    assert time.slept == [3.0]


def test_a_quiet_minute_is_not_made_up_for_by_a_burst():
    time = ManualTime()
    paced = pacer(time, 1)
    paced.acquire(1)
    time.now += 60

    paced.acquire(1)
    paced.acquire(1)
    paced.acquire(1)

    assert time.slept == [1.0, 1.0]


@settings(max_examples=100, deadline=None)
@given(
    rate=st.floats(0.1, 100),
    texts=st.lists(st.tuples(st.integers(1, 10), st.floats(0, 5)), min_size=1, max_size=50),
)
def test_never_more_parts_than_the_rate_allows(rate, texts):
    time = ManualTime()
    paced = pacer(time, rate)
    starts = []

    for parts, idle in texts:
        time.now += idle
        paced.acquire(parts)
        starts.append((time.now, parts))

    for (earlier, parts), (later, _) in itertools.pairwise(starts):
        assert later - earlier >= parts / rate - 1e-6


def test_threads_share_one_rate():
    slots = []
    lock = Lock()
    start = Barrier(8)

    def note(seconds):
        with lock:
            slots.append(seconds)

    paced = TokenBucketPacer(4, clock=lambda: 0.0, sleep=note, jitter=lambda: 0.0)

    def send():
        start.wait()
        paced.acquire(1)

    threads = [Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(slots) == [0.25 * n for n in range(1, 8)]


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_a_rate_that_sends_nothing_is_refused(rate):
    with pytest.raises(ValueError, match="parts_per_second must be above 0"):
        pacer(ManualTime(), rate)


def test_backing_off_takes_twice_as_long_each_time_up_to_a_limit():
    time = ManualTime()
    paced = pacer(time, 1)

    for attempt in range(1, 7):
        paced.back_off(attempt)

    assert time.slept == [1, 2, 4, 8, 8, 8]


def test_jitter_takes_away_up_to_half_of_the_wait():
    time = ManualTime()

    pacer(time, 1, jitter=0.0).back_off(2)

    assert time.slept == [1]
