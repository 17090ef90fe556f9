"""Environments of this app, as typed configuration.

What differs between environments lies in ``cdk.json`` under ``context.environments``; what that may be, and
what is safe when it is left out, is here.
"""

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final, NoReturn

from aws_cdk import RemovalPolicy
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs

from sms_engagement import Budget, FrequencyCap, QuietHours
from stacks.settings import ARN, SETTINGS, Domains, read_setting

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

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,30}")
_ARCHITECTURES: Final = {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}


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
    stream_retention_days, provisioned_shards, enhanced_fan_out
        Of the analytics stream.
    domains
        Custom domain names of the APIs; their own addresses when None.
    alarm_email, alarm_topic_arn
        Who is told of alarms: nobody when both are None.
    monthly_budget_usd
        Cost of the account at which AWS Budgets tells them; None for no budget.
    dashboard, journeys
        Whether there are dashboards, and the stack of the journeys.
    log_retention
        Of all log groups.
    encryption_key_arn
        Customer managed key of all data; keys of AWS when None.
    removal_policy
        Of everything that holds data.
    termination_protection
        Of the stacks; that of the removal policy when None.
    stated_account, stated_region
        What somebody wrote down beside the ARN, so that a mix-up is noticed.
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
    stream_retention_days: int = 365
    provisioned_shards: int | None = None
    enhanced_fan_out: bool = False
    domains: Domains | None = None
    alarm_email: str | None = None
    alarm_topic_arn: str | None = None
    monthly_budget_usd: int | None = None
    dashboard: bool = True
    journeys: bool = True
    log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS
    encryption_key_arn: str | None = None
    removal_policy: RemovalPolicy = RemovalPolicy.RETAIN
    termination_protection: bool | None = None
    stated_account: str | None = None
    stated_region: str | None = None
    architecture: lambda_.Architecture = lambda_.Architecture.ARM_64
    function_environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            msg = f"an environment's name must be lower-case letters, digits and hyphens, got {self.name!r}"
            raise ValueError(msg)
        if not ARN.fullmatch(self.origination_identity):
            msg = (
                f"originationIdentity of environment {self.name!r} must be the ARN of a phone number, pool "
                f"or sender id, got {self.origination_identity!r}; set it in cdk.json under "
                f"context.environments.{self.name}"
            )
            raise ValueError(msg)
        self._check_places()
        self._check_conflicts()

    def _check_places(self) -> None:
        for key, stated, known in (
            ("account", self.stated_account, self.account),
            ("region", self.stated_region, self.region),
        ):
            if stated is not None and stated != known:
                self._refuse(
                    f"{key} must be that of originationIdentity, {known}, got {stated!r}; change it, or the "
                    f"identity: a number sends from its own account and Region"
                )
        regional = {
            "alarmTopicArn": self.alarm_topic_arn,
            "domains.certificateArn": None if self.domains is None else self.domains.certificate_arn,
            "encryptionKeyArn": self.encryption_key_arn,
        }
        for key, arn in regional.items():
            if arn is not None and (region := arn.split(":")[3]) != self.region:
                self._refuse(
                    f"{key} must be in the Region of originationIdentity, {self.region}, got {arn!r} in "
                    f"{region}; give one of {self.region}"
                )

    def _check_conflicts(self) -> None:
        if self.alarm_email is not None and self.alarm_topic_arn is not None:
            self._refuse(
                "alarmEmail must be left out where there is an alarmTopicArn, got both; subscribe the "
                "address to the topic, or leave the topic out"
            )
        if self.monthly_budget_usd is not None and not self.tells_somebody:
            self._refuse(
                f"monthlyBudgetUsd must have somebody to tell, got {self.monthly_budget_usd} without "
                f"alarmEmail and alarmTopicArn; give one of them"
            )
        if self.link_base_url is not None and self.domains is not None and self.domains.reviews is not None:
            self._refuse(
                f"linkBaseUrl must be left out where domains.reviews says where links lead, got "
                f"{self.link_base_url!r} and {self.domains.reviews!r}; keep one"
            )
        if self.default_country not in self.allowed_countries:
            self._refuse(
                f"defaultCountry must be one of allowedCountries, {', '.join(self.allowed_countries)}, "
                f"got {self.default_country!r}: numbers without a country code would all be refused; name it "
                f"in both"
            )
        if self.is_protected and self.removal_policy is RemovalPolicy.DESTROY:
            self._refuse(
                "terminationProtection must be false where removalPolicy is destroy, got true; retain what "
                "is to be protected"
            )

    def _refuse(self, what: str) -> NoReturn:
        raise ValueError(f"cdk.json, context.environments.{self.name}: {what}")

    @property
    def is_protected(self) -> bool:
        """Whether CloudFormation refuses to delete the stacks."""
        if self.termination_protection is None:
            return self.removal_policy is RemovalPolicy.RETAIN
        return self.termination_protection

    @property
    def tells_somebody(self) -> bool:
        """Whether anybody learns of an alarm."""
        return self.alarm_email is not None or self.alarm_topic_arn is not None

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
        Environment by name; its keys are those of `stacks.settings.SETTINGS`, for example
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
    unknown = sorted(set(values) - set(SETTINGS))
    if unknown:
        close = get_close_matches(unknown[0], SETTINGS, n=1)
        meant = f"; did you mean {close[0]}?" if close else "; rename them, or take them out"
        msg = f"{where} has the unknown keys {', '.join(unknown)}; allowed are {', '.join(SETTINGS)}{meant}"
        raise ValueError(msg)
    if "originationIdentity" not in values:
        msg = f"{where} has no originationIdentity; give it the ARN of your phone number, pool or sender id"
        raise ValueError(msg)
    read = {
        SETTINGS[key].attribute: read_setting(where, key, SETTINGS[key], value)
        for key, value in values.items()
    }
    # A group that is null is one that was left out.
    groups = {"quiet_hours", "frequency_cap"}
    return Environment(
        name=name, **{key: value for key, value in read.items() if not (key in groups and value is None)}
    )


def _part(arn: str, group: str) -> str:
    matched = ARN.fullmatch(arn)
    assert matched is not None  # checked when the environment was made
    return matched[group]


def _host_architecture() -> lambda_.Architecture:
    return _ARCHITECTURES["arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"]
