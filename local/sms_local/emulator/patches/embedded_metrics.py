"""What functions log in CloudWatch's embedded metric format becomes metrics.

Reason
    All metrics of the product are log lines. Without them no dashboard and no alarm shows what happened, and
    a wrong dimension or unit is not seen.
AWS
    A log event that is a JSON object with ``_aws.CloudWatchMetrics`` makes, for each directive, each set of
    dimensions and each metric, data points of the values at the object's root: a number, or up to 100 of
    them. ``_aws.Timestamp`` is their instant, in milliseconds. A directive that is not as specified makes
    none.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
MiniStack 1.5.33
    Keeps the log event, and makes no metrics.
Hook
    ``lambda_svc._emit_lambda_logs``, which gets the lines of each invocation. Lines that reach the log in
    another way (``PutLogEvents``) make no metrics. A function stamps its metrics by the machine's clock; here
    they count for the virtual instant.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sms_local.emulator.patches._pinned import PatchSettings, require
from sms_local.emulator.virtual_clock import VirtualClock

logger = logging.getLogger(__name__)

MOST_VALUES: Final = 100
MOST_DIMENSIONS: Final = 30

LONGEST_RUN_SECONDS: Final = 900.0
"""Of a function. What is stamped less far from the machine's time was stamped by the machine's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Datum:
    """Data points of one metric.

    Attributes
    ----------
    at
        In epoch seconds.
    """

    namespace: str
    name: str
    unit: str
    dimensions: Mapping[str, str]
    values: Sequence[float]
    at: float


def apply(settings: PatchSettings) -> None:
    """Make metrics of log lines."""
    from ministack.services import cloudwatch, lambda_svc

    require(holds=hasattr(cloudwatch, "_store_datum"), what="cloudwatch._store_datum")
    require(holds=hasattr(lambda_svc, "_emit_lambda_logs"), what="lambda_svc._emit_lambda_logs")
    emit = lambda_svc._emit_lambda_logs

    def emit_with_metrics(
        function: Any, request_id: str, log_text: str, *others: Any, **options: Any
    ) -> None:
        emit(function, request_id, log_text, *others, **options)
        for datum in metrics_of(log_text or ""):
            cloudwatch._store_datum(
                datum.namespace,
                datum.name,
                dict(datum.dimensions),
                _virtual(datum.at, settings.clock),
                datum.unit,
                None,
                list(datum.values),
                None,
                None,
            )

    lambda_svc._emit_lambda_logs = emit_with_metrics


def _virtual(at: float, clock: VirtualClock) -> float:
    is_real = abs(at - (clock.now() - clock.offset)) < LONGEST_RUN_SECONDS
    return at + clock.offset if is_real else at


def metrics_of(log_text: str) -> Iterator[Datum]:
    """Return the data of all lines that are in the format."""
    for line in log_text.split("\n"):
        if '"_aws"' not in line:
            continue
        try:
            event = json.loads(line)
            yield from list(_data(event))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            # As on AWS, such a line stays a log line.
            logger.warning("A line in the embedded metric format made no metrics: %r", error)


def _data(event: Mapping[str, Any]) -> Iterator[Datum]:
    metadata = event["_aws"]
    for directive in metadata["CloudWatchMetrics"]:
        for names in directive.get("Dimensions") or [[]]:
            if len(names) > MOST_DIMENSIONS:
                message = f"a dimension set has {len(names)} members, and may have {MOST_DIMENSIONS}"
                raise ValueError(message)
            for metric in directive["Metrics"]:
                if metric["Name"] in event:
                    yield Datum(
                        namespace=directive["Namespace"],
                        name=metric["Name"],
                        unit=metric.get("Unit") or "None",
                        dimensions={name: str(event[name]) for name in names},
                        values=_values(event[metric["Name"]]),
                        at=float(metadata["Timestamp"]) / 1000,
                    )


def _values(value: object) -> list[float]:
    values: list[Any] = value if isinstance(value, list) else [value]
    if len(values) > MOST_VALUES or not all(type(each) in (int, float) for each in values):
        message = f"a metric has {len(values)} values, and may have {MOST_VALUES} numbers"
        raise ValueError(message)
    return [float(each) for each in values]
