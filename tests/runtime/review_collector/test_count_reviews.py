"""The function that counts: records of both streams, as Lambda hands them over."""

import pytest
from boto3.dynamodb.types import TypeSerializer

from sms_engagement_runtime.review_collector.adapters.dynamodb_figures import DynamoFigures
from tests.support.handlers import Context, fresh_handler
from tests.support.review_tables import FIGURES, REVIEWS, aws_client, review_tables

MODULE = "sms_engagement_runtime.review_collector.handlers.count_reviews"
ROW = {
    "reviewId": "r1",
    "userId": "u1",
    "timestamp": 1_795_280_400_123,
    "rating": 5,
    "reviewText": "Absolutely wonderful, thank you!",
    "status": "new",
    "version": 1,
}
EXPIRY = {"userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"}}


def record(row, *, key="reviewId", gone=False, **more):
    wire = {name: TypeSerializer().serialize(value) for name, value in row.items()}
    change = {"Keys": {key: wire[key]}, "SequenceNumber": "1"}
    if not gone:
        change["NewImage"] = wire
    return {"eventName": "REMOVE" if gone else "MODIFY", "dynamodb": change, **more}


@pytest.fixture
def count():
    environment = {
        "REVIEWS_TABLE": REVIEWS,
        "FIGURES_TABLE": FIGURES,
        "REPORTING_TIME_ZONE": "America/New_York",
    }
    with review_tables(), fresh_handler(MODULE, environment) as module:
        yield lambda *records: module.handler({"Records": list(records)}, Context())


def total():
    found = DynamoFigures(aws_client("dynamodb"), table=FIGURES).since("2026").get("total", {})
    return {name: value for name, value in found.items() if value}


def put(row):
    wire = {name: TypeSerializer().serialize(value) for name, value in row.items()}
    aws_client("dynamodb").put_item(TableName=REVIEWS, Item=wire)


def stored(name):
    row = aws_client("dynamodb").get_item(TableName=REVIEWS, Key={"reviewId": {"S": "r1"}})["Item"]
    return row.get(name, {}).get("S")


def test_a_review_is_judged_counted_and_not_counted_again(count):
    put(ROW)

    count(record(ROW))
    count(record(ROW))
    count(record(ROW | {"sentiment": "positive"}))

    assert stored("sentiment") == "positive"
    assert total() == {"rating5": 1, "positive": 1, "new": 1}


def test_an_edit_is_judged_anew_and_its_old_text_no_longer(count):
    edited = ROW | {"reviewText": "Terrible, never again", "rating": 1, "version": 2}
    put(edited)

    count(record(ROW))
    assert stored("sentiment") is None
    count(record(edited))

    assert stored("sentiment") == "negative"
    assert total() == {"rating1": 1, "negative": 1, "new": 1}


def test_of_a_row_that_changed_twice_in_a_batch_the_last_state_counts(count):
    put(ROW)

    count(record(ROW), record(ROW | {"status": "approved", "sentiment": "positive"}))

    assert total() == {"rating5": 1, "positive": 1, "approved": 1}


def test_requests_are_counted_when_they_went_out_and_when_they_are_answered(count):
    request = {"requestId": "q1", "userId": "u1", "occasion": "order-1", "recordedAt": 1_795_280_400}

    count(record(request, key="requestId"))
    assert total() == {}
    count(record(request | {"askedAt": 1_795_280_400}, key="requestId"))
    count(record(request | {"askedAt": 1_795_280_400, "answeredAt": 1_795_290_000}, key="requestId"))

    assert total() == {"asked": 1, "answered": 1}


def test_a_text_that_the_gate_took_back_is_no_request(count):
    request = {"requestId": "q1", "userId": "u1", "occasion": "order-1", "recordedAt": 1_795_280_400}

    count(record(request | {"askedAt": 1_795_280_400}, key="requestId"))
    count(record(request, key="requestId"))

    assert total() == {}


def test_what_goes_for_its_age_stays_in_the_trend_and_what_is_erased_does_not(count):
    other = ROW | {"reviewId": "r2"}
    count(record(ROW | {"sentiment": "positive"}), record(other | {"sentiment": "positive"}))

    count(record(ROW, gone=True, **EXPIRY), record(other, gone=True))

    assert total() == {"rating5": 1, "positive": 1}


@pytest.mark.parametrize(
    "oddity",
    [{"rating": "five"}, {"timestamp": "yesterday"}, {"status": "odd"}, {"reviewText": 5}, {"version": "x"}],
)
def test_a_row_that_somebody_put_in_by_hand_stops_nothing(count, oddity):
    put(ROW)

    count(record(ROW | {"reviewId": "odd"} | oddity), record(ROW | {"sentiment": "neutral"}))

    assert total()["neutral"] >= 1
