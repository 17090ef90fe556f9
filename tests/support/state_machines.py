"""A small interpreter of state machines in JSONPath, so that a definition is walked and not only read.

It knows what our definitions use: Choice on texts and booleans, Wait, Pass, Task with ``Parameters``,
``ResultSelector``, ``ResultPath``, ``OutputPath``, ``Retry`` and ``Catch``, Parallel, Succeed and Fail. What
it does not know raises. The context object is what the input has under ``$``.
Source: Amazon States Language, https://states-language.net/spec.html.
"""

import json
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

type Call = Callable[[str, dict[str, Any]], Any]
"""Answers a Task: its resource and its parameters."""


class TaskFailed(Exception):  # noqa: N818 - what a task ends with, no mistake of the interpreter
    """A Task ended with an error of this name."""

    def __init__(self, name: str, cause: str = "") -> None:
        super().__init__(name)
        self.name = name
        self.cause = cause


@dataclass
class Walk:
    """What an execution did.

    Attributes
    ----------
    states
        Names in their order.
    waits
        Seconds or timestamps of its waits.
    calls
        Parameters of its tasks, repeated ones included.
    output
        What it ended with.
    is_failed
        Whether it ended in a Fail state, or with a Task whose error nothing caught: the last of `states`.
    """

    states: list[str] = field(default_factory=list)
    waits: list[int | str] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    output: Any = None
    is_failed: bool = False
    error: str | None = None


def walk(definition: Mapping[str, Any], start: dict[str, Any], call: Call, *, most: int = 200) -> Walk:
    """Run an execution to its end. Waits take no time; a retry follows at once."""
    walked, data, name = Walk(), deepcopy(start), definition["StartAt"]
    while len(walked.states) < most:
        walked.states.append(name)
        state = definition["States"][name]
        match state["Type"]:
            case "Succeed":
                walked.output = data
                return walked
            case "Fail":
                error = state["Error"] if "Error" in state else value_at(data, state["ErrorPath"])
                walked.is_failed, walked.error = True, error
                return walked
            case "Pass":
                data = deepcopy(state.get("Result", data))
                if state.get("End"):
                    walked.output = data
                    return walked
                name = state["Next"]
            case "Parallel":
                # One after another: what a branch does is none of the others' business.
                branches = [walk(branch, data, call, most=most) for branch in state["Branches"]]
                assert not any(branch.is_failed for branch in branches), "a branch fails the whole state"
                for branch in branches:
                    walked.states += branch.states
                    walked.waits += branch.waits
                    walked.calls += branch.calls
                data, name = [branch.output for branch in branches], state["Next"]
            case "Wait":
                walked.waits.append(_wait(state, data))
                name = state["Next"]
            case "Choice":
                name = next(
                    (choice["Next"] for choice in state["Choices"] if _holds(choice, data)),
                    state.get("Default"),
                )
                assert name is not None, "States.NoChoiceMatched"
            case "Task":
                try:
                    data, name = _task(state, data, call, walked)
                except TaskFailed as error:
                    walked.is_failed, walked.error = True, error.name
                    return walked
            case unknown:
                raise NotImplementedError(unknown)
    raise AssertionError(f"no end after {most} states: {walked.states[-6:]}")


def value_at(data: Any, path: str) -> Any:
    """Value at a path such as ``$.outcome.until``; where there is none it is an error, as in the service."""
    assert path.startswith("$"), path
    for step in path.removeprefix("$").lstrip(".").split("."):
        if step.startswith("["):
            data = data[int(step.strip("[]"))]
        elif step:
            data = data[step]
    return data


def _task(state: Mapping[str, Any], data: Any, call: Call, walked: Walk) -> tuple[Any, str]:
    parameters = _filled(state["Parameters"], data)
    attempts: dict[int, int] = {}
    while True:
        walked.calls.append((state["Resource"], parameters))
        try:
            result = call(state["Resource"], deepcopy(parameters))
        except TaskFailed as error:
            found = _matching(state.get("Retry", ()), error.name)
            if found is not None:
                number, retry = found
                attempts[number] = attempts.get(number, 0) + 1
                if attempts[number] <= retry["MaxAttempts"]:
                    continue
            caught = _matching(state.get("Catch", ()), error.name)
            if caught is None:
                raise
            return _placed(data, {"Error": error.name, "Cause": error.cause}, caught[1]), caught[1]["Next"]
        if "ResultSelector" in state:
            result = _filled(state["ResultSelector"], result)
        placed = _placed(data, result, state)
        return value_at(placed, state.get("OutputPath", "$")), state["Next"]


def _matching(rules: Any, error: str) -> tuple[int, Mapping[str, Any]] | None:
    for number, rule in enumerate(rules):
        if error in rule["ErrorEquals"] or "States.ALL" in rule["ErrorEquals"]:
            return number, rule
    return None


def _filled(template: Mapping[str, Any], data: Any) -> dict[str, Any]:
    filled: dict[str, Any] = {}
    for key, value in template.items():
        if isinstance(value, dict):
            filled[key] = _filled(value, data)
        elif key.endswith(".$"):
            filled[key[:-2]] = _value(value, data)
        else:
            filled[key] = value
    return filled


def _value(expression: str, data: Any) -> Any:
    if expression == "States.JsonToString($)":
        return json.dumps(data)
    formatted = re.fullmatch(r"States\.Format\('([^']*)', (\$[\w.]*)\)", expression)
    if formatted is not None:
        return formatted[1].replace("{}", str(value_at(data, formatted[2])))
    return value_at(data, expression)


def _placed(data: Any, result: Any, state: Mapping[str, Any]) -> Any:
    path = state.get("ResultPath", "$")
    if path is None:
        return data
    if path == "$":
        return result
    placed = deepcopy(data)
    placed[path.removeprefix("$.")] = result
    return placed


def _wait(state: Mapping[str, Any], data: Any) -> int | str:
    if "Seconds" in state:
        assert isinstance(state["Seconds"], int)
        return state["Seconds"]
    until = value_at(data, state["TimestampPath"])
    assert isinstance(until, str), f"no timestamp at {state['TimestampPath']}: {until!r}"
    assert until.endswith("Z")
    return until


def _holds(choice: Mapping[str, Any], data: Any) -> bool:
    value = value_at(data, choice["Variable"])
    if "StringEquals" in choice:
        return bool(value == choice["StringEquals"])
    if "BooleanEquals" in choice:
        return value is choice["BooleanEquals"]
    raise NotImplementedError(str(choice))
