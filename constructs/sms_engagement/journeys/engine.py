"""JourneyEngine: what all journeys on a channel share."""

from collections.abc import Mapping
from typing import Final

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from sms_engagement.alarms import Alarms
from sms_engagement.channel.base import SmsChannelBase, check_range, grant_actions
from sms_engagement.channel.broadcast import Broadcast, run_bucket
from sms_engagement.checks import add_doubts, check_key
from sms_engagement.data import place_of_data
from sms_engagement.durations import check_duration
from sms_engagement.functions import FunctionOptions, RuntimeFunction, grant_key
from sms_engagement.journeys.alarms import engine_alarms
from sms_engagement.journeys.monitoring import engine_dashboard, engine_queries
from sms_engagement.metrics import business_metric, count_messages
from sms_engagement.queues import dead_letter_queue
from sms_engagement.tables import TableKeys, check_table, on_demand_table
from sms_engagement_runtime.channel.domain.broadcast.stop_rules import StopRules
from sms_engagement_runtime.journeys.domain.bus_events import CONSTRUCT
from sms_engagement_runtime.journeys.domain.reasons import NOT_TEXTED

SERVICE: Final = "journeys"
SUBSCRIBERS_INDEX: Final = "segment-subscription_status-index"
"""Of the subscribers: those of a segment, by status."""

OBJECTS_KEPT_FOR: Final = Duration.days(90)
"""Lifetime of what runs keep in the bucket (`run_bucket`)."""

_OBJECTS_MARGIN: Final = Duration.days(2)
"""For what a run takes beside its waits for people: snapshots, rates, retries."""

_EXPIRES_AFTER: Final = Duration.days(14)
_SUBSCRIBERS_KEYS: Final = TableKeys(
    partition_key="subscriber_id",
    indexes={SUBSCRIBERS_INDEX: ("segment", "subscription_status", dynamodb.AttributeType.STRING)},
    # They are only read.
    time_to_live=None,
)
_ENROLMENTS_KEYS: Final = TableKeys(partition_key="enrolment_id")
_SEND_PART_TIMEOUT: Final = Duration.seconds(280)
_NOT_TEXTED_METRIC: Final = "PeopleNotTexted"


def _longest_journey(expires_after: Duration) -> Duration:
    return Duration.seconds(
        OBJECTS_KEPT_FOR.to_seconds() - _OBJECTS_MARGIN.to_seconds() - expires_after.to_seconds()
    )


DEFAULT_LONGEST_JOURNEY: Final = _longest_journey(_EXPIRES_AFTER)
"""`JourneyEngine.longest_journey` of one with the default ``expires_after``."""


class JourneyEngine(Construct):
    """What journeys share: the broadcast engine with its functions, enrolments, and who takes in answers.

    Parameters
    ----------
    channel
        Sends the texts.
    subscribers
        Table of subscribers: partition key ``subscriber_id``, with ``phone_number``,
        ``subscription_status``, ``opt_in_timestamp``, ``opt_out_timestamp``, ``segment`` and ``attributes``,
        and the index ``segment-subscription_status-index`` with ``phone_number``, ``opt_in_timestamp``,
        ``opt_out_timestamp`` and ``attributes``. It is only read.
    enrolments_table
        A table that exists already, with the key ``enrolment_id`` and time to live ``expiresAt``; one is made
        when left out.
    require_recorded_consent
        Whether only the channel's own contact proves that a person agreed to promotional texts. Otherwise an
        opt-in that the subscriber's row tells of does, where the contact says nothing.
    max_concurrency, stop_rules, expires_after
        As of :class:`Broadcast`, for each moment of a journey; 14 days when left out, since people wait for
        their own time in it.
    data_scope
        Where enrolments and bucket are made; inside this construct when left out.
    dashboard
        Whether there is one in CloudWatch; $3 a month from the fourth on in an account.
    function_options, alarm_topic, removal_policy
        As for :class:`SmsChannel`, whose function options are the default.

    Attributes
    ----------
    enrolments_table
        How far each person is on each run; rows go 90 days after the end of the journey.
    bucket
        Audiences and results, kept for 90 days.
    longest_journey
        The most that the Waits of one journey may come to, one after the other: to its end it needs what its
        first moment wrote into the bucket. Less where moments expire later.
    broadcast, state_machine
        The broadcast engine, and its state machine; journeys start it, nobody else does.
    start, audience, send_part, phone_events, plan, summary
        The functions, each with a role of its own.
    dead_letter_queue
        Answers that could not be taken in, and starts that did not arrive.
    alarms, dashboard, saved_queries
        Alarms on functions, queue, table and runs. None for what is left out.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        channel: SmsChannelBase,
        subscribers: dynamodb.ITable,
        enrolments_table: dynamodb.ITable | None = None,
        require_recorded_consent: bool = False,
        max_concurrency: int | None = None,
        stop_rules: StopRules | None = None,
        expires_after: Duration | None = None,
        function_options: FunctionOptions | None = None,
        alarm_topic: sns.ITopic | None = None,
        data_scope: Construct | None = None,
        dashboard: bool = True,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        if max_concurrency is not None:
            check_range("max_concurrency", max_concurrency, 1, channel.policy.parts_per_second)
        expires_after = expires_after or _EXPIRES_AFTER
        check_duration("expires_after", expires_after, Duration.hours(1), Duration.days(30))
        doubts = [
            *check_table("subscribers", subscribers, _SUBSCRIBERS_KEYS),
            *check_table("enrolments_table", enrolments_table, _ENROLMENTS_KEYS),
        ]
        check_key("enrolments_table", enrolments_table, channel.encryption_key)
        channel.check_region(scope)
        super().__init__(scope, id)
        add_doubts(self, doubts)

        self.channel = channel
        self.subscribers = subscribers
        self.longest_journey = _longest_journey(expires_after)
        self.function_options = function_options or channel.function_options
        self._removal_policy = removal_policy
        data = place_of_data(self, data_scope)

        self.enrolments_table = enrolments_table or on_demand_table(
            data,
            "Enrolments",
            partition_key="enrolment_id",
            encryption_key=channel.encryption_key,
            removal_policy=removal_policy,
        )
        self.bucket = run_bucket(
            data, "Bucket", encryption_key=channel.encryption_key, removal_policy=removal_policy
        )
        self.dead_letter_queue = dead_letter_queue(
            self, of="rules, a function and schedules", encryption_key=channel.encryption_key
        )
        self._build_start()
        self._build_audience()
        self._build_send_part(require_recorded_consent=require_recorded_consent)
        self.broadcast = Broadcast(
            self,
            "Broadcast",
            channel=channel,
            snapshot=self.audience,
            send_part=self.send_part,
            bucket=self.bucket,
            max_concurrency=max_concurrency,
            stop_rules=stop_rules,
            expires_after=expires_after,
            service=SERVICE,
            function_options=self.function_options,
            removal_policy=self.function_options.removal_policy,
        )
        self.state_machine = self.broadcast.state_machine
        self.plan, self.summary = self.broadcast.plan, self.broadcast.summary
        self._build_phone_events()
        self.alarms = engine_alarms(self, alarm_topic or channel.alarm_topic)
        self.saved_queries = engine_queries(self) if self.function_options.saved_queries else None
        self._board = engine_dashboard(self) if dashboard else None
        self.dashboard = None if self._board is None else self._board.dashboard

    def show(self, title: str, machine: sfn.IStateMachine, alarms: Alarms) -> None:
        """Show the runs of a journey, and its alarms, on the dashboard, if there is one."""
        if self._board is not None:
            self._board.add_machine(title, machine, alarms)

    def metric_texts_sent(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Count texts that journeys sent."""
        return self._metric("JourneyTextsSent", period, statistic)

    def metric_declined(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Count answers that say no, and end the journey of their person."""
        return self._metric("JourneyNegative", period, statistic)

    def metric_agreed(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Count answers that say yes."""
        return self._metric("JourneyPositive", period, statistic)

    def metric_answered_otherwise(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Count answers that say neither yes nor no; a human is told of them."""
        return self._metric("JourneyNeutral", period, statistic)

    def metric_left(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Count people who opted out of texts, which ends their journeys."""
        return self._metric("JourneyLeft", period, statistic)

    def metric_people_not_texted(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Count the times that somebody's turn failed in a way that nobody foresaw."""
        return self._metric(_NOT_TEXTED_METRIC, period, statistic)

    def metric_malformed_events(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Count events of the bus that could not be read, and were left out."""
        return self._metric("MalformedEvents", period, statistic)

    def metric_sending_disabled(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Count texts that had to wait since AWS disabled sending."""
        return self._metric("SendingDisabled", period, statistic)

    def _metric(self, name: str, period: Duration | None, statistic: str | None) -> cloudwatch.Metric:
        return business_metric(self, SERVICE, name, period=period, statistic=statistic)

    def _build_start(self) -> None:
        self.start = self._function(
            "StartJourney",
            description="Checks what a journey is started with, and says when its texts are due",
            environment={"MAX_PARTS": str(self.channel.policy.max_parts)},
            timeout=Duration.seconds(30),
        )

    def _build_audience(self) -> None:
        self.audience = self._function(
            "Audience",
            description="Takes the snapshot of who a moment of a journey is for",
            environment={
                "SUBSCRIBERS_TABLE": self.subscribers.table_name,
                "DEFAULT_COUNTRY": self.channel.policy.default_country,
                "SUBSCRIBER_KEY_SECRET_ARN": self.channel.subscriber_key_secret.secret_arn,
            },
            timeout=Duration.minutes(15),
            memory_size=1769,
        )
        self._grant_subscribers(self.audience, "dynamodb:BatchGetItem", "dynamodb:Scan")
        index = f"{self.subscribers.table_arn}/index/{SUBSCRIBERS_INDEX}"
        grant_actions(self.audience, ["dynamodb:Query"], [index])
        grant_actions(
            self.audience,
            ["secretsmanager:GetSecretValue"],
            [self.channel.subscriber_key_secret.secret_arn],
        )

    def _build_send_part(self, *, require_recorded_consent: bool) -> None:
        self.send_part = self._function(
            "SendPart",
            description="Takes the turns of some people at a moment of a journey",
            environment={
                "SUBSCRIBERS_TABLE": self.subscribers.table_name,
                "ENROLMENTS_TABLE": self.enrolments_table.table_name,
                "BUS_NAME": self.channel.bus.event_bus_name,
                "REQUIRES_RECORDED_CONSENT": str(require_recorded_consent).lower(),
            },
            timeout=_SEND_PART_TIMEOUT,
            memory_size=1769,
        )
        self.channel.grant_send(self.send_part)
        self._grant_subscribers(self.send_part, "dynamodb:BatchGetItem")
        # The row is checked in the transaction that claims a text.
        grant_actions(
            self.send_part,
            ["dynamodb:ConditionCheckItem", "dynamodb:GetItem", "dynamodb:PutItem"],
            [self.enrolments_table.table_arn],
        )
        self.channel.bus.grant_put_events_to(self.send_part)
        count_messages(
            self, "NotTexted", self.send_part.log_group, message=NOT_TEXTED, metric=_NOT_TEXTED_METRIC
        )

    def _build_phone_events(self) -> None:
        self.phone_events = self._function(
            "PhoneEvents",
            description="Takes in what people answer to texts of journeys, and who opts out",
            environment={
                "CONTACTS_TABLE": self.channel.contacts_table.table_name,
                "ENROLMENTS_TABLE": self.enrolments_table.table_name,
                "SUBSCRIBERS_TABLE": self.subscribers.table_name,
                "ATTENTION_TOPIC_ARN": self.channel.attention_topic.topic_arn,
            },
            timeout=Duration.seconds(60),
        )
        # It opens a prompt for what is written next.
        grant_actions(self.phone_events, ["dynamodb:PutItem"], [self.channel.contacts_table.table_arn])
        grant_actions(
            self.phone_events,
            ["dynamodb:GetItem", "dynamodb:PutItem"],
            [self.enrolments_table.table_arn],
        )
        self._grant_subscribers(self.phone_events, "dynamodb:BatchGetItem")
        self.channel.grant_publish(self.phone_events, self.channel.attention_topic)
        grant_key(self.phone_events, self.channel.encryption_key)
        self.phone_events.configure_async_invoke(
            max_event_age=Duration.hours(6),
            retry_attempts=2,
            on_failure=destinations.SqsDestination(self.dead_letter_queue),
        )
        target = targets.LambdaFunction(self.phone_events, dead_letter_queue=self.dead_letter_queue)
        events.Rule(
            self,
            "Answers",
            description="What people answer to texts of journeys",
            event_bus=self.channel.bus,
            event_pattern=events.EventPattern(
                source=["sms-engagement"],
                detail_type=["ReplyReceived"],
                detail={"construct": [CONSTRUCT]},
            ),
            targets=[target],
        )
        events.Rule(
            self,
            "OptOuts",
            description="People who opted out: their journeys are at their end",
            event_bus=self.channel.bus,
            event_pattern=events.EventPattern(source=["sms-engagement"], detail_type=["OptedOut"]),
            targets=[target],
        )

    def _grant_subscribers(self, function: RuntimeFunction, *actions: str) -> None:
        grant_actions(function, actions, [self.subscribers.table_arn])
        grant_key(function, self.channel.encryption_key)
        key = self.subscribers.encryption_key
        if key is not None and key is not self.channel.encryption_key:
            # Who reads a table needs the key that it is under (DynamoDB developer guide, customer managed
            # keys).
            key.grant_decrypt(function)

    def _function(
        self,
        id: str,
        *,
        description: str,
        environment: Mapping[str, str],
        timeout: Duration,
        memory_size: int = 512,
    ) -> RuntimeFunction:
        return RuntimeFunction(
            self,
            id,
            handler=f"journeys.handlers.{_snake_case(id)}",
            service=SERVICE,
            description=description,
            options=self.function_options,
            environment=environment,
            timeout=timeout,
            memory_size=memory_size,
        )


def _snake_case(id: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in id).lstrip("_")
