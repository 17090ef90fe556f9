"""Origination phone numbers."""

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, Final

import phonenumbers

from sms_local.carrier.account import Account, deletion_protected
from sms_local.carrier.errors import ServiceError, conflict, quota_exceeded, validation_error
from sms_local.carrier.operations.listing import page
from sms_local.carrier.resources import OriginationSettings, PhoneNumber

_MAX_PHONE_NUMBERS: Final = 25
# AWS user guide, "Message Parts per Second (MPS) limits"; 10DLC and simulator numbers take the account's.
_PARTS_PER_SECOND: Final[Mapping[str, float]] = {"SHORT_CODE": 100.0, "LONG_CODE": 10.0, "TOLL_FREE": 3.0}


def request_phone_number(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Buy a phone number. It is active at once; registration takes weeks in the service."""
    if len(account.phone_numbers) >= _MAX_PHONE_NUMBERS:
        raise quota_exceeded("PHONE_NUMBERS_PER_ACCOUNT", "The account has all the numbers it may have.")
    pool = account.pool(request["PoolId"]) if "PoolId" in request else None
    settings = OriginationSettings()
    if "OptOutListName" in request:
        settings.opt_out_list_name = account.opt_out_list(request["OptOutListName"]).name
    identifier = account.new_id("phone")
    number = PhoneNumber(
        id=identifier,
        arn=account.arn("phone-number", identifier),
        e164=_unused_number(account, request["IsoCountryCode"], request["NumberType"]),
        iso_country_code=request["IsoCountryCode"],
        message_type=request["MessageType"],
        accepted_message_types=frozenset({request["MessageType"]}),
        number_type=request["NumberType"],
        number_capabilities=tuple(request["NumberCapabilities"]),
        parts_per_second=_PARTS_PER_SECOND.get(request["NumberType"], account.parts_per_second),
        created=account.now(),
        settings=settings,
        international_sending_enabled=request.get("InternationalSendingEnabled", False),
        deletion_protection_enabled=request.get("DeletionProtectionEnabled", False),
        registration_id=request.get("RegistrationId"),
    )
    account.phone_numbers[identifier] = number
    if pool is not None:
        pool.members.append(number.arn)
        number.pool_id = pool.id
    account.tag(number.arn, request.get("Tags", ()))
    return {**number.describe(), "Tags": request.get("Tags", [])}


def _unused_number(account: Account, country: str, number_type: str) -> str:
    taken = {number.e164 for number in account.phone_numbers.values()}
    return next(number for number in _fictional_numbers(country, number_type) if number not in taken)


def _fictional_numbers(country: str, number_type: str) -> Iterator[str]:
    """Yield numbers of `country` that belong to nobody, as far as its plan keeps any for fiction."""
    if country in {"US", "CA"}:
        area = {"TOLL_FREE": "844"}.get(number_type, "206" if country == "US" else "613")
        return (f"+1{area}55501{line:02d}" for line in count(1))
    calling_code = phonenumbers.country_code_for_region(country)
    if calling_code == 0:
        raise validation_error(
            "COUNTRY_NOT_ENABLED",
            "The service has no numbers in this country.",
            fields=[("IsoCountryCode", "is no country with phone numbers")],
        )
    return (f"+{calling_code}5550{line:05d}" for line in count(1))


def release_phone_number(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Give a phone number back."""
    number = account.phone_number(request["PhoneNumberId"])
    if number.deletion_protection_enabled:
        raise deletion_protected("phone-number", number.id)
    if number.pool_id is not None:
        raise associated_to_pool(number)
    del account.phone_numbers[number.id]
    account.forget(number.arn)
    answer = number.describe() | {"Status": "DELETED"}
    return _without(answer, "InternationalSendingEnabled", "DeletionProtectionEnabled")


def describe_phone_numbers(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """List phone numbers; `PhoneNumberIds` picks some by id or ARN."""
    wanted = request.get("PhoneNumberIds")
    numbers = (
        [account.phone_number(reference) for reference in wanted]
        if wanted
        else list(account.phone_numbers.values())
    )
    if request.get("Owner") == "SHARED":
        numbers = []
    return page("PhoneNumbers", (_information(number) for number in numbers), request)


def _information(number: PhoneNumber) -> dict[str, Any]:
    limits = {"RateLimits": {"SMS": int(number.parts_per_second)}}
    return number.describe() | {"MessagingLimits": limits}


def update_phone_number(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Change two-way messaging, opt-out list and the like of a number that is in no pool."""
    number = account.phone_number(request["PhoneNumberId"])
    if number.pool_id is not None:
        raise associated_to_pool(number)
    update_settings(account, number.settings, request)
    number.international_sending_enabled = request.get(
        "InternationalSendingEnabled", number.international_sending_enabled
    )
    number.deletion_protection_enabled = request.get(
        "DeletionProtectionEnabled", number.deletion_protection_enabled
    )
    return number.describe()


def update_settings(account: Account, settings: OriginationSettings, request: Mapping[str, Any]) -> None:
    """Change those `settings` of a number or pool that `request` names: all of them, or none on refusal."""
    channel = request.get("TwoWayChannelArn", settings.two_way_channel_arn)
    two_way = request.get("TwoWayEnabled", settings.two_way_enabled)
    if two_way and channel is None:
        raise validation_error(
            "TWO_WAY_CHANNEL_NOT_PRESENT",
            "Two-way messaging needs a channel.",
            fields=[("TwoWayChannelArn", "is required where TwoWayEnabled is true")],
        )
    opt_out_list = account.opt_out_list(request.get("OptOutListName", settings.opt_out_list_name))
    settings.two_way_enabled = two_way
    settings.two_way_channel_arn = channel
    settings.two_way_channel_role = request.get("TwoWayChannelRole", settings.two_way_channel_role)
    settings.opt_out_list_name = opt_out_list.name
    settings.self_managed_opt_outs_enabled = request.get(
        "SelfManagedOptOutsEnabled", settings.self_managed_opt_outs_enabled
    )


def associated_to_pool(number: PhoneNumber) -> ServiceError:
    """Return the refusal to change or release a number that belongs to a pool."""
    return conflict(
        "PHONE_NUMBER_ASSOCIATED_TO_POOL",
        "The phone number belongs to a pool.",
        resource_type="phone-number",
        resource_id=number.id,
    )


def _without(members: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in names}
