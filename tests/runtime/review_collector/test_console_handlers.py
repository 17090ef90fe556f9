"""The console's two functions, as API Gateway calls them."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from sms_engagement_runtime.review_collector.adapters.dynamodb_figures import DynamoFigures
from sms_engagement_runtime.review_collector.adapters.dynamodb_reviews import DynamoReviews
from sms_engagement_runtime.review_collector.domain.figures import Change, Entry
from sms_engagement_runtime.review_collector.domain.reviews import Opinion, Review, ReviewStatus, revise
from tests.support.handlers import Context, fresh_handler
from tests.support.http_events import api_event
from tests.support.review_tables import FIGURES, REVIEWS, aws_client, review_tables

HANDLERS = "sms_engagement_runtime.review_collector.handlers"
NOW = datetime.now(UTC).replace(microsecond=0)
ANN = "arn:aws:iam::111122223333:user/ann"
HTML = {"accept": "text/html"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
NASTY = "</p><script>alert(1)</script>\N{RIGHT-TO-LEFT OVERRIDE}\u2067 مرحبا 👩‍👩‍👧‍👦 " + "x" * 4900


def review(identifier, *, age=timedelta(hours=1), text="Fine", rating=4, user_id="u1"):
    return Review(
        review_id=identifier,
        user_id=user_id,
        opinion=Opinion(rating=rating, text=text),
        status=ReviewStatus.NEW,
        created_at=NOW - age,
        author_name="John D.",
    )


@pytest.fixture
def repository():
    with review_tables():
        yield DynamoReviews(aws_client("dynamodb"), table=REVIEWS)


@pytest.fixture
def put(repository):
    def put_(*reviews):
        for one in reviews:
            repository.create(one, announcing_until=NOW)

    return put_


@pytest.fixture
def call(repository):
    environment = {
        "REVIEWS_TABLE": REVIEWS,
        "FIGURES_TABLE": FIGURES,
        "REPORTING_TIME_ZONE": "America/New_York",
    }
    with ExitStack() as stack:
        functions = {
            method: stack.enter_context(fresh_handler(f"{HANDLERS}.{module}", environment))
            for method, module in (("GET", "console"), ("POST", "moderate"))
        }

        def call_(route, *, user_arn=ANN, **request):
            event = api_event(route, user_arn=user_arn, **request)
            return functions[route.split()[0]].handler(event, Context())

        yield call_


@pytest.fixture
def decide(call):
    def decide_(verb="approve", review_id="r1", *, headers=None, **fields):
        body = json.dumps({"version": 1} | fields)
        headers = {"content-type": "application/json"} | (headers or {})
        route = f"POST /admin/reviews/{{id}}/{verb}"
        return call(route, review_id=review_id, body=body, headers=headers)

    return decide_


def said(response):
    return response["statusCode"], json.loads(response["body"])


class TestReading:
    def test_what_waits_comes_first_and_newest_first(self, call, put):
        put(review("r1"), review("r2", age=timedelta(minutes=1)))

        status, content = said(call("GET /admin/reviews"))

        assert status == 200
        assert [row["reviewId"] for row in content["reviews"]] == ["r2", "r1"]
        assert content["cursor"] is None
        assert content["reviews"][0]["version"] == 1

    def test_pages_go_on_where_the_last_one_ended(self, call, put):
        put(*(review(f"r{number:02}", age=timedelta(minutes=number)) for number in range(25)))
        seen, query = [], {"hours": "24", "status": "all"}
        while query is not None:
            _, content = said(call("GET /admin/reviews", query=query))
            seen += [row["reviewId"] for row in content["reviews"]]
            query = content["cursor"] and query | {"cursor": content["cursor"]}

        assert seen == [f"r{number:02}" for number in range(25)]

    def test_what_is_past_its_retention_is_shown_to_nobody(self, call, repository):
        old = DynamoReviews(aws_client("dynamodb"), table=REVIEWS, retention=timedelta(days=1))
        old.create(review("old", age=timedelta(days=2)), announcing_until=NOW)
        repository.create(review("kept", age=timedelta(days=3)), announcing_until=NOW)

        _, content = said(call("GET /admin/reviews"))

        assert [row["reviewId"] for row in content["reviews"]] == ["kept"]
        assert call("GET /admin/reviews/{id}", review_id="old")["statusCode"] == 404

    @pytest.mark.parametrize(
        "query",
        [{"limit": "0"}, {"limit": "1000000000"}, {"hours": "abc"}, {"cursor": "forged"}, {"userId": ""}],
    )
    @pytest.mark.parametrize("headers", [HTML, {}])
    def test_a_wrong_parameter_is_400(self, call, query, headers):
        response = call("GET /admin/reviews", query=query, headers=headers)

        assert response["statusCode"] == 400
        assert next(iter(query)) in response["body"]

    @pytest.mark.parametrize("identifier", ["nothing", "../r1", "x" * 3000, "'; DROP TABLE", "%00"])
    def test_what_is_no_id_is_404(self, call, identifier):
        assert call("GET /admin/reviews/{id}", review_id=identifier)["statusCode"] == 404

    def test_what_a_customer_wrote_cannot_act_on_the_page(self, call, put):
        put(review("r1", text=NASTY, user_id='"><script>alert(2)</script>'))

        for response in (
            call("GET /admin/reviews", headers=HTML),
            call("GET /admin/reviews/{id}", review_id="r1", headers=HTML),
        ):
            page = response["body"]
            assert page.count("<script>") == 1
            assert "&lt;/p&gt;&lt;script&gt;" in page
            assert "style=" not in page
            assert "onclick" not in page

    def test_the_pages_are_kept_by_nobody_and_framed_by_nobody(self, call):
        headers = call("GET /admin/reviews", headers=HTML)["headers"]

        assert headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"

    @pytest.mark.parametrize("route", ["GET /admin/reviews", "GET /admin/reviews/{id}", "GET /admin/figures"])
    def test_a_route_that_lost_its_authoriser_shows_nothing(self, call, put, route):
        put(review("r1"))

        response = call(route, user_arn=None, review_id="r1")

        assert said(response) == (403, {"errors": ["Forbidden"]})

    def test_figures_are_numbers_for_programs_and_charts_for_people(self, call):
        today = datetime.now(UTC).date().isoformat()
        yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
        DynamoFigures(aws_client("dynamodb"), table=FIGURES).apply(
            [
                Change("review#1", Entry(yesterday, ("rating5", "positive", "new"))),
                Change("request#1", Entry(yesterday, ("asked", "answered"))),
                Change("request#2", Entry(yesterday, ("asked",))),
                Change("review#2", Entry(today, ("rating1", "negative", "new"))),
            ]
        )

        status, content = said(call("GET /admin/figures"))
        page = call("GET /admin/figures", query={"days": "90"}, headers=HTML)["body"]

        assert status == 200
        assert content["period"]["asked"] == 2
        assert content["period"]["responseRate"] == 0.5
        assert content["ever"]["new"] == 2
        assert page.count("<svg") == 5
        assert "1 of 2 requests were answered: 50%" in page
        assert len(re.findall('role="img" aria-label="[^"]+"', page)) == 5

    @pytest.mark.parametrize("days", ["0", "-1", "367", "abc", "", "٣", "1000000000"])
    def test_days_that_are_none_are_400(self, call, days):
        assert call("GET /admin/figures", query={"days": days})["statusCode"] == 400

    def test_without_any_figures_the_page_says_so(self, call):
        page = call("GET /admin/figures", headers=HTML)["body"]

        assert "No reviews in these days." in page
        assert "Nobody was asked in these days." in page


class TestDeciding:
    def test_who_decided_is_who_signed(self, decide, put, repository):
        put(review("r1"))

        status, content = said(decide("reject", reason="Spam"))

        assert (status, content["changed"], content["review"]["status"]) == (200, True, "rejected")
        (decision,) = repository.get("r1").decisions
        assert (decision.decided_by, decision.reason, decision.version) == (ANN, "Spam", 1)

    def test_a_double_click_is_one_decision(self, decide, put, repository):
        put(review("r1"))

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: decide(), range(4)))

        assert {answer["statusCode"] for answer in answers} == {200}
        assert len(repository.get("r1").decisions) == 1

    def test_of_two_moderators_at_once_one_wins_and_the_other_sees_it(self, decide, put, repository):
        put(review("r1"))

        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda verb: decide(verb, reason="Spam"), ["approve", "reject"]))

        assert sorted(answer["statusCode"] for answer in answers) == [200, 409]
        (loser,) = (json.loads(a["body"]) for a in answers if a["statusCode"] == 409)
        assert loser["review"]["status"] == repository.get("r1").status.value
        assert len(repository.get("r1").decisions) == 1

    @pytest.mark.parametrize("headers", [HTML, {}])
    def test_an_edit_while_it_was_on_the_screen_is_shown_instead(self, decide, put, repository, headers):
        put(review("r1"))
        edited = revise(
            repository.get("r1"), Opinion(rating=1, text="Changed"), now=NOW, edit_window=timedelta(1)
        )
        assert repository.update(edited, expected_version=1)

        answer = decide(headers=headers)

        assert answer["statusCode"] == 409
        assert "Changed" in answer["body"]
        assert "has changed since it was shown" in answer["body"]
        assert repository.get("r1").status is ReviewStatus.NEW

    def test_a_browser_is_led_back_to_the_list(self, call, put):
        put(review("r1"), review("r2"))
        fields = {"version": "1", "status": "new", "reason": "Spam", "then": "list"}

        def post(verb, identifier, **more):
            return call(
                f"POST /admin/reviews/{{id}}/{verb}",
                review_id=identifier,
                body=urlencode(fields | more),
                headers=HTML | FORM,
            )

        approved, rejected = post("approve", "r1"), post("reject", "r2", then="review")

        assert (approved["statusCode"], approved["headers"]["location"]) == (
            303,
            "../../reviews?status=new&decided=r1",
        )
        assert (rejected["statusCode"], rejected["headers"]["location"]) == (303, "../r2")

    @pytest.mark.parametrize(
        ("verb", "fields", "errors"),
        [
            ("reject", {}, ["Reason is required"]),
            ("reject", {"reason": " "}, ["Reason is required"]),
            ("reject", {"reason": ["x"]}, ["Reason must be text"]),
            ("reject", {"reason": "x" * 501}, ["Reason exceeds 500 character limit"]),
            ("approve", {"version": None}, ["Version is required"]),
            ("approve", {"version": "x"}, ["Version must be a whole number from 1 on"]),
            ("approve", {"status": "shown"}, ["Status must be new, approved or rejected"]),
        ],
    )
    def test_what_is_missing_is_said(self, decide, put, repository, verb, fields, errors):
        put(review("r1"))

        assert said(decide(verb, **fields)) == (400, {"errors": errors})
        assert repository.get("r1").status is ReviewStatus.NEW

    @pytest.mark.parametrize(
        ("headers", "body", "status"),
        [
            ({"content-type": "text/plain"}, "version=1", 415),
            ({}, "version=1", 415),
            (FORM, "x" * 70_000, 413),
            ({"content-type": "application/json"}, "[1]", 400),
            ({"content-type": "application/json"}, "{", 400),
            ({"content-type": "application/json"}, "[" * 9000, 400),
            (FORM, "version=1&version=2", 400),
        ],
    )
    def test_a_body_that_cannot_be_read_decides_nothing(self, call, put, repository, headers, body, status):
        put(review("r1"))

        route = "POST /admin/reviews/{id}/approve"
        assert call(route, review_id="r1", headers=headers, body=body)["statusCode"] == status
        assert repository.get("r1").status is ReviewStatus.NEW

    @pytest.mark.parametrize("identifier", ["nothing", "x" * 3000, ""])
    def test_what_is_not_there_is_404(self, decide, identifier):
        assert decide(review_id=identifier)["statusCode"] == 404

    def test_a_route_that_lost_its_authoriser_decides_nothing(self, call, put, repository):
        put(review("r1"))

        response = call(
            "POST /admin/reviews/{id}/approve",
            user_arn=None,
            review_id="r1",
            headers={"content-type": "application/json"},
            body='{"version": 1}',
        )

        assert response["statusCode"] == 403
        assert repository.get("r1").status is ReviewStatus.NEW

    def test_nothing_of_the_review_or_the_moderator_is_logged(self, decide, put, capsys):
        put(review("r1", text="A secret"))

        decide("reject", reason="Names a person")

        logged = capsys.readouterr().out
        assert "Decision answered" in logged
        assert not any(word in logged for word in ("secret", "Names a person", "ann", "r1"))
