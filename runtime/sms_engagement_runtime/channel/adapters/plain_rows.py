"""Rows of any table as plain values that JSON can hold, whatever attributes they have."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from boto3.dynamodb.types import Binary, TypeDeserializer

_PLAIN: Final = TypeDeserializer()


def plain_row(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row in wire format as plain values: whole numbers as ``int``, sets as sorted lists."""
    return {name: _plain(_PLAIN.deserialize(attribute)) for name, attribute in item.items()}


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case Binary():
            # The type stubs know nothing of the attribute that holds the bytes.
            raw: bytes = vars(value)["value"]
            return b64encode(raw).decode()
        case dict():
            return {name: _plain(member) for name, member in value.items()}
        case set() | frozenset():
            return sorted((_plain(member) for member in value), key=str)
        case list():
            return [_plain(member) for member in value]
    return value
