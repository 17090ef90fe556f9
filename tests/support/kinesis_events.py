"""Kinesis batches as Lambda hands them to a consumer."""

import base64
import json
from collections.abc import Sequence
from typing import Any

NOON_MS = 1_795_280_400_000
"""2026-11-21T17:00:00Z, in epoch milliseconds."""

SHARD = "shardId-000000000000"


def canonical(number: int = 0, **fields: Any) -> dict[str, Any]:
    """A canonical event of a delivered text, with these fields replaced; None takes a field out."""
    event: dict[str, Any] = {
        "event_type": "_SMS.SUCCESS",
        "event_id": f"message-{number}/SUCCESS/DELIVERED",
        "event_timestamp": NOON_MS + number,
        "arrival_timestamp": NOON_MS + number + 400,
        "subscriber_id": f"v1:subscriber-{number % 7}",
        "phone_number": "+12025550101",
        "message_id": f"message-{number}",
        "campaign_id": "spring",
        "journey_id": None,
        "record_status": "DELIVERED",
        "message_type": "PROMOTIONAL",
        "country_code": "US",
        "price_millicents": 581,
        "parts": 1,
        "response_text": None,
        "keyword": None,
        "origination": "+12065550100",
        "schema_version": 1,
        **fields,
    }
    return {name: value for name, value in event.items() if value is not None}


def stream_record(number: int, event: Any, *, shard: str = SHARD) -> dict[str, Any]:
    """One record; an event of bytes is taken as it is, and one of text as data that is no base64."""
    if isinstance(event, str):
        data = event
    else:
        raw = event if isinstance(event, bytes) else json.dumps(event, ensure_ascii=False).encode()
        data = base64.b64encode(raw).decode()
    sequence_number = f"{49_590_000_000_000_000_000_000 + number}"
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": event.get("subscriber_id", "?") if isinstance(event, dict) else "?",
            "sequenceNumber": sequence_number,
            "data": data,
            "approximateArrivalTimestamp": NOON_MS / 1000 + number / 10,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard}:{sequence_number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::123456789012:role/consumer",
        "awsRegion": "us-east-1",
        "eventSourceARN": "arn:aws:kinesis:us-east-1:123456789012:stream/stream",
    }


def stream_batch(events: Sequence[Any], *, first: int = 0, shard: str = SHARD) -> dict[str, Any]:
    """A batch of records, numbered from `first` on."""
    return {
        "Records": [stream_record(number, event, shard=shard) for number, event in enumerate(events, first)]
    }
