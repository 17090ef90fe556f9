"""Pacing of all processes that send through one channel, over one row of the contacts table.

================  ==========  ====================================================
``subscriberId``  ``record``  other attributes
================  ==========  ====================================================
``control``       ``pacing``  ``queueEnd`` (epoch microseconds), ``schemaVersion``
================  ==========  ====================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Protocol

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError, error_code, service_call
from sms_engagement_runtime.channel.domain.pacing import (
    BLOCK,
    LONGEST_WAIT,
    Block,
    Full,
    Lane,
    NoSlotError,
    Rate,
    is_missed,
    reserve,
)
from sms_engagement_runtime.channel.domain.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PACING_KEY: Final = {"subscriberId": {"S": "control"}, "record": {"S": "pacing"}}

LONGEST_BACK_OFF_SECONDS: Final = 8
"""A sender lives for minutes at most; a text that waits longer is deferred and comes with the next run."""

_RESERVE_AHEAD: Final = timedelta(milliseconds=50)
"""How long before its last slot a process reserves again: several times what the write takes."""

_LONGEST_WRITE: Final = timedelta(milliseconds=100)
"""Slots begin when the write that reserves them is likely to be answered, judging by the last one, but not
later than this: a connection is opened once."""

_MOST_SLOTS: Final = 3
"""Slots that a text may miss: a machine that is always late is too slow to pass any rate."""

_MOST_ATTEMPTS: Final = 50
"""Writes to the row, each overtaken by another process, after which something else must be wrong."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class RateQueue(Protocol):
    """The end of the queue that all processes stand in."""

    def exchange(self, expected: datetime | None, end: datetime) -> datetime | None:
        """Move the end of the queue where it is as expected, and give where it was, moved or not.

        None stands for a queue in which nobody ever stood.
        """
        ...


class DynamoRateQueue:
    """The queue's end in the contacts table.

    A write that was done and not answered is repeated by the client, finds the end elsewhere than expected
    and so looks like somebody else's: a block of slots is lost, which is the safe side.
    """

    def __init__(self, client: DynamoDBClient, *, table: str) -> None:
        self._client = client
        self._table = table

    def exchange(self, expected: datetime | None, end: datetime) -> datetime | None:
        """Move the end in one conditional write, whose refusal says where the end is."""
        values: dict[str, Any] = {
            ":end": {"N": str((end - _EPOCH) // _MICROSECOND)},
            ":schema": {"N": "1"},
        }
        condition = "attribute_not_exists(queueEnd)"
        if expected is not None:
            condition = "queueEnd = :expected"
            values[":expected"] = {"N": str((expected - _EPOCH) // _MICROSECOND)}
        with service_call("dynamodb:UpdateItem"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=PACING_KEY,
                    UpdateExpression="SET queueEnd = :end, schemaVersion = :schema",
                    ConditionExpression=condition,
                    ExpressionAttributeValues=values,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                refusal: Any = error.response
                found = refusal.get("Item", {}).get("queueEnd")
                return None if found is None else _EPOCH + int(found["N"]) * _MICROSECOND
        return expected


class _Ticket:
    """A text that waits for its slot."""

    __slots__ = ("parts", "slot")

    def __init__(self, parts: int) -> None:
        self.parts = parts
        self.slot: datetime | None = None


class SharedPacer:
    """Waits for slots of a rate that several processes share. Safe to use from several threads.

    Whoever comes first reserves for everybody who waits by then, and a promotional block is not reserved
    before the last one of this process is nearly used up. So with threads to spare a write serves dozens of
    texts, no slot is reserved for nobody, and no process takes more of the rate than it can use.

    Parameters
    ----------
    clock
        Gives the instants of the slots, the same ones in all processes. Machines of one Region differ by
        about a millisecond (*Amazon Time Sync Service*).
    sleep
        Waits for a number of seconds, as ``time.sleep``.
    jitter
        A number from 0 to 1, as ``random.random``: senders that were throttled together do not come back
        together.
    lock
        Makes what threads wait for one another with; a simulation of time brings its own.
    """

    def __init__(
        self,
        rate: Rate,
        *,
        queue: RateQueue,
        clock: Clock,
        sleep: Callable[[float], None],
        jitter: Callable[[], float],
        lock: Callable[[], AbstractContextManager[object]] = Lock,
    ) -> None:
        self._rate = rate
        self._queue = queue
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        # A lane waits for its own kind only: a transactional text is not held up by a promotional one that
        # waits for room.
        self._turns = {lane: lock() for lane in Lane}
        self._waiting: dict[Lane, list[_Ticket]] = {lane: [] for lane in Lane}
        self._end: datetime | None = None
        self._write_takes = timedelta(0)
        self._last_promotional: datetime | None = None

    def acquire(self, parts: int, lane: Lane) -> None:
        """Wait until a text of so many message parts may leave.

        Raises
        ------
        NoSlotError
            There was no slot within half a minute.
        TransientError
            The row cannot be written. While nobody knows what the others send, nothing is sent.
        """
        for _ in range(_MOST_SLOTS):
            slot = self._take(_Ticket(parts), lane)
            self._sleep_until(slot)
            if not is_missed(slot, self._clock.now()):
                return

    def back_off(self, attempt: int) -> None:
        """Wait after the carrier throttled: half to all of 1, 2, 4 or 8 seconds."""
        longest = min(LONGEST_BACK_OFF_SECONDS, 2 ** (attempt - 1))
        self._sleep(longest * (1 + self._jitter()) / 2)

    def _take(self, ticket: _Ticket, lane: Lane) -> datetime:
        waiting = self._waiting[lane]
        waiting.append(ticket)
        deadline = self._clock.now() + LONGEST_WAIT
        with self._turns[lane]:
            try:
                while ticket.slot is None:
                    self._serve(lane, deadline)
            except BaseException:
                # Only who has the turn takes tickets away, so it is there still.
                waiting.remove(ticket)
                raise
        return ticket.slot

    def _serve(self, lane: Lane, deadline: datetime) -> None:
        """Reserve one block for those who wait."""
        if lane is Lane.PROMOTIONAL and self._last_promotional is not None:
            # Two blocks are the farthest that it can be, unless the clock was put back.
            latest = self._clock.now() + 2 * BLOCK
            self._sleep_until(min(self._last_promotional, latest) - _RESERVE_AHEAD)
        waiting = self._waiting[lane]
        tickets = waiting[:]
        block = self._reserve(lane, self._rate.block(ticket.parts for ticket in tickets), deadline)
        if lane is Lane.PROMOTIONAL:
            self._last_promotional = block.slots[-1]
        for ticket, slot in zip(tickets, block.slots, strict=False):
            ticket.slot = slot
        del waiting[: len(block.slots)]

    def _reserve(self, lane: Lane, spacings: Sequence[timedelta], deadline: datetime) -> Block:
        overtaken = 0
        while overtaken < _MOST_ATTEMPTS:
            asked, expected = self._clock.now(), self._end
            decision = reserve(expected, asked + self._write_takes, spacings, lane)
            if isinstance(decision, Full):
                if decision.until > deadline:
                    raise NoSlotError("the rate is taken for the next half minute")
                self._sleep_until(decision.until)
                overtaken = 0
                continue
            found = self._queue.exchange(expected, decision.end)
            self._write_takes = min(max(self._clock.now() - asked, timedelta(0)), _LONGEST_WRITE)
            if found == expected:
                self._end = decision.end
                return decision
            self._end = found
            overtaken += 1
        raise ServiceCallError("dynamodb:UpdateItem: others were always faster")

    def _sleep_until(self, instant: datetime) -> None:
        wait = (instant - self._clock.now()).total_seconds()
        if wait > 0:
            self._sleep(wait)
