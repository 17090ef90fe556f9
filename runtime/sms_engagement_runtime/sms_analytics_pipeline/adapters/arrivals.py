"""What a function is invoked with, as the payloads that arrived.

SQS batches of SNS envelopes, of EventBridge events and of bare payloads; and, invoked directly, one SNS
batch, one EventBridge event or one delivery of a CloudWatch Logs subscription, which comes gzipped in base64.
Nothing raises for what was sent: what cannot be decoded arrives as the reason why.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sms_engagement_runtime.channel.domain.delivery import loads
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import SetAside
from sms_engagement_runtime.sms_analytics_pipeline.domain.ingesting import Arrival
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading import log_messages
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading.draft import instant

MOST_LOG_BYTES: Final = 16 * 1024 * 1024
"""The most that one delivery of a log subscription may unpack to; the service sends up to one megabyte."""

_GZIP: Final = 16 + zlib.MAX_WBITS


def is_queue_batch(event: Mapping[str, Any]) -> bool:
    """Whether an invocation brings records of a queue, so that each can be failed for itself."""
    records = event.get("Records") or []
    return bool(records) and all(record.get("eventSource") == "aws:sqs" for record in records)


def arrivals_of(event: Mapping[str, Any], *, request_id: str, now_ms: int) -> list[Arrival]:
    """Take the payloads out of an invocation.

    Parameters
    ----------
    request_id
        The same for each attempt of an asynchronous invocation; names what has no id of its own.
    now_ms
        Epoch milliseconds: the time of what does not tell when it came.
    """
    records = event.get("Records")
    if not isinstance(records, list):
        body = json.dumps(event, default=str)
        return list(_opened(request_id, request_id, body, received_at_ms=now_ms))
    arrivals: list[Arrival] = []
    for number, record in enumerate(records):
        if "body" in record:
            sent_at = instant(record.get("attributes", {}).get("SentTimestamp"))
            name, body = record["messageId"], record["body"]
        else:
            sent_at, name, body = None, f"{request_id}-{number}", json.dumps(record.get("Sns", record))
        arrivals += _opened(name, name, body, received_at_ms=now_ms if sent_at is None else sent_at)
    return arrivals


def _opened(record: str, name: str, body: str, *, received_at_ms: int) -> Iterator[Arrival]:
    """Take a payload out of its envelopes."""
    payload, notification_id = _decoded(body), None
    if _is_notification(payload):
        notification_id = name = payload["MessageId"]
        published_at = instant(payload.get("Timestamp"))
        received_at_ms = received_at_ms if published_at is None else published_at
        payload = _decoded(payload["Message"])
    if isinstance(payload, Mapping) and "awslogs" in payload:
        payload = _unpacked(payload["awslogs"])
    messages = log_messages(payload)
    if messages is None:
        yield Arrival(
            record=record,
            name=name,
            received_at_ms=received_at_ms,
            payload=payload,
            body=body,
            notification_id=notification_id,
        )
        return
    for number, message in enumerate(messages):
        is_text = isinstance(message, str)
        yield Arrival(
            record=record,
            name=f"{name}-{number}",
            received_at_ms=received_at_ms,
            payload=_decoded(message) if isinstance(message, str) else SetAside.UNKNOWN_SHAPE,
            body=str(message) if is_text else json.dumps(message, default=str),
        )


def _is_notification(payload: Any) -> bool:
    """Whether this is an SNS envelope (Amazon SNS developer guide, *HTTP/HTTPS notification JSON format*)."""
    return (
        isinstance(payload, Mapping)
        and isinstance(payload.get("Message"), str)
        and isinstance(payload.get("MessageId"), str)
        and "TopicArn" in payload
    )


def _decoded(text: str) -> Any:
    try:
        return loads(text)
    except (ValueError, RecursionError):
        return SetAside.NOT_JSON


def _unpacked(awslogs: object) -> Any:
    data = awslogs.get("data") if isinstance(awslogs, Mapping) else None
    if not isinstance(data, str):
        return SetAside.UNKNOWN_SHAPE
    try:
        packed = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return SetAside.NOT_BASE64
    decoder = zlib.decompressobj(_GZIP)
    try:
        text = decoder.decompress(packed, MOST_LOG_BYTES)
    except zlib.error:
        return SetAside.UNKNOWN_SHAPE
    if decoder.unconsumed_tail or not decoder.eof:
        # What is cut short is larger than it may be, or was never whole.
        return SetAside.TOO_LARGE if decoder.unconsumed_tail else SetAside.UNKNOWN_SHAPE
    try:
        return loads(text)
    except (ValueError, RecursionError):
        return SetAside.NOT_JSON
