"""SmsChannel: one number, one consent record, one ledger, shared by every system that texts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

from aws_cdk import ArnFormat, CfnOutput, CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_smsvoice as smsvoice
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from sms_engagement._acknowledge import acknowledge
from sms_engagement.alarms import Alarms
from sms_engagement.channel.base import (
    CONTACTS_KEYS,
    MAX_FAILURE_PERCENT,
    MESSAGES_INDEX,
    MESSAGES_KEYS,
    OptOuts,
    Sender,
    SendingPolicy,
    SmsChannelBase,
    grant_actions,
)
from sms_engagement.channel.countries import blocked_countries
from sms_engagement.channel.hours import QuietHours
from sms_engagement.channel.limits import Budget, FrequencyCap
from sms_engagement.channel.monitoring import channel_dashboard, channel_queries
from sms_engagement.channel.origination import (
    IdentityKind,
    check_identity_region,
    claim_identity,
    identity_kind,
)
from sms_engagement.channel.reconcile import DAILY, Reconcile
from sms_engagement.checks import add_doubts, check_arn_region, check_key
from sms_engagement.data import place_of_data
from sms_engagement.functions import FunctionOptions, RuntimeFunction, grant_key
from sms_engagement.queues import (
    allow_services,
    dead_letter_queue,
    encrypted_queue,
    key_without_policy,
)
from sms_engagement.tables import check_table, on_demand_table

SERVICE_PRINCIPAL: Final = "sms-voice.amazonaws.com"
"""Publishes inbound texts and delivery events (End User Messaging SMS user guide, two-way-sms-iam-policy)."""

# The service's own opt-out words lack two of the FCC's seven (47 CFR 64.1200(a)(10)). As keywords they opt
# out only where AWS answers.
_EXTRA_OPT_OUT_WORDS: Final = ("REVOKE", "OPT OUT")


# Five texts at one part a second and their waits fit; the queue hands the rest to others.
_TIMELINE_TIMEOUT: Final = Duration.seconds(30)
_ROUTER_TIMEOUT: Final = Duration.seconds(60)
_RECORDER_TIMEOUT: Final = Duration.seconds(60)

_NO_NAME: Final = ArnFormat.NO_RESOURCE_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Replies:
    """What the router answers; a text that is left out is the runtime's standard one.

    Attributes
    ----------
    opted_out, confirmed, welcome_back, help
        To an opt-out, to a confirmation, to an opt-in after an opt-out, and to ``HELP``.

    Raises
    ------
    ValueError
        A text is blank.
    """

    opted_out: str | None = None
    confirmed: str | None = None
    welcome_back: str | None = None
    help: str | None = None

    def __post_init__(self) -> None:
        for name, text in self.given().items():
            if not text.strip():
                msg = f"replies.{name} is blank; leave it out for the standard text"
                raise ValueError(msg)

    def given(self) -> dict[str, str]:
        """Return the texts that were given, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: text for name, text in values.items() if text is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsChannelAttributes:
    """A channel that another stack or app made, for :meth:`SmsChannel.from_attributes`.

    The values are the outputs of its stack; all lie in the account and Region of the importing stack.
    `encryption_key_arn` is needed where that channel was given a key of its own, the two topics for an
    `SmsAnalyticsPipeline`.

    Attributes
    ----------
    origination_identity, sender, sns_originator, allowed_countries, default_country, max_parts
        As the props of the `SmsChannel`; give them the values that it has.
    parts_per_second, requests_per_second, max_price, estimated_price_per_part
        As well. The rate is one for all who send by the channel.
    quiet_hours, frequency_cap, budget, sender_name, opt_outs
        As well.
    configuration_set_name, protect_configuration_id
        Of End User Messaging.
    contacts_table_name, messages_table_name, subscriber_key_secret_arn, bus_arn
        Its data, and its bus.
    attention_topic_arn, inbound_topic_arn, event_topic_arn, topic_key_arn, encryption_key_arn
        Its topics and keys.
    """

    origination_identity: str
    configuration_set_name: str
    protect_configuration_id: str
    contacts_table_name: str
    messages_table_name: str
    subscriber_key_secret_arn: str
    bus_arn: str
    attention_topic_arn: str
    topic_key_arn: str
    encryption_key_arn: str | None = None
    inbound_topic_arn: str | None = None
    event_topic_arn: str | None = None
    opt_outs: OptOuts = OptOuts.SELF_MANAGED
    sender: Sender = Sender.END_USER_MESSAGING
    sns_originator: str = ""
    allowed_countries: Sequence[str] = ("US",)
    default_country: str = "US"
    max_parts: int = 1
    parts_per_second: int = 1
    requests_per_second: int | None = None
    max_price: str | None = None
    estimated_price_per_part: str = "0.00881"
    quiet_hours: QuietHours = field(default_factory=QuietHours)
    frequency_cap: FrequencyCap = field(default_factory=FrequencyCap)
    budget: Budget | None = None
    sender_name: str | None = None

    def policy(self) -> SendingPolicy:
        """Return how the channel sends.

        Raises
        ------
        ValueError
            As for the same props of the constructor.
        """
        return SendingPolicy(**{each.name: getattr(self, each.name) for each in fields(SendingPolicy)})


class SmsChannel(SmsChannelBase):
    """The shared SMS channel on AWS End User Messaging SMS.

    Parameters
    ----------
    origination_identity
        ARN of the phone number, pool or sender id that texts come from; bought outside the stack.
    sender
        The service that sends. With SNS there is no delivery event and no context in it, so an unknown
        outcome stays unknown.
    sns_originator
        For SNS: the E.164 number or the sender id that it sends from; the account's default when left out.
    allowed_countries, default_country
        ISO 3166-1 alpha-2. Every other country is blocked by the gate and by the protect configuration.
    max_parts
        Message parts that one text may cost, 1 to 10.
    parts_per_second
        Rate of the origination identity, 1 to 1000, shared by everything that sends. The default is the
        account's own quota for ``SendTextMessage`` until AWS raises it.
    requests_per_second
        That quota, 1 to 1000 (AWS: 1 until raised), where it is stricter than the rate in parts. Left out,
        the parts alone pace.
    max_price
        US dollars a part, as ``"0.05"``, above which the service refuses a text; no limit when left out.
    estimated_price_per_part
        US dollars with up to five decimals, for estimates and for the budget. The default is what a part to a
        US number costs with the carrier's fee.
    quiet_hours
        When promotional texts may go out, at the recipient's own wall clock: 08:00 to 21:00, with the
        stricter rules of US states. A text outside them waits for the next allowed hour.
    frequency_cap
        How many promotional texts one person may be sent: three in 24 hours.
    budget
        What may be spent a day and a campaign; no limit when left out.
    sender_name
        Who speaks, up to 40 GSM characters. The first text to a person ends with it and with how to opt out,
        where both fit: ``Bakery: Reply STOP to opt out``. Left out, it says how to opt out alone.
    opt_outs, replies
        Who answers STOP, and with what.
    reconcile_schedule
        When contacts and the opt-out list of the service are compared, both ways: daily at 09:20 UTC.
    manage_origination
        Connect the identity to the inbound topic, the opt-out list and the keywords by a custom resource,
        which restores on deletion what was there before. ``False`` prints the commands for it instead.
    contacts_table, messages_table
        Tables that exist already: consent and prompts with the keys ``subscriberId`` and ``record``; the
        ledger with the key ``messageKey`` and the index ``subscriberId-claimedAt-index`` of ``subscriberId``
        and ``claimedAt`` (number); both with time to live ``expiresAt``. Made when left out.
    bus
        An event bus that exists already, where the systems meet; one is made when left out. Not the account's
        default bus, on which everybody's events are.
    attention_topic
        A topic that exists already, for what a human has to read; one is made when left out.
    encryption_key
        Customer managed key for topics, tables and secrets, those of the systems included. Left out, one is
        made for the topics, since the service can publish to no others, and AWS manages the rest.
    dashboard
        Whether to make one in CloudWatch ($3 a month from the fourth on in an account).
    function_options
        Of all functions, those of the systems on this channel included.
    alarm_topic
        Where alarms go, those of the systems on this channel included unless they are given another; without
        one they exist and notify nobody. CloudWatch is allowed to publish to it.
    data_scope
        Where tables, the key of the subscriber ids and the opt-out list are made: a stack of its own keeps
        them out of every deployment of the rest. Inside this construct when left out.
    removal_policy
        Of tables, secrets and keys. ``RETAIN`` protects the tables from deletion as well.

    Attributes
    ----------
    inbound_topic, event_topic, attention_topic
        Inbound texts, delivery events, what a human has to read.
    inbound_queue, event_queue, dead_letter_queues
        Between topic and function; what failed five times waits in a dead-letter queue for 14 days.
    router, event_recorder
        The functions behind the queues.
    timeline_function
        Tells why somebody did or did not get a text; :meth:`grant_read_timeline` lets others ask it.
    opt_out_reports, consent_dead_letters
        Records opt-outs that the bus tells of (``OptOutReported``); what of them, and of the starts of the
        comparison, did not get through.
    reconcile
        The daily comparison of contacts and opt-out list.
    configuration_set, opt_out_list, protect_configuration
        Of End User Messaging.
    origination, origination_handler
        The custom resource that connects the identity, and its function; where `manage_origination`.
    contacts_table, messages_table, subscriber_key_secret, bus, encryption_key
        Data. ``encryption_key`` is None where AWS manages the keys; ``topic_key`` is that of the topics.
    alarms, dashboard, saved_queries
        What to look at: alarms on functions, queues and tables; queries over the logs. None for what is left
        out.

    Notes
    -----
    *Failure path*: what a function cannot process five times lands in its dead-letter queue, with an alarm;
    redrive it once the cause is gone, every step is idempotent.

    *Cost*: the key ($1 a month), two secrets' worth of $0.40, then per text three table writes and two or
    three queue messages; the texts themselves are over 95 % of any bill.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        origination_identity: str,
        sender: Sender = Sender.END_USER_MESSAGING,
        sns_originator: str = "",
        allowed_countries: Sequence[str] = ("US",),
        default_country: str = "US",
        max_parts: int = 1,
        parts_per_second: int = 1,
        requests_per_second: int | None = None,
        max_price: str | None = None,
        estimated_price_per_part: str = "0.00881",
        quiet_hours: QuietHours | None = None,
        frequency_cap: FrequencyCap | None = None,
        budget: Budget | None = None,
        sender_name: str | None = None,
        opt_outs: OptOuts = OptOuts.SELF_MANAGED,
        replies: Replies | None = None,
        reconcile_schedule: scheduler.ScheduleExpression = DAILY,
        manage_origination: bool = True,
        contacts_table: dynamodb.ITable | None = None,
        messages_table: dynamodb.ITable | None = None,
        bus: events.IEventBus | None = None,
        attention_topic: sns.ITopic | None = None,
        encryption_key: kms.IKey | None = None,
        dashboard: bool = True,
        function_options: FunctionOptions | None = None,
        alarm_topic: sns.ITopic | None = None,
        data_scope: Construct | None = None,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        kind = identity_kind(origination_identity)
        policy = SendingPolicy(
            allowed_countries=tuple(allowed_countries),
            default_country=default_country,
            max_parts=max_parts,
            parts_per_second=parts_per_second,
            requests_per_second=requests_per_second,
            max_price=max_price,
            estimated_price_per_part=estimated_price_per_part,
            quiet_hours=quiet_hours or QuietHours(),
            frequency_cap=frequency_cap or FrequencyCap(),
            budget=budget,
            sender_name=sender_name,
        )
        if sns_originator and sender is not Sender.SNS:
            msg = (
                "sns_originator is for sender=Sender.SNS; End User Messaging sends from origination_identity"
            )
            raise ValueError(msg)
        doubts = [
            *check_identity_region(scope, origination_identity),
            *check_table("contacts_table", contacts_table, CONTACTS_KEYS),
            *check_table("messages_table", messages_table, MESSAGES_KEYS),
        ]
        check_key("contacts_table", contacts_table, encryption_key)
        check_key("messages_table", messages_table, encryption_key)
        claim_identity(scope, id, origination_identity)
        super().__init__(scope, id)

        self.origination_identity = origination_identity
        self.sender = sender
        self.sns_originator = sns_originator
        self.policy = policy
        self.opt_outs = opt_outs
        self.replies = replies or Replies()
        self.encryption_key = encryption_key
        self.function_options = function_options or FunctionOptions()
        self.alarm_topic = alarm_topic
        self._removal_policy = removal_policy
        self._data = place_of_data(self, data_scope)
        add_doubts(self, doubts)

        self.topic_key = encryption_key or self._build_topic_key()
        self._allow_service_to_encrypt()
        allow_services(self, encryption_key)
        self._build_topics(attention_topic)
        self._build_identity_settings()
        self._build_data(contacts_table, messages_table, bus)
        self._build_queues()
        self._build_router()
        self._build_event_recorder()
        self._build_timeline()
        self._build_consent(reconcile_schedule)
        self.origination_handler: RuntimeFunction | None = None
        if kind is not IdentityKind.SENDER_ID:
            self._connect(kind, manage_origination=manage_origination)
        self._build_alarms(alarm_topic)
        self.saved_queries = channel_queries(self) if self.function_options.saved_queries else None
        self.dashboard = channel_dashboard(self).dashboard if dashboard else None

    @staticmethod
    def from_attributes(
        scope: Construct,
        id: str,
        attributes: SmsChannelAttributes,
        *,
        function_options: FunctionOptions | None = None,
    ) -> SmsChannelBase:
        """Use a channel that exists already, for systems in other stacks and apps.

        Raises
        ------
        ValueError
            As for the same props of the constructor.
        """
        identity_kind(attributes.origination_identity)
        check_identity_region(scope, attributes.origination_identity)
        for name in ("subscriber_key_secret_arn", "bus_arn", "attention_topic_arn", "topic_key_arn"):
            check_arn_region(scope, name, getattr(attributes, name))
        policy = attributes.policy()
        return _ImportedChannel(
            scope,
            id,
            attributes=attributes,
            policy=policy,
            function_options=function_options or FunctionOptions(),
        )

    def _build_topic_key(self) -> kms.Key:
        return kms.Key(
            self,
            "TopicKey",
            description="Topics of the SMS engagement systems",
            enable_key_rotation=True,
            removal_policy=self._removal_policy,
        )

    def _allow_service_to_encrypt(self) -> None:
        # Source: user guide, configuration-sets-sns-creating-role ("encrypted topics").
        self.topic_key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal(SERVICE_PRINCIPAL)],
                actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                resources=["*"],
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            )
        )

    def _build_topics(self, attention_topic: sns.ITopic | None) -> None:
        self.inbound_topic: sns.Topic = self._topic("InboundTopic", "Inbound texts")
        self.event_topic: sns.Topic = self._topic("EventTopic", "Delivery events of texts")
        self.attention_topic: sns.ITopic = attention_topic or self._topic(
            "AttentionTopic", "Texts and refusals that a human has to read"
        )
        stack = Stack.of(self)
        for topic, source in (
            (self.inbound_topic, "*"),
            # The configuration set is made after the policy that lets it publish, so its name is not known.
            (self.event_topic, "configuration-set/*"),
        ):
            topic.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[iam.ServicePrincipal(SERVICE_PRINCIPAL)],
                    actions=["sns:Publish"],
                    resources=[topic.topic_arn],
                    conditions={
                        "StringEquals": {"aws:SourceAccount": Stack.of(self).account},
                        "ArnLike": {
                            "aws:SourceArn": stack.format_arn(
                                service="sms-voice", resource=source, arn_format=_NO_NAME
                            )
                        },
                    },
                )
            )

    def _topic(self, id: str, display_name: str) -> sns.Topic:
        return sns.Topic(self, id, display_name=display_name, master_key=self.topic_key, enforce_ssl=True)

    def _build_identity_settings(self) -> None:
        self.opt_out_list = smsvoice.CfnOptOutList(self._data, "OptOutList")
        self.opt_out_list.apply_removal_policy(self._removal_policy)
        block = smsvoice.CfnProtectConfiguration.CountryRuleProperty
        blocked = [
            block(country_code=country, protect_status="BLOCK")
            for country in blocked_countries(self.policy.allowed_countries)
        ]
        self.protect_configuration = smsvoice.CfnProtectConfiguration(
            self,
            "ProtectConfiguration",
            country_rule_set=smsvoice.CfnProtectConfiguration.CountryRuleSetProperty(sms=blocked),
        )
        self.configuration_set = smsvoice.CfnConfigurationSet(
            self,
            "ConfigurationSet",
            protect_configuration_id=self.protect_configuration.attr_protect_configuration_id,
            event_destinations=[
                smsvoice.CfnConfigurationSet.EventDestinationProperty(
                    enabled=True,
                    event_destination_name="ledger",
                    # Everything about texts: what the ledger does not fold, analytics reads.
                    matching_event_types=["TEXT_ALL"],
                    sns_destination=smsvoice.CfnConfigurationSet.SnsDestinationProperty(
                        topic_arn=self.event_topic.topic_arn
                    ),
                )
            ],
        )
        self.configuration_set.node.add_dependency(self.event_topic)
        self.configuration_set_name = self.configuration_set.ref
        self.protect_configuration_id = self.protect_configuration.attr_protect_configuration_id

    def _build_data(
        self,
        contacts_table: dynamodb.ITable | None,
        messages_table: dynamodb.ITable | None,
        bus: events.IEventBus | None,
    ) -> None:
        self.contacts_table = contacts_table or self._table(
            "Contacts", partition_key="subscriberId", sort_key="record"
        )
        self.messages_table = messages_table or self._messages_table()
        self._build_subscriber_key()
        self.bus: events.IEventBus = bus or events.EventBus(
            self,
            "Bus",
            description="Where the SMS engagement systems meet",
            kms_key=key_without_policy(self, "BusKey", self.encryption_key),
        )

    def _messages_table(self) -> dynamodb.TableV2:
        table = self._table("Messages", partition_key="messageKey")
        table.add_global_secondary_index(
            index_name=MESSAGES_INDEX,
            partition_key=dynamodb.Attribute(name="subscriberId", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="claimedAt", type=dynamodb.AttributeType.NUMBER),
            projection_type=dynamodb.ProjectionType.KEYS_ONLY,
        )
        return table

    def _build_subscriber_key(self) -> None:
        self.subscriber_key_secret = secretsmanager.Secret(
            self._data,
            "SubscriberKey",
            description="Key of the subscriber ids; never rotate it, suppressions are found by it",
            encryption_key=self.encryption_key,
            generate_secret_string=secretsmanager.SecretStringGenerator(
                password_length=64, exclude_punctuation=True
            ),
            removal_policy=self._removal_policy,
        )
        acknowledge(
            self.subscriber_key_secret,
            "SMG4",
            "subscriber ids are made with it: after a rotation nobody who opted out would be found",
        )

    def _table(self, id: str, *, partition_key: str, sort_key: str | None = None) -> dynamodb.TableV2:
        return on_demand_table(
            self._data,
            id,
            partition_key=partition_key,
            sort_key=sort_key,
            encryption_key=self.encryption_key,
            removal_policy=self._removal_policy,
        )

    def _build_queues(self) -> None:
        self.inbound_queue, inbound_dead = self._queue("Inbound", _ROUTER_TIMEOUT)
        self.event_queue, event_dead = self._queue("Event", _RECORDER_TIMEOUT)
        self.dead_letter_queues = [inbound_dead, event_dead]
        # The SNS envelope stays: an inbound text has no timestamp of its own, the envelope has.
        self.inbound_topic.add_subscription(
            subscriptions.SqsSubscription(self.inbound_queue, dead_letter_queue=inbound_dead)
        )
        self.event_topic.add_subscription(
            subscriptions.SqsSubscription(self.event_queue, dead_letter_queue=event_dead)
        )

    def _queue(self, name: str, function_timeout: Duration) -> tuple[sqs.Queue, sqs.Queue]:
        key = self.encryption_key
        dead = encrypted_queue(
            self, f"{name}DeadLetters", encryption_key=key, retention_period=Duration.days(14)
        )
        queue = encrypted_queue(
            self,
            f"{name}Queue",
            dead_letter_queue=sqs.DeadLetterQueue(max_receive_count=5, queue=dead),
            encryption_key=key,
            retention_period=Duration.days(4),
            # Six times the function's, as Lambda asks of queues that it reads.
            visibility_timeout=Duration.seconds(6 * int(function_timeout.to_seconds())),
        )
        return queue, dead

    def _build_router(self) -> None:
        self.router = RuntimeFunction(
            self,
            "Router",
            handler="channel.handlers.router",
            service="channel",
            description="Answers inbound texts: opt-outs, opt-ins, help, and replies to what was asked",
            options=self.function_options,
            environment={
                "BUS_NAME": self.bus.event_bus_name,
                "ATTENTION_TOPIC_ARN": self.attention_topic.topic_arn,
                "INBOUND_QUEUE_URL": self.inbound_queue.queue_url,
                "OPT_OUT_LIST": self.opt_out_list.ref,
                "OPT_OUT_MODE": self.opt_outs.value,
                "REPLIES": json.dumps(self.replies.given()),
            },
            timeout=_ROUTER_TIMEOUT,
        )
        self.router.add_event_source(
            event_sources.SqsEventSource(
                self.inbound_queue, batch_size=10, max_concurrency=10, report_batch_item_failures=True
            )
        )
        self.grant_send(self.router)
        grant_actions(
            self.router,
            ["dynamodb:Query", "dynamodb:UpdateItem"],
            [self.contacts_table.table_arn],
        )
        self._grant_recent(self.router)
        grant_actions(
            self.router,
            ["sms-voice:PutOptedOutNumber", "sms-voice:DeleteOptedOutNumber"],
            [self.opt_out_list.attr_arn],
        )
        self.grant_publish(self.router, self.attention_topic)
        self.bus.grant_put_events_to(self.router)
        # A text whose reply has to wait goes back into the queue.
        grant_actions(self.router, ["sqs:SendMessage"], [self.inbound_queue.queue_arn])

    def _build_event_recorder(self) -> None:
        self.event_recorder = RuntimeFunction(
            self,
            "EventRecorder",
            handler="channel.handlers.event_recorder",
            service="channel",
            description="Folds delivery events into the ledger, and tells the bus of lasting failures",
            options=self.function_options,
            environment={
                "CONTACTS_TABLE": self.contacts_table.table_name,
                "MESSAGES_TABLE": self.messages_table.table_name,
                "SUBSCRIBER_KEY_SECRET_ARN": self.subscriber_key_secret.secret_arn,
                "BUS_NAME": self.bus.event_bus_name,
            },
            timeout=_RECORDER_TIMEOUT,
        )
        self.event_recorder.add_event_source(
            event_sources.SqsEventSource(
                self.event_queue,
                batch_size=100,
                max_batching_window=Duration.seconds(1),
                max_concurrency=20,
                report_batch_item_failures=True,
            )
        )
        grant_actions(
            self.event_recorder, ["dynamodb:GetItem", "dynamodb:PutItem"], [self.messages_table.table_arn]
        )
        # The counts of a campaign.
        grant_actions(self.event_recorder, ["dynamodb:UpdateItem"], [self.contacts_table.table_arn])
        # An event that echoes no key is found by its phone.
        self._grant_recent(self.event_recorder)
        grant_actions(
            self.event_recorder,
            ["secretsmanager:GetSecretValue"],
            [self.subscriber_key_secret.secret_arn],
        )
        grant_key(self.event_recorder, self.encryption_key)
        self.bus.grant_put_events_to(self.event_recorder)

    def grant_read_timeline(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let somebody ask, by invoking `timeline_function`, why a person did or did not get a text.

        The function takes ``{"phoneNumber": "+1…"}`` or ``{"subscriberId": "v1:…"}``. Its answer has numbers
        and words of people masked, so that support staff need no right to any table.
        """
        return self.timeline_function.grant_invoke(grantee)

    def _build_timeline(self) -> None:
        self.timeline_function = RuntimeFunction(
            self,
            "Timeline",
            handler="channel.handlers.timeline",
            service="channel",
            description="Tells why somebody did or did not get a text",
            options=self.function_options,
            environment={
                "CONTACTS_TABLE": self.contacts_table.table_name,
                "MESSAGES_TABLE": self.messages_table.table_name,
                "SUBSCRIBER_KEY_SECRET_ARN": self.subscriber_key_secret.secret_arn,
                "DEFAULT_COUNTRY": self.policy.default_country,
            },
            timeout=_TIMELINE_TIMEOUT,
        )
        function = self.timeline_function
        grant_actions(function, ["dynamodb:Query"], [self.contacts_table.table_arn])
        self._grant_recent(function)
        grant_actions(function, ["dynamodb:BatchGetItem"], [self.messages_table.table_arn])
        grant_actions(function, ["secretsmanager:GetSecretValue"], [self.subscriber_key_secret.secret_arn])
        grant_key(function, self.encryption_key)

    def _build_consent(self, schedule: scheduler.ScheduleExpression) -> None:
        self.consent_dead_letters = dead_letter_queue(
            self,
            "ConsentDeadLetters",
            of="reported opt-outs and of comparisons that did not start",
            encryption_key=self.encryption_key,
        )
        self.dead_letter_queues.append(self.consent_dead_letters)
        self._build_opt_out_reports()
        self._build_reconcile(schedule)

    def _build_opt_out_reports(self) -> None:
        self.opt_out_reports = RuntimeFunction(
            self,
            "OptOutReports",
            handler="channel.handlers.opt_out_reports",
            service="channel",
            description="Records opt-outs that events of the service, or of earlier systems, tell of",
            options=self.function_options,
            environment={
                "CONTACTS_TABLE": self.contacts_table.table_name,
                "BUS_NAME": self.bus.event_bus_name,
            },
            timeout=Duration.seconds(30),
        )
        self.opt_out_reports.configure_async_invoke(
            max_event_age=Duration.hours(6),
            retry_attempts=2,
            on_failure=destinations.SqsDestination(self.consent_dead_letters),
        )
        grant_key(self.opt_out_reports, self.encryption_key)
        grant_actions(
            self.opt_out_reports,
            ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"],
            [self.contacts_table.table_arn],
        )
        self.bus.grant_put_events_to(self.opt_out_reports)
        events.Rule(
            self,
            "OptOutsReported",
            description="Opt-outs that events of the service, or of earlier systems, tell of",
            event_bus=self.bus,
            event_pattern=events.EventPattern(source=["sms-engagement"], detail_type=["OptOutReported"]),
            targets=[
                targets.LambdaFunction(self.opt_out_reports, dead_letter_queue=self.consent_dead_letters)
            ],
        )

    def _build_reconcile(self, schedule: scheduler.ScheduleExpression) -> None:
        self.reconcile = Reconcile(
            self,
            "Reconcile",
            schedule=schedule,
            options=self.function_options,
            environment={
                "CONTACTS_TABLE": self.contacts_table.table_name,
                "SUBSCRIBER_KEY_SECRET_ARN": self.subscriber_key_secret.secret_arn,
                "BUS_NAME": self.bus.event_bus_name,
                "ATTENTION_TOPIC_ARN": self.attention_topic.topic_arn,
                "OPT_OUT_LIST": self.opt_out_list.ref,
            },
            dead_letter_queue=self.consent_dead_letters,
            removal_policy=self.function_options.removal_policy,
        )
        function = self.reconcile.function
        grant_key(function, self.encryption_key)
        grant_actions(function, ["secretsmanager:GetSecretValue"], [self.subscriber_key_secret.secret_arn])
        grant_actions(
            function,
            [
                "dynamodb:BatchGetItem",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "dynamodb:Query",
                "dynamodb:Scan",
                "dynamodb:UpdateItem",
            ],
            [self.contacts_table.table_arn],
        )
        grant_actions(
            function,
            [
                "sms-voice:DeleteOptedOutNumber",
                "sms-voice:DescribeOptedOutNumbers",
                "sms-voice:PutOptedOutNumber",
            ],
            [self.opt_out_list.attr_arn],
        )
        self.grant_publish(function, self.attention_topic)
        self.bus.grant_put_events_to(function)

    def _grant_recent(self, function: RuntimeFunction) -> None:
        index = f"{self.messages_table.table_arn}/index/{MESSAGES_INDEX}"
        grant_actions(function, ["dynamodb:Query"], [index])

    def _connect(self, kind: IdentityKind | None, *, manage_origination: bool) -> None:
        if not manage_origination:
            CfnOutput(
                self,
                "ConnectOrigination",
                description="Run this once: it connects the origination identity to this channel",
                value=self._connect_commands(kind),
            )
            return
        function = RuntimeFunction(
            self,
            "OriginationHandler",
            handler="channel.handlers.origination",
            service="channel",
            description="Connects the origination identity to the channel, and restores it on deletion",
            options=self.function_options,
            environment={"CONTACTS_TABLE": self.contacts_table.table_name},
            timeout=Duration.minutes(5),
        )
        self.origination_handler = function
        grant_actions(function, _connect_actions(kind), [self.origination_identity])
        # A row of the contacts table keeps what the identity had before. It is the one function that deletes
        # there, so it is held to the partition of that row, which has no consent in it.
        function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"],
                resources=[self.contacts_table.table_arn],
                conditions={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["control"]}},
            )
        )
        grant_key(function, self.encryption_key)
        resource = CustomResource(
            self,
            "Origination",
            resource_type="Custom::SmsOrigination",
            service_token=function.function_arn,
            properties=self._origination_properties(),
        )
        # Once connected, the service publishes at once.
        resource.node.add_dependency(self.inbound_topic)
        self.origination = resource

    def _origination_properties(self) -> dict[str, Any]:
        self_managed = self.opt_outs is OptOuts.SELF_MANAGED
        stop = self.replies.opted_out or "You have been unsubscribed. Reply START to subscribe again."
        keywords = (
            []
            if self_managed
            else [{"Keyword": word, "Action": "OPT_OUT", "Message": stop} for word in _EXTRA_OPT_OUT_WORDS]
        )
        return {
            "OriginationIdentity": self.origination_identity,
            "TwoWayTopicArn": self.inbound_topic.topic_arn,
            "OptOutListName": self.opt_out_list.ref,
            "SelfManagedOptOuts": "true" if self_managed else "false",
            "Keywords": keywords,
        }

    def _connect_commands(self, kind: IdentityKind | None) -> str:
        noun = "pool" if kind is IdentityKind.POOL else "phone-number"
        self_managed = "" if self.opt_outs is OptOuts.SELF_MANAGED else "no-"
        return (
            f"aws pinpoint-sms-voice-v2 update-{noun} --{noun}-id {self.origination_identity} "
            f"--two-way-enabled --two-way-channel-arn {self.inbound_topic.topic_arn} "
            f"--opt-out-list-name {self.opt_out_list.ref} --{self_managed}self-managed-opt-outs-enabled"
        )

    def _build_alarms(self, alarm_topic: sns.ITopic | None) -> None:
        self.alarms = Alarms(self, "Alarms", system="channel", topic=alarm_topic)
        self.alarms.add_functions(
            {
                "Router": self.router,
                "EventRecorder": self.event_recorder,
                "OptOutReports": self.opt_out_reports,
                "Reconcile": self.reconcile.function,
            }
        )
        self.alarms.add_seldom_called({"Timeline": self.timeline_function})
        if self.origination_handler is not None:
            self.alarms.add_seldom_called({"OriginationHandler": self.origination_handler})
        inbound_dead, event_dead, consent_dead = self.dead_letter_queues
        self.alarms.add_dead_letter_queues(
            {
                "InboundDeadLetters": inbound_dead,
                "EventDeadLetters": event_dead,
                "ConsentDeadLetters": consent_dead,
            }
        )
        self.alarms.add_tables({"Contacts": self.contacts_table, "Messages": self.messages_table})
        self.alarms.add(
            "SendingDisabled",
            self.metric_sending_disabled(),
            threshold=1,
            description="AWS refuses all texts: spend limit, reputation or configuration; nothing is sent",
        )
        self.alarms.add(
            "ReconcileFailed",
            self.reconcile.metric_failed(),
            threshold=1,
            description="the comparison of contacts and opt-out list did not end; redrive its execution",
        )
        self.alarms.add(
            "OptOutListDrift",
            self.metric_opt_out_list_drift(),
            threshold=1,
            description="contacts and the opt-out list differed, and were put in step: docs/consent.md",
        )
        self.alarms.add(
            "DeliveryFailures",
            self.metric_failure_rate(),
            threshold=MAX_FAILURE_PERCENT,
            comparison=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            description="more than 1 % of an hour's texts failed for good; the ledger has the reason of each",
        )
        self.alarms.add_queues(
            {
                "Inbound": (
                    self.inbound_queue,
                    Duration.minutes(5),
                    "an inbound text, perhaps a STOP, has waited for five minutes",
                ),
                "Events": (
                    self.event_queue,
                    Duration.minutes(15),
                    "delivery events have waited for a quarter of an hour; the ledger falls behind",
                ),
            }
        )


def _connect_actions(kind: IdentityKind | None) -> list[str]:
    """Return what the custom resource's handler calls, all of it on the identity alone."""
    actions = ["sms-voice:DeleteKeyword", "sms-voice:DescribeKeywords", "sms-voice:PutKeyword"]
    if kind is not IdentityKind.POOL:
        actions += ["sms-voice:DescribePhoneNumbers", "sms-voice:UpdatePhoneNumber"]
    if kind is not IdentityKind.PHONE_NUMBER:
        actions += ["sms-voice:DescribePools", "sms-voice:UpdatePool"]
    return actions


class _ImportedChannel(SmsChannelBase):
    """References to the resources of a channel that exists already."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        attributes: SmsChannelAttributes,
        policy: SendingPolicy,
        function_options: FunctionOptions,
    ) -> None:
        super().__init__(scope, id)
        self.origination_identity = attributes.origination_identity
        self.configuration_set_name = attributes.configuration_set_name
        self.protect_configuration_id = attributes.protect_configuration_id
        self.sender = attributes.sender
        self.sns_originator = attributes.sns_originator
        self.opt_outs = attributes.opt_outs
        self.policy = policy
        self.function_options = function_options
        self.topic_key = kms.Key.from_key_arn(self, "TopicKey", attributes.topic_key_arn)
        self.encryption_key = (
            kms.Key.from_key_arn(self, "Key", attributes.encryption_key_arn)
            if attributes.encryption_key_arn
            else None
        )
        self.contacts_table = dynamodb.TableV2.from_table_name(
            self, "Contacts", attributes.contacts_table_name
        )
        self.messages_table = dynamodb.TableV2.from_table_name(
            self, "Messages", attributes.messages_table_name
        )
        self.subscriber_key_secret = secretsmanager.Secret.from_secret_complete_arn(
            self, "SubscriberKey", attributes.subscriber_key_secret_arn
        )
        self.bus = events.EventBus.from_event_bus_arn(self, "Bus", attributes.bus_arn)
        self.attention_topic = sns.Topic.from_topic_arn(
            self, "AttentionTopic", attributes.attention_topic_arn
        )
        self.inbound_topic = self._topic("InboundTopic", attributes.inbound_topic_arn)
        self.event_topic = self._topic("EventTopic", attributes.event_topic_arn)

    def _topic(self, id: str, arn: str | None) -> sns.ITopic | None:
        return None if arn is None else sns.Topic.from_topic_arn(self, id, arn)
