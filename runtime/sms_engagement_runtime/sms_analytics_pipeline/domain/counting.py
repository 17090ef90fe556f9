"""What one event adds to the counts.

A message is counted once: as what it ended as, in the hour in which it did, at its price. Several events may
tell of its end, and may disagree: delivered outweighs failed, the earlier of two that say the same counts,
and so does the largest price. Ingest remembers how a message was counted and writes that into each later
event of it (``counted_as``, ``counted_at``, ``counted_price_millicents``). So a consumer has to look nothing
up: it takes off what was counted before and adds what counts now, and the sums are the same in whatever order
the events came.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from sms_engagement_runtime.sms_analytics_pipeline.domain.events import EventType

MILLISECONDS_PER_HOUR: Final = 3_600_000

_SUCCESS: Final = EventType.SUCCESS.value
_FAILURE: Final = EventType.FAILURE.value
_RECEIVED: Final = EventType.RECEIVED.value
_OPTOUT: Final = EventType.OPTOUT.value
_RANKS: Final = {_FAILURE: 1, _SUCCESS: 2}


class Countable(Protocol):
    """What counting reads of an event; see ``CanonicalEvent``."""

    event_type: str
    event_timestamp: int
    campaign_id: str | None
    journey_id: str | None
    country_code: str | None
    price_millicents: int | None
    counted_as: str | None
    counted_at: int | None
    counted_price_millicents: int | None


class Contribution(NamedTuple):
    """How a message counts: as which outcome, at what time (epoch ms), at which price."""

    outcome: str
    at: int
    price_millicents: int


class Group(NamedTuple):
    """What counts are kept by: the hour of the event (hours since 1970, UTC), and whose text it was."""

    hour: int
    campaign_id: str | None
    journey_id: str | None
    country_code: str | None


@dataclass(slots=True)
class Counts:
    """Counts of a group, or of anything that is added up. One event may take back what another one added.

    Attributes
    ----------
    cost_millicents
        Thousandths of a US cent.
    """

    delivered: int = 0
    failed: int = 0
    responses: int = 0
    opt_outs: int = 0
    cost_millicents: int = 0

    def __bool__(self) -> bool:
        return bool(self.delivered or self.failed or self.responses or self.opt_outs or self.cost_millicents)

    def add(self, other: "Counts", times: int = 1) -> None:
        """Add other counts to these, or take them off with ``times=-1``."""
        self.delivered += times * other.delivered
        self.failed += times * other.failed
        self.responses += times * other.responses
        self.opt_outs += times * other.opt_outs
        self.cost_millicents += times * other.cost_millicents


type _Groups = dict[tuple[int, str | None, str | None, str | None], Counts]


def contribution(
    before: Contribution | None, *, outcome: str, at: int, price_millicents: int | None
) -> Contribution:
    """Return how a message counts once one more event tells how it ended.

    Parameters
    ----------
    before
        How it counted so far; None where nothing had told of its end.
    outcome, at, price_millicents
        Of the event: ``_SMS.SUCCESS`` or ``_SMS.FAILURE``, epoch milliseconds, thousandths of a cent.
    """
    price = price_millicents or 0
    if before is None:
        return Contribution(outcome, at, price)
    price = max(price, before.price_millicents)
    rank, rank_before = _RANKS[outcome], _RANKS[before.outcome]
    if rank > rank_before or (rank == rank_before and at < before.at):
        return Contribution(outcome, at, price)
    return before._replace(price_millicents=price)


def count(events: Iterable[Countable]) -> dict[Group, Counts]:
    """Count events by group. Groups whose counts are all zero are left out."""
    # Plain tuples: every event passes here, and making a `Group` takes four times as long.
    groups: _Groups = {}
    for event in events:
        kind = event.event_type
        if kind in _RANKS:
            if event.counted_as is None:
                counts = _of(groups, event, event.event_timestamp)
                if kind == _SUCCESS:
                    counts.delivered += 1
                else:
                    counts.failed += 1
                counts.cost_millicents += event.price_millicents or 0
            else:
                _recount(groups, event)
        elif kind == _RECEIVED:
            _of(groups, event, event.event_timestamp).responses += 1
        elif kind == _OPTOUT:
            _of(groups, event, event.event_timestamp).opt_outs += 1
    return {Group(*group): counts for group, counts in groups.items() if counts}


def _of(groups: _Groups, event: Countable, at: int) -> Counts:
    group = (at // MILLISECONDS_PER_HOUR, event.campaign_id, event.journey_id, event.country_code)
    counts = groups.get(group)
    if counts is None:
        counts = groups[group] = Counts()
    return counts


def _recount(groups: _Groups, event: Countable) -> None:
    """Take off what a message counted as before, and add what it counts as now."""
    assert event.counted_as is not None
    at = event.event_timestamp if event.counted_at is None else event.counted_at
    before = Contribution(event.counted_as, at, event.counted_price_millicents or 0)
    after = contribution(
        before, outcome=event.event_type, at=event.event_timestamp, price_millicents=event.price_millicents
    )
    if after == before:
        return
    for counted, sign in ((before, -1), (after, 1)):
        counts = _of(groups, event, counted.at)
        if counted.outcome == _SUCCESS:
            counts.delivered += sign
        else:
            counts.failed += sign
        counts.cost_millicents += sign * counted.price_millicents
