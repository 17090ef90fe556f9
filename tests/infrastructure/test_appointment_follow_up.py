"""AppointmentFollowUp: what it makes, what it promises, and what it refuses."""

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Annotations, Match
from syrupy.assertion import SnapshotAssertion

from sms_engagement import (
    AppointmentFollowUp,
    Budget,
    FunctionOptions,
    Provider,
    QuietHours,
    SmsChannel,
)
from sms_engagement.channel.countries import SUPPORTED_COUNTRIES
from sms_engagement_runtime.appointment_follow_up.domain.follow_up import Next
from sms_engagement_runtime.appointment_follow_up.domain.standard_texts import STANDARD_TEXTS
from tests.infrastructure.synthesis import (
    ATTRIBUTES,
    ROOT,
    Template,
    channel_in,
    nag_findings,
    new_stack,
    resources_of,
    rights_of,
    scrubbed,
    template_of,
)
from tests.support.state_machines import TaskFailed, Walk, walk

INDEX = "subscriberId-startsAt-index"
KEY_RIGHTS = {"kms:Decrypt", "kms:GenerateDataKey*"}
SENDING_RIGHTS = {
    "dynamodb:ConditionCheckItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "events:PutEvents",
    "sms-voice:SendTextMessage",
}
DAY = 86400

DEFINITION = ROOT / "constructs/sms_engagement/appointment_follow_up/follow_up.asl.json"
LATER = ROOT / "constructs/sms_engagement/channel/later.asl.json"


def imported(stack: cdk.Stack) -> Any:
    """A channel that is not in the template, so that the template is the appointments' alone."""
    return SmsChannel.from_attributes(stack, "Channel", ATTRIBUTES)


def table_in(stack: cdk.Stack, **options: Any) -> dynamodb.TableV2:
    table = dynamodb.TableV2(
        stack,
        "OurConversations",
        partition_key=dynamodb.Attribute(name="appointmentId", type=dynamodb.AttributeType.STRING),
        time_to_live_attribute="expiresAt",
        point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
            point_in_time_recovery_enabled=True
        ),
        **options,
    )
    table.add_global_secondary_index(
        index_name=INDEX,
        partition_key=dynamodb.Attribute(name="subscriberId", type=dynamodb.AttributeType.STRING),
        sort_key=dynamodb.Attribute(name="startsAt", type=dynamodb.AttributeType.NUMBER),
    )
    return table


def everything_on(stack: cdk.Stack) -> AppointmentFollowUp:
    key = kms.Key(stack, "Key", enable_key_rotation=True)
    return AppointmentFollowUp(
        stack,
        "Appointments",
        channel=channel_in(
            stack,
            encryption_key=key,
            max_parts=2,
            allowed_countries=sorted(SUPPORTED_COUNTRIES),
            sender_name="A Name Of Forty Letters, As Many As Go",
            budget=Budget(per_day_usd="99999.99", per_campaign_usd="99999.99"),
        ),
        providers=[Provider.CALENDLY],
        signing_keys={
            Provider.CALENDLY: secretsmanager.Secret.from_secret_name_v2(stack, "TheirKey", "calendly/key")
        },
        conversations_table=table_in(
            stack, encryption=dynamodb.TableEncryptionV2.customer_managed_key(key), deletion_protection=True
        ),
        bus=events.EventBus(stack, "CrmBus"),
        follow_up_delay=cdk.Duration.minutes(45),
        near_start=cdk.Duration.minutes(90),
        reminders=[cdk.Duration.hours(2), cdk.Duration.days(3), cdk.Duration.hours(24)],
        feedback_delay=cdk.Duration.hours(5),
        retention=cdk.Duration.days(30),
        default_country="GB",
        default_language="de",
        default_time_zone="Europe/Berlin",
        phone_questions=["Your “number”", "Téléphone ?"],
        language_questions=["Which language do you speak?"],
        quiet_hours=QuietHours(allowed_from="09:00", allowed_until="20:00"),
        texts={
            "follow-up": {
                "en": ["Still on for {{time}}? 1 to confirm", "See you {{time}}? 1 to confirm"],
                "de": ["Passt es {{time}}? 1 für Ja", "Bis {{time}}? 1 für Ja"],
            }
        },
        holdouts={"follow-up": 10, "reminder": 5},
        host_topic=sns.Topic(
            stack, "Desk", enforce_ssl=True, master_key=kms.Key(stack, "DeskKey", enable_key_rotation=True)
        ),
        webhook_concurrency=None,
        webhooks_per_second=5,
        function_options=FunctionOptions(architecture=cdk.aws_lambda.Architecture.X86_64),
        alarm_topic=sns.Topic(stack, "Pager", enforce_ssl=True),
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )


@pytest.fixture(scope="module")
def default_stack() -> cdk.Stack:
    stack = new_stack()
    AppointmentFollowUp(stack, "Appointments", channel=imported(stack))
    return stack


@pytest.fixture(scope="module")
def default(default_stack: cdk.Stack) -> Template:
    return template_of(default_stack)


@pytest.fixture(scope="module")
def full_stack() -> cdk.Stack:
    stack = new_stack()
    everything_on(stack)
    return stack


@pytest.fixture(scope="module")
def full(full_stack: cdk.Stack) -> Template:
    return template_of(full_stack)


def function_of(template: Template, name: str) -> dict[str, Any]:
    (found,) = (
        properties
        for id_, properties in resources_of(template, "AWS::Lambda::Function").items()
        if id_[:-8] == f"Appointments{name}"
    )
    return found


def environment_of(template: Template, name: str) -> dict[str, Any]:
    variables: dict[str, Any] = function_of(template, name)["Environment"]["Variables"]
    return variables


def test_default_template(default: Template, snapshot: SnapshotAssertion) -> None:
    assert scrubbed(default) == snapshot


def test_template_with_everything_set(full: Template, snapshot: SnapshotAssertion) -> None:
    assert scrubbed(full) == snapshot


def test_no_unacknowledged_nag_finding(default_stack: cdk.Stack, full_stack: cdk.Stack) -> None:
    assert nag_findings(default_stack) == []
    assert nag_findings(full_stack) == []


def test_ids_of_what_holds_data_are_a_public_contract(default: Template) -> None:
    kept = {
        name: resource["Type"]
        for name, resource in default["Resources"].items()
        if resource.get("DeletionPolicy") == "Retain"
    }

    assert kept == {
        "AppointmentsCalcomSigningKeyA9EADABE": "AWS::SecretsManager::Secret",
        "AppointmentsCalendlySigningKey2233B260": "AWS::SecretsManager::Secret",
        "AppointmentsConversations5517F569": "AWS::DynamoDB::GlobalTable",
    }


def test_each_function_has_exactly_the_rights_that_it_needs(default: Template) -> None:
    assert rights_of(default) == {
        # Sends no text, reads no contact, publishes nothing.
        "AppointmentsWebhookRole": {
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "secretsmanager:GetSecretValue",
            "states:StartExecution",
            "states:StopExecution",
        },
        "AppointmentsFollowUpRole": SENDING_RIGHTS,
        "AppointmentsPhoneEventsRole": SENDING_RIGHTS
        | {
            "dynamodb:Query",
            "sns:Publish",
            "sqs:GetQueueAttributes",
            "sqs:GetQueueUrl",
            "sqs:SendMessage",
            "states:StartExecution",
        }
        | KEY_RIGHTS,
        "AppointmentsStateMachineRole": {"lambda:InvokeFunction", "sqs:SendMessage"},
        "AppointmentsLaterRole": {"lambda:InvokeFunction", "sqs:SendMessage"},
    }


def statements_of(template: Template, role: str, action: str) -> list[str]:
    """Resources, as JSON, of the statements that allow an action to a role."""
    return [
        json.dumps(statement["Resource"])
        for policy in resources_of(template, "AWS::IAM::Policy").values()
        if any(entry["Ref"].startswith(f"Appointments{role}Role") for entry in policy["Roles"])
        for statement in policy["PolicyDocument"]["Statement"]
        if action in statement["Action"]
    ]


@pytest.mark.parametrize(
    ("role", "action", "resources"),
    [
        ("Webhook", "dynamodb:GetItem", ["Conversations"]),
        ("Webhook", "dynamodb:PutItem", ["Conversations"]),
        ("Webhook", "secretsmanager:GetSecretValue", ["CalcomSigningKey", "CalendlySigningKey"]),
        ("Webhook", "states:StartExecution", ["StateMachine"]),
        # With a wildcard behind it: executions have the names of their appointments.
        ("Webhook", "states:StopExecution", ["StateMachine"]),
        ("FollowUp", "dynamodb:ConditionCheckItem", ["Conversations"]),
        ("PhoneEvents", "dynamodb:Query", ["Conversations"]),
        ("PhoneEvents", "sns:Publish", ["HostTopic"]),
        ("PhoneEvents", "states:StartExecution", ["LaterStateMachine"]),
        ("PhoneEvents", "sqs:SendMessage", ["DeadLetters"]),
        ("StateMachine", "lambda:InvokeFunction", ["FollowUp"]),
        ("StateMachine", "sqs:SendMessage", ["DeadLetters"]),
        ("Later", "lambda:InvokeFunction", ["PhoneEvents"]),
        ("Later", "sqs:SendMessage", ["DeadLetters"]),
    ],
)
def test_rights_are_on_what_is_needed_alone(
    default: Template, role: str, action: str, resources: list[str]
) -> None:
    statements = statements_of(default, role, action)
    own = sorted(set(re.findall(r'"Appointments([A-Za-z]+)[0-9A-F]{8}"', " ".join(statements))))

    assert statements
    assert own == resources
    assert action == "states:StopExecution" or not any("*" in statement for statement in statements)


def test_the_webhook_reads_its_keys_and_the_subscriber_key_and_nothing_of_the_channel(
    default: Template,
) -> None:
    (secrets,) = statements_of(default, "Webhook", "secretsmanager:GetSecretValue")

    assert json.loads(secrets)[0] == ATTRIBUTES.subscriber_key_secret_arn
    assert len(json.loads(secrets)) == 3
    for action in ("dynamodb:GetItem", "dynamodb:PutItem"):
        assert not any("table/" in found for found in statements_of(default, "Webhook", action))


def test_the_webhook_stops_executions_of_its_own_machine_only(default: Template) -> None:
    (stopped,) = statements_of(default, "Webhook", "states:StopExecution")

    assert re.fullmatch(
        r'.*:states:us-east-1:111122223333:execution:", '
        r'\{"Fn::GetAtt": \["AppointmentsStateMachineA3BED204", "Name"\]\}, ":\*"\]\]\}',
        stopped,
    )


def test_routes_are_the_providers(default: Template, full: Template) -> None:
    def routes(template: Template) -> list[str]:
        return sorted(
            route["RouteKey"] for route in resources_of(template, "AWS::ApiGatewayV2::Route").values()
        )

    assert routes(default) == ["POST /webhooks/calcom", "POST /webhooks/calendly"]
    assert routes(full) == ["POST /webhooks/calendly"]


def test_the_urls_to_give_to_providers_are_the_routes() -> None:
    stack = new_stack()

    appointments = AppointmentFollowUp(stack, "Appointments", channel=imported(stack))

    urls = {provider.value: stack.resolve(url) for provider, url in appointments.webhook_urls.items()}
    assert set(urls) == {"calendly", "calcom"}
    for provider, url in urls.items():
        assert url["Fn::Join"][1][-1].endswith(f"/webhooks/{provider}")


def test_access_log_has_neither_headers_nor_addresses(default: Template) -> None:
    (stage,) = resources_of(default, "AWS::ApiGatewayV2::Stage").values()
    logged = set(json.loads(stage["AccessLogSettings"]["Format"]).values())

    assert logged == {
        "$context.integrationErrorMessage",
        "$context.requestId",
        "$context.requestTime",
        "$context.responseLatency",
        "$context.responseLength",
        "$context.routeKey",
        "$context.status",
    }


def test_what_the_public_calls_is_throttled_and_cannot_starve_the_account(
    default: Template, full: Template
) -> None:
    def limits(template: Template) -> Any:
        (stage,) = resources_of(template, "AWS::ApiGatewayV2::Stage").values()
        return stage["DefaultRouteSettings"]

    assert limits(default) == {"ThrottlingBurstLimit": 40, "ThrottlingRateLimit": 20}
    assert limits(full) == {"ThrottlingBurstLimit": 10, "ThrottlingRateLimit": 5}
    reserved = {
        name: function_of(default, name).get("ReservedConcurrentExecutions")
        for name in ("Webhook", "FollowUp", "PhoneEvents")
    }
    assert reserved == {"Webhook": 10, "FollowUp": None, "PhoneEvents": None}
    assert "ReservedConcurrentExecutions" not in function_of(full, "Webhook")


def test_the_table_is_protected_recoverable_encrypted_and_forgets_in_time(default: Template) -> None:
    (table,) = resources_of(default, "AWS::DynamoDB::GlobalTable").values()
    (replica,) = table["Replicas"]

    assert [key["AttributeName"] for key in table["KeySchema"]] == ["appointmentId"]
    assert [
        (index["IndexName"], [key["AttributeName"] for key in index["KeySchema"]])
        for index in table["GlobalSecondaryIndexes"]
    ] == [(INDEX, ["subscriberId", "startsAt"])]
    assert {"AttributeName": "startsAt", "AttributeType": "N"} in table["AttributeDefinitions"]
    assert replica["DeletionProtectionEnabled"] is True
    assert replica["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS"}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expiresAt", "Enabled": True}


def test_a_removal_policy_reaches_everything_that_holds_data() -> None:
    stack = new_stack()

    AppointmentFollowUp(
        stack, "Appointments", channel=imported(stack), removal_policy=cdk.RemovalPolicy.DESTROY
    )

    template = template_of(stack)
    kept = [name for name, one in template["Resources"].items() if one.get("DeletionPolicy") == "Retain"]
    (table,) = resources_of(template, "AWS::DynamoDB::GlobalTable").values()
    assert kept == []
    assert table["Replicas"][0]["DeletionProtectionEnabled"] is False


def test_topics_and_queues_take_nothing_without_tls(default: Template) -> None:
    policies = [
        *resources_of(default, "AWS::SNS::TopicPolicy").values(),
        *resources_of(default, "AWS::SQS::QueuePolicy").values(),
    ]

    assert len(policies) == 2
    for policy in policies:
        assert any(
            statement["Effect"] == "Deny"
            and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            for statement in policy["PolicyDocument"]["Statement"]
        )
    (queue,) = resources_of(default, "AWS::SQS::Queue").values()
    assert (queue["SqsManagedSseEnabled"], queue["MessageRetentionPeriod"]) == (True, 14 * DAY)
    (topic,) = resources_of(default, "AWS::SNS::Topic").values()
    assert topic["KmsMasterKeyId"] == ATTRIBUTES.topic_key_arn


def test_signing_keys_are_long_and_random_and_of_each_provider(default: Template) -> None:
    secrets = resources_of(default, "AWS::SecretsManager::Secret").values()

    assert [secret["GenerateSecretString"] for secret in secrets] == [
        {"ExcludePunctuation": True, "PasswordLength": 64}
    ] * 2


def test_logs_are_kept_for_a_while_and_hold_no_data(default: Template) -> None:
    groups = resources_of(default, "AWS::Logs::LogGroup").values()
    machines = resources_of(default, "AWS::StepFunctions::StateMachine").values()

    assert {group["RetentionInDays"] for group in groups} == {90}
    assert len(machines) == 2
    for machine in machines:
        assert machine["LoggingConfiguration"]["IncludeExecutionData"] is False
        assert machine["TracingConfiguration"] == {"Enabled": True}
    for function in resources_of(default, "AWS::Lambda::Function").values():
        assert function["TracingConfig"] == {"Mode": "Active"}


def test_events_of_the_channel_reach_the_function_and_end_in_a_dead_letter_queue(default: Template) -> None:
    rules = {
        name[len("Appointments") : -8]: rule
        for name, rule in resources_of(default, "AWS::Events::Rule").items()
    }

    assert {name: rule["EventPattern"] for name, rule in rules.items()} == {
        "Answers": {
            "source": ["sms-engagement"],
            "detail-type": ["ReplyReceived", "TextFailed"],
            "detail": {"construct": ["appointments"]},
        },
        # Whoever leaves, leaves everything: by the answer to a review as well.
        "OptOuts": {"source": ["sms-engagement"], "detail-type": ["OptedOut"]},
    }
    for rule in rules.values():
        (target,) = rule["Targets"]
        assert target["Arn"]["Fn::GetAtt"][0].startswith("AppointmentsPhoneEvents")
        assert "DeadLetterConfig" in target
        assert rule["EventBusName"]
    (asynchronous,) = resources_of(default, "AWS::Lambda::EventInvokeConfig").values()
    assert asynchronous["MaximumRetryAttempts"] == 2
    assert asynchronous["MaximumEventAgeInSeconds"] == 6 * 3600
    assert asynchronous["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"][0].startswith(
        "AppointmentsDeadLetters"
    )


def test_answers_come_by_the_channels_bus_and_the_crm_hears_by_its_own(full: Template) -> None:
    rules = resources_of(full, "AWS::Events::Rule")
    own = [rule for name, rule in rules.items() if name.startswith("Appointments")]

    assert {rule["EventBusName"]["Ref"][:-8] for rule in own} == {"ChannelBus"}
    for name in ("FollowUp", "PhoneEvents"):
        assert environment_of(full, name)["BUS_NAME"]["Ref"].startswith("CrmBus")
    assert environment_of(full, "FollowUp")["CHANNEL_BUS_NAME"]["Ref"].startswith("ChannelBus")
    puts = "".join(statements_of(full, "FollowUp", "events:PutEvents"))
    assert sorted(re.findall(r"(CrmBus|ChannelBus)", puts)) == ["ChannelBus", "CrmBus"]
    # It asks for no review.
    assert "ChannelBus" not in "".join(statements_of(full, "PhoneEvents", "events:PutEvents"))


def test_a_bus_is_not_written_to_for_reviews_that_nobody_asks_for() -> None:
    stack = new_stack()

    AppointmentFollowUp(
        stack,
        "Appointments",
        channel=imported(stack),
        bus=events.EventBus(stack, "CrmBus"),
        feedback=False,
    )

    template = template_of(stack)
    (bus,) = statements_of(template, "FollowUp", "events:PutEvents")
    assert "CrmBus" in bus
    assert (
        json.loads(environment_of(template, "FollowUp")["FOLLOW_UP_POLICY"])["feedbackDelaySeconds"] is None
    )


def test_waits_and_spans_reach_whoever_decides(default: Template, full: Template) -> None:
    def policies(template: Template) -> Iterator[Any]:
        return (
            json.loads(environment_of(template, name)["FOLLOW_UP_POLICY"])
            for name in ("FollowUp", "PhoneEvents")
        )

    for policy in policies(default):
        assert policy == {
            "followUpDelaySeconds": 1800,
            "nearStartSeconds": 3600,
            "reminderSeconds": [DAY],
            "feedbackDelaySeconds": 7200,
            "retentionSeconds": 90 * DAY,
        }
    for policy in policies(full):
        assert policy == {
            "followUpDelaySeconds": 2700,
            "nearStartSeconds": 5400,
            "reminderSeconds": [3 * DAY, DAY, 7200],
            "feedbackDelaySeconds": 18000,
            "retentionSeconds": 30 * DAY,
        }
    assert environment_of(default, "Webhook")["RETENTION_SECONDS"] == str(90 * DAY)
    assert environment_of(full, "Webhook")["RETENTION_SECONDS"] == str(30 * DAY)


def test_languages_zones_countries_and_questions_reach_whoever_reads_them(
    default: Template, full: Template
) -> None:
    webhook, speaker = environment_of(full, "Webhook"), environment_of(full, "FollowUp")

    assert webhook["DEFAULT_COUNTRY"] == "GB"
    assert json.loads(webhook["PHONE_QUESTIONS"]) == {"questions": ["Your “number”", "Téléphone ?"]}
    assert json.loads(webhook["LANGUAGE_QUESTIONS"]) == {"questions": ["Which language do you speak?"]}
    assert (speaker["DEFAULT_LOCALE"], speaker["DEFAULT_TIME_ZONE"]) == ("de", "Europe/Berlin")
    assert json.loads(speaker["HOLDOUTS"]) == {"follow-up": 10, "reminder": 5}
    assert json.loads(speaker["QUIET_HOURS"])["from"] == "09:00"
    plain = environment_of(default, "Webhook")
    assert not {"PHONE_QUESTIONS", "LANGUAGE_QUESTIONS"} & set(plain)
    assert plain["DEFAULT_COUNTRY"] == "US"
    assert "HOLDOUTS" not in environment_of(default, "FollowUp")


def test_texts_are_in_a_layer_of_the_functions_that_send(default: Template, full: Template) -> None:
    def layers(template: Template) -> dict[str, list[str]]:
        return {
            name: [layer["Ref"] for layer in function_of(template, name)["Layers"]]
            for name in ("Webhook", "FollowUp", "PhoneEvents")
        }

    assert {name: len(found) for name, found in layers(default).items()} == {
        "Webhook": 1,
        "FollowUp": 1,
        "PhoneEvents": 1,
    }
    chosen = layers(full)
    assert len(chosen["Webhook"]) == 1
    assert chosen["FollowUp"] == chosen["PhoneEvents"]
    (texts,) = set(chosen["FollowUp"]) - set(chosen["Webhook"])
    assert texts.startswith("AppointmentsTexts")


def test_texts_of_all_kinds_fit_and_leave_the_environment_small() -> None:
    stack = new_stack()
    texts = {purpose.value: dict(by_locale) for purpose, by_locale in STANDARD_TEXTS.items()}

    everything_on(stack)
    AppointmentFollowUp(
        stack,
        "Others",
        channel=SmsChannel.from_attributes(stack, "OtherChannel", ATTRIBUTES),
        texts=texts,
        phone_questions=["é" * 190] * 3,
        language_questions=["Which language do you speak?"],
        holdouts={"follow-up": 10, "reminder": 5, "no-show": 5},
    )

    functions = resources_of(template_of(stack), "AWS::Lambda::Function")
    assert len([name for name in functions if name.startswith(("Appointments", "Others"))]) == 6
    for name, function in functions.items():
        # Names and ARNs that only a deployment knows, with stacks that are called by a long name.
        size = sum(
            len(key) + len(value.encode() if isinstance(value, str) else b"x" * 150)
            for key, value in function["Environment"]["Variables"].items()
        )
        assert size <= 4096, name


# What is given instead of being made


def test_a_table_that_is_given_is_used_and_none_is_made(full: Template) -> None:
    assert not any(name.startswith("AppointmentsConversations") for name in full["Resources"])
    for name in ("Webhook", "FollowUp", "PhoneEvents"):
        assert environment_of(full, name)["CONVERSATIONS_TABLE"]["Ref"].startswith("OurConversations")
    assert INDEX in "".join(statements_of(full, "PhoneEvents", "dynamodb:Query"))
    alarms = resources_of(full, "AWS::CloudWatch::Alarm")
    assert not any("ConversationsThrottles" in name for name in alarms)


def test_what_is_given_is_used_with_its_own_keys() -> None:
    stack = new_stack()
    table = table_in(
        stack, encryption=dynamodb.TableEncryptionV2.customer_managed_key(kms.Key(stack, "TableKey"))
    )
    secret = secretsmanager.Secret(stack, "Secret", encryption_key=kms.Key(stack, "SecretKey"))
    topic = sns.Topic(stack, "Desk", master_key=kms.Key(stack, "DeskKey"))

    AppointmentFollowUp(
        stack,
        "Appointments",
        channel=imported(stack),
        conversations_table=table,
        providers=[Provider.CALCOM],
        signing_keys={Provider.CALCOM: secret},
        host_topic=topic,
    )

    template = template_of(stack)

    def may(key: str, action: str) -> set[str]:
        return {
            role
            for role in ("Webhook", "FollowUp", "PhoneEvents")
            if key in "".join(statements_of(template, role, action))
        }

    assert may("TableKey", "kms:Decrypt") == {"Webhook", "FollowUp", "PhoneEvents"}
    assert may("TableKey", "kms:Encrypt") == {"Webhook", "FollowUp", "PhoneEvents"}
    assert may("SecretKey", "kms:Decrypt") == {"Webhook"}
    assert may("DeskKey", "kms:GenerateDataKey*") == {"PhoneEvents"}
    assert [name[:-8] for name in resources_of(template, "AWS::SNS::Topic")] == ["Desk"]
    assert [finding for finding in nag_findings(stack) if "/Appointments/" in finding] == []


def test_a_secret_that_is_known_by_its_name_can_be_read(full: Template) -> None:
    (resources,) = statements_of(full, "Webhook", "secretsmanager:GetSecretValue")
    keys = json.loads(environment_of(full, "Webhook")["SIGNING_KEYS"])

    assert set(keys) == {"calendly"}
    assert keys["calendly"].endswith(":secret:calendly/key")
    # Its ARN ends in six characters that nobody knows here.
    assert "secret:calendly/key-??????" in resources
    made = resources_of(full, "AWS::SecretsManager::Secret")
    assert not any(name.startswith("Appointments") for name in made)


def test_a_second_construct_needs_a_channel_of_its_own() -> None:
    stack = new_stack()
    channel = imported(stack)
    AppointmentFollowUp(stack, "Doctor", channel=channel)

    with pytest.raises(
        ValueError, match=r"Test/Channel has the AppointmentFollowUp Test/Doctor already: .*of its own"
    ):
        AppointmentFollowUp(stack, "Dentist", channel=channel)

    assert stack.node.try_find_child("Dentist") is None
    other = SmsChannel.from_attributes(stack, "OtherChannel", ATTRIBUTES)
    AppointmentFollowUp(stack, "Dentist", channel=other)


def test_it_shares_a_channel_with_a_review_collector() -> None:
    from sms_engagement import ReviewCollector

    stack = new_stack()
    channel = imported(stack)

    ReviewCollector(stack, "Reviews", channel=channel)
    AppointmentFollowUp(stack, "Appointments", channel=channel)

    assert template_of(stack)["Resources"]


def test_whoever_is_granted_to_read_conversations_may_not_write_them() -> None:
    stack = new_stack()
    appointments = AppointmentFollowUp(stack, "Appointments", channel=imported(stack))
    reader = cdk.aws_iam.Role(stack, "Reader", assumed_by=cdk.aws_iam.AccountRootPrincipal())

    appointments.grant_read_conversations(reader)

    rights = rights_of(template_of(stack))["Reader"]
    assert {"dynamodb:GetItem", "dynamodb:Query"} <= rights
    assert not any(word in action for action in rights for word in ("Put", "Update", "Delete", "Write"))


# What it refuses


def minutes(number: float) -> cdk.Duration:
    return cdk.Duration.seconds(int(number * 60))


@pytest.mark.parametrize(
    ("props", "message"),
    [
        (
            {"follow_up_delay": minutes(0.5)},
            "follow_up_delay must be between 1 minute and 7 days, got 30 seconds; leave it out",
        ),
        ({"follow_up_delay": cdk.Duration.days(8)}, "follow_up_delay must be between .* got 8 days"),
        ({"near_start": cdk.Duration.days(8)}, "near_start must be between .* and 7 days, got 8 days"),
        ({"reminders": [minutes(5)]}, "reminders must be between 10 minutes and 30 days, got 5 minutes"),
        ({"reminders": [cdk.Duration.days(31)]}, "reminders must be between .* got 31 days"),
        ({"reminders": [minutes(n) for n in range(10, 16)]}, "reminders must be 5 at the most, got 6"),
        ({"reminders": [minutes(60), cdk.Duration.hours(1)]}, "reminders must differ from one another"),
        ({"reminders": [minutes(60), minutes(60.5)]}, "reminders must be whole minutes, got 1 hour 30 sec"),
        ({"feedback_delay": cdk.Duration.days(15)}, "feedback_delay must be between .* got 15 days"),
        (
            {"feedback": False, "feedback_delay": cdk.Duration.hours(1)},
            "feedback_delay needs feedback=True; set it, or leave both out",
        ),
        (
            {"retention": cdk.Duration.hours(23)},
            "retention must be between 1 day and 3650 days, got 23",
        ),
        ({"providers": []}, "providers is empty, so nobody could tell of a booking; name one"),
        (
            {"providers": [Provider.CALCOM], "signing_keys": {Provider.CALENDLY: None}},
            "signing_keys has a key for calendly, which is not among providers; add it there",
        ),
        ({"default_country": "us"}, "default_country must be an ISO 3166-1 alpha-2 code .* got 'us'"),
        ({"default_country": "XX"}, "default_country must be .* got 'XX'; leave it out for the channel's"),
        ({"default_language": "english"}, "default_language must be a language tag, .* got 'english'"),
        ({"default_language": ""}, "default_language must be a language tag"),
        (
            {"default_time_zone": "America/Gotham"},
            "default_time_zone must be an IANA zone, .*Gotham'",
        ),
        ({"default_time_zone": ""}, "default_time_zone must be an IANA zone"),
        ({"default_time_zone": "../etc/passwd"}, "default_time_zone must be an IANA zone"),
        ({"phone_questions": []}, "phone_questions is empty; leave it out for the usual wordings"),
        ({"phone_questions": "Phone"}, "phone_questions must be a list of questions, got the text 'Phone'"),
        ({"language_questions": "Language"}, "language_questions must be a list of questions"),
        ({"phone_questions": ["?"]}, r"phone_questions must be questions of 1 to 200 characters, got '\?'"),
        ({"language_questions": ["x" * 201]}, "language_questions must be questions of 1 to 200 characters"),
        (
            {"phone_questions": ["é" * 200] * 3},
            "phone_questions and language_questions take 1212 bytes, and 1200 at the most fit",
        ),
        ({"holdouts": {"confirmation": 10}}, "holdouts may name follow-up, reminder, no-show, got 'confirm"),
        ({"holdouts": {"reminder": 51}}, "holdouts of reminder must be between 1 and 50, got 51"),
        ({"holdouts": {"reminder": 0}}, "holdouts of reminder must be between 1 and 50, got 0"),
        ({"webhooks_per_second": 0}, "webhooks_per_second must be between 1 and 2500, got 0"),
        ({"webhook_concurrency": 0}, "webhook_concurrency must be between 1 and 1000, got 0"),
        ({"texts": {"greeting": {"en": "Hi"}}}, "unknown purpose 'greeting'"),
        ({"texts": {"confirmation": {"en": "Reply CANCEL"}}}, "CANCEL"),
        ({"texts": {"confirmation": {"en": "x" * 161}}}, "takes 2 message parts"),
    ],
)
def test_bad_props_are_refused_at_once(props: dict[str, Any], message: str) -> None:
    stack = new_stack()
    channel = imported(stack)

    with pytest.raises(ValueError, match=message):
        AppointmentFollowUp(stack, "Appointments", channel=channel, **props)

    assert stack.node.try_find_child("Appointments") is None
    # What was refused does not take the channel.
    AppointmentFollowUp(stack, "Appointments", channel=channel)


def test_values_that_only_a_deployment_knows_pass() -> None:
    stack = new_stack()
    unknown = cdk.CfnParameter(stack, "Unknown").value_as_string

    AppointmentFollowUp(
        stack,
        "Appointments",
        channel=imported(stack),
        default_language=unknown,
        default_time_zone=unknown,
        default_country=unknown,
    )

    assert environment_of(template_of(stack), "FollowUp")["DEFAULT_LOCALE"] == {"Ref": "Unknown"}


def test_the_bounds_themselves_are_allowed() -> None:
    stack = new_stack()

    AppointmentFollowUp(
        stack,
        "Appointments",
        channel=imported(stack),
        follow_up_delay=minutes(1),
        near_start=cdk.Duration.seconds(0),
        reminders=[],
        feedback_delay=cdk.Duration.seconds(0),
        retention=cdk.Duration.days(1),
    )

    policy = json.loads(environment_of(template_of(stack), "FollowUp")["FOLLOW_UP_POLICY"])
    assert list(policy.values()) == [60, 0, [], 0, DAY]


def test_a_doubtful_text_is_warned_about() -> None:
    stack = new_stack()

    AppointmentFollowUp(
        stack,
        "Appointments",
        channel=channel_in(stack, max_parts=2),
        texts={"confirmation": {"en": "x" * 150 + " {{time}} {{event}}"}},
    )

    expected = Match.string_like_regexp(".*the confirmation text for en takes 2 message parts.*")
    Annotations.from_stack(stack).has_warning("/Test/Appointments", expected)


def test_the_standard_texts_are_beyond_doubt(default_stack: cdk.Stack) -> None:
    Annotations.from_stack(default_stack).has_no_warning("/Test/Appointments", Match.any_value())


# Alarms


def alarms_of(template: Template) -> dict[str, Any]:
    return {
        name[len("AppointmentsAlarms") : -8]: alarm
        for name, alarm in resources_of(template, "AWS::CloudWatch::Alarm").items()
        if name.startswith("AppointmentsAlarms")
    }


def test_alarms_are_made_and_told_to_a_topic_that_is_given(default: Template, full: Template) -> None:
    assert set(alarms_of(default)) == {
        "ApiErrors",
        "ApiSlow",
        "AppointmentsLost",
        "ConversationsThrottles",
        "DeadLettersNotEmpty",
        "FollowUpErrors",
        "LaterFailed",
        "MalformedEvents",
        "PhoneEventsErrors",
        "SendingDisabled",
        "WebhookErrors",
        "WebhooksFailed",
        "WebhooksRefused",
    }
    assert not any("AlarmActions" in alarm for alarm in alarms_of(default).values())
    for alarm in alarms_of(full).values():
        assert alarm["AlarmActions"][0]["Ref"].startswith("Pager")
        assert alarm["OKActions"] == alarm["AlarmActions"]


@pytest.mark.parametrize(
    ("metric", "constant", "threshold"),
    [
        ("WebhooksTaken", "WEBHOOK_TAKEN", None),
        ("WebhooksUnusable", "WEBHOOK_UNUSABLE", None),
        ("WebhooksRefused", "WEBHOOK_REFUSED", 5),
        ("WebhooksFailed", "WEBHOOK_FAILED", 1),
    ],
)
def test_webhooks_are_counted_by_what_the_handler_logs(
    default: Template, metric: str, constant: str, threshold: int | None
) -> None:
    handler = (ROOT / "runtime/sms_engagement_runtime/appointment_follow_up/handlers/webhook.py").read_text(
        encoding="utf-8"
    )
    (message,) = re.findall(rf'^{constant}: Final = "(.*)"$', handler, flags=re.MULTILINE)
    (counted,) = (
        found
        for name, found in resources_of(default, "AWS::Logs::MetricFilter").items()
        if name.startswith(f"AppointmentsCount{metric}")
    )
    (counter,) = counted["MetricTransformations"]

    assert counted["LogGroupName"]["Ref"].startswith("AppointmentsWebhookLogs")
    assert counted["FilterPattern"] == f'{{ $.message = "{message}" }}'
    assert (counter["MetricNamespace"], counter["MetricName"]) == ("SMS/Engagement", metric)
    # The lines have it: tests of the handler look.
    assert counter["Dimensions"] == [{"Key": "service", "Value": "$.service"}]
    if threshold is not None:
        alarm = alarms_of(default)[metric]
        assert (alarm["MetricName"], alarm["Threshold"]) == (metric, threshold)
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["Dimensions"] == [
            {"Name": "service", "Value": environment_of(default, "Webhook")["POWERTOOLS_SERVICE_NAME"]}
        ]


def test_metrics_are_those_of_its_own_service(default_stack: cdk.Stack) -> None:
    appointments = default_stack.node.find_child("Appointments")
    assert isinstance(appointments, AppointmentFollowUp)

    metrics = [
        appointments.metric_webhooks_taken(),
        appointments.metric_webhooks_unusable(),
        appointments.metric_webhooks_refused(),
        appointments.metric_webhooks_failed(),
        appointments.metric_texts_accepted(),
        appointments.metric_replies(),
        appointments.metric_sending_disabled(),
    ]

    assert [metric.metric_name for metric in metrics] == [
        "WebhooksTaken",
        "WebhooksUnusable",
        "WebhooksRefused",
        "WebhooksFailed",
        "AppointmentAccepted",
        "AppointmentReplied",
        "SendingDisabled",
    ]
    assert {tuple((metric.dimensions or {}).items()) for metric in metrics} == {
        (("service", "Test-appointments"),)
    }


@pytest.mark.parametrize("name", ["AppointmentsLost", "LaterFailed"])
def test_what_is_lost_is_an_alarm_however_it_was_lost(default: Template, name: str) -> None:
    alarm = alarms_of(default)[name]

    assert {m["MetricStat"]["Metric"]["MetricName"] for m in alarm["Metrics"] if "MetricStat" in m} == {
        "ExecutionsFailed",
        "ExecutionsTimedOut",
    }
    (machine,) = {
        m["MetricStat"]["Metric"]["Dimensions"][0]["Value"]["Ref"][:-8]
        for m in alarm["Metrics"]
        if "MetricStat" in m
    }
    own = {"AppointmentsLost": "AppointmentsStateMachine", "LaterFailed": "AppointmentsLaterStateMachine"}
    assert machine == own[name]


# The state machine


@pytest.fixture(scope="module")
def machine(default: Template) -> dict[str, Any]:
    (machine,) = (
        properties
        for name, properties in resources_of(default, "AWS::StepFunctions::StateMachine").items()
        if name.startswith("AppointmentsStateMachine")
    )
    return machine


@pytest.fixture(scope="module")
def definition(machine: dict[str, Any]) -> dict[str, Any]:
    definition: dict[str, Any] = json.loads(machine["DefinitionString"])
    return definition


def test_tokens_are_the_substitutions(machine: dict[str, Any]) -> None:
    written = set(re.findall(r"\$\{(\w+)\}", DEFINITION.read_text(encoding="utf-8")))
    left = set(re.findall(r"\$\{(\w+)\}", machine["DefinitionString"]))

    assert left == set(machine["DefinitionSubstitutions"])
    # A number cannot be a substitution, which are texts.
    assert written - left == {"FollowUpDelaySeconds"}


def test_the_wait_for_an_answer_is_a_number(default: Template, full: Template) -> None:
    def seconds(template: Template) -> Any:
        (found,) = (
            json.loads(properties["DefinitionString"])
            for name, properties in resources_of(template, "AWS::StepFunctions::StateMachine").items()
            if name.startswith("AppointmentsStateMachine")
        )
        return found["States"]["Wait for an answer"]["Seconds"]

    assert seconds(default) == 1800
    assert isinstance(seconds(default), int)
    assert seconds(full) == 2700


def test_every_state_is_reached_and_leads_on_or_ends(definition: dict[str, Any]) -> None:
    states = definition["States"]
    targets = {definition["StartAt"]}
    for state in states.values():
        exits = [state.get("Next"), state.get("Default")]
        exits += [choice["Next"] for choice in [*state.get("Choices", ()), *state.get("Catch", ())]]
        targets |= {name for name in exits if name}
        assert any(exits) or state["Type"] in ("Succeed", "Fail")

    assert targets == set(states)


def test_state_names_read_as_steps(definition: dict[str, Any]) -> None:
    for name, state in definition["States"].items():
        assert re.fullmatch(r"[A-Z][a-z ]+\??", name)
        assert (state["Type"] == "Choice") is name.endswith("?")
        assert (state["Type"] == "Wait") is name.startswith("Wait ")


def test_speaks_jsonpath_and_ends_some_day(definition: dict[str, Any]) -> None:
    assert definition["QueryLanguage"] == "JSONPath"
    # An execution may take a year (Step Functions, quotas).
    assert 0 < definition["TimeoutSeconds"] <= 365 * DAY


def test_tasks_end_are_tried_again_and_caught(definition: dict[str, Any], default: Template) -> None:
    tasks = {name: state for name, state in definition["States"].items() if state["Type"] == "Task"}

    assert len(tasks) == 6
    for name, task in tasks.items():
        # Longer than the function may run, or its last words would be lost.
        if name != "Keep what failed":
            assert task["TimeoutSeconds"] > function_of(default, "FollowUp")["Timeout"]
        assert all(retry["JitterStrategy"] == "FULL" for retry in task["Retry"])
        assert task["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


_ERRORS_OF = """
import json, os
from dataclasses import MISSING, fields
from importlib import import_module
from typing import get_origin, get_type_hints
from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.domain.errors import TransientError

def load(cls, real=settings.load):
    hints = get_type_hints(cls)
    for field in fields(cls):
        if field.default is MISSING and field.default_factory is MISSING:
            kind = get_origin(hints[field.name]) or hints[field.name]
            os.environ[field.name.upper()] = {str: "x", int: "1"}.get(kind, "{}")
    os.environ |= {"ORIGINATION_IDENTITY": "x", "CONFIGURATION_SET": "x"}
    return real(cls)

settings.load = load
import_module("sms_engagement_runtime.appointment_follow_up.handlers.%s")
found, todo = set(), [TransientError]
while todo:
    todo += (below := todo.pop().__subclasses__())
    found |= {cls.__name__ for cls in below}
print(json.dumps(sorted(found)))
"""

_CAUGHT_INSIDE = {
    # A base of `ServiceRefusedError` that nothing raises itself.
    "CallRefusedError",
    # Of the router's own answers.
    "ReplyDeferredError",
    # Become outcomes of a text, in the send service and in what calls it.
    "NoSlotError",
    "OutcomeUnknownError",
    "SendThrottledError",
    "SendingDisabledError",
}


@pytest.mark.parametrize(("handler", "path"), [("follow_up", DEFINITION), ("phone_events", LATER)])
def test_each_passing_error_of_the_function_is_tried_again_by_its_name(handler: str, path: Any) -> None:
    # Lambda tells Step Functions the name of an error's class, and no name of a base.
    finished = subprocess.run(
        [sys.executable, "-c", _ERRORS_OF % handler],
        env={
            "PYTHONPATH": str(ROOT / "runtime"),
            "AWS_DEFAULT_REGION": "us-east-1",
            "POWERTOOLS_SERVICE_NAME": "tests",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    raised = set(json.loads(finished.stdout.splitlines()[-1])) - _CAUGHT_INSIDE
    states = json.loads(path.read_text(encoding="utf-8"))["States"].values()
    called = [state for state in states if str(state.get("Resource")).endswith(":lambda:invoke")]

    assert {"ConversationChangedError", "ContactChangedError", "RowBusyError"} <= raised
    assert called
    for task in called:
        names = {name for retry in task["Retry"] for name in retry["ErrorEquals"]}
        assert raised <= names


def test_errors_that_pass_are_told_from_those_that_last(definition: dict[str, Any]) -> None:
    for state in definition["States"].values():
        if str(state.get("Resource")).endswith(":lambda:invoke"):
            names = {name for retry in state["Retry"] for name in retry["ErrorEquals"]}
            # A row that is gone, a payload that nobody understands: no attempt mends them.
            assert not names & {"States.ALL", "States.TaskFailed", "MissingConversationError"}


class Function:
    """The function behind the machine: answers each step with what is planned for it, in turn."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {name.replace("_", "-"): list(planned) for name, planned in answers.items()}
        self.kept: list[dict[str, Any]] = []

    def __call__(self, resource: str, parameters: dict[str, Any]) -> Any:
        if resource.endswith(":sqs:sendMessage"):
            self.kept.append(json.loads(parameters["MessageBody"]))
            return {}
        answer = self.answers[parameters["Payload"]["step"]].pop(0)
        if isinstance(answer, str):
            raise TaskFailed(answer, "why")
        return {"Payload": answer, "StatusCode": 200}


def goes_on(next: Next, until: str | None = None, lead: int | None = None) -> dict[str, Any]:
    """An answer of the function, in full as it always is."""
    return {"next": next.value, "until": until, "leadSeconds": lead}


T1, T2, T3, T4 = (f"2026-12-0{day}T15:00:00Z" for day in (1, 2, 3, 4))
CONFIRM = {"step": "confirm", "appointmentId": "appointment-1"}
OVER = goes_on(Next.OVER)


def payloads(walked: Walk) -> list[dict[str, Any]]:
    return [parameters["Payload"] for _, parameters in walked.calls if "Payload" in parameters]


def test_walks_from_the_confirmation_to_the_end(definition: dict[str, Any]) -> None:
    function = Function(
        confirm=[goes_on(Next.ANSWER)],
        follow_up=[goes_on(Next.REMINDER, T1, DAY)],
        remind=[goes_on(Next.REMINDER, T2, 7200), goes_on(Next.END, T3)],
        finish=[OVER],
    )

    walked = walk(definition, CONFIRM, function)

    assert not walked.is_failed
    assert walked.waits == [1800, T1, T2, T3]
    assert payloads(walked) == [
        CONFIRM,
        {"step": "follow-up", "appointmentId": "appointment-1"},
        {"step": "remind", "appointmentId": "appointment-1", "leadSeconds": DAY},
        {"step": "remind", "appointmentId": "appointment-1", "leadSeconds": 7200},
        {"step": "finish", "appointmentId": "appointment-1"},
    ]


def test_each_step_that_has_to_wait_is_done_again(definition: dict[str, Any]) -> None:
    again = goes_on(Next.AGAIN, T1)
    function = Function(
        confirm=[again, again, goes_on(Next.ANSWER)],
        follow_up=[again, goes_on(Next.REMINDER, T2, DAY)],
        # As the handler answers: the reminder that waits is still the same one.
        remind=[goes_on(Next.AGAIN, T3, DAY), goes_on(Next.END, T4)],
        finish=[goes_on(Next.END, T4), OVER],
    )

    walked = walk(definition, CONFIRM, function)

    assert walked.waits == [T1, T1, 1800, T1, T2, T3, T4, T4]
    assert [payload.get("leadSeconds") for payload in payloads(walked) if payload["step"] == "remind"] == [
        DAY,
        DAY,
    ]
    assert all(not planned for planned in function.answers.values())


@pytest.mark.parametrize(
    ("answers", "last"),
    [
        ({"confirm": [OVER]}, "Is it confirmed?"),
        ({"confirm": [goes_on(Next.ANSWER)], "follow_up": [OVER]}, "What comes next?"),
        (
            {"confirm": [goes_on(Next.ANSWER)], "follow_up": [goes_on(Next.END, T1)], "finish": [OVER]},
            "Has it",
        ),
        (
            {
                "confirm": [goes_on(Next.ANSWER)],
                "follow_up": [goes_on(Next.REMINDER, T1, DAY)],
                "remind": [OVER],
            },
            "What comes next?",
        ),
    ],
)
def test_ends_wherever_nothing_is_left_to_say(
    definition: dict[str, Any], answers: dict[str, Any], last: str
) -> None:
    walked = walk(definition, CONFIRM, Function(**answers))

    assert walked.states[-1] == "Over"
    assert walked.states[-2].startswith(last)


def test_tells_of_its_end(definition: dict[str, Any]) -> None:
    start = {"step": "notify", "notice": "cancelled", "appointmentId": "appointment-1"}

    walked = walk(definition, start, Function(notify=[goes_on(Next.AGAIN, T1), OVER]))

    assert walked.waits == [T1]
    assert payloads(walked) == [start, start]
    assert walked.states[-1] == "Over"


def test_everything_that_a_step_may_answer_is_known(definition: dict[str, Any]) -> None:
    known = {
        choice["StringEquals"]
        for state in definition["States"].values()
        for choice in state.get("Choices", ())
        if choice["Variable"] == "$.outcome.next"
    }

    assert known == {one.value for one in Next} - {"OVER"}


@pytest.mark.parametrize("step", ["confirm", "follow_up", "remind", "finish", "notify"])
def test_what_fails_for_a_moment_goes_on_and_what_fails_for_good_is_kept(
    definition: dict[str, Any], step: str
) -> None:
    def function(*errors: str) -> Function:
        answers = {
            "confirm": [goes_on(Next.ANSWER)],
            "follow_up": [goes_on(Next.REMINDER, T1, DAY)],
            "remind": [goes_on(Next.END, T2)],
            "finish": [OVER],
            "notify": [OVER],
        }
        answers[step] = [*errors, *answers[step]]
        return Function(**answers)

    start = {**CONFIRM, "step": "notify", "notice": "no-show"} if step == "notify" else CONFIRM

    passing = function(*["RowBusyError"] * 8)
    assert not walk(definition, start, passing).is_failed
    assert passing.kept == []
    lasting = function("MissingConversationError")
    walked = walk(definition, start, lasting)
    assert (walked.is_failed, walked.error) == (True, "MissingConversationError")
    (kept,) = lasting.kept
    assert (kept["appointmentId"], kept["error"]["Error"]) == ("appointment-1", "MissingConversationError")


def test_its_handlers_are_modules_of_the_runtime(default: Template) -> None:
    handlers = {function["Handler"] for function in resources_of(default, "AWS::Lambda::Function").values()}

    assert handlers == {
        f"sms_engagement_runtime.appointment_follow_up.handlers.{name}.handler"
        for name in ("follow_up", "phone_events", "webhook")
    }
    assert all(importlib.util.find_spec(name.removesuffix(".handler")) for name in handlers)
