"""The broadcast's state machine in memory: the engine, the real gate and ledger rules, and faults at will.

Executions are generators that yield after each of their steps, so that a test can stop one, let two run at
once, and do something between any two texts. Time passes with each text, at the configured rate, and while
everybody waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from sms_engagement_runtime.channel.domain import ledger as rules
from sms_engagement_runtime.channel.domain.broadcast.asking import PartAsker
from sms_engagement_runtime.channel.domain.broadcast.audience import Candidate, Skipped
from sms_engagement_runtime.channel.domain.broadcast.outcomes import PersonOutcome
from sms_engagement_runtime.channel.domain.broadcast.planning import Next, Planner
from sms_engagement_runtime.channel.domain.broadcast.run import (
    Assignment,
    BroadcastSettings,
    Run,
    read_run,
)
from sms_engagement_runtime.channel.domain.broadcast.snapshot import Snapshot
from sms_engagement_runtime.channel.domain.broadcast.stop_rules import StopRules
from sms_engagement_runtime.channel.domain.broadcast.summary import summarise
from sms_engagement_runtime.channel.domain.budget import SpendLimits
from sms_engagement_runtime.channel.domain.consent import ConsentState, Scope
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.gate import ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.ledger import Intent, MessageState
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.channel.domain.pacing import Lane, Slot
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.ports import OutboundMessage
from sms_engagement_runtime.channel.domain.quiet_hours import DEFAULT
from sms_engagement_runtime.channel.domain.sending import SendPolicy, SendService
from tests.support.broadcast_fakes import FakeRunStore, FakeShuffle, FakeSource
from tests.support.fakes import (
    Crash,
    CrashPlan,
    FakeBudget,
    FakeCampaignCounts,
    FakeClock,
    FakeContacts,
    FakeLedger,
    FakePause,
    FakePlaces,
    FakeSender,
)

EAST, WEST, HAWAII = "America/New_York", "America/Los_Angeles", "Pacific/Honolulu"


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody to text: id, phone, and zone, which is their group."""

    id: str
    phone: str
    zone: str = EAST


class Lethal(CrashPlan):
    """A crash after which nothing of the process happens any more."""

    def reach(self) -> None:
        super().reach()
        if self.crash_at is not None and self.instants > self.crash_at:
            raise Crash("dead already")


@dataclass
class RateClock:
    """A pacer for which each text takes its time on the clock."""

    clock: FakeClock
    seconds_per_text: float
    back_off_seconds: float = 1

    def acquire(self, parts: int, lane: Lane) -> Slot:
        assert lane is Lane.PROMOTIONAL
        self.clock.advance(seconds=parts * self.seconds_per_text)
        now = self.clock.now()
        return Slot(at=now, parts=parts, taken_at=now, is_tight=False)

    def hold(self, slot: Slot) -> bool:
        """Leave at once."""
        return True

    def back_off(self, attempt: int) -> None:
        self.clock.advance(seconds=attempt * self.back_off_seconds)


class Carrier(FakeSender):
    """Takes every text, calls ``on_text`` with how many it has taken, and keeps when it was."""

    clock: FakeClock
    on_text: Callable[[int], None] | None = None
    taken: list[tuple[datetime, OutboundMessage]]

    def send(self, message: OutboundMessage) -> str:
        message_id = super().send(message)
        self.taken.append((self.clock.now(), message))
        if self.on_text is not None:
            self.on_text(len(self.taken))
        return message_id


@dataclass
class Machine:
    """Everything that executions share: people, carrier, tables, bucket and time.

    ``crash_steps`` and ``crash_parts`` hold at which of its instants the next calls of the snapshot and the
    plan function, and of the send-part function, die; None is a call that lives.
    """

    customers: dict[str, Customer]
    rate: float = 1
    per_part: int = 3
    stop_rules: StopRules = field(default_factory=StopRules)
    expires_after: timedelta = timedelta(days=7)
    follow_up_after: timedelta | None = None
    limits: SpendLimits = field(default_factory=SpendLimits)
    skipped: Sequence[Skipped] = ()
    crash_steps: Iterator[int | None] = field(default_factory=lambda: iter([]))
    crash_parts: Iterator[int | None] = field(default_factory=lambda: iter([]))
    part_seconds: float = 235

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.store, self.shuffle = FakeRunStore(), FakeShuffle()
        self.contacts, self.counts, self.pause = FakeContacts(), FakeCampaignCounts(), FakePause()
        self.ledger = FakeLedger(self.contacts)
        self.carrier = Carrier()
        self.carrier.clock, self.carrier.taken = self.clock, []
        self.budget = FakeBudget(self.limits)
        self.settings = BroadcastSettings(
            recipients_per_part=self.per_part,
            recipients_per_second=self.rate,
            expires_after=self.expires_after,
            follow_up_after=self.follow_up_after,
        )
        self.errors: list[type[Exception]] = []
        self.died = 0
        self._tokens = count()

    def start(self, run_id: str = "run", given: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """Begin an execution: it yields what it waits for, None after other steps, and its summary last."""
        started_at = self.clock.now().isoformat()
        run = read_run({"runId": run_id, "startedAt": started_at, "input": given or {}})
        while self._step(lambda plan: self._snapshot(run, plan)) is None:
            yield None
        yield None
        turn = 0
        while True:
            answer = self._step(
                lambda plan, turn=turn: self._planner(plan).take_turn(
                    run, after=turn, now=self.clock.now(), token=self._token()
                )
            )
            turn = answer.number
            yield None
            if answer.next is Next.DONE:
                break
            while answer.until is not None and self.clock.now() < answer.until:
                yield answer.until
            if answer.manifest_key is not None:
                (manifest,) = self.store.read_json([answer.manifest_key], prefix=run.prefix)
                yield from self._send_parts(list(map(Assignment.from_json, manifest)))
        yield summarise(
            run,
            store=self.store,
            millicents_per_part=881,
            is_followed_up=self.follow_up_after is not None,
            is_paused=self.pause.is_paused(),
        )

    def finish(self, *executions: Iterator[Any]) -> list[dict[str, Any]]:
        """Let executions run, a step each in turn, to their ends; return their summaries."""
        summaries: dict[int, dict[str, Any]] = {}
        while len(summaries) < len(executions):
            waits: list[datetime] = []
            is_busy = False
            for number, execution in enumerate(executions):
                if number in summaries:
                    continue
                match next(execution):
                    case datetime() as until:
                        waits.append(until)
                    case dict() as summary:
                        summaries[number] = summary
                        is_busy = True
                    case _:
                        is_busy = True
            if not is_busy:
                self.clock.instant = max(self.clock.instant, min(waits))
        return [summaries[number] for number in range(len(executions))]

    def run(self, run_id: str = "run", given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Let one execution run to its end."""
        (summary,) = self.finish(self.start(run_id, given))
        return summary

    def opt_out(self, customer_id: str) -> None:
        """Do what a STOP of this person does."""
        contact = self.contacts.get(self._subscriber(self.customers[customer_id]))
        self.contacts.put(replace(contact, consents=dict.fromkeys(Scope, ConsentState.OPTED_OUT)))

    def states(self, run_id: str = "run") -> dict[str, tuple[str, str | None]]:
        """Return state and reason of everybody in the results that count; each person is there once."""
        run = Run(run_id=run_id, started_at=self.clock.now())
        (listed,) = self.store.read_json([run.results_key], prefix=run.prefix)
        outcomes = [
            outcome
            for found in self.store.read_outcomes([row["key"] for row in listed["results"]])
            for outcome in found
        ]
        states = {outcome.user_id: (str(outcome.state), outcome.reason) for outcome in outcomes}
        assert len(states) == len(outcomes)
        return states

    def progress(self, run_id: str = "run") -> dict[str, Any]:
        """Return the run in figures, as it is written down."""
        run = Run(run_id=run_id, started_at=self.clock.now())
        (progress,) = self.store.read_json([run.progress_key], prefix=run.prefix)
        return dict(progress)

    @property
    def texted(self) -> list[str]:
        """Phones in the order of their texts."""
        return [str(message.destination.e164) for _, message in self.carrier.taken]

    def _snapshot(self, run: Run, plan: CrashPlan) -> Any:
        people = [
            *self.skipped,
            *(
                Candidate(recipient_id=one.id, subscriber_id=self._subscriber(one), group=one.zone)
                for one in self.customers.values()
            ),
        ]
        return Snapshot(
            run=run,
            source=plan.wrap(FakeSource(people, page_size=5)),
            store=plan.wrap(self.store),
            shuffle=self.shuffle.reopened(),
            settings=self.settings,
            token=self._token(),
            may_go_on=lambda: True,
        ).take()

    def _planner(self, plan: CrashPlan) -> Planner:
        return Planner(
            store=plan.wrap(self.store),
            hours_of=DEFAULT.hours_of_key,
            pause=self.pause,
            counts=self.counts,
            stop_rules=self.stop_rules,
            settings=self.settings,
        )

    def _step(self, call: Callable[[CrashPlan], Any]) -> Any:
        """Call a function as the state machine does, again where it died."""
        while True:
            try:
                return call(Lethal(next(self.crash_steps, None)))
            except Crash:
                self.died += 1

    def _send_parts(self, assignments: Sequence[Assignment]) -> Iterator[None]:
        for assignment in assignments:
            self._send_part(assignment)
            yield None

    def _send_part(self, assignment: Assignment) -> None:
        plan = Lethal(next(self.crash_parts, None))
        service = SendService(
            contacts=self.contacts,
            ledger=plan.wrap(self.ledger),
            sender=plan.wrap(self.carrier),
            pause=self.pause,
            pacer=RateClock(self.clock, 1 / self.rate),
            places=FakePlaces(),
            budget=self.budget,
            clock=self.clock,
            policy=SendPolicy(allowed_countries=frozenset({"US"})),
        )
        deadline = self.clock.now() + timedelta(seconds=self.part_seconds)

        def ask(customer: Customer) -> PersonOutcome:
            return self._ask(service, customer, assignment.run)

        asker = PartAsker(
            find=lambda ids: {one: self.customers[one] for one in ids if one in self.customers},
            missing_reason="NO_CUSTOMER",
            ask=ask,
            store=plan.wrap(self.store),
            hours_of=DEFAULT.hours_of_key,
            clock=self.clock,
            pause=self.pause,
            counts=self.counts,
            stop_rules=self.stop_rules,
            has_time=lambda: self.clock.now() < deadline,
            on_error=self.errors.append,
            sleep=lambda seconds: self.clock.advance(seconds=seconds),
            workers=1,
        )
        try:
            asker.carry_out(assignment, token=self._token())
        except (Crash, TransientError):
            self.died += 1

    def _ask(self, service: SendService, customer: Customer, run: Run) -> PersonOutcome:
        """Ask as a capability does: what an earlier attempt came to is told before anything else."""
        intent = Intent(
            construct="test",
            purpose="offer" if run.follows is None else "reminder",
            occasion="one",
            scope=Scope.MARKETING,
            message_class=MessageClass.PROMOTIONAL,
            consent_rule=ConsentRule.IMPLIED,
            recipient=PhoneNumber(customer.phone),
            subscriber_id=self._subscriber(customer),
            country="US",
            body="Good morning",
            campaign_id=run.run_id,
            time_zone=customer.zone,
        )
        row = service.ledger.get(intent.key)
        if row is not None and not rules.may_claim(row) and row.campaign_id == run.run_id:
            state = row.derived_state(self.clock.now())
            if state is MessageState.ACCEPTED:
                return PersonOutcome(user_id=customer.id, state=OutcomeState.ACCEPTED, parts=row.parts)
        outcome = service.send(intent, dry_run=run.is_dry)
        is_sent = outcome.state in (OutcomeState.ACCEPTED, OutcomeState.WOULD_SEND)
        return PersonOutcome(
            user_id=customer.id,
            state=outcome.state,
            reason=outcome.reason,
            message_id=outcome.message_id,
            parts=outcome.parts if is_sent else 0,
            until=outcome.until,
        )

    def _subscriber(self, customer: Customer) -> str:
        return f"v1:{customer.phone}"

    def _token(self) -> str:
        return f"t{next(self._tokens)}"


def crowd(number: int, *zones: str) -> dict[str, Customer]:
    """Make so many customers, each with a phone of their own, in these zones by turns."""
    zones = zones or (EAST,)
    return {f"u{n:03}": Customer(f"u{n:03}", f"+1202555{n:04}", zones[n % len(zones)]) for n in range(number)}
