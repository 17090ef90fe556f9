"""``POST /submit-review`` takes a review in, ``POST /new-link`` asks for a new link for an expired one.

===========================================  ======  =========================================================
``POST /submit-review``                      status  answer (JSON; HTML says the same on a page)
===========================================  ======  =========================================================
a new review                                 201     ``{"message": "Thank you for your review!", "reviewId"}``
an edit, or the same review once more        200     the same
fields missing or wrong, token missing       400     ``{"errors": [...]}``, all of them; HTML: the form again
body is not what its type says               400     ``{"errors": [...]}``
token forged, cut or from the future         403     ``{"errors": [...]}``
the time for changes is over                 409     ``{"errors": [...]}``
link expired, or nobody was asked            410     ``{"errors": [...]}``; HTML: expired has a button
body over 64 KiB                             413     ``{"errors": [...]}``
neither form nor JSON in UTF-8               415     ``{"errors": [...]}``
a service of ours does not answer            503     ``{"errors": [...]}``
===========================================  ======  =========================================================

``POST /new-link`` answers 202 and says that a link is coming, 200 where the old one still works, else as
above. The link itself is sent by whoever hears ``ReviewLinkRequested`` on the bus.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from time import perf_counter
from typing import Any

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.attention import SnsAttentionTopic
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.adapters.event_bus import EventBridgeBus
from sms_engagement_runtime.channel.domain.errors import EngagementError
from sms_engagement_runtime.channel.domain.ports import Clock
from sms_engagement_runtime.http_api import Response, log_answer, log_unavailable, write_log
from sms_engagement_runtime.review_collector.adapters.dynamodb_requests import DynamoReviewRequests
from sms_engagement_runtime.review_collector.adapters.dynamodb_reviews import DynamoReviews
from sms_engagement_runtime.review_collector.adapters.link_keys import CachedLinkKeys
from sms_engagement_runtime.review_collector.adapters.secret_http import AwsEnvironment, SecretHttpReader
from sms_engagement_runtime.review_collector.domain import form
from sms_engagement_runtime.review_collector.domain.link_keys import LinkKeySource, verify
from sms_engagement_runtime.review_collector.domain.notices import UNANNOUNCED
from sms_engagement_runtime.review_collector.domain.requests import reference_to_id
from sms_engagement_runtime.review_collector.domain.reviews import Opinion, find_errors, read_opinion
from sms_engagement_runtime.review_collector.domain.submission import (
    Closed,
    Created,
    Edited,
    Gone,
    ReviewDesk,
)
from sms_engagement_runtime.review_collector.domain.tokens import Rejected, Rejection, Verification, Verified
from sms_engagement_runtime.review_collector.handlers.fields import (
    BodyTooLargeError,
    Fields,
    MalformedBodyError,
    UnsupportedTypeError,
    is_json,
    read_fields,
)
from sms_engagement_runtime.review_collector.handlers.web import Request, Responder

TOKEN_REQUIRED = "Token is required"  # noqa: S105 an error's words, not a secret


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitSettings:
    """Environment of the submit function.

    Attributes
    ----------
    powertools_service_name
        Dimension of the metric that is counted from the log.
    """

    link_secret_arn: str
    review_requests_table: str
    reviews_table: str
    admin_topic_arn: str
    bus_name: str
    edit_window_seconds: int
    retention_days: int = 0
    link_lifetime_seconds: int = 7 * 24 * 3600
    powertools_service_name: str = "review-collector"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """What answers the posts.

    Attributes
    ----------
    max_lifetime
        Of a link that is issued now.
    """

    desk: ReviewDesk
    keys: LinkKeySource
    clock: Clock
    max_lifetime: timedelta

    def respond(self, request: Request) -> Response:
        """Answer one request; the table is in the module's docstring."""
        answer = Responder(request, json_otherwise=is_json(request))
        take = self._new_link if request.route.endswith("/new-link") else self._submit
        try:
            return take(read_fields(request), answer)
        except BodyTooLargeError:
            return answer.refusal(413, answer.texts.too_large)
        except UnsupportedTypeError:
            return answer.refusal(415, answer.texts.unsupported)
        except MalformedBodyError:
            return answer.refusal(400, answer.texts.unreadable)
        except EngagementError as error:
            log_unavailable(error)
            return answer.refusal(503, answer.texts.unavailable)

    def _submit(self, fields: Fields, answer: Responder) -> Response:
        token, rating, text = fields.get("token"), fields.get("rating"), fields.get("reviewText")
        if not token:
            return _invalid(answer, "", rating, text, (TOKEN_REQUIRED, *find_errors(rating, text)))
        match self._verify(token):
            case Verified(reference=reference):
                pass
            case Rejected(kind=Rejection.EXPIRED) if not answer.is_json:
                return answer.page(410, form.expired_page(str(token), answer.texts))
            case Rejected(kind=Rejection.EXPIRED):
                return answer.refusal(410, answer.texts.expired)
            case _:
                return answer.refusal(403, answer.texts.invalid)
        opinion = read_opinion(rating, text)
        if not isinstance(opinion, Opinion):
            return _invalid(answer, str(token), rating, text, opinion)
        match self.desk.submit(reference_to_id(reference), opinion):
            case Created(review_id):
                return _thanks(answer, 201, review_id)
            case Edited(review_id):
                return _thanks(answer, 200, review_id)
            case Closed():
                return answer.refusal(409, answer.texts.closed)
            case Gone():
                return answer.refusal(410, answer.texts.gone)

    def _new_link(self, fields: Fields, answer: Responder) -> Response:
        token = fields.get("token")
        if not token:
            return answer.refusal(400, answer.texts.incomplete)
        match self._verify(token):
            case Rejected(kind=Rejection.EXPIRED, reference=bytes(reference)):
                if not self.desk.ask_for_new_link(reference_to_id(reference)):
                    return answer.refusal(410, answer.texts.gone)
                if answer.is_json:
                    return answer.data(202, {"message": answer.texts.new_link.heading})
                return answer.page(202, form.message_page(answer.texts.new_link, answer.texts))
            case Verified() if answer.is_json:
                return answer.data(200, {"message": answer.texts.still_good.heading})
            case Verified():
                return answer.page(200, form.still_good_page(str(token), answer.texts))
        return answer.refusal(403, answer.texts.invalid)

    def _verify(self, token: object) -> Verification:
        if not isinstance(token, str):
            return Rejected(Rejection.MALFORMED)
        return verify(token, self.keys, now=self.clock.now(), max_lifetime=self.max_lifetime)


def _thanks(answer: Responder, status: int, review_id: str) -> Response:
    words = answer.texts.thanks if status == 201 else answer.texts.updated
    if answer.is_json:
        return answer.data(status, {"message": words.heading, "reviewId": review_id})
    return answer.page(status, form.thanks_page(words, answer.texts))


def _invalid(
    answer: Responder, token: str, rating: object, text: object, errors: tuple[str, ...]
) -> Response:
    if answer.is_json:
        return answer.data(400, {"errors": list(errors)})
    if not token:
        return answer.refusal(400, answer.texts.incomplete)
    typed = text if isinstance(text, str) else ""
    return answer.page(400, form.review_form(token, answer.texts, rating=rating, text=typed, errors=errors))


def build_pages(values: SubmitSettings, read_secret: Callable[[], str]) -> Pages:
    """Wire the pages to AWS."""
    dynamodb = clients.dynamodb_client()
    clock = build_clock()
    link_lifetime = timedelta(seconds=values.link_lifetime_seconds)

    def log_unannounced(review_id: str, error: EngagementError) -> None:
        service = values.powertools_service_name
        write_log("ERROR", UNANNOUNCED, service=service, review_id=review_id, reason=str(error))

    return Pages(
        desk=ReviewDesk(
            requests=DynamoReviewRequests(dynamodb, table=values.review_requests_table),
            reviews=DynamoReviews(
                dynamodb,
                table=values.reviews_table,
                retention=timedelta(days=values.retention_days) if values.retention_days else None,
            ),
            # What hangs must be over, and logged, before the function is cut off.
            admin_topic=SnsAttentionTopic(
                clients.sns_client(clients.ANSWERING), topic_arn=values.admin_topic_arn
            ),
            bus=EventBridgeBus(clients.events_client(clients.ANSWERING), bus_name=values.bus_name),
            clock=clock,
            edit_window=timedelta(seconds=values.edit_window_seconds),
            on_unannounced=log_unannounced,
            link_lifetime=link_lifetime,
        ),
        keys=CachedLinkKeys(read_secret),
        clock=clock,
        max_lifetime=link_lifetime,
    )


_settings = settings.load(SubmitSettings)
_pages = build_pages(
    _settings, SecretHttpReader(_settings.link_secret_arn, settings.load(AwsEnvironment)).read
)


def handler(event: dict[str, Any], context: object) -> Response:
    """Answer one post; never raises on what a person may have sent."""
    started = perf_counter()
    request = Request(event)
    response = _pages.respond(request)
    log_answer("Review post answered", request, response, context, started=started)
    return response
