"""Which of our texts an inbound text answers, by the channel's ledger."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from sms_engagement_runtime.channel.domain.bus_events import CONSTRUCT
from sms_engagement_runtime.channel.domain.campaign_counts import answered_text
from sms_engagement_runtime.channel.domain.ledger import LedgerRow
from sms_engagement_runtime.sms_analytics_pipeline.domain.ports import Attribution

_RECENT_TEXTS: Final = 10
_LOOKBACK: Final = 50
"""As many as the channel looks through for the same."""


class RecentTexts(Protocol):
    """What is read of a ledger."""

    def recent(self, subscriber_id: str, limit: int) -> Sequence[LedgerRow]:
        """List the rows of a person, newest claim first."""
        ...


class LedgerAttribution:
    """Looks through the latest texts to the person who wrote.

    The text is the one that the service says was answered, where the ledger has it; else the latest that may
    have reached the person, by the rule of the channel's own campaign counts. Our replies are passed over:
    they are of no campaign, and stand between a campaign's text and its answer.
    """

    def __init__(self, ledger: RecentTexts) -> None:
        self._ledger = ledger

    def of(
        self, subscriber_id: str, *, previous_message_id: str | None, received_at: datetime
    ) -> Attribution | None:
        """Give campaign and journey of the text that is answered; None where we sent none."""
        texts = self._ledger.recent(subscriber_id, _RECENT_TEXTS)
        answered = _named(texts, previous_message_id)
        if answered is None and previous_message_id is not None and len(texts) == _RECENT_TEXTS:
            answered = _named(self._ledger.recent(subscriber_id, _LOOKBACK), previous_message_id)
        if answered is None:
            answered = answered_text(_of_constructs(texts), received_at=received_at)
        return None if answered is None else Attribution(answered.campaign_id, answered.journey_id)


def _named(texts: Sequence[LedgerRow], message_id: str | None) -> LedgerRow | None:
    if message_id is None:
        return None
    return next((row for row in _of_constructs(texts) if row.message_id == message_id), None)


def _of_constructs(texts: Sequence[LedgerRow]) -> list[LedgerRow]:
    return [row for row in texts if row.construct != CONSTRUCT]
