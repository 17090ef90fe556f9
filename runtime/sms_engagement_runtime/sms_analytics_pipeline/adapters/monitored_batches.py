"""A batch of the stream as the event processor reads it and tells of it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from sms_engagement_runtime.sms_analytics_pipeline.adapters.embedded_metrics import metric_line
from sms_engagement_runtime.sms_analytics_pipeline.adapters.event_fields import (
    Outcome,
    Parts,
    Price,
    SchemaVersion,
    Timestamp,
)
from sms_engagement_runtime.sms_analytics_pipeline.adapters.kinesis_records import Batch, decode_batch
from sms_engagement_runtime.sms_analytics_pipeline.domain.metrics import NAMESPACE, MetricSet
from sms_engagement_runtime.sms_analytics_pipeline.domain.monitoring import summarise


class MonitoredEvent(msgspec.Struct, gc=False):
    """What is read of an event."""

    event_type: str
    event_id: str
    subscriber_id: str
    event_timestamp: Timestamp
    arrival_timestamp: Timestamp
    record_status: str | None = None
    price_millicents: Price | None = None
    parts: Parts | None = None
    counted_as: Outcome | None = None
    counted_at: Timestamp | None = None
    counted_price_millicents: Price | None = None
    schema_version: SchemaVersion = 1


_decode = msgspec.json.Decoder(MonitoredEvent).decode


def read(event: Mapping[str, Any]) -> Batch[MonitoredEvent]:
    """Decode a batch."""
    return decode_batch(event, _decode)


def line(
    batch: Batch[MonitoredEvent], *, service: str, now: float, at_ms: int, namespace: str = NAMESPACE
) -> str:
    """Return the one log line of a batch, from which CloudWatch makes metrics, too.

    Parameters
    ----------
    now
        Epoch seconds on the clock that the events have.
    at_ms
        Epoch milliseconds on the real clock, which metrics have.
    """
    summary = summarise(batch.events)
    reasons: dict[str, int] = {}
    for record in batch.rejected:
        reasons[record.reason] = reasons.get(record.reason, 0) + 1
    lag = None if summary.oldest_arrival is None else max(0.0, now - summary.oldest_arrival / 1000)
    figures = MetricSet(
        dimensions={},
        counts={"EventsSeen": len(batch.events), "RecordsSetAside": len(batch.rejected)},
        costs={} if lag is None else {"EventLagSeconds": lag},
    )
    properties = {
        "level": "INFO",
        "message": "events seen",
        "service": service,
        "shard": batch.shard_id,
        "first_sequence_number": batch.first_sequence_number,
        "events": summary.events,
        "failures": summary.failures,
        "set_aside": reasons,
    }
    return metric_line(figures, at_ms=at_ms, namespace=namespace, properties=properties)
