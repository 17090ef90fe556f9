"""HTTP of the review pages: reading API Gateway's events, choosing HTML or JSON, answering.

Events are those of HTTP APIs, payload format 2.0 (API Gateway, *Create AWS Lambda proxy integrations for HTTP
APIs*). No Powertools: its import alone takes longer than everything that these functions do before their
first answer.
"""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sms_engagement_runtime.review_collector.domain.form import CONTENT_SECURITY_POLICY, message_page
from sms_engagement_runtime.review_collector.domain.form_texts import DEFAULT, Texts, Words, choose_texts

type Response = dict[str, Any]
"""``{"statusCode": 200, "headers": {…}, "body": "…"}``."""

_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "vary": "accept, accept-language",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex, nofollow",
}


class UndecodableBodyError(ValueError):
    """The event says that its body is base64, and it is not."""


@dataclass(frozen=True, slots=True)
class Request:
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

    @property
    def texts(self) -> Texts:
        """What the person reads, by ``Accept-Language``."""
        return choose_texts(self.header("accept-language"))

    def wants_json(self, *, otherwise: bool = False) -> bool:
        """Tell whether JSON is preferred to HTML by ``Accept`` (RFC 9110 §12.5.1).

        Parameters
        ----------
        otherwise
            The answer where the header is missing or has no preference.
        """
        accept = (self.header("accept") or "")[:512]
        weights = {"application/json": 0.0, "text/html": 0.0}
        for entry in accept.split(","):
            media_type, *parameters = (part.strip().lower() for part in entry.split(";"))
            if media_type in weights:
                weights[media_type] = next(
                    (_weight(text) for text in parameters if text.startswith("q=")), 1.0
                )
        html, as_json = weights["text/html"], weights["application/json"]
        return otherwise if html == as_json else as_json > html


class Responder:
    """Answers one request in its format and language.

    JSON speaks English whatever the browser prefers: programs compare it.

    Parameters
    ----------
    json_otherwise
        Whether to answer JSON where ``Accept`` has no preference.
    """

    def __init__(self, request: Request, *, json_otherwise: bool = False) -> None:
        self.is_json = request.wants_json(otherwise=json_otherwise)
        self.texts = DEFAULT if self.is_json else request.texts
        # To HEAD the headers alone (RFC 9110 §9.3.2).
        self._without_body = request.method == "HEAD"

    def page(self, status: int, page: str) -> Response:
        """Answer with a page."""
        headers = {"content-type": "text/html; charset=utf-8", "content-language": self.texts.locale}
        return self._response(status, headers, page)

    def data(self, status: int, content: Mapping[str, Any]) -> Response:
        """Answer with JSON."""
        headers = {"content-type": "application/json; charset=utf-8"}
        return self._response(status, headers, json.dumps(content, ensure_ascii=False))

    def refusal(self, status: int, words: Words) -> Response:
        """Say that something does not go: ``{"errors": [heading]}``, or a page that explains it."""
        if self.is_json:
            return self.data(status, {"errors": [words.heading]})
        return self.page(status, message_page(words, self.texts))

    def _response(self, status: int, headers: Mapping[str, str], body: str) -> Response:
        return {
            "statusCode": status,
            "headers": {**_HEADERS, **headers},
            "body": "" if self._without_body else body,
        }


def write_log(level: str, message: str, **keys: object) -> None:
    """Write one JSON line to the log: a constant message, and keys that hold nothing of the person's."""
    entry = {
        "level": level,
        "message": message,
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    sys.stdout.write(json.dumps(entry | keys) + "\n")


def _weight(parameter: str) -> float:
    try:
        return float(parameter[2:])
    except ValueError:
        return 0.0
