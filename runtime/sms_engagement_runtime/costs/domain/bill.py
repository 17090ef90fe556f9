"""The bill of a month: volumes, times what was measured, times prices."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from sms_engagement_runtime.channel.domain.pacing import HEADROOM
from sms_engagement_runtime.costs.domain.prices import FREE, PartPrice, PriceList, Status

DAYS: Final = 30
"""Of a month."""

HOURS: Final = 730
"""Of a month, as AWS reckons."""

_GB: Final = 1e9

TEXTS: Final = "Texts"
"""Lines of texts themselves, apart from infrastructure."""

EVENTS_PER_TEXT: Final = 2
"""Delivery events: the carrier took it, the handset has it. As measured flows have it."""

_POLLS: Final = 5 * 3 * 60 * 24 * DAYS
"""Of a queue that Lambda reads: five pollers, each of which waits 20 seconds (Lambda, *Using Lambda with
Amazon SQS*)."""

_STATES_OF_A_RUN: Final = 11
"""Of a broadcast: snapshot, choice, plan, choice, parts, plan, choice, summary, choice, follow-up, done."""

_STATES_OF_A_QUARTER: Final = 5
"""Plan, choice, wait, plan, choice."""

_QUARTER_SECONDS: Final = 900
_PART_SECONDS: Final = 235
"""How long one function sends."""

_EXPRESS_GB: Final = 0.0625
"""Step Functions bills express executions in chunks of 64 MB."""

_SHORTEST_TEXT_SECONDS: Final = 0.004
"""Of a function's time, however fast the number: the processor's share (``docs/performance.md``)."""

_VIEWS_PER_REVIEW: Final = 2
"""Of the form, previews of links included."""

_CONSUMERS: Final = 4
_MAX_RATE: Final = 10_000


class VolumeError(ValueError):
    """Volumes that cannot be."""


class Basis(StrEnum):
    """Where the amount of a line is from."""

    GIVEN = "given"
    """By the volumes: texts, answers, numbers."""

    COUNTED = "counted"
    """What the product's own code asked of AWS when it was run, and what its templates make."""

    ASSUMED = "assumed"
    """What nobody can count without an account: times, batches, log lines of AWS's own, polls."""


_ASSUMED: Final = frozenset(
    {
        "Lambda GB-seconds, arm64",
        "Lambda requests",
        "X-Ray traces",
        "express requests",
        "express GB-seconds",
        "CloudWatch Logs, KB",
    }
)
"""Units whose amounts hold an assumption: how long functions take, how many events one gets at once (so how
often one is called and traced), and what Lambda writes into the log by itself."""


def _basis(system: str, unit: str, *, is_fixed: bool) -> Basis:
    if system == TEXTS:
        return Basis.GIVEN
    is_poll = is_fixed and unit == "SQS requests"
    return Basis.ASSUMED if unit in _ASSUMED or is_poll else Basis.COUNTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Volumes:
    """What is sent and received in a month.

    Attributes
    ----------
    reviews_per_day
        Review requests.
    reminded_share
        Of them, those who get the one reminder since they did not answer.
    review_share
        Of them, those who write a review.
    appointments_per_month
        Bookings with a phone number.
    confirmed_share
        Of them, those who answer the confirmation; the others are followed up.
    reminders_per_appointment
        Reminders before it; one by default.
    feedback_share
        Appointments after which a review is asked for.
    promotions_per_month
        Texts of journeys and promotions.
    reply_share
        Of review requests and promotions, those that are answered by text.
    parts_per_text
        Message parts; review requests and appointments' texts have one.
    countries
        Shares of texts by country; they add up to 1.
    parts_per_second
        Rate of the number: while a broadcast goes out, a function waits for it and is paid for.
    retention_months
        How long rows, stream and archive are kept. 365 days is the stream's most.
    environments
        How many stand side by side; each costs what stands, and the first one what is sent.
    numbers, campaigns
        Phone numbers, and 10DLC campaigns, of all environments.
    function_time
        How long functions take, relative to what is assumed; but for how long a broadcast goes out, which is
        by the rate of the number.

    Raises
    ------
    VolumeError
        A number is negative, a share is not from 0 to 1, or shares do not add up.
    """

    reviews_per_day: float = 0
    reminded_share: float = 0.9
    review_share: float = 0.1
    appointments_per_month: float = 0
    confirmed_share: float = 0.3
    reminders_per_appointment: float = 1
    feedback_share: float = 1
    promotions_per_month: float = 0
    reply_share: float = 0.03
    parts_per_text: float = 1
    countries: Mapping[str, float] = field(default_factory=lambda: {"US": 1.0})
    parts_per_second: float = 1
    retention_months: float = 12
    environments: int = 1
    numbers: int = 1
    campaigns: int = 1
    function_time: float = 1

    def __post_init__(self) -> None:
        for name in ("reminded_share", "review_share", "confirmed_share", "feedback_share", "reply_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise VolumeError(f"{name} must be from 0 to 1, got {getattr(self, name)!r}")
        for name in (
            "reviews_per_day",
            "appointments_per_month",
            "reminders_per_appointment",
            "promotions_per_month",
            "retention_months",
            "environments",
            "numbers",
            "campaigns",
            "function_time",
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise VolumeError(f"{name} must be a number from 0 on, got {value!r}")
        if not 1 <= self.parts_per_text <= 10:
            raise VolumeError(f"parts_per_text must be from 1 to 10, got {self.parts_per_text!r}")
        if not 0 < self.parts_per_second <= _MAX_RATE:
            raise VolumeError(
                f"parts_per_second must be above 0 and at most {_MAX_RATE}, got {self.parts_per_second!r}"
            )
        if not self.countries or not math.isclose(sum(self.countries.values()), 1, abs_tol=1e-6):
            raise VolumeError(f"shares of countries must add up to 1, got {sum(self.countries.values()):g}")
        if min(self.countries.values()) < 0:
            raise VolumeError("a country's share must be from 0 to 1")


@dataclass(frozen=True, slots=True)
class Profile:
    """What was measured.

    Attributes
    ----------
    flows
        Units by flow: a review request, a delivery event, an appointment.
    standing
        What is there without a text: counts by unit, by system.
    send_part_gigabytes
        Memory of the function that sends a broadcast.
    """

    flows: Mapping[str, Mapping[str, float]]
    standing: Mapping[str, Mapping[str, float]]
    send_part_gigabytes: float

    @classmethod
    def read(cls, measured: Mapping[str, Any]) -> Profile:
        """Read what ``benchmarks/text_cost.py`` wrote."""
        return cls(measured["flows"], measured["standing"], measured["sendPartGigabytes"])


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill.

    Attributes
    ----------
    system
        One of `standing.SYSTEMS`, `standing.OTHERS` or `TEXTS`.
    service
        Of AWS.
    is_fixed
        Whether it is there without a single text.
    status
        How sure its price is.
    """

    system: str
    service: str
    unit: str
    amount: float
    usd: float
    is_fixed: bool
    status: Status

    @property
    def basis(self) -> Basis:
        """Where the amount is from."""
        return _basis(self.system, self.unit, is_fixed=self.is_fixed)


@dataclass(frozen=True, slots=True)
class Bill:
    """What a month costs.

    Attributes
    ----------
    lines
        All of it, before what AWS gives for nothing.
    free
        What that is worth, by unit, for an account without anything else in it.
    """

    lines: tuple[Line, ...]
    free: Mapping[str, float]

    @property
    def free_usd(self) -> float:
        """What AWS gives for nothing, all of it."""
        return math.fsum(self.free.values())

    def sum(
        self,
        *,
        system: str | None = None,
        service: str | None = None,
        is_fixed: bool | None = None,
        is_text: bool | None = None,
        basis: Basis | None = None,
        status: Status | None = None,
    ) -> float:
        """Return dollars of the lines that are of these."""
        return math.fsum(
            line.usd
            for line in self.lines
            if (system is None or line.system == system)
            and (service is None or line.service == service)
            and (is_fixed is None or line.is_fixed == is_fixed)
            and (is_text is None or (line.system == TEXTS) == is_text)
            and (basis is None or line.basis == basis)
            and (status is None or line.status == status)
        )


def reckon(volumes: Volumes, profile: Profile, prices: PriceList) -> Bill:
    """Reckon what a month costs.

    Raises
    ------
    VolumeError
        Texts go to a country whose price the list does not have.
    """
    unknown = sorted(set(volumes.countries) - set(prices.parts))
    if unknown:
        raise VolumeError(
            f"the price of a part to {', '.join(unknown)} is not known; give it in a price file, as "
            f'{{"parts": {{"{unknown[0]}": {{"usd": 0.04, "feeUsd": 0}}}}}}'
        )
    lines: list[Line] = []
    totals: dict[str, float] = {}
    used = [(system, unit, amount, False) for system, unit, amount in _variable(volumes, profile)]
    stands = [(system, unit, amount, True) for system, unit, amount in _fixed(volumes, profile)]
    sums: dict[tuple[str, str, bool], float] = {}
    for system, unit, amount, is_fixed in [*used, *stands]:
        sums[system, unit, is_fixed] = sums.get((system, unit, is_fixed), 0) + amount
    for (system, unit, is_fixed), amount in sums.items():
        if not amount:
            continue
        price = prices.units[unit]
        totals[unit] = totals.get(unit, 0) + amount
        lines.append(Line(system, price.service, unit, amount, price.of(amount), is_fixed, price.status))
    lines.extend(_parts(volumes, prices.parts))
    free = {unit: prices.units[unit].of(min(totals.get(unit, 0), amount)) for unit, amount in FREE.items()}
    return Bill(tuple(lines), free)


def of_slow_functions(volumes: Volumes, profile: Profile, prices: PriceList) -> float:
    """Return what is added if functions take twice as long."""
    slow = replace(volumes, function_time=2 * volumes.function_time)
    return reckon(slow, profile, prices).sum() - reckon(volumes, profile, prices).sum()


def _parts(volumes: Volumes, prices: Mapping[str, PartPrice]) -> Iterator[Line]:
    amount = parts_of(volumes)
    for country, share in volumes.countries.items():
        price = prices[country]
        of_country = amount * share
        if not of_country:
            continue
        unit = f"message parts, {country}"
        yield Line(TEXTS, "SMS", unit, of_country, of_country * price.usd, False, price.status)  # noqa: FBT003
        fee = f"carrier fees, {country}"
        yield Line(TEXTS, "SMS", fee, of_country, of_country * price.fee_usd, False, price.status)  # noqa: FBT003


def parts_of(volumes: Volumes) -> float:
    """Return message parts of a month."""
    return (
        _reviews(volumes)
        + _appointment_texts(volumes)
        + volumes.promotions_per_month * volumes.parts_per_text
    )


def _asked(volumes: Volumes) -> float:
    """Review requests that a broadcast sends, without their reminders."""
    return volumes.reviews_per_day * DAYS


def _reviews(volumes: Volumes) -> float:
    feedback = volumes.appointments_per_month * volumes.feedback_share
    return _asked(volumes) * (1 + volumes.reminded_share) + feedback


def _appointment_texts(volumes: Volumes) -> float:
    """Return how many confirmations, follow-ups and reminders there are."""
    per_appointment = 1 + (1 - volumes.confirmed_share) + volumes.reminders_per_appointment
    return volumes.appointments_per_month * per_appointment


def _replies(volumes: Volumes) -> float:
    return (_reviews(volumes) + volumes.promotions_per_month) * volumes.reply_share


def _variable(volumes: Volumes, profile: Profile) -> Iterator[tuple[str, str, float]]:
    flows = profile.flows
    reviews, promotions = _reviews(volumes), volumes.promotions_per_month
    confirmed = volumes.appointments_per_month * volumes.confirmed_share
    followed_up = volumes.appointments_per_month - confirmed
    reminders = volumes.appointments_per_month * volumes.reminders_per_appointment
    written = _reviews(volumes) * volumes.review_share
    replies = _replies(volumes)
    texts = reviews + promotions + _appointment_texts(volumes)
    # The lives of appointments have their delivery events and answers in them.
    events = EVENTS_PER_TEXT * (reviews + promotions)
    work = [
        ("Reviews", "review request", reviews),
        ("Reviews", "form view", _VIEWS_PER_REVIEW * written),
        ("Reviews", "review", written),
        ("Journeys", "promotion", promotions),
        ("Appointments", "appointment, answered", confirmed),
        ("Appointments", "appointment, followed up", followed_up),
        ("Appointments", "appointment reminder", reminders),
        ("Channel", "delivery event", events),
        ("Channel", "inbound text", replies),
    ]
    if "Analytics" in profile.standing:
        work += [
            ("Analytics", "event on the stream", EVENTS_PER_TEXT * texts),
            ("Analytics", "answer on the stream", replies + confirmed),
        ]
    streamed = archived = 0.0
    for system, flow, times in work:
        for unit, amount in flows[flow].items():
            is_time = unit == "Lambda GB-seconds, arm64"
            yield from _billed(system, unit, amount * times * (volumes.function_time if is_time else 1))
        if system == "Analytics":
            streamed += flows[flow].get("Kinesis KB in", 0) * times
            archived += flows[flow].get("S3 bytes written", 0) * times
    yield from _sending("Reviews", _asked(volumes) * (1 + volumes.reminded_share), volumes, profile)
    yield from _sending("Journeys", promotions, volumes, profile)
    yield TEXTS, "inbound texts", replies + confirmed
    rows = flows["storage, a text"]["bytes kept"] * (texts - promotions)
    rows += flows["storage, a promotion"]["bytes kept"] * promotions
    kept = rows * volumes.retention_months / _GB
    yield "Channel", "DynamoDB GB-months", kept
    yield "Channel", "DynamoDB backup GB-months", kept
    yield "Analytics", "Kinesis GB-months", streamed * 1000 * min(volumes.retention_months, 12) / _GB
    yield "Analytics", "S3 GB-months", archived * volumes.retention_months / _GB


def _billed(system: str, unit: str, amount: float) -> Iterator[tuple[str, str, float]]:
    match unit:
        case "message parts" | "bytes kept" | "S3 bytes written":
            # Texts are reckoned by country; objects of a broadcast are gone within days.
            return
        case "Kinesis KB in":
            gigabytes = amount * 1000 / _GB
            yield system, "Kinesis GB in", gigabytes
            yield system, "Kinesis GB out", _CONSUMERS * gigabytes
        case _:
            yield system, unit, amount


def _sending(
    system: str, texts: float, volumes: Volumes, profile: Profile
) -> Iterator[tuple[str, str, float]]:
    """Reckon what a daily broadcast costs beside its texts: functions that send at the rate of the number."""
    if not texts:
        return
    seconds = texts * max((1 + HEADROOM) / volumes.parts_per_second, _SHORTEST_TEXT_SECONDS)
    yield system, "Lambda GB-seconds, arm64", seconds * profile.send_part_gigabytes
    parts = max(DAYS, seconds / _PART_SECONDS)
    yield system, "Lambda requests", parts
    yield system, "express requests", parts
    yield system, "express GB-seconds", seconds * _EXPRESS_GB
    quarters = seconds / _QUARTER_SECONDS
    yield system, "state transitions", DAYS * _STATES_OF_A_RUN + quarters * _STATES_OF_A_QUARTER


def _fixed(volumes: Volumes, profile: Profile) -> Iterator[tuple[str, str, float]]:
    for system, counts in profile.standing.items():
        for unit, amount in counts.items():
            count = amount * volumes.environments
            match unit:
                case "polled queues":
                    yield system, "SQS requests", count * _POLLS
                case "streams on demand":
                    yield system, "streams on demand, hours", count * HOURS
                case "shards":
                    yield system, "shard hours", count * HOURS
                case _:
                    yield system, unit, count
    yield TEXTS, "numbers", volumes.numbers
    yield TEXTS, "10DLC campaigns", volumes.campaigns
