"""The archive of events: where they lie, and what a line leaves out.

======================================================  ======================================================
key                                                     content
======================================================  ======================================================
``events/year=/month=/day=/<shard>-<sequence>.jsonl.gz``  events of one UTC day of one batch of the stream, a
                                                        JSON object a line
``compacted/year=/month=/day=/<run>-<n>.parquet``       all events of that day, once each: ``compaction``
======================================================  ======================================================

The sequence number is that of the first of these events. A batch that comes again, whole or in halves, so
writes over all that it wrote before: whatever the halves are, the first event of the day is the first of that
day in the half that it comes in.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from sms_engagement_runtime.sms_analytics_pipeline.domain.events import (
    EventType,
    delivery_event_id,
    opt_out_event_id,
)

RAW_PREFIX: Final = "events/"
RAW_SUFFIX: Final = ".jsonl.gz"

MILLISECONDS_PER_DAY: Final = 86_400_000
MILLISECONDS_PER_MINUTE: Final = 60_000

_EPOCH: Final = date(1970, 1, 1)


def day_of(day_number: int) -> date:
    """Return the day of a number of days since 1970, UTC."""
    return _EPOCH + timedelta(days=day_number)


def partition(day: date) -> str:
    """Return where a day's objects lie below a prefix: ``year=2026/month=11/day=21/``."""
    return f"year={day:%Y}/month={day:%m}/day={day:%d}/"


def day_of_partition(parts: Iterable[str]) -> date | None:
    """Return the day of ``year=2026``, ``month=11``, ``day=21``; None where it is none."""
    values = dict(part.split("=", 1) for part in parts if "=" in part)
    try:
        return date(int(values["year"]), int(values["month"]), int(values["day"]))
    except (KeyError, ValueError):
        return None


def raw_key(day: date, shard_id: str, first_sequence_number: str) -> str:
    """Return the key of a day's events of one batch, named after the first of them."""
    return f"{RAW_PREFIX}{partition(day)}{shard_id}-{first_sequence_number}{RAW_SUFFIX}"


# Asked for every event, and there are few answers; what comes in may hold anything.
@lru_cache(maxsize=1024)
def event_id_ending(event_type: str, record_status: str | None) -> str:
    """Return what usually follows the message id in an event's id; a line with this ending leaves it out.

    The ids are those of ``delivery_event_id`` and ``opt_out_event_id``; an inbound text has the message id
    itself.
    """
    match event_type:
        case EventType.RECEIVED:
            return ""
        case EventType.OPTOUT:
            return opt_out_event_id("")
    return delivery_event_id("", event_type, record_status)


def full_event_id(
    event_id: str | None,
    ending: str | None,
    message_id: str | None,
    event_type: str,
    record_status: str | None,
) -> str:
    """Return the id of a line's event.

    Parameters
    ----------
    event_id
        In the line only where the id does not begin with the message id, whose thirty-odd random characters
        would stand there twice.
    ending
        What follows the message id, in the line only where it is not `event_id_ending`.
    """
    if event_id is not None:
        return event_id
    if ending is None:
        ending = event_id_ending(event_type, record_status)
    return f"{message_id or ''}{ending}"
