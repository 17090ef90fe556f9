"""What the emulator notes of rights: which requests need which action and which resource of a statement."""

import json
import urllib.request
import uuid

import pytest
from botocore.exceptions import ClientError


def recorded(emulator, role):
    with urllib.request.urlopen(f"{emulator.url}/_sms_local/rights", timeout=20) as answer:
        found = json.load(answer)
    return (
        [each for each in found["taken"] if each["role"] == role],
        [each for each in found["refused"] if each["role"] == role],
    )


def allow(actions, *queues):
    resources = [f"arn:aws:sqs:us-east-1:000000000000:{queue}" for queue in queues]
    return {"Effect": "Allow", "Action": actions, "Resource": resources}


@pytest.fixture
def queue(patched):
    name = f"queue-{uuid.uuid4().hex[:8]}"
    patched.client("sqs").create_queue(QueueName=name)
    return name


def assumed(emulator, *statements):
    """The name of a new role with these statements, and a client of queues with its rights."""
    arn = emulator.role(*statements)
    keys = emulator.client("sts").assume_role(RoleArn=arn, RoleSessionName="session")["Credentials"]
    return arn.rpartition("/")[2], emulator.client("sqs", keys)


def send(sqs, queue):
    sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"], MessageBody="x")


def test_what_a_request_needs_is_told_and_what_none_took_is_not(patched, queue):
    role, sqs = assumed(
        patched,
        allow(["sqs:GetQueueUrl", "sqs:SendMessage", "sqs:PurgeQueue"], queue, "another"),
    )

    send(sqs, queue)

    ((taken,), refused) = recorded(patched, role)
    arn = f"arn:aws:sqs:us-east-1:000000000000:{queue}"
    assert taken["actions"] == {
        "sqs:GetQueueUrl": f"sqs:GetQueueUrl on {arn}",
        "sqs:SendMessage": f"sqs:SendMessage on {arn}",
    }
    assert list(taken["resources"]) == [arn]
    assert taken["pairs"] == [["sqs:GetQueueUrl", arn], ["sqs:SendMessage", arn]]
    assert refused == []


def test_what_another_statement_allows_too_is_taken_and_not_needed(patched, queue):
    role, sqs = assumed(
        patched, allow(["sqs:GetQueueUrl", "sqs:SendMessage"], queue), allow("sqs:SendMessage", queue)
    )

    send(sqs, queue)

    needed = [taken["actions"] for taken in recorded(patched, role)[0]]
    arn = f"arn:aws:sqs:us-east-1:000000000000:{queue}"
    assert sorted(needed, key=len) == [
        {"sqs:SendMessage": None},
        {"sqs:GetQueueUrl": f"sqs:GetQueueUrl on {arn}", "sqs:SendMessage": None},
    ]


def test_a_refused_request_is_told_and_changes_nothing(patched, queue):
    role, sqs = assumed(patched, allow("sqs:GetQueueUrl", queue))

    with pytest.raises(ClientError, match="not authorized to perform: sqs:SendMessage"):
        send(sqs, queue)

    (_, (refused,)) = recorded(patched, role)
    assert (refused["action"], refused["times"]) == ("sqs:SendMessage", 1)
