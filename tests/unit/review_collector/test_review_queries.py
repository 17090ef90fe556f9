"""Lists of reviews: bounded pages, newest first, and cursors that belong to one question."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.review_collector.domain.queries import (
    DEFAULT_LIMIT,
    MAX_CURSOR_LENGTH,
    Asked,
    InvalidQueryError,
    ReviewQuery,
    read_page,
    read_query,
)
from sms_engagement_runtime.review_collector.domain.reviews import Opinion, Review, ReviewStatus
from tests.support.review_fakes import FakeReviews

NOW = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)


def review(number: int, *, status: str = "new", user_id: str = "u1", age: timedelta | None = None) -> Review:
    age = timedelta(minutes=number) if age is None else age
    return Review(
        review_id=f"r{number:04}",
        user_id=user_id,
        opinion=Opinion(rating=number % 5 + 1, text=""),
        status=ReviewStatus(status),
        created_at=NOW - age,
    )


def shelf(*reviews: Review) -> FakeReviews:
    return FakeReviews(rows={row.review_id: row for row in reviews})


def all_pages(reviews: FakeReviews, parameters: dict[str, str]) -> list[list[str]]:
    pages: list[list[str]] = []
    cursor: dict[str, str] = {}
    while True:
        page = read_page(reviews, read_query(parameters | cursor), now=NOW)
        pages.append([row.review_id for row in page.reviews])
        if page.cursor is None:
            return pages
        assert len(page.cursor) <= MAX_CURSOR_LENGTH
        cursor = {"cursor": page.cursor}


def test_a_customers_reviews_come_newest_first_ten_at_a_time() -> None:
    reviews = shelf(*(review(number) for number in range(25)), review(99, user_id="u2"))

    pages = all_pages(reviews, {"userId": "u1"})

    assert [len(page) for page in pages] == [10, 10, 5]
    assert [name for page in pages for name in page] == [f"r{number:04}" for number in range(25)]


def test_recent_ones_of_every_status_are_merged() -> None:
    reviews = shelf(
        review(1, status="approved", age=timedelta(hours=1)),
        review(2, status="new", age=timedelta(hours=2)),
        review(3, status="rejected", age=timedelta(hours=23, minutes=59)),
        review(4, status="new", age=timedelta(hours=24, minutes=1)),
    )

    assert all_pages(reviews, {"hours": "24", "status": "all"}) == [["r0001", "r0002", "r0003"]]


@given(
    statuses=st.lists(st.sampled_from(list(ReviewStatus)), max_size=40),
    limit=st.integers(min_value=1, max_value=12),
)
def test_pages_together_hold_every_review_once_and_in_order(statuses: list[ReviewStatus], limit: int) -> None:
    rows = [review(number, status=status.value) for number, status in enumerate(statuses)]

    pages = all_pages(shelf(*rows), {"status": "all", "limit": str(limit)})

    assert [name for page in pages for name in page] == [row.review_id for row in rows]
    assert all(len(page) <= limit for page in pages)


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        *(
            ({"limit": text}, "limit")
            for text in ("0", "-1", "101", "1000000000", "abc", "", "1.5", "٣", "1,2")
        ),
        *(({"hours": text}, "hours") for text in ("0", "-1", "999999", "abc", "9" * 5000)),
        ({"status": "published"}, "status"),
        ({"userId": ""}, "userId"),
        ({"userId": "x" * 257}, "userId"),
        ({"userId": "a\nb"}, "userId"),
        ({"userId": "u1", "status": "new"}, "combined"),
        ({"cursor": "forged"}, "cursor"),
        ({"cursor": ""}, "cursor"),
        ({"cursor": "A" * 5000}, "cursor"),
        ({"cursor": "Ünïcode"}, "cursor"),
    ],
)
def test_a_wrong_parameter_is_named(parameters: dict[str, str], error: str) -> None:
    with pytest.raises(InvalidQueryError, match=error):
        read_query(parameters)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(InvalidQueryError) as caught:
        read_query({"limit": "0", "hours": "x"})

    assert len(caught.value.errors) == 2


def test_without_parameters_it_is_what_waits() -> None:
    assert read_query({}, default_status=ReviewStatus.NEW) == Asked(
        query=ReviewQuery(status=ReviewStatus.NEW), limit=DEFAULT_LIMIT
    )


@pytest.mark.parametrize(
    "other", [{"userId": "u2"}, {"status": "new"}, {"userId": "u1", "hours": "24"}, {"status": "all"}]
)
def test_a_cursor_of_another_question_is_refused(other: dict[str, str]) -> None:
    reviews = shelf(*(review(number) for number in range(25)))
    cursor = read_page(reviews, read_query({"userId": "u1"}), now=NOW).cursor
    assert cursor is not None

    with pytest.raises(InvalidQueryError, match="cursor"):
        read_query(other | {"cursor": cursor})


def made_up(*content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "places",
    [
        {},
        [],
        None,
        {"rejected": None},
        {"approved": [1, ""]},
        {"approved": [-1, "r"]},
        {"approved": [True, "r"]},
        {"approved": [1e3, "r"]},
        {"approved": [10**20, "r"]},
        {"approved": [1, "r" * 300]},
        {"approved": [1, "\ud800"]},
        {"approved": [1, 2]},
        {"approved": [1, "r", 3]},
        {"approved": "r"},
    ],
)
def test_a_cursor_that_is_made_up_leads_to_nothing_else(places: object) -> None:
    query = ReviewQuery(status=ReviewStatus.APPROVED)

    with pytest.raises(InvalidQueryError, match="cursor"):
        read_query({"status": "approved", "cursor": made_up(query.seal, places)})


@given(st.text(max_size=700))
def test_no_cursor_breaks_anything(cursor: str) -> None:
    try:
        asked = read_query({"cursor": cursor})
    except InvalidQueryError:
        return
    read_page(shelf(), asked, now=NOW)


def test_a_cursor_does_not_name_the_customer() -> None:
    reviews = shelf(*(review(number, user_id="jane@example.com") for number in range(25)))

    cursor = read_page(reviews, read_query({"userId": "jane@example.com"}), now=NOW).cursor

    assert cursor is not None
    assert b"jane" not in base64.urlsafe_b64decode(cursor + "==")
