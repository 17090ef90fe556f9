"""The subscriber id: a person's key in every table, which does not give the number away."""

from base64 import urlsafe_b64encode

from sms_engagement_runtime.channel.domain.keyed_hash import keyed_digest
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber

_VERSION = "v1"


def subscriber_id(number: PhoneNumber, key: bytes) -> str:
    """Derive the subscriber id of a phone number.

    A keyed hash (HMAC-SHA256), since there are few enough phone numbers to try them all against a bare one
    within an hour. The key is never rotated: opt-outs are stored under this id.

    Parameters
    ----------
    key
        The channel's subscriber key, at least 16 bytes.

    Returns
    -------
    str
        ``v1:`` and 43 characters of unpadded base64url.
    """
    if len(key) < 16:
        raise ValueError(f"the subscriber key must have at least 16 bytes, got {len(key)}")
    digest = keyed_digest(key, number.e164.encode("ascii"))
    return f"{_VERSION}:{urlsafe_b64encode(digest).rstrip(b'=').decode('ascii')}"
