"""In-memory ports of the broadcast engine. Each passes the same contract tests as its adapter."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sms_engagement_runtime.channel.domain.broadcast.audience import Candidate, Cursor, Page, Skipped
from sms_engagement_runtime.channel.domain.broadcast.outcomes import PersonOutcome
from sms_engagement_runtime.channel.domain.broadcast.run import (
    Fragment,
    outcome_from_json,
    outcome_to_json,
)


class FakeRunStore:
    """Objects by key, kept as the text that the bucket would hold."""

    def __init__(self) -> None:
        self.objects: dict[str, str] = {}

    def write_people(self, key: str, recipient_ids: Sequence[str]) -> None:
        self.objects[key] = json.dumps(list(recipient_ids))

    def read_people(self, keys: Sequence[str]) -> Iterator[list[str]]:
        return (json.loads(self.objects[key]) for key in keys)

    def write_outcomes(self, key: str, outcomes: Iterable[PersonOutcome]) -> None:
        self.objects[key] = json.dumps([outcome_to_json(outcome) for outcome in outcomes])

    def read_outcomes(self, keys: Sequence[str]) -> Iterator[list[PersonOutcome]]:
        return ([outcome_from_json(row) for row in json.loads(self.objects[key])] for key in keys)

    def write_json(self, key: str, value: Any) -> None:
        self.objects[key] = json.dumps(value)

    def read_json(self, keys: Sequence[str], *, prefix: str) -> Iterator[Any]:
        assert all(key.startswith(prefix) for key in keys)
        return (json.loads(self.objects.get(key, "null")) for key in keys)


class FakeShuffle:
    """A few buckets in memory, rows kept as text."""

    def __init__(self, buckets: int = 4) -> None:
        self.buckets = buckets
        self.fragments: dict[str, list[list[str]]] = {}
        self._pending: list[list[str]] = [[] for _ in range(buckets)]

    def reopened(self) -> FakeShuffle:
        """What another process sees: the fragments, and nothing that was not written."""
        other = FakeShuffle(self.buckets)
        other.fragments = self.fragments
        return other

    @property
    def pending_bytes(self) -> int:
        return sum(len(row) for rows in self._pending for row in rows)

    def add(self, key: str, row: Any) -> None:
        self._pending[sum(map(ord, key)) % self.buckets].append(json.dumps(row))

    def write(self, key: str) -> Fragment | None:
        if not any(self._pending):
            return None
        self.fragments[key] = self._pending
        self._pending = [[] for _ in range(self.buckets)]
        return {"key": key}

    def span_end(self, start: int, fragments: Sequence[Fragment], *, max_bytes: int) -> int:
        end, size = start + 1, self._size(start, fragments)
        while end < self.buckets and size + self._size(end, fragments) <= max_bytes:
            size += self._size(end, fragments)
            end += 1
        return end

    def read(self, start: int, end: int, fragments: Sequence[Fragment]) -> list[Any]:
        return [
            json.loads(row)
            for fragment in fragments
            for rows in self.fragments[fragment["key"]][start:end]
            for row in rows
        ]

    def _size(self, bucket: int, fragments: Sequence[Fragment]) -> int:
        return sum(len(row) for fragment in fragments for row in self.fragments[fragment["key"]][bucket])


@dataclass
class FakeSource:
    """An audience in pages of two; whoever has a history with an objection is not due."""

    people: list[Candidate | Skipped] = field(default_factory=list)
    history: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    page_size: int = 2

    def candidates(self, cursor: Cursor | None) -> Page[Candidate | Skipped]:
        return self._page(self.people, cursor)

    def histories(self, cursor: Cursor | None) -> Page[tuple[str, Mapping[str, Any]]]:
        return self._page(self.history, cursor)

    def objection(self, candidate: Candidate, history: Sequence[Mapping[str, Any]]) -> str | None:
        assert candidate.subscriber_id
        return next((row["objection"] for row in history if row["objection"]), None)

    def _page[T](self, rows: Sequence[T], cursor: Cursor | None) -> Page[T]:
        start = 0 if cursor is None else cursor["start"]
        end = start + self.page_size
        # As a table does, it may say that there is more when there is not.
        return Page(rows=rows[start:end], next={"start": end} if end <= len(rows) else None)
