"""One review request at once, one new link, or the thanks for a review, when the bus says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.observability import instrumented, logger, metrics
from sms_engagement_runtime.review_collector.domain import bus_events
from sms_engagement_runtime.review_collector.domain.confirming import ReviewConfirmer, confirmation_texts
from sms_engagement_runtime.review_collector.domain.outcomes import PersonOutcome
from sms_engagement_runtime.review_collector.handlers.asking import AskingSettings, build_asker

MAX_ID_LENGTH = 512
"""Characters of an id or an occasion in an event; what is longer is no id of anybody's."""


class SendingStoppedError(TransientError):
    """The text waits for something that passes: the event is to be delivered again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRequestedSettings(AskingSettings):
    """Environment of this function.

    Attributes
    ----------
    confirmation_texts
        Locale to template of the thanks for a review; nothing means the standard text.
    """

    confirmation_texts: Mapping[str, str] = field(default_factory=dict)


_settings = settings.load(ReviewRequestedSettings)
_asker = build_asker(_settings)
_confirmer = ReviewConfirmer(
    send_service=_asker.send_service,
    customers=_asker.customers,
    parser=_asker.parser,
    subscriber_key=_asker.subscriber_key,
    texts=confirmation_texts(_settings.confirmation_texts),
)


@instrumented
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Ask one customer, send one new link, or thank for one review.

    An event that can never be carried out (no customer, no occasion) is logged, counted and acknowledged. One
    that can be carried out later raises, so that Lambda delivers it again and at last puts it into the
    dead-letter queue.

    Parameters
    ----------
    event
        EventBridge event, source ``sms-engagement``, detail-type ``ReviewRequested`` with
        ``{"userId", "occasion", "occurredAt"?}``, ``ReviewLinkRequested`` with ``{"requestId"}``, or
        ``ReviewSubmitted`` with ``{"reviewId", "userId", …}``, which comes for a new review and for no edit.

    Returns
    -------
    dict
        ``{"state", "reason"}``.
    """
    detail = event.get("detail")
    event_id, event_type = event.get("id"), event.get("detail-type")
    outcome = _carry_out(event_type, detail if isinstance(detail, dict) else {})
    if outcome is None:
        logger.error("Event cannot be carried out", event_id=event_id, event_type=event_type)
        metrics.add_metric(name="MalformedEvents", unit=MetricUnit.Count, value=1)
        return {"state": "SUPPRESSED", "reason": "MALFORMED_EVENT"}
    logger.info(
        "Review event handled",
        event_id=event_id,
        event_type=event_type,
        state=outcome.state,
        reason=outcome.reason,
    )
    if outcome.state == "DEFERRED":
        raise SendingStoppedError(str(outcome.reason))
    return {"state": str(outcome.state), "reason": outcome.reason and str(outcome.reason)}


def _carry_out(event_type: object, detail: dict[str, Any]) -> PersonOutcome | None:
    match event_type, detail:
        case bus_events.REVIEW_REQUESTED, {"userId": str(user_id), "occasion": str(occasion)} if (
            0 < len(user_id) <= MAX_ID_LENGTH and 0 < len(occasion) <= MAX_ID_LENGTH
        ):
            return _asker.ask_by_id(user_id, occasion)
        case bus_events.REVIEW_LINK_REQUESTED, {"requestId": str(identifier)} if (
            0 < len(identifier) <= MAX_ID_LENGTH
        ):
            return _asker.send_new_link(identifier)
        case bus_events.REVIEW_SUBMITTED, {"reviewId": str(review_id), "userId": str(user_id)} if (
            0 < len(review_id) <= MAX_ID_LENGTH and 0 < len(user_id) <= MAX_ID_LENGTH
        ):
            return _confirmer.confirm(review_id, user_id)
    return None
