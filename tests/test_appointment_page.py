"""``docs/appointments.md`` has the tables that the code makes, and no others."""

import re
from pathlib import Path

import pytest

from sms_engagement_runtime.appointment_follow_up.domain.conversation import (
    MAY_SEND,
    TRANSITIONS,
    Event,
    Status,
)
from sms_engagement_runtime.appointment_follow_up.domain.purposes import Purpose
from tools.appointment_tables import (
    BLOCKS,
    COMMAND,
    PAGE,
    block_of,
    states,
    texts,
    texts_by_state,
    write_block,
)

TEXT = PAGE.read_text(encoding="utf-8")
# Its tables take longer, and have tests of their own.
BY_OTHERS = {"cost"}


def rows_of(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line]


@pytest.mark.parametrize("name", BLOCKS)
def test_the_page_has_what_the_code_says(name: str) -> None:
    assert block_of(TEXT, name) == BLOCKS[name](), f"docs/appointments.md is out of date: run {COMMAND}"


def test_the_page_has_no_other_marks() -> None:
    assert set(re.findall(r"<!-- made: (.*?), by", TEXT)) == set(BLOCKS) | BY_OTHERS
    assert TEXT.count("<!-- end -->") == len(BLOCKS) + len(BY_OTHERS)


def test_the_table_of_states_has_every_cell_of_the_code() -> None:
    *_, transitions = states().split("\n\n")
    _, _, *rows = rows_of(transitions)

    assert [row[0].strip("*") for row in rows] == list(Status)
    for state, (_, *cells) in zip(Status, rows, strict=True):
        for event, cell in zip(Event, cells, strict=True):
            target = TRANSITIONS[state][event]
            expected = {state: "·"}.get(target, target) if isinstance(target, Status) else "as before it"
            assert cell == expected


def test_the_table_of_texts_ticks_what_may_be_sent() -> None:
    _, _, *rows = rows_of(texts_by_state())

    assert {row[0].strip("`") for row in rows} == set(Purpose)
    for name, _, *ticks in rows:
        allowed = MAY_SEND.get(Purpose(name.strip("`")), frozenset())
        assert {state for state, tick in zip(Status, ticks, strict=True) if tick} == allowed


def test_every_standard_text_is_shown_and_takes_one_part() -> None:
    _, _, *rows = rows_of(texts())

    assert {row[0].strip("`") for row in rows} == set(Purpose)
    for name, language, body, size in rows:
        assert size.isdigit(), f"{name} in {language} is {size}"
        assert "{{" not in body


def test_a_block_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- made: states, by x -->\nold\n<!-- end -->\nafter\n", encoding="utf-8")

    write_block("states", "new\n", page)

    written = page.read_text(encoding="utf-8")
    assert written == "before\n<!-- made: states, by x -->\nnew\n<!-- end -->\nafter\n"
    assert block_of(written, "states") == "new\n"


@pytest.mark.parametrize("page", ["", "<!-- made: a, by x -->\n<!-- end -->\n" * 2])
def test_a_page_without_the_block_or_with_two_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="must have one block 'a'"):
        block_of(page, "a")
