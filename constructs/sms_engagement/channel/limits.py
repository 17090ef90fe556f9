"""How often a person is texted, and what may be spent."""

import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from aws_cdk import Duration

from sms_engagement_runtime.channel.domain.budget import MILLICENTS_PER_DOLLAR

# What a person was sent lately is kept in their row, which is written with each text.
_MOST_TEXTS: Final = 50
_SHORTEST_PERIOD: Final = Duration.hours(1)
_LONGEST_PERIOD: Final = Duration.days(31)

_DOLLARS: Final = re.compile(r"[0-9]{1,7}(?:\.[0-9]{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrequencyCap:
    """How many promotional texts one person may be sent within a period.

    Those of all systems on the channel count together, and the next one waits until enough of them have left
    the period. Transactional texts and replies neither count nor wait. Each counts half a minute longer than
    the period, since a text reaches the carrier a moment after it is counted.

    Attributes
    ----------
    texts
        1 to 50. Three in 24 hours is what Florida, Maryland and Oklahoma allow (Fla. Stat. 501.616(6)).
    period
        1 hour to 31 days.

    Raises
    ------
    ValueError
        A number is out of its range.
    """

    texts: int = 3
    period: Duration = field(default_factory=lambda: Duration.hours(24))

    def __post_init__(self) -> None:
        is_whole = isinstance(self.texts, int) and not isinstance(self.texts, bool)
        if not is_whole or not 1 <= self.texts <= _MOST_TEXTS:
            msg = (
                f"texts of the frequency cap must be a whole number from 1 to {_MOST_TEXTS}, "
                f"got {self.texts!r}; leave it out for 3"
            )
            raise ValueError(msg)
        if self.period.is_unresolved():
            return
        shortest, longest = _SHORTEST_PERIOD.to_seconds(), _LONGEST_PERIOD.to_seconds()
        if not shortest <= self.period.to_seconds() <= longest:
            msg = (
                f"period of the frequency cap must be between {_SHORTEST_PERIOD.to_human_string()} and "
                f"{_LONGEST_PERIOD.to_human_string()}, got {self.period.to_human_string()}; "
                f"leave it out for a day"
            )
            raise ValueError(msg)

    def to_settings(self) -> str:
        """Return the environment variable ``FREQUENCY_CAP`` of the functions that send, as JSON."""
        seconds = int(self.period.to_seconds())
        return json.dumps({"texts": self.texts, "seconds": seconds}, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent on texts, reckoned at the channel's ``estimated_price_per_part``.

    Where it is spent, promotional texts wait: those of a day's budget for the next midnight of UTC, those of
    a campaign's for a human. Transactional texts and replies count towards the day and always go out.

    Attributes
    ----------
    per_day_usd, per_campaign_usd
        US dollars with up to five decimals, as ``"25"`` or ``"7.50"``; no limit where left out. A campaign is
        one run of a broadcast.

    Raises
    ------
    ValueError
        Both are left out, or one is no positive amount.
    """

    per_day_usd: str | None = None
    per_campaign_usd: str | None = None

    def __post_init__(self) -> None:
        if not self.limits():
            raise ValueError(
                "a budget needs per_day_usd or per_campaign_usd, got neither; leave it out for no limit"
            )

    def limits(self) -> dict[str, int]:
        """Return the limits that were given, by name, in millicents."""
        given = {"per_day_usd": self.per_day_usd, "per_campaign_usd": self.per_campaign_usd}
        return {name: millicents(name, text) for name, text in given.items() if text is not None}

    def to_settings(self) -> str:
        """Return the environment variable ``BUDGET`` of the functions that send, as JSON."""
        names = {"per_day_usd": "perDay", "per_campaign_usd": "perCampaign"}
        limits = {names[name]: limit for name, limit in self.limits().items()}
        return json.dumps(limits, separators=(",", ":"))


def millicents(name: str, dollars: str) -> int:
    """Read an amount as whole millicents.

    Parameters
    ----------
    name
        Of the prop, for the error.
    dollars
        US dollars with up to five decimals.

    Raises
    ------
    ValueError
        It is something else, or nothing.
    """
    amount = (
        int(Decimal(dollars) * MILLICENTS_PER_DOLLAR)
        if isinstance(dollars, str) and _DOLLARS.fullmatch(dollars)
        else 0
    )
    if amount <= 0:
        msg = (
            f"{name} must be US dollars above 0, with up to five decimals, as '0.05', got {dollars!r}; write "
            f"it as a text, or leave it out"
        )
        raise ValueError(msg)
    return amount
