import json
import random
from contextlib import contextmanager
from unittest.mock import patch

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from sms_engagement_runtime.settings import SettingsError
from tests.support.aws_faults import failing
from tests.support.dynamodb_tables import CONTACTS, erased_at_once
from tests.support.handlers import Context, fresh_handler
from tests.support.kinesis_events import NOON_MS, SHARD, canonical, stream_batch
from tests.support.logs import captured_logs
from tests.support.subscriber_tables import RESPONSES, SUBSCRIBERS, subscriber_tables

HANDLER = "sms_engagement_runtime.sms_analytics_pipeline.handlers.response_handler"
NUMBER = "+12025550101"
BUCKET = "archive"
ENVIRONMENT = {
    "RESPONSES_TABLE": RESPONSES,
    "SUBSCRIBERS_TABLE": SUBSCRIBERS,
    "CONTACTS_TABLE": CONTACTS,
    "ARCHIVE_BUCKET": BUCKET,
    "NOTIFY_PATTERNS": json.dumps({"money": ["refund"]}),
    "RESPONSE_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:responses",
}


@pytest.fixture(scope="module")
def module():
    with fresh_handler(HANDLER, ENVIRONMENT) as module:
        yield module


@pytest.fixture(scope="module")
def clients():
    return {service: boto3.client(service) for service in ("s3", "sns", "sqs")}


@pytest.fixture
def client(clients):
    with subscriber_tables() as client:
        clients["s3"].create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture
def notices(client, clients):
    """What the topic published, in the order in which it did."""
    topic = clients["sns"].create_topic(Name="responses")["TopicArn"]
    queue = clients["sqs"].create_queue(QueueName="notices")["QueueUrl"]
    arn = clients["sqs"].get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    clients["sns"].subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])

    def published():
        found = clients["sqs"].receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in found]

    return published


def answer(number=0, text="Great!", **fields):
    return canonical(
        number,
        event_type="_SMS.RECEIVED",
        **{
            "event_id": f"in-{number}",
            "message_id": f"in-{number}",
            "record_status": None,
            "price_millicents": None,
            "response_text": text,
            **fields,
        },
    )


def rows(client, table):
    return sorted(client.scan(TableName=table)["Items"], key=json.dumps)


def tables(client):
    """Both tables, without what counts writes."""
    people = [{**row, "version": None} for row in rows(client, SUBSCRIBERS)]
    return rows(client, RESPONSES), people


def failures(response):
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]


def number_of(batch, position):
    return batch["Records"][position]["kinesis"]["sequenceNumber"]


@contextmanager
def failing_for(operation, words, code="ThrottlingException"):
    """Have calls fail whose arguments say one of these words."""
    real = BaseClient._make_api_call

    def call(self, name, arguments):
        said = json.dumps(arguments, default=str)
        if name == operation and any(word in said for word in words):
            raise ClientError({"Error": {"Code": code, "Message": f"{NUMBER} Great!"}}, name)
        return real(self, name, arguments)

    with patch.object(BaseClient, "_make_api_call", call):
        yield


def test_answers_are_kept_and_deliveries_passed_over(module, client):
    events = [
        canonical(1),
        answer(2, "Great!", journey_id="welcome"),
        canonical(3, event_type="_SMS.FAILURE"),
        answer(4, "STOP", campaign_id=None),
        canonical(5, event_type="_SMS.OPTOUT"),
    ]

    response = module.handler(stream_batch(events), Context())

    assert failures(response) == []
    great, stop = sorted(rows(client, RESPONSES), key=lambda row: row["response_key"]["S"])
    assert great["response_key"] == {"S": f"{NOON_MS + 2}#in-2"}
    assert (great["sentiment"], great["journey_id"]) == ({"S": "positive"}, {"S": "welcome"})
    assert stop["sentiment"] == {"S": "negative"}
    assert "campaign_id" not in stop
    statuses = {
        row["subscriber_id"]["S"]: row["subscription_status"]["S"] for row in rows(client, SUBSCRIBERS)
    }
    assert statuses == {"v1:subscriber-2": "NEW", "v1:subscriber-4": "OPTED_OUT"}


def test_a_batch_without_answers_calls_nobody(module):
    with failing("BatchGetItem"), failing("TransactWriteItems"), failing("PutObject"):
        assert module.handler(stream_batch([canonical(n) for n in range(5)]), Context()) == {
            "batchItemFailures": []
        }


def test_a_delivery_that_quotes_the_type_is_no_answer(module, client):
    quoting = canonical(1, response_text="_SMS.RECEIVED", keyword='"_SMS.RECEIVED"')

    module.handler(stream_batch([quoting, canonical(2, campaign_id="_SMS.RECEIVED")]), Context())

    assert tables(client) == ([], [])


@pytest.mark.parametrize("before", range(9))
def test_an_answer_is_found_wherever_its_type_stands(module, before):
    raw = b" " * before + json.dumps(answer(1)).encode()

    batch = module.read(stream_batch([canonical(0), raw]))

    assert [event.event_id for event in batch.events] == ["in-1"]


def test_two_texts_of_one_person_in_a_batch_do_not_meet(module, client):
    texts = ["yes", "hello", "STOP", "wait", "START"] * 4
    person = {"subscriber_id": "v1:a"}

    module.handler(stream_batch([answer(n, text, **person) for n, text in enumerate(texts)]), Context())

    (row,) = rows(client, SUBSCRIBERS)
    assert row["total_responses"] == {"N": "20"}
    assert row["subscription_status"] == {"S": "ACTIVE"}
    assert row["opt_out_timestamp"] == {"N": str(NOON_MS + 17)}
    assert len(rows(client, RESPONSES)) == 20


@pytest.mark.parametrize("seed", range(4))
def test_redelivery_in_any_portions_and_any_order_gives_the_same_tables(module, client, seed):
    chance = random.Random(seed)
    texts = ["yes", "STOP", "hello", "START", "no", "wrong number"]
    events = [
        answer(n, chance.choice(texts), subscriber_id=f"v1:{n % 4}", campaign_id=None) for n in range(24)
    ]
    module.handler(stream_batch(events), Context())
    expected = tables(client)
    for name in (RESPONSES, SUBSCRIBERS):
        clear(client, name)

    again = [*events, *chance.choices(events, k=10)]
    chance.shuffle(again)
    while again:
        size = chance.randint(1, 8)
        portion, again = again[:size], again[size:]
        # A batch that was cut short by the end of its process comes again.
        module.handler(stream_batch(portion[: size // 2] or portion), Context())
        module.handler(stream_batch(portion), Context())

    assert tables(client) == expected


def clear(client, table):
    keys = {RESPONSES: ("subscriber_id", "response_key"), SUBSCRIBERS: ("subscriber_id",)}[table]
    for row in client.scan(TableName=table)["Items"]:
        client.delete_item(TableName=table, Key={key: row[key] for key in keys})


def test_a_poisoned_answer_is_set_aside_and_stops_nothing(module, client, clients):
    poisoned = {
        "no JSON": b'{"event_type": "_SMS.RECEIVED", ',
        "no person": answer(2, subscriber_id=None),
        "an empty person": answer(3, subscriber_id=""),
        "time as text": answer(4, event_timestamp="2026-11-21T17:00:00Z"),
        "time before 1970": answer(5, event_timestamp=-1),
        "time after 9999": answer(6, event_timestamp=10**15),
        "an id that is no key": answer(7, event_id="x" * 2000),
        "future schema": answer(8, schema_version=2),
        "text as a number": answer(9, response_text=5),
    }
    batch = stream_batch([answer(0), *poisoned.values(), answer(20)])

    for _ in range(2):
        assert module.handler(batch, Context()) == {"batchItemFailures": []}

    assert len(rows(client, RESPONSES)) == 2
    (found,) = clients["s3"].list_objects_v2(Bucket=BUCKET)["Contents"]
    assert found["Key"] == f"quarantine/response-handler/{SHARD}-{number_of(batch, 1)}.jsonl"
    body = clients["s3"].get_object(Bucket=BUCKET, Key=found["Key"])["Body"].read()
    lines = [json.loads(line) for line in body.splitlines()]
    assert [line["reason"] for line in lines] == [
        "NOT_JSON",
        *["UNKNOWN_SHAPE"] * 6,
        "FUTURE_SCHEMA",
        "UNKNOWN_SHAPE",
    ]


def test_what_is_set_aside_is_counted(module, client, capsys):
    module.handler(
        stream_batch([answer(1), answer(2, subscriber_id=None), answer(3, event_id="")]), Context()
    )

    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert line["RecordsSetAside"] == 2
    assert line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "SMS/Marketing"


def test_what_is_no_base64_is_left_to_the_event_processor(module, client):
    assert module.handler(stream_batch(["*** no base64", answer(1)]), Context()) == {"batchItemFailures": []}

    assert len(rows(client, RESPONSES)) == 1


def test_an_enormous_answer_is_kept_as_far_as_a_text_goes(module, client):
    module.handler(stream_batch([answer(1, "so long " * 10_000)]), Context())

    (row,) = rows(client, RESPONSES)
    assert len(row["response_text"]["S"]) == 1600
    assert len(row["normalized_response"]["S"]) <= 160


def test_from_the_first_answer_that_is_not_kept_the_batch_comes_again(module, client):
    batch = stream_batch([answer(n, subscriber_id=f"v1:{n}") for n in range(6)])

    with failing_for("TransactWriteItems", ["in-2", "in-4"]):
        response = module.handler(batch, Context())

    assert failures(response) == [number_of(batch, 2)]
    assert len(rows(client, RESPONSES)) == 4
    again = {"Records": batch["Records"][2:]}
    assert failures(module.handler(again, Context())) == []
    assert [row["total_responses"]["N"] for row in rows(client, SUBSCRIBERS)] == ["1"] * 6


def test_the_first_is_told_by_number_and_not_by_text(module, client):
    # 99 comes before 100.
    batch = stream_batch([answer(n, subscriber_id=f"v1:{n}") for n in range(2)])
    for record, number in zip(batch["Records"], ("99", "100"), strict=True):
        record["kinesis"]["sequenceNumber"] = number

    with failing("TransactWriteItems"):
        assert failures(module.handler(batch, Context())) == ["99"]


def test_later_answers_of_a_person_wait_for_the_one_that_failed(module, client):
    batch = stream_batch([answer(n, subscriber_id="v1:a") for n in range(3)])

    with failing_for("TransactWriteItems", ["in-1"]):
        response = module.handler(batch, Context())

    assert failures(response) == [number_of(batch, 1)]
    assert [row["response_key"]["S"] for row in rows(client, RESPONSES)] == [f"{NOON_MS}#in-0"]


@pytest.mark.parametrize("operation", ["BatchGetItem", "TransactWriteItems"])
def test_a_throttled_table_brings_the_batch_back(module, client, operation):
    batch = stream_batch([canonical(0), answer(1), answer(2)])

    with failing(operation):
        assert failures(module.handler(batch, Context())) == [number_of(batch, 1)]

    assert failures(module.handler(batch, Context())) == []
    assert len(rows(client, RESPONSES)) == 2


def test_a_quarantine_that_does_not_answer_brings_the_batch_back(module, client):
    batch = stream_batch([answer(1), answer(2, subscriber_id=None)])

    with failing("PutObject", "SlowDown"):
        assert failures(module.handler(batch, Context())) == [number_of(batch, 0)]

    assert rows(client, RESPONSES) == []


def test_two_that_read_the_same_shard_count_an_answer_once(module, client):
    """As both halves of a split shard may: each has the batch, and they write at the same time."""
    batch = stream_batch([answer(n, subscriber_id="v1:a") for n in range(4)])
    real, meanwhile = BaseClient._make_api_call, [True]

    def call(self, name, arguments):
        if name == "TransactWriteItems" and meanwhile:
            meanwhile.clear()
            assert failures(module.handler(batch, Context())) == []
        return real(self, name, arguments)

    with patch.object(BaseClient, "_make_api_call", call):
        assert failures(module.handler(batch, Context())) == []

    (row,) = rows(client, SUBSCRIBERS)
    assert row["total_responses"] == {"N": "4"}


def test_an_answer_that_matches_a_pattern_is_told_of(module, client, notices):
    batch = stream_batch([answer(1, "I want a refund"), answer(2)])

    for _ in range(2):
        module.handler(batch, Context())

    (notice,) = notices()
    assert notice["Subject"] == "An answer matches a pattern"
    assert notice["Message"].splitlines()[:2] == ["Pattern: money", "Campaign: spring"]
    assert f"{NOON_MS + 1}#in-1" in notice["Message"]
    assert "refund" not in notice["Message"]
    assert NUMBER not in notice["Message"]


def test_no_log_line_says_who_wrote_what(module, client, capsys):
    batch = stream_batch([answer(1, "my secret refund"), answer(2, "other secret", subscriber_id=None)])

    with captured_logs() as logs, failing_for("Publish", ["refund", "money"]):
        module.handler(batch, Context())

    text = logs.getvalue() + capsys.readouterr().out
    assert "not kept" in text
    assert "secret" not in text
    assert NUMBER[1:] not in text
    assert "Great" not in text


def test_one_line_a_batch(module, client):
    with captured_logs() as logs:
        module.handler(stream_batch([answer(n) for n in range(50)]), Context())

    (line,) = [json.loads(line) for line in logs.getvalue().splitlines()]
    assert (line["message"], line["added"], line["duplicates"]) == ("answers kept", 50, 0)


def test_without_a_topic_and_patterns_nobody_is_told(client):
    environment = {**ENVIRONMENT, "NOTIFY_PATTERNS": "", "RESPONSE_TOPIC_ARN": ""}
    with fresh_handler(HANDLER, environment) as module, failing("Publish"):
        assert failures(module.handler(stream_batch([answer(1, "refund")]), Context())) == []


def test_patterns_that_cannot_be_stop_the_start():
    wrong = {**ENVIRONMENT, "NOTIFY_PATTERNS": '{"money": []}'}
    with (
        pytest.raises(SettingsError, match="NOTIFY_PATTERNS: pattern 'money' must be"),
        fresh_handler(HANDLER, wrong),
    ):
        pass


def test_answers_of_an_erased_person_are_not_kept(module, client):
    batch = stream_batch([answer(0, subscriber_id="v1:a"), answer(1, subscriber_id="v1:b")])

    with erased_at_once(module, "v1:a"):
        assert module.handler(batch, Context()) == {"batchItemFailures": []}

    assert {row["subscriber_id"]["S"] for row in rows(client, RESPONSES)} == {"v1:b"}
    assert {row["subscriber_id"]["S"] for row in rows(client, SUBSCRIBERS)} == {"v1:b"}
