"""SmsChannel: what it makes, what it promises, and what it refuses."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from syrupy.assertion import SnapshotAssertion

from sms_engagement import (
    AppointmentFollowUp,
    Budget,
    FrequencyCap,
    FunctionOptions,
    OptOuts,
    QuietHours,
    Replies,
    ReviewCollector,
    Sender,
    SmsChannel,
)
from sms_engagement.channel.countries import SUPPORTED_COUNTRIES, blocked_countries
from tests.infrastructure.synthesis import (
    ATTRIBUTES,
    IDENTITY,
    Template,
    channel_in,
    nag_findings,
    new_app,
    new_stack,
    resources_of,
    rights_of,
    scrubbed,
    template_of,
)

POOL = "arn:aws:sms-voice:us-east-1:111122223333:pool/pool-0123456789abcdef"
SENDER_ID = "arn:aws:sms-voice:us-east-1:111122223333:sender-id/BAKERY/GB"


def everything_on(stack: cdk.Stack) -> SmsChannel:
    return channel_in(
        stack,
        origination_identity=POOL,
        sender=Sender.SNS,
        sns_originator="+12065550100",
        allowed_countries=("US", "CA"),
        default_country="CA",
        max_parts=2,
        parts_per_second=100,
        requests_per_second=20,
        max_price="0.05",
        estimated_price_per_part="0.012",
        quiet_hours=QuietHours(allowed_from="10:00", allowed_until="19:00", weekends=False),
        frequency_cap=FrequencyCap(texts=1, period=cdk.Duration.days(7)),
        budget=Budget(per_day_usd="25", per_campaign_usd="10"),
        sender_name="Bakery",
        opt_outs=OptOuts.AWS_MANAGED,
        replies=Replies(opted_out="You are out. START brings you back.", help="Ask the baker."),
        encryption_key=kms.Key(stack, "Key", enable_key_rotation=True),
        function_options=FunctionOptions(
            architecture=lambda_.Architecture.X86_64,
            log_level="DEBUG",
            log_retention=logs.RetentionDays.ONE_WEEK,
        ),
        alarm_topic=sns.Topic(stack, "Pager", enforce_ssl=True),
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )


@pytest.fixture(scope="module")
def default_stack() -> cdk.Stack:
    stack = new_stack()
    channel_in(stack)
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
        "ChannelContacts4F66C44A": "AWS::DynamoDB::GlobalTable",
        "ChannelMessagesF9522755": "AWS::DynamoDB::GlobalTable",
        "ChannelOptOutList3CA14C0D": "AWS::SMSVOICE::OptOutList",
        "ChannelSubscriberKeyDCF1B3BC": "AWS::SecretsManager::Secret",
        "ChannelTopicKeyA36E0756": "AWS::KMS::Key",
    }


def test_tables_are_protected_recoverable_and_forget_in_time(default: Template) -> None:
    tables = resources_of(default, "AWS::DynamoDB::GlobalTable")

    assert len(tables) == 2
    for table in tables.values():
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert table["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS"}
        assert table["TimeToLiveSpecification"] == {"AttributeName": "expiresAt", "Enabled": True}
        for replica in table["Replicas"]:
            assert replica["DeletionProtectionEnabled"] is True
            assert replica["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_the_index_of_messages_holds_keys_only(default: Template) -> None:
    indexes = [
        index
        for table in resources_of(default, "AWS::DynamoDB::GlobalTable").values()
        for index in table.get("GlobalSecondaryIndexes", ())
    ]

    assert [(index["IndexName"], index["Projection"]) for index in indexes] == [
        ("subscriberId-claimedAt-index", {"ProjectionType": "KEYS_ONLY"})
    ]


def test_only_this_accounts_sms_service_publishes_to_the_topics(default: Template) -> None:
    statements = [
        statement
        for policy in resources_of(default, "AWS::SNS::TopicPolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]

    assert len(statements) == 2
    for statement in statements:
        assert statement["Principal"] == {"Service": "sms-voice.amazonaws.com"}
        assert statement["Action"] == "sns:Publish"
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "111122223333"}
        source = statement["Condition"]["ArnLike"]["aws:SourceArn"]
        assert source.startswith("arn:aws:sms-voice:us-east-1:111122223333:")


def test_topics_are_encrypted_with_a_key_that_the_service_may_use(default: Template) -> None:
    key = next(iter(resources_of(default, "AWS::KMS::Key").values()))
    for_service = [
        statement
        for statement in key["KeyPolicy"]["Statement"]
        if statement["Principal"] == {"Service": "sms-voice.amazonaws.com"}
    ]

    assert key["EnableKeyRotation"] is True
    assert for_service[0]["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]
    assert for_service[0]["Condition"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}
    assert all("KmsMasterKeyId" in topic for topic in resources_of(default, "AWS::SNS::Topic").values())


def test_topics_and_queues_refuse_plain_http(default: Template) -> None:
    policies = resources_of(default, "AWS::SNS::TopicPolicy") | resources_of(default, "AWS::SQS::QueuePolicy")

    for policy in policies.values():
        assert any(
            statement["Effect"] == "Deny"
            and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            for statement in policy["PolicyDocument"]["Statement"]
        )


def test_queues_outlast_their_function_and_give_up_into_a_dead_letter_queue(
    default: Template,
) -> None:
    queues = resources_of(default, "AWS::SQS::Queue")
    functions = resources_of(default, "AWS::Lambda::Function")
    mappings = resources_of(default, "AWS::Lambda::EventSourceMapping")

    assert len(mappings) == 2
    for mapping in mappings.values():
        queue = queues[mapping["EventSourceArn"]["Fn::GetAtt"][0]]
        function = functions[mapping["FunctionName"]["Ref"]]
        assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
        assert queue["RedrivePolicy"]["maxReceiveCount"] == 5
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert mapping["ScalingConfig"]["MaximumConcurrency"] >= 2


def test_the_sns_envelope_is_kept_for_its_timestamp(default: Template) -> None:
    for subscription in resources_of(default, "AWS::SNS::Subscription").values():
        assert "RawMessageDelivery" not in subscription
        assert "RedrivePolicy" in subscription


def test_every_country_but_the_allowed_ones_is_blocked(default: Template) -> None:
    configuration = next(iter(resources_of(default, "AWS::SMSVOICE::ProtectConfiguration").values()))
    rules = configuration["CountryRuleSet"]["SMS"]

    assert {rule["ProtectStatus"] for rule in rules} == {"BLOCK"}
    assert {rule["CountryCode"] for rule in rules} == SUPPORTED_COUNTRIES - {"US"}


def test_supported_countries_are_iso_codes() -> None:
    assert len(SUPPORTED_COUNTRIES) > 190
    assert all(len(country) == 2 and country.isupper() for country in SUPPORTED_COUNTRIES)
    assert "US" not in blocked_countries(["US"])


def test_the_configuration_set_sends_every_text_event_and_protects(default: Template) -> None:
    configuration = next(iter(resources_of(default, "AWS::SMSVOICE::ConfigurationSet").values()))
    (destination,) = configuration["EventDestinations"]

    assert destination["MatchingEventTypes"] == ["TEXT_ALL"]
    assert destination["Enabled"] is True
    assert "ProtectConfigurationId" in configuration


def test_the_origination_identity_is_connected_with_rights_on_it_alone(default: Template) -> None:
    properties = next(iter(resources_of(default, "Custom::SmsOrigination").values()))
    statements = [
        statement
        for name, policy in resources_of(default, "AWS::IAM::Policy").items()
        if "OriginationHandler" in name
        for statement in policy["PolicyDocument"]["Statement"]
        if any(action.startswith("sms-voice:") for action in statement["Action"])
    ]

    assert properties["SelfManagedOptOuts"] == "true"
    assert properties["Keywords"] == []
    assert [statement["Resource"] for statement in statements] == [IDENTITY]


def test_where_aws_answers_stop_it_learns_the_words_that_it_lacks(full: Template) -> None:
    properties = next(iter(resources_of(full, "Custom::SmsOrigination").values()))

    assert properties["SelfManagedOptOuts"] == "false"
    assert [(word["Keyword"], word["Action"]) for word in properties["Keywords"]] == [
        ("REVOKE", "OPT_OUT"),
        ("OPT OUT", "OPT_OUT"),
    ]


def test_rights_of_each_function(default: Template) -> None:
    assert rights_of(default) == {
        "ChannelRouterRole": {
            "dynamodb:ConditionCheckItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            "events:PutEvents",
            "kms:Decrypt",
            "kms:GenerateDataKey*",
            "secretsmanager:GetSecretValue",
            "sms-voice:DeleteOptedOutNumber",
            "sms-voice:PutOptedOutNumber",
            "sms-voice:SendTextMessage",
            "sns:Publish",
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:GetQueueUrl",
            "sqs:ReceiveMessage",
            "sqs:SendMessage",
        },
        "ChannelEventRecorderRole": {
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            "events:PutEvents",
            "secretsmanager:GetSecretValue",
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:GetQueueUrl",
            "sqs:ReceiveMessage",
        },
        "ChannelTimelineRole": {
            "dynamodb:BatchGetItem",
            "dynamodb:Query",
            "secretsmanager:GetSecretValue",
        },
        "ChannelOptOutReportsRole": {
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            "events:PutEvents",
            "sqs:GetQueueAttributes",
            "sqs:GetQueueUrl",
            "sqs:SendMessage",
        },
        "ChannelReconcileFunctionRole": {
            "dynamodb:BatchGetItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:Scan",
            "dynamodb:UpdateItem",
            "events:PutEvents",
            "kms:Decrypt",
            "kms:GenerateDataKey*",
            "secretsmanager:GetSecretValue",
            "sms-voice:DeleteOptedOutNumber",
            "sms-voice:DescribeOptedOutNumbers",
            "sms-voice:PutOptedOutNumber",
            "sns:Publish",
        },
        "ChannelReconcileRole": {"lambda:InvokeFunction"},
        "ChannelReconcileScheduleRole": {"sqs:SendMessage", "states:StartExecution"},
        "ChannelOriginationHandlerRole": {
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "sms-voice:DeleteKeyword",
            "sms-voice:DescribeKeywords",
            "sms-voice:DescribePhoneNumbers",
            "sms-voice:PutKeyword",
            "sms-voice:UpdatePhoneNumber",
        },
    }


def test_the_router_puts_texts_back_into_the_queue_that_it_reads_and_no_other(default: Template) -> None:
    queues = resources_of(default, "AWS::SQS::Queue")
    (queue,) = [name for name in queues if name.startswith("ChannelInboundQueue")]
    statements = [
        statement
        for policy in resources_of(default, "AWS::IAM::Policy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if "sqs:SendMessage" in statement["Action"]
    ]

    resources = [statement["Resource"] for statement in statements]
    (dead,) = [name for name in queues if name.startswith("ChannelConsentDeadLetters")]
    assert {"Fn::GetAtt": [queue, "Arn"]} in resources
    # The other two put what failed into a queue that nobody reads.
    assert [each for each in resources if each != {"Fn::GetAtt": [queue, "Arn"]}] == (
        [{"Fn::GetAtt": [dead, "Arn"]}] * (len(resources) - 1)
    )


def test_no_function_can_delete_a_proof_of_consent(stage_templates: Mapping[str, Template]) -> None:
    """What IAM can express of append-only: it knows partition keys and actions, and no sort keys.

    That a proof is never replaced is the writer's condition.
    """
    deleting = {"dynamodb:DeleteItem", "dynamodb:BatchWriteItem", "dynamodb:PartiQLDelete", "dynamodb:*", "*"}
    statements = [
        (name, statement)
        for template in stage_templates.values()
        for name, policy in resources_of(template, "AWS::IAM::Policy").items()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
        and deleting & set(as_list(statement.get("Action", "*")))
        and "ChannelContacts" in json.dumps(statement["Resource"])
    ]

    assert statements
    for name, statement in statements:
        assert "OriginationHandler" in name
        assert statement["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["control"]}}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_sns_as_sender_publishes_to_phones_and_never_to_topics(full: Template) -> None:
    statements = [
        statement
        for policy in resources_of(full, "AWS::IAM::Policy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Action"] == "sns:Publish" and "NotResource" in statement
    ]

    assert [statement["NotResource"] for statement in statements] == ["arn:aws:sns:*:*:*"]
    assert not any("sms-voice:SendTextMessage" in rights for rights in rights_of(full).values())


def test_functions_log_for_a_limited_time_are_traced_and_share_one_layer(default: Template) -> None:
    functions = resources_of(default, "AWS::Lambda::Function")

    assert len(functions) == 6
    for function in functions.values():
        assert function["Architectures"] == ["arm64"]
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert "LogGroup" in function["LoggingConfig"]
    assert len(resources_of(default, "AWS::Lambda::LayerVersion")) == 1
    assert len({json.dumps(function["Role"]) for function in functions.values()}) == 6
    assert all(
        group["RetentionInDays"] == 90 for group in resources_of(default, "AWS::Logs::LogGroup").values()
    )


def test_throttled_reads_alone_or_writes_alone_are_an_alarm(default: Template) -> None:
    expressions = {
        metric["Expression"]
        for name, alarm in resources_of(default, "AWS::CloudWatch::Alarm").items()
        if "Throttles" in name
        for metric in alarm["Metrics"]
        if "Expression" in metric
    }

    # In metric math a sum of which one part is missing is missing.
    assert expressions == {
        "FILL(reads, 0) + FILL(writes, 0)",
        "FILL(reads, 0) + FILL(writes, 0) + FILL(reads1, 0) + FILL(writes1, 0)",
    }


def test_alarms_exist_without_a_topic_and_tell_one_that_is_given(default: Template, full: Template) -> None:
    quiet, loud = (resources_of(template, "AWS::CloudWatch::Alarm") for template in (default, full))

    assert quiet.keys() == loud.keys()
    assert not any("AlarmActions" in alarm for alarm in quiet.values())
    assert all(alarm["AlarmActions"] and alarm["OKActions"] for alarm in loud.values())


def test_cloudwatch_may_publish_to_the_topic_and_use_its_key() -> None:
    stack = new_stack()
    key = kms.Key(stack, "PagerKey")
    pager = sns.Topic(stack, "Pager", enforce_ssl=True, master_key=key)

    channel_in(stack, alarm_topic=pager)

    template = template_of(stack)
    (policy,) = (
        policy["PolicyDocument"]["Statement"]
        for policy in resources_of(template, "AWS::SNS::TopicPolicy").values()
        if policy["Topics"][0]["Ref"].startswith("Pager")
    )
    (pager_key,) = (
        key["KeyPolicy"]["Statement"]
        for name, key in resources_of(template, "AWS::KMS::Key").items()
        if name.startswith("PagerKey")
    )
    account = {"StringEquals": {"aws:SourceAccount": "111122223333"}}
    allowed = [
        (statement["Action"], statement["Condition"])
        for statement in [*policy, *pager_key]
        if statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    ]
    # Without either, an alarm on an encrypted topic, or one with a policy, goes off and tells nobody.
    assert allowed == [("sns:Publish", account), (["kms:Decrypt", "kms:GenerateDataKey*"], account)]


def test_systems_tell_the_topic_of_their_channel_unless_given_another() -> None:
    stack = new_stack()
    pager, other = (sns.Topic(stack, name, enforce_ssl=True) for name in ("Pager", "Other"))
    channel = channel_in(stack, alarm_topic=pager)

    ReviewCollector(stack, "Reviews", channel=channel)
    AppointmentFollowUp(stack, "Appointments", channel=channel, alarm_topic=other)

    told = {
        (name[:7], alarm["AlarmActions"][0]["Ref"][:5])
        for name, alarm in resources_of(template_of(stack), "AWS::CloudWatch::Alarm").items()
    }
    assert told == {("Channel", "Pager"), ("Reviews", "Pager"), ("Appoint", "Other")}


def test_replies_reach_the_router(full: Template) -> None:
    (router,) = (
        function
        for name, function in resources_of(full, "AWS::Lambda::Function").items()
        if name.startswith("ChannelRouter")
    )

    assert json.loads(router["Environment"]["Variables"]["REPLIES"]) == {
        "opted_out": "You are out. START brings you back.",
        "help": "Ask the baker.",
    }


def test_unmanaged_origination_prints_the_command_instead() -> None:
    stack = new_stack()

    channel_in(stack, manage_origination=False)

    template = template_of(stack)
    (output,) = template["Outputs"].values()
    assert "update-phone-number" in json.dumps(output["Value"])
    assert resources_of(template, "Custom::SmsOrigination") == {}


def test_a_sender_id_has_nothing_to_connect() -> None:
    stack = new_stack()

    channel_in(stack, origination_identity=SENDER_ID)

    assert resources_of(template_of(stack), "Custom::SmsOrigination") == {}


def test_an_imported_channel_makes_nothing_but_grants() -> None:
    stack = new_stack()

    SmsChannel.from_attributes(stack, "Channel", ATTRIBUTES)

    assert "Resources" not in template_of(stack)


def test_any_function_can_be_let_send() -> None:
    stack = new_stack()
    channel = SmsChannel.from_attributes(stack, "Channel", ATTRIBUTES)
    theirs = lambda_.Function(
        stack,
        "Theirs",
        runtime=lambda_.Runtime.PYTHON_3_13,
        handler="index.handler",
        code=lambda_.Code.from_inline("def handler(event, context): ..."),
    )

    channel.grant_send(theirs)

    template = template_of(stack)
    (function,) = resources_of(template, "AWS::Lambda::Function").values()
    variables = function["Environment"]["Variables"]
    assert variables["ORIGINATION_IDENTITY"] == IDENTITY
    assert variables["CONTACTS_TABLE"] == "contacts"
    assert rights_of(template) == {
        "TheirsServiceRole": {
            "dynamodb:ConditionCheckItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
            "secretsmanager:GetSecretValue",
            "sms-voice:SendTextMessage",
        }
    }


def sending_variables(stack: cdk.Stack) -> dict[str, str]:
    """What the functions that send are told of how."""
    router = next(
        function
        for name, function in resources_of(template_of(stack), "AWS::Lambda::Function").items()
        if "Router" in name or "Theirs" in name
    )
    names = (
        "BUDGET",
        "FREQUENCY_CAP",
        "MAX_PRICE",
        "MILLICENTS_PER_PART",
        "PARTS_PER_SECOND",
        "QUIET_HOURS",
        "REQUESTS_PER_SECOND",
        "SENDER_NAME",
    )
    variables = router["Environment"]["Variables"]
    return {name: variables[name] for name in names if name in variables}


def test_by_default_texts_go_by_day_three_a_day_and_without_a_budget(default_stack: cdk.Stack) -> None:
    assert sending_variables(default_stack) == {
        "FREQUENCY_CAP": '{"texts":3,"seconds":86400}',
        "MILLICENTS_PER_PART": "881",
        "PARTS_PER_SECOND": "1",
        "QUIET_HOURS": '{"from":"08:00","until":"21:00","weekends":true,"stateRules":true}',
    }


def test_how_texts_go_can_be_set(full_stack: cdk.Stack) -> None:
    assert sending_variables(full_stack) == {
        "BUDGET": '{"perDay":2500000,"perCampaign":1000000}',
        "FREQUENCY_CAP": '{"texts":1,"seconds":604800}',
        "MAX_PRICE": "0.05",
        "MILLICENTS_PER_PART": "1200",
        "PARTS_PER_SECOND": "100",
        "QUIET_HOURS": '{"from":"10:00","until":"19:00","weekends":false,"stateRules":true}',
        "REQUESTS_PER_SECOND": "20",
        "SENDER_NAME": "Bakery",
    }


def test_an_imported_channel_sends_by_the_same_rules(full_stack: cdk.Stack) -> None:
    stack = new_stack()
    attributes = dataclasses.replace(
        ATTRIBUTES,
        parts_per_second=100,
        requests_per_second=20,
        max_price="0.05",
        estimated_price_per_part="0.012",
        quiet_hours=QuietHours(allowed_from="10:00", allowed_until="19:00", weekends=False),
        frequency_cap=FrequencyCap(texts=1, period=cdk.Duration.days(7)),
        budget=Budget(per_day_usd="25", per_campaign_usd="10"),
        sender_name="Bakery",
    )
    theirs = lambda_.Function(
        stack,
        "Theirs",
        runtime=lambda_.Runtime.PYTHON_3_13,
        handler="index.handler",
        code=lambda_.Code.from_inline("def handler(event, context): ..."),
    )

    SmsChannel.from_attributes(stack, "Channel", attributes).grant_send(theirs)

    assert sending_variables(stack) == sending_variables(full_stack)


def test_attributes_that_contradict_themselves_are_refused() -> None:
    poor = dataclasses.replace(ATTRIBUTES, budget=Budget(per_day_usd="0.008"))

    with pytest.raises(ValueError, match=r"per_day_usd of the budget must pay for one text, got '0\.008'"):
        SmsChannel.from_attributes(new_stack(), "Channel", poor)


@pytest.mark.parametrize(
    ("props", "message"),
    [
        (
            {"origination_identity": "+12065550100"},
            r"must be the ARN of a phone number.*got '\+1206",
        ),
        (
            {"origination_identity": "arn:aws:sns:us-east-1:111122223333:topic"},
            "copy it from `aws pinpoint-sms",
        ),
        ({"allowed_countries": ()}, "allowed_countries is empty"),
        ({"allowed_countries": ("USA",)}, "does not send to 'USA'; use ISO 3166-1 alpha-2"),
        ({"default_country": "us"}, "does not send to 'us'"),
        ({"max_parts": 11}, "max_parts must be between 1 and 10, got 11"),
        ({"parts_per_second": 0}, "parts_per_second must be between 1 and 1000, got 0"),
        ({"max_price": "five cents"}, "max_price must be US dollars with one to five decimals, as '0.05'"),
        ({"sns_originator": "BAKERY"}, "sns_originator is for sender=Sender.SNS"),
        ({"requests_per_second": 0}, "requests_per_second must be between 1 and 1000, got 0"),
        (
            {"estimated_price_per_part": "free"},
            "estimated_price_per_part must be US dollars above 0, .* as '0.05', got 'free'",
        ),
        (
            {"budget": Budget(per_day_usd="0.00880")},
            "per_day_usd of the budget must pay for one text, got '0.00880': max_parts is 1 and "
            "estimated_price_per_part '0.00881'; give more, or leave it out for no limit",
        ),
        (
            {"budget": Budget(per_day_usd="1", per_campaign_usd="0.02"), "max_parts": 3},
            "per_campaign_usd of the budget must pay for one text, got '0.02': max_parts is 3",
        ),
        (
            {"sender_name": " Bakery"},
            "sender_name must be 1 to 40 characters in one line, .* got ' Bakery'; leave it out",
        ),
        ({"sender_name": ""}, "must be 1 to 40 characters in one line, .* got ''"),
        ({"sender_name": "Bakery\nReply"}, "in one line"),
        ({"sender_name": "B" * 41}, "must be 1 to 40 characters"),
        (
            {"sender_name": "Bäckerei Łukasz"},
            "must be in the GSM alphabet, got 'Bäckerei Łukasz' with Ł: one such",
        ),
    ],
)
def test_bad_props_are_refused_at_once(props: dict[str, Any], message: str) -> None:
    stack = new_stack()

    with pytest.raises(ValueError, match=message):
        channel_in(stack, **props)

    assert stack.node.try_find_child("Channel") is None


def test_a_blank_reply_is_refused() -> None:
    with pytest.raises(ValueError, match=r"replies\.help is blank; leave it out for the standard text"):
        Replies(help=" ")


def test_an_unknown_log_level_is_refused() -> None:
    with pytest.raises(ValueError, match="log_level must be one of DEBUG, INFO, WARNING, ERROR, got 'LOUD'"):
        FunctionOptions(log_level="LOUD")


@pytest.mark.parametrize("name", ["AWS_REGION", "LAMBDA_TASK_ROOT", "MY-FLAG", "2ND", "", "X"])
def test_a_variable_that_lambda_does_not_take_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"environment must have names .* got {name!r}"):
        FunctionOptions(environment={name: "1"})


def test_further_variables_reach_every_function_and_override_none_of_its_own() -> None:
    stack = new_stack()

    channel_in(
        stack, function_options=FunctionOptions(environment={"CLOCK": "virtual", "CONTACTS_TABLE": "theirs"})
    )

    for function in resources_of(template_of(stack), "AWS::Lambda::Function").values():
        variables = function["Environment"]["Variables"]
        assert variables["CLOCK"] == "virtual"
        assert variables["CONTACTS_TABLE"] != "theirs"


def test_an_unresolved_sender_name_passes() -> None:
    stack = new_stack()
    parameter = cdk.CfnParameter(stack, "Sender")

    channel_in(stack, sender_name=parameter.value_as_string)

    assert sending_variables(stack)["SENDER_NAME"] == {"Ref": "Sender"}


def test_two_channels_on_one_identity_are_refused_in_the_whole_app() -> None:
    app = new_app()
    channel_in(new_stack(app, "One"))

    with pytest.raises(ValueError, match=r"One/Channel already uses .*; make one channel"):
        channel_in(new_stack(app, "Two"))


def test_an_unresolved_identity_passes() -> None:
    stack = new_stack()
    parameter = cdk.CfnParameter(stack, "Identity")

    channel_in(stack, origination_identity=parameter.value_as_string)

    assert resources_of(template_of(stack), "Custom::SmsOrigination")


def test_a_layer_that_was_never_built_is_told_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sms_engagement._runtime_code._LAYER_FOLDER", tmp_path / "a" / "b" / "runtime_layer")

    with pytest.raises(
        FileNotFoundError, match=r"layer for arm64 is not built; run `python build_layer\.py` in "
    ):
        channel_in(new_stack())


def test_a_layer_of_ones_own_replaces_the_shipped_one() -> None:
    stack = new_stack()
    theirs = lambda_.LayerVersion.from_layer_version_arn(
        stack, "Theirs", "arn:aws:lambda:us-east-1:111122223333:layer:libraries:3"
    )

    channel_in(stack, function_options=FunctionOptions(layers=[theirs]))

    template = template_of(stack)
    assert resources_of(template, "AWS::Lambda::LayerVersion") == {}
    for function in resources_of(template, "AWS::Lambda::Function").values():
        assert function["Layers"] == ["arn:aws:lambda:us-east-1:111122223333:layer:libraries:3"]


def test_who_may_read_timelines_may_invoke_that_function_and_read_no_table() -> None:
    app = new_app()
    stack = new_stack(app)
    channel = channel_in(stack)
    support = iam.Role(stack, "Support", assumed_by=iam.AccountRootPrincipal())

    channel.grant_read_timeline(support)

    template = app.synth().get_stack_by_name(stack.stack_name).template
    (policy,) = (
        policy["PolicyDocument"]["Statement"]
        for name, policy in (
            (name, resource["Properties"])
            for name, resource in template["Resources"].items()
            if resource["Type"] == "AWS::IAM::Policy"
        )
        if name.startswith("SupportDefaultPolicy")
    )
    assert [statement["Action"] for statement in policy] == ["lambda:InvokeFunction"]
