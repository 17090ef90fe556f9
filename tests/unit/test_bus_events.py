"""Events on the bus are as their schemas in ``docs/events/`` say, and those schemas are all there are.

Whatever any test publishes through the fake bus is held to its schema there; here is that the fake does so,
that nothing is missing, and that what the schemas let through is what our own functions can read.
"""

import ast
import json
import re
from pathlib import Path

import pytest

from sms_engagement_runtime.review_collector.domain import bus_events
from sms_engagement_runtime.review_collector.domain.errands import read_errand
from tests.support.bus_schemas import FOLDER, documented, errors_of, hold_to_schema
from tests.support.fakes import FakeBus

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = ROOT / "runtime" / "sms_engagement_runtime"

# It is handed from function to function by a state machine, and never on the bus.
OWN_CLOCK = {bus_events.REVIEW_REMINDER_DUE}


def constants_of(path: Path) -> dict[str, str]:
    """Texts of a module by the name of their constant."""
    return {
        node.target.id: node.value.value
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def published_types() -> set[str]:
    """First arguments of every ``bus.publish`` in the runtime."""
    constants = {name: value for path in RUNTIME.rglob("*.py") for name, value in constants_of(path).items()}
    return {
        constants[node.args[0].id]
        for path in RUNTIME.rglob("domain/**/*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func).endswith("bus.publish")
        and isinstance(node.args[0], ast.Name)
    }


def consumed_types() -> set[str]:
    names = vars(bus_events)
    return {value for name, value in names.items() if name.isupper() and isinstance(value, str)} - OWN_CLOCK


def test_every_event_that_is_published_or_consumed_has_a_schema_and_no_other() -> None:
    assert published_types() >= {"ReplyReceived", "ReviewLinkRequested", "ReviewSubmitted", "WrongNumber"}
    assert published_types() | consumed_types() == documented()


def test_the_overview_has_a_row_for_each() -> None:
    overview = (FOLDER / "README.md").read_text(encoding="utf-8")

    assert set(re.findall(r"^\| `(\w+)` \|", overview, flags=re.MULTILINE)) == documented()


@pytest.mark.parametrize("detail_type", sorted(documented()))
def test_schemas_name_themselves_and_take_fields_that_nobody_knows_yet(detail_type: str) -> None:
    schema = json.loads((FOLDER / f"{detail_type}.schema.json").read_text(encoding="utf-8"))

    assert schema["title"] == detail_type
    assert schema["additionalProperties"] is True
    assert set(schema["required"]) <= set(schema["properties"])
    assert all(field["description"] for field in schema["properties"].values() if "$ref" not in field)


@pytest.mark.parametrize(
    ("detail_type", "detail"),
    [
        ("ReviewSubmitted", {"reviewId": "r", "userId": "u1", "rating": 6, "occasion": "o"}),
        ("ReviewSubmitted", {"reviewId": "r", "userId": "u1", "rating": 5}),
        ("ReviewLinkRequested", {"requestId": "too short"}),
        ("Undocumented", {}),
    ],
)
def test_the_fake_bus_takes_nothing_that_breaks_its_schema(detail_type: str, detail: dict) -> None:
    bus = FakeBus()

    with pytest.raises(AssertionError, match=detail_type):
        bus.publish(detail_type, detail)

    assert bus.events == []


IDS = {"userId": "u1", "occasion": "order-17"}
VALID = [
    ("ReviewRequested", IDS),
    ("ReviewRequested", {**IDS, "occurredAt": "2026-11-21T17:00:00Z"}),
    ("ReviewRequested", {**IDS, "occurredAt": "2026-11-21T17:00:00.123456-05:00"}),
    ("OccasionRecorded", {**IDS, "occurredAt": "2026-11-21"}),
    ("OccasionRecorded", {**IDS, "more": {"than": "we know"}}),
    ("OccasionRecorded", {"userId": "x" * 512, "occasion": "\u00fc\U0001f600"}),
    ("ReviewLinkRequested", {"requestId": "AAECAwQFBgcICQoL"}),
    ("ReviewSubmitted", {"reviewId": "r", "userId": "u1", "rating": 5, "occasion": "o"}),
]
INVALID = [
    ("ReviewRequested", {"userId": "u1"}),
    ("ReviewRequested", {**IDS, "userId": ""}),
    ("ReviewRequested", {**IDS, "userId": 7}),
    ("ReviewRequested", {**IDS, "occasion": "x" * 513}),
    ("OccasionRecorded", {**IDS, "occurredAt": "yesterday"}),
    ("OccasionRecorded", {**IDS, "occurredAt": 1795280400}),
    ("OccasionRecorded", {**IDS, "occurredAt": "9999-12-31T23:59:59Z"}),
    ("ReviewLinkRequested", {}),
]


@pytest.mark.parametrize(("detail_type", "detail"), VALID)
def test_what_a_schema_lets_through_can_be_read(detail_type: str, detail: dict) -> None:
    hold_to_schema(detail_type, detail)

    assert read_errand(detail_type, detail) is not None


@pytest.mark.parametrize(("detail_type", "detail"), INVALID)
def test_what_cannot_be_read_is_refused_by_its_schema(detail_type: str, detail: dict) -> None:
    assert errors_of(detail_type, detail)
    assert read_errand(detail_type, detail) is None
