"""One run of a broadcast: what it was started with, where its objects lie, and the ports that keep them.

Objects of a run, below ``runs/<run id>/``. Nothing is ever changed that another object names: a step that is
repeated writes new parts and results, and only those count that its own last object names.

=================================  ====================================================================
key                                content
=================================  ====================================================================
``snapshot.json``                  how far the snapshot is; written at each of its safe points
``parts/000001-….jsonl``           people to ask: ``{"userId"}`` a line; no phone number, no name
``audience.json``                  `Audience`: written last by the snapshot
``plan.json``                      how far the run is (``planning.Progress``)
``waves/00001-….json``             array of the parts that are sent at once, read by the Distributed Map
``begun/….json``                   a function has begun to ask the people of that part
``reports/00001/….json``           what a part of that wave came to: `PartReport`
``results/….jsonl``                one line a person whose state is final: `PersonOutcome`
``results.json``                   array of the keys of the results that count
``progress.json``                  the run in figures, for people and pages
``summary.json``                   what the run came to
=================================  ====================================================================

Below ``shuffle/<run id>/`` lie the rows that the snapshot sorts; the bucket forgets them after days.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from sms_engagement_runtime.channel.domain.broadcast.outcomes import PersonOutcome, Tally
from sms_engagement_runtime.channel.domain.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_REASON_LENGTH: Final = 200
"""Characters of the free text that a run is started with."""

FOLLOW_UP_SUFFIX: Final = "-follow-up"

_MAX_EXECUTION_NAME_LENGTH: Final = 80
"""Step Functions, *StartExecution*."""

_DIGEST_LENGTH: Final = 16
"""Hexadecimal digits: 64 bits."""


class BroadcastInputError(PermanentError):
    """A run was started with something that it does not know. Nobody is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run was started with.

    Attributes
    ----------
    run_id
        Name of the execution; the campaign id of its texts.
    started_at
        Aware UTC.
    is_dry
        Nothing is sent and no table is written.
    reason
        Free text of whoever started it.
    follows
        Id of the run whose people are asked again; None for a run with an audience of its own.
    about
        What the capability has to know of the run, as JSON. The engine carries it along and reads none of it.
    """

    run_id: str
    started_at: datetime
    is_dry: bool = False
    reason: str | None = None
    follows: str | None = None
    about: Mapping[str, Any] | None = None

    @property
    def prefix(self) -> str:
        """Where the objects of the run lie."""
        return f"runs/{self.run_id}/"

    @property
    def shuffle_prefix(self) -> str:
        """Where the snapshot's rows lie while it sorts them."""
        return f"shuffle/{self.run_id}/"

    @property
    def snapshot_key(self) -> str:
        """How far the snapshot is."""
        return f"{self.prefix}snapshot.json"

    @property
    def audience_key(self) -> str:
        """`Audience`."""
        return f"{self.prefix}audience.json"

    @property
    def plan_key(self) -> str:
        """How far the run is."""
        return f"{self.prefix}plan.json"

    @property
    def progress_key(self) -> str:
        """The run in figures."""
        return f"{self.prefix}progress.json"

    @property
    def results_key(self) -> str:
        """Keys of the results that count."""
        return f"{self.prefix}results.json"

    @property
    def summary_key(self) -> str:
        """What the run came to."""
        return f"{self.prefix}summary.json"

    @property
    def follow_up_id(self) -> str:
        """Name of the execution that follows this one up: another one for each run."""
        longest = _MAX_EXECUTION_NAME_LENGTH - len(FOLLOW_UP_SUFFIX)
        if len(self.run_id) <= longest:
            return self.run_id + FOLLOW_UP_SUFFIX
        # Names that begin alike are told apart by what stands for the whole.
        digest = f"-{sha256(self.run_id.encode()).hexdigest()[:_DIGEST_LENGTH]}"
        return self.run_id[: longest - len(digest)] + digest + FOLLOW_UP_SUFFIX

    def wave_key(self, name: str) -> str:
        """Parts of a wave."""
        return f"{self.prefix}waves/{name}.json"

    def report_prefix(self, wave: int) -> str:
        """Where the reports of a wave lie."""
        return f"{self.prefix}reports/{wave:05}/"

    @property
    def begun_prefix(self) -> str:
        """Where it is marked which parts were begun."""
        return f"{self.prefix}begun/"

    def begun_key(self, part: Part) -> str:
        """Mark that a function began to ask the people of a part: without it, nobody of them was asked.

        One for all attempts: it also tells of an attempt that began after the plan had given it up.
        """
        return f"{self.begun_prefix}{part.name}.json"

    def part_key(self, name: str) -> str:
        """People of a part."""
        return f"{self.prefix}parts/{name}.jsonl"

    def result_key(self, name: str) -> str:
        """Outcomes of people."""
        return f"{self.prefix}results/{name}.jsonl"

    def to_json(self) -> dict[str, Any]:
        """Return the run as steps of the state machine hand it to one another."""
        value: dict[str, Any] = {
            "runId": self.run_id,
            "startedAt": self.started_at.isoformat(),
            "dryRun": self.is_dry,
            "reason": self.reason,
            "follows": self.follows,
        }
        return value if self.about is None else value | {"about": dict(self.about)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` returned; anything else in it is passed over."""
        return cls(
            run_id=value["runId"],
            started_at=datetime.fromisoformat(value["startedAt"]),
            is_dry=value["dryRun"] is True,
            reason=value.get("reason"),
            follows=value.get("follows"),
            about=value.get("about"),
        )


def read_run(event: Mapping[str, Any]) -> Run:
    """Read what a run was started with.

    Parameters
    ----------
    event
        ``{"runId", "startedAt": ISO 8601, "input": {"reason"?: text, "dryRun"?: true or false,
        "follows"?: run id, "about"?: object}}``.

    Raises
    ------
    BroadcastInputError
        The input is anything else. A mistyped dry run must not become a real one.
    """
    given = event.get("input")
    if not isinstance(given, dict):
        raise BroadcastInputError(
            f"the input must be a JSON object, got {type(given).__name__}; start with {{}}"
        )
    if unknown := given.keys() - {"reason", "dryRun", "follows", "about"}:
        raise BroadcastInputError(
            f"the input is reason, dryRun, follows and about, got {', '.join(sorted(unknown))}; "
            "leave out the rest"
        )
    is_dry, reason, follows = given.get("dryRun", False), given.get("reason", ""), given.get("follows")
    if not isinstance(is_dry, bool):
        raise BroadcastInputError("dryRun must be true or false; leave it out to send")
    if not isinstance(reason, str):
        raise BroadcastInputError("reason must be text; leave it out where there is none")
    if follows is not None and (not isinstance(follows, str) or not follows):
        raise BroadcastInputError("follows must be the id of a run; leave it out to ask everybody")
    about = given.get("about")
    if about is not None and not isinstance(about, dict):
        raise BroadcastInputError("about must be a JSON object; leave it out where there is nothing to say")
    return Run(
        run_id=event["runId"],
        started_at=datetime.fromisoformat(event["startedAt"]),
        is_dry=is_dry,
        reason=reason[:MAX_REASON_LENGTH] or None,
        follows=follows,
        about=about,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """People of one group who are asked by one call of a function.

    Attributes
    ----------
    key
        Object with their ids.
    group
        ``RecipientHours.key`` of all of them.
    people
        How many there are.
    not_before
        When they may be asked; None means at once.
    failures
        How often in a row their function died, or asking them ended in an error that nobody foresaw.
    outages
        How often in a row a service did not answer, their function did not begin, or the carrier took
        nothing. Both make the next attempt wait.
    may_have_texted
        An earlier attempt may have texted some of them and did not say whom. Once set it stays: only the
        ledger knows, and it is asked in their turn.
    """

    key: str
    group: str
    people: int
    not_before: datetime | None = None
    failures: int = 0
    outages: int = 0
    may_have_texted: bool = False

    @property
    def name(self) -> str:
        """Last part of the key, without its ending."""
        return self.key.rpartition("/")[2].removesuffix(".jsonl")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; what is as usual is left out, since a run has thousands of parts."""
        value: dict[str, Any] = {"key": self.key, "group": self.group, "people": self.people}
        if self.not_before is not None:
            value["notBefore"] = self.not_before.isoformat()
        if self.failures:
            value["failures"] = self.failures
        if self.outages:
            value["outages"] = self.outages
        if self.may_have_texted:
            value["mayHaveTexted"] = True
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` returned."""
        return cls(
            key=value["key"],
            group=value["group"],
            people=value["people"],
            not_before=instant(value.get("notBefore")),
            failures=value.get("failures", 0),
            outages=value.get("outages", 0),
            may_have_texted=value.get("mayHaveTexted", False),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who belongs to a run.

    Attributes
    ----------
    customers
        Everybody whom the source named.
    recipients
        Those in the parts.
    skipped
        Those who are in none.
    parts
        In the order in which they are to be sent.
    result_keys
        Where the outcomes of the skipped lie.
    """

    customers: int
    recipients: int
    skipped: Tally
    parts: Sequence[Part]
    result_keys: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "customers": self.customers,
            "recipients": self.recipients,
            "skipped": tally_to_json(self.skipped),
            "parts": [part.to_json() for part in self.parts],
            "resultKeys": list(self.result_keys),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` returned."""
        return cls(
            customers=value["customers"],
            recipients=value["recipients"],
            skipped=tally_from_json(value["skipped"]),
            parts=[Part.from_json(part) for part in value["parts"]],
            result_keys=value["resultKeys"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Input of one child of the Distributed Map: one part, and where to report.

    Attributes
    ----------
    report_key
        Where the `PartReport` goes.
    """

    run: Run
    part: Part
    report_key: str

    def to_json(self) -> dict[str, Any]:
        """Return an entry of the wave's manifest."""
        return {"run": self.run.to_json(), "part": self.part.to_json(), "reportKey": self.report_key}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` returned."""
        return cls(
            run=Run.from_json(value["run"]),
            part=Part.from_json(value["part"]),
            report_key=value["reportKey"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReport:
    """What one attempt at a part came to: the last object that the attempt writes.

    Attributes
    ----------
    ended_at
        Aware UTC.
    final
        Sum over the people whose state is final.
    result_key
        Where their outcomes lie; None where there are none.
    rest
        Everybody else of the part, unless `is_untouched`.
    is_untouched
        Nobody was asked: the part can be given out again as it is.
    stopped_by
        Reason for which nobody else may be asked now either, as ``PAUSED`` or ``DAY_BUDGET``.
    until
        How long that reason lasts, where that is known.
    """

    ended_at: datetime
    final: Tally = field(default_factory=Tally)
    result_key: str | None = None
    rest: Sequence[PersonOutcome] = ()
    is_untouched: bool = False
    stopped_by: str | None = None
    until: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "endedAt": self.ended_at.isoformat(),
            "final": tally_to_json(self.final),
            "resultKey": self.result_key,
            "rest": [outcome_to_json(outcome) for outcome in self.rest],
            "untouched": self.is_untouched,
            "stoppedBy": self.stopped_by,
            "until": None if self.until is None else self.until.isoformat(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` returned."""
        return cls(
            ended_at=datetime.fromisoformat(value["endedAt"]),
            final=tally_from_json(value["final"]),
            result_key=value["resultKey"],
            rest=[outcome_from_json(row) for row in value["rest"]],
            is_untouched=value["untouched"],
            stopped_by=value["stoppedBy"],
            until=instant(value["until"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastSettings:
    """How runs are carried out.

    Attributes
    ----------
    recipients_per_part
        People of a part; a function must get through them in half its time at the configured rate.
    recipients_per_second
        What all parts together reach at best; the arithmetic of waves starts from it.
    expires_after
        Age at which a run gives up on who still waits.
    follow_up_after
        How long after a text its person's follow-up may come; None means never.
    """

    recipients_per_part: int
    recipients_per_second: float
    expires_after: timedelta = timedelta(days=7)
    follow_up_after: timedelta | None = None

    def expires_at(self, run: Run) -> datetime:
        """When a run gives up. One that follows another only begins when its people are due again."""
        wait = self.follow_up_after if run.follows is not None else None
        return run.started_at + (wait or timedelta(0)) + self.expires_after


class RunStore(Protocol):
    """Objects of runs. A key is written again only with what replaces it."""

    def write_people(self, key: str, recipient_ids: Sequence[str]) -> None:
        """Write a part."""
        ...

    def read_people(self, keys: Sequence[str]) -> Iterator[Sequence[str]]:
        """Read parts, a few at a time, in their order."""
        ...

    def write_outcomes(self, key: str, outcomes: Iterable[PersonOutcome]) -> None:
        """Write what became of people, a line each."""
        ...

    def read_outcomes(self, keys: Sequence[str]) -> Iterator[Sequence[PersonOutcome]]:
        """Read what became of people, an object at a time, in their order."""
        ...

    def write_json(self, key: str, value: Any) -> None:
        """Write a JSON object or array."""
        ...

    def read_json(self, keys: Sequence[str], *, prefix: str) -> Iterator[Any]:
        """Read JSON objects, a few at a time, in their order; None in place of a missing one.

        Parameters
        ----------
        prefix
            Of all keys. Which of them exist is listed first.
        """
        ...


type Fragment = Mapping[str, Any]
"""Where rows of a shuffle lie: JSON that goes into the snapshot's checkpoint."""


class Shuffle(Protocol):
    """Rows in buckets by key, so that the rows of one key meet, however many there are in all."""

    buckets: int
    """How many there are. A bucket fits in memory."""

    @property
    def pending_bytes(self) -> int:
        """Size of the rows that were added and not yet written."""
        ...

    def add(self, key: str, row: Any) -> None:
        """Add a row: anything that JSON can hold."""
        ...

    def write(self, key: str) -> Fragment | None:
        """Write what was added since the last call as one object; None where that is nothing."""
        ...

    def span_end(self, start: int, fragments: Sequence[Fragment], *, max_bytes: int) -> int:
        """Return the bucket before which to stop reading: at least one, others while they fit."""
        ...

    def read(self, start: int, end: int, fragments: Sequence[Fragment]) -> Sequence[Any]:
        """Read the rows of the buckets from `start` on and before `end`, in any order."""
        ...


def instant(text: str | None) -> datetime | None:
    """Read an instant of a JSON object."""
    return None if text is None else datetime.fromisoformat(text)


def outcome_to_json(outcome: PersonOutcome) -> dict[str, Any]:
    """Return a line of a result."""
    value: dict[str, Any] = {
        "userId": outcome.user_id,
        "state": outcome.state,
        "reason": outcome.reason,
        "messageId": outcome.message_id,
        "parts": outcome.parts,
    }
    return value if outcome.until is None else value | {"until": outcome.until.isoformat()}


def outcome_from_json(value: Mapping[str, Any]) -> PersonOutcome:
    """Read what `outcome_to_json` returned."""
    return PersonOutcome(
        user_id=value["userId"],
        state=value["state"],
        reason=value["reason"],
        message_id=value["messageId"],
        parts=value["parts"],
        until=instant(value.get("until")),
    )


def tally_to_json(tally: Tally) -> dict[str, Any]:
    """Return a JSON object."""
    return {
        "people": tally.people,
        "outcomes": dict(tally.outcomes),
        "reasons": dict(tally.reasons),
        "parts": tally.parts,
    }


def tally_from_json(value: Mapping[str, Any]) -> Tally:
    """Read what `tally_to_json` returned."""
    return Tally(
        people=value["people"], outcomes=value["outcomes"], reasons=value["reasons"], parts=value["parts"]
    )
