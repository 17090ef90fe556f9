"""The archive of events in S3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sms_engagement_runtime.channel.adapters.aws_errors import service_call
from sms_engagement_runtime.sms_analytics_pipeline.adapters.archive_json import (
    add_line,
    compressed,
    line_of_record,
)
from sms_engagement_runtime.sms_analytics_pipeline.adapters.kinesis_records import (
    RejectedRecord,
    decoded_records,
    start_of,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.archive import (
    MILLISECONDS_PER_DAY,
    MILLISECONDS_PER_MINUTE,
    day_of,
    raw_key,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SECONDS_PER_MINUTE: Final = 60
_THREADS: Final = 32


class RawObject(NamedTuple):
    """One object to be written: a day's events of a batch."""

    key: str
    body: bytes


class RawDay(NamedTuple):
    """A day's events of a batch: its first record's number, and the lines."""

    first_sequence_number: str
    lines: bytearray


class RawBatch(NamedTuple):
    """A batch as lines.

    Attributes
    ----------
    days
        By number of days since 1970, UTC.
    events
        How many there are in all days.
    """

    shard_id: str
    first_sequence_number: str
    days: Mapping[int, RawDay]
    events: int
    rejected: Sequence[RejectedRecord]


def read(event: Mapping[str, Any], *, erased: AbstractSet[str] = frozenset()) -> RawBatch:
    """Decode a batch into the lines that it is to be.

    Each event is written as soon as it is read: its line takes less room than the event, and to hold
    thousands of events at once took a tenth of the time (``docs/performance.md``).

    Parameters
    ----------
    erased
        Subscriber ids of who was erased: their events become no lines. They name the day's object all the
        same, so that a batch that comes again writes over what it wrote before the erasure.
    """
    rejected: list[RejectedRecord] = []
    days: dict[int, RawDay] = {}
    today, lines, events = None, bytearray(), 0
    minute, archived_at = -_SECONDS_PER_MINUTE, 0
    for line, kinesis in decoded_records(event["Records"], line_of_record, rejected):
        # Not the clock's time, nor the batch's: a line is the same however often it is written.
        arrival = kinesis["approximateArrivalTimestamp"]
        if not minute <= arrival < minute + _SECONDS_PER_MINUTE:
            minute = int(arrival) // _SECONDS_PER_MINUTE * _SECONDS_PER_MINUTE
            archived_at = minute // _SECONDS_PER_MINUTE * MILLISECONDS_PER_MINUTE
        line.archived_at = archived_at
        number = line.event_timestamp // MILLISECONDS_PER_DAY
        # Mostly the day of the event before.
        if number != today:
            today = number
            lines = days.setdefault(number, RawDay(kinesis["sequenceNumber"], bytearray())).lines
        if line.subscriber_id not in erased:
            add_line(line, lines)
            events += 1
    return RawBatch(*start_of(event["Records"]), days, events, rejected)


def objects_of(batch: RawBatch) -> list[RawObject]:
    """Return the objects of a batch: one for each day that it has events of, mostly one."""
    return [
        RawObject(raw_key(day_of(number), batch.shard_id, day.first_sequence_number), compressed(day.lines))
        for number, day in batch.days.items()
        if day.lines
    ]


class S3EventArchive:
    """Writes events; reads and deletes nothing, so that its role needs no right to."""

    def __init__(self, client: S3Client, *, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def keep(self, objects: Sequence[RawObject]) -> None:
        """Write objects over what is under their keys.

        Raises
        ------
        ServiceCallError
            S3 did not answer. What was written is written again when the batch comes again.
        """
        if len(objects) == 1:
            self._put(objects[0])
            return
        # Mostly a day and the one before. Events that are imported may be of a thousand days, and puts one
        # after another would outlast the function.
        with ThreadPoolExecutor(_THREADS) as threads:
            list(threads.map(self._put, objects))

    def _put(self, found: RawObject) -> None:
        with service_call("s3:PutObject"):
            self._client.put_object(
                Bucket=self._bucket,
                Key=found.key,
                Body=found.body,
                # Not ContentEncoding: clients that honour it would take ".gz" off by themselves.
                ContentType="application/gzip",
            )
