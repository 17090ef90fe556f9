"""What the cloud did, step by step in plain words: the account beside the phones.

Every source (executions, texts, delivery events, replies, notices, jumps of the clock, the pause switch)
gives its steps by itself; `gather` puts them into one order. All of it is pure: the same facts give the same
account.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sms_engagement_runtime.channel.domain import quiet_hours
from sms_local.phone.clock import Jump
from sms_local.phone.executions import Execution, StateEvent
from sms_local.phone.runs import LATER, NOT, UNKNOWN, Turn, awaited
from sms_local.phone.words import LOSSES, counted, explain, isolated, listed

#: Steps that the page shows, the newest ones.
MOST_STEPS = 300
#: From so many equal steps of a run within a minute on, one step tells how many there were.
_FOLD_FROM = 13
_MOST_QUOTED = 60

#: How long a run waits at the most before it looks again whether sending is possible.
_LONGEST_LOOK = timedelta(minutes=5, seconds=2)

#: Events before the end of the first step.
_FIRST_EVENTS = 10

#: What fell due (`POST /control/clock`) → what happened then, and what one and many of them are called.
_DUE = {
    "wait": ("A wait was over", "wait", "waits"),
    "retry": ("Another attempt began", "further attempt", "further attempts"),
    "schedule": ("A schedule fired", "schedule", "schedules"),
    "timeout": ("A time limit ran out", "time limit", "time limits"),
    "expiry": ("Rows expired", "expiry", "expiries"),
    "queue": ("A message became visible", "delayed message", "delayed messages"),
    "stream": ("A consumer read the stream", "batch of the stream", "batches of the stream"),
    "carrier": ("The carrier went on", "event of the carrier", "events of the carrier"),
}

#: The carrier's events are told as deliveries; queues and streams only carry what is told where it arrives.
_TOLD_ELSEWHERE = frozenset({"carrier", "queue", "stream"})

_PHYSICAL_NAME = re.compile(r"[\w-]*-([A-Za-z][A-Za-z0-9]*?)[0-9A-F]{8}-[0-9A-Za-z]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_KIND = re.compile(r" (?:State Machine|Schedule|Queue|Table|Function)\b")

#: States of people who wait for something that concerns them; the others wait for the run.
_PUT_OFF = frozenset({"DEFERRED", "WOULD_SEND"})

type Words = tuple[str | datetime, ...]
"""A sentence; instants in it are shown in the zone that the page's reader chose."""

type NameOf = Callable[[str], str]
"""Phone number → whose it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the account.

    Attributes
    ----------
    id
        The same for the same fact, so that the page shows it once.
    at
        Virtual time, aware, in UTC.
    kind
        What the page marks it as: ``run``, ``text``, ``delivered``, ``reply``, ``left-out``, ``wait``,
        ``clock``, ``notice``, ``pause`` or ``problem``.
    words
        The sentence.
    run
        Id of the run that it belongs to; empty where it belongs to none.
    fold
        What equal steps are called together, as ``texts accepted``; empty where each stands for itself.
    """

    id: str
    at: datetime
    kind: str
    words: Words
    run: str = ""
    fold: str = ""


def gather(steps: Iterable[Step], titles: Mapping[str, Words]) -> dict[str, Any]:
    """Return the newest steps in the order of time, each below its run.

    What belongs to no run (a reply, a jump of the clock) stands below the run that did something last.

    Parameters
    ----------
    titles
        Id of a run → its heading.

    Returns
    -------
    dict
        ``{"steps": [{"id", "at", "kind", "words", "chapter"}], "titles": {chapter: words}, "isCut"}``. A
        sentence is a list of text and ``{"at": ISO 8601}``.
    """
    ordered = sorted(fold({step.id: step for step in steps}.values()), key=lambda step: step.at)
    told, chapter = [], ""
    for step in ordered:
        chapter = step.run if step.run in titles else chapter
        told.append(
            {
                "id": step.id,
                "at": step.at.isoformat(),
                "kind": step.kind,
                "words": _words_to_json(step.words),
                "chapter": chapter,
            }
        )
    shown = told[-MOST_STEPS:]
    used = {step["chapter"] for step in shown}
    return {
        "steps": shown,
        "titles": {run: _words_to_json(words) for run, words in titles.items() if run in used},
        "isCut": len(shown) < len(told),
    }


def fold(steps: Iterable[Step]) -> list[Step]:
    """Return the steps with crowds of equal ones put together: 2,000 texts of a run are no 2,000 lines."""
    kept: list[Step] = []
    crowds: dict[tuple[str, str, datetime], list[Step]] = {}
    for step in steps:
        if step.fold:
            minute = step.at.replace(second=0, microsecond=0)
            crowds.setdefault((step.run, step.fold, minute), []).append(step)
        else:
            kept.append(step)
    for (run, name, minute), crowd in crowds.items():
        if len(crowd) < _FOLD_FROM:
            kept.extend(crowd)
            continue
        last = max(crowd, key=lambda step: step.at)
        together = f"{run}/{name}/{minute.isoformat()}"
        kept.append(replace(last, id=together, words=(f"{len(crowd):,} {name}",)))
    return kept


# --- texts and what came of them


def steps_of_texts(sent: Iterable[Mapping[str, Any]], name_of: NameOf) -> list[Step]:
    """Return a step for each text that the service accepted, from the carrier's ``GET /control/messages``."""
    return [
        Step(
            id=f"text/{message['message_id']}",
            at=instant(message["sent_at"]),
            kind="text",
            words=(_accepted(message, name_of(message["to"])),),
            run=_campaign(message),
            fold="texts accepted",
        )
        for message in sent
    ]


def _accepted(message: Mapping[str, Any], name: str) -> str:
    parts = counted(message["parts"], "part", "parts")
    # The texts of a run are all alike; any other is told by what it says.
    said = "" if _campaign(message) else f" “{isolated(_cut(message['body'], most=32))}”"
    return f"Text{said} to {name} accepted, {parts}"


def _campaign(message: Mapping[str, Any]) -> str:
    campaign: str = message.get("context", {}).get("campaign", "")
    # Variants of a text have campaigns of their own, as ``appointments/confirmation/b``, which are no runs.
    return "" if "/" in campaign else campaign


def step_of_delivery(event: Mapping[str, Any], name_of: NameOf) -> Step | None:
    """Return a step for a delivery event that tells how a text ended; None for the events before."""
    kind, name = event["eventType"], name_of(event["destinationPhoneNumber"])
    if kind != "TEXT_DELIVERED" and not event.get("isFinal"):
        return None
    arrived = kind not in LOSSES
    return Step(
        id=f"delivery/{event['messageId']}/{kind}",
        at=datetime.fromtimestamp(event["eventTimestamp"] / 1000, UTC),
        kind="delivered" if arrived else "problem",
        words=(f"Delivered to {name}" if arrived else f"Not delivered to {name}: {LOSSES[kind]}",),
        run=_campaign(event),
        fold="texts delivered" if arrived else "texts not delivered",
    )


def step_of_reply(*, id: str, at: str, name: str, body: str) -> Step:
    """Return a step for a text from a phone."""
    return Step(
        id=f"reply/{id}", at=instant(at), kind="reply", words=(f"{name} answered “{isolated(_cut(body))}”",)
    )


def step_of_notice(*, id: str, at: str, kind: str, subject: str, text: str) -> Step:
    """Return a step for a message to the admin's line."""
    first = text.strip().partition("\n")[0]
    told = {
        "attention": f"A human is asked to look: {_cut(subject or first)}",
        "host": f"The host is told: {_cut(subject or first)}",
    }
    words = (told.get(kind, f"The admin is told: {_cut(first)}"),)
    return Step(id=f"notice/{id}", at=instant(at), kind="notice", words=words)


# --- executions


def title_of_run(run: Execution) -> Words:
    """Return the heading of a run."""
    if _is_dry(run):
        return ("Dry run of ", run.started_at)
    if "follows" in run.given:
        return ("Reminders of ", run.started_at)
    return ("Review requests of ", run.started_at)


def steps_of_run(
    run: Execution, turns: Sequence[Turn], *, progress: Mapping[str, Any], held: Mapping[int, str]
) -> list[Step]:
    """Return the steps of a broadcast's run.

    Parameters
    ----------
    turns
        Everybody of it.
    progress
        The run in figures, as it wrote them.
    held
        Id of the event at which a wait began → reason code, for waits that are not for the hour.
    """

    def step(name: object, at: datetime, kind: str, *words: str | datetime) -> Step:
        return Step(id=f"{run.arn}/{name}", at=at, kind=kind, words=words, run=run.name)

    given = run.given.get("reason")
    began = "A dry run begins: nothing is sent" if _is_dry(run) else "A run begins"
    steps = [step("began", run.started_at, "run", f"{began} ({_cut(given)})" if given else began)]
    snapshot_at: datetime | None = None
    summed_up_at: datetime | None = None
    reason: str | None = None
    for event in run.events:
        if (event.kind, event.state_type) == ("left", "Task") and event.data.get("more") is False:
            snapshot_at = event.at
            steps.append(step(event.id, event.at, "run", _audience(progress)))
        elif (event.kind, event.state_type) == ("left", "Task") and "outcomes" in event.data:
            # What comes after the sum is the beginning of the run that follows.
            summed_up_at = summed_up_at or event.at
        elif event.kind == "left" and event.state_type == "Map":
            looked = "Everybody was looked at" if _is_dry(run) else "A round of texts is done"
            steps.append(step(event.id, event.at, "run", looked))
            reason = None
        elif event.kind == "entered" and event.state_type == "Wait":
            reason = held.get(event.id) or (reason if _is_another_look(event) else None)
            words = _wait(event, turns, reason)
            # A run that is held looks again and again; it says so once.
            if reason is None or steps[-1].words != words:
                steps.append(step(event.id, event.at, "wait", *words))
    if snapshot_at is None and run.events and run.events[0].id > _FIRST_EVENTS:
        # The beginning of a long history is not read.
        snapshot_at = run.started_at
    steps += _outcomes(run, turns, snapshot_at)
    if run.stopped_at is not None:
        kind = "run" if run.status == "SUCCEEDED" else "problem"
        steps.append(step("ended", summed_up_at or run.stopped_at, kind, _end(run)))
    return steps


def steps_of_execution(execution: Execution, names: Mapping[str, str]) -> list[Step]:
    """Return the steps of any other state machine's execution, by the names of its states.

    Parameters
    ----------
    names
        Customer id → name, for a text that waits by itself.
    """
    user_id = user_of(execution)
    whose = None if user_id is None else f"The text to {isolated(names.get(user_id, user_id))}"
    name = whose or plain_name(execution.machine_name).capitalize()

    def step(id: object, at: datetime, kind: str, *words: str | datetime) -> Step:
        return Step(id=f"{execution.arn}/{id}", at=at, kind=kind, words=words)

    steps = []
    for one in execution.events:
        if one.kind != "entered":
            continue
        until = awaited(one)
        if one.state_type == "Wait" and until is not None:
            steps.append(step(one.id, one.at, "wait", f"{name} waits until ", until))
        elif one.state_type in ("Task", "Wait"):
            steps.append(step(one.id, one.at, "run", f"{name}: {one.state}"))
    if execution.stopped_at is not None and execution.status != "SUCCEEDED":
        ended = f"{name} ended as {execution.status}: {execution.problem or 'no cause was given'}"
        steps.append(step("ended", execution.stopped_at, "problem", _cut(ended, most=160)))
    return steps


def user_of(execution: Execution) -> str | None:
    """Return the id of the customer whose single text an execution waits with; None for any other one."""
    event = execution.given.get("event")
    detail = event.get("detail") if isinstance(event, dict) else None
    user_id = detail.get("userId") if isinstance(detail, dict) else None
    return user_id if isinstance(user_id, str) else None


def _audience(progress: Mapping[str, Any]) -> str:
    taken = "Step Functions took the audience"
    if not {"customers", "recipients"} <= progress.keys():
        return taken
    customers, due = counted(progress["customers"], "customer", "customers"), progress["recipients"]
    return f"{taken}: {customers}, {due:,} due"


def _wait(entered: StateEvent, turns: Sequence[Turn], reason: str | None) -> Words:
    if reason is not None:
        return (f"Waits: {explain('DEFERRED', reason)}",)
    waiting = [turn for turn in turns if turn.group == LATER or (turn.at and turn.at > entered.at)]
    until = awaited(entered)
    if until is None:
        return ("Waits",)
    towns = dict.fromkeys(filter(None, (_sleeping_town(turn, entered.at, until) for turn in waiting)))
    why = f": quiet hours in {listed(list(towns))}" if towns else ""
    left = f": {counted(len(waiting), 'person', 'people')} left" if waiting else ""
    return ("Waits until ", until, why or left)


def _is_another_look(entered: StateEvent) -> bool:
    """Tell whether a run that was held only waits to look again: nobody sees each of its short waits."""
    until = awaited(entered)
    return until is not None and until - entered.at <= _LONGEST_LOOK


def _sleeping_town(turn: Turn, at: datetime, until: datetime) -> str | None:
    """Return where a person is if it is no hour for texts there at an instant, and is one at the other."""
    person = turn.person
    if person is None or person.time_zone is None:
        return None
    hours = quiet_hours.DEFAULT.hours_for(quiet_hours.Place(zones=(person.time_zone,)))
    return person.town if hours.is_open(until) and not hours.is_open(at) else None


def _outcomes(run: Execution, turns: Sequence[Turn], snapshot_at: datetime | None) -> list[Step]:
    """Return who was left out or has to wait, those with the same reason together."""
    alike: dict[tuple[bool, str, datetime | None, datetime], list[Turn]] = {}
    for turn in turns:
        found_out_at = turn.at or snapshot_at
        waits = turn.group == LATER and turn.state in _PUT_OFF
        if found_out_at is None or not (waits or turn.group in (NOT, UNKNOWN)):
            continue
        # Parts that were sent side by side end at about the same time.
        minute = found_out_at.replace(second=0, microsecond=0)
        alike.setdefault((waits, turn.words, turn.until if waits else None, minute), []).append(turn)
    steps = []
    for (waits, words, until, minute), some in alike.items():
        who = listed([isolated(turn.name) for turn in some])
        sentence: Words = (f"Skipped {who}: {words}",)
        if waits:
            told = "would wait" if _is_dry(run) else "waits" if len(some) == 1 else "wait"
            sentence = (f"{who} {told}", *((" until ", until) if until else ()), f": {words}")
        steps.append(
            Step(
                id=f"{run.arn}/{words}/{until}/{minute}",
                at=max(turn.at or snapshot_at or minute for turn in some),
                kind="wait" if waits else "left-out",
                words=sentence,
                run=run.name,
            )
        )
    return steps


def _end(run: Execution) -> str:
    if run.status == "ABORTED":
        return "The run was stopped"
    if run.status != "SUCCEEDED":
        return _cut(f"The run failed: {run.problem or 'no cause was given'}", most=160)
    outcomes: Mapping[str, int] = run.came_to.get("outcomes", {})
    cost = run.came_to.get("estimatedCostUsd")
    figures = [
        counted(outcomes.get("WOULD_SEND", 0), "person would get it", "people would get it")
        if _is_dry(run)
        else counted(outcomes.get("ACCEPTED", 0), "text accepted", "texts accepted")
    ]
    rest = sum(outcomes.values()) - outcomes.get("ACCEPTED", 0) - outcomes.get("WOULD_SEND", 0)
    figures.append(f"{counted(rest, 'person', 'people')} without")
    if cost is not None:
        figures.append(f"about ${cost}")
    stopped_by = run.came_to.get("stoppedBy")
    return f"{explain('', stopped_by) if stopped_by else 'Done'}: {', '.join(figures)}"


# --- the clock and the switch


def steps_of_jumps(jumps: Iterable[Jump]) -> list[Step]:
    """Return the steps of moves of the clock, with what fell due in them."""
    steps: list[Step] = []
    for jump in jumps:
        steps.append(
            Step(
                id=f"jump/{jump.number}",
                at=jump.began_at,
                kind="clock",
                words=(
                    f"{'You skipped' if jump.asked_here else 'Somebody skipped'} "
                    f"{duration(jump.target - jump.began_at)}",
                ),
            )
        )
        steps += [
            _due(jump, number, due)
            for number, due in enumerate(jump.due)
            if due.get("what") not in _TOLD_ELSEWHERE
        ]
        if jump.problem is not None:
            words = (f"The clock did not jump: {jump.problem}",)
            steps.append(
                Step(id=f"jump/{jump.number}/problem", at=jump.began_at, kind="problem", words=words)
            )
        elif jump.ended_at is not None:
            steps.append(
                Step(
                    id=f"jump/{jump.number}/end",
                    at=jump.ended_at,
                    kind="clock",
                    words=("It is ", jump.ended_at, f": {_what_fell_due(jump)}"),
                )
            )
    return steps


def duration(length: timedelta) -> str:
    """Return a length of time as a person says it, to the largest unit that fits: 30 minutes, a day."""
    seconds = round(length.total_seconds())
    for unit, size in (("week", 604_800), ("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= size and seconds % size < size / 20:
            number = seconds // size
            return f"{'an' if unit == 'hour' else 'a'} {unit}" if number == 1 else f"{number} {unit}s"
    return str(timedelta(seconds=seconds))


def _due(jump: Jump, number: int, due: Mapping[str, Any]) -> Step:
    what, name = str(due.get("what", "")), str(due.get("name", ""))
    happened, _, many = _words_of_due(what)
    name = plain_name(name)
    return Step(
        id=f"jump/{jump.number}/{number}",
        at=instant(str(due["at"])),
        kind="clock",
        words=(f"{happened}: {_cut(name)}" if name else happened,),
        fold=f"{many} fell due",
    )


def _what_fell_due(jump: Jump) -> str:
    counts = Counter(str(due.get("what", "")) for due in jump.due)
    named = [counted(number, *_words_of_due(what)[1:]) for what, number in counts.items()]
    return f"{listed(named, most=len(named)) or 'nothing'} fell due"


def _words_of_due(what: str) -> tuple[str, str, str]:
    return _DUE.get(what, (f"Something fell due ({what})", f"“{what}”", f"“{what}”"))


def instant(text: str) -> datetime:
    """Read an instant in ISO 8601, with its zone."""
    return datetime.fromisoformat(text).astimezone(UTC)


def plain_name(name: str) -> str:
    """Return what CloudFormation named, without what it added: ``reviews digest``, of the schedule of that.

    A physical name is the stack's, the logical id (which ends in eight hexadecimal digits) and a random part.
    """
    logical_id = _PHYSICAL_NAME.sub(r"\1", name)
    if logical_id == name:
        return name
    return _KIND.sub("", _HUMP.sub(" ", logical_id)).lower()


def _is_dry(run: Execution) -> bool:
    return run.given.get("dryRun") is True


def _cut(text: str, *, most: int = _MOST_QUOTED) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _words_to_json(words: Words) -> list[str | dict[str, str]]:
    return [{"at": word.isoformat()} if isinstance(word, datetime) else word for word in words]
