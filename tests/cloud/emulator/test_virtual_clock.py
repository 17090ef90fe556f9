"""The clock by itself, over real time that a test makes up."""

import threading
from datetime import UTC, datetime

import pytest

from sms_local.emulator.virtual_clock import (
    Call,
    CountedThread,
    Due,
    VirtualClock,
    VirtualTime,
    Woken,
)

START = datetime(2026, 11, 21, 17, tzinfo=UTC).timestamp()
PATIENCE = 10


class RealTime:
    """Real time as a test says it is."""

    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def real():
    return RealTime()


@pytest.fixture
def clock(real):
    return VirtualClock(start=START, real_time=real)


def due(seconds, name="it"):
    return Due(at=START + seconds, what="wait", name=name)


def started(clock, work):
    thread = type("Thread", (CountedThread,), {"clock": clock})(target=work, daemon=True)
    thread.start()
    return thread


def sleeper(clock, awaited, woken, **options):
    """A counted thread that sleeps, and notes why it woke."""
    thread = started(clock, lambda: woken.append((awaited.name, clock.sleep(awaited, **options))))
    assert clock.wait_until_quiet(PATIENCE)
    return thread


def test_time_begins_where_it_is_told_to_and_goes_on_with_real_time(clock, real):
    assert clock.now() == START
    real.now += 90

    assert clock.now() == START + 90


def test_the_offset_is_published_and_taken_over(tmp_path, real):
    file = tmp_path / "offset"
    clock = VirtualClock(file, start=START, real_time=real)
    clock.advance(START + 3600)

    assert float(file.read_text()) == START + 3600 - real.now
    assert VirtualClock(file, start=START, real_time=real).now() == START + 3600


def test_who_sleeps_wakes_at_its_instant_and_not_before(clock):
    woken = []
    threads = [sleeper(clock, due(seconds, str(seconds)), woken) for seconds in (30, 10, 20)]

    clock.advance(START + 9)
    assert woken == []
    for at in (10, 20, 30):
        clock.advance(START + at)
        assert clock.wait_until_quiet(PATIENCE)

    assert woken == [("10", Woken.DUE), ("20", Woken.DUE), ("30", Woken.DUE)]
    for thread in threads:
        thread.join(PATIENCE)


def test_what_is_past_is_no_wait(clock):
    assert clock.sleep(due(0)) is Woken.DUE


def test_who_is_woken_counts_before_the_advance_returns(clock):
    go_on = threading.Event()

    def work():
        clock.sleep(due(10))
        go_on.wait(PATIENCE)

    started(clock, work)
    assert clock.wait_until_quiet(PATIENCE)

    clock.advance(START + 10)

    assert clock.running == 1
    assert not clock.wait_until_quiet(0.01)
    go_on.set()
    assert clock.wait_until_quiet(PATIENCE)


def test_a_call_wakes_before_the_instant(clock):
    woken, call = [], Call(clock)
    sleeper(clock, due(60), woken, call=call)

    call.set()
    assert clock.wait_until_quiet(PATIENCE)

    assert woken == [("it", Woken.CALLED)]
    assert clock.next_due() is None


def test_who_calls_hands_over_without_a_moment_of_quiet(clock):
    """A hundred threads, each woken by the one before: nobody sees quiet until the last has ended."""
    calls = [Call(clock) for _ in range(100)]
    ended = []

    def work(number):
        calls[number].wait()
        if number + 1 < len(calls):
            calls[number + 1].set()
        else:
            ended.append(number)

    threads = [started(clock, lambda number=number: work(number)) for number in range(len(calls))]
    assert clock.wait_until_quiet(PATIENCE)

    calls[0].set()
    assert clock.wait_until_quiet(PATIENCE)

    assert ended == [99]
    for thread in threads:
        thread.join(PATIENCE)


def test_who_waits_for_the_end_of_another_does_not_count_meanwhile(clock):
    woken = []

    def parent():
        child = started(clock, lambda: woken.append(clock.sleep(due(60))))
        child.join()
        woken.append("parent")

    started(clock, parent)
    assert clock.wait_until_quiet(PATIENCE)
    assert woken == []

    clock.advance(START + 60)
    assert clock.wait_until_quiet(PATIENCE)

    assert woken == [Woken.DUE, "parent"]


def test_work_given_away_counts_before_it_begins(clock):
    done = []

    work = clock.counted_from_now(lambda value: done.append(value))
    assert clock.running == 1
    thread = threading.Thread(target=work, args=(1,))
    thread.start()
    thread.join(PATIENCE)

    assert (done, clock.running) == ([1], 0)


def test_counting_twice_counts_once(clock):
    with clock.counted(), clock.counted():
        assert clock.running == 1

    assert clock.running == 0


def test_work_that_fails_counts_no_longer(clock):
    with pytest.raises(ValueError, match="no"), clock.counted():
        raise ValueError("no")

    assert clock.running == 0


def test_what_is_over_is_due_no_more_and_wakes_when_asked(clock):
    woken, over = [], []
    sleeper(clock, due(60), woken, is_over=lambda: bool(over))
    over.append(True)

    assert clock.next_due() is None
    clock.wake_over()
    assert clock.wait_until_quiet(PATIENCE)

    assert woken == [("it", Woken.OVER)]
    assert clock.fell_due(0) == []


def test_alarms_ring_in_order_unless_they_were_cancelled(clock):
    rung = []
    for seconds in (30, 10, 20):
        alarm = clock.call_at(due(seconds, str(seconds)), lambda seconds=seconds: rung.append(seconds))
        if seconds == 20:
            alarm.cancel()

    assert clock.next_due() == due(10, "10")
    clock.advance(START + 60)

    assert rung == [10, 30]
    assert clock.next_due() is None
    assert [one.name for one in clock.fell_due(0)] == ["10", "30"]


class EveryMinute:
    """A source that is due with each full minute."""

    def __init__(self):
        self.asked = []

    def next_due(self, now):
        return due(((now - START) // 60 + 1) * 60)

    def fire(self, since, now):
        self.asked.append((since - START, round(now - START)))
        return [due(60)]


def test_a_source_is_asked_for_each_stretch_once(clock):
    source = EveryMinute()
    clock.add_source(source)

    clock.advance(START + 60)
    clock.advance(START + 90)

    assert source.asked == [(0, 60), (60, 90)]
    assert clock.next_due() == due(120)


def test_going_back_starts_nothing_and_time_goes_on_from_there(clock):
    source, woken = EveryMinute(), []
    clock.add_source(source)
    clock.advance(START + 3600)
    sleeper(clock, due(7200), woken)
    source.asked.clear()

    clock.put_back(START)
    clock.advance(START + 60)

    assert source.asked == [(0, 60)]
    assert woken == []
    assert clock.now() == START + 60
    clock.advance(START + 7200)
    assert clock.wait_until_quiet(PATIENCE)
    assert woken == [("it", Woken.DUE)]


def test_what_fell_due_is_told_from_a_count_on(clock):
    for seconds in (10, 20, 30):
        clock.note(due(seconds))

    assert [one.at - START for one in clock.fell_due(1)] == [20, 30]
    assert clock.fell_due(clock.logged) == []


def test_an_instant_is_told_exactly_enough_to_be_gone_to(clock, real):
    real.now = 1_700_000_000.123456
    awaited = Due(at=clock.now() + 0.1 + 0.2, what="wait", name="it")
    woken = []
    sleeper(clock, awaited, woken)

    clock.advance(datetime.fromisoformat(awaited.describe()["at"]).timestamp())
    assert clock.wait_until_quiet(PATIENCE)

    assert woken == [("it", Woken.DUE)]


def test_a_service_sees_the_virtual_time_of_day_and_the_real_rest(clock):
    import time

    module = VirtualTime(clock=clock)

    assert module.time() == START
    assert module.gmtime() == time.gmtime(START)
    assert module.gmtime(0) == time.gmtime(0)
    assert module.monotonic is time.monotonic
