"""The schemas of the events on the bus, as ``docs/events/`` publishes them."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "events"
_ENDING = ".schema.json"


@cache
def documented() -> frozenset[str]:
    """Detail types that have a schema."""
    return frozenset(path.name.removesuffix(_ENDING) for path in FOLDER.glob(f"*{_ENDING}"))


@cache
def _validator(detail_type: str) -> Draft202012Validator:
    schema = json.loads((FOLDER / f"{detail_type}{_ENDING}").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def errors_of(detail_type: str, detail: Mapping[str, Any]) -> list[str]:
    """What a schema has against a detail, as it is on the wire."""
    on_the_wire = json.loads(json.dumps(detail))
    return [error.message for error in _validator(detail_type).iter_errors(on_the_wire)]


def hold_to_schema(detail_type: str, detail: Mapping[str, Any]) -> None:
    """Fail on an event that nobody described, or that is not as it was described."""
    assert detail_type in documented(), f"docs/events has no schema of {detail_type}"
    errors = errors_of(detail_type, detail)
    assert not errors, f"{detail_type}: {'; '.join(errors)}"
