"""Rows of DynamoDB tables that may be somebody else's."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any


def tolerant_row(item: Mapping[str, Mapping[str, Any]]) -> dict[str, object]:
    """Return texts and numbers of a row that others wrote, as ``str`` and ``Decimal``; leave out the rest."""
    row: dict[str, object] = {}
    for name, attribute in item.items():
        match attribute:
            case {"S": str(text)}:
                row[name] = text
            case {"N": str(digits)}:
                try:
                    row[name] = Decimal(digits)
                except InvalidOperation:
                    continue
    return row
