"""A batch of the stream as analytics reads, counts and tells of it."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec

from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_counts import DynamoCounts
from sms_engagement_runtime.sms_analytics_pipeline.adapters.embedded_metrics import metric_line
from sms_engagement_runtime.sms_analytics_pipeline.adapters.kinesis_records import Batch, decode_batch
from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Counts, Group, count
from sms_engagement_runtime.sms_analytics_pipeline.domain.metrics import difference, metric_sets

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
    be read, which is the same however often the batch comes, and whichever of its halves has it.

    Raises
    ------
    ServiceCallError
        The table did not answer. The batch shall come again.
    """
    if not batch.events:
        return {}
    groups = count({event.event_id: event for event in batch.events}.values())
    first_ms = batch.events[0].event_timestamp
    before = counts.put(batch.shard_id, batch.sequence_numbers[0], first_ms, groups)
    return difference(groups, before) if before else groups


def lines(added: Mapping[Group, Counts], *, by_campaign: bool, at_ms: int) -> Iterator[str]:
    """Return the log lines from which CloudWatch makes metrics of what a batch added."""
    return (metric_line(each, at_ms=at_ms) for each in metric_sets(added, by_campaign=by_campaign))
