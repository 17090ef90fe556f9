"""SmsAnalyticsPipeline: what it makes, what it promises, and what it refuses."""

import json
from dataclasses import replace
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from syrupy.assertion import SnapshotAssertion

from sms_engagement import ConsumerBatch, FunctionOptions, SmsAnalyticsPipeline, SmsChannel
from sms_engagement_runtime.sms_analytics_pipeline.domain import metrics as emitted
from sms_engagement_runtime.sms_analytics_pipeline.domain.register import LEASE_MS
from tests.infrastructure.synthesis import (
    ATTRIBUTES,
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

CONSUMERS = ("EventProcessor", "ResponseHandler", "Analytics", "Archiver")
READING = {
    "kinesis:DescribeStream",
    "kinesis:DescribeStreamConsumer",
    "kinesis:DescribeStreamSummary",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
    "kinesis:ListStreams",
    "kinesis:SubscribeToShard",
}
TOPICS = {
    "inbound_topic_arn": "arn:aws:sns:us-east-1:111122223333:inbound",
    "event_topic_arn": "arn:aws:sns:us-east-1:111122223333:events",
}


def imported(stack: cdk.Stack) -> Any:
    """A channel that is not in the template, so that the template is the pipeline's alone."""
    return SmsChannel.from_attributes(stack, "Channel", replace(ATTRIBUTES, **TOPICS))


def everything_on(stack: cdk.Stack) -> SmsAnalyticsPipeline:
    key = kms.Key(stack, "Key", enable_key_rotation=True)
    return SmsAnalyticsPipeline(
        stack,
        "Analytics",
        channel=channel_in(stack, encryption_key=key),
        stream_retention=cdk.Duration.days(30),
        provisioned_shards=2,
        enhanced_fan_out=True,
        event_batch=ConsumerBatch(size=50, window=cdk.Duration.seconds(1)),
        reply_batch=ConsumerBatch(size=10, window=cdk.Duration.seconds(0)),
        analytics_batch=ConsumerBatch(size=10_000, window=cdk.Duration.seconds(30)),
        archive_batch=ConsumerBatch(size=5_000, window=cdk.Duration.minutes(2)),
        metrics_by_campaign=True,
        minimum_volume=20,
        event_bridge_events=True,
        notify_patterns={"urgent": ["call me", "complaint"], "dringend": ["rückruf"]},
        dashboard=False,
        function_options=FunctionOptions(architecture=cdk.aws_lambda.Architecture.X86_64),
        alarm_topic=sns.Topic(stack, "Pager", enforce_ssl=True),
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )


@pytest.fixture(scope="module")
def default_stack() -> cdk.Stack:
    stack = new_stack()
    SmsAnalyticsPipeline(stack, "Analytics", channel=imported(stack))
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


def mappings(template: Template) -> dict[str, dict[str, Any]]:
    """Event source mappings of the stream, by the function's name."""
    found = {}
    for properties in resources_of(template, "AWS::Lambda::EventSourceMapping").values():
        if "StartingPosition" in properties:
            name = properties["FunctionName"]["Ref"][:-8].removeprefix("Analytics")
            found[name or "Analytics"] = properties
    return found


def alarms(template: Template) -> dict[str, dict[str, Any]]:
    return {
        name[:-8].removeprefix("AnalyticsAlarms"): alarm
        for name, alarm in resources_of(template, "AWS::CloudWatch::Alarm").items()
        if name.startswith("AnalyticsAlarms")
    }


def variables(template: Template, name: str) -> dict[str, Any]:
    (function,) = (
        each
        for id_, each in resources_of(template, "AWS::Lambda::Function").items()
        if id_[:-8].removeprefix("Analytics") == ("" if name == "Analytics" else name)
    )
    found: dict[str, Any] = function["Environment"]["Variables"]
    return found


def test_default_template(default: Template, snapshot: SnapshotAssertion) -> None:
    assert scrubbed(default) == snapshot


def test_template_with_everything_set(full: Template, snapshot: SnapshotAssertion) -> None:
    assert scrubbed(full) == snapshot


def test_no_unacknowledged_nag_finding(default_stack: cdk.Stack, full_stack: cdk.Stack) -> None:
    assert nag_findings(default_stack) == []
    assert nag_findings(full_stack) == []


def test_the_stream_keeps_a_year_encrypted_and_scales(default: Template, full: Template) -> None:
    (stream,) = resources_of(default, "AWS::Kinesis::Stream").values()
    assert stream["RetentionPeriodHours"] == 8760
    assert stream["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    assert stream["StreamEncryption"] == {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}
    assert "ShardCount" not in stream

    (stream,) = resources_of(full, "AWS::Kinesis::Stream").values()
    assert stream["RetentionPeriodHours"] == 720
    assert stream["ShardCount"] == 2
    assert stream["StreamModeDetails"] == {"StreamMode": "PROVISIONED"}
    assert "Fn::GetAtt" in stream["StreamEncryption"]["KeyId"]


@pytest.mark.parametrize(
    ("consumer", "size", "window"),
    [
        ("EventProcessor", 100, 5),
        ("ResponseHandler", 100, 5),
        ("Analytics", 2_000, 5),
        ("Archiver", 10_000, 300),
    ],
)
def test_each_consumer_reads_as_it_should(default: Template, consumer: str, size: int, window: int) -> None:
    mapping = mappings(default)[consumer]

    assert mapping["BatchSize"] == size
    assert mapping["MaximumBatchingWindowInSeconds"] == window
    assert mapping["ParallelizationFactor"] == 2
    assert mapping["MaximumRetryAttempts"] == 3
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert f"{consumer}Failures" in json.dumps(mapping["DestinationConfig"]["OnFailure"])


def test_there_are_four_consumers_and_one_reads_answers_alone(default: Template) -> None:
    found = mappings(default)

    assert sorted(found) == sorted(CONSUMERS)
    filters = {name: mapping.get("FilterCriteria") for name, mapping in found.items()}
    assert json.loads(filters.pop("ResponseHandler")["Filters"][0]["Pattern"]) == {
        "data": {"event_type": ["_SMS.RECEIVED"]}
    }
    assert set(filters.values()) == {None}


def test_with_enhanced_fan_out_each_consumer_has_its_own(full: Template) -> None:
    consumers = resources_of(full, "AWS::Kinesis::StreamConsumer")

    assert len(consumers) == 4
    assert {json.dumps(mapping["EventSourceArn"]) for mapping in mappings(full).values()} == {
        json.dumps({"Fn::GetAtt": [name, "ConsumerARN"]}) for name in consumers
    }


def test_each_function_has_exactly_the_rights_that_it_needs(default: Template) -> None:
    rights = rights_of(default)

    assert {name: rights[f"Analytics{name}Role"] for name in ("EventProcessor", "Archiver")} == {
        "EventProcessor": READING
        | {"s3:PutObject", "sqs:SendMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"},
        "Archiver": READING
        | {"dynamodb:Query", "s3:PutObject", "sqs:SendMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"},
    }
    assert rights["AnalyticsAnalyticsRole"] - READING == {
        "dynamodb:PutItem",
        "s3:PutObject",
        "sqs:SendMessage",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
    }
    assert rights["AnalyticsIngestRole"] == {
        "dynamodb:BatchGetItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "events:PutEvents",
        "kinesis:GetRecords",
        "kinesis:GetShardIterator",
        "kinesis:ListShards",
        "kinesis:PutRecords",
        "s3:PutObject",
        "secretsmanager:GetSecretValue",
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "sqs:ReceiveMessage",
    }
    # Sends nothing, and reads nothing of the contacts.
    assert not any(right.startswith("sms-voice:") for role in rights.values() for right in role)


@pytest.mark.parametrize(
    ("role", "table", "actions"),
    [
        ("Ingest", "Register", {"BatchGetItem", "PutItem", "UpdateItem"}),
        ("Ingest", "Subscribers", {"BatchGetItem", "UpdateItem"}),
        ("ResponseHandler", "Responses", {"GetItem", "PutItem"}),
        ("ResponseHandler", "Subscribers", {"BatchGetItem", "UpdateItem"}),
        ("SubscriptionEvents", "Subscribers", {"BatchGetItem", "UpdateItem"}),
        ("Analytics", "Counts", {"PutItem"}),
    ],
)
def test_rights_to_a_table_are_what_is_needed(
    default: Template, role: str, table: str, actions: set[str]
) -> None:
    statements = [
        statement
        for policy in resources_of(default, "AWS::IAM::Policy").values()
        if any(entry["Ref"].startswith(f"Analytics{role}Role") for entry in policy["Roles"])
        for statement in policy["PolicyDocument"]["Statement"]
        if f"Analytics{table}" in json.dumps(statement["Resource"])
    ]
    allowed = {
        action.removeprefix("dynamodb:")
        for statement in statements
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        if action.startswith("dynamodb:")
    }

    assert allowed == actions


def test_ingest_ends_well_before_its_claims_are_taken_over(default: Template) -> None:
    (function,) = (
        each
        for name, each in resources_of(default, "AWS::Lambda::Function").items()
        if name.startswith("AnalyticsIngest")
    )
    queues = [
        queue["VisibilityTimeout"]
        for name, queue in resources_of(default, "AWS::SQS::Queue").items()
        if name.startswith("AnalyticsIngest") and "RedrivePolicy" in queue
    ]

    assert function["Timeout"] * 1000 * 2 <= LEASE_MS
    assert all(visibility * 1000 > LEASE_MS for visibility in queues)


def test_rates_alarm_at_their_limits_from_the_minimum_volume_on(default: Template, full: Template) -> None:
    found = alarms(default)
    assert found["DeliveryRate"]["Threshold"] == 95
    assert found["DeliveryRate"]["ComparisonOperator"] == "LessThanThreshold"
    assert found["OptOutRate"]["Threshold"] == 5
    assert found["OptOutRate"]["ComparisonOperator"] == "GreaterThanThreshold"
    assert ">= 100" in found["DeliveryRate"]["Metrics"][0]["Expression"]
    assert ">= 20" in alarms(full)["OptOutRate"]["Metrics"][0]["Expression"]
    assert "AlarmActions" not in found["DeliveryRate"]
    assert alarms(full)["DeliveryRate"]["AlarmActions"]


@pytest.mark.parametrize(("consumer", "threshold"), [("EventProcessor", 65_000), ("Archiver", 360_000)])
def test_a_consumer_is_behind_a_minute_after_its_window(
    default: Template, consumer: str, threshold: int
) -> None:
    alarm = alarms(default)[f"{consumer}Behind"]

    assert alarm["MetricName"] == "IteratorAge"
    assert alarm["Statistic"] == "Maximum"
    assert alarm["Threshold"] == threshold


def test_everything_that_can_fail_has_an_alarm(default: Template) -> None:
    found = set(alarms(default))

    assert {f"{name}Errors" for name in ("Ingest", "SubscriptionEvents", *CONSUMERS)} <= found
    assert {f"{name}FailuresNotEmpty" for name in CONSUMERS} <= found
    assert {"IngestDeadLettersNotEmpty", "RecordsSetAside"} <= found
    assert {f"{name}Throttles" for name in ("Responses", "Subscribers", "Counts", "Register")} <= found


def test_metrics_of_the_construct_are_those_that_the_code_emits() -> None:
    counts = emitted.Counts(delivered=1, failed=1, responses=1, opt_outs=1, cost_millicents=1)
    group = emitted.Group(0, "campaign", None, "US")
    names = {
        name
        for each in emitted.metric_sets({group: counts}, by_campaign=True)
        for name in (*each.counts, *each.costs)
    }
    pipeline = SmsAnalyticsPipeline(stack := new_stack(), "Analytics", channel=imported(stack))

    asked = {
        metric.metric_name
        for metric in (
            pipeline.metric_delivered(),
            pipeline.metric_failed(),
            pipeline.metric_responses(),
            pipeline.metric_opt_outs(),
            pipeline.metric_cost(),
            pipeline.metrics.of_country("MessagesDeliveredByCountry", "US"),
            pipeline.metrics.of_campaign("CampaignMessagesDelivered", "spring"),
        )
    }

    assert asked <= names
    assert {pipeline.metric_delivered().namespace} == {"SMS/Marketing"}


def test_answers_are_kept_for_a_year_and_found_by_campaign(default: Template) -> None:
    tables = {
        name[:-8].removeprefix("Analytics"): table
        for name, table in resources_of(default, "AWS::DynamoDB::GlobalTable").items()
    }

    assert tables["Responses"]["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    assert tables["Responses"]["GlobalSecondaryIndexes"][0]["IndexName"] == "campaign_id-response_key-index"
    indexes = {index["IndexName"] for index in tables["Subscribers"]["GlobalSecondaryIndexes"]}
    assert "segment-subscription_status-index" in indexes
    for table in tables.values():
        assert table["Replicas"][0]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
        assert table["Replicas"][0]["DeletionProtectionEnabled"] is True


def test_both_topics_of_the_channel_lead_to_ingest(default: Template) -> None:
    subscriptions = resources_of(default, "AWS::SNS::Subscription").values()

    assert {each["TopicArn"] for each in subscriptions} == set(TOPICS.values())
    assert {each["Protocol"] for each in subscriptions} == {"sqs"}
    assert all("RedrivePolicy" in each for each in subscriptions)


def test_events_of_the_default_bus_are_taken_where_wanted(default: Template, full: Template) -> None:
    def patterns(template: Template) -> list[list[str]]:
        return [
            rule["EventPattern"]["source"] for rule in resources_of(template, "AWS::Events::Rule").values()
        ]

    assert ["aws.sms-voice"] not in patterns(default)
    assert ["aws.sms-voice"] in patterns(full)


def test_campaigns_have_metrics_where_wanted(default: Template, full: Template) -> None:
    assert variables(default, "Analytics")["METRICS_BY_CAMPAIGN"] == "false"
    assert variables(full, "Analytics")["METRICS_BY_CAMPAIGN"] == "true"


def test_patterns_reach_the_response_handler(full: Template) -> None:
    given = json.loads(variables(full, "ResponseHandler")["NOTIFY_PATTERNS"])

    assert given == {"urgent": ["call me", "complaint"], "dringend": ["rückruf"]}


@pytest.mark.parametrize(
    ("props", "words"),
    [
        ({"stream_retention": cdk.Duration.hours(5)}, ["stream_retention", "1 day", "365 days"]),
        ({"stream_retention": cdk.Duration.days(366)}, ["stream_retention", "366", "365"]),
        ({"provisioned_shards": 0}, ["provisioned_shards", "0"]),
        ({"minimum_volume": 0}, ["minimum_volume", "0"]),
        ({"notify_patterns": {"urgent": "call me"}}, ["notify_patterns", "urgent", "call me"]),
        ({"notify_patterns": {"urgent": []}}, ["notify_patterns"]),
        (
            {"notify_patterns": {f"name-{n}": [f"{n} " + "word " * 9] for n in range(50)}},
            ["notify_patterns", "2500", "leave out"],
        ),
    ],
)
def test_wrong_props_are_refused_by_name_and_value(props: dict[str, Any], words: list[str]) -> None:
    stack = new_stack()

    with pytest.raises(ValueError) as refused:
        SmsAnalyticsPipeline(stack, "Analytics", channel=imported(stack), **props)

    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize(
    ("size", "window"),
    [(0, cdk.Duration.seconds(5)), (10_001, cdk.Duration.seconds(5)), (100, cdk.Duration.minutes(6))],
)
def test_a_batch_that_lambda_does_not_give_is_refused(size: int, window: cdk.Duration) -> None:
    with pytest.raises(ValueError, match="of a batch must be between"):
        ConsumerBatch(size=size, window=window)


def test_an_imported_channel_has_to_tell_its_topics() -> None:
    stack = new_stack()
    channel = SmsChannel.from_attributes(stack, "Channel", ATTRIBUTES)

    with pytest.raises(ValueError, match="event_topic_arn and inbound_topic_arn"):
        SmsAnalyticsPipeline(stack, "Analytics", channel=channel)


def test_one_shard_is_warned_of() -> None:
    stack = new_stack()
    SmsAnalyticsPipeline(stack, "Analytics", channel=imported(stack), provisioned_shards=1)
    app = stack.node.root
    assert isinstance(app, cdk.App)

    assert any("one shard" in warning for warning in warnings_of(app, stack))


def test_who_reads_who_was_erased_reads_no_contact(default: Template) -> None:
    readers = {
        name: statement
        for name, policy in resources_of(default, "AWS::IAM::Policy").items()
        for statement in policy["PolicyDocument"]["Statement"]
        if "dynamodb:LeadingKeys" in json.dumps(statement)
    }

    assert sorted(name.removeprefix("Analytics").partition("Role")[0] for name in readers) == [
        "Archiver",
        "Ingest",
        "ResponseHandler",
        "SubscriptionEvents",
    ]
    for statement in readers.values():
        assert statement["Action"] == "dynamodb:Query"
        assert statement["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["erased"]}}


# Two pipelines in one account


def pipelines_in(app: cdk.App, *namespaces: str | None) -> list[cdk.Stack]:
    stacks = []
    for number, namespace in enumerate(namespaces):
        stack = new_stack(app, f"Copy{number}")
        identity = f"arn:aws:sms-voice:us-east-1:111122223333:phone-number/phone-{number}"
        channel = channel_in(stack, origination_identity=identity)
        props = {} if namespace is None else {"metric_namespace": namespace}
        SmsAnalyticsPipeline(stack, "Analytics", channel=channel, **props)
        stacks.append(stack)
    return stacks


def test_a_second_pipeline_has_figures_of_its_own_in_another_namespace() -> None:
    app = new_app()
    first, second = pipelines_in(app, None, "SMS/Marketing/staging")

    for stack, namespace in ((first, "SMS/Marketing"), (second, "SMS/Marketing/staging")):
        template = template_of(stack)
        written = {
            function["Environment"]["Variables"].get("METRIC_NAMESPACE")
            for function in resources_of(template, "AWS::Lambda::Function").values()
        }
        read = {
            metric.namespace
            for alarm in resources_of(template, "AWS::CloudWatch::Alarm").values()
            for metric in metrics_of(alarm)
            if metric.namespace.startswith("SMS/Marketing")
        }
        assert written - {None} == read == {namespace}
        assert f"{{{namespace},Country}}" in json.dumps(template)
    assert warnings_of(app, second) == []


def test_two_pipelines_that_add_up_their_figures_are_warned_of() -> None:
    app = new_app()
    first, second = pipelines_in(app, None, None)

    assert warnings_of(app, first) == []
    (warning,) = warnings_of(app, second)
    assert "Copy0/Analytics writes its metrics into 'SMS/Marketing'" in warning
    assert "metric_namespace" in warning


@pytest.mark.parametrize("namespace", ["", "AWS/SMS", ":SMS", "SMS Marketing", "x" * 256])
def test_a_namespace_that_cloudwatch_does_not_take_is_refused(namespace: str) -> None:
    with pytest.raises(ValueError, match="metric_namespace must be 1 to 255 letters"):
        pipelines_in(new_app(), namespace)
