"""Puts the send service together, the same way for every function that sends."""

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sms_engagement_runtime.channel.adapters.clients import (
    dynamodb_client,
    sms_client,
    sns_sms_client,
)
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.dynamodb_messages import DynamoLedger
from sms_engagement_runtime.channel.adapters.end_user_messaging import EndUserMessagingSender
from sms_engagement_runtime.channel.adapters.pacing import TokenBucketPacer
from sms_engagement_runtime.channel.adapters.pause import DynamoPauseFlag
from sms_engagement_runtime.channel.adapters.sns_sender import SnsSender
from sms_engagement_runtime.channel.domain.ports import MessageSender
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
        Share of this process in the rate of the origination identity. The default of 1 is that of a US long
        code before its 10DLC campaign (AWS, *message parts per second limits*).
    max_price
        Decimal USD a part above which a text is refused; no limit when empty.
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
    max_price: str | None = None


def build_send_service(settings: SendingSettings, *, dynamodb: "DynamoDBClient | None" = None) -> SendService:
    """Make the service. Called once a process, when the handler's module is imported; makes no call.

    Parameters
    ----------
    dynamodb
        The handler's own client, where it has one: making a client takes longer than importing the domain.

    Raises
    ------
    SettingsError
        The sender is unknown, or lacks what it needs.
    """
    dynamodb = dynamodb or dynamodb_client()
    contacts = DynamoContacts(dynamodb, table=settings.contacts_table)
    return SendService(
        contacts=contacts,
        ledger=DynamoLedger(
            dynamodb, messages_table=settings.messages_table, contacts_table=settings.contacts_table
        ),
        sender=build_sender(settings),
        pause=DynamoPauseFlag(dynamodb, table=settings.contacts_table),
        pacer=TokenBucketPacer(
            settings.parts_per_second, clock=time.monotonic, sleep=time.sleep, jitter=random.random
        ),
        clock=build_clock(),
        policy=SendPolicy(allowed_countries=settings.allowed_countries, max_parts=settings.max_parts),
        on_sending_disabled=report_sending_disabled,
    )


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
