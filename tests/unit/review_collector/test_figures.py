"""Figures by day: whatever comes twice, late or in pieces, they are the sums of what there is."""

from collections import Counter
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.review_collector.domain.figures import (
    Change,
    Entry,
    Figures,
    differences,
    overview,
    request_entry,
    review_entry,
)

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
MIDNIGHT_UTC_MS = 1_795_305_600_000  # 2026-11-22T00:00:00Z, seven in the evening of the 21st in New York


def test_a_review_counts_on_the_day_that_its_customer_wrote_it() -> None:
    entry = review_entry(
        timestamp_ms=MIDNIGHT_UTC_MS, rating=4, status="new", sentiment="positive", zone=NEW_YORK
    )

    assert entry == Entry("2026-11-21", ("rating4", "positive", "new"))
    assert Entry.read(entry.written()) == entry


@pytest.mark.parametrize(
    "wrong",
    [
        {"rating": 6},
        {"rating": 4.0},
        {"rating": None},
        {"rating": True},
        {"status": "published"},
        {"sentiment": "furious"},
        {"timestamp_ms": "yesterday"},
        {"timestamp_ms": 10**30},
        {"timestamp_ms": None},
    ],
)
def test_a_row_that_is_none_of_ours_is_not_counted(wrong: dict[str, object]) -> None:
    row = {"timestamp_ms": MIDNIGHT_UTC_MS, "rating": 4, "status": "new", "sentiment": "neutral"} | wrong

    assert review_entry(**row, zone=NEW_YORK) is None


def test_a_request_counts_on_the_day_it_went_out_whenever_it_is_answered() -> None:
    asked = MIDNIGHT_UTC_MS // 1000

    assert request_entry(asked_at=asked, answered_at=None, zone=NEW_YORK) == Entry("2026-11-21", ("asked",))
    assert request_entry(asked_at=asked, answered_at=asked + 10**6, zone=NEW_YORK) == Entry(
        "2026-11-21", ("asked", "answered")
    )
    assert request_entry(asked_at=None, answered_at=asked, zone=NEW_YORK) is None


def test_who_goes_for_their_age_stays_in_the_trend_and_waits_no_longer() -> None:
    before = Entry("2026-11-21", ("rating1", "negative", "new"))

    assert differences([(Change("review#r", None, by_age=True), before)]) == {"2026-11-21": {"new": -1}}
    assert differences([(Change("review#r", None), before)]) == {
        "2026-11-21": {"rating1": -1, "negative": -1, "new": -1}
    }


entries = st.none() | st.builds(
    Entry,
    st.sampled_from(["2026-11-20", "2026-11-21"]),
    st.tuples(
        st.sampled_from([f"rating{rating}" for rating in range(1, 6)]),
        st.sampled_from(["positive", "neutral", "negative"]),
        st.sampled_from(["new", "approved", "rejected"]),
    ),
)


@given(st.lists(st.tuples(st.sampled_from("abc"), entries), max_size=30))
def test_after_any_changes_the_figures_are_what_a_fresh_count_gives(
    changes: list[tuple[str, Entry | None]],
) -> None:
    held: dict[str, Entry] = {}
    days: dict[str, Counter[str]] = {}
    for key, entry in changes:
        for day, counters in differences([(Change(key, entry), held.pop(key, None))]).items():
            days.setdefault(day, Counter()).update(counters)
        if entry is not None:
            held[key] = entry

    fresh: dict[str, Counter[str]] = {}
    for entry in held.values():
        fresh.setdefault(entry.day, Counter()).update(entry.counters)
    assert {day: +counters for day, counters in days.items() if +counters} == fresh
    assert all(value >= 0 for counters in days.values() for value in counters.values())


class Table:
    def __init__(self, rows: dict[str, dict[str, int]]) -> None:
        self.rows = rows
        self.asked: list[str] = []

    def since(self, first: str) -> dict[str, dict[str, int]]:
        self.asked.append(first)
        return {day: counts for day, counts in self.rows.items() if day >= first}


def test_an_overview_is_one_read_and_today_is_part_of_it() -> None:
    table = Table(
        {
            "2026-10-22": {"rating1": 7},
            "2026-10-23": {"rating5": 1, "asked": 4, "answered": 1, "positive": 1},
            "2026-11-21": {"rating2": 1, "negative": 1, "asked": 1},
            "total": {"rating5": 10, "rating1": 10, "new": 3},
        }
    )

    seen = overview(table, days=30, now=NOW, zone=NEW_YORK)

    assert table.asked == ["2026-10-23"]
    assert len(seen.steps) == 30
    assert seen.period.ratings == (0, 1, 0, 0, 1)
    assert (seen.period.average, seen.period.response_rate) == (3.5, 0.2)
    assert seen.ever == {"rating5": 10, "rating1": 10, "new": 3}
    assert seen.steps[-1].last == date(2026, 11, 21)


@given(st.integers(min_value=1, max_value=366))
def test_steps_cover_every_day_once(days: int) -> None:
    seen = overview(Table({}), days=days, now=NOW, zone=NEW_YORK)

    covered = [day for step in seen.steps for day in range(step.first.toordinal(), step.last.toordinal() + 1)]
    assert covered == list(range(covered[0], covered[0] + days))
    assert covered[-1] == date(2026, 11, 21).toordinal()


def test_without_reviews_there_is_no_average_and_without_requests_no_rate() -> None:
    nothing = Figures(first=date(2026, 11, 21), last=date(2026, 11, 21))

    assert (nothing.reviews, nothing.average, nothing.response_rate) == (0, None, None)
    assert Figures(first=nothing.first, last=nothing.last, counts={"new": -3}).of("new") == 0
