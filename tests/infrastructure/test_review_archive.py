"""The archive of old reviews: only where reviews get old, and only what it promises."""

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from sms_engagement import ReviewCollector, SmsChannel
from sms_engagement.review_collector.archive import ARCHIVE_PREFIX
from sms_engagement_runtime.review_collector.domain import archive as runtime_archive
from tests.infrastructure.synthesis import (
    Template,
    nag_findings,
    new_stack,
    resources_of,
    rights_of,
    template_of,
)
from tests.infrastructure.test_sms_channel import ATTRIBUTES


def collector(stack: cdk.Stack, **props: Any) -> ReviewCollector:
    channel = SmsChannel.from_attributes(stack, "Channel", ATTRIBUTES)
    return ReviewCollector(stack, "Reviews", channel=channel, **props)


@pytest.fixture(scope="module")
def stack() -> cdk.Stack:
    stack = new_stack()
    collector(stack, review_retention=cdk.Duration.days(730))
    return stack


@pytest.fixture(scope="module")
def template(stack: cdk.Stack) -> Template:
    return template_of(stack)


def only(template: Template, type_: str, prefix: str) -> Any:
    (found,) = (
        resource for name, resource in resources_of(template, type_).items() if name.startswith(prefix)
    )
    return found


def archive_source(template: Template) -> Any:
    return only(template, "AWS::Lambda::EventSourceMapping", "ReviewsArchive")


def test_without_retention_there_is_no_archive_and_old_rows_are_not_in_the_stream() -> None:
    stack = new_stack()
    reviews = collector(stack)

    template = template_of(stack)

    assert reviews.archive is None
    assert reviews.review_archive is None
    assert not any(name.startswith("ReviewsArchive") for name in template["Resources"])
    assert {
        table["StreamSpecification"]["StreamViewType"]
        for table in resources_of(template, "AWS::DynamoDB::GlobalTable").values()
        if "StreamSpecification" in table
    } == {"NEW_IMAGE"}


def test_the_stream_has_the_rows_as_they_were_and_only_expired_ones_are_taken(template: Template) -> None:
    table = only(template, "AWS::DynamoDB::GlobalTable", "ReviewsReviewRows")
    source = archive_source(template)

    assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert [json.loads(each["Pattern"]) for each in source["FilterCriteria"]["Filters"]] == [
        {
            "eventName": ["REMOVE"],
            "userIdentity": {"type": ["Service"], "principalId": ["dynamodb.amazonaws.com"]},
        }
    ]


def test_a_failure_is_tried_again_alone_and_ends_in_a_queue_while_the_stream_still_has_it(
    template: Template,
) -> None:
    source = archive_source(template)

    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["BisectBatchOnFunctionError"] is True
    assert source["StartingPosition"] == "TRIM_HORIZON"
    assert "MaximumRetryAttempts" not in source
    assert source["MaximumRecordAgeInSeconds"] < 24 * 3600
    assert source["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"][0].startswith(
        "ReviewsArchiveDeadLetters"
    )


def test_the_function_reads_the_stream_and_puts_objects_below_one_prefix(template: Template) -> None:
    rights = rights_of(template)["ReviewsArchiveReviewsRole"]
    policy = only(template, "AWS::IAM::Policy", "ReviewsArchiveReviewsRole")
    (put,) = (each for each in policy["PolicyDocument"]["Statement"] if each["Action"] == "s3:PutObject")

    assert rights == {
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
        "s3:PutObject",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "sqs:SendMessage",
    }
    assert put["Resource"]["Fn::Join"][1][-1] == "/reviews/*"


def test_the_prefix_of_the_right_is_that_of_the_keys() -> None:
    assert ARCHIVE_PREFIX == runtime_archive.ARCHIVE_PREFIX


def test_the_bucket_is_kept_private_encrypted_and_versioned(template: Template) -> None:
    ((name, bucket),) = (
        (name, resource)
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::S3::Bucket" and name.startswith("ReviewsArchive")
    )
    policy = only(template, "AWS::S3::BucketPolicy", "ReviewsArchive")

    assert name == "ReviewsArchiveBucketA58F9A33"
    assert bucket["DeletionPolicy"] == "Retain"
    properties = bucket["Properties"]
    assert all(properties["PublicAccessBlockConfiguration"].values())
    assert properties["BucketEncryption"]
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = properties["LifecycleConfiguration"]["Rules"]
    assert "ExpirationInDays" not in rule
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert policy["PolicyDocument"]["Statement"][0]["Effect"] == "Deny"


def test_what_waits_for_the_archive_raises_an_alarm(template: Template) -> None:
    late = only(template, "AWS::CloudWatch::Alarm", "ReviewsAlarmsArchiveLate")

    assert (late["MetricName"], late["Threshold"]) == ("IteratorAge", 3_600_000)
    assert only(template, "AWS::CloudWatch::Alarm", "ReviewsAlarmsArchiveDeadLettersNotEmpty")
    assert only(template, "AWS::CloudWatch::Alarm", "ReviewsAlarmsArchiveReviewsErrors")


def test_a_bucket_that_is_given_is_used_with_its_key_and_none_is_made() -> None:
    stack = new_stack()
    bucket = s3.Bucket(
        stack, "Ours", encryption=s3.BucketEncryption.KMS, encryption_key=kms.Key(stack, "OurKey")
    )
    reviews = collector(stack, review_retention=cdk.Duration.days(30), archive_bucket=bucket)

    template = template_of(stack)

    assert reviews.review_archive is bucket
    assert not any(name.startswith("ReviewsArchiveBucket") for name in template["Resources"])
    function = only(template, "AWS::Lambda::Function", "ReviewsArchiveReviews")
    assert function["Environment"]["Variables"]["REVIEW_ARCHIVE"]["Ref"].startswith("Ours")
    assert "kms:GenerateDataKey*" in rights_of(template)["ReviewsArchiveReviewsRole"]


def test_a_bucket_without_retention_is_refused() -> None:
    stack = new_stack()

    with pytest.raises(ValueError, match="archive_bucket needs review_retention"):
        collector(stack, archive_bucket=s3.Bucket(stack, "Ours"))

    assert stack.node.try_find_child("Reviews") is None


def test_nothing_is_left_for_nag(stack: cdk.Stack) -> None:
    assert nag_findings(stack) == []
