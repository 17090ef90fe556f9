"""The link token: forty characters that name one review request, prove who issued them, and expire.

Layout, 30 bytes, unpadded base64url (RFC 4648 §5), 40 characters; thirty bytes fill forty characters exactly,
so that every token has one spelling only:

==========  =====  ========================================================================================
bytes       width  content
==========  =====  ========================================================================================
0           1      version (high four bits, always 1) and key id (low four bits, 1 to 15)
1 to 3      3      expiry, whole minutes since 2025-01-01T00:00Z, big-endian (reaches to November 2056)
4 to 15     12     reference: the request id, opaque
16 to 29    14     MAC: the first 14 bytes of HMAC-SHA256(key, ``b"review-link"`` + bytes 0 to 15)
==========  =====  ========================================================================================

Reasons and test vectors: ``docs/adr/0002-link-token.md``.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hmac import compare_digest

from sms_engagement_runtime.channel.domain.keyed_hash import keyed_digest

TOKEN_LENGTH = 40
"""Characters of a token."""

REFERENCE_LENGTH = 12
"""Bytes of a reference."""

MAX_KEY_ID = 15
"""Key ids are 1 to 15: four bits, zero left out so that an empty field is never a key."""

CLOCK_SKEW = timedelta(minutes=5)
"""How far the clocks of issuer and verifier may differ before an expiry counts as lying in the future."""

EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
"""Minute zero of the expiry field."""

_VERSION = 1
_DOMAIN = b"review-link"
_SIGNED_LENGTH = 16
_MAC_LENGTH = 14
_EPOCH_MINUTES = int(EPOCH.timestamp()) // 60
_MAX_MINUTES = 2**24 - 1
# The two characters in which the alphabets differ are swapped both ways, so that "+" and "/" of the ordinary
# alphabet come out as characters that strict decoding refuses.
_TO_ORDINARY_ALPHABET = bytes.maketrans(b"-_+/", b"+/-_")


class Rejection(StrEnum):
    """Why a token is not accepted."""

    MALFORMED = "MALFORMED"
    """Not the shape of a token: cut, padded, other characters, another version."""
    UNKNOWN_KEY = "UNKNOWN_KEY"
    """Names a key that is not among those given: forged, or signed after a rotation not seen here yet."""
    FORGED = "FORGED"
    """The MAC is wrong."""
    EXPIRED = "EXPIRED"
    """Was valid once."""
    FUTURE = "FUTURE"
    """Signed, but expires later than any link that we issue now."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A token that we issued and that is still good.

    Attributes
    ----------
    reference
        The twelve bytes given to `mint`.
    expires_at
        First instant at which the token is no longer good, aware UTC, a whole minute.
    """

    reference: bytes
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Rejected:
    """A token that opens nothing.

    Attributes
    ----------
    kind
        Why.
    reference
        Only where the MAC is right and the token has expired: what it was issued for, so that a new link can
        be asked for.
    """

    kind: Rejection
    reference: bytes | None = None


type Verification = Verified | Rejected


def mint(reference: bytes, *, expires_at: datetime, key_id: int, key: bytes) -> str:
    """Make the token of a reference.

    Parameters
    ----------
    reference
        Twelve bytes; opaque, and not secret: whoever holds the token can read them.
    expires_at
        Aware. Rounded up to the next whole minute: a link never lives shorter than it was promised.
    key_id
        1 to 15, tells the verifier which key to take.
    key
        The signing key, 16 bytes at the least.

    Returns
    -------
    str
        Forty characters of ``A-Z a-z 0-9 - _``.

    Raises
    ------
    ValueError
        A value does not fit its field, or the key is too short to be one.
    """
    if len(reference) != REFERENCE_LENGTH:
        raise ValueError(f"reference must be {REFERENCE_LENGTH} bytes, got {len(reference)}")
    if not 1 <= key_id <= MAX_KEY_ID:
        raise ValueError(f"key_id must be between 1 and {MAX_KEY_ID}, got {key_id}")
    if len(key) < 16:
        raise ValueError(f"key must have at least 16 bytes, got {len(key)}")
    minutes = -int(-expires_at.timestamp() // 60) - _EPOCH_MINUTES
    if not 0 <= minutes <= _MAX_MINUTES:
        raise ValueError(f"expires_at must be between 2025-01-01 and 2056, got {expires_at.isoformat()}")
    signed = bytes((_VERSION << 4 | key_id,)) + minutes.to_bytes(3) + reference
    return urlsafe_b64encode(signed + _mac(key, signed)).decode("ascii")


def verify(token: str, *, keys: Mapping[int, bytes], now: datetime, max_lifetime: timedelta) -> Verification:
    """Tell what a token is worth.

    The MAC is compared, in constant time, before any other field is believed; only the key id is read before,
    since it says which key to take. The work is bounded: anything that is not forty characters long is
    refused before it is looked at.

    Parameters
    ----------
    token
        As it came in, untrusted.
    keys
        Key id to key; every key whose links may still be alive.
    now
        Aware.
    max_lifetime
        The longest lifetime of a link that is issued now; a token that expires later, `CLOCK_SKEW` apart, is
        refused.

    Returns
    -------
    Verified or Rejected
        Never raises on a token, whatever it holds.
    """
    if len(token) != TOKEN_LENGTH or not token.isascii():
        return Rejected(Rejection.MALFORMED)
    try:
        raw = a2b_base64(token.encode("ascii").translate(_TO_ORDINARY_ALPHABET), strict_mode=True)
    except Base64Error:
        return Rejected(Rejection.MALFORMED)
    signed = raw[:_SIGNED_LENGTH]
    # Padding inside forty characters is well-formed base64 for fewer bytes.
    if len(raw) != _SIGNED_LENGTH + _MAC_LENGTH:
        return Rejected(Rejection.MALFORMED)
    key = keys.get(signed[0] & 0x0F)
    if key is None:
        return Rejected(Rejection.UNKNOWN_KEY)
    if not compare_digest(_mac(key, signed), raw[_SIGNED_LENGTH:]):
        return Rejected(Rejection.FORGED)
    if signed[0] >> 4 != _VERSION:
        return Rejected(Rejection.MALFORMED)
    reference = signed[4:]
    expires_at = datetime.fromtimestamp((int.from_bytes(signed[1:4]) + _EPOCH_MINUTES) * 60, UTC)
    if now >= expires_at:
        return Rejected(Rejection.EXPIRED, reference)
    if expires_at > now + max_lifetime + timedelta(minutes=1) + CLOCK_SKEW:
        return Rejected(Rejection.FUTURE)
    return Verified(reference, expires_at)


def _mac(key: bytes, signed: bytes) -> bytes:
    return keyed_digest(key, _DOMAIN + signed)[:_MAC_LENGTH]
