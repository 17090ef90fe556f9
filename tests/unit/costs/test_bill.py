"""The bill of a month: nothing sent costs what stands, more of anything never costs less, and it adds up."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.commands.cost import read_profile
from sms_engagement_runtime.costs.domain.bill import TEXTS, VolumeError, Volumes, parts_of, reckon
from sms_engagement_runtime.costs.domain.prices import PriceError, PriceList, Status
from sms_engagement_runtime.costs.domain.statement import PUBLISHED, as_data, as_text, compare

PROFILE, PRICES = read_profile(), PriceList()
NOTHING = Volumes()

amounts = st.floats(0, 1e6)
shares = st.floats(0, 1)
GROWING = {
    "reviews_per_day": amounts,
    "reminded_share": shares,
    "review_share": shares,
    "appointments_per_month": amounts,
    "reminders_per_appointment": st.floats(0, 5),
    "feedback_share": shares,
    "promotions_per_month": amounts,
    "reply_share": shares,
    "parts_per_text": st.floats(1, 10),
    "retention_months": st.floats(0, 120),
    "environments": st.integers(0, 20),
    "numbers": st.integers(0, 50),
    "campaigns": st.integers(0, 50),
}
volumes = st.builds(Volumes, **GROWING, confirmed_share=shares, parts_per_second=st.floats(0.1, 1000))


def test_nothing_sent_costs_what_stands() -> None:
    bill = reckon(NOTHING, PROFILE, PRICES)

    assert bill.lines
    assert all(line.is_fixed for line in bill.lines)
    assert bill.sum() == pytest.approx(bill.sum(is_fixed=True))


def test_what_stands_does_not_depend_on_what_is_sent() -> None:
    busy = replace(NOTHING, reviews_per_day=10_000, appointments_per_month=500, promotions_per_month=9)

    assert reckon(busy, PROFILE, PRICES).sum(is_fixed=True) == pytest.approx(
        reckon(NOTHING, PROFILE, PRICES).sum(is_fixed=True)
    )


@pytest.mark.parametrize("name", GROWING)
@given(data=st.data())
def test_more_of_anything_never_costs_less(name: str, data: st.DataObject) -> None:
    given_volumes = data.draw(volumes)
    less, more = sorted([getattr(given_volumes, name), data.draw(GROWING[name])])

    cheap, dear = (reckon(replace(given_volumes, **{name: value}), PROFILE, PRICES) for value in (less, more))

    assert cheap.sum() <= dear.sum() * (1 + 1e-9) + 1e-9


@given(volumes, st.floats(0.1, 100))
def test_a_slower_number_never_costs_less(given_volumes: Volumes, rate: float) -> None:
    slow = replace(given_volumes, parts_per_second=min(rate, given_volumes.parts_per_second))

    assert reckon(slow, PROFILE, PRICES).sum() >= reckon(given_volumes, PROFILE, PRICES).sum() * (1 - 1e-9)


@given(volumes)
def test_lines_add_up_by_system_by_service_and_by_kind(given_volumes: Volumes) -> None:
    bill = reckon(given_volumes, PROFILE, PRICES)
    total = pytest.approx(bill.sum())

    assert sum(bill.sum(system=system) for system in {line.system for line in bill.lines}) == total
    assert sum(bill.sum(service=service) for service in {line.service for line in bill.lines}) == total
    assert bill.sum(is_fixed=True) + bill.sum(is_fixed=False) == total
    assert bill.sum(is_text=True) + bill.sum(is_text=False) == total
    assert 0 <= bill.free_usd <= bill.sum()


@given(volumes)
def test_parts_are_paid_for_by_country(given_volumes: Volumes) -> None:
    here = reckon(given_volumes, PROFILE, PRICES)
    there = reckon(replace(given_volumes, countries={"US": 0.25, "CA": 0.75}), PROFILE, PRICES)

    parts = parts_of(given_volumes)
    more = parts * 0.75 * (0.00767 - 0.003)
    assert there.sum() - here.sum() == pytest.approx(more, abs=1e-6 + parts * 1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reply_share": 1.5}, "reply_share must be from 0 to 1, got 1.5"),
        ({"reviews_per_day": -1}, "reviews_per_day must be a number from 0 on, got -1"),
        ({"reviews_per_day": float("nan")}, "must be a number from 0 on"),
        ({"parts_per_text": 0}, "parts_per_text must be from 1 to 10"),
        ({"parts_per_second": 0}, "parts_per_second must be above 0"),
        ({"countries": {"US": 0.5}}, "shares of countries must add up to 1, got 0.5"),
        ({"countries": {"US": 1.5, "CA": -0.5}}, "a country's share must be from 0 to 1"),
    ],
)
def test_volumes_that_cannot_be_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(VolumeError, match=message):
        replace(NOTHING, **changes)


def test_prices_of_a_file_take_the_place_of_ours() -> None:
    prices = PRICES.with_changes({"units": {"KMS keys": 5}, "parts": {"GB": {"usd": 0.04}}})

    assert prices.units["KMS keys"].of(2) == 10
    assert prices.units["KMS keys"].status is Status.YOURS
    assert prices.units["secrets"] == PRICES.units["secrets"]
    assert prices.parts["GB"].usd == 0.04
    assert "US" in prices.parts


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": {}}, "unknown keys unit; allowed are parts, units"),
        ({"units": {"KMS": 1}}, "there is no unit 'KMS'; there are .*KMS keys"),
        ({"units": {"KMS keys": "1"}}, "KMS keys must be dollars from 0 on, got '1'"),
        ({"units": {"KMS keys": True}}, "must be dollars"),
        ({"units": []}, "units of the price file must be an object"),
        ({"parts": {"gb": {"usd": 1}}}, "by country, as 'GB', got 'gb'"),
        ({"parts": {"GB": 1}}, "the price of a part to GB must be an object"),
        ({"parts": {"GB": {}}}, "parts.GB.usd must be dollars from 0 on, got None"),
        ({"parts": {"GB": {"usd": 1, "fee": 0}}}, "unknown keys fee; allowed are feeUsd, usd"),
    ],
)
def test_a_wrong_price_file_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(PriceError, match=message):
        PRICES.with_changes(changes)


def test_every_unit_that_was_measured_has_a_price() -> None:
    everything = Volumes(reviews_per_day=1, appointments_per_month=1, promotions_per_month=1)

    bill = reckon(everything, PROFILE, PRICES)

    assert {line.service for line in bill.lines} >= {"Lambda", "DynamoDB", "Kinesis", "S3", "SQS", "SMS"}


def test_both_published_bills_have_ours_beside_them() -> None:
    reviews, appointments = (compare(each, PROFILE, PRICES) for each in PUBLISHED)

    assert [each.usd for each in PUBLISHED] == [1986.0, 11.16]
    assert reviews.texts == pytest.approx(300_000 * 0.00581)
    assert reviews.ours < 1986
    assert reviews.texts_at_their_price + reviews.used + reviews.stands < 1986
    assert appointments.texts == pytest.approx(1_700 * 0.00581)
    assert appointments.texts + appointments.used < 11.16


def test_the_statement_says_what_is_not_sure() -> None:
    some = Volumes(reviews_per_day=10)
    bill = reckon(some, PROFILE, PRICES)

    text = as_text(bill, PROFILE, PRICES)

    assert "Prices that nobody could look up: " in text
    assert "KMS keys" in text.rpartition("Prices that nobody could look up")[2]
    assert "10,000 reviews a day" in text
    data = json.loads(json.dumps(as_data(bill, some, PROFILE, PRICES)))
    assert data["usdPerMonth"]["total"] == round(bill.sum(), 2)
    assert data["bySystem"][TEXTS] == data["usdPerMonth"]["texts"]
    assert {line["price"] for line in data["lines"]} <= set(Status)
