"""Pacing of all processes that send through one channel, over one row of the contacts table.

================  ==========  ====================================================
``subscriberId``  ``record``  other attributes
================  ==========  ====================================================
``control``       ``pacing``  ``queueEnd`` (epoch microseconds), ``schemaVersion``
================  ==========  ====================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Protocol

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError, error_code, service_call
from sms_engagement_runtime.channel.adapters.dynamodb_item import Item, to_item
from sms_engagement_runtime.channel.domain.pacing import (
    BLOCK,
    LONGEST_WAIT,
    TOLERANCE,
    Full,
    Lane,
    NoSlotError,
    Rate,
    Reserved,
    Slot,
    farthest,
    is_missed,
    is_queue,
    is_sparse,
    reserve,
    slots,
)
from sms_engagement_runtime.channel.domain.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PACING_KEY: Final = {"subscriberId": {"S": "control"}, "record": {"S": "pacing"}}

LONGEST_BACK_OFF_SECONDS: Final = 8
"""A sender lives for minutes at most; a text that waits longer is deferred and comes with the next run."""

_RESERVE_AHEAD: Final = timedelta(milliseconds=50)
"""How long before its last text goes to the gate a process reserves again: several times what the write
takes."""

MOST_WORKERS: Final = 128
"""Threads of a function that sends many texts.

A text takes it some 4 ms of its one processor, in five calls of boto3; so many threads are enough for those
250 texts a second where the calls of one take half a second.
"""

_LONGEST_WRITE: Final = timedelta(milliseconds=100)
"""Slots begin when the write that reserves them is likely to be answered, judging by the last one, but not
later than this: a connection is opened once."""

_MOST_SLOTS: Final = 3
"""How many a text may miss before the gate: a machine that is always late is too slow to pass any rate."""

_FIRST_LEAD: Final = timedelta(milliseconds=40)
_LONGEST_LEAD: Final = timedelta(milliseconds=500)
"""How long before its slot a text goes to the gate, at first and at most. An opt-out within that time is not
seen any more."""

_LONGER: Final = 1.2
_SHORTER: Final = 0.99
"""What the lead is multiplied with after a gate that took longer, and after one that did not: so it settles
where one gate in twenty takes longer (0.2 times 1 against 0.01 times 19)."""

_FARTHEST_SLOT: Final = LONGEST_WAIT + 2 * BLOCK
"""No slot is farther ahead: a queue as long as it may be, the block, and what write and gate take."""

_IDLE_SPACING: Final = timedelta(milliseconds=20)
"""How long after a write to an idle queue the next one of this process comes.

A rate that the functions cannot fill leaves the queue idle. With a write for each text, 900 texts a second
would come near the 1,000 writes a second that one item takes (Amazon DynamoDB developer guide, *Service
quotas*).
"""

_MOST_ATTEMPTS: Final = 10
"""Writes that find another queue than the one before found. Two are enough, but for a row that vanishes."""

_SCHEMA_VERSION: Final = 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def workers_for(texts_per_second: float) -> int:
    """Return how many threads a function needs for its share of the rate.

    A text waits for some tenths of a second, for its slot, which is reserved along with others, and for its
    calls. Two threads for each text of a second have some to spare. Many more would only stand in line.
    """
    return max(2, min(MOST_WORKERS, math.ceil(2 * texts_per_second)))


class RateQueue(Protocol):
    """The queue that all processes stand in. One step each time, whoever comes at the same moment."""

    def reserve(self, length: timedelta, lane: Lane, now: datetime) -> Reserved | Full:
        """Put so much behind the end of the queue, where ``pacing.reserve`` allows it."""
        ...


class DynamoRateQueue:
    """The queue's end in the contacts table.

    A write that was done and not answered is repeated by the client: its stretch is reserved twice and used
    once, which is the safe side.
    """

    def __init__(self, client: DynamoDBClient, *, table: str) -> None:
        self._client = client
        self._table = table
        self._end: datetime | None = None

    def reserve(self, length: timedelta, lane: Lane, now: datetime) -> Reserved | Full:
        """Put a stretch behind the end, in one write where the queue is what it was when last seen.

        Raises
        ------
        ServiceCallError
            The row cannot be written.
        """
        for _ in range(_MOST_ATTEMPTS):
            # The end only moves on, so a queue that was too long is so still.
            decision = reserve(self._end, now, lane)
            if isinstance(decision, Full):
                return decision
            if self._end is not None and is_queue(self._end, now):
                written, end = self._extend(length, lane, now)
            else:
                written, end = self._begin(self._end, now + length)
            self._end = end
            if written and end is not None:
                return Reserved(start=end - length)
        raise ServiceCallError("dynamodb:UpdateItem: the queue changed each time")

    def _extend(self, length: timedelta, lane: Lane, now: datetime) -> tuple[bool, datetime | None]:
        """Move the end of a queue in which others stand, wherever they have moved it by now."""
        return self._write(
            "queueEnd = queueEnd + :length",
            "queueEnd > :now AND queueEnd <= :farthest",
            length=length // _MICROSECOND,
            now=_to_microseconds(now),
            farthest=_to_microseconds(now + farthest(lane)),
        )

    def _begin(self, former: datetime | None, end: datetime) -> tuple[bool, datetime | None]:
        """Begin a queue, unless somebody has done so since the former one was seen."""
        if former is None:
            return self._write("queueEnd = :end", "attribute_not_exists(queueEnd)", end=_to_microseconds(end))
        return self._write(
            "queueEnd = :end",
            "queueEnd = :former",
            end=_to_microseconds(end),
            former=_to_microseconds(former),
        )

    def _write(self, change: str, condition: str, **values: int) -> tuple[bool, datetime | None]:
        """Return whether the row was written, and where the queue ends now."""
        with service_call("dynamodb:UpdateItem"):
            try:
                response: Any = self._client.update_item(
                    TableName=self._table,
                    Key=PACING_KEY,
                    UpdateExpression=f"SET {change}, schemaVersion = :schema",
                    ConditionExpression=condition,
                    ExpressionAttributeValues=to_item(
                        {f":{name}": value for name, value in values.items()} | {":schema": _SCHEMA_VERSION}
                    ),
                    ReturnValues="UPDATED_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                refusal: Any = error.response
                return False, _end(refusal.get("Item", {}))
        return True, _end(response["Attributes"])


def _to_microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def _end(row: Item) -> datetime | None:
    found = row.get("queueEnd")
    return None if found is None else _EPOCH + int(found["N"]) * _MICROSECOND


class _Ticket:
    """A text that waits for its slot.

    Attributes
    ----------
    lead
        How long before it the text goes to the gate.
    """

    __slots__ = ("lead", "parts", "slot")

    def __init__(self, parts: int, lead: timedelta) -> None:
        self.parts = parts
        self.lead = lead
        self.slot: datetime | None = None


class SharedPacer:
    """Waits for slots of a rate that several processes share. Safe to use from several threads.

    Where texts have to wait, whoever comes first reserves for everybody who waits by then, and a promotional
    block is not reserved before the last one of this process is nearly used up. So with threads to spare a
    write serves dozens of texts, no slot is reserved for nobody, and no process takes more of the rate than
    it can use. Where nobody has to wait, texts that come within some milliseconds are reserved together.

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
        self._is_idle = True
        self._asked_at: datetime | None = None
        self._write_takes = timedelta(0)
        self._lead = _FIRST_LEAD
        self._last_promotional: datetime | None = None

    def acquire(self, parts: int, lane: Lane) -> Slot:
        """Wait until a text of so many message parts may go to the gate, and give its slot.

        Raises
        ------
        NoSlotError
            There was no slot within half a minute.
        TransientError
            The row cannot be written. While nobody knows what the others send, nothing is sent.
        """
        for _ in range(_MOST_SLOTS):
            lead = self._lead
            at = self._take(_Ticket(parts, lead), lane)
            now = self._clock.now()
            had_to_wait = at - lead > now + TOLERANCE
            if at - now > _FARTHEST_SLOT:
                # The clock was put back since it was reserved: it may be hours ahead now.
                continue
            self._sleep_until(at - lead)
            now = self._clock.now()
            if not is_missed(at, now) and at - now <= _LONGEST_LEAD + TOLERANCE:
                break
        # The gate looks at the hours of the slot. Where the clock goes back each time, that must be now.
        at = min(at, now + lead)
        is_tight = had_to_wait or is_sparse(self._rate.spacing(parts))
        return Slot(at=at, parts=parts, taken_at=now, is_tight=is_tight)

    def hold(self, slot: Slot) -> bool:
        """Wait for the slot itself: after the gate, right before the call; False where it was missed.

        Half a second at the longest: whoever opts out during a longer wait must be seen by the gate.
        """
        now = self._clock.now()
        self._remember(now - slot.taken_at)
        if not slot.is_tight:
            return True
        self._sleep_until(min(slot.at, now + _LONGEST_LEAD))
        return not is_missed(slot.at, self._clock.now())

    def back_off(self, attempt: int) -> None:
        """Wait after the carrier throttled: half to all of 1, 2, 4 or 8 seconds."""
        longest = min(LONGEST_BACK_OFF_SECONDS, 2 ** (attempt - 1))
        self._sleep(longest * (1 + self._jitter()) / 2)

    def _take(self, ticket: _Ticket, lane: Lane) -> datetime:
        waiting = self._waiting[lane]
        now = self._clock.now()
        if self._is_idle and not waiting and self._next_idle_write(now) <= now:
            # Nobody is in front, so nobody has to wait for company either.
            decision = self._ask(self._rate.spacing(ticket.parts), lane, ticket.lead)
            if isinstance(decision, Reserved):
                return decision.start
        waiting.append(ticket)
        deadline = now + LONGEST_WAIT
        try:
            while True:
                # Nobody sleeps while having the turn: those who were served meanwhile must not wait for it.
                with self._turns[lane]:
                    if ticket.slot is not None:
                        return ticket.slot
                    wake_at = self._serve(lane, deadline)
                if wake_at is not None:
                    # Either may be of a clock that was put back since.
                    deadline = min(deadline, self._clock.now() + LONGEST_WAIT)
                    self._sleep_until(min(wake_at, deadline))
        except BaseException:
            with self._turns[lane]:
                if ticket in waiting:
                    waiting.remove(ticket)
            raise

    def _serve(self, lane: Lane, deadline: datetime) -> datetime | None:
        """Reserve one block for those who wait; return when to try that where it is too early."""
        now = self._clock.now()
        wake_at = self._next_idle_write(now) if self._is_idle else now
        last = self._last_promotional
        # Two blocks are the farthest that it can be, unless the clock was put back.
        if lane is Lane.PROMOTIONAL and last is not None and last <= now + 2 * BLOCK:
            wake_at = max(wake_at, last - self._lead - _RESERVE_AHEAD)
        if wake_at > now:
            return wake_at
        waiting = self._waiting[lane]
        tickets = waiting[:]
        spacings = self._rate.block(ticket.parts for ticket in tickets)
        length, lead = sum(spacings, timedelta(0)), max(ticket.lead for ticket in tickets)
        decision = self._ask(length, lane, lead)
        if isinstance(decision, Full):
            if decision.until > deadline:
                raise NoSlotError("the rate is taken for the next half minute")
            return decision.until
        for ticket, slot in zip(tickets, slots(decision.start, spacings), strict=False):
            ticket.slot = slot
            if lane is Lane.PROMOTIONAL:
                self._last_promotional = slot
        del waiting[: len(spacings)]
        return None

    def _ask(self, length: timedelta, lane: Lane, lead: timedelta) -> Reserved | Full:
        """Reserve once, and note what the write takes and whether the queue was empty."""
        asked_at = self._asked_at = self._clock.now()
        # Nobody can leave before the write is answered and the text was at the gate.
        earliest = asked_at + self._write_takes + lead
        decision = self._queue.reserve(length, lane, earliest)
        took = self._clock.now() - asked_at
        self._write_takes = min(max(took, timedelta(0)), _LONGEST_WRITE)
        self._is_idle = isinstance(decision, Reserved) and decision.start == earliest
        return decision

    def _next_idle_write(self, now: datetime) -> datetime:
        """Return when an idle queue may be written to again: now, where the last write is long ago."""
        last = self._asked_at
        if last is None or last > now:  # The clock was put back.
            return now
        return max(now, last + _IDLE_SPACING)

    def _remember(self, gate_took: timedelta) -> None:
        self._lead = min(self._lead * (_LONGER if gate_took > self._lead else _SHORTER), _LONGEST_LEAD)

    def _sleep_until(self, instant: datetime) -> None:
        wait = (instant - self._clock.now()).total_seconds()
        if wait > 0:
            self._sleep(wait)
