"""Geometry of the dashboard's charts: where each bar, line and word stands. The page only draws it.

A chart is ``{"width", "height", "bars": [{"x", "y", "width", "height", "kind", "title"}],
"lines": [{"x1", "y1", "x2", "y2", "kind"}], "words": [{"x", "y", "text", "anchor", "kind"}],
"summary"}``, in pixels of the page, from the upper left corner. ``summary`` says what it shows to whoever
does not see it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

#: Widths that a chart can have.
NARROWEST, WIDEST = 240, 1400
USUAL_WIDTH: Final = 640

_HEIGHT: Final = 190
_LEFT, _LEFT_OF_MONEY, _RIGHT, _TOP, _BOTTOM = 40, 58, 6, 10, 24
_SLOT_WIDTH: Final = 26
_WORD_WIDTH: Final = 52
_MOST_SLOTS: Final = 48
_GRID_LINES: Final = 4

_ROW_HEIGHT: Final = 30
_NAME_WIDTH: Final = 84
_VALUE_WIDTH: Final = 132

type Chart = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What stands side by side in one slot of time: values by their kind, with a title each."""

    begins: datetime
    values: Sequence[tuple[str, float, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One bar that lies.

    Attributes
    ----------
    value
        None where there is nothing to show but its words.
    mark
        Where a line crosses it; None for none.
    """

    name: str
    value: float | None
    words: str
    kind: str
    mark: float | None = None


def read_width(text: str | None) -> int:
    """Return a width that somebody asked for, within bounds; the usual one for whatever is none."""
    if text is None or not text.isascii() or not text.isdigit():
        return USUAL_WIDTH
    return min(max(int(text[:6]), NARROWEST), WIDEST)


def slots_for(width: int) -> int:
    """Return how many slots of time have room in a chart."""
    return max(4, min(_MOST_SLOTS, (width - _LEFT - _RIGHT) // _SLOT_WIDTH))


def columns(some: Sequence[Column], *, width: int, unit: str, summary: str) -> Chart:
    """Return a chart of columns over time.

    Parameters
    ----------
    unit
        What stands before each number of the scale: ``$``, or nothing.
    """
    top = _scale(max((value for one in some for _, value, _ in one.values), default=0), is_whole=not unit)
    left = _LEFT_OF_MONEY if unit else _LEFT
    inner_width, inner_height = width - left - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    bottom = _TOP + inner_height

    def y(value: float) -> float:
        return round(bottom - inner_height * value / top, 2)

    lines, words = [], []
    for number in range(_GRID_LINES + 1):
        value = top * number / _GRID_LINES
        if unit == "" and value != int(value):
            continue
        kind = "axis" if number == 0 else "grid"
        lines.append({"x1": left, "y1": y(value), "x2": width - _RIGHT, "y2": y(value), "kind": kind})
        words.append(_word(left - 6, y(value) + 4, _number(value, unit), "end", "scale"))
    step = inner_width / max(1, len(some))
    bars = []
    for number, one in enumerate(some):
        share = min(12.0, step * 0.84 / max(1, len(one.values)))
        begin = left + step * number + (step - share * len(one.values)) / 2
        for position, (kind, value, title) in enumerate(one.values):
            if value > 0:
                height = round(bottom - y(value), 2)
                bars.append(
                    {
                        "x": round(begin + share * position, 2),
                        "y": y(value),
                        "width": round(max(share - 1, 1), 2),
                        "height": height,
                        "kind": kind,
                        "title": title,
                    }
                )
    every = max(1, -(-_WORD_WIDTH * len(some) // max(1, inner_width)))
    length = some[1].begins - some[0].begins if len(some) > 1 else timedelta(hours=1)
    for number in range(0, len(some), every):
        # A word stands under the beginning of its slot, and ends where the chart does.
        x = min(left + step * number, width - _RIGHT - _WORD_WIDTH + 8)
        words.append(_word(round(x, 2), _HEIGHT - 6, _when(some, number, every, length), "start", "time"))
    return {
        "width": width,
        "height": _HEIGHT,
        "bars": bars,
        "lines": lines,
        "words": words,
        "summary": summary,
    }


def rows(some: Sequence[Row], *, width: int, most: float | None = None, summary: str) -> Chart:
    """Return a chart of bars that lie under one another.

    Parameters
    ----------
    most
        Value of a bar that fills its line; the largest of them when left out.
    """
    full = most or max((one.value or 0 for one in some), default=0) or 1
    room = max(20, width - _NAME_WIDTH - _VALUE_WIDTH)
    bars, lines, words = [], [], []
    for number, one in enumerate(some):
        upper = number * _ROW_HEIGHT
        words.append(_word(0, upper + 19, one.name, "start", "name"))
        bars.append(_lying(upper, room, "track", ""))
        if one.value is not None and one.value > 0:
            length = round(room * min(one.value, full) / full, 2)
            bars.append(_lying(upper, max(length, 2), one.kind, f"{one.name}: {one.words}"))
        if one.mark is not None:
            x = round(_NAME_WIDTH + room * min(one.mark, full) / full, 2)
            lines.append({"x1": x, "y1": upper + 4, "x2": x, "y2": upper + 26, "kind": "mark"})
        words.append(_word(_NAME_WIDTH + room + 8, upper + 19, one.words, "start", "value"))
    return {
        "width": width,
        "height": max(1, len(some)) * _ROW_HEIGHT,
        "bars": bars,
        "lines": lines,
        "words": words,
        "summary": summary,
    }


def _lying(upper: int, length: float, kind: str, title: str) -> dict[str, Any]:
    return {
        "x": _NAME_WIDTH,
        "y": upper + 8,
        "width": length,
        "height": _ROW_HEIGHT - 16,
        "kind": kind,
        "title": title,
    }


def _word(x: float, y: float, text: str, anchor: str, kind: str) -> dict[str, Any]:
    return {"x": x, "y": round(y, 2), "text": text, "anchor": anchor, "kind": kind}


def _scale(largest: float, *, is_whole: bool) -> float:
    """Return the top of a scale: the next of 1, 2, 4, 5, 8 and 10 times a power of ten."""
    if largest <= 0:
        return float(_GRID_LINES) if is_whole else 1.0
    power = 1.0
    while power * 10 <= largest:
        power *= 10
    while power > largest:
        power /= 10
    top = next(power * one for one in (1, 2, 4, 5, 8, 10) if power * one >= largest * (1 - 1e-9))
    return max(top, float(_GRID_LINES)) if is_whole else top


def _number(value: float, unit: str) -> str:
    if unit:
        digits = 0 if value >= 100 else 2 if value >= 1 or value == 0 else 4
        return f"{unit}{value:,.{digits}f}"
    if value >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:,.0f}"


def _when(some: Sequence[Column], number: int, every: int, length: timedelta) -> str:
    at = some[number].begins
    day = f"{at.day} {at:%b}"
    if length >= timedelta(days=1):
        return day
    # The day where it begins, and hours between.
    is_new = number == 0 or some[number - every].begins.date() != at.date()
    return day if is_new and number > 0 else f"{at:%H:%M}"
