"""Request units of DynamoDB, counted from the requests of the product's own adapters."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

type Usage = Counter[str]
"""Units by their name; a count may be a fraction, as half a read unit is."""


class RequestUnits:
    """Counts request units of a client, by what the requests say and what they find.

    Source: DynamoDB developer guide, *Read and write operations*: a write unit is 1 KB, the larger of the
    item before and after it; a strongly consistent read unit is 4 KB, an eventually consistent read half of
    one; transactions cost twice; an index is written where a projected attribute changes, and twice where its
    key does; conditions that fail cost as much as a write.
    """

    def __init__(self, client: Any, plain: Any) -> None:
        self.usage: Usage = Counter()
        self.calls = 0
        self._plain = plain
        self._writes: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = []
        self._request: dict[str, Any] = {}
        self._schemas: dict[str, Any] = {}
        client.meta.events.register("provide-client-params.dynamodb", self._before)
        client.meta.events.register("after-call.dynamodb", self._after)

    def _before(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self._request = params
        self._writes = []
        match model.name:
            case "PutItem" | "UpdateItem":
                self._writes.append(self._write(params, is_transaction=False))
            case "TransactWriteItems":
                for item in params["TransactItems"]:
                    (request,) = item.values()
                    self._writes.append(self._write(request, is_transaction=True))

    def _after(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        self.calls += 1
        for name, key, before, is_transaction in self._writes:
            after = self._item(name, key)
            self._count_write(name, before, after, factor=2 if is_transaction else 1)
        match model.name:
            case "GetItem":
                is_consistent = self._request.get("ConsistentRead", False)
                self._count_read([parsed.get("Item", {})], is_consistent=is_consistent)
            case "Query":
                is_consistent = self._request.get("ConsistentRead", False)
                self._count_read(parsed.get("Items", []), is_consistent=is_consistent)
            case "PutItem" | "UpdateItem" | "TransactWriteItems":
                pass
            case other:
                raise NotImplementedError(other)

    def _write(
        self, request: Mapping[str, Any], *, is_transaction: bool
    ) -> tuple[str, dict[str, Any], dict[str, Any], bool]:
        name = request["TableName"]
        keys = [each["AttributeName"] for each in self._schema(name)["KeySchema"]]
        key = request.get("Key") or {attribute: request["Item"][attribute] for attribute in keys}
        return name, key, self._item(name, key), is_transaction

    def _count_write(
        self, name: str, before: Mapping[str, Any], after: Mapping[str, Any], *, factor: int
    ) -> None:
        self.usage["DynamoDB write units"] += factor * write_units(self._schema(name), before, after)

    def _count_read(self, items: Sequence[Mapping[str, Any]], *, is_consistent: bool) -> None:
        # Half units: the counter is of whole numbers by its type, and of any by its arithmetic.
        self.usage["DynamoDB read units"] += read_units(items, is_consistent=is_consistent)  # type: ignore[assignment]

    def _item(self, name: str, key: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self._plain.get_item(TableName=name, Key=key).get("Item", {})
        return found

    def _schema(self, name: str) -> Any:
        if name not in self._schemas:
            self._schemas[name] = self._plain.describe_table(TableName=name)["Table"]
        return self._schemas[name]


def write_units(schema: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> int:
    """Return the write units of one item and of the indexes that it is in."""
    units = _kilobytes(max(size_of(before), size_of(after)), 1_024)
    for index in schema.get("GlobalSecondaryIndexes", ()):
        units += _index_writes(index, before, after)
    return units


def read_units(items: Sequence[Mapping[str, Any]], *, is_consistent: bool) -> float:
    """Return the read units of what one call found."""
    units = _kilobytes(sum(map(size_of, items)), 4_096)
    return units if is_consistent else units / 2


def _kilobytes(size: int, unit: int) -> int:
    return max(1, math.ceil(size / unit))


def _index_writes(index: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> int:
    keys = [each["AttributeName"] for each in index["KeySchema"]]
    was, is_now = ([item.get(key) for key in keys] for item in (before, after))
    is_whole = index["Projection"]["ProjectionType"] == "ALL"
    units = _kilobytes(max(size_of(before), size_of(after)), 1_024) if is_whole else 1
    if None in was and None in is_now:
        return 0
    if None in was or None in is_now:
        return units
    if was != is_now:
        return 2 * units
    return units if is_whole and before != after else 0


def size_of(item: Mapping[str, Any]) -> int:
    """Return the bytes of an item (DynamoDB developer guide, *Item sizes and formats*)."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "B":
            return len(content)
        case "N":
            return len(content) // 2 + 2
        case "BOOL" | "NULL":
            return 1
        case "M":
            return 3 + sum(len(name.encode()) + 1 + _value_size(each) for name, each in content.items())
        case "L":
            return 3 + sum(1 + _value_size(each) for each in content)
        case "SS":
            return sum(len(each.encode()) for each in content)
    raise NotImplementedError(kind)
