"""The line that the shop's people read."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sms_engagement_runtime.review_collector.domain.notices import display_name, new_review_notice


def notice(name="John Doe", text="Great", rating=5):
    return new_review_notice(review_id="r1", rating=rating, name=name, text=text)


def test_first_line_and_subject_are_as_fixed():
    assert notice().subject == "New review"
    assert notice().message.splitlines()[0] == "New 5★ review from John Doe"
    assert notice(rating=1).message.splitlines()[0] == "New 1★ review from John Doe"


def test_words_and_id_follow():
    assert notice(text="Great\nshop").message == "New 5★ review from John Doe\n\nGreat\nshop\n\nReview r1"
    assert notice(text="").message == "New 5★ review from John Doe\n\nReview r1"


def test_a_long_text_is_cut():
    assert notice(text="a" * 5000).message.splitlines()[2] == "a" * 1000 + "…"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("John\r\nSubject: evil", "John Subject: evil"),
        ("John\u2028Doe\u2029", "John Doe"),
        ("John\0\x1b[31m Doe", "John [31m Doe"),
        ("\u202eeoD nhoJ\u202c", "eoD nhoJ"),
        ("John\u200b\u2066 Doe\u2069", "John Doe"),
        ("half \ud83d", "half"),
        ("علی‌رضا", "علی‌رضا"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("李小龍 😀", "李小龍 😀"),
        ("a" * 61, "a" * 60),
        ("a" * 59 + " b", "a" * 59),
        ("", "a customer"),
        ("\u202e\n", "a customer"),
        (None, "a customer"),
    ],
)
def test_a_name_stays_one_short_line_of_visible_characters(name, shown):
    assert display_name(name) == shown


@given(st.text(alphabet=st.characters(codec=None), max_size=100))
@settings(max_examples=100)
def test_no_name_breaks_the_line(name):
    shown = display_name(name)

    assert 1 <= len(shown) <= 60
    assert len(f"x{shown}x".splitlines()) == 1
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert not any(unicodedata.bidirectional(c) in {"RLO", "LRO", "RLE", "LRE", "RLI", "LRI"} for c in shown)
