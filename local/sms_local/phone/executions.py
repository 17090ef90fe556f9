"""What Step Functions tells of its executions: which there are, and the steps that each took."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef

RUNNING = "RUNNING"

#: The newest ones of each state machine.
_EXECUTIONS_A_MACHINE = 12
_EXECUTIONS_A_PAGE = 100
#: What one call brings. A history holds up to 25,000 events (Step Functions, *Quotas*); the account of it
#: shows the newest.
_EVENTS_A_CALL = 200
_MACHINES_FRESH_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StateEvent:
    """A state that was entered or left, or the end of the execution.

    Attributes
    ----------
    kind
        ``entered``, ``left``, or ``failed`` for an execution that did not succeed.
    state
        Name of the state; empty for the end of the execution.
    state_type
        ``Task``, ``Wait``, ``Map`` …
    data
        Input of a state that was entered, output of one that was left; empty where it is no JSON object.
    """

    id: int
    at: datetime
    kind: str
    state: str = ""
    state_type: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One execution, with what happened in it so far.

    Attributes
    ----------
    arn, name
        `name` is the id of a broadcast's run.
    machine, machine_name
        ARN and name of the state machine.
    status
        ``RUNNING``, ``SUCCEEDED``, ``FAILED``, ``TIMED_OUT`` or ``ABORTED``.
    given
        Its input; empty where that is no JSON object.
    came_to
        Its output; empty before the end.
    problem
        Why it did not succeed, in a sentence.
    events
        In order; the newest of a long history.
    """

    arn: str
    name: str
    machine: str
    machine_name: str
    status: str
    started_at: datetime
    stopped_at: datetime | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    came_to: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None
    events: tuple[StateEvent, ...] = ()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.status == RUNNING


class ExecutionReader:
    """Reads the executions of all state machines; what has ended is read once.

    Not safe to use from several threads at once.
    """

    def __init__(self, client: "SFNClient") -> None:
        self._client = client
        self._machines: dict[str, str] = {}
        self._machines_read_at = float("-inf")
        self._known: dict[str, Execution] = {}
        self._ignored: set[str] = set()

    def recent(self) -> list[Execution]:
        """Return the newest executions of every state machine, oldest first."""
        found: dict[str, Execution] = {}
        for machine, title in self._state_machines().items():
            for arn in islice(self._listed(machine), _EXECUTIONS_A_MACHINE):
                found[arn] = self._read(arn, machine=machine, title=title)
        self._known = found
        return sorted(found.values(), key=lambda execution: (execution.started_at, execution.arn))

    def ignore_all(self) -> None:
        """Pass over everything that has begun so far, from now on."""
        self._ignored |= {arn for machine in self._state_machines() for arn in self._listed(machine)}
        self._known = {}

    def _listed(self, machine: str) -> Iterator[str]:
        # The newest come first. A clock that was put back makes older ones look newer, so those that are
        # ignored may fill the first pages.
        pages = self._client.get_paginator("list_executions").paginate(
            stateMachineArn=machine, PaginationConfig={"PageSize": _EXECUTIONS_A_PAGE}
        )
        for one in (one for page in pages for one in page["executions"]):
            # The parts of a Distributed Map are executions of their own; the run speaks for them.
            if one.get("mapRunArn") is None and one["executionArn"] not in self._ignored:
                yield one["executionArn"]

    def _state_machines(self) -> Mapping[str, str]:
        if time.monotonic() - self._machines_read_at > _MACHINES_FRESH_SECONDS:
            pages = self._client.get_paginator("list_state_machines").paginate()
            self._machines = {
                one["stateMachineArn"]: one["name"] for page in pages for one in page["stateMachines"]
            }
            self._machines_read_at = time.monotonic()
        return self._machines

    def _read(self, arn: str, *, machine: str, title: str) -> Execution:
        known = self._known.get(arn)
        if known is not None and not known.is_running:
            return known
        # Described before its history is read: an execution that has ended by now has its whole history.
        told = self._client.describe_execution(executionArn=arn)
        stopped_at = told.get("stopDate")
        return Execution(
            arn=arn,
            name=told["name"],
            machine=machine,
            machine_name=title,
            status=told["status"],
            started_at=told["startDate"].astimezone(UTC),
            stopped_at=stopped_at.astimezone(UTC) if stopped_at else None,
            given=_json_object(told.get("input")),
            came_to=_json_object(told.get("output")) if told["status"] == "SUCCEEDED" else {},
            problem=read_problem(told.get("error"), told.get("cause")),
            events=self._events(arn, known.events if known else ()),
        )

    def _events(self, arn: str, known: tuple[StateEvent, ...]) -> tuple[StateEvent, ...]:
        newest = self._client.get_execution_history(
            executionArn=arn, maxResults=_EVENTS_A_CALL, reverseOrder=True
        )["events"]
        last = known[-1].id if known else 0
        fresh = [event for event in read_events(newest) if event.id > last]
        return (*known, *fresh)[-_EVENTS_A_CALL:]


def read_events(events: "Iterable[HistoryEventTypeDef]") -> list[StateEvent]:
    """Return what the account tells of a history, in the order of their ids; the rest is left out."""
    found = []
    for event in events:
        kind = event["type"]
        at = event["timestamp"].astimezone(UTC)
        if entered := event.get("stateEnteredEventDetails"):
            found.append(
                StateEvent(
                    id=event["id"],
                    at=at,
                    kind="entered",
                    state=entered["name"],
                    state_type=kind.removesuffix("StateEntered"),
                    data=_json_object(entered.get("input")),
                )
            )
        elif left := event.get("stateExitedEventDetails"):
            found.append(
                StateEvent(
                    id=event["id"],
                    at=at,
                    kind="left",
                    state=left["name"],
                    state_type=kind.removesuffix("StateExited"),
                    data=_json_object(left.get("output")),
                )
            )
        elif kind in ("ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"):
            found.append(StateEvent(id=event["id"], at=at, kind="failed"))
    return sorted(found, key=lambda one: one.id)


def read_problem(error: str | None, cause: str | None) -> str | None:
    """Return error and cause of an execution as a sentence; None where it has neither.

    The cause of a function that failed is JSON with its message and its stack, which nobody wants to see.
    """
    message = _json_object(cause).get("errorMessage") or cause
    if not message:
        return error or None
    return f"{message} ({error})" if error else str(message)


def _json_object(text: str | None) -> Mapping[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
