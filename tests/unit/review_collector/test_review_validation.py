"""What a submitted review may hold, and what each mistake is told."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sms_engagement_runtime.review_collector.domain.reviews import (
    REPEATED,
    EditRefusal,
    Opinion,
    Review,
    ReviewStatus,
    clean_text,
    find_errors,
    read_opinion,
    revise,
)

REQUIRED = "Rating is required"
NUMBER = "Rating must be a number"
BETWEEN = "Rating must be between 1 and 5"
TOO_LONG = "Review text exceeds 5000 character limit"
NOT_TEXT = "Review text must be text"
NOW = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rating", "stars"),
    [
        ("1", 1),
        ("2", 2),
        ("3", 3),
        ("4", 4),
        ("5", 5),
        (" 5 ", 5),
        ("05", 5),
        ("+5", 5),
        (5, 5),
        (1, 1),
        (5.0, 5),
    ],
)
def test_a_rating_from_one_to_five_is_taken(rating, stars):
    assert read_opinion(rating, "") == Opinion(rating=stars, text="")


@pytest.mark.parametrize(
    ("rating", "error"),
    [
        (None, REQUIRED),
        ("", REQUIRED),
        ("   ", REQUIRED),
        ("4.5", NUMBER),
        ("5.0", NUMBER),
        ("five", NUMBER),
        ("5 stars", NUMBER),
        ("5,4", NUMBER),
        ("1e0", NUMBER),
        ("0x5", NUMBER),
        ("５", NUMBER),
        ("٥", NUMBER),
        ("²", NUMBER),
        ("★", NUMBER),
        ("--5", NUMBER),
        ("<script>", NUMBER),
        (REPEATED, NUMBER),
        (4.5, NUMBER),
        (float("nan"), NUMBER),
        (float("inf"), NUMBER),
        (True, NUMBER),
        (False, NUMBER),
        ([], NUMBER),
        (["5"], NUMBER),
        ({"value": 5}, NUMBER),
        ("0", BETWEEN),
        ("6", BETWEEN),
        ("-1", BETWEEN),
        ("9" * 60_000, BETWEEN),
        (0, BETWEEN),
        (6, BETWEEN),
        (-5, BETWEEN),
        (0.0, BETWEEN),
        (1e300, BETWEEN),
    ],
)
def test_another_rating_is_told_what_is_wrong(rating, error):
    assert read_opinion(rating, "fine") == (error,)


@pytest.mark.parametrize("text", ["a" * 5001, "😀" * 5001, "a" + "\n" * 5000 + "b"])
def test_more_than_5000_characters_are_too_many(text):
    assert find_errors("5", text) == (TOO_LONG,)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 5000,
        "😀" * 5000,
        "a\r\n" * 2499 + "ab",
        "  " + "a" * 5000 + "\n\n",
        "a" * 5000 + "\0" * 100,
        "é" * 5000,
    ],
    ids=["ascii", "emoji", "2,499 line breaks as CRLF", "space around", "with NULs", "accents"],
)
def test_5000_characters_are_accepted_as_they_are_counted(text):
    opinion = read_opinion("5", text)

    assert isinstance(opinion, Opinion)
    assert len(opinion.text) <= 5000


def test_5000_characters_with_2500_line_breaks_are_accepted_from_a_browser():
    # As typed: 2,500 letters and 2,500 line breaks, none at an end; browsers send each break as CRLF.
    sent = ("ab" + "\n" * 2500 + "c" * 2498).replace("\n", "\r\n")

    opinion = read_opinion("5", sent)

    assert isinstance(opinion, Opinion)
    assert (len(opinion.text), opinion.text.count("\n")) == (5000, 2500)
    assert find_errors("5", sent + "!") == (TOO_LONG,)


def test_all_errors_come_at_once():
    assert find_errors("five", "a" * 5001) == (NUMBER, TOO_LONG)
    assert find_errors(None, 5) == (REQUIRED, NOT_TEXT)


@pytest.mark.parametrize("text", [5, True, [], {}, ["a"], REPEATED])
def test_a_text_that_is_none_is_told_so(text):
    assert find_errors("5", text) == (NOT_TEXT,)


@pytest.mark.parametrize("text", [None, "", "   ", "\r\n"])
def test_no_text_is_fine(text):
    assert read_opinion("3", text) == Opinion(rating=3, text="")


@pytest.mark.parametrize(
    ("given_text", "stored"),
    [
        ("one\r\ntwo\rthree\nfour", "one\ntwo\nthree\nfour"),
        ("  \n trimmed \t\n", "trimmed"),
        ("with\ttab", "with\ttab"),
        ("NUL\0 bell\a escape\x1b[31m C1\x85 DEL\x7f", "NUL bell escape[31m C1 DEL"),
        ("half \ud83d of a pair", "half � of a pair"),
        ("😀 مرحبا \u200fRTL\u200e 👩‍👩‍👧", "😀 مرحبا \u200fRTL\u200e 👩‍👩‍👧"),
        ("<script>alert(1)</script> & <b>", "<script>alert(1)</script> & <b>"),
    ],
)
def test_text_is_stored_clean_and_otherwise_as_written(given_text, stored):
    assert clean_text(given_text) == stored


@given(st.text(alphabet=st.characters(codec=None), max_size=200))
@settings(max_examples=100)
def test_cleaning_is_done_once_and_never_lengthens(text):
    cleaned = clean_text(text)

    assert clean_text(cleaned) == cleaned
    assert len(cleaned) <= len(text)
    cleaned.encode("utf-8")


@given(
    rating=st.one_of(st.none(), st.text(max_size=8), st.integers(), st.floats(), st.booleans()),
    text=st.one_of(st.none(), st.text(max_size=50), st.integers()),
)
@settings(max_examples=100)
def test_whatever_comes_is_an_opinion_or_errors(rating, text):
    result = read_opinion(rating, text)

    if isinstance(result, Opinion):
        assert 1 <= result.rating <= 5
        assert find_errors(rating, text) == ()
    else:
        assert result
        assert find_errors(rating, text) == result


REVIEW = Review(
    review_id="r",
    user_id="u",
    opinion=Opinion(rating=2, text="meh"),
    status=ReviewStatus.APPROVED,
    created_at=NOW,
)
DAY = timedelta(days=1)


def test_an_edit_within_the_window_is_new_again_and_keeps_its_creation():
    edited = revise(REVIEW, Opinion(rating=5, text="great"), now=NOW + timedelta(hours=1), edit_window=DAY)

    assert isinstance(edited, Review)
    assert edited.opinion == Opinion(rating=5, text="great")
    assert edited.status is ReviewStatus.NEW
    assert edited.created_at == NOW
    assert edited.updated_at == NOW + timedelta(hours=1)
    assert edited.version == 2


def test_the_same_review_again_changes_nothing_not_even_its_approval():
    assert revise(REVIEW, REVIEW.opinion, now=NOW + 30 * DAY, edit_window=DAY) is EditRefusal.UNCHANGED


@pytest.mark.parametrize(
    ("after", "is_open"), [(DAY - timedelta(seconds=1), True), (DAY, False), (2 * DAY, False)]
)
def test_the_window_closes(after, is_open):
    result = revise(REVIEW, Opinion(rating=1, text=""), now=NOW + after, edit_window=DAY)

    assert isinstance(result, Review) is is_open
    assert is_open or result is EditRefusal.CLOSED
