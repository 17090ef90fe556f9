"""Data of the emulator's metrics, period by period, and metrics by what they are called."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sms_local.emulator.patches._metric_math import Series, UnsupportedExpressionError

SEARCH_TERM: Final = re.compile(r"\s*\{([^}]*)\}\s*(.*)", re.DOTALL)
LATE_POINTS: Final = 1_000
"""So many in a row before a period, from the last one back, and no other point is of that period.

Points are in the order of their arrival, which is nearly that of their instants.
"""

CONDITION: Final = re.compile(r'\s*([\w.-]+)\s*=\s*"([^"]*)"\s*(?:AND\b)?')


def series_of(statistic: Mapping[str, Any], period: int, periods: Sequence[int]) -> Series:
    """Return one statistic of one metric.

    Parameters
    ----------
    statistic
        A ``MetricStat``: the metric with exactly its dimensions, and the statistic's name.
    period
        In seconds; the one of `statistic` is not looked at.
    periods
        Period starts (epoch seconds), oldest first.
    """
    from ministack.services import cloudwatch

    metric = statistic["Metric"]
    dimensions = cloudwatch._dims_key(cloudwatch._dims_from_list(metric.get("Dimensions") or []))
    points = cloudwatch._metrics.get((metric["Namespace"], metric["MetricName"], dimensions)) or []
    by_period: dict[int, list[Any]] = defaultdict(list)
    older = 0
    # Alarms look at the last minutes of metrics that grow for days, every ten seconds.
    for point in reversed(list(points)):
        start = int(point["Timestamp"] // period * period)
        if periods and periods[0] <= start <= periods[-1]:
            by_period[start].append(point)
        older = older + 1 if periods and start < periods[0] else 0
        if older > LATE_POINTS:
            break
    values = {
        start: cloudwatch._stat_value(cloudwatch._calc_stats(found), statistic["Stat"], found)
        for start, found in by_period.items()
    }
    return {start: float(value) for start, value in values.items() if value is not None}


def search(term: str) -> list[dict[str, Any]]:
    """Return the metrics that a search finds, in the order of their dimensions.

    Parameters
    ----------
    term
        ``{namespace,dimension,…} MetricName="…" dimension="…"``: metrics with exactly these dimensions, of
        which conditions fix some. Free words, ``OR``, ``NOT`` and parentheses are not implemented.
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/search-expression-syntax.html

    Raises
    ------
    UnsupportedExpressionError
        When it is another kind of search.
    """
    from ministack.services import cloudwatch

    parts = SEARCH_TERM.fullmatch(term)
    wanted, rest = (dict(CONDITION.findall(parts[2])), CONDITION.sub("", parts[2])) if parts else ({}, term)
    if parts is None or rest.strip():
        message = f"the emulator does not implement the search {term!r}"
        raise UnsupportedExpressionError(message)
    namespace, *names = [name.strip().strip('"') for name in parts[1].split(",")]
    found = []
    for (metric_namespace, metric_name, _), points in list(cloudwatch._metrics.items()):
        dimensions = points[0]["Dimensions"] if points else {}
        properties = {**dimensions, "MetricName": metric_name, "Namespace": metric_namespace}
        is_wanted = all(properties.get(name) == value for name, value in wanted.items())
        if metric_namespace == namespace and set(dimensions) == set(names) and points and is_wanted:
            listed = [{"Name": name, "Value": dimensions[name]} for name in names]
            found.append({"Namespace": namespace, "MetricName": metric_name, "Dimensions": listed})
    return sorted(found, key=lambda metric: [each["Value"] for each in metric["Dimensions"]])
