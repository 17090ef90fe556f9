"""A batch of the stream as analytics reads, counts and tells of it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_counts import DynamoCounts
from sms_engagement_runtime.sms_analytics_pipeline.adapters.embedded_metrics import metric_line
from sms_engagement_runtime.sms_analytics_pipeline.adapters.event_fields import (
    Outcome,
    Parts,
    Price,
    SchemaVersion,
    Timestamp,
)
from sms_engagement_runtime.sms_analytics_pipeline.adapters.kinesis_records import Batch, decode_batch
from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Counts, Group, count
from sms_engagement_runtime.sms_analytics_pipeline.domain.metrics import NAMESPACE, difference, metric_sets

_MILLISECONDS_PER_DAY: Final = 86_400_000
_HOURS_PER_DAY: Final = 24
_SECONDS_PER_HOUR: Final = 3_600
_NEWS_HOURS: Final = 4 * _HOURS_PER_DAY


class CountedEvent(msgspec.Struct, gc=False):
    """What is read of an event."""

    event_type: str
    event_id: str
    subscriber_id: str
    event_timestamp: Timestamp
    # Not counted: but what the archive sets aside is not counted either.
    arrival_timestamp: Timestamp
    campaign_id: str | None = None
    journey_id: str | None = None
    country_code: str | None = None
    price_millicents: Price | None = None
    counted_as: Outcome | None = None
    counted_at: Timestamp | None = None
    counted_price_millicents: Price | None = None
    parts: Parts | None = None
    schema_version: SchemaVersion = 1


_decode = msgspec.json.Decoder(CountedEvent).decode


def read(event: Mapping[str, Any]) -> Batch[CountedEvent]:
    """Decode a batch."""
    return decode_batch(event, _decode)


def record(batch: Batch[CountedEvent], counts: DynamoCounts) -> Iterator[dict[Group, Counts]]:
    """Count a batch and write it, day by day; give what each day's item adds to what had been counted.

    An event that stands twice in the batch is counted once. The item of a day is named after the first event
    that tells of the day: whichever half of the batch that comes again has it writes over the item, and the
    other half has one of its own. So it is written even where nothing is to be counted.

    Raises
    ------
    ServiceCallError
        The table did not answer. What was given is written; the batch shall come again.
    """
    groups = count({event.event_id: event for event in batch.events}.values())
    days: dict[int, tuple[str, dict[Group, Counts]]] = {}
    for event, number in zip(batch.events, batch.sequence_numbers, strict=True):
        day = event.event_timestamp // _MILLISECONDS_PER_DAY
        if day not in days:
            days[day] = (number, {})
        if event.counted_at is not None and (before := event.counted_at // _MILLISECONDS_PER_DAY) not in days:
            # It takes something off what was counted then.
            days[before] = (number, {})
    for group, counted in groups.items():
        days[group.hour // _HOURS_PER_DAY][1][group] = counted
    arrived_ms = int(batch.newest_arrival * 1000)
    for day, (number, of_day) in days.items():
        written = counts.put(
            batch.shard_id, number, day * _MILLISECONDS_PER_DAY, of_day, arrived_ms=arrived_ms
        )
        yield difference(of_day, written) if written else of_day


def lines(
    added: Mapping[Group, Counts],
    *,
    by_campaign: bool,
    at_ms: int,
    namespace: str = NAMESPACE,
    arrived: float | None = None,
) -> Iterator[str]:
    """Return the log lines from which CloudWatch makes metrics of what a batch added.

    Parameters
    ----------
    arrived
        When the stream took the batch, epoch seconds. What is more than four days older is no news: carriers'
        receipts take three. CloudWatch would take a year of imported events for those of today, and alarm.
        Everything is told of when left out.
    """
    if arrived is not None:
        oldest = int(arrived) // _SECONDS_PER_HOUR - _NEWS_HOURS
        added = {group: counts for group, counts in added.items() if group.hour >= oldest}
    return (
        metric_line(each, at_ms=at_ms, namespace=namespace)
        for each in metric_sets(added, by_campaign=by_campaign)
    )
