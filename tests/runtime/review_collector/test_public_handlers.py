"""What everybody may call: approved reviews, and votes for them."""

import json
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sms_engagement_runtime.review_collector.adapters.dynamodb_reviews import DynamoReviews
from sms_engagement_runtime.review_collector.domain.reviews import Opinion, Review, ReviewStatus
from tests.support.handlers import Context, fresh_handler
from tests.support.http_events import api_event
from tests.support.review_tables import FIGURES, REVIEWS, aws_client, review_tables

HANDLERS = "sms_engagement_runtime.review_collector.handlers"
NOW = datetime.now(UTC).replace(microsecond=0)
REVIEW = Review(
    review_id="r1",
    user_id="customer-17",
    opinion=Opinion(rating=1, text="Never again"),
    status=ReviewStatus.APPROVED,
    created_at=NOW - timedelta(hours=1),
    author_name="John D.",
)
HELPFUL = "POST /reviews/{id}/helpful"


@pytest.fixture
def put():
    with review_tables():
        repository = DynamoReviews(aws_client("dynamodb"), table=REVIEWS)
        yield lambda *reviews: [repository.create(one, announcing_until=NOW) for one in reviews]


@pytest.fixture
def call(put):
    environment = {"REVIEWS_TABLE": REVIEWS, "FIGURES_TABLE": FIGURES}
    with ExitStack() as stack:
        functions = {
            module: stack.enter_context(fresh_handler(f"{HANDLERS}.{module}", environment))
            for module in ("public_reviews", "helpful")
        }

        def call_(route, **request):
            module = "helpful" if route == HELPFUL else "public_reviews"
            return functions[module].handler(api_event(route, **request), Context())

        yield call_


def reviews_of(response):
    return json.loads(response["body"])["reviews"]


def test_approved_reviews_are_shown_whatever_their_stars_and_nothing_personal(call, put):
    put(REVIEW)

    response = call("GET /reviews")

    assert reviews_of(response) == [
        {
            "reviewId": "r1",
            "rating": 1,
            "reviewText": "Never again",
            "name": "John D.",
            "createdAt": REVIEW.created_at.date().isoformat(),
            "helpful": 0,
        }
    ]
    assert "customer-17" not in response["body"]
    assert response["headers"]["cache-control"] == "public, max-age=60"
    assert response["headers"]["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("query", [{}, {"status": "new"}, {"status": "all"}, {"userId": "customer-17"}])
def test_what_is_not_approved_is_shown_to_nobody_whatever_they_ask(call, put, query):
    put(*(replace(REVIEW, review_id=status.value, status=status) for status in ReviewStatus))

    assert [row["reviewId"] for row in reviews_of(call("GET /reviews", query=query))] == ["approved"]


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "abc"}, {"limit": "1000000000"}, {"cursor": "forged"}]
)
def test_a_wrong_parameter_is_400_and_not_cached(call, query):
    response = call("GET /reviews", query=query)

    assert response["statusCode"] == 400
    assert json.loads(response["body"])["errors"]
    assert response["headers"]["cache-control"] == "no-store"


def test_a_head_has_no_body(call):
    response = call("HEAD /reviews")

    assert (response["statusCode"], response["body"]) == (200, "")


def test_pages_go_on(call, put):
    put(*(replace(REVIEW, review_id=f"r{n}", created_at=NOW - timedelta(minutes=n)) for n in range(3)))

    first = json.loads(call("GET /reviews", query={"limit": "2"})["body"])
    second = json.loads(call("GET /reviews", query={"limit": "2", "cursor": first["cursor"]})["body"])

    assert [row["reviewId"] for row in (*first["reviews"], *second["reviews"])] == ["r0", "r1", "r2"]


def test_votes_are_counted_once_a_visitor(call, put):
    put(REVIEW)

    votes = [
        call(HELPFUL, review_id="r1", source_ip=address)
        for address in ("192.0.2.1", "192.0.2.1", "2001:db8::1", "2001:db8::2", "198.51.100.7")
    ]

    assert [json.loads(vote["body"])["counted"] for vote in votes] == [True, False, True, False, True]
    assert reviews_of(call("GET /reviews"))[0]["helpful"] == 3


def test_no_address_is_stored_or_logged(call, put, capsys):
    put(REVIEW)

    call(HELPFUL, review_id="r1", source_ip="192.0.2.77")

    kept = str(aws_client("dynamodb").scan(TableName=FIGURES)["Items"])
    assert "vote#r1" in kept
    assert "192.0.2.77" not in kept + capsys.readouterr().out


@pytest.mark.parametrize("status", [ReviewStatus.NEW, ReviewStatus.REJECTED])
def test_what_the_public_cannot_read_gets_no_votes(call, put, status):
    put(replace(REVIEW, status=status))

    assert call(HELPFUL, review_id="r1")["statusCode"] == 404


@pytest.mark.parametrize("identifier", ["nothing", "x" * 3000, "", "../r1"])
def test_what_is_no_review_is_404(call, identifier):
    assert call(HELPFUL, review_id=identifier)["statusCode"] == 404


@pytest.mark.parametrize(("body", "status"), [("x" * 2000, 413), (b"x" * 2000, 413), ("{}", 200)])
def test_a_body_is_not_needed_and_bounded(call, put, body, status):
    put(REVIEW)

    assert call(HELPFUL, review_id="r1", body=body)["statusCode"] == status
