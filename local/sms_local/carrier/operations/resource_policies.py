"""Policies that share a resource with other accounts."""

from collections.abc import Mapping
from typing import Any

from sms_local.carrier.account import Account
from sms_local.carrier.errors import not_found
from sms_local.carrier.resources import ResourcePolicy


def put_resource_policy(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Set the policy of a resource."""
    arn = request["ResourceArn"]
    account.check_owned(arn)
    account.policies[arn] = ResourcePolicy(request["Policy"], account.now())
    return _answer(arn, account.policies[arn])


def get_resource_policy(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the policy of a resource."""
    arn = request["ResourceArn"]
    return _answer(arn, _policy_of(account, arn))


def delete_resource_policy(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Delete the policy of a resource."""
    arn = request["ResourceArn"]
    policy = _policy_of(account, arn)
    del account.policies[arn]
    return _answer(arn, policy)


def _policy_of(account: Account, arn: str) -> ResourcePolicy:
    account.check_owned(arn)
    if arn not in account.policies:
        raise not_found("policy", arn)
    return account.policies[arn]


def _answer(arn: str, policy: ResourcePolicy) -> dict[str, Any]:
    return {"ResourceArn": arn, "Policy": policy.document, "CreatedTimestamp": policy.created.timestamp()}
