from contextlib import suppress

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType

from sms_engagement_runtime.channel.adapters.phone_numbers import LibPhoneNumberParser
from sms_engagement_runtime.channel.domain.errors import InvalidPhoneNumberError
from sms_engagement_runtime.channel.domain.phone_number import NumberKind
from sms_engagement_runtime.channel.domain.reasons import Reason

PARSER = LibPhoneNumberParser("US")


@pytest.mark.parametrize(
    ("raw", "e164", "country"),
    [
        ("+1 404-555-1234", "+14045551234", "US"),
        ("(404) 555-1234", "+14045551234", "US"),
        ("404.555.1234", "+14045551234", "US"),
        ("  1 404 555 1234  ", "+14045551234", "US"),
        ("+１４０４５５５１２３４", "+14045551234", "US"),
        ("tel:+1-404-555-1234", "+14045551234", "US"),
        ("+44 7860 019066", "+447860019066", "GB"),
        ("+1 514 555 0123", "+15145550123", "CA"),
        # The numbers that are kept for examples, and AWS's simulator numbers, are good for texts.
        ("+12065550100", "+12065550100", "US"),
        ("+1 404 555 0199", "+14045550199", "US"),
        ("+14254147755", "+14254147755", "US"),
    ],
)
def test_a_number_as_people_write_it_becomes_e164(raw, e164, country):
    parsed = PARSER.parse(raw)

    assert (parsed.number.e164, parsed.country) == (e164, country)


def test_a_number_without_plus_belongs_to_the_default_country():
    assert LibPhoneNumberParser("GB").parse("07860 019066").number.e164 == "+447860019066"


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ("+447860019066", NumberKind.MOBILE),
        ("+442071838750", NumberKind.LANDLINE),
        ("+14045551234", NumberKind.UNKNOWN),
        ("+15005550006", NumberKind.UNKNOWN),
    ],
)
def test_the_kind_is_told_where_the_numbering_plan_tells_it(raw, kind):
    assert PARSER.parse(raw).kind is kind


def test_a_satellite_phone_belongs_to_no_country():
    assert PARSER.parse("+882161234567").country is None


@pytest.mark.parametrize("raw", [None, "", "   ", "\n"])
def test_no_number_at_all(raw):
    with pytest.raises(InvalidPhoneNumberError) as caught:
        PARSER.parse(raw)

    assert caught.value.reason is Reason.NO_PHONE


@pytest.mark.parametrize(
    "raw",
    [
        "n/a",
        "911",
        "404-555-123",
        "404-555-12345",
        "+1 555 010 0123",
        "+1 123 456 7890",
        "+14045551234 ext 5",
        "404 555 1234 x123",
        "+1-404-555-1234;ext=5",
        "call 4045551234 or 2065550100",
        "12 Main St 4045551234",
        "+1 800 555 1234",
        "+1 900 555 1234",
        "+4045551234",
        "++14045551234567890",
        "4" * 300,
        # Valid in their countries, and of six, sixteen and seventeen digits.
        "+43 1110",
        "+49 72422089901058",
        "+49 661024726285077",
        "💬",
        "'; DROP TABLE customers; --",
    ],
)
def test_what_cannot_be_texted_is_invalid(raw):
    with pytest.raises(InvalidPhoneNumberError) as caught:
        PARSER.parse(raw)

    assert caught.value.reason is Reason.INVALID_PHONE
    assert caught.value.__cause__ is None


@given(st.text(max_size=300))
def test_any_text_is_a_number_that_reads_as_itself_or_refused(raw):
    parsed = None
    with suppress(InvalidPhoneNumberError):
        parsed = PARSER.parse(raw)

    assert parsed is None or PARSER.parse(parsed.number.e164) == parsed


def test_an_unknown_default_country_is_refused():
    with pytest.raises(ValueError, match="default_country must be"):
        LibPhoneNumberParser("USA")


SERVICES = {
    PhoneNumberType.TOLL_FREE,
    PhoneNumberType.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST,
    PhoneNumberType.UAN,
    PhoneNumberType.VOICEMAIL,
    PhoneNumberType.PAGER,
}


def by_the_whole_plan(raw):
    number = phonenumbers.parse(raw, "US")
    if not phonenumbers.is_valid_number(number) or phonenumbers.number_type(number) in SERVICES:
        return None
    return phonenumbers.region_code_for_number(number), phonenumbers.format_number(
        number, phonenumbers.PhoneNumberFormat.E164
    )


@given(st.integers(2_000_000_000, 9_999_999_999), st.sampled_from(["+1{}", "+1 {}", "+1{}\n", "+1{}1"]))
@settings(max_examples=2000, deadline=None)
def test_the_short_way_for_american_numbers_comes_to_the_same(digits, form):
    raw = form.format(digits)
    try:
        parsed = PARSER.parse(raw)
    except InvalidPhoneNumberError:
        parsed = None

    try:
        expected = by_the_whole_plan(raw)
    except phonenumbers.NumberParseException:
        expected = None
    assert (parsed and (parsed.country, parsed.number.e164)) == expected


def test_every_area_code_goes_the_short_way_or_the_long_one():
    """A number of each area code and exchange that begins differently."""
    told_apart = 0
    for area in range(200, 1000):
        for exchange in ("200", "234", "555", "911", "000"):
            raw = f"+1{area}{exchange}0142"
            expected = by_the_whole_plan(raw)
            try:
                parsed = PARSER.parse(raw)
            except InvalidPhoneNumberError:
                assert expected is None
            else:
                assert (parsed.country, parsed.number.e164) == expected
                told_apart += parsed.country == "US"

    assert told_apart > 1000


@pytest.mark.parametrize("raw", ["+1٤٠٤٥٥٥١٢٣٤", "+1４０４５５５１２３４"])
def test_digits_of_other_scripts_go_the_long_way(raw):
    assert PARSER.parse(raw).number.e164 == "+14045551234"
