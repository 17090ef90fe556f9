"""Time to live and point-in-time recovery of tables that CloudFormation makes.

Reason
    The ledger, the prompts and the duplicate markers rely on time to live; a deployment that drops the
    property looks right and keeps rows for ever.
AWS
    ``TimeToLiveSpecification`` and ``PointInTimeRecoverySpecification`` are properties of
    ``AWS::DynamoDB::Table``; of ``AWS::DynamoDB::GlobalTable`` the recovery is a property of each replica.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-globaltable.html
MiniStack 1.5.33
    Its provisioners ignore both; its DynamoDB API implements both.
Hook
    After a table is created or updated, the emulated API is called with what the template says.
"""

from typing import Any

from sms_local.emulator.patches._cloudformation import Properties, after_provisioning, is_true
from sms_local.emulator.patches._pinned import PatchSettings, require


def apply(_: PatchSettings) -> None:
    """Make both properties take effect for both table types."""
    from ministack.services import dynamodb

    for name in ("_update_ttl", "_update_continuous_backups", "_ttl_settings"):
        require(holds=hasattr(dynamodb, name), what=f"dynamodb.{name}")
    for resource_type in ("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable"):
        after_provisioning(resource_type, _set_properties)


def _set_properties(table_name: str, properties: Properties) -> None:
    from ministack.services import dynamodb

    time_to_live = properties.get("TimeToLiveSpecification") or {}
    stored = dynamodb._ttl_settings.get(table_name) or {}
    # A template that no longer names the property turns it off, as CloudFormation does.
    attribute = time_to_live.get("AttributeName") or stored.get("AttributeName")
    if attribute:
        specification = {"AttributeName": attribute, "Enabled": is_true(time_to_live.get("Enabled"))}
        _call(dynamodb._update_ttl, {"TableName": table_name, "TimeToLiveSpecification": specification})
    enabled = is_true(_point_in_time_recovery(properties).get("PointInTimeRecoveryEnabled"))
    _call(
        dynamodb._update_continuous_backups,
        {
            "TableName": table_name,
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": enabled},
        },
    )


def _point_in_time_recovery(properties: Properties) -> dict[str, Any]:
    """Find the table's own specification, else that of its first replica which has one, else an empty one."""
    owners = [properties, *properties.get("Replicas", [])]
    return next(
        (found for owner in owners if (found := owner.get("PointInTimeRecoverySpecification")) is not None),
        {},
    )


def _call(operation: Any, request: dict[str, Any]) -> None:
    status, _, body = operation(request)
    if status != 200:
        message = f"DynamoDB refused a property of table {request['TableName']}: {body!r}"
        raise ValueError(message)
