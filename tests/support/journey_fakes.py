"""In-memory ports of journeys, which pass their adapters' contract tests, and a person's turns over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sms_engagement_runtime.channel.domain.broadcast.audience import Cursor, Page
from sms_engagement_runtime.channel.domain.broadcast.outcomes import PersonOutcome
from sms_engagement_runtime.channel.domain.broadcast.run import Run
from sms_engagement_runtime.channel.domain.consent import ConsentState, Scope
from sms_engagement_runtime.channel.domain.ledger import Guard
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.sending import SendPolicy, SendService
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.journeys.domain.conditions import ReplyKind, SubscriberState
from sms_engagement_runtime.journeys.domain.description import JourneyDefinition
from sms_engagement_runtime.journeys.domain.enrolment import Enrolment, EnrolmentChangedError
from sms_engagement_runtime.journeys.domain.runs import StepRun, start
from sms_engagement_runtime.journeys.domain.stock import welcome_series
from sms_engagement_runtime.journeys.domain.subscribers import Subscriber
from sms_engagement_runtime.journeys.domain.turn import JourneySender
from tests.support.fakes import (
    SUBSCRIBER_KEY,
    CrashPlan,
    FakeBus,
    FakeClock,
    FakeContacts,
    FakeLedger,
    FakePacer,
    FakeParser,
    FakePause,
    FakePlaces,
    FakeSender,
)

PHONE = "+12065550101"
PERSON = subscriber_id(PhoneNumber(PHONE), SUBSCRIBER_KEY)
NEWCOMER = Subscriber(
    subscriber_id=PERSON,
    phone_number=PHONE,
    state=SubscriberState.NEW,
    attributes={"name": "Ana Lima"},
)


class FakeEnrolments:
    """Rows by journey, run and person."""

    TABLE = "enrolments"

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str], Enrolment] = {}

    def get(self, run_id: str, subscriber_id: str, *, journey: str) -> Enrolment:
        unknown = Enrolment(run_id=run_id, subscriber_id=subscriber_id, journey=journey)
        return self.rows.get((journey, run_id, subscriber_id), unknown)

    def save(self, enrolment: Enrolment) -> Enrolment:
        key = (enrolment.journey, enrolment.run_id, enrolment.subscriber_id)
        stored = self.rows.get(key)
        if (stored.version if stored else 0) != enrolment.version:
            raise EnrolmentChangedError
        self.rows[key] = replace(enrolment, version=enrolment.version + 1)
        return self.rows[key]

    def guard(self, enrolment: Enrolment) -> Guard:
        key = f"{enrolment.journey}/{enrolment.run_id}#{enrolment.subscriber_id}"
        return Guard(table=self.TABLE, key=("enrolment_id", key), version=enrolment.version)

    def holds(self, guard: Guard) -> bool:
        run, _, person = guard.key[1].partition("#")
        journey, _, run_id = run.partition("/")
        row = self.rows.get((journey, run_id, person))
        return row is not None and row.version == guard.version


@dataclass
class FakeSubscribers:
    """The table, in pages of two."""

    rows: dict[str, Subscriber] = field(default_factory=dict)

    def page(
        self, cursor: Cursor | None, *, states: frozenset[SubscriberState], segment: str | None
    ) -> Page[Subscriber]:
        found = [
            one
            for one in self.rows.values()
            if one.state in states and (segment is None or one.segment == segment)
        ]
        first = 0 if cursor is None else cursor["first"]
        following = {"first": first + 2} if first + 2 < len(found) else None
        return Page(rows=found[first : first + 2], next=following)

    def find(self, subscriber_ids: Sequence[str]) -> Mapping[str, Subscriber]:
        return {one: self.rows[one] for one in subscriber_ids if one in self.rows}


class Acting(CrashPlan):
    """Does something at an instant instead of crashing there."""

    def __init__(self, at: int, action: Callable[[], Any]) -> None:
        super().__init__()
        self._at, self._action = at, action

    def reach(self) -> None:
        self.instants += 1
        if self.instants == self._at:
            self._action()


@dataclass
class OnePerson:
    """A person on one run of a journey; ``turn`` takes their turn at a moment."""

    journey: JourneyDefinition = field(default_factory=welcome_series)
    person: Subscriber = NEWCOMER
    requires_recorded_consent: bool = False

    def __post_init__(self) -> None:
        self.clock, self.carrier, self.bus = FakeClock(), FakeSender(), FakeBus()
        self.contacts, self.enrolments, self.pause = FakeContacts(), FakeEnrolments(), FakePause()
        self.ledger = FakeLedger(self.contacts)
        self.ledger.holds = self.enrolments.holds
        self.steps = self.begin("run")

    def begin(self, run_id: str, **given: Any) -> dict[int, tuple[Run, StepRun]]:
        """Start the journey: the run of the engine and what it is about, by the number of the moment."""
        event = {"runId": run_id, "input": given, "journey": self.journey.to_json()}
        started = start(event, now=self.clock.now(), max_parts=1)
        return {
            number: (
                Run(run_id=step.run_id, started_at=step.starts_at),
                StepRun.from_json(step.engine_input["about"]),
            )
            for number, step in enumerate(started, start=1)
        }

    def turn(
        self,
        number: int,
        plan: CrashPlan | None = None,
        *,
        previous_is_over: bool = False,
        steps: Mapping[int, tuple[Run, StepRun]] | None = None,
    ) -> PersonOutcome:
        plan = plan or CrashPlan()
        run, step = (steps or self.steps)[number]
        sender = JourneySender(
            send_service=SendService(
                contacts=plan.wrap(self.contacts),
                ledger=plan.wrap(self.ledger),
                sender=plan.wrap(self.carrier),
                pause=self.pause,
                pacer=FakePacer(),
                places=FakePlaces(),
                clock=self.clock,
                policy=SendPolicy(allowed_countries=frozenset({"US"})),
            ),
            enrolments=plan.wrap(self.enrolments),
            prompts=plan.wrap(self.contacts),
            bus=plan.wrap(self.bus),
            parser=FakeParser(),
            subscriber_key=lambda: SUBSCRIBER_KEY,
            requires_recorded_consent=self.requires_recorded_consent,
        )
        return sender.take_turn(self.person, run, step, previous_is_over=lambda: previous_is_over)

    def due(self, number: int) -> None:
        """Let time pass until a moment."""
        _, step = self.steps[number]
        self.clock.instant = max(self.clock.instant, self._last_sent_at() + step.at)

    def _last_sent_at(self) -> datetime:
        row = self.row
        return row.sent[1].at if 1 in row.sent else self.clock.now()

    def set_consent(self, state: ConsentState) -> None:
        contact = self.contacts.get(PERSON)
        self.contacts.put(replace(contact, consents={**contact.consents, Scope.MARKETING: state}))

    def answer(self, kind: ReplyKind, ended: str | None = None) -> None:
        self.enrolments.save(self.row.answer(kind, now=self.clock.now(), ended=ended))

    @property
    def row(self) -> Enrolment:
        return self.enrolments.get("run", PERSON, journey=self.journey.name)

    @property
    def texts(self) -> list[str]:
        """What arrived, without the line that tells who speaks."""
        return [body.partition(" Reply STOP to opt out")[0] for body in self.carrier.bodies]
