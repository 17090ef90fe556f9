"""The stack of the appointments."""

from aws_cdk import CfnOutput, Stack
from constructs import Construct

from sms_engagement import AppointmentFollowUp, Provider, SmsChannelBase
from stacks.domains import api_domain
from stacks.environments import Environment


class AppointmentsStack(Stack):
    """Confirmations, follow-ups and reminders of one environment.

    Attributes
    ----------
    appointments
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
            description="Appointments: webhooks, conversations, texts by SMS",
            termination_protection=environment.is_protected,
        )
        domains = environment.domains
        self.appointments = AppointmentFollowUp(
            self,
            "Appointments",
            channel=channel,
            default_time_zone=environment.time_zone,
            api_domain=api_domain(self, domains, domains.appointments if domains else None),
            webhook_concurrency=environment.public_concurrency,
            dashboard=environment.dashboard,
            data_scope=data,
            removal_policy=environment.removal_policy,
        )
        for name, value in {
            "AppointmentsApiId": self.appointments.api.api_id,
            "CalendlyWebhookUrl": self.appointments.webhook_urls[Provider.CALENDLY],
            "CalcomWebhookUrl": self.appointments.webhook_urls[Provider.CALCOM],
            "CalendlySigningKeyArn": self.appointments.signing_keys[Provider.CALENDLY].secret_arn,
            "CalcomSigningKeyArn": self.appointments.signing_keys[Provider.CALCOM].secret_arn,
            "ConversationsTableName": self.appointments.conversations_table.table_name,
            "AppointmentFollowUpArn": self.appointments.state_machine.state_machine_arn,
            "HostTopicArn": self.appointments.host_topic.topic_arn,
        }.items():
            CfnOutput(self, name, value=value)
