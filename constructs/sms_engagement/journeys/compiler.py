"""A journey's description as one state machine.

Everybody goes through a journey together: each moment at which a text may be due is one run of the broadcast
engine, started when the first people are due. The engine waits for those whose own time has not come. So a
journey for a million people is one execution with a few states, and not a million of them.

The moments run beside one another. One that fails leaves the others to their end, and then fails the whole.
"""

import json
from typing import Any, Final

from sms_engagement_runtime.journeys.domain.description import JourneyDefinition

_ENGINE_TIMEOUT_SECONDS: Final = 5_184_000
"""That of the engine's own state machine: sixty days."""

_YEAR_SECONDS: Final = 31_536_000
"""The longest that an execution lives (Step Functions, quotas)."""

_EXISTS: Final = "StepFunctions.ExecutionAlreadyExistsException"

_RETRY_CALL: Final = {
    "IntervalSeconds": 2,
    "MaxAttempts": 8,
    "BackoffRate": 2,
    "MaxDelaySeconds": 300,
    "JitterStrategy": "FULL",
}


def compile_journey(definition: JourneyDefinition) -> str:
    """Return the definition of the state machine.

    Tokens: ``${StartFunctionArn}``, ``${EngineArn}``, ``${EngineExecutions}`` (ARN of the engine's executions
    without their names) and ``${Partition}``.

    Raises
    ------
    ValueError
        A text holds ``${``, which CloudFormation would take for one of them.
    """
    described = definition.to_json()
    if "${" in json.dumps(described, ensure_ascii=False):
        raise ValueError(
            f"journey {definition.name}: a text must not hold ${{; placeholders are written {{{{name}}}}"
        )
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
            "Input refused": {"Type": "Fail", "ErrorPath": "$.error.Error", "CausePath": "$.error.Cause"},
            "Step failed": {
                "Type": "Fail",
                "Error": "StepFailed",
                "Cause": "A run of the engine failed: its execution is named by this one and the step",
            },
        },
    }
    return json.dumps(machine, ensure_ascii=False)


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
        "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Input refused"}],
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
                "Input.$": f"{step}.input",
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
        f"Wait for the run of step {number}": {"Type": "Wait", "Seconds": 300, "Next": look},
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
