"""Event processor: what passes over the stream, in one log line and a few figures a batch."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import msgspec
from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.observability import instrumented, logger
from sms_engagement_runtime.sms_analytics_pipeline.adapters.embedded_metrics import (
    metric_line,
    write_lines,
)
from sms_engagement_runtime.sms_analytics_pipeline.adapters.kinesis_records import (
    ALL_DONE,
    Batch,
    StreamResponse,
    decode_batch,
    failed_from,
)
from sms_engagement_runtime.sms_analytics_pipeline.adapters.record_quarantine import RecordQuarantine
from sms_engagement_runtime.sms_analytics_pipeline.domain.metrics import MetricSet
from sms_engagement_runtime.sms_analytics_pipeline.domain.monitoring import BatchSummary, summarise


@dataclass(frozen=True, slots=True, kw_only=True)
class EventProcessorSettings:
    """Environment of this function."""

    archive_bucket: str


class MonitoredEvent(msgspec.Struct, gc=False):
    """What is read of an event."""

    event_type: str
    event_id: str
    subscriber_id: str
    event_timestamp: int
    arrival_timestamp: int
    record_status: str | None = None
    schema_version: int = 1


_decode = msgspec.json.Decoder(MonitoredEvent).decode


def read(event: dict[str, Any]) -> tuple[Batch[MonitoredEvent], BatchSummary]:
    """Decode and sum up a batch."""
    batch = decode_batch(event, _decode)
    return batch, summarise(batch.events)


_settings = settings.load(EventProcessorSettings)
_clock = build_clock()
_quarantine = RecordQuarantine(
    clients.s3_client(), bucket=_settings.archive_bucket, consumer="event-processor"
)


@instrumented
def handler(event: dict[str, Any], _: LambdaContext) -> StreamResponse:
    """Log and count one batch of canonical events."""
    batch, summary = read(event)
    try:
        _quarantine.keep(batch.shard_id, batch.rejected)
    except TransientError as error:
        logger.warning("records not set aside", reason=str(error))
        return failed_from(batch.first_sequence_number)
    _report(batch, summary)
    return ALL_DONE


def _report(batch: Batch[MonitoredEvent], summary: BatchSummary) -> None:
    """Write the one line of a batch, which CloudWatch reads metrics from, too."""
    reasons: dict[str, int] = {}
    for record in batch.rejected:
        reasons[record.reason] = reasons.get(record.reason, 0) + 1
    now = _clock.now().timestamp()
    lag = None if summary.oldest_arrival is None else max(0.0, now - summary.oldest_arrival / 1000)
    figures = MetricSet(
        dimensions={},
        counts={"EventsSeen": len(batch.events), "RecordsSetAside": len(batch.rejected)},
        costs={} if lag is None else {"EventLagSeconds": lag},
    )
    properties = {
        "level": "INFO",
        "message": "events seen",
        "service": "analytics",
        "shard": batch.shard_id,
        "first_sequence_number": batch.first_sequence_number,
        "events": summary.events,
        "failures": summary.failures,
        "set_aside": reasons,
    }
    write_lines([metric_line(figures, at_ms=int(time.time() * 1000), properties=properties)])
