"""The stack of the journeys."""

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from sms_engagement import Journey, JourneyEngine, SmsChannelBase, promotional, welcome_series
from stacks.environments import Environment


class JourneysStack(Stack):
    """Welcome series and promotions of one environment, on one engine.

    Attributes
    ----------
    engine, welcome, promotional
        The constructs.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        environment: Environment,
        channel: SmsChannelBase,
        data: Construct,
        subscribers_table: dynamodb.ITable,
    ) -> None:
        super().__init__(
            scope,
            id,
            description="Journeys: welcome series and promotions by SMS",
            termination_protection=environment.is_protected,
        )
        self.engine = JourneyEngine(
            self,
            "Journeys",
            channel=channel,
            subscribers=subscribers_table,
            data_scope=data,
            dashboard=environment.dashboard,
            removal_policy=environment.removal_policy,
        )
        self.welcome = Journey(
            self, "Welcome", channel=channel, engine=self.engine, definition=welcome_series()
        )
        self.promotional = Journey(
            self, "Promotional", channel=channel, engine=self.engine, definition=promotional()
        )
        for name, value in {
            "WelcomeJourneyArn": self.welcome.state_machine_arn,
            "PromotionalJourneyArn": self.promotional.state_machine_arn,
            "EnrolmentsTableName": self.engine.enrolments_table.table_name,
            "JourneyBucketName": self.engine.bucket.bucket_name,
        }.items():
            CfnOutput(self, name, value=value)
