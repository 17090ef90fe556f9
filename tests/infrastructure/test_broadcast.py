"""The broadcast's state machine: every token has its value, every step its time and its way out."""

import json
import re
from collections.abc import Iterator
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3

from sms_engagement import Broadcast
from tests.infrastructure.synthesis import ROOT, Template, new_stack, resources_of, template_of

DEFINITION = ROOT / "constructs" / "sms_engagement" / "channel" / "broadcast.asl.json"


@pytest.fixture(scope="module")
def template() -> Template:
    stack = new_stack()
    broadcast_in(stack, max_concurrency=7)
    return template_of(stack)


def broadcast_in(stack: cdk.Stack, **props: Any) -> Broadcast:
    def function(name: str) -> lambda_.IFunction:
        arn = f"arn:aws:lambda:us-east-1:111122223333:function:{name}"
        return lambda_.Function.from_function_arn(stack, name, arn)

    return Broadcast(
        stack,
        "Broadcast",
        snapshot=function("snapshot"),
        send_part=function("send"),
        summary=function("summary"),
        bucket=s3.Bucket(stack, "Bucket"),
        **props,
    )


def machine(template: Template) -> dict[str, Any]:
    (properties,) = resources_of(template, "AWS::StepFunctions::StateMachine").values()
    return dict(properties)


def tasks(definition: Any) -> Iterator[dict[str, Any]]:
    for state in definition["States"].values():
        if state["Type"] == "Task":
            yield state
        if state["Type"] == "Map":
            yield from tasks(state["ItemProcessor"])


def test_tokens_are_the_substitutions(template: Template) -> None:
    tokens = set(re.findall(r"\$\{(\w+)\}", DEFINITION.read_text(encoding="utf-8")))

    assert tokens == machine(template)["DefinitionSubstitutions"].keys()


def test_the_template_holds_the_whole_definition(template: Template) -> None:
    deployed = json.loads(machine(template)["DefinitionString"])

    assert deployed["States"]["Send parts"]["MaxConcurrency"] == 7
    deployed["States"]["Send parts"]["MaxConcurrency"] = 1
    assert deployed == json.loads(DEFINITION.read_text(encoding="utf-8"))


def test_every_step_has_a_time_limit_retries_with_jitter_and_a_way_out() -> None:
    found = list(tasks(json.loads(DEFINITION.read_text(encoding="utf-8"))))

    assert len(found) == 3
    for task in found:
        assert task["TimeoutSeconds"] > 0
        assert task["Catch"]
        for retry in task["Retry"]:
            assert retry["JitterStrategy"] == "FULL"
            # A failure of our own code is not a failure of the service, and is not tried again blindly.
            assert all(error.startswith("Lambda.") for error in retry["ErrorEquals"])


def test_the_map_is_distributed_over_express_children_and_writes_its_results() -> None:
    definition = json.loads(DEFINITION.read_text(encoding="utf-8"))
    state = definition["States"]["Send parts"]

    assert definition["QueryLanguage"] == "JSONPath"
    assert state["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}
    assert state["ItemReader"]["Resource"].endswith(":s3:getObject")
    assert "ResultWriter" in state
    assert "ItemBatcher" not in state
    # One failed part must not keep the others from being sent and counted.
    assert state["ToleratedFailurePercentage"] == 100


def test_history_is_logged_without_data(template: Template) -> None:
    logging = machine(template)["LoggingConfiguration"]

    assert logging["Level"] == "ALL"
    assert logging["IncludeExecutionData"] is False
    assert machine(template)["TracingConfiguration"] == {"Enabled": True}


def test_concurrency_beyond_the_quota_is_refused() -> None:
    with pytest.raises(ValueError, match="max_concurrency must be between 1 and 10000, got 0"):
        broadcast_in(new_stack(), max_concurrency=0)
