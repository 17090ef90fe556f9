"""Response handler: what people answer, kept for a year, and what it makes of them as subscribers.

A batch of the stream. The event source mapping lets ``_SMS.RECEIVED`` pass and nothing else; what comes all
the same is passed over unread. An answer that cannot be read is set aside with its reason. The others are
kept at the same time, those of one person one after another. Where a service does not answer, the batch comes
again from the first answer that is not kept; those that are make nothing of that.

Nobody is answered here: that is the channel's duty.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.attention import SnsAttentionTopic
from sms_engagement_runtime.channel.adapters.erased_people import ErasedPeople
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.sentiment import analyse
from sms_engagement_runtime.observability import instrumented, logger
from sms_engagement_runtime.settings import SettingsError
from sms_engagement_runtime.sms_analytics_pipeline.adapters.answer_batches import WORKERS, keep_batch, read
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_responses import DynamoResponses
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_subscribers import DynamoSubscribers
from sms_engagement_runtime.sms_analytics_pipeline.adapters.embedded_metrics import metric_line, write_lines
from sms_engagement_runtime.sms_analytics_pipeline.adapters.kinesis_records import (
    ALL_DONE,
    StreamResponse,
    failed_from,
)
from sms_engagement_runtime.sms_analytics_pipeline.adapters.record_quarantine import RecordQuarantine
from sms_engagement_runtime.sms_analytics_pipeline.domain.answering_patterns import AnsweringPatterns
from sms_engagement_runtime.sms_analytics_pipeline.domain.metrics import NAMESPACE, MetricSet
from sms_engagement_runtime.sms_analytics_pipeline.domain.responses import Kept, ResponseKeeper


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseSettings:
    """Environment of this function.

    Attributes
    ----------
    contacts_table
        Holds the list of who was erased.
    response_topic_arn, notify_patterns
        Who hears of answers that match, and of which: name to words or phrases. Nobody when left out.
    metric_namespace
        Of the metrics that CloudWatch makes of the log.
    """

    responses_table: str
    subscribers_table: str
    contacts_table: str
    archive_bucket: str
    response_topic_arn: str | None = None
    notify_patterns: Mapping[str, Any] = field(default_factory=dict)
    metric_namespace: str = NAMESPACE


def _patterns(given: Mapping[str, Any]) -> AnsweringPatterns:
    try:
        return AnsweringPatterns.from_settings(given)
    except ValueError as error:
        raise SettingsError(f"environment variable NOTIFY_PATTERNS: {error}") from error


_settings = settings.load(ResponseSettings)
_dynamodb = clients.dynamodb_client()
_subscribers = DynamoSubscribers(_dynamodb, _settings.subscribers_table)
_keeper = ResponseKeeper(
    store=DynamoResponses(_dynamodb, _settings.responses_table, _subscribers),
    subscribers=_subscribers,
    analyse=analyse,
    patterns=_patterns(_settings.notify_patterns),
    topic=SnsAttentionTopic(clients.sns_client(), topic_arn=_settings.response_topic_arn)
    if _settings.response_topic_arn
    else None,
    sleep=time.sleep,
    jitter=random.random,
)
_erased = ErasedPeople(_dynamodb, table=_settings.contacts_table)
_quarantine = RecordQuarantine(
    clients.s3_client(), bucket=_settings.archive_bucket, consumer="response-handler"
)
_workers = ThreadPoolExecutor(WORKERS)


@instrumented
def handler(event: dict[str, Any], _: LambdaContext) -> StreamResponse:
    """Keep the answers of one batch of canonical events."""
    batch = read(event)
    if batch is None:
        return ALL_DONE
    try:
        _quarantine.keep(batch.shard_id, batch.rejected)
        counts, failed_at = keep_batch(batch, _keeper, _workers, erased=_erased())
    except TransientError as error:
        logger.warning("batch not kept", reason=str(error))
        return failed_from(batch.first_sequence_number)
    if batch.rejected:
        set_aside = MetricSet(dimensions={}, counts={"RecordsSetAside": len(batch.rejected)}, costs={})
        at_ms = int(time.time() * 1000)
        write_lines([metric_line(set_aside, at_ms=at_ms, namespace=_settings.metric_namespace)])
    logger.info(
        "answers kept",
        shard=batch.shard_id,
        first_sequence_number=batch.first_sequence_number,
        added=counts.get(Kept.ADDED, 0),
        duplicates=counts.get(Kept.DUPLICATE, 0),
        set_aside=[record.reason for record in batch.rejected],
        failed_from=failed_at,
    )
    return ALL_DONE if failed_at is None else failed_from(failed_at)
