"""Phone numbers as people write them, by libphonenumber's metadata (no geocoding, no carrier data)."""

import re
from functools import cache
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumberType

from sms_engagement_runtime.channel.domain.errors import InvalidPhoneNumberError
from sms_engagement_runtime.channel.domain.phone_number import NumberKind, ParsedNumber, PhoneNumber
from sms_engagement_runtime.channel.domain.reasons import Reason

_KINDS: Final = {
    PhoneNumberType.MOBILE: NumberKind.MOBILE,
    PhoneNumberType.FIXED_LINE: NumberKind.LANDLINE,
    # North American numbers do not tell mobile from landline (FIXED_LINE_OR_MOBILE): unknown, like the rest.
}
# Numbers of businesses and services: no customer has one, and texts to them are refused or charged to the
# sender.
_NEVER_A_PERSON: Final = frozenset(
    {
        PhoneNumberType.TOLL_FREE,
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.UAN,
        PhoneNumberType.VOICEMAIL,
        PhoneNumberType.PAGER,
    }
)
_NO_REGION: Final = "001"
"""What libphonenumber calls the region of a number that belongs to no country (satellite phones)."""


class LibPhoneNumberParser:
    """Reads a phone number in national or international form.

    A number must be *valid* for its country, not merely of a possible length. The numbers kept for examples
    in North America, ``555-0100`` to ``555-0199`` behind a real area code, are valid in libphonenumber's
    metadata; the area code 555 is not.

    Parameters
    ----------
    default_country
        ISO 3166-1 alpha-2 code of the country that a number without ``+`` belongs to.

    Raises
    ------
    ValueError
        libphonenumber does not know the country.
    """

    def __init__(self, default_country: str) -> None:
        if default_country not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError(
                f"default_country must be an ISO 3166-1 alpha-2 code such as US, got {default_country!r}"
            )
        self._default_country = default_country

    def parse(self, raw: str | None) -> ParsedNumber:
        """Return the number in E.164 with its country and kind.

        Raises
        ------
        InvalidPhoneNumberError
            With ``NO_PHONE`` where there is nothing but blanks; with ``INVALID_PHONE`` where the text is no
            number, not valid in its country, not of E.164's length (the plans of Germany and Austria have
            such landlines), has an extension (a text cannot reach one) or belongs to a service.
        """
        if raw is None or not raw.strip():
            raise InvalidPhoneNumberError(Reason.NO_PHONE)
        if _is_plain_american(raw):
            return ParsedNumber(number=PhoneNumber(raw), country="US", kind=NumberKind.UNKNOWN)
        try:
            number = phonenumbers.parse(raw, self._default_country)
        except phonenumbers.NumberParseException:
            # Its text may quote what was typed.
            raise InvalidPhoneNumberError(Reason.INVALID_PHONE) from None
        # Of no type are just those that are not valid; asking for both would search the numbering plan twice.
        kind = phonenumbers.number_type(number)
        if number.extension or kind == PhoneNumberType.UNKNOWN or kind in _NEVER_A_PERSON:
            raise InvalidPhoneNumberError(Reason.INVALID_PHONE)
        region = phonenumbers.region_code_for_number(number)
        try:
            e164 = PhoneNumber(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
        except ValueError:
            raise InvalidPhoneNumberError(Reason.INVALID_PHONE) from None
        return ParsedNumber(
            number=e164,
            country=None if region == _NO_REGION else region,
            kind=_KINDS.get(kind, NumberKind.UNKNOWN),
        )


def _is_plain_american(raw: str) -> bool:
    """Whether this is a number of the United States in E.164, landline or mobile.

    Nearly all numbers of a broadcast are, and its two functions read each of them. libphonenumber comes to
    the same, by twenty times the work: the United States come first among the 25 countries that share the
    calling code, and their ordinary numbers are of no other type.
    """
    return raw.startswith("+1") and _american_numbers().fullmatch(raw, 2) is not None


@cache
def _american_numbers() -> re.Pattern[str]:
    metadata = phonenumbers.PhoneMetadata.metadata_for_region("US")
    assert metadata is not None
    assert metadata.fixed_line is not None
    # The digits of any script match ``\d``; libphonenumber turns them into ASCII first.
    return re.compile(f"(?=[0-9]{{10}}$)(?:{metadata.fixed_line.national_number_pattern})", re.ASCII)
