"""Keys that booking providers sign with, from Secrets Manager: the current one, and for a while the last one.

A key is rotated without an outage: put the new one into the secret, then create the hook anew with it.
Webhooks under the old key, retried ones among them, go on being accepted for a week. The other way round, a
hook that signs with a new key before the secret has it, gets 401: Calendly tries again, and of Cal.com that
is not documented.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import error_code, service_call
from sms_engagement_runtime.channel.adapters.secrets import SecretFormatError
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.rereads import RereadAllowance

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

MAX_AGE_SECONDS: Final = 300.0
"""A new key is known everywhere after five minutes, and where it is met at once: `SigningKeys.reread`."""

MIN_RETRY_SECONDS: Final = 30.0
"""Least time between a read that failed and the next, while older keys are at hand."""

_CURRENT: Final = "AWSCURRENT"
_PREVIOUS: Final = "AWSPREVIOUS"
_NO_SUCH_VERSION: Final = "ResourceNotFoundException"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SigningKeys:
    """The keys of one secret, kept for five minutes. Safe to use from several threads.

    The secret's text is the key itself; spaces and line ends around it are not part of it.

    Where a read fails for the moment and keys are at hand, these go on being used.

    Parameters
    ----------
    client
        Secrets Manager client.
    arn
        ARN or name of the secret.
    previous_key_days
        Days after the current version was made in which the one before is accepted too. A provider gives a
        delivery up after one day; a week leaves time to create the hook anew. 0 ends it at once, after a key
        became known to others.
    clock
        Seconds that only grow.
    now
        The present instant, aware: of the real world, in which the secret's versions were made.
    """

    def __init__(
        self,
        client: SecretsManagerClient,
        arn: str,
        *,
        previous_key_days: int = 7,
        clock: Callable[[], float] = monotonic,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._client = client
        self._arn = arn
        self._previous_key_time = timedelta(days=previous_key_days)
        self._clock = clock
        self._now = now
        self._lock = Lock()
        self._keys: tuple[bytes, ...] = ()
        self._read_at = self._tried_at = float("-inf")
        self._rereads = RereadAllowance(clock)

    def keys(self) -> tuple[bytes, ...]:
        """Return the keys that a signature may have, the current one first.

        Raises
        ------
        TransientError
            They were never read and cannot be read now.
        SecretFormatError
            The secret has no text.
        """
        with self._lock:
            if not self._keys:
                return self._load()
            now = self._clock()
            if now - self._read_at >= MAX_AGE_SECONDS and now - self._tried_at >= MIN_RETRY_SECONDS:
                try:
                    return self._load()
                except TransientError:
                    return self._keys
            return self._keys

    def reread(self) -> tuple[bytes, ...] | None:
        """Read the keys anew, after a signature that none of them made: the secret may have a new one.

        None where that is not done: after a few times within seconds (`RereadAllowance`), so that a flood of
        bad signatures does not become one of calls, or because the read fails.

        Raises
        ------
        SecretFormatError
            The secret has no text.
        """
        with self._lock:
            if not self._rereads.take():
                return None
            try:
                return self._load()
            except TransientError:
                return None

    def _load(self) -> tuple[bytes, ...]:
        self._tried_at = self._clock()
        with service_call("secretsmanager:GetSecretValue"):
            response = self._client.get_secret_value(SecretId=self._arn, VersionStage=_CURRENT)
        current = _key(response.get("SecretString"))
        if current is None:
            raise SecretFormatError("the secret holds no text")
        keys = [current]
        if self._now() - response["CreatedDate"] < self._previous_key_time:
            previous = self._previous()
            if previous is not None and previous != current:
                keys.append(previous)
        self._keys, self._read_at = tuple(keys), self._clock()
        return self._keys

    def _previous(self) -> bytes | None:
        with service_call("secretsmanager:GetSecretValue"):
            try:
                response = self._client.get_secret_value(SecretId=self._arn, VersionStage=_PREVIOUS)
            except ClientError as error:
                if error_code(error) == _NO_SUCH_VERSION:
                    return None
                raise
        return _key(response.get("SecretString"))


def _key(text: str | None) -> bytes | None:
    return (text or "").strip().encode() or None
