"""Whole broadcasts on a virtual clock: whether the rate is kept and used, and memory stays flat.

``python benchmarks/simulation.py`` sends to a million people at a thousand parts a second, and to some
minutes' worth of people at every other rate that AWS gives. What runs is the product: snapshot, planning,
parts, gate, sending, and pacing over the one queue that all functions share. Simulated are the machines
around it: DynamoDB tables that answer after some milliseconds, now sooner, now later, S3 on this disk, Step
Functions, a carrier that notes when each text arrives, and the clock (``virtual_time``). No figure here is a
measurement of AWS.

It prints what it found and ends with 1 where a goal is missed:

- the run ends when arithmetic says: people divided by the rate, and at most a twentieth more;
- no second, wherever it begins, holds more parts than the rate;
- everybody is texted exactly once;
- with ten times the people, no step takes 50 MB more.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import random
import re
import subprocess
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from io import BytesIO
from itertools import count, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Final, cast

if __package__ in {None, ""}:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.virtual_time import VirtualTime
from sms_engagement_runtime import COLLECTION_THRESHOLDS
from sms_engagement_runtime.channel.adapters.number_places import NumberPlaces
from sms_engagement_runtime.channel.adapters.pacing import SharedPacer, workers_for
from sms_engagement_runtime.channel.adapters.run_store import S3RunStore
from sms_engagement_runtime.channel.adapters.shuffle import S3Shuffle
from sms_engagement_runtime.channel.domain.broadcast.asking import PartAsker
from sms_engagement_runtime.channel.domain.broadcast.audience import Candidate, Cursor, Page, Skipped
from sms_engagement_runtime.channel.domain.broadcast.outcomes import PersonOutcome
from sms_engagement_runtime.channel.domain.broadcast.planning import Next, Planner
from sms_engagement_runtime.channel.domain.broadcast.run import (
    Assignment,
    BroadcastSettings,
    Run,
    RunStore,
    read_run,
)
from sms_engagement_runtime.channel.domain.broadcast.snapshot import Snapshot
from sms_engagement_runtime.channel.domain.broadcast.stop_rules import StopRules
from sms_engagement_runtime.channel.domain.broadcast.summary import summarise
from sms_engagement_runtime.channel.domain.campaign_counts import Counts
from sms_engagement_runtime.channel.domain.consent import Contact, Scope
from sms_engagement_runtime.channel.domain.gate import ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.ledger import Claimed, ClaimResult, Intent
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.channel.domain.pacing import HEADROOM, Full, Lane, Rate, Reserved, reserve
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.ports import OutboundMessage
from sms_engagement_runtime.channel.domain.quiet_hours import DEFAULT
from sms_engagement_runtime.channel.domain.sending import SendPolicy, SendService

GOAL_OF_RATE: Final = 0.95
GOAL_OF_MEMORY: Final = 50.0
"""Megabytes between a tenth of the people and all of them."""

# What the machines are assumed to take, in seconds: the latencies of the side-by-side benchmark.
_READ: Final = 0.003
_CLAIM: Final = 0.007
_TEXT: Final = 0.015
_WRITE: Final = 0.004
_JITTER: Final = 0.008
"""Each answer comes up to so much later."""
_WAY: Final = 0.008
"""A text is under way to the carrier for at most so long."""
_HICCUP: Final = 0.2
_HICCUP_OF: Final = 1000
"""One call in so many takes the longer time."""
_CPU: Final = timedelta(milliseconds=4)
"""What a text costs a function with one processor: five calls of boto3."""
_BATCH: Final = 0.010
"""A hundred customers."""
_STEP: Final = 1.0
"""From the end of one step of the state machine to the first line of the next one's function, with what it
reads and writes in S3."""
_CHILD: Final = 0.3

_ZONES: Final = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles")
_PAGE: Final = 1000
_PAGES_PER_CALL: Final = 200
"""The snapshot is taken in calls of so many pages and buckets, as it is where a function's time ends."""
_SAME_PHONE_AS: Final = 500
"""Every so many people there is one who has another's phone."""
_HISTORY_OF: Final = 10
_PART_SECONDS: Final = 240
"""A part's function asks nobody any more after that."""
_TEXTS_A_FUNCTION: Final = 50
_PEOPLE_A_PART: Final = 5_000
_PEOPLE_A_SHARED_PART: Final = 1_000
"""As the construct has it: texts a second for which there is one function more, and people of a part, of one
function alone and of several."""


class Audience:
    """People by number, made when they are asked for: nobody is held in memory.

    The last ones have the phone of an earlier one each.
    """

    def __init__(self, recipients: int) -> None:
        self._recipients = recipients
        self._customers = recipients + recipients // _SAME_PHONE_AS
        self._groups = [
            DEFAULT.hours_for(NumberPlaces().place_of(phone_of(0), "US", zone)).key for zone in _ZONES
        ]

    def candidates(self, cursor: Cursor | None) -> Page[Candidate | Skipped]:
        """Read a page of people."""
        begin, end = self._page(cursor)
        rows = [
            Candidate(
                recipient_id=id_of(number),
                subscriber_id=f"v1:{self._owner(number):032}",
                group=self._groups[number % len(_ZONES)],
            )
            for number in range(begin, end)
        ]
        return Page(rows=rows, next=self._next(end))

    def histories(self, cursor: Cursor | None) -> Page[tuple[str, Mapping[str, Any]]]:
        """Read a page of what people were asked before: long ago, so it is due again."""
        begin, end = self._page(cursor)
        rows = [
            (id_of(number), {"occasion": f"order-{number}", "askedAt": "2026-01-05T17:00:00+00:00"})
            for number in range(begin, end)
            if number % _HISTORY_OF == 0
        ]
        return Page(rows=rows, next=self._next(end))

    def objection(self, candidate: Candidate, history: Sequence[Mapping[str, Any]]) -> str | None:
        """Object where the history is not this person's."""
        number = number_of(candidate.recipient_id)
        known = [row["occasion"] for row in history]
        return None if known == [f"order-{number}"][: number % _HISTORY_OF == 0] else "WRONG_HISTORY"

    def _owner(self, number: int) -> int:
        return number if number < self._recipients else (number - self._recipients) * _SAME_PHONE_AS

    def _page(self, cursor: Cursor | None) -> tuple[int, int]:
        begin = 0 if cursor is None else int(cursor["next"])
        return begin, min(begin + _PAGE, self._customers)

    def _next(self, end: int) -> Cursor | None:
        return {"next": end} if end < self._customers else None


def id_of(number: int) -> str:
    """Return a customer's id."""
    return f"customer-{number:08}"


def number_of(customer_id: str) -> int:
    """Return the number in a customer's id."""
    return int(customer_id[-8:])


def phone_of(number: int) -> PhoneNumber:
    """Return a customer's phone, in an area code of a state without hours of its own."""
    return PhoneNumber(f"+1404{number:07}")


class DiskS3:
    """The methods of boto3's S3 client that the product calls, on a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put_object(self, *, Key: str, Body: bytes, **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's names
        """Write an object."""
        self._path(Key).write_bytes(Body)
        return {}

    def get_object(self, *, Key: str, Range: str | None = None, **_: Any) -> dict[str, Any]:  # noqa: N803
        """Read an object, or some bytes of it."""
        with self._path(Key).open("rb") as file:
            if Range is None:
                return {"Body": BytesIO(file.read())}
            begin, end = map(int, Range.removeprefix("bytes=").split("-"))
            file.seek(begin)
            return {"Body": BytesIO(file.read(end + 1 - begin))}

    def get_paginator(self, _: str) -> DiskS3:
        """Return what lists objects."""
        return self

    def paginate(self, *, Prefix: str, **_: Any) -> Iterator[dict[str, Any]]:  # noqa: N803
        """List the objects below a prefix, all in one page."""
        prefix = self._path(Prefix).name
        found = (path.name for path in self._folder.iterdir() if path.name.startswith(prefix))
        yield {"Contents": [{"Key": name.replace("|", "/")} for name in found]}

    def _path(self, key: str) -> Path:
        return self._folder / key.replace("/", "|")


class Queue:
    """The queue in front of the rate, as the contacts table holds it for all functions."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._end: datetime | None = None
        self.writes = 0

    def reserve(self, length: timedelta, lane: Lane, now: datetime) -> Reserved | Full:
        """Carry out the decision of the domain in one step."""
        self.writes += 1
        self._world.wait(_WRITE / 2)
        decision = reserve(self._end, now, lane)
        if isinstance(decision, Reserved):
            self._end = decision.start + length
        self._world.wait(_WRITE / 2)
        return decision


class Tables:
    """Contacts and ledger: nobody has opted out, and of each person one bit says whether there is a claim."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._is_claimed = bytearray(world.recipients)
        # Of texts under way only.
        self._number_of_key: dict[str, int] = {}

    def get(self, subscriber_id: str) -> Any:
        """Give the contact of somebody who was never texted. What the read takes is added to the claim."""
        return Contact(subscriber_id=subscriber_id)

    def claim(self, intent: Intent, *, key: str, **_: Any) -> ClaimResult:
        """Claim the text. Nobody fails here, so whoever is asked twice is asked by mistake."""
        self._world.wait(_READ + _CLAIM)
        number = int(intent.occasion)
        if self._is_claimed[number]:
            raise AssertionError(f"{number} is asked again")
        self._is_claimed[number] = True
        self._number_of_key[key] = number
        return Claimed()

    def accept(self, key: str, *_: object) -> None:
        """Record the answer. What the write takes is added to the text."""
        del self._number_of_key[key]

    def release(self, key: str, *_: object) -> None:
        """Give back the claim of a text that missed its slot."""
        self._world.wait(_WRITE)
        self._is_claimed[self._number_of_key.pop(key)] = False

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is for texts that are refused, and none is")


class Carrier:
    """Takes every text, and notes when."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.arrivals = array("q")
        self.texts = bytearray(world.recipients)

    def send(self, message: OutboundMessage) -> str:
        """Take a text, after the way there."""
        way = self._world.chance.random() * _WAY
        self.arrivals.append(round((self._world.time.elapsed() + way) * 1_000_000))
        number = int(message.destination.e164[-7:])
        self.texts[number] = min(255, self.texts[number] + 1)
        self._world.wait(way + _TEXT + _WRITE)
        return f"message-{number}"


class NoCounts:
    """Campaign counts before the first delivery event."""

    def get(self, _: str) -> Counts:
        """Give the counts of a campaign."""
        return Counts()

    def add(self, *_: Any, **__: Any) -> None:
        """Count nothing."""


class NeverPaused:
    """The pause flag, which nobody sets."""

    def is_paused(self) -> bool:
        """Say so."""
        return False


class World:
    """Everything that one run meets."""

    def __init__(self, recipients: int, folder: Path) -> None:
        self.recipients = recipients
        self.time = VirtualTime()
        self.chance = random.Random(recipients)
        self.tables = Tables(self)
        self.carrier = Carrier(self)
        self.queue = Queue(self)
        self.s3 = cast("Any", DiskS3(folder))
        self.store: RunStore = S3RunStore(self.s3, bucket="runs")

    def delay(self, seconds: float) -> float:
        """How long a call takes that takes so long at least."""
        hiccup = _HICCUP if self.chance.random() * _HICCUP_OF < 1 else 0.0
        return seconds + self.chance.random() * _JITTER + hiccup

    def wait(self, seconds: float) -> None:
        """Wait for such a call."""
        self.time.sleep(self.delay(seconds))


class Function:
    """A function that sends parts: one process, with a processor, a pacer and a send service of its own."""

    def __init__(self, world: World, rate: float) -> None:
        self._world = world
        self._processor_is_free = world.time.now()
        tables: Any = world.tables
        self._service = SendService(
            contacts=tables,
            ledger=tables,
            sender=world.carrier,
            pause=NeverPaused(),
            pacer=SharedPacer(
                Rate(parts_per_second=rate),
                queue=world.queue,
                clock=world.time,
                sleep=world.time.sleep,
                jitter=world.chance.random,
                lock=world.time.lock,
            ),
            places=NumberPlaces(),
            clock=world.time,
            policy=SendPolicy(allowed_countries=frozenset({"US"}), sender_name="Example Shop"),
        )

    def find(self, customer_ids: Sequence[str]) -> Mapping[str, str]:
        """Read customers, a hundred a call."""
        self._world.time.sleep(_BATCH * math.ceil(len(customer_ids) / 100))
        return {customer_id: customer_id for customer_id in customer_ids}

    def _compute(self) -> None:
        """Wait for the processor, which has one text at a time, and use it."""
        time = self._world.time
        self._processor_is_free = max(self._processor_is_free, time.now()) + _CPU
        time.sleep((self._processor_is_free - time.now()).total_seconds())

    def ask(self, customer_id: str, run: Run) -> PersonOutcome:
        """Ask a person, as a capability does."""
        self._compute()
        number = number_of(customer_id)
        outcome = self._service.send(
            Intent(
                construct="reviews",
                purpose="review-request",
                occasion=str(number),
                scope=Scope.REVIEWS,
                message_class=MessageClass.PROMOTIONAL,
                consent_rule=ConsentRule.IMPLIED,
                recipient=phone_of(number),
                subscriber_id=f"v1:{number:032}",
                country="US",
                body="Hi John! Please review your recent purchase: https://example.com/r/AAAAAAAAAAAAAAAAAAAAAAAA",
                shorter_body="Hi! Please review your recent purchase: https://example.com/r/AAAAAAAAAAAAAAAAAAAAAAAA",
                campaign_id=run.run_id,
                time_zone=_ZONES[number % len(_ZONES)],
            )
        )
        return PersonOutcome(
            user_id=customer_id,
            state=outcome.state,
            reason=outcome.reason,
            message_id=outcome.message_id,
            parts=outcome.parts,
            until=outcome.until,
        )


@dataclass(slots=True)
class Peaks:
    """The most memory that each step took, in megabytes; empty where the system does not tell."""

    of_step: dict[str, float] = field(default_factory=dict)

    def measure[T](self, step: str, call: Callable[[], T]) -> T:
        """Call a step, and note its peak."""
        _forget_peak()
        result = call()
        if (peak := _peak()) is not None:
            self.of_step[step] = max(peak, self.of_step.get(step, 0.0))
        return result


def _forget_peak() -> None:
    """Begin the high-water mark of resident memory anew (proc(5), ``clear_refs``)."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _peak() -> float | None:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return None if found is None else int(found[1]) * 1024 / 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a run came to.

    Attributes
    ----------
    seconds
        Virtual, from the first step after the snapshot to the last one's end.
    most_in_a_second
        Parts.
    longest_gap
        Seconds in which nothing arrived.
    twice, never
        People.
    real_seconds
        What the simulation took.
    """

    rate: float
    recipients: int
    seconds: float
    most_in_a_second: int
    longest_gap: float
    twice: int
    never: int
    waves: int
    functions: int
    writes: int
    peaks: Mapping[str, float]
    real_seconds: float

    @property
    def used(self) -> float:
        """Share of the rate that was used, from the first step to the last."""
        return self.recipients / self.seconds / self.rate

    def misses(self) -> list[str]:
        """Return the goals that were missed, in words."""
        return [
            sentence
            for is_missed, sentence in (
                (self.used < GOAL_OF_RATE, f"{self.used:.1%} of the rate is below {GOAL_OF_RATE:.0%}"),
                (self.used > 1, "the run ended before arithmetic says that it can"),
                (self.most_in_a_second > self.rate, f"a second held {self.most_in_a_second} parts"),
                (self.twice > 0, f"{self.twice} people were texted twice"),
                (self.never > 0, f"{self.never} people were not texted"),
            )
            if is_missed
        ]

    def __str__(self) -> str:
        return (
            f"{self.rate:>6g} parts/s  {self.recipients:>9,} people  {self.seconds:>8.1f} s  "
            f"{self.used:>6.1%} of the rate  most in a second {self.most_in_a_second:>4}  "
            f"{self.waves} waves, {self.functions} at once, longest gap {self.longest_gap:.1f} s, "
            f"{self.writes / self.seconds:.1f} pacing writes/s  "
            f"twice {self.twice}, never {self.never}  (took {self.real_seconds:.0f} s)"
        )


def simulate(rate: float, recipients: int) -> Figures:
    """Run one broadcast from its first step to its last."""
    began = perf_counter()
    with TemporaryDirectory() as folder:
        world = World(recipients, Path(folder))
        broadcast = _Broadcast(world, rate)
        broadcast.take_snapshot()
        world.time.run([broadcast.run_state_machine])
        summary = broadcast.sum_up()
    carrier = world.carrier
    arrivals = sorted(carrier.arrivals)
    assert summary["complete"] is True, summary
    assert summary["outcomes"][OutcomeState.ACCEPTED] == recipients, summary
    assert summary["customers"] == recipients + recipients // _SAME_PHONE_AS, summary
    return Figures(
        rate=rate,
        recipients=recipients,
        seconds=world.time.elapsed(),
        most_in_a_second=_most_in_a_second(arrivals),
        longest_gap=max((later - one for one, later in pairwise(arrivals)), default=0) / 1e6,
        twice=sum(texts > 1 for texts in carrier.texts),
        never=sum(texts == 0 for texts in carrier.texts),
        waves=summary["waves"],
        functions=broadcast.functions,
        writes=world.queue.writes,
        peaks=broadcast.peaks.of_step,
        real_seconds=perf_counter() - began,
    )


class _Broadcast:
    """The state machine of one run, in the order of ``broadcast.asl.json``."""

    def __init__(self, world: World, rate: float) -> None:
        self._world = world
        self._rate = rate
        self.functions = max(1, math.ceil(rate / _TEXTS_A_FUNCTION))
        most = _PEOPLE_A_SHARED_PART if self.functions > 1 else _PEOPLE_A_PART
        self._settings = BroadcastSettings(
            recipients_per_part=int(min(most, max(1, rate * 120 // self.functions))),
            recipients_per_second=rate,
        )
        self._run = read_run({"runId": "simulation", "startedAt": world.time.now().isoformat(), "input": {}})
        self._tokens = (f"call-{number}" for number in count())
        self.peaks = Peaks()

    def take_snapshot(self) -> None:
        """Take the snapshot in as many calls as it needs."""
        audience = Audience(self._world.recipients)

        def call() -> bool:
            left = iter(range(_PAGES_PER_CALL))
            snapshot = Snapshot(
                run=self._run,
                source=audience,
                store=self._world.store,
                shuffle=S3Shuffle(self._world.s3, bucket="runs"),
                settings=self._settings,
                token=next(self._tokens),
                may_go_on=lambda: next(left, None) is not None,
            )
            return snapshot.take() is not None

        while not self.peaks.measure("snapshot", call):
            pass

    def run_state_machine(self) -> None:
        """Plan, send or wait, and plan again, until the run is over."""
        planner = Planner(
            store=self._world.store,
            hours_of=DEFAULT.hours_of_key,
            pause=NeverPaused(),
            counts=NoCounts(),
            stop_rules=StopRules(),
            settings=self._settings,
        )
        time, turn = self._world.time, 0
        while True:
            time.sleep(_STEP)
            take_turn = partial(
                planner.take_turn, self._run, after=turn, now=time.now(), token=next(self._tokens)
            )
            answer = self.peaks.measure("plan", take_turn)
            turn = answer.number
            if answer.next is Next.DONE:
                return
            if answer.until is not None:
                time.sleep((answer.until - time.now()).total_seconds())
            if answer.manifest_key is not None:
                self.peaks.measure("parts", partial(self._send_parts, answer.manifest_key))

    def sum_up(self) -> dict[str, Any]:
        """Take the last step."""
        return self.peaks.measure(
            "summary",
            lambda: summarise(
                self._run,
                store=self._world.store,
                millicents_per_part=881,
                is_followed_up=False,
                is_paused=False,
            ),
        )

    def _send_parts(self, manifest_key: str) -> None:
        """Send the parts of a wave, some at once, as the Distributed Map does."""
        self._world.time.sleep(_STEP)
        (manifest,) = self._world.store.read_json([manifest_key], prefix=self._run.prefix)
        parts = iter([Assignment.from_json(item) for item in manifest])

        def work() -> None:
            function = Function(self._world, self._rate)
            for assignment in parts:
                self._world.time.sleep(_CHILD)
                self._send_part(function, assignment)

        self._world.time.together([work] * self.functions)

    def _send_part(self, function: Function, assignment: Assignment) -> None:
        time = self._world.time
        deadline = time.now() + timedelta(seconds=_PART_SECONDS)
        asker: PartAsker[str] = PartAsker(
            find=function.find,
            missing_reason="NO_CUSTOMER",
            ask=lambda customer_id: function.ask(customer_id, assignment.run),
            store=self._world.store,
            hours_of=DEFAULT.hours_of_key,
            clock=time,
            pause=NeverPaused(),
            counts=NoCounts(),
            stop_rules=StopRules(),
            has_time=lambda: time.now() < deadline,
            on_error=_fail,
            sleep=time.sleep,
            workers=workers_for(self._rate / self.functions),
            pool=time.pool,
            lock=time.lock,
        )
        asker.carry_out(assignment, token=next(self._tokens))


def _fail(error: type[Exception]) -> None:
    raise AssertionError(f"asking a person failed with {error.__name__}")


def _most_in_a_second(arrivals: Sequence[int]) -> int:
    """Return the most texts in any second, wherever it begins, given microseconds in order."""
    most = first = 0
    for number, arrival in enumerate(arrivals):
        while arrivals[first] <= arrival - 1_000_000:
            first += 1
        most = max(most, number - first + 1)
    return most


def _in_a_process_of_its_own(rate: float, recipients: int) -> Figures:
    """Simulate where no earlier run has left anything in memory."""
    command = [sys.executable, __file__, "--one", f"{rate:g}", str(recipients)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return Figures(**json.loads(output))


def _memory_misses(small: Figures, large: Figures) -> list[str]:
    misses = []
    for step, peak in large.peaks.items():
        more = peak - small.peaks[step]
        print(
            f"  {step:<10} {small.peaks[step]:>6.1f} MB for {small.recipients:,}  "
            f"{peak:>6.1f} MB for {large.recipients:,}  {more:+.1f} MB"
        )
        if more > GOAL_OF_MEMORY:
            misses.append(f"{step} takes {more:.1f} MB more for {large.recipients:,} people")
    return misses


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, print, and return 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=int, default=10, help="of texts at the other rates (10)")
    parser.add_argument("--people", type=int, default=1_000_000, help="at a thousand parts a second")
    parser.add_argument("--one", nargs=2, metavar=("RATE", "PEOPLE"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    # What a function has once it has started.
    gc.set_threshold(*COLLECTION_THRESHOLDS)
    if options.one:
        figures = simulate(float(options.one[0]), int(options.one[1]))
        print(json.dumps({name: getattr(figures, name) for name in Figures.__slots__}))
        return 0
    misses: list[str] = []
    runs: Iterable[tuple[float, int]] = [
        *((rate, rate * 60 * options.minutes) for rate in (1, 3, 10, 75, 100)),
        (1000, options.people),
    ]
    for rate, recipients in runs:
        figures = _in_a_process_of_its_own(rate, recipients)
        print(figures, flush=True)
        misses += figures.misses()
    print("peaks of resident memory")
    misses += _memory_misses(_in_a_process_of_its_own(1000, 20_000), _in_a_process_of_its_own(1000, 200_000))
    print(f"slots are {HEADROOM:.0%} further apart than the rate asks for")
    for miss in misses:
        print(f"MISSED: {miss}")
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
