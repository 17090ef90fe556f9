"""The snapshot: who belongs to a run, in parts, and everybody else with the reason.

Any audience passes through in bounded memory and any number of function calls:

1. *candidates*: page after page of the source into buckets by phone;
2. *phones*: bucket after bucket, the same phone under two ids becomes one recipient, into buckets by person;
3. *histories*: page after page of what is known about people, into buckets by person;
4. *people*: bucket after bucket, each person is judged beside their history and put into a part.

A run that follows another one has no such steps: its people are those whom that run texted.

What was done is written into a checkpoint at every safe point. A call that fails is repeated from the last
one; whatever it wrote after that is named by nobody, and does not count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from sms_engagement_runtime.channel.domain.broadcast.audience import (
    AudienceSource,
    Candidate,
    Cursor,
    Skipped,
)
from sms_engagement_runtime.channel.domain.broadcast.outcomes import PersonOutcome, Tally
from sms_engagement_runtime.channel.domain.broadcast.parts import Names, OutcomeWriter, PartWriter
from sms_engagement_runtime.channel.domain.broadcast.run import (
    Audience,
    BroadcastInputError,
    BroadcastSettings,
    Fragment,
    Part,
    Run,
    RunStore,
    Shuffle,
    tally_from_json,
    tally_to_json,
)
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.channel.domain.reasons import Reason

FRAGMENT_BYTES: Final = 4 * 1024 * 1024
"""Rows that are sorted in memory before they are written as one object, and that are read back at once."""

PEOPLE_PER_CHECKPOINT: Final = 50_000
"""People put into parts between two checkpoints, each of which writes who waits for a part to be full."""


class Phase(StrEnum):
    """Step of a snapshot."""

    CANDIDATES = "CANDIDATES"
    PHONES = "PHONES"
    HISTORIES = "HISTORIES"
    PEOPLE = "PEOPLE"
    FOLLOWED = "FOLLOWED"
    DONE = "DONE"


@dataclass(slots=True, kw_only=True)
class _Checkpoint:
    """All that a later call needs to go on.

    Attributes
    ----------
    cursor
        Of the next page of the source, in the steps that read pages.
    index
        Of the next bucket or result, in the others.
    number
        Of the last object that was written.
    """

    phase: Phase
    cursor: Cursor | None = None
    index: int = 0
    number: int = 0
    customers: int = 0
    skipped: Tally = field(default_factory=Tally)
    result_keys: list[str] = field(default_factory=list)
    candidates: list[Fragment] = field(default_factory=list)
    people: list[Fragment] = field(default_factory=list)
    histories: list[Fragment] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    waiting_key: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "phase": self.phase,
            "cursor": self.cursor,
            "index": self.index,
            "number": self.number,
            "customers": self.customers,
            "skipped": tally_to_json(self.skipped),
            "resultKeys": self.result_keys,
            "candidates": self.candidates,
            "people": self.people,
            "histories": self.histories,
            "parts": [part.to_json() for part in self.parts],
            "waitingKey": self.waiting_key,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(
            phase=Phase(value["phase"]),
            cursor=value["cursor"],
            index=value["index"],
            number=value["number"],
            customers=value["customers"],
            skipped=tally_from_json(value["skipped"]),
            result_keys=value["resultKeys"],
            candidates=value["candidates"],
            people=value["people"],
            histories=value["histories"],
            parts=[Part.from_json(part) for part in value["parts"]],
            waiting_key=value["waitingKey"],
        )


@dataclass(slots=True, kw_only=True)
class Snapshot:
    """Takes the snapshot of a run, from where the call before left it.

    Attributes
    ----------
    token
        Different in each call of the function.
    may_go_on
        False once there is only time for one more page and its checkpoint.
    """

    run: Run
    source: AudienceSource
    store: RunStore
    shuffle: Shuffle
    settings: BroadcastSettings
    token: str
    may_go_on: Callable[[], bool]
    _checkpoint: _Checkpoint = field(init=False)
    _names: Names = field(init=False)
    _skipped: OutcomeWriter = field(init=False)
    _parts: PartWriter = field(init=False)

    def take(self) -> Audience | None:
        """Go on as long as there is time; return the audience once it is complete, None until then.

        Raises
        ------
        BroadcastInputError
            The run follows one that has not ended, that was a dry run, or that followed another one itself.
        TransientError
            A service did not answer. Another call goes on from the last checkpoint.
        """
        self._load()
        steps: dict[Phase, Callable[[], bool]] = {
            Phase.CANDIDATES: self._read_candidates,
            Phase.PHONES: self._join_phones,
            Phase.HISTORIES: self._read_histories,
            Phase.PEOPLE: self._judge_people,
            Phase.FOLLOWED: self._take_followed,
        }
        while self._checkpoint.phase is not Phase.DONE:
            if not steps[self._checkpoint.phase]():
                return None
        (audience,) = self.store.read_json([self.run.audience_key], prefix=self.run.prefix)
        return Audience.from_json(audience)

    def _load(self) -> None:
        (saved,) = self.store.read_json([self.run.snapshot_key], prefix=self.run.prefix)
        first = Phase.CANDIDATES if self.run.follows is None else Phase.FOLLOWED
        self._checkpoint = checkpoint = (
            _Checkpoint(phase=first) if saved is None else _Checkpoint.from_json(saved)
        )
        self._names = Names(self.token, checkpoint.number)
        self._skipped = OutcomeWriter(self.run, self.store, names=self._names)
        self._parts = PartWriter(
            self.run, self.store, size=self.settings.recipients_per_part, names=self._names
        )
        if checkpoint.waiting_key is not None:
            (waiting,) = self.store.read_json([checkpoint.waiting_key], prefix=self.run.shuffle_prefix)
            self._parts.restore(waiting)

    def _read_candidates(self) -> bool:
        checkpoint = self._checkpoint
        while True:
            page = self.source.candidates(checkpoint.cursor)
            for row in page.rows:
                checkpoint.customers += 1
                match row:
                    case Skipped(recipient_id=recipient_id, reason=reason):
                        self._skip(recipient_id, reason)
                    case Candidate():
                        self.shuffle.add(row.subscriber_id, [row.subscriber_id, row.recipient_id, row.group])
            checkpoint.cursor = page.next
            if page.next is None:
                self._write_fragment(checkpoint.candidates)
                return self._begin(Phase.PHONES)
            if not self._is_safe(checkpoint.candidates):
                return False

    def _join_phones(self) -> bool:
        checkpoint = self._checkpoint
        while checkpoint.index < self.shuffle.buckets:
            end = self._span_end(checkpoint.candidates)
            rows = self.shuffle.read(checkpoint.index, end, checkpoint.candidates)
            winners: dict[str, str] = {}
            for subscriber, recipient_id, _ in rows:
                winners[subscriber] = min(recipient_id, winners.get(subscriber, recipient_id))
            listed: set[str] = set()
            for subscriber, recipient_id, group in rows:
                if recipient_id in listed:
                    # Who comes from one state into another while the pages are read is on two of them.
                    checkpoint.customers -= 1
                    continue
                listed.add(recipient_id)
                if winners[subscriber] == recipient_id:
                    self.shuffle.add(recipient_id, [recipient_id, subscriber, group])
                else:
                    self._skip(recipient_id, Reason.DUPLICATE_PHONE)
            checkpoint.index = end
            if end < self.shuffle.buckets and not self._is_safe(checkpoint.people):
                return False
        self._write_fragment(checkpoint.people)
        return self._begin(Phase.HISTORIES)

    def _read_histories(self) -> bool:
        checkpoint = self._checkpoint
        while True:
            page = self.source.histories(checkpoint.cursor)
            for recipient_id, row in page.rows:
                self.shuffle.add(recipient_id, [recipient_id, row])
            checkpoint.cursor = page.next
            if page.next is None:
                self._write_fragment(checkpoint.histories)
                return self._begin(Phase.PEOPLE)
            if not self._is_safe(checkpoint.histories):
                return False

    def _judge_people(self) -> bool:
        checkpoint = self._checkpoint
        people = 0
        while checkpoint.index < self.shuffle.buckets:
            end = self._span_end([*checkpoint.people, *checkpoint.histories])
            # In an order of their own: with the same people, a repeated snapshot makes the same parts.
            rows = sorted(self.shuffle.read(checkpoint.index, end, checkpoint.people))
            histories = self._histories_of(end, {row[0] for row in rows})
            for recipient_id, subscriber, group in rows:
                candidate = Candidate(recipient_id=recipient_id, subscriber_id=subscriber, group=group)
                objection = self.source.objection(candidate, histories[recipient_id])
                if objection is None:
                    self._parts.add(group, recipient_id)
                else:
                    self._skip(recipient_id, objection)
            people += len(rows)
            checkpoint.index = end
            is_over = not self.may_go_on()
            if is_over or people >= PEOPLE_PER_CHECKPOINT:
                people = 0
                self._write_checkpoint()
            if is_over and end < self.shuffle.buckets:
                return False
        return self._finish()

    def _span_end(self, fragments: Sequence[Fragment]) -> int:
        return self.shuffle.span_end(self._checkpoint.index, fragments, max_bytes=FRAGMENT_BYTES)

    def _histories_of(self, end: int, recipient_ids: set[str]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        histories: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for recipient_id, row in self.shuffle.read(self._checkpoint.index, end, self._checkpoint.histories):
            if recipient_id in recipient_ids:
                histories[recipient_id].append(row)
        return histories

    def _take_followed(self) -> bool:
        checkpoint = self._checkpoint
        results = self._followed_results()[checkpoint.index :]
        outcomes = self.store.read_outcomes([result["key"] for result in results])
        # A dry run waits for nothing: it says what would be done.
        wait = None if self.run.is_dry else self.settings.follow_up_after
        for result, people in zip(results, outcomes, strict=True):
            not_before = None if wait is None else datetime.fromisoformat(result["endedAt"]) + wait
            for person in people:
                if person.state == OutcomeState.ACCEPTED:
                    checkpoint.customers += 1
                    self._parts.add(result["group"], person.user_id, not_before=not_before)
            checkpoint.index += 1
            if not self.may_go_on():
                self._write_checkpoint()
                return False
        return self._finish()

    def _followed_results(self) -> Sequence[Mapping[str, Any]]:
        assert self.run.follows is not None
        followed = Run(run_id=self.run.follows, started_at=self.run.started_at)
        (found,) = self.store.read_json([followed.results_key], prefix=followed.prefix)
        if found is None:
            raise BroadcastInputError(
                f"follows names {self.run.follows}, and no run of that name has ended; name one that has"
            )
        if found["run"]["dryRun"] or found["run"]["follows"] is not None:
            kind = "was a dry run" if found["run"]["dryRun"] else "followed a run itself"
            raise BroadcastInputError(f"follows names {self.run.follows}, which {kind}; name another run")
        # Those of people who were in no part have no group: nobody of them was texted.
        return [result for result in found["results"] if result["group"] is not None]

    def _skip(self, recipient_id: str, reason: str) -> None:
        self._skipped.add(PersonOutcome(user_id=recipient_id, state=OutcomeState.SUPPRESSED, reason=reason))

    def _is_safe(self, fragments: list[Fragment]) -> bool:
        """Write a checkpoint where one is due; say whether there is time to go on."""
        is_over = not self.may_go_on()
        if is_over or self.shuffle.pending_bytes >= FRAGMENT_BYTES:
            self._write_fragment(fragments)
            self._write_checkpoint()
        return not is_over

    def _write_fragment(self, fragments: list[Fragment]) -> None:
        fragment = self.shuffle.write(f"{self.run.shuffle_prefix}{self._names()}")
        if fragment is not None:
            fragments.append(fragment)

    def _begin(self, phase: Phase) -> bool:
        self._checkpoint.phase = phase
        self._checkpoint.cursor, self._checkpoint.index = None, 0
        self._write_checkpoint()
        return self.may_go_on()

    def _write_checkpoint(self) -> None:
        checkpoint = self._checkpoint
        self._skipped.flush()
        checkpoint.skipped += self._skipped.tally
        checkpoint.result_keys += self._skipped.keys
        self._skipped = OutcomeWriter(self.run, self.store, names=self._names)
        checkpoint.parts += self._parts.parts
        self._parts.parts = []
        waiting = self._parts.waiting()
        checkpoint.waiting_key = None
        if waiting:
            checkpoint.waiting_key = f"{self.run.shuffle_prefix}{self._names()}"
            self.store.write_json(checkpoint.waiting_key, waiting)
        checkpoint.number = self._names.number
        self.store.write_json(self.run.snapshot_key, checkpoint.to_json())

    def _finish(self) -> bool:
        self._parts.flush()
        self._write_checkpoint()
        checkpoint = self._checkpoint
        audience = Audience(
            customers=checkpoint.customers,
            recipients=sum(part.people for part in checkpoint.parts),
            skipped=checkpoint.skipped,
            parts=checkpoint.parts,
            result_keys=checkpoint.result_keys,
        )
        self.store.write_json(self.run.audience_key, audience.to_json())
        self._begin(Phase.DONE)
        return True
