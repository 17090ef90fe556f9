"""Signatures under webhooks: whether a body comes from the booking provider.

Both are HMAC-SHA256 over the bytes as they arrived, in hexadecimal. A body that was parsed and written anew
has other bytes, and no valid signature.

Calendly sends ``Calendly-Webhook-Signature: t=1764000000,v1=b8e2…``, over ``t``, a full stop and the body; an
event whose ``t`` is more than three minutes off is a replay. Source: Calendly, *Webhook signatures*.

Cal.com sends ``X-Cal-Signature-256: 2fe3…``, over the body alone. It signs no time, so that replays are
recognised by what is in the body. Source: Cal.com, *Webhooks*, "Verifying the authenticity of the received
payload".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

CALENDLY_TOLERANCE_SECONDS: Final = 180
"""Three minutes. Source: Calendly, *Webhook signatures*, "Prevent replay attacks"."""

_MAX_HEADER_LENGTH: Final = 4096
"""Room for sixty signatures; Calendly sends one, of 64 characters."""

_TIME: Final = re.compile(r"[0-9]{1,12}")
"""Seconds since the epoch: ten digits until the year 2286."""


class SignatureResult(StrEnum):
    """What a signature says about a body."""

    VALID = "VALID"
    STALE = "STALE"
    """Authentic, but signed too long ago, or in the future: perhaps a replay."""
    INVALID = "INVALID"
    """Missing, malformed, or made with another key or over another body."""


def verify_calendly(
    header: str | None,
    body: bytes,
    keys: Sequence[bytes],
    now: float,
    tolerance_seconds: int = CALENDLY_TOLERANCE_SECONDS,
) -> SignatureResult:
    """Check ``Calendly-Webhook-Signature``.

    The pairs are read by their key, in any order; unknown ones are for later versions of the scheme and
    ignored. Several ``v1`` are several signatures, any of which may match. A second ``t`` is refused: the
    header was joined from two, and which time belongs to which signature is not known.

    Parameters
    ----------
    header
        Any text; None where there is none.
    body
        As it arrived.
    keys
        Signing keys, any of which may match: during a rotation there are two. An empty one is no key, since
        anybody can sign with it.
    now
        Seconds since the epoch, of the clock that the provider's is compared with.
    """
    time, signatures = _pairs(header)
    if time is None:
        return SignatureResult.INVALID
    signed = time + b"." + body
    if not _any_matches(signatures, signed, keys):
        return SignatureResult.INVALID
    if abs(now - int(time)) > tolerance_seconds:
        return SignatureResult.STALE
    return SignatureResult.VALID


def verify_calcom(header: str | None, body: bytes, keys: Sequence[bytes]) -> SignatureResult:
    """Check ``X-Cal-Signature-256``: ``VALID`` or ``INVALID``, since nothing in it ages.

    A webhook without a secret sends ``no-secret-provided``, which is no signature. Source: Cal.com,
    ``packages/features/webhooks/lib/sendPayload.ts``.
    """
    if header is None or len(header) > _MAX_HEADER_LENGTH:
        return SignatureResult.INVALID
    if not _any_matches([_comparable(header.strip())], body, keys):
        return SignatureResult.INVALID
    return SignatureResult.VALID


def sign_calendly(body: bytes, key: bytes, at: float) -> str:
    """Sign as Calendly does, at ``at`` seconds since the epoch; returns the header's value."""
    time = str(int(at))
    return f"t={time},v1={_signature(time.encode('ascii') + b'.' + body, key).decode('ascii')}"


def sign_calcom(body: bytes, key: bytes) -> str:
    """Sign as Cal.com does; returns the header's value."""
    return _signature(body, key).decode("ascii")


def _pairs(header: str | None) -> tuple[bytes | None, list[bytes]]:
    """Time and signatures of Calendly's header; no time where the header is not of its form."""
    if header is None or len(header) > _MAX_HEADER_LENGTH:
        return None, []
    times: list[str] = []
    signatures: list[bytes] = []
    for pair in header.split(","):
        name, _, value = pair.strip().partition("=")
        if name == "t":
            times.append(value)
        elif name == "v1":
            signatures.append(_comparable(value))
    if len(times) != 1 or not _TIME.fullmatch(times[0]):
        return None, []
    return times[0].encode("ascii"), signatures


def _comparable(text: str) -> bytes:
    """Bytes to compare; what is no hexadecimal text becomes bytes that no signature has."""
    return text.encode("ascii", "replace")


def _any_matches(candidates: Sequence[bytes], signed: bytes, keys: Sequence[bytes]) -> bool:
    """Whether a candidate is the signature by one of the keys, in a time that does not depend on which."""
    matches = False
    for key in keys:
        if not key:
            continue
        expected = _signature(signed, key)
        for candidate in candidates:
            matches |= hmac.compare_digest(expected, candidate)
    return matches


def _signature(signed: bytes, key: bytes) -> bytes:
    return hmac.new(key, signed, hashlib.sha256).hexdigest().encode("ascii")
