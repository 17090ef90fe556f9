"""One review request at once, its reminder, a new link or the thanks for a review, when an event says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.later import StepFunctionsLater, timestamp
from sms_engagement_runtime.observability import instrumented, logger, metrics
from sms_engagement_runtime.review_collector.domain.confirming import ReviewConfirmer, confirmation_texts
from sms_engagement_runtime.review_collector.domain.errands import ErrandRunner, read_errand
from sms_engagement_runtime.review_collector.domain.reasons import TextFault
from sms_engagement_runtime.review_collector.handlers.asking import AskingSettings, build_asker


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRequestedSettings(AskingSettings):
    """Environment of this function.

    Attributes
    ----------
    later_arn
        State machine that waits for what cannot be sent now.
    aws_lambda_function_name
        Set by Lambda: whom that machine calls.
    confirmation_texts
        Locale to template of the thanks for a review; nothing means the standard text.
    add_customers_from_events
        Whether a customer whom an event brings is added where the table has nobody of that id.
    """

    later_arn: str
    aws_lambda_function_name: str = ""
    confirmation_texts: Mapping[str, str] = field(default_factory=dict)
    add_customers_from_events: bool = False


def _count_refused_text(event_id: str, fault: TextFault) -> None:
    # Never the text itself.
    logger.warning("Text of the event is not used", event_id=event_id, reason=fault)
    metrics.add_metric(name="ReviewTextsRefused", unit=MetricUnit.Count, value=1)


_settings = settings.load(ReviewRequestedSettings)
_asker = build_asker(_settings, adds_customers=_settings.add_customers_from_events)
_runner = ErrandRunner(
    asker=_asker,
    confirmer=ReviewConfirmer(
        send_service=_asker.send_service,
        customers=_asker.customers,
        parser=_asker.parser,
        subscriber_key=_asker.subscriber_key,
        texts=confirmation_texts(_settings.confirmation_texts),
    ),
    later=StepFunctionsLater(
        clients.stepfunctions_client(),
        state_machine_arn=_settings.later_arn,
        function_name=_settings.aws_lambda_function_name,
    ),
    clock=_asker.send_service.clock,
    on_text_refused=_count_refused_text,
)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Do what one event asks for, once, however often it comes.

    An event that can never be carried out (no customer, no occasion) is logged, counted and acknowledged. One
    that has to wait comes back by itself. Where a service does not answer, this raises, so that the event is
    delivered again and at last lands in the dead-letter queue.

    Parameters
    ----------
    event
        EventBridge event, source ``sms-engagement``, detail-type ``ReviewRequested`` or ``OccasionRecorded``
        with ``{"userId", "occasion", "occurredAt"?}``, ``ReviewLinkRequested`` with ``{"requestId"}``, or
        ``ReviewSubmitted`` with ``{"reviewId", "userId", …}``, which comes for a new review and for no edit.
        ``ReviewRequested`` may bring ``customer``, ``{"phoneNumber", "name"?, "locale"?, "timeZone"?}``, whom
        to ask where the table has nobody of that id, and ``text`` with ``textLocale``, a template with
        ``{{link}}`` and ``{{name}}``. One that cannot be sent is logged and counted, and the standard text
        goes out. After a wait the same without ``customer`` and with ``since``, an ISO 8601 instant; so comes
        ``ReviewReminderDue`` with ``{"userId", "occasion"}``.

    Returns
    -------
    dict
        ``{"state", "reason", "until"}``; ``until`` is null but for DEFERRED.
    """
    # Who calls by hand gives no id; the call has one, also where Lambda repeats it.
    event_id, event_type = str(event.get("id") or context.aws_request_id), event.get("detail-type")
    errand = read_errand(event_type, event.get("detail"))
    if errand is None:
        logger.error("Event cannot be carried out", event_id=event_id, event_type=event_type)
        metrics.add_metric(name="MalformedEvents", unit=MetricUnit.Count, value=1)
        return {"state": "SUPPRESSED", "reason": "MALFORMED_EVENT", "until": None}
    since = datetime.fromisoformat(event["since"]) if "since" in event else None
    try:
        outcome = _runner.run(errand, event_id=event_id, since=since)
    finally:
        _asker.send_service.budget.settle()
    logger.info(
        "Review event handled",
        event_id=event_id,
        event_type=event_type,
        state=outcome.state,
        reason=outcome.reason,
    )
    return {
        "state": str(outcome.state),
        "reason": outcome.reason and str(outcome.reason),
        "until": outcome.until and timestamp(outcome.until),
    }
