"""Configuration of the environments: what is safe when it is left out, and what is refused."""

from typing import Any

import aws_cdk as cdk
import pytest

from sms_engagement import Budget, FrequencyCap, QuietHours
from stacks.environments import configured_environments, local_environment

IDENTITY = "arn:aws:sms-voice:eu-west-1:123456789012:pool/pool-1"


def test_account_and_region_are_those_of_the_origination_identity() -> None:
    (environment,) = configured_environments({"dev": {"originationIdentity": IDENTITY}})

    assert (environment.account, environment.region) == ("123456789012", "eu-west-1")
    assert not environment.is_placeholder


def test_what_is_left_out_is_safe() -> None:
    (environment,) = configured_environments({"prod": {"originationIdentity": IDENTITY}})

    assert environment.removal_policy is cdk.RemovalPolicy.RETAIN
    assert environment.parts_per_second == 1
    assert environment.allowed_countries == ("US",)
    assert environment.link_base_url is None
    assert environment.review_retention_days is None
    assert environment.quiet_hours == QuietHours()
    assert environment.frequency_cap.to_settings() == FrequencyCap().to_settings()
    assert environment.budget is None
    assert environment.sender_name is None
    assert environment.requests_per_second is None
    assert environment.estimated_price_per_part == "0.00881"
    assert environment.time_zone == "America/New_York"


def test_everything_can_be_set() -> None:
    (environment,) = configured_environments(
        {
            "dev": {
                "originationIdentity": IDENTITY,
                "allowedCountries": ["GB", "IE"],
                "architecture": "x86_64",
                "budget": {"perDayUsd": "25", "perCampaignUsd": "10"},
                "defaultCountry": "GB",
                "estimatedPricePerPartUsd": "0.04",
                "frequencyCap": {"texts": 1, "hours": 48},
                "linkBaseUrl": "https://r.example.com",
                "partsPerSecond": 10,
                "publicConcurrency": None,
                "quietHours": {"from": "09:00", "until": "20:00", "weekends": False, "stateRules": False},
                "removalPolicy": "destroy",
                "requestsPerSecond": 5,
                "reviewRetentionDays": 365,
                "senderName": "Bakery",
                "timeZone": "Europe/Dublin",
            }
        }
    )

    assert environment.allowed_countries == ("GB", "IE")
    assert environment.architecture.name == "x86_64"
    assert environment.default_country == "GB"
    assert environment.link_base_url == "https://r.example.com"
    assert environment.parts_per_second == 10
    assert environment.public_concurrency is None
    assert environment.removal_policy is cdk.RemovalPolicy.DESTROY
    assert environment.review_retention_days == 365
    assert environment.budget == Budget(per_day_usd="25", per_campaign_usd="10")
    assert environment.estimated_price_per_part == "0.04"
    assert environment.frequency_cap.to_settings() == '{"texts":1,"seconds":172800}'
    assert environment.quiet_hours == QuietHours(
        allowed_from="09:00", allowed_until="20:00", weekends=False, state_rules=False
    )
    assert environment.requests_per_second == 5
    assert environment.sender_name == "Bakery"
    assert environment.time_zone == "Europe/Dublin"


def test_the_demonstration_says_who_speaks() -> None:
    assert local_environment().sender_name == "Demo Store"


@pytest.mark.parametrize(
    ("machine", "architecture"),
    [("x86_64", "x86_64"), ("AMD64", "x86_64"), ("aarch64", "arm64"), ("arm64", "arm64")],
)
def test_local_functions_are_for_this_machine(
    machine: str, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)

    assert local_environment().architecture.name == architecture


def test_no_configuration_leaves_the_local_stage_alone() -> None:
    assert configured_environments(None) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"phone": 1}, "unknown keys phone; allowed are allowedCountries"),
        ({"partsPerSecond": "9"}, "partsPerSecond must be a whole number, got '9'"),
        ({"partsPerSecond": True}, "partsPerSecond must be a whole number, got True"),
        ({"reviewRetentionDays": "365"}, "reviewRetentionDays must be a whole number, got '365'"),
        ({"allowedCountries": "US"}, "allowedCountries must be a list of country codes"),
        ({"linkBaseUrl": "http://r.example"}, "linkBaseUrl must begin with https://"),
        ({"removalPolicy": "keep"}, "removalPolicy must be one of destroy, retain, got 'keep'"),
        ({"senderName": 7}, "senderName must be a text, got 7"),
        ({"timeZone": None}, "timeZone must be a text, got None"),
        ({"requestsPerSecond": "5"}, "requestsPerSecond must be a whole number, got '5'"),
        ({"estimatedPricePerPartUsd": 0.01}, "estimatedPricePerPartUsd must be a text, got 0.01"),
        ({"budget": "25"}, "budget must be an object, got '25'"),
        ({"budget": {"perWeekUsd": "1"}}, "budget has unknown keys perWeekUsd; allowed are perCampaignUsd"),
        ({"budget": {"perDayUsd": 5}}, r"environments\.dev\.budget: per_day_usd must be US dollars .* got 5"),
        ({"budget": {}}, "budget: a budget needs per_day_usd or per_campaign_usd"),
        ({"quietHours": {"until": "07:00"}}, r"dev\.quietHours: allowed_until must be later .* '07:00'"),
        ({"quietHours": {"to": "20:00"}}, "quietHours has unknown keys to; allowed are from, stateRules"),
        ({"frequencyCap": {"texts": 0}}, r"dev\.frequencyCap: texts of the frequency cap must be .* got 0"),
        ({"frequencyCap": {"hours": "24"}}, "frequencyCap: hours must be a whole number from 1 on, got '24'"),
        ({"architecture": "arm"}, "architecture must be one of arm64, x86_64, got 'arm'"),
        ({"originationIdentity": "+12065550100"}, r"got '\+12065550100'; set it in cdk.json"),
    ],
)
def test_a_wrong_value_is_refused_with_what_to_do(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        configured_environments({"dev": {"originationIdentity": IDENTITY, **values}})


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({"dev": {}}, r"environments\.dev has no originationIdentity; give it the ARN"),
        ({"dev": "arn"}, r"environments\.dev must be an object, got 'arn'"),
        ({"local": {}}, "this name is the embedded cloud's"),
        ({"Dev": {"originationIdentity": IDENTITY}}, "must be lower-case letters, .* got 'Dev'"),
    ],
)
def test_a_wrong_environment_is_refused_with_what_to_do(configuration: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        configured_environments(configuration)
