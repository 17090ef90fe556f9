"""Records of earlier systems, line by line to the ingest queue."""

import gzip
import json
from pathlib import Path
from unittest.mock import patch

import boto3
import pytest
from moto import mock_aws

from sms_engagement_runtime.commands import importing
from sms_engagement_runtime.commands import main as command
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import MAX_EVENT_BYTES
from tests.support.aws_faults import failing

EVENTS = Path(__file__).parents[2] / "events"
SUCCESS = json.loads((EVENTS / "pinpoint-_SMS.SUCCESS.json").read_text())
OTHER = json.loads((EVENTS / "pinpoint-_journey.send.json").read_text())


@pytest.fixture
def sqs():
    with mock_aws(), patch("time.sleep"):
        yield boto3.client("sqs")


@pytest.fixture
def queue(sqs):
    return sqs.create_queue(QueueName="ingest")["QueueUrl"]


def record(number):
    return {**SUCCESS, "attributes": {**SUCCESS["attributes"], "message_id": f"m-{number}"}}


def lines_of(*records):
    return b"".join((one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in records)


def run(capsys, file, queue, *options):
    status = command.main(["import-events", str(file), "--queue-url", queue, *options])
    streams = capsys.readouterr()
    return status, json.loads(streams.out) if streams.out else None, streams.err


def sent(sqs, queue):
    """Message ids of what is in the queue, in the order of sending."""
    ids = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        ids += [json.loads(message["Body"])["attributes"]["message_id"] for message in messages]
    return sorted(ids, key=lambda name: int(name[2:]))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_line_is_sent_once(sqs, queue, tmp_path, capsys, pack):
    file = tmp_path / "events"
    file.write_bytes(pack(lines_of(*map(record, range(25)))))

    status, report, _ = run(capsys, file, queue)

    assert (status, report["sent"], report["next_line"]) == (0, 25, 26)
    assert sent(sqs, queue) == [f"m-{number}" for number in range(25)]


def test_an_object_of_s3_is_read_as_a_file_is(sqs, queue, capsys):
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="old")
    s3.put_object(Bucket="old", Key="2025/a.gz", Body=gzip.compress(lines_of(record(1), record(2))))

    assert run(capsys, "s3://old/2025/a.gz", queue)[0] == 0
    assert sent(sqs, queue) == ["m-1", "m-2"]


def test_lines_that_cannot_be_read_are_named_and_the_others_sent(sqs, queue, tmp_path, capsys):
    file = tmp_path / "events"
    no_id = {**SUCCESS, "attributes": {**SUCCESS["attributes"], "message_id": ""}}
    file.write_bytes(
        lines_of(
            record(1),
            b"no JSON",
            b"",
            no_id,
            b"\xff",
            b"x" * (3 * MAX_EVENT_BYTES),
            OTHER,
            record(2),
            b"[" * 9_000,
        )
    )

    status, report, _ = run(capsys, file, queue)

    assert status == 1
    assert report["lines"] == [
        {"line": 2, "reason": "NOT_JSON"},
        {"line": 4, "reason": "NO_MESSAGE_ID"},
        {"line": 5, "reason": "NOT_JSON"},
        {"line": 6, "reason": "TOO_LARGE"},
        {"line": 7, "reason": "NOT_A_TEXT"},
        {"line": 9, "reason": "NOT_JSON"},
    ]
    assert sent(sqs, queue) == ["m-1", "m-2"]


def test_records_of_other_channels_are_no_fault(sqs, queue, tmp_path, capsys):
    file = tmp_path / "events"
    file.write_bytes(lines_of(OTHER, record(1)))

    status, report, _ = run(capsys, file, queue)

    assert (status, report["reasons"]) == (0, {"NOT_A_TEXT": 1})


def test_an_import_that_meets_a_fault_goes_on_from_the_line_that_it_names(sqs, queue, tmp_path, capsys):
    file = tmp_path / "events"
    file.write_bytes(lines_of(*map(record, range(35))))
    real, calls = importing._Sender.send, []

    def send(self, bodies):
        calls.append(len(bodies))
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(self, bodies)

    with patch.object(importing._Sender, "send", send):
        status, report, err = run(capsys, file, queue)

    assert (status, report["sent"], report["next_line"]) == (1, 20, 21)
    assert "go on with --from-line 21" in err
    assert run(capsys, file, queue, "--from-line", "21")[0] == 0
    assert sent(sqs, queue) == [f"m-{number}" for number in range(35)]


def test_a_queue_that_does_not_answer_ends_the_import(sqs, queue, tmp_path, capsys):
    file = tmp_path / "events"
    file.write_bytes(lines_of(*map(record, range(15))))

    with failing("SendMessageBatch"):
        status, report, err = run(capsys, file, queue)

    assert (status, report["sent"], report["next_line"]) == (1, 0, 1)
    assert "sqs:SendMessageBatch" in err


def test_messages_that_a_queue_did_not_take_are_sent_again(sqs, queue):
    tried = []

    class Client:
        def send_message_batch(self, QueueUrl, Entries):  # noqa: N803
            tried.append([entry["MessageBody"] for entry in Entries])
            return {"Failed": [{"Id": Entries[-1]["Id"]}] if len(tried) < 3 else []}

    importing._Sender(Client(), url=queue, rate=100).send(["a", "b", "c"])

    assert tried == [["a", "b", "c"], ["c"], ["c"]]


def test_the_rate_is_kept(queue):
    class Client:
        def send_message_batch(self, **_):
            return {}

    now, pauses = [0.0], []

    def sleep(seconds):
        pauses.append(seconds)
        now[0] += seconds

    with patch("time.monotonic", lambda: now[0]), patch("time.sleep", sleep):
        sender = importing._Sender(Client(), url=queue, rate=20)
        for _ in range(5):
            sender.send(["x"] * 10)

    assert sum(pauses) == pytest.approx(4 * 10 / 20)


def test_a_dry_run_reads_and_sends_nothing(sqs, queue, tmp_path, capsys):
    file = tmp_path / "events"
    file.write_bytes(lines_of(record(1), b"no JSON"))

    status, report, _ = run(capsys, file, queue, "--dry-run")

    assert (status, report["unreadable"], report["dry_run"]) == (1, 1, True)
    assert sent(sqs, queue) == []


@pytest.mark.parametrize(
    "content", [None, gzip.compress(b"x" * 100_000)[:60]], ids=["not there", "cut short"]
)
def test_a_file_that_cannot_be_read_is_told(sqs, queue, tmp_path, capsys, content):
    file = tmp_path / "events"
    if content is not None:
        file.write_bytes(content)

    status, _, err = run(capsys, file, queue)

    assert status == 1
    assert "the file could not be read" in err


def test_large_lines_go_in_batches_that_a_queue_takes(sqs, queue, tmp_path, capsys):
    file = tmp_path / "events"
    long = [{**record(number), "client": "x" * 100_000} for number in range(7)]
    file.write_bytes(lines_of(*long))

    assert run(capsys, file, queue)[0] == 0
    assert sent(sqs, queue) == [f"m-{number}" for number in range(7)]
