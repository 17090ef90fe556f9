"""CloudWatch's evaluation of an alarm of a template, over data points that a test makes up.

Metric math is that of the embedded cloud, which has tests of its own against the documented meaning
(`tests/cloud/emulator/test_metric_math.py`). What an alarm makes of the data points is here:

* Breaching are data points beyond the threshold. In the latest ``EvaluationPeriods`` periods,
  ``DatapointsToAlarm`` of them (all, when left out) make an alarm.
* A missing data point counts as ``TreatMissingData`` says. `notBreaching` and `breaching` are all that the
  product could use; with ``missing`` or ``ignore`` an alarm would stay on for want of data.

Source: Amazon CloudWatch user guide, *Alarm evaluation* and *Configuring how CloudWatch alarms treat missing
data*.
"""

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sms_local.emulator.patches._metric_math import Series, Window, evaluate

type Properties = Mapping[str, Any]

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}

_START = 1_800_000_000


class State(StrEnum):
    OK = "OK"
    ALARM = "ALARM"


@dataclass(frozen=True, slots=True)
class AlarmMetric:
    """One metric of an alarm.

    Attributes
    ----------
    id
        In the alarm's expression; ``metric`` in an alarm without one.
    dimensions
        Values as the template has them: text, or a reference as JSON.
    """

    id: str
    namespace: str
    name: str
    dimensions: Mapping[str, str]
    statistic: str
    period: int


def metrics_of(alarm: Properties) -> list[AlarmMetric]:
    """Return all metrics that an alarm looks at."""
    if "Metrics" not in alarm:
        return [
            _metric("metric", alarm, alarm.get("Statistic") or alarm["ExtendedStatistic"], alarm["Period"])
        ]
    return [
        _metric(
            each["Id"], each["MetricStat"]["Metric"], each["MetricStat"]["Stat"], each["MetricStat"]["Period"]
        )
        for each in alarm["Metrics"]
        if "MetricStat" in each
    ]


def _metric(id: str, of: Properties, statistic: str, period: int) -> AlarmMetric:
    dimensions = {
        each["Name"]: each["Value"] if isinstance(each["Value"], str) else json.dumps(each["Value"])
        for each in of.get("Dimensions", ())
    }
    return AlarmMetric(id, of["Namespace"], of["MetricName"], dimensions, statistic, period)


def period_of(alarm: Properties) -> int:
    """Seconds of a period of an alarm; all metrics of one have the same."""
    (period,) = {metric.period for metric in metrics_of(alarm)}
    return period


def data_of(alarm: Properties, periods: Sequence[Mapping[str, float]]) -> list[float | None]:
    """Return what is compared with the threshold, period by period.

    Parameters
    ----------
    periods
        Oldest first: for each the values of the metrics by id, without those that have no data.
    """
    starts = [_START + number * period_of(alarm) for number in range(len(periods))]
    series: dict[str, Series] = {
        metric.id: {
            at: float(values[metric.id])
            for at, values in zip(starts, periods, strict=True)
            if metric.id in values
        }
        for metric in metrics_of(alarm)
    }
    if "Metrics" not in alarm:
        result = series["metric"]
    else:
        (returned,) = (each for each in alarm["Metrics"] if each.get("ReturnData", True))
        others = {each["Id"]: each["Expression"] for each in alarm["Metrics"] if "Expression" in each}
        result = evaluate(returned["Expression"], Window(starts, series, others))
    return [result.get(at) for at in starts]


def state_of(alarm: Properties, periods: Sequence[Mapping[str, float]]) -> State:
    """Return the state of an alarm after these periods, the latest of which count."""
    needed = alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"])
    missing = {"notBreaching": False, "breaching": True}[alarm["TreatMissingData"]]
    compare = _COMPARISONS[alarm["ComparisonOperator"]]
    latest: list[float | None] = data_of(alarm, periods)[-alarm["EvaluationPeriods"] :]
    # What was before there was any data is missing, too.
    latest = [None] * (alarm["EvaluationPeriods"] - len(latest)) + latest
    breaching = [missing if value is None else compare(value, float(alarm["Threshold"])) for value in latest]
    return State.ALARM if sum(breaching) >= needed else State.OK
