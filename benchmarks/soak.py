"""Everything at once, with everything going wrong: reviews, appointments and journeys, and then the books.

``python benchmarks/soak.py --people 1000`` starts an embedded cloud with IAM enforced, switches all faults
on, and lets people be asked, answer, book, cancel, move, review, leave and come back, through nights and days
of the virtual clock. Then the faults are switched off, what is still under way comes to its end, and the
books are audited (``soak_audit``). It prints the balance sheet, ends with 1 where it does not balance, and
writes it to ``docs/reliability.md`` with ``--write``.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import batched
from pathlib import Path
from typing import Any, Final

if __package__ in {None, ""}:  # run as a script
    sys.path[:0] = [str(Path(__file__).resolve().parents[1] / folder) for folder in ("", "local", "runtime")]

import httpx

from benchmarks.soak_audit import Appointment, Line, audit, table
from benchmarks.soak_books import failed_executions, read_books
from benchmarks.soak_people import CLUB, SEGMENT, Person, people
from sms_engagement_runtime.appointment_follow_up.domain.bookings import Party
from sms_engagement_runtime.commands.exits import ExitStatus
from sms_engagement_runtime.commands.main import main as sms_engagement
from sms_local import aws, booking_site
from sms_local.booking_site import BookingSite, WebhookError
from sms_local.places import PROJECT_ROOT, REGION, Places
from sms_local.subscribers import subscriber_ids
from sms_local.testing import Cloud, free_port_base, sms_local

CLOCK_START: Final = "2027-02-01T17:00:00+00:00"
"""A Monday with no change of clocks and no holiday within two weeks."""

FAULTS: Final[Mapping[str, float]] = {
    "duplicate": 0.05,
    "reorder": 0.05,
    "delay": 20,
    "throttle": 0.02,
    "accept_crash": 0.005,
    "service_throttle": 0.01,
    "function_crash": 0.01,
}
NO_FAULTS: Final[Mapping[str, float]] = dict.fromkeys(FAULTS, 0)

PARTS_PER_SECOND: Final = 15
"""Of the simulated number: what two cores can do. At more, who sends leaves nothing to who records."""

TOGETHER_SECONDS: Final = 300
"""What is due within so long happens at once: hundreds of people have hundreds of instants a day."""

_WORKERS: Final = 4
_ROWS_A_CALL: Final = 25
_QUIET_SECONDS: Final = 2.0
"""Without a new text for so long, what runs waits by the clock."""
_FIRST_RUNS: Final = timedelta(hours=4)
_JUMP_SECONDS: Final = 3_600.0
_WEBHOOK_ATTEMPTS: Final = 8
_STEP: Final = timedelta(hours=6)
_DAYS: Final = 5
_LINK: Final = re.compile(r"/r/([A-Za-z0-9_-]{40})(?![A-Za-z0-9_-])")
_PAGE: Final = PROJECT_ROOT / "docs" / "reliability.md"
_BEGIN, _END = "<!-- balance sheet: begin -->", "<!-- balance sheet: end -->"

type Say = Callable[[str], None]


class PatientWebhook:
    """Tells a webhook again until it is taken, as Calendly does for a day; a crashed function answers 502."""

    def __init__(self, client: httpx.Client, url: str) -> None:
        self._client = client
        self._url = url

    def __call__(self, body: bytes, headers: Mapping[str, str]) -> int:
        """Deliver it, the same each time."""
        status = 0
        for attempt in range(_WEBHOOK_ATTEMPTS):
            time.sleep(0.1 * attempt)
            try:
                status = self._client.post(self._url, content=body, headers=headers).status_code
            except httpx.HTTPError:
                continue
            if status < 500:
                break
        if not status:
            msg = "The webhook does not answer."
            raise WebhookError(msg)
        return status


@dataclass
class Tally:
    """What was done, for the report.

    Attributes
    ----------
    in_time
        Figures at the end of the minutes that were asked for; empty where all was done before.
    """

    done: Counter[str] = field(default_factory=Counter)
    faults: dict[str, int] = field(default_factory=dict)
    in_time: dict[str, Any] = field(default_factory=dict)
    driven_seconds: float = 0.0
    closed_seconds: float = 0.0


class Soak:
    """One run against a cloud that is up.

    Parameters
    ----------
    minutes
        For how long people do something of their own; what that leads to is then let come to its end.
    """

    def __init__(
        self,
        cloud: Cloud,
        *,
        persons: Sequence[Person],
        seed: int,
        minutes: float,
        faults: Mapping[str, float],
        say: Say,
    ) -> None:
        self.cloud = cloud
        self.persons = persons
        self.tally = Tally()
        self.reviewed: dict[str, datetime] = {}
        self.appointments: dict[str, Appointment] = {}
        self._seed = seed
        self._seconds = minutes * 60
        self._faults = faults
        self._say = say
        self._chance = random.Random(f"{seed} driver")
        self._by_phone = {person.phone: person for person in persons}
        self._seen = 0
        self._first_runs: list[str] = []
        self._answered: set[str] = set()
        self._stopped: list[Person] = []
        self._came_back: set[str] = set()
        self._http = httpx.Client(timeout=60, trust_env=False)
        self._site = self._booking_site()

    def run(self) -> list[Line]:
        """Load, drive, come to an end, audit."""
        failed_before = failed_executions(self.cloud)
        self._load()
        self._say(f"Loaded {len(self.persons):,} people")
        self._switch({"seed": self._seed, **self._faults})
        begun = time.monotonic()
        self._deadline = begun + self._seconds
        self._drive()
        self.tally.driven_seconds = time.monotonic() - begun
        self.tally.faults = self._faults_done()
        self._switch(NO_FAULTS)
        self._close()
        self.tally.closed_seconds = time.monotonic() - begun - self.tally.driven_seconds
        books = read_books(
            self.cloud,
            appointments=list(self.appointments.values()),
            zones={person.phone: person.zone for person in self.persons},
            reviewed=self.reviewed,
            failed_before=failed_before,
        )
        self.tally.done["texts"] = len(books.sent)
        self.tally.done["phones reached"] = len({text.phone for text in books.sent})
        self._http.close()
        return audit(books)

    # --- what people do

    def _drive(self) -> None:
        with ThreadPoolExecutor(_WORKERS) as pool:
            for machine, request in (
                ("review_broadcast", {}),
                ("journey_welcome", {"segment": SEGMENT}),
                ("journey_promotional", {"segment": CLUB, "values": {"promo": "SOAK", "discount": "15"}}),
            ):
                started = self._start(machine, request)
                if machine != "journey_welcome":  # which takes days
                    self._first_runs.append(started)
            bookers = [person for person in self.persons if person.books]
            booking = [pool.submit(self._book, person) for person in bookers]
            self._live(pool)
            for future in booking:
                future.result()
            self._say(f"{self._seen:,} texts, {len(self.appointments):,} appointments")
            self._pause_and_resume(pool)
            self._note_time()
            steps = int(timedelta(days=_DAYS) / _STEP)
            for step in range(steps):
                self._jump(_STEP)
                if self._is_in_time():
                    self._react(pool)
                    self._change_of_mind(pool, step)
                self._note_time()
                self._say(f"{self.cloud.now():%A %H:%M}: {self._seen:,} texts")
            self._react(pool)

    def _live(self, pool: ThreadPoolExecutor) -> None:
        """Let people answer as texts come, until the first runs are over; waits by the clock are passed."""
        end = self.cloud.now() + _FIRST_RUNS
        last, last_at = self._seen, time.monotonic()
        while self._is_sending() and self.cloud.now() < end:
            self._react(pool)
            self._note_time()
            if self._seen != last:
                last, last_at = self._seen, time.monotonic()
            elif time.monotonic() - last_at > _QUIET_SECONDS:
                self._jump(timedelta(minutes=1))
                last_at = time.monotonic()
            time.sleep(0.25)
        self._react(pool)

    def _is_sending(self) -> bool:
        states = (self.cloud.stepfunctions.describe_execution(executionArn=arn) for arn in self._first_runs)
        return any(state["status"] == "RUNNING" for state in states)

    def _react(self, pool: ThreadPoolExecutor) -> None:
        answer = self.cloud.carrier.get("/control/messages", params={"after": self._seen}).raise_for_status()
        texts = answer.json()
        self._seen += len(texts)
        if not self._is_in_time():
            return
        for done in [pool.submit(self._answer, text) for text in texts]:
            done.result()

    def _answer(self, text: Mapping[str, Any]) -> None:
        person = self._by_phone.get(text["to"])
        if person is None:
            return
        link = _LINK.search(text["body"])
        intent = text["context"].get("intent", "")
        if link is not None and person.reviews and intent not in self.reviewed:
            self._review(person, link[1], intent)
        elif person.answer is not None and person.phone not in self._answered:
            self._answered.add(person.phone)
            self._text(person, person.answer)
            if person.answer in {"STOP", "UNSUBSCRIBE"} and person.comes_back:
                self._stopped.append(person)

    def _text(self, person: Person, body: str) -> None:
        self.cloud.text_from(person.phone, body)
        self.tally.done["replies"] += 1

    def _review(self, person: Person, token: str, intent: str) -> None:
        form = {"token": token, "rating": 1 + len(person.name) % 5, "reviewText": "As expected."}
        for _ in range(_WEBHOOK_ATTEMPTS):
            with contextlib.suppress(httpx.HTTPError):
                answer = self._http.post(self.cloud.outputs["urls"]["submit_review"], json=form)
                if answer.status_code in {200, 201}:
                    self.reviewed[intent] = self.cloud.now()
                    self.tally.done["reviews"] += 1
                    return
                if answer.status_code < 500:
                    self.tally.done[f"reviews refused ({answer.status_code})"] += 1
                    return

    def _book(self, person: Person) -> None:
        if not self._is_in_time():
            return
        starts_at = self.cloud.now() + timedelta(days=2, minutes=self._chance.randrange(600))
        try:
            made = self._site.book(
                name=person.name,
                phone=person.phone,
                event_name="Coffee tasting",
                starts_at=starts_at,
                time_zone=person.zone.key,
            )
        except WebhookError:
            self.tally.done["webhooks given up"] += 1
            return
        self._keep(made, person.phone)
        self.tally.done["bookings"] += 1

    def _keep(self, made: booking_site.Appointment, phone: str) -> None:
        self.appointments[made.appointment_id] = Appointment(
            id=made.appointment_id, phone=phone, starts_at=made.starts_at
        )

    def _over(self, appointment_id: str) -> None:
        known = self.appointments[appointment_id]
        self.appointments[appointment_id] = Appointment(
            id=known.id, phone=known.phone, starts_at=known.starts_at, over_at=self.cloud.now()
        )

    def _change_of_mind(self, pool: ThreadPoolExecutor, step: int) -> None:
        """Let some cancel, some move, some come back, and tell some webhooks again."""
        now = self.cloud.now()
        standing = [one for one in self._site.appointments if not one.is_cancelled and one.starts_at > now]
        again = self._chance.sample(self._site.told, k=min(len(self._site.told), len(standing) // 20))
        work: list[Callable[[], None]] = [lambda body=body: self._tell_again(body) for body in again]  # type: ignore[misc]
        for one in standing if step in {0, 2, 4} else ():
            luck = self._chance.random()
            if luck < 0.08:
                work.append(lambda one=one: self._cancel(one))  # type: ignore[misc]
            elif luck < 0.16:
                work.append(lambda one=one: self._move(one))  # type: ignore[misc]
        back, self._stopped = self._stopped, []
        for person in back:
            if person.phone not in self._came_back:
                self._came_back.add(person.phone)
                work.append(lambda person=person: self._text(person, "START"))  # type: ignore[misc]
        for done in [pool.submit(one) for one in work]:
            done.result()

    def _cancel(self, one: booking_site.Appointment) -> None:
        with contextlib.suppress(WebhookError):
            self._site.cancel(one.external_id, by=Party.HOST)
            self._over(one.appointment_id)
            self.tally.done["cancellations"] += 1

    def _move(self, one: booking_site.Appointment) -> None:
        first = self._chance.random() < 0.5
        with contextlib.suppress(WebhookError):
            made = self._site.move(
                one.external_id, one.starts_at + timedelta(days=1), is_new_one_told_first=first
            )
            self._over(one.appointment_id)
            self._keep(made, one.phone or "")
            self.tally.done["moves"] += 1

    def _tell_again(self, body: bytes) -> None:
        with contextlib.suppress(WebhookError):
            self._site.deliver(body)
            self.tally.done["webhooks told again"] += 1

    def _pause_and_resume(self, pool: ThreadPoolExecutor) -> None:
        self._operate("pause")
        self._react(pool)
        self._jump(timedelta(minutes=10))
        self._operate("resume")

    # --- the cloud

    def _load(self) -> None:
        outputs, client = self.cloud.outputs, self.cloud.client("dynamodb")
        ids = subscriber_ids(outputs, self.cloud.client("secretsmanager"))
        assert ids is not None, "no analytics are deployed"
        now_ms = int(self.cloud.now().timestamp() * 1000)
        for row in self.cloud.rows("customers"):
            client.delete_item(TableName=outputs["tables"]["customers"], Key={"userId": {"S": row["userId"]}})
        for row in self.cloud.rows("subscribers"):
            client.delete_item(
                TableName=outputs["tables"]["subscribers"],
                Key={"subscriber_id": {"S": row["subscriber_id"]}},
            )
        customers = (
            {
                "userId": {"S": person.user_id},
                "phoneNumber": {"S": person.phone},
                "name": {"S": person.name},
                "status": {"S": "active"},
                "createdAt": {"N": "1767603600"},
            }
            for person in self.persons
        )
        subscribers = (
            _subscriber(person, ids.of(person.phone), now_ms)
            for person in self.persons
            if person.is_subscriber or person.is_member
        )
        for name, rows in (("customers", customers), ("subscribers", subscribers)):
            for chunk in batched(rows, _ROWS_A_CALL):
                client.batch_write_item(
                    RequestItems={outputs["tables"][name]: [{"PutRequest": {"Item": row}} for row in chunk]}
                )

        for person in self.persons:
            if person.failure is not None:
                outcome = {"phone": person.phone, "event_type": person.failure}
                self.cloud.carrier.post("/control/outcome", json=outcome).raise_for_status()

    def _start(self, machine: str, request: Mapping[str, Any]) -> str:
        arn = self.cloud.outputs["state_machines"][machine]
        started = self.cloud.stepfunctions.start_execution(stateMachineArn=arn, input=json.dumps(request))
        return started["executionArn"]

    def _switch(self, faults: Mapping[str, float]) -> None:
        self.cloud.carrier.post("/control/fault", json=dict(faults)).raise_for_status()

    def _faults_done(self) -> dict[str, int]:
        answer = self.cloud.carrier.get("/control/fault").raise_for_status()
        done: dict[str, int] = answer.json()["done"]
        return dict(sorted(done.items()))

    def _jump(self, duration: timedelta) -> None:
        answer = self.cloud.carrier.post(
            "/control/clock",
            json={"advance_seconds": duration.total_seconds(), "together_seconds": TOGETHER_SECONDS},
            timeout=_JUMP_SECONDS,
        )
        assert answer.status_code == 200, answer.text

    def _close(self) -> None:
        """Let come to its end what is under way, and let pass after what no event comes any more."""
        for _ in range(4):
            self._jump(timedelta(days=1))
        # The longest window of a consumer, in case the last day ended within one.
        self._jump(timedelta(minutes=10))

    def _operate(self, verb: str) -> None:
        place = ("--contacts-table", self.cloud.outputs["tables"]["contacts"])
        with contextlib.redirect_stdout(io.StringIO()):
            status = sms_engagement([verb, *place, "--endpoint-url", self.cloud.places.aws_endpoint])
        assert status == ExitStatus.DONE, verb
        self.tally.done[verb] += 1

    def _booking_site(self) -> BookingSite:
        secrets = self.cloud.client("secretsmanager")
        arn = self.cloud.outputs["secrets"]["calendly_signing_key"]
        key = secrets.get_secret_value(SecretId=arn)["SecretString"].encode()
        webhook = PatientWebhook(self._http, self.cloud.outputs["urls"]["calendly_webhook"])
        return BookingSite(webhook, signing_key=lambda: key, now=self.cloud.now)

    def _is_in_time(self) -> bool:
        return time.monotonic() < self._deadline

    def _note_time(self) -> None:
        if not self._is_in_time() and not self.tally.in_time:
            self.tally.in_time = {"texts": self._seen, **self.tally.done}


def _subscriber(person: Person, subscriber_id: str, now_ms: int) -> dict[str, Any]:
    is_member = person.is_member
    segment = CLUB if is_member else SEGMENT
    row: dict[str, Any] = {
        "subscriber_id": {"S": subscriber_id},
        "phone_number": {"S": person.phone},
        "subscription_status": {"S": "ACTIVE" if is_member else "NEW"},
        "created_at": {"N": str(now_ms)},
        "updated_at": {"N": str(now_ms)},
        "total_messages_sent": {"N": "0"},
        "total_responses": {"N": "0"},
        "attributes": {"M": {"segment": {"S": segment}, "name": {"S": person.name}}},
        "segment": {"S": segment},
    }
    return row | ({"opt_in_timestamp": {"N": str(now_ms)}} if is_member else {})


@contextlib.contextmanager
def a_cloud(*, parts_per_second: int, say: Say) -> Iterator[Cloud]:
    """Start an embedded cloud of its own, and end it."""
    base = str(free_port_base())
    started = sms_local(
        *("up", "--port-base", base, "--clock-start", CLOCK_START),
        *("--parts-per-second", str(parts_per_second)),
    )
    if started.returncode != 0:
        raise SystemExit(f"the embedded cloud did not start: {started.stderr.strip()}")
    say("The embedded cloud is up")
    try:
        cloud = Cloud(Places(port_base=int(base)))
        try:
            yield cloud
        finally:
            cloud.close()
    finally:
        sms_local("down", "--port-base", base)


def report(soak: Soak, lines: Sequence[Line], *, command: str) -> str:
    """Return the balance sheet in Markdown."""
    tally = soak.tally
    minutes = f"{tally.driven_seconds / 60:.1f}"
    done = ", ".join(f"{count:,} {what}" for what, count in sorted(tally.done.items()))
    faults = ", ".join(f"{count:,} {kind}" for kind, count in tally.faults.items())
    in_time = ", ".join(f"{count:,} {what}" for what, count in tally.in_time.items())
    within = [f"Within the minutes asked for: {in_time}."] if in_time else []
    return "\n".join(
        (
            f"`{command}`, {datetime.now(UTC):%Y-%m-%d}: {len(soak.persons):,} people, "
            f"{minutes} minutes of driving, {tally.closed_seconds / 60:.1f} until all had come to its end.",
            "",
            f"Done: {done}.",
            *within,
            f"Faults that happened: {faults}.",
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
    """Run the soak; return 0 where the books balance."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--people", type=int, default=1_000)
    parser.add_argument(
        "--minutes", type=float, default=30.0, help="in which people act (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parts-per-second", type=int, default=PARTS_PER_SECOND)
    parser.add_argument("--without-faults", action="store_true")
    parser.add_argument("--write", action="store_true", help="write the balance sheet to docs/reliability.md")
    options = parser.parse_args(arguments)
    # For the operators' command, which runs in this process.
    os.environ |= {**aws.CREDENTIALS, "AWS_DEFAULT_REGION": REGION}
    begun = time.monotonic()

    def say(sentence: str) -> None:
        print(f"{time.monotonic() - begun:7.1f} s  {sentence}.", flush=True)

    persons = people(options.people, seed=options.seed)
    with a_cloud(parts_per_second=options.parts_per_second, say=say) as cloud:
        soak = Soak(
            cloud,
            persons=persons,
            seed=options.seed,
            minutes=options.minutes,
            faults=NO_FAULTS if options.without_faults else FAULTS,
            say=say,
        )
        lines = soak.run()
    command = " ".join(
        (
            f"python benchmarks/soak.py --people {options.people} --minutes {options.minutes:g} "
            f"--seed {options.seed}",
            *(
                [f"--parts-per-second {options.parts_per_second}"]
                if options.parts_per_second != PARTS_PER_SECOND
                else []
            ),
            *(["--without-faults"] if options.without_faults else []),
        )
    )
    text = report(soak, lines, command=command)
    print(text)
    if options.write:
        write_page(text)
    return 0 if all(line.balances for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
