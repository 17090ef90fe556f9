"""``FrequencyCap`` and ``Budget``: what they refuse when they are written, and what the functions get."""

import json
from typing import Any

import aws_cdk as cdk
import pytest

from sms_engagement import Budget, FrequencyCap
from sms_engagement_runtime.channel.domain import budget as runtime_budget
from sms_engagement_runtime.channel.domain import frequency as runtime_frequency


def test_the_default_cap_is_the_one_that_functions_have_without_it() -> None:
    settings = json.loads(FrequencyCap().to_settings())

    assert runtime_frequency.FrequencyCap.from_settings(settings) == runtime_frequency.FrequencyCap()


def test_settings_of_a_cap_are_what_was_written() -> None:
    cap = FrequencyCap(texts=2, period=cdk.Duration.days(7))

    assert cap.to_settings() == '{"texts":2,"seconds":604800}'


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"texts": 0}, "texts of the frequency cap must be a whole number from 1 to 50, got 0; leave it out"),
        ({"texts": 51}, "from 1 to 50, got 51"),
        ({"texts": 2.5}, "must be a whole number from 1 to 50, got 2.5"),
        ({"texts": True}, "got True"),
        (
            {"period": cdk.Duration.minutes(59)},
            "period of the frequency cap must be between 1 hour and 31 days, got 59 minutes; leave it out",
        ),
        ({"period": cdk.Duration.days(32)}, "got 32 days"),
    ],
)
def test_a_cap_out_of_its_range_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrequencyCap(**options)


@pytest.mark.parametrize(
    ("budget", "settings"),
    [
        (Budget(per_day_usd="25"), '{"perDay":2500000}'),
        (Budget(per_campaign_usd="7.50"), '{"perCampaign":750000}'),
        (Budget(per_day_usd="0.00881", per_campaign_usd="1"), '{"perDay":881,"perCampaign":100000}'),
    ],
)
def test_settings_of_a_budget_are_whole_millicents_that_the_functions_can_read(
    budget: Budget, settings: str
) -> None:
    assert budget.to_settings() == settings
    assert runtime_budget.SpendLimits.from_settings(json.loads(settings)) != runtime_budget.SpendLimits()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "a budget needs per_day_usd or per_campaign_usd, got neither; leave it out for no limit"),
        ({"per_day_usd": "0"}, "per_day_usd must be US dollars above 0, .* as '0.05', got '0'"),
        ({"per_day_usd": "-5"}, "got '-5'"),
        ({"per_day_usd": "$5"}, r"got '\$5'"),
        ({"per_day_usd": "5,00"}, "got '5,00'"),
        ({"per_day_usd": "0.000001"}, "with up to five decimals, as '0.05', got '0.000001'"),
        ({"per_day_usd": 5}, "per_day_usd must be US dollars above 0, .* got 5"),
        ({"per_campaign_usd": "five"}, "per_campaign_usd must be US dollars above 0, .* got 'five'"),
        ({"per_day_usd": "5", "per_campaign_usd": ""}, "per_campaign_usd must .* got ''"),
    ],
)
def test_a_budget_that_is_no_amount_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Budget(**options)
