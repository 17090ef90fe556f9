"""With a customer managed key everything that holds personal data is under it, and who must use it may."""

import json
from collections.abc import Mapping
from typing import Any, Final

import aws_cdk as cdk
import pytest
from aws_cdk import aws_kms as kms
from aws_cdk import aws_scheduler as scheduler

from sms_engagement import (
    AppointmentFollowUp,
    Journey,
    JourneyEngine,
    ReviewCollector,
    SmsAnalyticsPipeline,
    welcome_series,
)
from tests.infrastructure.synthesis import (
    Template,
    channel_in,
    nag_findings,
    new_app,
    new_stack,
    resources_of,
    template_of,
)

#: Where each type of resource names the key that its data is under.
KEY_OF: Final[Mapping[str, str]] = {
    "AWS::Athena::WorkGroup": "WorkGroupConfiguration.ResultConfiguration.EncryptionConfiguration.KmsKey",
    "AWS::DynamoDB::GlobalTable": "Replicas.0.SSESpecification.KMSMasterKeyId",
    "AWS::Events::EventBus": "KmsKeyIdentifier",
    "AWS::Kinesis::Stream": "StreamEncryption.KeyId",
    "AWS::S3::Bucket": (
        "BucketEncryption.ServerSideEncryptionConfiguration.0.ServerSideEncryptionByDefault.KMSMasterKeyID"
    ),
    "AWS::SNS::Topic": "KmsMasterKeyId",
    "AWS::SQS::Queue": "KmsMasterKeyId",
    "AWS::SecretsManager::Secret": "KmsKeyId",
}

#: What holds data, and is under a key of AWS all the same.
WITHOUT: Final[Mapping[str, str]] = {
    "AWS::Lambda::Function": "variables are names, ARNs and settings",
    "AWS::Logs::LogGroup": "logs hold no phone number, message body or live link",
    "AWS::SMSVOICE::OptOutList": "AWS End User Messaging takes no key",
    "AWS::Scheduler::Schedule": "the input has no person in it",
    "AWS::StepFunctions::StateMachine": "inputs hold ids and keys of objects only",
}

#: What holds no data of people.
NO_DATA: Final = {
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Authorizer",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::Stage",
    "AWS::Athena::NamedQuery",
    "AWS::CloudFormation::CustomResource",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::Events::Rule",
    "AWS::Glue::Database",
    "AWS::Glue::Table",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::Kinesis::StreamConsumer",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::Logs::MetricFilter",
    "AWS::Logs::QueryDefinition",
    "AWS::S3::BucketPolicy",
    "AWS::SMSVOICE::ConfigurationSet",
    "AWS::SMSVOICE::ProtectConfiguration",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::SecretsManager::ResourcePolicy",
    "AWS::SecretsManager::RotationSchedule",
    "Custom::SmsOrigination",
}

#: Services that use the key themselves, for data that they bring.
SERVICES: Final = {"events.amazonaws.com", "sms-voice.amazonaws.com", "sns.amazonaws.com"}


@pytest.fixture(scope="module")
def stacks() -> tuple[cdk.Stack, cdk.Stack]:
    """All systems under one key, which is in a stack of its own, as where another team keeps the keys."""
    app = new_app()
    keys = new_stack(app, "Keys")
    stack = new_stack(app, "Systems")
    # More than CloudFormation's 500: apps have a stack a system, and here all is looked at together.
    stack.node.set_context("@aws-cdk/core:stackResourceLimit", 1_000)
    channel = channel_in(stack, encryption_key=kms.Key(keys, "Key"))
    ReviewCollector(stack, "Reviews", channel=channel)
    AppointmentFollowUp(stack, "Appointments", channel=channel)
    analytics = SmsAnalyticsPipeline(stack, "Analytics", channel=channel)
    engine = JourneyEngine(stack, "Journeys", channel=channel, subscribers=analytics.subscribers_table)
    daily = scheduler.ScheduleExpression.cron(hour="10", minute="0", time_zone=cdk.TimeZone.AMERICA_NEW_YORK)
    Journey(stack, "Welcome", channel=channel, engine=engine, definition=welcome_series(), schedule=daily)
    app.synth()
    return keys, stack


@pytest.fixture(scope="module")
def template(stacks: tuple[cdk.Stack, cdk.Stack]) -> Template:
    return template_of(stacks[1])


@pytest.fixture(scope="module")
def key_policy(stacks: tuple[cdk.Stack, cdk.Stack]) -> list[dict[str, Any]]:
    (key,) = resources_of(template_of(stacks[0]), "AWS::KMS::Key").values()
    statements: list[dict[str, Any]] = key["KeyPolicy"]["Statement"]
    return statements


def at(properties: Any, path: str) -> Any:
    for name in path.split("."):
        if isinstance(properties, list):
            properties = properties[int(name)] if int(name) < len(properties) else {}
        else:
            properties = properties.get(name, {})
    return properties


def is_the_key(value: Any) -> bool:
    return "Keys:ExportsOutputFnGetAttKey" in json.dumps(value)


@pytest.mark.parametrize("type_", KEY_OF)
def test_what_holds_personal_data_is_under_the_key(template: Template, type_: str) -> None:
    resources = resources_of(template, type_)

    assert resources
    assert [name for name, each in resources.items() if not is_the_key(at(each, KEY_OF[type_]))] == []


def test_each_type_of_resource_is_under_the_key_or_listed(template: Template) -> None:
    types = {resource["Type"] for resource in template["Resources"].values()}

    assert types - set(KEY_OF) - set(WITHOUT) - NO_DATA == set()


def test_services_that_bring_data_may_use_the_key_for_this_account_only(
    key_policy: list[dict[str, Any]],
) -> None:
    allowed: dict[str, set[str]] = {}
    for statement in key_policy:
        services = statement["Principal"].get("Service", [])
        for service in [services] if isinstance(services, str) else services:
            allowed.setdefault(service, set()).update(statement["Action"])
            assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == "111122223333"

    assert set(allowed) == SERVICES
    assert all({"kms:Decrypt", "kms:GenerateDataKey*"} <= actions for actions in allowed.values())


def test_every_role_that_reaches_data_under_the_key_may_use_it(template: Template) -> None:
    kept_under_it = {
        name
        for type_ in KEY_OF
        if type_ not in {"AWS::Athena::WorkGroup", "AWS::Events::EventBus"}
        for name in resources_of(template, type_)
    }
    reaching, using = set(), set()
    for policy in resources_of(template, "AWS::IAM::Policy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            roles = {role["Ref"] for role in policy["Roles"]}
            text = json.dumps(statement["Resource"])
            if any(f'"{name}"' in text for name in kept_under_it):
                reaching |= roles
            if is_the_key(statement["Resource"]) and "kms:Decrypt" in statement["Action"]:
                using |= roles

    assert reaching
    assert reaching - using == set()


def test_all_systems_under_the_key_have_no_findings(stacks: tuple[cdk.Stack, cdk.Stack]) -> None:
    assert nag_findings(stacks[1]) == []


def test_analytics_may_have_a_key_of_its_own() -> None:
    stack = new_stack()
    key = kms.Key(stack, "Own")
    channel = channel_in(stack)
    SmsAnalyticsPipeline(stack, "Analytics", channel=channel, encryption_key=key)

    template = template_of(stack)

    queues = resources_of(template, "AWS::SQS::Queue")
    under = {name for name, queue in queues.items() if '"Own' in json.dumps(queue.get("KmsMasterKeyId"))}
    assert {name for name in queues if name.startswith("Analytics")} == under
    (policy,) = (
        key["KeyPolicy"]["Statement"]
        for name, key in resources_of(template, "AWS::KMS::Key").items()
        if name.startswith("Own")
    )
    services = [each["Principal"].get("Service") for each in policy]
    assert ["events.amazonaws.com", "sns.amazonaws.com"] in services
