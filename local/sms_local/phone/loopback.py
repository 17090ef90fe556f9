"""Keep other web sites, open in the same browser, away from the pages on this machine.

A page of a foreign site can send requests to loopback addresses, and can make its own name resolve to one
(DNS rebinding). So every request must name this address as its host, and whatever changes something must come
from our own page.
"""

from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_NAMES = ("127.0.0.1", "localhost")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class LoopbackOnly:
    """ASGI middleware: 421 for a foreign Host; 403 for a foreign origin and 415 for a form in `own_paths`.

    Parameters
    ----------
    app
        What is guarded.
    port
        The port that Host and Origin must name.
    own_paths
        Beginnings of the paths where the origin counts. The review form isn't among them: its page sends no
        referrer, so that the browser states the origin `null` for it, and its token authorises the request.
    """

    def __init__(self, app: ASGIApp, *, port: int, own_paths: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(f"{name}:{port}" for name in _NAMES)
        self._origins = frozenset(f"http://{host}" for host in self._hosts)
        self._own_paths = tuple(own_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request or pass it on."""
        if scope["type"] == "http":
            refusal = self._refusal(scope)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        if headers.get("host") not in self._hosts:
            return PlainTextResponse("This address serves 127.0.0.1 and localhost only.\n", status_code=421)
        if not scope["path"].startswith(self._own_paths):
            return None
        origin = headers.get("origin")
        site = headers.get("sec-fetch-site", "none")
        if (origin is not None and origin not in self._origins) or site not in ("same-origin", "none"):
            return PlainTextResponse("Only the page on this address may do that.\n", status_code=403)
        # A foreign page can post a form without asking; JSON needs a CORS permission that is never given.
        is_json = headers.get("content-type", "").partition(";")[0].strip() == "application/json"
        if scope["method"] not in _SAFE_METHODS and not is_json:
            return PlainTextResponse("The body must be JSON.\n", status_code=415)
        return None
