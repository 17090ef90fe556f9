"""The consumers of the stream against the sequential baseline, as the table in ``docs/performance.md``.

``python benchmarks/consumer_table.py [--repeat 7]`` runs the baseline's own benchmark on its paths
``consume.*`` and prints the table; ``--write`` puts it into the page. It ends with 1 where a result differs
from the baseline's, or a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

if __package__ in {None, ""}:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.appointment_tables import table, write_block

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "performance.md"
BLOCK: Final = "consumers"

_NAMES: Final = {
    "event_processor": "event processor",
    "response_handler": "response handler",
    "analytics": "analytics",
    "archive": "archive",
}
_CPU_GOALS: Final = {"event_processor": 4.0, "response_handler": 1.5, "analytics": 3.0, "archive": 3.5}
_WALL_GOALS: Final = {"event_processor": 20.0, "response_handler": 20.0, "analytics": 20.0, "archive": 5.0}
_MOST_CALLS: Final = {"log.line": 10.0, "cloudwatch.PutMetricData": 0.0, "s3.PutObject": 1.0}
"""Calls of 1,000 events. Others have no goal: they are what the consumer is for."""

_MOST_BYTES: Final = 52.0
"""Of an archived event."""

_CALLS: Final = {
    "log.line": "log lines",
    "cloudwatch.PutMetricData": "metric calls",
    "s3.PutObject": "archive puts",
    "dynamodb.PutItem": "rows written",
    "dynamodb.BatchGetItem": "reads",
    "dynamodb.TransactWriteItems": "transactions",
    "dynamodb.UpdateItem": "updates",
    "pinpoint.UpdateEndpoint": "Pinpoint updates",
    "pinpoint.SendMessages": "replies",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One path of one run.

    Attributes
    ----------
    consumer, clock
        ``event_processor``, …; ``cpu`` or ``wall``.
    baseline, product
        What the benchmark printed of each.
    """

    consumer: str
    clock: str
    baseline: Mapping[str, Any]
    product: Mapping[str, Any]

    @property
    def goal(self) -> float:
        """How many times as quick it is to be."""
        return (_CPU_GOALS if self.clock == "cpu" else _WALL_GOALS)[self.consumer]

    def misses(self) -> list[str]:
        """Say which goals are missed."""
        found, product = [], self.product
        if product.get("same_result") is False:
            found.append("another result than the baseline's")
        if product["x_vs_seed"] < self.goal:
            found.append(f"{product['x_vs_seed']} x is less than {self.goal:g} x")
        for call, most in _MOST_CALLS.items():
            if (calls := product["calls_per_1k"].get(call, 0.0)) > most:
                found.append(f"{calls:g} {_CALLS[call]} are more than {most:g}")
        if (size := product.get("archive_bytes_per_event", 0.0)) > _MOST_BYTES:
            found.append(f"{size:g} bytes are more than {_MOST_BYTES:g}")
        return found


def comparisons(printed: Iterable[str]) -> list[Comparison]:
    """Read what the benchmark printed: a JSON object a line."""
    by_path: dict[str, dict[str, Any]] = {}
    for line in printed:
        said = json.loads(line)
        if "path" in said:
            by_path.setdefault(said["path"], {})[said["adapter"]] = said
    found = []
    for path, sides in by_path.items():
        _, consumer, clock = path.split(".")
        found.append(
            Comparison(consumer=consumer, clock=clock, baseline=sides["seed"], product=sides["product"])
        )
    return found


def page(found: Sequence[Comparison]) -> str:
    """Write the table."""
    rows = []
    for each in found:
        misses = each.misses()
        rows.append(
            [
                f"{_NAMES[each.consumer]}, {each.clock}",
                f"{each.baseline['us_per_item']:.1f} µs",
                f"{each.product['us_per_item']:.1f} µs",
                f"{each.product['x_vs_seed']:.1f}",
                f"{each.goal:g}: {'reached' if not misses else 'NOT REACHED: ' + '; '.join(misses)}",
                _told(each.baseline),
                _told(each.product),
            ]
        )
    heads = ["path", "baseline", "product", "x", "goal", "baseline, per 1,000 events", "product"]
    return f"{table(heads, rows)}\n"


def _told(side: Mapping[str, Any]) -> str:
    told = [f"{calls:g} {_CALLS[call]}" for call, calls in side["calls_per_1k"].items()]
    if "archive_bytes_per_event" in side:
        told.append(f"{side['archive_bytes_per_event']:g} bytes an event")
    return ", ".join(told)


def main() -> int:
    """Run the benchmark and print the table, or write it into the page."""
    parser = argparse.ArgumentParser(description="Compare the consumers with the sequential baseline.")
    parser.add_argument("--repeat", type=int, default=7, help="runs of each path")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.relative_to(ROOT)}")
    options = parser.parse_args()
    bench = ROOT / "benchmarks" / "sequential_baseline" / "bench.py"
    arguments = ["--adapter", "benchmarks.adapter", "--paths", "consume", "--repeat", str(options.repeat)]
    # The benchmark finds the adapter from the folder in which it runs.
    finished = subprocess.run(
        [sys.executable, str(bench), *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "runtime")},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    found = comparisons(finished.stdout.splitlines())
    written = page(found)
    if options.write:
        write_block(BLOCK, written, PAGE)
    print(written)
    return 1 if finished.returncode or any(each.misses() for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
