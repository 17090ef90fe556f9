"""What was spent, in rows of the contacts table that every process shares.

==================================  ==========  ===============================================
``subscriberId``                    ``record``  other attributes
==================================  ==========  ===============================================
``budget#day#<date of UTC>``        ``spent``   ``spentMillicents``, ``expiresAt`` (time to live)
``budget#campaign#<campaign id>``   ``spent``   the same
==================================  ==========  ===============================================
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import error_code
from sms_engagement_runtime.channel.adapters.busy_rows import RowBusyError, write_when_free
from sms_engagement_runtime.channel.adapters.dynamodb_item import Item, to_item
from sms_engagement_runtime.channel.adapters.instants import to_seconds
from sms_engagement_runtime.channel.domain.budget import MILLICENTS_PER_PART, SpendLimits
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.reasons import Reason

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SCHEMA_VERSION: Final = 1
KEPT_FOR: Final = timedelta(days=90)
"""How long a row stays after it last changed: longer than a state machine of a broadcast may run."""

_IN_DEMAND_SECONDS: Final = 2
"""Who comes back within this time reserves twice as much as last time."""

_SHARE_LEFT: Final = 8
"""At most one part in so many of what is left is reserved ahead: what lies unused with one process while
another is refused gets ever smaller towards the limit, and the last texts are reserved one by one."""

_LONGEST_PAUSES_SECONDS: Final = (0.02, 0.04, 0.08, 0.16, 0.32, 0.64)
"""The parts of a wave end together, and all of them return to the same row then."""


@dataclass(slots=True)
class _Pot:
    """What this process has reserved of one row, in message parts.

    Attributes
    ----------
    unused
        Reserved and not spent.
    ahead
        Reserved at once the last time.
    left
        What was left for everybody after that; None where nobody knows.
    """

    unused: int = 0
    ahead: int = 0
    left: int | None = None
    filled_at: float = float("-inf")


class DynamoBudget:
    """The budget on DynamoDB. Safe to use from several threads.

    A row holds what all processes have reserved, and a write that would take it above its limit fails: so no
    interleaving spends more. A process in demand reserves ahead, up to `most_ahead`, so that a thousand texts
    a second are not a thousand writes to one row; what it did not use it returns by :meth:`settle`. What a
    process had reserved when it crashed stays reserved: too little is spent then, never too much. The same
    goes for a write whose answer was lost and which the client repeated.

    Parameters
    ----------
    millicents_per_part
        What a message part is expected to cost. The price of what was really sent is in the ledger, hours
        later.
    most_ahead
        Message parts; about what is sent in a second.
    clock
        Seconds that only grow, as ``time.monotonic``.
    sleep
        Waits before a write that met another one of its row is tried again.
    jitter
        A number from 0 to 1, as ``random.random``: writes that met once do not meet again.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        *,
        table: str,
        limits: SpendLimits,
        millicents_per_part: int = MILLICENTS_PER_PART,
        most_ahead: int = 1,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._table = table
        self._limits = limits
        self._millicents_per_part = millicents_per_part
        self._most_ahead = most_ahead
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        # One lock for all rows: a write under it happens about once a second.
        self._lock = Lock()
        self._pots: dict[str, _Pot] = {}

    def reserve(
        self, campaign_id: str | None, parts: int, now: datetime, *, is_exempt: bool = False
    ) -> Reason | None:
        """Reserve the price of so many message parts, of the day and of the campaign.

        Raises
        ------
        TransientError
            A row cannot be written. While nobody knows what is spent, nothing is.
        """
        limits = self._limits
        with self._lock:
            if is_exempt:
                if limits.per_day is not None:
                    self._spend(_day(now), parts, now)
                return None
            if limits.per_day is not None and not self._take(_day(now), parts, limits.per_day, now):
                return Reason.DAY_BUDGET
            if limits.per_campaign is None or campaign_id is None:
                return None
            is_taken = False
            try:
                is_taken = self._take(_campaign(campaign_id), parts, limits.per_campaign, now)
            finally:
                if not is_taken and limits.per_day is not None:
                    self._pot(_day(now)).unused += parts
            return None if is_taken else Reason.CAMPAIGN_BUDGET

    def give_back(
        self, campaign_id: str | None, parts: int, now: datetime, *, is_exempt: bool = False
    ) -> None:
        """Put the price back, for the next text of this process; no write."""
        with self._lock:
            if self._limits.per_day is not None:
                self._pot(_day(now)).unused += parts
            if self._limits.per_campaign is not None and campaign_id is not None and not is_exempt:
                self._pot(_campaign(campaign_id)).unused += parts

    def settle(self) -> None:
        """Return to the rows what is unused. What cannot be returned stays reserved.

        Where other writes were in the way, it stays with this process, for its next text or its next return.
        """
        with self._lock:
            pots, self._pots = self._pots, {}
            for row, pot in pots.items():
                if pot.unused:
                    try:
                        self._return(row, pot.unused)
                    except RowBusyError:
                        self._pots[row] = _Pot(unused=pot.unused)
                    except TransientError:
                        # Nobody knows whether it was returned, and returning it twice would allow too much.
                        continue

    def _take(self, row: str, parts: int, limit: int, now: datetime) -> bool:
        # The condition of the write lets everything into a row that is not there yet.
        if parts * self._millicents_per_part > limit:
            return False
        pot = self._pot(row)
        while pot.unused < parts:
            missing = parts - pot.unused
            wanted = max(missing, self._ahead(pot))
            spent = self._add(row, wanted, now, limit=limit)
            if spent is None:
                pot.unused += wanted
                pot.ahead, pot.filled_at = wanted, self._clock()
            elif limit - spent < missing * self._millicents_per_part:
                return False
            else:
                # Somebody else was here: less is left than was asked for, but enough for this text.
                pot.left = (limit - spent) // self._millicents_per_part
        pot.unused -= parts
        return True

    def _ahead(self, pot: _Pot) -> int:
        if self._clock() - pot.filled_at >= _IN_DEMAND_SECONDS:
            return 0
        ahead = min(2 * pot.ahead, self._most_ahead)
        return ahead if pot.left is None else min(ahead, pot.left // _SHARE_LEFT)

    def _spend(self, row: str, parts: int, now: datetime) -> None:
        """Count what goes out whatever the limit."""
        pot = self._pot(row)
        if pot.unused >= parts:
            pot.unused -= parts
        else:
            self._add(row, parts, now, limit=None)

    def _add(self, row: str, parts: int, now: datetime, *, limit: int | None) -> int | None:
        """Add to a row; None where that was possible, else the millicents that are spent already."""
        millicents = parts * self._millicents_per_part
        values: dict[str, Any] = {
            ":added": millicents,
            ":expires": to_seconds(now + KEPT_FOR),
            ":schema": SCHEMA_VERSION,
        }
        condition: dict[str, Any] = {}
        if limit is not None:
            values[":most"] = limit - millicents
            condition = {
                "ConditionExpression": "attribute_not_exists(spentMillicents) OR spentMillicents <= :most",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }

        def add() -> int | None:
            try:
                answer = self._client.update_item(
                    TableName=self._table,
                    Key=_key(row),
                    UpdateExpression=(
                        "ADD spentMillicents :added SET expiresAt = :expires, schemaVersion = :schema"
                    ),
                    ExpressionAttributeValues=to_item(values),
                    ReturnValues="UPDATED_NEW",
                    **condition,
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                refusal: Any = error.response
                return int(refusal["Item"]["spentMillicents"]["N"])
            if limit is not None:
                spent = int(answer["Attributes"]["spentMillicents"]["N"])
                self._pot(row).left = (limit - spent) // self._millicents_per_part
            return None

        return self._when_free("dynamodb:UpdateItem", add)

    def _return(self, row: str, parts: int) -> None:
        # As a transaction, since botocore gives it a token: an update that it repeats, for its answer was
        # lost, would return the amount twice. One that was cancelled is another one when it is tried again.
        self._when_free(
            "dynamodb:TransactWriteItems",
            lambda: self._client.transact_write_items(
                TransactItems=[
                    {
                        "Update": {
                            "TableName": self._table,
                            "Key": _key(row),
                            "UpdateExpression": "ADD spentMillicents :returned",
                            "ConditionExpression": "attribute_exists(spentMillicents)",
                            "ExpressionAttributeValues": to_item(
                                {":returned": -parts * self._millicents_per_part}
                            ),
                        }
                    }
                ]
            ),
        )

    def _when_free[T](self, operation: str, write: Callable[[], T]) -> T:
        pauses = (longest * (1 + self._jitter()) / 2 for longest in _LONGEST_PAUSES_SECONDS)
        return write_when_free(write, operation=operation, pauses=pauses, sleep=self._sleep)

    def _pot(self, row: str) -> _Pot:
        return self._pots.setdefault(row, _Pot())


def _day(now: datetime) -> str:
    return f"budget#day#{now.astimezone(UTC).date().isoformat()}"


def _campaign(campaign_id: str) -> str:
    return f"budget#campaign#{campaign_id}"


def _key(row: str) -> Item:
    return to_item({"subscriberId": row, "record": "spent"})
