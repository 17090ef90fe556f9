"""The ingest function as Lambda runs it, against tables, a stream and a bucket in moto."""

import base64
import gzip
import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import boto3
import pytest
from botocore.client import BaseClient

from sms_engagement_runtime.channel.adapters.dynamodb_messages import DynamoLedger
from sms_engagement_runtime.channel.adapters.erased_people import ErasedPeople
from sms_engagement_runtime.channel.adapters.subscriber_ids import build_subscriber_id
from sms_engagement_runtime.channel.domain.consent import Contact, Scope
from sms_engagement_runtime.channel.domain.gate import ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.ledger import Intent
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_subscribers import DynamoSubscribers
from sms_engagement_runtime.sms_analytics_pipeline.domain.register import LEASE_MS
from tests.support.aws_faults import failing
from tests.support.dynamodb_tables import CONTACTS, MESSAGES, channel_tables, create_table, put_erased
from tests.support.fakes import FakeClock
from tests.support.handlers import Context, fresh_handler
from tests.support.logs import captured_logs
from tests.support.personal_data import personal_data
from tests.support.sqs_records import envelope, failed, sqs_event

EVENTS = Path(__file__).parents[2] / "events"
KEY = "the text of the subscriber key secret"
STREAM, REGISTER, SUBSCRIBERS, BUCKET = "events", "register", "subscribers", "archive"
ENVIRONMENT = {
    "REGISTER_TABLE": REGISTER,
    "SUBSCRIBERS_TABLE": SUBSCRIBERS,
    "MESSAGES_TABLE": MESSAGES,
    "CONTACTS_TABLE": CONTACTS,
    "STREAM_NAME": STREAM,
    "ARCHIVE_BUCKET": BUCKET,
    "SUBSCRIBER_KEY_SECRET_ARN": "subscriber-key",
    "BUS_NAME": "channel",
    "OPT_OUT_MODE": "self",
    "DEFAULT_COUNTRY": "US",
}


def sample(name):
    return json.loads((EVENTS / f"{name}.json").read_text())


DELIVERED = sample("eum-TEXT_DELIVERED")
PERSON = subscriber_id(PhoneNumber(DELIVERED["destinationPhoneNumber"]), KEY.encode())
WRITER = subscriber_id(PhoneNumber("+14255550182"), KEY.encode())


@pytest.fixture(scope="module")
def module():
    with fresh_handler(
        "sms_engagement_runtime.sms_analytics_pipeline.handlers.ingest", ENVIRONMENT
    ) as module:
        yield module


@pytest.fixture(scope="module")
def clients(module):
    return {service: boto3.client(service) for service in ("secretsmanager", "kinesis", "s3")}


@pytest.fixture
def clock(module):
    clock = FakeClock()
    with patch.object(module, "_clock", clock), with_service(module, clock=clock):
        yield clock


@contextmanager
def with_service(module, **fields):
    """The function's service with other parts."""
    with patch.object(module, "_service", replace(module._service, **fields)):
        yield


@pytest.fixture
def dynamodb(clients):
    with channel_tables() as dynamodb:
        create_table(dynamodb, REGISTER, "messageId")
        create_table(dynamodb, SUBSCRIBERS, "subscriber_id")
        clients["secretsmanager"].create_secret(Name="subscriber-key", SecretString=KEY)
        clients["kinesis"].create_stream(StreamName=STREAM, ShardCount=2)
        clients["s3"].create_bucket(Bucket=BUCKET)
        yield dynamodb


@pytest.fixture
def ingest(module, dynamodb, clock):
    return lambda *bodies: failed(module.handler(sqs_event(*bodies), Context()))


@pytest.fixture
def streamed(clients):
    def read():
        kinesis = clients["kinesis"]
        events = []
        for shard in kinesis.list_shards(StreamName=STREAM)["Shards"]:
            iterator = kinesis.get_shard_iterator(
                StreamName=STREAM, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            records = kinesis.get_records(ShardIterator=iterator)["Records"]
            events += [(record["PartitionKey"], json.loads(record["Data"])) for record in records]
        assert all(key == event["subscriber_id"] for key, event in events)
        return sorted((event for _, event in events), key=lambda event: event["event_id"])

    return read


@pytest.fixture
def quarantined(clients):
    def read():
        s3 = clients["s3"]
        keys = [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
        return {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode() for key in keys}

    return read


def metrics_of(capsys):
    totals = {}
    for line in capsys.readouterr().out.splitlines():
        entry = json.loads(line)
        for directive in entry.get("_aws", {}).get("CloudWatchMetrics", []):
            for metric in directive["Metrics"]:
                totals[metric["Name"]] = totals.get(metric["Name"], 0) + sum(entry[metric["Name"]])
    return totals


def test_a_delivery_event_becomes_one_canonical_event(ingest, streamed):
    assert ingest(envelope(DELIVERED | {"context": {"campaign": "run-1", "journey": "welcome"}})) == []

    assert streamed() == [
        {
            "event_type": "_SMS.SUCCESS",
            "event_id": f"{DELIVERED['messageId']}/SUCCESS/DELIVERED",
            "event_timestamp": 1712944268877,
            "arrival_timestamp": 1795280400123,
            "subscriber_id": PERSON,
            "phone_number": "+16135550123",
            "message_id": DELIVERED["messageId"],
            "campaign_id": "run-1",
            "journey_id": "welcome",
            "record_status": "DELIVERED",
            "message_type": "TRANSACTIONAL",
            "country_code": "CA",
            "price_millicents": 581,
            "parts": 1,
            "origination": "+13655550100",
            "schema_version": 1,
        }
    ]


def test_what_comes_again_is_not_put_again(ingest, streamed, capsys):
    ingest(*[envelope(DELIVERED)] * 3)
    ingest(envelope(DELIVERED))

    assert len(streamed()) == 1
    assert metrics_of(capsys) == {"IngestedEvents": 1, "IngestDuplicates": 3}


def test_the_texts_of_a_subscriber_are_counted_once_a_text(ingest, dynamodb):
    queued = DELIVERED | {"eventType": "TEXT_QUEUED", "messageStatus": "QUEUED", "isFinal": False}
    other = DELIVERED | {"messageId": "m-2"}

    ingest(*map(envelope, (queued, DELIVERED, other)))
    ingest(*map(envelope, (DELIVERED, queued)))

    row = DynamoSubscribers(dynamodb, SUBSCRIBERS).find([PERSON])[PERSON]
    assert (row.total_messages_sent, row.phone_number) == (2, "+16135550123")


def test_an_inbound_text_is_of_the_campaign_that_it_answers(ingest, streamed, dynamodb, clock):
    text = Intent(
        construct="reviews",
        purpose="review-request",
        occasion="o-1",
        scope=Scope.REVIEWS,
        message_class=MessageClass.PROMOTIONAL,
        consent_rule=ConsentRule.IMPLIED,
        recipient=PhoneNumber("+14255550182"),
        subscriber_id=WRITER,
        country="US",
        body="Hi",
        campaign_id="run-1",
        journey_id="welcome",
    )
    ledger = DynamoLedger(dynamodb, messages_table=MESSAGES, contacts_table=CONTACTS)
    now = clock.now() - timedelta(hours=1)
    ledger.claim(text, key=text.key, contact=Contact(subscriber_id=WRITER), parts=1, now=now)
    ledger.accept(text.key, "m-1", now)

    assert ingest(envelope(sample("eum-inbound-STOP"))) == []

    received, opted_out = streamed()
    assert (received["event_type"], opted_out["event_type"]) == ("_SMS.RECEIVED", "_SMS.OPTOUT")
    assert opted_out["event_id"] == received["event_id"] + "/optout"
    for event in (received, opted_out):
        assert (event["campaign_id"], event["journey_id"]) == ("run-1", "welcome")
        assert (event["subscriber_id"], event["country_code"]) == (WRITER, "US")
    assert (received["response_text"], received["event_timestamp"]) == ("STOP", 1795280400123)


def test_garbage_goes_to_the_quarantine_with_its_reason_and_comes_once(ingest, quarantined, streamed, capsys):
    voice = sample("eum-VOICE_COMPLETED")
    bodies = [envelope(voice, message_id="n-1"), envelope("{broken", message_id="n-2"), "no envelope"]

    assert ingest(*bodies) == ingest(*bodies) == []

    assert quarantined() == {
        "quarantine/ingest/2026-11-21/NOT_A_TEXT-n-1.json": bodies[0],
        "quarantine/ingest/2026-11-21/NOT_JSON-n-2.json": bodies[1],
        "quarantine/ingest/2026-11-21/NOT_JSON-r-2.json": bodies[2],
    }
    assert streamed() == []
    assert metrics_of(capsys) == {"IngestSetAside": 6}


def test_an_event_of_eventbridge_finds_its_person_in_the_register(ingest, streamed, quarantined):
    event = sample("eum-eventbridge-TEXT_DELIVERED")
    event["detail"] |= {"messageId": DELIVERED["messageId"], "isoCountryCode": "CA"}
    queued = DELIVERED | {
        "eventType": "TEXT_QUEUED",
        "messageStatus": "QUEUED",
        "isFinal": False,
        "context": {"campaign": "run-1"},
    }

    ingest(envelope(queued))
    # Of one nobody knows yet whose it is: it comes again.
    assert ingest(json.dumps(event), json.dumps(sample("eum-eventbridge-TEXT_DELIVERED"))) == ["r-1"]

    success = streamed()[-1]
    assert (success["subscriber_id"], success["phone_number"]) == (PERSON, "+16135550123")
    assert (success["event_type"], success["campaign_id"]) == ("_SMS.SUCCESS", "run-1")
    assert not quarantined()


def test_a_log_subscription_is_unpacked(module, dynamodb, clock, streamed, quarantined):
    logs = sample("sns-sms-cwlogs-subscription-decoded")
    log = json.loads(logs["logEvents"][0]["message"])
    log["delivery"]["destination"] = "+12025550100"
    log["notification"]["messageId"] = "m-2"
    logs["logEvents"].append({"id": "2", "timestamp": 1, "message": json.dumps(log)})
    data = base64.b64encode(gzip.compress(json.dumps(logs).encode())).decode()

    module.handler({"awslogs": {"data": data}}, Context())

    (event,) = streamed()
    assert (event["event_type"], event["record_status"]) == ("_SMS.FAILURE", "UNKNOWN")
    assert (event["price_millicents"], event["event_timestamp"]) == (645, 1467074434559)
    # The number in AWS's own sample is blanked out.
    assert [key.rpartition("/")[2] for key in quarantined()] == ["NO_SUBSCRIBER-request-0.json"]


def test_a_direct_invocation_that_fails_is_to_be_repeated(module, dynamodb, clock):
    event = sample("eum-eventbridge-TEXT_DELIVERED")

    with failing("PutObject", "SlowDown"), pytest.raises(module.NotIngestedError):
        module.handler(event, Context())


@pytest.mark.parametrize(
    "operation", ["BatchGetItem", "TransactWriteItems", "PutRecords", "UpdateItem", "GetSecretValue"]
)
def test_what_fails_comes_back_and_ends_on_the_stream_once(module, ingest, streamed, operation, clock):
    # The stream has the machine's time, to which that of the claims is compared.
    clock.instant = datetime.now(UTC)
    # The key is read once a process, and here once more.
    with with_service(module, subscriber_id_of=build_subscriber_id("subscriber-key")):
        with failing(operation, "InternalServerError", times=4):
            assert ingest(envelope(DELIVERED)) == ["r-0"]
        clock.advance(milliseconds=LEASE_MS)
        assert ingest(envelope(DELIVERED)) == []

    assert len(streamed()) == 1


def test_no_number_and_no_body_is_logged(ingest):
    bodies = [envelope(sample(f"eum-inbound-{word}"), message_id=word) for word in ("STOP", "YES")]
    bodies += [envelope(DELIVERED), envelope(sample("eum-VOICE_COMPLETED")), "garbage +12025550123"]

    with captured_logs() as logs, failing("PutRecords", times=2):
        ingest(*bodies)

    text = logs.getvalue()
    assert "events ingested" in text
    for secret in set().union(*(personal_data(json.loads(b)) for b in bodies[:-1])) | {"12025550123"}:
        assert secret not in text


def test_settings_of_the_function_are_what_the_environment_has(module):
    assert {field.name.upper() for field in fields(module.Settings)} == set(ENVIRONMENT)


def test_a_full_batch_needs_few_calls(ingest, streamed):
    payloads = [
        DELIVERED | {"messageId": f"m-{number}", "destinationPhoneNumber": f"+12025550{100 + number % 90}"}
        for number in range(100)
    ]
    # Appending is atomic, which counting in several threads is not.
    calls = []
    real = BaseClient._make_api_call

    def noted(self, name, arguments):
        # Who was erased is asked every ten seconds, whatever comes in.
        if name != "Query":
            calls.append(name)
        return real(self, name, arguments)

    with patch.object(BaseClient, "_make_api_call", noted):
        assert ingest(*map(envelope, payloads)) == []
        first = Counter(calls) - Counter(["GetSecretValue"])
        calls.clear()
        assert ingest(*map(envelope, payloads)) == []

    # One transaction a person, one mark a message; of a batch that comes again, only the register is read.
    assert first == {"BatchGetItem": 2, "TransactWriteItems": 90, "PutRecords": 1, "UpdateItem": 100}
    assert calls == ["BatchGetItem"]
    assert len(streamed()) == 100


def test_what_comes_late_of_an_erased_person_is_taken_and_nothing_of_it_is_kept(
    module, ingest, dynamodb, streamed
):
    erased = ErasedPeople(dynamodb, table=CONTACTS, max_age_seconds=0)
    put_erased(dynamodb, PERSON)
    with with_service(module, erased=erased):
        assert ingest(envelope(DELIVERED)) == []

    assert streamed() == []
    for table in (REGISTER, SUBSCRIBERS):
        assert dynamodb.scan(TableName=table)["Items"] == []


def test_where_nobody_says_who_was_erased_the_records_come_again(module, ingest, dynamodb, streamed):
    erased = ErasedPeople(dynamodb, table=CONTACTS, max_age_seconds=0)
    with with_service(module, erased=erased), failing("Query"):
        assert len(ingest(envelope(DELIVERED))) == 1

    assert streamed() == []
