"""Speaking to the carrier simulator, for the patches that stand in for AWS End User Messaging SMS."""

import http.client
import json
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

TARGET_PREFIX = "PinpointSMSVoiceV2"
"""``targetPrefix`` in botocore's model ``pinpoint-sms-voice-v2/2022-03-31``."""

CALL_TIMEOUT_SECONDS = 30.0


class CarrierError(Exception):
    """The carrier refused a call, or could not be reached.

    Attributes
    ----------
    code
        The service's error code, e.g. ``ResourceNotFoundException``.
    """

    def __init__(self, operation: str, code: str, text: str) -> None:
        super().__init__(f"{operation}: {code}: {text}")
        self.code = code


def call(carrier_url: str, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Call one operation of the carrier's service API (AWS JSON 1.0) and return its answer.

    Raises
    ------
    CarrierError
        When the answer is an error, or there is none.
    """
    address = urlsplit(carrier_url)
    connection = http.client.HTTPConnection(
        address.hostname or "127.0.0.1", address.port, timeout=CALL_TIMEOUT_SECONDS
    )
    headers = {
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": f"{TARGET_PREFIX}.{operation}",
        "amz-sdk-invocation-id": str(uuid.uuid4()),
    }
    try:
        connection.request("POST", "/", body=json.dumps(request), headers=headers)
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise CarrierError(operation, "CarrierUnreachable", str(error)) from error
    finally:
        connection.close()
    parsed: dict[str, Any] = json.loads(answer or b"{}")
    if response.status != http.HTTPStatus.OK:
        code = str(parsed.get("__type", response.status)).rpartition("#")[2]
        raise CarrierError(operation, code, str(parsed.get("Message") or parsed.get("message") or ""))
    return parsed
