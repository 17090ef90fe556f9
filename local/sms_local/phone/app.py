"""The phone page and, beside it, the front door of the HTTP API, as one ASGI application."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from sms_local.front_door import front_door_routes
from sms_local.outputs import output_value
from sms_local.people import PEOPLE
from sms_local.phone.listener import Listener
from sms_local.phone.loopback import LoopbackOnly
from sms_local.phone.runs import Broadcast
from sms_local.phone.threads import Reply, phones
from sms_local.places import Places

_STATIC = Path(__file__).resolve().parent / "static"
_FILES = {
    "/": ("index.html", "text/html"),
    "/phone.css": ("phone.css", "text/css"),
    "/phone.js": ("phone.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    # Browsers ask for it on every page of the address, the review form included.
    "/favicon.ico": ("icon.svg", "image/svg+xml"),
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
_FRESH_SECONDS = 0.3
_HEARTBEAT_SECONDS = 15.0


class CloudState:
    """What the page shows, gathered from the carrier and the cloud at most a few times a second."""

    def __init__(
        self, client: httpx.AsyncClient, places: Places, listener: Listener, broadcast: Broadcast | None
    ) -> None:
        self._client = client
        self._places = places
        self._listener = listener
        self._broadcast = broadcast
        self._lock = asyncio.Lock()
        self._gathered_at = 0.0
        self._json = ""

    async def as_json(self) -> str:
        """Return the state as one line of JSON: phones, the admin's notices, the last run, any problem."""
        async with self._lock:
            if time.monotonic() - self._gathered_at > _FRESH_SECONDS:
                self._json = json.dumps(await self._gather(), ensure_ascii=False)
                self._gathered_at = time.monotonic()
            return self._json

    async def _gather(self) -> dict[str, Any]:
        sent: list[dict[str, Any]] = []
        run, problem = None, None
        try:
            answer = await self._client.get(f"{self._places.carrier_endpoint}/control/messages")
            sent = answer.raise_for_status().json()
        except httpx.HTTPError as error:
            problem = f"The carrier simulator does not answer ({type(error).__name__})."
        try:
            run = await run_in_threadpool(self._broadcast.latest) if self._broadcast else None
        except (BotoCoreError, ClientError) as error:
            problem = f"The emulator does not answer ({type(error).__name__})."
        return {
            "phones": phones(PEOPLE, sent, self._listener.replies),
            "notices": [
                {"id": one.id, "kind": one.kind, "subject": one.subject, "text": one.text, "at": one.at}
                for one in self._listener.notices
            ],
            "run": run,
            "canSend": self._broadcast is not None,
            "problem": problem,
        }


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
    topics = {
        arn: kind
        for kind, arn in (
            ("admin", output_value(outputs, "AdminTopicArn")),
            ("attention", output_value(outputs, "AttentionTopicArn")),
            ("inbound", output_value(outputs, "InboundTopicArn")),
        )
        if arn is not None
    }
    listener = Listener(places, topics)
    state_machine = outputs["state_machines"].get("review_broadcast")
    broadcast = (
        Broadcast(places, state_machine=state_machine, bucket=output_value(outputs, "BroadcastBucketName"))
        if state_machine
        else None
    )
    state = CloudState(client, places, listener, broadcast)
    api_id = output_value(outputs, "ApiId")
    endpoints = _Endpoints(client, places, listener, broadcast, state)
    routes = [
        *(Route(path, _file(name, media_type)) for path, (name, media_type) in _FILES.items()),
        Route("/health", endpoints.health),
        Route("/api/state", endpoints.state),
        Route("/api/events", endpoints.events),
        Route("/api/reply", endpoints.reply, methods=["POST"]),
        Route("/api/broadcast", endpoints.broadcast, methods=["POST"]),
        Route("/api/forget", endpoints.forget, methods=["POST"]),
    ]
    if api_id is not None:
        routes += front_door_routes(client, aws_endpoint=places.aws_endpoint, api_id=api_id)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await run_in_threadpool(listener.start)
        yield
        await run_in_threadpool(listener.stop)
        await client.aclose()

    guard = Middleware(LoopbackOnly, port=places.ports["phone page"], own_paths=("/api/",))
    return Starlette(routes=routes, middleware=[guard], lifespan=lifespan)


class _Endpoints:
    """The page's own requests."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        places: Places,
        listener: Listener,
        broadcast: Broadcast | None,
        state: CloudState,
    ) -> None:
        self._client = client
        self._places = places
        self._listener = listener
        self._broadcast = broadcast
        self._state = state

    async def health(self, _request: Request) -> Response:
        """Answer that the page is there."""
        return JSONResponse({"status": "ok"})

    async def state(self, _request: Request) -> Response:
        """Answer with the state of this moment."""
        return Response(await self._state.as_json(), media_type="application/json", headers=_HEADERS)

    async def events(self, request: Request) -> Response:
        """Stream the state whenever it changes (server-sent events)."""

        async def stream() -> AsyncIterator[str]:
            last, said_at = "", time.monotonic()
            while not await request.is_disconnected():
                current = await self._state.as_json()
                if current != last:
                    last, said_at = current, time.monotonic()
                    yield f"data: {current}\n\n"
                elif time.monotonic() - said_at > _HEARTBEAT_SECONDS:
                    said_at = time.monotonic()
                    yield ": still here\n\n"
                await asyncio.sleep(_FRESH_SECONDS)

        return StreamingResponse(stream(), media_type="text/event-stream", headers=_HEADERS)

    async def reply(self, request: Request) -> Response:
        """Send a text from a phone: ``{"phone": "+1…", "body": "STOP"}``."""
        wanted = await _json_object(request)
        phone, body = wanted.get("phone"), wanted.get("body")
        if not isinstance(phone, str) or not isinstance(body, str) or not body.strip():
            return _problem("Give a phone and a text.", 400)
        if len(body) > _REPLY_CHARACTERS:
            return _problem(f"A text has {_REPLY_CHARACTERS} characters at the most.", 400)
        identifier = str(uuid4())
        reply = Reply(id=identifier, phone=phone, body=body, at=datetime.now(tz=UTC).isoformat())
        inbound = {"from": phone, "body": body, "inbound_message_id": identifier}
        try:
            answer = await self._client.post(f"{self._places.carrier_endpoint}/control/inbound", json=inbound)
        except httpx.TransportError as error:
            return _problem(f"The carrier simulator does not answer ({type(error).__name__}).", 502)
        if answer.is_error:
            return _problem(f"The carrier simulator refused the text: {answer.text.strip()}", 502)
        self._listener.add_reply(reply)
        return JSONResponse({"id": identifier}, status_code=202)

    async def broadcast(self, _request: Request) -> Response:
        """Send today's review requests."""
        if self._broadcast is None:
            return _problem("No review broadcast is deployed.", 404)
        try:
            run = await run_in_threadpool(self._broadcast.start)
        except (BotoCoreError, ClientError) as error:
            return _problem(f"The run could not be started: {error}", 502)
        return JSONResponse({"id": run}, status_code=202)

    async def forget(self, _request: Request) -> Response:
        """Forget notices, replies and runs; `sms-local reset` asks for it."""
        self._listener.forget()
        if self._broadcast is not None:
            self._broadcast.forget()
        return JSONResponse({})


def _file(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    async def send(_request: Request) -> Response:
        return FileResponse(_STATIC / name, media_type=media_type, headers=_HEADERS)

    return send


async def _json_object(request: Request) -> dict[str, Any]:
    try:
        wanted = await request.json()
    except ValueError:
        return {}
    return wanted if isinstance(wanted, dict) else {}


def _problem(sentence: str, status: int) -> Response:
    return JSONResponse({"problem": sentence}, status_code=status)
