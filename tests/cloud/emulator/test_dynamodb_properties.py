"""Time to live and point-in-time recovery of tables in templates."""

import pytest

KEY = {
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}
TIME_TO_LIVE = {"TimeToLiveSpecification": {"AttributeName": "expiresAt", "Enabled": True}}
RECOVERY = {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}


def table(*, time_to_live=True, recovery=True):
    properties = {**KEY, **(TIME_TO_LIVE if time_to_live else {}), **(RECOVERY if recovery else {})}
    return template("AWS::DynamoDB::Table", properties)


def global_table(*, time_to_live=True, recovery=True):
    replica = {"Region": "us-east-1", **(RECOVERY if recovery else {})}
    properties = {**KEY, "Replicas": [replica], **(TIME_TO_LIVE if time_to_live else {})}
    return template("AWS::DynamoDB::GlobalTable", properties)


def template(resource_type, properties):
    return {
        "Resources": {"Table": {"Type": resource_type, "Properties": properties}},
        "Outputs": {"Name": {"Value": {"Ref": "Table"}}},
    }


def settings(running, stack):
    """Attribute of the time to live (none when it is off) and the state of recovery."""
    dynamodb = running.client("dynamodb")
    name = running.outputs(stack)["Name"]
    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    enabled = ttl["TimeToLiveStatus"] == "ENABLED"
    return ttl["AttributeName"] if enabled else None, backups["PointInTimeRecoveryDescription"][
        "PointInTimeRecoveryStatus"
    ]


@pytest.mark.parametrize("make", [table, global_table])
def test_both_properties_take_effect_and_follow_the_template(patched, make):
    stack = patched.deploy(make())
    assert settings(patched, stack) == ("expiresAt", "ENABLED")

    stack = patched.deploy(make(time_to_live=False), stack=stack["StackName"])
    assert settings(patched, stack) == (None, "ENABLED")

    stack = patched.deploy(make(recovery=False), stack=stack["StackName"])
    assert settings(patched, stack) == ("expiresAt", "DISABLED")


def test_without_the_patch_they_are_dropped(unpatched):
    assert settings(unpatched, unpatched.deploy(global_table())) == (None, "DISABLED")
