"""The stream on Kinesis: nothing is put again that may be there, and what was put is found."""

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from moto import mock_aws

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError
from sms_engagement_runtime.sms_analytics_pipeline.adapters.kinesis_stream import (
    CLOCK_SKEW_MS,
    MOST_BYTES,
    MOST_RECORDS,
    PUTTING,
    KinesisEventStream,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.ports import Sought, StreamRecord
from tests.support.logs import captured_logs

STREAM = "events"
THROTTLED = "ProvisionedThroughputExceededException"


def record(number, *, size=0):
    data = json.dumps({"event_id": f"e-{number}", "filling": "x" * size})
    return StreamRecord(f"e-{number}", f"v1:{number}", data)


def refusal(code):
    return ClientError({"Error": {"Code": code, "Message": "+12025550123"}}, "PutRecords")


class FakeKinesis:
    """Answers ``PutRecords`` by a script: an error, or the error code of each record; then all is put.

    ``pages`` are what ``GetRecords`` gives.
    """

    def __init__(self, *script, pages=()):
        self.calls = []
        self.put = []
        self.script = list(script)
        self.pages = list(pages)

    def put_records(self, **request):
        records = request["Records"]
        self.calls.append(len(records))
        step = self.script.pop(0) if self.script else []
        if isinstance(step, Exception):
            raise step
        codes = [*step, *[None] * (len(records) - len(step))]
        self.put += [
            json.loads(record["Data"])["event_id"]
            for record, code in zip(records, codes, strict=True)
            if code is None
        ]
        return {"Records": [{"ErrorCode": code} if code else {"SequenceNumber": "1"} for code in codes]}

    def list_shards(self, **request):
        return {
            "Shards": [
                {
                    "ShardId": "shardId-0",
                    "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": str(2**128 - 1)},
                }
            ]
        }

    def get_shard_iterator(self, **request):
        self.calls.append(request["Timestamp"])
        return {"ShardIterator": "i"}

    def get_records(self, **request):
        return self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]


def stream_of(kinesis):
    pauses = []
    stream = KinesisEventStream(kinesis, stream=STREAM, reading=lambda: kinesis, sleep=pauses.append)
    return stream, pauses


class TestPut:
    def test_a_batch_is_one_call(self):
        stream, _ = stream_of(kinesis := FakeKinesis())

        put = stream.put([record(number) for number in range(100)])

        assert put == {f"e-{number}" for number in range(100)}
        assert kinesis.calls == [100]

    def test_a_call_has_no_more_records_and_bytes_than_it_may(self):
        stream, _ = stream_of(kinesis := FakeKinesis())

        stream.put([record(number) for number in range(MOST_RECORDS + 1)])
        stream.put([record(number, size=MOST_BYTES // 2) for number in range(3)])

        assert kinesis.calls == [MOST_RECORDS, 1, 1, 1, 1]

    def test_only_the_records_that_were_throttled_are_put_again(self):
        stream, pauses = stream_of(kinesis := FakeKinesis([None, THROTTLED, None, THROTTLED], [THROTTLED]))

        put = stream.put([record(number) for number in range(4)])

        assert put == {"e-0", "e-1", "e-2", "e-3"}
        assert sorted(kinesis.put) == ["e-0", "e-1", "e-2", "e-3"]
        assert (kinesis.calls, len(pauses)) == ([4, 2, 1], 2)

    def test_a_stream_that_throttles_for_long_is_given_up(self):
        stream, _ = stream_of(kinesis := FakeKinesis(*[[None, THROTTLED]] + [[THROTTLED]] * 20))

        assert stream.put([record(0), record(1)]) == {"e-0"}
        assert len(kinesis.calls) < 10

    def test_a_record_that_failed_within_the_service_is_in_doubt(self):
        stream, _ = stream_of(kinesis := FakeKinesis([None, "InternalFailure"]))

        assert stream.put([record(0), record(1)]) == {"e-0"}
        assert kinesis.calls == [2]

    @pytest.mark.parametrize(
        "error",
        [
            refusal("InternalFailure"),
            refusal("AccessDeniedException"),
            ReadTimeoutError(endpoint_url="https://kinesis"),
            EndpointConnectionError(endpoint_url="https://kinesis"),
        ],
    )
    def test_a_call_whose_answer_is_lost_is_not_repeated(self, error):
        stream, _ = stream_of(kinesis := FakeKinesis(error))

        with captured_logs() as logs:
            assert stream.put([record(0)]) == frozenset()

        assert kinesis.calls == [1]
        assert "kinesis:PutRecords" in logs.getvalue()
        assert "2025550123" not in logs.getvalue()

    def test_a_call_that_was_refused_for_its_rate_is_made_again(self):
        stream, _ = stream_of(kinesis := FakeKinesis(refusal("LimitExceededException")))

        assert stream.put([record(0)]) == {"e-0"}
        assert kinesis.calls == [1, 1]

    def test_a_lost_answer_leaves_the_other_calls_alone(self):
        stream, _ = stream_of(kinesis := FakeKinesis([], refusal("InternalFailure")))

        put = stream.put([record(number) for number in range(2 * MOST_RECORDS + 1)])

        assert len(put) == MOST_RECORDS + 1
        assert kinesis.calls == [MOST_RECORDS, MOST_RECORDS, 1]

    def test_the_client_makes_each_call_once(self):
        # `PutRecords` has no idempotency token: botocore must not repeat it.
        assert PUTTING.retries == {"total_max_attempts": 1, "mode": "standard"}


def sought(number, since=-1_000, until=60_000):
    now = round(datetime.now(UTC).timestamp() * 1000)
    return Sought(f"e-{number}", f"v1:{number}", now + since, now + until)


@pytest.fixture
def kinesis():
    with mock_aws():
        client = boto3.client("kinesis")
        client.create_stream(StreamName=STREAM, ShardCount=3)
        yield client


class TestFind:
    def test_what_was_put_is_found_and_nothing_else(self, kinesis):
        stream, _ = stream_of(kinesis)
        stream.put([record(number) for number in range(50)])

        assert stream.find([sought(number) for number in range(40, 60)]) == {
            f"e-{number}" for number in range(40, 50)
        }

    def test_what_was_put_before_a_shard_was_split_is_found(self, kinesis):
        stream, _ = stream_of(kinesis)
        stream.put([record(number) for number in range(20)])
        for shard in kinesis.list_shards(StreamName=STREAM)["Shards"]:
            keys = {name: int(key) for name, key in shard["HashKeyRange"].items()}
            kinesis.split_shard(
                StreamName=STREAM,
                ShardToSplit=shard["ShardId"],
                NewStartingHashKey=str((keys["StartingHashKey"] + keys["EndingHashKey"]) // 2),
            )
        stream.put([record(number) for number in range(20, 40)])

        assert len(stream.find([sought(number) for number in range(40)])) == 40

    def test_a_record_of_others_on_the_stream_is_passed_over(self, kinesis):
        stream, _ = stream_of(kinesis)
        for data in (b"\xff", b"[]", b'{"event_id": 1}', b"[" * 10_000):
            kinesis.put_record(StreamName=STREAM, Data=data, PartitionKey="v1:0")
        stream.put([record(0)])

        assert stream.find([sought(0)]) == {"e-0"}

    def test_nothing_sought_needs_no_call(self):
        assert KinesisEventStream(FakeKinesis(), stream=STREAM, reading=None).find([]) == frozenset()

    def test_a_page_without_records_is_not_the_end(self):
        now = datetime.now(UTC)
        pages = [
            {"Records": [], "NextShardIterator": "i", "MillisBehindLatest": 5_000},
            {
                "Records": [{"Data": record(0).data.encode(), "ApproximateArrivalTimestamp": now}],
                "NextShardIterator": "i",
                "MillisBehindLatest": 1,
            },
        ]
        stream, pauses = stream_of(FakeKinesis(pages=pages))

        assert stream.find([sought(0)]) == {"e-0"}
        assert len(pauses) == 1

    def test_reading_stops_at_the_end_of_the_time(self):
        late = datetime.now(UTC) + timedelta(hours=1)
        page = {
            "Records": [{"Data": b"{}", "ApproximateArrivalTimestamp": late}],
            "NextShardIterator": "i",
            "MillisBehindLatest": 5_000,
        }
        stream, pauses = stream_of(FakeKinesis(pages=[page]))

        assert stream.find([sought(0)]) == frozenset()
        assert pauses == []

    def test_a_stream_whose_end_is_not_reached_proves_nothing(self):
        page = {"Records": [], "NextShardIterator": "i", "MillisBehindLatest": 5_000}
        stream, _ = stream_of(FakeKinesis(pages=[page]))

        with pytest.raises(ServiceCallError, match="end of the time"):
            stream.find([sought(0)])

    def test_times_far_apart_are_read_apart_and_clocks_may_differ(self):
        page = {"Records": [], "NextShardIterator": "i", "MillisBehindLatest": 0}
        stream, _ = stream_of(kinesis := FakeKinesis(pages=[page]))
        day = 24 * 3_600_000
        events = [sought(0), sought(1), sought(2, since=-day, until=60_000 - day)]

        stream.find(events)

        skew = timedelta(milliseconds=CLOCK_SKEW_MS)
        assert kinesis.calls == [
            datetime.fromtimestamp(event.since / 1000, UTC) - skew for event in (events[2], events[0])
        ]
