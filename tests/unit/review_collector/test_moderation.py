"""Decisions about reviews: about the version that was shown, once, whoever else decides or edits."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sms_engagement_runtime.review_collector.domain.moderation import (
    MAX_DECISIONS,
    MAX_REASON_LENGTH,
    REASON_NOT_TEXT,
    REASON_REQUIRED,
    REASON_TOO_LONG,
    STATUS_UNKNOWN,
    VERSION_NOT_A_NUMBER,
    VERSION_REQUIRED,
    Decided,
    Outdated,
    Shown,
    Unknown,
    moderate,
    read_reason,
    read_shown,
)
from sms_engagement_runtime.review_collector.domain.reviews import (
    REPEATED,
    Decision,
    Opinion,
    Review,
    ReviewStatus,
    revise,
)
from tests.support.fakes import FakeClock
from tests.support.review_fakes import FakeReviews

NOW = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
NEW, APPROVED, REJECTED = ReviewStatus
REVIEW = Review(
    review_id="r1", user_id="u1", opinion=Opinion(rating=1, text="Bad"), status=NEW, created_at=NOW
)
ANN, BOB = "arn:aws:iam::111122223333:user/ann", "arn:aws:iam::111122223333:user/bob"


@pytest.fixture
def desk():
    return FakeReviews(rows={"r1": REVIEW})


def decide(desk, wanted, *, version=1, status=NEW, by=ANN, reason=None):
    return moderate(
        desk,
        "r1",
        wanted,
        shown=Shown(version=version, status=status),
        by=by,
        reason=reason,
        clock=FakeClock(NOW + timedelta(hours=1, microseconds=5)),
    )


def test_who_decided_when_and_why_is_kept(desk):
    outcome = decide(desk, REJECTED, reason="Spam")

    assert isinstance(outcome, Decided)
    assert outcome.changed
    assert desk.rows["r1"].status is REJECTED
    assert desk.rows["r1"].decisions == (
        Decision(
            status=REJECTED, version=1, decided_at=NOW + timedelta(hours=1), decided_by=ANN, reason="Spam"
        ),
    )


def test_a_review_with_one_star_is_approved_like_any_other(desk):
    decide(desk, APPROVED)

    assert desk.rows["r1"].status is APPROVED


def test_the_same_decision_twice_is_one(desk):
    decide(desk, APPROVED)

    again = decide(desk, APPROVED, by=BOB)

    assert again == Decided(desk.rows["r1"], changed=False)
    assert [decision.decided_by for decision in desk.rows["r1"].decisions] == [ANN]


def test_of_two_moderators_who_disagree_the_second_is_shown_what_the_first_decided(desk):
    decide(desk, APPROVED)

    assert decide(desk, REJECTED, by=BOB, reason="Spam") == Outdated(desk.rows["r1"])
    assert desk.rows["r1"].status is APPROVED


def test_an_edit_while_the_review_is_on_the_screen_is_not_approved_unseen(desk):
    edited = revise(REVIEW, Opinion(rating=5, text="Buy here"), now=NOW, edit_window=timedelta(days=1))
    assert isinstance(edited, Review)
    desk.update(edited, expected_version=1)

    assert decide(desk, APPROVED) == Outdated(desk.rows["r1"])
    assert desk.rows["r1"].status is NEW


def test_an_edit_in_the_very_moment_of_the_decision_wins(desk):
    first = desk.decide

    def edited_meanwhile(*arguments, **keywords):
        desk.decide = first
        desk.rows["r1"] = replace(desk.rows["r1"], version=2)
        return first(*arguments, **keywords)

    desk.decide = edited_meanwhile

    assert decide(desk, APPROVED) == Outdated(desk.rows["r1"])
    assert desk.rows["r1"].decisions == ()


def test_a_decision_is_changed_by_who_sees_it(desk):
    decide(desk, APPROVED)

    outcome = decide(desk, REJECTED, status=APPROVED, by=BOB, reason="Personal data")

    assert isinstance(outcome, Decided)
    assert [decision.status for decision in desk.rows["r1"].decisions] == [APPROVED, REJECTED]


def test_what_an_edit_leaves_of_earlier_decisions_is_their_record(desk):
    decide(desk, APPROVED)

    edited = revise(desk.rows["r1"], Opinion(rating=2, text="No"), now=NOW, edit_window=timedelta(days=1))

    assert isinstance(edited, Review)
    assert (edited.status, edited.version, len(edited.decisions)) == (NEW, 2, 1)


def test_the_record_of_decisions_has_an_end(desk):
    decision = Decision(status=APPROVED, version=1, decided_at=NOW, decided_by=ANN)
    desk.rows["r1"] = replace(REVIEW, decisions=(decision,) * MAX_DECISIONS)

    assert decide(desk, APPROVED) == Outdated(desk.rows["r1"])


@pytest.mark.parametrize("gone", ["missing", "expired"])
def test_what_is_gone_is_unknown(desk, gone):
    if gone == "missing":
        desk.rows.clear()
    else:
        desk.rows["r1"] = replace(REVIEW, expires_at=NOW)

    assert decide(desk, APPROVED) == Unknown()


@pytest.mark.parametrize(
    ("version", "status", "read"),
    [
        ("3", None, Shown(version=3)),
        (3, "approved", Shown(version=3, status=APPROVED)),
        ("3", "", Shown(version=3)),
        (None, None, (VERSION_REQUIRED,)),
        ("", "new", (VERSION_REQUIRED,)),
        ("three", "never", (VERSION_NOT_A_NUMBER, STATUS_UNKNOWN)),
        ("0", None, (VERSION_NOT_A_NUMBER,)),
        ("-1", None, (VERSION_NOT_A_NUMBER,)),
        ("1" * 400, None, (VERSION_NOT_A_NUMBER,)),
        (True, None, (VERSION_NOT_A_NUMBER,)),
        (1.5, None, (VERSION_NOT_A_NUMBER,)),
        (REPEATED, REPEATED, (VERSION_NOT_A_NUMBER, STATUS_UNKNOWN)),
        ("²", None, (VERSION_NOT_A_NUMBER,)),
    ],
)
def test_what_was_shown_is_read(version, status, read):
    assert read_shown(version, status) == read


@pytest.mark.parametrize(
    ("reason", "read"),
    [
        (" Spam \r\n or\tworse ", "Spam or worse"),
        ("x" * MAX_REASON_LENGTH, "x" * MAX_REASON_LENGTH),
        ("x" * (MAX_REASON_LENGTH + 1), (REASON_TOO_LONG,)),
        (None, (REASON_REQUIRED,)),
        ("  \n", (REASON_REQUIRED,)),
        (5, (REASON_NOT_TEXT,)),
        (REPEATED, (REASON_NOT_TEXT,)),
    ],
)
def test_a_reason_is_one_line_of_words(reason, read):
    assert read_reason(reason) == read
