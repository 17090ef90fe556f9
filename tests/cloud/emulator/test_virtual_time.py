"""The time of day of the services, what counts as running, and the clock itself."""

import json
import subprocess
import sys
import urllib.error
import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SOON = timedelta(seconds=60)


def queue(running, **attributes):
    sqs = running.client("sqs")
    name = f"queue-{uuid.uuid4().hex[:8]}"
    values = {key: str(value) for key, value in attributes.items()}
    url = sqs.create_queue(QueueName=name, Attributes=values)["QueueUrl"]
    return sqs, url, f"arn:aws:sqs:us-east-1:000000000000:{name}"


def worker(running, source, arn, **mapping):
    """A function that takes from a queue."""
    role = running.role({"Effect": "Allow", "Action": "*", "Resource": "*"})
    name = running.function(source, role=role)
    running.client("lambda").create_event_source_mapping(EventSourceArn=arn, FunctionName=name, **mapping)
    return name


def counter(running):
    """A table row that a function counts in, the source of the function, and how to read it."""
    dynamodb = running.client("dynamodb")
    table = f"table-{uuid.uuid4().hex[:8]}"
    dynamodb.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    source = f"""
import boto3
def count(more):
    boto3.client("dynamodb").update_item(
        TableName={table!r}, Key={{"id": {{"S": "count"}}}}, UpdateExpression="ADD taken :more",
        ExpressionAttributeValues={{":more": {{"N": str(more)}}}})
"""

    def read():
        found = dynamodb.get_item(TableName=table, Key={"id": {"S": "count"}}).get("Item", {})
        return int(found.get("taken", {}).get("N", 0))

    return source, read


def test_time_goes_on_at_real_speed_from_where_it_was_begun(timed):
    begun = datetime(2030, 1, 1, tzinfo=UTC)
    timed.begin_at(begun)

    first, second = timed.now(), timed.now()

    assert begun <= first <= second < begun + SOON


def test_the_offset_is_published_for_functions_and_never_half_written(timed):
    source = (
        'import os\ndef handler(event, context):\n    return open(os.environ["CLOCK_OFFSET_FILE"]).read()\n'
    )
    function = timed.function(source)
    before = timed.invoke(function)
    script = "import sys\npath = sys.argv[1]\nfor _ in range(20_000): float(open(path).read())\n"
    with subprocess.Popen([sys.executable, "-c", script, str(timed.state_dir / "clock-offset")]) as reader:
        while reader.poll() is None:
            timed.clock(at=(timed.now() + HOUR).isoformat())

    assert reader.returncode == 0
    assert float(timed.invoke(function)) == pytest.approx(timed.clock()["offset_seconds"])
    assert float(timed.invoke(function)) - float(before) > 3600


def test_an_advance_to_what_is_past_changes_nothing(timed):
    before = timed.now()

    timed.clock(at=(before - HOUR).isoformat())

    assert before <= timed.now() < before + SOON


def test_requests_are_signed_by_real_time_whatever_the_clock_says(timed):
    timed.jump(400 * DAY)
    statement = {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}
    iam = timed.client("iam")
    iam.create_user(UserName="signer")
    iam.put_user_policy(
        UserName="signer",
        PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    keys = iam.create_access_key(UserName="signer")["AccessKey"]

    names = timed.client("sqs", keys).list_queues()

    assert names["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_notifications_and_events_carry_virtual_time(timed):
    timed.jump(30 * DAY)
    sqs, url, arn = queue(timed)
    allow = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns, events = timed.client("sns"), timed.client("events")
    topic = sns.create_topic(Name=f"topic-{uuid.uuid4().hex[:8]}")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    source = f"test.{uuid.uuid4().hex[:8]}"
    events.put_rule(Name=source, EventPattern=json.dumps({"source": [source]}))
    events.put_targets(Rule=source, Targets=[{"Id": "queue", "Arn": arn}])

    sns.publish(TopicArn=topic, Message="Hi")
    events.put_events(Entries=[{"Source": source, "DetailType": "Test", "Detail": "{}"}])
    timed.clock("?quiet_within=60")

    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])["Messages"]
    bodies = [json.loads(message["Body"]) for message in messages]
    times = [body.get("Timestamp") or body["time"] for body in bodies]
    times += [int(message["Attributes"]["SentTimestamp"]) / 1000 for message in messages]
    assert len(times) == 4
    for time in times:
        instant = datetime.fromisoformat(time) if isinstance(time, str) else datetime.fromtimestamp(time, UTC)
        assert abs(instant - timed.now()) < SOON


def test_a_delayed_message_comes_when_its_delay_is_over(timed):
    sqs, url, _ = queue(timed)
    sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=900)

    timed.jump(14 * MINUTE)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    timed.jump(2 * MINUTE)

    [message] = sqs.receive_message(QueueUrl=url, VisibilityTimeout=3600)["Messages"]
    assert message["Body"] == "later"
    timed.jump(HOUR)
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["MessageId"] == message["MessageId"]


def test_delayed_messages_reach_their_function_within_the_jump_at_their_instants(timed):
    sqs, url, arn = queue(timed)
    source, taken = counter(timed)
    worker(timed, source + 'def handler(event, context):\n    count(len(event["Records"]))\n', arn)
    for delay in (300, 600, 900):
        sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=delay)

    due = timed.jump(700 * timedelta(seconds=1))

    assert [one.what for one in due] == ["queue", "queue"]
    assert taken() == 2
    timed.jump(HOUR)
    assert taken() == 3


def test_a_failed_message_comes_again_after_its_visibility_time_out_until_it_is_set_aside(timed):
    _, _, dead_arn = dead = queue(timed)
    policy = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 3})
    sqs, url, arn = queue(timed, VisibilityTimeout=360, RedrivePolicy=policy)
    source, taken = counter(timed)
    worker(timed, source + 'def handler(event, context):\n    count(1)\n    raise ValueError("no")\n', arn)
    sqs.send_message(QueueUrl=url, MessageBody="poison")

    due = timed.jump(HOUR)

    assert taken() == 3
    assert [one.what for one in due] == ["queue"] * 3
    assert [round((later.at - one.at) / MINUTE) for one, later in pairwise(due)] == [6, 6]
    assert sqs.receive_message(QueueUrl=dead[1])["Messages"][0]["Body"] == "poison"


def test_a_batching_window_is_virtual(timed):
    sqs, url, arn = queue(timed)
    source, taken = counter(timed)
    handler = source + "def handler(event, context):\n    count(1)\n"
    worker(timed, handler, arn, BatchSize=100, MaximumBatchingWindowInSeconds=300)
    for number in range(5):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))

    timed.jump(4 * MINUTE)
    assert taken() == 0
    timed.jump(2 * MINUTE)

    assert taken() == 1


def test_quiet_is_when_the_last_link_of_a_chain_has_ended(timed):
    """A topic, a function, a queue, a function, an event, a function; each link takes its time."""
    _, url, arn = queue(timed)
    source, taken = counter(timed)
    role = timed.role({"Effect": "Allow", "Action": "*", "Resource": "*"})
    bus = f"test.{uuid.uuid4().hex[:8]}"
    slow = f"{source}\nimport time\ndef handler(event, context):\n    time.sleep(0.3)\n"
    last = timed.function(f"{slow}    count(1)\n", role=role)
    events = timed.client("events")
    events.put_rule(Name=bus, EventPattern=json.dumps({"source": [bus]}))
    account = "arn:aws:lambda:us-east-1:000000000000:function"
    events.put_targets(Rule=bus, Targets=[{"Id": "last", "Arn": f"{account}:{last}"}])
    entry = f'{{"Source": {bus!r}, "DetailType": "Test", "Detail": "{{}}"}}'
    put_event = f'    boto3.client("events").put_events(Entries=[{entry}])\n'
    worker(timed, slow + put_event, arn)
    send = f'    boto3.client("sqs").send_message(QueueUrl={url!r}, MessageBody="1")\n'
    first = timed.function(slow + send, role=role)
    sns = timed.client("sns")
    topic = sns.create_topic(Name=f"topic-{uuid.uuid4().hex[:8]}")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=f"{account}:{first}")

    for number in range(1, 4):
        sns.publish(TopicArn=topic, Message="go")
        timed.clock("?quiet_within=60")
        assert taken() == number


def test_what_does_not_become_quiet_in_time_is_said(timed):
    function = timed.function("import time\ndef handler(event, context):\n    time.sleep(2)\n")
    timed.client("lambda").invoke(FunctionName=function, InvocationType="Event")

    with pytest.raises(urllib.error.HTTPError) as failure:
        timed.clock("?quiet_within=0.5")

    with failure.value as answer:
        assert answer.code == 503
        assert "still run" in json.load(answer)["error"]
    timed.clock("?quiet_within=60")


def test_a_failed_asynchronous_call_is_over_when_its_retries_are(timed):
    source, taken = counter(timed)
    role = timed.role({"Effect": "Allow", "Action": "*", "Resource": "*"})
    function = timed.function(
        source + 'def handler(event, context):\n    count(1)\n    raise ValueError("no")\n', role=role
    )

    timed.client("lambda").invoke(FunctionName=function, InvocationType="Event")
    timed.clock("?quiet_within=60")

    assert taken() == 3


def test_putting_the_clock_back_ends_warm_functions(timed):
    source = "import time\nBORN = time.time_ns()\ndef handler(event, context):\n    return BORN\n"
    function = timed.function(source)
    born = timed.invoke(function)
    timed.jump(HOUR)
    assert timed.invoke(function) == born

    timed.begin_at(datetime(2026, 11, 23, 12, tzinfo=UTC))

    assert timed.invoke(function) > born


def test_the_time_is_kept_with_the_state(start):
    begun = datetime(2031, 5, 1, 17, tzinfo=UTC)
    with start(persist=True, clock_start=begun) as running:
        assert begun <= running.now() < begun + SOON
        running.clock(at=(begun + 10 * DAY).isoformat())
    with start(persist=True, clock_start=begun) as running:
        assert begun + 10 * DAY <= running.now() < begun + 10 * DAY + MINUTE


def test_without_the_patch_there_is_no_clock(start):
    with start(without=("virtual_time",)) as running, pytest.raises(urllib.error.HTTPError) as failure:
        running.clock()

    with failure.value as answer:
        assert answer.code != 200
