"""Geometry of the dashboard's charts."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from sms_local.phone.charts import (
    NARROWEST,
    USUAL_WIDTH,
    WIDEST,
    Column,
    Row,
    columns,
    read_width,
    rows,
    slots_for,
)
from tests.support.phone_page import at


def chart_of(
    *values: float, width: int = 600, unit: str = "", step: timedelta = timedelta(hours=1)
) -> Mapping[str, Any]:
    some = [
        Column(begins=at() + number * step, values=[("delivered", value, f"{value} delivered")])
        for number, value in enumerate(values)
    ]
    return columns(some, width=width, unit=unit, summary="")


def words(chart: Mapping[str, Any], kind: str) -> Sequence[str]:
    return [word["text"] for word in chart["words"] if word["kind"] == kind]


@pytest.mark.parametrize("width", [NARROWEST, 318, 640, WIDEST])
@pytest.mark.parametrize("largest", [1, 3, 7, 96, 12_345, 3_000_000])
def test_everything_stands_within_the_chart(width: int, largest: int) -> None:
    chart = chart_of(
        *(largest * share / slots_for(width) for share in range(slots_for(width) + 1)), width=width
    )

    for bar in chart["bars"]:
        assert bar["x"] >= 0
        assert bar["x"] + bar["width"] <= width
        assert bar["y"] >= 0
        assert bar["y"] + bar["height"] <= chart["height"]
    for word in chart["words"]:
        assert 0 <= word["x"] <= width
        assert 0 <= word["y"] <= chart["height"]


def test_bars_are_as_high_as_their_values() -> None:
    small, large = chart_of(2, 8)["bars"]

    assert large["height"] == pytest.approx(4 * small["height"], abs=0.1)
    assert small["y"] + small["height"] == pytest.approx(large["y"] + large["height"], abs=0.1)


def test_nothing_has_no_bar_and_a_scale_all_the_same() -> None:
    chart = chart_of(0, 0)

    assert chart["bars"] == []
    assert words(chart, "scale") == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("largest", "top"), [(1, "4"), (5, "5"), (6, "8"), (11, "20"), (45, "50"), (10_000, "10k")]
)
def test_scales_end_at_a_round_number_of_whole_texts(largest: int, top: str) -> None:
    scale = words(chart_of(largest), "scale")

    assert scale[-1] == top
    assert not any("." in one for one in scale)


def test_money_has_its_sign_and_the_digits_it_needs() -> None:
    assert words(chart_of(0.0477, unit="$"), "scale")[-1] == "$0.0500"
    assert words(chart_of(130, unit="$"), "scale")[-1] == "$200"


def test_bars_of_one_slot_stand_side_by_side() -> None:
    values = [("delivered", 3, ""), ("failed", 2, ""), ("answered", 1, "")]

    bars = columns([Column(begins=at(), values=values)], width=400, unit="", summary="")["bars"]

    assert [bar["kind"] for bar in bars] == ["delivered", "failed", "answered"]
    for one, next_one in pairwise(bars):
        assert one["x"] + one["width"] <= next_one["x"]


def test_words_under_the_slots_do_not_touch_and_name_the_day_where_it_begins() -> None:
    chart = chart_of(*([1] * 24), width=640)
    places = [word["x"] for word in chart["words"] if word["kind"] == "time"]

    assert all(right - left >= 40 for left, right in pairwise(places))
    assert words(chart, "time")[0] == "17:00"
    assert "22 Nov" in words(chart, "time")


def test_slots_of_days_are_named_by_their_days() -> None:
    assert words(chart_of(1, 1, width=640, step=timedelta(days=7)), "time") == ["21 Nov", "28 Nov"]


def test_what_a_bar_means_is_said_to_who_points_at_it() -> None:
    assert chart_of(3)["bars"][0]["title"] == "3 delivered"


def test_lying_bars_share_the_width_of_the_largest() -> None:
    chart = rows(
        [
            Row(name="New", value=4, words="4", kind="neutral"),
            Row(name="Active", value=2, words="2", kind="good"),
        ],
        width=400,
        summary="",
    )
    track, full, _, half = chart["bars"]

    assert full["width"] == track["width"]
    assert half["width"] == pytest.approx(full["width"] / 2)


def test_a_rate_that_is_unknown_has_words_and_no_bar() -> None:
    unknown = Row(name="Delivered", value=None, words="fewer than 5 texts", kind="delivered", mark=95)

    chart = rows([unknown], width=400, most=100, summary="")

    assert [bar["kind"] for bar in chart["bars"]] == ["track"]
    assert words(chart, "value") == ["fewer than 5 texts"]
    [mark] = chart["lines"]
    track = chart["bars"][0]
    assert mark["x1"] == pytest.approx(track["x"] + 0.95 * track["width"], abs=0.1)


@pytest.mark.parametrize("width", [NARROWEST, 318, WIDEST])
def test_the_words_of_a_lying_bar_have_room(width: int) -> None:
    chart = rows([Row(name="Opted out", value=1, words="x", kind="failed")], width=width, summary="")
    [value] = (word for word in chart["words"] if word["kind"] == "value")
    [bar, _] = chart["bars"]

    assert value["x"] > bar["x"] + bar["width"]
    assert width - value["x"] >= 110


@pytest.mark.parametrize(
    ("text", "width"),
    [("700", 700), ("1", NARROWEST), ("999999999", WIDEST), ("-3", USUAL_WIDTH), (None, USUAL_WIDTH)],
)
def test_a_width_is_read_within_bounds(text: str | None, width: int) -> None:
    assert read_width(text) == width
