"""When a run stops itself: people leave, or texts do not arrive."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from sms_engagement_runtime.channel.domain.broadcast.outcomes import RunReason
from sms_engagement_runtime.channel.domain.campaign_counts import Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRules:
    """Limits of a run, looked at before each part.

    Attributes
    ----------
    max_opt_out_percent
        Of the texts that ended; 0 to 100. The default of 5 is far above what a list of one's own customers
        gives, so whoever passes it texts people who do not want it.
    min_delivery_percent
        Of the texts that ended; 0 to 100. Below 95 of a hundred delivered, the list is stale or a carrier
        filters, and texting on costs money and reputation.
    min_volume
        Texts that must have ended before anything is concluded from them; at least 1.

    Raises
    ------
    ValueError
        A number is out of its range.
    """

    max_opt_out_percent: float = 5
    min_delivery_percent: float = 95
    min_volume: int = 100

    def __post_init__(self) -> None:
        for name in ("max_opt_out_percent", "min_delivery_percent"):
            value = getattr(self, name)
            if not 0 <= value <= 100:
                raise ValueError(f"{name} must be between 0 and 100, got {value}")
        if self.min_volume < 1:
            raise ValueError(f"min_volume must be at least 1, got {self.min_volume}")

    def broken_by(self, counts: Counts) -> RunReason | None:
        """Return the limit that a run has passed, None while it may go on.

        Texts that the service refused in its answer to the call are no part of it: they cost nothing, no
        carrier saw them, and a list keeps such numbers from run to run.
        """
        ended = counts.delivered + counts.failed
        if ended < self.min_volume:
            return None
        if counts.opted_out * 100 > self.max_opt_out_percent * ended:
            return RunReason.STOPPED_OPT_OUTS
        if counts.delivered * 100 < self.min_delivery_percent * ended:
            return RunReason.STOPPED_FAILURES
        return None

    def to_settings(self) -> str:
        """Return the text of an environment variable."""
        return json.dumps(
            {
                "maxOptOutPercent": self.max_opt_out_percent,
                "minDeliveryPercent": self.min_delivery_percent,
                "minVolume": self.min_volume,
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_settings(cls, value: Mapping[str, Any]) -> Self:
        """Read the object in such a text; what is absent takes its default."""
        names = {
            "maxOptOutPercent": "max_opt_out_percent",
            "minDeliveryPercent": "min_delivery_percent",
            "minVolume": "min_volume",
        }
        return cls(**{names[key]: given for key, given in value.items()})
