"""Executions and tasks run out of time by the virtual clock.

Reason
    A workflow that waits for a reply gives up after days, by ``TimeoutSeconds`` or a heartbeat that does not
    come; a run that hangs is ended by the time-out of its state machine.
AWS
    A state machine's ``TimeoutSeconds`` ends its execution as ``TIMED_OUT`` with ``States.Timeout``. A task
    with ``TimeoutSeconds`` or ``HeartbeatSeconds`` fails with ``States.Timeout`` or
    ``States.HeartbeatTimeout``; the former name matches both.
    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    https://docs.aws.amazon.com/step-functions/latest/dg/state-task.html
MiniStack 1.5.33
    Time-outs of tasks go by the machine's clock, heartbeats are noted and never looked at, and the state
    machine's own time-out is ignored.
Hook
    Waiting for a token, and for the result of a task with a time-out, sleeps on the clock; an alarm on the
    clock ends an execution.
"""

import json
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import datetime
from functools import wraps
from types import ModuleType
from typing import Any, Final

from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite
from sms_local.emulator.patches.execution_waits import ExecutionEndedError, current_step
from sms_local.emulator.virtual_clock import Call, Due, VirtualClock, Woken

NO_TIMEOUT_SECONDS: Final = 99_999_999.0
"""``TimeoutSeconds`` of a task that names none."""

TIMED_OUT: Final = "TIMED_OUT"


def apply(settings: PatchSettings) -> None:
    """Let time-outs follow the clock."""
    from ministack.services import stepfunctions

    clock = settings.clock
    vars(stepfunctions)["_await_result"] = _result_awaiter(clock)
    vars(stepfunctions)["_await_token"] = _token_awaiter(stepfunctions, clock)
    rewrite(
        stepfunctions,
        "_invoke_resource_with_timeout",
        ("future.result(timeout=timeout)", "_await_result(future, float(timeout))"),
    )
    rewrite(
        stepfunctions,
        "_invoke_with_callback",
        (
            '    _task_tokens[token] = {\n        "event": evt,',
            '    _task_tokens[token] = {\n        "since": now_iso(), "event": evt,',
        ),
        (
            '    timeout = state_def.get("TimeoutSeconds", 99999)\n    if not evt.wait(timeout=timeout):\n'
            "        _task_tokens.pop(token, None)\n"
            '        raise _ExecutionError("States.Timeout",\n'
            '                              "Task timed out waiting for callback")\n',
            "    _await_token(token, state_def)\n",
        ),
    )
    rewrite(
        stepfunctions,
        "_error_matches",
        (
            '"States.ALL" in error_equals or error in error_equals:',
            '"States.ALL" in error_equals or error in error_equals or (\n'
            '            error == "States.HeartbeatTimeout" and "States.Timeout" in error_equals):',
        ),
    )
    _end_executions(stepfunctions, clock)


def _result_awaiter(clock: VirtualClock) -> Callable[[Future[Any], float], Any]:
    def await_result(future: Future[Any], seconds: float) -> Any:
        step, done = current_step(), Call(clock)
        future.add_done_callback(lambda _: done.set())
        due = Due(at=clock.now() + seconds, what="timeout", name=step.name)
        woken = clock.sleep(due, call=done, is_over=step.is_over)
        if woken is Woken.OVER:
            raise ExecutionEndedError
        if woken is Woken.DUE:
            raise FutureTimeoutError
        return future.result()

    return await_result


def _token_awaiter(stepfunctions: ModuleType, clock: VirtualClock) -> Callable[[str, dict[str, Any]], None]:
    def await_token(token: str, state: dict[str, Any]) -> None:
        task = stepfunctions._task_tokens[token]
        step, since = current_step(), _instant(task["since"])
        deadline = since + float(state.get("TimeoutSeconds", NO_TIMEOUT_SECONDS))
        heartbeat_seconds = float(state.get("HeartbeatSeconds", NO_TIMEOUT_SECONDS))
        while True:
            next_beat = _instant(task["heartbeat"] or task["since"]) + heartbeat_seconds
            due = Due(at=min(deadline, next_beat), what="timeout", name=step.name)
            woken = clock.sleep(due, call=task["event"], is_over=step.is_over, is_logged=False)
            if woken is Woken.CALLED:
                return
            is_alive = _instant(task["heartbeat"] or task["since"]) + heartbeat_seconds > due.at
            if woken is Woken.DUE and due.at < deadline and is_alive:
                continue
            stepfunctions._task_tokens.pop(token, None)
            if woken is Woken.OVER:
                raise ExecutionEndedError
            clock.note(due)
            if due.at < deadline:
                text = f"No heartbeat came within {heartbeat_seconds:g} seconds"
                raise stepfunctions._ExecutionError("States.HeartbeatTimeout", text)
            raise stepfunctions._ExecutionError("States.Timeout", "Task timed out waiting for callback")

    return await_token


def _instant(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


def _end_executions(stepfunctions: ModuleType, clock: VirtualClock) -> None:
    require(holds=hasattr(stepfunctions, "_run_execution"), what="stepfunctions._run_execution")
    run = stepfunctions._run_execution

    @wraps(run)
    def run_in_time(execution_arn: str) -> None:
        execution = stepfunctions._executions.get(execution_arn)
        seconds = _timeout_of(stepfunctions, execution) if execution else None
        if execution is None or seconds is None:
            with clock.counted():
                run(execution_arn)
            return
        machine = execution["stateMachineArn"].rpartition(":")[2]
        due = Due(at=_instant(execution["startDate"]) + seconds, what="timeout", name=machine)
        alarm = clock.call_at(due, lambda: _time_out(stepfunctions, clock, execution))
        try:
            # One that is waited for by its caller has a thread of the caller's.
            with clock.counted():
                run(execution_arn)
        finally:
            alarm.cancel()

    vars(stepfunctions)["_run_execution"] = run_in_time


def _timeout_of(stepfunctions: ModuleType, execution: dict[str, Any]) -> float | None:
    machine = stepfunctions._state_machines.get(execution["stateMachineArn"])
    try:
        seconds = json.loads(machine["definition"]).get("TimeoutSeconds") if machine else None
    except ValueError:  # the execution itself fails for that
        return None
    return None if seconds is None else float(seconds)


def _time_out(stepfunctions: ModuleType, clock: VirtualClock, execution: dict[str, Any]) -> None:
    if execution["status"] != "RUNNING":
        return
    details = {"error": "States.Timeout", "cause": "The execution took longer than its state machine allows"}
    stepfunctions._add_event(execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": details})
    execution.update(status=TIMED_OUT, stopDate=stepfunctions.now_iso(), **details)
    stop_children = getattr(stepfunctions, "_stop_children", None)
    _, _, _, region, account, _ = execution["executionArn"].split(":", 5)
    from ministack.core.responses import request_scope

    with request_scope(account, region):
        if stop_children is not None:
            stop_children(execution)
        stepfunctions._emit_execution_status_event(execution)
    clock.wake_over()
