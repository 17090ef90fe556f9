"""Event processor and analytics as Lambda calls them, against DynamoDB and S3 in moto."""

import json
import random
from datetime import date, timedelta
from unittest.mock import patch

import pytest
from moto import mock_aws

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_counts import DynamoCounts
from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Counts
from sms_engagement_runtime.sms_analytics_pipeline.domain.metrics import total
from tests.support.aws_faults import failing
from tests.support.handlers import Context, fresh_handler
from tests.support.kinesis_events import NOON_MS, SHARD, canonical, stream_batch
from tests.support.review_tables import aws_client

PACKAGE = "sms_engagement_runtime.sms_analytics_pipeline.handlers"
BUCKET, TABLE = "archive-bucket", "counts"
DAY = date(2026, 11, 21)
DONE = {"batchItemFailures": []}


@pytest.fixture
def aws():
    with mock_aws():
        aws_client("s3").create_bucket(Bucket=BUCKET)
        aws_client("dynamodb").create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "day", "KeyType": "HASH"},
                {"AttributeName": "batch", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "day", "AttributeType": "S"},
                {"AttributeName": "batch", "AttributeType": "S"},
            ],
        )
        yield


@pytest.fixture
def analytics(aws):
    environment = {
        "COUNTS_TABLE": TABLE,
        "ARCHIVE_BUCKET": BUCKET,
        "COUNTS_RETENTION_SECONDS": "34560000",
    }
    with fresh_handler(f"{PACKAGE}.analytics", environment) as module:
        yield module


@pytest.fixture
def event_processor(aws):
    with fresh_handler(f"{PACKAGE}.event_processor", {"ARCHIVE_BUCKET": BUCKET}) as module:
        yield module


def counted(module, first: date = DAY, last: date = DAY) -> Counts:
    table: DynamoCounts = module._counts
    return total(table.read(first, last).values())


def emitted(capsys) -> dict[tuple[str, ...], float]:
    """Sums of the metrics in the log since the last look, by name and dimension values."""
    sums: dict[tuple[str, ...], float] = {}
    for line in capsys.readouterr().out.splitlines():
        if '"_aws"' not in line:
            continue
        entry = json.loads(line)
        for directive in entry["_aws"]["CloudWatchMetrics"]:
            assert directive["Namespace"] == "SMS/Marketing"
            for dimensions in directive["Dimensions"]:
                for metric in directive["Metrics"]:
                    key = (metric["Name"], *(entry[name] for name in dimensions))
                    sums[key] = sums.get(key, 0) + entry[metric["Name"]]
    return sums


def quarantined() -> list[dict]:
    s3 = aws_client("s3")
    objects = s3.list_objects_v2(Bucket=BUCKET, Prefix="quarantine/").get("Contents", [])
    return [
        json.loads(line)
        for each in objects
        for line in s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read().splitlines()
    ]


def some_events(amount: int = 100) -> list[dict]:
    kinds = ["_SMS.SUCCESS"] * 8 + ["_SMS.FAILURE", "_SMS.RECEIVED", "_SMS.OPTOUT", "_SMS.BUFFERED"]
    return [
        canonical(
            number,
            event_type=kinds[number % len(kinds)],
            event_id=f"event-{number}",
            country_code=("US", "CA")[number % 2],
        )
        for number in range(amount)
    ]


def test_a_batch_is_counted_in_the_table_and_in_the_log(analytics, capsys):
    response = analytics.handler(stream_batch(some_events(24)), Context())

    assert response == DONE
    expected = Counts(delivered=16, failed=2, responses=2, opt_outs=2, cost_millicents=18 * 581)
    assert counted(analytics) == expected
    metrics = emitted(capsys)
    assert metrics[("MessagesDelivered",)] == 16
    assert metrics[("MessagesFailed",)] == 2
    assert metrics[("ResponsesReceived",)] == 2
    assert metrics[("OptOuts",)] == 2
    assert metrics[("TotalCostUSD",)] == pytest.approx(18 * 0.00581)
    by_country = {country: metrics[("MessagesDeliveredByCountry", country)] for country in ("US", "CA")}
    assert by_country == {"US": 8, "CA": 8}


def test_a_batch_that_comes_again_adds_nothing(analytics, capsys):
    batch = stream_batch(some_events(24))
    analytics.handler(batch, Context())
    before, _ = counted(analytics), emitted(capsys)

    analytics.handler(batch, Context())

    assert counted(analytics) == before
    assert emitted(capsys) == {}


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_again_in_whatever_pieces_the_sums_are_the_same(analytics, capsys, seed):
    """A batch is counted, its answer is lost, and it comes again in halves, any number of times."""
    chance = random.Random(seed)
    events = some_events(chance.randint(2, 60))
    for event in events:
        # Of three days, in any order.
        event["event_timestamp"] -= chance.choice([0, 0, 0, 1, 2]) * 86_400_000
    if chance.random() < 0.5:
        for place in chance.sample(range(len(events)), k=len(events) // 4):
            events[place] = b"no JSON"
    readable = [event for event in events if isinstance(event, dict)]

    def consume(first: int, piece: list) -> None:
        if chance.random() < 0.5:
            analytics.handler(stream_batch(piece, first=first), Context())
        if len(piece) > 1 and chance.random() < 0.7:
            half = len(piece) // 2
            consume(first, piece[:half])
            consume(first + half, piece[half:])
        else:
            analytics.handler(stream_batch(piece, first=first), Context())

    consume(0, events)

    expected = Counts(
        delivered=sum(event["event_type"] == "_SMS.SUCCESS" for event in readable),
        failed=sum(event["event_type"] == "_SMS.FAILURE" for event in readable),
        responses=sum(event["event_type"] == "_SMS.RECEIVED" for event in readable),
        opt_outs=sum(event["event_type"] == "_SMS.OPTOUT" for event in readable),
    )
    expected.cost_millicents = (expected.delivered + expected.failed) * 581
    assert counted(analytics, DAY - timedelta(days=2), DAY) == expected
    metrics = emitted(capsys)
    assert metrics.get(("MessagesDelivered",), 0) == expected.delivered
    assert metrics.get(("MessagesFailed",), 0) == expected.failed
    assert metrics.get(("OptOuts",), 0) == expected.opt_outs


def test_an_event_that_stands_twice_in_a_batch_is_counted_once(analytics):
    analytics.handler(stream_batch([canonical(1), canonical(2), canonical(1)]), Context())

    assert counted(analytics).delivered == 2


def test_two_consumers_of_one_stream_after_a_split_count_what_each_of_them_reads(analytics):
    analytics.handler(stream_batch(some_events(12)), Context())
    analytics.handler(stream_batch(some_events(24)[12:], first=0, shard="shardId-000000000001"), Context())

    assert counted(analytics).delivered == 16


def test_where_the_table_throttles_the_whole_batch_comes_again_and_nothing_is_said(analytics, capsys):
    batch = stream_batch(some_events(24), first=5)
    with failing("PutItem", "ProvisionedThroughputExceededException"):
        response = analytics.handler(batch, Context())

    first = batch["Records"][0]["kinesis"]["sequenceNumber"]
    assert response == {"batchItemFailures": [{"itemIdentifier": first}]}
    assert emitted(capsys) == {}
    assert analytics.handler(batch, Context()) == DONE
    assert counted(analytics).delivered == 16


def test_records_that_cannot_be_read_are_kept_and_the_others_counted(analytics):
    analytics.handler(stream_batch([b"no JSON", canonical(1), canonical(2, schema_version=7)]), Context())

    assert counted(analytics).delivered == 1
    kept = quarantined()
    assert [record["reason"] for record in kept] == ["NOT_JSON", "FUTURE_SCHEMA"]
    assert {record["shardId"] for record in kept} == {SHARD}


def test_a_batch_of_nothing_but_what_cannot_be_read_is_done(analytics, capsys):
    assert analytics.handler(stream_batch([b"no JSON", b"[]"]), Context()) == DONE
    assert len(quarantined()) == 2
    assert emitted(capsys) == {}


def test_what_cannot_be_set_aside_comes_again(analytics):
    batch = stream_batch([b"no JSON", canonical(1)])
    with failing("PutObject", "SlowDown"):
        response = analytics.handler(batch, Context())

    assert response["batchItemFailures"]
    assert counted(analytics).delivered == 0


def test_a_wrong_mark_of_how_a_message_was_counted_is_set_aside(analytics):
    analytics.handler(stream_batch([canonical(1, counted_as="_SMS.BUFFERED"), canonical(2)]), Context())

    assert counted(analytics).delivered == 1
    assert [record["reason"] for record in quarantined()] == ["UNKNOWN_SHAPE"]


def test_receipts_three_days_late_belong_to_their_own_day(analytics, capsys):
    late = canonical(1, event_timestamp=canonical(0)["event_timestamp"] - 3 * 86_400_000)
    analytics.handler(stream_batch([canonical(0), late]), Context())

    assert emitted(capsys)[("MessagesDelivered",)] == 2

    assert counted(analytics).delivered == 1
    assert counted(analytics, date(2026, 11, 18), date(2026, 11, 18)).delivered == 1
    assert counted(analytics, date(2026, 11, 18), DAY).delivered == 2


@pytest.mark.parametrize("age_days", [5, 30, 500])
def test_an_old_event_hides_nothing_of_those_that_come_with_it(analytics, capsys, age_days):
    noon = canonical(0)["event_timestamp"]
    old = canonical(1, event_timestamp=noon - age_days * 86_400_000)
    analytics.handler(stream_batch([old, *some_events(24)]), Context())

    assert counted(analytics).delivered == 16
    long_ago = DAY - timedelta(days=age_days)
    assert counted(analytics, long_ago, long_ago).delivered == 1
    # What is no news is in the table, and no metric of today.
    assert emitted(capsys)[("MessagesDelivered",)] == 16
    rows = aws_client("dynamodb").scan(TableName=TABLE)["Items"]
    # Of today as well as of long ago: kept from when it came.
    assert {int(row["expiresAt"]["N"]) // 86_400 for row in rows} == {NOON_MS // 86_400_000 + 400}


def test_where_one_day_is_written_and_the_next_is_not_the_metrics_have_both_in_the_end(analytics, capsys):
    noon = canonical(0)["event_timestamp"]
    batch = stream_batch([canonical(0), canonical(1, event_timestamp=noon - 86_400_000)])
    real, calls = DynamoCounts.put, []

    def put_once(self, *arguments, **named):
        calls.append(arguments)
        if len(calls) == 2:
            raise ServiceCallError("dynamodb:PutItem: ThrottlingException")
        return real(self, *arguments, **named)

    with patch.object(DynamoCounts, "put", put_once):
        assert analytics.handler(batch, Context())["batchItemFailures"]
    assert analytics.handler(batch, Context()) == DONE

    assert counted(analytics, DAY - timedelta(days=1), DAY).delivered == 2
    assert emitted(capsys)[("MessagesDelivered",)] == 2


def test_what_is_taken_off_another_day_is_taken_off_there(analytics):
    noon = canonical(0)["event_timestamp"]
    yesterday = noon - 86_400_000
    failed = canonical(0, event_type="_SMS.FAILURE", event_timestamp=yesterday)
    delivered = canonical(1, counted_as="_SMS.FAILURE", counted_at=yesterday, counted_price_millicents=581)
    batch = [failed, canonical(2, event_type="_SMS.BUFFERED"), delivered]
    analytics.handler(stream_batch(batch), Context())
    analytics.handler(stream_batch(batch[:2]), Context())
    analytics.handler(stream_batch(batch[2:], first=2), Context())

    assert counted(analytics) == Counts(delivered=1, cost_millicents=581)
    assert counted(analytics, DAY - timedelta(days=1), DAY - timedelta(days=1)) == Counts()


@pytest.mark.parametrize(
    "wrong",
    [
        {"event_timestamp": 10**15 * 9},
        {"event_timestamp": -1},
        {"counted_as": "_SMS.FAILURE", "counted_at": 10**17},
        {"price_millicents": -5},
        {"price_millicents": 10**30},
        {"arrival_timestamp": 10**30},
        {"parts": 10**30},
        {"schema_version": -1},
    ],
)
def test_figures_that_cannot_be_are_set_aside(analytics, wrong):
    assert analytics.handler(stream_batch([canonical(1, **wrong), canonical(2)]), Context()) == DONE

    assert counted(analytics).delivered == 1
    assert [record["reason"] for record in quarantined()] == ["UNKNOWN_SHAPE"]


@pytest.mark.parametrize("campaign", ["Frühling", ":spring", "   ", "spring\n2027", "x" * 300])
def test_a_campaign_that_no_dimension_can_hold_is_counted_as_another(aws, capsys, campaign):
    environment = {
        "COUNTS_TABLE": TABLE,
        "ARCHIVE_BUCKET": BUCKET,
        "COUNTS_RETENTION_SECONDS": "34560000",
        "METRICS_BY_CAMPAIGN": "true",
    }
    with fresh_handler(f"{PACKAGE}.analytics", environment) as module:
        module.handler(stream_batch([canonical(1, campaign_id=campaign), canonical(2)]), Context())

        groups = module._counts.read(DAY, DAY)
    metrics = emitted(capsys)
    assert metrics[("CampaignMessagesDelivered", "(other)")] == 1
    assert metrics[("CampaignMessagesDelivered", "spring")] == 1
    assert {group.campaign_id for group in groups} == {campaign, "spring"}


def test_thousands_of_long_campaign_names_fit_into_an_item(analytics):
    events = [
        canonical(number, campaign_id=random.Random(number).randbytes(395).hex()) for number in range(2_000)
    ]

    assert analytics.handler(stream_batch(events), Context()) == DONE
    assert counted(analytics).delivered == 2_000


def test_the_event_processor_says_one_line_a_batch(event_processor, capsys):
    events = [
        canonical(0),
        canonical(1, event_type="_SMS.FAILURE", record_status="CARRIER_BLOCKED"),
        canonical(2, event_type="_SMS.FAILURE", record_status="call +12025550101 now"),
        b"no JSON",
    ]

    assert event_processor.handler(stream_batch(events), Context()) == DONE

    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert len(lines) == 1
    said = json.loads(lines[0])
    assert said["events"] == {"_SMS.SUCCESS": 1, "_SMS.FAILURE": 2}
    assert said["failures"] == {"CARRIER_BLOCKED": 1, "(other)": 1}
    assert said["set_aside"] == {"NOT_JSON": 1}
    assert said["EventsSeen"] == 3
    assert said["RecordsSetAside"] == 1
    assert said["EventLagSeconds"] >= 0
    assert "555" not in lines[0]
    assert [record["reason"] for record in quarantined()] == ["NOT_JSON"]


def test_the_event_processor_names_a_bounded_number_of_statuses(event_processor, capsys):
    events = [
        canonical(number, event_type="_SMS.FAILURE", record_status="A" * (number + 1)) for number in range(45)
    ]
    event_processor.handler(stream_batch(events), Context())

    failures = json.loads(capsys.readouterr().out.splitlines()[-1])["failures"]
    assert len(failures) == 21
    assert sum(failures.values()) == 45
