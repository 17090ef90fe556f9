"""Later: what it makes, what it may do, and that its steps lead on."""

import json
import re
from datetime import timedelta
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sqs as sqs
from syrupy.assertion import SnapshotAssertion

from sms_engagement import FunctionOptions, RuntimeFunction
from sms_engagement.channel.later import Later
from sms_engagement_runtime.review_collector.domain.asking import FARTHEST_OCCASION
from tests.infrastructure.synthesis import (
    Template,
    nag_findings,
    new_stack,
    resources_of,
    scrubbed,
    template_of,
)


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    stack = new_stack()
    queue = sqs.Queue(stack, "Dead", enforce_ssl=True)
    function = RuntimeFunction(
        stack,
        "Asker",
        handler="review_collector.handlers.review_requested",
        service="reviews",
        description="Does what an event asks for",
        options=FunctionOptions(),
        environment={},
        timeout=cdk.Duration.minutes(1),
    )
    Later(stack, "Later", dead_letter_queue=queue).serve(function)
    return stack


@pytest.fixture(scope="module")
def template(stack: cdk.Stack) -> Template:
    return template_of(stack)


@pytest.fixture(scope="module")
def machine(template: Template) -> dict[str, Any]:
    (machine,) = resources_of(template, "AWS::StepFunctions::StateMachine").values()
    return machine


@pytest.fixture(scope="module")
def definition(machine: dict[str, Any]) -> dict[str, Any]:
    definition: dict[str, Any] = json.loads(machine["DefinitionString"])
    return definition


def test_template(template: Template, snapshot: SnapshotAssertion) -> None:
    assert scrubbed(template) == snapshot


def test_no_unacknowledged_nag_finding(stack: cdk.Stack) -> None:
    # The queue of this test is not the construct's.
    assert [finding for finding in nag_findings(stack) if "Test/Dead" not in finding] == []


def test_tokens_are_the_substitutions(machine: dict[str, Any]) -> None:
    tokens = set(re.findall(r"\$\{(\w+)\}", machine["DefinitionString"]))

    assert tokens == set(machine["DefinitionSubstitutions"])


def test_every_state_leads_on_or_ends(definition: dict[str, Any]) -> None:
    states = definition["States"]
    targets = {definition["StartAt"]}
    for state in states.values():
        exits = [state.get("Next"), state.get("Default")]
        exits += [choice["Next"] for choice in [*state.get("Choices", ()), *state.get("Catch", ())]]
        targets |= {name for name in exits if name}
        assert any(exits) or state["Type"] in ("Succeed", "Fail")

    assert targets == set(states)


def test_speaks_jsonpath(definition: dict[str, Any]) -> None:
    assert definition["QueryLanguage"] == "JSONPath"
    assert "JSONata" not in json.dumps(definition)


def test_tasks_end_are_tried_again_and_caught(definition: dict[str, Any]) -> None:
    tasks = [state for state in definition["States"].values() if state["Type"] == "Task"]

    assert len(tasks) == 2
    for task in tasks:
        assert task["TimeoutSeconds"]
        assert all(retry["JitterStrategy"] == "FULL" for retry in task["Retry"])
        assert task["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


def test_what_fails_for_good_lands_in_the_dead_letter_queue_and_is_seen(definition: dict[str, Any]) -> None:
    states = definition["States"]
    kept = states[states["Try again"]["Catch"][0]["Next"]]

    assert kept["Resource"].endswith(":states:::sqs:sendMessage")
    assert kept["Parameters"] == {
        "QueueUrl": "${DeadLetterQueueUrl}",
        "MessageBody.$": "States.JsonToString($)",
    }
    assert states[kept["Next"]]["Type"] == "Fail"


def test_outlasts_every_wait(definition: dict[str, Any]) -> None:
    # What is announced, asked about as late as can be, and within the year that an execution may take.
    announced = FARTHEST_OCCASION + timedelta(days=30)
    assert announced.total_seconds() < definition["TimeoutSeconds"] < 365 * 86400


def test_is_traced_and_logged_without_data(machine: dict[str, Any]) -> None:
    assert machine["TracingConfiguration"] == {"Enabled": True}
    assert machine["LoggingConfiguration"]["IncludeExecutionData"] is False


def test_calls_the_functions_that_it_serves_and_no_other(template: Template) -> None:
    invoked = [
        statement["Resource"]
        for policy in resources_of(template, "AWS::IAM::Policy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Action"] == "lambda:InvokeFunction"
    ]

    assert [resource["Fn::GetAtt"][0][:-8] for resource in invoked] == ["Asker"]


def test_can_be_deployed_with_a_function_that_knows_it(template: Template, machine: dict[str, Any]) -> None:
    (function,) = resources_of(template, "AWS::Lambda::Function").values()

    assert function["Environment"]["Variables"]["LATER_ARN"]["Ref"].startswith("LaterStateMachine")
    # CloudFormation could make neither first, if the machine named the function.
    assert "Asker" not in json.dumps(machine)
