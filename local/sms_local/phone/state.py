"""What the page shows, in parts: gathered from the carrier and the cloud as often as each of them changes."""

import asyncio
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from starlette.concurrency import run_in_threadpool

from sms_engagement_runtime.channel.adapters.pause import DynamoPauseSwitch, PauseState
from sms_engagement_runtime.channel.domain.errors import EngagementError
from sms_local.people import (
    INVITEE,
    PEOPLE,
    SITUATIONS,
    Person,
    invitees_in_table,
    people_in_table,
)
from sms_local.phone import account
from sms_local.phone.appointment_account import (
    FollowUpMachine,
    appointment_of,
    steps_of_answers,
    steps_of_follow_up,
    steps_of_webhooks,
    titles,
)
from sms_local.phone.appointments import (
    Bookings,
    Conversation,
    ConversationReader,
    Entry,
    describe,
    entries,
    read_conversation,
)
from sms_local.phone.campaigns import (
    Journeys,
    Moment,
    Progress,
    describe_campaigns,
    moments_of,
    next_start,
    steps_of_journey,
)
from sms_local.phone.campaigns import titles as campaign_titles
from sms_local.phone.carrier import CarrierControl, CarrierError
from sms_local.phone.clock import PageClock
from sms_local.phone.executions import Execution, ExecutionReader
from sms_local.phone.listener import Listener
from sms_local.phone.runs import Broadcast, RunFiles, RunFilesReader, describe_run, turns_of, waits_until
from sms_local.phone.subscriber_list import Listed, SubscriberReader, as_people
from sms_local.phone.threads import phones, spaced
from sms_local.phone.words import isolated

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: How old what the carrier says may be, and what the cloud says: the one costs a request, the other a dozen.
CARRIER_SECONDS = 0.3
_CLOUD_SECONDS = 1.0
#: However long it takes to gather, so much of the time nothing is asked: the cloud shall not be busy with us.
_REST = 3.0

#: What the cloud may answer with where it does not do what it is asked.
CLOUD_ERRORS = (BotoCoreError, ClientError, EngagementError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """What of the cloud the page looks at; what is not deployed is None."""

    executions: ExecutionReader
    broadcast: Broadcast | None = None
    files: RunFilesReader | None = None
    switch: DynamoPauseSwitch | None = None
    dynamodb: "DynamoDBClient | None" = None
    customers_table: str | None = None
    bookings: Bookings | None = None
    conversations: ConversationReader | None = None
    follow_up: FollowUpMachine | None = None
    journeys: Journeys | None = None
    journey_files: RunFilesReader | None = None
    subscribers: SubscriberReader | None = None
    has_dashboard: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the cloud said last."""

    executions: tuple[Execution, ...] = ()
    files: Mapping[str, RunFiles] = field(default_factory=dict)
    switch: PauseState = field(default_factory=lambda: PauseState(is_paused=False))
    added: tuple[Person, ...] = ()
    invitees: tuple[Person, ...] = ()
    conversations: tuple[Conversation, ...] = ()
    answer_wait: timedelta | None = None
    moments: tuple[Moment, ...] = ()
    listed: tuple[Listed, ...] = ()


class CloudState:
    """Gathers the state for all windows together."""

    def __init__(
        self, *, carrier: CarrierControl, clock: PageClock, listener: Listener, cloud: Cloud
    ) -> None:
        self._carrier = carrier
        self._clock = clock
        self._listener = listener
        self._cloud = cloud
        self._lock = asyncio.Lock()
        self._parts: dict[str, str] = {}
        self._next_look = 0.0
        self._next_look_at_cloud = 0.0
        self._sent: list[dict[str, Any]] = []
        self._seen = Seen()
        self._cloud_problem: str | None = None
        self._switched: list[account.Step] = []
        self._held: dict[str, dict[int, str]] = {}

    async def parts(self) -> Mapping[str, str]:
        """Return the parts of the state: name → JSON.

        ``phones``, ``notices``, ``clock``, ``sending``, ``run``, ``appointments``, ``campaigns`` (null
        where no journeys are deployed), ``dashboard``, ``account``, ``situations`` and ``problem``.
        """
        async with self._lock:
            if time.monotonic() >= self._next_look:
                began = time.monotonic()
                described = await self._gather()
                self._parts = {
                    name: json.dumps(value, ensure_ascii=False) for name, value in described.items()
                }
                took = time.monotonic() - began
                self._next_look = time.monotonic() + max(CARRIER_SECONDS, _REST * took)
            return self._parts

    def hurry(self) -> None:
        """Look again at once: something was done."""
        self._next_look = self._next_look_at_cloud = 0.0

    async def forget(self) -> None:
        """Report nothing that was before now."""
        async with self._lock:
            await run_in_threadpool(self._cloud.executions.ignore_all)
            self._forget()

    def _forget(self) -> None:
        self._switched.clear()
        self._held.clear()
        self._seen = Seen()
        for files in (self._cloud.files, self._cloud.journey_files):
            if files is not None:
                files.forget()
        if self._cloud.subscribers is not None:
            self._cloud.subscribers.forget()
        if self._cloud.bookings is not None:
            self._cloud.bookings.forget()
        self.hurry()

    async def _gather(self) -> dict[str, Any]:
        problem = None
        try:
            self._sent = await self._carrier.messages()
            await self._clock.look()
        except CarrierError as error:
            problem = str(error)
        if time.monotonic() >= self._next_look_at_cloud:
            began = time.monotonic()
            try:
                seen = await run_in_threadpool(self._look_at_cloud)
            except CLOUD_ERRORS as error:
                self._cloud_problem = f"The emulator does not answer ({type(error).__name__})."
            else:
                self._cloud_problem = None
                self._notice_the_switch(seen)
                self._seen = seen
            took = time.monotonic() - began
            self._next_look_at_cloud = time.monotonic() + max(_CLOUD_SECONDS, _REST * took)
        return self._describe(problem or self._cloud_problem)

    def _look_at_cloud(self) -> Seen:
        cloud = self._cloud
        executions = tuple(cloud.executions.recent())
        files: dict[str, RunFiles] = {}
        if cloud.files is not None and cloud.broadcast is not None:
            files |= self._read_files(cloud.files, cloud.broadcast.runs(executions))
        moments = tuple(moments_of(executions)) if cloud.journeys is not None else ()
        if cloud.journey_files is not None:
            files |= self._read_files(cloud.journey_files, [moment.execution for moment in moments])
        added: tuple[Person, ...] = ()
        invitees: tuple[Person, ...] = ()
        if cloud.dynamodb is not None and cloud.customers_table is not None:
            added = people_in_table(cloud.dynamodb, cloud.customers_table, SITUATIONS)
            mentioned = {one for one in _mentioned(executions, files) if one.startswith(INVITEE)}
            invitees = invitees_in_table(cloud.dynamodb, cloud.customers_table, mentioned)
        rows = cloud.conversations.rows() if cloud.conversations is not None else []
        if cloud.bookings is not None:
            cloud.bookings.restore(rows)
        return Seen(
            executions=executions,
            files=files,
            switch=cloud.switch.state() if cloud.switch is not None else PauseState(is_paused=False),
            added=added,
            invitees=invitees,
            conversations=tuple(filter(None, map(read_conversation, rows))),
            answer_wait=cloud.follow_up.answer_wait() if cloud.follow_up is not None else None,
            moments=moments,
            listed=cloud.subscribers.read() if cloud.subscribers is not None else (),
        )

    def _read_files(self, reader: RunFilesReader, runs: Iterable[Execution]) -> dict[str, RunFiles]:
        files = {}
        for run in runs:
            known = self._seen.files.get(run.arn)
            was_over = any(one.arn == run.arn and not one.is_running for one in self._seen.executions)
            files[run.arn] = known if known is not None and was_over else reader.read(run.name)
        return files

    def _notice_the_switch(self, seen: Seen) -> None:
        if seen.switch.is_paused == self._seen.switch.is_paused:
            return
        now = self._clock.now()
        by = f" ({seen.switch.changed_by})" if seen.switch.changed_by else ""
        words = f"All sending is paused{by}" if seen.switch.is_paused else f"Sending goes on{by}"
        number = len(self._switched) + 1
        self._switched.append(account.Step(id=f"switch/{number}", at=now, kind="pause", words=(words,)))

    def _describe(self, problem: str | None) -> dict[str, Any]:
        seen, broadcast = self._seen, self._cloud.broadcast
        people = (*PEOPLE, *seen.added)
        runs = broadcast.runs(seen.executions) if broadcast else []
        bookings = self._cloud.bookings
        appointments = entries(bookings.appointments if bookings else (), seen.conversations)
        return {
            "phones": phones(people, self._sent, self._listener.replies),
            "notices": [
                {"id": one.id, "kind": one.kind, "subject": one.subject, "text": one.text, "at": one.at}
                for one in self._listener.notices
            ],
            "clock": self._clock.describe(),
            "sending": {
                "isPaused": seen.switch.is_paused,
                "reason": seen.switch.reason,
                "canPause": self._cloud.switch is not None,
            },
            "run": {"canSend": broadcast is not None, **self._describe_runs(runs, people)},
            "appointments": describe(
                appointments, people, now=self._clock.now(), can_book=bookings is not None
            ),
            "campaigns": self._campaigns(people),
            "dashboard": {"isThere": self._cloud.has_dashboard},
            "account": self._account(people, runs, appointments),
            "situations": {
                "people": [
                    {
                        "userId": person.user_id,
                        "name": person.name,
                        "words": person.situation,
                        "isAdded": person in seen.added,
                    }
                    for person in SITUATIONS
                ],
                "silent": [
                    {"name": person.name, "note": person.note} for person in PEOPLE if person.phone is None
                ],
            },
            "problem": problem,
        }

    def _describe_runs(self, runs: list[Execution], people: tuple[Person, ...]) -> dict[str, Any]:
        """Return the run that began last, and the one that reminds its people, which waits for days."""
        everybody = (*people, *self._seen.invitees)

        def described(run: Execution) -> dict[str, Any]:
            files = self._seen.files.get(run.arn, RunFiles())
            return describe_run(run, files, turns_of(run, files, everybody))

        latest = next((run for run in reversed(runs) if "follows" not in run.given), None)
        follow_ups = [run for run in runs if latest and run.given.get("follows") == latest.name]
        return {
            "latest": described(latest) if latest else None,
            "followUp": described(follow_ups[-1]) if follow_ups else None,
        }

    def _campaigns(self, people: tuple[Person, ...]) -> dict[str, Any] | None:
        seen, journeys = self._seen, self._cloud.journeys
        if journeys is None:
            return None
        progress = Progress(
            runs=journeys.runs(seen.executions),
            moments=seen.moments,
            files=seen.files,
            people=as_people(seen.listed, people),
        )
        return describe_campaigns(journeys, seen.listed, progress, now=self._clock.now())

    def _account(
        self, people: tuple[Person, ...], runs: list[Execution], appointments: list[Entry]
    ) -> dict[str, Any]:
        everybody = (*people, *self._seen.invitees)
        names = {person.user_id: person.name for person in everybody}
        owners = {person.phone: person.name for person in people if person.phone is not None}

        def name_of(number: str) -> str:
            return isolated(owners.get(number) or spaced(number))

        steps = account.steps_of_texts(self._sent, name_of)
        delivered = (account.step_of_delivery(event, name_of) for event in self._listener.deliveries)
        steps += [step for step in delivered if step is not None]
        steps += [
            account.step_of_reply(id=reply.id, at=reply.at, name=name_of(reply.phone), body=reply.body)
            for reply in self._listener.replies
        ]
        steps += [
            account.step_of_notice(
                id=notice.id, at=notice.at, kind=notice.kind, subject=notice.subject, text=notice.text
            )
            for notice in self._listener.notices
        ]
        bookings, follow_up = self._cloud.bookings, self._cloud.follow_up
        steps += steps_of_webhooks(bookings.deeds if bookings else (), appointments)
        steps += steps_of_answers(appointments)
        by_id = {one.id: one for one in appointments}
        journeys = self._cloud.journeys
        journey_runs = journeys.runs(self._seen.executions) if journeys else []
        moments = {moment.execution.arn for moment in self._seen.moments}
        subscribers = as_people(self._seen.listed, people)
        for execution in self._seen.executions:
            if follow_up is not None and execution.machine == follow_up.arn:
                entry = by_id.get(appointment_of(execution))
                steps += steps_of_follow_up(execution, entry, answer_wait=self._seen.answer_wait)
            elif journeys is not None and execution in journey_runs:
                begins = next_start(execution, self._seen.moments)
                steps += steps_of_journey(execution, journeys, begins=begins)
            elif execution in runs or execution.arn in moments:
                files = self._seen.files.get(execution.arn, RunFiles())
                turns = turns_of(execution, files, (*everybody, *subscribers))
                held = self._waits_of(execution, files)
                steps += account.steps_of_run(execution, turns, progress=files.progress, held=held)
            else:
                steps += account.steps_of_execution(execution, names)
        steps += account.steps_of_jumps(self._clock.jumps)
        headings = {run.name: account.title_of_run(run) for run in runs} | titles(appointments)
        if journeys is not None:
            headings |= campaign_titles(journey_runs, self._seen.moments, journeys)
        return account.gather([*steps, *self._switched], headings)

    def _waits_of(self, run: Execution, files: RunFiles) -> Mapping[int, str]:
        """Return why the run waited, event by event: its own word for it lasts as long as the wait."""
        held = self._held.setdefault(run.arn, {})
        reason = files.progress.get("reason")
        if reason is not None and waits_until(run) is not None:
            held[run.events[-1].id] = reason
        return held


def _mentioned(executions: Iterable[Execution], files: Mapping[str, RunFiles]) -> Iterator[str]:
    """Yield the ids of customers that executions and the files of runs speak of."""
    for run in files.values():
        yield from run.people
        yield from (line["userId"] for line in (*run.results, *run.rest))
    for execution in executions:
        user_id = account.user_of(execution)
        if user_id is not None:
            yield user_id
