"""Events of the bus that change what subscribers are: who was asked to confirm becomes PENDING.

An event that comes twice, or late, makes the same row: see ``domain.subscribers``.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.erased_people import ErasedPeople
from sms_engagement_runtime.observability import instrumented, logger, metrics
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_subscribers import DynamoSubscribers
from sms_engagement_runtime.sms_analytics_pipeline.adapters.notice_archive import NoticeArchive
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscription_notices import (
    SubscriptionRecorder,
    read_notice,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionSettings:
    """Environment of this function.

    Attributes
    ----------
    contacts_table
        Holds the list of who was erased.
    """

    subscribers_table: str
    contacts_table: str
    archive_bucket: str


_settings = settings.load(SubscriptionSettings)
_archive = NoticeArchive(clients.s3_client(), bucket=_settings.archive_bucket)
_dynamodb = clients.dynamodb_client()
_erased = ErasedPeople(_dynamodb, table=_settings.contacts_table)
_recorder = SubscriptionRecorder(
    subscribers=DynamoSubscribers(_dynamodb, _settings.subscribers_table),
    sleep=time.sleep,
    jitter=random.random,
)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str | None]:
    """Record one event of the bus.

    Parameters
    ----------
    event
        EventBridge event, source ``sms-engagement``, detail-type ``ConfirmationAsked``: ``{"subscriberId",
        "at": epoch milliseconds}``.

    Returns
    -------
    dict
        ``{"status"}``: the status of the subscriber; None for an event that nobody can carry out, and of
        an erased person.

    Raises
    ------
    TransientError
        The bucket or the table did not answer. Lambda calls again, and then the event goes to the
        dead-letter queue.
    """
    event_id, event_type = str(event.get("id") or context.aws_request_id), event.get("detail-type")
    notice = read_notice(event_type, event.get("detail"), event_id)
    if notice is None:
        logger.error("Event cannot be carried out", event_id=event_id, event_type=event_type)
        metrics.add_metric(name="MalformedEvents", unit=MetricUnit.Count, value=1)
        return {"status": None}
    if notice.subscriber_id in _erased():
        logger.info("Subscription event of an erased person", event_id=event_id, event_type=event_type)
        return {"status": None}
    # First: a table that is made anew from the archive has to know it, too.
    _archive.keep(notice)
    status = _recorder.record(notice)
    logger.info("Subscription event recorded", event_id=event_id, event_type=event_type, status=status)
    return {"status": status.value}
