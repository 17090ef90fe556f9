"""Countries that a text can go to, for the allow-list of the protect configuration."""

from collections.abc import Iterable
from typing import Final

SUPPORTED_COUNTRIES: Final = frozenset(
    # ISO 3166-1 alpha-2. Taken from a public copy of AWS's "Supported countries and regions" for SMS, with
    # later additions; today's page of End User Messaging SMS (phone-numbers-sms-by-country) could not be
    # read here. A code that the service does not know would fail a deployment: compare before going live.
    """
    AD AE AF AG AI AL AM AO AR AT AU AW AZ BA BB BD BE BF BG BH BI BJ BM BN BO BR BS BT BW BY BZ CA CD CF CG
    CH CI CK CL CM CN CO CR CV CY CZ DE DJ DK DM DO DZ EC EE EG ES ET FI FJ FO FR GA GB GD GE GF GH GI GL GM
    GN GP GQ GR GT GU GW GY HK HN HR HT HU ID IE IL IN IQ IS IT JM JO JP KE KG KH KI KM KN KR KW KY KZ LA LB
    LC LI LK LR LS LT LU LV LY MA MC MD ME MG MK ML MM MN MO MQ MR MS MT MU MV MW MX MY MZ NA NC NE NG NI NL
    NO NP NZ OM PA PE PG PH PK PL PR PS PT PW PY QA RE RO RS RU RW SA SB SC SE SG SI SK SL SN SO SR SS ST SV
    SZ TC TD TG TH TJ TL TM TN TO TR TT TW TZ UA UG US UY UZ VC VE VG VI VN VU WS YE ZA ZM ZW
    """.split()  # noqa: SIM905 - a table of 200 codes reads better than 200 literals
)


def blocked_countries(allowed: Iterable[str]) -> list[str]:
    """Return every supported country that is not allowed, in order."""
    return sorted(SUPPORTED_COUNTRIES.difference(allowed))
