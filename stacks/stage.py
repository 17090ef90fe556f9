"""One environment as one stage: deployed together, as ``cdk deploy 'dev/*'``."""

import aws_cdk as cdk
from constructs import Construct

from stacks.analytics import AnalyticsStack
from stacks.appointments import AppointmentsStack
from stacks.channel import ChannelStack
from stacks.data import DataStack
from stacks.environments import Environment
from stacks.journeys import JourneysStack
from stacks.reviews import ReviewsStack


class EngagementStage(cdk.Stage):
    """All stacks of one environment, named ``<environment>-<system>`` in CloudFormation.

    Attributes
    ----------
    data
        The stack of what must not be lost.
    channel, reviews, appointments, analytics, journeys
        The stacks of the systems, all of which can be made again.
    stacks
        All of them.
    """

    def __init__(self, scope: Construct, *, environment: Environment) -> None:
        super().__init__(
            scope,
            environment.name,
            env=cdk.Environment(account=environment.account, region=environment.region),
        )
        self.data = DataStack(self, "Data", termination_protection=environment.is_protected)
        self.channel = ChannelStack(self, "Channel", environment=environment, data=self.data)
        self.reviews = ReviewsStack(
            self, "Reviews", environment=environment, channel=self.channel.channel, data=self.data
        )
        self.appointments = AppointmentsStack(
            self, "Appointments", environment=environment, channel=self.channel.channel, data=self.data
        )
        self.analytics = AnalyticsStack(
            self, "Analytics", environment=environment, channel=self.channel.channel, data=self.data
        )
        self.journeys = (
            JourneysStack(
                self,
                "Journeys",
                environment=environment,
                channel=self.channel.channel,
                data=self.data,
                subscribers_table=self.analytics.analytics.subscribers_table,
            )
            if environment.journeys
            else None
        )
        every = (self.data, self.channel, self.reviews, self.appointments, self.analytics, self.journeys)
        self.stacks: tuple[cdk.Stack, ...] = tuple(stack for stack in every if stack is not None)
        if not environment.tells_somebody and environment.is_protected:
            cdk.Annotations.of(self.channel).add_warning_v2(
                "sms-engagement:nobody-told",
                f"the alarms of {environment.name} notify nobody; put alarmEmail or alarmTopicArn at "
                f"context.environments.{environment.name}",
            )
        if environment.is_placeholder:
            cdk.Annotations.of(self.channel).add_warning_v2(
                "sms-engagement:placeholder-identity",
                f"{environment.name} still has the placeholder of cdk.json; put the ARN of your phone "
                f"number, pool or sender id at context.environments.{environment.name}.originationIdentity",
            )
