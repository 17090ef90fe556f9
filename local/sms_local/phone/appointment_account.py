"""What the cloud did about appointments, in plain words: webhooks, answers, and executions."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sms_local.phone.account import Step, Words
from sms_local.phone.appointments import ANSWERS, Deed, Entry
from sms_local.phone.executions import Execution, StateEvent
from sms_local.phone.runs import awaited
from sms_local.phone.words import isolated

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

#: States of ``follow_up.asl.json`` that are told.
ANSWER_WAIT = "Wait for an answer"
REMINDER_WAIT = "Wait for the reminder"
END_WAIT = "Wait for the end"
TEXT_WAITS = frozenset({"Wait to confirm", "Wait to follow up", "Wait to tell"})
FOLLOW_UP = "Follow up"
FINISH = "Finish"
FAILURE = "Keep what failed"

_ENDS = {
    "CANCELED": "nothing more is sent, since it was cancelled",
    "RESCHEDULED": "nothing more is sent about the former time",
    "NO_SHOW": "nothing more is sent about a no-show",
    "OPTED_OUT": "nothing more is sent after STOP",
    "FAILED": "nobody can be told by text",
}


class FollowUpMachine:
    """The state machine of appointments.

    Parameters
    ----------
    arn
        Of the machine.
    """

    def __init__(self, client: "SFNClient", *, arn: str) -> None:
        self._client = client
        self.arn = arn
        self._answer_wait: timedelta | None = None

    def answer_wait(self) -> timedelta:
        """Return how long an answer is waited for; its definition is asked once."""
        if self._answer_wait is None:
            definition = self._client.describe_state_machine(stateMachineArn=self.arn)["definition"]
            seconds = json.loads(definition)["States"][ANSWER_WAIT]["Seconds"]
            self._answer_wait = timedelta(seconds=seconds)
        return self._answer_wait


def titles(listed: Iterable[Entry]) -> dict[str, Words]:
    """Return the heading of each appointment, by its id."""
    return {
        one.id: (f"{isolated(one.name)}, ", one.starts_at) if one.starts_at else (isolated(one.name),)
        for one in listed
    }


def steps_of_webhooks(deeds: Iterable[Deed], listed: Iterable[Entry]) -> list[Step]:
    """Return a step for what the booking site told; what another program told is known by its row."""
    told = list(deeds)
    steps = [_deed(deed) for deed in told]
    ours = {deed.appointment.appointment_id for deed in told}
    for entry in listed:
        if entry.conversation is None or entry.id in ours:
            continue
        what = f"A webhook told of {isolated(entry.name)}’s {isolated(entry.event_name)}"
        steps.append(
            Step(
                id=f"conversation/{entry.id}",
                at=entry.conversation.created_at,
                kind="run",
                words=(f"{what}, ", entry.starts_at) if entry.starts_at else (what,),
                run=entry.id,
            )
        )
    return steps


def _deed(deed: Deed) -> Step:
    made = deed.appointment
    name, event = isolated(made.name), isolated(made.event_name)
    words: dict[str, Words] = {
        "book": (f"Webhook of Calendly: {name} booked {event} for ", made.starts_at),
        "cancel": (f"Webhook of Calendly: {name}’s {event} is cancelled",),
        "move": (f"Two webhooks of Calendly: {name}’s {event} moves to ", made.starts_at),
        "mark": (f"Webhook of Calendly: {name} did not come to {event}",),
        "unmark": (f"Webhook of Calendly: {name} did come to {event}",),
    }
    return Step(
        id=f"deed/{deed.number}", at=deed.at, kind="run", words=words[deed.what], run=made.appointment_id
    )


def steps_of_answers(listed: Iterable[Entry]) -> list[Step]:
    """Return a step for what each answer was taken for."""
    steps = []
    for entry in listed:
        told = entry.conversation
        if told is None or told.replied_at is None or told.answer is None:
            continue
        taken = ANSWERS.get(told.answer, told.answer)
        steps.append(
            Step(
                id=f"answer/{entry.id}/{told.replied_at.isoformat()}",
                at=told.replied_at,
                kind="reply",
                words=(f"Taken as an answer of {isolated(entry.name)}: {taken[0].lower()}{taken[1:]}",),
                run=entry.id,
            )
        )
    return steps


def appointment_of(execution: Execution) -> str:
    """Return the id of the appointment that an execution is about."""
    return str(execution.given.get("appointmentId", ""))


def steps_of_follow_up(
    execution: Execution, entry: Entry | None, *, answer_wait: timedelta | None
) -> list[Step]:
    """Return the steps of an execution of the appointments' state machine.

    Texts are told by the carrier, so that steps that only send are left out.

    Parameters
    ----------
    entry
        The appointment; None where its row is gone.
    answer_wait
        How long an answer is waited for.
    """
    steps = [
        Step(id=f"{execution.arn}/{number}", at=at, kind=kind, words=words, run=appointment_of(execution))
        for number, at, kind, words in _told(execution, entry, answer_wait)
    ]
    if execution.stopped_at is not None and (end := _end(execution, entry)) is not None:
        kind, sentence = end
        steps.append(
            Step(
                id=f"{execution.arn}/ended",
                at=execution.stopped_at,
                kind=kind,
                words=(sentence,),
                run=appointment_of(execution),
            )
        )
    return steps


def _told(
    execution: Execution, entry: Entry | None, answer_wait: timedelta | None
) -> Iterator[tuple[int, datetime, str, Words]]:
    name = isolated(entry.name) if entry else "Somebody"
    before = ""
    for event in execution.events:
        if event.kind == "entered" and event.state_type == "Wait":
            # A text that is held is looked at again and again; it is told once.
            if event.state not in TEXT_WAITS or event.state != before:
                yield event.id, event.at, "wait", _wait(event, name, answer_wait)
            before = event.state
        elif event.kind == "left" and event.state == FOLLOW_UP and _next(event.data) != "AGAIN":
            yield event.id, event.at, "run", (_followed_up(entry, name, event.at),)


def _wait(event: StateEvent, name: str, answer_wait: timedelta | None) -> Words:
    if event.state == ANSWER_WAIT:
        return (
            (f"{name} has until ", event.at + answer_wait, " to answer")
            if answer_wait is not None
            else (f"Waits for {name}’s answer",)
        )
    until = awaited(event)
    if until is None:
        return (f"{event.state}",)
    if event.state == REMINDER_WAIT:
        return (f"A reminder to {name} is due at ", until)
    if event.state == END_WAIT:
        return ("Nothing to do until ", until, ": then it is over")
    return (f"The text to {name} waits until ", until)


def _followed_up(entry: Entry | None, name: str, at: datetime) -> str:
    told = entry.conversation if entry else None
    if told is not None and told.followed_up_at is not None and told.followed_up_at <= at:
        return f"{name} is asked once more"
    if told is not None and told.replied_at is not None and told.replied_at <= at:
        return f"No second text: {name} answered"
    return f"No second text to {name}"


def _end(execution: Execution, entry: Entry | None) -> tuple[str, str] | None:
    """Return kind and sentence of the end; None for one that only told of something."""
    status = entry.status if entry else ""
    if execution.status == "SUCCEEDED":
        if execution.given.get("step") == "notify":
            return None
        took_place = any(event.state == FINISH for event in execution.events)
        words = "it is past" if took_place else "nothing more is sent"
        return "run", f"Over: {_ENDS.get(status, words)}"
    if execution.status == "ABORTED":
        return "run", f"Over: {_ENDS.get(status, 'it was stopped')}"
    return "problem", f"The follow-up failed: {execution.problem or 'no cause was given'}"


def _next(data: Mapping[str, Any]) -> str:
    outcome = data.get("outcome")
    return str(outcome.get("next", "")) if isinstance(outcome, dict) else ""
