"""Hands every event of an appointment to a CRM over HTTPS, with an API key; no code of ours runs for it."""

from typing import Final

from aws_cdk import Acknowledgment, Duration, Token, Validations
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

_SOURCE: Final = "sms-engagement"

_PREFIX: Final = "Appointment"
"""Of the detail types of appointments, and of no others (``docs/events``)."""

# Fields that are always texts. Those that may be null are in the detail alone, which is put in as it is: what
# a template makes of a null is not documented (EventBridge, *Input transformation*).
_DETAIL: Final = {
    "id": "appointmentId",
    "name": "eventName",
    "startsAt": "startsAt",
    "endsAt": "endsAt",
    "status": "status",
}


class CrmHandOver(Construct):
    """Posts events of appointments to an endpoint, each at least once, in no order.

    The body is JSON::

        {
          "eventId": "AppointmentBooked/5lq3…",
          "type": "AppointmentBooked",
          "occurredAt": "2026-11-21T17:00:00+00:00",
          "person": {"provider": "calendly", "externalId": "https://api.calendly.com/…/invitees/…"},
          "appointment": {"id", "name", "startsAt", "endsAt", "status"},
          "detail": {the event's whole detail, as in docs/events}
        }

    Makes a rule, a connection, an API destination, a dead-letter queue and its alarm. EventBridge copies the
    key into a secret of its own when the stack is deployed, so a new key needs a deployment. Cost: $0.20 a
    million posts (EventBridge, *Pricing*), and the copied secret.

    Answers of 401, 407, 409, 429 and 5xx, and none within five seconds, are tried again with growing pauses;
    any other 4xx is not (EventBridge, *API destinations*). Neither loses an event: it waits in the
    dead-letter queue for 14 days, and whoever gets the alarm sends it again.

    Parameters
    ----------
    bus
        That of the channel, or the one that AppointmentFollowUp was given.
    endpoint_url
        ``https://…``.
    api_key
        Secret whose whole text is the key.
    api_key_header
        Header that carries it.
    requests_per_second
        What the CRM can take, 1 to 300; more wait.
    keep_trying_for
        How long an event is posted again and again, 1 minute to 24 hours.
    alarm_topic
        Told of events in the dead-letter queue; without one the alarm notifies nobody.

    Attributes
    ----------
    rule, connection, destination, dead_letter_queue, alarm
        What was made.

    Raises
    ------
    ValueError
        The URL is not ``https://``, or a number is out of its range.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        bus: events.IEventBus,
        endpoint_url: str,
        api_key: secretsmanager.ISecret,
        api_key_header: str = "x-api-key",
        requests_per_second: int = 10,
        keep_trying_for: Duration | None = None,
        alarm_topic: sns.ITopic | None = None,
    ) -> None:
        age = keep_trying_for or Duration.hours(24)
        if not Token.is_unresolved(endpoint_url) and not endpoint_url.startswith("https://"):
            raise ValueError(
                f"endpoint_url must begin with https://, got {endpoint_url!r}: the API key goes there"
            )
        # Limits of an API destination, and of the retries of any target (EventBridge, quotas).
        if not 1 <= requests_per_second <= 300:
            raise ValueError(f"requests_per_second must be between 1 and 300, got {requests_per_second}")
        if not 60 <= age.to_seconds() <= 86_400:
            raise ValueError(
                f"keep_trying_for must be between 1 minute and 24 hours, got {age.to_human_string()}; "
                f"leave it out for 24 hours"
            )
        super().__init__(scope, id)

        self.dead_letter_queue = sqs.Queue(
            self,
            "DeadLetters",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        Validations.of(self.dead_letter_queue).acknowledge(
            Acknowledgment(id="AwsSolutions-SQS3", reason="it is the dead-letter queue of a rule")
        )
        self.connection = events.Connection(
            self,
            "Connection",
            description="The CRM's API key",
            authorization=events.Authorization.api_key(api_key_header, api_key.secret_value),
        )
        self.destination = events.ApiDestination(
            self,
            "Destination",
            description="The CRM's endpoint for appointments",
            connection=self.connection,
            endpoint=endpoint_url,
            http_method=events.HttpMethod.POST,
            rate_limit_per_second=requests_per_second,
        )
        self.rule = events.Rule(
            self,
            "Appointments",
            description="Everything that happens to appointments",
            event_bus=bus,
            event_pattern=events.EventPattern(source=[_SOURCE], detail_type=events.Match.prefix(_PREFIX)),
            targets=[
                targets.ApiDestination(
                    self.destination,
                    event=_body(),
                    dead_letter_queue=self.dead_letter_queue,
                    max_event_age=age,
                    # The most there are (EventBridge, *Retry policy*): the age ends the attempts.
                    retry_attempts=185,
                )
            ],
        )
        self.alarm = cloudwatch.Alarm(
            self,
            "NotHandedOver",
            alarm_description="the CRM did not take events of appointments; they wait in the queue",
            metric=self.dead_letter_queue.metric_approximate_number_of_messages_visible(statistic="Maximum"),
            threshold=1,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        if alarm_topic is not None:
            self.alarm.add_alarm_action(actions.SnsAction(alarm_topic))


def _body() -> events.RuleTargetInput:
    of = events.EventField.from_path
    return events.RuleTargetInput.from_object(
        {
            "eventId": of("$.detail.eventId"),
            "type": of("$.detail-type"),
            "occurredAt": of("$.detail.occurredAt"),
            "person": {"provider": of("$.detail.provider"), "externalId": of("$.detail.externalId")},
            "appointment": {name: of(f"$.detail.{field}") for name, field in _DETAIL.items()},
            "detail": of("$.detail"),
        }
    )
