"""Deliveries doubled, shuffled and split, calls throttled, functions killed, all by a switch.

Reason
    That nothing is sent twice, and nothing is lost, is to be seen where everything goes wrong that AWS allows
    to go wrong, and not only where all goes well.
AWS
    Queues, streams and the bus deliver at least once, standard queues in any order, streams in batches of any
    length: https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html. DynamoDB and
    Step Functions throttle, by ``ThrottlingException`` with status 400:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html. Where the
    process of a function ends, the answer is an error of type ``Runtime.ExitError``:
    https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html
MiniStack 1.5.33
    Delivers once, in order, as soon as it can, throttles nobody, and calls the error of a process that ended
    ``Runtime.HandlerError``.
Hook
    ``lambda_svc._execute_function`` looks at the event that it gets; the ASGI application answers throttled
    calls, those signed with a function's own credentials only; a worker is told with its invocation after how
    many calls it ends. ``GET`` and ``POST /_sms_local/faults`` read and replace the switches
    (`sms_local.emulator.faults.Faults`); all are off at the start.
"""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from sms_local.emulator.faults import FAULTS_PATH, Draws, Faults
from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite
from sms_local.emulator.patches.virtual_time import AsgiCallable, Scope, _body

THROTTLED: Final[Mapping[bytes, str]] = {
    b"DynamoDB_20120810": "com.amazonaws.dynamodb.v20120810#ThrottlingException",
    b"AWSStepFunctions": "ThrottlingException",
}
"""Services by the prefix of ``x-amz-target``, and their error."""

_CALL_HOOK: Final = """
_ms_crash = {"after": None}

def _ms_end_here():
    # Without any clean-up, as when the environment is taken away.
    os._exit(1)

def _ms_install_crashes():
    try:
        import botocore.handlers
    except ImportError:
        return

    def _ms_before_call(**kwargs):
        if _ms_crash["after"] is not None and _ms_crash["after"] <= 0:
            _ms_end_here()

    def _ms_after_call(**kwargs):
        if _ms_crash["after"] is not None:
            _ms_crash["after"] -= 1

    botocore.handlers.BUILTIN_HANDLERS.append(("before-call", _ms_before_call))
    botocore.handlers.BUILTIN_HANDLERS.append(("after-call", _ms_after_call))

def run():
"""
"""In the worker: it ends before the call that follows the last one that it is left."""

_INSTALLS: Final = "    _ms_install_invoke_depth()\n"
_TAKES_CONTEXT: Final = '        _ms_ctx = _ms_msg.get("ctx") or {}\n'
_HAS_RESULT: Final = "            result = handler_fn(event, context)\n"


def apply(_: PatchSettings) -> None:
    """Put the switches in, all off."""
    from ministack import app as gateway
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    draws = Draws()
    _let_workers_end(lambda_runtime, lambda_svc, draws)
    require(holds=hasattr(lambda_svc, "_execute_function"), what="lambda_svc._execute_function")
    lambda_svc._execute_function = delivering(lambda_svc._execute_function, draws)
    require(holds=callable(getattr(gateway, "app", None)), what="ASGI application ministack.app.app")
    gateway.app = _with_switches(gateway.app, draws)


def delivering(execute: Callable[..., Any], draws: Draws) -> Callable[..., Any]:
    """Wrap what calls a function, so that deliveries of events suffer what is switched on."""
    inside = threading.local()

    def execute_with_faults(function: Any, event: Any, *arguments: Any, **options: Any) -> Any:
        # It calls itself, to change into the account of the function.
        if getattr(inside, "is_called", False) or not is_delivery(event):
            return execute(function, event, *arguments, **options)
        inside.is_called = True
        try:
            return _deliver(lambda given: execute(function, given, *arguments, **options), event, draws)
        finally:
            inside.is_called = False

    return execute_with_faults


def is_delivery(event: Any) -> bool:
    """Tell whether an event comes from a queue, a stream, a topic or the bus, at least once."""
    return isinstance(event, Mapping) and ("detail-type" in event or isinstance(event.get("Records"), list))


def _deliver(call: Callable[[Any], Any], event: Mapping[str, Any], draws: Draws) -> Any:
    records = event.get("Records") or []
    if len(records) > 1 and draws.happens("reorder", draws.faults.reorder):
        if "kinesis" in records[0] or "dynamodb" in records[0]:
            return _in_two_parts(call, records, draws)
        event = {**event, "Records": draws.shuffled(records)}
    return _perhaps_twice(call, event, draws)


def _in_two_parts(call: Callable[[Any], Any], records: list[Any], draws: Draws) -> Any:
    """Deliver the first half, and the second one if all of the first is done."""
    half = len(records) // 2
    first = _perhaps_twice(call, {"Records": records[:half]}, draws)
    body = first.get("body") if isinstance(first, Mapping) else None
    if first.get("error") or (isinstance(body, Mapping) and body.get("batchItemFailures")):
        # A stream goes on from the first failure; what comes after it has not been delivered yet.
        return first
    return _perhaps_twice(call, {"Records": records[half:]}, draws)


def _perhaps_twice(call: Callable[[Any], Any], event: Any, draws: Draws) -> Any:
    if draws.happens("duplicate", draws.faults.duplicate):
        call(event)
    return call(event)


def _let_workers_end(lambda_runtime: Any, lambda_svc: Any, draws: Draws) -> None:
    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    for place in (_INSTALLS, _TAKES_CONTEXT, _HAS_RESULT, "\ndef run():\n"):
        require(
            holds=script.count(place) == 1, what=f"{place.strip()!r} in lambda_runtime._PYTHON_WORKER_SCRIPT"
        )
    lambda_runtime._PYTHON_WORKER_SCRIPT = (
        script.replace("\ndef run():\n", _CALL_HOOK)
        .replace(_INSTALLS, f"{_INSTALLS}    _ms_install_crashes()\n")
        .replace(_TAKES_CONTEXT, f'{_TAKES_CONTEXT}        _ms_crash["after"] = _ms_ctx.get("crash_after")\n')
        .replace(
            _HAS_RESULT,
            f'{_HAS_RESULT}            if _ms_crash["after"] is not None:\n                _ms_end_here()\n',
        )
    )
    lambda_runtime._crash_after = draws.crash_after
    rewrite(
        lambda_runtime.Worker,
        "invoke",
        ('"depth": depth,', '"depth": depth,\n                    "crash_after": _crash_after(),'),
    )
    rewrite(
        lambda_svc,
        "_execute_function_warm",
        (
            'error_type = result.get("type") or "Runtime.HandlerError"',
            'error_type = result.get("type") or (\n'
            '                "Runtime.ExitError" if error_msg == "Worker process died" '
            'else "Runtime.HandlerError"\n            )',
        ),
    )


def _with_switches(application: AsgiCallable, draws: Draws) -> AsgiCallable:
    async def application_with_switches(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == FAULTS_PATH:
            await _answer_json(send, *await _switch(scope, receive, draws))
            return
        error = _throttling(scope, draws) if scope["type"] == "http" else None
        if error is None:
            await application(scope, receive, send)
            return
        # Read, or the caller's connection would be of no use any more.
        await _body(receive)
        await _answer_json(send, 400, {"__type": error, "message": "Rate exceeded"})

    return application_with_switches


async def _switch(scope: Scope, receive: Any, draws: Draws) -> tuple[int, dict[str, Any]]:
    if scope["method"] == "POST":
        try:
            fields = json.loads(await _body(receive) or b"{}")
            # What is not named stays; without any, all is off.
            draws.set(draws.faults.changed(fields) if fields else Faults())
        except ValueError as error:
            return 400, {"error": str(error)}
    return 200, draws.describe()


def _throttling(scope: Scope, draws: Draws) -> str | None:
    """Return the error of a call that is throttled, None of one that is not."""
    if not draws.faults.service_throttle:
        return None
    headers = dict(scope["headers"])
    error = THROTTLED.get(headers.get(b"x-amz-target", b"").partition(b".")[0])
    # Temporary credentials are functions'; whoever drives the cloud from outside has others.
    if error is None or b"Credential=ASIA" not in headers.get(b"authorization", b""):
        return None
    return error if draws.happens("service_throttle", draws.faults.service_throttle) else None


async def _answer_json(send: Any, status: int, answer: Mapping[str, Any]) -> None:
    body = json.dumps(answer).encode()
    headers = [(b"content-type", b"application/x-amz-json-1.0"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
