"""Who a moment of a journey is for: at the first a segment or everybody, then whoever was in the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sms_engagement_runtime.channel.domain.broadcast.audience import Candidate, Cursor, Page, Skipped
from sms_engagement_runtime.channel.domain.broadcast.run import Audience, Run, RunStore
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.phone_number import ParsedNumber
from sms_engagement_runtime.channel.domain.ports import Clock, PhoneNumberParser, PlaceFinder
from sms_engagement_runtime.channel.domain.quiet_hours import QuietHoursPolicy
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.journeys.domain.ports import SubscriberDirectory
from sms_engagement_runtime.journeys.domain.reasons import JourneyReason
from sms_engagement_runtime.journeys.domain.runs import StepRun
from sms_engagement_runtime.journeys.domain.subscribers import Subscriber, screen

_NAMED_AT_ONCE: Final = 100
_PARTS_AT_ONCE: Final = 8
_LOOKED_AT_EVERY: Final = timedelta(minutes=1)


class AudienceNotReadyError(TransientError):
    """The first moment of the run has not taken its snapshot yet."""


class _NoHistory:
    """Nothing is sorted beside the people: what they did is looked at in their turn."""

    def histories(self, cursor: Cursor | None) -> Page[tuple[str, Mapping[str, Any]]]:  # noqa: ARG002
        """Return nothing."""
        return Page(rows=[], next=None)

    def objection(
        self,
        candidate: Candidate,  # noqa: ARG002
        history: Sequence[Mapping[str, Any]],  # noqa: ARG002
    ) -> str | None:
        """Return none."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstAudience(_NoHistory):
    """Subscribers in the states of the journey, of a segment, by name, or all (an ``AudienceSource``).

    Attributes
    ----------
    subscriber_key
        Returns the key of subscriber ids.
    hours
        When promotional texts may go out.
    """

    step: StepRun
    subscribers: SubscriberDirectory
    parser: PhoneNumberParser
    subscriber_key: Callable[[], bytes]
    places: PlaceFinder
    hours: QuietHoursPolicy
    clock: Clock

    def candidates(self, cursor: Cursor | None) -> Page[Candidate | Skipped]:
        """Read a page; who cannot be texted at any hour is skipped with the reason."""
        now = self.clock.now()
        if self.step.subscriber_ids is not None:
            return self._named(cursor, now)
        page = self.subscribers.page(cursor, states=self.step.journey.audience, segment=self.step.segment)
        return Page(rows=[self._candidate(one, now) for one in page.rows], next=page.next)

    def _named(self, cursor: Cursor | None, now: datetime) -> Page[Candidate | Skipped]:
        ids = list(dict.fromkeys(self.step.subscriber_ids or ()))
        first = 0 if cursor is None else cursor["first"]
        chunk = ids[first : first + _NAMED_AT_ONCE]
        found = self.subscribers.find(chunk)
        rows = [
            self._candidate(found[one], now)
            if one in found
            else Skipped(recipient_id=one, reason=JourneyReason.NO_SUBSCRIBER)
            for one in chunk
        ]
        last = first + len(chunk)
        return Page(rows=rows, next={"first": last} if last < len(ids) else None)

    def _candidate(self, subscriber: Subscriber, now: datetime) -> Candidate | Skipped:
        recipient = subscriber.subscriber_id
        if not is_in_audience(subscriber, self.step):
            return Skipped(recipient_id=recipient, reason=JourneyReason.NOT_IN_AUDIENCE)
        parsed = screen(subscriber, self.parser, self.subscriber_key())
        if not isinstance(parsed, ParsedNumber):
            return Skipped(recipient_id=recipient, reason=parsed)
        place = self.places.place_of(parsed.number, parsed.country, subscriber.attributes.get("time_zone"))
        hours = self.hours.hours_for(place)
        if hours.next_open(now) is None:
            return Skipped(recipient_id=recipient, reason=Reason.TIME_ZONE_UNKNOWN)
        return Candidate(recipient_id=recipient, subscriber_id=recipient, group=hours.key)


def is_in_audience(subscriber: Subscriber, step: StepRun) -> bool:
    """Whether a subscriber may enter the journey in this run."""
    is_in_segment = step.segment is None or subscriber.segment == step.segment
    return subscriber.state in step.journey.audience and is_in_segment


@dataclass(slots=True, kw_only=True)
class LaterAudience(_NoHistory):
    """Everybody whom the first moment could text (an ``AudienceSource``): its parts, as it wrote them.

    So nobody is lost whose own text is still to come, and nobody is added who came into the segment since.
    """

    step: StepRun
    store: RunStore
    _audience: Audience | None = None

    def candidates(self, cursor: Cursor | None) -> Page[Candidate | Skipped]:
        """Read the people of some parts.

        Raises
        ------
        AudienceNotReadyError
            There is no snapshot of the first moment yet. It is taken within minutes.
        """
        parts = self._read().parts
        first = 0 if cursor is None else cursor["part"]
        chunk = parts[first : first + _PARTS_AT_ONCE]
        people = self.store.read_people([part.key for part in chunk]) if chunk else iter(())
        rows = [
            Candidate(recipient_id=one, subscriber_id=one, group=part.group)
            for part, ids in zip(chunk, people, strict=True)
            for one in ids
        ]
        last = first + len(chunk)
        return Page(rows=rows, next={"part": last} if last < len(parts) else None)

    def _read(self) -> Audience:
        if self._audience is None:
            assert self.step.first is not None
            run = Run(run_id=self.step.first, started_at=self.step.started_at)
            (found,) = self.store.read_json([run.audience_key], prefix=run.prefix)
            if found is None:
                raise AudienceNotReadyError(f"run {run.run_id} has no audience yet")
            self._audience = Audience.from_json(found)
        return self._audience


@dataclass(slots=True, kw_only=True)
class PreviousRun:
    """Whether the engine's run of the moment before is over: read again each minute until it is."""

    step: StepRun
    store: RunStore
    clock: Clock
    _is_over: bool = False
    _read_at: datetime | None = None

    def is_over(self) -> bool:
        """Say whether nobody of it gets a text any more."""
        if self.step.previous is None:
            return True
        now = self.clock.now()
        if not self._is_over and (self._read_at is None or now - self._read_at >= _LOOKED_AT_EVERY):
            run = Run(run_id=self.step.previous, started_at=self.step.started_at)
            (summary,) = self.store.read_json([run.summary_key], prefix=run.prefix)
            self._is_over, self._read_at = summary is not None, now
        return self._is_over
