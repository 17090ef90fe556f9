"""Which faults happen in the emulated cloud, and what a delivery with faults is like."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sms_local.emulator.faults import CRASH_WITHIN_CALLS, Draws, Faults
from sms_local.emulator.patches.faults import delivering
from sms_local.emulator.patches.invocation_slots import Turns, in_turn


def queue(*bodies: str) -> dict[str, Any]:
    return {"Records": [{"messageId": body, "body": body} for body in bodies]}


def stream(*numbers: str) -> dict[str, Any]:
    return {"Records": [{"kinesis": {"sequenceNumber": number}} for number in numbers]}


def delivered(
    event: Mapping[str, Any], faults: Faults, answers: list[Any] | None = None
) -> tuple[list[Any], Any]:
    """What a function gets of an event, and what the emulator takes for its answer."""
    got: list[Any] = []

    def execute(function: Any, given: Any) -> Any:
        got.append(given)
        return answers.pop(0) if answers else {"body": None}

    return got, delivering(execute, Draws(faults))({}, event)


def test_nothing_happens_by_itself():
    event = queue("a", "b", "c")

    got, _ = delivered(event, Faults())

    assert got == [event]
    assert Draws().crash_after() is None


@pytest.mark.parametrize("event", [queue("a"), stream("1"), {"detail-type": "ReplyReceived", "detail": {}}])
def test_a_duplicated_delivery_comes_twice_and_the_second_answer_counts(event):
    got, answer = delivered(event, Faults(duplicate=1), [{"body": "first"}, {"body": "second"}])

    assert got == [event, event]
    assert answer == {"body": "second"}


def test_what_somebody_waits_for_is_never_doubled():
    got, _ = delivered({"routeKey": "POST /submit-review", "body": "{}"}, Faults(duplicate=1, reorder=1))

    assert len(got) == 1


def test_a_reordered_batch_of_a_queue_is_shuffled():
    bodies = [str(number) for number in range(20)]

    (got,), _ = delivered(queue(*bodies), Faults(reorder=1))

    shuffled = [record["body"] for record in got["Records"]]
    assert shuffled != bodies
    assert sorted(shuffled) == sorted(bodies)


def test_a_reordered_batch_of_a_stream_comes_in_two_parts_and_in_order():
    got, answer = delivered(stream("1", "2", "3"), Faults(reorder=1), [{"body": None}, {"body": "second"}])

    assert [[one["kinesis"]["sequenceNumber"] for one in part["Records"]] for part in got] == [
        ["1"],
        ["2", "3"],
    ]
    assert answer == {"body": "second"}


@pytest.mark.parametrize(
    "failure", [{"error": True, "body": {}}, {"body": {"batchItemFailures": [{"itemIdentifier": "1"}]}}]
)
def test_what_follows_a_part_that_failed_is_not_delivered(failure):
    got, answer = delivered(stream("1", "2"), Faults(reorder=1), [failure])

    assert got == [stream("1")]
    assert answer == failure


def test_a_function_called_within_the_call_is_not_doubled_again():
    calls = []
    wrapped = None

    def execute(function: Any, event: Any) -> Any:
        calls.append(function)
        # As the emulator does, to change into the account of the function.
        return wrapped("inner", event) if function == "outer" else {"body": None}

    wrapped = delivering(execute, Draws(Faults(duplicate=1)))
    wrapped("outer", queue("a"))

    assert calls == ["outer", "inner"] * 2


def test_a_seed_repeats_the_fate_of_each_kind():
    def fates(seed: int) -> list[Any]:
        draws = Draws(Faults(seed=seed, duplicate=0.3, function_crash=0.5))
        # Draws of one kind don't change those of another.
        return [(draws.happens("duplicate", 0.3), draws.crash_after()) for _ in range(30)]

    assert fates(4) == fates(4)
    assert fates(4) != fates(5)


def test_what_happened_is_counted():
    draws = Draws(Faults(function_crash=1))

    crashes = {draws.crash_after() for _ in range(200)}

    assert crashes == set(range(CRASH_WITHIN_CALLS))
    assert draws.describe()["done"] == {"function_crash": 200}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"loss": 1}, "unknown fault loss; known are seed, duplicate"),
        ({"duplicate": 2}, "duplicate must be a number from 0 to 1, got 2"),
        ({"duplicate": True}, "duplicate must be a number from 0 to 1, got True"),
        ({"seed": 0.5}, "seed must be a whole number, got 0.5"),
        (5, "the faults must be an object of seed, duplicate, .*, got 5"),
        ([5], "the faults must be an object of seed, duplicate, .*, got \\[5\\]"),
    ],
)
def test_what_is_no_fault_is_refused(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        Faults().changed(fields)


def test_invocations_take_turns_when_their_number_is_limited():
    running, most, lock = 0, 0, threading.Lock()

    def execute(_number):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        barrier.wait()
        with lock:
            running -= 1

    # Two go on together, and only two.
    barrier = threading.Barrier(2, timeout=10)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(in_turn(execute, 2), range(6)))

    assert most == 2


def test_turns_are_in_order_and_kept_to_however_long_the_queue_is():
    turns, order, lock = Turns(1, patience_seconds=1), [], threading.Lock()
    running = most = 0

    def execute(number):
        nonlocal running, most
        assert turns.take()
        with lock:
            running += 1
            most = max(most, running)
            order.append(number)
        # The last waits for longer than the patience, in which others end.
        threading.Event().wait(0.05)
        with lock:
            running -= 1
        turns.give_back()

    turns.take()
    waiting = []
    for number in range(30):
        waiting.append(threading.Thread(target=execute, args=(number,)))
        waiting[-1].start()
        while len(turns._waiting) <= number:
            pass
    turns.give_back()
    for thread in waiting:
        thread.join()

    assert order == list(range(30))
    assert most == 1


def test_who_waits_while_nothing_ends_goes_on_without_a_turn():
    calls = []

    def execute(name):
        calls.append(name)
        if name == "outer":
            wrapped("inner")

    wrapped = in_turn(execute, 1, patience_seconds=0.01)
    wrapped("outer")

    assert calls == ["outer", "inner"]
