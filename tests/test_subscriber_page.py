"""``docs/subscribers.md`` has the tables that the code makes, and no others."""

import re

import pytest

from sms_engagement_runtime.sms_analytics_pipeline.adapters import dynamodb_responses, dynamodb_subscribers
from sms_engagement_runtime.sms_analytics_pipeline.domain.lifecycle import (
    AS_BEFORE,
    TRANSITIONS,
    Happening,
    SubscriptionStatus,
)
from tools.appointment_tables import block_of
from tools.subscriber_tables import BLOCKS, COMMAND, PAGE, transitions

TEXT = PAGE.read_text(encoding="utf-8")


def rows_of(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line]


@pytest.mark.parametrize("name", BLOCKS)
def test_the_page_has_what_the_code_says(name: str) -> None:
    assert block_of(TEXT, name) == BLOCKS[name](), f"docs/subscribers.md is out of date: run {COMMAND}"


def test_the_page_has_no_other_marks() -> None:
    assert set(re.findall(r"<!-- made: (.*?), by", TEXT)) == set(BLOCKS)
    assert TEXT.count("<!-- end -->") == len(BLOCKS)


def test_the_table_of_transitions_has_every_cell_of_the_code() -> None:
    happenings, cells = transitions().split("\n\n")
    _, _, *described = rows_of(happenings)
    heads, _, *rows = rows_of(cells)

    assert heads[1:] == [status.replace("_", " ") for status in SubscriptionStatus]
    assert [row[0].strip("`") for row in described] == list(Happening)
    assert all(row[1] for row in described)
    assert [row[0].strip("*").replace(" ", "_") for row in rows] == list(Happening)
    for happening, (_, *targets) in zip(Happening, rows, strict=True):
        for status, cell in zip(SubscriptionStatus, targets, strict=True):
            target = TRANSITIONS[status][happening]
            special = {AS_BEFORE: "as before it", status: "·"}
            assert cell == special.get(target, str(target).replace("_", " "))


@pytest.mark.parametrize("adapter", [dynamodb_subscribers, dynamodb_responses])
def test_the_page_names_every_attribute_of_the_tables(adapter) -> None:
    assert adapter.__doc__
    attributes = re.findall(r"^``(\w+)``", adapter.__doc__, re.MULTILINE)

    assert len(attributes) > 10
    assert [name for name in attributes if f"`{name}`" not in TEXT] == []
