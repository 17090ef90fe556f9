"""The broadcast when things go wrong in the middle of it: nobody gets a text twice, nobody is lost."""

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sms_local.testing import Cloud, eventually
from tests.support.cloud_drive import (
    Customer,
    asked_phones,
    client,
    command,
    consents_of,
    fault,
    functions_with,
    new_customers,
    phones_of,
    progress_of,
    queue_of,
    replace_customers,
    replies_to,
    report_of,
    requests_to,
    start_broadcast,
    subscriber_of,
    summary_of,
)

pytestmark = pytest.mark.cloud

_RECIPIENTS_PER_PART = "RECIPIENTS_PER_PART"


@pytest.fixture
def small_parts(running_cloud: Cloud) -> Iterator[int]:
    """Let parts be of ten people, so that a run of a few seconds has several of them."""
    environments = {
        name: environment
        for name, environment in functions_with(running_cloud, _RECIPIENTS_PER_PART).items()
        if "Reviews" in name
    }
    assert len(environments) == 2  # snapshot and plan
    functions = client(running_cloud, "lambda")

    def configure(**changes: str) -> None:
        for name, environment in environments.items():
            variables = {**environment, **changes}
            functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})

    configure(**{_RECIPIENTS_PER_PART: "10"})
    yield 10
    configure()


def test_two_runs_at_the_same_time_text_everybody_once(quiet_cloud: Cloud) -> None:
    people = new_customers(30)
    replace_customers(quiet_cloud, people)

    runs = [start_broadcast(quiet_cloud) for _ in range(2)]
    summaries = [summary_of(quiet_cloud, run) for run in runs]

    assert asked_phones(quiet_cloud) == phones_of(people)
    for summary in summaries:
        assert sum(summary["outcomes"].values()) == len(people)
        # Who was being texted by the other run was looked at again, a minute later.
        assert set(summary["outcomes"]) <= {"ACCEPTED", "ALREADY_SENT"}
        assert summary["complete"] is True
    assert sum(summary["outcomes"].get("ACCEPTED", 0) for summary in summaries) == len(people)
    assert sum(summary["parts"] for summary in summaries) == len(people)


def test_a_run_that_was_stopped_in_the_middle_is_finished_by_the_next(
    quiet_cloud: Cloud, small_parts: int
) -> None:
    people = new_customers(60)
    replace_customers(quiet_cloud, people)
    first = start_broadcast(quiet_cloud)
    eventually(lambda: len(requests_to(quiet_cloud)) > small_parts, what="the second part")

    quiet_cloud.stepfunctions.stop_execution(executionArn=first, cause="stopped by a test")
    sent_by_first = len(requests_to(quiet_cloud))
    summary = summary_of(quiet_cloud, start_broadcast(quiet_cloud))

    assert quiet_cloud.stepfunctions.describe_execution(executionArn=first)["status"] == "ABORTED"
    # The part under way sends on for a moment, as in AWS; the parts behind it are never begun.
    assert sent_by_first < len(people) - small_parts
    assert asked_phones(quiet_cloud) == phones_of(people)
    assert sum(summary["outcomes"].values()) == len(people)
    assert summary["outcomes"]["ACCEPTED"] >= len(people) - sent_by_first - small_parts
    assert set(summary["outcomes"]) <= {"ACCEPTED", "ALREADY_SENT"}


def test_a_function_that_is_killed_in_the_middle_of_its_part_loses_nobody(
    quiet_cloud: Cloud, small_parts: int
) -> None:
    people = new_customers(80)
    replace_customers(quiet_cloud, people)
    run = start_broadcast(quiet_cloud)
    eventually(lambda: len(requests_to(quiet_cloud)) > small_parts + 2, what="the second part")

    killed = kill_function(quiet_cloud, "SendPart")
    summary = summary_of(quiet_cloud, run)

    assert killed
    assert max(Counter(asked_phones(quiet_cloud)).values()) == 1
    assert sum(summary["outcomes"].values()) == len(people)
    # A text that was claimed and not answered when it was killed may have gone out, and is not sent again.
    assert set(summary["outcomes"]) <= {"ACCEPTED", "UNCERTAIN"}
    assert summary["outcomes"].get("UNCERTAIN", 0) <= small_parts
    assert summary["complete"] is True
    assert summary["waves"] > 1
    phone_of = {person.user_id: person.phone for person in people}
    accepted = {
        phone_of[who]
        for who, (state, _) in report_of(quiet_cloud, summary["runId"]).items()
        if state == "ACCEPTED"
    }
    assert accepted <= set(asked_phones(quiet_cloud))


def test_a_pause_in_the_middle_of_a_run_holds_the_rest_until_it_is_lifted(
    quiet_cloud: Cloud, small_parts: int
) -> None:
    people = new_customers(80)
    replace_customers(quiet_cloud, people)
    run = start_broadcast(quiet_cloud)
    eventually(lambda: len(requests_to(quiet_cloud)) > small_parts, what="the second part")

    command(quiet_cloud, "pause", "--reason", "a test")
    eventually(lambda: progress_of(quiet_cloud, run)["reason"] == "PAUSED", what="the pause")
    during_pause = asked_phones(quiet_cloud)
    progress = progress_of(quiet_cloud, run)
    quiet_cloud.advance(timedelta(hours=1))
    after_an_hour = asked_phones(quiet_cloud)
    command(quiet_cloud, "resume")
    summary = summary_of(quiet_cloud, run)

    assert small_parts < len(during_pause) < len(people)
    assert after_an_hour == during_pause
    assert (progress["next"], progress["remaining"]) == ("WAIT", len(people) - len(during_pause))
    assert summary["outcomes"] == {"ACCEPTED": len(people)}
    assert asked_phones(quiet_cloud) == phones_of(people)


def test_who_still_sleeps_is_texted_in_the_morning(cloud: Cloud) -> None:
    awake = new_customers(3)
    asleep = [replace(person, time_zone="Pacific/Honolulu") for person in new_customers(3)]
    replace_customers(cloud, [*awake, *asleep])
    # Five in the afternoon in Greenwich is seven in the morning in Honolulu.
    assert cloud.now().hour == 17
    morning = cloud.now().replace(hour=18, minute=0, second=0, microsecond=0)

    dry_run = cloud.broadcast({"dryRun": True})
    run = start_broadcast(cloud)
    eventually(lambda: len(requests_to(cloud)) == len(awake), what="the texts of the others")
    # Virtual time runs on while the jump is carried out, for some seconds on a busy machine.
    cloud.go_to(morning - timedelta(minutes=10))
    before_the_morning = asked_phones(cloud)
    due = cloud.go_to(morning + timedelta(minutes=1))
    summary = summary_of(cloud, run)

    assert dry_run["outcomes"] == {"WOULD_SEND": 6}
    assert dry_run["reasons"] == {"QUIET_HOURS": 3}
    assert before_the_morning == phones_of(awake)
    assert ("wait", morning) in [(one["what"], datetime.fromisoformat(one["at"])) for one in due]
    assert asked_phones(cloud) == phones_of([*awake, *asleep])
    late = [text for text in requests_to(cloud) if text["to"] in phones_of(asleep)]
    assert all(datetime.fromisoformat(text["sent_at"]) >= morning for text in late)
    assert summary["outcomes"] == {"ACCEPTED": 6}
    assert summary["waves"] == 2


def test_the_same_run_again_texts_nobody(quiet_cloud: Cloud) -> None:
    people = new_customers(5)
    replace_customers(quiet_cloud, people)

    quiet_cloud.broadcast()
    again = quiet_cloud.broadcast()

    assert again["outcomes"] == {"ALREADY_SENT": 5}
    assert again["reasons"] == {"ALREADY_ASKED": 5}
    assert again["parts"] == 0
    assert asked_phones(quiet_cloud) == phones_of(people)


def test_a_carrier_that_throttles_half_of_the_calls_delays_and_loses_nobody(quiet_cloud: Cloud) -> None:
    people = new_customers(12)
    replace_customers(quiet_cloud, people)
    fault(quiet_cloud, throttle=0.5)

    summary = quiet_cloud.broadcast()

    assert asked_phones(quiet_cloud) == phones_of(people)
    assert summary["outcomes"] == {"ACCEPTED": len(people)}
    assert summary["complete"] is True


def test_a_carrier_that_throttles_every_call_leaves_everybody_to_the_next_run(quiet_cloud: Cloud) -> None:
    people = new_customers(2)
    replace_customers(quiet_cloud, people)
    fault(quiet_cloud, throttle=1)
    first = start_broadcast(quiet_cloud)

    eventually(lambda: throttled(quiet_cloud, people), what="the first refusal")
    assert requests_to(quiet_cloud) == []
    fault(quiet_cloud, throttle=0)
    summary = summary_of(quiet_cloud, first)

    assert summary["outcomes"] == {"ACCEPTED": 2}
    assert asked_phones(quiet_cloud) == phones_of(people)


def test_who_writes_stop_during_a_run_gets_the_confirmation_and_nothing_after_it(quiet_cloud: Cloud) -> None:
    people = new_customers(40)
    replace_customers(quiet_cloud, people)
    fault(quiet_cloud, throttle=1)  # it holds every text until the STOPs are recorded
    run = start_broadcast(quiet_cloud)
    eventually(lambda: throttled(quiet_cloud, people), what="the first refusal")

    phone_of = {person.user_id: person.phone for person in people}
    leaving = [phone_of[user_id] for user_id in queue_of(quiet_cloud, run)[-3:]]
    for phone in leaving:
        quiet_cloud.text_from(phone, "STOP")
    for phone in leaving:
        eventually(lambda phone=phone: consents_of(quiet_cloud, phone) == {"OPTED_OUT"}, what="the opt-out")
    assert quiet_cloud.texts() == []
    fault(quiet_cloud, throttle=0)
    summary = summary_of(quiet_cloud, run)

    for phone in leaving:
        eventually(lambda phone=phone: replies_to(quiet_cloud, phone), what="the confirmation")
        assert [text["message_type"] for text in quiet_cloud.texts(phone)] == ["TRANSACTIONAL"]
        assert consents_of(quiet_cloud, phone) == {"OPTED_OUT"}
    assert summary["reasons"] == {"OPTED_OUT": 3}
    assert summary["outcomes"] == {"ACCEPTED": 37, "SUPPRESSED": 3}
    assert asked_phones(quiet_cloud) == [phone for phone in phones_of(people) if phone not in leaving]


def test_a_rehearsal_sends_nothing_and_says_the_same_as_the_run_after_it(quiet_cloud: Cloud) -> None:
    people = new_customers(4)
    replace_customers(quiet_cloud, people)

    rehearsal = quiet_cloud.broadcast({"dryRun": True, "reason": "before the real thing"})
    texts_after_rehearsal = requests_to(quiet_cloud)
    run = quiet_cloud.broadcast()

    assert texts_after_rehearsal == []
    assert rehearsal["outcomes"] == {"WOULD_SEND": 4}
    assert rehearsal["reason"] == "before the real thing"
    assert rehearsal["parts"] == run["parts"] == 4
    assert rehearsal["estimatedCostUsd"] == run["estimatedCostUsd"]
    assert {state for state, _ in report_of(quiet_cloud, rehearsal["runId"]).values()} == {"WOULD_SEND"}


def test_a_mistyped_rehearsal_fails_and_texts_nobody(quiet_cloud: Cloud) -> None:
    replace_customers(quiet_cloud, new_customers(1))
    strange: list[Any] = [[], {"dryRun": "yes"}, {"dryrun": True}, {"reason": 7}]

    machine = quiet_cloud.outputs["state_machines"]["review_broadcast"]
    runs = [
        quiet_cloud.stepfunctions.start_execution(stateMachineArn=machine, input=json.dumps(one))
        for one in strange
    ]
    ended = [quiet_cloud.ended(run["executionArn"]) for run in runs]

    assert {execution["status"] for execution in ended} == {"FAILED"}
    assert {execution.get("error") for execution in ended} == {"BroadcastInputError"}
    assert requests_to(quiet_cloud) == []


def throttled(cloud: Cloud, people: Sequence[Customer]) -> list[Any]:
    """Return rows of these people's texts that the carrier has refused for the rate."""
    own = {subscriber_of(cloud, person.phone or "") for person in people}
    return [
        row
        for row in cloud.rows("messages")
        if row["subscriberId"] in own and row.get("reason") == "THROTTLED"
    ]


def kill_function(cloud: Cloud, name: str) -> bool:
    """Kill the processes of a function of this cloud, as when Lambda's host fails; say whether one ran."""
    folder, killed = str(cloud.places.folder.resolve()), False
    for process in Path("/proc").glob("[0-9]*"):
        try:
            # A worker is a fork, with the command line of its parent; its script stays open.
            opened = [str(file.readlink()) for file in (process / "fd").iterdir()]
        except OSError:
            continue  # it has ended in between, or is somebody else's
        if any(path.startswith(folder) and name in path and path.endswith(".py") for path in opened):
            os.kill(int(process.name), signal.SIGKILL)
            killed = True
    return killed
