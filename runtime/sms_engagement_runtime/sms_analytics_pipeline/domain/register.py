"""The register: what is known of a message, so that each event of it lies on the stream exactly once.

Everything here is pure. An adapter reads the row of a message, asks :func:`take` what the row becomes, and
writes that on the condition that the row is still the one it read.

An event goes onto the stream in three steps: its row claims it, it is put, its row marks it as streamed. A
process may end between any two of them. So the claim keeps the event as it is to be put, and whoever finds an
old claim takes it over, looks on the stream for what may have been put, and puts it only where it is not
there. A claim is old when the process that made it cannot live any more (:data:`LEASE_MS`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Contribution, contribution
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import (
    OUTCOMES,
    CanonicalEvent,
    EventType,
)

LEASE_MS: Final = 120_000
"""How long a claim is left alone: longer than the function that made it may run, its last call included."""

PUT_WITHIN_MS: Final = 65_000
"""When what was claimed has been put, or never will be by whoever claimed it: their function has ended."""

KEPT_FOR_MS: Final = 90 * 24 * 3_600_000
"""How long a row lives after its last change. Events of a message come within days of it: the service gives
up waiting for its carrier after 72 hours (AWS, *Event types for configuration sets*)."""

_SENT: Final = frozenset({EventType.SUCCESS, EventType.FAILURE, EventType.BUFFERED})
_EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})
_NAMES: Final = tuple(field.name for field in fields(CanonicalEvent))
# Made once: `json.dumps` with settings of its own makes an encoder for every call.
_to_json: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An event that is to be put, and may have been.

    Attributes
    ----------
    claimed_at, leased_at
        Epoch milliseconds: when it was claimed first, and last.
    event
        As it lies on the stream, or will.
    """

    claimed_at: int
    leased_at: int
    event: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRow:
    """What is known of a message. An inbound text is a message of its own.

    Attributes
    ----------
    phone_number, campaign_id, journey_id, country_code, message_type
        As some event of it told: events of EventBridge tell neither whom it went to nor what for. Whatever
        the counts are kept by stays as it was when the message was first counted.
    counted
        How it counts by now; None until an event has told of its end.
    is_sent
        Whether it is among the ``total_messages_sent`` of its subscriber.
    claims
        Events by their ids.
    streamed
        When each event was marked as being on the stream, by its id: epoch milliseconds.
    version
        Counts the writes; 0 where no row is stored.
    """

    message_id: str
    subscriber_id: str
    phone_number: str | None = None
    campaign_id: str | None = None
    journey_id: str | None = None
    country_code: str | None = None
    message_type: str | None = None
    counted: Contribution | None = None
    is_sent: bool = False
    claims: Mapping[str, Claim] = _EMPTY
    streamed: Mapping[str, int] = _EMPTY
    version: int = 0

    def knows(self, event_id: str) -> bool:
        """Whether this event was claimed before."""
        return event_id in self.streamed or event_id in self.claims


class Verdict(StrEnum):
    """What is to be done about an event."""

    NEW = "NEW"
    """It is ours to put."""
    STREAMED = "STREAMED"
    """It is on the stream."""
    UNDER_WAY = "UNDER_WAY"
    """Somebody else is putting it, or was a moment ago: come again later."""
    DOUBTFUL = "DOUBTFUL"
    """Somebody was to put it and is gone; it is ours now, to be put where the stream does not have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What one event makes of its row.

    Attributes
    ----------
    row
        The row after it; the row itself where nothing changes.
    event
        As it is to be put where it is new; None where it is not.
    is_first
        Whether it is the first event that tells of a text that we sent: so once a text.
    """

    verdict: Verdict
    row: RegisterRow
    event: CanonicalEvent | None = None
    is_first: bool = False


def take(row: RegisterRow | None, event: CanonicalEvent, *, now: int) -> Taken:
    """Say what becomes of an event.

    Parameters
    ----------
    row
        The row of its message; None where there is none.
    event
        Without what only the register knows (``counted_as`` and its like).
    now
        Epoch milliseconds.
    """
    if event.message_id is None:
        raise ValueError("an event of the register has a message id")
    if row is None:
        row = RegisterRow(message_id=event.message_id, subscriber_id=event.subscriber_id)
    if event.event_id in row.streamed:
        return Taken(verdict=Verdict.STREAMED, row=row)
    claim = row.claims.get(event.event_id)
    if claim is not None:
        if now - claim.leased_at < LEASE_MS:
            return Taken(verdict=Verdict.UNDER_WAY, row=row)
        leased = {**row.claims, event.event_id: replace(claim, leased_at=now)}
        return Taken(verdict=Verdict.DOUBTFUL, row=replace(row, claims=leased))
    event = _completed(event, row)
    is_first = event.event_type in _SENT and not row.is_sent
    after = replace(
        row,
        phone_number=event.phone_number,
        campaign_id=event.campaign_id,
        journey_id=event.journey_id,
        country_code=event.country_code,
        message_type=event.message_type,
        counted=_counted(event, row.counted),
        is_sent=row.is_sent or is_first,
        claims={**row.claims, event.event_id: Claim(claimed_at=now, leased_at=now, event=encode(event))},
    )
    return Taken(verdict=Verdict.NEW, row=after, event=event, is_first=is_first)


def _completed(event: CanonicalEvent, row: RegisterRow) -> CanonicalEvent:
    """Add what the row knows and the event does not tell.

    Once a message is counted, all events of it are of one campaign, journey and country: what they take off
    the counts is taken off where it was added.
    """
    before = row.counted
    is_fixed = before is not None and event.event_type in OUTCOMES
    return replace(
        event,
        phone_number=event.phone_number or row.phone_number,
        campaign_id=row.campaign_id if is_fixed else event.campaign_id or row.campaign_id,
        journey_id=row.journey_id if is_fixed else event.journey_id or row.journey_id,
        country_code=row.country_code if is_fixed else event.country_code or row.country_code,
        message_type=event.message_type or row.message_type,
        counted_as=None if before is None else before.outcome,
        counted_at=None if before is None else before.at,
        counted_price_millicents=None if before is None else before.price_millicents,
    )


def _counted(event: CanonicalEvent, before: Contribution | None) -> Contribution | None:
    if event.event_type not in OUTCOMES:
        return before
    return contribution(
        before,
        outcome=event.event_type,
        at=event.event_timestamp,
        price_millicents=event.price_millicents,
    )


def marked(row: RegisterRow, event_id: str, *, now: int) -> RegisterRow:
    """Return the row once an event of it is known to be on the stream."""
    claims = {name: claim for name, claim in row.claims.items() if name != event_id}
    return replace(row, claims=claims, streamed={**row.streamed, event_id: now})


def encode(event: CanonicalEvent) -> str:
    """Write an event as it lies on the stream: one JSON object without what is not known."""
    values = ((name, getattr(event, name)) for name in _NAMES)
    return _to_json({name: value for name, value in values if value is not None})
