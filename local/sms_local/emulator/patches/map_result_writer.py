"""A Distributed Map's ``ResultWriter`` writes what its children returned.

Reason
    A broadcast's parts report through the result writer, so that the workflow's own state stays small;
    without it the state's output is another one than on AWS, and the next state fails there or here.
AWS
    Under ``<Prefix>/<id of the Map Run>/`` it writes ``SUCCEEDED_0.json`` and ``FAILED_0.json``, each an
    array of child executions with input, output and times, and ``manifest.json`` that lists them. The state's
    result becomes ``{"MapRunArn", "ResultWriterDetails": {"Bucket", "Key"}}``. A failed write fails the state
    with ``States.ResultWriterFailed``.
    https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
MiniStack 1.5.33
    Ignores the field; the state's result is the array of the children's outputs.
Hook
    The results are written when all children have ended, before the failure threshold is looked at.
    ``WriterConfig`` other than its default fails the state, so that nobody relies on what is not there.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite

DEFAULT_WRITER_CONFIG = {"Transformation": "NONE", "OutputType": "JSON"}
RESULT_FILES = ("FAILED", "PENDING", "SUCCEEDED")


def apply(_: PatchSettings) -> None:
    """Write the results at the end of a Distributed Map."""
    from ministack.services import s3, stepfunctions

    require(holds=hasattr(s3, "_put_object"), what="s3._put_object")
    stepfunctions._write_map_results = _write_map_results
    rewrite(
        stepfunctions,
        "_run_distributed_map",
        (
            "    if exceeded:\n",
            '    if state_def.get("ResultWriter"):\n'
            '        results = _write_map_results(state_def["ResultWriter"], run, effective, ctx)\n'
            "    if exceeded:\n",
        ),
    )


def _write_map_results(
    writer: Mapping[str, Any], run: dict[str, Any], effective: Any, ctx: dict[str, Any]
) -> dict[str, Any]:
    """Write the results of a Map Run that has ended.

    Returns
    -------
    dict
        The state's result: ``{"MapRunArn", "ResultWriterDetails": {"Bucket", "Key"}}``, the key being the
        manifest's.
    """
    from ministack.services import stepfunctions

    config = {**DEFAULT_WRITER_CONFIG, **(writer.get("WriterConfig") or {})}
    if config != DEFAULT_WRITER_CONFIG:
        message = f"the emulator does not implement WriterConfig {json.dumps(config)}"
        raise stepfunctions._ExecutionError("States.ResultWriterFailed", message)
    target = stepfunctions._resolve_params_obj(writer.get("Parameters") or {}, effective, ctx)
    bucket, prefix = target["Bucket"], target.get("Prefix", "").strip("/")
    folder = "/".join(filter(None, [prefix, run["mapRunArn"].rpartition(":")[2]]))
    executions = list(stepfunctions._executions.values())
    children = [each for each in executions if each.get("mapRunArn") == run["mapRunArn"]]
    files: dict[str, list[dict[str, Any]]] = {status: [] for status in RESULT_FILES}
    for status in RESULT_FILES:
        documents = [_document(child) for child in children if child["status"] == status]
        if documents:
            key = f"{folder}/{status}_0.json"
            files[status].append({"Key": key, "Size": _put(bucket, key, documents)})
    run["itemCounts"]["resultsWritten"] = run["executionCounts"]["resultsWritten"] = len(children)
    manifest = {"DestinationBucket": bucket, "MapRunArn": run["mapRunArn"], "ResultFiles": files}
    manifest_key = f"{folder}/manifest.json"
    _put(bucket, manifest_key, manifest)
    return {"MapRunArn": run["mapRunArn"], "ResultWriterDetails": {"Bucket": bucket, "Key": manifest_key}}


def _document(child: Mapping[str, Any]) -> dict[str, Any]:
    """One child execution as the service writes it, members in alphabetical order."""
    document = {
        "ExecutionArn": child["executionArn"],
        "Input": child["input"],
        "InputDetails": {"Included": True},
        "Name": child["name"],
        "RedriveCount": 0,
        "RedriveStatus": "NOT_REDRIVABLE",
        "RedriveStatusReason": f"Execution is {child['status']} and cannot be redriven",
        "StartDate": _instant(child["startDate"]),
        "StateMachineArn": child["stateMachineArn"],
        "Status": child["status"],
        "StopDate": _instant(child["stopDate"]),
    }
    if child["status"] == "SUCCEEDED":
        document |= {"Output": child["output"], "OutputDetails": {"Included": True}}
    else:
        document |= {"Cause": child.get("cause", ""), "Error": child.get("error", "")}
    return dict(sorted(document.items()))


def _instant(stamp: str | float) -> str:
    """ISO 8601 in UTC with milliseconds, from either of the forms that MiniStack keeps instants in."""
    instant = (
        datetime.fromisoformat(stamp) if isinstance(stamp, str) else datetime.fromtimestamp(stamp, tz=UTC)
    ).astimezone(UTC)
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03d}Z"


def _put(bucket: str, key: str, document: Any) -> int:
    """Write one JSON object and return its size in bytes."""
    from ministack.services import s3, stepfunctions

    body = json.dumps(document).encode()
    status, _, answer = s3._put_object(bucket, key, body, {"content-type": "application/json"})
    if status != 200:
        raise stepfunctions._ExecutionError(
            "States.ResultWriterFailed", f"Failed to write s3://{bucket}/{key}: {answer!r}"
        )
    return len(body)
