"""Data apart from what uses it: in a stack of its own, which refers to no other."""

import json
from collections import Counter
from collections.abc import Callable

import aws_cdk as cdk
import pytest
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct

from sms_engagement import (
    AppointmentFollowUp,
    FunctionOptions,
    Journey,
    ReviewCollector,
    SmsAnalyticsPipeline,
    welcome_series,
)
from tests.infrastructure.synthesis import (
    IDENTITY,
    SmsChannel,
    Template,
    channel_in,
    nag_findings,
    new_app,
    new_stack,
    resources_of,
    template_of,
)

HOLD_DATA = {
    "AWS::DynamoDB::GlobalTable",
    "AWS::Kinesis::Stream",
    "AWS::S3::Bucket",
    "AWS::SMSVOICE::OptOutList",
    "AWS::SecretsManager::Secret",
}
"""Types whose deletion loses something."""


def reviews(scope: Construct, channel: SmsChannel, data: Construct | None) -> Construct:
    return ReviewCollector(
        scope, "System", channel=channel, review_retention=cdk.Duration.days(365), data_scope=data
    )


def appointments(scope: Construct, channel: SmsChannel, data: Construct | None) -> Construct:
    return AppointmentFollowUp(scope, "System", channel=channel, data_scope=data)


def analytics(scope: Construct, channel: SmsChannel, data: Construct | None) -> Construct:
    return SmsAnalyticsPipeline(scope, "System", channel=channel, data_scope=data)


def journey(scope: Construct, channel: SmsChannel, data: Construct | None) -> Construct:
    subscribers = dynamodb.TableV2.from_table_name(scope, "Subscribers", "subscribers")
    return Journey(
        scope,
        "System",
        channel=channel,
        subscribers=subscribers,
        definition=welcome_series(),
        data_scope=data,
    )


SYSTEMS = pytest.mark.parametrize("make", [reviews, appointments, analytics, journey])

type Make = Callable[[Construct, SmsChannel, Construct | None], Construct]


def templates(app: cdk.App) -> dict[str, Template]:
    return {stack.stack_name: stack.template for stack in app.synth().stacks}


def holding_data(template: Template) -> set[str]:
    return {name for name, resource in template.get("Resources", {}).items() if resource["Type"] in HOLD_DATA}


@SYSTEMS
def test_everything_that_holds_data_is_in_the_data_stack(make: Make) -> None:
    app = new_app()
    data, channel_stack, system_stack = (new_stack(app, name) for name in ("Data", "Channel", "System"))
    channel = SmsChannel(channel_stack, "Channel", origination_identity=IDENTITY, data_scope=data)

    make(system_stack, channel, data)

    synthesized = templates(app)
    assert holding_data(synthesized["Data"])
    assert holding_data(synthesized["Channel"]) == holding_data(synthesized["System"]) == set()
    assert "Fn::ImportValue" not in json.dumps(synthesized["Data"])
    assert [nag_findings(stack) for stack in (data, channel_stack, system_stack)] == [[], [], []]


@SYSTEMS
def test_a_key_of_a_stack_of_its_own_makes_no_circle(make: Make) -> None:
    app = new_app()
    keys, data, channel_stack, system_stack = (
        new_stack(app, name) for name in ("Keys", "Data", "Channel", "System")
    )
    key = kms.Key(keys, "Key", enable_key_rotation=True)
    channel = SmsChannel(
        channel_stack, "Channel", origination_identity=IDENTITY, encryption_key=key, data_scope=data
    )

    make(system_stack, channel, data)

    synthesized = templates(app)
    assert "Fn::ImportValue" not in json.dumps(synthesized["Keys"])
    assert set(_imported_stacks(synthesized["Data"])) == {"Keys"}


@SYSTEMS
def test_the_same_resources_are_made_wherever_the_data_is(make: Make) -> None:
    together = new_app()
    stack = new_stack(together, "Together")
    make(stack, channel_in(stack), None)
    apart = new_app()
    data, rest = new_stack(apart, "Data"), new_stack(apart, "Rest")
    make(rest, channel_in(rest, data_scope=data), data)

    assert _types(templates(together)) == _types(templates(apart))


def test_two_constructs_of_one_name_cannot_share_a_data_stack() -> None:
    app = new_app()
    data, one, other = (new_stack(app, name) for name in ("Data", "One", "Other"))
    channel_in(one, data_scope=data)

    with pytest.raises(
        ValueError,
        match=r"data_scope Data has something named 'Channel' already, and the data of Other/Channel .* give "
        r"the construct another id, or a data_scope of its own",
    ):
        channel_in(other, data_scope=data, origination_identity=IDENTITY.replace("phone-0", "phone-1"))


def _types(synthesized: dict[str, Template]) -> list[str]:
    return sorted(
        resource["Type"]
        for template in synthesized.values()
        for resource in template.get("Resources", {}).values()
    )


def _imported_stacks(template: Template) -> list[str]:
    found = []

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if "Fn::ImportValue" in value:
                found.append(str(value["Fn::ImportValue"]).partition(":")[0])
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(template)
    return found


def _all_systems(stack: cdk.Stack, data: Construct | None, options: FunctionOptions | None = None) -> None:
    channel = channel_in(stack, data_scope=data, function_options=options)
    ReviewCollector(stack, "Reviews", channel=channel, data_scope=data)
    AppointmentFollowUp(stack, "Appointments", channel=channel, data_scope=data)
    analytics = SmsAnalyticsPipeline(stack, "Analytics", channel=channel, data_scope=data)
    Journey(
        stack,
        "Welcome",
        channel=channel,
        subscribers=analytics.subscribers_table,
        definition=welcome_series(),
        data_scope=data,
    )


# CloudFormation, quotas: 500 resources a stack, which CDK holds to at synthesis.


def test_with_the_data_apart_all_systems_fit_into_one_stack() -> None:
    app = new_app()
    data, stack = new_stack(app, "Data"), new_stack(app, "Systems")

    _all_systems(stack, data)

    assert len(template_of(stack)["Resources"]) <= 490


def test_without_saved_queries_all_systems_fit_into_one_stack_with_their_data() -> None:
    stack = new_stack()

    _all_systems(stack, None, FunctionOptions(saved_queries=False))

    template = template_of(stack)
    assert len(template["Resources"]) <= 480
    assert resources_of(template, "AWS::Logs::QueryDefinition") == {}


def test_nothing_but_saved_queries_is_left_out_with_them() -> None:
    def types(*, saved_queries: bool) -> Counter[str]:
        app = new_app()
        data, stack = new_stack(app, "Data"), new_stack(app, "Systems")
        _all_systems(stack, data, FunctionOptions(saved_queries=saved_queries))
        return Counter(_types(templates(app)))

    left_out = types(saved_queries=True) - types(saved_queries=False)
    assert set(left_out) == {"AWS::Logs::QueryDefinition"}
    assert types(saved_queries=False) <= types(saved_queries=True)
