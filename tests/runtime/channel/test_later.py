"""What waits in Step Functions: one execution a name, with the event and the instant in its input."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError
from sms_engagement_runtime.channel.adapters.clients import stepfunctions_client
from sms_engagement_runtime.channel.adapters.later import StepFunctionsLater, timestamp
from tests.support.fakes import FakeLater

UNTIL = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
EVENT = {"id": "event-1", "detail-type": "ReviewRequested", "detail": {"userId": "u1"}, "since": "then"}


class Fake:
    def __init__(self):
        self.later = FakeLater()

    @property
    def waits(self):
        return sorted((event["id"], timestamp(until)) for event, until in self.later.waits.values())


class StepFunctions:
    def __init__(self):
        self.client = stepfunctions_client()
        self.arn = self.client.create_state_machine(
            name="later", definition="{}", roleArn="arn:aws:iam::123456789012:role/later"
        )["stateMachineArn"]
        self.later = StepFunctionsLater(self.client, state_machine_arn=self.arn, function_name="asker")

    @property
    def inputs(self):
        executions = self.client.list_executions(stateMachineArn=self.arn)["executions"]
        return {
            execution["name"]: json.loads(
                self.client.describe_execution(executionArn=execution["executionArn"])["input"]
            )
            for execution in executions
        }

    @property
    def waits(self):
        return sorted((value["event"]["id"], value["outcome"]["until"]) for value in self.inputs.values())


@pytest.fixture(params=[Fake, StepFunctions])
def machine(request):
    with mock_aws():
        yield request.param()


@pytest.fixture
def step_functions():
    with mock_aws():
        yield StepFunctions()


def test_a_wait_is_begun_once_a_name(machine):
    machine.later.postpone("event-1", EVENT, UNTIL)
    machine.later.postpone("event-1", EVENT, UNTIL + timedelta(minutes=1))
    machine.later.postpone("event-2", {**EVENT, "id": "event-2"}, UNTIL)

    assert machine.waits == [("event-1", "2026-11-22T13:00:00Z"), ("event-2", "2026-11-22T13:00:00Z")]


def test_the_input_is_what_the_machine_reads(step_functions):
    step_functions.later.postpone("event-1", EVENT, UNTIL)

    assert step_functions.inputs == {
        "event-1": {
            "functionName": "asker",
            "event": EVENT,
            "outcome": {"state": "DEFERRED", "until": "2026-11-22T13:00:00Z"},
        }
    }


@pytest.mark.parametrize("name", ["order/17", "Ünïcödé 😀", "", "x" * 81])
def test_any_id_of_an_event_makes_a_name(step_functions, name):
    step_functions.later.postpone(name, EVENT, UNTIL)
    step_functions.later.postpone(name, EVENT, UNTIL)
    step_functions.later.postpone(name + "!", EVENT, UNTIL)

    assert len(step_functions.inputs) == 2


def test_a_wait_that_could_not_be_begun_is_a_fault_that_may_pass(step_functions, monkeypatch):
    def refuse(**request):
        raise ClientError({"Error": {"Code": "ExecutionLimitExceeded"}}, "StartExecution")

    monkeypatch.setattr(step_functions.client, "start_execution", refuse)

    with pytest.raises(ServiceCallError, match="ExecutionLimitExceeded"):
        step_functions.later.postpone("event-1", EVENT, UNTIL)


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (UNTIL, "2026-11-22T13:00:00Z"),
        (UNTIL.replace(microsecond=1), "2026-11-22T13:00:01Z"),
        (UNTIL.replace(second=59, microsecond=999_999), "2026-11-22T13:01:00Z"),
        (UNTIL.astimezone(timezone(timedelta(hours=-5))), "2026-11-22T13:00:00Z"),
    ],
)
def test_nothing_comes_back_before_its_instant(instant, text):
    assert timestamp(instant) == text
