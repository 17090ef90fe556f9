"""The dashboard's figures: sums, rates, slots of time, comparison and CSV."""

import csv
import io
from collections.abc import Sequence
from datetime import timedelta

import pytest

from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Counts
from sms_local.phone.figures import (
    MINIMUM_VOLUME,
    MOST_ROWS,
    Elsewhere,
    by,
    compare,
    dollars,
    missing_totals,
    not_archived,
    over_time,
    per_answer,
    per_text,
    rates,
    read_minimum,
    row,
    to_csv,
    totals_of,
)
from tests.support.counted_tables import group, hour_of
from tests.support.phone_page import at

# --- rates


def test_rates_are_those_of_the_alarms() -> None:
    delivery, response, opt_out = rates(
        Counts(delivered=90, failed=10, responses=45, opt_outs=9), minimum=100
    )

    assert (delivery.percent, delivery.words, delivery.limit) == (90.0, "90.0 %", 95.0)
    # Of what was delivered, and of 90 texts nothing is said where the minimum is 100.
    assert (response.percent, opt_out.percent) == (None, None)
    assert response.words == "fewer than 100 texts"


def test_answers_and_opt_outs_are_per_delivered_text() -> None:
    _, response, opt_out = rates(Counts(delivered=80, failed=20, responses=20, opt_outs=4))

    assert (response.words, opt_out.words, opt_out.limit) == ("25.0 %", "5.0 %", 5.0)


@pytest.mark.parametrize(("texts", "is_shown"), [(4, False), (5, True)])
def test_a_rate_is_shown_from_the_minimum_on(texts: int, is_shown: bool) -> None:
    delivery, _, _ = rates(Counts(delivered=texts), minimum=5)

    assert (delivery.percent is not None) is is_shown


def test_no_text_at_all_gives_no_rate_whatever_the_minimum() -> None:
    assert {rate.percent for rate in rates(Counts(responses=3), minimum=1)} == {None}


@pytest.mark.parametrize(
    ("text", "minimum"),
    [("100", 100), ("0", 1), ("99999999999999999999", 1_000_000), ("-4", 5), ("٣", 5), ("", 5), (None, 5)],
)
def test_a_minimum_is_read_within_bounds(text: str | None, minimum: int) -> None:
    assert MINIMUM_VOLUME == 5
    assert read_minimum(text) == minimum


# --- money


@pytest.mark.parametrize(
    ("millicents", "words"),
    [(0, "$0.00"), (795, "$0.00795"), (4_770, "$0.0477"), (123_456, "$1.2346"), (12_345_678, "$123.46")],
)
def test_small_amounts_keep_the_digits_of_a_text_s_price(millicents: int, words: str) -> None:
    assert dollars(millicents) == words


def test_cost_is_per_text_that_ended_and_per_answer() -> None:
    counts = Counts(delivered=3, failed=1, responses=2, cost_millicents=3_180)

    assert (per_text(counts), per_answer(counts)) == ("$0.00795", "$0.0159")
    assert (per_text(Counts()), per_answer(Counts(cost_millicents=795))) == ("–", "–")


# --- time


def test_an_hour_is_a_slot_where_there_is_room() -> None:
    groups = {group(at()): Counts(delivered=2), group(at(hours=2)): Counts(failed=1)}

    slots = over_time(groups, until=at(hours=2, minutes=5), most=24)

    assert [slot.begins for slot in slots] == [at(hours=number) for number in range(6)]
    assert [(slot.counts.delivered, slot.counts.failed) for slot in slots[:3]] == [(2, 0), (0, 0), (0, 1)]


@pytest.mark.parametrize("days", [1, 3, 9, 31, 92])
def test_whatever_the_time_the_slots_fit_and_hold_everything(days: int) -> None:
    groups = {group(at(days=number)): Counts(delivered=1) for number in range(days)}

    slots = over_time(groups, until=at(days=days - 1), most=12)

    assert len(slots) <= 12
    assert sum(slot.counts.delivered for slot in slots) == days
    assert len({slot.ends - slot.begins for slot in slots}) == 1
    assert [slot.begins for slot in slots[1:]] == [slot.ends for slot in slots[:-1]]


def test_time_in_which_nothing_happened_is_shown_until_now() -> None:
    slots = over_time({group(at()): Counts(delivered=1)}, until=at(hours=11), most=24)

    assert slots[-1].begins == at(hours=11)


def test_without_counts_there_are_no_slots() -> None:
    assert over_time({}, until=at(), most=24) == []


# --- tables


def test_campaigns_are_ordered_by_their_texts_and_texts_without_one_are_counted() -> None:
    groups = {
        group(at(), "small"): Counts(delivered=1),
        group(at(), "large"): Counts(delivered=1, failed=3),
        group(at(hours=1), "small"): Counts(delivered=1),
        group(at(), None): Counts(responses=1),
    }

    found = by(groups, "campaign_id")

    assert [(name, counts.delivered, counts.failed) for name, counts in found] == [
        ("large", 1, 3),
        ("small", 2, 0),
        ("no campaign", 0, 0),
    ]


def test_a_thousand_campaigns_are_a_table_of_few_rows_whose_sum_is_right() -> None:
    groups = {group(at(), f"c{number}"): Counts(delivered=number) for number in range(1000)}

    found = by(groups, "campaign_id")

    assert len(found) == MOST_ROWS
    assert found[-1][0] == "971 others"
    assert sum(counts.delivered for _, counts in found) == sum(range(1000))


def test_a_row_of_a_small_campaign_has_no_rate() -> None:
    counts = Counts(delivered=1, failed=1, responses=1, cost_millicents=1590)

    assert row("c1", counts, minimum=5) == ["c1", "1", "1", "1", "0", "fewer than 5 texts", "$0.0159"]


# --- CSV


def test_csv_has_a_line_an_hour_of_a_campaign_in_a_country() -> None:
    groups = {
        group(at(hours=1), "b"): Counts(failed=1),
        group(at(), "a, with a comma", None): Counts(
            delivered=2, responses=1, opt_outs=1, cost_millicents=1590
        ),
    }

    head, *lines = csv.reader(io.StringIO(to_csv(groups)))

    assert head[0] == "hour"
    assert lines == [
        ["2026-11-21T17:00:00+00:00", "a, with a comma", "welcome", "", "2", "0", "1", "1", "0.01590"],
        ["2026-11-21T18:00:00+00:00", "b", "welcome", "US", "0", "1", "0", "0", "0.00000"],
    ]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_no_spreadsheet_takes_a_campaign_for_a_formula(name: str) -> None:
    [_, line] = csv.reader(io.StringIO(to_csv({group(at(), name): Counts(delivered=1)})))

    assert line[1] == f"'{name}"


# --- the same numbers elsewhere

_COUNTS = Counts(delivered=5, failed=1, responses=3, opt_outs=1, cost_millicents=4770)
_TOTALS = {"delivered": 5, "failed": 1, "responses": 3, "opt_outs": 1, "cost_millicents": 4770}


def compared(metrics: Elsewhere, athena: Elsewhere) -> Sequence[str]:
    return [one["compared"] for one in compare(_COUNTS, metrics, athena)]


def test_equal_totals_are_marked_equal() -> None:
    rows = compare(_COUNTS, Elsewhere(totals=_TOTALS), Elsewhere(totals=_TOTALS))

    assert {one["compared"] for one in rows} == {"equal"}
    assert (rows[4]["counts"], rows[4]["metrics"], rows[4]["athena"]) == ("$0.04770",) * 3


def test_one_number_that_differs_is_marked_and_no_other() -> None:
    metrics = Elsewhere(totals=_TOTALS | {"responses": 4})

    assert compared(metrics, Elsewhere()) == ["equal", "equal", "different", "equal", "equal"]


def test_an_archive_that_comes_later_is_behind_and_one_with_too_much_differs() -> None:
    metrics = Elsewhere(totals=_TOTALS)
    athena = Elsewhere(totals=_TOTALS | {"delivered": 2, "failed": 9})

    assert compared(metrics, athena) == ["behind", "different", "equal", "equal", "equal"]


def test_without_another_way_nothing_is_compared() -> None:
    assert set(compared(Elsewhere(), Elsewhere(totals={}))) == {"alone"}


def test_events_that_are_not_archived_are_counted_where_athena_told_all_of_them() -> None:
    assert not_archived(_COUNTS, Elsewhere(totals=_TOTALS)) == 0
    assert not_archived(_COUNTS, Elsewhere(totals=_TOTALS | {"delivered": 2})) == 3
    assert not_archived(_COUNTS, Elsewhere(totals={"delivered": 5})) is None


def test_totals_of_a_result_are_sums_of_the_columns_that_are_known() -> None:
    columns = ["campaign_id", "Delivered", "failed", "cost_usd", "delivery_rate_percent"]
    rows = [["a", "2", "1", "0.0159", "66.67"], ["b", "3", None, "0.03181", None]]

    assert totals_of(columns, rows) == {"delivered": 5, "failed": 1, "cost_millicents": 4771}


def test_a_query_is_needed_that_names_a_total_which_nobody_gave() -> None:
    sql = "SELECT sum(a) AS delivered, sum(b) AS opt_outs FROM t"

    assert missing_totals({"delivered"}, sql)
    assert not missing_totals({"delivered", "opt_outs"}, sql)
    assert not missing_totals((), "SELECT who, what FROM t")


def test_hours_are_counted_as_the_pipeline_counts_them() -> None:
    assert hour_of(at(minutes=59)) == hour_of(at())
    assert hour_of(at() + timedelta(hours=1)) == hour_of(at()) + 1
