"""Configuration of the environments: what is safe when it is left out, and what is refused."""

from typing import Any

import aws_cdk as cdk
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement import Budget, FrequencyCap, QuietHours
from stacks import settings
from stacks.environments import configured_environments, local_environment
from stacks.settings import SETTINGS

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


CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/11111111-2222-3333-4444-555555555555"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"

GOOD: dict[str, Any] = {
    "account": "123456789012",
    "alarmEmail": "oncall@example.com",
    "alarmTopicArn": TOPIC,
    "allowedCountries": ["US", "GB"],
    "architecture": "x86_64",
    "budget": {"perDayUsd": "25"},
    "dashboard": False,
    "defaultCountry": "US",
    "domains": {"certificateArn": CERTIFICATE, "reviews": "r.example.com"},
    "encryptionKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555",
    "enhancedFanOut": True,
    "estimatedPricePerPartUsd": "0.04",
    "frequencyCap": {"texts": 1, "hours": 48},
    "journeys": False,
    "linkBaseUrl": "https://r.example.com",
    "logRetentionDays": 30,
    "monthlyBudgetUsd": 500,
    "originationIdentity": IDENTITY,
    "partsPerSecond": 10,
    "provisionedShards": 4,
    "publicConcurrency": None,
    "quietHours": {"from": "09:00", "until": "20:00"},
    "region": "eu-west-1",
    "removalPolicy": "destroy",
    "requestsPerSecond": 5,
    "reviewRetentionDays": 365,
    "senderName": "Bakery",
    "streamRetentionDays": 7,
    "terminationProtection": False,
    "timeZone": "Europe/Dublin",
}
"""A value of each key that is not its default."""

# Out of range, of the right kind: a value of each key.
OUT_OF_RANGE: dict[str, list[Any]] = {
    "account": ["12345", "1234567890123", ""],
    "alarmEmail": ["oncall", "a b@example.com", ""],
    "alarmTopicArn": ["alarms", "arn:aws:sqs:eu-west-1:123456789012:alarms"],
    "allowedCountries": [[], ["us"], ["XX"], [1], "US"],
    "architecture": ["arm", "ARM64", ""],
    "budget": ["25", {"perWeekUsd": "1"}, {"perDayUsd": 5}, {"perDayUsd": "0"}, {}],
    "dashboard": ["yes", 1],
    "defaultCountry": ["us", "XX", ""],
    "domains": [
        {},
        {"reviews": "r.example.com"},
        {"certificateArn": CERTIFICATE},
        {"certificateArn": "certificate", "reviews": "r.example.com"},
        {"certificateArn": CERTIFICATE, "reviews": "https://r.example.com"},
        {"certificateArn": CERTIFICATE, "reviews": "R.example.com"},
        {"certificateArn": CERTIFICATE, "reviews": "r.example.com", "appointments": "r.example.com"},
        {"certificateArn": CERTIFICATE, "reviews": "r.example.com", "hostedZoneId": "Z0123456789ABC"},
        {
            "certificateArn": CERTIFICATE,
            "reviews": "r.example.com",
            "hostedZoneId": "Z0123456789ABC",
            "hostedZoneName": "example.org",
        },
        {"certificateArn": CERTIFICATE, "name": "r.example.com"},
    ],
    "encryptionKeyArn": ["key-1", TOPIC],
    "enhancedFanOut": ["true", 0],
    "estimatedPricePerPartUsd": [0.01, "-1", "1e-3", "$1", ""],
    "frequencyCap": [{"texts": 0}, {"texts": 51}, {"hours": 0}, {"hours": 745}, {"hours": "24"}, {"days": 1}],
    "journeys": ["welcome", []],
    "linkBaseUrl": ["http://r.example", "r.example.com", "https://", "https://r.example.com/?a=b"],
    "logRetentionDays": [0, 2, 31, "30", 3.0],
    "monthlyBudgetUsd": [0, -5, 1_000_001, "500", 9.5],
    "originationIdentity": ["+12065550100", "phone-1", ""],
    "partsPerSecond": [0, 1001, "9", True, 1.5],
    "provisionedShards": [0, 10_001, "2"],
    "publicConcurrency": [0, 1001, "20"],
    "quietHours": [
        {"until": "07:00"},
        {"from": "21:00", "until": "08:00"},
        {"from": "8"},
        {"to": "20:00"},
        {"weekends": "no"},
        "08:00-21:00",
    ],
    "region": ["Ireland", "eu_west_1", ""],
    "removalPolicy": ["keep", "RETAIN", ""],
    "requestsPerSecond": [0, 1001, "5"],
    "reviewRetentionDays": [0, 3651, "365"],
    "senderName": ["", " Bakery", "x" * 41, "Bäckerei 🥐", 7],
    "streamRetentionDays": [0, 366, "7"],
    "terminationProtection": ["true", 1],
    "timeZone": ["Berlin", "EDT", "", "Europe/Atlantis"],
}


def refusal(key: str, value: Any) -> str:
    """What is said of a value; nothing where it is taken."""
    try:
        configured_environments({"dev": {"originationIdentity": IDENTITY, key: value}})
    except ValueError as error:
        return str(error)
    return ""


_REMEDIES = ("leave", "give", "use ", "rename", "write", "keep", "make", "change")


def parts_missing(message: str, key: str, value: Any) -> list[str]:
    """Which of field, value, allowed and remedy a message does not name."""
    if isinstance(value, dict):
        # Of a group the member is shown that is wrong, its keys, or that there are none.
        shown = [*map(repr, value.values()), *map(str, value), "got neither", "got none"]
    else:
        shown = [repr(value)[:110]]
    _, _, end = message.rpartition("got ")
    parts = {
        "field": f"environments.dev.{key}" in message,
        "value": "got " in message and any(each in message for each in shown),
        "allowed": any(words in message for words in (" must ", " needs ", "outside")),
        "remedy": any(word in end for word in _REMEDIES),
    }
    return [part for part, is_there in parts.items() if not is_there]


@pytest.mark.parametrize("value", [["Europe/Berlin"], 1])
def test_what_is_no_text_is_refused_as_a_zone_where_the_machine_knows_no_zones(monkeypatch, value) -> None:
    monkeypatch.setattr(settings, "available_timezones", set)

    assert parts_missing(refusal("timeZone", value), "timeZone", value) == []
    assert refusal("timeZone", "Europe/Berlin") == ""


def test_the_table_of_values_has_every_key() -> None:
    assert set(GOOD) == set(OUT_OF_RANGE) == set(SETTINGS)


@pytest.mark.parametrize(("key", "value"), list(GOOD.items()), ids=list(GOOD))
def test_a_right_value_is_taken(key: str, value: Any) -> None:
    further = {"alarmEmail": "a@example.com"} if key == "monthlyBudgetUsd" else {}

    configured_environments({"dev": {"originationIdentity": IDENTITY, **further, key: value}})


@pytest.mark.parametrize(
    ("key", "value"),
    [(key, value) for key, values in OUT_OF_RANGE.items() for value in values],
    ids=lambda each: each if isinstance(each, str) else repr(each),
)
def test_a_wrong_value_is_refused_with_field_value_range_and_remedy(key: str, value: Any) -> None:
    message = refusal(key, value)

    assert message, "it was taken"
    assert parts_missing(message, key, value) == [], message


@given(
    key=st.sampled_from(sorted(SETTINGS)),
    value=st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text(max_size=20),
        st.lists(st.one_of(st.integers(), st.text(max_size=3)), max_size=3),
        st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=3)), max_size=2),
    ),
)
def test_a_value_of_any_kind_is_taken_or_refused_in_words(key: str, value: Any) -> None:
    message = refusal(key, value)

    if message:
        assert f"environments.dev.{key}" in message or f"environments.dev: {key}" in message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"phone": 1}, "unknown keys phone; allowed are account, .* rename them"),
        ({"partsPerSeconds": 9}, "did you mean partsPerSecond"),
        ({"region": "us-east-1"}, "region must be that of originationIdentity, eu-west-1, got 'us-east-1'"),
        ({"account": "999999999999"}, "account must be that of originationIdentity, 123456789012, got '9"),
        (
            {"alarmTopicArn": TOPIC.replace("eu-west-1", "us-east-1")},
            "alarmTopicArn must be in the Region of originationIdentity, eu-west-1, got .* in us-east-1",
        ),
        (
            {"encryptionKeyArn": "arn:aws:kms:us-east-1:123456789012:key/1"},
            "encryptionKeyArn must be in the Region",
        ),
        (
            {"domains": {"certificateArn": CERTIFICATE.replace("eu-", "us-"), "reviews": "r.example.com"}},
            r"domains\.certificateArn must be in the Region of originationIdentity, eu-west-1",
        ),
        (
            {"alarmEmail": "a@example.com", "alarmTopicArn": TOPIC},
            "alarmEmail must be left out where .* got both",
        ),
        ({"monthlyBudgetUsd": 5}, "monthlyBudgetUsd must have somebody to tell, got 5 without alarmEmail"),
        (
            {
                "linkBaseUrl": "https://r.example.com",
                "domains": {"certificateArn": CERTIFICATE, "reviews": "r.example.com"},
            },
            "linkBaseUrl must be left out where domains.reviews .* keep one",
        ),
        ({"defaultCountry": "GB"}, "defaultCountry must be one of allowedCountries, US, got 'GB'"),
        (
            {"terminationProtection": True, "removalPolicy": "destroy"},
            "terminationProtection must be false where removalPolicy is destroy, got true; retain",
        ),
    ],
)
def test_values_that_contradict_one_another_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        configured_environments({"dev": {"originationIdentity": IDENTITY, **values}})


def test_the_stacks_are_protected_where_the_data_is_retained() -> None:
    retained, destroyed = configured_environments(
        {
            "prod": {"originationIdentity": IDENTITY},
            "dev": {"originationIdentity": IDENTITY, "removalPolicy": "destroy"},
        }
    )

    assert (retained.is_protected, destroyed.is_protected) == (True, False)


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
