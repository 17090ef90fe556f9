"""What the event processor says of a batch: how many of which kind, and how late they are."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from sms_engagement_runtime.sms_analytics_pipeline.domain.events import EventType

_FAILURE: Final = EventType.FAILURE.value

_MOST_STATUSES: Final = 20
"""Failure statuses that one log line names; AWS has a dozen, and what comes in may hold anything."""

_OTHER: Final = "(other)"
_STATUS: Final = re.compile("[A-Z][A-Z_]{0,49}")


class Monitored(Protocol):
    """What monitoring reads of an event; see ``CanonicalEvent``."""

    event_type: str
    arrival_timestamp: int
    record_status: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSummary:
    """A batch in figures: no number, no words.

    Attributes
    ----------
    events
        How many of each type.
    failures
        How many failed texts of each record status.
    oldest_arrival
        When the oldest event of the batch reached us: epoch ms, None for an empty batch.
    """

    events: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    oldest_arrival: int | None = None


def summarise(events: Iterable[Monitored]) -> BatchSummary:
    """Sum up a batch."""
    kinds: dict[str, int] = {}
    failures: dict[str, int] = {}
    oldest: int | None = None
    for event in events:
        kind = event.event_type
        kinds[kind] = kinds.get(kind, 0) + 1
        arrival = event.arrival_timestamp
        if oldest is None or arrival < oldest:
            oldest = arrival
        if kind == _FAILURE:
            status = event.record_status or "NONE"
            if status not in failures:
                status = _named(status, len(failures))
            failures[status] = failures.get(status, 0) + 1
    return BatchSummary(events=kinds, failures=failures, oldest_arrival=oldest)


def _named(status: str, named: int) -> str:
    """Return what a status is logged as: what is no status may be anything that somebody wrote."""
    return status if named < _MOST_STATUSES and _STATUS.fullmatch(status) else _OTHER
