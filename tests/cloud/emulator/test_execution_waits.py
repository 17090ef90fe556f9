"""Waits and retries of executions, on a clock that jumps."""

import json
from datetime import UTC, datetime, timedelta

import pytest

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SOON = timedelta(seconds=60)


def wait(seconds, **more):
    return {"Type": "Wait", "Seconds": seconds, **more}


def chain(*seconds):
    """A state machine of waits, one after the other."""
    names = [f"Wait {number}" for number in range(len(seconds))]
    follow = [{"Next": name} for name in names[1:]] + [{"End": True}]
    states = {name: wait(length, **next_) for name, length, next_ in zip(names, seconds, follow, strict=True)}
    return {"StartAt": names[0], "States": states}


def parallel(*branches):
    return {
        "StartAt": "All",
        "States": {"All": {"Type": "Parallel", "Branches": list(branches), "End": True}},
    }


def history(running, execution):
    pages = running.client("stepfunctions").get_paginator("get_execution_history")
    return [event for page in pages.paginate(executionArn=execution) for event in page["events"]]


def duration(description):
    return description["stopDate"] - description["startDate"]


def test_chained_waits_end_at_their_instants_in_one_jump(timed):
    execution = timed.execution(chain(3600, 7200, 1800))

    due = timed.jump(DAY)

    machine = execution.split(":")[6]
    assert [one.name for one in due] == [f"{machine}: Wait {number}" for number in range(3)]
    assert {one.what for one in due} == {"wait"}
    described = timed.described(execution)
    assert described["status"] == "SUCCEEDED"
    assert 3.5 * HOUR <= duration(described) < 3.5 * HOUR + SOON
    entered = [
        event["timestamp"] for event in history(timed, execution) if event["type"] == "WaitStateEntered"
    ]
    assert HOUR <= entered[1] - entered[0] < HOUR + SOON
    assert 2 * HOUR <= entered[2] - entered[1] < 2 * HOUR + SOON


def test_a_wait_that_is_not_over_goes_on(timed):
    execution = timed.execution(chain(7200))

    timed.jump(HOUR)
    assert timed.described(execution)["status"] == "RUNNING"
    timed.jump(HOUR)

    assert timed.described(execution)["status"] == "SUCCEEDED"


def test_a_hundred_waits_end_in_the_order_of_their_instants(timed):
    branches = [chain(seconds) for seconds in range(6000, 0, -60)]
    execution = timed.execution(parallel(*branches))

    due = timed.jump(2 * HOUR)

    assert len(due) == 100
    assert sorted(due, key=lambda one: one.at) == due
    assert timed.described(execution)["status"] == "SUCCEEDED"


def test_items_of_a_map_wait_side_by_side_and_one_after_the_other_beyond_its_concurrency(timed):
    item = {"StartAt": "Wait", "States": {"Wait": wait(3600, End=True)}}
    state = {"Type": "Map", "ItemsPath": "$", "MaxConcurrency": 2, "ItemProcessor": item, "End": True}
    execution = timed.execution({"StartAt": "Each", "States": {"Each": state}}, [1, 2, 3, 4, 5])

    timed.jump(DAY)

    described = timed.described(execution)
    assert described["status"] == "SUCCEEDED"
    assert 3 * HOUR <= duration(described) < 3 * HOUR + SOON
    assert json.loads(described["output"]) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("form", ["Timestamp", "TimestampPath", "SecondsPath"])
def test_each_form_of_wait_follows_the_clock(timed, form):
    instant = timed.now() + HOUR
    values = {
        "Timestamp": instant.isoformat(),
        "TimestampPath": "$.until",
        "SecondsPath": "$.seconds",
    }
    states = {"Wait": {"Type": "Wait", form: values[form], "End": True}}
    given = {"until": instant.isoformat().replace("+00:00", "Z"), "seconds": 3600}
    execution = timed.execution({"StartAt": "Wait", "States": states}, given)

    [due] = timed.jump(2 * HOUR)

    assert abs(due.at - instant) < SOON
    assert abs(timed.described(execution)["stopDate"] - instant) < SOON


def test_a_timestamp_that_is_past_is_no_wait(timed):
    states = {"Wait": {"Type": "Wait", "Timestamp": "2026-11-23T11:59:59Z", "End": True}}

    described = timed.run({"StartAt": "Wait", "States": states})

    assert described["status"] == "SUCCEEDED"
    assert duration(described) < SOON


def test_a_timestamp_that_cannot_be_read_fails_the_execution(timed):
    states = {"Wait": {"Type": "Wait", "TimestampPath": "$.until", "End": True}}

    described = timed.run({"StartAt": "Wait", "States": states}, {"until": "tomorrow"})

    assert (described["status"], described["error"]) == ("FAILED", "States.Runtime")
    assert "tomorrow" in described["cause"]


def test_a_stopped_execution_waits_no_longer_and_is_due_no_more(timed):
    execution = timed.execution(parallel(chain(3600), chain(7200)))
    timed.clock("?quiet_within=60")

    timed.client("stepfunctions").stop_execution(executionArn=execution)

    assert timed.clock("?quiet_within=60")["next_due"] is None
    assert timed.jump(DAY) == []
    assert timed.described(execution)["status"] == "ABORTED"
    assert history(timed, execution)[-1]["type"] == "ExecutionAborted"


def failing(timed, **retry):
    """A state machine whose task fails, and is tried again twice."""
    function = timed.function("def handler(event, context):\n    raise ValueError('no')\n")
    retrier = {
        "ErrorEquals": ["States.ALL"],
        "IntervalSeconds": 60,
        "BackoffRate": 10,
        "MaxAttempts": 2,
        **retry,
    }
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Retry": [retrier], "End": True}
    task["Parameters"] = {"FunctionName": function}
    return timed.execution({"StartAt": "Fail", "States": {"Fail": task}})


@pytest.mark.parametrize(
    ("retry", "paused"),
    [({}, timedelta(seconds=660)), ({"MaxDelaySeconds": 90}, timedelta(seconds=150))],
    ids=["backs off", "at most so long"],
)
def test_a_retry_waits_as_long_as_it_says(timed, retry, paused):
    execution = failing(timed, **retry)

    due = timed.jump(HOUR)

    assert [(one.what, one.name.rpartition(": ")[2]) for one in due] == [("retry", "Fail")] * 2
    described = timed.described(execution)
    assert described["status"] == "FAILED"
    assert paused <= duration(described) < paused + SOON


def test_an_execution_stopped_before_a_retry_does_not_try_again(timed):
    execution = failing(timed)
    timed.clock("?quiet_within=60")

    timed.client("stepfunctions").stop_execution(executionArn=execution)

    assert timed.jump(DAY) == []
    scheduled = [event for event in history(timed, execution) if event["type"] == "TaskScheduled"]
    assert len(scheduled) == 1


def test_an_execution_starts_another_of_its_own_state_machine(timed):
    """As the follow-up of a broadcast does, by name and with the context's values."""
    start = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution",
        "Parameters": {
            "StateMachineArn.$": "$$.StateMachine.Id",
            "Name.$": "States.Format('{}-follow-up', $$.Execution.Name)",
            "Input": {"follows.$": "$$.Execution.Name", "since.$": "$$.Execution.StartTime"},
        },
        "End": True,
    }
    choice = {"Variable": "$.follows", "IsPresent": True, "Next": "Done"}
    states = {
        "Again": {"Type": "Choice", "Choices": [choice], "Default": "Wait"},
        "Wait": wait(3600, Next="Start"),
        "Start": start,
        "Done": {"Type": "Succeed"},
    }
    before = timed.now()
    execution = timed.execution({"StartAt": "Again", "States": states})

    timed.jump(2 * HOUR)

    follow_up = timed.described(f"{execution}-follow-up")
    assert follow_up["status"] == "SUCCEEDED"
    given = json.loads(follow_up["input"])
    assert given["follows"] == execution.rpartition(":")[2]
    assert abs(datetime.fromisoformat(given["since"]) - before) < SOON
    assert abs(follow_up["startDate"] - before - HOUR) < SOON


def test_a_loop_of_polls_asks_as_often_as_its_waits_say(timed):
    function = timed.function("def handler(event, context):\n    return event + 1\n")
    states = {
        "Wait": wait(3600, Next="Poll"),
        "Poll": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": function, "Payload.$": "$.polls"},
            "ResultSelector": {"polls.$": "$.Payload"},
            "Next": "Enough",
        },
        "Enough": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.polls", "NumericGreaterThanEquals": 24, "Next": "Done"}],
            "Default": "Wait",
        },
        "Done": {"Type": "Succeed"},
    }
    execution = timed.execution({"StartAt": "Wait", "States": states}, {"polls": 0})

    timed.jump(timedelta(hours=23, minutes=30))
    assert timed.described(execution)["status"] == "RUNNING"
    timed.jump(HOUR)

    described = timed.described(execution)
    assert json.loads(described["output"]) == {"polls": 24}
    assert DAY <= duration(described) < DAY + timedelta(minutes=1)


def test_without_the_patch_a_wait_stays_with_the_machine_s_clock(start):
    with start(without=("execution_waits", "execution_time_outs")) as running:
        execution = running.execution(chain(3600))

        running.clock(at=(datetime.now(UTC) + DAY).isoformat())

        assert running.clock()["next_due"] is None
        assert running.described(execution)["status"] == "RUNNING"


def test_without_the_patch_a_timestamp_that_cannot_be_read_is_passed_over(unpatched):
    states = {"Wait": {"Type": "Wait", "TimestampPath": "$.until", "End": True}}

    described = unpatched.run({"StartAt": "Wait", "States": states}, {"until": "tomorrow"})

    assert described["status"] == "SUCCEEDED"
