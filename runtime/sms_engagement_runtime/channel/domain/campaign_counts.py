"""How the texts of a campaign fare: what its stop rules look at.

A campaign is whatever texts carry one campaign id: a broadcast's run, a journey's step.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sms_engagement_runtime.channel.domain.ledger import CLAIMABLE_STATES, LedgerRow, MessageState

OPT_OUT_ANSWERS_FOR: Final = timedelta(days=7)
"""An opt-out counts against the campaign whose text came last, where that is at most this old."""

_NOT_SEEN: Final = CLAIMABLE_STATES | {MessageState.FAILED, MessageState.EXPIRED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of a campaign's texts so far.

    Attributes
    ----------
    delivered, failed
        Texts that a delivery event ended, by the first that did; expired ones have failed. A text that the
        service refused in its answer to the call has no event: whoever called knows of it.
    opted_out
        People who opted out upon a text of the campaign.
    """

    delivered: int = 0
    failed: int = 0
    opted_out: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        """Add figure by figure."""
        return Counts(
            delivered=self.delivered + other.delivered,
            failed=self.failed + other.failed,
            opted_out=self.opted_out + other.opted_out,
        )


def tally_ended(rows: Iterable[LedgerRow]) -> Mapping[str, Counts]:
    """Sum up texts that have just ended, by campaign. Texts of none are left out.

    Parameters
    ----------
    rows
        Rows as the event left them that ended them (``FoldResult.became_final``), each text once.
    """
    sums: dict[str, Counts] = {}
    for row in rows:
        if row.campaign_id is None:
            continue
        is_delivered = row.state is MessageState.DELIVERED
        one = Counts(delivered=int(is_delivered), failed=int(not is_delivered))
        sums[row.campaign_id] = sums.get(row.campaign_id, Counts()) + one
    return sums


def answered_text(texts: Iterable[LedgerRow], *, received_at: datetime) -> LedgerRow | None:
    """Tell which text an opt-out answers: the person's latest one, while it is recent.

    Parameters
    ----------
    texts
        Ledger rows of the person without our replies, newest claim first.
    received_at
        When the opt-out was received.

    Returns
    -------
    LedgerRow | None
        The row, whose campaign the opt-out counts against. None where the latest text that may have reached
        the person lies too far back.
    """
    seen = (row for row in texts if row.state not in _NOT_SEEN and row.claimed_at <= received_at)
    latest = next(seen, None)
    if latest is None or received_at - latest.claimed_at > OPT_OUT_ANSWERS_FOR:
        return None
    return latest
