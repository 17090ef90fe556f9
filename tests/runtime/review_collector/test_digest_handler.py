"""The daily digest, as the schedule calls its function."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from sms_engagement_runtime.review_collector.adapters.dynamodb_reviews import DynamoReviews
from sms_engagement_runtime.review_collector.domain.reviews import Opinion, Review, ReviewStatus
from tests.support.handlers import Context, fresh_handler
from tests.support.review_tables import REVIEWS, aws_client, review_tables

MODULE = "sms_engagement_runtime.review_collector.handlers.digest"
TOPIC_ARN = "arn:aws:sns:us-east-1:123456789012:admins"
EIGHT = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)


@pytest.fixture
def inbox():
    """Read what the admins were sent."""
    with review_tables():
        aws_client("sns").create_topic(Name="admins")
        queue = aws_client("sqs").create_queue(QueueName="inbox")["QueueUrl"]
        aws_client("sns").subscribe(
            TopicArn=TOPIC_ARN, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:inbox"
        )

        def read():
            received = aws_client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
            return [json.loads(message["Body"]) for message in received.get("Messages", [])]

        yield read


@pytest.fixture
def handler(tmp_path, inbox):
    clock_file = tmp_path / "offset"
    clock_file.write_text(str((EIGHT + timedelta(minutes=1) - datetime.now(UTC)).total_seconds()))
    environment = {
        "REVIEWS_TABLE": REVIEWS,
        "ADMIN_TOPIC_ARN": TOPIC_ARN,
        "DIGEST_TIME_ZONE": "America/New_York",
        "CLOCK": "virtual",
        "CLOCK_OFFSET_FILE": str(clock_file),
    }
    with fresh_handler(MODULE, environment) as module:
        yield lambda event: module.handler(event, Context())


def submit(review_id, at, rating):
    review = Review(
        review_id=review_id,
        user_id="u1",
        opinion=Opinion(rating=rating, text="Broke"),
        status=ReviewStatus.NEW,
        created_at=at,
    )
    DynamoReviews(aws_client("dynamodb"), table=REVIEWS).create(review, announcing_until=at)


@pytest.mark.parametrize("event", [{}, None, {"time": "whatever"}])
def test_the_admins_get_the_numbers_of_the_day(handler, inbox, event):
    submit("r1", EIGHT - timedelta(hours=1), 5)
    submit("r2", EIGHT - timedelta(hours=2), 2)
    submit("too late", EIGHT, 1)

    assert handler(event) == {"digest": "2 reviews, 3.5★ on average"}

    (notice,) = inbox()
    assert notice["Subject"] == "Daily review digest"
    assert notice["Message"].splitlines()[0] == "2 reviews, 3.5★ on average"
    assert "Review r2 (2★)" in notice["Message"]
    assert "Broke" not in notice["Message"]


def test_a_day_without_reviews_is_told_too(handler, inbox):
    handler({})

    assert [notice["Message"].splitlines()[0] for notice in inbox()] == ["No reviews"]
