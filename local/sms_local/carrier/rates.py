"""Message parts per second: a token bucket for each origination."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True, kw_only=True)
class TokenBucket:
    """Lets through `per_second` on average, and one second's worth at once.

    A text of more parts than that passes when the bucket is full and leaves it in debt, since a slow number
    sends long texts too, only less often.
    """

    per_second: float
    tokens: float = field(init=False)
    updated: datetime

    def __post_init__(self) -> None:
        self.tokens = self._capacity

    @property
    def _capacity(self) -> float:
        return max(self.per_second, 1.0)

    def take(self, amount: int, now: datetime) -> bool:
        """Take `amount` tokens and return true, or take nothing and return false."""
        elapsed = max((now - self.updated).total_seconds(), 0.0)
        self.tokens = min(self._capacity, self.tokens + elapsed * self.per_second)
        self.updated = now
        if self.tokens < min(amount, self._capacity):
            return False
        self.tokens -= amount
        return True


@dataclass(slots=True)
class RateLimits:
    """The buckets of everything that is limited, made when first used."""

    _buckets: dict[str, TokenBucket] = field(default_factory=dict)

    def take(self, name: str, amount: int, *, per_second: float, now: datetime) -> bool:
        """Take `amount` from the bucket `name`; false means that it is too fast."""
        bucket = self._buckets.get(name)
        if bucket is None or bucket.per_second != per_second:
            bucket = self._buckets[name] = TokenBucket(per_second=per_second, updated=now)
        return bucket.take(amount, now)

    def clear(self) -> None:
        """Start again with full buckets."""
        self._buckets.clear()
