"""The stream read again, and functions given what it holds, the way Lambda's event source mapping does.

What a mapping could not get through a consumer lies in its dead-letter queue as a place in the stream (AWS
Lambda developer guide, *Using Lambda with Kinesis*, *on-failure destination*)::

    {"requestContext": {"functionArn": "arn:…", "condition": "RetryAttemptsExhausted", …},
     "KinesisBatchInfo": {"shardId": "shardId-…", "startSequenceNumber": "…", "endSequenceNumber": "…",
                          "batchSize": 500, "streamArn": "arn:…", …}, …}
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import error_code, service_call
from sms_engagement_runtime.channel.adapters.clients import RETRYING

LARGEST_INVOCATION: Final = 6 * 1024 * 1024 - 1024
"""Bytes of a request that a function is invoked with and waited for (AWS Lambda, *Quotas*)."""

_INVOKING: Final = Config(
    retries={"total_max_attempts": 2, "mode": "standard"},
    connect_timeout=5,
    # A function may run for fifteen minutes; consumers of the stream are done within one.
    read_timeout=910,
)
_PAGE_PAUSE_SECONDS: Final = 0.21
"""A shard answers five reads a second, whoever asks (Amazon Kinesis Data Streams, *Quotas and limits*)."""

_GONE: Final = frozenset({"InvalidArgumentException", "ResourceNotFoundException"})

type LambdaRecord = dict[str, Any]
"""A record of the stream as a function is given it."""


class KinesisCalls(Protocol):
    """What is called of a Kinesis client."""

    def describe_stream_summary(self, **request: Any) -> Any:
        """``DescribeStreamSummary``."""
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


class LambdaCalls(Protocol):
    """What is called of a Lambda client."""

    def get_function_configuration(self, **request: Any) -> Any:
        """``GetFunctionConfiguration``."""
        ...

    def invoke(self, **request: Any) -> Any:
        """``Invoke``."""
        ...


def kinesis_client(endpoint_url: str | None = None) -> KinesisCalls:
    """Kinesis client."""
    client: KinesisCalls = boto3.client("kinesis", config=RETRYING, endpoint_url=endpoint_url)
    return client


def lambda_client(endpoint_url: str | None = None) -> LambdaCalls:
    """Lambda client that waits for what a function answers."""
    client: LambdaCalls = boto3.client("lambda", config=_INVOKING, endpoint_url=endpoint_url)
    return client


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlace:
    """Where a batch lies that did not get through.

    Attributes
    ----------
    size
        Records of the batch. Between the first and the last there may be more: two batches of a shard are
        worked on at once, and what lies between is the other one's.
    function_arn
        Of the consumer, with its version or alias.
    """

    stream_arn: str
    shard_id: str
    first_sequence_number: str
    last_sequence_number: str
    size: int
    function_arn: str


def place_of(document: object) -> BatchPlace | None:
    """Read a document of an on-failure destination; None for anything else."""
    try:
        info, context = document["KinesisBatchInfo"], document["requestContext"]  # type: ignore[index]
        place = BatchPlace(
            stream_arn=info["streamArn"],
            shard_id=info["shardId"],
            first_sequence_number=info["startSequenceNumber"],
            last_sequence_number=info["endSequenceNumber"],
            size=int(info["batchSize"]),
            function_arn=context["functionArn"],
        )
        int(place.first_sequence_number)
        int(place.last_sequence_number)
    except (KeyError, TypeError, ValueError):
        return None
    return place


class BatchGoneError(Exception):
    """The stream does not have a batch any more."""


class StreamReader:
    """Reads a stream from any place on."""

    def __init__(self, client: KinesisCalls, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._sleep = sleep

    def arn(self, stream: str) -> str:
        """Return the ARN of a stream."""
        with service_call("kinesis:DescribeStreamSummary"):
            answer = self._client.describe_stream_summary(StreamName=stream)
        arn: str = answer["StreamDescriptionSummary"]["StreamARN"]
        return arn

    def batch(self, place: BatchPlace) -> list[LambdaRecord]:
        """Return all records from the first to the last of a batch.

        Raises
        ------
        BatchGoneError
            The stream does not have its first or its last record any more.
        ServiceCallError
            The stream did not answer.
        """
        last = int(place.last_sequence_number)
        found: list[LambdaRecord] = []
        with service_call("kinesis:GetShardIterator"):
            try:
                iterator = self._client.get_shard_iterator(
                    StreamName=_name(place.stream_arn),
                    ShardId=place.shard_id,
                    ShardIteratorType="AT_SEQUENCE_NUMBER",
                    StartingSequenceNumber=place.first_sequence_number,
                )["ShardIterator"]
            except ClientError as error:
                if error_code(error) in _GONE:
                    raise BatchGoneError from error
                raise
        for page in self._pages(iterator):
            for record in page:
                number = int(record["SequenceNumber"])
                if number <= last:
                    found.append(as_given(record, stream_arn=place.stream_arn, shard_id=place.shard_id))
                if number >= last:
                    return _checked(found, place)
        return _checked(found, place)

    def shards(self, stream_arn: str, since: datetime) -> list[str]:
        """Return the shards that have something from an instant on, each after those that it was made of."""
        parents: dict[str, set[str]] = {}
        request: dict[str, Any] = {
            "StreamName": _name(stream_arn),
            "ShardFilter": {"Type": "FROM_TIMESTAMP", "Timestamp": since},
        }
        while request:
            with service_call("kinesis:ListShards"):
                answer = self._client.list_shards(**request)
            for shard in answer["Shards"]:
                of = {shard.get("ParentShardId"), shard.get("AdjacentParentShardId")} - {None}
                parents[shard["ShardId"]] = of
            token = answer.get("NextToken")
            request = {"NextToken": token} if token else {}
        ordered: list[str] = []
        while len(ordered) < len(parents):
            ordered += sorted(
                shard
                for shard, of in parents.items()
                if shard not in ordered and not (of & parents.keys()) - set(ordered)
            )
        return ordered

    def since(
        self, stream_arn: str, shard_id: str, since: datetime, until: datetime
    ) -> Iterator[list[LambdaRecord]]:
        """Give what a shard took between two instants, page by page.

        Raises
        ------
        ServiceCallError
            The stream did not answer.
        """
        with service_call("kinesis:GetShardIterator"):
            iterator = self._client.get_shard_iterator(
                StreamName=_name(stream_arn),
                ShardId=shard_id,
                ShardIteratorType="AT_TIMESTAMP",
                Timestamp=since,
            )["ShardIterator"]
        for page in self._pages(iterator):
            wanted = [record for record in page if record["ApproximateArrivalTimestamp"] <= until]
            yield [as_given(record, stream_arn=stream_arn, shard_id=shard_id) for record in wanted]
            # Arrivals are nearly in order: a record or two of the same second may be out of it.
            if any(record["ApproximateArrivalTimestamp"] > until + timedelta(seconds=10) for record in page):
                return

    def _pages(self, iterator: str | None) -> Iterator[list[dict[str, Any]]]:
        while iterator:
            with service_call("kinesis:GetRecords"):
                answer = self._client.get_records(ShardIterator=iterator)
            yield answer["Records"]
            iterator = answer.get("NextShardIterator")
            if not answer["Records"] and not answer.get("MillisBehindLatest"):
                return
            self._sleep(_PAGE_PAUSE_SECONDS)


def _name(stream_arn: str) -> str:
    return stream_arn.partition("stream/")[2]


def _checked(found: list[LambdaRecord], place: BatchPlace) -> list[LambdaRecord]:
    numbers = [sequence_number(record) for record in found]
    ends = numbers[:1] + numbers[-1:]
    if ends != [place.first_sequence_number, place.last_sequence_number]:
        raise BatchGoneError
    return found


def sequence_number(record: LambdaRecord) -> str:
    """Return the place of a record in its shard."""
    number: str = record["kinesis"]["sequenceNumber"]
    return number


def as_given(record: Mapping[str, Any], *, stream_arn: str, shard_id: str) -> LambdaRecord:
    """Return a record of ``GetRecords`` as a function is given it."""
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record["PartitionKey"],
            "sequenceNumber": record["SequenceNumber"],
            "data": base64.b64encode(record["Data"]).decode(),
            "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard_id}:{record['SequenceNumber']}",
        "eventName": "aws:kinesis:record",
        "awsRegion": stream_arn.split(":")[3],
        "eventSourceARN": stream_arn,
    }


def renamed(records: Sequence[LambdaRecord], shard_id: str) -> list[LambdaRecord]:
    """Return records as if they came from a shard of another name."""
    return [{**record, "eventID": f"{shard_id}:{sequence_number(record)}"} for record in records]


class Consumer(StrEnum):
    """Which consumer of the stream a function is."""

    EVENT_PROCESSOR = "event_processor"
    RESPONSES = "response_handler"
    COUNTS = "analytics"
    ARCHIVE = "archive"
    OTHER = "other"
    """None of ours."""


class Failure(StrEnum):
    """Why a function did not take a batch."""

    FUNCTION_ERROR = "FUNCTION_ERROR"
    """It ended with an error."""
    RECORDS_FAILED = "RECORDS_FAILED"
    """It named records that failed."""
    TOO_LARGE = "TOO_LARGE"
    """One record alone is more than a function can be invoked with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTaken:
    """A batch that a function did not take, from which record on."""

    failure: Failure
    sequence_number: str
    record: LambdaRecord | None = None


class StreamConsumer:
    """A function that consumes the stream, invoked as its event source mapping does.

    Parameters
    ----------
    largest
        Bytes of an invocation.
    """

    def __init__(self, client: LambdaCalls, function: str, *, largest: int = LARGEST_INVOCATION) -> None:
        self._client = client
        self._function = function
        self._largest = largest

    def kind(self) -> Consumer:
        """Say which one it is, by its handler.

        Raises
        ------
        ServiceCallError
            There is no such function, or Lambda did not answer.
        """
        with service_call("lambda:GetFunctionConfiguration"):
            answer = self._client.get_function_configuration(FunctionName=self._function)
        module = answer["Handler"].partition("sms_analytics_pipeline.handlers.")[2].partition(".")[0]
        return Consumer(module) if module in {*Consumer} else Consumer.OTHER

    def give(self, records: Sequence[LambdaRecord]) -> list[NotTaken]:
        """Give it a batch; where that is too large, halves of it, and halves of these.

        What came through, and what did not, is told by halves; the first half has the first record of all.

        Raises
        ------
        ServiceCallError
            It could not be invoked.
        """
        if not records:
            return []
        payload = json.dumps({"Records": list(records)}, separators=(",", ":")).encode()
        if len(payload) > self._largest:
            if len(records) == 1:
                number = sequence_number(records[0])
                return [NotTaken(failure=Failure.TOO_LARGE, sequence_number=number, record=records[0])]
            middle = (len(records) + 1) // 2
            return [*self.give(records[:middle]), *self.give(records[middle:])]
        with service_call("lambda:Invoke"):
            answer = self._client.invoke(
                FunctionName=self._function, InvocationType="RequestResponse", Payload=payload
            )
            content = answer["Payload"].read()
        if answer.get("FunctionError"):
            number = sequence_number(records[0])
            return [NotTaken(failure=Failure.FUNCTION_ERROR, sequence_number=number)]
        failed = _failed_items(content)
        return [NotTaken(failure=Failure.RECORDS_FAILED, sequence_number=number) for number in failed[:1]]


def _failed_items(content: bytes) -> list[str]:
    """Read ``{"batchItemFailures": [{"itemIdentifier": "…"}]}``; anything else means that all is done."""
    try:
        answer = json.loads(content or b"null")
    except ValueError:
        return []
    failures = answer.get("batchItemFailures") if isinstance(answer, dict) else None
    return [str(each.get("itemIdentifier")) for each in failures or []]
