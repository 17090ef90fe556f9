"""What arrives in which envelope, and which of our texts an inbound text answers."""

import base64
import gzip
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from sms_engagement_runtime.channel.domain.ledger import LedgerRow, MessageState
from sms_engagement_runtime.sms_analytics_pipeline.adapters import arrivals as adapter
from sms_engagement_runtime.sms_analytics_pipeline.adapters.arrivals import arrivals_of, is_queue_batch
from sms_engagement_runtime.sms_analytics_pipeline.adapters.quarantine import MOST_BYTES, S3Quarantine
from sms_engagement_runtime.sms_analytics_pipeline.adapters.text_attribution import LedgerAttribution
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import SetAside
from sms_engagement_runtime.sms_analytics_pipeline.domain.ports import Attribution
from tests.support.sqs_records import envelope, sqs_event

SAMPLES = Path(__file__).parents[2] / "events"
NOW = 1_795_280_500_000
PUBLISHED = 1_795_280_400_123
SENT = 1_795_280_400_200


def sample(name):
    return json.loads((SAMPLES / f"{name}.json").read_text())


def opened(event):
    return arrivals_of(event, request_id="request", now_ms=NOW)


class TestArrivals:
    def test_a_notification_is_opened_and_known_by_its_own_id(self):
        (arrival,) = opened(sqs_event(envelope({"price": 0.1}, message_id="n-7")))

        assert (arrival.record, arrival.name, arrival.notification_id) == ("r-0", "n-7", "n-7")
        assert (arrival.received_at_ms, arrival.payload) == (PUBLISHED, {"price": Decimal("0.1")})
        assert json.loads(arrival.body)["MessageId"] == "n-7"

    def test_an_event_of_the_bus_is_known_by_its_record(self):
        (arrival,) = opened(sqs_event(json.dumps(sample("eum-eventbridge-TEXT_DELIVERED"))))

        assert (arrival.record, arrival.name, arrival.received_at_ms) == ("r-0", "r-0", SENT)
        assert arrival.payload["detail"]["eventType"] == "TEXT_DELIVERED"

    @pytest.mark.parametrize("body", ["", "{", "text", "[" * 100_000, "\udc00", "1" * 5_000])
    @pytest.mark.parametrize("wrap", [str, envelope])
    def test_what_is_no_json_says_so(self, wrap, body):
        (arrival,) = opened(sqs_event(wrap(body)))

        assert arrival.payload is SetAside.NOT_JSON

    def test_a_sample_of_a_queue_and_one_of_a_topic_are_opened(self):
        for name in ("eum-inbound-sqs-sns-envelope", "eum-inbound-sns-lambda-event"):
            (arrival,) = opened(sample(name))

            assert "originationNumber" in arrival.payload

    def test_a_notification_without_time_came_when_it_was_sent(self):
        body = json.loads(envelope({})) | {"Timestamp": "yesterday"}

        (arrival,) = opened(sqs_event(json.dumps(body)))

        assert arrival.received_at_ms == SENT

    def test_only_records_of_a_queue_can_be_failed_one_by_one(self):
        assert is_queue_batch(sqs_event("{}", "{}"))
        for event in ({}, {"Records": []}, sample("eum-inbound-sns-lambda-event"), {"awslogs": {}}):
            assert not is_queue_batch(event)


def packed(value, *, text=None):
    data = gzip.compress((json.dumps(value) if text is None else text).encode())
    return {"awslogs": {"data": base64.b64encode(data).decode()}}


class TestLogs:
    def test_each_line_is_an_arrival_of_its_own(self):
        logs = sample("sns-sms-cwlogs-subscription-decoded")
        logs["logEvents"] += [{"message": "no json"}, {"id": "2"}, 17]

        arrivals = opened(packed(logs))

        assert [arrival.name for arrival in arrivals] == [f"request-{number}" for number in range(4)]
        assert {arrival.record for arrival in arrivals} == {"request"}
        assert arrivals[0].payload["status"] == "FAILURE"
        assert [arrival.payload for arrival in arrivals[1:]] == [
            SetAside.NOT_JSON,
            SetAside.UNKNOWN_SHAPE,
            SetAside.UNKNOWN_SHAPE,
        ]
        assert arrivals[1].body == "no json"

    def test_a_message_that_only_checks_whether_we_are_there_is_nothing(self):
        assert opened(packed({"messageType": "CONTROL_MESSAGE", "logEvents": [{"message": "hi"}]})) == []

    @pytest.mark.parametrize(
        ("event", "reason"),
        [
            (packed(None, text="{broken"), SetAside.NOT_JSON),
            ({"awslogs": {"data": "not base64!"}}, SetAside.NOT_BASE64),
            ({"awslogs": {"data": base64.b64encode(b"no gzip").decode()}}, SetAside.UNKNOWN_SHAPE),
            (
                {"awslogs": {"data": base64.b64encode(gzip.compress(b"{}" * 999)[:20]).decode()}},
                SetAside.UNKNOWN_SHAPE,
            ),
            ({"awslogs": {"data": 17}}, SetAside.UNKNOWN_SHAPE),
            ({"awslogs": None}, SetAside.UNKNOWN_SHAPE),
        ],
    )
    def test_what_cannot_be_unpacked_says_why(self, event, reason):
        (arrival,) = opened(event)

        assert arrival.payload is reason

    def test_a_bomb_is_not_unpacked(self, monkeypatch):
        monkeypatch.setattr(adapter, "MOST_LOG_BYTES", 1_000)

        (arrival,) = opened(packed(None, text=" " * 1_001))

        assert arrival.payload is SetAside.TOO_LARGE


AT = datetime(2026, 11, 21, 17, tzinfo=UTC)


def text(number, *, age, construct="reviews", state=MessageState.DELIVERED, campaign="run"):
    return LedgerRow(
        key=f"k-{number}",
        construct=construct,
        subscriber_id="v1:a",
        purpose="p",
        occasion=str(number),
        state=state,
        rank=0,
        reason=None,
        message_id=f"m-{number}",
        parts=1,
        claimed_at=AT - age,
        updated_at=AT,
        campaign_id=f"{campaign}-{number}",
        journey_id=f"j-{number}",
    )


class FakeTexts:
    def __init__(self, *rows):
        self.rows = sorted(rows, key=lambda row: row.claimed_at, reverse=True)

    def recent(self, subscriber_id, limit):
        return [row for row in self.rows if row.subscriber_id == subscriber_id][:limit]


MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def answered(*rows, previous=None):
    found = LedgerAttribution(FakeTexts(*rows)).of("v1:a", previous_message_id=previous, received_at=AT)
    return None if found is None else found.campaign_id


class TestAttribution:
    def test_it_is_the_text_that_the_service_names(self):
        rows = [text(1, age=20 * DAY), text(2, age=MINUTE)]

        assert answered(*rows, previous="m-1") == "run-1"
        assert LedgerAttribution(FakeTexts(*rows)).of(
            "v1:a", previous_message_id="m-1", received_at=AT
        ) == Attribution("run-1", "j-1")

    def test_the_service_may_name_one_of_long_ago(self):
        rows = [text(number, age=number * MINUTE) for number in range(1, 40)]

        assert answered(*rows, previous="m-35") == "run-35"

    @pytest.mark.parametrize("previous", [None, "m-9"])
    def test_else_it_is_the_latest_that_may_have_been_seen(self, previous):
        rows = [
            text(1, age=-MINUTE),
            text(2, age=MINUTE, state=MessageState.FAILED),
            text(3, age=2 * MINUTE, state=MessageState.DEFERRED),
            text(4, age=3 * MINUTE, state=MessageState.ACCEPTED),
            text(5, age=4 * MINUTE),
        ]

        assert answered(*rows, previous=previous) == "run-4"

    def test_our_own_replies_are_of_no_campaign(self):
        rows = [text(1, age=MINUTE, construct="channel"), text(2, age=DAY)]

        assert answered(*rows) == answered(*rows, previous="m-1") == "run-2"

    def test_a_text_of_more_than_a_week_ago_is_not_answered(self):
        assert answered(text(1, age=7 * DAY)) == "run-1"
        assert answered(text(1, age=7 * DAY + MINUTE)) is None
        assert answered() is None


class TestQuarantine:
    @pytest.fixture
    def s3(self):
        with mock_aws():
            client = boto3.client("s3")
            client.create_bucket(Bucket="archive")
            yield client

    def test_the_key_holds_nothing_but_what_keys_may(self, s3):
        quarantine = S3Quarantine(s3, bucket="archive")

        quarantine.keep("a/../b c\u2028" + "x" * 999, SetAside.NOT_JSON, "body \udc00", received_at=AT)

        (item,) = s3.list_objects_v2(Bucket="archive")["Contents"]
        assert item["Key"].startswith("quarantine/ingest/2026-11-21/NOT_JSON-a_.._b_c_xxx")
        assert len(item["Key"]) < 300

    def test_a_large_body_is_cut(self, s3):
        S3Quarantine(s3, bucket="archive").keep("n", SetAside.TOO_LARGE, "é" * MOST_BYTES, received_at=AT)

        found = s3.get_object(Bucket="archive", Key="quarantine/ingest/2026-11-21/TOO_LARGE-n.json")
        assert len(found["Body"].read()) == MOST_BYTES
        assert found["Metadata"] == {"reason": "TOO_LARGE", "bytes": str(2 * MOST_BYTES)}
