"""The account: everything it owns, found by name, id, ARN or E.164 number."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import uuid4

from sms_local.carrier.errors import ServiceError, conflict, not_found
from sms_local.carrier.resources import (
    DEFAULT_OPT_OUT_LIST,
    ConfigurationSet,
    OptOutList,
    OriginationSettings,
    PhoneNumber,
    Pool,
    ProtectConfiguration,
    ResourcePolicy,
    SenderId,
)
from sms_local.carrier.timeline import Timeline

PRE_OWNED_NUMBER_ID: Final = "phone-local0000000000000000000000000"
PRE_OWNED_NUMBER: Final = "+12065550100"
"""A number of the range kept for fiction, so that no text of a demo could ever reach a person."""

DEFAULT_PARTS_PER_SECOND: Final = 10.0
MESSAGE_TYPES: Final = frozenset({"TRANSACTIONAL", "PROMOTIONAL"})

type OriginationIdentity = PhoneNumber | Pool | SenderId
type Resource = OriginationIdentity | ConfigurationSet | OptOutList | ProtectConfiguration


@dataclass(slots=True, kw_only=True)
class Account:
    """The resources of one account in one region.

    It is born with the ``Default`` opt-out list and one phone number, `PRE_OWNED_NUMBER`, as 10DLC numbers
    are bought and registered outside of templates. The sandbox is off: any destination may be sent to.
    """

    timeline: Timeline
    region: str = "us-east-1"
    account_id: str = "000000000000"
    parts_per_second: float = DEFAULT_PARTS_PER_SECOND
    phone_numbers: dict[str, PhoneNumber] = field(default_factory=dict)
    sender_ids: dict[str, SenderId] = field(default_factory=dict)
    pools: dict[str, Pool] = field(default_factory=dict)
    configuration_sets: dict[str, ConfigurationSet] = field(default_factory=dict)
    opt_out_lists: dict[str, OptOutList] = field(default_factory=dict)
    protect_configurations: dict[str, ProtectConfiguration] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    policies: dict[str, ResourcePolicy] = field(default_factory=dict)

    def __post_init__(self) -> None:
        now = self.now()
        self.opt_out_lists[DEFAULT_OPT_OUT_LIST] = OptOutList(
            name=DEFAULT_OPT_OUT_LIST, arn=self.arn("opt-out-list", DEFAULT_OPT_OUT_LIST), created=now
        )
        # Whether the service lets a transactional number send promotional texts is not documented, and one
        # number of a small business sends both; this one takes both and reports TRANSACTIONAL.
        self.phone_numbers[PRE_OWNED_NUMBER_ID] = PhoneNumber(
            id=PRE_OWNED_NUMBER_ID,
            arn=self.arn("phone-number", PRE_OWNED_NUMBER_ID),
            e164=PRE_OWNED_NUMBER,
            iso_country_code="US",
            message_type="TRANSACTIONAL",
            accepted_message_types=MESSAGE_TYPES,
            number_type="TEN_DLC",
            number_capabilities=("SMS",),
            parts_per_second=self.parts_per_second,
            created=now,
            international_sending_enabled=True,
        )

    def now(self) -> datetime:
        """Return the current instant of the account's timeline."""
        return self.timeline.now()

    def arn(self, resource_type: str, name: str) -> str:
        """Return the ARN of a resource of this account."""
        return f"arn:aws:sms-voice:{self.region}:{self.account_id}:{resource_type}/{name}"

    def new_id(self, prefix: str) -> str:
        """Return an id that nothing has, in the service's form, e.g. ``pool-`` and 32 hexadecimal digits."""
        return f"{prefix}-{uuid4().hex}"

    def phone_number(self, reference: str) -> PhoneNumber:
        """Return the phone number with this id, ARN or E.164 number."""
        return _find(
            self.phone_numbers.values(),
            reference,
            lambda n: (n.id, n.arn, n.e164, n.e164.removeprefix("+")),
            "phone-number",
        )

    def pool(self, reference: str) -> Pool:
        """Return the pool with this id or ARN."""
        return _find(self.pools.values(), reference, lambda pool: (pool.id, pool.arn), "pool")

    def sender_id(self, reference: str, country: str | None = None) -> SenderId:
        """Return the sender id with this name or ARN, registered for `country` if that is given."""
        candidates = (s for s in self.sender_ids.values() if country in {None, s.iso_country_code})
        return _find(candidates, reference, lambda sender: (sender.name, sender.arn), "sender-id")

    def configuration_set(self, reference: str) -> ConfigurationSet:
        """Return the configuration set with this name or ARN."""
        sets = self.configuration_sets.values()
        return _find(sets, reference, lambda item: (item.name, item.arn), "configuration-set")

    def opt_out_list(self, reference: str) -> OptOutList:
        """Return the opt-out list with this name or ARN."""
        lists = self.opt_out_lists.values()
        return _find(lists, reference, lambda item: (item.name, item.arn), "opt-out-list")

    def protect_configuration(self, reference: str) -> ProtectConfiguration:
        """Return the protect configuration with this id or ARN."""
        configurations = self.protect_configurations.values()
        return _find(configurations, reference, lambda item: (item.id, item.arn), "protect-configuration")

    def origination_identity(self, reference: str, *, country: str | None = None) -> OriginationIdentity:
        """Return the pool, sender id or phone number that `reference` names.

        Raises
        ------
        ServiceError
            ``ResourceNotFoundException`` of the resource type that the reference looks like.
        """
        resource_type = _resource_type_of(reference)
        if resource_type == "pool":
            return self.pool(reference)
        if resource_type == "sender-id":
            return self.sender_id(reference, country)
        return self.phone_number(reference)

    def phone_number_or_pool(self, reference: str) -> PhoneNumber | Pool:
        """Return the phone number or pool that `reference` names: those that have keywords."""
        return (
            self.pool(reference) if _resource_type_of(reference) == "pool" else self.phone_number(reference)
        )

    def settings_of(self, number: PhoneNumber) -> OriginationSettings:
        """Return the settings that `number` obeys: those of its pool, if it is in one."""
        return number.settings if number.pool_id is None else self.pools[number.pool_id].settings

    def members_of(self, pool: Pool) -> list[PhoneNumber | SenderId]:
        """Return the phone numbers and sender ids of `pool`."""
        by_arn: dict[str, PhoneNumber | SenderId] = {n.arn: n for n in self.phone_numbers.values()}
        by_arn |= {sender.arn: sender for sender in self.sender_ids.values()}
        return [by_arn[arn] for arn in pool.members]

    def check_owned(self, arn: str) -> None:
        """Raise ``ResourceNotFoundException`` unless a resource has this ARN."""
        owned: tuple[Resource, ...] = (
            *self.phone_numbers.values(),
            *self.sender_ids.values(),
            *self.pools.values(),
            *self.configuration_sets.values(),
            *self.opt_out_lists.values(),
            *self.protect_configurations.values(),
        )
        if all(resource.arn != arn for resource in owned):
            raise not_found(_resource_type_of(arn), arn)

    def tag(self, arn: str, tags: Iterable[Mapping[str, str]]) -> None:
        """Add or overwrite tags, given as the API writes them, of a resource."""
        self.tags.setdefault(arn, {}).update({tag["Key"]: tag["Value"] for tag in tags})

    def forget(self, arn: str) -> None:
        """Drop tags and policy of a resource that is deleted."""
        self.tags.pop(arn, None)
        self.policies.pop(arn, None)

    def clear_opt_outs(self) -> int:
        """Empty every opt-out list, the memory of the 30 days included; return how many entries went."""
        cleared = sum(len(opt_out_list.entries) for opt_out_list in self.opt_out_lists.values())
        for opt_out_list in self.opt_out_lists.values():
            opt_out_list.entries.clear()
            opt_out_list.deletions.clear()
        return cleared


def _find[R](
    candidates: Iterable[R], reference: str, names: Callable[[R], tuple[str, ...]], resource_type: str
) -> R:
    for candidate in candidates:
        if reference in names(candidate):
            return candidate
    raise not_found(resource_type, reference)


def _resource_type_of(reference: str) -> str:
    """Return the resource type by the form of an ARN, id, number or name."""
    if reference.startswith("arn:"):
        return reference.split(":", 5)[-1].split("/", 1)[0]
    if reference.startswith("pool-"):
        return "pool"
    if reference.startswith("phone-") or reference.removeprefix("+").isdigit():
        return "phone-number"
    return "sender-id"


def already_exists(resource_type: str, resource_id: str) -> ServiceError:
    """Return the refusal of a second resource of one name."""
    return conflict(
        "RESOURCE_ALREADY_EXISTS",
        f"The {resource_type} exists already.",
        resource_type=resource_type,
        resource_id=resource_id,
    )


def deletion_protected(resource_type: str, resource_id: str) -> ServiceError:
    """Return the refusal to delete what is protected against it."""
    return conflict(
        "DELETION_PROTECTION_ENABLED",
        f"The {resource_type} is protected against deletion.",
        resource_type=resource_type,
        resource_id=resource_id,
    )
