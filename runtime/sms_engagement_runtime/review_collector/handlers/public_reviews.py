"""``GET /reviews``: what everybody may read.

``{"reviews": [{"reviewId", "rating", "reviewText", "name", "createdAt", "helpful"}], "cursor"}``, newest
first, approved ones alone, whatever their stars. ``limit`` (1 to 100, else 10) and ``cursor``; 400 with
``{"errors": [...]}`` for others. Any site may read it from a browser, and caches may keep it for a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.domain.errors import EngagementError
from sms_engagement_runtime.channel.domain.ports import Clock
from sms_engagement_runtime.http_api import HttpRequest, Response, log_answer, log_unavailable
from sms_engagement_runtime.review_collector.adapters.dynamodb_reviews import DynamoReviews
from sms_engagement_runtime.review_collector.domain.queries import (
    InvalidQueryError,
    ReviewShelf,
    read_page,
    read_query,
)
from sms_engagement_runtime.review_collector.domain.reviews import Review, ReviewStatus
from sms_engagement_runtime.review_collector.handlers.public_web import public_answer


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicSettings:
    """Environment of this function."""

    reviews_table: str


def respond(request: HttpRequest, *, shelf: ReviewShelf, clock: Clock) -> Response:
    """Answer one request."""
    given: Mapping[str, str] = request.event.get("queryStringParameters") or {}
    # Who asks for other statuses or for a customer gets what everybody gets.
    parameters = {name: given[name] for name in ("limit", "cursor") if name in given}
    try:
        asked = read_query(parameters | {"status": ReviewStatus.APPROVED.value})
        page = read_page(shelf, asked, now=clock.now())
    except InvalidQueryError as error:
        return public_answer(400, {"errors": list(error.errors)})
    except EngagementError as error:
        log_unavailable(error)
        return public_answer(503, {"errors": ["Try again in a minute"]})
    content = {"reviews": [_as_data(review) for review in page.reviews], "cursor": page.cursor}
    return public_answer(200, content, cache="public, max-age=60", is_head=request.method == "HEAD")


def _as_data(review: Review) -> dict[str, Any]:
    return {
        "reviewId": review.review_id,
        "rating": review.opinion.rating,
        "reviewText": review.opinion.text,
        "name": review.author_name,
        # The day is what a reader wants; the second would tell when somebody used their phone.
        "createdAt": review.created_at.date().isoformat(),
        "helpful": review.helpful,
    }


_settings = settings.load(PublicSettings)
_clock = build_clock()
_reviews = DynamoReviews(
    clients.dynamodb_client(config=clients.ANSWERING), table=_settings.reviews_table, clock=_clock
)


def handler(event: dict[str, Any], context: object) -> Response:
    """Answer one request; never raises on what a person may have sent."""
    request = HttpRequest(event)
    response = respond(request, shelf=_reviews, clock=_clock)
    log_answer("Public reviews answered", request, response, context)
    return response
