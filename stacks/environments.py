"""Environments of this app, as typed configuration.

What differs between environments lies in ``cdk.json`` under ``context.environments``; what that may be, and
what is safe when it is left out, is here.
"""

import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_lambda as lambda_

from sms_engagement import Budget, FrequencyCap, QuietHours

LOCAL: Final = "local"
"""The stage that is deployed into the embedded cloud."""

PLACEHOLDER_ACCOUNT: Final = "111122223333"
"""AWS's account number for examples: a stage that still has it can be synthesized, not deployed."""

# What the carrier simulator owns from the start.
_LOCAL_IDENTITY: Final = (
    "arn:aws:sms-voice:us-east-1:000000000000:phone-number/phone-local0000000000000000000000000"
)
_LOCAL_URL: Final = "http://127.0.0.1:4572"
# As cdk.json has it for dev: the archive is one of the things to be tried out.
_LOCAL_RETENTION_DAYS: Final = 730

_ARN: Final = re.compile(r"arn:aws[a-z-]*:sms-voice:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):.+")
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,30}")
_REMOVAL: Final = {"retain": RemovalPolicy.RETAIN, "destroy": RemovalPolicy.DESTROY}
_ARCHITECTURES: Final = {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}
_KEYS: Final = frozenset(
    {
        "allowedCountries",
        "architecture",
        "budget",
        "defaultCountry",
        "estimatedPricePerPartUsd",
        "frequencyCap",
        "linkBaseUrl",
        "originationIdentity",
        "partsPerSecond",
        "publicConcurrency",
        "quietHours",
        "removalPolicy",
        "requestsPerSecond",
        "reviewRetentionDays",
        "senderName",
        "timeZone",
    }
)
# Keys of groups, and the parameters that they are.
_BUDGET: Final = {"perCampaignUsd": "per_campaign_usd", "perDayUsd": "per_day_usd"}
_FREQUENCY_CAP: Final = {"hours": "hours", "texts": "texts"}
_QUIET_HOURS: Final = {
    "from": "allowed_from",
    "stateRules": "state_rules",
    "until": "allowed_until",
    "weekends": "weekends",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One environment, which becomes one stage of the same name.

    Attributes
    ----------
    name
        Lower-case letters, digits and hyphens; the first part of every stack's name.
    origination_identity
        ARN of the number, pool or sender id. Account and Region of the stage are those of the ARN.
    allowed_countries, default_country
        Destinations, ISO 3166-1 alpha-2.
    parts_per_second, requests_per_second
        Rates of the origination identity and of the account.
    estimated_price_per_part, budget
        For estimates, and what may be spent.
    quiet_hours, frequency_cap
        When and how often a person may be sent promotional texts.
    sender_name
        Who speaks, as the first text to a person says it.
    time_zone
        IANA zone of the daily broadcast and digest.
    link_base_url
        Short address of the review links; the API's own when None.
    public_concurrency
        Reserved for form and for submission, each; None reserves none.
    review_retention_days
        After which reviews go from the table to the archive; None keeps them in the table.
    removal_policy
        Of everything that holds data.
    architecture
        Of the functions.
    function_environment
        Further variables of all functions.

    Raises
    ------
    ValueError
        The name or the ARN is malformed.
    """

    name: str
    origination_identity: str
    allowed_countries: Sequence[str] = ("US",)
    default_country: str = "US"
    parts_per_second: int = 1
    requests_per_second: int | None = None
    estimated_price_per_part: str = "0.00881"
    budget: Budget | None = None
    quiet_hours: QuietHours = field(default_factory=QuietHours)
    frequency_cap: FrequencyCap = field(default_factory=FrequencyCap)
    sender_name: str | None = None
    time_zone: str = "America/New_York"
    link_base_url: str | None = None
    public_concurrency: int | None = 20
    review_retention_days: int | None = None
    removal_policy: RemovalPolicy = RemovalPolicy.RETAIN
    architecture: lambda_.Architecture = lambda_.Architecture.ARM_64
    function_environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            msg = f"an environment's name must be lower-case letters, digits and hyphens, got {self.name!r}"
            raise ValueError(msg)
        if not _ARN.fullmatch(self.origination_identity):
            msg = (
                f"originationIdentity of environment {self.name!r} must be the ARN of a phone number, pool "
                f"or sender id, got {self.origination_identity!r}; set it in cdk.json under "
                f"context.environments.{self.name}"
            )
            raise ValueError(msg)

    @property
    def account(self) -> str:
        """Account of the origination identity, and so of the stage."""
        return _part(self.origination_identity, "account")

    @property
    def region(self) -> str:
        """Region of the origination identity, and so of the stage."""
        return _part(self.origination_identity, "region")

    @property
    def is_placeholder(self) -> bool:
        """Whether nobody has put in an origination identity yet."""
        return self.account == PLACEHOLDER_ACCOUNT


def local_environment(url: str | None = None, *, parts_per_second: int | None = None) -> Environment:
    """Return the environment of the embedded cloud.

    It differs in configuration only: demo numbers are of all countries, the simulated number is fast, links
    lead to this machine, functions run on its architecture, and their clock jumps when it is told to.

    Parameters
    ----------
    url
        Of the front door, which plays the short custom domain.
    parts_per_second
        Of the simulated number, for runs of many people.
    """
    return Environment(
        name=LOCAL,
        origination_identity=_LOCAL_IDENTITY,
        allowed_countries=("US", "CA"),
        parts_per_second=parts_per_second or 10,
        sender_name="Demo Store",
        link_base_url=url or _LOCAL_URL,
        review_retention_days=_LOCAL_RETENTION_DAYS,
        removal_policy=RemovalPolicy.DESTROY,
        architecture=_host_architecture(),
        function_environment={"CLOCK": "virtual"},
    )


def configured_environments(configuration: Mapping[str, Any] | None) -> list[Environment]:
    """Read the environments of ``cdk.json``.

    Parameters
    ----------
    configuration
        Environment by name; its keys are those of :data:`_KEYS`, for example
        ``{"dev": {"originationIdentity": "arn:aws:sms-voice:us-east-1:…:phone-number/phone-…",
        "senderName": "Bakery", "budget": {"perDayUsd": "25"}, "timeZone": "America/Chicago"}}``.

    Raises
    ------
    ValueError
        Unknown or missing keys, or a value of the wrong kind.
    """
    if configuration is None:
        return []
    return [_environment(name, values) for name, values in configuration.items()]


def _environment(name: str, values: Any) -> Environment:
    where = f"cdk.json, context.environments.{name}"
    if name == LOCAL:
        msg = f"{where}: this name is the embedded cloud's, which is configured by the app; choose another"
        raise ValueError(msg)
    if not isinstance(values, Mapping):
        msg = f"{where} must be an object, got {values!r}"
        raise ValueError(msg)
    unknown = sorted(set(values) - _KEYS)
    if unknown:
        msg = f"{where} has unknown keys {', '.join(unknown)}; allowed are {', '.join(sorted(_KEYS))}"
        raise ValueError(msg)
    if "originationIdentity" not in values:
        msg = f"{where} has no originationIdentity; give it the ARN of your phone number, pool or sender id"
        raise ValueError(msg)
    return Environment(
        name=name,
        origination_identity=values["originationIdentity"],
        allowed_countries=_countries(where, values.get("allowedCountries", ["US"])),
        default_country=values.get("defaultCountry", "US"),
        parts_per_second=_integer(where, "partsPerSecond", values.get("partsPerSecond", 1)),
        requests_per_second=_optional_integer(where, "requestsPerSecond", values.get("requestsPerSecond")),
        estimated_price_per_part=_text(
            where, "estimatedPricePerPartUsd", values.get("estimatedPricePerPartUsd", "0.00881")
        ),
        budget=_group(where, "budget", values, Budget, _BUDGET),
        quiet_hours=_group(where, "quietHours", values, QuietHours, _QUIET_HOURS) or QuietHours(),
        frequency_cap=_group(where, "frequencyCap", values, _frequency_cap, _FREQUENCY_CAP) or FrequencyCap(),
        sender_name=_optional_text(where, "senderName", values.get("senderName")),
        time_zone=_text(where, "timeZone", values.get("timeZone", "America/New_York")),
        link_base_url=_url(where, values.get("linkBaseUrl")),
        public_concurrency=_optional_integer(where, "publicConcurrency", values.get("publicConcurrency", 20)),
        review_retention_days=_optional_integer(
            where, "reviewRetentionDays", values.get("reviewRetentionDays")
        ),
        removal_policy=_choice(where, "removalPolicy", values.get("removalPolicy", "retain"), _REMOVAL),
        architecture=_choice(where, "architecture", values.get("architecture", "arm64"), _ARCHITECTURES),
    )


def _part(arn: str, group: str) -> str:
    matched = _ARN.fullmatch(arn)
    assert matched is not None  # checked when the environment was made
    return matched[group]


def _countries(where: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(country, str) for country in value):
        msg = f"{where}.allowedCountries must be a list of country codes, as ['US'], got {value!r}"
        raise ValueError(msg)
    return tuple(value)


def _integer(where: str, key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        msg = f"{where}.{key} must be a whole number, got {value!r}"
        raise ValueError(msg)
    return value


def _optional_integer(where: str, key: str, value: Any) -> int | None:
    return None if value is None else _integer(where, key, value)


def _text(where: str, key: str, value: Any) -> str:
    if not isinstance(value, str):
        msg = f"{where}.{key} must be a text, got {value!r}"
        raise ValueError(msg)
    return value


def _optional_text(where: str, key: str, value: Any) -> str | None:
    return None if value is None else _text(where, key, value)


def _group[T](
    where: str, key: str, values: Mapping[str, Any], make: Callable[..., T], names: Mapping[str, str]
) -> T | None:
    """Make an object of what stands under a key, None where nothing does.

    Parameters
    ----------
    make
        Refuses wrong values with a `ValueError`.
    names
        Its parameters by the keys of the configuration.
    """
    group = values.get(key)
    if group is None:
        return None
    if not isinstance(group, Mapping):
        msg = f"{where}.{key} must be an object, got {group!r}"
        raise ValueError(msg)
    unknown = sorted(set(group) - set(names))
    if unknown:
        msg = f"{where}.{key} has unknown keys {', '.join(unknown)}; allowed are {', '.join(sorted(names))}"
        raise ValueError(msg)
    try:
        return make(**{names[name]: value for name, value in group.items()})
    except ValueError as error:
        msg = f"{where}.{key}: {error}"
        raise ValueError(msg) from error


def _frequency_cap(texts: Any = 3, hours: Any = 24) -> FrequencyCap:
    if not isinstance(hours, int) or isinstance(hours, bool) or hours < 1:
        msg = f"hours must be a whole number from 1 on, got {hours!r}"
        raise ValueError(msg)
    return FrequencyCap(texts=texts, period=Duration.hours(hours))


def _url(where: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.startswith("https://"):
        msg = f"{where}.linkBaseUrl must begin with https://, got {value!r}"
        raise ValueError(msg)
    return value


def _choice[T](where: str, key: str, value: Any, choices: Mapping[str, T]) -> T:
    if value not in choices:
        msg = f"{where}.{key} must be one of {', '.join(sorted(choices))}, got {value!r}"
        raise ValueError(msg)
    return choices[value]


def _host_architecture() -> lambda_.Architecture:
    return _ARCHITECTURES["arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"]
