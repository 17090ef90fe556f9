"""ReviewCollector: what it makes, what it promises, and what it refuses."""

import json
import re
from datetime import date
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Annotations, Match
from syrupy.assertion import SnapshotAssertion

from sms_engagement import (
    BroadcastSchedule,
    Budget,
    FunctionOptions,
    ReviewCollector,
    SmsChannel,
    StopRules,
)
from sms_engagement.channel.countries import SUPPORTED_COUNTRIES
from sms_engagement.review_collector.schedule import first_day_without
from tests.infrastructure.synthesis import (
    ATTRIBUTES,
    ROOT,
    Template,
    channel_in,
    nag_findings,
    new_app,
    new_stack,
    resources_of,
    rights_of,
    scrubbed,
    template_of,
    warnings_of,
)
from tests.support.alarm_evaluation import metrics_of

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
        add_customers_from_events=False,
        link_base_url="https://r.example.com/",
        link_lifetime=cdk.Duration.days(3),
        edit_window=cdk.Duration.hours(1),
        review_retention=cdk.Duration.days(730),
        texts={"en": "{{name}}, how was it? {{link}}", "fr": "{{name}}, ça vous a plu ? {{link}}"},
        schedule=BroadcastSchedule(hour=9, minute=30, time_zone="Europe/Berlin", enabled=False),
        cooldown=cdk.Duration.days(30),
        occasion_lifetime=cdk.Duration.days(14),
        reminder_delay=cdk.Duration.days(5),
        reminder_texts={"en": "{{name}}, still: how was it? {{link}}"},
        confirm_to_customer=True,
        confirmation_texts={"en": "Thanks, {{name}}!"},
        admin_topic=sns.Topic(stack, "Desk", enforce_ssl=True),
        rotate_link_key_after=cdk.Duration.days(30),
        public_concurrency=None,
        public_requests_per_second=5,
        broadcast_concurrency=4,
        broadcast_stop_rules=StopRules(max_opt_out_percent=2, min_volume=500),
        broadcast_expires_after=cdk.Duration.days(3),
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
        "ReviewsFiguresTable309A93BB": "AWS::DynamoDB::GlobalTable",
        "ReviewsLinkKeys65DED3FC": "AWS::SecretsManager::Secret",
        "ReviewsRequests98AE8413": "AWS::DynamoDB::GlobalTable",
        "ReviewsReviewRows790C8F73": "AWS::DynamoDB::GlobalTable",
    }


def test_each_function_has_exactly_the_rights_that_it_needs(default: Template) -> None:
    run_objects = {"s3:GetObject", "s3:ListBucket", "s3:PutObject"}
    assert rights_of(default) == {
        # Reads customers and requests, and writes parts.
        "ReviewsAudienceRole": run_objects | {"dynamodb:Scan", "secretsmanager:GetSecretValue"},
        # Reads whether sending is paused, and how the texts fare.
        "ReviewsBroadcastPlanRole": run_objects | {"dynamodb:GetItem"},
        # Reads customers and requests, writes requests, sends.
        "ReviewsSendPartRole": SENDING_RIGHTS
        | run_objects
        | {"dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:UpdateItem"},
        "ReviewsBroadcastSummaryRole": run_objects | {"dynamodb:GetItem"},
        "ReviewsReviewRequestedRole": SENDING_RIGHTS
        | {
            "dynamodb:BatchGetItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            "sqs:GetQueueAttributes",
            "sqs:GetQueueUrl",
            "sqs:SendMessage",
            "states:StartExecution",
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
        # Reads reviews by their index, tells the admins.
        "ReviewsDigestRole": {"dynamodb:Query", "sns:Publish"} | KEY_RIGHTS,
        # Reads the streams of reviews and requests, writes figures, and what the words of a review say.
        "ReviewsFiguresCountRole": {
            "dynamodb:BatchGetItem",
            "dynamodb:DeleteItem",
            "dynamodb:DescribeStream",
            "dynamodb:GetRecords",
            "dynamodb:GetShardIterator",
            "dynamodb:ListStreams",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
            "sqs:GetQueueAttributes",
            "sqs:GetQueueUrl",
            "sqs:SendMessage",
        },
        # Reads reviews and figures, and changes nothing.
        "ReviewsConsoleReadRole": {"dynamodb:GetItem", "dynamodb:Query"},
        "ReviewsConsoleModerateRole": {"dynamodb:GetItem", "dynamodb:UpdateItem"},
        # What everybody calls reads one index, or adds a vote.
        "ReviewsConsolePublicReviewsRole": {"dynamodb:Query"},
        "ReviewsConsoleHelpfulRole": {"dynamodb:PutItem", "dynamodb:UpdateItem"},
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
        "ReviewsLaterRole": {"lambda:InvokeFunction", "sqs:SendMessage"},
        "ReviewsScheduleRole": {"sqs:SendMessage", "states:StartExecution"},
        "ReviewsDigestScheduleRole": {"lambda:InvokeFunction", "sqs:SendMessage"},
    }


def statements_of(template: Template, role: str, action: str) -> list[str]:
    """Resources, as JSON, of the statements that allow an action to a role."""
    return [
        json.dumps(statement["Resource"])
        for policy in resources_of(template, "AWS::IAM::Policy").values()
        if any(entry["Ref"].startswith(f"Reviews{role}Role") for entry in policy["Roles"])
        for statement in policy["PolicyDocument"]["Statement"]
        if action in statement["Action"]
    ]


@pytest.mark.parametrize(
    ("role", "action", "resources"),
    [
        ("Audience", "dynamodb:Scan", ["Customers", "Requests"]),
        ("SendPart", "dynamodb:BatchGetItem", ["Customers"]),
        ("SendPart", "dynamodb:Query", ["Requests"]),
        ("SendPart", "dynamodb:UpdateItem", ["Requests"]),
        # The channel's tables alone: a broadcast records no occasion.
        ("SendPart", "dynamodb:PutItem", []),
        # Occasions, and the customers whom events bring.
        ("ReviewRequested", "dynamodb:PutItem", ["Customers", "Requests"]),
        ("ReviewRequested", "states:StartExecution", ["LaterStateMachine"]),
        ("Submit", "dynamodb:PutItem", ["ReviewRows"]),
        ("Digest", "dynamodb:Query", ["ReviewRows"]),
        ("ConsoleRead", "dynamodb:Query", ["FiguresTable", "ReviewRows"]),
        ("ConsoleModerate", "dynamodb:UpdateItem", ["ReviewRows"]),
        ("ConsolePublicReviews", "dynamodb:Query", ["ReviewRows"]),
        ("ConsoleHelpful", "dynamodb:PutItem", ["FiguresTable"]),
        ("ConsoleHelpful", "dynamodb:UpdateItem", ["ReviewRows"]),
        ("FiguresCount", "dynamodb:GetRecords", ["Requests", "ReviewRows"]),
        ("FiguresCount", "dynamodb:PutItem", ["FiguresTable"]),
        ("Later", "lambda:InvokeFunction", ["ReviewRequested"]),
        ("Later", "sqs:SendMessage", ["DeadLetters"]),
        ("Schedule", "states:StartExecution", ["BroadcastStateMachine"]),
        ("Schedule", "sqs:SendMessage", ["DeadLetters"]),
        ("DigestSchedule", "lambda:InvokeFunction", ["Digest"]),
    ],
)
def test_rights_are_on_what_is_needed_alone(
    default: Template, role: str, action: str, resources: list[str]
) -> None:
    statements = statements_of(default, role, action)
    own = sorted(set(re.findall(r'"Reviews([A-Za-z]+)[0-9A-F]{8}"', " ".join(statements))))

    assert statements
    assert own == resources
    assert not any("*" in statement for statement in statements if role != "DigestSchedule")


def test_everybody_may_use_the_form_and_read_reviews_and_the_console_is_for_signed_requests(
    default: Template,
) -> None:
    routes = resources_of(default, "AWS::ApiGatewayV2::Route").values()

    assert {route["RouteKey"]: route["AuthorizationType"] for route in routes} == {
        "GET /r/{token}": "NONE",
        "GET /review": "NONE",
        "GET /reviews": "NONE",
        "HEAD /r/{token}": "NONE",
        "HEAD /review": "NONE",
        "HEAD /reviews": "NONE",
        "POST /new-link": "NONE",
        "POST /reviews/{id}/helpful": "NONE",
        "POST /submit-review": "NONE",
        "GET /admin/figures": "AWS_IAM",
        "GET /admin/reviews": "AWS_IAM",
        "GET /admin/reviews/{id}": "AWS_IAM",
        "POST /admin/reviews/{id}/approve": "AWS_IAM",
        "POST /admin/reviews/{id}/reject": "AWS_IAM",
    }


def test_a_moderator_may_call_the_console_and_who_only_looks_may_decide_nothing() -> None:
    stack = new_stack()
    reviews = ReviewCollector(stack, "Reviews", channel=imported(stack))
    for name in ("Moderator", "Owner"):
        iam.Role(stack, name, assumed_by=iam.AccountRootPrincipal())
    moderator, owner = (stack.node.find_child(name) for name in ("Moderator", "Owner"))
    assert isinstance(moderator, iam.Role)
    assert isinstance(owner, iam.Role)

    reviews.grant_moderate(moderator)
    reviews.console.grant_read(owner)

    template = template_of(stack)

    def allowed(role: str) -> list[str]:
        (policy,) = (
            policy
            for policy in resources_of(template, "AWS::IAM::Policy").values()
            if policy["Roles"][0]["Ref"].startswith(role)
        )
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert statement["Action"] == "execute-api:Invoke"
        resources = statement["Resource"]
        found = resources if isinstance(resources, list) else [resources]
        return [resource["Fn::Join"][1][-1] for resource in found]

    assert allowed("Moderator") == ["/*/GET/admin/*", "/*/POST/admin/*"]
    assert allowed("Owner") == ["/*/GET/admin/*"]


def test_what_counts_reads_both_streams_and_what_it_cannot_count_is_kept(default: Template) -> None:
    sources = resources_of(default, "AWS::Lambda::EventSourceMapping").values()

    assert len(sources) == 2
    for source in sources:
        assert source["BisectBatchOnFunctionError"] is True
        assert source["StartingPosition"] == "TRIM_HORIZON"
        assert source["MaximumRecordAgeInSeconds"] < 24 * 3600
        destination = source["DestinationConfig"]["OnFailure"]["Destination"]
        assert destination["Fn::GetAtt"][0].startswith("ReviewsFiguresDeadLetters")


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
        "ReviewsConsoleHelpful": 20,
        "ReviewsConsolePublicReviews": 20,
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
        "ReviewsRequests": (
            ["requestId"],
            ["subscriberId-recordedAt-index", "userId-recordedAt-index"],
        ),
        "ReviewsFiguresTable": (["part", "id"], []),
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
        "detail-type": ["ReviewRequested", "OccasionRecorded", "ReviewLinkRequested"],
    }
    assert "DeadLetterConfig" in rule["Targets"][0]
    assert asynchronous["MaximumRetryAttempts"] == 2
    assert "Destination" in asynchronous["DestinationConfig"]["OnFailure"]


def test_customers_are_thanked_by_text_only_where_asked_for(default: Template, full: Template) -> None:
    def detail_types(template: Template) -> list[str]:
        (rule,) = [
            rule
            for name, rule in resources_of(template, "AWS::Events::Rule").items()
            if name.startswith("Reviews")
        ]
        return list(rule["EventPattern"]["detail-type"])

    always = ["ReviewRequested", "OccasionRecorded", "ReviewLinkRequested"]
    assert detail_types(default) == always
    assert detail_types(full) == [*always, "ReviewSubmitted"]
    assert "CONFIRMATION_TEXTS" not in environment_of(default, "ReviewRequested")
    assert json.loads(environment_of(full, "ReviewRequested")["CONFIRMATION_TEXTS"]) == {
        "en": "Thanks, {{name}}!"
    }


def test_links_lead_to_the_api_unless_a_shorter_address_is_given(default: Template, full: Template) -> None:
    assert "ApiEndpoint" in json.dumps(environment_of(default, "SendPart")["LINK_BASE_URL"])
    assert environment_of(full, "SendPart")["LINK_BASE_URL"] == "https://r.example.com"


def test_parts_that_run_at_once_share_the_rate(full: Template) -> None:
    assert environment_of(full, "SendPart")["PARTS_PER_SECOND"] == "100"
    assert environment_of(full, "SendPart")["BROADCAST_CONCURRENCY"] == "4"
    assert environment_of(full, "Audience")["RECIPIENTS_PER_PART"] == "1000"


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
    } - {"ReviewsFiguresCountRole"}
    assert readers == {"ReviewsAudienceRole", "ReviewsSendPartRole", "ReviewsReviewRequestedRole"}
    assert {role for role, actions in rights.items() if "kms:Decrypt" in actions} >= readers
    assert "kms:Decrypt" not in rights["ReviewsFormRole"]


def test_customers_of_events_are_added_to_a_table_that_is_given_unless_that_is_switched_off() -> None:
    def collector_with(*, adds: bool) -> Template:
        stack = new_stack()
        table = dynamodb.TableV2(
            stack,
            "OurCustomers",
            partition_key=dynamodb.Attribute(name="userId", type=dynamodb.AttributeType.STRING),
            encryption=dynamodb.TableEncryptionV2.customer_managed_key(kms.Key(stack, "TheirKey")),
        )
        ReviewCollector(
            stack,
            "Reviews",
            channel=imported(stack),
            customers_table=table,
            add_customers_from_events=adds,
        )
        assert {finding for finding in nag_findings(stack) if "Reviews" in str(finding)} == set()
        return template_of(stack)

    def writers(template: Template, resource: str, action: str) -> set[str]:
        roles = ("Audience", "SendPart", "ReviewRequested", "Submit", "Form")
        return {role for role in roles if resource in " ".join(statements_of(template, role, action))}

    on, off = collector_with(adds=True), collector_with(adds=False)

    assert writers(on, "OurCustomers", "dynamodb:PutItem") == {"ReviewRequested"}
    assert writers(on, "TheirKey", "kms:Encrypt") == {"ReviewRequested"}
    assert environment_of(on, "ReviewRequested")["ADD_CUSTOMERS_FROM_EVENTS"] == "true"
    assert writers(off, "OurCustomers", "dynamodb:PutItem") == set()
    assert writers(off, "TheirKey", "kms:Encrypt") == set()
    assert writers(off, "OurCustomers", "dynamodb:BatchGetItem") == {"SendPart", "ReviewRequested"}
    assert environment_of(off, "ReviewRequested")["ADD_CUSTOMERS_FROM_EVENTS"] == "false"
    # Everybody else may do neither more nor less.
    more = {role for role, actions in rights_of(on).items() if actions != rights_of(off)[role]}
    assert more == {"ReviewsReviewRequestedRole"}


def test_texts_of_events_that_cannot_be_sent_have_a_metric(default_stack: cdk.Stack) -> None:
    metric = default_stack.node.find_child("Reviews").metric_texts_refused()
    handlers = ROOT / "runtime/sms_engagement_runtime/review_collector/handlers"

    emitted = (handlers / "review_requested.py").read_text(encoding="utf-8")
    assert f'name="{metric.metric_name}"' in emitted


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
            "texts, reminder_texts and confirmation_texts take .* bytes, and 1600 at the most fit",
        ),
        ({"public_concurrency": 0}, "public_concurrency must be between 1 and 1000, got 0"),
        ({"public_requests_per_second": 0}, "public_requests_per_second must be between 1 and 2500"),
        ({"broadcast_concurrency": 2}, "broadcast_concurrency must be between 1 and 1, got 2"),
        (
            {"broadcast_expires_after": cdk.Duration.days(31)},
            "broadcast_expires_after must be between 1 hour",
        ),
        ({"cooldown": cdk.Duration.hours(1)}, "cooldown must be between 1 day and 3650 days, got 1 hour"),
        (
            {"occasion_lifetime": cdk.Duration.days(91)},
            "occasion_lifetime must be between 1 day and 90 days, got 91 days; leave it out for the default",
        ),
        (
            {"reminder_delay": cdk.Duration.days(30)},
            "reminder_delay must be between 1 day and 14 days, got 30 days; leave it out for the default",
        ),
        (
            {"remind": False, "reminder_delay": cdk.Duration.days(3)},
            "reminder_delay needs remind=True; set it, or leave both out",
        ),
        (
            {"remind": False, "reminder_texts": {"en": "{{link}}"}},
            "reminder_texts needs remind=True; set it, or leave both out",
        ),
        ({"reminder_texts": {"en": "Still: {{name}}"}}, "must contain {{link}}"),
        (
            {"reminder_texts": {"en": "x" * 161 + "{{link}}"}},
            "the reminder text for en takes 2 message parts",
        ),
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
    assert_alarm_on_message(default, "Submit", "Review stored without notice", "ReviewsUnannounced")


def test_somebody_whom_a_broadcast_could_not_ask_is_an_alarm(default: Template) -> None:
    assert_alarm_on_message(default, "SendPart", "Person not asked", "PeopleNotAsked")


def assert_alarm_on_message(template: Template, function: str, message: str, metric: str) -> None:
    (counted,) = (
        counted
        for counted in resources_of(template, "AWS::Logs::MetricFilter").values()
        if counted["LogGroupName"]["Ref"].startswith(f"Reviews{function}Logs")
    )
    (counter,) = counted["MetricTransformations"]
    alarms = resources_of(template, "AWS::CloudWatch::Alarm")
    (alarm,) = (alarm for name, alarm in alarms.items() if name.startswith(f"ReviewsAlarms{metric}"))

    assert counted["FilterPattern"] == f'{{ $.message = "{message}" }}'
    assert (counter["MetricNamespace"], counter["MetricName"]) == (alarm["Namespace"], metric)
    assert alarm["MetricName"] == metric
    assert counter["Dimensions"] == [{"Key": "service", "Value": "$.service"}]
    assert alarm["Dimensions"] == [
        {"Name": "service", "Value": environment_of(template, function)["POWERTOOLS_SERVICE_NAME"]}
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
    ("props", "max_parts", "warning"),
    [
        (
            {"texts": {"en": "x" * 120 + " {{link}}"}},
            2,
            "the review text for en takes 2 message parts, so it costs as many times as much",
        ),
        (
            {"texts": {"en": "x" * 52 + " {{name}} {{link}}"}},
            1,
            "the review text for en has no room for a first name of 10 letters",
        ),
        (
            {"reminder_texts": {"en": "x" * 52 + " {{name}} {{link}}"}},
            1,
            "the reminder text for en has no room for a first name of 10 letters",
        ),
        (
            {"texts": {"en": "How was it? {{link}}", "de": "x" * 40 + " {{link}}"}},
            1,
            "the review text for de has no room for how to opt out, not even without a name",
        ),
    ],
)
def test_doubtful_texts_are_warned_about(props: dict[str, Any], max_parts: int, warning: str) -> None:
    stack = new_stack()

    ReviewCollector(stack, "Reviews", channel=channel_in(stack, max_parts=max_parts), **props)

    expected = Match.string_like_regexp(f".*{warning}.*")
    Annotations.from_stack(stack).has_warning("/Test/Reviews", expected)


@pytest.mark.parametrize(
    ("region", "has_room"), [("us-east-1", True), ("eu-west-1", True), ("ap-southeast-2", False)]
)
def test_the_standard_texts_fit_with_a_name_and_a_first_one_says_how_to_opt_out(
    region: str, has_room: bool
) -> None:
    stack = cdk.Stack(new_app(), "Test", env=cdk.Environment(account="111122223333", region=region))
    identity = f"arn:aws:sms-voice:{region}:111122223333:phone-number/phone-0123456789abcdef"

    ReviewCollector(stack, "Reviews", channel=channel_in(stack, origination_identity=identity))

    warnings = Annotations.from_stack(stack)
    if has_room:
        warnings.has_no_warning("/Test/Reviews", Match.any_value())
    else:
        # The name of the Region makes the link too long; a short domain is the way out.
        no_room = Match.string_like_regexp("the review text for en has no room for how to opt out.*")
        warnings.has_warning("/Test/Reviews", no_room)


def test_a_short_domain_has_room_for_the_opt_out_everywhere() -> None:
    stack = new_stack()

    ReviewCollector(stack, "Reviews", channel=channel_in(stack), link_base_url="https://r.example.com")

    Annotations.from_stack(stack).has_no_warning("/Test/Reviews", Match.any_value())


def schedules_of(template: Template) -> dict[str, dict[str, Any]]:
    return {
        name[7:-8]: schedule for name, schedule in resources_of(template, "AWS::Scheduler::Schedule").items()
    }


def test_everybody_who_is_due_is_asked_daily_at_ten_in_a_time_zone(default: Template, full: Template) -> None:
    def shown(schedule: dict[str, Any]) -> tuple[str, str, str]:
        expression, zone = schedule["ScheduleExpression"], schedule["ScheduleExpressionTimezone"]
        return expression, zone, schedule["State"]

    assert shown(schedules_of(default)["Schedule"]) == ("cron(0 10 * * ? *)", "America/New_York", "ENABLED")
    assert shown(schedules_of(full)["Schedule"]) == ("cron(30 9 * * ? *)", "Europe/Berlin", "DISABLED")
    target = schedules_of(default)["Schedule"]["Target"]
    assert target["Arn"]["Ref"].startswith("ReviewsBroadcastStateMachine")
    assert json.loads(target["Input"]) == {"reason": "schedule"}
    assert target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0].startswith("ReviewsDeadLetters")
    assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] == 6 * 3600


def test_the_admins_get_a_digest_at_eight_in_the_same_time_zone(default: Template, full: Template) -> None:
    for template, zone in ((default, "America/New_York"), (full, "Europe/Berlin")):
        schedule = schedules_of(template)["DigestSchedule"]
        assert schedule["ScheduleExpression"] == "cron(0 8 * * ? *)"
        assert (schedule["ScheduleExpressionTimezone"], schedule["State"]) == (zone, "ENABLED")
        assert environment_of(template, "Digest")["DIGEST_TIME_ZONE"] == zone
        assert environment_of(template, "Digest")["DIGEST_HOUR"] == "8"


def test_a_digest_that_nobody_wants_is_not_made() -> None:
    stack = new_stack()

    reviews = ReviewCollector(stack, "Reviews", channel=imported(stack), digest=False)

    template = template_of(stack)
    assert list(schedules_of(template)) == ["Schedule"]
    assert not any("Digest" in name for name in template["Resources"])
    assert reviews.digest is None


def test_schedules_are_run_for_this_account_only(default: Template) -> None:
    roles = resources_of(default, "AWS::IAM::Role")
    trusted = [
        role["AssumeRolePolicyDocument"]["Statement"][0]
        for role in roles.values()
        if "scheduler" in json.dumps(role["AssumeRolePolicyDocument"])
    ]

    assert len(trusted) == 2
    for statement in trusted:
        condition = statement["Condition"]["StringEquals"]
        assert condition["aws:SourceAccount"] == "111122223333"
        assert json.dumps(condition["aws:SourceArn"]).endswith(
            ':scheduler:us-east-1:111122223333:schedule-group/default"'
        )


@pytest.mark.parametrize(
    ("props", "message"),
    [
        ({"hour": 24}, "hour of the schedule must be between 0 and 23, got 24"),
        ({"hour": -1}, "hour of the schedule must be between 0 and 23, got -1"),
        ({"minute": 60}, "minute of the schedule must be between 0 and 59, got 60"),
        ({"time_zone": "America/Gotham"}, "must be a zone of the IANA database.*got 'America/Gotham'"),
        ({"time_zone": "EST5EDT4"}, "must be a zone of the IANA database"),
        ({"time_zone": "../etc/passwd"}, "must be a zone of the IANA database"),
        ({"time_zone": ""}, "must be a zone of the IANA database"),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused(props: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BroadcastSchedule(**props)


@pytest.mark.parametrize(
    ("hour", "minute", "time_zone", "day"),
    [
        (2, 0, "America/New_York", date(2026, 3, 8)),
        (2, 30, "America/New_York", date(2026, 3, 8)),
        (1, 59, "America/New_York", None),
        (3, 0, "America/New_York", None),
        (10, 0, "America/New_York", None),
        # An hour that comes twice in autumn is there.
        (1, 30, "America/New_York", None),
        (2, 30, "Europe/Berlin", date(2026, 3, 29)),
        (2, 30, "America/Phoenix", None),
        # Half an hour is skipped, in the spring of the south.
        (2, 15, "Australia/Lord_Howe", date(2026, 10, 4)),
        (2, 30, "Australia/Lord_Howe", None),
        (0, 0, "Asia/Beirut", date(2026, 3, 29)),
        (2, 30, cdk.Aws.REGION, None),
    ],
)
def test_a_time_that_the_clock_skips_is_found(
    hour: int, minute: int, time_zone: str, day: date | None
) -> None:
    when = BroadcastSchedule(hour=hour, minute=minute, time_zone=time_zone)

    assert first_day_without(when) == day


def test_a_time_that_the_clock_skips_once_a_year_is_warned_of() -> None:
    app = new_app()
    stack = new_stack(app)

    ReviewCollector(stack, "Reviews", channel=imported(stack), schedule=BroadcastSchedule(hour=2, minute=30))

    (warning,) = [text for text in warnings_of(app, stack) if "sms-engagement:skipped-time" in text]
    assert warning.startswith(
        "the clock of America/New_York skips 02:30 when it is put forward, as on 2026-03-08: "
    )


def test_a_time_that_comes_every_day_is_not_warned_of(default_stack: cdk.Stack) -> None:
    app = default_stack.node.root
    assert isinstance(app, cdk.App)

    assert not any("skipped-time" in text for text in warnings_of(app, default_stack))


def test_how_often_people_are_asked_reaches_whoever_decides(default: Template, full: Template) -> None:
    functions = ("Audience", "SendPart", "ReviewRequested")
    day = 86400

    for template, days in ((default, (90, 3, 30)), (full, (30, 5, 14))):
        cooldown, delay, lifetime = (number * day for number in days)
        for function in functions:
            assert json.loads(environment_of(template, function)["OCCASION_POLICY"]) == {
                "cooldownSeconds": cooldown,
                "reminderDelaySeconds": delay,
                "lifetimeSeconds": lifetime,
            }
        assert environment_of(template, "BroadcastSummary")["FOLLOW_UP_SECONDS"] == str(delay)
    reminders = json.loads(environment_of(full, "SendPart")["REVIEW_REMINDERS"])
    assert reminders == {"en": "{{name}}, still: how was it? {{link}}"}
    assert json.loads(environment_of(default, "SendPart")["REVIEW_REMINDERS"]) == {}


def test_reminders_can_be_switched_off() -> None:
    stack = new_stack()

    ReviewCollector(stack, "Reviews", channel=imported(stack), remind=False)

    template = template_of(stack)
    policy = json.loads(environment_of(template, "ReviewRequested")["OCCASION_POLICY"])
    assert policy["reminderDelaySeconds"] is None
    assert "FOLLOW_UP_SECONDS" not in environment_of(template, "BroadcastSummary")


def test_stop_rules_and_expiry_reach_the_engine(full: Template) -> None:
    rules = json.loads(environment_of(full, "BroadcastPlan")["STOP_RULES"])

    assert (rules["maxOptOutPercent"], rules["minDeliveryPercent"], rules["minVolume"]) == (2, 95, 500)
    assert environment_of(full, "BroadcastPlan")["RUN_EXPIRY_SECONDS"] == str(3 * 86400)


def test_texts_of_all_kinds_fit_into_the_environment_with_the_longest_channel() -> None:
    stack = new_stack()
    channel = channel_in(
        stack,
        allowed_countries=sorted(SUPPORTED_COUNTRIES),
        sender_name="A Name Of Forty Letters, As Many As Go",
        budget=Budget(per_day_usd="99999.99", per_campaign_usd="99999.99"),
    )
    texts = {f"{a}{b}": f"{{{{name}}}}? {'x' * 42} {{{{link}}}}" for a in "eabc" for b in "nopqr"}

    ReviewCollector(stack, "Reviews", channel=channel, texts=texts, link_base_url="https://r.example.com")

    for name, function in resources_of(template_of(stack), "AWS::Lambda::Function").items():
        variables = function["Environment"]["Variables"]
        # Names and ARNs that only a deployment knows, with stacks that are called by a long name.
        size = sum(
            len(key) + len(value.encode() if isinstance(value, str) else b"x" * 110)
            for key, value in variables.items()
        )
        assert size <= 4096, name


def test_what_is_lost_while_it_waits_is_an_alarm(default: Template) -> None:
    alarms = resources_of(default, "AWS::CloudWatch::Alarm")
    (alarm,) = (alarm for name, alarm in alarms.items() if name.startswith("ReviewsAlarmsLaterFailed"))

    assert {m["MetricStat"]["Metric"]["MetricName"] for m in alarm["Metrics"] if "MetricStat" in m} == {
        "ExecutionsFailed",
        "ExecutionsTimedOut",
    }


def test_every_state_machine_ends_some_day(default: Template) -> None:
    # In the definition: beside one that is given as text, the property of the CDK has no effect.
    for machine in resources_of(default, "AWS::StepFunctions::StateMachine").values():
        assert 0 < json.loads(machine["DefinitionString"])["TimeoutSeconds"] < 365 * 86400


def test_every_function_has_an_alarm(default: Template) -> None:
    watched = {
        json.loads(metric.dimensions["FunctionName"])["Ref"]
        for alarm in resources_of(default, "AWS::CloudWatch::Alarm").values()
        for metric in metrics_of(alarm)
        if metric.name == "Errors"
    }

    assert watched == set(resources_of(default, "AWS::Lambda::Function"))
