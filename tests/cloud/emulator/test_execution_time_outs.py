"""Time-outs of executions and tasks, on a clock that jumps."""

import json
from datetime import timedelta

import pytest

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SOON = timedelta(seconds=60)


def waiting_for_a_token(running, **task):
    """An execution that sent its token to a queue, and how to take the token from there."""
    sqs = running.client("sqs")
    queue = sqs.create_queue(QueueName=f"tokens-{len(sqs.list_queues().get('QueueUrls', []))}")["QueueUrl"]
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": queue, "MessageBody.$": "$$.Task.Token"},
        "End": True,
        **task,
    }
    states = {"Ask": state, "Late": {"Type": "Pass", "End": True}, "Silent": {"Type": "Pass", "End": True}}
    execution = running.execution({"StartAt": "Ask", "States": states})
    running.clock("?quiet_within=60")
    [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
    return execution, message["Body"]


def duration(description):
    return description["stopDate"] - description["startDate"]


def test_a_token_that_nobody_sends_back_times_out(timed):
    execution, token = waiting_for_a_token(timed, TimeoutSeconds=3600)

    [due] = timed.jump(DAY)

    assert (due.what, due.name.rpartition(": ")[2]) == ("timeout", "Ask")
    described = timed.described(execution)
    assert (described["status"], described["error"]) == ("FAILED", "States.Timeout")
    assert HOUR <= duration(described) < HOUR + SOON
    states = timed.client("stepfunctions")
    with pytest.raises(states.exceptions.TaskDoesNotExist):
        states.send_task_success(taskToken=token, output="{}")


def test_a_token_that_comes_back_in_time_ends_the_wait_at_once(timed):
    execution, token = waiting_for_a_token(timed, TimeoutSeconds=3600)
    timed.jump(50 * MINUTE)

    timed.client("stepfunctions").send_task_success(taskToken=token, output='{"answer": "yes"}')

    assert timed.clock("?quiet_within=60")["next_due"] is None
    described = timed.described(execution)
    assert json.loads(described["output"]) == {"answer": "yes"}
    assert duration(described) < HOUR


def test_a_heartbeat_that_stays_away_ends_the_task(timed):
    execution, _ = waiting_for_a_token(timed, TimeoutSeconds=7200, HeartbeatSeconds=600)

    timed.jump(DAY)

    described = timed.described(execution)
    assert (described["status"], described["error"]) == ("FAILED", "States.HeartbeatTimeout")
    assert 10 * MINUTE <= duration(described) < 10 * MINUTE + SOON


def test_heartbeats_keep_a_task_alive_until_its_time_out(timed):
    execution, token = waiting_for_a_token(timed, TimeoutSeconds=3600, HeartbeatSeconds=600)
    due = []

    for _ in range(7):
        timed.client("stepfunctions").send_task_heartbeat(taskToken=token)
        due += timed.jump(8 * MINUTE)
        assert timed.described(execution)["status"] == "RUNNING"
    timed.client("stepfunctions").send_task_heartbeat(taskToken=token)
    due += timed.jump(8 * MINUTE)

    # What did not time out did not fall due either.
    assert [one.what for one in due] == ["timeout"]
    described = timed.described(execution)
    assert described["error"] == "States.Timeout"
    assert HOUR <= duration(described) < HOUR + SOON


def test_catchers_tell_a_time_out_from_a_silent_task(timed):
    catch = [
        {"ErrorEquals": ["States.HeartbeatTimeout"], "Next": "Silent"},
        {"ErrorEquals": ["States.Timeout"], "Next": "Late"},
    ]
    silent, _ = waiting_for_a_token(timed, TimeoutSeconds=7200, HeartbeatSeconds=600, Catch=catch)
    late, _ = waiting_for_a_token(timed, TimeoutSeconds=600, Catch=catch)
    either, _ = waiting_for_a_token(timed, HeartbeatSeconds=600, Catch=catch[1:])

    timed.jump(DAY)

    states = timed.client("stepfunctions")
    ends = [
        states.get_execution_history(executionArn=execution, reverseOrder=True)["events"][1]
        for execution in (silent, late, either)
    ]
    assert [event["stateExitedEventDetails"]["name"] for event in ends] == ["Silent", "Late", "Late"]


def test_an_execution_ends_when_its_state_machine_s_time_is_over(timed):
    states = {"Wait": {"Type": "Wait", "Seconds": 7200, "End": True}}
    execution = timed.execution({"TimeoutSeconds": 3600, "StartAt": "Wait", "States": states})

    due = timed.jump(DAY)

    assert [one.what for one in due] == ["timeout"]
    described = timed.described(execution)
    assert (described["status"], described["error"]) == ("TIMED_OUT", "States.Timeout")
    assert HOUR <= duration(described) < HOUR + SOON
    history = timed.client("stepfunctions").get_execution_history(executionArn=execution, reverseOrder=True)
    assert history["events"][0]["type"] == "ExecutionTimedOut"


def test_an_execution_that_ends_in_time_is_due_no_more(timed):
    states = {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}
    execution = timed.execution({"TimeoutSeconds": 3600, "StartAt": "Wait", "States": states})

    due = timed.jump(DAY)

    assert [one.what for one in due] == ["wait"]
    assert timed.described(execution)["status"] == "SUCCEEDED"


def test_a_task_that_starts_another_execution_and_waits_for_it_times_out_too(timed):
    inner = timed.state_machine(
        {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 7200, "End": True}}}
    )
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": inner, "Input": {}},
        "TimeoutSeconds": 3600,
        "End": True,
    }
    execution = timed.execution({"StartAt": "Run", "States": {"Run": state}})

    timed.jump(DAY)

    described = timed.described(execution)
    assert described["error"] == "States.Timeout"
    assert HOUR <= duration(described) < HOUR + SOON


def test_without_the_patch_a_heartbeat_that_stays_away_is_not_missed(start):
    with start(without=("execution_time_outs",)) as running:
        execution, _ = waiting_for_a_token(running, HeartbeatSeconds=600)
        states = {"Wait": {"Type": "Wait", "Seconds": 7200, "End": True}}
        endless = running.execution({"TimeoutSeconds": 60, "StartAt": "Wait", "States": states})

        assert "timeout" not in {one.what for one in running.jump(DAY)}

        assert running.described(execution)["status"] == "RUNNING"
        assert running.described(endless)["status"] == "SUCCEEDED"
