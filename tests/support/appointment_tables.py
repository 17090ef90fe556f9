"""The table of conversations in moto, with the key and the index that the construct gives it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.dynamodb_tables import channel_tables, create_table

CONVERSATIONS = "conversations"


@contextmanager
def appointment_tables() -> Iterator[Any]:
    """Mock AWS and yield a DynamoDB client that sees the channel's tables and this one, empty."""
    with channel_tables() as client:
        create_table(client, CONVERSATIONS, "appointmentId", ("subscriberId", "startsAt"))
        yield client
