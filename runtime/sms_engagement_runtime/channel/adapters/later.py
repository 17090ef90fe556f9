"""Events that come back later: a Step Functions machine that waits, and calls the function again."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import error_code, service_call
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
"""Names of executions that need no spelling out (Step Functions, *StartExecution*)."""


class StepFunctionsLater:
    """Starts the machine ``later.asl.json``, which calls the function that is named here.

    Parameters
    ----------
    state_machine_arn
        Of the machine.
    function_name
        Function that is called with the event; usually the one that runs here.
    """

    def __init__(self, client: "SFNClient", *, state_machine_arn: str, function_name: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn
        self._function_name = function_name

    def postpone(self, name: str, event: Mapping[str, object], until: datetime) -> None:
        """Start one wait; one that was started under this name stays as it is.

        Raises
        ------
        TransientError
            It could not be started.
        """
        start = {
            "functionName": self._function_name,
            "event": event,
            # As the function answers: the machine looks at nothing else, before the first call and after.
            "outcome": {"state": OutcomeState.DEFERRED.value, "until": timestamp(until)},
        }
        with service_call("states:StartExecution"):
            try:
                self._client.start_execution(
                    stateMachineArn=self._state_machine_arn,
                    name=_execution_name(name),
                    input=json.dumps(start),
                )
            except ClientError as error:
                if error_code(error) != "ExecutionAlreadyExists":
                    raise


def timestamp(instant: datetime) -> str:
    """Spell an instant as a Wait state reads it, RFC 3339 with ``T`` and ``Z``: the next whole second."""
    return f"{datetime.fromtimestamp(ceil(instant.timestamp()), UTC):%Y-%m-%dT%H:%M:%SZ}"


def _execution_name(name: str) -> str:
    return name if _NAME.fullmatch(name) else hashlib.sha256(name.encode()).hexdigest()
