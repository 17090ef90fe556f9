"""``POST /admin/reviews/{id}/approve`` and ``/reject``: a moderator decides.

Fields, as form or JSON: ``version``, which was shown; ``status``, which was shown, ``new`` where it is left
out; ``reason`` of a rejection; ``then``, where a browser goes (``review``, else the list).

=========================================  ======  ======================================================
decision                                   status  answer (JSON; HTML leads back, or says it on a page)
=========================================  ======  ======================================================
stored, or so already                      200     ``{"review", "changed"}``; HTML: 303
a field is missing or wrong                400     ``{"errors": [...]}``
not signed                                 403     from API Gateway
no such review                             404     ``{"errors": [...]}``
the review is not what was shown           409     ``{"errors": [...], "review"}``: the one that is
body over 64 KiB                           413     ``{"errors": [...]}``
neither form nor JSON in UTF-8             415     ``{"errors": [...]}``
a service of ours does not answer          503     ``{"errors": [...]}``
=========================================  ======  ======================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.domain.errors import EngagementError
from sms_engagement_runtime.channel.domain.ports import Clock
from sms_engagement_runtime.http_api import Response, log_answer, log_unavailable
from sms_engagement_runtime.review_collector.adapters.dynamodb_reviews import DynamoReviews
from sms_engagement_runtime.review_collector.domain.console import review_page
from sms_engagement_runtime.review_collector.domain.moderation import (
    Decided,
    ModerationDesk,
    Outdated,
    Shown,
    Unknown,
    moderate,
    read_reason,
    read_shown,
)
from sms_engagement_runtime.review_collector.domain.reviews import Review, ReviewStatus
from sms_engagement_runtime.review_collector.handlers.admin_web import (
    AdminResponder,
    as_data,
    principal,
    review_id_of,
)
from sms_engagement_runtime.review_collector.handlers.fields import (
    BodyTooLargeError,
    Fields,
    MalformedBodyError,
    UnsupportedTypeError,
    read_fields,
)
from sms_engagement_runtime.review_collector.handlers.web import Request

OUTDATED: Final = "The review has changed since it was shown: look at it again"
_UNKNOWN: Final = "There is no such review"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModerateSettings:
    """Environment of this function.

    Attributes
    ----------
    reporting_time_zone
        IANA zone whose time the pages show.
    """

    reviews_table: str
    reporting_time_zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moderation:
    """Takes decisions in."""

    desk: ModerationDesk
    clock: Clock
    zone: ZoneInfo

    def respond(self, request: Request) -> Response:
        """Answer one request; the table is in the module's docstring."""
        answer = AdminResponder(request, root="../../")
        by = principal(request)
        if by is None:
            return answer.refusal(403, "Forbidden")
        identifier = review_id_of(request)
        if identifier is None:
            return answer.refusal(404, _UNKNOWN)
        wanted = ReviewStatus.APPROVED if request.route.endswith("/approve") else ReviewStatus.REJECTED
        try:
            return self._decide(identifier, wanted, read_fields(request), by, answer)
        except BodyTooLargeError:
            return answer.refusal(413, "The body is too large")
        except UnsupportedTypeError:
            return answer.refusal(415, "The body must be a form or JSON, in UTF-8")
        except MalformedBodyError:
            return answer.refusal(400, "The body cannot be read")
        except EngagementError as error:
            log_unavailable(error)
            return answer.refusal(503, "Try again in a minute")

    def _decide(
        self, identifier: str, wanted: ReviewStatus, fields: Fields, by: str, answer: AdminResponder
    ) -> Response:
        shown = read_shown(fields.get("version"), fields.get("status"))
        reason = read_reason(fields.get("reason")) if wanted is ReviewStatus.REJECTED else None
        errors = (
            *(() if isinstance(shown, Shown) else shown),
            *(reason if isinstance(reason, tuple) else ()),
        )
        if errors or not isinstance(shown, Shown) or isinstance(reason, tuple):
            return answer.refusal(400, *errors)
        outcome = moderate(self.desk, identifier, wanted, shown=shown, by=by, reason=reason, clock=self.clock)
        match outcome:
            case Decided(review, changed) if answer.is_json:
                return answer.data(200, {"review": as_data(review), "changed": changed})
            case Decided():
                name = quote(identifier, safe="")
                return answer.redirect(
                    f"../{name}"
                    if fields.get("then") == "review"
                    else f"../../reviews?status=new&decided={name}"
                )
            case Outdated(review):
                return self._outdated(review, answer)
            case Unknown():
                return answer.refusal(404, _UNKNOWN)

    def _outdated(self, review: Review, answer: AdminResponder) -> Response:
        if answer.is_json:
            return answer.data(409, {"errors": [OUTDATED], "review": as_data(review)})
        return answer.page(409, review_page(review, zone=self.zone, root="../../", notice=f"{OUTDATED}."))


_settings = settings.load(ModerateSettings)
_clock = build_clock()
_moderation = Moderation(
    desk=DynamoReviews(clients.dynamodb_client(config=clients.ANSWERING), table=_settings.reviews_table),
    clock=_clock,
    zone=ZoneInfo(_settings.reporting_time_zone),
)


def handler(event: dict[str, Any], context: object) -> Response:
    """Answer one decision. Who decided is in the row; the log has neither a name nor a text."""
    request = Request(event)
    response = _moderation.respond(request)
    log_answer("Decision answered", request, response, context)
    return response
