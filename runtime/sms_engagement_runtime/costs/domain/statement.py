"""A bill as people and programs read it, next to what was published."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sms_engagement_runtime.costs.domain.bill import (
    TEXTS,
    Basis,
    Bill,
    Profile,
    Volumes,
    of_slow_functions,
    parts_of,
    reckon,
)
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
    bill = _bill_of(published, profile, prices)
    return Comparison(
        published,
        # Inbound texts are in neither: their price is not among the facts that could be looked up.
        _of_parts(bill),
        bill.sum(is_text=False, is_fixed=False),
        bill.sum(is_fixed=True, is_text=False),
        parts_of(published.volumes) * PUBLISHED_PART_USD,
    )


def _bill_of(published: Published, profile: Profile, prices: PriceList) -> Bill:
    """Reckon a published bill's volumes with those of our systems that it is about."""
    of_them = Profile(
        profile.flows,
        {name: counts for name, counts in profile.standing.items() if name in published.systems},
        profile.send_part_gigabytes,
    )
    return reckon(published.volumes, of_them, prices)


def _of_parts(bill: Bill) -> float:
    return math.fsum(line.usd for line in bill.lines if line.unit.startswith("message parts"))


# Line by line

_USED_FOR: Final = {
    "Step Functions": "a state for each step and wait",
    "Lambda": "time of functions: assumed",
    "X-Ray": "a trace for each call; sampling makes it less",
    "DynamoDB": "who was texted, consent, conversations; kept for a year, with backups",
    "KMS": "a call for each event on an encrypted topic",
    "S3": "parts and results of each broadcast",
    "SQS": "three requests for each event",
}
_STANDS_FOR: Final = {
    "dashboards": "`dashboard: false` leaves them out; an account has three for nothing",
    "alarm metrics": "failures, dead letters, stop rules; an account has ten for nothing",
    "custom metrics": "what alarms look at, if it gets values; an account has ten for nothing",
    "KMS keys": "of topics that AWS writes to; `alarmTopicArn` saves one, the prop `encryption_key` one",
    "secrets": "of subscriber ids, links and webhooks; the prop `providers` saves one for each it leaves out",
    "SQS requests": "five pollers of each queue, whatever comes; an account has a million for nothing",
}
_SMALL: Final = 0.01


@dataclass(frozen=True, slots=True)
class ComparedLine:
    """A line of a published bill next to ours.

    Attributes
    ----------
    published
        In our reading; None where it does not name such a thing.
    ours, after_free
        Dollars, and what is left of them after what AWS gives an account with nothing else in it.
    why
        What it is for, and what makes it less.
    """

    what: str
    published: float | None
    ours: float
    after_free: float
    why: str = ""


def line_by_line(published: Published, profile: Profile, prices: PriceList) -> list[ComparedLine]:
    """Explain the difference between a published bill and ours of the same texts.

    What AWS gives for nothing is taken from what is used first, then from what stands. The last two lines
    come on top of the sum, there as here.
    """
    bill = _bill_of(published, profile, prices)
    left = dict(bill.free)
    lines = []

    def paid(unit: str, usd: float) -> float:
        given = min(left.get(unit, 0), usd)
        left[unit] = left.get(unit, 0) - given
        return usd - given

    parts = parts_of(published.volumes)
    texts = _of_parts(bill)
    theirs = parts * PUBLISHED_PART_USD
    part_usd = texts / parts
    why = f"${PUBLISHED_PART_USD:g} a part in older samples, ${part_usd:g} today"
    lines.append(ComparedLine(f"texts: {parts:,.0f} parts", theirs, texts, texts, why))
    used: dict[str, tuple[float, float]] = {}
    for line in bill.lines:
        if line.system != TEXTS and not line.is_fixed:
            usd, net = used.get(line.service, (0, 0))
            used[line.service] = usd + line.usd, net + paid(line.unit, line.usd)
    small = [service for service, (usd, _) in used.items() if usd < _SMALL]
    for service in sorted(set(used) - set(small), key=lambda service: -used[service][0]):
        usd, net = used[service]
        lines.append(ComparedLine(f"{service}, used", None, usd, net, _USED_FOR.get(service, "")))
    if small:
        usd, net = (math.fsum(used[service][each] for service in small) for each in (0, 1))
        lines.append(ComparedLine("other services, used", None, usd, net, ", ".join(sorted(small))))
    stands: dict[str, tuple[float, float, float]] = {}
    for line in bill.lines:
        if line.system != TEXTS and line.is_fixed:
            count, usd, net = stands.get(line.unit, (0, 0, 0))
            stands[line.unit] = count + line.amount, usd + line.usd, net + paid(line.unit, line.usd)
    for unit, (count, usd, net) in sorted(stands.items(), key=lambda each: -each[1][1]):
        what = f"{unit}, standing: {count:,.0f}"
        lines.append(ComparedLine(what, None, usd, net, _STANDS_FOR.get(unit, "")))
    ours, after = (math.fsum(getattr(line, name) for line in lines) for name in ("ours", "after_free"))
    lines.insert(
        1, ComparedLine("everything else, not named", published.usd - theirs, 0, 0, "what is left of it")
    )
    lines.append(ComparedLine("sum", published.usd, ours, after))
    for what, prefix in (("carrier fees", "carrier fees"), ("inbound texts", "inbound texts")):
        usd = math.fsum(line.usd for line in bill.lines if line.unit.startswith(prefix))
        if usd:
            lines.append(ComparedLine(f"on top: {what}", None, usd, usd, "in no published bill"))
    return lines


def line_rows(lines: Sequence[ComparedLine]) -> tuple[list[str], list[list[str]]]:
    """Return heads and rows of a published bill next to ours, line by line."""
    heads = ["$ a month", "published", "ours", "after what AWS gives", "why, and what makes it less"]
    return heads, [
        [
            line.what,
            "" if line.published is None else _dollars(line.published),
            _dollars(line.ours) if line.ours else "",
            _dollars(line.after_free) if line.ours else "",
            line.why,
        ]
        for line in lines
    ]


# What it rests on

_BASES: Final = {
    Basis.GIVEN: "given: texts, answers, numbers",
    Basis.COUNTED: "counted: requests of the code that was run, resources of the templates",
    Basis.ASSUMED: "assumed: times of functions, batches, traces, log lines, polls",
}
_PRICES: Final = {
    Status.PAGE: "prices of AWS's own pages, by public copies",
    Status.DOCUMENT: "prices of AWS's documentation, its samples, and real events",
    Status.NOTES: "prices of public cost notes",
    Status.UNVERIFIED: "prices without a source",
    Status.YOURS: "prices of your file",
}


def basis_table(bill: Bill) -> tuple[list[str], list[list[str]]]:
    """Return heads and rows of how much of a bill rests on what: its amounts, then its prices."""
    total = bill.sum()
    sums = [(what, bill.sum(basis=basis)) for basis, what in _BASES.items()]
    sums += [(what, bill.sum(status=status)) for status, what in _PRICES.items()]
    rows = [[what, _dollars(usd), f"{usd / total:.1%}"] for what, usd in sums if usd]
    return ["what it rests on", "$ a month", "share"], rows


def slow_functions(bill: Bill, volumes: Volumes, profile: Profile, prices: PriceList) -> str:
    """Say what the assumption weighs that moves the most."""
    more = of_slow_functions(volumes, profile, prices)
    total = bill.sum()
    share = more / total if total else 0
    return f"If functions took twice as long as assumed, it would be ${_dollars(more)} more ({share:.2%})."


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
            "ifFunctionsTookTwiceAsLong": round(of_slow_functions(volumes, profile, prices), 2),
        },
        "byBasis": {str(basis): round(bill.sum(basis=basis), 2) for basis in Basis},
        "byPrice": {str(status): round(bill.sum(status=status), 2) for status in Status},
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
                "basis": str(line.basis),
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
                "lines": [
                    {
                        "what": line.what,
                        "published": None if line.published is None else round(line.published, 2),
                        "ours": round(line.ours, 2),
                        "afterFreeAllowances": round(line.after_free, 2),
                    }
                    for line in line_by_line(each, profile, prices)
                ],
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
    are_words = [not any(cell[:1].isdigit() for row in rows for cell in [row[n]]) for n in range(len(heads))]

    def write(row: Sequence[str]) -> str:
        cells = zip(row, widths, are_words, strict=True)
        return "  ".join(
            cell.ljust(width) if number == 0 or is_words else cell.rjust(width)
            for number, (cell, width, is_words) in enumerate(cells)
        ).rstrip()

    return "\n".join(map(write, [heads, *rows]))


def as_text(bill: Bill, volumes: Volumes, profile: Profile, prices: PriceList) -> str:
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
        _columns(*basis_table(bill)) + "\n" + slow_functions(bill, volumes, profile, prices),
        "Published bills, and ours of the same texts without carrier fees:\n"
        + _columns(*comparison_table(profile, prices)),
        *(
            f"{each.what}, line by line:\n" + _columns(*line_rows(line_by_line(each, profile, prices)))
            for each in PUBLISHED
        ),
    ]
    if unverified:
        blocks.append(f"Prices without a source: {', '.join(unverified)}.")
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
