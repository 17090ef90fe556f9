"""``GetMetricData`` evaluates metric math, and knows metrics by all of their dimensions.

Reason
    Shares and rates of the dashboard are expressions; with several sets of dimensions on each count, a query
    for the one without dimensions would give the sum of all sets, a multiple of what happened.
AWS
    A query has a metric or an expression over others. A metric is its name with exactly its dimensions.
    Values come newest first unless ``ScanBy`` says otherwise. Values of an hour are kept for 455 days.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
MiniStack 1.5.33
    Answers ``InternalError`` for an expression; adds up all metrics of a name in a query without dimensions,
    also in ``GetMetricStatistics``; always answers oldest first; forgets what is older than two weeks.
Hook
    The branch for expressions in ``cloudwatch._get_metric_data`` evaluates them by ``_metric_math``. What it
    does not know is still an ``InternalError`` of that query, with the reason. All values are kept as long
    as those of an hour, in any detail.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sms_local.emulator.patches._metric_data import search, series_of
from sms_local.emulator.patches._metric_math import (
    Series,
    UnsupportedExpressionError,
    Window,
    evaluate_each,
)
from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite

SEARCH: Final = re.compile(r"""\s*SEARCH\(\s*'([^']*)'.*\)\s*""", re.DOTALL)
PROPERTY: Final = re.compile(r"\$\{PROP\('([\w.-]+)'\)\}")
"""In a label, which may name what a series is of.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/graph-dynamic-labels.html
"""

DEFAULT_PERIOD_SECONDS: Final = 60
MOST_PERIODS: Final = 100_800
"""What one answer holds at the most."""

KEPT_SECONDS: Final = 455 * 86_400


def apply(_: PatchSettings) -> None:
    """Answer expressions."""
    from ministack.services import cloudwatch

    require(holds=hasattr(cloudwatch, "TWO_WEEKS_SECONDS"), what="cloudwatch.TWO_WEEKS_SECONDS")
    vars(cloudwatch).update(
        _expression_results=expression_results,
        _is_newest_first=is_newest_first,
        TWO_WEEKS_SECONDS=KEPT_SECONDS,
    )
    rewrite(
        cloudwatch,
        "_get_metric_data",
        (
            'if q.get("Expression"):\n',
            'if q.get("Expression"):\n'
            "            results.extend(_expression_results(q, queries, start_time, end_time))\n"
            "            continue\n"
            "        if False:\n",
        ),
        (
            "if req_dims_key is not None and k_dk != req_dims_key:",
            "if k_dk != (req_dims_key or _dims_key({})):",
        ),
        (
            "for ts in sorted(buckets):",
            "for ts in sorted(buckets, reverse=_is_newest_first(cbor_data, params)):",
        ),
        (
            "    if is_cbor:\n        return _cbor_ok",
            "    if not _is_newest_first(cbor_data, params):\n"
            "        for result in results:\n"
            '            pairs = sorted(zip(result["Timestamps"], result["Values"]))\n'
            '            result["Timestamps"] = [at for at, _ in pairs]\n'
            '            result["Values"] = [value for _, value in pairs]\n'
            "    if is_cbor:\n        return _cbor_ok",
        ),
    )
    rewrite(
        cloudwatch,
        "_get_metric_statistics",
        (
            "if req_dims_key is not None and dk != req_dims_key:",
            "if dk != (req_dims_key or _dims_key({})):",
        ),
    )


def is_newest_first(request: Mapping[str, Any] | None, parameters: Mapping[str, Any] | None) -> bool:
    """Tell in which order a request wants its values, whichever protocol it came by."""
    asked = (request or {}).get("ScanBy") or (parameters or {}).get("ScanBy") or ""
    return (asked[0] if isinstance(asked, list) else asked) != "TimestampAscending"


def expression_results(
    query: Mapping[str, Any], queries: Sequence[Mapping[str, Any]], start: float | None, end: float | None
) -> list[dict[str, Any]]:
    """Return the results of a query with an expression, newest first: one for each of its time series."""
    from ministack.services import cloudwatch

    if not query.get("ReturnData", True):
        return []
    labelled = {"Id": query["Id"], "Label": query.get("Label", query["Id"])}
    try:
        window = _window(query, queries, start, end)
        found = evaluate_each(query["Expression"], window)
        labels = _labels(query) or [str(labelled["Label"])] * len(found)
    except UnsupportedExpressionError as error:
        message = {"Code": "Unsupported", "Value": str(error)}
        failed = {"StatusCode": "InternalError", "Messages": [message], "Timestamps": [], "Values": []}
        return [{**labelled, **failed}]
    return [
        {
            "Id": query["Id"],
            "Label": label,
            "StatusCode": "Complete",
            "Timestamps": [cloudwatch._ts_iso(at) for at in sorted(series, reverse=True)],
            "Values": [series[at] for at in sorted(series, reverse=True)],
        }
        for series, label in zip(found, labels, strict=True)
    ]


def _labels(query: Mapping[str, Any]) -> list[str]:
    """Return how the series of a search are called: as the query says, or by their dimensions."""
    searched = SEARCH.fullmatch(query["Expression"])
    if searched is None:
        return []
    label, labels = query.get("Label") or "", []
    for metric in search(searched[1]):
        dimensions = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
        properties = {"MetricName": metric["MetricName"]}
        properties |= {f"Dim.{name}": value for name, value in dimensions.items()}
        named = PROPERTY.sub(lambda found, known=properties: known.get(found[1], found[0]), label)
        labels.append(named or " ".join(dimensions.values()) or metric["MetricName"])
    return labels


def _window(
    query: Mapping[str, Any], queries: Sequence[Mapping[str, Any]], start: float | None, end: float | None
) -> Window:
    if start is None or end is None:
        message = "an expression needs StartTime and EndTime"
        raise UnsupportedExpressionError(message)
    statistics = {each["Id"]: each["MetricStat"] for each in queries if each.get("MetricStat")}
    shortest = min((int(each["Period"]) for each in statistics.values()), default=DEFAULT_PERIOD_SECONDS)
    period = int(query.get("Period") or shortest)
    first = int(start // period * period)
    if (end - first) / period > MOST_PERIODS:
        message = f"the query covers more than {MOST_PERIODS} periods of {period} seconds"
        raise UnsupportedExpressionError(message)
    periods = range(first, -int(-end // 1), period)
    metrics = {name: series_of(statistic, period, periods) for name, statistic in statistics.items()}
    others = {each["Id"]: each["Expression"] for each in queries if each.get("Expression")}

    def find(term: str, statistic: str, seconds: int) -> list[Series]:
        starts = range(int(start // seconds * seconds), -int(-end // 1), seconds)
        return [series_of({"Metric": metric, "Stat": statistic}, seconds, starts) for metric in search(term)]

    return Window(periods, metrics, others, find)
