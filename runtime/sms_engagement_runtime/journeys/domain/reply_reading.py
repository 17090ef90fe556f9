"""What the words of an answer mean for a journey: a clear no, something friendly, or something to read."""

from __future__ import annotations

import re
from typing import Final

from sms_engagement_runtime.journeys.domain.conditions import ReplyKind

_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_NO: Final = frozenset({"no", "nope", "nah", "never", "nein", "non", "nao", "não"})
_NOT: Final = frozenset({"not", "don't", "don’t", "dont", "no", "nicht", "kein"})
_WANTED: Final = frozenset({"interested", "want", "like", "need", "interest", "thanks", "interesse"})
_FRIENDLY: Final = frozenset(
    {"yes", "yeah", "great", "thanks", "thank", "good", "love", "nice", "perfect", "cool", "awesome", "sure"}
)


def read_kind(words: str) -> ReplyKind:
    """Say what an answer means; what is not clear is NEUTRAL."""
    said = [word.casefold() for word in _WORD.findall(words)]
    if not said:
        return ReplyKind.NEUTRAL
    is_refusal = not _NOT.isdisjoint(said) and not _WANTED.isdisjoint(said)
    if said[0] in _NO or is_refusal:
        return ReplyKind.NEGATIVE
    if _NOT.isdisjoint(said) and not _FRIENDLY.isdisjoint(said):
        return ReplyKind.POSITIVE
    return ReplyKind.NEUTRAL
