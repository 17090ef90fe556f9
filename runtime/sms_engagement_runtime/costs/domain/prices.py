"""What a unit of each service costs, where that is known from, and how sure it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final


class Status(StrEnum):
    """How sure a price is. AWS's price pages themselves were not at hand."""

    PAGE = "page"
    """AWS's own price page, as a public copy or transcript of it has it."""

    DOCUMENT = "document"
    """AWS's documentation, whitepapers and workshops, their samples, and real events."""

    NOTES = "notes"
    """Public cost notes that cite AWS and agree with one another."""

    UNVERIFIED = "unverified"
    """What is commonly known; look it up before you rely on it."""

    YOURS = "yours"
    """From a file that was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a unit costs.

    Attributes
    ----------
    unit
        As the bill counts it.
    service
        Line of AWS's bill that it stands under.
    usd
        Of `per` units.
    source
        Where it is from, in words.
    """

    unit: str
    service: str
    usd: float
    per: int = 1
    status: Status
    source: str

    def of(self, amount: float) -> float:
        """Return dollars."""
        return amount * self.usd / self.per


@dataclass(frozen=True, slots=True, kw_only=True)
class PartPrice:
    """What a message part to a country costs.

    Attributes
    ----------
    usd
        AWS's own price.
    fee_usd
        Of the carrier, on top.
    """

    usd: float
    fee_usd: float
    status: Status
    source: str


_NOTES: Final = "public cost notes"
_CLOUDWATCH: Final = "AWS's CloudWatch price page, transcribed 2026-05"
_KINESIS: Final = "a public comparison of both modes in us-east-1, 2023-09"
_WORKSHOP: Final = "AWS's Step Functions workshop, module 13"
_SECRETS: Final = "AWS's Secrets Manager price page, transcribed 2026-09"

US_EAST_1: Final = tuple(
    Price(unit=unit, service=service, usd=usd, per=per, status=status, source=source)
    for unit, service, usd, per, status, source in (
        ("Lambda GB-seconds, arm64", "Lambda", 0.0000133334, 1, Status.NOTES, _NOTES),
        ("Lambda requests", "Lambda", 0.20, 1_000_000, Status.NOTES, _NOTES),
        ("state transitions", "Step Functions", 0.025, 1_000, Status.DOCUMENT, _WORKSHOP),
        ("express requests", "Step Functions", 1.00, 1_000_000, Status.DOCUMENT, _WORKSHOP),
        (
            "express GB-seconds",
            "Step Functions",
            0.00001667,
            1,
            Status.DOCUMENT,
            f"{_WORKSHOP}: 0.0000001042 for 100 ms of 64 MB",
        ),
        ("DynamoDB write units", "DynamoDB", 0.625, 1_000_000, Status.NOTES, "six public cost notes"),
        ("DynamoDB read units", "DynamoDB", 0.125, 1_000_000, Status.NOTES, "six public cost notes"),
        ("DynamoDB GB-months", "DynamoDB", 0.25, 1, Status.NOTES, "six public cost notes"),
        ("DynamoDB backup GB-months", "DynamoDB", 0.20, 1, Status.NOTES, "six public cost notes"),
        (
            "HTTP API requests",
            "API Gateway",
            1.00,
            1_000_000,
            Status.DOCUMENT,
            "AWS whitepaper, *Best Practices for Designing Amazon API Gateway Private APIs*, table 4",
        ),
        ("EventBridge events", "EventBridge", 1.00, 1_000_000, Status.NOTES, _NOTES),
        ("SNS messages", "SNS", 0.50, 1_000_000, Status.NOTES, "public cost notes of 2026-06"),
        ("SQS requests", "SQS", 0.40, 1_000_000, Status.NOTES, _NOTES),
        ("KMS requests", "KMS", 0.03, 10_000, Status.NOTES, "public cost notes of 2026-03"),
        ("KMS keys", "KMS", 1.00, 1, Status.PAGE, "AWS's KMS price page, undated copies"),
        ("Secrets Manager requests", "Secrets Manager", 0.05, 10_000, Status.PAGE, _SECRETS),
        ("secrets", "Secrets Manager", 0.40, 1, Status.PAGE, _SECRETS),
        (
            "X-Ray traces",
            "X-Ray",
            5.00,
            1_000_000,
            Status.PAGE,
            "AWS's X-Ray price page, undated copies in three languages",
        ),
        ("CloudWatch Logs, KB", "CloudWatch", 0.50, 1_000_000, Status.PAGE, _CLOUDWATCH),
        ("alarm metrics", "CloudWatch", 0.10, 1, Status.PAGE, _CLOUDWATCH),
        ("custom metrics", "CloudWatch", 0.30, 1, Status.PAGE, _CLOUDWATCH),
        ("dashboards", "CloudWatch", 3.00, 1, Status.NOTES, "public cost notes of 2026-06"),
        ("streams on demand, hours", "Kinesis", 0.04, 1, Status.NOTES, _KINESIS),
        ("shard hours", "Kinesis", 0.015, 1, Status.NOTES, _KINESIS),
        ("Kinesis GB in", "Kinesis", 0.08, 1, Status.NOTES, _KINESIS),
        ("Kinesis GB out", "Kinesis", 0.04, 1, Status.NOTES, _KINESIS),
        ("Kinesis GB-months", "Kinesis", 0.023, 1, Status.NOTES, "a public price fixture"),
        ("S3 writes", "S3", 0.005, 1_000, Status.NOTES, _NOTES),
        ("S3 reads", "S3", 0.0004, 1_000, Status.NOTES, _NOTES),
        ("S3 GB-months", "S3", 0.023, 1, Status.NOTES, "public cost notes of 2020 and 2022"),
        ("inbound texts", "SMS", 0.0075, 1, Status.UNVERIFIED, "commonly known; no source found"),
        ("numbers", "SMS", 1.00, 1, Status.NOTES, "public notes on 10DLC"),
        ("10DLC campaigns", "SMS", 10.00, 1, Status.NOTES, "public notes on 10DLC: 1.50 to 10, the dearest"),
    )
)
"""Prices of us-east-1, before what AWS gives for nothing."""

PARTS: Final = {
    "US": PartPrice(
        usd=0.00581,
        fee_usd=0.003,
        status=Status.DOCUMENT,
        source="delivery events of AWS's documentation, and real ones",
    ),
    "CA": PartPrice(
        usd=0.00581,
        fee_usd=0.00767,
        status=Status.UNVERIFIED,
        source="the fee from real events, up to 0.00767; the price of a part taken as that of the US",
    ),
}
"""A message part by country."""

FREE: Final = {
    "Lambda GB-seconds, arm64": 400_000,
    "Lambda requests": 1_000_000,
    "state transitions": 4_000,
    "SNS messages": 1_000_000,
    "SQS requests": 1_000_000,
    "KMS requests": 20_000,
    "X-Ray traces": 100_000,
    "CloudWatch Logs, KB": 5_000_000,
    "DynamoDB GB-months": 25,
    "alarm metrics": 10,
    "custom metrics": 10,
    "dashboards": 3,
}
"""What no account pays for, each month and in whatever year.

Those of CloudWatch, KMS, Step Functions and X-Ray are on copies of AWS's price pages; the others are commonly
known (AWS, *Always free*).
"""


class PriceError(ValueError):
    """A price list that cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """All prices.

    Attributes
    ----------
    units
        By unit.
    parts
        By country, ISO 3166-1 alpha-2.
    """

    units: Mapping[str, Price] = field(default_factory=lambda: {price.unit: price for price in US_EAST_1})
    parts: Mapping[str, PartPrice] = field(default_factory=lambda: dict(PARTS))

    def with_changes(self, changes: Mapping[str, Any]) -> PriceList:
        """Put prices of a file in the place of these.

        Parameters
        ----------
        changes
            ``{"units": {"KMS keys": 1.0, "SQS requests": 0.0000004}, "parts": {"GB": {"usd": 0.04,
            "feeUsd": 0}}}``: dollars for one unit each, and parts of further countries.

        Raises
        ------
        PriceError
            A group, unit or key that there is not, or a price that is no number from 0 on.
        """
        _only(changes, ("parts", "units"), "the price file")
        units = dict(self.units)
        for unit, usd in _object(changes, "units").items():
            if unit not in units:
                raise PriceError(f"there is no unit {unit!r}; there are {', '.join(sorted(units))}")
            units[unit] = replace(
                units[unit], usd=_dollars(usd, unit), per=1, status=Status.YOURS, source="the price file"
            )
        parts = dict(self.parts)
        for country, price in _object(changes, "parts").items():
            if not (len(country) == 2 and country.isalpha() and country.isupper()):
                raise PriceError(f"parts are by country, as 'GB', got {country!r}")
            if not isinstance(price, Mapping):
                raise PriceError(f"the price of a part to {country} must be an object, got {price!r}")
            _only(price, ("feeUsd", "usd"), f"parts.{country}")
            parts[country] = PartPrice(
                usd=_dollars(price.get("usd"), f"parts.{country}.usd"),
                fee_usd=_dollars(price.get("feeUsd", 0), f"parts.{country}.feeUsd"),
                status=Status.YOURS,
                source="the price file",
            )
        return PriceList(units=units, parts=parts)


def _object(changes: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = changes.get(key, {})
    if not isinstance(found, Mapping):
        raise PriceError(f"{key} of the price file must be an object, got {found!r}")
    return found


def _only(given: Mapping[str, Any], allowed: Iterable[str], where: str) -> None:
    if not isinstance(given, Mapping):
        raise PriceError(f"{where} must be an object, got {given!r}")
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise PriceError(f"{where} has unknown keys {', '.join(unknown)}; allowed are {', '.join(allowed)}")


def _dollars(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1_000_000:
        raise PriceError(f"{what} must be dollars from 0 on, got {value!r}")
    return float(value)
