"""Whole broadcasts on a virtual clock, in small; and that the simulation would notice."""

from dataclasses import replace
from datetime import timedelta

import pytest

from benchmarks.simulation import Figures, main, simulate
from benchmarks.virtual_time import StuckError, VirtualTime
from sms_engagement_runtime.channel.domain.pacing import Rate


@pytest.mark.parametrize(("rate", "minutes"), [(1, 20), (10, 10), (75, 1)])
def test_a_broadcast_keeps_the_rate_and_texts_everybody_once(rate, minutes):
    figures = simulate(rate, rate * 60 * minutes)

    assert figures.most_in_a_second <= rate
    assert (figures.twice, figures.never) == (0, 0)
    # The steps around the texts weigh the more, the shorter a run is.
    assert figures.used >= (0.95 if minutes > 1 else 0.9)


def test_a_rate_that_is_not_kept_is_noticed(monkeypatch):
    monkeypatch.setattr(
        Rate, "spacing", lambda self, parts: timedelta(seconds=0.98 * parts / self.parts_per_second)
    )

    figures = simulate(10, 600)

    assert "a second held 11 parts" in figures.misses()


FINE = Figures(
    rate=10,
    recipients=9_600,
    seconds=1000,
    most_in_a_second=10,
    longest_gap=1,
    twice=0,
    never=0,
    waves=5,
    functions=1,
    writes=10,
    peaks={},
    real_seconds=1,
)


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        ({}, []),
        ({"recipients": 9_400}, ["94.0% of the rate is below 95%"]),
        ({"recipients": 10_001}, ["the run ended before arithmetic says that it can"]),
        ({"most_in_a_second": 11}, ["a second held 11 parts"]),
        ({"twice": 1}, ["1 people were texted twice"]),
        ({"never": 2}, ["2 people were not texted"]),
    ],
)
def test_each_goal_that_is_missed_is_named(change, sentences):
    assert replace(FINE, **change).misses() == sentences


@pytest.mark.parametrize(("change", "more", "status"), [({}, 10, 0), ({}, 51, 1), ({"twice": 3}, 10, 1)])
def test_the_exit_status_says_whether_a_goal_was_missed(monkeypatch, capsys, change, more, status):
    def run(rate, recipients):
        peak = 100.0 + (more if recipients == 200_000 else 0)
        return replace(FINE, **change, peaks={"snapshot": peak, "plan": 100.0})

    monkeypatch.setattr("benchmarks.simulation._in_a_process_of_its_own", run)

    assert main([]) == status
    assert ("MISSED" in capsys.readouterr().out) == (status == 1)


class TestVirtualTime:
    def test_whoever_is_due_first_runs_first(self):
        time, log = VirtualTime(), []

        def work(name, *pauses):
            for pause in pauses:
                time.sleep(pause)
                log.append((name, time.elapsed()))

        time.run([lambda: work("a", 3, 3), lambda: work("b", 1, 3)])

        assert log == [("b", 1), ("a", 3), ("b", 4), ("a", 6)]

    def test_a_lock_goes_to_whoever_came_first(self):
        time, log = VirtualTime(), []
        lock = time.lock()

        def work(name, arrives):
            time.sleep(arrives)
            with lock:
                time.sleep(10)
                log.append((name, time.elapsed()))

        time.run([lambda: work("a", 2), lambda: work("b", 1), lambda: work("c", 3)])

        assert log == [("b", 11), ("a", 21), ("c", 31)]

    def test_a_pool_shares_its_items_among_its_threads(self):
        time, results = VirtualTime(), []

        def work(seconds):
            time.sleep(seconds)
            return seconds, time.elapsed()

        def everything():
            with time.pool(2) as pool:
                results.extend(pool.map(work, [5, 1, 1, 1]))

        time.run([everything])

        assert results == [(5, 5), (1, 1), (1, 2), (1, 3)]

    @pytest.mark.timeout(10)
    def test_threads_that_wait_for_one_another_are_an_error(self):
        time = VirtualTime()
        lock = time.lock()

        def work():
            with lock, lock:
                pass

        with pytest.raises(StuckError):
            time.run([work])

    @pytest.mark.timeout(10)
    @pytest.mark.parametrize("where", ["thread", "pool"])
    def test_an_error_comes_out(self, where):
        time = VirtualTime()

        def fail(_=None):
            time.sleep(1)
            raise ZeroDivisionError

        def in_a_pool():
            list(time.pool(2).map(fail, [1, 2]))

        with pytest.raises(ZeroDivisionError):
            time.run([fail if where == "thread" else in_a_pool])
