"""Rows by key, a hundred in a call, asked for again while DynamoDB hands keys back unread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError, service_call

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOST_KEYS: Final = 100
"""Keys of one ``BatchGetItem`` (DynamoDB API reference)."""

# Keys come back unread where the table is throttled, so asking at once again makes it worse (DynamoDB API
# reference, BatchGetItem).
_PAUSES_SECONDS: Final = (0.1, 0.2, 0.4, 0.8)

PATIENT_PAUSES_SECONDS: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""For a reader whose whole batch is done again if it gives up."""


def read_batch(
    client: DynamoDBClient,
    table: str,
    keys: Sequence[Mapping[str, Any]],
    *,
    sleep: Callable[[float], None],
    pauses: Sequence[float] = _PAUSES_SECONDS,
    **options: Any,
) -> Iterator[dict[str, Any]]:
    """Read the rows of at most `MOST_KEYS` keys, in no order; those that do not exist are absent.

    Parameters
    ----------
    table
        Its name or its ARN.
    sleep
        Waits before keys that came back unread are asked for again.
    pauses
        Seconds of each such wait; after the last one the call fails.
    **options
        Of the table's share of the request: ``ProjectionExpression``, ``ConsistentRead``, ...

    Raises
    ------
    ServiceCallError
        A call failed, or DynamoDB kept handing keys back unread.
    """
    requests: Any = {table: {"Keys": keys, **options}}
    for pause in (*pauses, None):
        with service_call("dynamodb:BatchGetItem"):
            answer = client.batch_get_item(RequestItems=requests)
        # A table may be given by ARN, and is then answered by it or by its name.
        for rows in answer["Responses"].values():
            yield from rows
        unread = next(iter(answer.get("UnprocessedKeys", {}).values()), None)
        if not unread:
            return
        requests = {table: {"Keys": unread["Keys"], **options}}
        if pause is not None:
            sleep(pause)
    raise ServiceCallError("dynamodb:BatchGetItem: unprocessed keys were left unread")
