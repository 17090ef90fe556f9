"""Figures of reviews and requests by day, kept up to date from the tables' streams."""

from typing import Final

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from constructs import Construct

from sms_engagement.channel.base import grant_actions
from sms_engagement.data import place_of_data
from sms_engagement.functions import FunctionOptions, RuntimeFunction, grant_key
from sms_engagement.queues import dead_letter_queue
from sms_engagement.tables import has_new_images, on_demand_table

# A stream keeps its records for 24 hours (DynamoDB developer guide, Change data capture for DynamoDB
# Streams).
_MAX_RECORD_AGE: Final = Duration.hours(22)


class ReviewFigures(Construct):
    """Streams of reviews and of requests → function → counters by day, in a table of their own.

    A failure is tried again until its record is 22 hours old; then a message in the dead-letter queue names
    the piece of the stream, and ``sms-engagement repair reviews`` counts again from the tables.

    Cost: two writes for a row that changes, and a moment of the function for a hundred of them; reading a
    stream for Lambda is free. DynamoDB allows two readers of a stream: of the reviews' there is one left, or
    none beside the archive.

    Parameters
    ----------
    reviews_table, requests_table
        With streams of new images; one without is not counted.
    encryption_key
        Of the tables; None for keys of AWS.
    time_zone
        IANA zone of the days. What was counted stays on the day that it was counted on.

    Attributes
    ----------
    table
        Counters, what they are the sums of, and votes.
    count_reviews
        The function.
    sources
        Its event sources: reviews, requests.
    dead_letter_queue
        Pieces of a stream that were not counted.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        reviews_table: dynamodb.ITable,
        requests_table: dynamodb.ITable,
        encryption_key: kms.IKey | None,
        time_zone: str,
        function_options: FunctionOptions,
        removal_policy: RemovalPolicy,
        data_scope: Construct | None = None,
    ) -> None:
        super().__init__(scope, id)
        self.table = on_demand_table(
            place_of_data(self, data_scope),
            "Table",
            partition_key="part",
            sort_key="id",
            encryption_key=encryption_key,
            removal_policy=removal_policy,
        )
        self.dead_letter_queue = dead_letter_queue(self, of="event sources", encryption_key=encryption_key)
        self.count_reviews = RuntimeFunction(
            self,
            "Count",
            handler="review_collector.handlers.count_reviews",
            service="review-collector",
            description="Counts reviews and requests, and judges the words of reviews",
            options=function_options,
            environment={
                "REVIEWS_TABLE": reviews_table.table_name,
                "FIGURES_TABLE": self.table.table_name,
                "REPORTING_TIME_ZONE": time_zone,
            },
            timeout=Duration.minutes(1),
        )
        grant_actions(
            self.count_reviews,
            ["dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"],
            [self.table.table_arn],
        )
        grant_actions(self.count_reviews, ["dynamodb:UpdateItem"], [reviews_table.table_arn])
        grant_key(self.count_reviews, encryption_key)
        self.sources = [
            self._source(name, table)
            for name, table in (("Reviews", reviews_table), ("Requests", requests_table))
            if has_new_images(table)
        ]

    def _source(self, id: str, table: dynamodb.ITable) -> lambda_.EventSourceMapping:
        stream_arn = table.table_stream_arn
        assert stream_arn is not None
        grant_actions(
            self.count_reviews,
            [
                "dynamodb:DescribeStream",
                "dynamodb:GetRecords",
                "dynamodb:GetShardIterator",
                "dynamodb:ListStreams",
            ],
            [stream_arn],
        )
        return lambda_.EventSourceMapping(
            self,
            id,
            target=self.count_reviews,
            event_source_arn=stream_arn,
            batch_size=100,
            bisect_batch_on_error=True,
            max_record_age=_MAX_RECORD_AGE,
            on_failure=event_sources.SqsDlq(self.dead_letter_queue),
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
        )
