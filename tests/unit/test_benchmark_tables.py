"""What the benchmarks write into the page: goals that are missed are named."""

import json

import pytest

from benchmarks.cold_start import Case, Result, handler_case, handler_modules
from benchmarks.cold_start import page as cold_starts
from benchmarks.consumer_table import comparisons, page


def printed(path, ratio, **product):
    sides = (
        {"adapter": "seed", "us_per_item": 30.0, "x_vs_seed": 1.0, "calls_per_1k": {"s3.PutObject": 10.0}},
        {
            "adapter": "product",
            "us_per_item": 30.0 / ratio,
            "x_vs_seed": ratio,
            "calls_per_1k": {"s3.PutObject": 0.2},
            "same_result": True,
            **product,
        },
    )
    return ['{"meta": {}}', *(json.dumps({"path": path, **side}) for side in sides)]


@pytest.mark.parametrize(
    ("path", "ratio", "product", "misses"),
    [
        ("consume.archive.cpu", 3.6, {"archive_bytes_per_event": 52.0}, []),
        ("consume.archive.cpu", 3.4, {}, ["3.4 x is less than 3.5 x"]),
        ("consume.archive.wall", 3.6, {}, ["3.6 x is less than 5 x"]),
        ("consume.archive.cpu", 4, {"archive_bytes_per_event": 52.1}, ["52.1 bytes are more than 52"]),
        ("consume.archive.cpu", 4, {"same_result": False}, ["another result than the baseline's"]),
        ("consume.event_processor.cpu", 4, {"calls_per_1k": {"log.line": 10.0}}, []),
        (
            "consume.analytics.cpu",
            4,
            {"calls_per_1k": {"log.line": 11.0, "cloudwatch.PutMetricData": 1.0}},
            ["11 log lines are more than 10", "1 metric calls are more than 0"],
        ),
        ("consume.response_handler.wall", 19.9, {}, ["19.9 x is less than 20 x"]),
    ],
)
def test_each_goal_of_a_consumer_that_is_missed_is_named(path, ratio, product, misses):
    [comparison] = comparisons(printed(path, ratio, **product))

    assert comparison.misses() == misses
    assert ("NOT REACHED" in page([comparison])) == bool(misses)


def test_a_cold_start_that_is_too_slow_stands_out():
    case = Case(
        name="channel.router", product="", baseline="", environment={}, clients=["s3", "s3"], goal=1.25
    )

    rows = cold_starts(
        [Result(case, 125.4, 100, 1.254, 1.2, 1), Result(case, 126.0, 100, 1.26, 1.2, 1)]
    ).splitlines()[2:]

    assert rows == [
        "| channel, router | 125 | 100 | 1.25 | 1.25 | 1.20 | 2 s3 |",
        "| channel, router | 126 | 100 | **1.26** | 1.25 | 1.20 | 2 s3 |",
    ]


@pytest.mark.parametrize("module", handler_modules())
def test_the_start_of_every_function_can_be_measured(module):
    case = handler_case(module)

    assert case.product == f"import {module}\n"
