"""Votes for reviews that helped: one a visitor and review, without knowing the visitor.

Of a network address a keyless hash of twenty bits is kept, and only beside the review: each of its million
buckets stands for four thousand IPv4 addresses, so that nobody can be told by it, and it cannot be joined
with another review's. The price: who votes from an address whose bucket is taken is not counted, which
happens to one in a hundred after ten thousand votes for one review; and a household or office counts once.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from typing import Final


class Vote(StrEnum):
    """What became of a vote."""

    COUNTED = "counted"
    REPEATED = "repeated"
    """Its bucket is taken."""
    UNKNOWN = "unknown"
    """There is no such review that the public can read."""


REMEMBERED: Final = timedelta(days=30)
"""For how long a bucket is taken."""

_BUCKETS: Final = 1 << 20
_NETWORK_BITS: Final = 64


def vote_bucket(review_id: str, address: str) -> str | None:
    """Return the bucket of an address at a review; None where it is no address.

    Of an IPv6 address the network counts (/64), of which one subscriber has all the addresses (RFC 6177).
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        else:
            parsed = IPv6Address(int(parsed) >> _NETWORK_BITS << _NETWORK_BITS)
    digest = sha256(f"helpful|{review_id}|{parsed}".encode()).digest()
    return f"{int.from_bytes(digest[:4]) % _BUCKETS:05x}"
