"""``POST /reviews/{id}/helpful``: a reader found a review helpful.

200 ``{"counted": true}``, or false where this visitor's vote counts already; 404 where the public has no such
review; 413 for a body over 1 KiB (none is needed, and none is read); 503 where a service does not answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.domain.errors import EngagementError
from sms_engagement_runtime.channel.domain.ports import Clock
from sms_engagement_runtime.http_api import (
    HttpRequest,
    Response,
    UndecodableBodyError,
    log_answer,
    log_unavailable,
)
from sms_engagement_runtime.review_collector.adapters.dynamodb_figures import DynamoVotes
from sms_engagement_runtime.review_collector.domain.votes import REMEMBERED, Vote, vote_bucket
from sms_engagement_runtime.review_collector.handlers.public_web import public_answer

MAX_BODY_LENGTH: Final = 1024
_MAX_ID_LENGTH: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpfulSettings:
    """Environment of this function."""

    reviews_table: str
    figures_table: str


def respond(request: HttpRequest, *, votes: DynamoVotes, clock: Clock) -> Response:
    """Answer one request."""
    try:
        if request.body(MAX_BODY_LENGTH) is None:
            return public_answer(413, {"errors": ["The body is too large"]})
    except UndecodableBodyError:
        return public_answer(400, {"errors": ["The body cannot be read"]})
    identifier = request.path_parameter("id") or ""
    http = (request.event.get("requestContext") or {}).get("http") or {}
    bucket = vote_bucket(identifier, str(http.get("sourceIp") or ""))
    if not 1 <= len(identifier) <= _MAX_ID_LENGTH or bucket is None:
        return public_answer(404, {"errors": ["There is no such review"]})
    now = clock.now()
    try:
        vote = votes.add(identifier, bucket, now=now, until=now + REMEMBERED)
    except EngagementError as error:
        log_unavailable(error)
        return public_answer(503, {"errors": ["Try again in a minute"]})
    if vote is Vote.UNKNOWN:
        return public_answer(404, {"errors": ["There is no such review"]})
    return public_answer(200, {"counted": vote is Vote.COUNTED})


_settings = settings.load(HelpfulSettings)
_clock = build_clock()
_votes = DynamoVotes(
    clients.dynamodb_client(config=clients.ANSWERING),
    reviews_table=_settings.reviews_table,
    figures_table=_settings.figures_table,
)


def handler(event: dict[str, Any], context: object) -> Response:
    """Answer one vote; the log has neither the address nor its bucket."""
    request = HttpRequest(event)
    response = respond(request, votes=_votes, clock=_clock)
    log_answer("Vote answered", request, response, context)
    return response
