"""Alphanumeric sender ids."""

from collections.abc import Mapping
from typing import Any, Final

from sms_local.carrier.account import Account, already_exists, deletion_protected
from sms_local.carrier.errors import conflict, validation_error
from sms_local.carrier.operations.listing import page
from sms_local.carrier.resources import SenderId

_WITHOUT_SENDER_IDS: Final = frozenset({"US", "CA"})
"""Countries whose carriers take no sender ids, of those that matter here (AWS user guide, "Supported
countries and regions for SMS messaging")."""


def request_sender_id(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Get a sender id for one destination country. It counts as registered nowhere and works at once."""
    name, country = request["SenderId"], request["IsoCountryCode"]
    if country in _WITHOUT_SENDER_IDS:
        raise validation_error(
            "SENDER_ID_NOT_SUPPORTED",
            "Carriers of this country take no sender ids.",
            fields=[("IsoCountryCode", "is a country without sender ids")],
        )
    key = f"{name}/{country}"
    if key in account.sender_ids:
        raise already_exists("sender-id", name)
    sender_id = SenderId(
        name=name,
        arn=account.arn("sender-id", key),
        iso_country_code=country,
        message_types=tuple(request.get("MessageTypes") or ("TRANSACTIONAL",)),
        created=account.now(),
        deletion_protection_enabled=request.get("DeletionProtectionEnabled", False),
    )
    account.sender_ids[key] = sender_id
    account.tag(sender_id.arn, request.get("Tags", ()))
    return {**sender_id.describe(), "Tags": request.get("Tags", [])}


def release_sender_id(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Give a sender id back."""
    sender_id = account.sender_id(request["SenderId"], request["IsoCountryCode"])
    if sender_id.deletion_protection_enabled:
        raise deletion_protected("sender-id", sender_id.name)
    if any(sender_id.arn in pool.members for pool in account.pools.values()):
        raise conflict(
            "SENDER_ID_ASSOCIATED_TO_POOL",
            "The sender id belongs to a pool.",
            resource_type="sender-id",
            resource_id=sender_id.name,
        )
    del account.sender_ids[f"{sender_id.name}/{sender_id.iso_country_code}"]
    account.forget(sender_id.arn)
    answer = sender_id.describe()
    del answer["DeletionProtectionEnabled"]
    return answer


def update_sender_id(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Change whether a sender id is protected against deletion."""
    sender_id = account.sender_id(request["SenderId"], request["IsoCountryCode"])
    sender_id.deletion_protection_enabled = request.get(
        "DeletionProtectionEnabled", sender_id.deletion_protection_enabled
    )
    return sender_id.describe()


def describe_sender_ids(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """List sender ids; `SenderIds` picks some by name and country."""
    wanted = request.get("SenderIds")
    sender_ids = (
        [account.sender_id(item["SenderId"], item["IsoCountryCode"]) for item in wanted]
        if wanted
        else list(account.sender_ids.values())
    )
    if request.get("Owner") == "SHARED":
        sender_ids = []
    return page("SenderIds", (sender_id.describe() for sender_id in sender_ids), request)
