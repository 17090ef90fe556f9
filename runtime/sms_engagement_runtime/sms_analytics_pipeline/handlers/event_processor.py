"""Event processor: what passes over the stream, in one log line and a few figures a batch."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.observability import instrumented, logger
from sms_engagement_runtime.sms_analytics_pipeline.adapters import monitored_batches
from sms_engagement_runtime.sms_analytics_pipeline.adapters.embedded_metrics import write_lines
from sms_engagement_runtime.sms_analytics_pipeline.adapters.kinesis_records import (
    ALL_DONE,
    StreamResponse,
    failed_from,
)
from sms_engagement_runtime.sms_analytics_pipeline.adapters.record_quarantine import RecordQuarantine
from sms_engagement_runtime.sms_analytics_pipeline.domain.metrics import NAMESPACE


@dataclass(frozen=True, slots=True, kw_only=True)
class EventProcessorSettings:
    """Environment of this function.

    Attributes
    ----------
    metric_namespace
        Of the metrics that CloudWatch makes of the log.
    """

    archive_bucket: str
    powertools_service_name: str = "analytics"
    metric_namespace: str = NAMESPACE


_settings = settings.load(EventProcessorSettings)
_clock = build_clock()
_quarantine = RecordQuarantine(
    clients.s3_client(), bucket=_settings.archive_bucket, consumer="event-processor"
)


@instrumented
def handler(event: dict[str, Any], _: LambdaContext) -> StreamResponse:
    """Log and count one batch of canonical events."""
    batch = monitored_batches.read(event)
    try:
        _quarantine.keep(batch.shard_id, batch.rejected)
    except TransientError as error:
        logger.warning("records not set aside", reason=str(error))
        return failed_from(batch.first_sequence_number)
    line = monitored_batches.line(
        batch,
        service=_settings.powertools_service_name,
        now=_clock.now().timestamp(),
        at_ms=int(time.time() * 1000),
        namespace=_settings.metric_namespace,
    )
    write_lines([line])
    return ALL_DONE
