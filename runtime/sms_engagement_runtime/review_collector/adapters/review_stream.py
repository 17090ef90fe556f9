"""Records of the streams of reviews and of review requests, as Lambda hands them over.

``{"eventName": "REMOVE", "userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"},
"dynamodb": {"SequenceNumber": "…", "ApproximateCreationDateTime": 1795280400, "OldImage": {…}}, …}``
(AWS Lambda developer guide, *Using AWS Lambda with Amazon DynamoDB*).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sms_engagement_runtime.review_collector.domain.archive import Row


def is_expiry(record: Mapping[str, Any]) -> bool:
    """Whether the record is a deletion by time to live, not one that somebody asked for.

    Source: Amazon DynamoDB developer guide, *DynamoDB Streams and Time to Live*.
    """
    identity = record.get("userIdentity") or {}
    return (
        record["eventName"] == "REMOVE"
        and identity.get("type") == "Service"
        and identity.get("principalId") == "dynamodb.amazonaws.com"
    )


def sequence_number(record: Mapping[str, Any]) -> str:
    """Return what names the record in a batch response."""
    return str(record["dynamodb"]["SequenceNumber"])


def deleted_at(record: Mapping[str, Any]) -> datetime:
    """Return when the row was deleted, aware UTC, in whole seconds; the same for every delivery."""
    return datetime.fromtimestamp(int(record["dynamodb"]["ApproximateCreationDateTime"]), tz=UTC)


def old_row(record: Mapping[str, Any]) -> Row:
    """Return the row as it was before it was deleted, as plain values."""
    return {name: _plain(attribute) for name, attribute in record["dynamodb"]["OldImage"].items()}


def new_row(record: Mapping[str, Any]) -> Row | None:
    """Return the row as it is now, as plain values; None where it was deleted."""
    image = record["dynamodb"].get("NewImage")
    return None if image is None else plain_row(image)


def plain_row(image: Mapping[str, Any]) -> Row:
    """Return a row in wire format as plain values."""
    return {name: _plain(attribute) for name, attribute in image.items()}


def key_of(record: Mapping[str, Any]) -> tuple[str, str]:
    """Return name and value of the row's key, a text."""
    ((name, attribute),) = record["dynamodb"]["Keys"].items()
    return str(name), str(attribute["S"])


def _plain(attribute: Mapping[str, Any]) -> object:
    """Read one attribute of any type, since the table may have got attributes that this code never heard of.

    Numbers become int where they are whole, else float. Binary values stay the base64 that the event has.
    """
    ((kind, value),) = attribute.items()
    match kind:
        case "N":
            return _number(value)
        case "NS":
            return [_number(digits) for digits in value]
        case "M":
            return {name: _plain(member) for name, member in value.items()}
        case "L":
            return [_plain(member) for member in value]
        case "NULL":
            return None
    return value


def _number(digits: str) -> int | float:
    return int(digits) if digits.lstrip("-").isdecimal() else float(digits)
