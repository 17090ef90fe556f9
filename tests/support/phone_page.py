"""What stands behind the phone page in its tests: Step Functions, and the carrier's control API."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

BROADCAST = "arn:aws:states:us-east-1:000000000000:stateMachine:reviews-broadcast"
LATER = "arn:aws:states:us-east-1:000000000000:stateMachine:channel-later"
START = datetime(2026, 11, 21, 17, tzinfo=UTC)


def at(seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> datetime:
    """An instant after `START`."""
    return START + timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)


class FakeStepFunctions:
    """The calls that the page makes, over executions that a test writes down event by event."""

    def __init__(self, machines: Mapping[str, str] | None = None) -> None:
        self.machines = dict(machines or {BROADCAST: "reviews-broadcast", LATER: "channel-later"})
        self.executions: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []

    def begin(
        self, name: str, given: Mapping[str, Any], *, begins: datetime, machine: str = BROADCAST
    ) -> str:
        arn = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
        self.executions[arn] = {
            "executionArn": arn,
            "stateMachineArn": machine,
            "name": name,
            "status": "RUNNING",
            "startDate": begins,
            "input": json.dumps(given),
            "events": [{"id": 1, "type": "ExecutionStarted", "timestamp": begins}],
        }
        return arn

    def enter(self, arn: str, kind: str, state: str, given: Mapping[str, Any], *, enters: datetime) -> None:
        details = {"name": state, "input": json.dumps(given)}
        self._add(arn, f"{kind}StateEntered", enters, stateEnteredEventDetails=details)

    def leave(self, arn: str, kind: str, state: str, output: Mapping[str, Any], *, leaves: datetime) -> None:
        details = {"name": state, "output": json.dumps(output)}
        self._add(arn, f"{kind}StateExited", leaves, stateExitedEventDetails=details)

    def end(self, arn: str, output: Mapping[str, Any], *, ends: datetime) -> None:
        self.executions[arn] |= {"status": "SUCCEEDED", "stopDate": ends, "output": json.dumps(output)}
        self._add(arn, "ExecutionSucceeded", ends)

    def fail(self, arn: str, error: str, cause: str, *, ends: datetime) -> None:
        self.executions[arn] |= {"status": "FAILED", "stopDate": ends, "error": error, "cause": cause}
        self._add(arn, "ExecutionFailed", ends)

    def _add(self, arn: str, kind: str, happens: datetime, **details: Any) -> None:
        events = self.executions[arn]["events"]
        events.append({"id": len(events) + 1, "type": kind, "timestamp": happens, **details})

    # --- the client's own names

    def get_paginator(self, operation: str) -> "_Pages":
        return _Pages(self, operation)

    def describe_execution(self, **wanted: Any) -> dict[str, Any]:
        self.calls.append("describe_execution")
        found = self.executions[wanted["executionArn"]]
        return {key: value for key, value in found.items() if key != "events"}

    def get_execution_history(self, **wanted: Any) -> dict[str, Any]:
        assert wanted["reverseOrder"]
        self.calls.append("get_execution_history")
        newest_first = self.executions[wanted["executionArn"]]["events"][::-1]
        return {"events": newest_first[: wanted["maxResults"]]}

    def start_execution(self, **wanted: Any) -> dict[str, Any]:
        name, given = f"run-{len(self.executions) + 1}", json.loads(wanted["input"])
        arn = self.begin(name, given, begins=at(), machine=wanted["stateMachineArn"])
        return {"executionArn": arn, "startDate": at()}


class _Pages:
    def __init__(self, client: FakeStepFunctions, operation: str) -> None:
        self._client = client
        self._operation = operation

    def paginate(self, **options: Any) -> Iterator[dict[str, Any]]:
        self._client.calls.append(self._operation)
        if self._operation == "list_state_machines":
            machines = self._client.machines.items()
            yield {"stateMachines": [{"stateMachineArn": arn, "name": name} for arn, name in machines]}
            return
        assert self._operation == "list_executions"
        newest = sorted(self._client.executions.values(), key=lambda one: one["startDate"], reverse=True)
        found = [one for one in newest if one["stateMachineArn"] == options["stateMachineArn"]]
        size = options["PaginationConfig"]["PageSize"]
        for begin in range(0, len(found), size):
            yield {"executions": found[begin : begin + size]}


class FakeCarrier:
    """The carrier's control API with a clock that a test moves.

    Attributes
    ----------
    now
        Virtual time.
    refuses
        What it answers to anything that changes something, as status and sentence; None where it does it.
    """

    def __init__(self) -> None:
        self.now = START
        self.messages: list[dict[str, Any]] = []
        self.inbound: list[dict[str, Any]] = []
        self.due: list[dict[str, str]] = []
        self.refuses: tuple[int, str] | None = None
        self.is_down = False

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    def accept(
        self, message_id: str, to: str, *, sent: datetime, campaign: str = "", body: str = "Hi!"
    ) -> None:
        self.messages.append(
            {
                "message_id": message_id,
                "from": "+12065550100",
                "to": to,
                "body": body,
                "parts": 1,
                "encoding": "GSM",
                "message_type": "PROMOTIONAL",
                "context": {"campaign": campaign} if campaign else {},
                "status": "TEXT_DELIVERED",
                "sent_at": sent.isoformat(),
            }
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.is_down:
            raise httpx.ConnectError("refused")
        if request.method == "GET":
            answers = {
                "/control/messages": self.messages,
                "/control/clock": {"now": self.now.isoformat()},
            }
            return httpx.Response(200, json=answers[request.url.path])
        if self.refuses is not None:
            status, sentence = self.refuses
            return httpx.Response(status, json={"error": sentence})
        body = json.loads(request.content)
        if request.url.path == "/control/inbound":
            self.inbound.append(body)
            return httpx.Response(200, json={"inbound_message_id": body["inbound_message_id"]})
        assert request.url.path == "/control/clock"
        self.now += timedelta(seconds=body["advance_seconds"])
        return httpx.Response(200, json={"now": self.now.isoformat(), "due": self.due})
