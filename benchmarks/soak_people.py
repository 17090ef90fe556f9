"""Who takes part in the soak, and what each one says: drawn from a seed, with numbers of fiction only."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import timezone

NUMBERS_AN_AREA: Final = 100
"""555-0100 to 555-0199 are set aside for fiction behind each area code (NANPA)."""

SEGMENT: Final = "soak"
CLUB: Final = "soak-club"
"""Segments of the two journeys: new subscribers are welcomed, those of the club are sent a promotion."""

WORDS: Final = (
    ("YES", 30),
    ("Great service, thank you!", 20),
    ("NO", 12),
    ("HELP", 8),
    ("R", 6),
    ("not what I expected", 6),
    ("STOP", 5),
    ("UNSUBSCRIBE", 1),
    ("wrong number", 1),
)
"""What people answer, with how often. Fewer leave than would stop a broadcast (5 % of its people)."""

ANSWER_SHARE: Final = 0.4
FAILURES: Final = ("TEXT_UNREACHABLE", "TEXT_CARRIER_BLOCKED", "TEXT_INVALID")
FAILURE_SHARE: Final = 0.02
"""Of phones that get no text, one of the ways in which that is told."""

_FIRST_NAMES: Final = ("Ada", "Bo", "Chidi", "Dana", "Eli", "Fay", "Goran", "Hana", "Ivo", "June")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with one phone.

    Attributes
    ----------
    is_subscriber, is_member
        Takes part in the welcome series; in the promotion.
    books
        Makes an appointment.
    answer
        What the person says to the first text that asks, None for nothing.
    comes_back
        Says START some time after a STOP.
    reviews
        Submits a review.
    failure
        Delivery event of texts to the phone, None where they are delivered.
    """

    user_id: str
    name: str
    phone: str
    zone: ZoneInfo
    is_subscriber: bool
    is_member: bool
    books: bool
    answer: str | None
    comes_back: bool
    reviews: bool
    failure: str | None


def people(number: int, *, seed: int) -> list[Person]:
    """Return so many people, the same for a seed.

    Raises
    ------
    ValueError
        There are not as many numbers of fiction.
    """
    areas = _areas()
    most = len(areas) * NUMBERS_AN_AREA
    if not 0 < number <= most:
        msg = f"people must be between 1 and {most:,}, the numbers of fiction that there are; got {number:,}"
        raise ValueError(msg)
    chance = random.Random(seed)
    words, weights = zip(*WORDS, strict=True)
    found = []
    for index in range(number):
        area, zone = areas[index % len(areas)]
        found.append(
            Person(
                user_id=f"soak-{index:05}",
                name=f"{_FIRST_NAMES[index % len(_FIRST_NAMES)]} Reed",
                phone=f"+1{area}55501{index // len(areas):02}",
                zone=zone,
                is_subscriber=index % 10 in {1, 4, 7},
                is_member=index % 10 == 5,
                books=index % 10 in {2, 7},
                answer=chance.choices(words, weights)[0] if chance.random() < ANSWER_SHARE else None,
                comes_back=chance.random() < 0.3,
                reviews=chance.random() < 0.15,
                failure=chance.choice(FAILURES) if chance.random() < FAILURE_SHARE else None,
            )
        )
    return found


@cache
def _areas() -> list[tuple[int, ZoneInfo]]:
    """Area codes of the contiguous United States that lie in one time zone, by libphonenumber's tables."""
    wanted = {"America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"}
    found = []
    for area in range(201, 990):
        number = phonenumbers.parse(f"+1{area}5550100")
        zones = timezone.time_zones_for_number(number)
        if (
            phonenumbers.is_valid_number(number)
            and phonenumbers.region_code_for_number(number) == "US"
            and len(zones) == 1
            and zones[0] in wanted
        ):
            found.append((area, ZoneInfo(zones[0])))
    return found
