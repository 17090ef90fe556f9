"""What the cloud did, in plain words: the account on the phone page."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sms_local.carrier.events import EVENT_TYPES, events_until
from sms_local.people import PEOPLE, SITUATIONS
from sms_local.phone import account
from sms_local.phone.account import MOST_STEPS, Step
from sms_local.phone.clock import Jump
from sms_local.phone.executions import ExecutionReader
from sms_local.phone.runs import RunFiles, turns_of
from sms_local.phone.words import LOSSES
from tests.support.phone_page import LATER, FakeStepFunctions, at

EVERYBODY = (*PEOPLE, *SITUATIONS)
TITLES = {"run-1": ("Review requests of ", at(0)), "run-2": ("Dry run of ", at(100))}


def name_of(number: str) -> str:
    return {"+14045550101": "John Doe"}.get(number, number)


def step(number: int, **further: Any) -> Step:
    fields = {"id": f"s{number}", "at": at(number), "kind": "run", "words": (f"Step {number}",)}
    return Step(**fields | further)


def said(steps: Sequence[Step]) -> list[str]:
    """The sentences, instants by their hour."""
    return [
        "".join(f"{word:%H:%M}" if isinstance(word, datetime) else word for word in one.words)
        for one in sorted(steps, key=lambda one: one.at)
    ]


# --- order, chapters, bounds


def test_steps_stand_in_the_order_of_time_and_each_fact_once() -> None:
    told = account.gather([step(3), step(1), step(2), step(1)], {})

    assert [one["id"] for one in told["steps"]] == ["s1", "s2", "s3"]
    assert told["isCut"] is False


def test_what_belongs_to_no_run_stands_below_the_run_that_did_something_last() -> None:
    steps = [
        step(0),
        step(1, run="run-1"),
        step(2),
        step(101, run="run-2"),
        step(102),
        step(103, run="run-1"),
        step(104),
        step(105, run="a run of long ago"),
    ]

    told = account.gather(steps, TITLES)

    assert [one["chapter"] for one in told["steps"]] == [
        *("", "run-1", "run-1"),
        *("run-2", "run-2"),
        *("run-1", "run-1", "run-1"),
    ]
    assert told["titles"]["run-2"] == ["Dry run of ", {"at": at(100).isoformat()}]


def test_the_newest_steps_are_shown_and_keep_their_chapter() -> None:
    steps = [step(0, run="run-1"), *(step(number) for number in range(1, MOST_STEPS + 50))]

    told = account.gather(steps, TITLES)

    assert len(told["steps"]) == MOST_STEPS
    assert told["steps"][-1]["id"] == f"s{MOST_STEPS + 49}"
    assert {one["chapter"] for one in told["steps"]} == {"run-1"}
    assert told["isCut"] is True


def test_a_crowd_of_equal_steps_is_one_line_a_minute_and_a_few_are_told_apart() -> None:
    crowd = [step(number, run="run-1", fold="texts accepted") for number in range(59)]
    few = [step(60 + number, run="run-1", fold="texts accepted") for number in range(3)]
    of_another = [step(number, id=f"o{number}", run="run-2", fold="texts accepted") for number in range(3)]

    folded = account.fold([*crowd, *few, *of_another, step(5, id="plain")])

    assert sorted(said(folded)) == sorted(
        ["59 texts accepted", *(f"Step {n}" for n in (60, 61, 62, 0, 1, 2, 5))]
    )


def test_a_crowd_that_grows_stays_the_same_line() -> None:
    crowd = [step(number, run="run-1", fold="texts accepted") for number in range(40)]

    [before], [after] = account.fold(crowd[:20]), account.fold(crowd)

    assert before.id == after.id
    assert (said([before]), said([after])) == (["20 texts accepted"], ["40 texts accepted"])


# --- texts


def test_a_text_belongs_to_the_run_that_is_its_campaign() -> None:
    message = {
        "message_id": "m1",
        "to": "+14045550101",
        "parts": 1,
        "sent_at": at(3).isoformat(),
        "context": {"campaign": "run-1"},
    }

    [accepted] = account.steps_of_texts([message], name_of)

    assert accepted.words == ("Text to John Doe accepted, 1 part",)
    assert (accepted.run, accepted.at, accepted.kind) == ("run-1", at(3), "text")


def delivery(event_type: str, *, is_final: bool) -> dict[str, Any]:
    return {
        "eventType": event_type,
        "isFinal": is_final,
        "messageId": "m1",
        "destinationPhoneNumber": "+14045550101",
        "eventTimestamp": int(at(4).timestamp() * 1000),
        "context": {"campaign": "run-1"},
    }


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))
def test_only_the_last_event_of_a_text_is_told(event_type: str) -> None:
    told = [
        account.step_of_delivery(delivery(kind, is_final=is_final), name_of)
        for kind, is_final in events_until(event_type)
    ]

    ends = [one for one in told if one is not None]
    if event_type in ("TEXT_PENDING", "TEXT_QUEUED"):
        assert ends == []
    else:
        [end] = ends
        arrived = event_type in ("TEXT_DELIVERED", "TEXT_SUCCESSFUL")
        assert end.kind == ("delivered" if arrived else "problem")
        assert said([end])[0].startswith(
            "Delivered to John Doe" if arrived else "Not delivered to John Doe: "
        )
        assert (end.at, end.run) == (at(4), "run-1")


def test_a_text_of_no_run_is_told_by_what_it_says() -> None:
    message = {
        "message_id": "m1",
        "to": "+14045550101",
        "parts": 1,
        "body": "You have been unsubscribed. Reply START to subscribe again.",
        "sent_at": at(3).isoformat(),
        "context": {},
    }

    [accepted] = account.steps_of_texts([message], name_of)

    assert accepted.words == ("Text “You have been unsubscribed. Rep…” to John Doe accepted, 1 part",)
    assert accepted.run == ""


def test_every_way_for_a_text_to_be_lost_has_words() -> None:
    on_the_way = {"TEXT_PENDING", "TEXT_QUEUED"}

    assert set(LOSSES) == EVENT_TYPES - on_the_way - {"TEXT_DELIVERED", "TEXT_SUCCESSFUL"}


def test_a_long_reply_over_several_lines_is_quoted_in_one() -> None:
    told = account.step_of_reply(id="r1", at=at(5).isoformat(), name="John Doe", body="No,\n" + "never " * 40)

    [sentence] = said([told])
    assert sentence.startswith("John Doe answered “No, never never")
    assert sentence.endswith("…”")
    assert len(sentence) < 90


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("admin", "The admin is told: New 5★ review from John Doe"),
        ("attention", "A human is asked to look: Reply needed"),
    ],
)
def test_a_notice_is_told_by_its_first_line(kind: str, sentence: str) -> None:
    told = account.step_of_notice(
        id="n1",
        at="2026-11-21T17:00:05.000Z",
        kind=kind,
        subject="Reply needed" if kind == "attention" else "New review",
        text="New 5★ review from John Doe\n\nLovely.",
    )

    assert said([told]) == [sentence]
    assert told.at == at(5)


# --- runs


@pytest.fixture
def stepfunctions() -> FakeStepFunctions:
    return FakeStepFunctions()


def result(user_id: str, state: str, reason: str | None, ended: datetime | None) -> dict[str, Any]:
    ended_at = ended.isoformat() if ended else None
    return {"userId": user_id, "state": state, "reason": reason, "parts": 0, "at": ended_at}


def begin(stepfunctions: FakeStepFunctions, given: Mapping[str, Any] | None = None, *, wait: str = "") -> str:
    arn = stepfunctions.begin("run-1", given or {}, begins=at(0))
    snapshot = "Take audience snapshot"
    stepfunctions.enter(arn, "Task", snapshot, {}, enters=at(0))
    stepfunctions.leave(arn, "Task", snapshot, {"more": True}, leaves=at(1))
    stepfunctions.leave(arn, "Task", snapshot, {"more": False, "turn": 0}, leaves=at(2))
    stepfunctions.leave(arn, "Choice", "Is the audience complete?", {"more": False, "turn": 0}, leaves=at(2))
    stepfunctions.leave(arn, "Task", "Plan", {"next": "SEND"}, leaves=at(3))
    stepfunctions.leave(arn, "Map", "Send parts", {"next": "SEND"}, leaves=at(5))
    if wait:
        stepfunctions.enter(arn, "Wait", "Wait", {"next": "WAIT", "until": wait}, enters=at(6))
    return arn


def steps_of(
    stepfunctions: FakeStepFunctions, files: RunFiles, held: Mapping[int, str] | None = None
) -> list[Step]:
    [run] = ExecutionReader(stepfunctions).recent()
    turns = turns_of(run, files, EVERYBODY)
    return account.steps_of_run(run, turns, progress=files.progress, held=held or {})


FIGURES = {"customers": 3, "recipients": 2, "remaining": 1, "reason": None}
RESULTS = (
    result("customer-007", "SUPPRESSED", "NO_PHONE", None),
    result("customer-001", "ACCEPTED", None, at(5)),
)


def test_a_run_is_told_from_its_audience_to_its_wait(stepfunctions: FakeStepFunctions) -> None:
    begin(stepfunctions, {"reason": "started on the phone page"}, wait=at(hours=1).isoformat())
    files = RunFiles(progress=FIGURES, results=RESULTS, people=["customer-001", "customer-009"])

    told = steps_of(stepfunctions, files)

    assert said(told) == [
        "A run begins (started on the phone page)",
        "Step Functions took the audience: 3 customers, 2 due",
        "Skipped Priya Nair: gave no phone number",
        "A round of texts is done",
        "Waits until 18:00: quiet hours in Honolulu",
    ]
    assert {one.run for one in told} == {"run-1"}


def test_a_wait_that_has_ended_is_told_as_it_was(stepfunctions: FakeStepFunctions) -> None:
    arn = begin(stepfunctions, wait=at(hours=1).isoformat())
    stepfunctions.leave(arn, "Map", "Send parts", {"next": "SEND"}, leaves=at(hours=1, seconds=2))
    came_to = {"outcomes": {"ACCEPTED": 2, "SUPPRESSED": 1}, "estimatedCostUsd": "0.02"}
    stepfunctions.end(arn, came_to, ends=at(hours=1, seconds=3))
    island = result("customer-009", "ACCEPTED", None, at(hours=1, seconds=1))

    told = steps_of(stepfunctions, RunFiles(progress=FIGURES, results=[*RESULTS, island]))

    assert "Waits until 18:00: quiet hours in Honolulu" in said(told)
    assert said(told)[-1] == "Done: 2 texts accepted, 1 person without, about $0.02"


def test_a_run_is_done_before_the_one_begins_that_follows_it(stepfunctions: FakeStepFunctions) -> None:
    arn = begin(stepfunctions)
    came_to = {"outcomes": {"ACCEPTED": 1}, "followUp": "run-1-follow-up"}
    stepfunctions.leave(arn, "Task", "Summarise", came_to, leaves=at(7))
    stepfunctions.leave(arn, "Task", "Start follow-up run", came_to, leaves=at(9))
    stepfunctions.end(arn, came_to, ends=at(10))

    told = steps_of(stepfunctions, RunFiles(progress=FIGURES))

    [done] = [one for one in told if one.words[0] == "Done: 1 text accepted, 0 people without"]
    assert done.at == at(7)


def test_a_wait_for_another_attempt_is_not_taken_for_quiet_hours(stepfunctions: FakeStepFunctions) -> None:
    begin(stepfunctions, wait=at(67).isoformat())

    told = steps_of(stepfunctions, RunFiles(progress=FIGURES, people=["customer-009"]))

    assert said(told)[-1] == "Waits until 17:01: 1 person left"


def test_a_run_that_is_held_looks_again_and_again_and_says_so_once(stepfunctions: FakeStepFunctions) -> None:
    arn = begin(stepfunctions, wait=at(11).isoformat())
    stepfunctions.enter(arn, "Wait", "Wait", {"until": at(21).isoformat()}, enters=at(11))
    stepfunctions.enter(arn, "Wait", "Wait", {"until": at(41).isoformat()}, enters=at(21))
    stepfunctions.leave(arn, "Map", "Send parts", {"next": "SEND"}, leaves=at(42))
    stepfunctions.enter(arn, "Wait", "Wait", {"until": at(103).isoformat()}, enters=at(42))
    # Of the three looks the page saw the first one alone.
    first = stepfunctions.executions[arn]["events"][-5]["id"]

    told = steps_of(stepfunctions, RunFiles(progress=FIGURES), held={first: "PAUSED"})

    assert [one for one in said(told) if one.startswith("Waits")] == [
        "Waits: all sending is paused",
        "Waits until 17:01",
    ]


def test_a_dry_run_says_that_nothing_is_sent_and_who_would_wait(stepfunctions: FakeStepFunctions) -> None:
    arn = begin(stepfunctions, {"dryRun": True})
    stepfunctions.end(arn, {"outcomes": {"WOULD_SEND": 2, "SUPPRESSED": 1}}, ends=at(8))
    island = result("customer-009", "WOULD_SEND", "QUIET_HOURS", at(4)) | {"until": at(hours=1).isoformat()}

    told = said(steps_of(stepfunctions, RunFiles(progress=FIGURES, results=[*RESULTS, island])))

    assert told[0] == "A dry run begins: nothing is sent"
    assert "Leilani Kealoha would wait until 18:00: it is not the hour for texts in Honolulu" in told
    assert told[-1] == "Done: 2 people would get it, 1 person without"


def test_people_left_out_for_the_same_reason_are_told_together(stepfunctions: FakeStepFunctions) -> None:
    begin(stepfunctions)
    results = [
        *(
            result(f"customer-00{n}", "ALREADY_SENT", "ALREADY_ASKED", at(5, minutes=n == 4))
            for n in range(1, 5)
        ),
        *(result(f"customer-00{n}", "DEFERRED", "FREQUENCY_CAP", at(5)) for n in (5, 6)),
        result("customer-007", "SUPPRESSED", "NO_PHONE", None),
    ]

    told = steps_of(stepfunctions, RunFiles(progress=FIGURES, results=results))

    assert [one for one in said(told) if one.startswith(("Skipped", "\u2068"))] == [
        "Skipped Priya Nair: gave no phone number",
        "Skipped John Doe, Łukasz Wójcik and Zoë Fontaine: asked about this before",
        "\u2068ليلى حداد\u2069 and Grace Okafor wait: had as many texts lately as anybody gets",
        "Skipped Ольга Мельник: asked about this before",
    ]


@pytest.mark.parametrize(
    ("given", "title"),
    [
        ({}, "Review requests of "),
        ({"dryRun": True}, "Dry run of "),
        ({"follows": "run-0"}, "Reminders of "),
    ],
)
def test_each_kind_of_run_has_its_heading(
    stepfunctions: FakeStepFunctions, given: Mapping[str, Any], title: str
) -> None:
    begin(stepfunctions, given)

    [run] = ExecutionReader(stepfunctions).recent()

    assert account.title_of_run(run) == (title, at(0))


def test_a_run_that_failed_tells_its_cause_and_not_its_stack(stepfunctions: FakeStepFunctions) -> None:
    arn = stepfunctions.begin("run-1", {"dryRun": "yes"}, begins=at(0))
    cause = {
        "errorMessage": "dryRun must be true or false; leave it out to send",
        "stackTrace": ['File "handler.py", line 7'] * 40,
    }
    stepfunctions.fail(arn, "BroadcastInputError", json.dumps(cause), ends=at(1))

    told = steps_of(stepfunctions, RunFiles())

    last = said(told)[-1]
    assert last.startswith("The run failed: dryRun must be true or false; leave it out to send")
    assert "handler.py" not in last
    assert told[-1].kind == "problem"


def test_a_run_that_was_stopped_is_no_failure_of_its_own(stepfunctions: FakeStepFunctions) -> None:
    arn = begin(stepfunctions)
    stepfunctions.fail(arn, "", "", ends=at(9))
    stepfunctions.executions[arn]["status"] = "ABORTED"

    assert said(steps_of(stepfunctions, RunFiles(progress=FIGURES)))[-1] == "The run was stopped"


def test_a_single_text_that_waits_is_told_by_its_person(stepfunctions: FakeStepFunctions) -> None:
    waits = {
        "functionName": "asks",
        "event": {"detail-type": "ReviewRequested", "detail": {"userId": "customer-001", "occasion": "o-1"}},
        "outcome": {"state": "DEFERRED", "until": "2026-11-22T13:00:00Z"},
    }
    arn = stepfunctions.begin("e-1", waits, begins=at(0), machine=LATER)
    stepfunctions.enter(arn, "Wait", "Wait for its hour", waits, enters=at(0))
    stepfunctions.enter(arn, "Task", "Try again", waits, enters=at(hours=20))
    stepfunctions.fail(arn, "States.Timeout", "", ends=at(hours=21))

    [execution] = ExecutionReader(stepfunctions).recent()

    assert said(account.steps_of_execution(execution, {"customer-001": "John Doe"})) == [
        "The text to John Doe waits until 13:00",
        "The text to John Doe: Try again",
        "The text to John Doe ended as FAILED: States.Timeout",
    ]


def test_any_other_state_machine_is_told_by_the_names_of_its_states(stepfunctions: FakeStepFunctions) -> None:
    machine = (
        "arn:aws:states:us-east-1:000000000000:stateMachine:local-Reviews-ReviewsTidyStateMachineD3FD08CC-1A"
    )
    stepfunctions.machines = {machine: machine.rpartition(":")[2]}
    arn = stepfunctions.begin("e-1", {}, begins=at(0), machine=machine)
    stepfunctions.enter(arn, "Task", "Sweep", {}, enters=at(1))
    stepfunctions.enter(arn, "Wait", "Rest", {}, enters=at(2))
    stepfunctions.end(arn, {}, ends=at(3))

    [execution] = ExecutionReader(stepfunctions).recent()

    assert said(account.steps_of_execution(execution, {})) == ["Reviews tidy: Sweep", "Reviews tidy: Rest"]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("local-Reviews-ReviewsDigestScheduleA407AC6F-05501E7B8F2C8", "reviews digest"),
        ("local-Reviews-ReviewsBroadcastStateMachineB9CB7BB9-4B106D7C89131: Wait", "reviews broadcast: wait"),
        ("local-Channel-ChannelMessagesTable0F3B4C5D-1ABCDEF: 3 rows", "channel messages: 3 rows"),
        ("my-schedule", "my-schedule"),
    ],
)
def test_what_cloudformation_named_is_told_in_plain_words(name: str, plain: str) -> None:
    assert account.plain_name(name) == plain


# --- the clock


def jump(**further: Any) -> Jump:
    fields = {"number": 1, "began_at": at(0), "target": at(days=1), "asked_here": True}
    return Jump(**fields | further)


def test_a_jump_tells_what_fell_due_in_it() -> None:
    due = (
        {"at": at(hours=1).isoformat(), "what": "wait", "name": "reviews-broadcast: Wait"},
        {"at": at(hours=22).isoformat(), "what": "schedule", "name": "daily"},
        {"at": at(hours=22, seconds=1).isoformat(), "what": "eclipse", "name": "x"},
    )

    told = account.steps_of_jumps([jump(ended_at=at(days=1), due=due)])

    assert said(told) == [
        "You skipped a day",
        "A wait was over: reviews-broadcast: Wait",
        "A schedule fired: daily",
        "Something fell due (eclipse): x",
        "It is 17:00: 1 wait, 1 schedule and 1 “eclipse” fell due",
    ]
    assert [one.at for one in told] == [
        at(0),
        *(datetime.fromisoformat(one["at"]) for one in due),
        at(days=1),
    ]


def test_a_jump_over_nothing_says_so() -> None:
    assert said(account.steps_of_jumps([jump(ended_at=at(days=1))]))[-1] == "It is 17:00: nothing fell due"


def test_a_jump_that_did_not_work_tells_why() -> None:
    told = account.steps_of_jumps([jump(ended_at=at(1), problem="The emulator does not answer.")])

    assert said(told) == ["You skipped a day", "The clock did not jump: The emulator does not answer."]


def test_a_jump_of_another_program_is_told_as_such() -> None:
    assert said(account.steps_of_jumps([jump(asked_here=False)])) == ["Somebody skipped a day"]


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(minutes=30), "30 minutes"),
        (timedelta(hours=1), "an hour"),
        (timedelta(days=1), "a day"),
        (timedelta(days=1, seconds=20), "a day"),
        (timedelta(weeks=1), "a week"),
        (timedelta(days=3), "3 days"),
        (timedelta(seconds=90), "0:01:30"),
    ],
)
def test_a_length_of_time_is_said_as_a_person_says_it(length: timedelta, words: str) -> None:
    assert account.duration(length) == words


def test_instants_are_told_in_utc() -> None:
    assert account.instant("2026-11-21T12:00:00-05:00") == datetime(2026, 11, 21, 17, tzinfo=UTC)
