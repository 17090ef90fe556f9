"""The stack of the analytics pipeline."""

from aws_cdk import CfnOutput, Duration, Stack
from constructs import Construct

from sms_engagement import SmsAnalyticsPipeline, SmsChannelBase
from stacks.environments import LOCAL, Environment


class AnalyticsStack(Stack):
    """Delivery events and answers of one environment.

    Attributes
    ----------
    analytics
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
            description="Analytics: every delivery event and answer, counted, kept and usable",
            termination_protection=environment.is_protected,
        )
        self.analytics = SmsAnalyticsPipeline(
            self,
            "Analytics",
            channel=channel,
            stream_retention=Duration.days(environment.stream_retention_days),
            provisioned_shards=environment.provisioned_shards,
            enhanced_fan_out=environment.enhanced_fan_out,
            dashboard=environment.dashboard,
            data_scope=data,
            metric_namespace=_namespace(environment),
            removal_policy=environment.removal_policy,
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
            # For `sms-engagement import-events` and `redrive`.
            "IngestQueueUrl": self.analytics.ingest_queues["Events"].queue_url,
            **{
                f"{name}FailuresQueueName": self.analytics.dead_letter_queues[f"{name}Failures"].queue_name
                for name in self.analytics.consumers
            },
            **{
                f"{name}FunctionName": function.function_name
                for name, function in self.analytics.consumers.items()
            },
        }.items():
            CfnOutput(self, name, value=value)


def _namespace(environment: Environment) -> str:
    """Return where an environment's metrics go: others of its account must not add theirs to production's."""
    standard = "SMS/Marketing"
    return standard if environment.name in {"prod", LOCAL} else f"{standard}/{environment.name}"
