"""The carrier simulator behind a socket, so that an adapter's calls meet the service's own validation."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
import httpx
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from sms_local.carrier.app import create_app
from sms_local.carrier.server import create_server

PHONE_NUMBER_ID = "phone-local0000000000000000000000000"
PHONE_NUMBER_ARN = f"arn:aws:sms-voice:us-east-1:000000000000:phone-number/{PHONE_NUMBER_ID}"
DEADLINE_SECONDS = 60


class NoTopics:
    """A cloud without topics: events and inbound texts go nowhere."""

    async def publish(self, topic_arn: str, content: Mapping[str, Any]) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass
class CarrierServer:
    """A server whose simulator is a new one for each test: starting a server takes longer than a test."""

    url: str = ""
    app: Starlette | None = None
    client: Any = field(default=None)

    def restart(self) -> "CarrierServer":
        """Begin with an account as it was bought: one number, one opt-out list."""
        self.app = create_app(self.url, publisher=NoTopics(), parts_per_second=1000)
        return self

    def control(self, method: str, path: str, **fields: Any) -> Any:
        response = httpx.request(method, f"{self.url}/control/{path}", json=fields or None)
        assert response.status_code == 200, response.text
        return response.json()

    def texts(self, phone: str) -> list[str]:
        """Bodies that arrived on a phone."""
        found = httpx.get(f"{self.url}/control/messages", params={"phone": phone}).json()
        return [message["body"] for message in found]

    def opted_out(self, opt_out_list: str) -> set[str]:
        """Numbers on an opt-out list."""
        listed = self.client.describe_opted_out_numbers(OptOutListName=opt_out_list)["OptedOutNumbers"]
        return {entry["OptedOutNumber"] for entry in listed}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            assert self.app is not None, "no test has started a simulator"
            await self.app(scope, receive, send)


@contextmanager
def carrier_server() -> Iterator[CarrierServer]:
    """Serve on loopback until the end of the block."""
    carrier = CarrierServer()
    server = create_server(carrier, 0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < deadline, "the server did not start in time"
        time.sleep(0.005)
    carrier.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    carrier.client = boto3.client("pinpoint-sms-voice-v2", endpoint_url=carrier.url)
    try:
        yield carrier
    finally:
        carrier.client.close()
        server.should_exit = True
        thread.join(DEADLINE_SECONDS)
