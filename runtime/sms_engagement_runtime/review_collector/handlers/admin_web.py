"""HTTP of the moderators' console: who asks, HTML or JSON, and the headers of both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from sms_engagement_runtime.http_api import STRICT_TRANSPORT_SECURITY, Response
from sms_engagement_runtime.review_collector.domain.console import CONTENT_SECURITY_POLICY, message_page
from sms_engagement_runtime.review_collector.domain.reviews import Review
from sms_engagement_runtime.review_collector.handlers.web import Request

MAX_ID_LENGTH: Final = 200

_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    # Not `no-referrer`: under it a browser states the origin `null` for a form, and the local console lets
    # nobody decide whose origin is not its own (Fetch standard, "append a request Origin header").
    "referrer-policy": "same-origin",
    "vary": "accept",
    "strict-transport-security": STRICT_TRANSPORT_SECURITY,
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex, nofollow",
}


def principal(request: Request) -> str | None:
    """Return the ARN of the IAM principal that signed the request; None where no authoriser says so.

    Source: API Gateway, *Create AWS Lambda proxy integrations for HTTP APIs*: ``requestContext.authorizer.iam
    .userArn`` where the route has the ``AWS_IAM`` authorisation type.
    """
    context = request.event.get("requestContext") or {}
    iam = (context.get("authorizer") or {}).get("iam") or {}
    return str(iam["userArn"]) if iam.get("userArn") else None


class AdminResponder:
    """Answers one request as a page to a browser, as JSON to everybody else.

    Parameters
    ----------
    root
        What leads from the request's path to ``/admin/``.
    """

    def __init__(self, request: Request, *, root: str = "") -> None:
        self.is_json = request.wants_json(otherwise=True)
        self._root = root

    def page(self, status: int, page: str) -> Response:
        """Answer with a page."""
        return self._response(status, {"content-type": "text/html; charset=utf-8"}, page)

    def data(self, status: int, content: Mapping[str, Any]) -> Response:
        """Answer with JSON."""
        body = json.dumps(content, ensure_ascii=False)
        return self._response(status, {"content-type": "application/json; charset=utf-8"}, body)

    def refusal(self, status: int, *errors: str) -> Response:
        """Say what is wrong."""
        if self.is_json:
            return self.data(status, {"errors": list(errors)})
        return self.page(
            status, message_page(_TITLES.get(status, "Error"), ". ".join(errors), root=self._root)
        )

    def redirect(self, location: str) -> Response:
        """Lead a browser to another page, which is asked for with GET (RFC 9110 §15.4.4)."""
        return self._response(303, {"location": location}, "")

    def _response(self, status: int, headers: Mapping[str, str], body: str) -> Response:
        return {"statusCode": status, "headers": {**_HEADERS, **headers}, "body": body}


_TITLES: Final = {404: "Not found", 403: "Not allowed", 503: "Try again"}


def review_id_of(request: Request) -> str | None:
    """Return the id in the path, if it can be one."""
    identifier = request.path_parameter("id") or ""
    return identifier if 1 <= len(identifier) <= MAX_ID_LENGTH else None


def as_data(review: Review) -> dict[str, Any]:
    """Return a review for a moderator's program; instants in ISO 8601, UTC."""
    return {
        "reviewId": review.review_id,
        "userId": review.user_id,
        "rating": review.opinion.rating,
        "reviewText": review.opinion.text,
        "status": review.status.value,
        "version": review.version,
        "sentiment": review.sentiment,
        "helpful": review.helpful,
        "name": review.author_name,
        "createdAt": review.created_at.isoformat(timespec="milliseconds"),
        "updatedAt": review.updated_at.isoformat() if review.updated_at else None,
        "decisions": [
            {
                "status": decision.status.value,
                "version": decision.version,
                "at": decision.decided_at.isoformat(),
                "by": decision.decided_by,
                "reason": decision.reason,
            }
            for decision in review.decisions
        ],
    }
