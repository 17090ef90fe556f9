"""Journeys seen from outside: starting one, and how far it is."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sms_local.people import PEOPLE, Person
from sms_local.phone.account import Step, Words
from sms_local.phone.executions import Execution
from sms_local.phone.runs import LATER, NOT, NOW, RunFiles, describe_run, turns_of
from sms_local.phone.subscriber_list import Listed, describe_subscriber
from sms_local.phone.words import counted
from sms_local.subscribers import SEGMENT

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

WELCOME: Final = "welcome"
PROMOTIONAL: Final = "promotional"

#: Key of the outputs' state machines → journey.
MACHINES: Final = {"journey_welcome": WELCOME, "journey_promotional": PROMOTIONAL}

#: Runs that are told of, the newest ones.
_MOST_RUNS: Final = 3

_TITLES: Final = {WELCOME: "Welcome series", PROMOTIONAL: "Promotion"}

#: What begins within so long of the start is not waited for.
_AT_ONCE: Final = timedelta(minutes=1)

_CODE_CHARACTERS: Final = 20


class WishError(ValueError):
    """What somebody wants to start makes no sense; the message says why, to a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A journey that somebody wants to start.

    Attributes
    ----------
    user_id
        The demo customer whom it is for; None for all of the segment.
    """

    journey: str
    user_id: str | None = None
    values: Mapping[str, str] | None = None


def read_wish(given: Mapping[str, Any]) -> Wish:
    """Read ``{"journey": "welcome", "userId"?, "promo"?, "discount"?}``.

    Raises
    ------
    WishError
        It is anything else.
    """
    journey, user_id = given.get("journey"), given.get("userId")
    if journey not in _TITLES:
        msg = "Say which journey: welcome or promotional."
        raise WishError(msg)
    if user_id is not None and not isinstance(user_id, str):
        msg = "Say whom by the id of a customer, or leave it out for everybody."
        raise WishError(msg)
    if journey == WELCOME:
        return Wish(journey=journey, user_id=user_id)
    promo, discount = given.get("promo"), given.get("discount")
    if not isinstance(promo, str) or not 1 <= len(promo.strip()) <= _CODE_CHARACTERS:
        msg = f"Give a code of 1 to {_CODE_CHARACTERS} characters."
        raise WishError(msg)
    if not isinstance(discount, str) or not discount.isascii() or not discount.isdigit():
        msg = "Give the discount as a whole number of per cent."
        raise WishError(msg)
    if not 1 <= int(discount[:4]) <= 99:
        msg = "A discount is 1 to 99 per cent."
        raise WishError(msg)
    values = {"promo": promo.strip(), "discount": str(int(discount))}
    return Wish(journey=journey, user_id=user_id, values=values)


class Journeys:
    """Starts journeys and tells their executions apart.

    Parameters
    ----------
    machines
        Journey → ARN of its state machine.
    """

    def __init__(self, client: "SFNClient", *, machines: Mapping[str, str]) -> None:
        self._client = client
        self.machines = machines
        self._names = {arn: name for name, arn in machines.items()}

    def start(self, wish: Wish, *, subscriber_id: str | None) -> str:
        """Start a journey; return the id of its run."""
        given: dict[str, Any] = {"reason": "started on the phone page"}
        if subscriber_id is None:
            given["segment"] = SEGMENT
        else:
            given["subscriberIds"] = [subscriber_id]
        if wish.values is not None:
            given["values"] = dict(wish.values)
        started = self._client.start_execution(
            stateMachineArn=self.machines[wish.journey], input=json.dumps(given)
        )
        return started["executionArn"].rpartition(":")[2]

    def runs(self, executions: Iterable[Execution]) -> list[Execution]:
        """Return the runs of journeys among these executions, in their order."""
        return [one for one in executions if one.machine in self._names]

    def name_of(self, run: Execution) -> str:
        """Return which journey a run is of."""
        return self._names[run.machine]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One step of one run: a run of the broadcast engine.

    Attributes
    ----------
    run_id
        Of the journey's run.
    """

    execution: Execution
    run_id: str
    number: int
    journey: str


def moment_of(execution: Execution) -> Moment | None:
    """Return the step of a journey that an execution is; None for any other one.

    What a journey hands to the engine says so (``journeys.domain.runs.StepRun``).
    """
    about = execution.given.get("about")
    if not isinstance(about, dict):
        return None
    run, number, journey = about.get("run"), about.get("number"), about.get("journey")
    name = journey.get("name") if isinstance(journey, dict) else None
    if not isinstance(run, str) or not isinstance(number, int) or not isinstance(name, str):
        return None
    return Moment(execution=execution, run_id=run, number=number, journey=name)


def moments_of(executions: Iterable[Execution]) -> list[Moment]:
    """Return the steps of journeys among these executions."""
    return [moment for moment in map(moment_of, executions) if moment is not None]


def title(journey: str) -> str:
    """Return what a journey is called on the page."""
    return _TITLES.get(journey, journey)


def titles(runs: Iterable[Execution], moments: Iterable[Moment], journeys: Journeys) -> dict[str, Words]:
    """Return the heading of each run and of each of its steps, by their ids."""
    told: dict[str, Words] = {
        run.name: (f"{title(journeys.name_of(run))} of ", run.started_at) for run in runs
    }
    for moment in moments:
        execution = moment.execution
        told[execution.name] = (f"{title(moment.journey)}, text {moment.number}, ", execution.started_at)
    return told


def next_start(run: Execution, moments: Iterable[Moment]) -> datetime | None:
    """Return when the next text of a run is due, one that has not begun; None where it waits for none.

    By what the state machine was told of its steps (``journeys.domain.runs.start``): what happens within its
    branches is not in every history.
    """
    if not run.is_running:
        return None
    begun = {moment.execution.name for moment in moments}
    steps = next((event.data["steps"] for event in reversed(run.events) if "steps" in event.data), None)
    # The first text is not waited for: its time is that of the start.
    earliest = run.started_at + _AT_ONCE
    starts = (_start(step, begun) for step in (steps.values() if isinstance(steps, dict) else ()))
    return min((at for at in starts if at is not None and at > earliest), default=None)


def _start(step: object, begun: Collection[str]) -> datetime | None:
    if not isinstance(step, dict) or step.get("name") in begun:
        return None
    at = step.get("startsAt")
    return datetime.fromisoformat(at).astimezone(UTC) if isinstance(at, str) else None


def steps_of_journey(run: Execution, journeys: Journeys, *, begins: datetime | None) -> list[Step]:
    """Return the account of a run: when it began, what it waits for, how it ended."""
    name = title(journeys.name_of(run))

    def step(id: str, at: datetime, kind: str, *words: str | datetime) -> Step:
        return Step(id=f"{run.arn}/{id}", at=at, kind=kind, words=words, run=run.name)

    whom = run.given.get("segment")
    to = f" for the segment “{whom}”" if isinstance(whom, str) else ""
    steps = [step("began", run.started_at, "run", f"The {name.lower()} begins{to}")]
    if begins is not None:
        steps.append(step("next", run.started_at, "wait", "Its next text is due at ", begins))
    if run.stopped_at is not None:
        if run.status == "SUCCEEDED":
            steps.append(step("ended", run.stopped_at, "run", f"The {name.lower()} is over"))
        else:
            words = f"The {name.lower()} ended as {run.status}: {run.problem or 'no cause was given'}"
            steps.append(step("ended", run.stopped_at, "problem", words[:160]))
    return steps


# --- for the page


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What there is to tell of journeys.

    Attributes
    ----------
    files
        ARN of an engine's run → what it has written.
    people
        As `as_people` returns them.
    """

    runs: Sequence[Execution]
    moments: Sequence[Moment]
    files: Mapping[str, RunFiles]
    people: Sequence[Person]


def describe_campaigns(
    journeys: Journeys, listed: Sequence[Listed], progress: Progress, *, now: datetime
) -> dict[str, Any]:
    """Return the tab's part of the state.

    Returns
    -------
    dict
        ``{"canWelcome", "canPromote", "people": [{"userId", "name"}], "subscribers": [{"id", "name",
        "phone", "status", "words", "mark", "texts", "answers", "last": {"text", "sentiment", "at"}}],
        "runs": [{"id", "title", "status", "startedAt", "nextAt", "problem", "texts": [{"number", "words",
        "done", "total"}]}]}``, the newest run first.
    """
    at = int(now.timestamp() * 1000)
    newest = sorted(progress.runs, key=lambda run: run.started_at, reverse=True)[:_MOST_RUNS]
    return {
        "canWelcome": WELCOME in journeys.machines,
        "canPromote": PROMOTIONAL in journeys.machines,
        "people": [
            {"userId": person.user_id, "name": person.name} for person in PEOPLE if person.phone is not None
        ],
        "subscribers": [describe_subscriber(one, at) for one in listed],
        "runs": [_describe_run(run, journeys, progress) for run in newest],
    }


def _describe_run(run: Execution, journeys: Journeys, progress: Progress) -> dict[str, Any]:
    moments = sorted((one for one in progress.moments if one.run_id == run.name), key=lambda one: one.number)
    begins = next_start(run, moments)
    return {
        "id": run.name,
        "title": title(journeys.name_of(run)),
        "status": run.status,
        "startedAt": run.started_at.isoformat(),
        "nextAt": begins.isoformat() if begins else None,
        "problem": run.problem,
        "texts": [_describe_moment(moment, progress) for moment in moments],
    }


def _describe_moment(moment: Moment, progress: Progress) -> dict[str, Any]:
    execution = moment.execution
    files = progress.files.get(execution.arn, RunFiles())
    run = describe_run(execution, files, turns_of(execution, files, progress.people))
    groups, total = run["groups"], run["total"]
    waiting = groups[LATER]
    done = max(0, total - waiting)
    words = [f"{counted(groups[NOW], 'text', 'texts')} sent"]
    if groups[NOT]:
        words.append(f"{groups[NOT]:,} without")
    if waiting and execution.is_running:
        words.append(f"{counted(waiting, 'waits', 'wait')}")
    return {
        "number": moment.number,
        "status": execution.status,
        "words": ", ".join(words),
        "done": done,
        "total": total,
        "isRunning": execution.is_running,
        "waitsUntil": run["waitsUntil"],
    }
