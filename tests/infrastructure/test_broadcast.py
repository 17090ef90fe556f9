"""The broadcast's state machine: every token has its value, every step its time and its way out."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_kms as kms

from sms_engagement import Broadcast, FunctionOptions, RuntimeFunction, SmsChannel, StopRules
from sms_engagement.channel.broadcast import run_bucket
from tests.infrastructure.synthesis import (
    ATTRIBUTES,
    ROOT,
    Template,
    nag_findings,
    new_stack,
    resources_of,
    rights_of,
    template_of,
)

DEFINITION = ROOT / "constructs" / "sms_engagement" / "channel" / "broadcast.asl.json"

# What ends a process or a call without an answer of our own, and what our own code calls transient. A refusal
# is among it: while a deployment replaces a policy, AWS denies what it allows before and after. Names are
# matched exactly, so the subclass is named beside its base.
PASSING = {
    "Runtime.ExitError",
    "Sandbox.Timedout",
    "ServiceCallError",
    "ServiceRefusedError",
    "States.Timeout",
}


@pytest.fixture(scope="module")
def template() -> Template:
    stack = new_stack()
    broadcast_in(stack, max_concurrency=7, follow_up_delay=cdk.Duration.days(3))
    return template_of(stack)


@pytest.fixture(scope="module")
def definition() -> dict[str, Any]:
    return dict(json.loads(DEFINITION.read_text(encoding="utf-8")))


def broadcast_in(stack: cdk.Stack, *, rate: int = 10, requests: int | None = None, **props: Any) -> Broadcast:
    attributes = replace(ATTRIBUTES, parts_per_second=rate, requests_per_second=requests)
    channel = SmsChannel.from_attributes(stack, "Channel", attributes)

    def function(name: str) -> RuntimeFunction:
        return RuntimeFunction(
            stack,
            name,
            handler=f"review_collector.handlers.{name}",
            service="tests",
            description=name,
            options=FunctionOptions(),
            environment={},
            timeout=cdk.Duration.minutes(1),
        )

    key = props.pop("encryption_key", None)
    return Broadcast(
        stack,
        "Broadcast",
        channel=channel,
        snapshot=function("audience"),
        send_part=function("send_part"),
        bucket=run_bucket(stack, "Bucket", encryption_key=key, removal_policy=cdk.RemovalPolicy.DESTROY),
        **props,
    )


def machine(template: Template) -> dict[str, Any]:
    (properties,) = resources_of(template, "AWS::StepFunctions::StateMachine").values()
    return dict(properties)


def environment_of(template: Template, handler: str) -> dict[str, Any]:
    (variables,) = (
        function["Environment"]["Variables"]
        for function in resources_of(template, "AWS::Lambda::Function").values()
        if function["Handler"].endswith(f".{handler}.handler")
    )
    return dict(variables)


def tasks(definition: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in definition["States"].items():
        if state["Type"] == "Task":
            yield name, state
        if state["Type"] == "Map":
            yield from tasks(state["ItemProcessor"])


def test_tokens_are_the_substitutions(template: Template) -> None:
    tokens = set(re.findall(r"\$\{(\w+)\}", DEFINITION.read_text(encoding="utf-8")))

    assert tokens == machine(template)["DefinitionSubstitutions"].keys()


def test_the_template_holds_the_whole_definition(template: Template, definition: dict[str, Any]) -> None:
    deployed = json.loads(machine(template)["DefinitionString"])

    assert deployed["States"]["Send parts"]["MaxConcurrency"] == 7
    deployed["States"]["Send parts"]["MaxConcurrency"] = 1
    assert deployed == definition


def test_every_step_has_a_time_limit_and_retries_with_jitter(definition: dict[str, Any]) -> None:
    found = dict(tasks(definition))

    assert found.keys() == {
        "Take audience snapshot", "Plan", "Send part", "Summarise", "Start follow-up run",
    }  # fmt: skip
    for name, task in found.items():
        assert task["TimeoutSeconds"] > 0
        for retry in task["Retry"]:
            assert retry.get("MaxAttempts") == 0 or retry["JitterStrategy"] == "FULL"
            # A failure of our own code that does not pass by itself is not tried again blindly. Only the
            # start of an execution, which its name makes repeatable, is none of our code.
            errors = [error for error in retry["ErrorEquals"] if error not in PASSING]
            is_ours = name != "Start follow-up run"
            assert all(error.startswith("Lambda.") for error in errors) or not is_ours


def test_a_run_that_failed_can_be_redriven_from_the_call_that_failed(definition: dict[str, Any]) -> None:
    # A redrive begins at the state that failed (Step Functions, RedriveExecution). Where the failure were
    # caught and led to a Fail state, it would be that one, which fails again.
    states = definition["States"]

    assert [name for name, state in states.items() if state["Type"] == "Fail"] == []
    for name in ("Take audience snapshot", "Plan", "Summarise"):
        assert "Catch" not in states[name]


@pytest.mark.parametrize("name", ["Take audience snapshot", "Plan", "Summarise"])
def test_a_right_that_is_missing_for_a_moment_does_not_end_a_run(
    definition: dict[str, Any], name: str
) -> None:
    (retry,) = definition["States"][name]["Retry"]

    assert {"ServiceCallError", "ServiceRefusedError"} <= set(retry["ErrorEquals"])
    # Longer than a deployment takes to replace a policy.
    assert retry["IntervalSeconds"] * retry["BackoffRate"] ** (retry["MaxAttempts"] - 1) >= 120


def test_no_state_is_without_a_way_to_it_and_every_way_leads_to_a_state(definition: dict[str, Any]) -> None:
    states = definition["States"]
    ways = {definition["StartAt"]}
    for state in states.values():
        ways |= {state[name] for name in ("Next", "Default") if name in state}
        ways |= {way["Next"] for name in ("Choices", "Catch") for way in state.get(name, [])}

    assert ways == states.keys()


def test_a_part_that_fails_costs_neither_the_others_nor_the_run(definition: dict[str, Any]) -> None:
    state = definition["States"]["Send parts"]

    assert state["ToleratedFailurePercentage"] == 100
    (way_out,) = state["Catch"]
    assert (way_out["ErrorEquals"], way_out["Next"], state["Next"]) == (["States.ALL"], "Plan", "Plan")
    # The plan reads what the parts reported; the state of the run stays as the plan gave it.
    assert state["ResultPath"] is None


def test_the_map_is_distributed_over_express_children_and_writes_its_results(
    definition: dict[str, Any],
) -> None:
    state = definition["States"]["Send parts"]

    assert definition["QueryLanguage"] == "JSONPath"
    assert state["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}
    assert state["ItemReader"]["Resource"].endswith(":s3:getObject")
    assert "ResultWriter" in state
    assert "ItemBatcher" not in state


def test_a_part_with_its_retries_ends_within_the_five_minutes_of_an_express_child(
    definition: dict[str, Any],
) -> None:
    task = definition["States"]["Send parts"]["ItemProcessor"]["States"]["Send part"]

    # What is tried again did not run at all.
    assert {error for retry in task["Retry"] for error in retry["ErrorEquals"]} == {
        "Lambda.TooManyRequestsException"
    }
    assert task["TimeoutSeconds"] < 300


def test_a_follow_up_is_the_same_state_machine_and_is_started_once(definition: dict[str, Any]) -> None:
    state = definition["States"]["Start follow-up run"]

    assert state["Parameters"] == {
        "StateMachineArn.$": "$$.StateMachine.Id",
        "Name.$": "$.followUp",
        "Input": {"follows.$": "$.runId"},
    }
    exists = ["StepFunctions.ExecutionAlreadyExistsException"]
    assert state["Retry"][0] == {"ErrorEquals": exists, "MaxAttempts": 0}
    assert (state["Catch"][0]["ErrorEquals"], state["Catch"][0]["Next"]) == (exists, "Done")
    # The output of a run is its summary, whether a follow-up was started or not.
    assert state["ResultPath"] is None


def test_history_is_logged_without_data(template: Template) -> None:
    logging = machine(template)["LoggingConfiguration"]

    assert logging["Level"] == "ALL"
    assert logging["IncludeExecutionData"] is False
    assert machine(template)["TracingConfiguration"] == {"Enabled": True}


def test_each_function_has_exactly_the_rights_that_it_needs(template: Template) -> None:
    rights = rights_of(template)
    objects = {"s3:GetObject", "s3:PutObject", "s3:ListBucket"}

    assert rights["audienceRole"] == objects
    assert rights["sendpartRole"] == objects
    assert rights["BroadcastPlanRole"] == rights["BroadcastSummaryRole"] == objects | {"dynamodb:GetItem"}
    assert rights["BroadcastRole"] == {
        "lambda:InvokeFunction",
        "s3:AbortMultipartUpload",
        "s3:GetObject",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
        "states:DescribeExecution",
        "states:RedriveExecution",
        "states:StartExecution",
        "states:StopExecution",
    }


def test_only_the_snapshot_sees_the_rows_that_it_sorts(template: Template) -> None:
    shuffled = {
        policy["Roles"][0]["Ref"][:-8]
        for policy in resources_of(template, "AWS::IAM::Policy").values()
        if "shuffle/" in json.dumps(policy["PolicyDocument"])
    }

    assert shuffled == {"audienceRole"}


def test_the_bucket_forgets_sorted_rows_after_days_and_runs_after_months(template: Template) -> None:
    (bucket,) = resources_of(template, "AWS::S3::Bucket").values()
    rules = bucket["LifecycleConfiguration"]["Rules"]

    assert {rule.get("Prefix"): rule["ExpirationInDays"] for rule in rules} == {None: 90, "shuffle/": 15}


@pytest.mark.parametrize(
    ("rate", "requests", "concurrency", "size", "a_second"),
    [
        (1, None, 1, 120, 1),
        (10, None, 1, 1200, 10),
        (10, 3, 1, 360, 3),
        (10, 20, 1, 1200, 10),
        (10, None, 4, 300, 10),
        (100, None, 1, 5000, 100),
        (1000, None, 10, 1000, 1000),
        (1, None, 1000, 1, 1),
    ],
)
def test_parts_are_sized_by_the_rate(
    rate: int, requests: int | None, concurrency: int, size: int, a_second: int
) -> None:
    stack = new_stack()
    broadcast_in(stack, rate=rate, requests=requests, max_concurrency=concurrency)
    template = template_of(stack)

    for handler in ("audience", "plan_broadcast"):
        variables = environment_of(template, handler)
        assert variables["RECIPIENTS_PER_PART"] == str(size)
        assert variables["RECIPIENTS_PER_SECOND"] == str(a_second)
    assert environment_of(template, "send_part")["BROADCAST_CONCURRENCY"] == str(concurrency)


@pytest.mark.parametrize(
    ("rate", "requests", "concurrency"),
    [(1, None, 1), (50, None, 1), (75, None, 2), (1000, None, 20), (1000, 100, 2)],
)
def test_functions_grow_with_the_rate(rate: int, requests: int | None, concurrency: int) -> None:
    stack = new_stack()
    broadcast_in(stack, rate=rate, requests=requests)
    template = template_of(stack)

    deployed = json.loads(machine(template)["DefinitionString"])
    assert deployed["States"]["Send parts"]["MaxConcurrency"] == concurrency
    assert environment_of(template, "send_part")["BROADCAST_CONCURRENCY"] == str(concurrency)


def test_what_is_set_reaches_the_functions() -> None:
    stack = new_stack()
    broadcast_in(
        stack,
        stop_rules=StopRules(max_opt_out_percent=2.5, min_delivery_percent=80, min_volume=500),
        expires_after=cdk.Duration.days(2),
        follow_up_delay=cdk.Duration.days(4),
    )
    template = template_of(stack)

    rules = '{"maxOptOutPercent":2.5,"minDeliveryPercent":80,"minVolume":500}'
    assert {environment_of(template, name)["STOP_RULES"] for name in ("plan_broadcast", "send_part")} == {
        rules
    }
    for name in ("audience", "plan_broadcast", "summarise_broadcast"):
        assert environment_of(template, name)["FOLLOW_UP_SECONDS"] == "345600"
    assert environment_of(template, "plan_broadcast")["RUN_EXPIRY_SECONDS"] == "172800"


def test_without_a_follow_up_no_function_knows_of_one() -> None:
    stack = new_stack()
    broadcast_in(stack)

    assert "FOLLOW_UP_SECONDS" not in json.dumps(template_of(stack))


@pytest.mark.parametrize(
    ("props", "sentence"),
    [
        ({"max_concurrency": 0}, "max_concurrency must be between 1 and 10000, got 0"),
        ({"expires_after": cdk.Duration.minutes(59)}, "expires_after must be between 1 hour and 30 days"),
        ({"expires_after": cdk.Duration.days(31)}, "expires_after must be between 1 hour and 30 days"),
        ({"follow_up_delay": cdk.Duration.hours(23)}, "follow_up_delay must be between 1 day and 14 days"),
        ({"follow_up_delay": cdk.Duration.days(15)}, "follow_up_delay must be between 1 day and 14 days"),
    ],
)
def test_what_makes_no_sense_is_refused(props: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        broadcast_in(new_stack(), **props)


def test_an_encrypted_bucket_can_be_read_by_all_of_them() -> None:
    stack = new_stack()
    broadcast_in(stack, encryption_key=kms.Key(stack, "Key"))
    rights = rights_of(template_of(stack))

    assert {"kms:Decrypt", "kms:GenerateDataKey"} <= rights["BroadcastRole"]


def test_cdk_nag_finds_nothing() -> None:
    stack = new_stack()
    broadcast_in(stack, follow_up_delay=cdk.Duration.days(3))

    assert nag_findings(stack) == []
