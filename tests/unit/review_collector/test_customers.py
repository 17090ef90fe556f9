"""Rows of a table that may be somebody else's."""

from decimal import Decimal

import pytest

from sms_engagement_runtime.review_collector.domain.customers import Customer, read_customer


def test_a_row_as_documented():
    row = {
        "userId": "u1",
        "phoneNumber": "+12025550123",
        "name": "John Doe",
        "email": "john@example.com",
        "status": "active",
        "createdAt": Decimal(1700000000),
        "locale": "fr-CA",
        "timeZone": "America/Toronto",
    }

    assert read_customer(row) == Customer(
        user_id="u1",
        phone_number="+12025550123",
        name="John Doe",
        locale="fr-CA",
        time_zone="America/Toronto",
        is_active=True,
    )


@pytest.mark.parametrize(
    ("status", "is_active"),
    [
        ("active", True),
        ("Active", True),
        (" ACTIVE ", True),
        ("inactive", False),
        ("", False),
        ("deleted", False),
        (True, False),
        (Decimal(1), False),
        (None, False),
    ],
)
def test_only_active_is_active(status, is_active):
    assert read_customer({"userId": "u1", "status": status}).is_active is is_active


def test_a_row_without_anything_but_its_id_is_an_inactive_customer():
    assert read_customer({"userId": "u1"}) == Customer(user_id="u1")


@pytest.mark.parametrize("key", [" ", " u1", "u1 ", "\n"])
def test_an_id_is_kept_to_the_letter_since_it_is_the_key_of_its_row(key):
    assert read_customer({"userId": key}).user_id == key


def test_a_name_or_locale_as_long_as_a_row_is_not_carried_along():
    customer = read_customer({"userId": "u1", "name": "x" * 300_000, "locale": "en" * 50_000})

    assert customer.name == "x" * 200
    assert customer.locale is None


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (Decimal(12025550123), "12025550123"),
        (12025550123, "12025550123"),
        (Decimal("1.5"), None),
        ("  +1 202 555 0123 ", "+1 202 555 0123"),
        ("", None),
        (b"+12025550123", None),
        (["+12025550123"], None),
        (True, None),
        (None, None),
    ],
)
def test_a_phone_number_of_another_type_is_read_or_missing(value, read):
    assert read_customer({"userId": "u1", "phoneNumber": value}).phone_number == read


def test_a_number_as_id_is_its_digits():
    assert read_customer({"userId": Decimal(42)}).user_id == "42"


@pytest.mark.parametrize("row", [{}, {"userId": ""}, {"userId": None}])
def test_a_row_without_id_is_refused(row):
    with pytest.raises(ValueError, match="without userId"):
        read_customer(row)
