"""Stopping an execution stops the children of its Distributed Maps, and starts no more of them.

Reason
    A broadcast must be stoppable: with children that go on, "stop" is pressed and texts keep going out.
AWS
    Stopping an execution aborts its Map Runs and their child executions; a Map Run whose tolerated failure
    threshold is exceeded stops its children too. Lambda functions already invoked run to their own end.
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html
    https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
MiniStack 1.5.33
    Marks the parent ``ABORTED`` and works through all items; a failure that follows turns ``ABORTED`` into
    ``FAILED``.
Hook
    Each child looks, between its states, before a retry and before it starts, whether it was stopped;
    stopping an execution marks its running children; an aborted execution keeps its status.
"""

from typing import Any

from sms_local.emulator.patches._pinned import PatchSettings, rewrite

STOPPED = "ABORTED"


def apply(_: PatchSettings) -> None:
    """Make the interpreter of state machines look at the status."""
    from ministack.services import stepfunctions

    stepfunctions._is_stopped = is_stopped
    stepfunctions._stop_children = _stop_children
    rewrite(
        stepfunctions,
        "_stop_execution",
        (
            '    _emit_execution_status_event(execution)\n    return json_response({"stopDate": stop_date})',
            "    _emit_execution_status_event(execution)\n    _stop_children(execution)\n"
            '    return json_response({"stopDate": stop_date})',
        ),
    )
    rewrite(
        stepfunctions,
        "_fail_execution",
        (
            '    execution["status"] = "FAILED"',
            '    if _is_stopped(execution):\n        return\n    execution["status"] = "FAILED"',
        ),
    )
    rewrite(
        stepfunctions,
        "_add_event",
        (
            "    event = {",
            '    if _is_stopped(execution) and event_type != "ExecutionAborted":\n'
            "        return {}\n    event = {",
        ),
    )
    rewrite(
        stepfunctions,
        "_run_sub_machine",
        (
            "    while current_name:\n",
            "    while current_name:\n        if _is_stopped(execution):\n"
            '            raise _ExecutionError("States.Runtime", "The execution was stopped")\n',
        ),
    )
    rewrite(
        stepfunctions,
        "_execute_task",
        (
            "                retry_counts[retrier_idx] = count + 1\n                continue\n",
            "                retry_counts[retrier_idx] = count + 1\n"
            "                if not _is_stopped(execution):\n                    continue\n",
        ),
    )
    _rewrite_distributed_map(stepfunctions)


def _rewrite_distributed_map(stepfunctions: Any) -> None:
    rewrite(
        stepfunctions,
        "_run_distributed_map",
        (
            "    def run_child(idx, item):\n",
            """\
    def is_exceeded():
        failed = sum(1 for f in failures if f is not None)
        limits = []
        if "ToleratedFailureCount" in state_def:
            limits.append(failed > tolerated_count)
        if "ToleratedFailurePercentage" in state_def:
            limits.append(failed * 100 > tolerated_pct * len(items))
        # With no threshold set, any failed item fails the Map Run.
        return bool(failed) and (any(limits) if limits else True)

    def run_child(idx, item):
        if _is_stopped(execution) or is_exceeded():
            with lock:
                for counts in (run["itemCounts"], run["executionCounts"]):
                    counts["pending"] -= 1
                    counts["aborted"] += 1
            return
""",
        ),
        (
            '            child.update(status="SUCCEEDED", output=json.dumps(results[idx]))\n'
            '            outcome = "succeeded"\n',
            '            if child["status"] == "RUNNING":\n'
            '                child.update(status="SUCCEEDED", output=json.dumps(results[idx]))\n',
        ),
        (
            "            failures[idx] = err\n"
            '            child.update(status="FAILED", error=err.error, cause=err.cause)\n'
            '            outcome = "failed"\n'
            '        child["stopDate"] = now_iso()\n',
            '            if child["status"] == "RUNNING":\n'
            "                failures[idx] = err\n"
            '                child.update(status="FAILED", error=err.error, cause=err.cause)\n'
            "                if is_exceeded():\n"
            "                    _stop_children(execution, map_run_arn)\n"
            '        child["stopDate"] = child["stopDate"] or now_iso()\n'
            '        outcome = child["status"].lower()\n',
        ),
        (
            """\
    failed = sum(1 for f in failures if f is not None)
    limits = []
    if "ToleratedFailureCount" in state_def:
        limits.append(failed > tolerated_count)
    if "ToleratedFailurePercentage" in state_def:
        limits.append(failed * 100 > tolerated_pct * len(items))
    # With no threshold set, any failed item fails the Map Run.
    exceeded = bool(failed) and (any(limits) if limits else True)
    run["status"] = "FAILED" if exceeded else "SUCCEEDED"
    run["stopDate"] = now_iso()
""",
            """\
    run["stopDate"] = now_iso()
    if _is_stopped(execution):
        run["status"] = "ABORTED"
        return raw_input, None
    exceeded = is_exceeded()
    run["status"] = "FAILED" if exceeded else "SUCCEEDED"
""",
        ),
    )


def is_stopped(execution: dict[str, Any] | None) -> bool:
    """Whether an execution was aborted; ``None`` is the execution of a single tested state."""
    return execution is not None and execution.get("status") == STOPPED


def _stop_children(parent: dict[str, Any], map_run_arn: str | None = None) -> None:
    """Mark the running children of an execution, or of one of its Map Runs, and in turn their children."""
    from ministack.core.responses import now_iso
    from ministack.services import stepfunctions

    runs = {
        arn
        for arn, run in list(stepfunctions._map_runs.items())
        if run["executionArn"] == parent["executionArn"] and map_run_arn in (None, arn)
    }
    for child in list(stepfunctions._executions.values()):
        if child.get("mapRunArn") in runs and child["status"] == "RUNNING":
            child.update(status=STOPPED, stopDate=now_iso())
            _stop_children(child)
