"""The flag that pauses all sending, a row of the contacts table: ``control`` / ``sending`` ``{paused}``."""

from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Final

from sms_engagement_runtime.channel.adapters.aws_errors import service_call

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CONTROL_KEY: Final = {"subscriberId": {"S": "control"}, "record": {"S": "sending"}}


class DynamoPauseFlag:
    """Reads the flag at most once in ``max_age_seconds``. Safe to use from several threads.

    A flag that cannot be read stops the text that asked for it (``TransientError``): while it is unknown
    whether sending is paused, nothing is sent.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        *,
        table: str,
        max_age_seconds: float = 1,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._client = client
        self._table = table
        self._max_age_seconds = max_age_seconds
        self._clock = clock
        self._lock = Lock()
        self._paused = False
        self._read_at = float("-inf")

    def is_paused(self) -> bool:
        """Whether sending is paused, as of at most ``max_age_seconds`` ago."""
        with self._lock:
            if self._clock() - self._read_at >= self._max_age_seconds:
                self._paused = self._read()
                self._read_at = self._clock()
            return self._paused

    def _read(self) -> bool:
        with service_call("dynamodb:GetItem"):
            response = self._client.get_item(
                TableName=self._table,
                Key=CONTROL_KEY,
                ConsistentRead=True,
                ProjectionExpression="paused",
            )
        return response.get("Item", {}).get("paused", {}).get("BOOL", False)
