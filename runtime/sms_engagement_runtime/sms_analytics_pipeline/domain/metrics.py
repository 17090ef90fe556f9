"""Business metrics of the pipeline: which exist, and what of a batch's counts goes into which.

Counts only. Rates are made of their sums by metric math, where a batch of three texts weighs what it should:
an average of rates would not. Names and namespace are fixed.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Counts, Group
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import MILLICENTS_PER_USD

NAMESPACE: Final = "SMS/Marketing"

CAMPAIGN: Final = "CampaignId"
COUNTRY: Final = "Country"

OTHER: Final = "(other)"

_DIMENSION_VALUE: Final = re.compile(r"(?!:)(?=.*[!-~])[ -~]{1,255}")
"""What CloudWatch takes: ASCII with something to see, no colon in front (API reference, *Dimension*)."""


class MetricSet(NamedTuple):
    """Values of one set of dimensions.

    Attributes
    ----------
    dimensions
        Name to value; empty for the totals.
    counts
        Metric to count.
    costs
        Metric to US dollars.
    """

    dimensions: Mapping[str, str]
    counts: Mapping[str, int]
    costs: Mapping[str, float]


def difference(now: Mapping[Group, Counts], before: Mapping[Group, Counts]) -> dict[Group, Counts]:
    """Return what is to be added to counts that hold ``before`` so that they hold ``now``."""
    groups: dict[Group, Counts] = {}
    for sign, counted in ((1, now), (-1, before)):
        for group, counts in counted.items():
            groups.setdefault(group, Counts()).add(counts, sign)
    return {group: counts for group, counts in groups.items() if counts}


def total(groups: Iterable[Counts]) -> Counts:
    """Add counts up."""
    sum_ = Counts()
    for counts in groups:
        sum_.add(counts)
    return sum_


def metric_sets(groups: Mapping[Group, Counts], *, by_campaign: bool) -> Iterator[MetricSet]:
    """Give the metrics of a batch: the totals, one set a country, and one a campaign where that is wanted.

    Zeros are left out: a metric without data says the same, and costs nothing.
    """
    sum_ = total(groups.values())
    yield from _set(
        {},
        {
            "MessagesDelivered": sum_.delivered,
            "MessagesFailed": sum_.failed,
            "ResponsesReceived": sum_.responses,
            "OptOuts": sum_.opt_outs,
        },
        {"TotalCostUSD": sum_.cost_millicents},
    )
    for country, counts in _by((group.country_code, counts) for group, counts in groups.items()):
        yield from _set(
            {COUNTRY: country},
            {
                "MessagesDeliveredByCountry": counts.delivered,
                "MessagesFailedByCountry": counts.failed,
            },
            {"CostByCountry": counts.cost_millicents},
        )
    if not by_campaign:
        return
    for campaign, counts in _by((group.campaign_id, counts) for group, counts in groups.items()):
        yield from _set(
            {CAMPAIGN: campaign},
            {
                "CampaignMessagesDelivered": counts.delivered,
                "CampaignMessagesFailed": counts.failed,
                "CampaignResponsesReceived": counts.responses,
                "CampaignOptOuts": counts.opt_outs,
            },
            {"CampaignCostUSD": counts.cost_millicents},
        )


def _by(keyed: Iterable[tuple[str | None, Counts]]) -> list[tuple[str, Counts]]:
    sums: dict[str, Counts] = {}
    for key, counts in keyed:
        if key:
            value = key if _DIMENSION_VALUE.fullmatch(key) else OTHER
            sums.setdefault(value, Counts()).add(counts)
    return sorted(sums.items())


def _set(
    dimensions: Mapping[str, str], counts: Mapping[str, int], millicents: Mapping[str, int]
) -> Iterator[MetricSet]:
    given = {name: value for name, value in counts.items() if value}
    costs = {name: value / MILLICENTS_PER_USD for name, value in millicents.items() if value}
    if given or costs:
        yield MetricSet(dimensions, given, costs)
