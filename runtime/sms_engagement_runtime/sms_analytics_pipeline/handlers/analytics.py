"""Analytics: what passes over the stream, counted once, into the counts table and CloudWatch.

The items of the batch, one a day, are written first and give back what they held: a batch that comes again,
whole or in halves, adds nothing to the table, and to CloudWatch only the difference. A process that ends
between the two leaves the metrics behind the table by that batch: the table, and the archive, are what is
exact.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.observability import instrumented, logger
from sms_engagement_runtime.sms_analytics_pipeline.adapters import counted_batches
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_counts import DynamoCounts
from sms_engagement_runtime.sms_analytics_pipeline.adapters.embedded_metrics import write_lines
from sms_engagement_runtime.sms_analytics_pipeline.adapters.kinesis_records import (
    ALL_DONE,
    StreamResponse,
    failed_from,
)
from sms_engagement_runtime.sms_analytics_pipeline.adapters.record_quarantine import RecordQuarantine
from sms_engagement_runtime.sms_analytics_pipeline.domain.metrics import NAMESPACE


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyticsSettings:
    """Environment of this function.

    Attributes
    ----------
    metrics_by_campaign
        Whether campaigns have metrics of their own: each costs as much as the totals.
    metric_namespace
        Of the metrics that CloudWatch makes of the log.
    """

    counts_table: str
    archive_bucket: str
    counts_retention_seconds: int
    metrics_by_campaign: bool = False
    metric_namespace: str = NAMESPACE


_settings = settings.load(AnalyticsSettings)
_counts = DynamoCounts(
    clients.dynamodb_client(),
    table=_settings.counts_table,
    retention=timedelta(seconds=_settings.counts_retention_seconds),
)
_quarantine = RecordQuarantine(clients.s3_client(), bucket=_settings.archive_bucket, consumer="analytics")


@instrumented
def handler(event: dict[str, Any], _: LambdaContext) -> StreamResponse:
    """Count one batch of canonical events."""
    batch = counted_batches.read(event)
    try:
        _quarantine.keep(batch.shard_id, batch.rejected)
        for added in counted_batches.record(batch, _counts):
            # At once: the next day's item may not be written, and this one adds nothing when the batch comes
            # again. Metrics live on the real time: CloudWatch takes none of last spring.
            lines = counted_batches.lines(
                added,
                by_campaign=_settings.metrics_by_campaign,
                at_ms=int(time.time() * 1000),
                namespace=_settings.metric_namespace,
                arrived=batch.newest_arrival,
            )
            write_lines(lines)
    except TransientError as error:
        logger.warning("batch not counted", reason=str(error))
        return failed_from(batch.first_sequence_number)
    return ALL_DONE
