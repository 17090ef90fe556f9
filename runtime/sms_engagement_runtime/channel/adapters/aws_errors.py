"""Translation of botocore's errors into the domain's.

Everything that goes wrong between us and an AWS service is transient from the domain's point of view: the
batch record goes back to its queue, and a lasting fault (a missing permission, a deleted table) ends in the
dead-letter queue, where a human finds it, instead of losing a STOP.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sms_engagement_runtime.channel.domain.errors import CallRefusedError, TransientError

_REFUSALS = frozenset(
    {
        # Rights: of DynamoDB and Step Functions, of S3, and of the key that encrypts.
        "AccessDeniedException",
        "AccessDenied",
        "KMSAccessDeniedException",
        "DisabledException",
        # What is called is gone, or the call itself is wrong.
        "ResourceNotFoundException",
        "NoSuchBucket",
        "ValidationException",
    }
)


class ServiceCallError(TransientError):
    """A call to an AWS service failed; the record is to be tried again."""


class ServiceRefusedError(ServiceCallError, CallRefusedError):
    """A call to an AWS service failed, and does so each time."""


class service_call:  # noqa: N801 - read as the function that it stands for
    """Raise :class:`ServiceCallError` in place of botocore's errors.

    A class, since every text passes through eight of them, and a generator costs three times as much.

    Parameters
    ----------
    operation
        Name for the message, as in ``"dynamodb:PutItem"``. The message holds the error code, never AWS's
        text, which may quote the request.
    """

    __slots__ = ("_operation",)

    def __init__(self, operation: str) -> None:
        self._operation = operation

    def __enter__(self) -> None:
        """Begin the call."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, ClientError):
            kind = ServiceRefusedError if error_code(error) in _REFUSALS else ServiceCallError
            raise kind(f"{self._operation}: {error_code(error)}") from error
        if isinstance(error, BotoCoreError):
            raise ServiceCallError(f"{self._operation}: {type(error).__name__}") from error


def error_code(error: ClientError) -> str:
    """Short name of an AWS error, as ``ThrottlingException``."""
    return error.response.get("Error", {}).get("Code", "Unknown")


def error_reason(error: ClientError) -> str:
    """``Reason`` of an End User Messaging error, else its code.

    ``Reason`` is a top-level member of the parsed error, beside ``Error`` (botocore, service model
    ``pinpoint-sms-voice-v2``).
    """
    response: Any = error.response
    return str(response.get("Reason") or error_code(error))


def status_code(error: ClientError) -> int:
    """HTTP status of an AWS error answer; 0 where it is not known."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


_THROTTLING_CODES = frozenset(
    {
        # botocore.retries.standard.ThrottledRetryableChecker
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


def is_throttling(error: ClientError) -> bool:
    """Whether the service refused the call because of its rate."""
    return status_code(error) == 429 or error_code(error) in _THROTTLING_CODES


def is_failed_condition(error: ClientError) -> bool:
    """Whether a write was not done because its condition did not hold."""
    return error_code(error) == "ConditionalCheckFailedException"


def cancellation_codes(error: ClientError) -> list[str]:
    """Why a transaction was cancelled: one code an item, ``None`` for those without fault."""
    return [str(reason.get("Code", "None")) for reason in cancellation_reasons(error)]


def cancellation_reasons(error: ClientError) -> Sequence[Mapping[str, Any]]:
    """Why a transaction was cancelled, an entry an item: ``Code``, and ``Item`` where it was asked for."""
    response: Any = error.response
    reasons: Sequence[Mapping[str, Any]] = response.get("CancellationReasons", [])
    return reasons
