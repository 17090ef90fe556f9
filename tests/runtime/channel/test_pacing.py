"""Pacers of several processes on one queue: the same tests over a fake of the queue and over the table."""

import random
from bisect import bisect_left
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from threading import Event

import pytest
from botocore.exceptions import ClientError

from benchmarks.virtual_time import START, VirtualTime
from sms_engagement_runtime.channel.adapters.clients import RETRYING, SENDING
from sms_engagement_runtime.channel.adapters.pacing import (
    MOST_WORKERS,
    PACING_KEY,
    DynamoRateQueue,
    SharedPacer,
    workers_for,
)
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.pacing import LONGEST_WAIT, Full, Lane, NoSlotError, Rate, Reserved
from tests.support.dynamodb_tables import CONTACTS, channel_tables
from tests.support.fakes import FakeClock, FakeRateQueue

SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)
WRITE_SECONDS = 0.005


@pytest.fixture(params=["fake", "dynamodb"])
def queue(request):
    if request.param == "fake":
        yield FakeRateQueue()
        return
    with channel_tables() as client:
        yield DynamoRateQueue(client, table=CONTACTS)


class TestQueue:
    """The fake and the table carry out the same decision, ``pacing.reserve``."""

    def test_a_new_queue_begins_now(self, queue):
        assert queue.reserve(SECOND, Lane.PROMOTIONAL, START) == Reserved(start=START)

    def test_one_stands_behind_the_other(self, queue):
        queue.reserve(0.4 * SECOND, Lane.PROMOTIONAL, START)

        assert queue.reserve(SECOND, Lane.PROMOTIONAL, START) == Reserved(start=START + 0.4 * SECOND)
        assert queue.reserve(SECOND, Lane.TRANSACTIONAL, START) == Reserved(start=START + 1.4 * SECOND)

    def test_a_queue_that_has_passed_is_made_up_for_by_nobody(self, queue):
        queue.reserve(SECOND, Lane.PROMOTIONAL, START)

        for now in (START + SECOND, START + 2.5 * SECOND):
            assert queue.reserve(SECOND / 2, Lane.PROMOTIONAL, now) == Reserved(start=now)

    def test_promotional_texts_stand_where_the_queue_is_a_block_long_at_the_most(self, queue):
        queue.reserve(SECOND + MICROSECOND, Lane.PROMOTIONAL, START)

        refused = queue.reserve(SECOND, Lane.PROMOTIONAL, START)

        assert refused == Full(until=START + MICROSECOND)
        expected = Reserved(start=START + SECOND + MICROSECOND)
        assert queue.reserve(SECOND, Lane.PROMOTIONAL, refused.until) == expected

    def test_transactional_texts_stand_in_a_longer_queue(self, queue):
        queue.reserve(LONGEST_WAIT + MICROSECOND, Lane.PROMOTIONAL, START)

        assert queue.reserve(SECOND, Lane.PROMOTIONAL, START) == Full(
            until=START + LONGEST_WAIT + MICROSECOND - SECOND
        )
        assert queue.reserve(SECOND, Lane.TRANSACTIONAL, START) == Full(until=START + MICROSECOND)
        assert queue.reserve(SECOND, Lane.TRANSACTIONAL, START + MICROSECOND) == Reserved(
            start=START + LONGEST_WAIT + MICROSECOND
        )

    def test_an_end_that_a_wrong_clock_wrote_is_passed_over(self, queue):
        queue.reserve(SECOND, Lane.PROMOTIONAL, START + timedelta(days=30))

        assert queue.reserve(SECOND, Lane.PROMOTIONAL, START) == Reserved(start=START)
        assert queue.reserve(SECOND, Lane.PROMOTIONAL, START) == Reserved(start=START + SECOND)


class TestTable:
    """What only the table has: several processes, each with what it saw last."""

    @pytest.fixture
    def client(self):
        with channel_tables() as client:
            yield client

    @pytest.mark.parametrize("seed", range(4))
    def test_what_others_did_in_between_is_always_seen(self, client, seed):
        chance = random.Random(seed)
        fake = FakeRateQueue()
        processes = [DynamoRateQueue(client, table=CONTACTS) for _ in range(3)]
        now = START

        for _ in range(40):
            now += chance.randrange(2_000_000) * MICROSECOND
            length, lane = chance.randrange(1, 3_000_000) * MICROSECOND, chance.choice([*Lane])
            expected = fake.reserve(length, lane, now)
            decision = chance.choice(processes).reserve(length, lane, now)

            # Who saw an end that is long outdated is told a time at which it asks again.
            assert type(decision) is type(expected)
            assert decision == expected or (isinstance(decision, Full) and decision.until < expected.until)

    def test_a_row_that_was_deleted_is_begun_anew(self, client):
        queue = DynamoRateQueue(client, table=CONTACTS)
        queue.reserve(SECOND, Lane.PROMOTIONAL, START)
        client.delete_item(TableName=CONTACTS, Key=PACING_KEY)

        assert queue.reserve(SECOND, Lane.PROMOTIONAL, START) == Reserved(start=START)

    def test_who_stands_in_a_queue_makes_one_write(self, client):
        counted = Counting(client)
        ours, theirs = DynamoRateQueue(counted, table=CONTACTS), DynamoRateQueue(client, table=CONTACTS)
        ours.reserve(SECOND / 4, Lane.PROMOTIONAL, START)

        for _ in range(3):
            theirs.reserve(SECOND / 20, Lane.PROMOTIONAL, START)
            ours.reserve(SECOND / 20, Lane.PROMOTIONAL, START)

        assert counted.calls == 4

    def test_who_sees_a_queue_that_is_too_long_makes_none(self, client):
        counted = Counting(client)
        queue = DynamoRateQueue(counted, table=CONTACTS)
        queue.reserve(2 * SECOND, Lane.PROMOTIONAL, START)

        assert queue.reserve(SECOND, Lane.PROMOTIONAL, START) == Full(until=START + SECOND)
        assert counted.calls == 1

    def test_the_row_stands_beside_the_pause_flag(self, client):
        DynamoRateQueue(client, table=CONTACTS).reserve(SECOND, Lane.PROMOTIONAL, START)

        row = client.get_item(TableName=CONTACTS, Key=PACING_KEY)["Item"]

        assert row["queueEnd"] == {"N": str(round(START.timestamp() * 1_000_000) + 1_000_000)}
        assert row["schemaVersion"] == {"N": "1"}

    def test_a_table_that_is_gone_is_a_transient_error(self, client):
        with pytest.raises(TransientError, match="UpdateItem: ResourceNotFound"):
            DynamoRateQueue(client, table="other").reserve(SECOND, Lane.PROMOTIONAL, START)

    def test_a_row_that_is_another_one_each_time_is_given_up(self):
        class Restless:
            """Its row is gone and back again with every call."""

            def __init__(self):
                self.calls = 0

            def update_item(self, **_):
                self.calls += 1
                item = {"queueEnd": {"N": "1"}} if self.calls % 2 else {}
                raise ClientError(
                    {"Error": {"Code": "ConditionalCheckFailedException"}, "Item": item}, "UpdateItem"
                )

        with pytest.raises(TransientError, match="the queue changed each time"):
            DynamoRateQueue(Restless(), table=CONTACTS).reserve(SECOND, Lane.PROMOTIONAL, START)


class Counted:
    """A queue, with the number of times that it was asked."""

    def __init__(self, queue):
        self._queue = queue
        self.writes = 0

    def reserve(self, length, lane, now):
        self.writes += 1
        return self._queue.reserve(length, lane, now)


class Counting:
    """Counts the writes that go through it."""

    def __init__(self, client):
        self.client = client
        self.calls = 0

    def update_item(self, **request):
        self.calls += 1
        return self.client.update_item(**request)


class Distant:
    """A queue that answers after some milliseconds; others may come in between."""

    def __init__(self, queue, time):
        self.queue = queue
        self.time = time
        self.calls = 0

    def reserve(self, length, lane, now):
        self.calls += 1
        self.time.sleep(WRITE_SECONDS / 2)
        decision = self.queue.reserve(length, lane, now)
        self.time.sleep(WRITE_SECONDS / 2)
        return decision


class Processes:
    """Processes with a pacer each, on one queue; remembers when each text left."""

    def __init__(self, rate, count=1, *, queue=None, time=None):
        self.time = time or VirtualTime()
        self.queue = Distant(queue or FakeRateQueue(), self.time)
        self.pacers = [
            SharedPacer(
                rate if isinstance(rate, Rate) else Rate(parts_per_second=rate),
                queue=self.queue,
                clock=self.time,
                sleep=self.time.sleep,
                jitter=lambda: 1.0,
                lock=self.time.lock,
            )
            for _ in range(count)
        ]
        self.left = {lane: [] for lane in Lane}
        self.random = random.Random(1)

    def send(self, pacer, lane, *, parts=1, gate_seconds=lambda: 0.0, call_seconds=0.0):
        # As the send service does: who misses three slots leaves late.
        for _ in range(3):
            slot = pacer.acquire(parts, lane)
            self.time.sleep(gate_seconds())
            if pacer.hold(slot):
                break
        self.time.sleep(call_seconds)
        self.left[lane].append(self.time.elapsed())

    def worker(self, pacer, texts, lane=Lane.PROMOTIONAL):
        """Sends texts one after another, in no time."""

        def work():
            for _ in range(texts):
                self.send(pacer, lane)

        return work

    def real_worker(self, pacer, texts):
        """Sends texts one after another, by way of services that answer now sooner, now later."""

        def gate_seconds():
            return 0.01 + self.random.uniform(0, 0.02) + self.hiccup()

        def work():
            for _ in range(texts):
                self.send(
                    pacer,
                    Lane.PROMOTIONAL,
                    gate_seconds=gate_seconds,
                    call_seconds=self.random.uniform(0, 0.014),
                )
                self.time.sleep(0.02)

        return work

    def hiccup(self):
        """One call in five hundred takes a fifth of a second longer."""
        return 0.2 if self.random.random() < 0.002 else 0.0

    @property
    def all_left(self):
        return sorted(instant for instants in self.left.values() for instant in instants)


def most_in_a_second(instants):
    """The most texts in any second, wherever it begins."""
    return max(bisect_left(instants, round(begin + 1, 6)) - number for number, begin in enumerate(instants))


@pytest.mark.parametrize(
    ("rate", "processes", "workers", "texts"),
    [(1, 3, 4, 10), (3, 2, 6, 10), (10, 3, 8, 10), (75, 4, 16, 12), (100, 4, 16, 15), (1000, 6, 60, 25)],
)
def test_processes_together_keep_the_rate_and_use_it(rate, processes, workers, texts):
    channel = Processes(rate, processes)

    channel.time.run(channel.real_worker(pacer, texts) for pacer in channel.pacers for _ in range(workers))

    count = processes * workers * texts
    assert len(channel.all_left) == count
    assert most_in_a_second(channel.all_left) <= rate
    # From the first text to the last there are count - 1 steps.
    assert (count - 1) / (channel.all_left[-1] - channel.all_left[0]) >= 0.95 * rate


def test_the_same_holds_over_the_table():
    with channel_tables() as client:
        channel = Processes(100, 3, queue=DynamoRateQueue(client, table=CONTACTS))

        channel.time.run(channel.real_worker(pacer, 6) for pacer in channel.pacers for _ in range(16))

    assert len(channel.all_left) == 288
    assert most_in_a_second(channel.all_left) <= 100
    assert 287 / (channel.all_left[-1] - channel.all_left[0]) >= 95


def test_a_thousand_texts_a_second_take_less_than_a_hundred_writes():
    channel = Processes(1000, 4)

    channel.time.run(channel.real_worker(pacer, 20) for pacer in channel.pacers for _ in range(64))

    assert channel.queue.calls / channel.time.elapsed() < 100


def test_a_rate_that_cannot_be_filled_is_not_a_write_for_each_text():
    channel = Processes(2000)

    def work():
        for _ in range(40):
            channel.send(channel.pacers[0], Lane.PROMOTIONAL, call_seconds=0.05)

    channel.time.run([work] * 60)

    texts, seconds = len(channel.all_left), channel.time.elapsed()
    assert texts / seconds > 500
    assert channel.queue.calls / seconds <= 51
    assert most_in_a_second(channel.all_left) <= 2000


def test_on_an_idle_queue_a_text_by_itself_waits_for_nobody():
    channel = Processes(2000)
    waited = []

    def work():
        for _ in range(20):
            begun_at = channel.time.elapsed()
            channel.pacers[0].acquire(1, Lane.PROMOTIONAL)
            waited.append(channel.time.elapsed() - begun_at)
            channel.time.sleep(0.02)

    channel.time.run([work])

    assert {round(seconds, 6) for seconds in waited} == {WRITE_SECONDS}


def test_texts_that_come_together_on_an_idle_queue_wait_for_a_moment_only():
    channel = Processes(2000)
    waited = []

    def work(begin):
        channel.time.sleep(begin)
        channel.pacers[0].acquire(1, Lane.TRANSACTIONAL)
        waited.append(channel.time.elapsed() - begin)

    channel.time.run([lambda begin=begin: work(begin) for begin in (0, 0.001, 0.004, 0.019)])

    assert channel.queue.calls == 2
    assert max(waited) <= 0.02 + WRITE_SECONDS


def test_who_reserves_for_others_is_not_held_up_by_one_of_them_who_sleeps():
    clock, queue, asleep, wake = FakeClock(START), Counted(FakeRateQueue()), Event(), Event()

    def sleep(_: float) -> None:
        if not asleep.is_set():
            asleep.set()
            assert wake.wait(60)

    pacer = SharedPacer(
        Rate(parts_per_second=1000), queue=queue, clock=clock, sleep=sleep, jitter=lambda: 0.0
    )
    pacer.acquire(1, Lane.PROMOTIONAL)
    with ThreadPoolExecutor() as threads:
        sleeper = threads.submit(pacer.acquire, 1, Lane.PROMOTIONAL)
        try:
            assert asleep.wait(60)
            clock.advance(milliseconds=100)
            threads.submit(pacer.acquire, 1, Lane.PROMOTIONAL).result(60)
            assert not sleeper.done()
        finally:
            wake.set()

    assert sleeper.result().parts == 1
    assert queue.writes == 2


def test_all_processes_get_their_share():
    channel = Processes(20, 4)
    texts = Counter()

    def work(number):
        while channel.time.elapsed() < 60:
            channel.send(channel.pacers[number], Lane.PROMOTIONAL)
            texts[number] += 1

    channel.time.run(lambda number=number: work(number) for number in range(4) for _ in range(8))

    assert sum(texts.values()) > 60 * 19
    assert min(texts.values()) > 0.5 * max(texts.values())


def test_a_transactional_text_passes_those_that_wait_for_a_broadcast():
    channel = Processes(10, 3)
    waited = []

    def reply():
        channel.time.sleep(10)
        channel.send(channel.pacers[0], Lane.TRANSACTIONAL)
        waited.append(channel.time.elapsed() - 10)

    broadcast = [channel.worker(pacer, 8) for pacer in channel.pacers for _ in range(20)]
    channel.time.run([*broadcast, reply])

    behind = [instant for instant in channel.left[Lane.PROMOTIONAL] if instant > 10 + waited[0]]
    assert waited[0] <= 2.1
    assert len(behind) > 300
    assert most_in_a_second(channel.all_left) <= 10


def test_a_broadcast_stands_still_while_transactional_texts_take_the_whole_rate():
    channel = Processes(10, 2)
    refused = []

    def newsletter():
        channel.time.sleep(5)
        with pytest.raises(NoSlotError):
            channel.send(channel.pacers[1], Lane.PROMOTIONAL)
        refused.append(channel.time.elapsed())

    replies = [channel.worker(channel.pacers[0], 15, Lane.TRANSACTIONAL) for _ in range(40)]
    channel.time.run([*replies, newsletter])

    assert 5 < refused[0] <= 35.1
    assert len(channel.left[Lane.TRANSACTIONAL]) == 600
    assert most_in_a_second(channel.all_left) <= 10


def test_a_broadcast_goes_on_after_a_rush_of_transactional_texts():
    channel = Processes(10, 2)
    replies = [channel.worker(channel.pacers[0], 1, Lane.TRANSACTIONAL) for _ in range(100)]
    broadcast = [channel.worker(channel.pacers[1], 5) for _ in range(4)]

    channel.time.run([*replies, *broadcast])

    assert len(channel.left[Lane.PROMOTIONAL]) == 20
    # But for the block that the broadcast had when the rush came.
    assert sorted(channel.left[Lane.PROMOTIONAL])[4] > max(channel.left[Lane.TRANSACTIONAL]) - 1.1


@pytest.mark.parametrize(
    ("share", "workers"), [(0.001, 2), (1, 2), (3.5, 7), (10, 20), (50, 100), (64, 128), (1000, 128)]
)
def test_threads_grow_with_the_rate_up_to_what_a_processor_bears(share, workers):
    assert workers_for(share) == workers


def test_every_thread_has_a_connection():
    assert SENDING.max_pool_connections == RETRYING.max_pool_connections == MOST_WORKERS


def test_the_first_text_goes_to_the_gate_at_once_and_leaves_when_it_has_passed():
    channel = Processes(1)
    at_the_gate = []

    def work():
        slot = channel.pacers[0].acquire(1, Lane.TRANSACTIONAL)
        at_the_gate.append(channel.time.elapsed())
        channel.time.sleep(0.03)
        channel.pacers[0].hold(slot)

    channel.time.run([work])

    assert at_the_gate == [WRITE_SECONDS]
    assert WRITE_SECONDS + 0.03 <= channel.time.elapsed() < WRITE_SECONDS + 0.05


def test_what_the_gate_takes_does_not_make_texts_uneven():
    channel = Processes(10)
    gates = [0.0, 0.03, 0.001, 0.02, 0.04, 0.0]

    def work():
        for gate in gates:
            channel.send(channel.pacers[0], Lane.PROMOTIONAL, gate_seconds=lambda gate=gate: gate)

    channel.time.run([work] * 4)

    steps = [later - one for one, later in pairwise(channel.all_left)]
    # Ten milliseconds late is on time.
    assert 0.092 <= min(steps) <= max(steps) <= 0.112


def test_a_text_whose_gate_took_too_long_has_missed_its_slot():
    channel = Processes(10)
    held = []

    def work(gate_seconds):
        slot = channel.pacers[0].acquire(1, Lane.PROMOTIONAL)
        channel.time.sleep(gate_seconds)
        held.append((channel.pacers[0].hold(slot), gate_seconds))

    channel.time.run([lambda gate=gate: work(gate) for gate in (0.03, 0.25, 0.04)])

    assert sorted(held) == [(False, 0.25), (True, 0.03), (True, 0.04)]


def test_at_a_high_rate_a_text_that_did_not_have_to_wait_may_leave_late():
    channel = Processes(1000)
    held = []

    def work():
        slot = channel.pacers[0].acquire(1, Lane.PROMOTIONAL)
        channel.time.sleep(0.3)
        held.append(channel.pacers[0].hold(slot))

    channel.time.run([work])

    assert held == [True]


def test_a_slow_gate_is_gone_to_earlier():
    channel = Processes(10)

    def work():
        for _ in range(40):
            channel.send(channel.pacers[0], Lane.PROMOTIONAL, gate_seconds=lambda: 0.2)

    channel.time.run([work] * 8)

    # Whoever misses a slot leaves a hole.
    steps = [later - one for one, later in pairwise(channel.all_left[60:])]
    assert max(steps) <= 0.12


def test_requests_are_limited_where_that_is_the_stricter_limit():
    channel = Processes(Rate(parts_per_second=100, requests_per_second=2))

    channel.time.run([channel.worker(channel.pacers[0], 10)])

    assert channel.all_left[-1] - channel.all_left[0] == pytest.approx(9 * 0.51, abs=0.001)


def test_a_text_of_more_parts_than_the_rate_goes_and_holds_up_the_next_one():
    channel = Processes(3)

    def work():
        channel.send(channel.pacers[0], Lane.TRANSACTIONAL, parts=6)
        channel.send(channel.pacers[0], Lane.TRANSACTIONAL)

    channel.time.run([work])

    assert channel.all_left[1] - channel.all_left[0] == pytest.approx(2.04, abs=0.001)


def test_a_quiet_minute_is_not_made_up_for_by_a_burst():
    channel = Processes(10)

    def work():
        channel.send(channel.pacers[0], Lane.PROMOTIONAL)
        channel.time.sleep(60)
        for _ in range(20):
            channel.send(channel.pacers[0], Lane.PROMOTIONAL)

    channel.time.run([work])

    assert most_in_a_second(channel.all_left) <= 10
    assert channel.all_left[-1] > 61.9


class JumpingTime(VirtualTime):
    """A clock that is moved while somebody sleeps."""

    def __init__(self):
        super().__init__()
        self.ahead = timedelta(0)

    def now(self):
        return super().now() + self.ahead


def test_a_slot_that_the_clock_jumped_over_is_not_used_late():
    time = JumpingTime()
    channel = Processes(10, time=time)

    def jump():
        time.sleep(0.35)
        time.ahead = timedelta(days=1)

    workers = [channel.worker(channel.pacers[0], 3) for _ in range(12)]
    channel.time.run([*workers, jump])

    assert len(channel.all_left) == 36
    assert most_in_a_second(channel.all_left) <= 10


def test_a_clock_that_was_put_back_holds_nobody_up():
    time = JumpingTime()
    channel = Processes(1, time=time)

    def work():
        channel.send(channel.pacers[0], Lane.PROMOTIONAL)
        time.ahead = timedelta(days=-30)
        channel.send(channel.pacers[0], Lane.PROMOTIONAL)

    channel.time.run([work])

    assert channel.time.elapsed() < 3


class PutBack:
    """A queue that is slow to answer: the clock is put back meanwhile, for the first `times` answers."""

    def __init__(self, time, back, *, times=1):
        self.time = time
        self.back = back
        self.times = times
        self.queue = FakeRateQueue()

    def reserve(self, length, lane, now):
        decision = self.queue.reserve(length, lane, now)
        if self.times:
            self.times -= 1
            self.time.ahead -= self.back
        return decision


@pytest.mark.parametrize("back", [timedelta(seconds=20), timedelta(minutes=2), timedelta(hours=3)])
def test_a_clock_that_is_put_back_while_a_slot_is_reserved_holds_nobody_up(back):
    time = JumpingTime()
    channel = Processes(1, time=time, queue=PutBack(time, back))
    slots = []

    def work():
        slot = channel.pacers[0].acquire(1, Lane.TRANSACTIONAL)
        slots.append((slot.at - time.now()).total_seconds())

    channel.time.run([work])

    assert channel.time.elapsed() <= 32
    # What the gate allows is what the clock shows now.
    assert 0 <= slots[0] <= 0.5


def test_a_clock_that_is_put_back_while_a_text_waits_for_its_slot_lets_the_gate_see_the_new_time():
    time = JumpingTime()
    channel = Processes(1, time=time)
    slots = []

    def work():
        channel.pacers[0].acquire(1, Lane.PROMOTIONAL)
        slot = channel.pacers[0].acquire(1, Lane.PROMOTIONAL)
        slots.append((slot.at - time.now()).total_seconds())

    def put_back():
        time.sleep(0.5)
        time.ahead = timedelta(hours=-3)

    channel.time.run([work, put_back])

    assert 0 <= slots[0] <= 0.5
    assert channel.time.elapsed() < 3


def test_a_clock_that_is_put_back_each_time_stops_nobody():
    time = JumpingTime()
    channel = Processes(1, time=time, queue=PutBack(time, timedelta(hours=3), times=100))
    slots = []

    def work():
        slot = channel.pacers[0].acquire(1, Lane.PROMOTIONAL)
        slots.append((slot.at - time.now()).total_seconds())

    channel.time.run([work])

    assert channel.time.elapsed() < 1
    assert 0 <= slots[0] <= 0.5


def test_a_clock_that_is_put_back_holds_nobody_up_who_waits_for_room():
    time = JumpingTime()
    queue = FakeRateQueue()
    queue.reserve(5 * SECOND, Lane.TRANSACTIONAL, time.now())
    channel = Processes(1, time=time, queue=PutBack(time, timedelta(hours=3), times=2))
    channel.queue.queue.queue = queue

    channel.time.run([channel.worker(channel.pacers[0], 1)])

    assert len(channel.all_left) == 1
    assert channel.time.elapsed() <= 32


class Overslept(VirtualTime):
    """A machine so busy that every sleep takes half a second more."""

    def sleep(self, seconds):
        super().sleep(seconds + 0.5)


def test_a_machine_that_is_always_late_sends_all_the_same():
    channel = Processes(10, time=Overslept())

    channel.time.run([channel.worker(channel.pacers[0], 3)])

    assert len(channel.all_left) == 3


def test_behind_the_gate_a_text_waits_for_a_moment_only():
    channel = Processes(1)
    pacer = channel.pacers[0]
    held = []

    def work():
        pacer.acquire(1, Lane.PROMOTIONAL)
        slot = pacer.acquire(1, Lane.PROMOTIONAL)
        # The gate was slow, and replies of others took the next 25 seconds.
        channel.time.sleep(1.6)
        channel.queue.reserve(25 * SECOND, Lane.TRANSACTIONAL, channel.time.now())
        begun_at = channel.time.elapsed()
        held.append((pacer.hold(slot), channel.time.elapsed() - begun_at))

    channel.time.run([work])

    assert held == [(False, 0)]


def test_behind_the_gate_nobody_waits_for_a_clock_that_was_put_back():
    time = JumpingTime()
    channel = Processes(1, time=time)
    waited = []

    def work():
        slot = channel.pacers[0].acquire(1, Lane.PROMOTIONAL)
        time.ahead = timedelta(days=-1)
        begun_at = time.elapsed()
        channel.pacers[0].hold(slot)
        waited.append(time.elapsed() - begun_at)

    time.run([work])

    assert waited == [0.5]


class Failing:
    """A queue that does not answer at first."""

    def __init__(self, failures):
        self.failures = failures
        self.queue = FakeRateQueue()

    def reserve(self, length, lane, now):
        if self.failures:
            raise self.failures.pop()
        return self.queue.reserve(length, lane, now)


def test_without_an_answer_nothing_leaves_and_the_next_one_gets_the_slot():
    channel = Processes(10, queue=Failing([TransientError("no answer")]))
    pacer = channel.pacers[0]
    failed = []

    def first():
        with pytest.raises(TransientError, match="no answer"):
            channel.send(pacer, Lane.PROMOTIONAL)
        failed.append(channel.time.elapsed())

    channel.time.run([first, channel.worker(pacer, 2)])

    assert len(failed) == 1
    assert channel.all_left[1] - channel.all_left[0] == pytest.approx(0.102, abs=0.001)


def standing_pacer(slept, *, jitter=1.0):
    return SharedPacer(
        Rate(parts_per_second=1),
        queue=FakeRateQueue(),
        clock=FakeClock(),
        sleep=slept.append,
        jitter=lambda: jitter,
    )


def test_backing_off_takes_twice_as_long_each_time_up_to_a_limit():
    slept = []
    paced = standing_pacer(slept)

    for attempt in range(1, 7):
        paced.back_off(attempt)

    assert slept == [1, 2, 4, 8, 8, 8]


def test_jitter_takes_away_up_to_half_of_the_wait():
    slept = []

    standing_pacer(slept, jitter=0.0).back_off(2)

    assert slept == [1]


def test_an_answer_that_is_no_refusal_is_an_error():
    class Throttled:
        def update_item(self, **_):
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "UpdateItem")

    with pytest.raises(TransientError, match="ThrottlingException"):
        DynamoRateQueue(Throttled(), table=CONTACTS).reserve(SECOND, Lane.PROMOTIONAL, START)
