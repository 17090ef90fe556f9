"""``redrive`` and ``replay``: consumers are given what the stream still holds."""

from __future__ import annotations

import argparse
import base64
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import boto3

from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError, service_call
from sms_engagement_runtime.channel.adapters.clock import SystemClock
from sms_engagement_runtime.commands.exits import ExitStatus, end, fail
from sms_engagement_runtime.commands.progress import Progress
from sms_engagement_runtime.sms_analytics_pipeline.adapters.kinesis_records import RejectedRecord
from sms_engagement_runtime.sms_analytics_pipeline.adapters.record_quarantine import RecordQuarantine
from sms_engagement_runtime.sms_analytics_pipeline.adapters.stream_reader import (
    BatchGoneError,
    BatchPlace,
    Consumer,
    Failure,
    LambdaRecord,
    NotTaken,
    StreamConsumer,
    StreamReader,
    kinesis_client,
    lambda_client,
    place_of,
    renamed,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import EventType, SetAside

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

MOST_TOLD: Final = 100
"""So many batches that still fail are named; of the others the number is told."""

_VISIBILITY_SECONDS: Final = 900
_MOST_MESSAGES: Final = 10
_ATTEMPTS: Final = 3
_FIRST_PAUSE_SECONDS: Final = 1.0

_REFUSALS: Final = {
    Consumer.COUNTS: "its batches would be cut in other places and counted twice; use `repair counts`",
    Consumer.ARCHIVE: "its batches would be cut in other places and write over one another; use `redrive`",
    Consumer.EVENT_PROCESSOR: "it keeps nothing, and its metrics would tell of the past as if it were new",
}


@dataclass(slots=True)
class _Redriven:
    """What became of a queue's messages."""

    messages: int = 0
    batches_done: int = 0
    records: int = 0
    set_aside: int = 0
    foreign: int = 0
    still_failing: int = 0
    failing: list[dict[str, object]] = field(default_factory=list)

    def fail(self, message: MessageTypeDef, place: BatchPlace, reason: str) -> None:
        self.still_failing += 1
        if len(self.failing) < MOST_TOLD:
            self.failing.append(
                {
                    "message_id": message["MessageId"],
                    "shard": place.shard_id,
                    "first_sequence_number": place.first_sequence_number,
                    "batch_size": place.size,
                    "reason": reason,
                }
            )

    def as_report(self) -> dict[str, object]:
        return {
            "messages": self.messages,
            "batches_done": self.batches_done,
            "records": self.records,
            "records_set_aside": self.set_aside,
            "no_batches": self.foreign,
            "still_failing": self.still_failing,
            "failing": self.failing,
        }


def redrive(options: argparse.Namespace) -> ExitStatus:
    """Give consumers the batches again that did not get through."""
    redriver = _Redriver(options, queue_client(options.endpoint_url))
    queues = {name: _Redriven() for name in options.queue}
    report: dict[str, object] = {"command": "redrive", "dry_run": options.dry_run}
    problem = None
    try:
        for name, redriven in queues.items():
            redriver.work_off(name, redriven)
    except KeyboardInterrupt:
        problem = "interrupted; run it again, which does the rest"
    except ServiceCallError as error:
        problem = f"a queue could not be used: {error}"
    report["queues"] = {name: redriven.as_report() for name, redriven in queues.items()}
    is_done = not any(each.still_failing or each.foreign for each in queues.values())
    status = end(report, is_done=is_done)
    return status if problem is None else fail(problem)


def queue_client(endpoint_url: str | None) -> SQSClient:
    """SQS client, for an endpoint that may be another one."""
    return boto3.client("sqs", config=clients.RETRYING, endpoint_url=endpoint_url)


class _Redriver:
    """Works off dead-letter queues."""

    def __init__(self, options: argparse.Namespace, sqs: SQSClient) -> None:
        self._sqs = sqs
        self._dry = options.dry_run
        self._function = options.function
        self._lambda = lambda_client(options.endpoint_url)
        self._reader = StreamReader(kinesis_client(options.endpoint_url))
        self._consumers: dict[str, tuple[StreamConsumer, Consumer]] = {}
        self._quarantine = (
            RecordQuarantine(
                clients.s3_client(options.endpoint_url), bucket=options.archive_bucket, consumer="redrive"
            )
            if options.archive_bucket
            else None
        )

    def work_off(self, queue: str, redriven: _Redriven) -> None:
        """Work off one queue. What stays in it can be seen again at once."""
        with service_call("sqs:GetQueueUrl"):
            url = self._sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        with service_call("sqs:GetQueueAttributes"):
            attributes = self._sqs.get_queue_attributes(
                QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
            )["Attributes"]
        kept: dict[str, str] = {}
        try:
            with Progress(f"redriving {queue}", int(attributes["ApproximateNumberOfMessages"])) as progress:
                for message in self._messages(url, kept):
                    redriven.messages += 1
                    if self._is_done(message, redriven) and not self._dry:
                        with service_call("sqs:DeleteMessage"):
                            self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                        del kept[message["MessageId"]]
                    progress.advance()
        finally:
            for handle in kept.values():
                # It is visible again by itself after a quarter of an hour.
                with suppress(ServiceCallError), service_call("sqs:ChangeMessageVisibility"):
                    self._sqs.change_message_visibility(
                        QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0
                    )

    def _messages(self, url: str, kept: dict[str, str]) -> Iterator[MessageTypeDef]:
        while True:
            with service_call("sqs:ReceiveMessage"):
                messages = self._sqs.receive_message(
                    QueueUrl=url,
                    MaxNumberOfMessages=_MOST_MESSAGES,
                    VisibilityTimeout=_VISIBILITY_SECONDS,
                    # Asks every server of the queue, so that an empty answer means an empty queue.
                    WaitTimeSeconds=1,
                ).get("Messages", [])
            # What took so long that it has come to light again was seen before.
            new = [message for message in messages if message["MessageId"] not in kept]
            if not new:
                return
            kept.update((message["MessageId"], message["ReceiptHandle"]) for message in new)
            yield from new

    def _is_done(self, message: MessageTypeDef, redriven: _Redriven) -> bool:
        """Give a message's batch to its consumer; whether the message is of no use any more."""
        try:
            document: Any = json.loads(message["Body"])
        except ValueError:
            document = None
        place = place_of(document)
        if place is None:
            redriven.foreign += 1
            return False
        try:
            records = self._reader.batch(place)
            reason = self._give(place, records, redriven)
        except BatchGoneError:
            reason = "GONE_FROM_STREAM"
        except ServiceCallError as error:
            reason = str(error)
        if reason is not None:
            redriven.fail(message, place, reason)
            return False
        redriven.batches_done += 1
        redriven.records += len(records)
        return True

    def _give(self, place: BatchPlace, records: list[LambdaRecord], redriven: _Redriven) -> str | None:
        consumer, kind = self._consumer(self._function or place.function_arn)
        is_whole_range = len(records) == place.size
        if kind is Consumer.COUNTS and not is_whole_range:
            # Nobody can tell which of the records were another batch's, and these are counted.
            return "COUNTED_AMONG_OTHERS"
        if kind is Consumer.ARCHIVE and not is_whole_range:
            # Under the shard's own name an object of the other batch might be written over. Events that are
            # archived twice are taken once by whoever reads.
            records = renamed(records, f"{place.shard_id}-redriven")
        if self._dry:
            return None
        not_taken = consumer.give(records)
        too_large = [each for each in not_taken if each.failure is Failure.TOO_LARGE]
        if too_large and self._quarantine is not None:
            self._set_aside(place, too_large)
            redriven.set_aside += len(too_large)
            not_taken = [each for each in not_taken if each.failure is not Failure.TOO_LARGE]
        return not_taken[0].failure if not_taken else None

    def _set_aside(self, place: BatchPlace, not_taken: list[NotTaken]) -> None:
        assert self._quarantine is not None
        for each in not_taken:
            assert each.record is not None
            data = each.record["kinesis"]["data"]
            rejected = RejectedRecord(each.sequence_number, SetAside.TOO_LARGE, data)
            self._quarantine.keep(place.shard_id, [rejected])

    def _consumer(self, function: str) -> tuple[StreamConsumer, Consumer]:
        if function not in self._consumers:
            consumer = StreamConsumer(self._lambda, function)
            self._consumers[function] = (consumer, consumer.kind())
        return self._consumers[function]


@dataclass(slots=True)
class _Replayed:
    """How far a replay came."""

    records: int = 0
    given: int = 0
    batches: int = 0
    shards: int = 0
    stopped: dict[str, object] | None = None


def replay(options: argparse.Namespace) -> ExitStatus:
    """Give a consumer the events of the stream from a time on again."""
    until = options.until or SystemClock().now()
    if options.since > until:
        return fail("--from is later than --to")
    consumer = StreamConsumer(lambda_client(options.endpoint_url), options.function)
    kind = consumer.kind()
    if kind in _REFUSALS:
        return fail(f"{options.function} is not to be given events again: {_REFUSALS[kind]}")
    reader = StreamReader(kinesis_client(options.endpoint_url))
    arn = reader.arn(options.stream)
    shards = reader.shards(arn, options.since)
    replayed = _Replayed()
    problem = None
    try:
        with Progress("replaying shards", len(shards)) as progress:
            for shard in shards:
                for page in reader.since(arn, shard, options.since, until):
                    if not _give_page(page, consumer, kind, replayed, options):
                        break
                if replayed.stopped is not None:
                    break
                replayed.shards += 1
                progress.advance()
    except KeyboardInterrupt:
        problem = "interrupted; run it again: what was given is known"
    except ServiceCallError as error:
        problem = f"stream or function could not be used: {error}"
    report: dict[str, object] = {
        "command": "replay",
        "dry_run": options.dry_run,
        "from": options.since.isoformat(),
        "to": until.isoformat(),
        "shards": len(shards),
        "shards_done": replayed.shards,
        "records": replayed.records,
        "records_given": replayed.given,
        "batches": replayed.batches,
    }
    if replayed.stopped is not None:
        report["stopped"] = replayed.stopped
    status = end(report, is_done=replayed.stopped is None)
    return status if problem is None else fail(problem)


def _give_page(
    page: list[LambdaRecord],
    consumer: StreamConsumer,
    kind: Consumer,
    replayed: _Replayed,
    options: argparse.Namespace,
) -> bool:
    """Give a page in batches; whether all of it was taken."""
    replayed.records += len(page)
    if kind is Consumer.RESPONSES:
        # As the event source mapping's filter does.
        page = [record for record in page if _may_be_answer(record)]
    for start in range(0, len(page), options.batch_size):
        batch = page[start : start + options.batch_size]
        not_taken = [] if options.dry_run else _give_patiently(batch, consumer)
        if not_taken:
            replayed.stopped = {
                "shard": batch[0]["eventID"].partition(":")[0],
                "sequence_number": not_taken[0].sequence_number,
                "arrived_at": batch[0]["kinesis"]["approximateArrivalTimestamp"],
                "reason": not_taken[0].failure,
            }
            return False
        replayed.given += len(batch)
        replayed.batches += 1
    return True


def _give_patiently(batch: list[LambdaRecord], consumer: StreamConsumer) -> list[NotTaken]:
    for left in reversed(range(_ATTEMPTS)):
        try:
            not_taken = consumer.give(batch)
        except ServiceCallError:
            # Throttled, most likely.
            if not left:
                raise
        else:
            if not (not_taken and left):
                return not_taken
        time.sleep(_FIRST_PAUSE_SECONDS * 2 ** (_ATTEMPTS - 1 - left))
    raise AssertionError


def _may_be_answer(record: LambdaRecord) -> bool:
    return f'"{EventType.RECEIVED}"'.encode() in base64.b64decode(record["kinesis"]["data"])
