"""The report of a broadcast on the phone page, over what the engine really writes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from sms_engagement_runtime.channel.adapters.run_store import S3RunStore
from sms_engagement_runtime.channel.domain.broadcast.outcomes import REMAINING, PersonOutcome, RunReason
from sms_engagement_runtime.channel.domain.broadcast.run import PartReport, Run, read_run
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.review_collector.domain.reasons import AskReason
from sms_local import phone
from sms_local.people import PEOPLE, SITUATIONS
from sms_local.phone.executions import Execution, ExecutionReader, StateEvent, read_problem
from sms_local.phone.runs import (
    GROUPS,
    MOST_PEOPLE,
    Broadcast,
    RunFiles,
    RunFilesReader,
    describe_run,
    turns_of,
    waits_until,
)
from sms_local.phone.words import OUTCOMES, REASONS, explain, isolated, listed
from tests.support.phone_page import BROADCAST, LATER, FakeStepFunctions, at
from tests.support.review_tables import aws_client

BUCKET = "broadcasts"
BROADCAST_SCRIPT = Path(phone.__file__).parent / "static" / "broadcast.js"
EVERYBODY = (*PEOPLE, *SITUATIONS)


def run(status: str = "SUCCEEDED", **further: Any) -> Execution:
    return Execution(
        arn=f"{BROADCAST}:run-1",
        name="run-1",
        machine=BROADCAST,
        machine_name="reviews-broadcast",
        status=status,
        started_at=at(),
        **further,
    )


def line(user_id: str, state: str, reason: str | None = None, **further: Any) -> dict[str, Any]:
    return {"userId": user_id, "state": state, "reason": reason, "parts": 0} | further


def groups(execution: Execution, files: RunFiles) -> Mapping[str, str]:
    return {turn.user_id: turn.group for turn in turns_of(execution, files, EVERYBODY)}


# --- people


@pytest.mark.parametrize(
    ("status", "result", "group"),
    [
        ("SUCCEEDED", line("u1", "ACCEPTED"), "now"),
        ("SUCCEEDED", line("u1", "WOULD_SEND"), "now"),
        ("SUCCEEDED", line("u1", "WOULD_SEND", "QUIET_HOURS"), "later"),
        ("SUCCEEDED", line("u1", "DEFERRED", "FREQUENCY_CAP"), "later"),
        ("SUCCEEDED", line("u1", "SUPPRESSED", "OPTED_OUT"), "not"),
        ("SUCCEEDED", line("u1", "ALREADY_SENT"), "not"),
        ("SUCCEEDED", line("u1", "FAILED", "CARRIER_REFUSED"), "not"),
        ("SUCCEEDED", line("u1", "UNCERTAIN"), "unknown"),
        ("RUNNING", line("u1", "IN_FLIGHT"), "unknown"),
        ("RUNNING", line("u1", "REMAINING", "SERVICE_UNAVAILABLE"), "later"),
        ("SUCCEEDED", line("u1", "REMAINING", "PART_FAILED"), "left"),
    ],
)
def test_each_outcome_has_its_group(status: str, result: Mapping[str, Any], group: str) -> None:
    assert groups(run(status), RunFiles(results=[result])) == {"u1": group}


def test_who_has_had_no_turn_waits_while_the_run_lasts_and_is_left_when_it_was_stopped() -> None:
    files = RunFiles(people=["u1"])

    assert groups(run("RUNNING"), files) == {"u1": "later"}
    assert groups(run("ABORTED"), files) == {"u1": "left"}


def test_a_result_outweighs_an_earlier_wait() -> None:
    files = RunFiles(
        people=["u1"],
        rest=[line("u1", "DEFERRED", "FREQUENCY_CAP", until=at(hours=2).isoformat())],
        results=[line("u1", "ACCEPTED", parts=1)],
    )

    [turn] = turns_of(run(), files, EVERYBODY)

    assert (turn.group, turn.until, turn.parts) == ("now", None, 1)


def test_those_whom_nobody_expects_come_first() -> None:
    files = RunFiles(
        results=[
            line("customer-001", "ACCEPTED"),
            line("customer-007", "SUPPRESSED", "NO_PHONE"),
            line("customer-009", "DEFERRED", "QUIET_HOURS", until=at(hours=1).isoformat()),
        ]
    )

    turns = turns_of(run(), files, EVERYBODY)

    assert [turn.name for turn in turns] == ["Leilani Kealoha", "Priya Nair", "John Doe"]
    assert turns[0].words == "it is not the hour for texts in Honolulu"
    assert turns[0].until == at(hours=1)


def test_people_keep_their_places_while_texts_are_sent() -> None:
    people = ["customer-001", "customer-002", "customer-003"]
    skipped = line("customer-007", "SUPPRESSED", "NO_PHONE")
    before = RunFiles(people=people, results=[skipped])
    after = RunFiles(people=people, results=[skipped, line("customer-002", "ACCEPTED")])

    order = [[turn.user_id for turn in turns_of(run("RUNNING"), files, PEOPLE)] for files in (before, after)]

    assert order[0] == order[1] == ["customer-007", *people]


# --- figures


def summary(**further: Any) -> dict[str, Any]:
    return {
        "customers": 10,
        "recipients": 7,
        "outcomes": {"WOULD_SEND": 7, "SUPPRESSED": 3},
        "reasons": {"QUIET_HOURS": 1, "NO_PHONE": 1, "LANDLINE": 1, "DUPLICATE_PHONE": 1},
        "parts": 7,
        "estimatedCostUsd": "0.06",
        "dryRun": True,
        "paused": False,
        "stoppedBy": None,
    } | further


def test_a_dry_run_counts_who_would_get_it_now_and_who_later() -> None:
    report = describe_run(run(given={"dryRun": True}, came_to=summary(paused=True)), RunFiles(), [])

    assert report["groups"] == {"later": 1, "unknown": 0, "left": 0, "not": 3, "now": 6}
    assert (report["total"], report["parts"], report["costUsd"]) == (10, 7, "0.06")
    assert (report["isDry"], report["paused"]) == (True, True)


def test_a_run_that_stopped_itself_says_why() -> None:
    came_to = summary(
        dryRun=False,
        outcomes={"ACCEPTED": 4, "REMAINING": 6},
        reasons={"STOPPED_OPT_OUTS": 6},
        stoppedBy="STOPPED_OPT_OUTS",
    )

    report = describe_run(run(came_to=came_to), RunFiles(), [])

    assert report["groups"] == {"later": 0, "unknown": 0, "left": 6, "not": 0, "now": 4}
    assert report["stoppedBy"] == "the run stopped itself, since too many people opted out"


def test_a_run_of_thousands_names_some_and_counts_all() -> None:
    results = [line(f"u{number:04}", "ACCEPTED", parts=1) for number in range(900)]
    files = RunFiles(
        results=results,
        progress={
            "customers": 5000,
            "recipients": 4990,
            "remaining": 2000,
            "outcomes": {"ACCEPTED": 2980, "SUPPRESSED": 20},
            "reasons": {"NO_PHONE": 20},
            "dryRun": False,
            "reason": None,
        },
    )
    running = run("RUNNING")

    report = describe_run(running, files, turns_of(running, files, EVERYBODY))

    assert report["groups"] == {"later": 2000, "unknown": 0, "left": 0, "not": 20, "now": 2980}
    assert len(report["people"]) == MOST_PEOPLE
    assert (report["unnamed"], report["left"], report["total"]) == (5000 - MOST_PEOPLE, 2000, 5000)


def waiting(until: datetime) -> Execution:
    event = StateEvent(
        id=9, at=at(60), kind="entered", state="Wait", state_type="Wait", data={"until": until.isoformat()}
    )
    return run("RUNNING", events=(event,))


def test_a_wait_tells_until_when_and_why_where_it_is_not_for_the_hour() -> None:
    for_the_hour = describe_run(waiting(at(hours=1)), RunFiles(progress={"reason": None}), [])
    paused = describe_run(waiting(at(65)), RunFiles(progress={"reason": "PAUSED"}), [])

    assert for_the_hour["waitsUntil"] == at(hours=1).isoformat()
    assert for_the_hour["waitReason"] is None
    assert paused["waitReason"] == "all sending is paused"


def test_a_run_that_is_over_or_sends_waits_for_nothing() -> None:
    assert waits_until(run("SUCCEEDED", events=waiting(at(hours=1)).events)) is None
    assert waits_until(run("RUNNING")) is None


# --- files


@pytest.fixture
def store() -> Iterator[S3RunStore]:
    with mock_aws():
        aws_client("s3").create_bucket(Bucket=BUCKET)
        yield S3RunStore(aws_client("s3"), bucket=BUCKET)


def write_run(store: S3RunStore, *, results: Sequence[PersonOutcome], rest: Sequence[PersonOutcome]) -> Run:
    a_run = Run(run_id="run-1", started_at=at())
    store.write_people(a_run.part_key("000001-a"), ["u1", "u2", "u3"])
    store.write_outcomes(
        a_run.result_key("000000-a"),
        [PersonOutcome(user_id="u0", state=OutcomeState.SUPPRESSED, reason=Reason.NO_PHONE)],
    )
    store.write_outcomes(a_run.result_key("000001-b"), results)
    report = PartReport(ended_at=at(30), result_key=a_run.result_key("000001-b"), rest=rest)
    store.write_json(f"{a_run.report_prefix(1)}000001-a.json", report.to_json())
    store.write_json(a_run.progress_key, {"remaining": 2, "reason": None})
    return a_run


def test_what_the_engine_writes_is_read(store: S3RunStore) -> None:
    write_run(
        store,
        results=[PersonOutcome(user_id="u1", state=OutcomeState.ACCEPTED, parts=1)],
        rest=[
            PersonOutcome(
                user_id="u2",
                state=OutcomeState.DEFERRED,
                reason=Reason.FREQUENCY_CAP,
                until=at(hours=3),
            )
        ],
    )

    files = RunFilesReader(aws_client("s3"), bucket=BUCKET).read("run-1")
    turns = {turn.user_id: turn for turn in turns_of(run("RUNNING"), files, EVERYBODY)}

    assert {user_id: turn.group for user_id, turn in turns.items()} == {
        "u0": "not",
        "u1": "now",
        "u2": "later",
        "u3": "later",
    }
    assert (turns["u0"].at, turns["u1"].at, turns["u2"].at) == (None, at(30), at(30))
    assert turns["u2"].until == at(hours=3)
    assert files.progress["remaining"] == 2


def test_at_its_end_only_the_results_that_a_run_lists_count(store: S3RunStore) -> None:
    a_run = write_run(store, results=[PersonOutcome(user_id="u1", state=OutcomeState.ACCEPTED)], rest=[])
    left_by_a_dead_part = PersonOutcome(user_id="u1", state=OutcomeState.FAILED)
    store.write_outcomes(a_run.result_key("000002-c"), [left_by_a_dead_part])
    store.write_json(a_run.results_key, {"results": [{"key": a_run.result_key("000001-b")}]})

    files = RunFilesReader(aws_client("s3"), bucket=BUCKET).read("run-1")

    assert [(result["userId"], result["state"]) for result in files.results] == [("u1", "ACCEPTED")]


def test_an_object_is_read_again_only_where_it_has_changed(store: S3RunStore) -> None:
    a_run = write_run(store, results=[], rest=[])
    reader = RunFilesReader(aws_client("s3"), bucket=BUCKET)
    before = reader.read("run-1")

    store.write_json(a_run.progress_key, {"remaining": 0, "reason": None})
    after = reader.read("run-1")

    assert (before.progress["remaining"], after.progress["remaining"]) == (2, 0)
    assert after.people == before.people


@pytest.mark.usefixtures("store")
def test_a_run_that_has_written_nothing_yet_is_an_empty_report() -> None:
    files = RunFilesReader(aws_client("s3"), bucket=BUCKET).read("run-1")

    assert describe_run(run("RUNNING"), files, [])["total"] == 0
    assert [*files.results, *files.rest, *files.people] == []


def test_no_more_than_some_thousand_lines_are_read(store: S3RunStore) -> None:
    a_run = Run(run_id="run-1", started_at=at())
    for number in range(4):
        store.write_people(a_run.part_key(f"{number:06}-a"), [f"u{number}-{one}" for one in range(400)])

    files = RunFilesReader(aws_client("s3"), bucket=BUCKET).read("run-1")

    assert len(files.people) == 1000


# --- executions


@pytest.fixture
def stepfunctions() -> FakeStepFunctions:
    return FakeStepFunctions()


@pytest.mark.parametrize("is_dry", [True, False])
def test_what_a_run_is_started_with_the_engine_takes(stepfunctions: FakeStepFunctions, is_dry: bool) -> None:
    run_id = Broadcast(stepfunctions, machine=BROADCAST).start(is_dry=is_dry)

    [started] = stepfunctions.executions.values()
    read = read_run({"runId": run_id, "startedAt": at().isoformat(), "input": json.loads(started["input"])})
    assert (read.run_id, read.is_dry) == (run_id, is_dry)


def test_executions_of_all_state_machines_come_oldest_first(stepfunctions: FakeStepFunctions) -> None:
    stepfunctions.begin("run-2", {}, begins=at(60))
    stepfunctions.begin("single", {"userId": "u1"}, begins=at(30), machine=LATER)
    stepfunctions.begin("run-1", {"dryRun": True}, begins=at(0))

    found = ExecutionReader(stepfunctions).recent()

    assert [(one.name, one.machine_name) for one in found] == [
        ("run-1", "reviews-broadcast"),
        ("single", "channel-later"),
        ("run-2", "reviews-broadcast"),
    ]
    assert found[0].given == {"dryRun": True}


def test_a_running_execution_gains_events_and_an_ended_one_is_not_asked_for_again(
    stepfunctions: FakeStepFunctions,
) -> None:
    arn = stepfunctions.begin("run-1", {}, begins=at(0))
    stepfunctions.enter(arn, "Task", "Plan", {}, enters=at(1))
    reader = ExecutionReader(stepfunctions)
    first = reader.recent()[0]

    stepfunctions.leave(arn, "Task", "Plan", {"next": "DONE"}, leaves=at(2))
    stepfunctions.end(arn, {"parts": 1}, ends=at(3))
    second = reader.recent()[0]
    asked = len([call for call in stepfunctions.calls if call == "get_execution_history"])
    third = reader.recent()[0]

    assert [event.kind for event in first.events] == ["entered"]
    assert [event.kind for event in second.events] == ["entered", "left"]
    assert (second.status, second.came_to, second.stopped_at) == ("SUCCEEDED", {"parts": 1}, at(3))
    assert third is second
    assert len([call for call in stepfunctions.calls if call == "get_execution_history"]) == asked


def test_executions_from_before_a_reset_are_passed_over_though_their_time_is_later(
    stepfunctions: FakeStepFunctions,
) -> None:
    for number in range(150):
        stepfunctions.begin(f"old-{number}", {}, begins=at(days=7, seconds=number))
    reader = ExecutionReader(stepfunctions)

    reader.ignore_all()
    stepfunctions.begin("new", {}, begins=at(0))

    assert [one.name for one in reader.recent()] == ["new"]


def test_an_input_that_is_no_object_reads_as_none(stepfunctions: FakeStepFunctions) -> None:
    arn = stepfunctions.begin("run-1", {}, begins=at(0))
    stepfunctions.executions[arn]["input"] = "[1, 2"
    stepfunctions.fail(arn, "BroadcastInputError", "the input must be a JSON object", ends=at(1))

    [found] = ExecutionReader(stepfunctions).recent()

    assert found.given == {}
    assert found.problem == "the input must be a JSON object (BroadcastInputError)"


@pytest.mark.parametrize(
    ("error", "cause", "sentence"),
    [
        (
            "BroadcastInputError",
            '{"errorMessage": "dryRun must be true or false", "stackTrace": ["  File \\"x.py\\", line 7"]}',
            "dryRun must be true or false (BroadcastInputError)",
        ),
        ("States.Timeout", "", "States.Timeout"),
        ("States.Timeout", None, "States.Timeout"),
        ("", "sms-local reset", "sms-local reset"),
        (None, "{}", "{}"),
        (None, None, None),
    ],
)
def test_a_problem_is_a_sentence(error: str | None, cause: str | None, sentence: str | None) -> None:
    assert read_problem(error, cause) == sentence


# --- words

#: Codes of things that no run and no person of one ever has.
_OF_OTHERS = {
    Reason.NOT_A_TEXT_EVENT,
    Reason.MALFORMED_EVENT,
    Reason.UNKNOWN_MESSAGE,
    Reason.STALE_KEYWORD,
    Reason.ALREADY_OPTED_OUT,
    Reason.ANSWERED_BY_SERVICE,
    AskReason.ALREADY_RECORDED,
}


def test_every_outcome_and_every_reason_has_words() -> None:
    assert set(OUTCOMES) == {*map(str, OutcomeState), REMAINING}
    assert {*map(str, Reason), *map(str, RunReason), *map(str, AskReason)} - _OF_OTHERS <= set(REASONS)


def test_a_code_of_the_carrier_is_shown_as_it_is() -> None:
    assert (
        explain("FAILED", "DESTINATION_COUNTRY_BLOCKED")
        == "the carrier refused the text (DESTINATION_COUNTRY_BLOCKED)"
    )
    assert explain("NEW_STATE", None) == "NEW_STATE"


def test_the_town_explains_quiet_hours_and_nothing_else() -> None:
    assert explain("DEFERRED", "QUIET_HOURS", town="Honolulu") == "it is not the hour for texts in Honolulu"
    assert explain("SUPPRESSED", "OPTED_OUT", town="Honolulu") == "answered STOP"


@pytest.mark.parametrize(
    ("names", "sentence"),
    [([], ""), (["A"], "A"), (["A", "B"], "A and B"), (["A", "B", "C", "D"], "A, B and 2 more")],
)
def test_names_are_listed_as_in_a_sentence(names: list[str], sentence: str) -> None:
    assert listed(names) == sentence


def test_only_a_name_from_right_to_left_is_set_apart() -> None:
    assert isolated("Ольга") == "Ольга"
    assert isolated("ليلى") == "\u2068ليلى\u2069"


def test_every_group_of_a_report_is_known_to_the_page() -> None:
    script = BROADCAST_SCRIPT.read_text()

    assert all(f"{group}:" in script for group in GROUPS)
