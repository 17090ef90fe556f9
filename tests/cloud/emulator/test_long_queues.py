"""Queues with thousands of messages, which go on as a broadcast is faster than what records its events."""

import uuid
from datetime import timedelta

import pytest

from sms_local.emulator.patches.long_queues import SHORT, from_the_front, take_out, where_some_came_back

MANY = 2 * SHORT + 60


def new_queue(sqs, **attributes):
    url = sqs.create_queue(QueueName=f"queue-{uuid.uuid4().hex[:8]}", Attributes=attributes)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return url, arn


def fill(sqs, queue, number=MANY, *, begin=0):
    for start in range(begin, begin + number, 10):
        entries = [
            {"Id": str(each), "MessageBody": str(each)}
            for each in range(start, min(start + 10, begin + number))
        ]
        sqs.send_message_batch(QueueUrl=queue, Entries=entries)


def take(sqs, queue, most=10, **options):
    return sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=most, **options).get("Messages", [])


def drain(sqs, queue):
    bodies = []
    while messages := take(sqs, queue):
        bodies += [int(message["Body"]) for message in messages]
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(messages)
        ]
        sqs.delete_message_batch(QueueUrl=queue, Entries=entries)
    return bodies


def test_each_message_comes_once_and_in_order(patched):
    sqs = patched.client("sqs")
    queue, _ = new_queue(sqs)
    fill(sqs, queue)

    assert drain(sqs, queue) == list(range(MANY))


def test_what_is_taken_does_not_come_again_until_its_time(timed):
    sqs = timed.client("sqs")
    queue, _ = new_queue(sqs, VisibilityTimeout="300")
    fill(sqs, queue)

    [first] = take(sqs, queue, 1)
    [second] = take(sqs, queue, 1)
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=second["ReceiptHandle"])
    assert [first["Body"], second["Body"]] == ["0", "1"]
    assert [message["Body"] for message in take(sqs, queue, 2, VisibilityTimeout=0)] == ["2", "3"]
    timed.jump(timedelta(seconds=301))
    [again] = take(sqs, queue, 1)

    assert again["Body"] == "0"


@pytest.mark.parametrize("call", ["delete_message", "delete_message_batch"])
def test_a_handle_of_nothing_deletes_nothing(patched, call):
    sqs = patched.client("sqs")
    queue, _ = new_queue(sqs)
    fill(sqs, queue)
    [taken] = take(sqs, queue, 1)
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=taken["ReceiptHandle"])

    if call == "delete_message":
        with pytest.raises(sqs.exceptions.ReceiptHandleIsInvalid):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=taken["ReceiptHandle"])
    else:
        entries = [{"Id": "0", "ReceiptHandle": taken["ReceiptHandle"]}]
        answer = sqs.delete_message_batch(QueueUrl=queue, Entries=entries)
        assert [failed["Code"] for failed in answer["Failed"]] == ["ReceiptHandleIsInvalid"]

    assert len(drain(sqs, queue)) == MANY - 1


def test_what_was_taken_too_often_is_set_aside(timed):
    sqs = timed.client("sqs")
    dead_letters, dead_arn = new_queue(sqs)
    policy = f'{{"deadLetterTargetArn": "{dead_arn}", "maxReceiveCount": 2}}'
    queue, _ = new_queue(sqs, VisibilityTimeout="60", RedrivePolicy=policy)
    fill(sqs, queue)

    for _ in range(2):
        assert [message["Body"] for message in take(sqs, queue, 3)] == ["0", "1", "2"]
        timed.jump(timedelta(seconds=61))

    assert [message["Body"] for message in take(sqs, queue, 2)] == ["3", "4"]
    assert drain(sqs, dead_letters) == [0, 1, 2]


def test_what_is_too_old_goes(timed):
    sqs = timed.client("sqs")
    queue, _ = new_queue(sqs, MessageRetentionPeriod="3600")
    fill(sqs, queue)
    assert len(take(sqs, queue, 1)) == 1
    timed.jump(timedelta(minutes=50))
    fill(sqs, queue, 10, begin=MANY)
    timed.jump(timedelta(minutes=20))

    assert drain(sqs, queue) == list(range(MANY, MANY + 10))


class Walked(list):
    """A queue's messages, with how many of them somebody looked at."""

    looked_at = 0

    def __iter__(self):
        for message in super().__iter__():
            self.looked_at += 1
            yield message


def now():
    return 1_000.0


def waiting(number, **of_each):
    messages = Walked({"id": each, "receive_count": 0, "visible_at": 0} | of_each for each in range(number))
    return {"messages": messages, "is_fifo": False}


def test_to_take_some_is_to_look_at_as_many():
    queue = waiting(MANY)

    taken = from_the_front(lambda queue, most, _: queue["messages"][:most], now)(queue, 10, 30)

    assert [message["id"] for message in taken] == list(range(10))
    assert queue["messages"].looked_at == 10


def test_to_delete_some_is_to_look_until_they_are_found():
    queue = waiting(MANY)
    for message in queue["messages"][:10]:
        message["receipt_handle"] = f"handle {message['id']}"

    assert take_out(queue, {"handle 3", "handle 9"}) == 2

    assert queue["messages"].looked_at == 10
    assert [message["id"] for message in queue["messages"]][:9] == [0, 1, 2, 4, 5, 6, 7, 8, 10]


def test_nobody_looks_for_dead_messages_beyond_those_that_wait_for_the_first_time():
    queue, swept = waiting(MANY), []
    for message in queue["messages"][:10]:
        message |= {"receive_count": 1, "visible_at": 9e9}  # taken by somebody

    sweep = where_some_came_back(swept.append, now)
    sweep(queue)
    assert (queue["messages"].looked_at, swept) == (11, [])
    queue["messages"][5]["visible_at"] = 0  # and came back
    sweep(queue)

    assert swept == [queue]


@pytest.mark.parametrize(
    "queue", [waiting(SHORT), waiting(MANY) | {"is_fifo": True}], ids=["short", "ordered"]
)
def test_others_are_left_to_ministack(queue):
    swept = []
    where_some_came_back(swept.append, now)(queue)

    assert swept == [queue]
    assert take_out(queue, {None}) == 0
    assert from_the_front(lambda queue, *_: queue, now)(queue, 1, 1) is queue
