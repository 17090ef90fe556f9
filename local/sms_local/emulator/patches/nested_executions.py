"""An execution that starts another one and waits for it does so as on AWS, and by the virtual clock.

Reason
    A journey is an execution that waits, for weeks, for broadcasts that it starts by name. Started again
    after an answer was lost, a broadcast must not run twice; stopped, it must not go on; and a journey that
    waits for one must neither hold up a jump of the clock nor end late.
AWS
    ``startExecution.sync`` starts the child as ``StartExecution`` does: a name that a closed execution had,
    or a running one with another input, fails with ``StepFunctions.ExecutionAlreadyExistsException``; the
    same name and input of one that runs give that one. A child that does not succeed fails the task with
    ``States.TaskFailed`` and what it became as the cause. Whoever stops waiting, since it was stopped or its
    time is over, stops the child.
    https://docs.aws.amazon.com/step-functions/latest/dg/connect-stepfunctions.html
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
MiniStack 1.5.33
    Runs the child as an express one in the parent's thread: in the place of an older one of its name, without
    events about its status, with the child's own error, and on to its end whatever becomes of the parent.
    Errors of starting have no ``StepFunctions.`` and ``Exception`` around their names.
Hook
    Replaces ``_invoke_nested_start_execution_sync``: the child gets its own thread, and the parent sleeps on
    the clock until it ends. Only threads that work count, so the parent does not while it waits.
"""

import json
from contextvars import ContextVar
from datetime import datetime
from functools import wraps
from types import ModuleType
from typing import Any, Final

from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite
from sms_local.emulator.patches.execution_waits import ExecutionEndedError, current_step
from sms_local.emulator.virtual_clock import Call, VirtualClock, Woken

SYNC: Final = "states:startExecution.sync"
PARENT: Final = "_waitingParentArn"
"""Member of a child's record: who waits for it."""

_waited_for: ContextVar[list[str] | None] = ContextVar("waited_for", default=None)


def apply(settings: PatchSettings) -> None:
    """Let executions wait for others."""
    from ministack.services import stepfunctions

    for name in (
        "_run_execution",
        "_start_execution",
        "_stop_execution",
        "_stop_children",
        "_nested_start_execution_request",
        "_invoke_nested_start_execution",
        "_invoke_nested_start_execution_sync",
        "_invoke_resource_with_timeout",
        "_executions",
    ):
        require(holds=hasattr(stepfunctions, name), what=f"stepfunctions.{name}")
    _start_once(stepfunctions)
    _name_errors(stepfunctions)
    ended = _Ended(settings.clock)
    _tell_of_ends(stepfunctions, ended)

    def run_and_wait(resource: str, task_input: dict[str, Any]) -> dict[str, Any]:
        return _run_and_wait(stepfunctions, ended, resource, task_input)

    vars(stepfunctions)["_invoke_nested_start_execution_sync"] = run_and_wait
    _stop_with_the_parent(stepfunctions)


class _Ended:
    """Tells those who wait for an execution that it ended."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._calls: dict[str, Call] = {}

    def wait(self, execution: dict[str, Any]) -> None:
        """Sleep until an execution ends.

        Raises
        ------
        ExecutionEndedError
            When the one that waits has ended before.
        """
        call = self._calls.setdefault(execution["executionArn"], Call(self._clock))
        if execution["status"] != "RUNNING":
            return
        if self._clock.sleep(None, call=call, is_over=current_step().is_over) is Woken.OVER:
            raise ExecutionEndedError

    def tell(self, execution_arn: str) -> None:
        """Wake who waits for an execution."""
        call = self._calls.pop(execution_arn, None)
        if call is not None:
            call.set()


def _start_once(stepfunctions: ModuleType) -> None:
    """Answer a second start with the same name and input with the execution that still runs."""
    vars(stepfunctions)["_is_the_same_start"] = is_the_same_start
    rewrite(
        stepfunctions,
        "_start_execution",
        (
            "    if exec_arn in _executions:\n",
            "    if exec_arn in _executions:\n"
            "        former = _executions[exec_arn]\n"
            "        if _is_the_same_start(former, data):\n"
            "            return json_response(\n"
            '                {"executionArn": exec_arn, "startDate": former["startDate"]})\n',
        ),
    )


def is_the_same_start(former: dict[str, Any], request: dict[str, Any]) -> bool:
    """Tell whether a request asks for what runs already."""
    return bool(former["status"] == "RUNNING" and former["input"] == request.get("input", "{}"))


def _name_errors(stepfunctions: ModuleType) -> None:
    start = stepfunctions._invoke_nested_start_execution

    @wraps(start)
    def start_with_named_errors(resource: str, task_input: dict[str, Any]) -> dict[str, Any]:
        try:
            return dict(start(resource, task_input))
        except stepfunctions._ExecutionError as error:
            if error.error.startswith("States."):
                raise
            name = f"StepFunctions.{error.error.removesuffix('Exception')}Exception"
            raise stepfunctions._ExecutionError(name, error.cause) from error

    vars(stepfunctions)["_invoke_nested_start_execution"] = start_with_named_errors


def _tell_of_ends(stepfunctions: ModuleType, ended: _Ended) -> None:
    run = stepfunctions._run_execution

    @wraps(run)
    def run_and_tell(execution_arn: str) -> None:
        try:
            run(execution_arn)
        finally:
            ended.tell(execution_arn)

    vars(stepfunctions)["_run_execution"] = run_and_tell


def _run_and_wait(
    stepfunctions: ModuleType, ended: _Ended, resource: str, task_input: dict[str, Any]
) -> dict[str, Any]:
    parent = current_step().execution
    started = stepfunctions._invoke_nested_start_execution(resource, task_input)
    child = stepfunctions._executions[started["ExecutionArn"]]
    if parent is not None:
        child[PARENT] = parent["executionArn"]
    if (waited_for := _waited_for.get()) is not None:
        waited_for.append(child["executionArn"])
    ended.wait(child)
    is_parsed = resource.endswith(".sync:2")
    result = _described(child, is_parsed=is_parsed)
    if child["status"] != "SUCCEEDED":
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(result))
    return result


def _described(child: dict[str, Any], *, is_parsed: bool) -> dict[str, Any]:
    """Return what became of a child; with ``.sync:2``, input and output are JSON, not text."""

    def content(text: str | None) -> Any:
        return json.loads(text) if is_parsed and text else text

    has_succeeded = child["status"] == "SUCCEEDED"
    result = {
        "ExecutionArn": child["executionArn"],
        "Input": content(child["input"]),
        "InputDetails": {"Included": True},
        "Name": child["name"],
        "StartDate": _milliseconds(child["startDate"]),
        "StateMachineArn": child["stateMachineArn"],
        "Status": child["status"],
        "StopDate": _milliseconds(child["stopDate"]),
    }
    if has_succeeded:
        return {**result, "Output": content(child["output"]), "OutputDetails": {"Included": True}}
    named = {"Error": child.get("error"), "Cause": child.get("cause")}
    return {**result, **{name: text for name, text in named.items() if text}}


def _milliseconds(stamp: str | None) -> int | None:
    return None if stamp is None else int(datetime.fromisoformat(stamp).timestamp() * 1000)


def _stop_with_the_parent(stepfunctions: ModuleType) -> None:
    stop_others, in_time = stepfunctions._stop_children, stepfunctions._invoke_resource_with_timeout

    def stop_children(parent: dict[str, Any], *others: Any) -> None:
        stop_others(parent, *others)
        for child in list(stepfunctions._executions.values()):
            if child.get(PARENT) == parent["executionArn"] and child["status"] == "RUNNING":
                _stop(stepfunctions, child["executionArn"])

    @wraps(in_time)
    def invoke_in_time(resource: str, *others: Any) -> Any:
        if SYNC not in resource:
            return in_time(resource, *others)
        children: list[str] = []
        former = _waited_for.set(children)
        try:
            return in_time(resource, *others)
        except stepfunctions._ExecutionError as error:
            if error.error == "States.Timeout":
                for child in children:
                    _stop(stepfunctions, child)
            raise
        finally:
            _waited_for.reset(former)

    vars(stepfunctions).update(_stop_children=stop_children, _invoke_resource_with_timeout=invoke_in_time)


def _stop(stepfunctions: ModuleType, execution_arn: str) -> None:
    stepfunctions._stop_execution(
        {"executionArn": execution_arn, "cause": "The execution that waited for it stopped waiting"}
    )
