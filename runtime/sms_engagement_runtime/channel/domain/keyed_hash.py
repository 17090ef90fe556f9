"""HMAC-SHA256 with the key's own work done once.

Link tokens and subscriber ids are made by the hundred thousand with one key. ``hmac.digest`` sets its key up
anew for each of them, which costs twice as much as the message itself; here the two padded key blocks are
hashed once and copied (RFC 2104 §4 describes just that).
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash

_BLOCK_LENGTH = 64
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


def keyed_digest(key: bytes, message: bytes) -> bytes:
    """Return HMAC-SHA256 of a message, 32 bytes; equal to ``hmac.digest(key, message, "sha256")``."""
    inner_state, outer_state = _states(key)
    inner = inner_state.copy()
    inner.update(message)
    outer = outer_state.copy()
    outer.update(inner.digest())
    return outer.digest()


@lru_cache(maxsize=32)
def _states(key: bytes) -> tuple[_Hash, _Hash]:
    padded = (sha256(key).digest() if len(key) > _BLOCK_LENGTH else key).ljust(_BLOCK_LENGTH, b"\0")
    return sha256(padded.translate(_INNER)), sha256(padded.translate(_OUTER))
