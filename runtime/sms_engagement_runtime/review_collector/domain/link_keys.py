"""The keys that sign link tokens, as they lie in their secret, and how a token is checked with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sms_engagement_runtime.review_collector.domain import tokens
from sms_engagement_runtime.review_collector.domain.tokens import (
    MAX_KEY_ID,
    Rejected,
    Rejection,
    Verification,
)

KEPT_KEYS = 3
"""Keys that a rotation leaves in the secret, the active one included.

Links live for days and rotations are weeks apart: even after a hurried second rotation, every living link
has its key.
"""


@dataclass(frozen=True, slots=True)
class LinkKeys:
    """The keys of one version of the secret.

    Attributes
    ----------
    active
        Id of the key that signs.
    by_id
        Every key that verifies, the active one among them.
    """

    active: int
    by_id: Mapping[int, bytes]

    def mint(self, reference: bytes, *, expires_at: datetime) -> str:
        """Make a token with the active key."""
        return tokens.mint(reference, expires_at=expires_at, key_id=self.active, key=self.by_id[self.active])


class LinkKeySource(Protocol):
    """Where the keys come from."""

    def current(self) -> LinkKeys:
        """Return the keys, at most a few minutes old. Raises `TransientError` where they cannot be had."""

    def refresh(self) -> bool:
        """Read the keys anew, unless that was done often just now; tell whether it was done."""


def verify(token: str, source: LinkKeySource, *, now: datetime, max_lifetime: timedelta) -> Verification:
    """Verify a token, reading the keys once more where it names one that is not among them.

    A token of a key that was made minutes ago must not be refused for the sake of a cache; and a flood of
    tokens with invented key ids must not become a flood of reads, which is why `LinkKeySource.refresh` may
    decline.
    """
    result = tokens.verify(token, keys=source.current().by_id, now=now, max_lifetime=max_lifetime)
    match result:
        case Rejected(kind=Rejection.UNKNOWN_KEY) if source.refresh():
            return tokens.verify(token, keys=source.current().by_id, now=now, max_lifetime=max_lifetime)
    return result


def parse_keys(secret: str) -> LinkKeys:
    """Read the secret's text: ``{"active": 1, "k1": "<random text>", "k2": …}``.

    Raises
    ------
    ValueError
        It is not of that shape. The message never quotes it.
    """
    try:
        values = json.loads(secret)
        active = int(values["active"])
        by_id = {
            int(name[1:]): text.encode()
            for name, text in values.items()
            if name[0] == "k" and name[1:].isdecimal()
        }
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        raise ValueError("the link secret is not of the shape {active, k1, ...}") from None
    if active not in by_id or not all(1 <= key_id <= MAX_KEY_ID for key_id in by_id):
        raise ValueError(f"the link secret must hold its active key, and key ids from 1 to {MAX_KEY_ID}")
    return LinkKeys(active, by_id)


def rotated(secret: str, new_key: str) -> str:
    """Return the secret's next text: the new key active under the next id, the latest previous ones kept.

    Ids go round from 15 to 1; the key that had the new id before has not signed for fourteen rotations.
    """
    values = json.loads(secret)
    active = parse_keys(secret).active
    next_id = active % MAX_KEY_ID + 1
    kept = {}
    for age in range(KEPT_KEYS - 1):
        name = f"k{(active - 1 - age) % MAX_KEY_ID + 1}"
        if name in values:
            kept[name] = values[name]
    return json.dumps({"active": next_id, f"k{next_id}": new_key} | kept)
