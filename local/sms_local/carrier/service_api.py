"""The service's API: AWS JSON 1.0 at ``/``, the operation in ``x-amz-target``."""

import json
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response

from sms_local.carrier.account import Account
from sms_local.carrier.connections import HangUp
from sms_local.carrier.errors import ServiceError, throttled
from sms_local.carrier.operations import ACCOUNT_OPERATIONS
from sms_local.carrier.operations.sending import TextSender
from sms_local.carrier.script import Script
from sms_local.carrier.service_model import TARGET_PREFIX, service_model
from sms_local.carrier.validation import check_request

_log = logging.getLogger(__name__)
_SEND: Final = "SendTextMessage"

type Operation = Callable[[Mapping[str, Any]], dict[str, Any]]


class ServiceApi:
    """Serves the operations of the service."""

    def __init__(self, account: Account, script: Script, sender: TextSender) -> None:
        self._script = script
        self._operations: dict[str, Operation] = {
            name: partial(operation, account) for name, operation in ACCOUNT_OPERATIONS.items()
        }
        self._operations[_SEND] = sender.send_text_message
        self._answers_by_token: dict[tuple[str, str], dict[str, Any]] = {}

    async def handle(self, request: Request) -> Response:
        """Answer one call."""
        try:
            name = _operation_in(request.headers.get("x-amz-target", ""))
            parameters = _parse(await request.body())
            answer = self.call(name, parameters)
        except ServiceError as exc:
            _log.info("refused: %s", exc)
            return _json(exc.body(), status=exc.status)
        if name == _SEND and not parameters.get("DryRun") and self._script.take_crash():
            _log.info("accepted and left unanswered")
            return HangUp()
        return _json(answer)

    def call(self, name: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out the operation `name`; raise `ServiceError` where the service answers with one.

        A second request with the same ``ClientToken`` gets the answer of the first and changes nothing, so
        that clients may repeat what got no answer.
        """
        operation = self._operations.get(name)
        if operation is None:
            raise ServiceError("UnknownOperationException", f"{name} is not simulated.")
        check_request(name, request)
        # A member that is null counts as absent in the JSON protocol.
        given = {member: value for member, value in request.items() if value is not None}
        if self._script.throttles(name):
            raise throttled()
        token = (name, given.get("ClientToken", ""))
        if token in self._answers_by_token:
            return self._answers_by_token[token]
        answer = operation(given)
        if token[1]:
            self._answers_by_token[token] = answer
        return answer


def _operation_in(target: str) -> str:
    prefix, _, name = target.partition(".")
    if prefix != TARGET_PREFIX or name not in service_model().operation_names:
        raise ServiceError("UnknownOperationException", "x-amz-target names no operation of the service.")
    return name


def _parse(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body or b"{}")
        # Half a surrogate pair is legal in JSON and no character of any text.
        json.dumps(parsed, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as exc:
        raise ServiceError("SerializationException", "The body is not JSON.") from exc
    if not isinstance(parsed, dict):
        raise ServiceError("SerializationException", "The body is not a JSON object.")
    return parsed


def _json(body: Mapping[str, Any], *, status: int = 200) -> Response:
    return Response(
        json.dumps(body),
        status_code=status,
        media_type="application/x-amz-json-1.0",
        headers={"x-amzn-RequestId": str(uuid4())},
    )
