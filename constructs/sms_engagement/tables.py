"""Tables of the constructs: one secure default for all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aws_cdk import RemovalPolicy, Stack
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TableKeys:
    """Keys that the code of a capability reads and writes a table by.

    Attributes
    ----------
    partition_key, sort_key
        Names of the table's keys, both strings.
    indexes
        Index name to its partition key (a string), and its sort key with its type.
    time_to_live
        Attribute in epoch seconds that rows end by; None where they do not.
    whole_rows
        Whether what is read by the indexes is rows with all that they have, not keys alone.
    """

    partition_key: str
    sort_key: str | None = None
    indexes: Mapping[str, tuple[str, str, dynamodb.AttributeType]] = field(default_factory=dict)
    time_to_live: str | None = "expiresAt"
    whole_rows: bool = False

    def __str__(self) -> str:
        return _in_words(self._keys())

    def _keys(self) -> list[tuple[str, str]]:
        return [(name, "S") for name in (self.partition_key, self.sort_key) if name]


def check_table(name: str, table: dynamodb.ITable | None, keys: TableKeys) -> list[str]:
    """Refuse a table that exists already and has other keys than the code reads and writes.

    Checked is what can be known at synthesis: a ``Table`` or ``TableV2`` of the same app. An imported one is
    a name, whose keys nobody knows here; calls that do not fit it fail with DynamoDB's
    ``ValidationException``, which the alarms on the functions' errors tell of.

    Parameters
    ----------
    name
        Of the prop, for messages.

    Returns
    -------
    list of str
        Doubts: what is legal, and perhaps not meant.

    Raises
    ------
    ValueError
        A key or an index is missing or another one, or an index lacks what is read by it.
    """
    resource = None if table is None else table.node.default_child
    if table is None or not isinstance(resource, dynamodb.CfnTable | dynamodb.CfnGlobalTable):
        return []
    stack = Stack.of(table)
    types = {
        each["attributeName"]: each["attributeType"] for each in stack.resolve(resource.attribute_definitions)
    }
    where = f"{name} ({table.node.path})"
    _check_keys(where, "the keys", stack.resolve(resource.key_schema), types, keys._keys())
    indexes = {each["indexName"]: each for each in stack.resolve(resource.global_secondary_indexes) or ()}
    for index, (partition_key, sort_key, type_) in keys.indexes.items():
        if index not in indexes:
            raise ValueError(
                f"{where} must have the index {index!r}, got {_listed(sorted(indexes))}; add it before the "
                f"table is handed over, or leave {name} out to have a table made"
            )
        wanted = [(partition_key, "S"), (sort_key, "S" if type_ is dynamodb.AttributeType.STRING else "N")]
        _check_keys(where, f"the index {index!r} with the keys", indexes[index]["keySchema"], types, wanted)
        projected = indexes[index].get("projection", {}).get("projectionType")
        if keys.whole_rows and projected != "ALL":
            raise ValueError(
                f"{where} must have the index {index!r} with the projection ALL, since rows are read by it, "
                f"got {projected}; make the index anew with it, or leave {name} out to have a table made"
            )
    ends = stack.resolve(resource.time_to_live_specification) or {}
    if keys.time_to_live and ends.get("attributeName") != keys.time_to_live:
        return [
            f"{where} has {ends.get('attributeName') or 'no attribute'!r} for its time to live, and its rows "
            f"end by {keys.time_to_live!r}: they will be kept for ever; set time_to_live_attribute to it"
        ]
    return []


def check_stream(name: str, table: dynamodb.ITable, needed_by: str) -> None:
    """Refuse a table without the stream of old images that something reads.

    Parameters
    ----------
    needed_by
        The prop that needs it.

    Raises
    ------
    ValueError
        It can be known here that there is none.
    """
    view = _stream_view(table)
    if view not in {"OLD_IMAGE", "NEW_AND_OLD_IMAGES"}:
        raise ValueError(
            f"{name} ({table.node.path}) must have a stream with old images, which {needed_by} reads, "
            f"got the stream {view}; set it to OLD_IMAGE or NEW_AND_OLD_IMAGES, or leave {needed_by} out"
        )


def has_new_images(table: dynamodb.ITable) -> bool:
    """Whether a table has a stream of its rows as they are now; of an imported one any stream counts."""
    if not isinstance(table.node.default_child, dynamodb.CfnTable | dynamodb.CfnGlobalTable):
        return table.table_stream_arn is not None
    return _stream_view(table) in {"NEW_IMAGE", "NEW_AND_OLD_IMAGES"}


def _stream_view(table: dynamodb.ITable) -> str:
    resource = table.node.default_child
    if not isinstance(resource, dynamodb.CfnTable | dynamodb.CfnGlobalTable):
        # Imported: of its stream no more is known than that it has one.
        return "none" if table.table_stream_arn is None else "OLD_IMAGE"
    # The property itself cannot be read: TableV2 fills it in while the template is made, and jsii does not
    # hand over the struct whose one member is missing until then.
    properties = Stack.of(table).resolve(resource._cfn_properties)
    resolved = properties.get("streamSpecification") or {}
    return str(resolved.get("streamViewType", "none"))


def _check_keys(
    where: str, what: str, schema: Any, types: Mapping[str, str], wanted: Sequence[tuple[str, str]]
) -> None:
    kinds = {each["keyType"]: each["attributeName"] for each in schema}
    names = [kinds[kind] for kind in ("HASH", "RANGE") if kind in kinds]
    given = [(name, types.get(name, "?")) for name in names]
    if given != list(wanted):
        raise ValueError(
            f"{where} must have {what} {_in_words(wanted)}, got {_in_words(given)}; give a table with these "
            f"keys, or leave the prop out to have one made"
        )


def _in_words(keys: Sequence[tuple[str, str]]) -> str:
    words = {"S": "string", "N": "number", "B": "binary"}
    return " and ".join(f"{name!r} ({words.get(type_, 'of unknown type')})" for name, type_ in keys)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
