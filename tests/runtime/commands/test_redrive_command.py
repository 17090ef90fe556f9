"""Batches that did not get through, given to their consumers again; and the stream from a time on."""

import base64
import json
import random
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError

from sms_engagement_runtime.commands import main as command
from sms_engagement_runtime.commands import streaming
from sms_engagement_runtime.sms_analytics_pipeline.adapters import archive_json
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_counts import DynamoCounts
from sms_engagement_runtime.sms_analytics_pipeline.adapters.stream_reader import StreamConsumer, place_of
from tests.support.aws_faults import failing
from tests.support.handlers import Context
from tests.support.kinesis_events import canonical, stream_batch
from tests.support.pipeline_drive import BUCKET, COUNTS, STREAM, pipeline, random_payloads, rows
from tests.support.review_tables import aws_client
from tests.support.stream_faults import InProcessLambda, on_failure_document
from tests.support.subscriber_tables import RESPONSES, SUBSCRIBERS

QUEUE = "failures"


@pytest.fixture(scope="module")
def system():
    """A pipeline with events on its stream; what consumers make of them is for each test."""
    with pipeline() as system, patch("time.sleep"):
        system.ingest(random_payloads(random.Random(3), 60, now=system.clock.now()))
        yield system


@pytest.fixture
def functions(system):
    client = InProcessLambda({name: module.handler for name, module in system.consumers.items()})
    with patch.object(streaming, "lambda_client", lambda _: client):
        yield client


@pytest.fixture
def queue(system):
    sqs = aws_client("sqs")
    url = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
    yield url
    sqs.delete_queue(QueueUrl=url)


@pytest.fixture(autouse=True)
def _empty(system):
    yield
    s3 = aws_client("s3")
    for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=each["Key"])
    for item in rows(system.dynamodb, COUNTS):
        key = {name: item[name] for name in ("day", "batch")}
        system.dynamodb.delete_item(TableName=COUNTS, Key=key)


@pytest.fixture
def shard(system):
    """The records of the shard that has more."""
    return max(system.records().values(), key=len)


def send(queue, *bodies):
    for body in bodies:
        aws_client("sqs").send_message(QueueUrl=queue, MessageBody=body)


def left(queue):
    attributes = aws_client("sqs").get_queue_attributes(
        QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(attributes["Attributes"]["ApproximateNumberOfMessages"])


def run(capsys, *arguments):
    capsys.readouterr()
    status = command.main(list(arguments))
    streams = capsys.readouterr()
    lines = streams.out[streams.out.index("{\n") :] if "{\n" in streams.out else ""
    return status, json.loads(lines) if lines else None, streams.err


def redrive(capsys, *options):
    status, report, _ = run(capsys, "redrive", "--queue", QUEUE, *options)
    return status, report["queues"][QUEUE]


def archived():
    """Event ids by object."""
    s3 = aws_client("s3")
    contents = s3.list_objects_v2(Bucket=BUCKET, Prefix="events/").get("Contents", [])
    objects = {each["Key"]: s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() for each in contents}
    return {
        key: sorted(event.event_id for event in archive_json.unpacked(body)) for key, body in objects.items()
    }


def counted(system):
    table = DynamoCounts(system.dynamodb, table=COUNTS, retention=timedelta(days=400))
    today = system.clock.now().date()
    return table.read(today - timedelta(days=9), today)


@pytest.mark.parametrize("name", ["archive", "analytics"])
def test_a_batch_that_did_not_get_through_is_done_as_if_it_had(system, functions, queue, shard, capsys, name):
    handler = system.consumers[name].handler
    batch = shard[2:12]
    handler({"Records": batch}, Context())
    expected = archived(), rows(system.dynamodb, COUNTS)
    # A part of it had been done before it failed for good.
    handler({"Records": batch[:4]}, Context())
    assert (archived(), rows(system.dynamodb, COUNTS)) != expected
    send(queue, on_failure_document(batch, name))

    status, report = redrive(capsys)

    assert status == 0
    assert (report["messages"], report["batches_done"], report["records"]) == (1, 1, 10)
    assert (archived(), rows(system.dynamodb, COUNTS)) == expected
    assert left(queue) == 0
    assert functions.batches[-1] == (name, batch)


def test_a_batch_that_fails_again_stays_in_the_queue(system, functions, queue, shard, capsys):
    send(queue, on_failure_document(shard[:5], "archive"), on_failure_document(shard[5:8], "archive"))

    with failing("PutObject"):
        status, report = redrive(capsys)

    assert status == 1
    assert report["still_failing"] == 2
    assert report["failing"][0]["reason"] == "RECORDS_FAILED"
    assert left(queue) == 2
    assert redrive(capsys)[0] == 0
    assert left(queue) == 0


def test_a_function_that_ends_with_an_error_has_not_taken_the_batch(functions, queue, shard, capsys):
    functions.functions["archive"] = lambda *_: 1 / 0
    send(queue, on_failure_document(shard[:5], "archive"))

    status, report = redrive(capsys)

    assert (status, report["failing"][0]["reason"]) == (1, "FUNCTION_ERROR")
    assert left(queue) == 1


def test_another_function_can_be_named(functions, queue, shard, capsys):
    send(queue, on_failure_document(shard[:5], "gone"))

    assert redrive(capsys, "--function", "archive")[0] == 0
    assert functions.batches[-1][0] == "archive"


def test_a_dry_run_changes_nothing(functions, queue, shard, capsys):
    send(queue, on_failure_document(shard[:5], "archive"))

    status, report = redrive(capsys, "--dry-run")

    assert (status, report["records"]) == (0, 5)
    assert functions.batches == []
    assert left(queue) == 1
    assert archived() == {}


def test_counts_among_those_of_another_batch_are_not_counted_again(system, functions, queue, shard, capsys):
    """Two batches of a shard are worked on at once: the range of one has records of the other."""
    mine, other = shard[0:12:2], shard[1:12:2]
    system.consumers["analytics"].handler({"Records": other}, Context())
    before = counted(system)
    send(queue, on_failure_document(mine, "analytics"))

    status, report = redrive(capsys)

    assert (status, report["failing"][0]["reason"]) == (1, "COUNTED_AMONG_OTHERS")
    assert counted(system) == before
    assert left(queue) == 1


def test_an_archived_batch_among_another_ones_records_writes_over_none_of_them(
    system, functions, queue, shard, capsys
):
    mine, other = shard[0:12:2], shard[1:20:2]
    system.consumers["archive"].handler({"Records": other}, Context())
    before = archived()
    send(queue, on_failure_document(mine, "archive"))

    status, _ = redrive(capsys)

    assert status == 0
    after = archived()
    assert {key: after[key] for key in before} == before
    ids = {event for events in after.values() for event in events}
    assert {json_of(record)["event_id"] for record in mine} <= ids


def json_of(record):
    return json.loads(base64.b64decode(record["kinesis"]["data"]))


def test_what_the_stream_does_not_have_any_more_is_told(functions, queue, shard, capsys):
    number = str(int(shard[0]["kinesis"]["sequenceNumber"]) - 5)
    gone = {**shard[0], "kinesis": {**shard[0]["kinesis"], "sequenceNumber": number}}
    send(queue, on_failure_document([gone, *shard[:3]], "archive"))

    status, report = redrive(capsys)

    assert (status, report["failing"][0]["reason"]) == (1, "GONE_FROM_STREAM")
    assert left(queue) == 1


@pytest.mark.parametrize(
    "body", ["no JSON", "[]", "{}", '{"KinesisBatchInfo": 1, "requestContext": {}}', "null"]
)
def test_what_is_no_batch_stays_in_the_queue(functions, queue, body, capsys):
    send(queue, body)

    status, report = redrive(capsys)

    assert (status, report["no_batches"], report["messages"]) == (1, 1, 1)
    assert left(queue) == 1


def test_a_document_with_a_place_that_is_no_number_is_no_batch(shard):
    document = json.loads(on_failure_document(shard[:2], "archive"))
    assert place_of(document) is not None

    document["KinesisBatchInfo"]["endSequenceNumber"] = "end"

    assert place_of(document) is None


def test_a_batch_that_is_too_large_is_given_in_halves_of_which_the_first_has_its_first_record(system):
    client = InProcessLambda({"analytics": system.consumers["analytics"].handler})
    records = stream_batch([canonical(number) for number in range(40)])["Records"]
    size = len(json.dumps({"Records": records}))

    assert StreamConsumer(client, "analytics", largest=size // 3).give(records) == []

    given = [batch for _, batch in client.batches]
    assert [record for batch in given for record in batch] == records
    assert len(given) == 4
    assert sum(each.delivered for each in counted(system).values()) == 40


def test_a_record_that_no_function_can_be_given_is_set_aside(functions, queue, shard, capsys):
    send(queue, on_failure_document(shard[:3], "archive"))

    with patch.object(streaming, "StreamConsumer", lambda *given: StreamConsumer(*given, largest=100)):
        status, report = redrive(capsys)
        assert (status, report["failing"][0]["reason"]) == (1, "TOO_LARGE")
        status, report = redrive(capsys, "--archive-bucket", BUCKET)

    assert (status, report["records_set_aside"]) == (0, 3)
    s3 = aws_client("s3")
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET, Prefix="quarantine/")["Contents"]]
    assert len(keys) == 3
    kept = [json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) for key in keys]
    assert {record["data"] for record in kept} == {record["kinesis"]["data"] for record in shard[:3]}
    assert {record["reason"] for record in kept} == {"TOO_LARGE"}


def test_a_queue_that_is_not_there_is_told(functions, capsys):
    assert run(capsys, "redrive", "--queue", "missing")[0] == 1
    assert "could not be used: sqs:GetQueueUrl" in run(capsys, "redrive", "--queue", "missing")[2]


def test_neither_report_nor_progress_holds_anything_personal(functions, queue, shard, capsys):
    functions.functions["archive"] = lambda *_: 1 / 0
    send(queue, on_failure_document(shard[:5], "archive"), "+12025550123")

    _, report, err = run(capsys, "redrive", "--queue", QUEUE)

    told = json.dumps(report) + err
    assert "12025550" not in told
    assert not [word for word in ("subscriber", "v1:") if word in told]


def replay(capsys, system, *options, function="response_handler", since=None):
    arrived = aws_now(system)
    since = since or arrived - timedelta(hours=1)
    return run(
        capsys,
        *("replay", "--stream", STREAM, "--function", function, "--from", since.isoformat()),
        *("--to", (arrived + timedelta(hours=1)).isoformat(), *options),
    )


def aws_now(system):
    arrival = max(
        record["kinesis"]["approximateArrivalTimestamp"]
        for records in system.records().values()
        for record in records
    )
    return datetime.fromtimestamp(arrival, UTC)


def test_a_replay_keeps_every_answer_once(system, functions, capsys):
    status, report, _ = replay(capsys, system, "--batch-size", "4")
    first = rows(system.dynamodb, RESPONSES), rows(system.dynamodb, SUBSCRIBERS)
    answers = [
        event
        for records in system.records().values()
        for event in map(json_of, records)
        if event["event_type"] == "_SMS.RECEIVED"
    ]

    assert status == 0
    assert report["shards_done"] == report["shards"] == 2
    assert report["records_given"] == len(answers) == len(first[0]) > 5
    assert replay(capsys, system)[0] == 0
    assert (rows(system.dynamodb, RESPONSES), rows(system.dynamodb, SUBSCRIBERS)) == first


def test_a_dry_replay_gives_nothing_to_anybody(system, functions, capsys):
    status, report, _ = replay(capsys, system, "--dry-run")

    assert (status, functions.batches) == (0, [])
    assert report["records_given"] > 5


def test_a_replay_of_a_later_time_has_nothing(system, functions, capsys):
    _, report, _ = replay(capsys, system, since=aws_now(system) + timedelta(minutes=30))

    assert report["records"] == 0


@pytest.mark.parametrize(
    ("function", "instead"),
    [("analytics", "repair counts"), ("archive", "redrive"), ("event_processor", "past")],
)
def test_whose_batches_would_be_cut_in_other_places_is_refused(system, functions, capsys, function, instead):
    status, report, err = replay(capsys, system, function=function)

    assert (status, report) == (1, None)
    assert instead in err
    assert functions.batches == []


def test_a_replay_that_meets_a_fault_says_where_to_go_on(system, functions, capsys):
    functions.functions["response_handler"] = lambda *_: 1 / 0

    status, report, _ = replay(capsys, system)

    assert status == 1
    assert report["stopped"]["reason"] == "FUNCTION_ERROR"
    assert report["shards_done"] == 0
    assert len(functions.batches) == 3


def test_a_replay_that_lambda_throttles_waits_and_then_says_how_far_it_came(system, functions, capsys):
    real, calls = functions.invoke, []

    def invoke(**request):
        calls.append(1)
        if len(calls) in (1, 2) or len(calls) > 3:
            raise ClientError({"Error": {"Code": "TooManyRequestsException"}}, "Invoke")
        return real(**request)

    with patch.object(functions, "invoke", invoke):
        status, report, err = replay(capsys, system, "--batch-size", "3")

    assert (status, report["batches"], report["records_given"]) == (1, 1, 3)
    assert "could not be used: lambda:Invoke: TooManyRequestsException" in err


@pytest.mark.parametrize("fault", [KeyboardInterrupt, RuntimeError])
def test_a_redrive_that_is_ended_leaves_what_is_not_done_where_it_can_be_seen(functions, queue, shard, fault):
    send(queue, *[on_failure_document(shard[number : number + 2], "archive") for number in (0, 2, 4)])
    real, calls = functions.invoke, []

    def invoke(**request):
        calls.append(1)
        if len(calls) == 2:
            raise fault
        return real(**request)

    with patch.object(functions, "invoke", invoke):
        try:
            assert command.main(["redrive", "--queue", QUEUE]) == 1
        except RuntimeError:
            assert fault is RuntimeError

    assert len(calls) == 2
    assert left(queue) == 2


def test_times_are_read_as_utc(capsys):
    with pytest.raises(SystemExit, match="2"):
        command.main(["replay", "--stream", "s", "--function", "f", "--from", "yesterday"])

    assert "write it like 2026-11-21T17:00:00Z" in capsys.readouterr().err
