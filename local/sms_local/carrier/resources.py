"""What an account of AWS End User Messaging SMS owns, each with the members that ``Describe*`` answers."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

DEFAULT_OPT_OUT_LIST: Final = "Default"
"""Name of the opt-out list that every account has and that a new number starts with."""

MANDATORY_KEYWORDS: Final = frozenset({"HELP", "STOP"})
"""Keywords that exist on every number and pool: they cannot be deleted, nor their action changed."""


class Keyword(NamedTuple):
    """What a number answers to a keyword: `action` is AUTOMATIC_RESPONSE, OPT_OUT or OPT_IN."""

    message: str
    action: str


def _mandatory_keywords() -> dict[str, Keyword]:
    return {
        "HELP": Keyword("Reply STOP to opt out.", "AUTOMATIC_RESPONSE"),
        "STOP": Keyword("You have opted out and will get no more messages.", "OPT_OUT"),
    }


@dataclass(slots=True, kw_only=True)
class OriginationSettings:
    """What phone numbers and pools have in common. A number in a pool obeys those of the pool."""

    two_way_enabled: bool = False
    two_way_channel_arn: str | None = None
    two_way_channel_role: str | None = None
    self_managed_opt_outs_enabled: bool = False
    opt_out_list_name: str = DEFAULT_OPT_OUT_LIST
    keywords: dict[str, Keyword] = field(default_factory=_mandatory_keywords)

    def describe(self) -> dict[str, Any]:
        """Return the members shared by phone numbers and pools."""
        described: dict[str, Any] = {
            "TwoWayEnabled": self.two_way_enabled,
            "SelfManagedOptOutsEnabled": self.self_managed_opt_outs_enabled,
            "OptOutListName": self.opt_out_list_name,
        }
        if self.two_way_enabled and self.two_way_channel_arn is not None:
            described["TwoWayChannelArn"] = self.two_way_channel_arn
            if self.two_way_channel_role is not None:
                described["TwoWayChannelRole"] = self.two_way_channel_role
        return described

    def copy(self) -> "OriginationSettings":
        """Return settings of their own with the same values: a pool inherits those of its first member."""
        return OriginationSettings(
            two_way_enabled=self.two_way_enabled,
            two_way_channel_arn=self.two_way_channel_arn,
            two_way_channel_role=self.two_way_channel_role,
            self_managed_opt_outs_enabled=self.self_managed_opt_outs_enabled,
            opt_out_list_name=self.opt_out_list_name,
            keywords=dict(self.keywords),
        )


@dataclass(slots=True, kw_only=True)
class PhoneNumber:
    """A phone number that messages come from.

    ``accepted_message_types`` is what a send may ask for. A number requested through the API takes its own
    message type only.
    """

    id: str
    arn: str
    e164: str
    iso_country_code: str
    message_type: str
    accepted_message_types: frozenset[str]
    number_type: str
    number_capabilities: tuple[str, ...]
    parts_per_second: float
    created: datetime
    settings: OriginationSettings = field(default_factory=OriginationSettings)
    international_sending_enabled: bool = False
    deletion_protection_enabled: bool = False
    registration_id: str | None = None
    pool_id: str | None = None

    def describe(self) -> dict[str, Any]:
        """Return the members of ``PhoneNumberInformation`` that every answer about the number has."""
        described: dict[str, Any] = {
            "PhoneNumberArn": self.arn,
            "PhoneNumberId": self.id,
            "PhoneNumber": self.e164,
            "Status": "ACTIVE",
            "IsoCountryCode": self.iso_country_code,
            "MessageType": self.message_type,
            "NumberCapabilities": list(self.number_capabilities),
            "NumberType": self.number_type,
            "MonthlyLeasingPrice": "1.00",
            "InternationalSendingEnabled": self.international_sending_enabled,
            "DeletionProtectionEnabled": self.deletion_protection_enabled,
            "CreatedTimestamp": self.created.timestamp(),
            **self.settings.describe(),
        }
        if self.pool_id is not None:
            described["PoolId"] = self.pool_id
        if self.registration_id is not None:
            described["RegistrationId"] = self.registration_id
        return described


@dataclass(slots=True, kw_only=True)
class SenderId:
    """An alphanumeric sender id: one way, valid for the destinations of its country."""

    name: str
    arn: str
    iso_country_code: str
    message_types: tuple[str, ...]
    created: datetime
    deletion_protection_enabled: bool = False

    def describe(self) -> dict[str, Any]:
        """Return the members of ``SenderIdInformation``."""
        return {
            "SenderIdArn": self.arn,
            "SenderId": self.name,
            "IsoCountryCode": self.iso_country_code,
            "MessageTypes": list(self.message_types),
            "MonthlyLeasingPrice": "0.00",
            "DeletionProtectionEnabled": self.deletion_protection_enabled,
            "Registered": False,
        }


@dataclass(slots=True, kw_only=True)
class Pool:
    """Phone numbers and sender ids that send as one. `members` holds their ARNs in order of joining."""

    id: str
    arn: str
    message_type: str
    created: datetime
    settings: OriginationSettings
    members: list[str] = field(default_factory=list)
    shared_routes_enabled: bool = False
    deletion_protection_enabled: bool = False

    def describe(self) -> dict[str, Any]:
        """Return the members of ``PoolInformation``."""
        return {
            "PoolArn": self.arn,
            "PoolId": self.id,
            "Status": "ACTIVE",
            "MessageType": self.message_type,
            "SharedRoutesEnabled": self.shared_routes_enabled,
            "DeletionProtectionEnabled": self.deletion_protection_enabled,
            "CreatedTimestamp": self.created.timestamp(),
            **self.settings.describe(),
        }


@dataclass(slots=True, kw_only=True)
class EventDestination:
    """Where a configuration set sends events of some types.

    ``destination`` is the one member that names it, e.g. ``{"SnsDestination": {"TopicArn": "arn:..."}}``.
    """

    name: str
    enabled: bool
    matching_event_types: tuple[str, ...]
    destination: dict[str, Any]

    def matches(self, event_type: str) -> bool:
        """Tell whether events of `event_type`, a text's, go here."""
        return self.enabled and not {event_type, "TEXT_ALL", "ALL"}.isdisjoint(self.matching_event_types)

    @property
    def topic_arn(self) -> str | None:
        """The SNS topic, for destinations that are one."""
        topic = self.destination.get("SnsDestination")
        return None if topic is None else str(topic["TopicArn"])

    def describe(self) -> dict[str, Any]:
        """Return the members of ``EventDestination``."""
        return {
            "EventDestinationName": self.name,
            "Enabled": self.enabled,
            "MatchingEventTypes": list(self.matching_event_types),
            **self.destination,
        }


@dataclass(slots=True, kw_only=True)
class ConfigurationSet:
    """Rules for the messages sent with it: event destinations, defaults, a protect configuration."""

    name: str
    arn: str
    created: datetime
    event_destinations: dict[str, EventDestination] = field(default_factory=dict)
    default_message_type: str | None = None
    default_sender_id: str | None = None
    default_message_feedback_enabled: bool | None = None
    protect_configuration_id: str | None = None

    def describe(self) -> dict[str, Any]:
        """Return the members of ``ConfigurationSetInformation``."""
        described = {
            "ConfigurationSetArn": self.arn,
            "ConfigurationSetName": self.name,
            "EventDestinations": [destination.describe() for destination in self.event_destinations.values()],
            "CreatedTimestamp": self.created.timestamp(),
            "DefaultMessageType": self.default_message_type,
            "DefaultSenderId": self.default_sender_id,
            "DefaultMessageFeedbackEnabled": self.default_message_feedback_enabled,
            "ProtectConfigurationId": self.protect_configuration_id,
        }
        return {name: value for name, value in described.items() if value is not None}


class ResourcePolicy(NamedTuple):
    """Who else may use a resource: kept, and asked by nobody here."""

    document: str
    created: datetime


class OptedOutNumber(NamedTuple):
    """An entry of an opt-out list: since when, and whether the person (or else the account) opted out."""

    number: str
    since: datetime
    end_user_opted_out: bool

    def describe(self) -> dict[str, Any]:
        """Return the members of ``OptedOutNumberInformation``."""
        return {
            "OptedOutNumber": self.number,
            "OptedOutTimestamp": self.since.timestamp(),
            "EndUserOptedOut": self.end_user_opted_out,
        }


@dataclass(slots=True, kw_only=True)
class OptOutList:
    """Destination phone numbers that get no message from the numbers that use the list.

    ``deletions`` remembers when a number was last taken off by the API: allowed once in 30 days.
    """

    name: str
    arn: str
    created: datetime
    entries: dict[str, OptedOutNumber] = field(default_factory=dict)
    deletions: dict[str, datetime] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """Return the members of ``OptOutListInformation``."""
        return {
            "OptOutListArn": self.arn,
            "OptOutListName": self.name,
            "CreatedTimestamp": self.created.timestamp(),
        }

    def add(self, number: str, *, at: datetime, end_user_opted_out: bool) -> OptedOutNumber:
        """Put `number` on the list. One that is there already keeps its entry."""
        return self.entries.setdefault(number, OptedOutNumber(number, at, end_user_opted_out))


@dataclass(slots=True, kw_only=True)
class ProtectConfiguration:
    """Country rules by number capability: ``rules["SMS"]["US"]`` is ALLOW, BLOCK, MONITOR or FILTER."""

    id: str
    arn: str
    created: datetime
    rules: dict[str, dict[str, str]] = field(default_factory=dict)
    account_default: bool = False
    deletion_protection_enabled: bool = False

    def status(self, capability: str, country: str) -> str:
        """Return the rule for `country`; a country without one is allowed."""
        return self.rules.get(capability, {}).get(country, "ALLOW")

    def describe(self) -> dict[str, Any]:
        """Return the members of ``ProtectConfigurationInformation``."""
        return {
            "ProtectConfigurationArn": self.arn,
            "ProtectConfigurationId": self.id,
            "CreatedTimestamp": self.created.timestamp(),
            "AccountDefault": self.account_default,
            "DeletionProtectionEnabled": self.deletion_protection_enabled,
        }
