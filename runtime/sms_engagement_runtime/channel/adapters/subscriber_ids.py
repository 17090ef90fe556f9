"""Subscriber ids with the key that Secrets Manager keeps."""

from collections.abc import Callable

from sms_engagement_runtime.channel.adapters.clients import secrets_client
from sms_engagement_runtime.channel.adapters.secrets import SecretCache
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id


def build_subscriber_id(secret_arn: str) -> Callable[[PhoneNumber], str]:
    """Make the function from phone number to subscriber id. The key is read when it is first called."""
    # The key is never rotated, so it is read once a process.
    secret = SecretCache(secrets_client(), secret_arn, max_age_seconds=float("inf"))
    return lambda number: subscriber_id(number, secret.key())
