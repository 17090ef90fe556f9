"""A message is counted once, whatever order its events come in."""

from dataclasses import dataclass, replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import (
    Contribution,
    Counts,
    Group,
    contribution,
    count,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.metrics import difference, metric_sets, total

HOUR = 3_600_000
NOON = 1_795_280_400_000


@dataclass
class Event:
    event_type: str = "_SMS.SUCCESS"
    event_timestamp: int = NOON
    campaign_id: str | None = "spring"
    journey_id: str | None = None
    country_code: str | None = "US"
    price_millicents: int | None = 581
    counted_as: str | None = None
    counted_at: int | None = None
    counted_price_millicents: int | None = None


def as_ingest_writes(events):
    """The same events, each with how its message was counted before it."""
    before: Contribution | None = None
    written = []
    for event in events:
        if before is not None:
            event = replace(
                event,
                counted_as=before.outcome,
                counted_at=before.at,
                counted_price_millicents=before.price_millicents,
            )
        written.append(event)
        if event.event_type in {"_SMS.SUCCESS", "_SMS.FAILURE"}:
            before = contribution(
                before,
                outcome=event.event_type,
                at=event.event_timestamp,
                price_millicents=event.price_millicents,
            )
    return written


def group(hour: int = 0, campaign: str | None = "spring", country: str | None = "US") -> Group:
    return Group(NOON // HOUR + hour, campaign, None, country)


def test_each_kind_of_event_is_counted_as_what_it_is():
    events = [
        Event(),
        Event("_SMS.FAILURE", price_millicents=None),
        Event("_SMS.RECEIVED", price_millicents=None),
        Event("_SMS.OPTOUT", price_millicents=None),
        Event("_SMS.BUFFERED", price_millicents=581),
    ]

    assert count(events) == {
        group(): Counts(delivered=1, failed=1, responses=1, opt_outs=1, cost_millicents=581)
    }


def test_groups_are_by_hour_campaign_journey_and_country():
    events = [
        Event(),
        Event(event_timestamp=NOON + HOUR),
        Event(campaign_id=None),
        Event(country_code="CA"),
        replace(Event(), journey_id="welcome"),
    ]

    assert len(count(events)) == 5


def test_what_is_only_on_its_way_makes_no_group():
    assert count([Event("_SMS.BUFFERED")]) == {}


finals = st.builds(
    Event,
    event_type=st.sampled_from(["_SMS.SUCCESS", "_SMS.FAILURE"]),
    event_timestamp=st.integers(NOON - 3 * HOUR, NOON + 72 * HOUR),
    price_millicents=st.one_of(st.none(), st.integers(0, 10_000)),
)


@given(st.lists(finals, min_size=1, max_size=4))
def test_finals_of_one_message_add_up_to_one_message_in_any_order(events):
    outcomes = []
    for order in permutations(events):
        counts = count(as_ingest_writes(order))
        outcomes.append(counts)
        summed = total(counts.values())
        assert summed.delivered + summed.failed == 1
        assert summed.cost_millicents == max(event.price_millicents or 0 for event in events)

    assert all(counts == outcomes[0] for counts in outcomes)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_delivered_outweighs_failed_in_the_hour_in_which_it_was_delivered(order):
    both = [Event("_SMS.FAILURE", NOON), Event("_SMS.SUCCESS", NOON + HOUR)]

    counts = count(as_ingest_writes([both[number] for number in order]))

    assert counts == {group(hour=1): Counts(delivered=1, cost_millicents=581)}


@given(st.lists(finals, max_size=30), st.integers(0, 30))
def test_counts_of_two_halves_add_up_to_those_of_the_whole(events, cut):
    halves = [count(events[:cut]), count(events[cut:])]
    summed: dict[Group, Counts] = {}
    for half in halves:
        for key, counts in half.items():
            summed.setdefault(key, Counts()).add(counts)

    assert summed == count(events)


def test_the_difference_to_what_was_counted_is_what_is_missing():
    before = {group(): Counts(delivered=3, cost_millicents=30), group(hour=1): Counts(failed=1)}
    now = {group(): Counts(delivered=1, cost_millicents=10), group(hour=2): Counts(responses=2)}

    assert difference(now, before) == {
        group(): Counts(delivered=-2, cost_millicents=-20),
        group(hour=1): Counts(failed=-1),
        group(hour=2): Counts(responses=2),
    }
    assert difference(now, now) == {}


def test_metrics_are_totals_then_countries_then_campaigns_where_wanted():
    groups = {
        group(): Counts(delivered=2, cost_millicents=1_162),
        group(country="CA", campaign=None): Counts(failed=1, cost_millicents=700),
        group(country=None): Counts(responses=1, opt_outs=1),
    }

    sets = list(metric_sets(groups, by_campaign=True))

    assert [dict(each.dimensions) for each in sets] == [
        {},
        {"Country": "CA"},
        {"Country": "US"},
        {"CampaignId": "spring"},
    ]
    assert sets[0].counts == {
        "MessagesDelivered": 2,
        "MessagesFailed": 1,
        "ResponsesReceived": 1,
        "OptOuts": 1,
    }
    assert sets[0].costs == {"TotalCostUSD": pytest.approx(0.01862)}
    assert sets[1].counts == {"MessagesFailedByCountry": 1}
    assert sets[1].costs == {"CostByCountry": pytest.approx(0.007)}
    assert sets[3].counts == {
        "CampaignMessagesDelivered": 2,
        "CampaignResponsesReceived": 1,
        "CampaignOptOuts": 1,
    }
    assert len(list(metric_sets(groups, by_campaign=False))) == 3


def test_nothing_counted_makes_no_metric():
    assert list(metric_sets({}, by_campaign=True)) == []
