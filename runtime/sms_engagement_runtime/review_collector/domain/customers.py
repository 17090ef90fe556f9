"""A row of the customers table, read with tolerance: the table may be somebody else's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

MAX_NAME_LENGTH: Final = 200
"""Code points of a name that are read: a row of DynamoDB holds 400 KB, and ours, which copies it, no more."""

_MAX_LOCALE_LENGTH: Final = 35
"""The longest language tag that programs are asked to take (RFC 5646 §4.4.1); what is longer is none."""

_MAX_ZONE_LENGTH: Final = 64
"""Twice the longest name in the IANA time zone database; what is longer is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """Whom we may ask.

    Attributes
    ----------
    user_id
        Any non-empty text, to the letter: it is the row's key.
    phone_number
        As it stands in the table, not parsed; None where there is none.
    name
        Full name as it stands in the table, at most `MAX_NAME_LENGTH` of it; None where there is none.
    locale
        Language tag such as ``fr-CA``; None where the table says nothing of the kind.
    time_zone
        As it stands in the table, which should be an IANA name; None where there is none.
    is_active
        Only where the table says ``active``. A row without a status is not active: nobody is texted whom
        nobody called active.
    """

    user_id: str
    phone_number: str | None = None
    name: str | None = None
    locale: str | None = None
    time_zone: str | None = None
    is_active: bool = False


def read_customer(row: Mapping[str, object]) -> Customer:
    """Read a row of plain Python values.

    Parameters
    ----------
    row
        ``userId`` and, each of them possibly missing or odd, ``phoneNumber``, ``name``, ``status``,
        ``locale``, ``timeZone``. Numbers count as their digits; anything else that is not text counts as
        missing.

    Raises
    ------
    ValueError
        There is no ``userId``.
    """
    key = row.get("userId")
    # A key of blanks is a key: stripped, the row would not be found again.
    user_id = key if isinstance(key, str) else _text(key)
    if not user_id:
        raise ValueError("a customer without userId")
    name, zone = _text(row.get("name")), _text(row.get("timeZone"))
    return Customer(
        user_id=user_id,
        phone_number=_text(row.get("phoneNumber")),
        name=name[:MAX_NAME_LENGTH] if name else None,
        locale=read_locale(row.get("locale")),
        time_zone=zone if zone and len(zone) <= _MAX_ZONE_LENGTH else None,
        is_active=(_text(row.get("status")) or "").casefold() == "active",
    )


def read_locale(value: object) -> str | None:
    """Return a language tag; None where the value is none for sure."""
    locale = _text(value)
    return locale if locale and len(locale) <= _MAX_LOCALE_LENGTH else None


def _text(value: object) -> str | None:
    match value:
        case str():
            return value.strip() or None
        case bool():
            return None
        case int():
            return str(value)
        case Decimal() if value == value.to_integral_value():
            return str(int(value))
    return None
