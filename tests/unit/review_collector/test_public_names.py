"""What the public learns of a name."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.review_collector.domain.public_names import MAX_LENGTH, public_name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("John Doe", "John D."),
        ("Doe, John", "John D."),
        ("Dr. Zoë van der Doe", "Zoë D."),
        ("Madonna", "Madonna"),
        ("王小明", "王."),
        ("  Ana   Sofía  Ruiz ", "Ana R."),
        ("\N{RIGHT-TO-LEFT OVERRIDE}Ann Lee", "Ann L."),
        ("A\x00nn\nLee", "Ann L."),
        ("", None),
        (None, None),
        ("12345", None),
        ("John;", "John"),
        ("M" + "a" * 40, "M" + "a" * 29),
        ("王" * 40, "王."),
    ],
)
def test_a_first_name_and_an_initial_are_shown(name: str | None, shown: str | None) -> None:
    assert public_name(name) == shown


@given(st.text(max_size=200))
def test_whatever_the_name_it_is_short_and_holds_nothing_unseen(name: str) -> None:
    shown = public_name(name)

    assert shown is None or (
        0 < len(shown) <= MAX_LENGTH + 6
        and not any(unicodedata.category(character).startswith("C") for character in shown)
    )
