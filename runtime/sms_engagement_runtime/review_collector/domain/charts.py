"""Charts as inline SVG, each with a title that says it in words and a table of its numbers.

No style attributes, so that the pages' content security policy needs no exception; colours come from classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

_WIDTH: Final = 480


class Bar(NamedTuple):
    """One bar.

    Attributes
    ----------
    value
        None where there is nothing to tell, which is not the same as zero.
    kind
        CSS class.
    """

    label: str
    value: float | None
    shown: str
    kind: str = "bar"


def bars(title: str, summary: str, entries: Sequence[Bar]) -> str:
    """Draw lying bars, one below the other, each with its number."""
    most = max((entry.value or 0 for entry in entries), default=0) or 1
    row, left, right = 36, 88, 128
    most_long = _WIDTH - left - right
    parts = []
    for index, entry in enumerate(entries):
        top = index * row
        length = most_long * (entry.value or 0) / most
        parts.append(
            f'<text x="0" y="{top + 21}">{escape(entry.label)}</text>'
            f'<rect class="track" x="{left}" y="{top + 6}" width="{most_long}" height="20" rx="4"/>'
            f'<rect class="{entry.kind}" x="{left}" y="{top + 6}" width="{length:.1f}" height="20" rx="4"/>'
            f'<text x="{_WIDTH - right + 8}" y="{top + 21}">{escape(entry.shown)}</text>'
        )
    return _figure(title, summary, len(entries) * row, "".join(parts), entries)


def columns(title: str, summary: str, entries: Sequence[Bar]) -> str:
    """Draw standing bars over time; the first and the last are named below."""
    height, foot, top = 150, 28, 24
    most = max((entry.value or 0 for entry in entries), default=0) or 1
    step = _WIDTH / max(1, len(entries))
    parts = [_scale(height, top, _number(most))]
    for index, entry in enumerate(entries):
        tall = (height - top) * (entry.value or 0) / most
        parts.append(
            f'<rect class="{entry.kind}" x="{index * step + step * 0.12:.1f}" y="{height - tall:.1f}" '
            f'width="{step * 0.76:.1f}" height="{tall:.1f}"><title>{escape(entry.label)}: '
            f"{escape(entry.shown)}</title></rect>"
        )
    return _figure(title, summary, height + foot, "".join(parts) + _ends(entries, height), entries)


def line(title: str, summary: str, entries: Sequence[Bar], *, most: float, most_shown: str) -> str:
    """Draw a line over time, broken where there is nothing to tell."""
    height, foot, top = 150, 28, 24
    step = _WIDTH / max(1, len(entries))
    runs: list[list[tuple[float, float]]] = [[]]
    dots = []
    for index, entry in enumerate(entries):
        if entry.value is None:
            runs.append([])
            continue
        x, y = step * (index + 0.5), height - (height - top) * min(1.0, entry.value / most)
        runs[-1].append((x, y))
        dots.append(
            f'<circle class="bar" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{escape(entry.label)}: '
            f"{escape(entry.shown)}</title></circle>"
        )
    paths = "".join(
        '<polyline class="line" points="' + " ".join(f"{x:.1f},{y:.1f}" for x, y in run) + '"/>'
        for run in runs
        if len(run) > 1
    )
    drawing = _scale(height, top, most_shown) + paths + "".join(dots) + _ends(entries, height)
    return _figure(title, summary, height + foot, drawing, entries)


def _scale(height: int, top: int, most: str) -> str:
    return (
        f'<line class="grid" x1="0" x2="{_WIDTH}" y1="{height}" y2="{height}"/>'
        f'<line class="grid" x1="0" x2="{_WIDTH}" y1="{top}" y2="{top}"/>'
        f'<text class="soft" x="0" y="{top - 5}">{escape(most)}</text>'
    )


def _ends(entries: Sequence[Bar], height: int) -> str:
    if not entries:
        return ""
    at = f'class="soft" y="{height + 20}"'
    last = f'<text {at} x="{_WIDTH}" text-anchor="end">{escape(entries[-1].label)}</text>'
    first = f'<text {at} x="0">{escape(entries[0].label)}</text>'
    return first + last if len(entries) > 1 else last


def _figure(title: str, summary: str, height: int, drawing: str, entries: Sequence[Bar]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(entry.label)}</th><td>{escape(entry.shown)}</td></tr>'
        for entry in entries
    )
    return (
        f'<figure class="card"><h2>{escape(title)}</h2>'
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}. {escape(summary)}">'
        f"{drawing}</svg><figcaption>{escape(summary)}</figcaption>"
        f"<details><summary>As a table</summary><table><tbody>{rows}</tbody></table></details></figure>"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}"
