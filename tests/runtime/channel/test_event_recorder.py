import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest

from sms_engagement_runtime.channel.adapters.campaign_counts import DynamoCampaignCounts
from sms_engagement_runtime.channel.adapters.dynamodb_messages import DynamoLedger
from sms_engagement_runtime.channel.domain.campaign_counts import Counts
from sms_engagement_runtime.channel.domain.consent import Contact, Scope
from sms_engagement_runtime.channel.domain.gate import ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.ledger import Intent, MessageState
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from tests.support.dynamodb_tables import CONTACTS, MESSAGES, channel_tables
from tests.support.fakes import FakeClock
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
    }
    with fresh_handler("sms_engagement_runtime.channel.handlers.event_recorder", environment) as module:
        yield module


@pytest.fixture(scope="module")
def secrets():
    return boto3.client("secretsmanager")


@pytest.fixture
def recorder(client, module, secrets):
    secrets.create_secret(Name="subscriber-key", SecretString=KEY_TEXT)
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
