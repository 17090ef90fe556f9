"""Metric math over a window of three periods."""

import pytest

from sms_local.emulator.patches._metric_math import (
    UnsupportedExpressionError,
    Window,
    evaluate,
    evaluate_each,
)

WINDOW = Window(
    periods=[0, 60, 120],
    metrics={"failed": {0: 1.0, 60: 2.0, 120: 4.0}, "sent": {0: 10.0, 60: 0.0}, "none": {}},
    others={"share": "100 * failed / sent", "loop": "loop + 1"},
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("failed", {0: 1.0, 60: 2.0, 120: 4.0}),
        ("failed + sent", {0: 11.0, 60: 2.0}),
        ("failed / sent", {0: 0.1}),
        ("share", {0: 10.0}),
        ("100 * (failed / FILL(sent, 8))", {0: 10.0, 120: 50.0}),
        ("FILL(none, 0)", {0: 0.0, 60: 0.0, 120: 0.0}),
        ("FILL(sent, REPEAT)", {0: 10.0, 60: 0.0, 120: 0.0}),
        ("failed ^ 2", {0: 1.0, 60: 4.0, 120: 16.0}),
        ("-failed", {0: -1.0, 60: -2.0, 120: -4.0}),
        ("failed >= 2 AND failed < 4", {0: 0.0, 60: 1.0, 120: 0.0}),
        ("failed == 1 || failed == 4", {0: 1.0, 60: 0.0, 120: 1.0}),
        ("IF(failed > 1, failed, 0)", {0: 0.0, 60: 2.0, 120: 4.0}),
        ("IF(failed > 1, sent)", {60: 0.0}),
        ("SUM(METRICS())", {0: 11.0, 60: 2.0, 120: 4.0}),
        ("MAX([failed, sent])", {0: 10.0, 60: 2.0, 120: 4.0}),
        ("SUM(METRICS('fail'))", {0: 1.0, 60: 2.0, 120: 4.0}),
        ("failed - AVG(failed) * 3", {0: -6.0, 60: -5.0, 120: -3.0}),
        ("MIN(none)", {}),
        ("CEIL(failed / 3)", {0: 1.0, 60: 1.0, 120: 2.0}),
        ("5", {0: 5.0, 60: 5.0, 120: 5.0}),
        ("RATE(failed)", {60: 1 / 60, 120: 2 / 60}),
        ("DIFF(failed)", {60: 1.0, 120: 2.0}),
        ("RUNNING_SUM(failed)", {0: 1.0, 60: 3.0, 120: 7.0}),
        ("failed / PERIOD(failed)", {0: 1 / 60, 60: 2 / 60, 120: 4 / 60}),
    ],
)
def test_expressions(expression, expected):
    assert evaluate(expression, WINDOW) == pytest.approx(expected)


@pytest.mark.parametrize(
    "expression",
    [
        "SEARCH('{AWS/Lambda} Errors', 'Sum')",
        "ANOMALY_DETECTION_BAND(failed)",
        "missing + 1",
        "loop",
        "failed +",
        "METRICS()",
        "failed.real",
        "__import__('os')",
        "[x for x in failed]",
    ],
)
def test_what_is_not_implemented_is_refused(expression):
    with pytest.raises(UnsupportedExpressionError):
        evaluate(expression, WINDOW)


def test_an_expression_may_give_several_series():
    assert evaluate_each("METRICS() * 2", WINDOW) == [
        {0: 2.0, 60: 4.0, 120: 8.0},
        {0: 20.0, 60: 0.0},
        {},
    ]
