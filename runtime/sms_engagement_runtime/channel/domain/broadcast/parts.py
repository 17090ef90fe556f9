"""Writing people into parts, and outcomes into results, with bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from sms_engagement_runtime.channel.domain.broadcast.outcomes import PersonOutcome, Tally, tally
from sms_engagement_runtime.channel.domain.broadcast.run import Part, Run, RunStore, instant

OUTCOMES_PER_OBJECT: Final = 10_000
"""Lines of one object of results: about a megabyte."""

MAX_WAITING_PEOPLE: Final = 50_000
"""People held in memory for parts that are not full: some five megabytes."""

_SLOT: Final = timedelta(minutes=15)
"""People whose next turn comes within one of these share a part, which begins with the last of them.

Each waits a quarter of an hour at the most; with a part for every instant there would be one a person.
"""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Names:
    """Names of the objects that one call of a function writes.

    A call that is repeated while the first one still runs has names of its own, so neither writes into what
    the other one counts on.

    Parameters
    ----------
    token
        Different in each call.
    number
        Of the last object that an earlier call wrote.
    """

    def __init__(self, token: str, number: int = 0) -> None:
        self._token = token
        self.number = number

    def __call__(self) -> str:
        """Return the next name; names sort in the order in which they were made."""
        self.number += 1
        return f"{self.number:06}-{self._token}"


class _Kind(NamedTuple):
    """What people of one part have in common."""

    group: str
    failures: int
    outages: int
    may_have_texted: bool
    slot: int | None


@dataclass(slots=True)
class _Waiting:
    people: list[str] = field(default_factory=list)
    not_before: datetime | None = None


class PartWriter:
    """Puts people into parts, one group a part.

    Parameters
    ----------
    size
        People of a full part.

    Attributes
    ----------
    parts
        Written so far.
    """

    def __init__(self, run: Run, store: RunStore, *, size: int, names: Callable[[], str]) -> None:
        self._run = run
        self._store = store
        self._size = size
        self._names = names
        self._waiting: dict[_Kind, _Waiting] = {}
        self._people = 0
        self.parts: list[Part] = []

    def add(
        self,
        group: str,
        recipient_id: str,
        *,
        not_before: datetime | None = None,
        failures: int = 0,
        outages: int = 0,
        may_have_texted: bool = False,
    ) -> None:
        """Add a person to a part with others of the group whose turn comes at about the same time."""
        slot = None if not_before is None else (not_before - _EPOCH) // _SLOT
        kind = _Kind(group, failures, outages, may_have_texted, slot)
        waiting = self._waiting.setdefault(kind, _Waiting())
        waiting.people.append(recipient_id)
        if not_before is not None:
            waiting.not_before = max(not_before, waiting.not_before or not_before)
        self._people += 1
        if len(waiting.people) >= self._size:
            self._write(kind)
        elif self._people >= MAX_WAITING_PEOPLE:
            self._write(max(self._waiting, key=lambda other: len(self._waiting[other].people)))

    def flush(self) -> None:
        """Write everybody who waits for a part to be full."""
        for kind in list(self._waiting):
            self._write(kind)

    def waiting(self) -> Sequence[Mapping[str, Any]]:
        """Return everybody who waits for a part to be full, as JSON objects for `restore`."""
        return [
            {
                "group": kind.group,
                "failures": kind.failures,
                "outages": kind.outages,
                "mayHaveTexted": kind.may_have_texted,
                "notBefore": None if waiting.not_before is None else waiting.not_before.isoformat(),
                "people": waiting.people,
            }
            for kind, waiting in self._waiting.items()
        ]

    def restore(self, waiting: Sequence[Mapping[str, Any]]) -> None:
        """Take back what `waiting` returned."""
        for row in waiting:
            for recipient_id in row["people"]:
                self.add(
                    row["group"],
                    recipient_id,
                    not_before=instant(row["notBefore"]),
                    failures=row["failures"],
                    outages=row["outages"],
                    may_have_texted=row.get("mayHaveTexted", False),
                )

    def _write(self, kind: _Kind) -> None:
        waiting = self._waiting.pop(kind)
        part = Part(
            key=self._run.part_key(self._names()),
            group=kind.group,
            people=len(waiting.people),
            not_before=waiting.not_before,
            failures=kind.failures,
            outages=kind.outages,
            may_have_texted=kind.may_have_texted,
        )
        self._store.write_people(part.key, waiting.people)
        self._people -= part.people
        self.parts.append(part)


class OutcomeWriter:
    """Writes outcomes, an object for every ten thousand of them.

    Attributes
    ----------
    tally
        Of all that was added.
    keys
        Of the objects written so far.
    """

    def __init__(self, run: Run, store: RunStore, *, names: Callable[[], str]) -> None:
        self._run = run
        self._store = store
        self._names = names
        self._outcomes: list[PersonOutcome] = []
        self.tally = Tally()
        self.keys: list[str] = []

    def add(self, outcome: PersonOutcome) -> None:
        """Add one person."""
        # An instant worth waiting for means nothing to whom nobody will ask again.
        self._outcomes.append(outcome if outcome.until is None else replace(outcome, until=None))
        if len(self._outcomes) >= OUTCOMES_PER_OBJECT:
            self.flush()

    def flush(self) -> None:
        """Write what was added since the last object."""
        if self._outcomes:
            key = self._run.result_key(self._names())
            self._store.write_outcomes(key, self._outcomes)
            self.keys.append(key)
            self.tally += tally(self._outcomes)
            self._outcomes = []
