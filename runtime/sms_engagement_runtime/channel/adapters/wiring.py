"""Puts the send service together, the same way for every function that sends."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sms_engagement_runtime.channel.adapters.budget import DynamoBudget
from sms_engagement_runtime.channel.adapters.clients import (
    dynamodb_client,
    sms_client,
    sns_sms_client,
)
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.dynamodb_messages import DynamoLedger
from sms_engagement_runtime.channel.adapters.end_user_messaging import EndUserMessagingSender
from sms_engagement_runtime.channel.adapters.number_places import NumberPlaces
from sms_engagement_runtime.channel.adapters.pacing import DynamoRateQueue, SharedPacer
from sms_engagement_runtime.channel.adapters.pause import DynamoPauseFlag, DynamoPauseSwitch
from sms_engagement_runtime.channel.adapters.sns_sender import SnsSender
from sms_engagement_runtime.channel.domain.budget import MILLICENTS_PER_PART, SpendLimits, Unlimited
from sms_engagement_runtime.channel.domain.frequency import FrequencyCap
from sms_engagement_runtime.channel.domain.pacing import Rate
from sms_engagement_runtime.channel.domain.ports import Budget, Clock, MessageSender
from sms_engagement_runtime.channel.domain.quiet_hours import QuietHoursPolicy
from sms_engagement_runtime.channel.domain.sending import SendPolicy, SendService
from sms_engagement_runtime.observability import logger, metrics
from sms_engagement_runtime.settings import SettingsError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingSettings:
    """Environment of every function that sends.

    Attributes
    ----------
    subscriber_key_secret_arn
        Secret whose whole text is the key of the subscriber ids.
    sender
        ``eum`` or ``sns``.
    origination_identity
        ARN of a number, pool or sender id; for ``sns`` an E.164 number, a sender id or nothing.
    configuration_set
        Name; needed by ``eum``.
    parts_per_second
        Rate of the origination identity, for all functions together. The default of 1 is that of a US long
        code before its 10DLC campaign (AWS, *message parts per second limits*).
    requests_per_second
        ``SendTextMessage`` calls of the account, for all functions together; None where the first limit is
        the stricter one.
    max_price
        Decimal USD a part above which a text is refused; no limit when empty.
    quiet_hours
        ``{"from": "08:00", "until": "21:00", "weekends": true, "stateRules": true}``, which also is the
        default.
    frequency_cap
        ``{"texts": 3, "seconds": 86400}``, which also is the default.
    budget
        ``{"perDay": 5000000, "perCampaign": 1000000}`` in millicents; what is left out has no limit.
    millicents_per_part
        What a message part is expected to cost.
    sender_name
        Who speaks, for the first text to a person.
    """

    contacts_table: str
    messages_table: str
    subscriber_key_secret_arn: str
    sender: str = "eum"
    origination_identity: str = ""
    configuration_set: str = ""
    allowed_countries: frozenset[str] = frozenset({"US"})
    default_country: str = "US"
    max_parts: int = 1
    parts_per_second: int = 1
    requests_per_second: int | None = None
    max_price: str | None = None
    quiet_hours: Mapping[str, Any] = field(default_factory=dict)
    frequency_cap: Mapping[str, Any] = field(default_factory=dict)
    budget: Mapping[str, Any] = field(default_factory=dict)
    millicents_per_part: int = MILLICENTS_PER_PART
    sender_name: str | None = None


def build_send_service(settings: SendingSettings, *, dynamodb: "DynamoDBClient | None" = None) -> SendService:
    """Make the service. Called once a process, when the handler's module is imported; makes no call.

    Parameters
    ----------
    dynamodb
        The handler's own client, where it has one: making a client takes longer than importing the domain.

    Raises
    ------
    SettingsError
        The sender is unknown, or lacks what it needs; or a rate, the quiet hours, the frequency cap or the
        budget is malformed.
    """
    dynamodb = dynamodb or dynamodb_client()
    clock = build_clock()
    switch = DynamoPauseSwitch(dynamodb, table=settings.contacts_table, clock=clock)

    def on_sending_disabled(reason: str) -> None:
        report_sending_disabled(reason)
        switch.pause_sending(reason)

    return SendService(
        contacts=DynamoContacts(dynamodb, table=settings.contacts_table),
        ledger=DynamoLedger(
            dynamodb, messages_table=settings.messages_table, contacts_table=settings.contacts_table
        ),
        sender=build_sender(settings),
        pause=DynamoPauseFlag(dynamodb, table=settings.contacts_table),
        pacer=_build_pacer(settings, dynamodb, clock),
        places=NumberPlaces(),
        budget=_build_budget(settings, dynamodb),
        clock=clock,
        policy=build_policy(settings),
        on_sending_disabled=on_sending_disabled,
    )


def build_policy(settings: SendingSettings) -> SendPolicy:
    """Read what the channel allows.

    Raises
    ------
    SettingsError
        As :func:`build_send_service`.
    """
    return SendPolicy(
        allowed_countries=settings.allowed_countries,
        max_parts=settings.max_parts,
        quiet_hours=_read("QUIET_HOURS", QuietHoursPolicy.from_settings, settings.quiet_hours),
        frequency_cap=_read("FREQUENCY_CAP", FrequencyCap.from_settings, settings.frequency_cap),
        sender_name=settings.sender_name,
    )


def _build_pacer(settings: SendingSettings, dynamodb: "DynamoDBClient", clock: Clock) -> SharedPacer:
    try:
        rate = Rate(
            parts_per_second=settings.parts_per_second, requests_per_second=settings.requests_per_second
        )
    except ValueError as error:
        raise SettingsError(str(error)) from error
    queue = DynamoRateQueue(dynamodb, table=settings.contacts_table)
    return SharedPacer(rate, queue=queue, clock=clock, sleep=time.sleep, jitter=random.random)


def _build_budget(settings: SendingSettings, dynamodb: "DynamoDBClient") -> Budget:
    limits = _read("BUDGET", SpendLimits.from_settings, settings.budget)
    if limits == SpendLimits():
        return Unlimited()
    return DynamoBudget(
        dynamodb,
        table=settings.contacts_table,
        limits=limits,
        millicents_per_part=settings.millicents_per_part,
        most_ahead=settings.parts_per_second,
    )


def _read[T](name: str, read: Callable[[Mapping[str, Any]], T], value: Mapping[str, Any]) -> T:
    try:
        return read(value)
    except ValueError as error:
        raise SettingsError(f"environment variable {name}: {error}") from error


def build_sender(settings: SendingSettings) -> MessageSender:
    """Make the sender that the settings name.

    Raises
    ------
    SettingsError
        As :func:`build_send_service`.
    """
    match settings.sender:
        case "eum":
            if not settings.origination_identity or not settings.configuration_set:
                raise SettingsError("SENDER eum needs ORIGINATION_IDENTITY and CONFIGURATION_SET")
            return EndUserMessagingSender(
                sms_client(),
                origination_identity=settings.origination_identity,
                configuration_set=settings.configuration_set,
                max_price=settings.max_price,
            )
        case "sns":
            return SnsSender(
                sns_sms_client(),
                origination_identity=settings.origination_identity,
                max_price=settings.max_price,
            )
    raise SettingsError("environment variable SENDER must be eum or sns")


def report_sending_disabled(reason: str) -> None:
    """Count and log that the account cannot send; the channel's alarm hangs on this metric."""
    metrics.add_metric(name="SendingDisabled", unit="Count", value=1)
    logger.error("sending is disabled", reason=reason)
