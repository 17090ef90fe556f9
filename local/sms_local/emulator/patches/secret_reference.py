"""`Ref` of a secret is its ARN.

Reason
    A policy that the CDK grants on a secret names ``Ref`` of it as the resource. With a name in that place no
    function may read its secret as soon as IAM policies are enforced.
AWS
    ``Ref`` returns the secret's ARN, suffix included.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-secretsmanager-secret.html
MiniStack 1.5.33
    Takes the secret's name for its physical id, and with it for ``Ref``.
Hook
    The handlers of the type give the ARN to CloudFormation, and get the name that they know back from it.
"""

from typing import Any

from sms_local.emulator.patches._cloudformation import Properties
from sms_local.emulator.patches._pinned import PatchSettings, require

RESOURCE_TYPE = "AWS::SecretsManager::Secret"


def apply(_: PatchSettings) -> None:
    """Make the ARN the physical id."""
    from ministack.services import secretsmanager
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS.get(RESOURCE_TYPE, {})
    require(
        holds={"create", "update", "delete"} <= handlers.keys(), what=f"CloudFormation type {RESOURCE_TYPE}"
    )
    require(holds=hasattr(secretsmanager, "_resolve"), what="secretsmanager._resolve")
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def name_of(physical_id: str) -> str:
        name, _ = secretsmanager._resolve(physical_id)
        return name or physical_id

    def create_with_arn(logical_id: str, properties: Properties, stack_name: str) -> Any:
        _, attributes = create(logical_id, properties, stack_name)
        return attributes["Arn"], attributes

    def update_with_arn(physical_id: str, old: Properties, new: Properties, *more: Any, **named: Any) -> Any:
        _, attributes = update(name_of(physical_id), old, new, *more, **named)
        return attributes["Arn"], attributes

    def delete_by_arn(physical_id: str, properties: Properties) -> None:
        delete(name_of(physical_id), properties)

    handlers.update(create=create_with_arn, update=update_with_arn, delete=delete_by_arn)
