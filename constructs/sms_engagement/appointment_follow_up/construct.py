"""AppointmentFollowUp: a booking is confirmed by text, followed up, reminded of and kept in step."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from aws_cdk import Annotations, ArnFormat, Aws, Duration, RemovalPolicy, Token
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from sms_engagement._acknowledge import acknowledge, acknowledge_wildcard
from sms_engagement.appointment_follow_up.alarms import appointment_alarms
from sms_engagement.appointment_follow_up.monitoring import appointment_dashboard, appointment_queries
from sms_engagement.appointment_follow_up.texts import check_texts
from sms_engagement.channel.base import SmsChannelBase, check_range, grant_actions
from sms_engagement.channel.countries import SUPPORTED_COUNTRIES
from sms_engagement.channel.hours import QuietHours
from sms_engagement.channel.later import Later
from sms_engagement.checks import add_doubts
from sms_engagement.data import place_of_data
from sms_engagement.durations import check_duration, span
from sms_engagement.functions import FunctionOptions, RuntimeFunction, grant_key
from sms_engagement.http_stage import own_address, public_stage
from sms_engagement.metrics import business_metric, count_messages
from sms_engagement.queues import dead_letter_queue, grant_queue_key
from sms_engagement.roles import state_machine_role
from sms_engagement.tables import TableKeys, add_time_index, check_table, on_demand_table
from sms_engagement.text_layer import text_layer
from sms_engagement_runtime.appointment_follow_up.domain.bookings import Provider
from sms_engagement_runtime.appointment_follow_up.domain.bookings_reading import (
    MAX_TEXT_LENGTH,
    language_tag,
    words_of,
)
from sms_engagement_runtime.appointment_follow_up.domain.policy import FollowUpPolicy
from sms_engagement_runtime.appointment_follow_up.domain.purposes import CONSTRUCT, Purpose
from sms_engagement_runtime.appointment_follow_up.domain.times import zone_exists

CONVERSATIONS_INDEX: Final = "subscriberId-startsAt-index"
_CONVERSATIONS_KEYS: Final = TableKeys(
    partition_key="appointmentId",
    indexes={CONVERSATIONS_INDEX: ("subscriberId", "startsAt", dynamodb.AttributeType.NUMBER)},
    whole_rows=True,
)
"""The appointments of a phone, by their start."""

_DEFINITION: Final = Path(__file__).with_name("follow_up.asl.json")

# As the webhook's handler writes them; a contract test holds the two together.
_LOG_MESSAGES: Final = {
    "WebhooksTaken": "Webhook taken",
    "WebhooksUnusable": "Webhook cannot be used",
    "WebhooksRefused": "Webhook refused",
    "WebhooksFailed": "Webhook could not be taken",
}

_MAY_BE_HELD_OUT: Final = (Purpose.FOLLOW_UP, Purpose.REMINDER, Purpose.NO_SHOW)
"""Nobody may be held out from the text that tells of the appointment, or of its end."""

_MOST_REMINDERS: Final = 5

# Of the 4 KB of a function's environment (Lambda, quotas).
_MAX_QUESTION_BYTES: Final = 1_200


class AppointmentFollowUp(Construct):
    """Takes webhooks of Calendly and Cal.com, and keeps the invitee in step by text.

    A booking is confirmed at once, in the invitee's language and zone. Nobody answers for 30 minutes: one
    follow-up goes out. A reminder comes 24 hours before. Cancelled, moved and missed appointments lead to one
    text each and end everything that was still to come; after the end, ReviewCollector is asked for a review
    request. Answers are read: ``1`` confirms, ``R`` gets the link to choose another time, anything else
    reaches the host.

    Data flow: HTTP API, webhook function, table ``conversations``, state machine, function, the channel's
    gate and ledger; replies by the channel's router and bus. Cost is the texts; the rest is a twentieth of
    it.

    Parameters
    ----------
    channel
        Sends the texts, made here or imported. One such construct a channel, since the channel's ledger holds
        whom it told of what.
    providers
        Whose webhooks are taken; all when left out. Each has a path, ``/webhooks/<provider>``, and a signing
        key of its own.
    signing_keys
        Secrets that exist already, by provider: plain text, the key that the hook is created with. One with a
        random key is made for each provider that is left out.
    conversations_table
        A table that exists already: partition key ``appointmentId``, index ``subscriberId-startsAt-index`` of
        ``subscriberId`` and ``startsAt`` (number), time to live ``expiresAt``. Left out, one is made.
    bus
        Where the events go that a CRM listens to; the channel's when left out. Answers come by the channel's
        bus, and the request for a review goes there, in any case.
    follow_up_delay
        Between the first text and the follow-up, 1 minute to 7 days; 30 minutes (1800 s) when left out.
    near_start
        From so long before the start on, nobody is followed up, 0 to 7 days; 1 hour when left out.
    reminders
        How long before the start to remind, each 10 minutes to 30 days, five at the most; 24 hours when left
        out, none when empty.
    feedback_delay
        After the end, until the review is asked for, 0 to 14 days; 2 hours when left out: a host needs time
        to mark a no-show. Needs `feedback`.
    feedback
        Whether a review is asked for at all.
    retention
        How long a conversation is kept after its appointment, 1 day to 10 years; 90 days when left out.
    default_country
        ISO 3166-1 alpha-2 code of phone numbers without ``+``; the channel's when left out.
    default_language
        Language tag of who has none and whose number does not suggest one; ``en`` when left out.
    default_time_zone
        IANA zone of the host, for invitees without one; ``America/New_York`` when left out.
    phone_questions
        Questions of the booking form that ask for the phone number; the usual wordings in five languages when
        left out.
    language_questions
        Questions that ask for the language. Calendly does not tell the invitee's language otherwise.
    quiet_hours
        When nothing is sent that does not follow from what the invitee did within five minutes; the channel's
        when left out.
    texts
        Purpose (``confirmation``, ``moved``, ``follow-up``, ``reminder``, ``reminder-confirmed``,
        ``cancelled``, ``no-show``, ``feedback``, ``reschedule``, ``call-back``, ``which``, ``opt-out``) to
        locale to text, or to a list of variants, one of which a person gets, always the same. Standard texts
        in English, Spanish, French, German and Portuguese when left out.
    holdouts
        ``follow-up``, ``reminder`` or ``no-show`` to the per cent of people (1 to 50) who are not sent it, so
        that what it does can be measured.
    host_topic
        What hosts read: free text, wishes for another time, opt-outs of invitees; one is made when left out.
    api_domain
        Custom domain name of the webhooks, of this API alone, as ``hooks.example.com``: a
        ``apigatewayv2.DomainName`` with its certificate, whose DNS record is its owner's. The API's own
        address when left out.
    webhook_concurrency
        Concurrent calls that are reserved for the webhook; None reserves none, as an account with a quota of
        ten concurrent calls needs it.
    webhooks_per_second
        Rate over which API Gateway answers 429; the burst is twice that.
    data_scope
        Where table and signing keys are made; inside this construct when left out.
    dashboard
        Whether to make one in CloudWatch ($3 a month from the fourth on in an account).
    function_options, alarm_topic, removal_policy
        As for :class:`SmsChannel`, whose function options are the default.

    Attributes
    ----------
    conversations_table
        One row an appointment; ``owns_table`` says whether it was made here.
    api, api_stage
        HTTP API: ``POST /webhooks/calendly``, ``POST /webhooks/calcom``.
    access_log
        Log group of the API: routes and times, nothing of what people sent.
    policy
        Delays and reminders.
    webhook_urls
        By provider: what to give it.
    signing_keys
        By provider.
    state_machine
        One execution an appointment, and one for each word about its end.
    later
        Where answers wait that cannot be sent at once.
    host_topic
        See above.
    webhook, follow_up, phone_events
        The functions, each with a role of its own.
    dead_letter_queue
        Executions and events that failed.
    alarms, dashboard, saved_queries
        Alarms on functions, queue, table, webhooks and state machine. None for what is left out.

    Raises
    ------
    ValueError
        A value out of its range, a text that is too long or suggests an opt-out word as an answer, props that
        contradict one another.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        channel: SmsChannelBase,
        providers: Sequence[Provider] | None = None,
        signing_keys: Mapping[Provider, secretsmanager.ISecret] | None = None,
        conversations_table: dynamodb.ITable | None = None,
        bus: events.IEventBus | None = None,
        follow_up_delay: Duration | None = None,
        near_start: Duration | None = None,
        reminders: Sequence[Duration] | None = None,
        feedback: bool = True,
        feedback_delay: Duration | None = None,
        retention: Duration | None = None,
        default_country: str | None = None,
        default_language: str = "en",
        default_time_zone: str = "America/New_York",
        phone_questions: Sequence[str] | None = None,
        language_questions: Sequence[str] = (),
        quiet_hours: QuietHours | None = None,
        texts: Mapping[str, Mapping[str, str | Sequence[str]]] | None = None,
        holdouts: Mapping[str, int] | None = None,
        host_topic: sns.ITopic | None = None,
        api_domain: apigateway.IDomainName | None = None,
        webhook_concurrency: int | None = 10,
        webhooks_per_second: int = 20,
        dashboard: bool = True,
        function_options: FunctionOptions | None = None,
        alarm_topic: sns.ITopic | None = None,
        data_scope: Construct | None = None,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        policy = _policy(follow_up_delay, near_start, reminders, feedback_delay, retention, feedback=feedback)
        chosen = _providers(providers, signing_keys or {})
        _check_country(default_country)
        _check_language(default_language)
        _check_zone(default_time_zone)
        _check_questions(phone_questions, language_questions)
        _check_holdouts(holdouts or {})
        # The quota of an HTTP API in the smaller Regions (API Gateway, quotas).
        check_range("webhooks_per_second", webhooks_per_second, 1, 2500)
        if webhook_concurrency is not None:
            check_range("webhook_concurrency", webhook_concurrency, 1, 1000)
        doubts = list(check_texts(texts or {}, max_parts=channel.policy.max_parts))
        table_doubts = check_table("conversations_table", conversations_table, _CONVERSATIONS_KEYS)
        channel.check_region(scope)
        channel.serve_alone("AppointmentFollowUp", "/".join(part for part in (scope.node.path, id) if part))
        super().__init__(scope, id)
        for number, doubt in enumerate(doubts):
            Annotations.of(self).add_warning_v2(f"sms-engagement:appointment-text-{number}", doubt)

        self.channel = channel
        self.policy = policy
        self.bus = bus or channel.bus
        self.function_options = function_options or channel.function_options
        self._removal_policy = removal_policy
        self._data = place_of_data(self, data_scope)
        add_doubts(self, table_doubts)
        self._default_country = default_country or channel.policy.default_country
        self._language = default_language
        self._time_zone = default_time_zone
        self._quiet_hours = quiet_hours
        self._holdouts = dict(holdouts or {})
        self._texts = texts or {}

        self.owns_table = conversations_table is None
        self.conversations_table = conversations_table or self._table()
        self.signing_keys = {
            provider: (signing_keys or {}).get(provider) or self._signing_key(provider) for provider in chosen
        }
        self.host_topic = host_topic or sns.Topic(
            self,
            "HostTopic",
            display_name="Appointments",
            master_key=channel.topic_key,
            enforce_ssl=True,
        )
        self.dead_letter_queue = dead_letter_queue(
            self, of="rules, a function and state machines", encryption_key=channel.encryption_key
        )
        self._build_follow_up()
        self._build_state_machine()
        self._build_webhook(phone_questions, language_questions, webhook_concurrency)
        self._build_api(webhooks_per_second, api_domain)
        self._build_phone_events()
        self.alarms = appointment_alarms(self, alarm_topic or channel.alarm_topic)
        self.saved_queries = appointment_queries(self) if self.function_options.saved_queries else None
        self.dashboard = appointment_dashboard(self).dashboard if dashboard else None

    def metric_webhooks_taken(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Count events of appointments that were recorded."""
        return self._metric("WebhooksTaken", period, statistic)

    def metric_webhooks_unusable(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Count authentic webhooks that lead to nothing."""
        return self._metric("WebhooksUnusable", period, statistic)

    def metric_webhooks_refused(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Count webhooks whose signature is missing, wrong or old."""
        return self._metric("WebhooksRefused", period, statistic)

    def metric_webhooks_failed(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Count webhooks that could not be taken: the provider tries again."""
        return self._metric("WebhooksFailed", period, statistic)

    def metric_texts_accepted(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Count texts about appointments that the service accepted."""
        return self._metric("AppointmentAccepted", period, statistic)

    def metric_replies(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Count answers of invitees."""
        return self._metric("AppointmentReplied", period, statistic)

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

    def grant_read_conversations(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow reading conversations and their index; they hold phone numbers and names."""
        return self.conversations_table.grant_read_data(grantee)

    def _metric(self, name: str, period: Duration | None, statistic: str | None) -> cloudwatch.Metric:
        return business_metric(self, "appointments", name, period=period, statistic=statistic)

    def _table(self) -> dynamodb.TableV2:
        table = on_demand_table(
            self._data,
            "Conversations",
            partition_key="appointmentId",
            encryption_key=self.channel.encryption_key,
            removal_policy=self._removal_policy,
        )
        add_time_index(table, "subscriberId", "startsAt")
        return table

    def _signing_key(self, provider: Provider) -> secretsmanager.Secret:
        secret = secretsmanager.Secret(
            self._data,
            f"{provider.value.capitalize()}SigningKey",
            description=f"Key that webhooks of {provider.value} are signed with; create the hook with it",
            encryption_key=self.channel.encryption_key,
            generate_secret_string=secretsmanager.SecretStringGenerator(
                password_length=64, exclude_punctuation=True
            ),
            removal_policy=self._removal_policy,
        )
        acknowledge(
            secret, "SMG4", "the provider signs with it: it is rotated together with the hook, by a person"
        )
        return secret

    def _build_follow_up(self) -> None:
        self.follow_up = self._function(
            "FollowUp",
            description="Sends what an appointment calls for now, and says what comes next",
            environment={
                **self._speaking_environment(),
                "CHANNEL_BUS_NAME": self.channel.bus.event_bus_name,
            },
            timeout=Duration.seconds(60),
            memory_size=1024,
        )
        self._let_speak(self.follow_up)
        if self.bus is not self.channel.bus and self.policy.feedback_delay is not None:
            self.channel.bus.grant_put_events_to(self.follow_up)

    def _speaking_environment(self) -> dict[str, str]:
        optional = {"HOLDOUTS": json.dumps(self._holdouts)} if self._holdouts else {}
        return {
            "CONVERSATIONS_TABLE": self.conversations_table.table_name,
            "BUS_NAME": self.bus.event_bus_name,
            "FOLLOW_UP_POLICY": self.policy.to_settings(),
            "DEFAULT_LOCALE": self._language,
            "DEFAULT_TIME_ZONE": self._time_zone,
            **optional,
        }

    def _let_speak(self, function: RuntimeFunction) -> None:
        """Give a function what it needs to send about appointments, and to record that it did."""
        self.channel.grant_send(function, knows_ids=True)
        if self._quiet_hours is not None:
            function.add_environment("QUIET_HOURS", self._quiet_hours.to_settings())
        # The row is checked in the transaction that claims a text.
        self._grant_table(function, "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:ConditionCheckItem")
        self.bus.grant_put_events_to(function)
        if self._texts:
            function.add_layers(text_layer(self, "Texts", {CONSTRUCT: self._texts}))

    def _grant_table(self, function: RuntimeFunction, *actions: str, index: bool = False) -> None:
        arn = self.conversations_table.table_arn
        grant_actions(function, actions, [f"{arn}/index/{CONVERSATIONS_INDEX}" if index else arn])
        grant_key(function, self.channel.encryption_key)
        key = self.conversations_table.encryption_key
        if key is not None and key is not self.channel.encryption_key:
            grant_key(function, key)

    def _build_state_machine(self) -> None:
        self.log_group = logs.LogGroup(
            self,
            "HistoryLogs",
            retention=self.function_options.log_retention,
            removal_policy=self.function_options.removal_policy,
        )
        role = state_machine_role(self, "StateMachineRole")
        grant_actions(role, ["lambda:InvokeFunction"], [self.follow_up.function_arn])
        grant_actions(role, ["sqs:SendMessage"], [self.dead_letter_queue.queue_arn])
        grant_queue_key(role, self.dead_letter_queue)
        # A number, which a substitution could not be: those are texts.
        definition = _DEFINITION.read_text(encoding="utf-8").replace(
            '"${FollowUpDelaySeconds}"', str(int(self.policy.follow_up_delay.total_seconds()))
        )
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            definition_body=sfn.DefinitionBody.from_string(definition),
            definition_substitutions={
                "DeadLetterQueueUrl": self.dead_letter_queue.queue_url,
                "FollowUpFunction": self.follow_up.function_arn,
                "Partition": Aws.PARTITION,
            },
            role=role,
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=self.log_group, level=sfn.LogLevel.ALL, include_execution_data=False
            ),
            removal_policy=self.function_options.removal_policy,
        )
        acknowledge(role, "IAM5[Resource::*]", "X-Ray and log delivery have no resources to name")

    def _build_webhook(
        self,
        phone_questions: Sequence[str] | None,
        language_questions: Sequence[str],
        concurrency: int | None,
    ) -> None:
        optional = {
            "PHONE_QUESTIONS": phone_questions,
            "LANGUAGE_QUESTIONS": language_questions or None,
        }
        self.webhook = self._function(
            "Webhook",
            description="Takes webhooks of booking providers",
            environment={
                "CONVERSATIONS_TABLE": self.conversations_table.table_name,
                "STATE_MACHINE_ARN": self.state_machine.state_machine_arn,
                "SUBSCRIBER_KEY_SECRET_ARN": self.channel.subscriber_key_secret.secret_arn,
                "SIGNING_KEYS": json.dumps(
                    {provider.value: secret.secret_arn for provider, secret in self.signing_keys.items()}
                ),
                "DEFAULT_COUNTRY": self._default_country,
                "RETENTION_SECONDS": str(int(self.policy.retention.total_seconds())),
                **{
                    name: json.dumps({"questions": list(questions)}, ensure_ascii=False)
                    for name, questions in optional.items()
                    if questions is not None
                },
            },
            timeout=Duration.seconds(14),
            memory_size=1024,
            reserved_concurrency=concurrency,
        )
        self._grant_table(self.webhook, "dynamodb:GetItem", "dynamodb:PutItem")
        secrets = [self.channel.subscriber_key_secret, *self.signing_keys.values()]
        grant_actions(self.webhook, ["secretsmanager:GetSecretValue"], [*map(_secret_resource, secrets)])
        for secret in self.signing_keys.values():
            key = secret.encryption_key
            if key is not None and key is not self.channel.encryption_key:
                key.grant_decrypt(self.webhook)
        grant_actions(self.webhook, ["states:StartExecution"], [self.state_machine.state_machine_arn])
        executions = f"{_execution_arn(self.state_machine)}:*"
        grant_actions(self.webhook, ["states:StopExecution"], [executions])
        acknowledge_wildcard(
            self.webhook.execution_role, executions, "executions are named by their appointments"
        )
        for metric, message in _LOG_MESSAGES.items():
            count_messages(self, f"Count{metric}", self.webhook.log_group, message=message, metric=metric)

    def _build_api(self, requests_per_second: int, domain: apigateway.IDomainName | None) -> None:
        self.api = apigateway.HttpApi(
            self, "Api", description="Webhooks of booking providers", create_default_stage=False
        )
        take = integrations.HttpLambdaIntegration("WebhookIntegration", self.webhook)
        for provider in self.signing_keys:
            routes = self.api.add_routes(
                path=f"/webhooks/{provider.value}", methods=[apigateway.HttpMethod.POST], integration=take
            )
            for route in routes:
                acknowledge(route, "APIG4", "the signature over the body is the authorisation")
        self.api_stage, self.access_log = public_stage(
            self,
            api=self.api,
            requests_per_second=requests_per_second,
            options=self.function_options,
            domain=domain,
        )
        self.webhook_urls = {
            provider: f"{own_address(self.api, domain)}/webhooks/{provider.value}"
            for provider in self.signing_keys
        }

    def _build_phone_events(self) -> None:
        self.phone_events = self._function(
            "PhoneEvents",
            description="Handles answers, opt-outs and failed texts of invitees",
            environment={
                **self._speaking_environment(),
                "HOST_TOPIC_ARN": self.host_topic.topic_arn,
            },
            timeout=Duration.seconds(60),
            memory_size=1024,
        )
        self._let_speak(self.phone_events)
        self._grant_table(self.phone_events, "dynamodb:Query", index=True)
        # Which other questions about the appointment are open, and that the host was told.
        grant_actions(self.phone_events, ["dynamodb:Query"], [self.channel.contacts_table.table_arn])
        self.channel.grant_publish(self.phone_events, self.host_topic)
        self.later = Later(
            self,
            "Later",
            dead_letter_queue=self.dead_letter_queue,
            log_retention=self.function_options.log_retention,
            removal_policy=self.function_options.removal_policy,
        )
        self.later.serve(self.phone_events)
        self.phone_events.configure_async_invoke(
            max_event_age=Duration.hours(6),
            retry_attempts=2,
            on_failure=destinations.SqsDestination(self.dead_letter_queue),
        )
        target = targets.LambdaFunction(self.phone_events, dead_letter_queue=self.dead_letter_queue)
        events.Rule(
            self,
            "Answers",
            description="What invitees answer, and texts to them that failed for good",
            event_bus=self.channel.bus,
            event_pattern=events.EventPattern(
                source=["sms-engagement"],
                detail_type=["ReplyReceived", "TextFailed"],
                detail={"construct": [CONSTRUCT]},
            ),
            targets=[target],
        )
        events.Rule(
            self,
            "OptOuts",
            description="People who left: nothing more is sent about their appointments",
            event_bus=self.channel.bus,
            event_pattern=events.EventPattern(source=["sms-engagement"], detail_type=["OptedOut"]),
            targets=[target],
        )

    def _function(
        self,
        id: str,
        *,
        description: str,
        environment: Mapping[str, str],
        timeout: Duration,
        memory_size: int,
        reserved_concurrency: int | None = None,
    ) -> RuntimeFunction:
        handlers = {"FollowUp": "follow_up", "PhoneEvents": "phone_events", "Webhook": "webhook"}
        return RuntimeFunction(
            self,
            id,
            handler=f"appointment_follow_up.handlers.{handlers[id]}",
            service="appointments",
            description=description,
            options=self.function_options,
            environment=environment,
            timeout=timeout,
            memory_size=memory_size,
            reserved_concurrency=reserved_concurrency,
        )


def _secret_resource(secret: secretsmanager.ISecret) -> str:
    """Return the ARN of a secret for a policy; one imported by name is known without its random suffix.

    Source: CDK, ``aws-secretsmanager``, ``SecretBase.arnForPolicies``.
    """
    return secret.secret_full_arn or f"{secret.secret_arn}-??????"


def _execution_arn(machine: sfn.StateMachine) -> str:
    """Return the ARN of a machine's executions, without the execution's name."""
    return machine.stack.format_arn(
        service="states",
        resource="execution",
        resource_name=machine.state_machine_name,
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )


def _policy(
    follow_up_delay: Duration | None,
    near_start: Duration | None,
    reminders: Sequence[Duration] | None,
    feedback_delay: Duration | None,
    retention: Duration | None,
    *,
    feedback: bool,
) -> FollowUpPolicy:
    if feedback_delay is not None and not feedback:
        raise ValueError("feedback_delay needs feedback=True; set it, or leave both out")
    leads = [Duration.hours(24)] if reminders is None else list(reminders)
    if len(leads) > _MOST_REMINDERS:
        raise ValueError(
            f"reminders must be {_MOST_REMINDERS} at the most, got {len(leads)}: each costs a text"
        )
    for lead in leads:
        check_duration("reminders", lead, Duration.minutes(10), Duration.days(30))
        if lead.to_seconds() % 60:
            # The ledger knows a reminder by its minutes.
            raise ValueError(f"reminders must be whole minutes, got {lead.to_human_string()}")
    spans = [span(lead) for lead in leads]
    if len(set(spans)) != len(spans):
        raise ValueError("reminders must differ from one another; give each span once")
    follow_up_delay = follow_up_delay or Duration.minutes(30)
    near_start = near_start or Duration.hours(1)
    feedback_delay = feedback_delay or Duration.hours(2)
    retention = retention or Duration.days(90)
    check_duration("follow_up_delay", follow_up_delay, Duration.minutes(1), Duration.days(7))
    check_duration("near_start", near_start, Duration.seconds(0), Duration.days(7))
    check_duration("feedback_delay", feedback_delay, Duration.seconds(0), Duration.days(14))
    check_duration("retention", retention, Duration.days(1), Duration.days(3650))
    return FollowUpPolicy(
        follow_up_delay=span(follow_up_delay),
        near_start=span(near_start),
        reminders=tuple(sorted(spans, reverse=True)),
        feedback_delay=span(feedback_delay) if feedback else None,
        retention=span(retention),
    )


def _providers(
    providers: Sequence[Provider] | None, signing_keys: Mapping[Provider, object]
) -> Sequence[Provider]:
    chosen = tuple(Provider) if providers is None else tuple(dict.fromkeys(providers))
    if not chosen:
        raise ValueError(
            "providers is empty, so nobody could tell of a booking; name one, or leave it out for all"
        )
    without = [provider for provider in signing_keys if provider not in chosen]
    if without:
        raise ValueError(
            f"signing_keys has a key for {', '.join(without)}, which is not among providers; add it there"
        )
    return chosen


def _check_country(country: str | None) -> None:
    if country is not None and not Token.is_unresolved(country) and country not in SUPPORTED_COUNTRIES:
        raise ValueError(
            f"default_country must be an ISO 3166-1 alpha-2 code in capitals that AWS sends to, as 'US', got "
            f"{country!r}; leave it out for the channel's"
        )


def _check_language(language: str) -> None:
    if not Token.is_unresolved(language) and language_tag(language) != language:
        raise ValueError(f"default_language must be a language tag, as 'en' or 'pt-BR', got {language!r}")


def _check_zone(time_zone: str) -> None:
    if not Token.is_unresolved(time_zone) and not zone_exists(time_zone):
        raise ValueError(f"default_time_zone must be an IANA zone, as 'Europe/Berlin', got {time_zone!r}")


def _check_questions(phone: Sequence[str] | None, language: Sequence[str]) -> None:
    for name, questions in (("phone_questions", phone), ("language_questions", language)):
        if questions is None:
            continue
        if isinstance(questions, str):
            raise ValueError(f"{name} must be a list of questions, got the text {questions!r}")
        for question in questions:
            if not words_of(question) or len(question) > MAX_TEXT_LENGTH:
                raise ValueError(
                    f"{name} must be questions of 1 to {MAX_TEXT_LENGTH} characters, got {question!r}"
                )
    if phone is not None and not phone:
        raise ValueError("phone_questions is empty; leave it out for the usual wordings")
    size = sum(len(question.encode()) + 4 for question in (*(phone or ()), *language))
    if size > _MAX_QUESTION_BYTES:
        raise ValueError(
            f"phone_questions and language_questions take {size} bytes, and {_MAX_QUESTION_BYTES} at the "
            f"most fit into the environment of a function: leave out some"
        )


def _check_holdouts(holdouts: Mapping[str, int]) -> None:
    for purpose, percent in holdouts.items():
        if purpose not in _MAY_BE_HELD_OUT:
            raise ValueError(
                f"holdouts may name {', '.join(_MAY_BE_HELD_OUT)}, got {purpose!r}: of all else people "
                f"have to be told"
            )
        check_range(f"holdouts of {purpose}", percent, 1, 50)
