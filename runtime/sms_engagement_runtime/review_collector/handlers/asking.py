"""What the two functions that send have in common: their settings, and the service put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.phone_numbers import LibPhoneNumberParser
from sms_engagement_runtime.channel.adapters.secrets import SecretCache
from sms_engagement_runtime.channel.adapters.wiring import SendingSettings, build_send_service
from sms_engagement_runtime.review_collector.adapters.dynamodb_customers import DynamoCustomers
from sms_engagement_runtime.review_collector.adapters.dynamodb_requests import DynamoReviewRequests
from sms_engagement_runtime.review_collector.adapters.link_keys import MAX_AGE_SECONDS, CachedLinkKeys
from sms_engagement_runtime.review_collector.domain.asking import ReviewAsker
from sms_engagement_runtime.review_collector.domain.occasions import OccasionPolicy
from sms_engagement_runtime.review_collector.domain.request_texts import STANDARD_REMINDERS, RequestTexts


@dataclass(frozen=True, slots=True, kw_only=True)
class AskingSettings(SendingSettings):
    """Environment of the functions that ask, beside that of everything that sends.

    Attributes
    ----------
    link_base_url
        Short address before ``/r/<token>``.
    review_texts, review_reminders
        Locale to template; nothing means the standard texts.
    occasion_policy
        ``{"cooldownSeconds": 7776000, "reminderDelaySeconds": 259200, "lifetimeSeconds": 2592000}``, which
        also is the default; a delay of null means no reminders.
    """

    customers_table: str
    review_requests_table: str
    link_secret_arn: str
    link_base_url: str
    link_lifetime_seconds: int = 7 * 24 * 3600
    review_texts: Mapping[str, str] = field(default_factory=dict)
    review_reminders: Mapping[str, str] = field(default_factory=dict)
    occasion_policy: Mapping[str, Any] = field(default_factory=dict)


def build_asker(values: AskingSettings, *, adds_customers: bool = False) -> ReviewAsker:
    """Make the clients and the service. Called once a process, when the handler's module is imported.

    Parameters
    ----------
    adds_customers
        Whether customers are added whom events bring, which the function must have the right to.
    """
    dynamodb, secrets = clients.dynamodb_client(), clients.secrets_client()
    # The subscriber key is never rotated, so it is read once a process; the link keys have a cache of their
    # own.
    subscriber_key = SecretCache(secrets, values.subscriber_key_secret_arn, max_age_seconds=float("inf"))
    link_secret = SecretCache(secrets, values.link_secret_arn, max_age_seconds=0)
    customers = DynamoCustomers(dynamodb, table=values.customers_table)
    return ReviewAsker(
        send_service=build_send_service(values, dynamodb=dynamodb),
        requests=DynamoReviewRequests(dynamodb, table=values.review_requests_table),
        customers=customers,
        register=customers if adds_customers else None,
        parser=LibPhoneNumberParser(values.default_country),
        subscriber_key=subscriber_key.key,
        link_keys=CachedLinkKeys(link_secret.text, max_age_seconds=MAX_AGE_SECONDS),
        texts=RequestTexts(values.review_texts),
        link_base_url=values.link_base_url.rstrip("/"),
        link_lifetime=timedelta(seconds=values.link_lifetime_seconds),
        reminder_texts=RequestTexts(values.review_reminders, standard=STANDARD_REMINDERS),
        policy=OccasionPolicy.from_settings(values.occasion_policy),
    )
