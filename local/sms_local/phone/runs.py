"""The review broadcast seen from outside: starting a run, and reporting who gets the text and who not."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sms_local.people import Person
from sms_local.phone.executions import Execution, StateEvent
from sms_local.phone.words import explain

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

#: People whom a report names; the others are in its figures.
MOST_PEOPLE = 200
#: Objects of one kind that a report is made from, and their lines: parts and results have thousands each.
_MOST_OBJECTS = 60
_MOST_LINES = 1000
#: All objects of a run; the greatest one of a local cloud has some dozens.
_MOST_KEYS = 10_000

#: Groups of a report, in the order in which they are shown:
#: those first whom a reader would not expect.
LATER, UNKNOWN, LEFT, NOT, NOW = GROUPS = ("later", "unknown", "left", "not", "now")

#: Reasons for which somebody of a dry run would get the text later.
_LATER_REASONS = ("QUIET_HOURS", "FREQUENCY_CAP")

_GROUP_OF_STATE = {
    "ACCEPTED": NOW,
    "WOULD_SEND": NOW,
    "DEFERRED": LATER,
    "UNCERTAIN": UNKNOWN,
    "IN_FLIGHT": UNKNOWN,
}


class Broadcast:
    """Starts and stops runs.

    Parameters
    ----------
    machine
        ARN of the state machine.
    """

    def __init__(self, client: "SFNClient", *, machine: str) -> None:
        self._client = client
        self.machine = machine

    def start(self, *, is_dry: bool) -> str:
        """Send today's requests, or find out what sending them would do; return the id of the run."""
        given: dict[str, Any] = {"reason": "started on the phone page"}
        if is_dry:
            given["dryRun"] = True
        started = self._client.start_execution(stateMachineArn=self.machine, input=json.dumps(given))
        return started["executionArn"].rpartition(":")[2]

    def runs(self, executions: Iterable[Execution]) -> list[Execution]:
        """Return the runs among these executions, in their order."""
        return [one for one in executions if one.machine == self.machine]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFiles:
    """What a run has written into its bucket so far.

    Attributes
    ----------
    progress, summary
        The run in figures, while it lasts and at its end; empty where they are not there.
    results
        One line a person whose state is final; ``at`` in it is when a part ended with it, None for those whom
        the snapshot left out.
    rest
        One line a person who was looked at and has to wait, with the same ``at``.
    people
        Ids of those in the parts.
    """

    progress: Mapping[str, Any] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    results: Sequence[Mapping[str, Any]] = ()
    rest: Sequence[Mapping[str, Any]] = ()
    people: Sequence[str] = ()


class RunFilesReader:
    """Reads the objects of runs; each object once.

    Not safe to use from several threads at once.

    Parameters
    ----------
    bucket
        Where the broadcast keeps its runs.
    """

    def __init__(self, client: "S3Client", *, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._bodies: dict[str, tuple[str, bytes]] = {}

    def read(self, run_id: str) -> RunFiles:
        """Read what there is, up to a bound."""
        prefix = f"runs/{run_id}/"
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix, PaginationConfig={"MaxItems": _MOST_KEYS}
        )
        etags = {one["Key"]: one["ETag"] for page in pages for one in page.get("Contents", [])}

        def read(folder: str) -> dict[str, bytes]:
            keys = sorted(key for key in etags if key.startswith(prefix + folder))
            return {key: self._body(key, etags[key]) for key in keys[:_MOST_OBJECTS]}

        def one(name: str) -> Mapping[str, Any]:
            value = json.loads(next(iter(read(name).values()), b"{}"))
            return value if isinstance(value, dict) else {}

        def lines(folder: str) -> list[tuple[str, dict[str, Any]]]:
            found: list[tuple[str, dict[str, Any]]] = []
            for key in sorted(key for key in etags if key.startswith(prefix + folder)):
                if len(found) >= _MOST_LINES:
                    break
                body = self._body(key, etags[key])
                found += [(key, json.loads(line)) for line in body.splitlines() if line.strip()]
            return found[:_MOST_LINES]

        reports = [json.loads(body) for body in read("reports/").values()]
        ended = {report["resultKey"]: report["endedAt"] for report in reports if report.get("resultKey")}
        # At its end a run lists the results that count: a part that died may have left others.
        named = {result["key"] for result in one("results.json").get("results", ())}
        return RunFiles(
            progress=one("progress.json"),
            summary=one("summary.json"),
            results=[
                line | {"at": ended.get(key)} for key, line in lines("results/") if not named or key in named
            ],
            rest=[line | {"at": report["endedAt"]} for report in reports for line in report.get("rest", ())],
            people=[line["userId"] for _, line in lines("parts/")],
        )

    def forget(self) -> None:
        """Forget what was read."""
        self._bodies.clear()

    def _body(self, key: str, etag: str) -> bytes:
        known = self._bodies.get(key)
        if known is None or known[0] != etag:
            body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            known = self._bodies[key] = (etag, body)
        return known[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a run knows of one person.

    Attributes
    ----------
    person
        The demo customer; None for anybody else.
    group
        One of `GROUPS`.
    state, reason
        As the run wrote them; empty and None before the person's turn.
    until
        When the person can be texted, where that is known.
    at
        When the run found it out; None where the snapshot did, and before.
    """

    user_id: str
    person: Person | None
    group: str
    state: str = ""
    reason: str | None = None
    until: datetime | None = None
    parts: int = 0
    at: datetime | None = None

    @property
    def name(self) -> str:
        """Name, or the customer id where the page knows no name."""
        return self.person.name if self.person else self.user_id

    @property
    def words(self) -> str:
        """Why the text goes out, waits or doesn't."""
        town = self.person.town if self.person else None
        return explain(self.state, self.reason, town=town) if self.state else "has not had a turn yet"

    def to_json(self) -> dict[str, Any]:
        """Return the person's line of the report."""
        return {
            "userId": self.user_id,
            "name": self.name,
            "group": self.group,
            "words": self.words,
            "code": self.reason or self.state,
            "until": self.until.isoformat() if self.until else None,
            "parts": self.parts,
        }


def turns_of(run: Execution, files: RunFiles, people: Iterable[Person]) -> list[Turn]:
    """Return everybody of a run, by group and then by id.

    While texts are being sent, people keep their places whatever becomes of them.
    """
    known = {person.user_id: person for person in people}
    latest: dict[str, Mapping[str, Any]] = {user_id: {"userId": user_id} for user_id in files.people}
    # A person who waited has a result later; never the other way round.
    for line in (*files.rest, *files.results):
        latest[line["userId"]] = line
    turns = [
        Turn(
            user_id=user_id,
            person=known.get(user_id),
            group=_group(line.get("state", ""), line.get("reason"), is_running=run.is_running),
            state=line.get("state", ""),
            reason=line.get("reason"),
            until=_instant(line.get("until")),
            parts=line.get("parts", 0),
            at=_instant(line.get("at")),
        )
        for user_id, line in latest.items()
    ]
    if run.is_running and waits_until(run) is None:
        return sorted(turns, key=lambda turn: (turn.group != NOT, turn.user_id))
    return sorted(turns, key=lambda turn: (GROUPS.index(turn.group), turn.user_id))


def describe_run(run: Execution, files: RunFiles, turns: Sequence[Turn]) -> dict[str, Any]:
    """Return the report of a run for the page.

    Returns
    -------
    dict
        ``{"id", "isDry", "status", "startedAt", "problem", "waitsUntil", "waitReason", "total", "left",
        "groups": {group: number}, "people": [`Turn`], "unnamed", "parts", "costUsd", "paused",
        "stoppedBy"}``. ``left`` are those without a final state, None where nobody knows; ``waitReason`` is
        None where the wait is for the hour; ``unnamed`` is the number of people without a line of their own.
    """
    summary = run.came_to or files.summary
    total = summary.get("customers") or files.progress.get("customers") or len(turns)
    stopped_by = summary.get("stoppedBy")
    until, held = waits_until(run), files.progress.get("reason")
    groups = _count_groups(summary, files.progress if len(turns) < total else {}, turns)
    return {
        "id": run.name,
        "isDry": run.given.get("dryRun") is True,
        "status": run.status,
        "startedAt": run.started_at.isoformat(),
        "problem": run.problem,
        "waitsUntil": until.isoformat() if until else None,
        "waitReason": explain("DEFERRED", held) if until and held else None,
        "total": total,
        "left": groups[LATER] + groups[LEFT] if run.is_running and turns else None,
        "groups": groups,
        "people": [turn.to_json() for turn in turns[:MOST_PEOPLE]],
        "unnamed": max(0, total - min(len(turns), MOST_PEOPLE)),
        "parts": summary.get("parts", sum(turn.parts for turn in turns)),
        "costUsd": summary.get("estimatedCostUsd"),
        "paused": summary.get("paused") is True,
        "stoppedBy": explain("REMAINING", stopped_by) if stopped_by else None,
    }


def waits_until(run: Execution) -> datetime | None:
    """Return the instant that a run waits for; None where it does not wait."""
    if not run.is_running or not run.events:
        return None
    last = run.events[-1]
    return awaited(last) if (last.kind, last.state_type) == ("entered", "Wait") else None


def awaited(entered: StateEvent) -> datetime | None:
    """Return the instant that a Wait state was given, from its input."""
    outcome = entered.data.get("outcome")
    return _instant(
        entered.data.get("until") or (outcome.get("until") if isinstance(outcome, dict) else None)
    )


def _count_groups(
    summary: Mapping[str, Any], progress: Mapping[str, Any], turns: Sequence[Turn]
) -> dict[str, int]:
    """Return how many people are in each group: by the sum of the run, as far as it is, else by its people.

    Parameters
    ----------
    progress
        Where not all people were read; empty otherwise.
    """
    counts = dict.fromkeys(GROUPS, 0)
    figures = summary if "outcomes" in summary else progress
    if "outcomes" not in figures:
        for turn in turns:
            counts[turn.group] += 1
        return counts
    for state, number in figures["outcomes"].items():
        counts[_group(state, None, is_running=False)] += number
    if figures.get("dryRun") is True:
        later = sum(figures["reasons"].get(reason, 0) for reason in _LATER_REASONS)
        counts[NOW] -= later
        counts[LATER] += later
    # While it lasts, whoever is left has their turn to come.
    counts[LATER] += figures.get("remaining", 0) - counts[LEFT] if "remaining" in figures else 0
    return counts


def _group(state: str, reason: str | None, *, is_running: bool) -> str:
    if not state or state == "REMAINING":
        return LATER if is_running else LEFT
    # A dry run says of somebody who would have to wait that they would get it, and why not now.
    if state == "WOULD_SEND" and reason is not None:
        return LATER
    return _GROUP_OF_STATE.get(state, NOT)


def _instant(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
