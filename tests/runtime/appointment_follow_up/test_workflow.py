"""Executions of the appointments' machine: their names, what is in their input, and what is no fault."""

import json
import re

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from moto import mock_aws

from sms_engagement_runtime.appointment_follow_up.adapters.workflow import StepFunctionsWorkflow
from sms_engagement_runtime.appointment_follow_up.domain.bookings import Provider, appointment_id
from sms_engagement_runtime.appointment_follow_up.domain.purposes import Purpose
from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError, ServiceRefusedError
from sms_engagement_runtime.channel.domain.errors import TransientError

ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:stateMachine-follow-up"
ID = appointment_id(Provider.CALENDLY, "https://api.calendly.com/scheduled_events/E/invitees/A")

CALLS = {
    "start": lambda workflow: workflow.start(ID),
    "notify": lambda workflow: workflow.notify(ID, Purpose.CANCELLED, occasion=Purpose.CANCELLED),
    "stop": lambda workflow: workflow.stop(ID),
}


@pytest.fixture
def states():
    with mock_aws():
        client = boto3.client("stepfunctions")
        client.create_state_machine(
            name="stateMachine-follow-up", definition="{}", roleArn="arn:aws:iam::123456789012:role/machine"
        )
        yield client


@pytest.fixture
def workflow(states):
    return StepFunctionsWorkflow(states, state_machine_arn=ARN)


def executions(states):
    return {
        found["name"]: (
            found["status"],
            json.loads(states.describe_execution(executionArn=found["executionArn"])["input"]),
        )
        for found in states.list_executions(stateMachineArn=ARN)["executions"]
    }


class FakeStates:
    """Fails every call in one way, and keeps what it was called with."""

    def __init__(self, error=None):
        self.error = error
        self.calls = []

    def __getattr__(self, name):
        def call(**arguments):
            self.calls.append((name, arguments))
            if self.error is not None:
                raise self.error

        return call


def refusal(code):
    return ClientError({"Error": {"Code": code, "Message": f"{ID} of +12025550123"}}, "operation")


class TestExecutions:
    def test_begins_with_the_confirmation_and_knows_ids_only(self, workflow, states):
        workflow.start(ID)

        assert executions(states) == {ID: ("RUNNING", {"step": "confirm", "appointmentId": ID})}

    def test_each_word_about_an_end_is_an_execution_of_its_own(self, workflow, states):
        workflow.start(ID)
        workflow.notify(ID, Purpose.CANCELLED, occasion=Purpose.CANCELLED)
        workflow.notify(ID, Purpose.NO_SHOW, occasion="no-show-1764612000")

        found = executions(states)
        assert {name: start for name, (_, start) in found.items() if name != ID} == {
            f"{ID}-cancelled": {"step": "notify", "notice": "cancelled", "appointmentId": ID},
            f"{ID}-no-show-1764612000": {"step": "notify", "notice": "no-show", "appointmentId": ID},
        }

    def test_names_are_names_that_step_functions_takes(self, workflow, states):
        workflow.notify(ID, Purpose.NO_SHOW, occasion="no-show-253402300799")

        # Step Functions, StartExecution: 1 to 80 characters; letters, digits, - and _ need no care.
        assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name) for name in executions(states))

    def test_the_input_is_text_and_not_an_enumeration(self):
        states = FakeStates()

        StepFunctionsWorkflow(states, state_machine_arn=ARN).notify(
            ID, Purpose.CANCELLED, occasion=Purpose.CANCELLED
        )

        ((_, arguments),) = states.calls
        assert type(json.loads(arguments["input"])["notice"]) is str
        assert (arguments["name"], arguments["stateMachineArn"]) == (f"{ID}-cancelled", ARN)

    @pytest.mark.parametrize("call", ["start", "notify"])
    def test_a_second_beginning_changes_nothing(self, workflow, states, call):
        CALLS[call](workflow)
        before = executions(states)

        CALLS[call](workflow)

        assert executions(states) == before

    def test_what_is_stopped_stays_stopped(self, workflow, states):
        workflow.start(ID)

        workflow.stop(ID)
        workflow.stop(ID)
        workflow.start(ID)

        assert executions(states)[ID][0] == "ABORTED"

    def test_what_never_began_is_stopped_without_a_fault(self, workflow, states):
        workflow.stop(ID)

        assert executions(states) == {}

    def test_other_executions_go_on(self, workflow, states):
        workflow.start(ID)
        workflow.notify(ID, Purpose.CANCELLED, occasion=Purpose.CANCELLED)

        workflow.stop(ID)

        assert executions(states)[f"{ID}-cancelled"][0] == "RUNNING"

    def test_what_is_stopped_is_named_by_the_machine_and_the_appointment(self):
        states = FakeStates()

        StepFunctionsWorkflow(states, state_machine_arn=ARN).stop(ID)

        ((name, arguments),) = states.calls
        assert name == "stop_execution"
        assert arguments["executionArn"] == (
            f"arn:aws:states:us-east-1:123456789012:execution:stateMachine-follow-up:{ID}"
        )
        assert ID not in arguments["cause"]


class TestFaults:
    @pytest.mark.parametrize("call", ["start", "notify"])
    def test_an_execution_that_exists_is_none(self, call):
        CALLS[call](
            StepFunctionsWorkflow(FakeStates(refusal("ExecutionAlreadyExists")), state_machine_arn=ARN)
        )

    def test_an_execution_that_does_not_exist_is_none_for_who_stops_it(self):
        CALLS["stop"](
            StepFunctionsWorkflow(FakeStates(refusal("ExecutionDoesNotExist")), state_machine_arn=ARN)
        )

    def test_an_execution_that_is_over_is_none_however_that_is_said(self):
        workflow = StepFunctionsWorkflow(FakeStates(refusal("ValidationException")), state_machine_arn=ARN)

        workflow.stop(ID)

        with pytest.raises(ServiceRefusedError):
            workflow.start(ID)

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (refusal("ThrottlingException"), ServiceCallError),
            (refusal("ExecutionLimitExceeded"), ServiceCallError),
            (refusal("StateMachineDeleting"), ServiceCallError),
            (refusal("AccessDeniedException"), ServiceRefusedError),
            (ConnectTimeoutError(endpoint_url="https://states"), ServiceCallError),
        ],
        ids=["throttled", "too many", "deleting", "no right", "no answer"],
    )
    def test_all_others_are_transient_and_quote_nothing(self, call, error, kind):
        workflow = StepFunctionsWorkflow(FakeStates(error), state_machine_arn=ARN)

        with pytest.raises(kind, match=r"states:St(art|op)Execution: \w+$") as raised:
            CALLS[call](workflow)

        assert isinstance(raised.value, TransientError)
        assert ID not in str(raised.value)

    def test_each_call_forgives_its_own_error_only(self):
        exists = StepFunctionsWorkflow(FakeStates(refusal("ExecutionAlreadyExists")), state_machine_arn=ARN)
        missing = StepFunctionsWorkflow(FakeStates(refusal("ExecutionDoesNotExist")), state_machine_arn=ARN)

        with pytest.raises(ServiceCallError):
            exists.stop(ID)
        with pytest.raises(ServiceCallError):
            missing.start(ID)
