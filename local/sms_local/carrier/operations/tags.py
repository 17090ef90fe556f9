"""Tags of resources."""

from collections.abc import Mapping
from typing import Any, Final

from sms_local.carrier.account import Account
from sms_local.carrier.errors import quota_exceeded

_MAX_TAGS: Final = 200


def tag_resource(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Add or overwrite tags."""
    tags = _tags_of(account, request["ResourceArn"])
    changed = tags | {tag["Key"]: tag["Value"] for tag in request["Tags"]}
    if len(changed) > _MAX_TAGS:
        raise quota_exceeded("TAGS_PER_RESOURCE", "The resource has all the tags it may have.")
    tags.update(changed)
    return {}


def untag_resource(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Remove tags; keys that are not there are passed over."""
    tags = _tags_of(account, request["ResourceArn"])
    for key in request["TagKeys"]:
        tags.pop(key, None)
    return {}


def list_tags_for_resource(account: Account, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tags of a resource."""
    tags = _tags_of(account, request["ResourceArn"])
    return {
        "ResourceArn": request["ResourceArn"],
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }


def _tags_of(account: Account, arn: str) -> dict[str, str]:
    account.check_owned(arn)
    return account.tags.setdefault(arn, {})
