"""Old reviews on their way from the table to a bucket."""

from typing import Final

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_s3 as s3
from constructs import Construct

from sms_engagement._acknowledge import acknowledge, acknowledge_wildcard
from sms_engagement.channel.base import grant_actions
from sms_engagement.data import place_of_data
from sms_engagement.functions import FunctionOptions, RuntimeFunction, grant_key
from sms_engagement.queues import dead_letter_queue

ARCHIVE_PREFIX: Final = "reviews/"
"""Where reviews lie in the bucket: ``reviews/year=YYYY/month=MM/<reviewId>.json``."""

# A stream keeps its records for 24 hours (DynamoDB developer guide, Change data capture for DynamoDB
# Streams). What could not be archived is reported while there are two hours left to read it.
_MAX_RECORD_AGE: Final = Duration.hours(22)


class ReviewArchive(Construct):
    """DynamoDB time to live → stream of the reviews table → function → one JSON object a review in S3.

    Only deletions by time to live are archived: what somebody deletes is to be gone. A failure is tried again
    until the record is 22 hours old; then a message in the dead-letter queue names the piece of the stream.
    Whoever gets it reads that piece within two hours, or restores the rows from the table's backups, which go
    35 days back.

    Cost: a write to S3 a review, and a moment of the function; reading the stream for Lambda is free.

    Parameters
    ----------
    reviews_table
        With a stream of old images.
    bucket
        Left out, one is made: encrypted, TLS only, private, versioned. It has no cheaper storage class: these
        bill objects below 128 KB as if they were that big (S3 pricing), and a review has a few KB.
    encryption_key
        Of the table's stream, and of the bucket that is made; None for keys of AWS.
    data_scope
        Where the bucket is made; inside this construct when left out.

    Attributes
    ----------
    bucket
        Given or made.
    archive_reviews
        The function.
    expired
        Its event source.
    dead_letter_queue
        Pieces of the stream that were not archived.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        reviews_table: dynamodb.ITable,
        bucket: s3.IBucket | None,
        encryption_key: kms.IKey | None,
        function_options: FunctionOptions,
        removal_policy: RemovalPolicy,
        data_scope: Construct | None = None,
    ) -> None:
        super().__init__(scope, id)
        self._data = place_of_data(self, data_scope)
        self.bucket: s3.IBucket = bucket or self._build_bucket(encryption_key, removal_policy)
        self.dead_letter_queue = dead_letter_queue(self, of="an event source", encryption_key=encryption_key)
        self.archive_reviews = RuntimeFunction(
            self,
            "Reviews",
            handler="review_collector.handlers.archive_reviews",
            service="review-collector",
            description="Archives reviews that the table has deleted for their age",
            options=function_options,
            environment={"REVIEW_ARCHIVE": self.bucket.bucket_name},
            timeout=Duration.minutes(2),
        )
        self._grant(reviews_table, encryption_key)
        self.expired = self._build_event_source(reviews_table)

    def _build_bucket(self, key: kms.IKey | None, removal_policy: RemovalPolicy) -> s3.Bucket:
        bucket = s3.Bucket(
            self._data,
            "Bucket",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            bucket_key_enabled=True if key else None,
            encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=key,
            enforce_ssl=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                    # Long enough to take back a mistake; then what was erased for a person is gone.
                    noncurrent_version_expiration=Duration.days(30),
                )
            ],
            removal_policy=removal_policy,
            versioned=True,
        )
        acknowledge(
            bucket, "S1", "one function writes it, and nobody reads it by default; CloudTrail shows who did"
        )
        return bucket

    def _grant(self, table: dynamodb.ITable, key: kms.IKey | None) -> None:
        function = self.archive_reviews
        stream_arn = table.table_stream_arn
        assert stream_arn is not None
        grant_actions(
            function,
            [
                "dynamodb:DescribeStream",
                "dynamodb:GetRecords",
                "dynamodb:GetShardIterator",
                "dynamodb:ListStreams",
            ],
            [stream_arn],
        )
        objects = self.bucket.arn_for_objects(f"{ARCHIVE_PREFIX}*")
        grant_actions(function, ["s3:PutObject"], [objects])
        acknowledge_wildcard(function.execution_role, objects, "objects are named by month and review")
        grant_key(function, key)
        if self.bucket.encryption_key is not key:
            grant_key(function, self.bucket.encryption_key)

    def _build_event_source(self, table: dynamodb.ITable) -> lambda_.EventSourceMapping:
        return lambda_.EventSourceMapping(
            self,
            "Expired",
            target=self.archive_reviews,
            event_source_arn=table.table_stream_arn,
            batch_size=100,
            bisect_batch_on_error=True,
            # Source of the pattern: DynamoDB developer guide, DynamoDB Streams and Time to Live.
            filters=[
                lambda_.FilterCriteria.filter(
                    {
                        "eventName": lambda_.FilterRule.is_equal("REMOVE"),
                        "userIdentity": {
                            "type": lambda_.FilterRule.is_equal("Service"),
                            "principalId": lambda_.FilterRule.is_equal("dynamodb.amazonaws.com"),
                        },
                    }
                )
            ],
            max_batching_window=Duration.minutes(1),
            max_record_age=_MAX_RECORD_AGE,
            on_failure=event_sources.SqsDlq(self.dead_letter_queue),
            report_batch_item_failures=True,
            # From the beginning: what expires while the mapping is made is archived too.
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
        )
