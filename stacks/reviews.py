"""The stack of the review collector."""

from aws_cdk import CfnOutput, Duration, Stack
from constructs import Construct

from sms_engagement import BroadcastSchedule, ReviewCollector, SmsChannelBase
from stacks.domains import api_domain
from stacks.environments import Environment


class ReviewsStack(Stack):
    """The review collector of one environment.

    Attributes
    ----------
    reviews
        The construct.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        environment: Environment,
        channel: SmsChannelBase,
        data: Construct,
    ) -> None:
        super().__init__(
            scope,
            id,
            description="Review requests by SMS, the form, and the reviews",
            termination_protection=environment.is_protected,
        )
        domains = environment.domains
        retention_days = environment.review_retention_days
        self.reviews = ReviewCollector(
            self,
            "Reviews",
            channel=channel,
            link_base_url=environment.link_base_url,
            api_domain=api_domain(self, domains, domains.reviews if domains else None),
            schedule=BroadcastSchedule(time_zone=environment.time_zone),
            public_concurrency=environment.public_concurrency,
            review_retention=None if retention_days is None else Duration.days(retention_days),
            dashboard=environment.dashboard,
            data_scope=data,
            removal_policy=environment.removal_policy,
        )
        for name, value in {
            "CustomersTableName": self.reviews.customers_table.table_name,
            "ReviewsTableName": self.reviews.reviews_table.table_name,
            "ReviewRequestsTableName": self.reviews.review_requests_table.table_name,
            "ApiId": self.reviews.api.api_id,
            "ApiUrl": self.reviews.api.api_endpoint,
            "AdminApiUrl": f"{self.reviews.api.api_endpoint}/admin/reviews",
            "ReviewFiguresTableName": self.reviews.figures.table.table_name,
            "AdminTopicArn": self.reviews.admin_topic.topic_arn,
            "ReviewBroadcastArn": self.reviews.broadcast.state_machine_arn,
            "LinkSecretArn": self.reviews.link_secret.secret_arn,
            "BroadcastBucketName": self.reviews.broadcast_bucket.bucket_name,
        }.items():
            CfnOutput(self, name, value=value)
        if self.reviews.review_archive is not None:
            CfnOutput(self, "ReviewArchiveName", value=self.reviews.review_archive.bucket_name)
