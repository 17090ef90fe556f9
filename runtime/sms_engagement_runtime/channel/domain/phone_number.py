"""Destination phone numbers as value objects that never print themselves whole."""

import re
from dataclasses import dataclass
from enum import StrEnum

# ITU-T E.164: at most 15 digits, none of the country codes begins with 0. Seven is the shortest number that
# is a subscriber's.
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_VISIBLE_DIGITS = 4
_DIGITS_OF_A_FULL_NUMBER = 10


@dataclass(frozen=True, slots=True, repr=False)
class PhoneNumber:
    """A phone number in E.164 form.

    ``str()``, ``repr()`` and formatting give the masked form, so that a number cannot reach a log by
    accident; the whole number is taken explicitly by ``.e164``.

    Raises
    ------
    ValueError
        Where the text is not ``+`` and 7 to 15 ASCII digits, the first not 0. The message does not contain
        the text.
    """

    e164: str

    def __post_init__(self) -> None:
        if not _E164.fullmatch(self.e164):
            raise ValueError("a phone number must be '+' and 7 to 15 digits, the first one not 0")

    @property
    def masked(self) -> str:
        """The number with its middle hidden: ``+1••••••0123``. Short numbers keep two digits at the end."""
        digits = self.e164[1:]
        shown = _VISIBLE_DIGITS if len(digits) >= _DIGITS_OF_A_FULL_NUMBER else 2
        return f"+{digits[0]}{'•' * (len(digits) - 1 - shown)}{digits[-shown:]}"

    def __str__(self) -> str:
        return self.masked

    def __repr__(self) -> str:
        return f"PhoneNumber({self.masked})"


class NumberKind(StrEnum):
    """What a number is attached to, as far as the numbering plan tells."""

    MOBILE = "MOBILE"
    LANDLINE = "LANDLINE"
    UNKNOWN = "UNKNOWN"
    """Mobile or landline: North American numbers do not show it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedNumber:
    """A number with what its numbering plan says.

    Attributes
    ----------
    country
        ISO 3166-1 alpha-2, upper case; None where the number belongs to no single country.
    """

    number: PhoneNumber
    country: str | None
    kind: NumberKind = NumberKind.UNKNOWN
