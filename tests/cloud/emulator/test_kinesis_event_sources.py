"""Functions on a Kinesis stream: batches, order, failures, what is discarded, and the clock."""

import base64
import json
import uuid
from datetime import timedelta

import pytest

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    ],
}

# Notes each batch in a file, and does what the file "orders" says: raise or report where a name of it comes,
# or wait until a file is there. By files: a log line may come late.
NOTES = """
import base64, json, os, time
folder = os.environ["FOLDER"]
def handler(event, context):
    names = [base64.b64decode(record["kinesis"]["data"]).decode() for record in event["Records"]]
    try:
        with open(os.path.join(folder, "orders")) as file:
            orders = json.load(file)
    except FileNotFoundError:
        orders = {}
    with open(os.path.join(folder, f"new-{context.aws_request_id}"), "w") as file:
        json.dump({"names": names, "records": event["Records"]}, file)
    number = time.time_ns()
    os.rename(file.name, os.path.join(folder, f"batch-{number}-{context.aws_request_id}"))
    for name in names:
        gate = os.path.join(folder, f"open-{name}")
        while name in orders.get("wait", []) and not os.path.exists(gate):
            time.sleep(0.01)
    if any(name in orders.get("raise", []) for name in names):
        raise ValueError("poison")
    return {"batchItemFailures": [
        {"itemIdentifier": record["kinesis"]["sequenceNumber"]}
        for name, record in zip(names, event["Records"]) if name in orders.get("report", [])
    ]}
"""


QUIET = "def handler(event, context): return None"


class Consumer:
    """A function that notes what it gets, on a mapping of a stream."""

    def __init__(self, running, folder, stream, **mapping):
        folder.mkdir()
        self.running, self.folder = running, folder
        function = mapping.pop("function", {})
        self.function = running.function(
            NOTES, Environment={"Variables": {"FOLDER": str(folder)}}, **function
        )
        self.orders(**mapping.pop("orders", {}))
        self.mapping = running.client("lambda").create_event_source_mapping(
            EventSourceArn=stream.arn,
            FunctionName=self.function,
            **{"StartingPosition": "TRIM_HORIZON", "FunctionResponseTypes": ["ReportBatchItemFailures"]}
            | mapping,
        )["UUID"]

    def orders(self, **orders):
        draft = self.folder / "draft"
        draft.write_text(json.dumps(orders))
        draft.rename(self.folder / "orders")

    def let(self, name):
        (self.folder / f"open-{name}").touch()

    def batches(self):
        """Names of each batch, in the order in which they came."""
        return [batch["names"] for batch in self.events()]

    def events(self):
        return [json.loads(file.read_text()) for file in sorted(self.folder.glob("batch-*"))]

    def names(self):
        return [name for batch in self.batches() for name in batch]

    def update(self, **changes):
        self.running.client("lambda").update_event_source_mapping(UUID=self.mapping, **changes)


class Stream:
    """A stream of one shard, unless told otherwise."""

    def __init__(self, running, *, shards=1):
        self.kinesis = running.client("kinesis")
        self.name = f"stream-{uuid.uuid4().hex[:8]}"
        self.kinesis.create_stream(StreamName=self.name, ShardCount=shards)
        description = self.kinesis.describe_stream(StreamName=self.name)["StreamDescription"]
        self.arn = description["StreamARN"]

    def put(self, *names, key="key"):
        records = [{"Data": name.encode(), "PartitionKey": key} for name in names]
        answer = self.kinesis.put_records(StreamName=self.name, Records=records)
        assert answer["FailedRecordCount"] == 0
        return [record["SequenceNumber"] for record in answer["Records"]]

    def shards(self):
        return self.kinesis.list_shards(StreamName=self.name)["Shards"]


class Queue:
    """Where discarded batches go."""

    def __init__(self, running):
        self.sqs = running.client("sqs")
        self.url = self.sqs.create_queue(QueueName=f"discarded-{uuid.uuid4().hex[:8]}")["QueueUrl"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        self.arn = attributes["Attributes"]["QueueArn"]

    def receive(self):
        messages = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in messages]


@pytest.fixture
def consume(timed, tmp_path):
    """Makes consumers; their mappings are deleted at the end, and no other test's clock waits for them."""
    made = []

    def make(stream, **mapping):
        made.append(Consumer(timed, tmp_path / f"consumer-{len(made)}", stream, **mapping))
        return made[-1]

    yield make
    for consumer in made:
        timed.client("lambda").delete_event_source_mapping(UUID=consumer.mapping)


def on_failure(destination):
    return {"DestinationConfig": {"OnFailure": {"Destination": destination}}}


def test_records_come_as_lambda_delivers_them(timed, consume, eventually):
    stream = Stream(timed)
    (number,) = stream.put("a", key="someone")

    event = eventually(consume(stream).events)[0]

    (record,) = event["records"]
    assert record["eventID"] == f"{stream.shards()[0]['ShardId']}:{number}"
    assert record["eventSourceARN"] == stream.arn
    assert record["kinesis"]["partitionKey"] == "someone"
    assert record["kinesis"]["approximateArrivalTimestamp"] == pytest.approx(timed.now().timestamp(), abs=60)


def test_a_window_gathers_a_batch_and_a_jump_passes_over_it(timed, consume):
    stream = Stream(timed)
    consumer = consume(stream, MaximumBatchingWindowInSeconds=300, BatchSize=100)
    stream.put("a", "b")
    timed.jump(timedelta(seconds=200))
    stream.put("c")
    before = consumer.batches()

    due = timed.jump(timedelta(seconds=120))

    assert before == []
    assert consumer.batches() == [["a", "b", "c"]]
    assert [each.name for each in due if each.what == "stream"] == [f"{stream.name}: {consumer.function}"]


def test_a_full_batch_waits_for_no_window(timed, consume, eventually):
    stream = Stream(timed)
    consumer = consume(stream, MaximumBatchingWindowInSeconds=300, BatchSize=2)

    stream.put("a", "b", "c")

    assert eventually(consumer.batches) == [["a", "b"]]


def test_a_jump_is_over_when_what_follows_from_it_is_done(timed, consume):
    stream = Stream(timed)
    consumer = consume(stream, MaximumRetryAttempts=5, orders={"raise": ["a"]})
    stream.put("a")

    timed.jump(timedelta(hours=1))

    assert consumer.batches() == [["a"]] * 6


def test_from_the_lowest_failure_on_all_comes_again(timed, consume, eventually):
    stream = Stream(timed)
    stream.put("a", "b", "c", "d")
    consumer = consume(stream, orders={"report": ["d", "b"]})
    eventually(lambda: len(consumer.batches()) > 1)

    consumer.orders()
    eventually(lambda: consumer.batches()[-1] == ["b", "c", "d"])
    stream.put("e")
    eventually(lambda: consumer.batches()[-1] == ["e"])

    assert consumer.batches()[:2] == [["a", "b", "c", "d"], ["b", "c", "d"]]
    assert consumer.names().count("a") == 1


def test_a_batch_is_split_until_only_the_poison_is_left_and_that_is_discarded(timed, consume, eventually):
    stream, queue = Stream(timed), Queue(timed)
    sequence = stream.put(*"abcdefgh")
    consumer = consume(
        stream,
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=1,
        orders={"raise": ["e"]},
        **on_failure(queue.arn),
    )
    (told,) = eventually(queue.receive)
    stream.put("i")
    eventually(lambda: "i" in consumer.names())

    assert consumer.batches() == [
        list("abcdefgh"), list("abcd"), list("efgh"), ["e", "f"], ["e"], ["e"], ["f"], ["g", "h"], ["i"]
    ]  # fmt: skip
    assert told["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert told["requestContext"]["functionArn"].endswith(consumer.function)
    assert told["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled",
    }
    batch = told["KinesisBatchInfo"]
    assert (batch["startSequenceNumber"], batch["endSequenceNumber"]) == (sequence[4], sequence[4])
    assert (batch["batchSize"], batch["streamArn"]) == (1, stream.arn)
    assert batch["shardId"] == stream.shards()[0]["ShardId"]
    assert set(batch) >= {"approximateArrivalOfFirstRecord", "approximateArrivalOfLastRecord"}


def test_a_bucket_gets_the_discarded_records_too(timed, consume, eventually):
    stream, bucket = Stream(timed), f"discarded-{uuid.uuid4().hex[:8]}"
    s3 = timed.client("s3")
    s3.create_bucket(Bucket=bucket)
    stream.put("a")
    consumer = consume(
        stream, MaximumRetryAttempts=0, orders={"report": ["a"]}, **on_failure(f"arn:aws:s3:::{bucket}")
    )

    (found,) = eventually(lambda: s3.list_objects_v2(Bucket=bucket).get("Contents"))
    told = json.loads(s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read())

    shard = stream.shards()[0]["ShardId"]
    assert found["Key"].startswith(f"aws/lambda/{consumer.mapping}/{shard}/{timed.now():%Y/%m/%d}/")
    records = json.loads(told["payload"])["Records"]
    assert [base64.b64decode(record["kinesis"]["data"]) for record in records] == [b"a"]
    assert told["KinesisBatchInfo"]["batchSize"] == 1


def test_what_became_too_old_is_discarded(timed, consume, eventually):
    stream, queue = Stream(timed), Queue(timed)
    consumer = consume(
        stream, MaximumRecordAgeInSeconds=600, orders={"raise": ["a"]}, **on_failure(queue.arn)
    )
    stream.put("a")

    timed.jump(timedelta(minutes=20))
    consumer.orders()
    stream.put("b")
    (told,) = eventually(queue.receive)
    eventually(lambda: "b" in consumer.names())

    assert told["requestContext"]["condition"] == "RecordAgeExceeded"
    assert told["requestContext"]["approximateInvokeCount"] == consumer.names().count("a")


def test_only_what_a_filter_matches_is_delivered_and_the_rest_is_done(timed, consume, eventually):
    stream = Stream(timed)
    pattern = json.dumps({"data": {"type": ["wanted"]}})
    consumer = consume(
        stream, BatchSize=2, FilterCriteria={"Filters": [{"Pattern": pattern}]}, StartingPosition="LATEST"
    )
    wanted, other = json.dumps({"type": "wanted"}), json.dumps({"type": "other"})

    stream.put(other, wanted, other, "no JSON", wanted, other)
    eventually(lambda: len(consumer.names()) == 2)
    timed.jump(timedelta(minutes=1))

    assert consumer.batches() == [[wanted, wanted]]


def test_lanes_work_side_by_side_and_keep_the_order_of_a_key(timed, consume, eventually):
    stream = Stream(timed)
    consumer = consume(stream, ParallelizationFactor=10, BatchSize=1, orders={"wait": ["slow-1"]})

    stream.put("slow-1", "slow-2", key="slow")
    for number in range(20):
        stream.put(f"quick-{number}", key=f"quick-{number}")
    eventually(lambda: len(consumer.names()) > 10)
    before = consumer.names()
    consumer.let("slow-1")
    eventually(lambda: len(consumer.names()) == 22)

    assert "slow-1" in before
    assert "slow-2" not in before
    assert consumer.names().index("slow-2") > consumer.names().index("slow-1")


def test_a_mapping_that_is_stuck_holds_up_no_other_one(timed, consume, eventually):
    stream = Stream(timed)
    stuck = consume(stream, orders={"raise": ["a"]})
    other = consume(stream)

    stream.put("a")
    eventually(lambda: len(stuck.batches()) > 1)
    stream.put("b")

    eventually(lambda: other.names() == ["a", "b"])
    assert "b" not in [name for batch in stuck.batches() if "a" not in batch for name in batch]


@pytest.mark.parametrize("position", ["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"])
def test_a_mapping_begins_where_it_is_told_to(timed, consume, eventually, position):
    stream = Stream(timed)
    stream.put("first")
    timed.jump(timedelta(minutes=10))
    since = timed.now()
    stream.put("second")
    timestamp = {"StartingPositionTimestamp": since} if position == "AT_TIMESTAMP" else {}
    consumer = consume(stream, StartingPosition=position, **timestamp)

    stream.put("third")
    eventually(lambda: "third" in consumer.names())

    expected = {
        "TRIM_HORIZON": ["first", "second", "third"],
        "AT_TIMESTAMP": ["second", "third"],
        "LATEST": ["third"],
    }
    assert consumer.names() == expected[position]


def test_a_shard_that_was_split_is_read_before_those_that_came_of_it(timed, consume, eventually):
    stream = Stream(timed)
    consumer = consume(stream, BatchSize=1, orders={"wait": ["a"]})
    stream.put("a", "b", key="someone")
    (parent,) = stream.shards()

    middle = str(int(parent["HashKeyRange"]["EndingHashKey"]) // 2)
    stream.kinesis.split_shard(
        StreamName=stream.name, ShardToSplit=parent["ShardId"], NewStartingHashKey=middle
    )
    stream.put("c", key="someone")
    eventually(consumer.names)
    before = consumer.names()
    consumer.let("a")
    eventually(lambda: len(consumer.names()) == 3)

    assert before == ["a"]
    assert consumer.names() == ["a", "b", "c"]
    closed, *children = stream.shards()
    assert "EndingSequenceNumber" in closed["SequenceNumberRange"]
    assert [child["ParentShardId"] for child in children] == [parent["ShardId"]] * 2


def test_the_iterator_of_a_closed_shard_ends_and_names_its_children(timed):
    stream = Stream(timed)
    stream.put("a")
    stream.kinesis.update_shard_count(
        StreamName=stream.name, TargetShardCount=2, ScalingType="UNIFORM_SCALING"
    )
    parent, *children = stream.shards()

    iterator = stream.kinesis.get_shard_iterator(
        StreamName=stream.name, ShardId=parent["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    answer = stream.kinesis.get_records(ShardIterator=iterator)
    stream.put("b")

    assert [record["Data"] for record in answer["Records"]] == [b"a"]
    assert "NextShardIterator" not in answer
    assert [child["ShardId"] for child in answer["ChildShards"]] == [child["ShardId"] for child in children]
    summary = stream.kinesis.describe_stream_summary(StreamName=stream.name)["StreamDescriptionSummary"]
    assert summary["OpenShardCount"] == 2


def test_a_throttled_function_gets_its_records_later_and_loses_no_attempt(timed, consume, eventually):
    stream, queue = Stream(timed), Queue(timed)
    consumer = consume(stream, MaximumRetryAttempts=0, **on_failure(queue.arn))
    functions = timed.client("lambda")
    functions.put_function_concurrency(FunctionName=consumer.function, ReservedConcurrentExecutions=0)
    stream.put("a")
    timed.jump(timedelta(minutes=5))
    before = consumer.names()

    functions.put_function_concurrency(FunctionName=consumer.function, ReservedConcurrentExecutions=1)
    timed.jump(timedelta(minutes=5))

    assert before == []
    assert consumer.names() == ["a"]
    assert queue.receive() == []


def test_a_disabled_mapping_stops_and_later_goes_on_where_it_was(timed, consume, eventually):
    stream = Stream(timed)
    consumer = consume(stream, orders={"raise": ["b"]})
    stream.put("a")
    eventually(consumer.names)
    stream.put("b")
    eventually(lambda: "b" in consumer.names())

    consumer.update(Enabled=False)
    timed.jump(timedelta(minutes=10))
    stopped = consumer.batches()
    timed.jump(timedelta(minutes=10))
    still = consumer.batches()
    consumer.orders()
    consumer.update(Enabled=True)
    eventually(lambda: len(consumer.batches()) > len(still))

    assert still == stopped
    assert consumer.batches()[len(still) :] == [["b"]]


def test_what_the_stream_kept_no_longer_is_not_delivered(timed, consume, eventually):
    stream = Stream(timed)
    consumer = consume(stream, Enabled=False)
    stream.put("a")
    timed.jump(timedelta(hours=25))
    consumer.update(Enabled=True)
    timed.jump(timedelta(minutes=1))
    stream.put("b")
    eventually(consumer.names)

    assert consumer.names() == ["b"]


def test_the_age_of_what_a_function_gets_is_a_metric(timed, consume, eventually):
    stream = Stream(timed)
    stream.put("a")
    timed.jump(timedelta(minutes=10))
    consumer = consume(stream)
    eventually(consumer.names)

    points = eventually(lambda: iterator_ages(timed, consumer.function))

    assert points[0] == pytest.approx(600_000, rel=0.2)


def test_a_clock_that_is_put_back_forgets_what_is_on_streams(timed, consume, eventually):
    stream = Stream(timed)
    consumer = consume(stream, MaximumBatchingWindowInSeconds=300)
    stream.put("before")
    timed.clock("?quiet_within=20")

    timed.begin_at(timed.now())
    timed.jump(timedelta(hours=1))
    stream.put("after")
    eventually(lambda: timed.jump(timedelta(hours=1)) or consumer.names())

    assert consumer.names() == ["after"]


def test_a_consumer_with_a_throughput_of_its_own_reads_the_stream(timed, consume, eventually):
    stream = Stream(timed)
    consumer = stream.kinesis.register_stream_consumer(StreamARN=stream.arn, ConsumerName="own")["Consumer"]
    template = mapping_template(StartingPosition="TRIM_HORIZON")
    template["Resources"]["Source"]["Properties"]["EventSourceArn"] = consumer["ConsumerARN"]
    template["Resources"]["Function"]["Properties"]["Code"]["ZipFile"] = QUIET
    stack = timed.deploy(template)
    stream.put("a")
    mapping = timed.outputs(stack)["Source"]

    def result():
        found = timed.client("lambda").get_event_source_mapping(UUID=mapping)
        return found["LastProcessingResult"] == "OK"

    assert eventually(result)
    timed.client("cloudformation").delete_stack(StackName=stack["StackName"])


def test_a_mapping_goes_on_where_it_was_after_a_restart(start, tmp_path, eventually):
    with start(persist=True) as first:
        stream = Stream(first)
        consumer = Consumer(first, tmp_path / "consumer", stream)
        stream.put("a")
        eventually(consumer.names)
        first.clock("?quiet_within=20")
    with start(persist=True) as second:
        kinesis = second.client("kinesis")
        kinesis.put_record(StreamName=stream.name, Data=b"b", PartitionKey="key")
        eventually(lambda: "b" in consumer.names())

    assert consumer.names() == ["a", "b"]


def iterator_ages(running, function):
    metrics = running.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="IteratorAge",
        Dimensions=[{"Name": "FunctionName", "Value": function}],
        StartTime=running.now() - timedelta(hours=1),
        EndTime=running.now() + timedelta(minutes=1),
        Period=60,
        Statistics=["Maximum"],
    )
    return [point["Maximum"] for point in metrics["Datapoints"]]


def mapping_template(**mapping):
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    return {
        "Resources": {
            "Stream": {
                "Type": "AWS::Kinesis::Stream",
                "Properties": {"StreamModeDetails": {"StreamMode": "ON_DEMAND"}},
            },
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "AssumeRolePolicyDocument": TRUST,
                    "Policies": [{"PolicyName": "all", "PolicyDocument": everything}],
                },
            },
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Runtime": "python3.13",
                    "Handler": "index.handler",
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Code": {"ZipFile": "def handler(event, context): pass"},
                },
            },
            "Source": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {
                    "EventSourceArn": {"Fn::GetAtt": ["Stream", "Arn"]},
                    "FunctionName": {"Ref": "Function"},
                    **mapping,
                },
            },
        },
        "Outputs": {"Source": {"Value": {"Ref": "Source"}}},
    }


def test_a_mapping_of_a_template_keeps_all_its_properties(timed):
    pattern = json.dumps({"data": {"type": ["wanted"]}})
    stack = timed.deploy(
        mapping_template(
            StartingPosition="AT_TIMESTAMP",
            StartingPositionTimestamp=1_700_000_000,
            BatchSize="1000",
            MaximumBatchingWindowInSeconds=300,
            ParallelizationFactor=10,
            BisectBatchOnFunctionError="true",
            MaximumRetryAttempts=3,
            MaximumRecordAgeInSeconds=3600,
            FunctionResponseTypes=["ReportBatchItemFailures"],
            FilterCriteria={"Filters": [{"Pattern": pattern}]},
            Enabled="false",
            **on_failure("arn:aws:sqs:us-east-1:000000000000:discarded"),
        )
    )
    functions = timed.client("lambda")
    kept = functions.get_event_source_mapping(UUID=timed.outputs(stack)["Source"])

    expected = {
        "State": "Disabled",
        "BatchSize": 1000,
        "MaximumBatchingWindowInSeconds": 300,
        "ParallelizationFactor": 10,
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": 3,
        "MaximumRecordAgeInSeconds": 3600,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "FilterCriteria": {"Filters": [{"Pattern": pattern}]},
        "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:discarded"}},
    }
    assert {name: kept[name] for name in expected} == expected
    assert kept["StartingPositionTimestamp"].timestamp() == 1_700_000_000

    timed.deploy(
        mapping_template(StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=1_700_000_000),
        stack=stack["StackName"],
    )
    changed = functions.get_event_source_mapping(UUID=timed.outputs(stack)["Source"])

    assert (changed["State"], changed["BatchSize"]) == ("Enabled", 100)
    assert not {"BisectBatchOnFunctionError", "DestinationConfig", "FilterCriteria"} & changed.keys()


def test_without_the_patches_what_a_function_reports_as_failed_is_lost(unpatched, tmp_path, eventually):
    stream = Stream(unpatched)
    stream.put("a", "b")
    consumer = Consumer(unpatched, tmp_path / "consumer", stream, orders={"report": ["a"]})
    eventually(consumer.names)
    stream.put("c")

    eventually(lambda: "c" in consumer.names())

    assert consumer.batches() == [["a", "b"], ["c"]]
