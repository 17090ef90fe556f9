"""Kinesis records of a Lambda batch, decoded; what cannot be read is set aside and never stops the others.

Each consumer decodes what it needs and nothing else: a ``msgspec.Struct`` with three fields costs a third of
one with twenty. Fields that are not in it are passed over.

Shapes: ``{"Records": [{"eventID": "<shard id>:<sequence number>", "kinesis": {"data": base64,
"sequenceNumber", "partitionKey", "approximateArrivalTimestamp": epoch seconds}}, …]}`` (AWS Lambda developer
guide, *Using Lambda with Kinesis*).
"""

import binascii
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, TypedDict

import msgspec

from sms_engagement_runtime.sms_analytics_pipeline.domain.events import (
    MAX_EVENT_BYTES,
    SCHEMA_VERSION,
    EventType,
    SetAside,
)

_KNOWN_TYPES: Final = frozenset(kind.value for kind in EventType)
_LONGEST_BASE64: Final = MAX_EVENT_BYTES * 4 // 3 + 4


class Readable(Protocol):
    """What every consumer's struct has."""

    event_type: str
    schema_version: int


class RejectedRecord(NamedTuple):
    """A record that is set aside.

    Attributes
    ----------
    data
        As it came: base64, or what should have been.
    """

    sequence_number: str
    reason: SetAside
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch[T]:
    """A decoded batch.

    Attributes
    ----------
    shard_id, first_sequence_number
        Of its first record: the same whenever the batch, or its first half, comes again.
    events, sequence_numbers
        What could be read, in the order of the stream; the two go together.
    newest_arrival
        The newest time at which the stream took a record of the batch: epoch seconds.
    """

    shard_id: str
    first_sequence_number: str
    events: Sequence[T]
    sequence_numbers: Sequence[str]
    rejected: Sequence[RejectedRecord]
    newest_arrival: float


class StreamItemFailure(TypedDict):
    """The record from which on a batch comes again."""

    itemIdentifier: str


class StreamResponse(TypedDict):
    """Answer of a function with ``ReportBatchItemFailures``: all from the lowest one named on comes again."""

    batchItemFailures: list[StreamItemFailure]


ALL_DONE: Final[StreamResponse] = {"batchItemFailures": []}


def failed_from(sequence_number: str) -> StreamResponse:
    """Answer that a batch shall come again from this record on."""
    return {"batchItemFailures": [{"itemIdentifier": sequence_number}]}


def decode_batch[T: Readable](event: Mapping[str, Any], decode: Callable[[bytes], T]) -> Batch[T]:
    """Decode a batch.

    Parameters
    ----------
    decode
        ``msgspec.json.Decoder(Struct).decode``.
    """
    records = event["Records"]
    rejected: list[RejectedRecord] = []
    events: list[T] = []
    sequence_numbers: list[str] = []
    for decoded, kinesis in decoded_records(records, decode, rejected):
        events.append(decoded)
        sequence_numbers.append(kinesis["sequenceNumber"])
    shard_id, first_sequence_number = start_of(records)
    return Batch(
        shard_id=shard_id,
        first_sequence_number=first_sequence_number,
        events=events,
        sequence_numbers=sequence_numbers,
        rejected=rejected,
        newest_arrival=max([each["kinesis"]["approximateArrivalTimestamp"] for each in records]),
    )


def start_of(records: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return the shard of records, and the sequence number of the first of them."""
    first = records[0]
    return first["eventID"].partition(":")[0], first["kinesis"]["sequenceNumber"]


def decoded_records[T: Readable](
    records: Iterable[Mapping[str, Any]], decode: Callable[[bytes], T], rejected: list[RejectedRecord]
) -> Iterator[tuple[T, Mapping[str, Any]]]:
    """Give what can be read, one by one with the record's ``kinesis``; the others are added to `rejected`."""
    convert = msgspec.convert
    for record in records:
        kinesis = record["kinesis"]
        data = kinesis["data"]
        if len(data) > _LONGEST_BASE64:
            rejected.append(RejectedRecord(kinesis["sequenceNumber"], SetAside.TOO_LARGE, data))
            continue
        try:
            try:
                # More than twice as quick as `binascii`, and stricter: it takes no line breaks.
                raw = convert(data, bytes)
            except msgspec.ValidationError:
                raw = binascii.a2b_base64(data)
            decoded = decode(raw)
        except (ValueError, RecursionError) as error:
            rejected.append(RejectedRecord(kinesis["sequenceNumber"], _reason(data, error), data))
            continue
        if decoded.schema_version > SCHEMA_VERSION or decoded.event_type not in _KNOWN_TYPES:
            rejected.append(RejectedRecord(kinesis["sequenceNumber"], _foreign(decoded), data))
            continue
        yield decoded, kinesis


def _foreign(decoded: Readable) -> SetAside:
    if decoded.schema_version > SCHEMA_VERSION:
        return SetAside.FUTURE_SCHEMA
    return SetAside.UNKNOWN_EVENT_TYPE


class _Version(msgspec.Struct):
    schema_version: Any = 0


def _reason(data: str, error: Exception) -> SetAside:
    """Say why a record could not be decoded."""
    if isinstance(error, msgspec.ValidationError):
        # A later schema may have other kinds of values, and says so.
        version = _version_of(data)
        is_later = isinstance(version, int) and not isinstance(version, bool) and version > SCHEMA_VERSION
        return SetAside.FUTURE_SCHEMA if is_later else SetAside.UNKNOWN_SHAPE
    try:
        binascii.a2b_base64(data, strict_mode=True)
    except ValueError:
        return SetAside.NOT_BASE64
    return SetAside.NOT_JSON


def _version_of(data: str) -> object:
    try:
        return msgspec.json.decode(binascii.a2b_base64(data), type=_Version).schema_version
    except (ValueError, RecursionError):
        return None
