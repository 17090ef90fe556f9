"""Start the review broadcast and report what became of it, person by person."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sms_local import aws
from sms_local.people import PEOPLE
from sms_local.phone.words import GOT_IT, UNCERTAIN, explain
from sms_local.places import Places


class Broadcast:
    """The state machine of the review requests, seen from outside.

    Parameters
    ----------
    places
        Where the embedded cloud listens.
    state_machine
        ARN of the broadcast.
    bucket
        Where its runs leave their results, one JSON line a person.
    """

    def __init__(self, places: Places, *, state_machine: str, bucket: str | None) -> None:
        session = aws.session()
        self._stepfunctions = session.client(
            "stepfunctions", endpoint_url=places.aws_endpoint, config=aws.client_config()
        )
        self._s3 = session.client("s3", endpoint_url=places.aws_endpoint, config=aws.client_config())
        self._state_machine = state_machine
        self._bucket = bucket
        self._ignored_until = datetime.min.replace(tzinfo=UTC)
        self._finished: dict[str, dict[str, Any]] = {}

    def start(self) -> str:
        """Send today's requests; return the ARN of the run."""
        started = self._stepfunctions.start_execution(stateMachineArn=self._state_machine, input="{}")
        return started["executionArn"]

    def forget(self) -> None:
        """Report no run that began before now."""
        self._ignored_until = datetime.now(tz=UTC)
        self._finished.clear()

    def latest(self) -> dict[str, Any] | None:
        """Return the report of the run that began last, None before the first.

        Returns
        -------
        dict or None
            ``{"id", "status", "startedAt", "stoppedAt", "cause", "reached": [person], "left_out": [person],
            "uncertain": [person], "parts"}`` with ``{"userId", "name", "words", "code"}`` a person; lists and
            parts are empty while it runs.
        """
        executions = self._stepfunctions.list_executions(stateMachineArn=self._state_machine, maxResults=10)[
            "executions"
        ]
        current = [one for one in executions if one["startDate"] > self._ignored_until]
        if not current:
            return None
        arn = max(current, key=lambda one: one["startDate"])["executionArn"]
        if arn not in self._finished:
            report = self._describe(arn)
            if report["status"] == "RUNNING":
                return report
            self._finished[arn] = report
        return self._finished[arn]

    def _describe(self, arn: str) -> dict[str, Any]:
        execution = self._stepfunctions.describe_execution(executionArn=arn)
        stopped = execution.get("stopDate")
        report: dict[str, Any] = {
            "id": arn,
            "status": execution["status"],
            "startedAt": execution["startDate"].astimezone(UTC).isoformat(),
            "stoppedAt": stopped.astimezone(UTC).isoformat() if stopped else None,
            "cause": " ".join(filter(None, (execution.get("error"), execution.get("cause")))) or None,
            "parts": 0,
        }
        output = json.loads(execution.get("output") or "{}")
        lines: Iterable[Mapping[str, Any]] = ()
        if execution["status"] == "SUCCEEDED" and self._bucket is not None and "runId" in output:
            report["parts"] = output.get("parts", 0)
            lines = self._results(self._bucket, f"runs/{output['runId']}/")
        return report | sort_out(lines)

    def _results(self, bucket: str, prefix: str) -> Iterator[Mapping[str, Any]]:
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for found in page.get("Contents", []):
                if found["Key"].endswith(".jsonl"):
                    body = self._s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()
                    yield from (json.loads(line) for line in body.splitlines() if line.strip())


def sort_out(lines: Iterable[Mapping[str, Any]]) -> dict[str, list[dict[str, str]]]:
    """Return who got the text, who was left out, and about whom nobody knows, each with the reason in words.

    Parameters
    ----------
    lines
        ``{"userId", "state", "reason"}`` a person; lines without a state (the audience itself) are passed
        over.
    """
    names = {person.user_id: person.name for person in PEOPLE}
    sorted_out: dict[str, list[dict[str, str]]] = {"reached": [], "leftOut": [], "uncertain": []}
    for line in lines:
        state = line.get("state")
        if state is None:
            continue
        reason = line.get("reason")
        group = "reached" if state in GOT_IT else "uncertain" if state in UNCERTAIN else "leftOut"
        user_id: str = line["userId"]
        sorted_out[group].append(
            {
                "userId": user_id,
                "name": names.get(user_id, user_id),
                "words": explain(state, reason),
                "code": reason or state,
            }
        )
    for people in sorted_out.values():
        people.sort(key=lambda person: person["userId"])
    return sorted_out
