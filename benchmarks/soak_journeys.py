"""Journeys of the simulation: the welcome series and the promotion, over the analytics' subscribers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from benchmarks.soak_analytics import Analytics
from benchmarks.soak_channel import Channel
from benchmarks.soak_people import CLUB, SEGMENT, Person
from benchmarks.soak_runs import Engine
from benchmarks.soak_transport import Detail
from sms_engagement_runtime.channel.domain.broadcast.audience import AudienceSource, Cursor, Page
from sms_engagement_runtime.channel.domain.broadcast.outcomes import PersonOutcome
from sms_engagement_runtime.channel.domain.broadcast.run import Run
from sms_engagement_runtime.journeys.domain.audience import FirstAudience, LaterAudience, PreviousRun
from sms_engagement_runtime.journeys.domain.bus_events import CONSTRUCT
from sms_engagement_runtime.journeys.domain.conditions import SubscriberState
from sms_engagement_runtime.journeys.domain.description import JourneyDefinition
from sms_engagement_runtime.journeys.domain.replies import ReplyService, read_event
from sms_engagement_runtime.journeys.domain.reply_reading import read_kind
from sms_engagement_runtime.journeys.domain.runs import StepRun, start
from sms_engagement_runtime.journeys.domain.stock import promotional, welcome_series
from sms_engagement_runtime.journeys.domain.subscribers import Subscriber
from sms_engagement_runtime.journeys.domain.turn import JourneySender
from sms_engagement_runtime.sms_analytics_pipeline.domain import subscribers as projection
from sms_engagement_runtime.sms_analytics_pipeline.domain.lifecycle import SubscriptionStatus
from tests.support.fakes import SUBSCRIBER_KEY, FakeAttention
from tests.support.journey_fakes import FakeEnrolments

_PAGE: Final = 500


class Directory:
    """The subscribers table, as journeys read it."""

    def __init__(self, rows: Mapping[str, projection.Subscriber]) -> None:
        self._rows = rows

    def page(
        self, cursor: Cursor | None, *, states: frozenset[SubscriberState], segment: str | None
    ) -> Page[Subscriber]:
        """Read a page of those in some states, of a segment."""
        first = 0 if cursor is None else cursor["first"]
        rows = list(self._rows.values())[first : first + _PAGE]
        found = [
            one
            for one in map(_read, rows)
            if one.state in states and (segment is None or one.segment == segment)
        ]
        following = {"first": first + _PAGE} if first + _PAGE < len(self._rows) else None
        return Page(rows=found, next=following)

    def find(self, subscriber_ids: Sequence[str]) -> Mapping[str, Subscriber]:
        """Read subscribers by id."""
        return {one: _read(self._rows[one]) for one in subscriber_ids if one in self._rows}


class Journeys(Engine):
    """Both journeys, on one engine."""

    def __init__(self, channel: Channel, analytics: Analytics, persons: Sequence[Person]) -> None:
        super().__init__(channel, "journeys")
        wrap = channel.wrap
        rows = analytics.register.subscribers
        rows |= {one.subscriber_id: one for one in map(partial(_loaded, channel), persons) if one is not None}
        self._directory = Directory(rows)
        self.enrolments = FakeEnrolments()
        channel.guards[FakeEnrolments.TABLE] = self.enrolments.holds
        self._sender = JourneySender(
            send_service=channel.send_service(),
            enrolments=wrap(self.enrolments),
            prompts=wrap(channel.contacts),
            bus=wrap(channel.bus),
            parser=channel.parser,
            subscriber_key=lambda: SUBSCRIBER_KEY,
        )
        self._replies = ReplyService(
            enrolments=wrap(self.enrolments),
            subscribers=wrap(self._directory),
            prompts=wrap(channel.contacts),
            attention=wrap(FakeAttention()),
            clock=channel.world.schedule,
            read_kind=read_kind,
        )
        channel.bus.rule("journey-phone-events", ("ReplyReceived", "OptedOut"), self._handle)

    def begin(self, run_id: str) -> None:
        """Start both: an execution for each of their moments."""
        self._start(welcome_series(), run_id, {"segment": SEGMENT})
        self.promote(run_id, discount=15)

    def promote(self, run_id: str, *, discount: int) -> None:
        """Start a promotion of its own words."""
        values = {"promo": "SOAK", "discount": str(discount)}
        self._start(promotional(), run_id, {"segment": CLUB, "values": values})

    def _start(self, journey: JourneyDefinition, run_id: str, given: Mapping[str, Any]) -> None:
        event = {"runId": run_id, "journey": journey.to_json(), "input": given}
        for step in start(event, now=self.world.now, max_parts=self.channel.policy.max_parts):
            self.world.schedule.at(step.starts_at, partial(self.play, step.run_id, step.engine_input))

    def source(self, run: Run) -> AudienceSource:
        """Give a segment for the first moment, and whoever was in it for the others."""
        step = StepRun.from_json(run.about)
        if step.number > 1:
            return LaterAudience(step=step, store=self.channel.wrap(self.store))
        return FirstAudience(
            step=step,
            subscribers=self.channel.wrap(self._directory),
            parser=self.channel.parser,
            subscriber_key=lambda: SUBSCRIBER_KEY,
            places=self.channel.places,
            hours=self.channel.policy.quiet_hours,
            clock=self.world.schedule,
        )

    def find(self, ids: Sequence[str]) -> Mapping[str, Any]:
        """Read subscribers."""
        return self.channel.wrap(self._directory).find(ids)

    def asker(self, run: Run) -> Callable[[Subscriber], PersonOutcome]:
        """Do what the function of a part does."""
        step = StepRun.from_json(run.about)
        store = self.channel.wrap(self.store)
        previous = PreviousRun(step=step, store=store, clock=self.world.schedule)
        return lambda person: self._sender.take_turn(person, run, step, previous_is_over=previous.is_over)

    def _handle(self, _: str, event_type: str, detail: Detail) -> None:
        if event_type == "ReplyReceived" and detail["construct"] != CONSTRUCT:
            return
        told = read_event(event_type, detail, to_instant=_instant)
        assert told is not None, event_type
        self._replies.handle(told)


def _instant(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def _loaded(channel: Channel, person: Person) -> projection.Subscriber | None:
    """Make the row that was imported before; new subscribers, and those of the club, who opted in."""
    if not (person.is_subscriber or person.is_member):
        return None
    now = round(channel.world.now.timestamp() * 1000)
    return projection.Subscriber(
        subscriber_id=channel.subscriber(person.phone),
        phone_number=person.phone,
        subscription_status=SubscriptionStatus.ACTIVE if person.is_member else SubscriptionStatus.NEW,
        created_at=now,
        updated_at=now,
        opt_in_timestamp=now if person.is_member else None,
        attributes={"segment": CLUB if person.is_member else SEGMENT, "name": person.name},
    )


def _read(row: projection.Subscriber) -> Subscriber:
    """Read a row as the product's adapter does, of rows that were imported."""
    opted_out = row.opt_out_timestamp
    return Subscriber(
        subscriber_id=row.subscriber_id,
        phone_number=row.phone_number,
        state=SubscriberState(row.subscription_status),
        has_opted_in=row.opt_in_timestamp is not None,
        opted_out_at=None if opted_out is None else _instant(opted_out),
        segment=row.attributes.get("segment"),
        attributes={name: value for name, value in row.attributes.items() if isinstance(value, str)},
    )
