"""Pacers of several processes on one queue: the same tests over a fake of the queue and over the table."""

import random
from bisect import bisect_left
from collections import Counter
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from benchmarks.virtual_time import START, VirtualTime
from sms_engagement_runtime.channel.adapters.pacing import PACING_KEY, DynamoRateQueue, SharedPacer
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.pacing import Lane, NoSlotError, Rate
from tests.support.dynamodb_tables import CONTACTS, channel_tables
from tests.support.fakes import FakeClock, FakeRateQueue

LATER = START + timedelta(seconds=7, microseconds=123456)
WRITE_SECONDS = 0.005


@pytest.fixture(params=["fake", "dynamodb"])
def queue(request):
    if request.param == "fake":
        yield FakeRateQueue()
        return
    with channel_tables() as client:
        yield DynamoRateQueue(client, table=CONTACTS)


class TestQueue:
    def test_nobody_ever_stood_in_a_new_queue(self, queue):
        assert queue.exchange(START, LATER) is None
        assert queue.exchange(None, LATER) is None

    def test_the_end_moves_where_it_is_as_expected(self, queue):
        queue.exchange(None, START)

        assert queue.exchange(START, LATER) == START
        assert queue.exchange(LATER, START) == LATER

    @pytest.mark.parametrize("expected", [None, START + timedelta(microseconds=1)])
    def test_the_end_stays_where_it_is_not(self, queue, expected):
        queue.exchange(None, LATER)

        assert queue.exchange(expected, START) == LATER
        assert queue.exchange(LATER, START) == LATER

    def test_a_table_that_is_gone_is_a_transient_error(self):
        with (
            channel_tables() as client,
            pytest.raises(TransientError, match="UpdateItem: ResourceNotFound"),
        ):
            DynamoRateQueue(client, table="other").exchange(None, START)

    def test_the_row_stands_beside_the_pause_flag(self):
        with channel_tables() as client:
            DynamoRateQueue(client, table=CONTACTS).exchange(None, START)

            row = client.get_item(TableName=CONTACTS, Key=PACING_KEY)["Item"]

        assert row["queueEnd"] == {"N": str(round(START.timestamp() * 1_000_000))}
        assert row["schemaVersion"] == {"N": "1"}


class Distant:
    """A queue that answers after some milliseconds; others may come in between."""

    def __init__(self, queue, time):
        self.queue = queue
        self.time = time
        self.calls = 0

    def exchange(self, expected, end):
        self.calls += 1
        self.time.sleep(WRITE_SECONDS / 2)
        found = self.queue.exchange(expected, end)
        self.time.sleep(WRITE_SECONDS / 2)
        return found


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

    def send(self, pacer, lane, *, parts=1, call_seconds=0.0):
        pacer.acquire(parts, lane)
        self.time.sleep(call_seconds)
        self.left[lane].append(self.time.elapsed())

    def worker(self, pacer, texts, lane=Lane.PROMOTIONAL, *, jitter=0.0, rest=0.0):
        """Sends texts one after another; each leaves up to ``jitter`` after its slot, then takes ``rest``."""

        def work():
            for _ in range(texts):
                self.send(pacer, lane, call_seconds=self.random.uniform(0, jitter))
                self.time.sleep(rest)

        return work

    @property
    def all_left(self):
        return sorted(instant for instants in self.left.values() for instant in instants)


def most_in_a_second(instants):
    """The most texts in any second, wherever it begins."""
    return max(bisect_left(instants, round(begin + 1, 6)) - number for number, begin in enumerate(instants))


@pytest.mark.parametrize(
    ("rate", "processes", "workers", "texts"),
    [(1, 3, 4, 3), (3, 2, 6, 5), (10, 3, 8, 10), (75, 4, 16, 12), (100, 4, 16, 15), (1000, 6, 40, 25)],
)
def test_processes_together_keep_the_rate_and_use_it(rate, processes, workers, texts):
    channel = Processes(rate, processes)

    channel.time.run(
        channel.worker(pacer, texts, jitter=0.025, rest=0.02)
        for pacer in channel.pacers
        for _ in range(workers)
    )

    count = processes * workers * texts
    assert len(channel.all_left) == count
    assert most_in_a_second(channel.all_left) <= rate
    # From the first text to the last there are count - 1 steps.
    assert (count - 1) / (channel.all_left[-1] - channel.all_left[0]) >= 0.95 * rate


def test_the_same_holds_over_the_table():
    with channel_tables() as client:
        channel = Processes(100, 3, queue=DynamoRateQueue(client, table=CONTACTS))

        channel.time.run(
            channel.worker(pacer, 6, jitter=0.025, rest=0.02) for pacer in channel.pacers for _ in range(16)
        )

    assert len(channel.all_left) == 288
    assert most_in_a_second(channel.all_left) <= 100
    assert 287 / (channel.all_left[-1] - channel.all_left[0]) >= 95


def test_a_thousand_texts_a_second_take_less_than_a_hundred_writes():
    channel = Processes(1000, 4)

    channel.time.run(
        channel.worker(pacer, 20, jitter=0.025, rest=0.02) for pacer in channel.pacers for _ in range(64)
    )

    assert channel.queue.calls / channel.time.elapsed() < 100


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


def test_the_first_text_waits_for_the_write_only():
    channel = Processes(1)

    channel.time.run([channel.worker(channel.pacers[0], 1)])

    assert channel.left[Lane.PROMOTIONAL] == [WRITE_SECONDS]


def test_requests_are_limited_where_that_is_the_stricter_limit():
    channel = Processes(Rate(parts_per_second=100, requests_per_second=2))

    channel.time.run([channel.worker(channel.pacers[0], 10)])

    assert channel.all_left[-1] - channel.all_left[0] == pytest.approx(9 * 0.515, abs=0.01)


def test_a_text_of_more_parts_than_the_rate_goes_and_holds_up_the_next_one():
    channel = Processes(3)

    def work():
        channel.send(channel.pacers[0], Lane.TRANSACTIONAL, parts=6)
        channel.send(channel.pacers[0], Lane.TRANSACTIONAL)

    channel.time.run([work])

    assert channel.all_left[1] - channel.all_left[0] == pytest.approx(2.06, abs=0.01)


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
    channel = Processes(1, time=time)

    def jump():
        time.sleep(0.5)
        time.ahead = timedelta(days=1)

    workers = [channel.worker(channel.pacers[0], 1) for _ in range(2)]
    channel.time.run([*workers, jump])

    assert len(channel.all_left) == 2
    assert most_in_a_second(channel.all_left) == 1


def test_a_clock_that_was_put_back_holds_nobody_up():
    time = JumpingTime()
    channel = Processes(1, time=time)

    def work():
        channel.send(channel.pacers[0], Lane.PROMOTIONAL)
        time.ahead = timedelta(days=-30)
        channel.send(channel.pacers[0], Lane.PROMOTIONAL)

    channel.time.run([work])

    assert channel.time.elapsed() < 3


class Overslept(VirtualTime):
    """A machine so busy that every sleep takes half a second more."""

    def sleep(self, seconds):
        super().sleep(seconds + 0.5)


def test_a_machine_that_is_always_late_sends_all_the_same():
    channel = Processes(10, time=Overslept())

    channel.time.run([channel.worker(channel.pacers[0], 3)])

    assert len(channel.all_left) == 3


class Failing:
    """A queue that does not answer at first."""

    def __init__(self, failures):
        self.failures = failures
        self.queue = FakeRateQueue()

    def exchange(self, expected, end):
        if self.failures:
            raise self.failures.pop()
        return self.queue.exchange(expected, end)


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
    assert channel.all_left[1] - channel.all_left[0] == pytest.approx(0.103, abs=0.01)


def test_a_row_that_others_always_change_first_is_given_up():
    class Busy:
        """Somebody else stands in the queue each time."""

        def __init__(self):
            self.end = START

        def exchange(self, _expected, _end):
            self.end += timedelta(microseconds=1)
            return self.end

    clock = FakeClock()
    pacer = SharedPacer(
        Rate(parts_per_second=10), queue=Busy(), clock=clock, sleep=lambda _: None, jitter=lambda: 0.0
    )

    with pytest.raises(TransientError, match="others were always faster"):
        pacer.acquire(1, Lane.TRANSACTIONAL)


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
        DynamoRateQueue(Throttled(), table=CONTACTS).exchange(None, START)
