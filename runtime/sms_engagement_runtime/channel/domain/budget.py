"""What texts cost, and what may be spent on them.

Amounts are whole millicents (1 USD = 100,000), so that no sum is ever rounded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from sms_engagement_runtime.channel.domain.reasons import Reason

MILLICENTS_PER_DOLLAR: Final = 100_000

MILLICENTS_PER_PART: Final = 881
"""What a message part to a US number costs: 0.00581 USD and the carrier's fee of 0.003, as in the events of
AWS's documentation and of real texts. What it costs elsewhere and under one's own contract, the event of each
text tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendLimits:
    """What may be spent.

    Attributes
    ----------
    per_day, per_campaign
        Millicents; None means any amount. A day is one of UTC.
    """

    per_day: int | None = None
    per_campaign: int | None = None

    def __post_init__(self) -> None:
        for limit in (self.per_day, self.per_campaign):
            if limit is not None and limit <= 0:
                raise ValueError(f"a budget must be positive, got {limit} millicents")

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "SpendLimits":
        """Read ``{"perDay": 5000000, "perCampaign": 1000000}`` (millicents); what is left out has no limit.

        Raises
        ------
        ValueError
            A value is no positive whole number, or there are others.
        """
        names = {"perDay": "per_day", "perCampaign": "per_campaign"}
        unknown = settings.keys() - names
        if unknown:
            raise ValueError(f"a budget has {', '.join(names)}, got {', '.join(sorted(unknown))}")
        for name, value in settings.items():
            if not isinstance(value, int) or isinstance(value, bool):
                raise ValueError(f"{name} of a budget must be whole millicents, got {value!r}")
        return cls(**{names[name]: value for name, value in settings.items()})


class Unlimited:
    """The budget of a channel that has none: everything may be spent, and nothing is counted."""

    def reserve(
        self, campaign_id: str | None, parts: int, now: datetime, *, is_exempt: bool = False
    ) -> Reason | None:
        """Allow it."""

    def give_back(
        self, campaign_id: str | None, parts: int, now: datetime, *, is_exempt: bool = False
    ) -> None:
        """Do nothing."""

    def settle(self) -> None:
        """Do nothing."""


def next_day(now: datetime) -> datetime:
    """Return the next midnight of UTC, when the budget of a day begins anew."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)


def in_dollars(millicents: int) -> str:
    """Write an amount in US dollars, rounded to cents: ``"0.04"``."""
    return f"{Decimal(millicents) / MILLICENTS_PER_DOLLAR:.2f}"
