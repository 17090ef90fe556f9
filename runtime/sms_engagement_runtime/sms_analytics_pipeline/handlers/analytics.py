"""Analytics: what passes over the stream, counted once, into the counts table and CloudWatch.

The item of the batch is written first and gives back what it held: a batch that comes again, whole or in
halves, adds nothing to the table, and to CloudWatch only the difference. A process that ends between the two
leaves the metrics behind the table by that batch: the table, and the archive, are what is exact.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import msgspec
from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.observability import instrumented, logger
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_counts import DynamoCounts
from sms_engagement_runtime.sms_analytics_pipeline.adapters.embedded_metrics import print_metrics
from sms_engagement_runtime.sms_analytics_pipeline.adapters.kinesis_records import (
    ALL_DONE,
    Batch,
    StreamResponse,
    decode_batch,
    failed_from,
)
from sms_engagement_runtime.sms_analytics_pipeline.adapters.record_quarantine import RecordQuarantine
from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Counts, Group, count
from sms_engagement_runtime.sms_analytics_pipeline.domain.metrics import difference, metric_sets


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyticsSettings:
    """Environment of this function.

    Attributes
    ----------
    metrics_by_campaign
        Whether campaigns have metrics of their own: each costs as much as the totals.
    """

    counts_table: str
    archive_bucket: str
    counts_retention_seconds: int
    metrics_by_campaign: bool = False


Outcome = Annotated[str, msgspec.Meta(pattern=r"^_SMS\.(SUCCESS|FAILURE)$")]
"""What a message can have been counted as."""


class CountedEvent(msgspec.Struct, gc=False):
    """What is read of an event."""

    event_type: str
    event_id: str
    subscriber_id: str
    event_timestamp: int
    campaign_id: str | None = None
    journey_id: str | None = None
    country_code: str | None = None
    price_millicents: int | None = None
    counted_as: Outcome | None = None
    counted_at: int | None = None
    counted_price_millicents: int | None = None
    schema_version: int = 1


_decode = msgspec.json.Decoder(CountedEvent).decode


def read(event: Mapping[str, Any]) -> Batch[CountedEvent]:
    """Decode a batch."""
    return decode_batch(event, _decode)


def record(batch: Batch[CountedEvent], counts: DynamoCounts) -> dict[Group, Counts]:
    """Count a batch and write it; return what it adds to what had been counted.

    An event that stands twice in the batch is counted once. The item is named after the first event that can
    be read, which is the same however often the batch comes, and which of its halves has it.
    """
    groups = count({event.event_id: event for event in batch.events}.values())
    first_ms = batch.events[0].event_timestamp
    before = counts.put(batch.shard_id, batch.sequence_numbers[0], first_ms, groups)
    return difference(groups, before) if before else groups


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
    batch = read(event)
    try:
        _quarantine.keep(batch.shard_id, batch.rejected)
        added = record(batch, _counts) if batch.events else {}
    except TransientError as error:
        logger.warning("batch not counted", reason=str(error))
        return failed_from(batch.first_sequence_number)
    # Metrics live on the real time: CloudWatch takes none of last spring.
    print_metrics(
        metric_sets(added, by_campaign=_settings.metrics_by_campaign), at_ms=int(time.time() * 1000)
    )
    return ALL_DONE
