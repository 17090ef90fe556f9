"""HTTP of the review pages: reading API Gateway's events, choosing HTML or JSON, answering.

Events are those of HTTP APIs, payload format 2.0 (API Gateway, *Create AWS Lambda proxy integrations for HTTP
APIs*). No Powertools: its import alone takes longer than everything that these functions do before their
first answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sms_engagement_runtime.http_api import STRICT_TRANSPORT_SECURITY, HttpRequest, Response
from sms_engagement_runtime.review_collector.domain.form import CONTENT_SECURITY_POLICY, message_page
from sms_engagement_runtime.review_collector.domain.form_texts import DEFAULT, Texts, Words, choose_texts

_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "strict-transport-security": STRICT_TRANSPORT_SECURITY,
    "vary": "accept, accept-language",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex, nofollow",
}


@dataclass(frozen=True, slots=True)
class Request(HttpRequest):
    """One HTTP request of a person with a browser."""

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


def _weight(parameter: str) -> float:
    try:
        return float(parameter[2:])
    except ValueError:
        return 0.0
