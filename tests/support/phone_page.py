"""The phone page in its tests, and what stands behind it: Step Functions, and the carrier's control API."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from starlette.applications import Starlette

from sms_engagement_runtime.channel.adapters.pause import DynamoPauseSwitch
from sms_local.booking_site import BookingSite, Webhook
from sms_local.phone.app import Page
from sms_local.phone.appointment_account import FollowUpMachine
from sms_local.phone.appointments import Bookings, ConversationReader
from sms_local.phone.athena import AthenaQueries
from sms_local.phone.campaigns import PROMOTIONAL, WELCOME, Journeys
from sms_local.phone.carrier import CarrierControl
from sms_local.phone.clock import PageClock
from sms_local.phone.counted import CountsReader, MetricsReader, PeopleReader
from sms_local.phone.dashboard import Dashboard
from sms_local.phone.executions import ExecutionReader
from sms_local.phone.listener import Listener
from sms_local.phone.runs import Broadcast, RunFilesReader
from sms_local.phone.state import Cloud
from sms_local.phone.subscriber_list import SubscriberReader
from sms_local.places import Places
from sms_local.subscribers import SubscriberIds
from tests.support.counted_tables import COUNTS, RESPONSES, SUBSCRIBERS
from tests.support.dynamodb_tables import CONTACTS
from tests.support.review_tables import CUSTOMERS, aws_client

OWN = "http://127.0.0.1:4572"
CARRIER = "http://127.0.0.1:4571"
BUCKET = "broadcasts"
BROADCAST = "arn:aws:states:us-east-1:000000000000:stateMachine:reviews-broadcast"
LATER = "arn:aws:states:us-east-1:000000000000:stateMachine:channel-later"
FOLLOW_UP = "arn:aws:states:us-east-1:000000000000:stateMachine:appointments-follow-up"
WELCOME_MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:journeys-welcome"
PROMOTIONAL_MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:journeys-promotional"
ENGINE = "arn:aws:states:us-east-1:000000000000:stateMachine:journeys-engine"
JOURNEY_BUCKET = "journeys"
START = datetime(2026, 11, 21, 17, tzinfo=UTC)


def at(seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> datetime:
    """An instant after `START`."""
    return START + timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)


class FakeStepFunctions:
    """The calls that the page makes, over executions that a test writes down event by event."""

    def __init__(self, machines: Mapping[str, str] | None = None) -> None:
        usual = {
            BROADCAST: "reviews-broadcast",
            LATER: "channel-later",
            FOLLOW_UP: "appointments-follow-up",
            WELCOME_MACHINE: "journeys-welcome",
            PROMOTIONAL_MACHINE: "journeys-promotional",
            ENGINE: "journeys-engine",
        }
        self.machines = dict(machines or usual)
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

    def describe_state_machine(self, **wanted: Any) -> dict[str, Any]:
        assert wanted == {"stateMachineArn": FOLLOW_UP}
        self.calls.append("describe_state_machine")
        return {"definition": json.dumps({"States": {"Wait for an answer": {"Seconds": 1800}}})}

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


type Visit = Callable[[httpx.AsyncClient], Awaitable[None]]


class PageTest:
    """The page with everything behind it, and what a window asks of it.

    One event loop a visit, as the clock's jumps go on in the background.

    Parameters
    ----------
    webhook
        Takes what the booking site tells; None where no appointments are deployed.
    conversations
        Name of their table.
    has_analytics
        Whether journeys and analytics are deployed, with the tables of ``counted_tables``.
    athena
        Athena client; None where there is none.
    ids
        Makes subscriber ids.
    """

    def __init__(
        self,
        dynamodb: Any,
        *,
        is_deployed: bool = True,
        webhook: Webhook | None = None,
        conversations: str | None = None,
        has_analytics: bool = False,
        athena: Any = None,
        ids: SubscriberIds | None = None,
    ) -> None:
        self.carrier = FakeCarrier()
        self.stepfunctions = FakeStepFunctions()
        self.listener = Listener(Places(), {})
        self.dynamodb = dynamodb
        self.control = CarrierControl(self.carrier.client(), CARRIER)
        self.clock = PageClock(self.control, real_now=lambda: START - timedelta(hours=2))
        cloud = Cloud(
            executions=ExecutionReader(self.stepfunctions),
            broadcast=Broadcast(self.stepfunctions, machine=BROADCAST),
            files=RunFilesReader(aws_client("s3"), bucket=BUCKET),
            switch=DynamoPauseSwitch(dynamodb, table=CONTACTS, clock=self.clock),
            dynamodb=dynamodb,
            customers_table=CUSTOMERS,
            bookings=self._bookings(webhook) if webhook else None,
            conversations=ConversationReader(dynamodb, conversations) if conversations else None,
            follow_up=FollowUpMachine(self.stepfunctions, arn=FOLLOW_UP) if conversations else None,  # type: ignore[arg-type]
            **(self._campaigns() if has_analytics else {}),
        )
        self.dashboard = self._dashboard(athena) if has_analytics else None
        self.page = Page(
            port=4572,
            carrier=self.control,
            clock=self.clock,
            listener=self.listener,
            cloud=cloud if is_deployed else Cloud(executions=cloud.executions),
            dashboard=self.dashboard,
            ids=ids,
        )

    def _campaigns(self) -> dict[str, Any]:
        machines = {WELCOME: WELCOME_MACHINE, PROMOTIONAL: PROMOTIONAL_MACHINE}
        return {
            "journeys": Journeys(self.stepfunctions, machines=machines),  # type: ignore[arg-type]
            "journey_files": RunFilesReader(aws_client("s3"), bucket=JOURNEY_BUCKET),
            "subscribers": SubscriberReader(self.dynamodb, subscribers=SUBSCRIBERS, responses=RESPONSES),
            "has_dashboard": True,
        }

    def _dashboard(self, athena: Any) -> Dashboard:
        return Dashboard(
            CountsReader(self.dynamodb, table=COUNTS),
            PeopleReader(self.dynamodb, responses=RESPONSES, subscribers=SUBSCRIBERS),
            now=self.clock.now,
            metrics=MetricsReader(aws_client("cloudwatch")),
            queries=AthenaQueries(athena, workgroup="analytics", sleep=lambda _: None) if athena else None,
        )

    def _bookings(self, webhook: Webhook) -> Bookings:
        site = BookingSite(webhook, signing_key=lambda: b"a key of the tests", now=self.clock.now)
        return Bookings(site, now=self.clock.now)

    def visit(self, visit: Visit) -> None:
        async def once() -> None:
            # Without its lifespan: nobody listens to a queue here.
            app = Starlette(routes=self.page.routes)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=OWN) as client:
                await visit(client)
            await self.clock.close()

        asyncio.run(once())

    def get(self, path: str) -> httpx.Response:
        answers = []

        async def ask(client: httpx.AsyncClient) -> None:
            answers.append(await client.get(path))

        self.visit(ask)
        return answers[0]

    def post(self, path: str, body: Any) -> httpx.Response:
        answers = []

        async def send(client: httpx.AsyncClient) -> None:
            answers.append(await client.post(path, json=body))

        self.visit(send)
        return answers[0]

    def state(self) -> dict[str, Any]:
        """What a window is shown now, and not what was gathered a moment ago."""
        self.page.seen.hurry()
        states: list[dict[str, Any]] = []

        async def look(client: httpx.AsyncClient) -> None:
            states.append((await client.get("/api/state")).json())

        self.visit(look)
        return states[0]
