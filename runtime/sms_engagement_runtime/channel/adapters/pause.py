"""The flag that pauses all sending, a row of the contacts table.

================  ===========  ========================================================================
``subscriberId``  ``record``   other attributes
================  ===========  ========================================================================
``control``       ``sending``  ``paused``, ``reason`` (while paused), ``changedAt`` (epoch milliseconds),
                               ``changedBy``, ``schemaVersion``
================  ===========  ========================================================================
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import error_code, service_call
from sms_engagement_runtime.channel.adapters.dynamodb_item import from_item, to_item
from sms_engagement_runtime.channel.adapters.instants import from_milliseconds, to_milliseconds
from sms_engagement_runtime.channel.domain.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CONTROL_KEY: Final = {"subscriberId": {"S": "control"}, "record": {"S": "sending"}}

PAUSING_REASONS: Final = frozenset(
    {"ACCOUNT_DISABLED", "INSUFFICIENT_ACCOUNT_REPUTATION", "MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT"}
)
"""Answers after which no text is accepted until a human has settled something with AWS.

Source: ``AccessDeniedExceptionReason`` and ``ServiceQuotaExceededExceptionReason`` of the service model
``pinpoint-sms-voice-v2``. Other reasons to stop a broadcast, such as a wrong configuration, may concern one
function only.
"""

OURSELVES: Final = "sms-engagement"
"""Who changed the flag where no human did."""

_SCHEMA_VERSION: Final = 1


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseState:
    """How the switch stands.

    Attributes
    ----------
    reason
        Why sending is paused; None where nobody said, or where it is not.
    changed_at
        Aware UTC; None where nobody ever touched the switch.
    changed_by
        `OURSELVES`, or whoever ran the command.
    """

    is_paused: bool
    reason: str | None = None
    changed_at: datetime | None = None
    changed_by: str | None = None


class DynamoPauseSwitch:
    """Sets the flag. Every function sees it within a second; calls that are under way end."""

    def __init__(self, client: "DynamoDBClient", *, table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def state(self) -> PauseState:
        """Read the switch, strongly consistent."""
        with service_call("dynamodb:GetItem"):
            response = self._client.get_item(TableName=self._table, Key=CONTROL_KEY, ConsistentRead=True)
        row = from_item(response.get("Item", {}))
        changed_at = row.get("changedAt")
        return PauseState(
            is_paused=row.get("paused", False),
            reason=row.get("reason"),
            changed_at=None if changed_at is None else from_milliseconds(changed_at),
            changed_by=row.get("changedBy"),
        )

    def pause(self, reason: str | None, *, by: str) -> bool:
        """Pause all sending; False where it is paused already, which then stays as it is.

        Whoever resumes is to see the reason for which sending stopped first.
        """
        return self._change(
            paused=True,
            by=by,
            update="SET paused = :paused, changedAt = :at, changedBy = :by, schemaVersion = :schema"
            + (", reason = :reason" if reason else " REMOVE reason"),
            condition="attribute_not_exists(paused) OR paused <> :paused",
            reason=reason or None,
        )

    def resume(self, *, by: str) -> bool:
        """Let everything go on; False where nothing was paused."""
        return self._change(
            paused=False,
            by=by,
            update="SET paused = :paused, changedAt = :at, changedBy = :by, schemaVersion = :schema"
            " REMOVE reason",
            condition="attribute_exists(paused) AND paused <> :paused",
        )

    def pause_sending(self, reason: str) -> None:
        """Pause where the service will accept nothing more: what ``SendService`` calls with its answer.

        Parameters
        ----------
        reason
            The service's reason code; without effect unless one of `PAUSING_REASONS`.
        """
        if reason in PAUSING_REASONS:
            self.pause(reason, by=OURSELVES)

    def _change(self, *, paused: bool, by: str, update: str, condition: str, **further: Any) -> bool:
        values = {
            ":paused": paused,
            ":at": to_milliseconds(self._clock.now()),
            ":by": by,
            ":schema": _SCHEMA_VERSION,
            **{f":{name}": value for name, value in further.items()},
        }
        with service_call("dynamodb:UpdateItem"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=CONTROL_KEY,
                    UpdateExpression=update,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=to_item(values),
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                return False
        return True
