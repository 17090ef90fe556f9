"""The public face of the HTTP API under a short local address, in the place of a custom domain.

Links in texts begin with it, so that they fit one message part. Requests and answers pass untouched but for
the headers that belong to one connection.
"""

from collections.abc import Iterable

import httpx
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

#: Paths of the HTTP API; everything else on the address is the phone page's own.
PATHS = (
    "/r/{token:path}",
    "/review",
    "/submit-review",
    "/new-link",
    "/reviews",
    "/reviews/{id}/helpful",
)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

#: RFC 9110 section 7.6.1, and those that each of the two connections states for itself.
_PER_CONNECTION = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    b"transfer-encoding upgrade host content-length".split()
)


def front_door_routes(client: httpx.AsyncClient, *, aws_endpoint: str, api_id: str) -> list[Route]:
    """Return the routes that pass requests on to the HTTP API.

    Parameters
    ----------
    client
        Carries the requests; its default headers are not used.
    aws_endpoint
        The emulator.
    api_id
        The HTTP API, from the stack's output.
    """

    async def pass_on(request: Request) -> Response:
        query = request.scope["query_string"]
        raw_path: bytes = request.scope["raw_path"]
        target = httpx.URL(f"{aws_endpoint}/_aws/execute-api/{api_id}/$default").copy_with(
            raw_path=f"/_aws/execute-api/{api_id}/$default".encode()
            + raw_path
            + (b"?" + query if query else b"")
        )
        # Built by hand: the client's own request would add headers that the browser did not send.
        outgoing = httpx.Request(
            request.method, target, headers=_kept(request.headers.raw), content=await request.body()
        )
        try:
            answer = await client.send(outgoing, stream=True)
            try:
                body = b"".join([chunk async for chunk in answer.aiter_raw()])
            finally:
                await answer.aclose()
        except httpx.TransportError as error:
            return PlainTextResponse(
                f"The embedded cloud does not answer ({type(error).__name__}).\n", status_code=502
            )
        response = Response(body, status_code=answer.status_code)
        response.raw_headers = [*_kept(answer.headers.raw), (b"content-length", _length(answer, body))]
        return response

    return [Route(path, pass_on, methods=list(_METHODS), include_in_schema=False) for path in PATHS]


def _kept(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() not in _PER_CONNECTION]


def _length(answer: httpx.Response, body: bytes) -> bytes:
    # The answer to HEAD has no body and states the length that GET would have.
    stated = answer.headers.get("content-length")
    return stated.encode() if stated and answer.request.method == "HEAD" else str(len(body)).encode()
