"""Tables of the constructs: one secure default for all of them."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct


def on_demand_table(
    scope: Construct,
    id: str,
    *,
    partition_key: str,
    sort_key: str | None = None,
    encryption_key: kms.IKey | None,
    removal_policy: RemovalPolicy,
    stream: dynamodb.StreamViewType | None = None,
    time_to_live_attribute: str = "expiresAt",
) -> dynamodb.TableV2:
    """Make a table that is billed by use, encrypted, and restorable to any second of 35 days.

    Keys are strings. Rows with an ``expiresAt`` (epoch seconds) in the past are deleted. A table that is
    retained is protected from deletion too.

    Parameters
    ----------
    encryption_key
        None for the key that AWS manages.
    """
    return dynamodb.TableV2(
        scope,
        id,
        partition_key=dynamodb.Attribute(name=partition_key, type=dynamodb.AttributeType.STRING),
        sort_key=dynamodb.Attribute(name=sort_key, type=dynamodb.AttributeType.STRING) if sort_key else None,
        billing=dynamodb.Billing.on_demand(),
        deletion_protection=removal_policy is RemovalPolicy.RETAIN,
        dynamo_stream=stream,
        encryption=dynamodb.TableEncryptionV2.customer_managed_key(encryption_key)
        if encryption_key
        else dynamodb.TableEncryptionV2.aws_managed_key(),
        point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
            point_in_time_recovery_enabled=True
        ),
        removal_policy=removal_policy,
        time_to_live_attribute=time_to_live_attribute,
    )


def add_time_index(table: dynamodb.TableV2, partition_key: str, sort_key: str) -> None:
    """Add an index of a text and an instant (a number), named by both: ``userId-timestamp-index``."""
    table.add_global_secondary_index(
        index_name=f"{partition_key}-{sort_key}-index",
        partition_key=dynamodb.Attribute(name=partition_key, type=dynamodb.AttributeType.STRING),
        sort_key=dynamodb.Attribute(name=sort_key, type=dynamodb.AttributeType.NUMBER),
    )
