"""Pools: phone numbers and sender ids that send as one."""

from collections.abc import Mapping
from typing import Any, Final

from sms_local.carrier.account import Account, deletion_protected
from sms_local.carrier.errors import conflict, quota_exceeded
from sms_local.carrier.operations.listing import page
from sms_local.carrier.operations.phone_numbers import associated_to_pool, update_settings
from sms_local.carrier.resources import OriginationSettings, PhoneNumber, Pool, SenderId

_MAX_POOLS: Final = 25
_MAX_MEMBERS: Final = 100


def create_pool(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Make a pool of one phone number or sender id. The pool inherits the settings of a number."""
    if len(account.pools) >= _MAX_POOLS:
        raise quota_exceeded("POOLS_PER_ACCOUNT", "The account has all the pools it may have.")
    member = _member(account, request)
    if isinstance(member, PhoneNumber) and member.pool_id is not None:
        raise associated_to_pool(member)
    _check_message_type(member, request["MessageType"])
    identifier = account.new_id("pool")
    settings = member.settings.copy() if isinstance(member, PhoneNumber) else OriginationSettings()
    pool = Pool(
        id=identifier,
        arn=account.arn("pool", identifier),
        message_type=request["MessageType"],
        created=account.now(),
        settings=settings,
        deletion_protection_enabled=request.get("DeletionProtectionEnabled", False),
    )
    account.pools[identifier] = pool
    _join(pool, member)
    account.tag(pool.arn, request.get("Tags", ()))
    return {**pool.describe(), "Tags": request.get("Tags", [])}


def delete_pool(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Delete a pool; its members go back to their own settings."""
    pool = account.pool(request["PoolId"])
    if pool.deletion_protection_enabled:
        raise deletion_protected("pool", pool.id)
    for member in account.members_of(pool):
        if isinstance(member, PhoneNumber):
            member.pool_id = None
    del account.pools[pool.id]
    account.forget(pool.arn)
    answer = pool.describe() | {"Status": "DELETING"}
    del answer["DeletionProtectionEnabled"]
    return answer


def describe_pools(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """List pools; `PoolIds` picks some by id or ARN."""
    wanted = request.get("PoolIds")
    pools = [account.pool(reference) for reference in wanted] if wanted else list(account.pools.values())
    if request.get("Owner") == "SHARED":
        pools = []
    return page("Pools", (pool.describe() for pool in pools), request)


def update_pool(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Change the settings of a pool."""
    pool = account.pool(request["PoolId"])
    update_settings(account, pool.settings, request)
    pool.shared_routes_enabled = request.get("SharedRoutesEnabled", pool.shared_routes_enabled)
    pool.deletion_protection_enabled = request.get(
        "DeletionProtectionEnabled", pool.deletion_protection_enabled
    )
    return pool.describe()


def associate_origination_identity(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Let a phone number or sender id join a pool; a number's settings have to be the pool's."""
    pool = account.pool(request["PoolId"])
    member = _member(account, request)
    if member.arn in pool.members:
        raise conflict("RESOURCE_ALREADY_ASSOCIATED", "The origination identity is in the pool already.")
    if len(pool.members) >= _MAX_MEMBERS:
        raise quota_exceeded("ORIGINATION_IDENTITIES_PER_POOL", "The pool is full.")
    _check_message_type(member, pool.message_type)
    if isinstance(member, PhoneNumber):
        if member.pool_id is not None:
            raise associated_to_pool(member)
        _check_settings(member.settings, pool.settings)
    _join(pool, member)
    return _association(pool, member)


def disassociate_origination_identity(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Let a phone number or sender id leave a pool; the last phone number cannot."""
    pool = account.pool(request["PoolId"])
    member = _member(account, request)
    if member.arn not in pool.members:
        raise conflict("PHONE_NUMBER_NOT_ASSOCIATED_TO_POOL", "The origination identity is not in the pool.")
    if len(pool.members) == 1:
        raise conflict("LAST_PHONE_NUMBER", "A pool keeps at least one origination identity.")
    pool.members.remove(member.arn)
    if isinstance(member, PhoneNumber):
        member.pool_id = None
    return _association(pool, member)


def list_pool_origination_identities(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """List the members of a pool."""
    pool = account.pool(request["PoolId"])
    identities = (_metadata(member) for member in account.members_of(pool))
    return {
        "PoolArn": pool.arn,
        "PoolId": pool.id,
        **page("OriginationIdentities", identities, request),
    }


def _member(account: Account, request: Mapping[str, Any]) -> PhoneNumber | SenderId:
    reference = request["OriginationIdentity"]
    identity = account.origination_identity(reference, country=request.get("IsoCountryCode"))
    if isinstance(identity, Pool):
        return account.phone_number(reference)  # refuses: a pool is no member of a pool
    return identity


def _join(pool: Pool, member: PhoneNumber | SenderId) -> None:
    pool.members.append(member.arn)
    if isinstance(member, PhoneNumber):
        member.pool_id = pool.id


def _check_message_type(member: PhoneNumber | SenderId, message_type: str) -> None:
    accepted = member.accepted_message_types if isinstance(member, PhoneNumber) else member.message_types
    if message_type not in accepted:
        raise conflict("MESSAGE_TYPE_MISMATCH", "The origination identity has another message type.")


def _check_settings(number: OriginationSettings, pool: OriginationSettings) -> None:
    differences = {
        "OPT_OUT_LIST_MISMATCH": number.opt_out_list_name != pool.opt_out_list_name,
        "SELF_MANAGED_OPT_OUTS_MISMATCH": (
            number.self_managed_opt_outs_enabled != pool.self_managed_opt_outs_enabled
        ),
        "TWO_WAY_CONFIG_MISMATCH": (
            (number.two_way_enabled, number.two_way_channel_arn)
            != (pool.two_way_enabled, pool.two_way_channel_arn)
        ),
        "KEYWORD_MISMATCH": number.keywords != pool.keywords,
    }
    for reason, differs in differences.items():
        if differs:
            raise conflict(reason, "The phone number is set up differently from the pool.")


def _association(pool: Pool, member: PhoneNumber | SenderId) -> dict[str, Any]:
    return {
        "PoolArn": pool.arn,
        "PoolId": pool.id,
        "OriginationIdentityArn": member.arn,
        "OriginationIdentity": _name_of(member),
        "IsoCountryCode": member.iso_country_code,
    }


def _metadata(member: PhoneNumber | SenderId) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "OriginationIdentityArn": member.arn,
        "OriginationIdentity": _name_of(member),
        "IsoCountryCode": member.iso_country_code,
        "NumberCapabilities": ["SMS"],
    }
    if isinstance(member, PhoneNumber):
        metadata |= {"NumberCapabilities": list(member.number_capabilities), "PhoneNumber": member.e164}
    return metadata


def _name_of(member: PhoneNumber | SenderId) -> str:
    return member.id if isinstance(member, PhoneNumber) else member.name
