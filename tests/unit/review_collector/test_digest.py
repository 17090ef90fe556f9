"""The daily digest: its day, and what it says."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.review_collector.domain.digest import DigestHour, daily_digest
from sms_engagement_runtime.review_collector.domain.reviews import Opinion, Review, ReviewStatus
from tests.support.review_fakes import FakeReviews

NEW_YORK = DigestHour(zone=ZoneInfo("America/New_York"))
EIGHT = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)
"""Eight o'clock in New York."""
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def reviews(*submitted):
    """Reviews as (when, rating, status)."""
    fake = FakeReviews()
    for number, (at, rating, status) in enumerate(submitted, start=1):
        review = Review(
            review_id=f"r{number}",
            user_id="u1",
            opinion=Opinion(rating=rating, text="secret words"),
            status=status,
            created_at=at,
        )
        fake.rows[review.review_id] = review
    return fake


class TestPeriod:
    @pytest.mark.parametrize("late", [0, 1, 3600, 86399])
    def test_is_the_day_that_ended_last_however_late_it_is(self, late):
        assert NEW_YORK.period_before(EIGHT + late * SECOND) == (EIGHT - DAY, EIGHT)

    def test_ended_yesterday_before_the_hour(self):
        assert NEW_YORK.period_before(EIGHT - SECOND) == (EIGHT - 2 * DAY, EIGHT - DAY)

    def test_has_23_hours_in_spring_and_25_in_autumn(self):
        spring = NEW_YORK.period_before(datetime(2026, 3, 8, 12, 0, tzinfo=UTC))
        autumn = NEW_YORK.period_before(datetime(2026, 11, 1, 13, 0, tzinfo=UTC))

        assert spring == (datetime(2026, 3, 7, 13, 0, tzinfo=UTC), datetime(2026, 3, 8, 12, 0, tzinfo=UTC))
        assert autumn == (datetime(2026, 10, 31, 12, 0, tzinfo=UTC), datetime(2026, 11, 1, 13, 0, tzinfo=UTC))

    @given(
        st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "Pacific/Apia", "America/St_Johns"]),
        st.integers(0, 23),
        st.integers(0, 59),
        st.integers(0, 5 * 366 * 86400),
    )
    def test_periods_follow_one_another_without_a_gap(self, zone, hour, minute, seconds):
        digest_hour = DigestHour(zone=ZoneInfo(zone), hour=hour, minute=minute)
        now = datetime(2024, 1, 1, tzinfo=UTC) + seconds * SECOND

        start, end = digest_hour.period_before(now)

        assert start < end <= now
        assert digest_hour.period_before(end) == (start, end)
        assert digest_hour.period_before(end - SECOND)[1] == start


def test_says_how_many_how_good_what_waits_and_who_is_not_happy():
    noon = EIGHT - DAY / 2
    stored = reviews(
        (EIGHT - DAY - SECOND, 1, ReviewStatus.NEW),
        (EIGHT - DAY, 5, ReviewStatus.APPROVED),
        (noon, 5, ReviewStatus.NEW),
        (noon, 2, ReviewStatus.NEW),
        (noon, 1, ReviewStatus.REJECTED),
        (EIGHT, 1, ReviewStatus.NEW),
    )

    notice = daily_digest(stored, NEW_YORK, EIGHT + SECOND)

    assert notice.subject == "Daily review digest"
    assert notice.message == (
        "4 reviews, 3.2★ on average\n\n"
        "5★  2\n4★  0\n3★  0\n2★  1\n1★  1\n\n"
        "2 of them wait for moderation.\n\n"
        "Not happy:\nReview r4 (2★)\nReview r5 (1★)\n\n"
        "2026-11-20 08:00 to 2026-11-21 08:00, America/New_York"
    )


def test_says_so_where_there_was_nothing():
    assert daily_digest(reviews(), NEW_YORK, EIGHT).message == (
        "No reviews\n\n2026-11-20 08:00 to 2026-11-21 08:00, America/New_York"
    )


def test_counts_one_as_one():
    stored = reviews((EIGHT - SECOND, 4, ReviewStatus.NEW))

    message = daily_digest(stored, NEW_YORK, EIGHT).message

    assert message.startswith("1 review, 4.0★ on average\n")
    assert "1 of them waits for moderation." in message
    assert "Not happy" not in message


def test_names_no_more_than_a_screenful():
    stored = reviews(*[(EIGHT - SECOND, 1, ReviewStatus.NEW)] * 23)

    message = daily_digest(stored, NEW_YORK, EIGHT).message

    assert message.count("(1★)") == 20
    assert "and 3 more" in message
