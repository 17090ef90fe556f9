"""Twenty thousand people, all three systems, five days, every fault, in one process and under virtual time.

``python benchmarks/soak_in_memory.py --people 20000 --seed 1`` simulates what ``soak.py`` does in the
embedded cloud (simulation testing): the product's own domain and application code runs on in-memory ports,
from one seed, with a fault possible at every call of a port. The same people do the same, and the same
auditor (``soak_audit``) looks at the books. It prints the balance sheet, ends with 1 where it does not
balance, and writes it to ``docs/reliability.md`` with ``--write``.

Modelled simply, in ``soak_transport``: queues, bus, stream, and what a state machine does after a step. Not
run here: the state machines' own language, IAM, adapters of AWS services, files of the archive, Athena. They
are what the soak in the embedded cloud is for.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

if __package__ in {None, ""}:  # run as a script
    sys.path[:0] = [str(Path(__file__).resolve().parents[1] / folder) for folder in ("", "local", "runtime")]

from benchmarks.soak_analytics import Analytics
from benchmarks.soak_appointments import Appointments
from benchmarks.soak_audit import OPT_OUTS, Books, Line, Row, Totals, audit, table
from benchmarks.soak_channel import Channel, Text
from benchmarks.soak_faults import NO_FAULTS, Faults, Functions, Luck
from benchmarks.soak_journeys import Journeys
from benchmarks.soak_people import Person, people
from benchmarks.soak_reviews import LINK, Reviews
from benchmarks.soak_time import Schedule
from benchmarks.soak_transport import World
from sms_engagement_runtime.channel.domain.ledger import LedgerRow

CLOCK_START: Final = datetime(2027, 2, 1, 17, tzinfo=UTC)
"""A Monday with no change of clocks and no holiday within two weeks."""

DAYS: Final = timedelta(days=5)
PARTS_PER_SECOND: Final = 60
_CLOSING: Final = timedelta(days=4)
"""After the last thing that happened: longer than any event may still come (72 hours)."""

_BROADCAST: Final = timedelta(hours=9, minutes=56)
"""When the broadcast of a day begins: at night in the east, four minutes before it in the middle."""

_BOOKING_SECONDS: Final = 36 * 3600.0
_STEP: Final = timedelta(hours=12)
_CHANGES: Final = 0.06
"""Of the appointments to come, what share is cancelled, and what share is moved, every half day."""

_STOPS_IN_A_BROADCAST: Final = 0.5
"""Of those who leave, how many do so while the next broadcast goes out."""

_PROMOTIONS: Final = 4
_PAUSED_FOR: Final = timedelta(minutes=10)
_READING_SECONDS: Final = 600.0
_PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "reliability.md"
_BEGIN, _END = "<!-- balance sheet in memory: begin -->", "<!-- balance sheet in memory: end -->"


@dataclass
class Tally:
    """What was done, for the report."""

    done: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    processor_seconds: float = 0.0


class Simulation:
    """One run of five days."""

    def __init__(self, persons: Sequence[Person], *, seed: int, faults: Faults | None = None) -> None:
        self.persons = persons
        self.tally = Tally()
        schedule = Schedule(CLOCK_START)
        luck = Luck(seed, Faults() if faults is None else faults)
        self.world = World(schedule, luck, Functions(schedule, luck))
        self.channel = Channel(self.world, persons, parts_per_second=PARTS_PER_SECOND)
        self.analytics = Analytics(self.channel, self.world)
        self.reviews = Reviews(self.channel, persons)
        self.appointments = Appointments(self.channel)
        self.journeys = Journeys(self.channel, self.analytics, persons)
        self.channel.carrier.on_delivered = self._read
        self._chance = Random(f"{seed} people")
        self._by_phone = {person.phone: person for person in persons}
        self._answered: set[str] = set()
        self._broadcast_seconds = len(persons) / PARTS_PER_SECOND

    def run(self) -> list[Line]:
        """Let five days pass, and audit the books."""
        begun, begun_at_work = time.perf_counter(), time.process_time()
        self._begin()
        self.world.schedule.at(CLOCK_START + DAYS, self._switch_faults_off)
        self.world.schedule.play()
        lines = audit(self.books())
        self.tally.seconds = time.perf_counter() - begun
        self.tally.processor_seconds = time.process_time() - begun_at_work
        return lines

    def held_back(self) -> Counter[str]:
        """Tell how often the budget held a text back, and which rules stopped runs."""
        stopped = [
            f"runs stopped by {summary['stoppedBy']}"
            for engine in (self.reviews, self.journeys)
            for summary in engine.summaries.values()
            if summary["stoppedBy"]
        ]
        return Counter(stopped) + Counter({"texts that a budget held back": self.channel.budget.held_back})

    def books(self) -> Books:
        """Read what every side says."""
        channel, analytics = self.channel, self.analytics
        sent, heard = channel.sent(), channel.heard_texts()
        return Books(
            now=self.world.now + _CLOSING,
            sent=sent,
            rows=[self._row(row) for row in channel.ledger.rows.values()],
            heard=heard,
            stored=analytics.stored(),
            appointments=list(self.appointments.known.values()),
            zones={person.phone: person.zone for person in self.persons},
            reviewed=self.reviews.reviewed,
            totals={
                "carrier": Totals(
                    delivered=sum(text.is_delivered is True for text in sent),
                    failed=sum(text.is_delivered is False for text in sent),
                    responses=len(heard),
                ),
                "counts": analytics.counted(),
                "stream": analytics.streamed(),
            },
            people=analytics.people(),
            dead_letters=self.world.dead_letters,
            failed_executions=self.world.failed_executions,
        )

    def _row(self, row: LedgerRow) -> Row:
        return Row(
            key=row.key,
            subscriber_id=row.subscriber_id,
            construct=row.construct,
            purpose=row.purpose,
            occasion=row.occasion,
            state=row.state,
            message_id=row.message_id,
            claimed_at=row.claimed_at,
            deferred_until=self.channel.ledger.deferred_until.get(row.key),
        )

    # --- what happens

    def _begin(self) -> None:
        schedule = self.world.schedule
        schedule.at(CLOCK_START, partial(self.journeys.begin, "monday"))
        for number in range(_PROMOTIONS):
            # More of them in a day than anybody may get.
            promote = partial(self.journeys.promote, f"sale-{number}", discount=20 + number)
            schedule.at(CLOCK_START + timedelta(days=1, hours=number), promote)
        for person in self.persons:
            if person.books:
                at = CLOCK_START + timedelta(seconds=self._chance.random() * _BOOKING_SECONDS)
                schedule.at(at, partial(self._book, person))
        for step in range(int(DAYS / _STEP)):
            schedule.at(CLOCK_START + _STEP * (step + 1), self._change_minds)
        for day in range(DAYS.days + 1):
            at = CLOCK_START + _BROADCAST + timedelta(days=day)
            schedule.at(at, partial(self.reviews.play, f"daily-{day}"))
            if self.world.luck.happens("duplicate") or day == 0:
                # Somebody starts another one at once.
                schedule.at(at + timedelta(seconds=20), partial(self.reviews.play, f"again-{day}"))
        for day in range(DAYS.days):
            at = CLOCK_START + _BROADCAST + timedelta(days=day, seconds=40)
            schedule.at(at, self._pause)
            schedule.at(at + _PAUSED_FOR, self._resume)

    def _book(self, person: Person) -> None:
        starts_at = self.world.now + timedelta(days=2, minutes=self._chance.randrange(600))
        self.appointments.book(person, starts_at)
        self.tally.done["bookings"] += 1

    def _change_minds(self) -> None:
        self.tally.done["cancellations and moves"] += self.appointments.change_of_mind(_CHANGES)

    def _pause(self) -> None:
        self.channel.pause.paused = True
        self.tally.done["pauses"] += 1

    def _resume(self) -> None:
        self.channel.pause.paused = False

    def _switch_faults_off(self) -> None:
        self.world.luck.faults = NO_FAULTS

    # --- what people do

    def _read(self, text: Text) -> None:
        """Have a person read a text some time after it came, and do what they do."""
        person = self._by_phone[text.message.destination.e164]
        link = LINK.search(text.message.body)
        delay = self._chance.expovariate(1 / _READING_SECONDS)
        if link is not None and person.reviews and text.message.key not in self.reviews.reviewed:
            self.world.schedule.after(delay, partial(self._review, person, link[1], text))
        elif person.answer is not None and person.phone not in self._answered:
            self._answered.add(person.phone)
            if person.answer in OPT_OUTS and self._chance.random() < _STOPS_IN_A_BROADCAST:
                delay = self._until_next_broadcast() + self._chance.random() * self._broadcast_seconds
            self.world.schedule.after(delay, partial(self._text, person, person.answer, text.message_id))
            if person.answer in {"STOP", "UNSUBSCRIBE"} and person.comes_back:
                back = delay + self._chance.random() * 36 * 3600
                self.world.schedule.after(back, partial(self._text, person, "START", None))

    def _until_next_broadcast(self) -> float:
        since_first: timedelta = self.world.now - CLOCK_START - _BROADCAST
        return -since_first.total_seconds() % timedelta(days=1).total_seconds()

    def _review(self, person: Person, token: str, text: Text) -> None:
        taken = self.reviews.submit(token, text.message.key, 1 + len(person.name) % 5)
        self.tally.done["reviews" if taken else "reviews refused"] += 1

    def _text(self, person: Person, body: str, previous: str | None) -> None:
        # The service does not always say which text came before.
        known = previous if self._chance.random() < 0.7 else None
        self.channel.text_from(person.phone, body, previous=known)
        self.tally.done["replies"] += 1


def report(simulation: Simulation, lines: Sequence[Line], *, command: str) -> str:
    """Return the balance sheet in Markdown."""
    tally, world = simulation.tally, simulation.world
    texts = len(simulation.channel.carrier.texts)
    held = simulation.held_back()
    done = ", ".join(f"{count:,} {what}" for what, count in sorted((tally.done + held).items()))
    faults = ", ".join(f"{count:,} {kind}" for kind, count in sorted(world.luck.done.items()))
    return "\n".join(
        (
            f"`{command}`, {datetime.now(UTC):%Y-%m-%d}: {len(simulation.persons):,} people, "
            f"{texts:,} texts, {(world.now - CLOCK_START).days} virtual days in {tally.seconds:.0f} seconds, "
            f"{tally.processor_seconds:.0f} of them at work in its one process.",
            "",
            f"Done: {done}.",
            f"Faults that happened: {faults}.",
            "Left out: the archive's files and Athena; what is on the stream is summed up in their place.",
            "",
            table(lines),
        )
    )


def write_page(text: str) -> None:
    """Put the balance sheet into its place in the page."""
    page = _PAGE.read_text()
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    _PAGE.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate; return 0 where the books balance."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without-faults", action="store_true")
    parser.add_argument("--write", action="store_true", help="write the balance sheet to docs/reliability.md")
    options = parser.parse_args(arguments)
    faults = NO_FAULTS if options.without_faults else Faults()
    simulation = Simulation(people(options.people, seed=options.seed), seed=options.seed, faults=faults)
    lines = simulation.run()
    command = f"python benchmarks/soak_in_memory.py --people {options.people} --seed {options.seed}"
    text = report(simulation, lines, command=command + " --without-faults" * options.without_faults)
    print(text)
    if options.write:
        write_page(text)
    return 0 if all(line.balances for line in lines) else 1


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # Sets of texts are walked through in the order of their hashes.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, *sys.argv])  # this script again
    sys.exit(main())
