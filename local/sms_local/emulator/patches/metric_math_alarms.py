"""Alarms on metric math deploy, and all alarms are evaluated.

Reason
    Alarms on shares (failed of sent, opted out of delivered) are metric math, ``cloudwatch.MathExpression``
    in the CDK; one such alarm makes a whole stack fail. An alarm that nothing evaluates is never seen to go
    off.
AWS
    An alarm has either one metric or ``Metrics``: metrics and expressions, of which one returns the data that
    is compared with the threshold, period by period. A metric is its name with exactly its dimensions.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
MiniStack 1.5.33
    Refuses ``Metrics`` in a template; in ``PutMetricAlarm`` it forgets them, and the alarm stays as it was
    made. An alarm on one metric is evaluated when metrics are put, which functions never do, over all
    dimensions and all of its periods together, and goes by no missing data.
Hook
    Alarms keep their ``Metrics``, ``DescribeAlarms`` returns them, and all are evaluated when metrics are
    put and every ten seconds, with missing data treated as the alarm says. An expression outside of
    what ``_metric_math`` knows (``SEARCH``, anomaly detection) leaves the alarm in ``INSUFFICIENT_DATA`` and
    says so in its state's reason.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sms_local.emulator.patches._cloudformation import Properties, is_true
from sms_local.emulator.patches._metric_data import series_of
from sms_local.emulator.patches._metric_math import Series, UnsupportedExpressionError, Window, evaluate
from sms_local.emulator.patches._pinned import PatchSettings, require

logger = logging.getLogger(__name__)

EVALUATION_SECONDS = 10.0
UNCHECKED = "Unchecked"
DEFAULT_PERIOD_SECONDS = 60

SINGLE_METRIC_MEMBERS = (
    "MetricName",
    "Namespace",
    "Dimensions",
    "Period",
    "Statistic",
    "ExtendedStatistic",
    "Unit",
)
"""Members of an alarm that one with ``Metrics`` has none of."""


def apply(_: PatchSettings) -> None:
    """Keep ``Metrics`` on both ways in, and evaluate them."""
    from ministack.services import cloudwatch
    from ministack.services.cloudformation import provisioners

    for name in ("_evaluate_alarm", "_put_metric_alarm", "_dispatch_alarm_actions", "_record_history"):
        require(holds=hasattr(cloudwatch, name), what=f"cloudwatch.{name}")
    record = "_cw_metric_alarm_record"
    require(holds=hasattr(provisioners, record), what=f"provisioners.{record}")
    _keep_metrics_of_templates(provisioners)
    _keep_metrics_of_requests(cloudwatch)
    cloudwatch._evaluate_alarm = _evaluate_alarm
    threading.Thread(target=_evaluate_for_ever, name="metric-math-alarms", daemon=True).start()


def _keep_metrics_of_templates(provisioners: Any) -> None:
    record_single_metric = provisioners._cw_metric_alarm_record

    def metric_alarm_record(name: str, properties: Properties) -> dict[str, Any]:
        if not properties.get("Metrics"):
            return dict(record_single_metric(name, properties))
        # What the original insists on, and what is taken away again.
        rest = {key: value for key, value in properties.items() if key != "Metrics"}
        alarm = dict(record_single_metric(name, {**rest, "MetricName": "-", "Namespace": "-"}))
        return _with_metrics(alarm, properties["Metrics"])

    provisioners._cw_metric_alarm_record = metric_alarm_record


def _keep_metrics_of_requests(cloudwatch: Any) -> None:
    put_single_metric = cloudwatch._put_metric_alarm

    def put_metric_alarm(
        parameters: Any,
        request: dict[str, Any],
        is_cbor: bool,  # noqa: FBT001 - MiniStack's signature
        is_json: bool = False,  # noqa: FBT001, FBT002 - MiniStack's signature
    ) -> Any:
        answer = put_single_metric(parameters, request, is_cbor, is_json)
        if answer[0] == 200 and (is_cbor or is_json) and request.get("Metrics"):
            alarm = cloudwatch._alarms[request["AlarmName"]]
            _with_metrics(alarm, request["Metrics"])
            cloudwatch._evaluate_alarm(alarm)
        return answer

    cloudwatch._put_metric_alarm = put_metric_alarm


def _with_metrics(alarm: dict[str, Any], metrics: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    for member in SINGLE_METRIC_MEMBERS:
        alarm.pop(member, None)
    alarm["Metrics"] = [_query(metric) for metric in metrics]
    return alarm


def _query(metric: Mapping[str, Any]) -> dict[str, Any]:
    """Make a ``MetricDataQuery`` with numbers and booleans as such; a template may have them as text."""
    query = {**metric, "ReturnData": is_true(metric.get("ReturnData", True))}
    if "Period" in query:
        query["Period"] = int(query["Period"])
    if statistic := query.get("MetricStat"):
        query["MetricStat"] = {**statistic, "Period": int(statistic["Period"])}
    return query


def _evaluate_for_ever() -> None:
    from ministack.services import cloudwatch

    while True:
        time.sleep(EVALUATION_SECONDS)
        for alarm in list(cloudwatch._alarms.values()):
            try:
                _evaluate_alarm(alarm)
            except Exception:
                logger.exception("Alarm %s could not be evaluated", alarm.get("AlarmName"))


def _evaluate_alarm(alarm: dict[str, Any]) -> None:
    """Move the alarm to the state its metrics put it in, and carry out its actions."""
    state, reason = _state(alarm)
    if state == alarm["StateValue"]:
        if reason.startswith(UNCHECKED):
            alarm["StateReason"] = reason
        return
    from ministack.services import cloudwatch

    before = alarm["StateValue"]
    alarm.update(StateValue=state, StateReason=reason, StateUpdatedTimestamp=int(cloudwatch.time.time()))
    cloudwatch._record_history(alarm["AlarmName"], before, state, reason)
    cloudwatch._dispatch_alarm_actions(alarm, before, state, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def _state(alarm: Mapping[str, Any]) -> tuple[str, str]:
    count = int(alarm["EvaluationPeriods"])
    try:
        periods, series = _returned_series(_queries(alarm), count)
    except UnsupportedExpressionError as error:
        return "INSUFFICIENT_DATA", f"{UNCHECKED}: {error}"
    treatment = alarm.get("TreatMissingData") or "missing"
    if not series and treatment == "ignore":
        return alarm["StateValue"], alarm["StateReason"]
    if not series and treatment == "missing":
        return "INSUFFICIENT_DATA", f"Insufficient Data: {count} datapoints were unknown."
    breaches = [_breaches(series[at], alarm) if at in series else treatment == "breaching" for at in periods]
    needed = int(alarm.get("DatapointsToAlarm") or count)
    # Missing periods say nothing unless the alarm says what they mean, so that fewer datapoints may be
    # enough.
    known = len(periods) if treatment in ("breaching", "notBreaching") else len(series)
    values = ", ".join(f"{value:g}" for _, value in sorted(series.items()))
    reason = f"Threshold Crossed: datapoints [{values}] against the threshold ({alarm['Threshold']:g})."
    return ("ALARM" if sum(breaches) >= min(needed, known) else "OK"), reason


def _queries(alarm: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return what an alarm is on as queries: its own, or one for its only metric."""
    if alarm.get("Metrics"):
        return list(alarm["Metrics"])
    metric = {name: alarm.get(name) for name in ("Namespace", "MetricName", "Dimensions")}
    statistic = {
        "Metric": metric,
        "Period": alarm["Period"],
        "Stat": alarm.get("ExtendedStatistic") or alarm["Statistic"],
    }
    return [{"Id": "metric", "MetricStat": statistic, "ReturnData": True}]


def _breaches(value: float, alarm: Mapping[str, Any]) -> bool:
    threshold = float(alarm["Threshold"])
    match alarm["ComparisonOperator"]:
        case "GreaterThanOrEqualToThreshold":
            return value >= threshold
        case "GreaterThanThreshold":
            return value > threshold
        case "LessThanThreshold":
            return value < threshold
        case "LessThanOrEqualToThreshold":
            return value <= threshold
        case other:
            message = f"the emulator does not implement the comparison {other}"
            raise UnsupportedExpressionError(message)


def _returned_series(queries: Sequence[Mapping[str, Any]], count: int) -> tuple[list[int], Series]:
    """Find the periods to look at, oldest first, and the data of the query that returns data.

    The period that is still going on is the last one, so that an alarm goes off at once here; AWS waits for
    its end.
    """
    from ministack.services import cloudwatch

    statistics = {query["Id"]: query["MetricStat"] for query in queries if query.get("MetricStat")}
    expressions = {query["Id"]: query["Expression"] for query in queries if query.get("Expression")}
    returned = next(query for query in queries if query["ReturnData"])
    # AWS takes an expression's own period, else the shortest of its metrics.
    period = int(
        returned.get("Period")
        or min((int(each["Period"]) for each in statistics.values()), default=DEFAULT_PERIOD_SECONDS)
    )
    current = int(cloudwatch.time.time()) // period * period
    periods = [current - period * back for back in reversed(range(count))]
    metrics = {name: series_of(statistic, period, periods) for name, statistic in statistics.items()}
    window = Window(periods, metrics, expressions)
    series = evaluate(returned.get("Expression") or returned["Id"], window)
    return periods, {at: value for at, value in series.items() if at in periods}
