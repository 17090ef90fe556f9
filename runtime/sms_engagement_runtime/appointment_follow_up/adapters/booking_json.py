"""JSON of booking providers, read without ever raising."""

from __future__ import annotations

import json
import re
from typing import Final

import msgspec

_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""Malformed JSON or another shape; bytes that are no UTF-8; brackets within brackets, thousands deep."""

_ESCAPED_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def decode[T](decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw) -> T | None:
    r"""Decode; None where the body is not what the decoder expects.

    Half of a surrogate pair, as in ``"\\ud83d"``, is legal JSON, and what is left of an emoji that a provider
    cut a name in. msgspec refuses it, and the appointment would be lost for it: it becomes U+FFFD.
    """
    try:
        return decoder.decode(body)
    except _UNREADABLE:
        if not _ESCAPED_SURROGATE.search(bytes(body)):
            return None
    try:
        return decoder.decode(_without_half_pairs(bytes(body)))
    except _UNREADABLE:
        return None


def member(value: object, name: str) -> object:
    """Member of a JSON object; None where there is none, or the value is no object."""
    return value.get(name) if isinstance(value, dict) else None


def first(value: object) -> object:
    """First item of a JSON array; None where there is none, or the value is no array."""
    return value[0] if isinstance(value, list) and value else None


def _without_half_pairs(body: bytes) -> bytes:
    text = json.dumps(json.loads(body.decode("utf-8")), ensure_ascii=False)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode("utf-8")
