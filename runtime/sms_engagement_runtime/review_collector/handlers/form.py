"""``GET`` and ``HEAD`` of ``/review?token=`` and ``/r/{token}``: the review form.

Changes nothing and reads nothing but its secret, so that a link preview spends nothing.

=========================================  ======  ==================================================
link                                       status  page
=========================================  ======  ==================================================
good                                       200     the form
no token in it                             400     open it again from the text
forged, cut, of another system, future     403     the same, and nothing about which
expired                                    410     a button that asks for a new one
keys cannot be had                         503     try again in a minute
=========================================  ======  ==================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.domain.errors import EngagementError
from sms_engagement_runtime.http_api import Response, log_answer, write_log
from sms_engagement_runtime.review_collector.adapters.link_keys import CachedLinkKeys
from sms_engagement_runtime.review_collector.adapters.secret_http import AwsEnvironment, SecretHttpReader
from sms_engagement_runtime.review_collector.domain import form
from sms_engagement_runtime.review_collector.domain.link_keys import LinkKeySource, verify
from sms_engagement_runtime.review_collector.domain.tokens import Rejected, Rejection, Verified
from sms_engagement_runtime.review_collector.handlers.web import Request, Responder


@dataclass(frozen=True, slots=True, kw_only=True)
class FormSettings:
    """Environment of the form."""

    link_secret_arn: str
    link_lifetime_seconds: int = 7 * 24 * 3600


_settings = settings.load(FormSettings)
_clock = build_clock()
_keys = CachedLinkKeys(SecretHttpReader(_settings.link_secret_arn, settings.load(AwsEnvironment)).read)


def handler(event: dict[str, Any], context: object) -> Response:
    """Answer one request; never raises on what a person may have sent."""
    started = perf_counter()
    request = Request(event)
    response = respond(
        request,
        keys=_keys,
        now=_clock.now(),
        max_lifetime=timedelta(seconds=_settings.link_lifetime_seconds),
    )
    log_answer("Review page answered", request, response, context, started=started)
    return response


def respond(request: Request, *, keys: LinkKeySource, now: datetime, max_lifetime: timedelta) -> Response:
    """Turn a request into its page; the table is in the module's docstring."""
    answer = Responder(request)
    token = request.path_parameter("token")
    # The form's address is relative, so it depends on how deep the page itself lies.
    root = "" if token is None else "../"
    token = (request.query_parameter("token") if token is None else token) or ""
    if not token:
        return answer.refusal(400, answer.texts.incomplete)
    try:
        result = verify(token, keys, now=now, max_lifetime=max_lifetime)
    except EngagementError as error:
        write_log("ERROR", "Link keys cannot be had", reason=str(error))
        return answer.refusal(503, answer.texts.unavailable)
    match result:
        case Verified() if answer.is_json:
            return answer.data(200, {"message": answer.texts.heading})
        case Verified():
            return answer.page(200, form.review_form(token, answer.texts, root=root))
        case Rejected(kind=Rejection.EXPIRED) if not answer.is_json:
            return answer.page(410, form.expired_page(token, answer.texts, root=root))
        case Rejected(kind=Rejection.EXPIRED):
            return answer.refusal(410, answer.texts.expired)
    return answer.refusal(403, answer.texts.invalid)
