"""Rows that are also found by what they are about, as by a table's index."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any


class Indexed[Key, Row](dict[Key, Row]):
    """A dict whose rows are found by a value of theirs too, in the order in which they were first written."""

    def __init__(self, value_of: Callable[[Row], Hashable]) -> None:
        super().__init__()
        self._value_of = value_of
        self._keys: dict[Hashable, dict[Key, None]] = {}

    def of(self, value: Hashable) -> Sequence[Row]:
        """Give the rows that have this value."""
        return [self[key] for key in self._keys.get(value, ())]

    def __setitem__(self, key: Key, row: Row) -> None:
        value = self._value_of(row)
        if key in self and (former := self._value_of(self[key])) != value:
            del self._keys[former][key]
        self._keys.setdefault(value, {})[key] = None
        super().__setitem__(key, row)

    def __delitem__(self, key: Key) -> None:
        del self._keys[self._value_of(self[key])][key]
        super().__delitem__(key)

    def setdefault(self, key: Key, default: Any = None) -> Row:
        """Write a row where there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, rows: Mapping[Key, Row]) -> None:  # type: ignore[override]
        """Write rows."""
        for key, row in rows.items():
            self[key] = row

    def clear(self) -> None:
        """Delete everything."""
        super().clear()
        self._keys.clear()

    def pop(self, key: Key, *default: Any) -> Any:
        """Delete a row, and give it."""
        if key not in self and default:
            return default[0]
        row = self[key]
        del self[key]
        return row

    def popitem(self) -> Any:
        """Refuse: nobody needs it."""
        raise NotImplementedError
