"""The tables of ``docs/cost.md``, made by the command's own code from what was measured.

``python -m tools.cost_page`` writes them; ``python benchmarks/text_cost.py --write`` measures anew before.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from sms_engagement_runtime.commands.cost import read_profile
from sms_engagement_runtime.costs.domain.bill import TEXTS, Bill, Volumes, reckon
from sms_engagement_runtime.costs.domain.prices import PriceList
from sms_engagement_runtime.costs.domain.statement import (
    PUBLISHED,
    basis_table,
    comparison_table,
    flow_rows,
    line_by_line,
    line_rows,
    matrix,
    price_rows,
    slow_functions,
)
from tools.appointment_tables import table, write_block

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "cost.md"
COMMAND: Final = "python -m tools.cost_page"

EXAMPLE: Final = Volumes(
    reviews_per_day=1_000, appointments_per_month=1_000, promotions_per_month=20_000, parts_per_second=10
)
"""A shop with all three systems."""

_WHAT_IF: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("as above", {}),
    ("every promotion has two parts: one curly quote", {"parts_per_text": 2}),
    ("no reminders of review requests", {"reminded_share": 0}),
    ("no reminders of appointments", {"reminders_per_appointment": 0}),
    ("twice the review requests", {"reviews_per_day": 2_000}),
    ("a number of one part a second", {"parts_per_second": 1}),
    ("dev and staging beside it", {"environments": 3}),
    ("functions take twice as long as assumed", {"function_time": 2}),
    ("functions take ten times as long as assumed", {"function_time": 10}),
    ("a tenth goes to Canada", {"countries": {"US": 0.9, "CA": 0.1}}),
    ("nothing is sent", {"reviews_per_day": 0, "appointments_per_month": 0, "promotions_per_month": 0}),
)
_UNITS: Final = (
    "Lambda requests",
    "Lambda GB-seconds, arm64",
    "state transitions",
    "DynamoDB write units",
    "DynamoDB read units",
    "Kinesis KB in",
    "S3 writes",
    "CloudWatch Logs, KB",
    "bytes kept",
)


def blocks() -> dict[str, str]:
    """Compose all tables."""
    profile, prices = read_profile(), PriceList()
    bill = reckon(EXAMPLE, profile, prices)
    standing = sorted({unit for counts in profile.standing.values() for unit in counts})
    what_if = [
        [what, *_sums(reckon(replace(EXAMPLE, **changes), profile, prices))] for what, changes in _WHAT_IF
    ]
    stands = [
        [name, *(str(counts.get(unit, "")) for unit in standing)] for name, counts in profile.standing.items()
    ]
    example = [["texts and infrastructure", *_sums(bill)]]
    reviews, appointments = (
        f"{table(*line_rows(line_by_line(each, profile, prices)))}\n" for each in PUBLISHED
    )
    return {
        "reviews line by line": reviews,
        "appointments line by line": appointments,
        "basis": f"{table(*basis_table(bill))}\n\n{slow_functions(bill, EXAMPLE, profile, prices)}\n",
        "published": f"{table(*comparison_table(profile, prices))}\n",
        "example": f"{table(*matrix(bill))}\n\n{table(_HEADS, example)}\n",
        "what-if": f"{table(_HEADS, what_if)}\n",
        "measured": f"{table(['of one', *_UNITS], flow_rows(profile.flows, _UNITS))}\n",
        "standing": f"{table(['system', *standing], stands)}\n",
        "prices": f"{table(['unit', 'price', 'status', 'from'], price_rows(prices))}\n",
    }


_HEADS: Final = ("$ a month", "all", "texts", "infrastructure with the volume", "infrastructure, fixed")


def _sums(bill: Bill) -> list[str]:
    return [
        f"{amount:,.2f}"
        for amount in (
            bill.sum(),
            bill.sum(system=TEXTS),
            bill.sum(is_text=False, is_fixed=False),
            bill.sum(is_text=False, is_fixed=True),
        )
    ]


def write() -> None:
    """Write them into the page."""
    for name, text in blocks().items():
        write_block(name, text, PAGE)


if __name__ == "__main__":
    write()
