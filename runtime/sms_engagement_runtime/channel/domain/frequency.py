"""How often one person may be sent promotional texts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sms_engagement_runtime.channel.domain.pacing import LEAVES_WITHIN


@dataclass(frozen=True, slots=True, kw_only=True)
class FrequencyCap:
    """At most so many promotional texts to one person within a period that moves along with the time.

    What the law counts is what the person gets, and a text leaves a moment after its claim: one that left
    late and one that leaves at once may be closer than their claims. So each counts ``LEAVES_WITHIN`` longer.

    Attributes
    ----------
    texts
        At least 1. Three in 24 hours is what Florida (Fla. Stat. 501.616(6)), Maryland and Oklahoma allow.
    period
        Positive.

    Raises
    ------
    ValueError
        A number is not positive.
    """

    texts: int = 3
    period: timedelta = timedelta(hours=24)

    def __post_init__(self) -> None:
        if self.texts < 1:
            raise ValueError(f"a frequency cap needs at least 1 text, got {self.texts}")
        if self.period <= timedelta(0):
            raise ValueError(f"the period of a frequency cap must be positive, got {self.period}")

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "FrequencyCap":
        """Read ``{"texts": 3, "seconds": 86400}``; what is left out is the default.

        Raises
        ------
        ValueError
            A value is no positive whole number, or there are others.
        """
        unknown = settings.keys() - {"texts", "seconds"}
        if unknown:
            raise ValueError(f"a frequency cap has texts and seconds, got {', '.join(sorted(unknown))}")
        for name, value in settings.items():
            if not isinstance(value, int) or isinstance(value, bool):
                raise ValueError(f"{name} of a frequency cap must be a whole number, got {value!r}")
        default = cls()
        seconds = settings.get("seconds")
        return cls(
            texts=settings.get("texts", default.texts),
            period=default.period if seconds is None else timedelta(seconds=seconds),
        )

    def blocked_until(self, recent: Mapping[str, datetime], key: str, now: datetime) -> datetime | None:
        """Say when the person may be sent the text with this key; None where that is now.

        A text counts from its claim until a period after the last instant at which it can have left, that
        instant excluded. An earlier attempt at the same text does not count against it.

        Parameters
        ----------
        recent
            Claim times of promotional texts by ledger key, in any order, older ones than the period included.
        """
        counted = sorted(at for other, at in self._counting(recent, now).items() if other != key)
        excess = len(counted) - self.texts
        return None if excess < 0 else counted[excess] + LEAVES_WITHIN + self.period

    def remember(self, recent: Mapping[str, datetime], key: str, now: datetime) -> dict[str, datetime]:
        """Return `recent` with the text with this key claimed now, and without those that count no longer."""
        return {**self._counting(recent, now), key: now}

    def _counting(self, recent: Mapping[str, datetime], now: datetime) -> dict[str, datetime]:
        since = now - self.period - LEAVES_WITHIN
        return {key: at for key, at in recent.items() if at > since}
