"""What every system needs of a channel, whether it was made here or imported."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import reduce
from typing import Final

from aws_cdk import ArnFormat, Duration, Stack, Token
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from constructs import Construct, IConstruct

from sms_engagement.channel.countries import SUPPORTED_COUNTRIES
from sms_engagement.channel.hours import QuietHours
from sms_engagement.channel.limits import Budget, FrequencyCap, millicents
from sms_engagement.functions import FunctionOptions, acknowledge_key_actions, grant_key
from sms_engagement.metrics import business_metric
from sms_engagement.tables import TableKeys
from sms_engagement_runtime.channel.domain.encoding import measure, normalise

MAX_FAILURE_PERCENT: Final = 1
"""Share of the ended texts that failed, above which it is an alarm."""

MESSAGES_INDEX: Final = "subscriberId-claimedAt-index"
"""What a person was sent, by time."""

CONTACTS_KEYS: Final = TableKeys(partition_key="subscriberId", sort_key="record")
MESSAGES_KEYS: Final = TableKeys(
    partition_key="messageKey",
    indexes={MESSAGES_INDEX: ("subscriberId", "claimedAt", dynamodb.AttributeType.NUMBER)},
)

# SendTextMessage, MaxPrice.
_PRICE: Final = re.compile(r"[0-9]{0,2}\.[0-9]{1,5}")

# With the shortest way to say how to opt out, and a space and a colon, a quarter of a message part.
_LONGEST_SENDER_NAME: Final = 40


class Sender(StrEnum):
    """The AWS service that sends."""

    END_USER_MESSAGING = "eum"
    SNS = "sns"


class OptOuts(StrEnum):
    """Who answers STOP: exactly one of the two."""

    SELF_MANAGED = "self"
    """The router, with :class:`Replies`; plain language opts out too."""

    AWS_MANAGED = "aws"
    """The service. The router only records what it sees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingPolicy:
    """How a channel sends; becomes the environment of every function that may send.

    Raises
    ------
    ValueError
        A country that AWS does not send to, a number out of its range, a budget that is less than one text,
        or a sender name that no text could bear.
    """

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

    def __post_init__(self) -> None:
        if not self.allowed_countries:
            msg = "allowed_countries is empty, so nothing could be sent; name at least one, as ('US',)"
            raise ValueError(msg)
        for country in (*self.allowed_countries, self.default_country):
            if country not in SUPPORTED_COUNTRIES:
                msg = (
                    f"AWS End User Messaging SMS does not send to {country!r}; "
                    f"use ISO 3166-1 alpha-2 codes in capitals, as 'US'"
                )
                raise ValueError(msg)
        # 1530 GSM characters, the longest text that the service takes, are ten parts.
        check_range("max_parts", self.max_parts, 1, 10)
        # A US short code sends 100 parts a second by default; AWS raises it on request.
        check_range("parts_per_second", self.parts_per_second, 1, 1000)
        if self.requests_per_second is not None:
            check_range("requests_per_second", self.requests_per_second, 1, 1000)
        if self.max_price is not None and not _PRICE.fullmatch(self.max_price):
            msg = f"max_price must be US dollars with one to five decimals, as '0.05', got {self.max_price!r}"
            raise ValueError(msg)
        self._check_budget()
        if self.sender_name is not None and not Token.is_unresolved(self.sender_name):
            _check_sender_name(self.sender_name)

    @property
    def millicents_per_part(self) -> int:
        """What a message part is expected to cost: thousandths of a US cent."""
        return millicents("estimated_price_per_part", self.estimated_price_per_part)

    def environment(self) -> dict[str, str]:
        """Return the variables of every function that sends."""
        optional = {
            "BUDGET": self.budget.to_settings() if self.budget else None,
            "MAX_PRICE": self.max_price,
            "REQUESTS_PER_SECOND": None
            if self.requests_per_second is None
            else str(self.requests_per_second),
            "SENDER_NAME": self.sender_name,
        }
        return {
            "ALLOWED_COUNTRIES": ",".join(sorted(self.allowed_countries)),
            "DEFAULT_COUNTRY": self.default_country,
            "FREQUENCY_CAP": self.frequency_cap.to_settings(),
            "MAX_PARTS": str(self.max_parts),
            "MILLICENTS_PER_PART": str(self.millicents_per_part),
            "PARTS_PER_SECOND": str(self.parts_per_second),
            "QUIET_HOURS": self.quiet_hours.to_settings(),
            **{name: value for name, value in optional.items() if value is not None},
        }

    def _check_budget(self) -> None:
        one_text = self.max_parts * self.millicents_per_part
        for name, limit in (self.budget.limits() if self.budget else {}).items():
            if limit < one_text:
                msg = (
                    f"{name} of the budget must pay for one text, got {getattr(self.budget, name)!r}: "
                    f"max_parts is {self.max_parts} and estimated_price_per_part "
                    f"{self.estimated_price_per_part!r}; give more, or leave it out for no limit"
                )
                raise ValueError(msg)


class SmsChannelBase(Construct):
    """What systems need of a channel, made here or imported.

    Attributes
    ----------
    contacts_table, messages_table
        Consent and prompts; the ledger.
    subscriber_key_secret
        Key of the subscriber ids. Never rotated: suppressions are found by it.
    bus
        Where systems meet: replies, opt-outs, requests for reviews.
    attention_topic
        What a human has to read: free text, ambiguous opt-outs, refused opt-ins.
    inbound_topic, event_topic
        Inbound texts and delivery events, for who counts and keeps them. None for an imported channel that
        was not told of them.
    topic_key
        Key of the topics; one that AWS manages would keep the service from publishing.
    encryption_key
        Customer managed key of all data, if there is one.
    origination_identity, configuration_set_name, protect_configuration_id, sender, sns_originator, policy
        How texts are sent.
    opt_outs
        Who answers STOP.
    function_options
        Defaults for the functions of the systems on this channel.
    alarm_topic
        Where the alarms of the systems go that are given no topic of their own; None for an imported channel.
    """

    origination_identity: str
    configuration_set_name: str
    protect_configuration_id: str | None
    sender: Sender
    sns_originator: str
    opt_outs: OptOuts
    policy: SendingPolicy
    contacts_table: dynamodb.ITable
    messages_table: dynamodb.ITable
    subscriber_key_secret: secretsmanager.ISecret
    bus: events.IEventBus
    attention_topic: sns.ITopic
    inbound_topic: sns.ITopic | None
    event_topic: sns.ITopic | None
    topic_key: kms.IKey
    encryption_key: kms.IKey | None
    function_options: FunctionOptions
    alarm_topic: sns.ITopic | None = None

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        self._served: dict[str, str] = {}

    def check_region(self, scope: Construct) -> None:
        """Refuse a system in another Region than this channel: nothing of it could be reached.

        Raises
        ------
        ValueError
            Both Regions are known, and they differ.
        """
        here, there = Stack.of(scope).region, Stack.of(self).region
        if not Token.is_unresolved(here) and not Token.is_unresolved(there) and here != there:
            raise ValueError(
                f"channel {self.node.path} must be in the Region of the stack that uses it, got {there} for "
                f"the channel and {here} for {Stack.of(scope).stack_name}; a number sends from one Region: "
                f"make the system in {there}, or a channel with an origination identity of {here}"
            )

    def serve_alone(self, kind: str, path: str) -> None:
        """Serve one construct of a kind, and no second one: the ledger's keys name the kind alone.

        Parameters
        ----------
        kind
            As people call it: ``collector``.
        path
            Of the construct.

        Raises
        ------
        ValueError
            The channel serves another one of this kind.
        """
        first = self._served.setdefault(kind, path)
        if first != path:
            raise ValueError(
                f"channel {self.node.path} has the {kind} {first} already: both would write the same keys "
                f"into its ledger, and whoever one of them asked would never be asked by the other; keep one "
                f"{kind} a channel, and give the second a channel of its own"
            )

    def grant_send(self, function: lambda_.Function, *, knows_ids: bool = False) -> iam.Grant:
        """Let a function send through gate and ledger, and give it the environment for it.

        It may read contacts, check and change them in the claim's transaction, take slots of the rate and of
        the budget, write the ledger, read the key of the subscriber ids, and send from this channel's
        origination identity. Nothing else of the channel.

        Parameters
        ----------
        knows_ids
            The function is told subscriber ids and makes none of phone numbers, so it may not read their key.
        """
        for name, value in self._sending_environment().items():
            function.add_environment(name, value)
        grant_key(function, self.encryption_key)
        if not knows_ids:
            grant_actions(
                function, ["secretsmanager:GetSecretValue"], [self.subscriber_key_secret.secret_arn]
            )
        grants = [
            # An update for each text (frequency cap, rate, budget); a put for the proof of an opt-out that
            # the carrier tells of.
            grant_actions(
                function,
                [
                    "dynamodb:GetItem",
                    "dynamodb:ConditionCheckItem",
                    "dynamodb:PutItem",
                    "dynamodb:UpdateItem",
                ],
                [self.contacts_table.table_arn],
            ),
            grant_actions(
                function, ["dynamodb:GetItem", "dynamodb:PutItem"], [self.messages_table.table_arn]
            ),
        ]
        return reduce(lambda one, other: one.combine(other), grants, self._grant_send_text(function))

    def metric_delivered(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Texts whose last word is that they were delivered."""
        return self._metric("MessagesDelivered", period, statistic)

    def metric_failed(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Texts that were not delivered."""
        return self._metric("MessagesFailed", period, statistic)

    def metric_failure_rate(
        self, *, minimum_volume: int = 100, period: Duration | None = None
    ) -> cloudwatch.MathExpression:
        """Texts that were not delivered, in per cent of those that ended; of an hour by default.

        Parameters
        ----------
        minimum_volume
            Texts below which it is 0: a single wrong number among ten texts says nothing of the carriers.
        """
        period = period or Duration.hours(1)
        return cloudwatch.MathExpression(
            expression=(
                f"IF(FILL(delivered, 0) + FILL(failed, 0) >= {minimum_volume}, "
                "100 * FILL(failed, 0) / (FILL(delivered, 0) + FILL(failed, 0)), 0)"
            ),
            using_metrics={
                "delivered": self.metric_delivered(period=period),
                "failed": self.metric_failed(period=period),
            },
            period=period,
            label=f"Failed, % (0 below {minimum_volume} texts)",
        )

    def metric_opt_outs(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Inbound texts that opted out."""
        return self._metric("InboundOptedOut", period, statistic)

    def metric_inbound(
        self, action: str, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Inbound texts by what was done about them.

        Parameters
        ----------
        action
            ``OptedOut``, ``Resubscribed``, ``ResubscriptionRefused``, ``Confirmed``, ``Helped``, ``Routed``
            (to the construct that asked), ``Forwarded`` (to a human), ``Ignored``, ``AlreadyHandled``; beside
            those ``WrongNumber``, ``ReplyDeferred`` and ``Foreign`` (no text at all).
        """
        return self._metric(f"Inbound{action}", period, statistic)

    def metric_cost_millicents(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Price of the texts in thousandths of a cent, as delivery events tell it: without carriers' fees."""
        return self._metric("MessageCostMillicents", period, statistic)

    def metric_sending_disabled(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Texts that had to wait since AWS disabled sending: spend limit, reputation, configuration."""
        return self._metric("SendingDisabled", period, statistic)

    def metric_opt_out_list_drift(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Numbers that were opted out on one side only, with us or on the list, when these were compared."""
        return self._metric("OptOutListDrift", period, statistic)

    def _metric(self, name: str, period: Duration | None, statistic: str | None) -> cloudwatch.Metric:
        return business_metric(self, "channel", name, period=period, statistic=statistic)

    def grant_publish(self, function: lambda_.Function, topic: sns.ITopic) -> iam.Grant:
        """Let a function publish to a topic, and use the key that the topic is encrypted with."""
        acknowledge_key_actions(function)
        return topic.grant_publish(function)

    def _sending_environment(self) -> dict[str, str]:
        by_sns = self.sender is Sender.SNS
        return {
            "CONTACTS_TABLE": self.contacts_table.table_name,
            "MESSAGES_TABLE": self.messages_table.table_name,
            "SUBSCRIBER_KEY_SECRET_ARN": self.subscriber_key_secret.secret_arn,
            "SENDER": self.sender.value,
            "ORIGINATION_IDENTITY": self.sns_originator if by_sns else self.origination_identity,
            "CONFIGURATION_SET": self.configuration_set_name,
            **self.policy.environment(),
        }

    def _grant_send_text(self, function: lambda_.Function) -> iam.Grant:
        if self.sender is Sender.SNS:
            # SNS has no resource for a phone number. Everything but topics leaves only phone numbers (and
            # push endpoints): a personal text never goes to everybody who subscribed to a topic.
            topics = _arn(self, "sns", "*", region="*", account="*")
            statement = iam.PolicyStatement(actions=["sns:Publish"], not_resources=[topics])
            function.add_to_role_policy(statement)
            return iam.Grant.drop(function, "the statement above is the grant")
        resources = [
            self.origination_identity,
            _arn(self, "sms-voice", f"configuration-set/{self.configuration_set_name}"),
        ]
        if self.protect_configuration_id is not None:
            resources.append(
                _arn(self, "sms-voice", f"protect-configuration/{self.protect_configuration_id}")
            )
        return grant_actions(function, ["sms-voice:SendTextMessage"], resources)


def _check_sender_name(name: str) -> None:
    is_one_line = name == " ".join(name.split())
    if not name or not is_one_line or len(name) > _LONGEST_SENDER_NAME:
        msg = (
            f"sender_name must be 1 to {_LONGEST_SENDER_NAME} characters in one line, without space at its "
            f"ends, got {name!r}; leave it out to say nothing but how to opt out"
        )
        raise ValueError(msg)
    offending = measure(normalise(name)).offending
    if offending:
        msg = (
            f"sender_name must be in the GSM alphabet, got {name!r} with {' '.join(offending)}: one such "
            f"letter more than halves what a message part holds; write it with others"
        )
        raise ValueError(msg)


def grant_actions(grantee: iam.IGrantable, actions: Sequence[str], resources: Sequence[str]) -> iam.Grant:
    """Grant exactly these actions: the L2 grants of a table give a dozen where a function needs two."""
    return iam.Grant.add_to_principal(grantee=grantee, actions=list(actions), resource_arns=list(resources))


def _arn(
    scope: IConstruct, service: str, resource: str, *, region: str | None = None, account: str | None = None
) -> str:
    return Stack.of(scope).format_arn(
        service=service,
        resource=resource,
        region=region,
        account=account,
        arn_format=ArnFormat.NO_RESOURCE_NAME,
    )


def check_range(name: str, value: int, low: int, high: int) -> None:
    """Refuse a number outside its range.

    Raises
    ------
    ValueError
        Naming the number, what was given and what is allowed. Unresolved tokens pass.
    """
    if Token.is_unresolved(value):
        return
    if not low <= value <= high:
        msg = f"{name} must be between {low} and {high}, got {value}"
        raise ValueError(msg)
