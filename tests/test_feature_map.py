"""``docs/features.md`` names every feature id, and only files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if re.match(r"\| [CRAPOL]\d", line)
]
IDS = {"C": 19, "R": 12, "A": 10, "P": 13, "O": 7, "L": 5}


def test_every_feature_has_its_row() -> None:
    listed = []
    for row in ROWS:
        first, _, last = row[0].partition(" – ")
        numbers = range(int(first[1:]), int((last or first)[1:]) + 1)
        listed += [f"{first[0]}{number}" for number in numbers]

    assert listed == [f"{family}{number}" for family, count in IDS.items() for number in range(1, count + 1)]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_row_says_what_shows_it_and_what_is_open(row: list[str]) -> None:
    _, state, given_by, shown_by, still_open = row

    assert state in {"works", "in part", "open"}
    assert (still_open == "") == (state == "works")
    assert state == "open" or given_by
    for path in re.findall(r"`(tests/[^`]+)`", shown_by):
        assert (ROOT / path).is_file(), f"{path} does not exist"
    if state == "works":
        assert "tests/" in shown_by
