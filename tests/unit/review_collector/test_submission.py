"""Taking reviews in: one an occasion, one notice each, whatever is sent twice or cut off."""

from datetime import timedelta
from threading import Barrier, Thread

import pytest

from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.review_collector.domain.requests import ReviewRequest
from sms_engagement_runtime.review_collector.domain.reviews import Opinion, ReviewStatus
from sms_engagement_runtime.review_collector.domain.submission import (
    ANNOUNCEMENT_CLAIM,
    Closed,
    Created,
    Edited,
    Gone,
    ReviewDesk,
)
from tests.support.fakes import START, Crash, CrashPlan, FakeAttention, FakeBus, FakeClock
from tests.support.review_fakes import FakeReviewRequests, FakeReviews

REQUEST_ID = "AAECAwQFBgcICQoL"
FIVE = Opinion(rating=5, text="Great")
TWO = Opinion(rating=2, text="Broke the next day")


class Shop:
    def __init__(self):
        self.clock = FakeClock()
        self.requests = FakeReviewRequests()
        self.reviews = FakeReviews()
        self.topic = FakeAttention()
        self.bus = FakeBus()
        self.unannounced = []
        self.requests.rows[REQUEST_ID] = ReviewRequest(
            request_id=REQUEST_ID, user_id="u1", occasion="registration", name="John Doe", recorded_at=START
        )

    def desk(self, wrap=lambda port: port):
        return ReviewDesk(
            requests=wrap(self.requests),
            reviews=wrap(self.reviews),
            admin_topic=wrap(self.topic),
            bus=wrap(self.bus),
            clock=self.clock,
            edit_window=timedelta(days=1),
            on_unannounced=lambda review_id, error: self.unannounced.append((review_id, str(error))),
            link_lifetime=timedelta(days=7),
        )

    @property
    def headlines(self):
        return [message.splitlines()[0] for _, message in self.topic.notices]


@pytest.fixture
def shop():
    return Shop()


def test_a_review_is_stored_announced_and_published(shop):
    outcome = shop.desk().submit(REQUEST_ID, FIVE)

    assert outcome == Created(REQUEST_ID)
    assert shop.reviews.rows[REQUEST_ID].opinion == FIVE
    assert shop.reviews.rows[REQUEST_ID].status is ReviewStatus.NEW
    assert shop.requests.rows[REQUEST_ID].answered_at == shop.clock.now()
    notice = f"New 5★ review from John Doe\n\nGreat\n\nReview {REQUEST_ID}"
    assert shop.topic.notices == [("New review", notice)]
    assert shop.bus.events == [
        ("ReviewSubmitted", {"reviewId": REQUEST_ID, "userId": "u1", "rating": 5, "occasion": "registration"})
    ]


def test_nobody_asked_means_nothing_is_stored(shop):
    assert shop.desk().submit("unknown", FIVE) == Gone()
    assert shop.reviews.rows == {}
    assert shop.topic.notices == []


def test_a_second_post_edits_and_announces_nothing(shop):
    shop.desk().submit(REQUEST_ID, FIVE)
    shop.clock.advance(hours=1)

    outcome = shop.desk().submit(REQUEST_ID, TWO)

    assert outcome == Edited(REQUEST_ID, changed=True)
    (review,) = shop.reviews.rows.values()
    assert (review.opinion, review.version) == (TWO, 2)
    assert shop.headlines == ["New 5★ review from John Doe"]
    assert shop.requests.rows[REQUEST_ID].answered_at == review.created_at


def test_the_same_post_again_changes_nothing(shop):
    shop.desk().submit(REQUEST_ID, FIVE)
    before = shop.reviews.rows[REQUEST_ID]

    assert shop.desk().submit(REQUEST_ID, FIVE) == Edited(REQUEST_ID, changed=False)
    assert shop.reviews.rows[REQUEST_ID] == before


def test_after_the_window_a_review_stays_as_it_is(shop):
    shop.desk().submit(REQUEST_ID, FIVE)
    shop.clock.advance(days=1)

    assert shop.desk().submit(REQUEST_ID, TWO) == Closed()
    assert shop.reviews.rows[REQUEST_ID].opinion == FIVE


@pytest.mark.parametrize("opinions", [(FIVE, FIVE), (FIVE, TWO)], ids=["the same form", "two forms"])
def test_two_posts_at_once_leave_one_review_and_one_notice(shop, opinions):
    barrier, outcomes = Barrier(2, timeout=60), []

    def post(opinion):
        barrier.wait()
        outcomes.append(shop.desk().submit(REQUEST_ID, opinion))

    threads = [Thread(target=post, args=[opinion]) for opinion in opinions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Created", "Edited"]
    assert len(shop.reviews.rows) == 1
    assert len(shop.topic.notices) == 1
    assert len(shop.bus.events) == 1


def instants_of_a_submission():
    shop, plan = Shop(), CrashPlan()
    shop.desk(plan.wrap).submit(REQUEST_ID, FIVE)
    return plan.instants


@pytest.mark.parametrize("instant", range(1, instants_of_a_submission() + 1))
def test_a_submission_cut_off_anywhere_is_completed_by_the_next_post(shop, instant):
    with pytest.raises(Crash):
        shop.desk(CrashPlan(crash_at=instant).wrap).submit(REQUEST_ID, FIVE)
    shop.clock.advance(seconds=ANNOUNCEMENT_CLAIM.total_seconds())

    shop.desk().submit(REQUEST_ID, FIVE)
    shop.desk().submit(REQUEST_ID, FIVE)

    assert [review.opinion for review in shop.reviews.rows.values()] == [FIVE]
    assert shop.requests.rows[REQUEST_ID].answered_at is not None
    assert shop.bus.events
    assert set(shop.headlines) == {"New 5★ review from John Doe"}
    # A crash after the notice went out and before that was recorded cannot be told from one before it.
    assert len(shop.headlines) <= 2
    assert shop.reviews.rows[REQUEST_ID].announced_at is not None


def test_a_completed_notice_says_what_the_review_says_now(shop):
    with pytest.raises(Crash):
        shop.desk(CrashPlan(crash_at=4).wrap).submit(REQUEST_ID, FIVE)
    assert shop.topic.notices == []
    shop.clock.advance(minutes=1)

    shop.desk().submit(REQUEST_ID, TWO)

    assert shop.headlines == ["New 2★ review from John Doe"]


def test_a_topic_that_does_not_answer_does_not_trouble_the_person(shop, monkeypatch):
    def refuse(subject, message):
        raise TransientError("sns:Publish: Throttled")

    monkeypatch.setattr(shop.topic, "publish", refuse)

    assert shop.desk().submit(REQUEST_ID, FIVE) == Created(REQUEST_ID)
    assert shop.unannounced == [(REQUEST_ID, "sns:Publish: Throttled")]
    assert shop.reviews.rows[REQUEST_ID].announced_at is None


def test_an_edit_that_is_always_overtaken_gives_up_for_now(shop, monkeypatch):
    shop.desk().submit(REQUEST_ID, FIVE)
    monkeypatch.setattr(shop.reviews, "update", lambda review, *, expected_version: False)

    with pytest.raises(TransientError, match="being changed"):
        shop.desk().submit(REQUEST_ID, TWO)


def test_an_edit_of_a_review_that_was_just_erased_finds_nothing(shop, monkeypatch):
    shop.desk().submit(REQUEST_ID, FIVE)
    monkeypatch.setattr(shop.reviews, "update", lambda review, *, expected_version: False)
    monkeypatch.setattr(shop.reviews, "get", lambda review_id: None)

    assert shop.desk().submit(REQUEST_ID, TWO) == Gone()


def test_a_new_link_is_asked_for_once(shop):
    assert shop.desk().ask_for_new_link(REQUEST_ID)
    assert shop.desk().ask_for_new_link(REQUEST_ID)

    assert shop.bus.events == [("ReviewLinkRequested", {"requestId": REQUEST_ID})]
    assert shop.requests.rows[REQUEST_ID].new_link_at is not None


def test_a_new_link_is_promised_while_it_lives_and_no_other_after(shop):
    shop.desk().ask_for_new_link(REQUEST_ID)
    shop.clock.advance(days=7, seconds=-1)
    assert shop.desk().ask_for_new_link(REQUEST_ID)

    shop.clock.advance(seconds=1)

    assert not shop.desk().ask_for_new_link(REQUEST_ID)
    assert len(shop.bus.events) == 1


def test_nobody_asked_or_answered_already_means_no_new_link(shop):
    shop.desk().submit(REQUEST_ID, FIVE)
    shop.bus.events.clear()

    assert not shop.desk().ask_for_new_link(REQUEST_ID)
    assert not shop.desk().ask_for_new_link("unknown")
    assert shop.bus.events == []


def test_a_crash_before_the_mark_asks_again_rather_than_never(shop):
    plan = CrashPlan()
    shop.desk(plan.wrap).ask_for_new_link(REQUEST_ID)
    shop = Shop()
    for instant in range(1, plan.instants + 1):
        shop = Shop()
        with pytest.raises(Crash):
            shop.desk(CrashPlan(crash_at=instant).wrap).ask_for_new_link(REQUEST_ID)

        assert shop.desk().ask_for_new_link(REQUEST_ID)
        assert shop.bus.events
