"""Rows that a restored table has forgotten, from the table that it takes the place of.

Point-in-time recovery makes a new table as the old one was at an instant (DynamoDB developer guide,
*Point-in-time recovery*); the old one stays until somebody deletes it, and knows what was sent, answered and
refused since. Without that a restored ledger would let every such text go out again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import is_failed_condition, service_call
from sms_engagement_runtime.channel.adapters.dynamodb_item import to_item
from sms_engagement_runtime.channel.adapters.instants import to_milliseconds
from sms_engagement_runtime.channel.domain import ledger as rules

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_CLAIMABLE: Final = frozenset(state.value for state in rules.CLAIMABLE_STATES)
_CONTROL: Final = "control"


@dataclass(slots=True)
class Carried:
    """What became of the rows of one table.

    Attributes
    ----------
    seen
        Rows that the old table has.
    carried
        Of them, those that the restored one lacked or had in an older state.
    current
        Those that it has as they are, or newer.
    """

    seen: int = 0
    carried: int = 0
    current: int = 0


def carry_messages(
    client: DynamoDBClient, *, old: str, restored: str, since: datetime, dry_run: bool
) -> Iterator[Carried]:
    """Bring ledger rows that changed since an instant; yields the counts after each row.

    A row that may not be claimed again always replaces one that may: whatever the restored table came to
    believe, that text has gone out or may have.
    """
    carried = Carried()
    names = {"#state": "state"}
    claimable = {f":claimable{number}": value for number, value in enumerate(sorted(_CLAIMABLE))}
    changed = to_item({":since": to_milliseconds(since)})
    for item in _rows(client, old, FilterExpression="updatedAt >= :since", ExpressionAttributeValues=changed):
        condition = "attribute_not_exists(messageKey) OR updatedAt < :updatedAt"
        values: dict[str, Any] = {":updatedAt": item["updatedAt"]}
        used = {}
        if item["state"]["S"] not in _CLAIMABLE:
            condition += f" OR #state IN ({', '.join(claimable)})"
            values |= to_item(claimable)
            used = names
        row = {"messageKey": item["messageKey"]}
        _carry(client, restored, item, row, condition, values, used, carried, dry_run=dry_run)
        yield carried


def carry_contacts(client: DynamoDBClient, *, old: str, restored: str, dry_run: bool) -> Iterator[Carried]:
    """Bring contact rows of a later version, what was spent, and records that are not there.

    Opt-outs are among them. A text that is claimed makes no version, and the frequency cap has to know of it:
    rows of the same version whose latest texts differ are brought, too. The pause flag and other settings
    stay as the restored table has them.
    """
    carried = Carried()
    for item in _rows(client, old):
        if item["subscriberId"]["S"] == _CONTROL:
            continue
        condition = "attribute_not_exists(subscriberId)"
        values: dict[str, Any] = {}
        for counted in ("version", "spentMillicents"):
            if counted in item:
                condition += f" OR attribute_not_exists({counted}) OR {counted} < :counted"
                values = {":counted": item[counted]}
        if "recentTexts" in item:
            same = "version = :counted" if "version" in item else "attribute_not_exists(version)"
            condition += (
                f" OR ({same} AND (attribute_not_exists(recentTexts) OR recentTexts <> :recentTexts))"
            )
            values[":recentTexts"] = item["recentTexts"]
        row = {name: item[name] for name in ("subscriberId", "record")}
        _carry(client, restored, item, row, condition, values, {}, carried, dry_run=dry_run)
        yield carried


def _carry(
    client: DynamoDBClient,
    table: str,
    item: Mapping[str, Any],
    key: Mapping[str, Any],
    condition: str,
    values: Mapping[str, Any],
    names: Mapping[str, str],
    carried: Carried,
    *,
    dry_run: bool,
) -> None:
    carried.seen += 1
    more: dict[str, Any] = {}
    if values:
        more["ExpressionAttributeValues"] = values
    if names:
        more["ExpressionAttributeNames"] = names
    with service_call("DynamoDB"):
        if dry_run:
            is_carried = _would(client, table, item, key)
        else:
            is_carried = _put(client, table, item, ConditionExpression=condition, **more)
    if is_carried:
        carried.carried += 1
    else:
        carried.current += 1


def _put(client: DynamoDBClient, table: str, item: Mapping[str, Any], **condition: Any) -> bool:
    try:
        client.put_item(TableName=table, Item=dict(item), **condition)
    except ClientError as error:
        if is_failed_condition(error):
            return False
        raise
    return True


def _would(client: DynamoDBClient, table: str, item: Mapping[str, Any], key: Mapping[str, Any]) -> bool:
    """Whether the conditions above hold, read and not written."""
    found: Mapping[str, Any] = client.get_item(TableName=table, Key=dict(key), ConsistentRead=True).get(
        "Item", {}
    )
    if not found:
        return True
    for counted in ("updatedAt", "version", "spentMillicents"):
        if counted in item and int(found.get(counted, {"N": "-1"})["N"]) < int(item[counted]["N"]):
            return True
    if "recentTexts" in item and found.get("version") == item.get("version"):
        return bool(found.get("recentTexts") != item["recentTexts"])
    return "messageKey" in item and found["state"]["S"] in _CLAIMABLE and item["state"]["S"] not in _CLAIMABLE


def _rows(client: DynamoDBClient, table: str, **given: Any) -> Iterator[Mapping[str, Any]]:
    with service_call("DynamoDB"):
        for page in client.get_paginator("scan").paginate(TableName=table, **given):
            yield from page["Items"]
