"""Hanging up: an answer that never comes, as a client sees a service that died after it accepted.

ASGI has no way to close a connection without an answer, so the server's protocol adds one to the scope.
"""

from asyncio import AbstractEventLoop
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

_EXTENSION: Final = "sms_local.hang_up"


class HangUpProtocol(H11Protocol):
    """uvicorn's HTTP protocol, with a way for the application to drop the connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        application = self.app

        async def with_hang_up(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                scope.setdefault("extensions", {})[_EXTENSION] = self.transport.abort
            await application(scope, receive, send)

        self.app = with_hang_up


class HangUp(Response):
    """No response at all: the TCP connection is dropped."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Drop the connection and wait until the server has noticed, since it answers 500 before."""
        scope["extensions"][_EXTENSION]()
        while (await receive())["type"] != "http.disconnect":
            pass
