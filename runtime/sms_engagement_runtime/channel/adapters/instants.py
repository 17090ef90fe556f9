"""Instants as whole numbers: our rows keep milliseconds, DynamoDB's time to live seconds."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_milliseconds(instant: datetime) -> int:
    """Epoch milliseconds of an aware instant, without a float in between."""
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def from_milliseconds(milliseconds: int) -> datetime:
    """Aware UTC instant of epoch milliseconds."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def to_seconds(instant: datetime) -> int:
    """Epoch seconds, as ``expiresAt`` needs them."""
    return (instant - _EPOCH) // timedelta(seconds=1)
