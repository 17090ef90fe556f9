"""Requests of HTTP APIs, payload format 2.0, and log lines of functions that do without Powertools.

Source: API Gateway, *Create AWS Lambda proxy integrations for HTTP APIs*. A person waits for these functions,
or a program that soon gives up, and the import of Powertools alone takes longer than all that they do.
"""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Final

STRICT_TRANSPORT_SECURITY: Final = "max-age=31536000"
"""A browser that came once by HTTPS comes by nothing else for a year (RFC 6797). Not for subdomains: they are
whoever's the domain is."""

type Response = dict[str, Any]
"""``{"statusCode": 200, "headers": {…}, "body": "…"}``."""


class UndecodableBodyError(ValueError):
    """The event says that its body is base64, and it is not."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One HTTP request.

    Attributes
    ----------
    event
        As API Gateway gave it; every part may be missing.
    """

    event: Mapping[str, Any]

    @property
    def method(self) -> str:
        """Upper case."""
        http = (self.event.get("requestContext") or {}).get("http") or {}
        return str(http.get("method") or "GET").upper()

    @property
    def route(self) -> str:
        """Route as declared, ``GET /r/{token}``: the one description of the request that is fit for a log."""
        return str(self.event.get("routeKey") or "")

    @property
    def api_request_id(self) -> str:
        """Id under which the API's access log has the request."""
        return str((self.event.get("requestContext") or {}).get("requestId") or "")

    def header(self, name: str) -> str | None:
        """Value of a header; the name in lower case."""
        headers: Mapping[str, str] = self.event.get("headers") or {}
        value = headers.get(name)
        if value is None:
            value = next((text for key, text in headers.items() if key.lower() == name), None)
        return value

    def path_parameter(self, name: str) -> str | None:
        """Value of a ``{name}`` in the route."""
        value = (self.event.get("pathParameters") or {}).get(name)
        return None if value is None else str(value)

    def query_parameter(self, name: str) -> str | None:
        """Value of a query parameter; several are joined with commas by API Gateway."""
        value = (self.event.get("queryStringParameters") or {}).get(name)
        return None if value is None else str(value)

    def body(self, max_length: int) -> bytes | None:
        """Return the body, or None where it is longer than allowed; what is too long is not even decoded.

        Raises
        ------
        UndecodableBodyError
            It is not the base64 that it is said to be.
        """
        body = self.event.get("body") or ""
        if not self.event.get("isBase64Encoded"):
            # Characters are never more than bytes, so the first test spares encoding a body that is far too
            # long.
            encoded = b"" if len(body) > max_length else body.encode("utf-8", "surrogatepass")
            return encoded if len(body) <= max_length and len(encoded) <= max_length else None
        if len(body) // 4 * 3 > max_length + 3:
            return None
        try:
            decoded = b64decode(body, validate=True)
        except (Base64Error, ValueError) as error:
            raise UndecodableBodyError("the body is not base64") from error
        return decoded if len(decoded) <= max_length else None


def write_log(level: str, message: str, **keys: object) -> None:
    """Write one JSON line to the log: a constant message, and keys that hold nothing of the person's."""
    entry = {
        "level": level,
        "message": message,
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    sys.stdout.write(json.dumps(entry | keys) + "\n")


def log_answer(
    message: str, request: HttpRequest, response: Response, context: object, *, started: float | None = None
) -> None:
    """Write what a request was answered, under the ids by which the other logs have it.

    Parameters
    ----------
    context
        Of the invocation.
    started
        ``perf_counter()`` at the beginning; without it the line has no duration.
    """
    took = {} if started is None else {"duration_ms": round((perf_counter() - started) * 1000, 1)}
    write_log(
        "INFO",
        message,
        route=request.route,
        status=response["statusCode"],
        **took,
        function_request_id=getattr(context, "aws_request_id", ""),
        api_request_id=request.api_request_id,
    )


def log_unavailable(error: Exception) -> None:
    """Write that a service of ours did not answer; such errors name the service and the code alone."""
    write_log("ERROR", "A service did not answer", reason=str(error), error=type(error).__name__)
