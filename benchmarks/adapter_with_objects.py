"""The product behind the baseline's contract, as ``benchmarks.adapter``, with the objects of a run included.

Writing and reading them in S3 takes the same time for any run, so the difference between the two tells what a
run costs beside its people.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from benchmarks import adapter

NAME: Final = "product with objects"
"""Label in the output."""


def broadcast(env: Any, time_left: Callable[[], float] = lambda: 1e9) -> dict[str, Any]:
    """Ask all active customers for a review."""
    return adapter.broadcast(env, time_left, waits_for_objects=True)
