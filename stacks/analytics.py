"""The stack of the analytics pipeline."""

from aws_cdk import CfnOutput, Stack
from constructs import Construct

from sms_engagement import SmsAnalyticsPipeline, SmsChannelBase
from stacks.environments import Environment


class AnalyticsStack(Stack):
    """Delivery events and answers of one environment.

    Attributes
    ----------
    analytics
        The construct.
    """

    def __init__(
        self, scope: Construct, id: str, *, environment: Environment, channel: SmsChannelBase
    ) -> None:
        super().__init__(
            scope, id, description="Analytics: every delivery event and answer, counted, kept and usable"
        )
        self.analytics = SmsAnalyticsPipeline(
            self, "Analytics", channel=channel, removal_policy=environment.removal_policy
        )
        for name, value in {
            "StreamName": self.analytics.stream.stream_name,
            "ResponsesTableName": self.analytics.responses_table.table_name,
            "SubscribersTableName": self.analytics.subscribers_table.table_name,
            "CountsTableName": self.analytics.counts_table.table_name,
            "RegisterTableName": self.analytics.register_table.table_name,
            "ArchiveBucketName": self.analytics.archive.bucket.bucket_name,
            "AthenaWorkgroupName": self.analytics.archive.workgroup_name,
            "AthenaDatabaseName": self.analytics.archive.database_name,
            "ResponseTopicArn": self.analytics.response_topic.topic_arn,
        }.items():
            CfnOutput(self, name, value=value)
