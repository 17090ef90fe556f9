"""Queries of Athena."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import boto3

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError, service_call
from sms_engagement_runtime.channel.adapters.clients import RETRYING

_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 5.0


class AthenaClient(Protocol):
    """What is called of boto3's client."""

    def start_query_execution(self, **request: Any) -> Mapping[str, Any]:
        """Start a query."""
        ...

    def get_query_execution(self, **request: Any) -> Mapping[str, Any]:
        """Return how a query is doing."""
        ...

    def stop_query_execution(self, **request: Any) -> Mapping[str, Any]:
        """End a query."""
        ...


def athena_client() -> AthenaClient:
    """Athena client."""
    make: Any = boto3.client
    client: AthenaClient = make("athena", config=RETRYING)
    return client


class QueryFailedError(ServiceCallError):
    """A query did not come to its end. The message has Athena's state, never its text, which quotes rows."""


class AthenaQueries:
    """Runs statements in a workgroup and waits for them.

    Parameters
    ----------
    sleep
        As ``time.sleep``. A function that waits for a statement is billed for little: a day of a million
        events is written in seconds.
    seconds_left
        How long the caller may still take.
    """

    def __init__(
        self,
        client: AthenaClient,
        *,
        workgroup: str,
        sleep: Callable[[float], None],
        seconds_left: Callable[[], float],
    ) -> None:
        self._client = client
        self._workgroup = workgroup
        self._sleep = sleep
        self._seconds_left = seconds_left

    def run(self, statement: str, *, token: str) -> None:
        """Run a statement and return when it is done.

        Parameters
        ----------
        token
            32 to 128 characters: a call that is repeated with it starts nothing new (*StartQueryExecution*).

        Raises
        ------
        QueryFailedError
            It failed, was ended, or took longer than there was time; then it is stopped.
        ServiceCallError
            Athena did not answer.
        """
        with service_call("athena:StartQueryExecution"):
            started = self._client.start_query_execution(
                QueryString=statement, WorkGroup=self._workgroup, ClientRequestToken=token
            )
        query = started["QueryExecutionId"]
        pause = _FIRST_PAUSE_SECONDS
        while True:
            with service_call("athena:GetQueryExecution"):
                answer = self._client.get_query_execution(QueryExecutionId=query)
            state = answer["QueryExecution"]["Status"]["State"]
            if state == "SUCCEEDED":
                return
            if state in {"FAILED", "CANCELLED"}:
                msg = f"query {query}: {state}"
                raise QueryFailedError(msg)
            if self._seconds_left() <= pause:
                with service_call("athena:StopQueryExecution"):
                    self._client.stop_query_execution(QueryExecutionId=query)
                msg = f"query {query}: no time left"
                raise QueryFailedError(msg)
            self._sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
