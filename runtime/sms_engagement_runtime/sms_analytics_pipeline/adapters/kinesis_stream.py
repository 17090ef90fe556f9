"""The stream of canonical events on Kinesis: puts that are never repeated blindly, and reading back.

``PutRecords`` has no idempotency token: a call that is repeated after its answer was lost puts its records
twice. So the client repeats none, and what is uncertain is read back later (``register``).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import (
    ServiceCallError,
    error_code,
    service_call,
)
from sms_engagement_runtime.channel.adapters.clients import RETRYING
from sms_engagement_runtime.observability import logger
from sms_engagement_runtime.sms_analytics_pipeline.domain.ports import Sought, StreamRecord

MOST_RECORDS: Final = 500
MOST_BYTES: Final = 5 * 1024 * 1024
"""Of one ``PutRecords``, partition keys included; the service takes ten (Amazon Kinesis Data Streams, *Quotas
and limits*)."""

PUTTING: Final = Config(
    retries={"total_max_attempts": 1, "mode": "standard"}, connect_timeout=2, read_timeout=10
)
"""For ``PutRecords``: one attempt, never repeated by the client."""

CLOCK_SKEW_MS: Final = 10_000
"""By how much our clock and the stream's may differ."""

_PAUSES_SECONDS: Final = (0.05, 0.1, 0.2, 0.4, 0.8)
_THROTTLED: Final = "ProvisionedThroughputExceededException"
_CERTAINLY_NOT_PUT: Final = frozenset(
    {_THROTTLED, "LimitExceededException", "ThrottlingException", "KMSThrottlingException"}
)
"""Answers after which a call may be made again at once."""

_MOST_PAGES: Final = 200
_PAGE_PAUSE_SECONDS: Final = 0.21
"""A shard answers five reads a second (Amazon Kinesis Data Streams, *Quotas and limits*)."""


class KinesisCalls(Protocol):
    """What is called of a Kinesis client."""

    def put_records(self, **request: Any) -> Any:
        """``PutRecords``."""
        ...

    def list_shards(self, **request: Any) -> Any:
        """``ListShards``."""
        ...

    def get_shard_iterator(self, **request: Any) -> Any:
        """``GetShardIterator``."""
        ...

    def get_records(self, **request: Any) -> Any:
        """``GetRecords``."""
        ...


def putting_client() -> KinesisCalls:
    """Kinesis client whose calls are made exactly once."""
    client: KinesisCalls = boto3.client("kinesis", config=PUTTING)
    return client


def reading_client() -> KinesisCalls:
    """Kinesis client whose calls may be repeated."""
    client: KinesisCalls = boto3.client("kinesis", config=RETRYING)
    return client


class KinesisEventStream:
    """The stream.

    Parameters
    ----------
    putting
        A client that never repeats a call.
    reading
        Makes the client that reads back, which few processes ever need.
    sleep
        Waits before what was throttled is tried again, and between reads of a shard.
    """

    def __init__(
        self,
        putting: KinesisCalls,
        *,
        stream: str,
        reading: Callable[[], KinesisCalls] = reading_client,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._putting = putting
        self._reading = reading
        self._stream = stream
        self._sleep = sleep

    def put(self, records: Sequence[StreamRecord]) -> frozenset[str]:
        """Put events, as few calls as possible. Gives the ids of those that are certain to be there."""
        put: set[str] = set()
        for chunk in _chunks(records):
            put |= self._put_chunk(chunk)
        return frozenset(put)

    def _put_chunk(self, chunk: Sequence[StreamRecord]) -> set[str]:
        put: set[str] = set()
        left = list(chunk)
        for pause in (*_PAUSES_SECONDS, None):
            try:
                answers = self._call(left)
            except _NotPutError:
                answers = [{"ErrorCode": _THROTTLED}] * len(left)
            except ServiceCallError as error:
                # Nobody knows whether it was done: what was put before it still was.
                logger.warning("events may not have been put", events=len(left), reason=str(error))
                return put
            pairs = list(zip(left, answers, strict=True))
            put |= {record.event_id for record, answer in pairs if not answer.get("ErrorCode")}
            # Of an internal failure nobody says that the record was not kept.
            left = [record for record, answer in pairs if answer.get("ErrorCode") == _THROTTLED]
            if not left or pause is None:
                break
            self._sleep(pause)
        return put

    def _call(self, records: Sequence[StreamRecord]) -> list[dict[str, Any]]:
        with service_call("kinesis:PutRecords"):
            try:
                answer = self._putting.put_records(
                    StreamName=self._stream,
                    Records=[
                        {"Data": record.data.encode(), "PartitionKey": record.subscriber_id}
                        for record in records
                    ],
                )
            except ClientError as error:
                if error_code(error) in _CERTAINLY_NOT_PUT:
                    raise _NotPutError from error
                raise
        answers: list[dict[str, Any]] = answer["Records"]
        return answers

    def find(self, sought: Sequence[Sought]) -> frozenset[str]:
        """Look for events where their partition keys lie, within the times at which they may have been put.

        Raises
        ------
        ServiceCallError
            The stream could not be read to the end of that time.
        """
        if not sought:
            return frozenset()
        client = self._reading()
        found: set[str] = set()
        for shard, wanted in self._by_shard(client, sought).items():
            for window in _windows([one for one in wanted if one.event_id not in found]):
                found |= self._find_in_shard(client, shard, window)
        return frozenset(found)

    def _by_shard(self, client: KinesisCalls, sought: Sequence[Sought]) -> dict[str, list[Sought]]:
        """Find the shards that each may lie in: after a split, the parent, or a child."""
        since = min(one.since for one in sought) - CLOCK_SKEW_MS
        shards = list(self._shards(client, since))
        by_shard: dict[str, list[Sought]] = {}
        for one in sought:
            # Amazon Kinesis Data Streams API reference, *PutRecordsRequestEntry*.
            key = int.from_bytes(hashlib.md5(one.subscriber_id.encode(), usedforsecurity=False).digest())
            for shard in shards:
                keys = shard["HashKeyRange"]
                if int(keys["StartingHashKey"]) <= key <= int(keys["EndingHashKey"]):
                    by_shard.setdefault(shard["ShardId"], []).append(one)
        return by_shard

    def _shards(self, client: KinesisCalls, since: int) -> Iterator[dict[str, Any]]:
        request: dict[str, Any] = {
            "StreamName": self._stream,
            "ShardFilter": {"Type": "FROM_TIMESTAMP", "Timestamp": _instant(since)},
        }
        while True:
            with service_call("kinesis:ListShards"):
                answer = client.list_shards(**request)
            yield from answer["Shards"]
            token = answer.get("NextToken")
            if not token:
                return
            request = {"NextToken": token}

    def _find_in_shard(self, client: KinesisCalls, shard: str, wanted: Sequence[Sought]) -> set[str]:
        since = min(one.since for one in wanted) - CLOCK_SKEW_MS
        until = _instant(max(one.until for one in wanted) + CLOCK_SKEW_MS)
        missing = {one.event_id for one in wanted}
        found: set[str] = set()
        with service_call("kinesis:GetShardIterator"):
            iterator = client.get_shard_iterator(
                StreamName=self._stream,
                ShardId=shard,
                ShardIteratorType="AT_TIMESTAMP",
                Timestamp=_instant(since),
            )["ShardIterator"]
        for _ in range(_MOST_PAGES):
            with service_call("kinesis:GetRecords"):
                page = client.get_records(ShardIterator=iterator)
            ids = missing.intersection(_event_id(record["Data"]) for record in page["Records"])
            found |= ids
            missing -= ids
            is_over = any(record["ApproximateArrivalTimestamp"] > until for record in page["Records"])
            iterator = page.get("NextShardIterator")
            if not missing or is_over or not iterator or not page.get("MillisBehindLatest", 0):
                return found
            self._sleep(_PAGE_PAUSE_SECONDS)
        raise ServiceCallError("kinesis:GetRecords: the end of the time was not reached")


class _NotPutError(Exception):
    """The call was refused for its rate: nothing of it was put."""


def _chunks(records: Sequence[StreamRecord]) -> Iterator[list[StreamRecord]]:
    chunk: list[StreamRecord] = []
    size = 0
    for record in records:
        length = len(record.data.encode()) + len(record.subscriber_id)
        if chunk and (len(chunk) == MOST_RECORDS or size + length > MOST_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(record)
        size += length
    if chunk:
        yield chunk


def _windows(sought: Sequence[Sought]) -> Iterator[list[Sought]]:
    """Put those together whose times meet, so that no time is read twice, or without need."""
    window: list[Sought] = []
    until = 0
    for one in sorted(sought, key=lambda one: one.since):
        if window and one.since > until + 2 * CLOCK_SKEW_MS:
            yield window
            window = []
        until = max(until, one.until) if window else one.until
        window.append(one)
    if window:
        yield window


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _event_id(data: bytes) -> str:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    event_id = event.get("event_id") if isinstance(event, dict) else None
    return event_id if isinstance(event_id, str) else ""
