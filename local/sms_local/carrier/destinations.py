"""Destination phone numbers: the country, the carrier there, and what a message part to it costs."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import phonenumbers

from sms_local.carrier.errors import validation_error


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The mobile network that delivery events name for a country."""

    mcc: str
    mnc: str
    carrier_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """Price of one message part in USD: the service's own, and the carrier's fee on top."""

    price: Decimal
    carrier_fee: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A destination phone number that a carrier can be asked to reach."""

    e164: str
    iso_country_code: str

    @property
    def tariff(self) -> Tariff:
        """What one message part to this number costs."""
        return _TARIFFS.get(self.iso_country_code, _OTHER_TARIFF)

    @property
    def network(self) -> Network | None:
        """The network that the number belongs to, where the simulator knows one of its country."""
        return _NETWORKS.get(self.iso_country_code)


# Prices and networks of the published delivery events: the AWS user guide "Example event data" for the US,
# public captures for Canada.
_TARIFFS: Final = {
    "US": Tariff(price=Decimal("0.00581"), carrier_fee=Decimal("0.003")),
    "CA": Tariff(price=Decimal("0.00581"), carrier_fee=Decimal("0.006")),
}
# A stand-in: prices of other countries differ widely and no decision of ours hangs on one.
_OTHER_TARIFF: Final = Tariff(price=Decimal("0.05"), carrier_fee=Decimal(0))
_NETWORKS: Final = {
    "US": Network(mcc="310", mnc="800", carrier_name="T-mobile USA Inc."),
    "CA": Network(mcc="302", mnc="610", carrier_name="Bell Cellular Inc. / Aliant Telecom"),
}


def parse_destination(raw: str) -> Destination:
    """Return the destination named by `raw`, E.164 with or without its plus sign.

    Raises
    ------
    ServiceError
        ``ValidationException``, ``INVALID_PARAMETER``: no number of any country's plan has this form.
        Numbers of a possible length in ranges that nobody was given are taken, as the service takes them;
        they fail at the carrier.
    """
    try:
        number = phonenumbers.parse(raw if raw.startswith("+") else f"+{raw}")
    except phonenumbers.NumberParseException as exc:
        raise _not_a_number() from exc
    if not phonenumbers.is_possible_number(number):
        raise _not_a_number()
    country = phonenumbers.region_code_for_number(number)
    if country is None:
        country = phonenumbers.region_code_for_country_code(number.country_code or 0)
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return Destination(e164=e164, iso_country_code=country)


def _not_a_number() -> Exception:
    problem = "must be a phone number in E.164 format"
    return validation_error(
        "INVALID_PARAMETER",
        f"DestinationPhoneNumber {problem}",
        fields=[("DestinationPhoneNumber", problem)],
    )


def countries() -> tuple[str, ...]:
    """Return the ISO 3166-1 alpha-2 codes of every country with a numbering plan."""
    return tuple(sorted(phonenumbers.SUPPORTED_REGIONS))
