"""The state machine ``follow_up.asl.json``: started, told of the end, stopped."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import error_code, service_call

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_ARN: Final = re.compile(r":stateMachine:")
_CAUSE: Final = "the appointment was cancelled or moved"

# There is none, or it is over. For one that is over the API documents neither an error nor a success, and a
# webhook that was answered with an error for it would come back until its provider disables it.
_NOTHING_TO_STOP: Final = frozenset({"ExecutionDoesNotExist", "ValidationException"})


class StepFunctionsWorkflow:
    """Starts executions under names that the appointment gives, so that each exists once.

    The input of an execution is ``{"step": "confirm", "appointmentId"}`` or ``{"step": "notify", "notice",
    "appointmentId"}``: ids, no phone number and no name.

    Parameters
    ----------
    state_machine_arn
        Of the machine.
    """

    def __init__(self, client: SFNClient, *, state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn

    def start(self, appointment_id: str) -> None:
        """Begin with the confirmation."""
        self._start(appointment_id, {"step": "confirm", "appointmentId": appointment_id})

    def notify(self, appointment_id: str, notice: str, *, occasion: str) -> None:
        """Tell of the end of an appointment."""
        self._start(
            f"{appointment_id}-{occasion}",
            {"step": "notify", "notice": str(notice), "appointmentId": appointment_id},
        )

    def stop(self, appointment_id: str) -> None:
        """End the execution that waits, if there is one."""
        execution_arn = f"{_ARN.sub(':execution:', self._state_machine_arn)}:{appointment_id}"
        with service_call("states:StopExecution"):
            try:
                self._client.stop_execution(executionArn=execution_arn, cause=_CAUSE)
            except ClientError as error:
                if error_code(error) not in _NOTHING_TO_STOP:
                    raise

    def _start(self, name: str, start: dict[str, str]) -> None:
        with service_call("states:StartExecution"):
            try:
                self._client.start_execution(
                    stateMachineArn=self._state_machine_arn, name=name, input=json.dumps(start)
                )
            except ClientError as error:
                # The same name within 90 days of its end (Step Functions, StartExecution).
                if error_code(error) != "ExecutionAlreadyExists":
                    raise
