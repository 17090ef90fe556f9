"""The stack of the shared SMS channel."""

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_kms as kms
from constructs import Construct

from sms_engagement import FunctionOptions, SmsChannel
from stacks.environments import Environment
from stacks.notices import alarm_topic, monthly_budget


class ChannelStack(Stack):
    """The SMS channel of one environment.

    Attributes
    ----------
    channel
        For the stacks of the systems.
    """

    def __init__(self, scope: Construct, id: str, *, environment: Environment, data: Construct) -> None:
        super().__init__(
            scope,
            id,
            description="SMS channel: consent, ledger, inbound texts, delivery events",
            termination_protection=environment.is_protected,
        )
        alarms = alarm_topic(self, environment)
        key_arn = environment.encryption_key_arn
        self.channel = SmsChannel(
            self,
            "Channel",
            origination_identity=environment.origination_identity,
            allowed_countries=environment.allowed_countries,
            default_country=environment.default_country,
            parts_per_second=environment.parts_per_second,
            requests_per_second=environment.requests_per_second,
            estimated_price_per_part=environment.estimated_price_per_part,
            budget=environment.budget,
            quiet_hours=environment.quiet_hours,
            frequency_cap=environment.frequency_cap,
            sender_name=environment.sender_name,
            function_options=FunctionOptions(
                architecture=environment.architecture,
                environment=environment.function_environment,
                log_retention=environment.log_retention,
                removal_policy=environment.removal_policy,
            ),
            encryption_key=None if key_arn is None else kms.Key.from_key_arn(self, "Key", key_arn),
            alarm_topic=alarms,
            dashboard=environment.dashboard,
            data_scope=data,
            removal_policy=environment.removal_policy,
        )
        monthly_budget(self, environment, alarms)
        for name, value in {
            "InboundTopicArn": self.channel.inbound_topic.topic_arn,
            "EventTopicArn": self.channel.event_topic.topic_arn,
            "AttentionTopicArn": self.channel.attention_topic.topic_arn,
            "ContactsTableName": self.channel.contacts_table.table_name,
            "MessagesTableName": self.channel.messages_table.table_name,
            "BusArn": self.channel.bus.event_bus_arn,
            "OriginationIdentity": self.channel.origination_identity,
            "ConfigurationSetName": self.channel.configuration_set_name,
            "OptOutListName": self.channel.opt_out_list.ref,
            "TimelineFunctionName": self.channel.timeline_function.function_name,
            "SubscriberKeySecretArn": self.channel.subscriber_key_secret.secret_arn,
        }.items():
            CfnOutput(self, name, value=value)
