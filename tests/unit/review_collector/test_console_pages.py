"""The console's pages: whatever people wrote, it stays text."""

from dataclasses import replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.review_collector.domain.charts import Bar, bars, columns, line
from sms_engagement_runtime.review_collector.domain.console import figures_page, list_page, review_page
from sms_engagement_runtime.review_collector.domain.figures import Figures, Overview
from sms_engagement_runtime.review_collector.domain.queries import Page, read_query
from sms_engagement_runtime.review_collector.domain.reviews import Decision, Opinion, Review, ReviewStatus

NOW = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
ZONE = ZoneInfo("America/New_York")
REVIEW = Review(
    review_id="r1",
    user_id="u1",
    opinion=Opinion(rating=4, text="Fine"),
    status=ReviewStatus.NEW,
    created_at=NOW,
)
VOID = {"meta", "input", "br", "link", "img"}


class Reader(HTMLParser):
    """Tells what a page is made of; fails where tags do not match."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def pages_of(review: Review, parameters: dict[str, str]) -> list[str]:
    asked = read_query(parameters)
    return [
        list_page(asked, Page([review], "next"), zone=ZONE, decided=review.review_id),
        review_page(review, zone=ZONE, notice=review.opinion.text),
    ]


PLAIN = [Reader(page) for page in pages_of(replace(REVIEW, author_name="A", updated_at=NOW), {"userId": "u"})]

words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=60)


@given(words, words, words, words)
def test_whatever_people_wrote_the_page_is_made_of_the_same_parts(
    text: str, name: str, identifier: str, reason: str
) -> None:
    review = replace(
        REVIEW,
        review_id=identifier,
        user_id=identifier,
        opinion=Opinion(rating=4, text=text),
        author_name=name,
        updated_at=NOW,
        decisions=(
            Decision(status=ReviewStatus.REJECTED, version=1, decided_at=NOW, decided_by=name, reason=reason),
        ),
    )
    query = {"userId": identifier} if identifier.isprintable() else {"status": "new"}

    for page, plain in zip(pages_of(review, query), PLAIN, strict=True):
        seen = Reader(page)
        assert seen.tags.count("script") == 1
        assert seen.attributes <= plain.attributes | {"aria-current"}
        assert set(seen.tags) <= set(plain.tags)
        assert text in "".join(seen.texts)


def test_what_is_decided_already_can_be_decided_otherwise_alone() -> None:
    approved = review_page(replace(REVIEW, status=ReviewStatus.APPROVED), zone=ZONE)
    rejected = review_page(replace(REVIEW, status=ReviewStatus.REJECTED), zone=ZONE)

    assert ("/approve" in approved, "/reject" in approved) == (False, True)
    assert ("/approve" in rejected, "/reject" in rejected) == (True, False)


def test_an_empty_list_says_so() -> None:
    asked = read_query({"status": "new"})

    assert "Nothing waits for a decision." in list_page(asked, Page([], None), zone=ZONE)


def test_the_page_after_the_first_leads_back_and_on() -> None:
    asked = replace(read_query({"status": "approved", "hours": "48", "limit": "5"}), cursor="here")

    page = list_page(asked, Page([REVIEW], "there"), zone=ZONE)

    assert "reviews?limit=5&amp;status=approved&amp;hours=48&amp;cursor=there" in page
    assert 'href="reviews?limit=5&amp;status=approved&amp;hours=48"' in page


@pytest.mark.parametrize("counts", [{}, {"rating5": 3, "positive": 3, "asked": 9, "answered": 3, "new": 3}])
def test_every_chart_says_in_words_what_it_shows(counts: dict[str, int]) -> None:
    day = Figures(first=date(2026, 11, 21), last=date(2026, 11, 21), counts=counts)

    page = figures_page(Overview(period=day, ever=counts, steps=(day,)), days=30, zone=ZONE)

    seen = Reader(page)
    assert seen.tags.count("svg") == seen.tags.count("figcaption") == seen.tags.count("table") == 5
    assert "style" not in seen.attributes


@given(st.lists(st.none() | st.floats(min_value=0, max_value=1e9), max_size=40))
def test_a_chart_can_be_drawn_of_any_numbers(values: list[float | None]) -> None:
    entries = [Bar("<day>", value, "<shown>") for value in values]

    for drawn in (
        bars("Title", "Words", entries),
        columns("Title", "Words", entries),
        line("Title", "Words", entries, most=5, most_shown="5"),
    ):
        Reader(drawn)
        assert "<day>" not in drawn
        assert "nan" not in drawn
