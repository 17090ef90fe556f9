"""The bill of 1,000 appointments: below the published one, and in the docs as it is computed."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from benchmarks.appointment_cost import (
    APPOINTMENTS,
    COMMAND,
    DEFAULTS,
    FOLLOWED_UP,
    FREE_EACH_MONTH,
    LIKE_FOR_LIKE,
    PRICES,
    PUBLISHED,
    PUBLISHED_PRICE_PER_PART,
    ROOT,
    make_tables,
    month,
    page,
    play,
)
from benchmarks.request_units import RequestUnits, size_of
from tools.appointment_tables import PAGE, block_of


def test_like_for_like_the_bill_is_below_the_published_one() -> None:
    assert month(LIKE_FOR_LIKE).total() < PUBLISHED


def test_like_for_like_are_the_texts_that_the_published_bill_is_read_to_have() -> None:
    texts = APPOINTMENTS + FOLLOWED_UP

    assert month(LIKE_FOR_LIKE).usage["message parts"] == texts
    assert 0 < PUBLISHED - texts * PUBLISHED_PRICE_PER_PART < 0.2


def test_by_default_everybody_is_reminded_and_asked_for_a_review_as_well() -> None:
    assert month(DEFAULTS).usage["message parts"] == APPOINTMENTS + FOLLOWED_UP + 2 * APPOINTMENTS


def test_everything_that_is_used_has_a_price() -> None:
    units = {price.unit for price in PRICES}

    assert set(month(DEFAULTS).usage) == units
    assert set(FREE_EACH_MONTH) <= units


def test_who_answers_is_not_followed_up() -> None:
    life = play(LIKE_FOR_LIKE, answers=True)

    assert len(life.texts) == 1
    assert [each.step for each in life.invocations if each.function != "event recorder"] == [
        "webhook",
        "confirm",
        "inbound message",
        "answer",
        "follow-up",
        "finish",
    ]


def test_the_states_are_those_of_the_real_machine_in_their_order() -> None:
    life = play(DEFAULTS, answers=False)

    assert len(life.texts) == 3
    assert life.states == [
        "What is it about?",
        "Confirm",
        "Is it confirmed?",
        "Wait for an answer",
        "Follow up",
        "Is it followed up?",
        "What comes next?",
        "Wait for the reminder",
        "Remind",
        "Is it reminded of?",
        "What comes next?",
        "Wait for the end",
        "Finish",
        "Has it ended?",
        "Over",
    ]


def test_the_page_has_these_figures() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert block_of(text, "cost") == page(), f"docs/appointments.md is out of date: run {COMMAND}"


def test_the_figures_elsewhere_are_these() -> None:
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")

    assert f"${month(LIKE_FOR_LIKE).total():.2f} against the published ${PUBLISHED}" in text


# Request units


@pytest.fixture
def tables() -> Iterator[tuple[Any, RequestUnits]]:
    with mock_aws():
        plain = boto3.client("dynamodb", region_name="us-east-1")
        make_tables(plain)
        client = boto3.client("dynamodb", region_name="us-east-1")
        yield client, RequestUnits(client, plain)


def row(key: str, **more: dict[str, str]) -> dict[str, dict[str, str]]:
    return {"subscriberId": {"S": key}, "record": {"S": "r"}, **more}


def test_a_size_is_that_of_names_and_values() -> None:
    assert size_of({"ab": {"S": "é"}, "n": {"N": "1795280400"}, "b": {"BOOL": True}}) == 2 + 2 + 1 + 7 + 1 + 1


def test_a_write_costs_a_unit_a_kilobyte_of_the_larger_item(tables: tuple[Any, RequestUnits]) -> None:
    client, units = tables

    client.put_item(TableName="contacts", Item=row("a", text={"S": "x" * 1_500}))
    client.put_item(TableName="contacts", Item=row("a"))

    assert units.usage["DynamoDB write units"] == 2 + 2
    assert units.calls == 2


def test_a_read_costs_half_where_it_need_not_be_the_latest(tables: tuple[Any, RequestUnits]) -> None:
    client, units = tables
    client.put_item(TableName="contacts", Item=row("a", text={"S": "x" * 5_000}))

    for is_consistent in (True, False):
        key = {"subscriberId": {"S": "a"}, "record": {"S": "r"}}
        client.get_item(TableName="contacts", Key=key, ConsistentRead=is_consistent)

    assert units.usage["DynamoDB read units"] == 2 + 1


def test_a_transaction_costs_twice_and_a_check_as_much_as_a_write(tables: tuple[Any, RequestUnits]) -> None:
    client, units = tables
    key = {"subscriberId": {"S": "b"}, "record": {"S": "r"}}

    client.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": "contacts", "Item": row("a")}},
            {
                "ConditionCheck": {
                    "TableName": "contacts",
                    "Key": key,
                    "ConditionExpression": "attribute_not_exists(subscriberId)",
                }
            },
        ]
    )

    assert units.usage["DynamoDB write units"] == 4


def test_a_condition_that_fails_costs_a_write(tables: tuple[Any, RequestUnits]) -> None:
    client, units = tables

    with pytest.raises(client.exceptions.ConditionalCheckFailedException):
        client.put_item(
            TableName="contacts", Item=row("a"), ConditionExpression="attribute_exists(subscriberId)"
        )

    assert units.usage["DynamoDB write units"] == 1


@pytest.mark.parametrize(
    ("table", "key", "number", "changes"),
    [
        # Table and index; both again for another attribute; the table alone where nothing changes.
        ("conversations", "appointmentId", "startsAt", [("1", "", 2), ("1", "x", 2), ("1", "x", 1)]),
        # The table alone where the index lacks the attribute.
        ("messages", "messageKey", "claimedAt", [("1", "", 2), ("1", "x", 1)]),
        # Another key in the index: one entry goes, and one comes.
        ("messages", "messageKey", "claimedAt", [("1", "", 2), ("2", "", 3)]),
    ],
)
def test_an_index_costs_a_write_where_it_changes(
    tables: tuple[Any, RequestUnits], table: str, key: str, number: str, changes: list[tuple[str, str, int]]
) -> None:
    client, units = tables

    for value, text, expected in changes:
        units.usage.clear()
        item = {key: {"S": "k"}, "subscriberId": {"S": "s"}, number: {"N": value}, "text": {"S": text}}
        client.put_item(TableName=table, Item=item)
        assert units.usage["DynamoDB write units"] == expected
