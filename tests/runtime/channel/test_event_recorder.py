import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError
from sms_engagement_runtime.channel.adapters.campaign_counts import DynamoCampaignCounts
from sms_engagement_runtime.channel.adapters.dynamodb_messages import DynamoLedger
from sms_engagement_runtime.channel.domain.campaign_counts import Counts
from sms_engagement_runtime.channel.domain.consent import Contact, Scope
from sms_engagement_runtime.channel.domain.failed_texts import LASTING_REASONS
from sms_engagement_runtime.channel.domain.gate import ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.ledger import Intent, MessageState
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from tests.support.dynamodb_tables import CONTACTS, MESSAGES, channel_tables
from tests.support.fakes import FakeBus, FakeClock
from tests.support.handlers import Context, fresh_handler
from tests.support.logs import captured_logs
from tests.support.personal_data import personal_data
from tests.support.sqs_records import envelope, failed, sqs_event

EVENTS = Path(__file__).parents[2] / "events"
DELIVERED = json.loads((EVENTS / "eum-TEXT_DELIVERED.json").read_text())
NUMBER = PhoneNumber(DELIVERED["destinationPhoneNumber"])
KEY_TEXT = "the text of the subscriber key secret"
PERSON = subscriber_id(NUMBER, KEY_TEXT.encode())
NOW = datetime(2026, 11, 21, 17, tzinfo=UTC)
INTENT = Intent(
    construct="reviews",
    purpose="review-request",
    occasion="o-1",
    scope=Scope.REVIEWS,
    message_class=MessageClass.PROMOTIONAL,
    consent_rule=ConsentRule.IMPLIED,
    recipient=NUMBER,
    subscriber_id=PERSON,
    country="CA",
    body="Hi",
)


@pytest.fixture
def client():
    with channel_tables() as client:
        yield client


@pytest.fixture
def ledger(client):
    ledger = DynamoLedger(client, messages_table=MESSAGES, contacts_table=CONTACTS)
    ledger.claim(INTENT, key=INTENT.key, contact=Contact(subscriber_id=PERSON), parts=1, now=NOW)
    ledger.accept(INTENT.key, DELIVERED["messageId"], NOW)
    return ledger


@pytest.fixture(scope="module")
def module():
    environment = {
        "MESSAGES_TABLE": MESSAGES,
        "CONTACTS_TABLE": CONTACTS,
        "SUBSCRIBER_KEY_SECRET_ARN": "subscriber-key",
        "BUS_NAME": "channel",
    }
    with fresh_handler("sms_engagement_runtime.channel.handlers.event_recorder", environment) as module:
        yield module


@pytest.fixture(scope="module")
def clients():
    return {service: boto3.client(service) for service in ("secretsmanager", "events")}


@pytest.fixture
def recorder(client, module, clients):
    clients["secretsmanager"].create_secret(Name="subscriber-key", SecretString=KEY_TEXT)
    clients["events"].create_event_bus(Name="channel")
    return module


def of_our_text(**fields):
    return {**DELIVERED, "context": {"intent": INTENT.key}, **fields}


def metrics_of(capsys):
    """Sum of each metric in what the function printed as embedded metric format."""
    totals = {}
    for line in capsys.readouterr().out.splitlines():
        entry = json.loads(line)
        for directive in entry.get("_aws", {}).get("CloudWatchMetrics", []):
            assert directive["Namespace"] == "SMS/Engagement"
            for metric in directive["Metrics"]:
                totals[metric["Name"]] = totals.get(metric["Name"], 0) + sum(entry[metric["Name"]])
    return totals


def test_a_delivered_text_is_recorded_with_its_price(recorder, ledger):
    response = recorder.handler(sqs_event(envelope(of_our_text())), Context())

    assert failed(response) == []
    row = ledger.get(INTENT.key)
    assert (row.state, row.price_millicents) == (MessageState.DELIVERED, 581)


def test_status_and_price_are_counted_once(recorder, ledger, capsys):
    event = sqs_event(*[envelope(of_our_text())] * 3)

    recorder.handler(event, Context())
    recorder.handler(event, Context())

    assert metrics_of(capsys) == {"MessagesDelivered": 1, "MessageCostMillicents": 581}


def texts_of(ledger, campaign_id, count):
    """Arrange: texts of a campaign that the service took. Gives the delivery event of each."""
    events = []
    for number in range(count):
        intent = replace(INTENT, occasion=f"{campaign_id}-{number}", campaign_id=campaign_id)
        ledger.claim(intent, key=intent.key, contact=Contact(subscriber_id=PERSON), parts=1, now=NOW)
        ledger.accept(intent.key, f"m-{campaign_id}-{number}", NOW)
        events.append(of_our_text(messageId=f"m-{campaign_id}-{number}", context={"intent": intent.key}))
    return events


@pytest.fixture
def counts(client):
    return DynamoCampaignCounts(client, table=CONTACTS, clock=FakeClock())


def test_what_became_of_a_campaign_s_texts_is_counted_however_often_it_is_told(recorder, ledger, counts):
    delivered, blocked = texts_of(ledger, "run-1", 2)
    blocked |= {"eventType": "TEXT_BLOCKED", "messageStatus": "BLOCKED"}
    other = texts_of(ledger, "run-2", 1)
    event = sqs_event(*map(envelope, [delivered, delivered, blocked, *other, of_our_text()]))

    recorder.handler(event, Context())
    recorder.handler(event, Context())

    assert counts.get("run-1") == Counts(delivered=1, failed=1)
    assert counts.get("run-2") == Counts(delivered=1)


def test_a_second_final_event_of_a_text_is_not_counted(recorder, ledger, counts):
    (delivered,) = texts_of(ledger, "run-1", 1)
    unknown = delivered | {"eventType": "TEXT_UNKNOWN", "messageStatus": "UNKNOWN"}

    for event in (unknown, delivered):
        recorder.handler(sqs_event(envelope(event)), Context())

    assert counts.get("run-1") == Counts(failed=1)


def test_a_batch_writes_the_counts_of_a_campaign_once(recorder, ledger, monkeypatch):
    events = texts_of(ledger, "run-1", 10)
    added = []
    monkeypatch.setattr(
        type(recorder._counts), "add", lambda _, campaign_id, **counts: added.append((campaign_id, counts))
    )

    recorder.handler(sqs_event(*map(envelope, events)), Context())

    assert added == [("run-1", {"delivered": 10, "failed": 0})]


def test_texts_of_a_batch_that_failed_in_part_are_counted_all_the_same(recorder, ledger, counts):
    (delivered,) = texts_of(ledger, "run-1", 1)

    response = recorder.handler(sqs_event("garbage", envelope(delivered)), Context())

    assert failed(response) == ["r-0"]
    assert counts.get("run-1") == Counts(delivered=1)


def test_counts_that_cannot_be_written_send_no_record_back(recorder, ledger, client, capsys):
    events = texts_of(ledger, "run-1", 2)
    client.delete_table(TableName=CONTACTS)

    response = recorder.handler(sqs_event(*map(envelope, events)), Context())

    assert failed(response) == []
    assert metrics_of(capsys)["CampaignTextsNotCounted"] == 2


class RefusingBus:
    """Keeps what it takes, and holds it to its schema; refuses so many events first."""

    def __init__(self, refusals=0):
        self.bus = FakeBus()
        self.refusals = refusals

    def publish(self, detail_type, detail):
        if self.refusals:
            self.refusals -= 1
            raise ServiceCallError("events:PutEvents: ThrottlingException")
        self.bus.publish(detail_type, detail)

    @property
    def details(self):
        assert {detail_type for detail_type, _ in self.bus.events} <= {"TextFailed"}
        return [detail for _, detail in self.bus.events]


@pytest.fixture
def bus(recorder, monkeypatch):
    bus = RefusingBus()
    monkeypatch.setattr(recorder, "_bus", bus)
    return bus


def ended(status, **fields):
    return of_our_text(eventType=f"TEXT_{status}", messageStatus=status, **fields)


@pytest.mark.parametrize("status", sorted(LASTING_REASONS))
def test_the_bus_is_told_of_a_text_that_failed_for_good(recorder, ledger, bus, status):
    response = recorder.handler(sqs_event(envelope(ended(status))), Context())

    assert failed(response) == []
    assert bus.details == [
        {
            "messageKey": INTENT.key,
            "messageId": DELIVERED["messageId"],
            "construct": "reviews",
            "purpose": "review-request",
            "occasion": "o-1",
            "subscriberId": PERSON,
            "reason": status,
            "at": DELIVERED["eventTimestamp"],
            "schemaVersion": 1,
        }
    ]
    assert NUMBER.e164 not in str(bus.details)


@pytest.mark.parametrize(
    "event",
    [
        of_our_text(),
        *map(ended, ["UNREACHABLE", "CARRIER_UNREACHABLE", "UNKNOWN", "TTL_EXPIRED", "SUCCESSFUL", "NEW"]),
        ended("BLOCKED", isFinal=False),
    ],
    ids=lambda event: event["eventType"],
)
def test_the_bus_is_told_of_no_other_end(recorder, ledger, bus, event):
    response = recorder.handler(sqs_event(envelope(event)), Context())

    assert (failed(response), bus.details) == ([], [])


def test_a_failure_is_told_again_when_it_is_delivered_again_and_counted_once(recorder, ledger, bus, capsys):
    for _ in range(2):
        recorder.handler(sqs_event(envelope(ended("INVALID"))), Context())

    first, second = bus.details
    assert first == second
    assert metrics_of(capsys)["MessagesFailed"] == 1


def test_a_failure_that_the_bus_did_not_take_comes_back_and_is_told_then(recorder, ledger, bus, counts):
    (event,) = texts_of(ledger, "run-1", 1)
    event |= {"eventType": "TEXT_INVALID", "messageStatus": "INVALID"}
    bus.refusals = 1

    response = recorder.handler(sqs_event(envelope(event), envelope(of_our_text())), Context())

    assert failed(response) == ["r-0"]
    assert bus.details == []
    assert counts.get("run-1") == Counts(failed=1)
    assert ledger.get(INTENT.key).state is MessageState.DELIVERED
    assert failed(recorder.handler(sqs_event(envelope(event)), Context())) == []
    assert [detail["occasion"] for detail in bus.details] == ["run-1-0"]
    assert counts.get("run-1") == Counts(failed=1)


def test_a_failure_that_a_receipt_has_contradicted_is_not_told(recorder, ledger, bus):
    response = recorder.handler(
        sqs_event(envelope(of_our_text()), envelope(ended("CARRIER_BLOCKED"))), Context()
    )

    assert (failed(response), bus.details) == ([], [])


@pytest.mark.parametrize("other", [ended("BLOCKED", isFinal=False), ended("UNREACHABLE")])
def test_an_event_that_says_less_does_not_tell_of_the_failure_before_it(recorder, ledger, bus, other):
    recorder.handler(sqs_event(envelope(ended("INVALID")), envelope(other)), Context())

    assert len(bus.details) == 1


def test_a_failure_is_told_with_the_reason_that_counts(recorder, ledger, bus):
    recorder.handler(sqs_event(envelope(ended("INVALID")), envelope(ended("BLOCKED"))), Context())

    assert [detail["reason"] for detail in bus.details] == ["INVALID", "INVALID"]


def test_the_failure_of_another_message_than_the_row_s_is_not_told(recorder, ledger, bus):
    other = ended("BLOCKED", messageId="another-message")

    recorder.handler(sqs_event(envelope(ended("INVALID")), envelope(other)), Context())

    assert [detail["messageId"] for detail in bus.details] == [DELIVERED["messageId"]]


def test_the_bus_is_not_told_of_our_own_replies(recorder, ledger, bus):
    reply = replace(INTENT, construct="channel", purpose="keyword-reply", occasion="in-1")
    ledger.claim(reply, key=reply.key, contact=Contact(subscriber_id=PERSON), parts=1, now=NOW)
    ledger.accept(reply.key, "m-reply", NOW)

    response = recorder.handler(
        sqs_event(envelope(ended("INVALID", messageId="m-reply", context={"intent": reply.key}))), Context()
    )

    assert ledger.get(reply.key).state is MessageState.FAILED
    assert (failed(response), bus.details) == ([], [])


def test_a_failure_goes_to_the_bus_of_the_channel(recorder, ledger, clients):
    assert failed(recorder.handler(sqs_event(envelope(ended("INVALID"))), Context())) == []
    clients["events"].delete_event_bus(Name="channel")

    response = recorder.handler(sqs_event(envelope(ended("INVALID"))), Context())

    assert failed(response) == ["r-0"]
    assert ledger.get(INTENT.key).state is MessageState.FAILED


def test_an_event_that_echoes_no_key_is_found_by_phone_and_message_id(recorder, ledger):
    recorder.handler(sqs_event(envelope(DELIVERED)), Context())

    assert ledger.get(INTENT.key).state is MessageState.DELIVERED


def test_a_late_event_changes_nothing(recorder, ledger):
    late = of_our_text(eventType="TEXT_QUEUED", messageStatus="QUEUED", isFinal=False)

    recorder.handler(sqs_event(envelope(of_our_text()), envelope(late)), Context())

    assert ledger.get(INTENT.key).state is MessageState.DELIVERED


@pytest.mark.parametrize(
    ("payload", "metric"),
    [
        (json.loads((EVENTS / "eum-VOICE_COMPLETED.json").read_text()), "DeliveryEventNotATextEvent"),
        ({"unexpected": True}, "DeliveryEventMalformedEvent"),
        ([], "DeliveryEventMalformedEvent"),
        ({**DELIVERED, "messageId": "somebody-elses"}, "DeliveryEventUnknownMessage"),
    ],
)
def test_what_is_not_about_our_texts_is_acknowledged_and_counted(recorder, ledger, capsys, payload, metric):
    response = recorder.handler(sqs_event(envelope(payload)), Context())

    assert failed(response) == []
    assert metrics_of(capsys) == {metric: 1}


@pytest.mark.parametrize(
    "body",
    [
        "not json",
        "{",
        '"text"',
        "[]",
        "{}",
        envelope("not json"),
        envelope("{", published="2026-11-21T17:00:00.123"),
        envelope({}, published="yesterday"),
        envelope({}, published="2026-11-21T17:00:00.123"),
        "[" * 100_000,
        json.dumps({"MessageId": "n-1", "Timestamp": 5, "Message": "{}"}),
        json.dumps({"MessageId": "n-1", "Timestamp": "2026-11-21T17:00:00Z", "Message": 5}),
    ],
)
def test_a_record_that_cannot_be_read_goes_to_the_dead_letter_queue_alone(recorder, ledger, body, caplog):
    response = recorder.handler(sqs_event(body, envelope(of_our_text())), Context())

    assert failed(response) == ["r-0"]
    assert ledger.get(INTENT.key).state is MessageState.DELIVERED


def test_a_fault_of_the_table_sends_the_record_back(recorder, client):
    client.delete_table(TableName=MESSAGES)

    response = recorder.handler(sqs_event(envelope(of_our_text())), Context())

    assert failed(response) == ["r-0"]


@pytest.mark.parametrize("sample", sorted(EVENTS.glob("eum-*.json")), ids=lambda path: path.stem)
def test_no_log_line_shows_a_number_or_a_body(recorder, ledger, sample, capsys):
    payload = json.loads(sample.read_text())
    bodies = (
        [record.get("body") or record["Sns"]["Message"] for record in payload["Records"]]
        if "Records" in payload
        else [json.dumps(payload)]
    )

    with captured_logs() as logs:
        recorder.handler(sqs_event(*[envelope(body) for body in bodies]), Context())

    printed = capsys.readouterr()
    written = logs.getvalue() + printed.out + printed.err
    assert logs.getvalue()
    for text in personal_data(payload):
        assert text not in written
