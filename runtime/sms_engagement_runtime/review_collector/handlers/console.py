"""What moderators and owners read: lists of reviews, one review, the figures.

==============================================  ======  ==================================================
``GET``                                         status  answer (JSON; HTML says the same on a page)
==============================================  ======  ==================================================
``/admin/reviews?status=&hours=&limit=&cursor=``  200   ``{"reviews": [...], "cursor"}``, newest first
``/admin/reviews?userId=&hours=&limit=&cursor=``  200   the same of one customer
``/admin/reviews/{id}``                         200     ``{"review"}``
``/admin/figures?days=``                        200     ``{"period", "ever", "steps", ...}``
a parameter is wrong                            400     ``{"errors": [...]}``
not signed                                      403     from API Gateway
no such review                                  404     ``{"errors": [...]}``
a service of ours does not answer               503     ``{"errors": [...]}``
==============================================  ======  ==================================================

``status`` is ``new`` where it is left out, ``all`` means every one.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.domain.errors import EngagementError
from sms_engagement_runtime.channel.domain.ports import Clock
from sms_engagement_runtime.http_api import Response, log_answer, log_unavailable
from sms_engagement_runtime.review_collector.adapters.dynamodb_figures import DynamoFigures
from sms_engagement_runtime.review_collector.adapters.dynamodb_reviews import DynamoReviews
from sms_engagement_runtime.review_collector.domain import console
from sms_engagement_runtime.review_collector.domain.figures import (
    COUNTERS,
    MAX_DAYS,
    Figures,
    Overview,
    overview,
)
from sms_engagement_runtime.review_collector.domain.moderation import is_expired
from sms_engagement_runtime.review_collector.domain.queries import (
    Asked,
    InvalidQueryError,
    Page,
    ReviewQuery,
    read_page,
    read_query,
)
from sms_engagement_runtime.review_collector.domain.reviews import ReviewStatus
from sms_engagement_runtime.review_collector.handlers.admin_web import (
    AdminResponder,
    as_data,
    principal,
    review_id_of,
)
from sms_engagement_runtime.review_collector.handlers.web import Request

_DAYS_ERROR = f"days must be a whole number from 1 to {MAX_DAYS}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """Environment of the console.

    Attributes
    ----------
    reporting_time_zone
        IANA zone whose days the figures have, and whose time the pages show.
    """

    reviews_table: str
    figures_table: str
    reporting_time_zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """Answers what moderators ask."""

    reviews: DynamoReviews
    figures: DynamoFigures
    clock: Clock
    zone: ZoneInfo

    def respond(self, request: Request) -> Response:
        """Answer one request; the table is in the module's docstring."""
        is_one = "{id}" in request.route
        answer = AdminResponder(request, root="../" if is_one else "")
        # The authoriser let nobody else through; a route that lost it must not show anything either.
        if principal(request) is None:
            return answer.refusal(403, "Forbidden")
        try:
            if is_one:
                return self._one(request, answer)
            if request.route.endswith("/figures"):
                return self._figures(request, answer)
            return self._list(request, answer)
        except EngagementError as error:
            log_unavailable(error)
            return answer.refusal(503, "Try again in a minute")

    def _list(self, request: Request, answer: AdminResponder) -> Response:
        parameters = request.event.get("queryStringParameters") or {}
        try:
            asked = read_query(parameters, default_status=ReviewStatus.NEW)
            page = read_page(self.reviews, asked, now=self.clock.now())
        except InvalidQueryError as error:
            if answer.is_json:
                return answer.refusal(400, *error.errors)
            asked = Asked(query=ReviewQuery(status=ReviewStatus.NEW), limit=1)
            return answer.page(
                400, console.list_page(asked, Page([], None), zone=self.zone, errors=error.errors)
            )
        if answer.is_json:
            reviews = [as_data(review) for review in page.reviews]
            return answer.data(200, {"reviews": reviews, "cursor": page.cursor})
        decided = parameters.get("decided")
        return answer.page(
            200, console.list_page(asked, page, zone=self.zone, decided=decided and decided[:200])
        )

    def _one(self, request: Request, answer: AdminResponder) -> Response:
        identifier = review_id_of(request)
        review = None if identifier is None else self.reviews.get(identifier)
        if review is None or is_expired(review, self.clock.now()):
            return answer.refusal(404, "There is no such review")
        if answer.is_json:
            return answer.data(200, {"review": as_data(review)})
        return answer.page(200, console.review_page(review, zone=self.zone))

    def _figures(self, request: Request, answer: AdminResponder) -> Response:
        given = request.query_parameter("days")
        days = 30 if given is None else _days(given)
        if days is None:
            return answer.refusal(400, _DAYS_ERROR)
        seen = overview(self.figures, days=days, now=self.clock.now(), zone=self.zone)
        if answer.is_json:
            return answer.data(200, _figures_data(seen, self.zone))
        return answer.page(200, console.figures_page(seen, days=days, zone=self.zone))


def _days(text: str) -> int | None:
    is_number = text.isascii() and text.isdigit() and len(text) <= 4
    return int(text) if is_number and 1 <= int(text) <= MAX_DAYS else None


def _figures_data(seen: Overview, zone: ZoneInfo) -> dict[str, Any]:
    period = seen.period
    ever = Figures(first=period.first, last=period.last, counts=seen.ever)
    return {
        "timeZone": zone.key,
        "period": _sums(period) | {"from": period.first.isoformat(), "to": period.last.isoformat()},
        "ever": _sums(ever),
        "steps": [
            _sums(step) | {"from": step.first.isoformat(), "to": step.last.isoformat()} for step in seen.steps
        ],
    }


def _sums(figures: Figures) -> dict[str, Any]:
    return {
        "reviews": figures.reviews,
        "average": figures.average,
        "responseRate": figures.response_rate,
        **{name: figures.of(name) for name in COUNTERS},
    }


_settings = settings.load(ConsoleSettings)
_client = clients.dynamodb_client(config=clients.ANSWERING)
_clock = build_clock()
_console = Console(
    reviews=DynamoReviews(_client, table=_settings.reviews_table, clock=_clock),
    figures=DynamoFigures(_client, table=_settings.figures_table),
    clock=_clock,
    zone=ZoneInfo(_settings.reporting_time_zone),
)


def handler(event: dict[str, Any], context: object) -> Response:
    """Answer one request."""
    started = perf_counter()
    request = Request(event)
    response = _console.respond(request)
    log_answer("Console answered", request, response, context, started=started)
    return response
