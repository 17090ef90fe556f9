"""Protect configurations: which countries messages may go to."""

from collections.abc import Mapping
from typing import Any, Final

from sms_local.carrier.account import Account, deletion_protected
from sms_local.carrier.destinations import countries
from sms_local.carrier.errors import conflict, quota_exceeded
from sms_local.carrier.operations.listing import page
from sms_local.carrier.resources import ConfigurationSet, ProtectConfiguration

_MAX_PROTECT_CONFIGURATIONS: Final = 100


def create_protect_configuration(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Make a protect configuration that allows every country."""
    if len(account.protect_configurations) >= _MAX_PROTECT_CONFIGURATIONS:
        raise quota_exceeded("PROTECT_CONFIGURATIONS_PER_ACCOUNT", "The account has all it may have.")
    identifier = account.new_id("protect")
    created = ProtectConfiguration(
        id=identifier,
        arn=account.arn("protect-configuration", identifier),
        created=account.now(),
        deletion_protection_enabled=request.get("DeletionProtectionEnabled", False),
    )
    account.protect_configurations[identifier] = created
    account.tag(created.arn, request.get("Tags", ()))
    return {**created.describe(), "Tags": request.get("Tags", [])}


def delete_protect_configuration(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Delete a protect configuration that nothing uses."""
    deleted = account.protect_configuration(request["ProtectConfigurationId"])
    if deleted.deletion_protection_enabled:
        raise deletion_protected("protect-configuration", deleted.id)
    if deleted.account_default:
        raise _in_use("PROTECT_CONFIGURATION_IS_ACCOUNT_DEFAULT", deleted)
    users = account.configuration_sets.values()
    if any(user.protect_configuration_id == deleted.id for user in users):
        raise _in_use("PROTECT_CONFIGURATION_ASSOCIATED_WITH_CONFIGURATION_SET", deleted)
    del account.protect_configurations[deleted.id]
    account.forget(deleted.arn)
    return deleted.describe()


def describe_protect_configurations(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """List protect configurations; `ProtectConfigurationIds` picks some by id or ARN."""
    wanted = request.get("ProtectConfigurationIds")
    found = (
        [account.protect_configuration(reference) for reference in wanted]
        if wanted
        else list(account.protect_configurations.values())
    )
    return page("ProtectConfigurations", (item.describe() for item in found), request)


def update_protect_configuration(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Change whether a protect configuration is protected against deletion."""
    updated = account.protect_configuration(request["ProtectConfigurationId"])
    updated.deletion_protection_enabled = request.get(
        "DeletionProtectionEnabled", updated.deletion_protection_enabled
    )
    return updated.describe()


def update_country_rule_set(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Set the rules of some countries for one number capability; the others keep theirs."""
    updated = account.protect_configuration(request["ProtectConfigurationId"])
    capability, changes = request["NumberCapability"], request["CountryRuleSetUpdates"]
    rules = updated.rules.setdefault(capability, {})
    rules.update({country: rule["ProtectStatus"] for country, rule in changes.items()})
    return _rule_set(updated, capability)


def get_country_rule_set(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rules of all countries for one number capability."""
    return _rule_set(
        account.protect_configuration(request["ProtectConfigurationId"]), request["NumberCapability"]
    )


def associate_protect_configuration(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Put a configuration set under a protect configuration, in place of its present one."""
    protect = account.protect_configuration(request["ProtectConfigurationId"])
    owner = account.configuration_set(request["ConfigurationSetName"])
    owner.protect_configuration_id = protect.id
    return _association(owner, protect)


def disassociate_protect_configuration(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Take a configuration set from under its protect configuration."""
    protect = account.protect_configuration(request["ProtectConfigurationId"])
    owner = account.configuration_set(request["ConfigurationSetName"])
    if owner.protect_configuration_id != protect.id:
        raise _in_use("PROTECT_CONFIGURATION_NOT_ASSOCIATED_WITH_CONFIGURATION_SET", protect)
    owner.protect_configuration_id = None
    return _association(owner, protect)


def set_account_default(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Put every send that names no other protect configuration under this one."""
    chosen = account.protect_configuration(request["ProtectConfigurationId"])
    for other in account.protect_configurations.values():
        other.account_default = other is chosen
    return _default(chosen)


def delete_account_default(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - every operation has this signature
    """Take back `set_account_default`."""
    for protect in account.protect_configurations.values():
        if protect.account_default:
            protect.account_default = False
            return _default(protect)
    raise conflict("RESOURCE_DELETION_NOT_ALLOWED", "The account has no default protect configuration.")


def _default(protect: ProtectConfiguration) -> dict[str, Any]:
    return {
        "DefaultProtectConfigurationArn": protect.arn,
        "DefaultProtectConfigurationId": protect.id,
    }


def _rule_set(protect: ProtectConfiguration, capability: str) -> dict[str, Any]:
    named = protect.rules.get(capability, {})
    return {
        "ProtectConfigurationArn": protect.arn,
        "ProtectConfigurationId": protect.id,
        "NumberCapability": capability,
        "CountryRuleSet": {
            country: {"ProtectStatus": protect.status(capability, country)}
            for country in sorted({*countries(), *named})
        },
    }


def _association(owner: ConfigurationSet, protect: ProtectConfiguration) -> dict[str, Any]:
    return {
        "ConfigurationSetArn": owner.arn,
        "ConfigurationSetName": owner.name,
        "ProtectConfigurationArn": protect.arn,
        "ProtectConfigurationId": protect.id,
    }


def _in_use(reason: str, protect: ProtectConfiguration) -> Exception:
    return conflict(
        reason,
        "The use of the protect configuration does not allow this.",
        resource_type="protect-configuration",
        resource_id=protect.id,
    )
