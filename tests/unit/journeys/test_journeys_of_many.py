"""A journey of many people in three zones, by the engine itself: functions die, and people speak at any time.

The engine, the gate, the ledger and the turns are the real ones; carrier, tables and bucket are in memory.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from sms_engagement_runtime.channel.domain.broadcast.audience import Candidate
from sms_engagement_runtime.channel.domain.broadcast.snapshot import Snapshot
from sms_engagement_runtime.channel.domain.consent import ConsentState, Scope
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.journeys.domain.audience import LaterAudience, PreviousRun
from sms_engagement_runtime.journeys.domain.conditions import ReplyKind, SubscriberState
from sms_engagement_runtime.journeys.domain.runs import StepRun, start
from sms_engagement_runtime.journeys.domain.stock import welcome_series
from sms_engagement_runtime.journeys.domain.subscribers import Subscriber
from sms_engagement_runtime.journeys.domain.turn import JourneySender
from tests.support.broadcast_fakes import FakeSource
from tests.support.broadcast_machine import EAST, HAWAII, WEST, Customer, Machine
from tests.support.fakes import SUBSCRIBER_KEY, FakeBus, FakeParser
from tests.support.journey_fakes import FakeEnrolments

PEOPLE = 24
DAY = timedelta(days=1)
ZONES = (EAST, WEST, HAWAII)


def customer(number):
    phone = f"+1202555{100 + number:04}"
    return Customer(subscriber_id(PhoneNumber(phone), SUBSCRIBER_KEY), phone, ZONES[number % 3])


@dataclass
class JourneyMachine(Machine):
    """The engine's machine, with the people and turns of a journey."""

    def __post_init__(self):
        super().__post_init__()
        self.enrolments, self.bus = FakeEnrolments(), FakeBus()
        self.ledger.holds = self.enrolments.holds

    def journey(self, run_id="run"):
        """Start a journey: an execution for each of its moments."""
        event = {"runId": run_id, "journey": welcome_series().to_json(), "input": {}}
        steps = start(event, now=self.clock.now(), max_parts=1)
        return [self._from(step.starts_at, step.run_id, step.engine_input) for step in steps]

    def _from(self, starts_at, run_id, given):
        while self.clock.now() < starts_at:
            yield starts_at
        yield from self.start(run_id, given)

    def _snapshot(self, run, plan):
        step = StepRun.from_json(run.about)
        everybody = self.customers.values()
        people = [Candidate(recipient_id=one.id, subscriber_id=one.id, group=one.zone) for one in everybody]
        first = step.number == 1
        return Snapshot(
            run=run,
            source=FakeSource(people) if first else LaterAudience(step=step, store=plan.wrap(self.store)),
            store=plan.wrap(self.store),
            shuffle=self.shuffle.reopened(),
            settings=self.settings,
            token=self._token(),
            may_go_on=lambda: True,
        ).take()

    def _ask(self, service, customer, run):
        # The part that dies takes these with it too.
        plan, step = service.ledger._plan, StepRun.from_json(run.about)
        sender = JourneySender(
            send_service=service,
            enrolments=plan.wrap(self.enrolments),
            prompts=plan.wrap(self.contacts),
            bus=plan.wrap(self.bus),
            parser=FakeParser(),
            subscriber_key=lambda: SUBSCRIBER_KEY,
        )
        person = Subscriber(
            subscriber_id=customer.id,
            phone_number=customer.phone,
            state=SubscriberState.NEW,
            attributes={"time_zone": customer.zone},
        )
        previous = PreviousRun(step=step, store=self.store, clock=self.clock)
        return sender.take_turn(person, run, step, previous_is_over=previous.is_over)

    def speak(self, person, state):
        contact = self.contacts.get(person.id)
        self.contacts.put(replace(contact, consents={Scope.MARKETING: state}))

    def cap(self, some):
        """Have these people had their texts of the day a moment ago: their first one waits until tomorrow."""
        for person in some:
            recent = {f"other-{number}": self.clock.now() for number in range(3)}
            self.contacts.put(replace(self.contacts.get(person), recent_texts=recent))

    def refuse(self, person):
        row = self.enrolments.get("run", person.id, journey="welcome")
        if row.version:
            self.enrolments.save(row.answer(ReplyKind.NEGATIVE, now=self.clock.now(), ended="DECLINED"))


def assert_texts_are_right(person, texts, word, spoken_at):
    """Hold what a person got, and when, to what they said, and when."""
    assert all(8 <= at.astimezone(ZoneInfo(person.zone)).hour < 21 for at, _ in texts)
    are_welcomes = [body.startswith("Welcome!") for _, body in texts]
    # Of a claim whose function died nobody knows, and it is not sent again.
    assert are_welcomes in ([], [True], [True, False], [False])
    if len(texts) == 2:
        assert texts[1][0] - texts[0][0] >= DAY - timedelta(minutes=30)
    if word in ("STOP", "no"):
        # One may have been on its way to the carrier when they spoke.
        assert not [at for at, _ in texts if at > spoken_at + timedelta(minutes=1)]
    promotions = [at for at, body in texts if "use code" in body]
    reminders = [at for at, body in texts if body.startswith("Please reply YES")]
    if word == "YES":
        assert not [at for at in reminders if at > spoken_at + timedelta(hours=1)]
    else:
        assert promotions == []


@pytest.mark.parametrize("seed", range(24))
def test_everybody_gets_what_they_are_due_whatever_dies_and_whoever_speaks(seed):
    random = Random(seed)
    people = {one.id: one for one in map(customer, range(PEOPLE))}
    machine = JourneyMachine(
        people,
        # Some of these take longer than the wait of the journey.
        rate=random.choice([1, 0.01, 0.0002]),
        crash_parts=iter([random.choice([None, random.randint(1, 90)]) for _ in range(60)]),
        crash_steps=iter([random.choice([None, None, random.randint(1, 30)]) for _ in range(60)]),
    )
    said: dict[str, tuple[str, datetime]] = {}
    mute = set(random.sample(sorted(people), PEOPLE // 3))
    machine.cap(random.sample(sorted(people), PEOPLE // 4))

    def talk(_):
        person = people[random.choice(sorted(people))]
        if person.id in mute or person.id in said:
            return
        word = random.choice(["YES", "STOP", "no"])
        if word == "no" and not machine.enrolments.get("run", person.id, journey="welcome").version:
            return
        said[person.id] = (word, machine.clock.now())
        match word:
            case "YES":
                machine.speak(person, ConsentState.ACTIVE)
            case "STOP":
                machine.speak(person, ConsentState.OPTED_OUT)
            case "no":
                machine.refuse(person)

    machine.carrier.on_text = talk
    machine.finish(*machine.journey())

    got = defaultdict(list)
    for at, message in machine.carrier.taken:
        got[message.destination.e164].append((at, message.body))
    for person in people.values():
        assert_texts_are_right(person, got[person.phone], *said.get(person.id, (None, None)))
    for run in ("run_welcome-1", "run_welcome-2"):
        states = machine.states(run)
        assert states.keys() == people.keys()
        assert {state for state, _ in states.values()} <= {
            "ACCEPTED", "SUPPRESSED", "UNCERTAIN", "REMAINING", "ALREADY_SENT",
        }  # fmt: skip
    assert machine.errors == []
    assert machine.died
    first, second = machine.states("run_welcome-1"), machine.states("run_welcome-2")
    for person in mute:
        if first[person][0] == "ACCEPTED":
            # Nobody is lost who did nothing to leave.
            assert second[person][0] in ("ACCEPTED", "UNCERTAIN")


def test_without_faults_and_answers_everybody_gets_both_texts():
    people = {one.id: one for one in map(customer, range(PEOPLE))}
    # The welcome takes three days, and the second step begins after one.
    machine = JourneyMachine(people, rate=0.0002)
    machine.cap(sorted(people)[::4])

    first, second = machine.finish(*machine.journey())

    assert (first["outcomes"], second["outcomes"]) == ({"ACCEPTED": PEOPLE}, {"ACCEPTED": PEOPLE})
    assert len(machine.carrier.taken) == 2 * PEOPLE
