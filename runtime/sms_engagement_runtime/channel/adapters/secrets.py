"""Secrets, kept for a few minutes, so that a rotated one is picked up without a restart."""

import json
from collections.abc import Callable, Mapping
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from sms_engagement_runtime.channel.adapters.aws_errors import service_call
from sms_engagement_runtime.channel.domain.errors import PermanentError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


class SecretFormatError(PermanentError):
    """A secret holds no text, or not the JSON object that is expected."""


class SecretCache:
    """One secret, read again when it is older than ``max_age_seconds``. Safe to use from several threads.

    Parameters
    ----------
    client
        Secrets Manager client.
    arn
        ARN or name of the secret.
    max_age_seconds
        A rotation keeps the previous key valid far longer than the default of five minutes.
    clock
        Seconds that only grow.
    """

    def __init__(
        self,
        client: "SecretsManagerClient",
        arn: str,
        *,
        max_age_seconds: float = 300,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._client = client
        self._arn = arn
        self._max_age_seconds = max_age_seconds
        self._clock = clock
        self._lock = Lock()
        self._text = ""
        self._read_at = float("-inf")

    def text(self) -> str:
        """Return the secret's text.

        Raises
        ------
        TransientError
            Secrets Manager could not be asked.
        SecretFormatError
            The secret has no text.
        """
        with self._lock:
            if self._clock() - self._read_at >= self._max_age_seconds:
                self._text = self._read()
                self._read_at = self._clock()
            return self._text

    def key(self) -> bytes:
        """Return the secret's text as bytes, for a secret that is one random text, as the subscriber key."""
        return self.text().encode()

    def get(self) -> Mapping[str, Any]:
        """Return the secret's JSON object.

        Raises
        ------
        SecretFormatError
            The secret is not a JSON object. The message never quotes it.
        """
        try:
            value = json.loads(self.text())
        except ValueError:
            raise SecretFormatError("the secret is not JSON") from None
        if not isinstance(value, dict):
            raise SecretFormatError("the secret is not a JSON object")
        return value

    def _read(self) -> str:
        with service_call("secretsmanager:GetSecretValue"):
            response = self._client.get_secret_value(SecretId=self._arn)
        text = response.get("SecretString")
        if not text:
            raise SecretFormatError("the secret holds no text")
        return text
