"""Data of the emulator's metrics, period by period."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sms_local.emulator.patches._metric_math import Series


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
    for point in list(points):
        start = int(point["Timestamp"] // period * period)
        if periods and periods[0] <= start <= periods[-1]:
            by_period[start].append(point)
    values = {
        start: cloudwatch._stat_value(cloudwatch._calc_stats(found), statistic["Stat"], found)
        for start, found in by_period.items()
    }
    return {start: float(value) for start, value in values.items() if value is not None}
