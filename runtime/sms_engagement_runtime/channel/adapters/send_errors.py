"""What an unsuccessful send call proves, as one of the domain's four send errors.

The rule of the whole channel: only an answer that *proves refusal* may free a claim. After anything else
the text may be on its way, and sending again would be a second text.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from sms_engagement_runtime.channel.adapters.aws_errors import (
    error_code,
    error_reason,
    is_throttling,
    status_code,
)
from sms_engagement_runtime.channel.domain.errors import (
    EngagementError,
    OutcomeUnknownError,
    SendingDisabledError,
    SendRefusedError,
    SendThrottledError,
)

NOT_CONNECTED: Final = "NOT_CONNECTED"
"""Reason where no connection came about."""

_DISABLED_CODES: Final = frozenset(
    {
        # The account, its permissions or its configuration, not this text: every further text would meet
        # the same answer.
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAction",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "NotFound",
        "OptInRequired",
        "RequestExpired",
        "ResourceNotFoundException",
        "ServiceQuotaExceededException",
        "SignatureDoesNotMatch",
        "SubscriptionRequiredException",
        "UnknownOperationException",
        "UnrecognizedClientException",
    }
)
_DISABLED_REASONS: Final = frozenset(
    {
        # ConflictException and ValidationException reasons that speak of the origination identity or the
        # account (service model `pinpoint-sms-voice-v2`); the others speak of this text or this number.
        "DESTINATION_PHONE_NUMBER_NOT_VERIFIED",
        "MESSAGE_TYPE_MISMATCH",
        "NO_ORIGINATION_IDENTITIES_FOUND",
        "RESOURCE_NOT_ACCESSIBLE",
        "RESOURCE_NOT_ACTIVE",
        "SENDER_ID_NOT_REGISTERED",
        "SENDER_ID_REQUIRES_REGISTRATION",
    }
)


@contextmanager
def send_call() -> Iterator[None]:
    """Translate what a send call raises.

    Raises
    ------
    SendThrottledError
        The service refused the call for its rate, or no connection came about (refused, no route, name not
        found, connect time-out): not one byte of the request left, so nothing can have been accepted.
    SendingDisabledError
        Spend limit, account, permission or configuration: nothing more can be sent now.
    SendRefusedError
        Any other 4xx answer: this text to this number is refused for good.
    OutcomeUnknownError
        5xx, read time-out, broken connection, unreadable answer: the text may have been accepted.
    """
    try:
        yield
    except ClientError as error:
        raise refusal(error) from error
    except (EndpointConnectionError, ConnectTimeoutError) as error:
        raise SendThrottledError(NOT_CONNECTED) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise SendingDisabledError(type(error).__name__) from error
    except ParamValidationError:
        # botocore refused to build the request. Its text quotes the parameters, so it is not passed on.
        raise SendRefusedError("INVALID_PARAMETER") from None
    except (BotoCoreError, ResponseParserError) as error:
        raise OutcomeUnknownError(type(error).__name__) from error


def refusal(error: ClientError) -> EngagementError:
    """Class an error answer by its status, code and reason."""
    reason = error_reason(error)
    if is_throttling(error):
        return SendThrottledError(reason)
    if not 400 <= status_code(error) < 500 or status_code(error) == HTTPStatus.REQUEST_TIMEOUT:
        return OutcomeUnknownError(reason)
    if error_code(error) in _DISABLED_CODES or reason in _DISABLED_REASONS or not _is_of_service(error):
        return SendingDisabledError(reason)
    return SendRefusedError(reason)


def _is_of_service(error: ClientError) -> bool:
    """Whether the answer names an exception. A proxy's refusal does not, and says nothing about this text."""
    code = error_code(error)
    return code != "Unknown" and not code.isdigit()
