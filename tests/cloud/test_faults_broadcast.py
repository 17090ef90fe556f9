"""The broadcast when things go wrong in the middle of it: nobody gets a text twice, nobody is lost."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from sms_local.testing import Cloud, eventually
from tests.support.cloud_drive import (
    asked_phones,
    client,
    consents_of,
    ended_execution,
    fault,
    function_with,
    inbound,
    new_customers,
    new_phone,
    phones_of,
    queue_of,
    replace_customers,
    replies_to,
    report_of,
    requests_to,
    start_broadcast,
    summary_of,
)

pytestmark = pytest.mark.cloud

_RECIPIENTS_PER_PART = "RECIPIENTS_PER_PART"


@pytest.fixture
def small_parts(running_cloud: Cloud) -> Iterator[int]:
    """Let parts be of ten people, so that a run of a few seconds has several of them."""
    name, environment = function_with(running_cloud, _RECIPIENTS_PER_PART)
    with closing(client(running_cloud, "lambda")) as functions:

        def configure(variables: dict[str, str]) -> None:
            functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})

        configure({**environment, _RECIPIENTS_PER_PART: "10"})
        yield 10
        configure(environment)


def test_two_runs_at_the_same_time_text_everybody_once(quiet_cloud: Cloud) -> None:
    people = new_customers(30)
    replace_customers(quiet_cloud, people)

    runs = [start_broadcast(quiet_cloud) for _ in range(2)]
    summaries = [summary_of(quiet_cloud, run) for run in runs]

    assert asked_phones(quiet_cloud) == phones_of(people)
    for summary in summaries:
        assert sum(summary["outcomes"].values()) == len(people)
        assert set(summary["outcomes"]) <= {"ACCEPTED", "ALREADY_SENT", "IN_FLIGHT"}
    assert sum(summary["outcomes"].get("ACCEPTED", 0) for summary in summaries) == len(people)
    assert sum(summary["parts"] for summary in summaries) == len(people)


def test_a_run_that_was_cut_off_in_the_middle_is_finished_by_the_next(
    quiet_cloud: Cloud, small_parts: int
) -> None:
    people = new_customers(60)
    replace_customers(quiet_cloud, people)
    first = start_broadcast(quiet_cloud)
    eventually(lambda: len(requests_to(quiet_cloud)) > small_parts, what="the second part")

    quiet_cloud.stepfunctions.stop_execution(executionArn=first, cause="cut off by a test")
    sent_by_first = len(requests_to(quiet_cloud))
    summary = summary_of(quiet_cloud, start_broadcast(quiet_cloud))

    assert quiet_cloud.stepfunctions.describe_execution(executionArn=first)["status"] == "ABORTED"
    # The part under way sends on for a moment, as in AWS; the parts behind it are never begun.
    assert sent_by_first < len(people) - small_parts
    assert asked_phones(quiet_cloud) == phones_of(people)
    assert sum(summary["outcomes"].values()) == len(people)
    assert summary["outcomes"]["ACCEPTED"] >= len(people) - sent_by_first - small_parts
    assert set(summary["outcomes"]) <= {"ACCEPTED", "ALREADY_SENT", "IN_FLIGHT"}


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

    def has_begun() -> bool:
        return any(row["reason"] == "THROTTLED" for row in quiet_cloud.rows("messages") if "reason" in row)

    eventually(has_begun, what="the first refusal")
    assert requests_to(quiet_cloud) == []
    fault(quiet_cloud, throttle=0)
    summary = summary_of(quiet_cloud, first)

    assert summary["outcomes"] == {"ACCEPTED": 2}
    assert asked_phones(quiet_cloud) == phones_of(people)


def test_who_writes_stop_during_a_run_gets_the_confirmation_and_nothing_after_it(quiet_cloud: Cloud) -> None:
    people = new_customers(40)
    replace_customers(quiet_cloud, people)
    inbound(quiet_cloud, from_=new_phone(), body="help")  # the router's cold start is not the subject
    run = start_broadcast(quiet_cloud)
    eventually(lambda: requests_to(quiet_cloud), what="the first text")

    phone_of = {person.user_id: person.phone for person in people}
    leaving = [phone_of[user_id] for user_id in queue_of(quiet_cloud, run)[-3:]]
    for phone in leaving:
        quiet_cloud.text_from(phone, "STOP")
    summary = summary_of(quiet_cloud, run)

    for phone in leaving:
        eventually(lambda phone=phone: replies_to(quiet_cloud, phone), what="the confirmation")
        kinds = [text["message_type"] for text in quiet_cloud.texts(phone)]
        assert kinds in (["TRANSACTIONAL"], ["PROMOTIONAL", "TRANSACTIONAL"])
        assert consents_of(quiet_cloud, phone) == {"OPTED_OUT"}
    # They were to come four seconds later: a STOP that was handled by then keeps the text away.
    assert summary["reasons"]["OPTED_OUT"] >= 1
    assert summary["outcomes"]["SUPPRESSED"] == summary["reasons"]["OPTED_OUT"]
    staying = [phone for phone in phones_of(people) if phone not in leaving]
    assert [phone for phone in asked_phones(quiet_cloud) if phone not in leaving] == staying


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
    ended = [ended_execution(quiet_cloud, run["executionArn"]) for run in runs]

    assert {execution["status"] for execution in ended} == {"FAILED"}
    assert {execution.get("error") for execution in ended} == {"BroadcastInputError"}
    assert requests_to(quiet_cloud) == []
