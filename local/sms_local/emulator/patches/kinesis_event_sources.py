"""Functions on a Kinesis stream get its records as Lambda's event source mappings deliver them.

Reason
    The analytics pipeline is four functions on one stream. What a failed batch becomes, that nobody's events
    overtake one another, that a slow function holds up no other one, and what reaches the dead-letter queue
    are properties of the mapping: where they are missing, no test of them can fail.
AWS
    Each mapping reads each shard by itself, up to ``ParallelizationFactor`` batches at a time, those of one
    partition key in order. A batch is full at ``BatchSize``, at 6 MB or when
    ``MaximumBatchingWindowInSeconds`` is over. Records that no filter matches are passed over. A batch that
    failed goes on from the lowest number in ``batchItemFailures``, or whole, or split, until it succeeds, its
    attempts are used up, or it is too old; then ``OnFailure`` is told and the shard goes on. A throttled call
    is no attempt. A shard that came of a split is read once its parents are.
    https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html
MiniStack 1.5.33
    One thread for all mappings; a batch is whatever is there; what failed comes again whole and for ever;
    every other property is kept and ignored. Positions are indexes that no longer fit once records expire.
Hook
    Replaces ``lambda_svc._poll_kinesis`` by a thread that reads, and one for each batch that is with a
    function. Positions stay in ``lambda_svc._kinesis_positions``, as the sequence number up to which all is
    done. Windows and pauses before another attempt end by the virtual clock, and what runs counts as running;
    so a jump passes over a window, and is done when all that it let fall due is done. ``IteratorAge`` is
    published. A clock that is put back empties all streams. Tumbling windows and permissions of the
    function's role on the stream are not implemented.
"""

import base64
import bisect
import contextlib
import contextvars
import json
import logging
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sms_local.emulator.patches._discarded_batches import Condition, Discarded, require_destinations, tell
from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite
from sms_local.emulator.patches._stream_batches import (
    BEGINNING,
    Batch,
    Lane,
    MappingSettings,
    StreamRecord,
    after_failure,
    failed_from,
    lane_of,
    pause_seconds,
    position_before,
)
from sms_local.emulator.virtual_clock import Call, CountedThread, Due, VirtualClock

logger = logging.getLogger(__name__)

READ_AHEAD: Final = 10_000
"""Records of a shard that are read and not done, at most: what one ``GetRecords`` answers."""

IDLE_SECONDS: Final = 1.0
"""How long a change that nobody tells of (a new mapping, a function that came back) waits to be noticed.

Lambda's base rate of polling a shard.
"""

OK: Final = "OK"
FAILED: Final = "PROBLEM: Function call failed"
"""What ``LastProcessingResult`` says."""


def apply(settings: PatchSettings) -> None:
    """Read streams for their functions from now on."""
    from ministack.services import cloudwatch, kinesis, lambda_svc

    for module, names in (
        (
            lambda_svc,
            (
                "_poll_kinesis",
                "_iter_all_esms",
                "_init_stream_position",
                "_update_esm",
                "_kinesis_positions",
                "_apply_filter_criteria",
                "_get_func_record_for_qualifier",
                "_execute_function",
                "_request_account_id",
                "_request_region",
            ),
        ),
        (kinesis, ("_streams", "_ensure_base64", "esm_wake")),
        (cloudwatch, ("record_metric",)),
    ):
        for name in names:
            require(holds=hasattr(module, name), what=f"{module.__name__}.{name}")
    require_destinations()
    reader = StreamReader(settings.clock)
    lambda_svc._poll_kinesis = lambda: False
    # Whatever is put on a stream wakes this reader instead of the one for queues.
    kinesis.esm_wake = reader.wake
    start_position = lambda_svc._init_stream_position

    def start_position_of_any(mapping_id: str, source_arn: str, starting: str) -> None:
        start_position(mapping_id, source_arn, starting)
        if _is_kinesis(source_arn):
            _anchor(mapping_id, source_arn, starting)

    update = lambda_svc._update_esm

    def update_and_wake(mapping_id: str, data: dict[str, Any]) -> Any:
        answer = update(mapping_id, data)
        reader.wake.set()
        return answer

    vars(lambda_svc).update(_init_stream_position=start_position_of_any, _update_esm=update_and_wake)
    # Called whenever a mapping was made.
    lambda_svc._wake_stream_reader = reader.wake.set
    begin = "global _poller_started\n"
    rewrite(lambda_svc, "_ensure_poller", (begin, f"{begin}    _wake_stream_reader()\n"))
    settings.clock.add_source(reader)
    settings.clock.when_put_back(reader.forget)
    reader.start()


def _is_kinesis(arn: str) -> bool:
    return arn.split(":")[2:3] == ["kinesis"]


def _stream(arn: str) -> dict[str, Any] | None:
    from ministack.services import kinesis

    parts = arn.split(":")
    name = parts[5].split("/")[1]
    stream: dict[str, Any] | None = kinesis._streams.get_scoped(parts[4], parts[3], name)
    # MiniStack calls a stream that was asked about ACTIVE; nobody may have asked yet.
    return stream if stream and stream["StreamStatus"] in {"ACTIVE", "CREATING", "UPDATING"} else None


def _anchor(mapping_id: str, source_arn: str, starting: str) -> None:
    """Note where a mapping begins that reads only what comes after it was made.

    ``TRIM_HORIZON`` needs no note; ``AT_TIMESTAMP`` is looked up when the shard is first read.
    """
    from ministack.services import lambda_svc

    stream = _stream(source_arn)
    if starting == "LATEST" and stream is not None and mapping_id not in lambda_svc._kinesis_positions:
        lambda_svc._kinesis_positions[mapping_id] = {
            shard_id: _end_of(shard) for shard_id, shard in stream["shards"].items()
        }


def _end_of(shard: Mapping[str, Any]) -> str:
    records = shard["records"]
    return str(records[-1]["SequenceNumber"] if records else shard["starting_sequence_number"])


@dataclass(slots=True)
class _Shard:
    """How far one mapping is with one shard.

    Attributes
    ----------
    read_to
        All records up to this sequence number are in lanes, or done.
    """

    shard_id: str
    read_to: str
    lanes: list[Lane]

    @property
    def unfinished(self) -> int:
        return sum(len(lane.unfinished) for lane in self.lanes)

    def checkpoint(self) -> str:
        """Return the sequence number up to which all is done."""
        first = min(
            (lane.unfinished[0].sequence_number for lane in self.lanes if lane.unfinished), default=""
        )
        return position_before(first) if first else self.read_to


@dataclass(eq=False, slots=True)
class _Reading:
    """What one mapping reads.

    Attributes
    ----------
    is_over
        Its batches end with the invocation that they are in: the mapping was disabled, changed or deleted.
    """

    mapping: dict[str, Any]
    account: str
    region: str
    lanes: int
    shards: dict[str, _Shard] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    is_over: bool = False

    @property
    def is_busy(self) -> bool:
        return any(lane.is_busy for shard in self.shards.values() for lane in shard.lanes)

    @property
    def name(self) -> str:
        """For a person: the stream and the function."""
        stream = self.mapping["EventSourceArn"].split("/")[1]
        return f"{stream}: {self.mapping['FunctionName']}"


class StreamReader:
    """Reads the streams of all mappings, and lets functions have the records."""

    def __init__(self, clock: VirtualClock) -> None:
        self.wake = Call(clock)
        self._clock = clock
        self._thread: type[CountedThread] = type("CountedThread", (CountedThread,), {"clock": clock})
        self._readings: dict[str, _Reading] = {}

    def start(self) -> None:
        """Begin to read, in a thread of its own."""
        self._thread(target=self._read_for_ever, daemon=True, name="kinesis-event-sources").start()

    def _read_for_ever(self) -> None:
        while True:
            self.wake.clear()
            try:
                self._read_all()
            except Exception:
                logger.exception("Streams could not be read")
            self.wake.wait(IDLE_SECONDS)

    def forget(self) -> None:
        """Empty all streams: their records are of another story, and nobody waits for a batch of them."""
        from ministack.services import kinesis

        for stream in list(kinesis._streams._data.values()):
            for shard in list(stream["shards"].values()):
                shard["records"] = []
        for reading in list(self._readings.values()):
            reading.is_over = True

    # What is due, for the clock

    def next_due(self, now: float) -> Due | None:
        """Return when the next batching window is over."""
        dues = (due for due in self._windows() if due.at > now)
        return min(dues, key=lambda due: due.at, default=None)

    def fire(self, since: float, now: float) -> Iterable[Due]:
        """Wake the reader when a window is over."""
        over = [due for due in self._windows() if since < due.at <= now]
        if over:
            self.wake.set()
        return sorted(over, key=lambda due: due.at)

    def _windows(self) -> Iterator[Due]:
        for reading in list(self._readings.values()):
            if reading.is_over:
                continue
            settings = MappingSettings.of(reading.mapping)
            if not settings.window_seconds:
                continue
            with reading.lock:
                instants = [
                    at
                    for shard in reading.shards.values()
                    for lane in shard.lanes
                    if (at := lane.due_at(settings)) is not None
                ]
            yield from (Due(at=at, what="stream", name=reading.name) for at in instants)

    # Reading

    def _read_all(self) -> None:
        from ministack.services import lambda_svc

        found = {
            mapping["UUID"]: (account, region, mapping)
            for account, region, mapping in lambda_svc._iter_all_esms()
            if _is_kinesis(mapping.get("EventSourceArn", ""))
        }
        for mapping_id in self._readings.keys() - found.keys():
            self._readings.pop(mapping_id).is_over = True
        for account, region, mapping in found.values():
            with _scope(account, region):
                self._read_mapping(account, region, mapping)

    def _read_mapping(self, account: str, region: str, mapping: dict[str, Any]) -> None:
        stream = _stream(mapping["EventSourceArn"])
        reading = self._reading(account, region, mapping)
        if reading is None or stream is None or _function(mapping) is None:
            return
        settings = MappingSettings.of(mapping)
        shards = dict(stream["shards"])
        with reading.lock:
            for shard_id, shard in shards.items():
                if shard_id not in reading.shards and not self._begin(reading, shards, shard_id):
                    continue
                self._fill(reading, reading.shards[shard_id], shard)
                self._hand_out(reading, reading.shards[shard_id], settings)

    def _reading(self, account: str, region: str, mapping: dict[str, Any]) -> _Reading | None:
        """Return what a mapping reads; None while it is disabled, or until batches of its former self end."""
        lanes = MappingSettings.of(mapping).lanes
        reading = self._readings.get(mapping["UUID"])
        is_enabled = _is_enabled(mapping)
        if reading is not None and (
            not is_enabled or reading.lanes != lanes or reading.mapping is not mapping or reading.is_over
        ):
            reading.is_over = True
            if reading.is_busy:
                return None
            del self._readings[mapping["UUID"]]
            reading = None
        if reading is None and is_enabled:
            reading = _Reading(mapping, account, region, lanes)
            self._readings[mapping["UUID"]] = reading
        return reading

    def _begin(self, reading: _Reading, shards: Mapping[str, Any], shard_id: str) -> bool:
        """Begin with a shard, unless one that it came of is not read to its end."""
        shard = shards[shard_id]
        parents = [shard.get("parent_shard_id"), shard.get("adjacent_parent_shard_id")]
        for parent in (parent for parent in parents if parent in shards):
            done, records = reading.shards.get(parent), shards[parent]["records"]
            if done is None or done.unfinished:
                return False
            if records and done.read_to < records[-1]["SequenceNumber"]:
                return False
        read_to = self._position(reading, shard_id, shard)
        reading.shards[shard_id] = _Shard(shard_id, read_to, [Lane() for _ in range(reading.lanes)])
        return True

    def _position(self, reading: _Reading, shard_id: str, shard: Mapping[str, Any]) -> str:
        from ministack.services import lambda_svc

        mapping = reading.mapping
        known = lambda_svc._kinesis_positions.get(mapping["UUID"])
        if known and shard_id in known:
            return str(known[shard_id])
        since = mapping.get("StartingPositionTimestamp")
        if mapping.get("StartingPosition") == "AT_TIMESTAMP" and since is not None:
            later = (r for r in shard["records"] if r["ApproximateArrivalTimestamp"] >= float(since))
            first = next(later, None)
            return position_before(first["SequenceNumber"]) if first else _end_of(shard)
        # A mapping of a stream that came later, or a shard that did: nothing of it was read by anybody.
        return BEGINNING

    def _fill(self, reading: _Reading, progress: _Shard, shard: Mapping[str, Any]) -> None:
        """Read what is new into lanes."""
        from ministack.services import lambda_svc

        records = shard["records"]
        begin = bisect.bisect_right(records, progress.read_to, key=lambda record: record["SequenceNumber"])
        new = records[begin : begin + max(0, READ_AHEAD - progress.unfinished)]
        if not new:
            return
        events = [_event(reading, progress.shard_id, record) for record in new]
        wanted = {
            event["kinesis"]["sequenceNumber"]
            for event in lambda_svc._apply_filter_criteria(events, reading.mapping)
        }
        now = self._clock.now()
        for record, event in zip(new, events, strict=True):
            if record["SequenceNumber"] in wanted:
                lane = progress.lanes[lane_of(record["PartitionKey"], reading.lanes)]
                lane.add(_record(record, event), now)
        progress.read_to = new[-1]["SequenceNumber"]
        _save(reading, progress)

    def _hand_out(self, reading: _Reading, progress: _Shard, settings: MappingSettings) -> None:
        for lane in progress.lanes:
            batch = lane.take(settings, self._clock.now())
            if batch is not None:
                work = _Work(self._clock, reading, progress, lane, self.wake)
                context = contextvars.copy_context()
                self._thread(target=context.run, args=(work.do, batch), daemon=True).start()


@dataclass(frozen=True, slots=True)
class _Work:
    """One lane's batch, until all of it is done or discarded."""

    clock: VirtualClock
    reading: _Reading
    progress: _Shard
    lane: Lane
    wake: Call

    def do(self, batch: Batch) -> None:
        """Let the function have the batch."""
        try:
            self._do(batch)
        except Exception:
            logger.exception("A batch of %s failed in the emulator", self.reading.name)
            self._pause(0)
        finally:
            with self.reading.lock:
                self.lane.free(self.clock.now())
            self.wake.set()

    def _do(self, batch: Batch) -> None:
        to_do = deque([batch])
        throttled = 0
        while to_do and self._is_wanted():
            current = self._without_old(to_do.popleft())
            if not current.records:
                continue
            function = _function(self.reading.mapping)
            if function is None:
                # Whoever reads the lane next looks for it again.
                break
            _publish_age(self.reading, self.clock.now() - current.records[-1].arrived_at)
            result = _invoke(function, current)
            if result.get("throttle"):
                to_do.appendleft(current)
                self._pause(throttled)
                throttled += 1
                continue
            throttled = 0
            to_do.extendleft(reversed(self._after(current.invoked(), function, result)))

    def _after(
        self, batch: Batch, function: Mapping[str, Any], result: Mapping[str, Any]
    ) -> tuple[Batch, ...]:
        """Do what follows on an invocation; return what goes to the function next."""
        settings = MappingSettings.of(self.reading.mapping)
        failed = _failed(batch, result, settings)
        self.reading.mapping["LastProcessingResult"] = OK if failed is None else FAILED
        self._finish(len(batch.records) if failed is None else failed)
        if failed is None:
            return ()
        follows = after_failure(batch, failed, settings)
        if follows.discarded is not None:
            error = "Unhandled" if result.get("error") else None
            self._discard(follows.discarded, Condition.RETRIES_EXHAUSTED, function, error)
        if follows.is_retry:
            self._pause(batch.retries)
        return follows.again

    def _without_old(self, batch: Batch) -> Batch:
        """Return a batch without records that are too old for the mapping, or that the stream lost."""
        now = self.clock.now()
        stream = _stream(self.reading.mapping["EventSourceArn"])
        if stream is not None:
            lost = batch.expired(now - float(stream["RetentionPeriodHours"]) * 3600)
            self._finish(lost)
            batch = batch.without_first(lost)
        oldest = MappingSettings.of(self.reading.mapping).record_age_seconds
        old = 0 if oldest is None else batch.expired(now - oldest)
        if old:
            function = _function(self.reading.mapping) or {}
            dropped = Batch(records=batch.records[:old], invocations=batch.invocations)
            self._discard(dropped, Condition.TOO_OLD, function, None)
        return batch.without_first(old)

    def _discard(
        self, batch: Batch, condition: Condition, function: Mapping[str, Any], error: str | None
    ) -> None:
        mapping = self.reading.mapping
        destination = MappingSettings.of(mapping).destination
        if destination is not None:
            configuration = function.get("config") or function
            discarded = Discarded(
                batch=batch,
                condition=condition,
                function_error=error,
                function_arn=mapping["FunctionArn"],
                executed_version=configuration.get("Version", "$LATEST"),
                stream_arn=mapping["EventSourceArn"],
                shard_id=self.progress.shard_id,
                mapping_id=mapping["UUID"],
                at=self.clock.now(),
            )
            try:
                tell(destination, discarded)
            except Exception:
                # As on AWS, a destination that cannot be told does not hold up the shard.
                logger.exception("%s could not be told of a discarded batch", destination)
        self._finish(len(batch.records))

    def _finish(self, count: int) -> None:
        with self.reading.lock:
            self.lane.finish(count)
            _save(self.reading, self.progress)

    def _is_wanted(self) -> bool:
        from ministack.services import lambda_svc

        mapping = self.reading.mapping
        # Whoever moves the clock asks, too, in another thread than the batch's.
        with _scope(self.reading.account, self.reading.region):
            is_there = lambda_svc._esms.get(mapping["UUID"]) is mapping
        return is_there and not self.reading.is_over and _is_enabled(mapping)

    def _pause(self, attempts: int) -> None:
        seconds = pause_seconds(attempts)
        due = Due(at=self.clock.now() + seconds, what="stream", name=self.reading.name)
        # By the machine's clock too: the virtual one may be put back meanwhile.
        self.clock.sleep(due, is_over=lambda: not self._is_wanted(), real_seconds=seconds)


@contextlib.contextmanager
def _scope(account: str, region: str) -> Iterator[None]:
    from ministack.services import lambda_svc

    tokens = lambda_svc._request_account_id.set(account), lambda_svc._request_region.set(region)
    try:
        yield
    finally:
        lambda_svc._request_account_id.reset(tokens[0])
        lambda_svc._request_region.reset(tokens[1])


def _is_enabled(mapping: Mapping[str, Any]) -> bool:
    return str(mapping.get("Enabled", True)).lower() != "false"


def _function(mapping: Mapping[str, Any]) -> dict[str, Any] | None:
    from ministack.services import lambda_svc

    found: dict[str, Any] | None
    found, _ = lambda_svc._get_func_record_for_qualifier(mapping["FunctionName"], mapping.get("Qualifier"))
    return found


def _event(reading: _Reading, shard_id: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as a function gets it."""
    from ministack.services import kinesis

    function = _function(reading.mapping) or {}
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record["PartitionKey"],
            "sequenceNumber": record["SequenceNumber"],
            "data": _base64(kinesis._ensure_base64, record["Data"]),
            "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"],
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard_id}:{record['SequenceNumber']}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": (function.get("config") or {}).get("Role", ""),
        "awsRegion": reading.region,
        "eventSourceARN": reading.mapping["EventSourceArn"],
    }


def _base64(ensure: Any, data: object) -> str:
    return base64.b64encode(data).decode() if isinstance(data, bytes) else str(ensure(data))


def _record(record: Mapping[str, Any], event: Mapping[str, Any]) -> StreamRecord:
    return StreamRecord(
        sequence_number=record["SequenceNumber"],
        arrived_at=float(record["ApproximateArrivalTimestamp"]),
        partition_key=record["PartitionKey"],
        event=event,
        payload_bytes=len(json.dumps(event)) + 1,
    )


def _save(reading: _Reading, progress: _Shard) -> None:
    """Note how far a shard is done, unless the mapping is gone."""
    from ministack.services import lambda_svc

    mapping_id = reading.mapping["UUID"]
    if mapping_id in lambda_svc._esms:
        positions = lambda_svc._kinesis_positions.get(mapping_id) or {}
        positions[progress.shard_id] = progress.checkpoint()
        lambda_svc._kinesis_positions[mapping_id] = positions


def _invoke(function: Mapping[str, Any], batch: Batch) -> dict[str, Any]:
    from ministack.services import lambda_svc

    result: dict[str, Any] = lambda_svc._execute_function(
        function, {"Records": [record.event for record in batch.records]}
    )
    return result


def _failed(batch: Batch, result: Mapping[str, Any], settings: MappingSettings) -> int | None:
    if result.get("error"):
        return 0
    return failed_from(result.get("body"), batch.records) if settings.reports_failures else None


def _publish_age(reading: _Reading, seconds: float) -> None:
    """Publish how old the last record of a batch is when the function gets it."""
    from ministack.services import cloudwatch

    dimensions = {"FunctionName": reading.mapping["FunctionName"]}
    cloudwatch.record_metric(
        "AWS/Lambda", "IteratorAge", max(0.0, seconds * 1000), "Milliseconds", dimensions
    )
