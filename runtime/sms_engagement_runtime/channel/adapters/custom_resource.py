"""Answers of a CloudFormation custom resource, put to the event's ``ResponseURL``."""

import json
import logging
from collections.abc import Mapping
from typing import Any, Final

import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError

from sms_engagement_runtime.channel.domain.errors import TransientError

REASON_LIMIT: Final = 500
"""An answer has at most 4,096 bytes in all (CloudFormation, *custom resource response objects*)."""

_POOL: Final = urllib3.PoolManager(
    timeout=urllib3.Timeout(connect=2, read=8),
    # The answer may be put any number of times. Without it CloudFormation waits for an hour.
    retries=urllib3.Retry(
        total=4, backoff_factor=0.5, status_forcelist=(500, 502, 503, 504), allowed_methods={"PUT"}
    ),
)

# Whoever holds the presigned URL can answer in our place, and urllib3 warns of each retry with the URL in it.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


class AnswerNotTakenError(TransientError):
    """CloudFormation could not be answered. It names the fault, and not the URL, which is a secret."""


def answer(event: Mapping[str, Any], *, physical_id: str, failure: str | None = None) -> None:
    """Tell CloudFormation how a request ended.

    Parameters
    ----------
    event
        The request, with ``ResponseURL``, ``StackId``, ``RequestId`` and ``LogicalResourceId``.
    physical_id
        Physical resource id; a changed one makes CloudFormation delete the former.
    failure
        One sentence for the stack's events; ``None`` when all went well.

    Raises
    ------
    AnswerNotTakenError
        The answer was put as often as it may be. Lambda delivers the request again.
    """
    body = json.dumps(
        {
            "Status": "SUCCESS" if failure is None else "FAILED",
            "Reason": (failure or "")[:REASON_LIMIT],
            "PhysicalResourceId": physical_id,
            "StackId": event["StackId"],
            "RequestId": event["RequestId"],
            "LogicalResourceId": event["LogicalResourceId"],
        }
    )
    try:
        # The URL is presigned for an empty content type.
        response = _POOL.request(
            "PUT", event["ResponseURL"], body=body.encode(), headers={"content-type": ""}
        )
        response.drain_conn()
    except HTTPError as error:
        fault = error.reason if isinstance(error, MaxRetryError) else error
        raise AnswerNotTakenError(f"CloudFormation was not answered: {type(fault).__name__}") from None
