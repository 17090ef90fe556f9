"""A journey's description as one state machine.

Everybody goes through a journey together: each moment at which a text may be due is one run of the broadcast
engine, started when the first people are due. The engine waits for those whose own time has not come. So a
journey for a million people is one execution with a few states, and not a million of them.

The moments run beside one another. One that fails leaves the others to their end, and then fails the whole.
"""

import json
from typing import Any, Final

from sms_engagement_runtime.journeys.domain.description import MAX_VALUE_LENGTH, JourneyDefinition
from sms_engagement_runtime.journeys.domain.runs import (
    MAX_ID_LENGTH,
    MAX_SUBSCRIBER_IDS,
    MAX_TEXT_LENGTH,
)

_ENGINE_TIMEOUT_SECONDS: Final = 5_184_000
"""That of the engine's own state machine: sixty days."""

_YEAR_SECONDS: Final = 31_536_000
"""The longest that an execution lives (Step Functions, quotas)."""

_LOOKS_EVERY_SECONDS: Final = 21_600
"""How often a branch looks whether a run that it did not start itself is over. A look is some nine events, an
execution has 25,000 (Step Functions, quotas), and a run lives for a month at the most: all branches together
stay below it. Nothing waits for what it finds but the end of the journey."""

_MAX_STATE_BYTES: Final = 262_144
"""Input or output of a state, in UTF-8 (Step Functions, quotas)."""

_BYTES_A_CHARACTER: Final = 4
"""The most in UTF-8."""

_IDS_BYTES: Final = (MAX_ID_LENGTH + len('"", ')) * MAX_SUBSCRIBER_IDS

_MOMENT_BYTES: Final = 1_000 + 3 * _BYTES_A_CHARACTER * MAX_TEXT_LENGTH
"""What a moment adds to the state beside the values: names and times, and segment, occasion and reason."""

_EXISTS: Final = "StepFunctions.ExecutionAlreadyExistsException"

_RETRY_CALL: Final = {
    "IntervalSeconds": 2,
    "MaxAttempts": 8,
    "BackoffRate": 2,
    "MaxDelaySeconds": 300,
    "JitterStrategy": "FULL",
}


_ENGINE_BYTES: Final = 10_000
"""What the engine adds to a moment's input in its own states: keys of objects, tallies, the next wave."""


def compile_journey(definition: JourneyDefinition) -> str:
    """Return the definition of the state machine.

    Tokens: ``${StartFunctionArn}``, ``${EngineArn}``, ``${EngineExecutions}`` (ARN of the engine's executions
    without their names) and ``${Partition}``.

    Raises
    ------
    ValueError
        A text holds ``${``, which CloudFormation would take for one of them, or the texts together are more
        than a state may hold.
    """
    described = definition.to_json()
    if "${" in json.dumps(described, ensure_ascii=False):
        raise ValueError(
            f"journey {definition.name}: a text must not hold ${{; placeholders are written {{{{name}}}}"
        )
    _check_size(definition, described)
    numbers = range(1, len(definition.offsets) + 1)
    machine = {
        "Comment": f"Journey {definition.name}: each moment of a text is one run of the broadcast engine",
        "QueryLanguage": "JSONPath",
        "TimeoutSeconds": _YEAR_SECONDS,
        "StartAt": "Check input",
        "States": {
            "Check input": _check(described),
            "Text everybody": {
                "Type": "Parallel",
                "Branches": [_branch(number) for number in numbers],
                "Next": "Did every step end?",
            },
            "Did every step end?": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": f"$[{number - 1}].failed", "BooleanEquals": True, "Next": "Step failed"}
                    for number in numbers
                ],
                "Default": "Done",
            },
            "Done": {"Type": "Succeed"},
            "Step failed": {
                "Type": "Fail",
                "Error": "StepFailed",
                "Cause": "A run of the engine failed: its execution is named by this one and the step",
            },
        },
    }
    return json.dumps(machine, ensure_ascii=False)


def _check_size(definition: JourneyDefinition, described: dict[str, Any]) -> None:
    values = sum(len(name) + _BYTES_A_CHARACTER * MAX_VALUE_LENGTH + 10 for name in definition.values)
    others = _ENGINE_BYTES + _IDS_BYTES + len(definition.offsets) * (_MOMENT_BYTES + values)
    size = len(json.dumps(described, ensure_ascii=False).encode())
    if size + others > _MAX_STATE_BYTES:
        raise ValueError(
            f"journey {definition.name}: its texts take {size} bytes, at most {_MAX_STATE_BYTES - others} "
            f"fit into a state of Step Functions beside what a start for {MAX_SUBSCRIBER_IDS} subscribers "
            "needs; use fewer or shorter texts, or make two journeys of it"
        )


def _check(described: dict[str, Any]) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:${Partition}:states:::lambda:invoke",
        "Parameters": {
            "FunctionName": "${StartFunctionArn}",
            "Payload": {
                "runId.$": "$$.Execution.Name",
                "input.$": "$$.Execution.Input",
                "journey": described,
            },
        },
        "OutputPath": "$.Payload",
        "TimeoutSeconds": 60,
        "Retry": [
            {
                "ErrorEquals": [
                    "Lambda.ServiceException",
                    "Lambda.AWSLambdaException",
                    "Lambda.SdkClientException",
                    "Lambda.ClientExecutionTimeoutException",
                    "Lambda.TooManyRequestsException",
                    "Lambda.Unknown",
                    "Runtime.ExitError",
                    "Sandbox.Timedout",
                    "States.Timeout",
                ],
                **_RETRY_CALL,
            }
        ],
        "Next": "Text everybody",
    }


def _branch(number: int) -> dict[str, Any]:
    """Return one moment: wait for it, run the engine, and end with ``{"failed": true or false}``."""
    step = f"$.steps.step{number}"
    wait, text, look = f"Wait for step {number}", f"Text at step {number}", f"Look at step {number}"
    over, failed = f"Step {number} is over", f"Step {number} failed"
    states: dict[str, Any] = {
        wait: {"Type": "Wait", "TimestampPath": f"{step}.startsAt", "Next": text},
        text: {
            "Type": "Task",
            "Resource": "arn:${Partition}:states:::states:startExecution.sync:2",
            "Parameters": {
                "StateMachineArn": "${EngineArn}",
                "Name.$": f"{step}.name",
                # The journey is in the state once: with each moment's copy of it, it would outgrow a state.
                "Input": {
                    "reason.$": f"{step}.input.reason",
                    "dryRun.$": f"{step}.input.dryRun",
                    "about": {
                        "journey.$": "$.journey",
                        "run.$": f"{step}.input.about.run",
                        "number.$": f"{step}.input.about.number",
                        "step.$": f"{step}.input.about.step",
                    },
                },
            },
            "ResultPath": None,
            "TimeoutSeconds": _ENGINE_TIMEOUT_SECONDS,
            # A run that is there already, since its answer was lost or the journey is redriven, is looked at.
            "Retry": [
                {"ErrorEquals": [_EXISTS], "MaxAttempts": 0},
                {"ErrorEquals": ["States.ALL"], **_RETRY_CALL},
            ],
            "Catch": [
                {"ErrorEquals": [_EXISTS], "ResultPath": None, "Next": look},
                {"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": failed},
            ],
            "Next": over,
        },
        look: {
            "Type": "Task",
            "Resource": "arn:${Partition}:states:::aws-sdk:sfn:describeExecution",
            "Parameters": {
                "ExecutionArn.$": f"States.Format('${{EngineExecutions}}:{{}}', {step}.name)",
            },
            "ResultSelector": {"status.$": "$.Status"},
            "ResultPath": "$.found",
            "TimeoutSeconds": 60,
            "Retry": [{"ErrorEquals": ["States.ALL"], **_RETRY_CALL}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": failed}],
            "Next": f"How is step {number}?",
        },
        f"How is step {number}?": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.found.status", "StringEquals": "SUCCEEDED", "Next": over},
                {
                    "Variable": "$.found.status",
                    "StringEquals": "RUNNING",
                    "Next": f"Wait for the run of step {number}",
                },
            ],
            "Default": failed,
        },
        f"Wait for the run of step {number}": {"Type": "Wait", "Seconds": _LOOKS_EVERY_SECONDS, "Next": look},
        over: {"Type": "Pass", "Result": {"failed": False}, "End": True},
        failed: {"Type": "Pass", "Result": {"failed": True}, "End": True},
    }
    if number == 1:
        return {"StartAt": wait, "States": states}
    # Whom it would text depends on what people do until then.
    asks = f"Is step {number} a dry run?"
    choice = {
        "Type": "Choice",
        "Choices": [{"Variable": "$.dryRun", "BooleanEquals": True, "Next": over}],
        "Default": wait,
    }
    return {"StartAt": asks, "States": {asks: choice, **states}}
