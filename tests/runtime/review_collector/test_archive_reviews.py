"""Reviews that the table has deleted for their age reach the archive, and no other rows do."""

import copy
import json
from pathlib import Path

import pytest
from botocore.stub import ANY, Stubber
from moto import mock_aws

from sms_engagement_runtime.review_collector.adapters.review_stream import old_row
from tests.support.handlers import Context, fresh_handler
from tests.support.logs import captured_logs
from tests.support.review_tables import aws_client

BUCKET = "archive"
EXPIRED = json.loads(
    (Path(__file__).parents[2] / "events" / "dynamodb-stream-expired-review.json").read_text(encoding="utf-8")
)["Records"][0]


@pytest.fixture(scope="module")
def module():
    name = "sms_engagement_runtime.review_collector.handlers.archive_reviews"
    with fresh_handler(name, {"REVIEW_ARCHIVE": BUCKET}) as module:
        yield module


@pytest.fixture
def s3():
    with mock_aws():
        client = aws_client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client


def expired(review_id, **attributes):
    record = copy.deepcopy(EXPIRED)
    record["dynamodb"]["SequenceNumber"] = f"number of {review_id}"
    record["dynamodb"]["OldImage"] |= {"reviewId": {"S": review_id}, **attributes}
    return record


def archive(module, *records):
    answer = module.handler({"Records": list(records)}, Context())
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def archived(s3):
    return {
        entry["Key"]: s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
        for entry in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    }


def test_an_expired_review_becomes_one_object_with_all_that_the_row_had(module, s3):
    assert archive(module, EXPIRED) == []

    ((key, content),) = archived(s3).items()
    assert key == "reviews/year=2026/month=11/AAECAwQFBgcICQoL.json"
    assert json.loads(content) == {
        "reviewId": "AAECAwQFBgcICQoL",
        "userId": "customer-001",
        "timestamp": 1795280400123,
        "rating": 5,
        "reviewText": "Warm on arrival. Ring me: +12065550101 ❤",
        "status": "approved",
        "helpful": 3,
        "createdAt": 1795280400,
        "version": 1,
        "expiresAt": 1858352400,
        "schemaVersion": 1,
    }
    assert content.count(b"\n") == 1


def test_a_second_delivery_overwrites_the_same_object_with_the_same_content(module, s3):
    archive(module, EXPIRED)
    before = archived(s3)

    archive(module, EXPIRED, EXPIRED)

    assert archived(s3) == before


@pytest.mark.parametrize(
    "other",
    [
        {"userIdentity": None},
        {"userIdentity": {"type": "Service", "principalId": "replication.dynamodb.amazonaws.com"}},
        {"userIdentity": {"type": "User", "principalId": "dynamodb.amazonaws.com"}},
        {"eventName": "MODIFY"},
        {"eventName": "INSERT"},
    ],
)
def test_what_somebody_deleted_or_changed_is_not_archived(module, s3, other):
    assert archive(module, EXPIRED | other) == []
    assert archived(s3) == {}


def test_a_deletion_by_a_person_has_no_identity_at_all(module, s3):
    deleted = {name: value for name, value in EXPIRED.items() if name != "userIdentity"}

    assert archive(module, deleted) == []
    assert archived(s3) == {}


def test_the_batch_ends_at_the_first_failure_and_names_it(module, s3):
    stubber = Stubber(module._archive._client)
    stubber.add_response("put_object", {}, {"Bucket": BUCKET, "Key": ANY, "Body": ANY, "ContentType": ANY})
    stubber.add_client_error("put_object", "SlowDown", http_status_code=503)

    with stubber, captured_logs() as log:
        failed = archive(module, expired("a"), expired("b"), expired("c"))

    assert failed == ["number of b"]
    assert "s3:PutObject: SlowDown" in log.getvalue()
    stubber.assert_no_pending_responses()


def test_attributes_that_this_code_never_heard_of_are_kept(module, s3):
    strange = {
        "tags": {"L": [{"S": "a"}, {"N": "1.5"}, {"NULL": True}]},
        "moderation": {"M": {"by": {"S": "Ann"}, "final": {"BOOL": False}}},
        "shades": {"SS": ["x", "y"]},
        "sizes": {"NS": ["1", "-2.5"]},
        "photo": {"B": "aGVsbG8="},
        "timestamp": {"S": "yesterday"},
    }

    assert archive(module, expired("r", **strange)) == []

    ((key, content),) = archived(s3).items()
    assert key == "reviews/year=2028/month=11/r.json"
    row = json.loads(content)
    assert {name: row[name] for name in strange} == {
        "tags": ["a", 1.5, None],
        "moderation": {"by": "Ann", "final": False},
        "shades": ["x", "y"],
        "sizes": [1, -2.5],
        "photo": "aGVsbG8=",
        "timestamp": "yesterday",
    }


@pytest.mark.parametrize(("digits", "number"), [("5", 5), ("-5", -5), ("0.1", 0.1), ("1E+2", 100.0)])
def test_numbers_are_whole_where_they_can_be(digits, number):
    value = old_row(expired("r", rating={"N": digits}))["rating"]

    assert (value, type(value)) == (number, type(number))


def test_no_log_line_holds_what_a_person_wrote_or_who_it_was(module, s3, capsys):
    with captured_logs() as log:
        archive(module, EXPIRED)

    out, err = capsys.readouterr()
    for written in (log.getvalue(), out, err):
        for private in ("Warm", "2065550101", "customer-001"):
            assert private not in written
    assert '"ReviewsArchived":[1.0]' in out.replace(" ", "")
