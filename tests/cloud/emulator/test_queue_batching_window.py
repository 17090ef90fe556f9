"""Event source mappings of queues: batches fill up during their window."""

import uuid

import pytest

from sms_local.emulator.patches.queue_batching_window import batch_is_ready

# By files: a log line that crosses its pipe late is collected with the next invocation, and there is none.
COUNTS = """
import os, uuid
def handler(event, context):
    name = f"{uuid.uuid4().hex}-{len(event['Records'])}"
    open(os.path.join(os.environ["FOLDER"], name), "w").close()
"""
MESSAGES = 12


def batches(running, eventually, folder):
    """Sizes of the batches by which twelve messages that wait in a queue reach a function."""
    function = running.function(COUNTS, Environment={"Variables": {"FOLDER": str(folder)}})
    sqs = running.client("sqs")
    queue = sqs.create_queue(QueueName=f"queue-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    for number in range(MESSAGES):
        sqs.send_message(QueueUrl=queue, MessageBody=str(number))
    running.client("lambda").create_event_source_mapping(
        FunctionName=function, EventSourceArn=arn, BatchSize=100, MaximumBatchingWindowInSeconds=2
    )

    def all_came():
        sizes = [int(file.name.partition("-")[2]) for file in folder.iterdir()]
        return sizes if sum(sizes) >= MESSAGES else None

    return eventually(all_came)


def test_messages_within_a_window_come_in_one_batch(patched, eventually, tmp_path):
    assert batches(patched, eventually, tmp_path) == [MESSAGES]


def test_without_the_patch_a_batch_never_has_more_than_ten(unpatched, eventually, tmp_path):
    assert max(batches(unpatched, eventually, tmp_path)) <= 10


@pytest.mark.parametrize(
    ("visible_since", "ready"),
    [
        pytest.param([], False, id="nothing to take"),
        pytest.param([100.0], False, id="just came"),
        pytest.param([98.0, 100.0], True, id="the oldest waited for the window"),
        pytest.param([100.0, 100.0, 100.0], True, id="full"),
        pytest.param([130.0, 130.0, 130.0], False, id="taken by another batch"),
    ],
)
def test_a_batch_is_ready_when_it_is_full_or_its_window_is_over(visible_since, ready):
    queue = {"messages": [{"visible_at": instant} for instant in visible_since]}

    assert batch_is_ready({"BatchSize": 3, "MaximumBatchingWindowInSeconds": 2}, queue, 100.5) is ready
    assert batch_is_ready({"BatchSize": 3}, queue, 100.5)
