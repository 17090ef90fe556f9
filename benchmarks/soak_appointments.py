"""Appointments of the simulation: a booking site that tells again, and the machine of each appointment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from benchmarks.soak_audit import Appointment
from benchmarks.soak_channel import Channel
from benchmarks.soak_people import Person
from benchmarks.soak_transport import Detail, Later
from sms_engagement_runtime.appointment_follow_up.domain.answering import AnswerService
from sms_engagement_runtime.appointment_follow_up.domain.bookings import (
    Booked,
    Booking,
    BookingEvent,
    Cancelled,
    MovedAway,
    Party,
    PhoneCandidate,
    PhoneSource,
    Provider,
    appointment_id,
)
from sms_engagement_runtime.appointment_follow_up.domain.follow_up import FollowUpService, Next, Step
from sms_engagement_runtime.appointment_follow_up.domain.intake import BookingIntake
from sms_engagement_runtime.appointment_follow_up.domain.phone_events import read_event
from sms_engagement_runtime.appointment_follow_up.domain.policy import FollowUpPolicy
from sms_engagement_runtime.appointment_follow_up.domain.purposes import Purpose
from sms_engagement_runtime.appointment_follow_up.domain.speaking import Speaker
from sms_engagement_runtime.appointment_follow_up.domain.texts import AppointmentTexts
from sms_engagement_runtime.channel.domain.errors import TransientError
from tests.support.appointment_fakes import Execution, FakeConversations, FakeHostTopic, FakeWorkflow
from tests.support.fakes import SUBSCRIBER_KEY, Crash

MACHINE: Final = "appointment-follow-up"
_INVITEES: Final = "https://api.calendly.com/scheduled_events/E/invitees/"
_LASTS: Final = timedelta(minutes=30)
_WEBHOOK_LATE_SECONDS: Final = 600.0
_WEBHOOK_PAUSE_SECONDS: Final = 5.0
_EVENTS: Final = ("ReplyReceived", "OptedOut", "TextFailed")
_KEPT: Final = (
    "inboundMessageId",
    "subscriberId",
    "construct",
    "purpose",
    "occasion",
    "alternatives",
    "receivedAt",
)
"""What an answer that waits is called again with, by the product's handler."""


class Workflow(FakeWorkflow):
    """Executions that play their steps as they are due, again where a step failed."""

    def __init__(self, appointments: Appointments) -> None:
        super().__init__(clock=appointments.channel.world.schedule)
        self._appointments = appointments

    def _begin(self, execution: Execution) -> None:
        if execution.name not in self.executions:
            super()._begin(execution)
            self._appointments.play_when_due(execution)


@dataclass(slots=True)
class _Visit:
    """One appointment, as the booking site knows it."""

    name: str
    person: Person
    booking: Booking
    is_over: bool = False

    @property
    def external_id(self) -> str:
        return _INVITEES + self.name


class Appointments:
    """The capability on the channel, and who books.

    Attributes
    ----------
    known
        What the booking site knows, for the auditor.
    """

    def __init__(self, channel: Channel) -> None:
        self.channel, self.world = channel, channel.world
        wrap, schedule = channel.wrap, channel.world.schedule
        self.known: dict[str, Appointment] = {}
        self._visits: list[_Visit] = []
        self._told: list[tuple[BookingEvent, ...]] = []
        self.conversations = FakeConversations()
        channel.guards[FakeConversations.TABLE] = self.conversations.holds
        self._workflow = Workflow(self)
        self.world.failed_executions[MACHINE] = 0
        self._policy = FollowUpPolicy()
        speaker = Speaker(
            texts=AppointmentTexts(), counts=wrap(channel.counts), default_time_zone="America/New_York"
        )
        self._intake = BookingIntake(
            conversations=wrap(self.conversations),
            workflow=wrap(self._workflow),
            parser=channel.parser,
            subscriber_key=lambda: SUBSCRIBER_KEY,
            clock=schedule,
        )
        self._service = FollowUpService(
            conversations=wrap(self.conversations),
            send_service=channel.send_service(),
            prompts=wrap(channel.contacts),
            bus=wrap(channel.bus),
            channel_bus=wrap(channel.bus),
            speaker=speaker,
            clock=schedule,
            policy=self._policy,
        )
        contacts = wrap(channel.contacts)
        self._answers = AnswerService(
            conversations=wrap(self.conversations),
            send_service=channel.send_service(),
            contacts=contacts,
            prompts=contacts,
            bus=wrap(channel.bus),
            host=wrap(FakeHostTopic()),
            speaker=speaker,
            clock=schedule,
        )
        self._later = Later(self.world, "appointment-later", self._come_back)
        channel.bus.rule("appointment-phone-events", _EVENTS, self._handle)

    # --- the booking site

    def book(self, person: Person, starts_at: datetime, *, replaces: _Visit | None = None) -> None:
        """Have somebody book, in place of another appointment of theirs perhaps."""
        name = f"{len(self._visits):06}"
        booking = Booking(
            provider=Provider.CALENDLY,
            external_id=_INVITEES + name,
            booked_at=self.world.now,
            starts_at=starts_at,
            ends_at=starts_at + _LASTS,
            event_name="Coffee tasting",
            invitee_name=person.name,
            phones=(PhoneCandidate(person.phone, PhoneSource.REMINDER_NUMBER),),
            time_zone=person.zone.key,
            reschedule_url="https://calendly.com/reschedulings/1a2b",
            replaces=None if replaces is None else replaces.external_id,
            by_invitee=replaces is None,
        )
        visit = _Visit(name, person, booking)
        self._visits.append(visit)
        id_ = appointment_id(Provider.CALENDLY, visit.external_id)
        self.known[id_] = Appointment(id=id_, phone=person.phone, starts_at=starts_at)
        made = Booked(key=f"created-{name}", at=self.world.now, booking=booking)
        if replaces is None:
            self._tell(made)
            return
        # Of a move the site tells twice, in either order: the old one is over with the first of the two.
        halves: list[tuple[BookingEvent, ...]] = [
            (self._moved(replaces, visit, half="created"), made),
            (self._moved(replaces, visit, half="canceled"),),
        ]
        self.world.luck.chance.shuffle(halves)
        for half in halves:
            self._tell(*half, ends=replaces)

    def change_of_mind(self, chance: float) -> int:
        """Have some cancel and some move, and some webhooks told again; return how many did."""
        draw, now = self.world.luck.chance, self.world.now
        if self.world.luck.faults.duplicate:
            for events in draw.sample(self._told, k=len(self._told) // 20):
                self._deliver(events, None)
        changed = 0
        for visit in [one for one in self._visits if not one.is_over and one.booking.starts_at > now]:
            luck = draw.random()
            if luck >= 2 * chance:
                continue
            visit.is_over = True
            changed += 1
            if luck < chance:
                by = Party.HOST if draw.random() < 0.5 else Party.INVITEE
                self._tell(
                    Cancelled(
                        key=f"canceled-{visit.name}",
                        at=now,
                        provider=Provider.CALENDLY,
                        external_id=visit.external_id,
                        by=by,
                    ),
                    ends=visit,
                )
            else:
                self.book(visit.person, visit.booking.starts_at + timedelta(days=1), replaces=visit)
        return changed

    def _moved(self, old: _Visit, new: _Visit, *, half: str) -> MovedAway:
        return MovedAway(
            key=f"moved-{old.name}-{half}",
            at=self.world.now,
            provider=Provider.CALENDLY,
            external_id=old.external_id,
            to=new.external_id,
        )

    def _tell(self, *events: BookingEvent, ends: _Visit | None = None) -> None:
        """Tell a webhook, perhaps late or twice."""
        self._told.append(events)
        luck = self.world.luck
        for _ in range(2 if luck.happens("duplicate") else 1):
            late = luck.chance.random() * _WEBHOOK_LATE_SECONDS if luck.happens("late") else 0.0
            self.world.schedule.after(late + self.world.soon(), partial(self._deliver, events, ends))

    def _deliver(self, events: tuple[BookingEvent, ...], ends: _Visit | None) -> None:
        """Deliver a webhook until it is taken: that is when the product was told."""
        while True:
            try:
                self.world.functions.call(lambda: self._intake.take(events))
            except (Crash, TransientError):
                self.world.schedule.sleep(_WEBHOOK_PAUSE_SECONDS)
                continue
            break
        if ends is not None:
            id_ = appointment_id(Provider.CALENDLY, ends.external_id)
            known = self.known[id_]
            if known.over_at is None:
                self.known[id_] = Appointment(
                    id=id_, phone=known.phone, starts_at=known.starts_at, over_at=self.world.now
                )

    # --- the state machine, as its definition says it goes on after each step

    def play_when_due(self, execution: Execution) -> None:
        """Wait for the next step of an execution."""
        assert execution.due_at is not None
        self.world.schedule.at(execution.due_at, partial(self._play, execution))

    def _play(self, execution: Execution) -> None:
        if execution.is_stopped:
            return
        step = self.world.task(MACHINE, lambda: self._carry_out(execution))
        if not isinstance(step, Step) or execution.is_stopped or step.next is Next.OVER:
            execution.due_at = None
            return
        if step.next is Next.ANSWER:
            execution.step, execution.due_at = "follow-up", self.world.now + self._policy.follow_up_delay
        else:
            assert step.until is not None
            execution.step = {Next.REMINDER: "remind", Next.END: "finish"}.get(step.next, execution.step)
            execution.due_at, execution.lead = step.until, step.lead
        self.play_when_due(execution)

    def _carry_out(self, execution: Execution) -> Step:
        service, id_ = self._service, execution.appointment_id
        match execution.step:
            case "confirm":
                return service.confirm(id_)
            case "follow-up":
                return service.follow_up(id_)
            case "remind":
                return service.remind(id_, execution.lead)
            case "finish":
                return service.finish(id_)
        return service.notify(id_, Purpose(execution.notice))

    # --- what the channel tells

    def _handle(self, event_id: str, event_type: str, detail: Detail) -> None:
        told = read_event(event_type, detail)
        if told is None:
            return
        answered = self._answers.handle(told)
        if answered.until is not None:
            kept: dict[str, Any] = {name: detail[name] for name in _KEPT if name in detail}
            kept["body"] = answered.said
            self._later.postpone(event_id, {"detail-type": event_type, "detail": kept}, answered.until)

    def _come_back(self, event: Mapping[str, Any]) -> datetime | None:
        told = read_event(event["detail-type"], event["detail"])
        assert told is not None
        return self._answers.handle(told).until
