"""The bill of a month: nothing sent costs what stands, more of anything never costs less, and it adds up."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.appointment_cost import PRICES as APPOINTMENT_PRICES
from benchmarks.appointment_cost import PUBLISHED as PUBLISHED_APPOINTMENTS
from sms_engagement_runtime.commands.cost import read_profile
from sms_engagement_runtime.costs.domain.bill import (
    TEXTS,
    Basis,
    VolumeError,
    Volumes,
    of_slow_functions,
    parts_of,
    reckon,
)
from sms_engagement_runtime.costs.domain.prices import PriceError, PriceList, Status
from sms_engagement_runtime.costs.domain.statement import (
    PUBLISHED,
    as_data,
    as_text,
    basis_table,
    compare,
    line_by_line,
)

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
    "function_time": st.floats(0, 20),
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
    assert sum(bill.sum(basis=basis) for basis in Basis) == total
    assert sum(bill.sum(status=status) for status in Status) == total
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

    text = as_text(bill, some, PROFILE, PRICES)

    assert "Prices without a source: " in text
    assert "inbound texts" in text.rpartition("Prices without a source: ")[2]
    assert "KMS keys" not in text.rpartition("Prices without a source: ")[2]
    assert "If functions took twice as long as assumed" in text
    assert "10,000 reviews a day" in text
    data = json.loads(json.dumps(as_data(bill, some, PROFILE, PRICES)))
    assert data["usdPerMonth"]["total"] == round(bill.sum(), 2)
    assert data["bySystem"][TEXTS] == data["usdPerMonth"]["texts"]
    assert {line["price"] for line in data["lines"]} <= set(Status)


SHOP = Volumes(
    reviews_per_day=1_000, appointments_per_month=1_000, promotions_per_month=20_000, parts_per_second=10
)


def test_promotions_are_reckoned_by_what_was_measured_of_promotions() -> None:
    bill = reckon(replace(NOTHING, promotions_per_month=1_000, reply_share=0), PROFILE, PRICES)

    written = {
        line.unit: line.amount for line in bill.lines if line.system == "Journeys" and not line.is_fixed
    }
    promotion = PROFILE.flows["promotion"]
    assert promotion["DynamoDB write units"] != PROFILE.flows["review request"]["DynamoDB write units"]
    assert written["DynamoDB write units"] == pytest.approx(1_000 * promotion["DynamoDB write units"])
    assert written["DynamoDB read units"] == pytest.approx(1_000 * promotion["DynamoDB read units"])


def test_what_is_assumed_is_a_small_part_and_is_said() -> None:
    bill = reckon(SHOP, PROFILE, PRICES)

    assert 0 < bill.sum(basis=Basis.ASSUMED) < 0.01 * bill.sum()
    assert 0 < of_slow_functions(SHOP, PROFILE, PRICES) < 0.001 * bill.sum()
    _, rows = basis_table(bill)
    said = {what: float(usd.replace(",", "")) for what, usd, _ in rows}
    assert sum(usd for what, usd in said.items() if what.startswith("prices")) == pytest.approx(
        bill.sum(), abs=0.05
    )
    assert sum(usd for what, usd in said.items() if not what.startswith("prices")) == pytest.approx(
        bill.sum(), abs=0.05
    )


def test_functions_that_take_twice_as_long_cost_twice_what_they_take_but_for_the_rate_of_the_number() -> None:
    def seconds(function_time: float, rate: float) -> float:
        some = replace(NOTHING, reviews_per_day=1_000, parts_per_second=rate, function_time=function_time)
        return sum(
            line.amount for line in reckon(some, PROFILE, PRICES).lines if "GB-seconds, arm64" in line.unit
        )

    waiting = seconds(0, 1)
    assert waiting == pytest.approx(30_000 * 1.9 * 1.02 * PROFILE.send_part_gigabytes)
    assert seconds(2, 1) - waiting == pytest.approx(2 * (seconds(1, 1) - waiting))


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda each: each.what)
def test_line_by_line_both_bills_add_up(published) -> None:
    lines = {line.what: line for line in line_by_line(published, PROFILE, PRICES)}
    total = lines.pop("sum")
    before = [line for what, line in lines.items() if not what.startswith("on top")]

    assert sum(line.published or 0 for line in before) == pytest.approx(total.published)
    assert sum(line.ours for line in before) == pytest.approx(total.ours)
    assert sum(line.after_free for line in before) == pytest.approx(total.after_free)
    assert total.published == published.usd
    assert total.ours == pytest.approx(compare(published, PROFILE, PRICES).ours)
    assert all(0 <= line.after_free <= line.ours for line in before)
    assert lines["on top: carrier fees"].ours == pytest.approx(0.003 * parts_of(published.volumes))


def test_what_stands_explains_the_difference_to_the_published_appointments() -> None:
    lines = line_by_line(PUBLISHED[1], PROFILE, PRICES)

    stands = sum(line.ours for line in lines if "standing" in line.what)
    (total,) = (line for line in lines if line.what == "sum")
    assert 0.9 * (total.ours - PUBLISHED_APPOINTMENTS) < stands
    assert all(line.why for line in lines if "standing" in line.what)


def test_the_two_price_lists_agree() -> None:
    for price in APPOINTMENT_PRICES[1:]:
        ours = PRICES.units[price.unit]
        assert (price.usd / price.per, price.source) == (ours.usd / ours.per, str(ours.status)), price.unit
