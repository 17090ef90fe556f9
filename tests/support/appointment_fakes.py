"""Appointments over fakes: in-memory conversations, the state machine played step by step, one system of all.

The machine is played as ``follow_up.asl.json`` says it goes on after each step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar

from sms_engagement_runtime.appointment_follow_up.domain.answering import (
    Answered,
    AnswerService,
)
from sms_engagement_runtime.appointment_follow_up.domain.bookings import (
    Booked,
    Booking,
    BookingEvent,
    Cancelled,
    MovedAway,
    NoShowMarked,
    Party,
    PhoneCandidate,
    PhoneSource,
    Provider,
    appointment_id,
)
from sms_engagement_runtime.appointment_follow_up.domain.changing import ConversationChangedError
from sms_engagement_runtime.appointment_follow_up.domain.conversation import Conversation
from sms_engagement_runtime.appointment_follow_up.domain.follow_up import FollowUpService, Next, Step
from sms_engagement_runtime.appointment_follow_up.domain.intake import BookingIntake
from sms_engagement_runtime.appointment_follow_up.domain.phone_events import (
    PhoneEvent,
    ReplyReceived,
    TextFailed,
    read_event,
)
from sms_engagement_runtime.appointment_follow_up.domain.policy import FollowUpPolicy
from sms_engagement_runtime.appointment_follow_up.domain.purposes import CONSTRUCT, Purpose
from sms_engagement_runtime.appointment_follow_up.domain.speaking import Speaker
from sms_engagement_runtime.appointment_follow_up.domain.texts import AppointmentTexts
from sms_engagement_runtime.channel.domain.inbound import InboundMessage, InboundService
from sms_engagement_runtime.channel.domain.ledger import Claimed, ClaimResult, Guard, intent_key
from sms_engagement_runtime.channel.domain.phone_number import NumberKind, ParsedNumber, PhoneNumber
from sms_engagement_runtime.channel.domain.sending import SendPolicy, SendService
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from tests.support.fakes import (
    START,
    SUBSCRIBER_KEY,
    FakeAttention,
    FakeBudget,
    FakeBus,
    FakeCampaignCounts,
    FakeClock,
    FakeContacts,
    FakeLedger,
    FakeOptOutList,
    FakePacer,
    FakeParser,
    FakePause,
    FakePlaces,
    FakeSender,
)
from tests.support.indexed import Indexed

PHONE = "+12025550123"
LANDLINE = "+12125550177"
OUR_NUMBER = "+12025550199"
STARTS_AT = START + timedelta(days=3, hours=2)
_RESCHEDULE_URL = "https://calendly.com/reschedulings/1a2b"
_INVITEES = "https://api.calendly.com/scheduled_events/E/invitees/"

type Wrap = Callable[[object], object]


def as_it_is[T](port: T) -> T:
    return port


def subscriber(phone: str = PHONE) -> str:
    return subscriber_id(PhoneNumber(phone), SUBSCRIBER_KEY)


def id_of(name: str) -> str:
    """The appointment of that name in our tables."""
    return appointment_id(Provider.CALENDLY, _INVITEES + name)


def booking(name: str = "A", *, phone: str | None = PHONE, replaces: str | None = None, **changes) -> Booking:
    """An appointment three days ahead that was booked now."""
    phones = () if phone is None else (PhoneCandidate(phone, PhoneSource.REMINDER_NUMBER),)
    starts_at = changes.pop("starts_at", STARTS_AT)
    facts = {
        "booked_at": START,
        "ends_at": starts_at + timedelta(minutes=30),
        "event_name": "Intro call",
        "invitee_name": "Ada Lovelace",
        "phones": phones,
        "time_zone": "America/New_York",
        "reschedule_url": _RESCHEDULE_URL,
        "replaces": None if replaces is None else _INVITEES + replaces,
        # Who moved it is in the other half of the pair.
        "by_invitee": replaces is None,
    }
    return Booking(
        provider=Provider.CALENDLY, external_id=_INVITEES + name, starts_at=starts_at, **{**facts, **changes}
    )


def booked(name: str = "A", **changes) -> Booked:
    made = booking(name, **changes)
    return Booked(key=f"created-{name}", at=made.booked_at, booking=made)


def cancelled(name: str = "A", *, at: datetime = START, by: Party | None = Party.INVITEE) -> Cancelled:
    return Cancelled(
        key=f"canceled-{name}", at=at, provider=Provider.CALENDLY, external_id=_INVITEES + name, by=by
    )


def moved_away(name: str, to: str | None, *, half: str = "canceled", at: datetime = START) -> MovedAway:
    return MovedAway(
        key=f"moved-{name}-{half}",
        at=at,
        provider=Provider.CALENDLY,
        external_id=_INVITEES + name,
        to=None if to is None else _INVITEES + to,
    )


def no_show(name: str = "A", *, at: datetime = START, is_undone: bool = False) -> NoShowMarked:
    return NoShowMarked(
        key=f"no-show-{name}-{at.timestamp()}-{is_undone}",
        at=at,
        provider=Provider.CALENDLY,
        external_id=_INVITEES + name,
        is_undone=is_undone,
    )


class FakeConversations:
    """Rows of the table. As the adapter's, they do not keep the candidates for a phone number.

    ``journal`` has every write; a claim that the ledger of `JournalLedger` gives is in the same one.
    """

    TABLE: ClassVar = "conversations"

    def __init__(self, journal: list[tuple[str, object]] | None = None) -> None:
        self.rows: Indexed[str, Conversation] = Indexed(
            lambda row: row.recipient and row.recipient.subscriber_id
        )
        self.journal = [] if journal is None else journal
        self.before_save: Callable[[], None] | None = None
        self._lock = threading.RLock()

    def get(self, appointment_id: str) -> Conversation | None:
        with self._lock:
            return self.rows.get(appointment_id)

    def save(self, conversation: Conversation) -> Conversation:
        if self.before_save is not None:
            action, self.before_save = self.before_save, None
            action()
        with self._lock:
            stored = self.rows.get(conversation.appointment_id)
            if (0 if stored is None else stored.version) != conversation.version:
                raise ConversationChangedError
            saved = replace(conversation, version=conversation.version + 1)
            kept = saved.booking and replace(saved.booking, phones=())
            self.rows[conversation.appointment_id] = replace(saved, booking=kept)
            self.journal.append(("saved", saved))
            return saved

    def of_subscriber(self, subscriber_id: str, *, since: datetime) -> Sequence[Conversation]:
        with self._lock:
            return [
                row
                for row in self.rows.of(subscriber_id)
                if row.booking is not None and row.booking.starts_at >= since
            ]

    def guard(self, conversation: Conversation) -> Guard:
        return Guard(
            table=self.TABLE,
            key=("appointmentId", conversation.appointment_id),
            version=conversation.version,
        )

    def holds(self, guard: Guard) -> bool:
        """What the ledger asks within a claim."""
        assert guard.table == self.TABLE
        row = self.get(guard.key[1])
        return row is not None and row.version == guard.version


class JournalLedger(FakeLedger):
    """A ledger that writes its claims into the journal of the conversations."""

    def __init__(self, contacts: FakeContacts, journal: list[tuple[str, object]]) -> None:
        super().__init__(contacts)
        self._journal = journal

    def claim(self, intent, **arguments) -> ClaimResult:
        with self._lock:
            result = super().claim(intent, **arguments)
            if isinstance(result, Claimed):
                self._journal.append(("claimed", intent))
            return result


class JournalContacts(FakeContacts):
    """Contacts that write every opt-out into the journal."""

    def __init__(self, journal: list[tuple[str, object]]) -> None:
        super().__init__()
        self._journal = journal

    def save(self, contact, **arguments):
        with self._lock:
            saved = super().save(contact, **arguments)
            if saved.is_opted_out:
                self._journal.append(("opted-out", saved))
            return saved


class KindsParser(FakeParser):
    """Tells landlines apart, which North American numbers do not show."""

    def parse(self, raw: str | None) -> ParsedNumber:
        parsed = super().parse(raw)
        is_landline = parsed.number.e164 == LANDLINE
        return replace(parsed, kind=NumberKind.LANDLINE) if is_landline else parsed


@dataclass
class Execution:
    """One execution of the state machine, and what it does next.

    ``due_at`` None: over, or stopped.
    """

    name: str
    appointment_id: str
    step: str
    due_at: datetime | None
    notice: str | None = None
    lead: timedelta | None = None
    is_stopped: bool = False

    @property
    def is_running(self) -> bool:
        return self.due_at is not None and not self.is_stopped


@dataclass
class FakeWorkflow:
    """Executions by name: a name runs once. ``failures`` are raised by the next calls instead."""

    clock: FakeClock
    executions: dict[str, Execution] = field(default_factory=dict)
    failures: list[Exception] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)

    def start(self, appointment_id: str) -> None:
        self._call("start", appointment_id)
        self._begin(Execution(appointment_id, appointment_id, "confirm", self.clock.now()))

    def notify(self, appointment_id: str, notice: str, *, occasion: str) -> None:
        name = f"{appointment_id}-{occasion}"
        # Step Functions, StartExecution: 1 to 80 characters.
        assert len(name) <= 80
        self._call("notify", name)
        self._begin(Execution(name, appointment_id, "notify", self.clock.now(), notice=str(notice)))

    def stop(self, appointment_id: str) -> None:
        self._call("stop", appointment_id)
        if appointment_id in self.executions:
            self.executions[appointment_id].is_stopped = True

    def _begin(self, execution: Execution) -> None:
        self.executions.setdefault(execution.name, execution)

    def _call(self, what: str, name: str) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.calls.append((what, name))


@dataclass
class FakeHostTopic:
    """Keeps what the host was told."""

    notices: list[tuple[str, str]] = field(default_factory=list)

    def publish(self, subject: str, message: str) -> None:
        # SNS, Publish: ASCII, at most 100 characters.
        assert subject.isascii()
        assert 0 < len(subject) <= 100
        self.notices.append((subject, message))


# What the definition's Choice after each step knows; everything else ends the execution in silence.
_KNOWN_NEXT = {
    "confirm": {Next.ANSWER, Next.AGAIN, Next.OVER},
    "follow-up": {Next.AGAIN, Next.REMINDER, Next.END, Next.OVER},
    "remind": {Next.AGAIN, Next.REMINDER, Next.END, Next.OVER},
    "finish": {Next.END, Next.OVER},
    "notify": {Next.AGAIN, Next.OVER},
}
_AFTER = {Next.REMINDER: "remind", Next.END: "finish"}


class System:
    """All that an appointment meets, over fakes that share one clock, one ledger and one journal."""

    def __init__(self, *, policy: FollowUpPolicy | None = None) -> None:
        self.journal: list[tuple[str, object]] = []
        self.clock = FakeClock()
        self.contacts = JournalContacts(self.journal)
        self.conversations = FakeConversations(self.journal)
        self.ledger = JournalLedger(self.contacts, self.journal)
        self.ledger.holds = self.conversations.holds
        self.sender = FakeSender()
        self.pause = FakePause()
        self.pacer = FakePacer()
        self.places = FakePlaces()
        self.budget = FakeBudget()
        self.workflow = FakeWorkflow(self.clock)
        self.bus = FakeBus()
        self.channel_bus = FakeBus()
        self.router_bus = FakeBus()
        self.host = FakeHostTopic()
        self.attention = FakeAttention()
        self.counts = FakeCampaignCounts()
        self.opt_out_list = FakeOptOutList()
        self.policy = policy or FollowUpPolicy()
        self.countries = frozenset({"US"})
        self.speaker = Speaker(
            texts=AppointmentTexts(), counts=self.counts, default_time_zone="America/New_York"
        )
        self.inbound_count = 0
        self._forwarded = 0

    # The services, each port of which `wrap` may change

    def intake(self, wrap: Wrap = as_it_is) -> BookingIntake:
        return BookingIntake(
            conversations=wrap(self.conversations),
            workflow=wrap(self.workflow),
            parser=KindsParser(),
            subscriber_key=lambda: SUBSCRIBER_KEY,
            clock=self.clock,
        )

    def send_service(self, wrap: Wrap = as_it_is) -> SendService:
        return SendService(
            contacts=wrap(self.contacts),
            ledger=wrap(self.ledger),
            sender=wrap(self.sender),
            pause=self.pause,
            pacer=self.pacer,
            places=self.places,
            clock=self.clock,
            policy=SendPolicy(allowed_countries=self.countries),
            budget=self.budget,
        )

    def follow_up(self, wrap: Wrap = as_it_is) -> FollowUpService:
        return FollowUpService(
            conversations=wrap(self.conversations),
            send_service=self.send_service(wrap),
            prompts=wrap(self.contacts),
            bus=wrap(self.bus),
            channel_bus=wrap(self.channel_bus),
            speaker=self.speaker,
            clock=self.clock,
            policy=self.policy,
        )

    def answers(self, wrap: Wrap = as_it_is) -> AnswerService:
        return AnswerService(
            conversations=wrap(self.conversations),
            send_service=self.send_service(wrap),
            contacts=wrap(self.contacts),
            prompts=wrap(self.contacts),
            bus=wrap(self.bus),
            host=wrap(self.host),
            speaker=self.speaker,
            clock=self.clock,
        )

    def router(self, wrap: Wrap = as_it_is) -> InboundService:
        return InboundService(
            contacts=wrap(self.contacts),
            prompts=wrap(self.contacts),
            ledger=wrap(self.ledger),
            send_service=self.send_service(wrap),
            opt_out_list=self.opt_out_list,
            bus=self.router_bus,
            attention=self.attention,
            counts=self.counts,
            clock=self.clock,
            parser=KindsParser(),
            subscriber_key=SUBSCRIBER_KEY,
        )

    # What happens

    def take(self, *events: BookingEvent) -> Sequence[Conversation]:
        return self.intake().take(events)

    def book(self, name: str = "A", **changes) -> str:
        """Book, and have the first text sent."""
        self.take(booked(name, **{"booked_at": self.clock.now(), **changes}))
        self.run_due()
        return id_of(name)

    def cancel(self, name: str = "A", **changes) -> None:
        self.take(cancelled(name, **{"at": self.clock.now(), **changes}))

    def move(self, old: str, new: str, **changes) -> None:
        """The webhook of the new appointment, as Calendly's adapter reads it."""
        now = self.clock.now()
        made = booked(new, replaces=old, **{"booked_at": now, **changes})
        self.take(moved_away(old, new, half="created", at=now), made)

    def mark_no_show(self, name: str = "A", *, is_undone: bool = False) -> None:
        self.take(no_show(name, at=self.clock.now(), is_undone=is_undone))

    def write(self, body: str, *, phone: str = PHONE, to: str | None = None) -> list[Answered]:
        """A person writes; the channel's router and this capability do with it what they do.

        `to` names the text that the service says came last, by its message id. Nobody answers a text in the
        instant in which it is sent.
        """
        self.clock.advance(seconds=20)
        self.inbound_count += 1
        self.router().handle(
            InboundMessage(
                id=f"inbound-{self.inbound_count}",
                from_=phone,
                to=OUR_NUMBER,
                body=body,
                received_at=self.clock.now(),
                previous_message_id=to,
            )
        )
        return [self.answers().handle(event) for event in self.routed()]

    def routed(self) -> list[PhoneEvent]:
        """What the router has told the bus since this was asked last, as far as it is about us."""
        told = self.router_bus.events[self._forwarded :]
        self._forwarded = len(self.router_bus.events)
        return [event for kind, detail in told if (event := read_event(kind, detail)) is not None]

    def reply(self, name: str, body: str, *, inbound_id: str = "inbound-x") -> Answered:
        """The bus hands over an answer to a text about an appointment, past the router."""
        return self.answers().handle(self.reply_to(name, body, inbound_id=inbound_id))

    def reply_to(
        self, name: str, body: str, *, inbound_id: str = "inbound-x", alternatives: Sequence[str] = ()
    ) -> ReplyReceived:
        return ReplyReceived(
            inbound_id=inbound_id,
            subscriber_id=subscriber(),
            purpose=Purpose.CONFIRMATION,
            occasion=id_of(name),
            body=body,
            received_at=self.clock.now(),
            alternatives=tuple(map(id_of, alternatives)),
        )

    def text_failed(self, name: str = "A", purpose: str = Purpose.CONFIRMATION) -> Answered:
        return self.answers().handle(TextFailed(purpose=purpose, occasion=id_of(name), reason="BLOCKED"))

    # The machine

    def run(self, execution: Execution, wrap: Wrap = as_it_is) -> Step:
        """Play one step of an execution, and have it wait as the definition says."""
        service = self.follow_up(wrap)
        match execution.step:
            case "confirm":
                step = service.confirm(execution.appointment_id)
            case "follow-up":
                step = service.follow_up(execution.appointment_id)
            case "remind":
                assert execution.lead is not None, "the definition takes the lead from the step before"
                step = service.remind(execution.appointment_id, execution.lead)
            case "finish":
                step = service.finish(execution.appointment_id)
            case _:
                step = service.notify(execution.appointment_id, Purpose(execution.notice))
        assert step.next in _KNOWN_NEXT[execution.step]
        if step.next is Next.OVER:
            execution.due_at = None
        elif step.next is Next.ANSWER:
            execution.step, execution.due_at = "follow-up", self.clock.now() + self.policy.follow_up_delay
        else:
            assert step.until is not None
            execution.step = _AFTER.get(step.next, execution.step)
            execution.due_at, execution.lead = step.until, step.lead
        return step

    def running(self) -> list[Execution]:
        return [one for one in self.workflow.executions.values() if one.is_running]

    def due(self) -> list[Execution]:
        return [one for one in self.running() if one.due_at <= self.clock.now()]

    def run_due(self, wrap: Wrap = as_it_is) -> None:
        """Play every step that is due now."""
        for _ in range(100):
            if not (due := self.due()):
                return
            self.run(due[0], wrap)
        raise AssertionError("a step is due again and again")

    def run_until(self, instant: datetime) -> None:
        """Play the steps that are due until an instant, each at its time."""
        self.run_due()
        while (at := min((one.due_at for one in self.running()), default=None)) and at <= instant:
            self.clock.instant = max(self.clock.instant, at)
            self.run_due()
        self.clock.instant = max(self.clock.instant, instant)

    def skip(self, **span: float) -> None:
        self.run_until(self.clock.now() + timedelta(**span))

    def run_all(self) -> None:
        """Play all that is owed, to its end."""
        self.run_until(self.clock.now() + timedelta(days=60))
        assert not self.running()

    # What came of it

    def row(self, name: str = "A") -> Conversation:
        return self.conversations.rows[id_of(name)]

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Purpose and occasion of the texts that went out about appointments, in their order."""
        keys = {row.key: (row.purpose, row.occasion) for row in self.ledger.rows.values()}
        ours = {row.key for row in self.ledger.rows.values() if row.construct == CONSTRUCT}
        return [keys[message.key] for message in self.sender.sent if message.key in ours]

    @property
    def purposes(self) -> list[str]:
        return [purpose for purpose, _ in self.texts]

    def ledger_row(self, purpose: str, name: str = "A", *, phone: str = PHONE):
        return self.ledger.get(intent_key(CONSTRUCT, subscriber(phone), purpose, id_of(name)))

    def told(self, detail_type: str) -> list[dict[str, object]]:
        """Details of one type on the bus, each event once, however often it was published."""
        events = {
            detail.get("eventId", detail.get("occasion")): detail
            for kind, detail in (*self.bus.events, *self.channel_bus.events)
            if kind == detail_type
        }
        return list(events.values())
