"""A bill as people and programs read it, next to what was published."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from sms_engagement_runtime.costs.domain.bill import TEXTS, Bill, Profile, Volumes, parts_of, reckon
from sms_engagement_runtime.costs.domain.prices import PriceList, Status
from sms_engagement_runtime.costs.domain.standing import OTHERS, SYSTEMS

PUBLISHED_PART_USD: Final = 0.00645
"""In older samples of AWS, and in our reading of both published bills."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A bill that was published for a system like one of these.

    Attributes
    ----------
    what
        Its volume, in words.
    usd
        A month.
    volumes
        What we read it to have sent, without anything that it does not name.
    systems
        Whose lines are compared.
    """

    what: str
    usd: float
    volumes: Volumes
    systems: tuple[str, ...]


PUBLISHED: Final = (
    Published(
        what="10,000 reviews a day",
        usd=1986.0,
        volumes=Volumes(
            reviews_per_day=10_000,
            reminded_share=0,
            reply_share=0,
            parts_per_second=20,
            numbers=0,
            campaigns=0,
        ),
        systems=("Channel", "Reviews"),
    ),
    Published(
        what="1,000 appointments a month",
        usd=11.16,
        volumes=Volumes(
            appointments_per_month=1_000,
            confirmed_share=0.3,
            reminders_per_appointment=0,
            feedback_share=0,
            numbers=0,
            campaigns=0,
        ),
        systems=("Channel", "Appointments"),
    ),
)
"""Neither says what it is made of. 300,000 texts at $0.00645 are $1,935 of the first; of the second,
``docs/appointments.md`` has our reading."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A published bill, and ours of the same texts, without carrier fees.

    Attributes
    ----------
    texts, used, stands
        Dollars of the texts, of what is used with them, and of what stands without any.
    texts_at_their_price
        Of the texts, at `PUBLISHED_PART_USD`.
    """

    published: Published
    texts: float
    used: float
    stands: float
    texts_at_their_price: float

    @property
    def ours(self) -> float:
        """Dollars of all of it."""
        return self.texts + self.used + self.stands


def compare(published: Published, profile: Profile, prices: PriceList) -> Comparison:
    """Reckon a published bill's volumes with our system."""
    of_them = Profile(
        profile.flows,
        {name: counts for name, counts in profile.standing.items() if name in published.systems},
        profile.send_part_gigabytes,
    )
    without_fees = PriceList(
        units=prices.units,
        parts={country: replace(price, fee_usd=0) for country, price in prices.parts.items()},
    )
    bill = reckon(published.volumes, of_them, without_fees)
    return Comparison(
        published,
        # Inbound texts are in neither: their price is not among the facts that could be looked up.
        math.fsum(line.usd for line in bill.lines if line.unit.startswith("message parts")),
        bill.sum(is_text=False, is_fixed=False),
        bill.sum(is_fixed=True, is_text=False),
        parts_of(published.volumes) * PUBLISHED_PART_USD,
    )


def _services(bill: Bill) -> list[str]:
    return sorted({line.service for line in bill.lines if line.system != TEXTS})


def as_data(bill: Bill, volumes: Volumes, profile: Profile, prices: PriceList) -> dict[str, Any]:
    """Compose what ``--json`` prints."""
    return {
        "volumes": asdict(volumes),
        "usdPerMonth": {
            "total": round(bill.sum(), 2),
            "texts": round(bill.sum(is_text=True), 2),
            "infrastructureFixed": round(bill.sum(is_fixed=True, is_text=False), 2),
            "infrastructureVariable": round(bill.sum(is_text=False, is_fixed=False), 2),
            "freeAllowances": round(bill.free_usd, 2),
        },
        "bySystem": {system: round(bill.sum(system=system), 2) for system in (TEXTS, *SYSTEMS, OTHERS)},
        "byService": {
            service: round(bill.sum(service=service, is_text=False), 2) for service in _services(bill)
        },
        "lines": [
            {
                "system": line.system,
                "service": line.service,
                "unit": line.unit,
                "amount": round(line.amount, 4),
                "usd": round(line.usd, 6),
                "isFixed": line.is_fixed,
                "price": str(line.status),
            }
            for line in bill.lines
        ],
        "published": [
            {
                "what": each.what,
                "usd": each.usd,
                "ours": round(compared.ours, 2),
                "texts": round(compared.texts, 2),
                "used": round(compared.used, 2),
                "stands": round(compared.stands, 2),
                "oursAtTheirPartPrice": round(
                    compared.texts_at_their_price + compared.used + compared.stands, 2
                ),
            }
            for each in PUBLISHED
            for compared in [compare(each, profile, prices)]
        ],
    }


def matrix(bill: Bill) -> tuple[list[str], list[list[str]]]:
    """Return heads and rows of the bill by service and system."""
    systems = [system for system in (*SYSTEMS, OTHERS) if bill.sum(system=system)]
    heads = ["$ a month", *systems, "all"]
    rows = []
    for service in _services(bill):
        cells = [bill.sum(service=service, system=system) for system in systems]
        rows.append([service, *map(_dollars, cells), _dollars(sum(cells))])
    for name, is_fixed in (("fixed", True), ("with the volume", False)):
        cells = [bill.sum(system=system, is_fixed=is_fixed) for system in systems]
        rows.append([name, *map(_dollars, cells), _dollars(sum(cells))])
    return heads, rows


def comparison_table(profile: Profile, prices: PriceList) -> tuple[list[str], list[list[str]]]:
    """Return heads and rows of the published bills next to ours."""
    heads = ["a month", "published", "ours", "texts", "used with them", "stands", "ours at $0.00645 a part"]
    rows = []
    for each in PUBLISHED:
        ours = compare(each, profile, prices)
        at_theirs = ours.texts_at_their_price + ours.used + ours.stands
        rows.append(
            [
                each.what,
                *map(_dollars, (each.usd, ours.ours, ours.texts, ours.used, ours.stands, at_theirs)),
            ]
        )
    return heads, rows


def _dollars(amount: float) -> str:
    return f"{amount:,.2f}"


def _columns(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]

    def write(row: Sequence[str]) -> str:
        first, *rest = zip(row, widths, strict=True)
        return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]).rstrip()

    return "\n".join(map(write, [heads, *rows]))


def as_text(bill: Bill, profile: Profile, prices: PriceList) -> str:
    """Compose what the command prints."""
    texts = [
        [line.unit, f"{line.amount:,.0f}", _dollars(line.usd), str(line.status)]
        for line in bill.lines
        if line.system == TEXTS
    ]
    unverified = sorted({line.unit for line in bill.lines if line.status is Status.UNVERIFIED})
    fixed = bill.sum(is_fixed=True, is_text=False)
    blocks = [
        f"A month costs ${_dollars(bill.sum())}: texts ${_dollars(bill.sum(is_text=True))}, infrastructure "
        f"${_dollars(bill.sum(is_text=False))} (of it fixed ${_dollars(fixed)}).",
        _columns(["texts", "amount", "$", "price"], texts) if texts else "No texts.",
        "Infrastructure:\n" + _columns(*matrix(bill)),
        f"An account without anything else in it gets ${_dollars(bill.free_usd)} of that for nothing.",
        "Published bills, and ours of the same texts without carrier fees:\n"
        + _columns(*comparison_table(profile, prices)),
    ]
    if unverified:
        blocks.append(f"Prices that nobody could look up: {', '.join(unverified)}.")
    return "\n\n".join(blocks)


def price_rows(prices: PriceList) -> list[list[str]]:
    """Return a row a price: unit, dollars, status, source."""
    rows = []
    for country, part in prices.parts.items():
        rows.append([f"message part, {country}", f"${part.usd:g}", str(part.status), part.source])
        rows.append([f"carrier fee, {country}", f"${part.fee_usd:g}", str(part.status), part.source])
    for price in prices.units.values():
        per = "" if price.per == 1 else f" / {price.per:,}"
        usd = f"{price.usd:.10f}".rstrip("0").rstrip(".")
        rows.append([price.unit, f"${usd}{per}", str(price.status), price.source])
    return rows


def flow_rows(flows: Mapping[str, Mapping[str, float]], units: Sequence[str]) -> list[list[str]]:
    """Return a row a flow: what it uses of each unit."""
    return [
        [name, *(f"{usage[unit]:g}" if unit in usage else "" for unit in units)]
        for name, usage in flows.items()
    ]
