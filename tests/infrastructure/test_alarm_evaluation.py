"""The evaluator of alarms that the tests use, against what CloudWatch documents."""

from typing import Any

import pytest

from tests.support.alarm_evaluation import State, data_of, metrics_of, state_of

BREACH, FINE, MISSING = {"metric": 10}, {"metric": 0}, {}


def alarm(**more: Any) -> dict[str, Any]:
    return {
        "Namespace": "Test",
        "MetricName": "Waiting",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 3,
        "Threshold": 5,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        **more,
    }


def metric(id: str, **more: Any) -> dict[str, Any]:
    stat = {"Metric": {"Namespace": "Test", "MetricName": id}, "Stat": "Sum", "Period": 300}
    return {"Id": id, "MetricStat": stat, "ReturnData": False, **more}


def on_expression(expression: str) -> dict[str, Any]:
    unused = {"Namespace", "MetricName", "Statistic", "Period"}
    return {
        **{name: value for name, value in alarm(EvaluationPeriods=1).items() if name not in unused},
        "Metrics": [{"Id": "rate", "Expression": expression}, metric("failed"), metric("calls")],
    }


# User guide, *Configuring how CloudWatch alarms treat missing data*: data points to alarm 3 of 3, and 2 of 3.
@pytest.mark.parametrize(
    ("needed", "treatment", "periods", "state"),
    [
        (3, "notBreaching", [BREACH, BREACH, BREACH], State.ALARM),
        (3, "notBreaching", [FINE, BREACH, BREACH], State.OK),
        (3, "notBreaching", [BREACH, MISSING, BREACH], State.OK),
        (3, "breaching", [BREACH, MISSING, BREACH], State.ALARM),
        (3, "breaching", [MISSING, MISSING, MISSING], State.ALARM),
        (3, "notBreaching", [MISSING, MISSING, MISSING], State.OK),
        (2, "notBreaching", [BREACH, FINE, BREACH], State.ALARM),
        (2, "notBreaching", [BREACH, MISSING, FINE], State.OK),
        (2, "breaching", [BREACH, MISSING, FINE], State.ALARM),
        # Only the latest periods count, and what was before there was any data is missing.
        (3, "notBreaching", [BREACH, BREACH, BREACH, FINE], State.OK),
        (3, "notBreaching", [BREACH], State.OK),
        (3, "breaching", [BREACH], State.ALARM),
    ],
)
def test_as_many_of_the_latest_periods_as_it_takes(
    needed: int, treatment: str, periods: list[dict[str, float]], state: State
) -> None:
    assert state_of(alarm(DatapointsToAlarm=needed, TreatMissingData=treatment), periods) is state


@pytest.mark.parametrize(
    ("comparison", "breaching"),
    [
        ("GreaterThanThreshold", [6]),
        ("GreaterThanOrEqualToThreshold", [5, 6]),
        ("LessThanThreshold", [4]),
        ("LessThanOrEqualToThreshold", [4, 5]),
    ],
)
def test_the_threshold_itself_belongs_to_one_side(comparison: str, breaching: list[int]) -> None:
    found = [
        value
        for value in (4, 5, 6)
        if state_of(alarm(ComparisonOperator=comparison, EvaluationPeriods=1), [{"metric": value}])
        is State.ALARM
    ]

    assert found == breaching


def test_an_expression_is_evaluated_period_by_period() -> None:
    rate = on_expression("100 * failed / calls")

    assert data_of(rate, [{"failed": 1, "calls": 10}, {"failed": 1, "calls": 2}]) == [10, 50]
    # Missing where a part is missing, and where it would be divided by nothing.
    assert data_of(rate, [{"failed": 1}, {"failed": 1, "calls": 0}]) == [None, None]


def test_what_is_missing_can_be_filled_and_a_volume_asked_for() -> None:
    rate = on_expression("IF(FILL(calls, 0) >= 10, 100 * FILL(failed, 0) / FILL(calls, 0), 0)")

    assert data_of(rate, [{"failed": 9, "calls": 9}, {"failed": 1, "calls": 10}, {"calls": 20}, {}]) == [
        0,
        10,
        0,
        0,
    ]
    assert state_of(rate, [{"failed": 1, "calls": 10}]) is State.ALARM


def test_metrics_of_an_alarm_are_all_that_it_looks_at() -> None:
    single = alarm(Dimensions=[{"Name": "QueueName", "Value": {"Ref": "Queue"}}])

    assert [each.id for each in metrics_of(on_expression("failed"))] == ["failed", "calls"]
    assert [each.dimensions for each in metrics_of(single)] == [{"QueueName": '{"Ref": "Queue"}'}]


def test_an_alarm_that_would_stay_on_for_want_of_data_is_not_evaluated() -> None:
    with pytest.raises(KeyError, match="missing"):
        state_of(alarm(TreatMissingData="missing"), [BREACH])
