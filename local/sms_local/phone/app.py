"""The phone page and, beside it, the front door of the HTTP API, as one ASGI application."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from sms_engagement_runtime.channel.adapters.pause import DynamoPauseSwitch
from sms_local import aws
from sms_local.booking_site import site_of
from sms_local.front_door import front_door_routes
from sms_local.outputs import output_value
from sms_local.people import SITUATIONS, put_person
from sms_local.phone.appointment_account import FollowUpMachine
from sms_local.phone.appointment_requests import AppointmentRequests
from sms_local.phone.appointments import Bookings, ConversationReader
from sms_local.phone.athena import AthenaQueries
from sms_local.phone.campaign_requests import CampaignRequests
from sms_local.phone.campaigns import MACHINES, Journeys
from sms_local.phone.carrier import CarrierControl, CarrierError
from sms_local.phone.clock import PageClock
from sms_local.phone.console import console_routes
from sms_local.phone.counted import CountsReader, MetricsReader, PeopleReader
from sms_local.phone.dashboard import Dashboard
from sms_local.phone.dashboard_requests import DashboardRequests
from sms_local.phone.executions import ExecutionReader
from sms_local.phone.fault_requests import FaultRequests
from sms_local.phone.listener import Listener
from sms_local.phone.loopback import LoopbackOnly
from sms_local.phone.requests import json_object, problem
from sms_local.phone.runs import Broadcast, RunFilesReader
from sms_local.phone.state import CARRIER_SECONDS, CLOUD_ERRORS, Cloud, CloudState
from sms_local.phone.subscriber_list import SubscriberReader
from sms_local.phone.threads import Reply
from sms_local.places import Places
from sms_local.subscribers import SubscriberIds, subscriber_ids

_STATIC = Path(__file__).resolve().parent / "static"
_SCRIPTS = (
    "phone",
    "account",
    "appointments",
    "broadcast",
    "campaigns",
    "charts",
    "clock",
    "dashboard",
    "dom",
    "faults",
    "server",
    "tabs",
    "threads",
)
_FILES = {
    "/": ("index.html", "text/html"),
    "/dashboard": ("dashboard.html", "text/html"),
    "/phone.css": ("phone.css", "text/css"),
    "/dashboard.css": ("dashboard.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    # Browsers ask for it on every page of the address, the review form included.
    "/favicon.ico": ("icon.svg", "image/svg+xml"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript") for name in _SCRIPTS},
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

#: How long a reply may be: what a phone sends at most (1,600 characters, SendTextMessage's own bound).
_REPLY_CHARACTERS = 1600
_LONGEST_SKIP = timedelta(days=31)
_HEARTBEAT_SECONDS = 15.0

#: Who changes the pause switch from here.
_THE_PAGE = "phone page"


def create_app(places: Places, outputs: Mapping[str, Any]) -> Starlette:
    """Return the application for a deployed embedded cloud.

    Parameters
    ----------
    places
        Where the embedded cloud listens; requests must name this address as their host.
    outputs
        As `sms_local.outputs.read_outputs` returns them.
    """
    client = httpx.AsyncClient(timeout=40, trust_env=False, follow_redirects=False)
    webhooks = httpx.Client(timeout=40, trust_env=False)
    topics = {
        arn: kind
        for kind, arn in (
            ("admin", output_value(outputs, "AdminTopicArn")),
            ("host", output_value(outputs, "HostTopicArn")),
            ("attention", output_value(outputs, "AttentionTopicArn")),
            ("inbound", output_value(outputs, "InboundTopicArn")),
            ("events", output_value(outputs, "EventTopicArn")),
        )
        if arn is not None
    }
    carrier = CarrierControl(client, places.carrier_endpoint)
    clock = PageClock(carrier)
    page = Page(
        port=places.ports["phone page"],
        carrier=carrier,
        clock=clock,
        listener=Listener(places, topics),
        cloud=look_at_cloud(places, outputs, clock, webhooks),
        dashboard=look_at_numbers(places, outputs, clock),
        ids=subscriber_ids(outputs, aws.Clients(places.aws_endpoint)("secretsmanager")),
    )
    api_id = output_value(outputs, "ApiId")
    if api_id is not None:
        page.routes += front_door_routes(client, aws_endpoint=places.aws_endpoint, api_id=api_id)
    page.routes += console_routes(outputs, port=places.ports["phone page"])

    page.routes += FaultRequests(places.carrier_endpoint).routes

    async def close() -> None:
        await client.aclose()
        webhooks.close()

    return page.application(closing=close)


def look_at_cloud(
    places: Places, outputs: Mapping[str, Any], clock: PageClock, webhooks: httpx.Client
) -> Cloud:
    """Return what the page looks at in a deployed cloud; `webhooks` carries those of the booking site."""
    session, options = aws.session(), {"endpoint_url": places.aws_endpoint, "config": aws.client_config()}
    stepfunctions = session.client("stepfunctions", **options)  # type: ignore[call-overload]
    dynamodb = session.client("dynamodb", **options)  # type: ignore[call-overload]
    machine = outputs["state_machines"].get("review_broadcast")
    follow_up = outputs["state_machines"].get("appointment_follow_up")
    bucket = output_value(outputs, "BroadcastBucketName")
    contacts = outputs["tables"].get("contacts")
    conversations = outputs["tables"].get("conversations")
    secrets = session.client("secretsmanager", **options)  # type: ignore[call-overload]
    site = site_of(outputs, client=webhooks, secrets=secrets, now=clock.now)
    machines = {
        journey: outputs["state_machines"][key]
        for key, journey in MACHINES.items()
        if key in outputs["state_machines"]
    }
    journey_bucket = output_value(outputs, "JourneyBucketName")
    subscribers, responses = outputs["tables"].get("subscribers"), outputs["tables"].get("responses")
    return Cloud(
        executions=ExecutionReader(stepfunctions),
        broadcast=Broadcast(stepfunctions, machine=machine) if machine else None,
        files=RunFilesReader(session.client("s3", **options), bucket=bucket)  # type: ignore[call-overload]
        if bucket
        else None,
        switch=DynamoPauseSwitch(dynamodb, table=contacts, clock=clock) if contacts else None,
        dynamodb=dynamodb,
        customers_table=outputs["tables"].get("customers"),
        bookings=Bookings(site, now=clock.now) if site else None,
        conversations=ConversationReader(dynamodb, conversations) if conversations else None,
        follow_up=FollowUpMachine(stepfunctions, arn=follow_up) if follow_up else None,
        journeys=Journeys(stepfunctions, machines=machines) if machines else None,
        journey_files=RunFilesReader(session.client("s3", **options), bucket=journey_bucket)  # type: ignore[call-overload]
        if journey_bucket
        else None,
        subscribers=SubscriberReader(dynamodb, subscribers=subscribers, responses=responses)
        if subscribers
        else None,
        has_dashboard=output_value(outputs, "CountsTableName") is not None,
    )


def look_at_numbers(places: Places, outputs: Mapping[str, Any], clock: PageClock) -> Dashboard | None:
    """Return the dashboard of a deployed cloud; None where nothing is counted there."""
    counts = output_value(outputs, "CountsTableName")
    if counts is None:
        return None
    client = aws.Clients(places.aws_endpoint)
    workgroup, tables = outputs.get("athena_workgroup"), outputs["tables"]
    return Dashboard(
        CountsReader(client("dynamodb"), table=counts),
        PeopleReader(
            client("dynamodb"), responses=tables.get("responses"), subscribers=tables.get("subscribers")
        ),
        now=clock.now,
        metrics=MetricsReader(client("cloudwatch")),
        queries=AthenaQueries(client("athena"), workgroup=workgroup) if workgroup else None,
    )


class Page:
    """The page's own requests.

    Attributes
    ----------
    routes
        To which others may be added before `application` is called.
    seen
        What the windows are shown.
    """

    def __init__(
        self,
        *,
        port: int,
        carrier: CarrierControl,
        clock: PageClock,
        listener: Listener,
        cloud: Cloud,
        dashboard: Dashboard | None = None,
        ids: SubscriberIds | None = None,
    ) -> None:
        self._port = port
        self._carrier = carrier
        self._clock = clock
        self._listener = listener
        self._cloud = cloud
        self._dashboard = dashboard
        self.seen = CloudState(carrier=carrier, clock=clock, listener=listener, cloud=cloud)
        self.routes = [
            *(Route(path, _file(name, media_type)) for path, (name, media_type) in _FILES.items()),
            Route("/health", self.health),
            Route("/api/state", self.state),
            Route("/api/events", self.events),
            Route("/api/reply", self.reply, methods=["POST"]),
            Route("/api/broadcast", self.broadcast, methods=["POST"]),
            Route("/api/skip", self.skip, methods=["POST"]),
            Route("/api/sending", self.sending, methods=["POST"]),
            Route("/api/customers", self.customers, methods=["POST"]),
            Route("/api/forget", self.forget, methods=["POST"]),
            *AppointmentRequests(cloud.bookings, look_at_clock=clock.look, done=self.seen.hurry).routes,
            *CampaignRequests(cloud.journeys, ids, done=self.seen.hurry).routes,
            *DashboardRequests(dashboard, look_at_clock=clock.look).routes,
        ]

    def application(self, *, closing: Callable[[], Awaitable[None]]) -> Starlette:
        """Return the application; `closing` is called at its end."""

        @contextlib.asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            await run_in_threadpool(self._listener.start)
            yield
            await run_in_threadpool(self._listener.stop)
            await self._clock.close()
            await closing()

        guard = Middleware(LoopbackOnly, port=self._port, own_paths=("/api/",))
        return Starlette(routes=self.routes, middleware=[guard], lifespan=lifespan)

    async def health(self, _request: Request) -> Response:
        """Answer that the page is there."""
        return JSONResponse({"status": "ok"})

    async def state(self, _request: Request) -> Response:
        """Answer with the state of this moment."""
        return Response(_object(await self.seen.parts()), media_type="application/json", headers=_HEADERS)

    async def events(self, request: Request) -> Response:
        """Stream the parts of the state that have changed (server-sent events)."""

        async def stream() -> AsyncIterator[str]:
            told: dict[str, str] = {}
            said_at = time.monotonic()
            while not await request.is_disconnected():
                parts = await self.seen.parts()
                changed = {name: part for name, part in parts.items() if told.get(name) != part}
                if changed:
                    told |= changed
                    said_at = time.monotonic()
                    yield f"data: {_object(changed)}\n\n"
                elif time.monotonic() - said_at > _HEARTBEAT_SECONDS:
                    said_at = time.monotonic()
                    yield ": still here\n\n"
                await asyncio.sleep(CARRIER_SECONDS)

        return StreamingResponse(stream(), media_type="text/event-stream", headers=_HEADERS)

    async def reply(self, request: Request) -> Response:
        """Send a text from a phone: ``{"phone": "+1…", "body": "STOP"}``."""
        wanted = await json_object(request)
        phone, body = wanted.get("phone"), wanted.get("body")
        if not isinstance(phone, str) or not isinstance(body, str) or not body.strip():
            return problem("Give a phone and a text.", 400)
        if len(body) > _REPLY_CHARACTERS:
            return problem(f"A text has {_REPLY_CHARACTERS} characters at the most.", 400)
        identifier = str(uuid4())
        reply = Reply(id=identifier, phone=phone, body=body, at=self._clock.now().isoformat())
        try:
            await self._carrier.text({"from": phone, "body": body, "inbound_message_id": identifier})
        except CarrierError as error:
            return problem(str(error), 502)
        self._listener.add_reply(reply)
        self.seen.hurry()
        return JSONResponse({"id": identifier}, status_code=202)

    async def broadcast(self, request: Request) -> Response:
        """Send today's review requests: ``{}``; or find out what that would do: ``{"dryRun": true}``."""
        wanted = await json_object(request)
        is_dry = wanted.get("dryRun", False)
        if not isinstance(is_dry, bool):
            return problem("Say true or false for a dry run.", 400)
        if self._cloud.broadcast is None:
            return problem("No review broadcast is deployed.", 404)
        try:
            run = await run_in_threadpool(self._cloud.broadcast.start, is_dry=is_dry)
        except CLOUD_ERRORS as error:
            return problem(f"The run could not be started: {error}", 502)
        self.seen.hurry()
        return JSONResponse({"id": run}, status_code=202)

    async def skip(self, request: Request) -> Response:
        """Begin a jump of the clock: ``{"seconds": 1800}``; the stream tells how far it is, by its number."""
        seconds = (await json_object(request)).get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds <= 0:
            return problem("Say how many seconds to skip: a whole number above 0.", 400)
        if seconds > _LONGEST_SKIP.total_seconds():
            return problem(f"Skip {_LONGEST_SKIP.days} days at the most; more in several jumps.", 400)
        number = self._clock.skip(timedelta(seconds=seconds))
        if number is None:
            return problem("The clock is jumping already.", 409)
        self.seen.hurry()
        return JSONResponse({"number": number}, status_code=202)

    async def sending(self, request: Request) -> Response:
        """Pause all sending, or let it go on: ``{"paused": true}``."""
        paused = (await json_object(request)).get("paused")
        if not isinstance(paused, bool):
            return problem("Say whether sending is to be paused: true or false.", 400)
        switch = self._cloud.switch
        if switch is None:
            return problem("No channel is deployed.", 404)
        try:
            if paused:
                await run_in_threadpool(switch.pause, "paused on the phone page", by=_THE_PAGE)
            else:
                await run_in_threadpool(switch.resume, by=_THE_PAGE)
        except CLOUD_ERRORS as error:
            return problem(f"The switch could not be set: {error}", 502)
        self.seen.hurry()
        return JSONResponse({"paused": paused})

    async def customers(self, request: Request) -> Response:
        """Add one of the prepared customers: ``{"userId": "customer-009"}``."""
        user_id = (await json_object(request)).get("userId")
        person = next((one for one in SITUATIONS if one.user_id == user_id), None)
        if person is None:
            return problem("Nobody of that id is prepared.", 400)
        dynamodb, table = self._cloud.dynamodb, self._cloud.customers_table
        if dynamodb is None or table is None:
            return problem("No customers table is deployed.", 404)
        try:
            await run_in_threadpool(put_person, dynamodb, table, person)
        except CLOUD_ERRORS as error:
            return problem(f"The customer could not be added: {error}", 502)
        self.seen.hurry()
        return JSONResponse({"userId": person.user_id}, status_code=201)

    async def forget(self, _request: Request) -> Response:
        """Forget notices, replies, runs, bookings and the account; `sms-local reset` asks for it."""
        self._listener.forget()
        self._clock.forget()
        try:
            await self.seen.forget()
            if self._dashboard is not None:
                await run_in_threadpool(self._dashboard.forget)
        except CLOUD_ERRORS as error:
            return problem(f"The emulator does not answer ({type(error).__name__}).", 502)
        return JSONResponse({})


def _object(parts: Mapping[str, str]) -> str:
    """Return a JSON object of values that are JSON already."""
    return "{" + ",".join(f"{json.dumps(name)}:{part}" for name, part in parts.items()) + "}"


def _file(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    async def send(_request: Request) -> Response:
        return FileResponse(_STATIC / name, media_type=media_type, headers=_HEADERS)

    return send
