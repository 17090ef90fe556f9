"""What the words of an answer mean for a journey."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sms_engagement_runtime.channel.domain.sentiment import Sentiment, analyse
from sms_engagement_runtime.journeys.domain.conditions import ReplyKind

_KINDS: Final[Mapping[Sentiment, ReplyKind]] = {
    Sentiment.POSITIVE: ReplyKind.POSITIVE,
    Sentiment.NEUTRAL: ReplyKind.NEUTRAL,
    Sentiment.NEGATIVE: ReplyKind.NEGATIVE,
}


def read_kind(words: str) -> ReplyKind:
    """Say what an answer means, by the sentiment that analytics counts too."""
    return _KINDS[analyse(words)]
