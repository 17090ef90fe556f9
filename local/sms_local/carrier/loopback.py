"""Answers this machine only.

A web page of anywhere can have a browser call 127.0.0.1, by its own name made to point there (DNS rebinding)
or directly. The first shows in ``Host``, the second in ``Origin``.
"""

from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class LoopbackOnly:
    """ASGI middleware: 403 for requests whose ``Host`` or ``Origin`` is not this machine."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on requests of this machine."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            origin = headers.get("origin")
            if not _is_loopback(f"//{headers.get('host', '')}") or not (
                origin is None or _is_loopback(origin)
            ):
                refusal = JSONResponse(
                    {"error": "Only this machine may call the carrier simulator."}, HTTPStatus.FORBIDDEN
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_loopback(url: str) -> bool:
    try:
        return urlsplit(url).hostname in _LOOPBACK
    except ValueError:
        return False
