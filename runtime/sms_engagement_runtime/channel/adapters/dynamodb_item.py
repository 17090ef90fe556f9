"""Rows as DynamoDB's wire format and back, for the few types that our tables hold.

boto3's own serialiser turns every number into a ``Decimal`` and takes any type; these rows hold text, whole
numbers, booleans, and maps and lists of them, and a float in one is a mistake (prices are whole millicents).
"""

from collections.abc import Mapping, Sequence
from typing import Any

type Item = dict[str, Any]
"""A row in wire format: ``{"state": {"S": "CLAIMED"}, "rank": {"N": "0"}}``."""

type Value = str | int | bool | Mapping[str, "Value"] | Sequence["Value"]


def to_item(row: Mapping[str, Value | None]) -> Item:
    """Row in wire format; attributes that are ``None`` are left out.

    Raises
    ------
    TypeError
        A value is of no type that our tables hold.
    """
    # Every text makes some fifty attributes, nearly all of them plain text and numbers.
    return {
        name: {"S": value}
        if type(value) is str
        else {"N": str(value)}
        if type(value) is int
        else to_attribute(value)
        for name, value in row.items()
        if value is not None
    }


def to_attribute(value: Value) -> dict[str, Any]:
    """One value in wire format."""
    match value:
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": str(value)}
        case Mapping():
            return {"M": to_item(value)}
        case list() | tuple():
            return {"L": [to_attribute(member) for member in value]}
    raise TypeError(f"a row holds no {type(value).__name__}")


def from_item(item: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Row as plain values."""
    return {name: from_attribute(attribute) for name, attribute in item.items()}


def from_attribute(attribute: Mapping[str, Any]) -> Any:
    """Return one attribute as a plain value."""
    match attribute:
        case {"S": str(text)}:
            return text
        case {"N": str(digits)}:
            return int(digits)
        case {"BOOL": bool(flag)}:
            return flag
        case {"M": members}:
            return from_item(members)
        case {"L": members}:
            return [from_attribute(member) for member in members]
        case {"NULL": True}:
            return None
    raise TypeError(f"a row holds no attribute of type {next(iter(attribute), 'none')}")
