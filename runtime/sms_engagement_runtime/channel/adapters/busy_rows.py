"""Writes that meet another write of the same row: DynamoDB refuses one of the two, and does nothing of it."""

from collections.abc import Callable, Iterable
from typing import Final

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import (
    ServiceCallError,
    cancellation_codes,
    error_code,
    service_call,
)

_BUSY: Final = frozenset(
    {
        # A single write that meets a transaction, and a transaction that meets any other write (Amazon
        # DynamoDB developer guide, *Transaction conflict handling*). botocore repeats neither.
        "TransactionConflictException",
        "TransactionConflict",
        # Reasons of a transaction that was cancelled for the rate of the row.
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
    }
)


class RowBusyError(ServiceCallError):
    """Other writes of the row were in the way each time. It is certain that nothing was written."""


def write_when_free[T](
    write: Callable[[], T], *, operation: str, pauses: Iterable[float], sleep: Callable[[float], None]
) -> T:
    """Write, and again after each pause where another write of the row was under way.

    Raises
    ------
    RowBusyError
        There was one each time.
    ServiceCallError
        The write failed in another way. It may have been done.
    """
    for pause in (*pauses, None):
        try:
            with service_call(operation):
                return write()
        except ServiceCallError as error:
            if not _is_busy(error.__cause__):
                raise
            if pause is None:
                raise RowBusyError(str(error)) from error
            sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def _is_busy(error: BaseException | None) -> bool:
    return isinstance(error, ClientError) and not _BUSY.isdisjoint(
        (error_code(error), *cancellation_codes(error))
    )
