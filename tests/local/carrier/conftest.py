import asyncio
import json
import threading
import time
import urllib.parse
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
import uvicorn
from botocore.config import Config
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from sms_local.carrier.app import create_app
from sms_local.carrier.publisher import SnsPublisher
from sms_local.carrier.server import create_server

EVENTS = Path(__file__).parents[2] / "events"
DEADLINE_SECONDS = 60


def wait_until[R](condition: Callable[[], R]) -> R:
    """Return the first true value of `condition`; fail after the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)
    return value


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], Any]:
    return wait_until


@pytest.fixture
def sample() -> Callable[[str], dict[str, Any]]:
    def load(name: str) -> dict[str, Any]:
        return json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))

    return load


@contextmanager
def served(server: uvicorn.Server) -> Iterator[str]:
    """Run `server` in a thread; yield its URL."""
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        assert server.started, "the server did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(DEADLINE_SECONDS)


@dataclass
class Topics:
    """What was published; a topic in `refusing` answers NotFound."""

    published: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refusing: set[str] = field(default_factory=set)

    def on(self, topic_arn: str) -> list[dict[str, Any]]:
        return [message for topic, message in self.published if topic == topic_arn]


class FakeSns:
    """SNS for many simulators at once: each publishes to an endpoint of its own, a path here."""

    def __init__(self) -> None:
        self.topics: dict[str, Topics] = {}

    async def handle(self, request: Request) -> Response:
        topics = self.topics[request.path_params["simulator"].strip("/")]
        form = urllib.parse.parse_qs((await request.body()).decode(), keep_blank_values=True)
        [topic_arn], [message] = form["TopicArn"], form["Message"]
        if topic_arn in topics.refusing:
            return Response(
                "<ErrorResponse><Error><Type>Sender</Type><Code>NotFound</Code><Message>no topic</Message>"
                "</Error><RequestId>r</RequestId></ErrorResponse>",
                404,
                media_type="text/xml",
            )
        topics.published.append((topic_arn, json.loads(message)))
        return Response(
            "<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>",
            media_type="text/xml",
        )

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{simulator:path}", self.handle, methods=["POST"])])


class Switch:
    """An ASGI application that is another one in each test: starting a server takes longer than a test."""

    def __init__(self) -> None:
        self.current: Starlette | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            assert self.current is not None, "no test has started a simulator"
            await self.current(scope, receive, send)


@dataclass
class RunningCarrier:
    """The simulator behind a socket, driven as its users drive it."""

    url: str
    topics: Topics
    sms: Any
    http: httpx.Client

    def control(self, method: str, path: str, **fields: Any) -> Any:
        response = self.http.request(method, f"/control/{path}", json=fields or None)
        assert response.status_code == 200, response.text
        return response.json()

    def messages(self, phone: str | None = None) -> list[dict[str, Any]]:
        response = self.http.get("/control/messages", params={"phone": phone} if phone else {})
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture(scope="package")
def fake_sns() -> Iterator[tuple[FakeSns, str]]:
    sns = FakeSns()
    config = uvicorn.Config(sns.app(), host="127.0.0.1", port=0, ws="none", log_level="warning")
    with served(uvicorn.Server(config)) as url:
        yield sns, url


@pytest.fixture(scope="package")
def switched_server() -> Iterator[tuple[Switch, str]]:
    switch = Switch()
    with served(create_server(switch, 0)) as url:
        yield switch, url


@pytest.fixture(scope="package")
def sms_client(switched_server: tuple[Switch, str]) -> Iterator[Any]:
    client = boto3.client(
        "pinpoint-sms-voice-v2",
        endpoint_url=switched_server[1],
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        # What the client would refuse by itself has to be refused by the service.
        config=Config(
            retries={"total_max_attempts": 1}, connect_timeout=20, read_timeout=60, parameter_validation=False
        ),
    )
    yield client
    client.close()


@pytest.fixture
def start_carrier(
    fake_sns: tuple[FakeSns, str], switched_server: tuple[Switch, str], sms_client: Any
) -> Iterator[Callable[..., RunningCarrier]]:
    """Return a function that starts a simulator with the options of `create_app` and topics of its own."""
    (sns, sns_url), (switch, url) = fake_sns, switched_server
    with httpx.Client(base_url=url) as http, ExitStack() as stack:

        def start(**options: Any) -> RunningCarrier:
            name = str(len(sns.topics))
            topics = sns.topics[name] = Topics()
            publisher = SnsPublisher(endpoint_url=f"{sns_url}/{name}", region="us-east-1")
            stack.callback(publisher.close)
            options = {
                "event_interval": timedelta(milliseconds=5),
                "parts_per_second": 1000,
                "recipient_texts_per_second": None,
            } | options
            switch.current = create_app(f"{sns_url}/{name}", publisher=publisher, **options)
            return RunningCarrier(url=url, topics=topics, sms=sms_client, http=http)

        yield start
        # Events still to come would find their publisher closed.
        http.delete("/control/messages")


@pytest.fixture
def carrier(start_carrier: Callable[..., RunningCarrier]) -> RunningCarrier:
    return start_carrier()


class ManualTimeline:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self._now = datetime(2026, 11, 21, 17, tzinfo=UTC)
        self._due: list[tuple[datetime, int, Callable[[], Coroutine[Any, Any, None]]]] = []

    def now(self) -> datetime:
        return self._now

    def call_after(
        self, delay: timedelta, action: Callable[[], Coroutine[Any, Any, None]], *, name: str = ""
    ) -> None:
        self._due.append((self._now + delay, len(self._due), action))

    def drop(self) -> None:
        self._due.clear()

    async def close(self) -> None:
        self.drop()

    def run(self, duration: timedelta) -> None:
        """Let `duration` pass and do what falls due in it."""
        end = self._now + duration
        while due := sorted((item for item in self._due if item[0] <= end), key=lambda item: item[:2]):
            self._due.remove(due[0])
            self._now = due[0][0]
            asyncio.run(due[0][2]())
        self._now = end


@pytest.fixture
def timeline() -> ManualTimeline:
    return ManualTimeline()


class CloudSwitches:
    """The faults of the rest of the cloud: keeps what is set."""

    def __init__(self) -> None:
        self.faults: dict[str, float] = {"service_throttle": 0, "function_crash": 0}

    @property
    def are_set(self) -> bool:
        return False

    async def set(self, fields: Mapping[str, float]) -> None:
        self.faults |= fields

    async def read(self) -> dict[str, Any]:
        return {**self.faults, "done": {}}


@pytest.fixture
def cloud_switches() -> CloudSwitches:
    return CloudSwitches()
