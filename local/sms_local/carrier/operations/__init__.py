"""The operations of the service, one module a resource.

Each is a function of the account and a request that fits the operation's input shape; it returns the members
of the output shape or raises `ServiceError`. None of them awaits, so that each is atomic in the one event
loop.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from sms_local.carrier.account import Account
from sms_local.carrier.operations import (
    configuration_sets,
    keywords,
    opt_outs,
    phone_numbers,
    pools,
    protect_configurations,
    resource_policies,
    sender_ids,
    tags,
)

type AccountOperation = Callable[[Account, Mapping[str, Any]], dict[str, Any]]

ACCOUNT_OPERATIONS: Final[Mapping[str, AccountOperation]] = {
    "AssociateOriginationIdentity": pools.associate_origination_identity,
    "AssociateProtectConfiguration": protect_configurations.associate_protect_configuration,
    "CreateConfigurationSet": configuration_sets.create_configuration_set,
    "CreateEventDestination": configuration_sets.create_event_destination,
    "CreateOptOutList": opt_outs.create_opt_out_list,
    "CreatePool": pools.create_pool,
    "CreateProtectConfiguration": protect_configurations.create_protect_configuration,
    "DeleteAccountDefaultProtectConfiguration": protect_configurations.delete_account_default,
    "DeleteConfigurationSet": configuration_sets.delete_configuration_set,
    "DeleteDefaultMessageType": configuration_sets.delete_default_message_type,
    "DeleteDefaultSenderId": configuration_sets.delete_default_sender_id,
    "DeleteEventDestination": configuration_sets.delete_event_destination,
    "DeleteKeyword": keywords.delete_keyword,
    "DeleteOptOutList": opt_outs.delete_opt_out_list,
    "DeleteOptedOutNumber": opt_outs.delete_opted_out_number,
    "DeletePool": pools.delete_pool,
    "DeleteProtectConfiguration": protect_configurations.delete_protect_configuration,
    "DeleteResourcePolicy": resource_policies.delete_resource_policy,
    "DescribeConfigurationSets": configuration_sets.describe_configuration_sets,
    "DescribeKeywords": keywords.describe_keywords,
    "DescribeOptOutLists": opt_outs.describe_opt_out_lists,
    "DescribeOptedOutNumbers": opt_outs.describe_opted_out_numbers,
    "DescribePhoneNumbers": phone_numbers.describe_phone_numbers,
    "DescribePools": pools.describe_pools,
    "DescribeProtectConfigurations": protect_configurations.describe_protect_configurations,
    "DescribeSenderIds": sender_ids.describe_sender_ids,
    "DisassociateOriginationIdentity": pools.disassociate_origination_identity,
    "DisassociateProtectConfiguration": protect_configurations.disassociate_protect_configuration,
    "GetProtectConfigurationCountryRuleSet": protect_configurations.get_country_rule_set,
    "GetResourcePolicy": resource_policies.get_resource_policy,
    "ListPoolOriginationIdentities": pools.list_pool_origination_identities,
    "ListTagsForResource": tags.list_tags_for_resource,
    "PutKeyword": keywords.put_keyword,
    "PutOptedOutNumber": opt_outs.put_opted_out_number,
    "PutResourcePolicy": resource_policies.put_resource_policy,
    "ReleasePhoneNumber": phone_numbers.release_phone_number,
    "ReleaseSenderId": sender_ids.release_sender_id,
    "RequestPhoneNumber": phone_numbers.request_phone_number,
    "RequestSenderId": sender_ids.request_sender_id,
    "SetAccountDefaultProtectConfiguration": protect_configurations.set_account_default,
    "SetDefaultMessageFeedbackEnabled": configuration_sets.set_default_message_feedback_enabled,
    "SetDefaultMessageType": configuration_sets.set_default_message_type,
    "SetDefaultSenderId": configuration_sets.set_default_sender_id,
    "TagResource": tags.tag_resource,
    "UntagResource": tags.untag_resource,
    "UpdateEventDestination": configuration_sets.update_event_destination,
    "UpdatePhoneNumber": phone_numbers.update_phone_number,
    "UpdatePool": pools.update_pool,
    "UpdateProtectConfiguration": protect_configurations.update_protect_configuration,
    "UpdateProtectConfigurationCountryRuleSet": protect_configurations.update_country_rule_set,
    "UpdateSenderId": sender_ids.update_sender_id,
}
"""Every simulated operation but those that send."""
