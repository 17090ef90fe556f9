"""Keys of an environment in ``cdk.json``: what each may be, what it is when left out, and what it means.

One table for three uses: reading, the messages of what is refused, and ``docs/configuration.md``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import available_timezones

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs

from sms_engagement import Budget, FrequencyCap, QuietHours
from sms_engagement.channel.base import SendingPolicy
from sms_engagement.channel.countries import SUPPORTED_COUNTRIES

ARN: Final = re.compile(r"arn:aws[a-z-]*:sms-voice:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):.+")

_PRICE: Final = re.compile(r"[0-9]{1,7}(?:\.[0-9]{1,5})?")
_HOST: Final = re.compile(r"(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_URL: Final = re.compile(rf"https://{_HOST.pattern}(?::\d{{1,5}})?(?:/[\w.~/-]*)?")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_REGION: Final = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")
_ZONE_ID: Final = re.compile(r"Z[A-Z0-9]{5,31}")

# CloudWatch Logs, PutRetentionPolicy: the periods that it takes.
_RETENTION: Final = {
    1: logs.RetentionDays.ONE_DAY,
    3: logs.RetentionDays.THREE_DAYS,
    5: logs.RetentionDays.FIVE_DAYS,
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    60: logs.RetentionDays.TWO_MONTHS,
    90: logs.RetentionDays.THREE_MONTHS,
    120: logs.RetentionDays.FOUR_MONTHS,
    150: logs.RetentionDays.FIVE_MONTHS,
    180: logs.RetentionDays.SIX_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
    400: logs.RetentionDays.THIRTEEN_MONTHS,
    545: logs.RetentionDays.EIGHTEEN_MONTHS,
    731: logs.RetentionDays.TWO_YEARS,
    1827: logs.RetentionDays.FIVE_YEARS,
    3653: logs.RetentionDays.TEN_YEARS,
}


class _RefusedError(Exception):
    """A value is none of those that are allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a value may be.

    Attributes
    ----------
    allowed
        In words, after "must be".
    read
        Makes of the JSON value what the app uses; raises `_RefusedError` for what is not allowed.
    """

    allowed: str
    read: Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One key.

    Attributes
    ----------
    attribute
        Of the `Environment`.
    kind
        What it may be.
    left_out
        What that means, in words.
    meaning
        What it is for.
    """

    attribute: str
    kind: Kind
    left_out: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Domains:
    """Custom domain names of the two public APIs, in one certificate.

    Attributes
    ----------
    certificate_arn
        Of AWS Certificate Manager, in the Region of the environment, for all the names.
    reviews, appointments
        Host names of the review form and of the webhooks; each API has its own.
    hosted_zone_id, hosted_zone_name
        Of Route 53, where the records are made; without one they are the owner's, to the targets that the
        stacks give out.

    Raises
    ------
    ValueError
        No name, the same name twice, or half a hosted zone.
    """

    certificate_arn: str
    reviews: str | None = None
    appointments: str | None = None
    hosted_zone_id: str | None = None
    hosted_zone_name: str | None = None

    def __post_init__(self) -> None:
        names = [name for name in (self.reviews, self.appointments) if name is not None]
        if not names:
            raise ValueError("it must name reviews or appointments, got neither; give one, or leave it out")
        if len(set(names)) < len(names):
            raise ValueError(
                f"reviews and appointments must be two host names, got {names[0]!r} for both; give each API "
                f"its own"
            )
        if (self.hosted_zone_id is None) != (self.hosted_zone_name is None):
            raise ValueError(
                "hostedZoneId and hostedZoneName must be given together, got one of them; give both, or make "
                "the records yourself"
            )
        zone = self.hosted_zone_name
        for name in names:
            if zone is not None and name != zone and not name.endswith(f".{zone}"):
                raise ValueError(
                    f"{name!r} must be a name of the hosted zone, got the zone {zone!r}; give the zone it is "
                    f"in, or leave out the zone and make the record yourself"
                )


def read_setting(where: str, key: str, setting: Setting, value: Any) -> Any:
    """Return what the app uses for a value of ``cdk.json``.

    Raises
    ------
    ValueError
        Naming the key, what it must be, what it is, and what to do.
    """
    try:
        return setting.kind.read(value)
    except _RefusedError:
        shown = repr(value) if len(repr(value)) <= 120 else f"{repr(value)[:117]}..."
        raise ValueError(
            f"{where}.{key} must be {setting.kind.allowed}, got {shown}; leave it out for {setting.left_out}"
        ) from None
    except ValueError as error:
        raise ValueError(f"{where}.{key}: {error}") from error


def _whole(low: int, high: int, *, optional: bool = False) -> Kind:
    def read(value: Any) -> int | None:
        if optional and value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise _RefusedError
        return value

    return Kind(allowed=f"a whole number from {low} to {high}{' or null' if optional else ''}", read=read)


def _choice(choices: Mapping[Any, Any], what: str = "") -> Kind:
    def read(value: Any) -> Any:
        # True is 1 in Python, and not in JSON.
        if isinstance(value, bool) or not isinstance(value, str | int) or value not in choices:
            raise _RefusedError
        return choices[value]

    return Kind(allowed=f"one of {', '.join(str(choice) for choice in choices)}{what}", read=read)


def _flag() -> Kind:
    def read(value: Any) -> bool:
        if not isinstance(value, bool):
            raise _RefusedError
        return value

    return Kind(allowed="true or false", read=read)


def _matching(pattern: re.Pattern[str], allowed: str, *, optional: bool = True) -> Kind:
    def read(value: Any) -> str | None:
        if optional and value is None:
            return None
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise _RefusedError
        return value

    return Kind(allowed=allowed, read=read)


def _arn(service: str, what: str) -> Kind:
    pattern = re.compile(rf"arn:aws[a-z-]*:{service}:[a-z0-9-]+:\d{{12}}:[^\s]+")
    return _matching(pattern, f"the ARN of {what}, as 'arn:aws:{service}:us-east-1:111122223333:…'")


def _countries(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(_is_country(each) for each in value):
        raise _RefusedError
    return tuple(value)


def _country(value: Any) -> str:
    if not _is_country(value):
        raise _RefusedError
    return str(value)


def _is_country(value: Any) -> bool:
    return isinstance(value, str) and value in SUPPORTED_COUNTRIES


def _zone(value: Any) -> str:
    if not isinstance(value, str):
        raise _RefusedError
    # A machine without a database of zones (Windows) cannot tell; the services do, at deployment.
    if value not in (available_timezones() or {value}):
        raise _RefusedError
    return value


def _sender_name(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise _RefusedError
    SendingPolicy(sender_name=value)
    return value


def _group[T](make: Callable[..., T], keys: Mapping[str, str], example: str) -> Kind:
    """Read an object by `make`, which takes its keys as parameters and refuses wrong values."""

    def read(value: Any) -> T | None:
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise _RefusedError
        unknown = sorted(map(str, set(value) - set(keys)))
        if unknown:
            raise ValueError(
                f"its keys must be among {', '.join(sorted(keys))}, got {', '.join(unknown)}; rename them, "
                f"or take them out"
            )
        return make(**{keys[name]: each for name, each in value.items()})

    return Kind(allowed=f"an object of {', '.join(sorted(keys))}, as {example}", read=read)


def _frequency_cap(texts: Any = 3, hours: Any = 24) -> FrequencyCap:
    # A month is the most that `FrequencyCap` takes.
    if not isinstance(hours, int) or isinstance(hours, bool) or not 1 <= hours <= 31 * 24:
        raise ValueError(f"hours must be a whole number from 1 to 744, got {hours!r}; leave it out for 24")
    return FrequencyCap(texts=texts, period=Duration.hours(hours))


def _budget(**values: Any) -> Budget:
    return Budget(**values)


def _domains(**values: Any) -> Domains:
    checks = {
        "certificate_arn": ("certificateArn", _arn("acm", "a certificate")),
        "reviews": ("reviews", _HOST_NAME),
        "appointments": ("appointments", _HOST_NAME),
        "hosted_zone_id": ("hostedZoneId", _HOSTED_ZONE),
        "hosted_zone_name": ("hostedZoneName", _HOST_NAME),
    }
    if values.get("certificate_arn") is None:
        raise ValueError("certificateArn must be the ARN of a certificate for the names, got none; give it")
    for name, value in values.items():
        key, kind = checks[name]
        try:
            kind.read(value)
        except _RefusedError:
            raise ValueError(
                f"{key} must be {kind.allowed}, got {value!r}; give one, or leave it out"
            ) from None
    return Domains(**values)


_HOSTED_ZONE: Final = _matching(_ZONE_ID, "the id of a hosted zone, as 'Z0123456789ABC'")
_HOST_NAME: Final = _matching(_HOST, "a host name in lower case, as 'r.example.com'")

SETTINGS: Final[Mapping[str, Setting]] = {
    "account": Setting(
        attribute="stated_account",
        kind=_matching(re.compile(r"\d{12}"), "an account number of twelve digits"),
        left_out="that of the originationIdentity",
        meaning=(
            "Account of the stage. It must be that of `originationIdentity`: a second look at where "
            "you deploy."
        ),
    ),
    "alarmEmail": Setting(
        attribute="alarm_email",
        kind=_matching(_EMAIL, "an e-mail address"),
        left_out="alarms that notify nobody, unless there is an alarmTopicArn",
        meaning=(
            "Who is told of alarms and of the monthly budget; AWS asks them to confirm once. Makes a topic."
        ),
    ),
    "alarmTopicArn": Setting(
        attribute="alarm_topic_arn",
        kind=_arn("sns", "a topic in the stage's Region"),
        left_out="alarms that notify nobody, unless there is an alarmEmail",
        meaning=(
            "A topic that exists already, for the same; it must let CloudWatch and AWS Budgets publish to it."
        ),
    ),
    "allowedCountries": Setting(
        attribute="allowed_countries",
        kind=Kind(allowed="a list of ISO 3166-1 alpha-2 country codes, as ['US']", read=_countries),
        left_out="['US']",
        meaning="Where texts may go; every other country is blocked, at AWS too.",
    ),
    "architecture": Setting(
        attribute="architecture",
        kind=_choice({"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}),
        left_out="arm64",
        meaning="Of the functions. arm64 costs a fifth less.",
    ),
    "budget": Setting(
        attribute="budget",
        kind=_group(
            _budget,
            {"perCampaignUsd": "per_campaign_usd", "perDayUsd": "per_day_usd"},
            "{'perDayUsd': '25'}",
        ),
        left_out="no limit",
        meaning=(
            "US dollars that texts may cost a day and a campaign, as texts; what would exceed it is not sent."
        ),
    ),
    "dashboard": Setting(
        attribute="dashboard",
        kind=_flag(),
        left_out="true",
        meaning=(
            "Whether there are dashboards in CloudWatch ($3 a month each, from the fourth in an account)."
        ),
    ),
    "defaultCountry": Setting(
        attribute="default_country",
        kind=Kind(allowed="an ISO 3166-1 alpha-2 country code, as 'US'", read=_country),
        left_out="US",
        meaning="Of phone numbers without a country code.",
    ),
    "domains": Setting(
        attribute="domains",
        kind=_group(
            _domains,
            {
                "appointments": "appointments",
                "certificateArn": "certificate_arn",
                "hostedZoneId": "hosted_zone_id",
                "hostedZoneName": "hosted_zone_name",
                "reviews": "reviews",
            },
            "{'certificateArn': 'arn:aws:acm:…', 'reviews': 'r.example.com'}",
        ),
        left_out="the APIs' own addresses",
        meaning=(
            "Custom domain names of the review links and of the webhooks, and where their records are made."
        ),
    ),
    "encryptionKeyArn": Setting(
        attribute="encryption_key_arn",
        kind=_arn("kms", "a key in the stage's Region"),
        left_out="keys that AWS manages, and one of the stage for its topics",
        meaning=(
            "Customer managed key of all data. Its policy must let `sms-voice.amazonaws.com` and "
            "CloudWatch use it."
        ),
    ),
    "enhancedFanOut": Setting(
        attribute="enhanced_fan_out",
        kind=_flag(),
        left_out="false",
        meaning=(
            "Whether each consumer of the stream has two megabytes a second of each shard for itself, "
            "at a price."
        ),
    ),
    "estimatedPricePerPartUsd": Setting(
        attribute="estimated_price_per_part",
        kind=_matching(_PRICE, "US dollars as a text, as '0.00881'", optional=False),
        left_out="'0.00881', a part to a US number with the carrier's fee",
        meaning="For estimates and for the budget.",
    ),
    "frequencyCap": Setting(
        attribute="frequency_cap",
        kind=_group(_frequency_cap, {"hours": "hours", "texts": "texts"}, "{'texts': 3, 'hours': 24}"),
        left_out="three in 24 hours",
        meaning="How many promotional texts one person may be sent: 1 to 50 in 1 to 744 hours.",
    ),
    "journeys": Setting(
        attribute="journeys",
        kind=_flag(),
        left_out="true",
        meaning="Whether the stack of the journeys is deployed.",
    ),
    "linkBaseUrl": Setting(
        attribute="link_base_url",
        kind=_matching(_URL, "an address that begins with https://, as 'https://r.example.com'"),
        left_out="the domain of the reviews, or their API's own address",
        meaning="Short address before `/r/<token>`, where something of yours leads it to the API.",
    ),
    "logRetentionDays": Setting(
        attribute="log_retention",
        kind=_choice(_RETENTION, ", the periods that CloudWatch Logs takes"),
        left_out="90",
        meaning="How long logs are kept. They hold no phone number and no message.",
    ),
    "monthlyBudgetUsd": Setting(
        attribute="monthly_budget_usd",
        kind=_whole(1, 1_000_000, optional=True),
        left_out="no budget",
        meaning=(
            "Monthly cost of the whole account at which AWS Budgets tells: at 80 %, and when 100 % are "
            "forecast. Needs alarmEmail or alarmTopicArn. It tells, and stops nothing: that is what "
            "`budget` is for."
        ),
    ),
    "originationIdentity": Setting(
        attribute="origination_identity",
        kind=_matching(
            ARN,
            "the ARN of a phone number, pool or sender id, as "
            "'arn:aws:sms-voice:us-east-1:111122223333:phone-number/phone-…'",
            optional=False,
        ),
        left_out="nothing: it is the one key that each environment must have",
        meaning="Where texts come from. Account and Region of the stage are those of the ARN.",
    ),
    "partsPerSecond": Setting(
        attribute="parts_per_second",
        kind=_whole(1, 1000),
        left_out="1",
        meaning="Rate of the origination identity, in message parts.",
    ),
    "provisionedShards": Setting(
        attribute="provisioned_shards",
        kind=_whole(1, 10_000, optional=True),
        left_out="a stream that scales and is billed by use",
        meaning="Shards of the analytics stream.",
    ),
    "publicConcurrency": Setting(
        attribute="public_concurrency",
        kind=_whole(1, 1000, optional=True),
        left_out="20",
        meaning=(
            "Concurrent calls reserved for review form, submission and webhooks, each; null reserves none, "
            "as an account with a quota of ten concurrent calls needs it."
        ),
    ),
    "quietHours": Setting(
        attribute="quiet_hours",
        kind=_group(
            QuietHours,
            {
                "from": "allowed_from",
                "stateRules": "state_rules",
                "until": "allowed_until",
                "weekends": "weekends",
            },
            "{'from': '09:00', 'until': '20:00'}",
        ),
        left_out="08:00 to 21:00, with the stricter rules of US states",
        meaning="When promotional texts may go out, at the recipient's own wall clock.",
    ),
    "region": Setting(
        attribute="stated_region",
        kind=_matching(_REGION, "a Region, as 'us-east-1'"),
        left_out="that of the originationIdentity",
        meaning=(
            "Region of the stage. It must be that of `originationIdentity`: a number sends from its "
            "own Region."
        ),
    ),
    "removalPolicy": Setting(
        attribute="removal_policy",
        kind=_choice({"retain": RemovalPolicy.RETAIN, "destroy": RemovalPolicy.DESTROY}),
        left_out="retain",
        meaning="What becomes of data when its stack is deleted, or its resource replaced.",
    ),
    "requestsPerSecond": Setting(
        attribute="requests_per_second",
        kind=_whole(1, 1000, optional=True),
        left_out="the rate in parts alone",
        meaning="The account's quota for SendTextMessage, where it is stricter than the rate in parts.",
    ),
    "reviewRetentionDays": Setting(
        attribute="review_retention_days",
        kind=_whole(1, 3650, optional=True),
        left_out="reviews that stay in their table",
        meaning="Age at which reviews go from the table to the archive.",
    ),
    "senderName": Setting(
        attribute="sender_name",
        kind=Kind(allowed="a text of 1 to 40 GSM characters", read=_sender_name),
        left_out="a first text that says how to opt out alone",
        meaning="Who speaks, as the first text to a person says it.",
    ),
    "streamRetentionDays": Setting(
        attribute="stream_retention_days",
        kind=_whole(1, 365),
        left_out="365",
        meaning="How long the analytics stream keeps an event, so that consumers can be run again.",
    ),
    "terminationProtection": Setting(
        attribute="termination_protection",
        kind=_flag(),
        left_out="true where removalPolicy is retain",
        meaning="Whether CloudFormation refuses to delete the stacks.",
    ),
    "timeZone": Setting(
        attribute="time_zone",
        kind=Kind(allowed="a zone of the IANA database, as 'Europe/Berlin'", read=_zone),
        left_out="America/New_York",
        meaning="Of the daily broadcast and digest, and of invitees without one.",
    ),
}
"""Setting by key."""
