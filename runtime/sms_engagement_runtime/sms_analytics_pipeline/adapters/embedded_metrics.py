"""Metrics as log lines in CloudWatch's embedded metric format: no API call, one line a set of dimensions.

Shape: AWS, *Amazon CloudWatch user guide*, *Embedded metric format: specification*.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from sms_engagement_runtime.sms_analytics_pipeline.domain.metrics import NAMESPACE, MetricSet

_encode = msgspec.json.Encoder().encode


def metric_line(
    metric_set: MetricSet,
    *,
    at_ms: int,
    namespace: str = NAMESPACE,
    properties: Mapping[str, Any] | None = None,
) -> str:
    """Return one line.

    Parameters
    ----------
    at_ms
        Epoch milliseconds; CloudWatch takes what is at most two weeks old and two hours ahead
        (*PutMetricData*).
    namespace
        Of the metrics; another one keeps a second pipeline's figures apart.
    properties
        What else the line says, to people: no metrics.
    """
    definitions = [
        *({"Name": name, "Unit": "Count"} for name in metric_set.counts),
        *({"Name": name, "Unit": "None"} for name in metric_set.costs),
    ]
    line: dict[str, Any] = {
        **(properties or {}),
        "_aws": {
            "Timestamp": at_ms,
            "CloudWatchMetrics": [
                {
                    "Namespace": namespace,
                    "Dimensions": [list(metric_set.dimensions)],
                    "Metrics": definitions,
                }
            ],
        },
        **metric_set.dimensions,
        **metric_set.counts,
        **metric_set.costs,
    }
    return _encode(line).decode()


def write_lines(lines: Iterable[str]) -> None:
    """Write lines to the log, in one go: lines of other threads cannot come in between."""
    text = "\n".join(lines)
    if text:
        print(text, flush=True)  # noqa: T201 - standard output is where Lambda's log begins
