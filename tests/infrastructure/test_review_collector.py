"""ReviewCollector: what it makes, what it promises, and what it refuses."""

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Annotations, Match
from syrupy.assertion import SnapshotAssertion

from sms_engagement import FunctionOptions, ReviewCollector, SmsChannel
from tests.infrastructure.synthesis import (
    ATTRIBUTES,
    Template,
    channel_in,
    nag_findings,
    new_stack,
    resources_of,
    rights_of,
    scrubbed,
    template_of,
)

KEY_RIGHTS = {"kms:Decrypt", "kms:GenerateDataKey*"}
SENDING_RIGHTS = {
    "dynamodb:ConditionCheckItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "secretsmanager:GetSecretValue",
    "sms-voice:SendTextMessage",
}


def imported(stack: cdk.Stack) -> Any:
    """A channel that is not in the template, so that the template is the collector's alone."""
    return SmsChannel.from_attributes(stack, "Channel", ATTRIBUTES)


def everything_on(stack: cdk.Stack) -> ReviewCollector:
    key = kms.Key(stack, "Key", enable_key_rotation=True)
    customers = dynamodb.TableV2(
        stack,
        "OurCustomers",
        partition_key=dynamodb.Attribute(name="userId", type=dynamodb.AttributeType.STRING),
        point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
            point_in_time_recovery_enabled=True
        ),
    )
    return ReviewCollector(
        stack,
        "Reviews",
        channel=channel_in(stack, encryption_key=key, parts_per_second=100, max_parts=2),
        customers_table=customers,
        link_base_url="https://r.example.com/",
        link_lifetime=cdk.Duration.days(3),
        edit_window=cdk.Duration.hours(1),
        review_retention=cdk.Duration.days(730),
        texts={"en": "{{name}}, how was it? {{link}}", "fr": "{{name}}, ça vous a plu ? {{link}}"},
        confirm_to_customer=True,
        confirmation_texts={"en": "Thanks, {{name}}!"},
        admin_topic=sns.Topic(stack, "Desk", enforce_ssl=True),
        rotate_link_key_after=cdk.Duration.days(30),
        public_concurrency=None,
        public_requests_per_second=5,
        broadcast_concurrency=4,
        function_options=FunctionOptions(architecture=cdk.aws_lambda.Architecture.X86_64),
        alarm_topic=sns.Topic(stack, "Pager", enforce_ssl=True),
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )


@pytest.fixture(scope="module")
def default_stack() -> cdk.Stack:
    stack = new_stack()
    ReviewCollector(stack, "Reviews", channel=imported(stack))
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


def environment_of(template: Template, function: str) -> dict[str, Any]:
    (found,) = (
        properties["Environment"]["Variables"]
        for name, properties in resources_of(template, "AWS::Lambda::Function").items()
        if name[:-8] == f"Reviews{function}"
    )
    return found


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
        "ReviewsBroadcastBucket340C49A2": "AWS::S3::Bucket",
        "ReviewsCustomersA5ECA6BD": "AWS::DynamoDB::GlobalTable",
        "ReviewsLinkKeys65DED3FC": "AWS::SecretsManager::Secret",
        "ReviewsRequests98AE8413": "AWS::DynamoDB::GlobalTable",
        "ReviewsReviewRows790C8F73": "AWS::DynamoDB::GlobalTable",
    }


def test_each_function_has_exactly_the_rights_that_it_needs(default: Template) -> None:
    assert rights_of(default) == {
        # Reads customers, and writes parts.
        "ReviewsAudienceRole": {"dynamodb:Scan", "s3:PutObject", "secretsmanager:GetSecretValue"},
        # Reads customers, writes requests, sends.
        "ReviewsSendPartRole": SENDING_RIGHTS
        | {"dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:UpdateItem", "s3:GetObject", "s3:PutObject"},
        "ReviewsSummaryRole": {"s3:GetObject", "s3:ListBucket", "s3:PutObject"},
        "ReviewsReviewRequestedRole": SENDING_RIGHTS
        | {
            "dynamodb:BatchGetItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            "sqs:GetQueueAttributes",
            "sqs:GetQueueUrl",
            "sqs:SendMessage",
        },
        # Has no data access beyond its secret.
        "ReviewsFormRole": {"secretsmanager:GetSecretValue"},
        # Reads requests, writes reviews, tells the admins.
        "ReviewsSubmitRole": {
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
            "events:PutEvents",
            "secretsmanager:GetSecretValue",
            "sns:Publish",
        }
        | KEY_RIGHTS,
        "ReviewsRotateLinkKeyRole": {
            "secretsmanager:DescribeSecret",
            "secretsmanager:GetRandomPassword",
            "secretsmanager:GetSecretValue",
            "secretsmanager:PutSecretValue",
            "secretsmanager:UpdateSecretVersionStage",
        },
        "ReviewsBroadcastRole": {
            "lambda:InvokeFunction",
            "s3:AbortMultipartUpload",
            "s3:GetObject",
            "s3:ListMultipartUploadParts",
            "s3:PutObject",
            "states:DescribeExecution",
            "states:RedriveExecution",
            "states:StartExecution",
            "states:StopExecution",
        },
    }


@pytest.mark.parametrize(
    ("role", "action", "table"),
    [
        ("Audience", "dynamodb:Scan", "Customers"),
        ("SendPart", "dynamodb:BatchGetItem", "Customers"),
        ("SendPart", "dynamodb:UpdateItem", "Requests"),
        ("Submit", "dynamodb:PutItem", "ReviewRows"),
    ],
)
def test_rights_are_on_one_table_each(default: Template, role: str, action: str, table: str) -> None:
    resources = [
        json.dumps(statement["Resource"])
        for name, policy in resources_of(default, "AWS::IAM::Policy").items()
        if name.startswith(f"Reviews{role}Role")
        for statement in policy["PolicyDocument"]["Statement"]
        if action in statement["Action"]
    ]

    assert len(resources) == 1
    assert f'"Reviews{table}' in resources[0]
    assert "*" not in resources[0]


def test_routes_are_the_forms_and_the_submissions(default: Template) -> None:
    routes = resources_of(default, "AWS::ApiGatewayV2::Route").values()

    assert sorted(route["RouteKey"] for route in routes) == [
        "GET /r/{token}",
        "GET /review",
        "HEAD /r/{token}",
        "HEAD /review",
        "POST /new-link",
        "POST /submit-review",
    ]


def test_access_log_never_has_the_token(default: Template) -> None:
    (stage,) = resources_of(default, "AWS::ApiGatewayV2::Stage").values()
    logged = set(json.loads(stage["AccessLogSettings"]["Format"]).values())

    assert "$context.routeKey" in logged
    assert logged <= {
        "$context.integrationErrorMessage",
        "$context.requestId",
        "$context.requestTime",
        "$context.responseLatency",
        "$context.responseLength",
        "$context.routeKey",
        "$context.status",
    }


def test_what_the_public_calls_is_throttled_and_cannot_starve_the_account(default: Template) -> None:
    (stage,) = resources_of(default, "AWS::ApiGatewayV2::Stage").values()
    reserved = {
        name[:-8]: function.get("ReservedConcurrentExecutions")
        for name, function in resources_of(default, "AWS::Lambda::Function").items()
    }

    assert stage["DefaultRouteSettings"] == {"ThrottlingBurstLimit": 100, "ThrottlingRateLimit": 50}
    assert {name: limit for name, limit in reserved.items() if limit} == {
        "ReviewsForm": 20,
        "ReviewsSubmit": 20,
    }


def test_reviews_and_customers_have_their_keys_and_indexes(default: Template) -> None:
    tables = {
        name[:-8]: (
            [key["AttributeName"] for key in table["KeySchema"]],
            sorted(index["IndexName"] for index in table.get("GlobalSecondaryIndexes", ())),
        )
        for name, table in resources_of(default, "AWS::DynamoDB::GlobalTable").items()
    }

    assert tables == {
        "ReviewsCustomers": (["userId"], []),
        "ReviewsReviewRows": (["reviewId"], ["status-timestamp-index", "userId-timestamp-index"]),
        "ReviewsRequests": (["requestId"], ["userId-askedAt-index"]),
    }


def test_tables_are_protected_recoverable_and_forget_in_time(default: Template) -> None:
    for table in resources_of(default, "AWS::DynamoDB::GlobalTable").values():
        (replica,) = table["Replicas"]
        assert replica["DeletionProtectionEnabled"] is True
        assert replica["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert table["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS"}
        assert table["TimeToLiveSpecification"] == {"AttributeName": "expiresAt", "Enabled": True}


def test_the_bucket_is_private_encrypted_and_forgets(default: Template) -> None:
    (bucket,) = resources_of(default, "AWS::S3::Bucket").values()
    (policy,) = resources_of(default, "AWS::S3::BucketPolicy").values()

    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert bucket["BucketEncryption"]
    assert bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == 90
    assert policy["PolicyDocument"]["Statement"][0]["Effect"] == "Deny"


def test_link_keys_are_generated_and_rotated_but_not_at_once(default: Template) -> None:
    (secret,) = resources_of(default, "AWS::SecretsManager::Secret").values()
    (rotation,) = resources_of(default, "AWS::SecretsManager::RotationSchedule").values()

    assert json.loads(secret["GenerateSecretString"]["SecretStringTemplate"]) == {"active": 1}
    assert secret["GenerateSecretString"]["GenerateStringKey"] == "k1"
    assert rotation["RotateImmediatelyOnUpdate"] is False
    assert rotation["RotationRules"] == {"ScheduleExpression": "rate(90 days)"}


def test_requests_from_the_bus_end_in_a_dead_letter_queue(default: Template) -> None:
    (rule,) = resources_of(default, "AWS::Events::Rule").values()
    (asynchronous,) = resources_of(default, "AWS::Lambda::EventInvokeConfig").values()

    assert rule["EventPattern"] == {
        "source": ["sms-engagement"],
        "detail-type": ["ReviewRequested", "ReviewLinkRequested"],
    }
    assert "DeadLetterConfig" in rule["Targets"][0]
    assert asynchronous["MaximumRetryAttempts"] == 2
    assert "Destination" in asynchronous["DestinationConfig"]["OnFailure"]


def test_customers_are_thanked_by_text_only_where_asked_for(default: Template, full: Template) -> None:
    def detail_types(template: Template) -> list[str]:
        (rule,) = resources_of(template, "AWS::Events::Rule").values()
        return list(rule["EventPattern"]["detail-type"])

    assert detail_types(default) == ["ReviewRequested", "ReviewLinkRequested"]
    assert detail_types(full) == ["ReviewRequested", "ReviewLinkRequested", "ReviewSubmitted"]
    assert "CONFIRMATION_TEXTS" not in environment_of(default, "ReviewRequested")
    assert json.loads(environment_of(full, "ReviewRequested")["CONFIRMATION_TEXTS"]) == {
        "en": "Thanks, {{name}}!"
    }


def test_links_lead_to_the_api_unless_a_shorter_address_is_given(default: Template, full: Template) -> None:
    assert "ApiEndpoint" in json.dumps(environment_of(default, "SendPart")["LINK_BASE_URL"])
    assert environment_of(full, "SendPart")["LINK_BASE_URL"] == "https://r.example.com"


def test_parts_that_run_at_once_share_the_rate(full: Template) -> None:
    assert environment_of(full, "SendPart")["PARTS_PER_SECOND"] == "25"
    assert environment_of(full, "ReviewRequested")["PARTS_PER_SECOND"] == "100"
    assert environment_of(full, "Audience")["RECIPIENTS_PER_PART"] == "3000"


def test_a_part_ends_while_its_express_child_lives(default: Template) -> None:
    (function,) = (
        properties
        for name, properties in resources_of(default, "AWS::Lambda::Function").items()
        if name.startswith("ReviewsSendPart")
    )

    assert function["Timeout"] < 290
    assert int(environment_of(default, "Audience")["RECIPIENTS_PER_PART"]) == 120


def test_a_table_that_is_given_is_used_and_none_is_made(full: Template) -> None:
    assert environment_of(full, "Audience")["CUSTOMERS_TABLE"]["Ref"].startswith("OurCustomers")
    assert not any(name.startswith("ReviewsCustomers") for name in full["Resources"])


def test_a_table_that_is_given_is_read_with_its_own_key() -> None:
    stack = new_stack()
    customers = dynamodb.TableV2(
        stack,
        "OurCustomers",
        partition_key=dynamodb.Attribute(name="userId", type=dynamodb.AttributeType.STRING),
        encryption=dynamodb.TableEncryptionV2.customer_managed_key(kms.Key(stack, "TheirKey")),
    )

    ReviewCollector(stack, "Reviews", channel=imported(stack), customers_table=customers)

    rights = rights_of(template_of(stack))
    readers = {
        role for role, actions in rights.items() if actions & {"dynamodb:Scan", "dynamodb:BatchGetItem"}
    }
    assert readers == {"ReviewsAudienceRole", "ReviewsSendPartRole", "ReviewsReviewRequestedRole"}
    assert {role for role, actions in rights.items() if "kms:Decrypt" in actions} >= readers
    assert "kms:Decrypt" not in rights["ReviewsFormRole"]


def test_a_broadcast_that_is_cut_off_is_an_alarm_like_one_that_failed(default: Template) -> None:
    alarms = resources_of(default, "AWS::CloudWatch::Alarm")
    (alarm,) = (alarm for name, alarm in alarms.items() if name.startswith("ReviewsAlarmsBroadcastFailed"))

    assert {m["MetricStat"]["Metric"]["MetricName"] for m in alarm["Metrics"] if "MetricStat" in m} == {
        "ExecutionsFailed",
        "ExecutionsTimedOut",
    }


@pytest.mark.parametrize(
    ("props", "message"),
    [
        (
            {"link_lifetime": cdk.Duration.minutes(5)},
            "link_lifetime must be between 1 hour and 30 days",
        ),
        ({"edit_window": cdk.Duration.days(31)}, "edit_window must be between .* and 30 days, got 31 days"),
        ({"review_retention": cdk.Duration.hours(1)}, "review_retention must be between 1 day"),
        (
            {"texts": {f"{a}{b}": "{{name}}, how was it? {{link}}" for a in "abcefn" for b in "abcefghijn"}},
            "texts and confirmation_texts take .* bytes, and 2200 at the most fit",
        ),
        ({"public_concurrency": 0}, "public_concurrency must be between 1 and 1000, got 0"),
        ({"public_requests_per_second": 0}, "public_requests_per_second must be between 1 and 2500"),
        ({"broadcast_concurrency": 2}, "broadcast_concurrency must be between 1 and 1, got 2"),
        ({"texts": {"en": "Hi {{nmae}}: {{link}}"}}, "unknown placeholder nmae"),
        ({"texts": {"en": "Hi {{name}}!"}}, "must contain {{link}}"),
        ({"texts": {"de": "Hallo! {{link}}"}}, "default locale en"),
        (
            {"texts": {"en": "x" * 161 + "{{link}}"}},
            "takes 2 message parts without a name",
        ),
        ({"confirmation_texts": {"en": "Thanks!"}}, "confirmation_texts needs confirm_to_customer=True"),
        (
            {"confirm_to_customer": True, "confirmation_texts": {"en": "Thanks {{nmae}}"}},
            "unknown placeholder",
        ),
        ({"texts": {"en": "’" + "x" * 40 + "ф {{link}}"}}, "ф is outside the GSM alphabet"),
    ],
)
def test_bad_props_are_refused_at_once(props: dict[str, Any], message: str) -> None:
    stack = new_stack()
    channel = imported(stack)

    with pytest.raises(ValueError, match=message):
        ReviewCollector(stack, "Reviews", channel=channel, **props)

    assert stack.node.try_find_child("Reviews") is None


def test_a_review_that_nobody_is_told_of_is_an_alarm(default: Template) -> None:
    (counted,) = resources_of(default, "AWS::Logs::MetricFilter").values()
    (counter,) = counted["MetricTransformations"]
    alarms = resources_of(default, "AWS::CloudWatch::Alarm")
    (alarm,) = (alarm for name, alarm in alarms.items() if "ReviewsUnannounced" in name)

    assert counted["FilterPattern"] == '{ $.message = "Review stored without notice" }'
    assert counted["LogGroupName"]["Ref"].startswith("ReviewsSubmitLogs")
    assert (counter["MetricNamespace"], counter["MetricName"]) == (alarm["Namespace"], alarm["MetricName"])
    assert counter["Dimensions"] == [{"Key": "service", "Value": "$.service"}]
    assert alarm["Dimensions"] == [
        {"Name": "service", "Value": environment_of(default, "Submit")["POWERTOOLS_SERVICE_NAME"]}
    ]
    assert (alarm["Threshold"], alarm["TreatMissingData"]) == (1, "notBreaching")


def test_a_second_collector_needs_a_channel_of_its_own() -> None:
    stack = new_stack()
    channel = imported(stack)
    ReviewCollector(stack, "Shop", channel=channel)

    with pytest.raises(ValueError, match=r"Test/Channel has the collector Test/Shop already: .*of its own"):
        ReviewCollector(stack, "Repairs", channel=channel)

    other = SmsChannel.from_attributes(stack, "OtherChannel", ATTRIBUTES)
    ReviewCollector(stack, "Repairs", channel=other)


@pytest.mark.parametrize(
    ("text", "max_parts", "warning"),
    [
        ("x" * 120 + " {{link}}", 2, ".*takes 2 message parts, so it costs as many times as much"),
        ("x" * 50 + " {{name}} {{link}}", 1, ".*no room for a first name of 10 letters.*"),
    ],
)
def test_doubtful_texts_are_warned_about(text: str, max_parts: int, warning: str) -> None:
    stack = new_stack()

    ReviewCollector(stack, "Reviews", channel=channel_in(stack, max_parts=max_parts), texts={"en": text})

    Annotations.from_stack(stack).has_warning("/Test/Reviews", Match.string_like_regexp(warning))


def test_the_standard_text_fits_one_part_with_a_name_in_every_region() -> None:
    stack = new_stack()

    ReviewCollector(stack, "Reviews", channel=channel_in(stack))

    Annotations.from_stack(stack).has_no_warning("/Test/Reviews", Match.any_value())
