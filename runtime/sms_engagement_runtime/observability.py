"""Logger, tracer and metrics of every function, and the one decorator that puts them on a handler.

No log line and no trace may hold a phone number, a message body or a live link token. Three things see to
it: events and responses are never logged or traced, a phone number prints itself masked, and what still
looks like an E.164 number in a finished log line is masked here.
"""

import gc
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, cast

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime import COLLECTION_THRESHOLDS

NAMESPACE = "SMS/Engagement"
"""CloudWatch namespace of the business metrics."""

type Handler[R] = Callable[[Any, LambdaContext], R]

# ITU-T E.164: at most fifteen digits after the plus; seven is the shortest that PhoneNumber accepts.
_E164 = re.compile(r"\+[1-9]\d{2,10}(?=\d{4}(?!\d))")


def masked_json(entry: Any) -> str:
    """Serialise one log entry; of anything that looks like an E.164 number only the last four digits stay."""
    return _E164.sub("+***", json.dumps(entry, default=str, ensure_ascii=False))


logger = Logger(json_serializer=masked_json)
tracer = Tracer(auto_patch=False)
metrics = Metrics(namespace=NAMESPACE)


@dataclass(frozen=True, slots=True)
class _Failure:
    """An exception on its way past the tracer."""

    error: Exception


def instrumented[R](handler: Handler[R]) -> Handler[R]:
    """Wrap a Lambda handler with logging context, tracing and the flush of its metrics.

    The trace holds neither the response nor the exception's text: both may quote what a person wrote. An
    exception goes past the tracer: crossing it, it would be logged by Powertools with all that caused it, and
    written into the trace by the X-Ray SDK, both whatever ``capture_error`` says.

    A handler comes last in its module, so this also ends the start of the function: what lives by now, code
    and clients, is kept out of garbage collection for good, which from here on works as always.
    """
    gc.freeze()
    gc.set_threshold(*COLLECTION_THRESHOLDS)

    @wraps(handler)
    def caught(event: Any, context: LambdaContext) -> R | _Failure:
        try:
            return handler(event, context)
        except Exception as error:  # noqa: BLE001 - raised again below
            recorder: Any = tracer.provider
            subsegment = recorder.current_subsegment()
            if subsegment is not None:
                subsegment.add_fault_flag()
            return _Failure(error)

    traced = tracer.capture_lambda_handler(caught, capture_response=False, capture_error=False)

    @wraps(handler)
    def measured(event: Any, context: LambdaContext) -> R:
        try:
            result = traced(event, context)
            if isinstance(result, _Failure):
                raise result.error
            return cast("R", result)
        finally:
            # `log_metrics` would print a warning into the log whenever there is nothing to count.
            if metrics.provider.metric_set:
                metrics.flush_metrics()

    return cast("Handler[R]", logger.inject_lambda_context(measured, clear_state=True))
