"""The link keys, kept for a few minutes."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import monotonic

from sms_engagement_runtime.channel.domain.errors import PermanentError, TransientError
from sms_engagement_runtime.channel.domain.rereads import RereadAllowance
from sms_engagement_runtime.review_collector.domain.link_keys import LinkKeys, parse_keys

MAX_AGE_SECONDS = 300.0
"""A rotated key signs within five minutes; the previous one verifies far longer."""


class LinkSecretError(PermanentError):
    """The secret is not of the shape that it should be."""


class CachedLinkKeys:
    """Reads the keys when they are older than five minutes, or when asked for, but not too often.

    Safe to use from several threads.

    Where a read fails for the moment and keys are at hand, these go on being used: a key does not get worse
    within minutes, and a page that opens is better than one that does not.

    Parameters
    ----------
    read
        Returns the secret's text; may raise `TransientError`.
    clock
        Seconds that only grow.
    """

    def __init__(
        self,
        read: Callable[[], str],
        *,
        max_age_seconds: float = MAX_AGE_SECONDS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._read = read
        self._max_age_seconds = max_age_seconds
        self._clock = clock
        self._lock = Lock()
        self._keys: LinkKeys | None = None
        self._read_at = float("-inf")
        self._refreshes = RereadAllowance(clock)

    def current(self) -> LinkKeys:
        """Return the keys.

        Raises
        ------
        TransientError
            They were never read and cannot be read now.
        LinkSecretError
            The secret is malformed.
        """
        with self._lock:
            if self._keys is None:
                return self._load()
            if self._clock() - self._read_at >= self._max_age_seconds:
                try:
                    return self._load()
                except TransientError:
                    self._read_at = self._clock()
            return self._keys

    def refresh(self) -> bool:
        """Read the keys anew, unless that was asked for a few times within seconds (`RereadAllowance`).

        A first reading does not count: a key that was made a moment after it would be refused.
        """
        with self._lock:
            if not self._refreshes.take():
                return False
            try:
                self._load()
            except TransientError:
                return False
            return True

    def _load(self) -> LinkKeys:
        try:
            keys = parse_keys(self._read())
        except ValueError as error:
            raise LinkSecretError(str(error)) from error
        self._keys, self._read_at = keys, self._clock()
        return keys
