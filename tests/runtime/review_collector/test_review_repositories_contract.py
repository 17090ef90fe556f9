"""What the ports of review collecting promise: the fakes of the tests and the adapters alike."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.review_collector.adapters.dynamodb_customers import DynamoCustomers
from sms_engagement_runtime.review_collector.adapters.dynamodb_requests import DynamoReviewRequests
from sms_engagement_runtime.review_collector.adapters.dynamodb_reviews import DynamoReviews
from sms_engagement_runtime.review_collector.domain.customers import Customer
from sms_engagement_runtime.review_collector.domain.moderation import Shown
from sms_engagement_runtime.review_collector.domain.requests import GivenText, ReviewRequest
from sms_engagement_runtime.review_collector.domain.reviews import (
    Decision,
    Opinion,
    Review,
    ReviewStatus,
    revise,
)
from tests.support.review_fakes import (
    FakeCustomers,
    FakeReviewRequests,
    FakeReviews,
)
from tests.support.review_tables import CUSTOMERS, REVIEW_REQUESTS, REVIEWS, review_tables

NOW = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
DAY = timedelta(days=1)
CLAIM = timedelta(seconds=15)

REQUEST = ReviewRequest(
    request_id="AAECAwQFBgcICQoL",
    user_id="u1",
    occasion="registration",
    name="Zoë Doe",
    first_name="Zoë",
    locale="fr-CA",
    recorded_at=NOW,
    asked_at=NOW,
    subscriber_id="v1:a-keyed-hash",
    run_id="run-1",
)
REVIEW = Review(
    review_id="AAECAwQFBgcICQoL",
    user_id="u1",
    opinion=Opinion(rating=4, text="Good\n😀 مرحبا <b>"),
    status=ReviewStatus.NEW,
    created_at=NOW.replace(microsecond=123_000),
)


@pytest.fixture
def dynamodb():
    with review_tables() as client:
        yield client


@pytest.fixture(params=["fake", "dynamodb"])
def requests(request):
    if request.param == "fake":
        return FakeReviewRequests()
    return DynamoReviewRequests(request.getfixturevalue("dynamodb"), table=REVIEW_REQUESTS)


@pytest.fixture(params=["fake", "dynamodb"])
def reviews(request):
    if request.param == "fake":
        return FakeReviews()
    return DynamoReviews(request.getfixturevalue("dynamodb"), table=REVIEWS)


def pages(source):
    """Everything, page by page, with cursors as they come back from JSON."""
    cursor = None
    while True:
        page = source.page(cursor)
        yield page.rows
        if page.next is None:
            return
        cursor = json.loads(json.dumps(page.next))


class TestReviewRequests:
    def test_a_request_is_read_as_it_was_reserved(self, requests):
        assert requests.get(REQUEST.request_id) is None
        assert requests.reserve(REQUEST) is None
        assert requests.get(REQUEST.request_id) == REQUEST
        assert requests.of_customer("u1") == [REQUEST]

    def test_what_the_customer_lacks_is_missing(self, requests):
        bare = ReviewRequest(request_id="r", user_id="u", occasion="o", recorded_at=NOW, asked_at=NOW)

        requests.reserve(bare)

        assert requests.get("r") == bare

    def test_a_second_reservation_changes_nothing(self, requests):
        requests.reserve(REQUEST)

        assert requests.reserve(replace(REQUEST, name="Somebody Else", asked_at=LATER)) == REQUEST
        assert requests.reserve(replace(REQUEST, asked_at=LATER), instead_of=LATER) == REQUEST
        assert requests.get(REQUEST.request_id) == REQUEST

    def test_a_text_that_never_went_out_may_be_reserved_again(self, requests):
        requests.reserve(REQUEST)
        again = replace(REQUEST, asked_at=LATER, run_id="the next", name=None, first_name=None)

        assert requests.reserve(again, instead_of=NOW) is None
        assert requests.get(REQUEST.request_id) == again

    def test_what_was_answered_is_not_reserved(self, requests):
        requests.reserve(REQUEST)
        requests.mark_answered(REQUEST.request_id, LATER)
        requests.withdraw(REQUEST.request_id, NOW)
        answered = replace(REQUEST, asked_at=None, answered_at=LATER)

        assert requests.reserve(replace(REQUEST, asked_at=LATER)) == answered
        assert requests.get(REQUEST.request_id) == answered

    def test_an_occasion_is_recorded_once_and_completed_when_it_is_asked_about(self, requests):
        recorded = ReviewRequest(
            request_id="r", user_id="u1", occasion="order-17", recorded_at=NOW, occurred_at=NOW - DAY
        )
        asked = replace(REQUEST, request_id="r", occasion="order-17", recorded_at=LATER, asked_at=LATER)

        assert requests.record(recorded)
        assert not requests.record(replace(recorded, recorded_at=LATER, occurred_at=None))
        assert requests.of_customer("u1") == [recorded]
        assert requests.reserve(asked) is None
        assert requests.get("r") == replace(asked, recorded_at=NOW, occurred_at=NOW - DAY)
        assert not requests.record(recorded)

    def test_what_happened_when_is_added_by_who_knows_it(self, requests):
        requests.record(ReviewRequest(request_id="r", user_id="u1", occasion="o", recorded_at=NOW))

        requests.reserve(replace(REQUEST, request_id="r", occasion="o", occurred_at=NOW - DAY))

        assert requests.get("r").occurred_at == NOW - DAY

    @pytest.mark.parametrize("locale", ["fr", None])
    def test_a_text_of_its_own_is_kept_whether_recorded_or_reserved(self, requests, locale):
        text = GivenText("{{name}}? {{link}}", locale)
        recorded = ReviewRequest(request_id="r", user_id="u1", occasion="o", recorded_at=NOW, text=text)

        requests.record(recorded)
        requests.reserve(replace(REQUEST, request_id="q", text=text))

        assert requests.get("r") == recorded
        assert requests.get("q").text == text
        assert {row.text for row in requests.of_customer("u1")} == {text}
        assert [row.text for page in pages(requests) for row in page] == [None, None]

    def test_the_last_text_stays_where_nobody_brings_another(self, requests):
        first, second = GivenText("{{link}}", "fr"), GivenText("Well? {{link}}")
        requests.record(
            ReviewRequest(
                request_id=REQUEST.request_id, user_id="u1", occasion="o", recorded_at=NOW, text=first
            )
        )

        requests.reserve(REQUEST)
        assert requests.get(REQUEST.request_id).text == first
        requests.withdraw(REQUEST.request_id, NOW)
        requests.reserve(replace(REQUEST, text=second))
        assert requests.get(REQUEST.request_id).text == second

    def test_a_customers_requests_are_all_found_and_nobody_elses(self, requests):
        for n in range(3):
            requests.reserve(replace(REQUEST, request_id=f"r{n}", occasion=f"order-{n}"))
        requests.reserve(replace(REQUEST, request_id="theirs", user_id="u2"))

        assert sorted(row.request_id for row in requests.of_customer("u1")) == ["r0", "r1", "r2"]
        assert requests.of_customer("somebody else") == []

    def test_everybodys_requests_are_read_page_by_page_without_names(self, requests):
        for n in range(5):
            requests.reserve(replace(REQUEST, request_id=f"r{n}", user_id=f"u{n}"))
        requests.mark_answered("r3", LATER)
        requests.mark_reminded("r4", LATER)

        read = {row.request_id: row for page in pages(requests) for row in page}

        assert sorted(read) == [f"r{n}" for n in range(5)]
        nameless = replace(
            REQUEST,
            request_id="r3",
            user_id="u3",
            name=None,
            first_name=None,
            locale=None,
            subscriber_id=None,
        )
        assert read["r3"] == replace(nameless, answered_at=LATER)
        assert read["r4"].reminded_at == LATER

    def test_the_first_mark_of_each_kind_stays(self, requests):
        requests.reserve(REQUEST)

        for at in (NOW, LATER):
            requests.mark_reminded(REQUEST.request_id, at)
            requests.mark_answered(REQUEST.request_id, at)
            requests.mark_new_link(REQUEST.request_id, at)

        assert requests.get(REQUEST.request_id) == replace(
            REQUEST, reminded_at=NOW, answered_at=NOW, new_link_at=NOW
        )

    def test_marks_bring_no_erased_request_back(self, requests):
        requests.mark_reminded("gone", NOW)
        requests.mark_answered("gone", NOW)
        requests.mark_new_link("gone", NOW)
        requests.withdraw("gone", NOW)

        assert requests.get("gone") is None

    def test_only_the_own_instant_is_withdrawn(self, requests):
        requests.reserve(REQUEST)

        requests.withdraw(REQUEST.request_id, LATER)
        assert requests.get(REQUEST.request_id) == REQUEST

        requests.withdraw(REQUEST.request_id, NOW)
        assert requests.get(REQUEST.request_id) == replace(REQUEST, asked_at=None)

    def test_a_row_that_was_put_in_by_hand_can_be_answered(self, dynamodb):
        dynamodb.put_item(
            TableName=REVIEW_REQUESTS,
            Item={"requestId": {"S": "r"}, "userId": {"S": "u1"}, "occasion": {"S": "o"}},
        )
        requests = DynamoReviewRequests(dynamodb, table=REVIEW_REQUESTS)

        requests.mark_answered("r", NOW)

        assert requests.get("r").answered_at == NOW
        assert [row.request_id for row in requests.page(None).rows] == ["r"]


class TestReviews:
    def test_a_review_is_read_as_it_was_created(self, reviews):
        assert reviews.get(REVIEW.review_id) is None
        assert reviews.create(REVIEW, announcing_until=NOW + CLAIM) is None
        assert reviews.get(REVIEW.review_id) == REVIEW

    def test_a_second_creation_changes_nothing(self, reviews):
        reviews.create(REVIEW, announcing_until=NOW + CLAIM)
        other = replace(REVIEW, opinion=Opinion(rating=1, text=""))

        assert reviews.create(other, announcing_until=LATER) == REVIEW
        assert reviews.get(REVIEW.review_id) == REVIEW

    def test_an_update_of_the_expected_version_is_stored(self, reviews):
        reviews.create(REVIEW, announcing_until=NOW + CLAIM)
        edited = replace(REVIEW, opinion=Opinion(rating=1, text="worse"), updated_at=LATER, version=2)

        assert reviews.update(edited, expected_version=1)
        assert reviews.get(REVIEW.review_id) == edited
        assert not reviews.update(replace(edited, version=2), expected_version=1)
        assert not reviews.update(replace(edited, review_id="gone"), expected_version=1)

    def test_a_review_that_others_brought_is_judged_decided_and_edited_as_version_one(self, dynamodb):
        reviews = DynamoReviews(dynamodb, table=REVIEWS)
        reviews.create(REVIEW, announcing_until=NOW)
        dynamodb.update_item(
            TableName=REVIEWS,
            Key={"reviewId": {"S": REVIEW.review_id}},
            UpdateExpression="REMOVE #version, schemaVersion, announcingUntil",
            ExpressionAttributeNames={"#version": "version"},
        )
        shown = Shown(version=1)
        approved = Decision(
            status=ReviewStatus.APPROVED, version=1, decided_at=NOW.replace(microsecond=0), decided_by="her"
        )
        edited = replace(REVIEW, opinion=Opinion(rating=1, text="worse"), updated_at=LATER, version=2)

        assert not reviews.set_sentiment(REVIEW.review_id, "positive", version=2)
        assert reviews.set_sentiment(REVIEW.review_id, "positive", version=1)
        assert reviews.decide(REVIEW.review_id, approved, shown=shown)
        assert not reviews.decide(REVIEW.review_id, approved, shown=shown)
        assert reviews.update(edited, expected_version=1)
        assert not reviews.decide(REVIEW.review_id, approved, shown=shown)
        assert reviews.get(REVIEW.review_id) == replace(edited, decisions=(approved,))
        assert not reviews.set_sentiment("gone", "positive", version=1)
        assert reviews.get("gone") is None

    def test_the_right_to_announce_is_held_by_one_at_a_time(self, reviews):
        reviews.create(REVIEW, announcing_until=NOW + CLAIM)

        def claim(at):
            return reviews.claim_announcement(REVIEW.review_id, now=at, until=at + CLAIM)

        assert not claim(NOW)
        assert not claim(NOW + CLAIM - timedelta(milliseconds=1))
        assert claim(NOW + CLAIM)
        assert not claim(NOW + CLAIM)
        assert claim(NOW + 2 * CLAIM)

    def test_what_was_announced_is_not_announced_again(self, reviews):
        reviews.create(REVIEW, announcing_until=NOW + CLAIM)
        reviews.mark_announced(REVIEW.review_id, LATER)

        assert not reviews.claim_announcement(REVIEW.review_id, now=LATER, until=LATER + CLAIM)
        assert reviews.get(REVIEW.review_id) == replace(REVIEW, announced_at=LATER)

    def test_no_review_is_announced_that_is_gone(self, reviews):
        reviews.mark_announced("gone", NOW)

        assert not reviews.claim_announcement("gone", now=NOW, until=LATER)
        assert reviews.get("gone") is None


class TestReviewListing:
    def submit(self, reviews, review_id, at, *, status=ReviewStatus.NEW, rating=4):
        review = replace(
            REVIEW, review_id=review_id, created_at=at, status=status, opinion=Opinion(rating=rating, text="")
        )
        reviews.create(review, announcing_until=at)

    def test_holds_the_reviews_of_a_status_from_the_start_on_and_before_the_end(self, reviews):
        self.submit(reviews, "before", NOW - timedelta(milliseconds=1))
        self.submit(reviews, "last", LATER - timedelta(milliseconds=1), rating=2)
        self.submit(reviews, "first", NOW, rating=5)
        self.submit(reviews, "after", LATER)
        self.submit(reviews, "approved", NOW, status=ReviewStatus.APPROVED)

        assert list(reviews.submitted_between(ReviewStatus.NEW, NOW, LATER)) == [("first", 5), ("last", 2)]
        assert list(reviews.submitted_between(ReviewStatus.APPROVED, NOW, LATER)) == [("approved", 4)]
        assert list(reviews.submitted_between(ReviewStatus.REJECTED, NOW, LATER)) == []

    def test_goes_over_several_pages(self, reviews):
        # Sixty reviews of twenty kilobytes: more than a page of one megabyte.
        for n in range(60):
            review = replace(REVIEW, review_id=f"r{n:02}", opinion=Opinion(rating=3, text="😀" * 5000))
            reviews.create(review, announcing_until=NOW)

        listed = list(reviews.submitted_between(ReviewStatus.NEW, NOW, LATER))

        assert sorted(review_id for review_id, _ in listed) == [f"r{n:02}" for n in range(60)]


class TestReviewRow:
    """Others read the table: the row is part of the contract."""

    def row(self, dynamodb, **options):
        DynamoReviews(dynamodb, table=REVIEWS, **options).create(REVIEW, announcing_until=NOW + CLAIM)
        (item,) = dynamodb.scan(TableName=REVIEWS)["Items"]
        return item

    def test_has_the_attributes_that_are_fixed(self, dynamodb):
        assert self.row(dynamodb) == {
            "reviewId": {"S": "AAECAwQFBgcICQoL"},
            "userId": {"S": "u1"},
            "timestamp": {"N": "1795280400123"},
            "rating": {"N": "4"},
            "reviewText": {"S": "Good\n😀 مرحبا <b>"},
            "status": {"S": "new"},
            "helpful": {"N": "0"},
            "createdAt": {"N": "1795280400"},
            "version": {"N": "1"},
            "announcingUntil": {"N": "1795280415000"},
            "schemaVersion": {"N": "1"},
        }

    def test_expires_only_where_a_retention_is_set(self, dynamodb):
        assert self.row(dynamodb, retention=timedelta(days=2))["expiresAt"] == {
            "N": str(1795280400 + 2 * 86400)
        }

    @pytest.mark.parametrize(("attribute", "value"), [("userId", "u1"), ("status", "new")])
    def test_is_found_by_its_indexes(self, dynamodb, attribute, value):
        self.row(dynamodb)

        found = dynamodb.query(
            TableName=REVIEWS,
            IndexName=f"{attribute}-timestamp-index",
            KeyConditionExpression="#a = :v",
            ExpressionAttributeNames={"#a": attribute},
            ExpressionAttributeValues={":v": {"S": value}},
        )

        assert found["Count"] == 1


def customer_item(user_id, **attributes):
    return {"userId": {"S": user_id}, "status": {"S": "active"}} | attributes


@pytest.fixture(params=["fake", "dynamodb"])
def customers(request):
    everybody = [
        Customer(user_id=f"u{n:04}", name="x" * 900, phone_number=f"+1202555{n:04}", is_active=True)
        for n in range(1500)
    ]
    if request.param == "fake":
        return FakeCustomers(*everybody)
    client = request.getfixturevalue("dynamodb")
    for start in range(0, len(everybody), 25):
        client.batch_write_item(
            RequestItems={
                CUSTOMERS: [
                    {
                        "PutRequest": {
                            "Item": customer_item(
                                c.user_id, name={"S": c.name}, phoneNumber={"S": c.phone_number}
                            )
                        }
                    }
                    for c in everybody[start : start + 25]
                ]
            }
        )
    return DynamoCustomers(client, table=CUSTOMERS)


class TestCustomers:
    def test_everybody_is_read_once_over_several_pages(self, customers):
        # 1,500 rows of nearly a kilobyte: more than one page of one megabyte.
        read = [[customer.user_id for customer in page] for page in pages(customers)]

        assert len(read) > 1
        assert sorted(user_id for page in read for user_id in page) == [f"u{n:04}" for n in range(1500)]

    def test_those_asked_for_are_found(self, customers):
        wanted = [f"u{n:04}" for n in range(250)]

        found = customers.find([*wanted, "nobody", "u0001"])

        assert sorted(found) == wanted
        assert found["u0042"].phone_number == "+12025550042"

    def test_nobody_is_found_among_none(self, customers):
        assert customers.find([]) == {}


NEWCOMER = Customer(
    user_id="invitee-1",
    phone_number="+12025550147",
    name="Zoë Doe",
    locale="fr-CA",
    time_zone="America/Toronto",
    is_active=True,
)


@pytest.fixture(params=["fake", "dynamodb"])
def register(request):
    if request.param == "fake":
        return FakeCustomers()
    return DynamoCustomers(request.getfixturevalue("dynamodb"), table=CUSTOMERS)


class TestCustomerRegister:
    @pytest.mark.parametrize(
        "newcomer",
        [NEWCOMER, Customer(user_id="bare", phone_number="+12025550148", is_active=True)],
        ids=["everything", "a number"],
    )
    def test_who_is_added_is_read_as_they_are(self, register, newcomer):
        assert register.add(newcomer, created_at=NOW, source="appointment") is None

        assert register.find([newcomer.user_id]) == {newcomer.user_id: newcomer}
        assert [row for page in pages(register) for row in page] == [newcomer]

    def test_who_is_there_is_returned_and_stays(self, register):
        register.add(NEWCOMER, created_at=NOW, source="appointment")

        for _ in range(2):
            other = replace(NEWCOMER, name="Somebody Else", phone_number="+12025550149")
            assert register.add(other, created_at=LATER, source="elsewhere") == NEWCOMER
        assert register.find(["invitee-1"]) == {"invitee-1": NEWCOMER}


class TestCustomerRow:
    """Others read the table: the row is part of the contract."""

    def test_has_the_attributes_that_are_fixed(self, dynamodb):
        DynamoCustomers(dynamodb, table=CUSTOMERS).add(NEWCOMER, created_at=NOW, source="appointment")

        (item,) = dynamodb.scan(TableName=CUSTOMERS)["Items"]
        assert item == {
            "userId": {"S": "invitee-1"},
            "phoneNumber": {"S": "+12025550147"},
            "name": {"S": "Zoë Doe"},
            "status": {"S": "active"},
            "locale": {"S": "fr-CA"},
            "timeZone": {"S": "America/Toronto"},
            "createdAt": {"N": "1795280400"},
            # 90 days later.
            "expiresAt": {"N": str(1795280400 + 90 * 86400)},
            "source": {"S": "appointment"},
        }

    def test_of_somebody_else_is_returned_with_what_can_be_read_of_it_and_stays(self, dynamodb):
        theirs = {
            "userId": {"S": "invitee-1"},
            "phoneNumber": {"N": "12025550123"},
            "name": {"L": []},
            "status": {"S": "inactive"},
            "tags": {"SS": ["a"]},
        }
        dynamodb.put_item(TableName=CUSTOMERS, Item=theirs)

        standing = DynamoCustomers(dynamodb, table=CUSTOMERS).add(NEWCOMER, created_at=NOW, source="x")

        assert standing == Customer(user_id="invitee-1", phone_number="12025550123")
        assert dynamodb.scan(TableName=CUSTOMERS)["Items"] == [theirs]

    def test_that_cannot_be_written_is_a_fault_that_may_pass_and_shows_no_number(self, dynamodb):
        with pytest.raises(TransientError) as caught:
            DynamoCustomers(dynamodb, table="gone").add(NEWCOMER, created_at=NOW, source="x")

        assert "555" not in str(caught.value)


class TestForeignCustomers:
    def test_rows_of_any_kind_are_read(self, dynamodb):
        for item in (
            {"userId": {"S": "bare"}},
            customer_item("number", phoneNumber={"N": "12025550123"}, createdAt={"N": "1.5"}),
            customer_item("there", timeZone={"S": "Europe/Berlin"}),
            customer_item(
                "odd",
                name={"L": [{"S": "John"}]},
                phoneNumber={"M": {}},
                locale={"NULL": True},
                status={"BOOL": True},
                tags={"SS": ["a"]},
                photo={"B": b"\0"},
            ),
        ):
            dynamodb.put_item(TableName=CUSTOMERS, Item=item)

        read = {c.user_id: c for c in DynamoCustomers(dynamodb, table=CUSTOMERS).page(None).rows}

        assert read == {
            "bare": Customer(user_id="bare"),
            "number": Customer(user_id="number", phone_number="12025550123", is_active=True),
            "there": Customer(user_id="there", time_zone="Europe/Berlin", is_active=True),
            "odd": Customer(user_id="odd"),
        }

    def test_keys_that_come_back_unread_are_asked_for_again(self, dynamodb, monkeypatch):
        dynamodb.put_item(TableName=CUSTOMERS, Item=customer_item("u1"))
        whole, calls = dynamodb.batch_get_item, []

        def partial(**request):
            calls.append(request)
            if len(calls) < 3:
                return {"Responses": {CUSTOMERS: []}, "UnprocessedKeys": request["RequestItems"]}
            return whole(**request)

        monkeypatch.setattr(dynamodb, "batch_get_item", partial)

        pauses = []
        customers = DynamoCustomers(dynamodb, table=CUSTOMERS, sleep=pauses.append)

        assert list(customers.find(["u1"])) == ["u1"]
        assert len(calls) == 3
        assert pauses == [0.1, 0.2]

    def test_keys_that_never_come_are_a_fault_that_may_pass(self, dynamodb, monkeypatch):
        pauses = []
        monkeypatch.setattr(
            dynamodb,
            "batch_get_item",
            lambda **request: {"Responses": {}, "UnprocessedKeys": request["RequestItems"]},
        )

        with pytest.raises(ServiceCallError, match="unread"):
            DynamoCustomers(dynamodb, table=CUSTOMERS, sleep=pauses.append).find(["u1"])
        assert pauses == [0.1, 0.2, 0.4, 0.8]


DECISION = Decision(
    status=ReviewStatus.REJECTED,
    version=1,
    decided_at=LATER,
    decided_by="arn:aws:iam::111122223333:user/ann",
    reason="Spam",
)


class TestModeration:
    def put(self, reviews, *rows):
        for row in rows:
            reviews.create(row, announcing_until=NOW)

    def test_a_decision_is_kept_with_the_review(self, reviews):
        self.put(reviews, REVIEW)

        assert reviews.decide(REVIEW.review_id, DECISION, shown=Shown(version=1))

        assert reviews.get(REVIEW.review_id) == replace(
            REVIEW, status=ReviewStatus.REJECTED, decisions=(DECISION,)
        )

    def test_decisions_follow_one_another(self, reviews):
        self.put(reviews, REVIEW)
        approval = replace(DECISION, status=ReviewStatus.APPROVED, reason=None)

        reviews.decide(REVIEW.review_id, DECISION, shown=Shown(version=1))
        shown = Shown(version=1, status=ReviewStatus.REJECTED)
        assert reviews.decide(REVIEW.review_id, approval, shown=shown)

        assert reviews.get(REVIEW.review_id).decisions == (DECISION, approval)

    @pytest.mark.parametrize(
        "shown", [Shown(version=2), Shown(version=1, status=ReviewStatus.APPROVED)], ids=["version", "status"]
    )
    def test_what_was_not_shown_is_not_decided(self, reviews, shown):
        self.put(reviews, REVIEW)

        assert not reviews.decide(REVIEW.review_id, DECISION, shown=shown)
        assert reviews.get(REVIEW.review_id) == REVIEW

    def test_a_decision_about_what_is_gone_brings_nothing_back(self, reviews):
        assert not reviews.decide("gone", DECISION, shown=Shown(version=1))
        assert reviews.get("gone") is None

    def test_what_the_words_say_is_of_one_version(self, reviews):
        self.put(reviews, REVIEW)

        assert not reviews.set_sentiment(REVIEW.review_id, "positive", version=2)
        assert reviews.set_sentiment(REVIEW.review_id, "positive", version=1)
        assert reviews.get(REVIEW.review_id).sentiment == "positive"

    def test_an_edit_keeps_decisions_and_forgets_the_sentiment(self, reviews):
        self.put(reviews, REVIEW)
        reviews.decide(REVIEW.review_id, DECISION, shown=Shown(version=1))
        reviews.set_sentiment(REVIEW.review_id, "positive", version=1)
        revised = revise(
            reviews.get(REVIEW.review_id), Opinion(rating=1, text="No"), now=LATER, edit_window=DAY
        )

        assert reviews.update(revised, expected_version=1)

        edited = reviews.get(REVIEW.review_id)
        assert (edited.status, edited.sentiment) == (ReviewStatus.NEW, None)
        assert edited.decisions == (DECISION,)

    def test_lists_are_newest_first_and_go_on_from_a_place(self, reviews):
        rows = [
            replace(REVIEW, review_id=f"r{number}", created_at=NOW - timedelta(minutes=number))
            for number in range(5)
        ]
        self.put(reviews, *rows, replace(REVIEW, review_id="other", user_id="u2"))

        first = reviews.of_customer("u1", since=None, after=None, limit=3)
        second = reviews.of_customer("u1", since=None, after=first.last, limit=3)
        recent = reviews.of_status(ReviewStatus.NEW, since=NOW - timedelta(minutes=1), after=None, limit=9)

        assert [row.review_id for row in first.reviews] == ["r0", "r1", "r2"]
        assert [row.review_id for row in second.reviews] == ["r3", "r4"]
        assert second.last is None
        assert {row.review_id for row in recent.reviews} == {"r0", "r1", "other"}
        assert reviews.of_status(ReviewStatus.APPROVED, since=None, after=None, limit=9) == ([], None)
