"""The ``subscribers`` table: one row a person.

=======================  ====  ==============================================================================
attribute                type
=======================  ====  ==============================================================================
``subscriber_id``        S     partition key
``phone_number``         S     E.164
``subscription_status``  S     NEW, PENDING, ACTIVE, OPTED_OUT, BOUNCED
``created_at``           N     as all instants epoch milliseconds
``updated_at``           N
``opt_in_timestamp``     N
``opt_out_timestamp``    N
``total_messages_sent``  N
``total_responses``      N
``last_response_at``     N
``attributes``           M     ``segment``, ``preferred_time``, ``language``, and whatever others keep there
``segment``              S     copy of ``attributes.segment``, for the index
``facts``                M     what the status is made of; ours alone
``version``              N     counts our writes; absent from a row that was written by hand
``schemaVersion``        N
=======================  ====  ==============================================================================

Index ``segment-subscription_status-index``: who is in a segment, by status.

Every write is an update of the attributes above, ``attributes`` aside: what others write stays as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import (
    is_failed_condition,
    service_call,
)
from sms_engagement_runtime.channel.adapters.batch_get import MOST_KEYS, PATIENT_PAUSES_SECONDS, read_batch
from sms_engagement_runtime.channel.adapters.dynamodb_item import Item, Value, to_item
from sms_engagement_runtime.sms_analytics_pipeline.domain.lifecycle import Happening, SubscriptionStatus
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import (
    Facts,
    Subscriber,
    SubscriberChangedError,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

SCHEMA_VERSION: Final = 1
SEGMENT_INDEX: Final = "segment-subscription_status-index"

_WIRE: Final = TypeSerializer()
_PLAIN: Final = TypeDeserializer()


class DynamoSubscribers:
    """Subscribers on DynamoDB; every read is strongly consistent."""

    def __init__(
        self, client: DynamoDBClient, table: str, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._table = table
        self._sleep = sleep

    def find(self, ids: Iterable[str]) -> dict[str, Subscriber]:
        """Read the rows of some subscribers; those without one are left out.

        Raises
        ------
        TransientError
            The table did not answer, or left keys unprocessed time and again.
        """
        wanted = list(dict.fromkeys(ids))
        found: dict[str, Subscriber] = {}
        for start in range(0, len(wanted), MOST_KEYS):
            for item in self._read(
                [to_item({"subscriber_id": i}) for i in wanted[start : start + MOST_KEYS]]
            ):
                row = from_row(item)
                found[row.subscriber_id] = row
        return found

    def put_action(self, subscriber: Subscriber, *, expected_version: int) -> TransactWriteItemTypeDef:
        """Return the share of a transaction that writes the row as version ``expected_version + 1``.

        Parameters
        ----------
        expected_version
            Of the row as it was read; 0 where there was none, or one that was written by hand.
        """
        update: Any = {"TableName": self._table, **_update(subscriber, expected_version)}
        return {"Update": update}

    def put(self, subscriber: Subscriber, *, expected_version: int) -> None:
        """Write the row by itself.

        Raises
        ------
        SubscriberChangedError
            The stored row has another version.
        """
        with service_call("dynamodb:UpdateItem"):
            try:
                self._client.update_item(TableName=self._table, **_update(subscriber, expected_version))
            except ClientError as error:
                if is_failed_condition(error):
                    raise SubscriberChangedError from error
                raise

    def _read(self, keys: Sequence[Item]) -> Iterator[Item]:
        return read_batch(
            self._client,
            self._table,
            keys,
            sleep=self._sleep,
            pauses=PATIENT_PAUSES_SECONDS,
            ConsistentRead=True,
        )


def _update(subscriber: Subscriber, expected_version: int) -> dict[str, Any]:
    row: dict[str, Value | None] = {
        "phone_number": subscriber.phone_number,
        "subscription_status": subscriber.subscription_status.value,
        "created_at": subscriber.created_at,
        "updated_at": subscriber.updated_at,
        "opt_in_timestamp": subscriber.opt_in_timestamp,
        "opt_out_timestamp": subscriber.opt_out_timestamp,
        "total_messages_sent": subscriber.total_messages_sent,
        "total_responses": subscriber.total_responses,
        "last_response_at": subscriber.last_response_at,
        "version": expected_version + 1,
        "schemaVersion": SCHEMA_VERSION,
    }
    given = to_item(row)
    segment = subscriber.attributes.get("segment")
    if isinstance(segment, str) and segment:
        # The key of an index must not be empty.
        given["segment"] = {"S": segment}
    if subscriber.facts is not None:
        given["facts"] = {"M": _facts_item(subscriber.facts)}
    values = {f":{name}": value for name, value in given.items()} | {
        ":expected": {"N": str(expected_version)}
    }
    sets = [f"#{name} = :{name}" for name in given]
    names = list(given)
    absent = [name for name in ("opt_in_timestamp", "opt_out_timestamp") if name not in given]
    names += absent
    condition = "#version = :expected"
    if expected_version == 0:
        condition = f"attribute_not_exists(#version) OR {condition}"
        if subscriber.attributes:
            # Only into a row that has none: what others keep there is theirs.
            sets.append("#attributes = if_not_exists(#attributes, :attributes)")
            names.append("attributes")
            values[":attributes"] = _WIRE.serialize(dict(subscriber.attributes))
    removal = " REMOVE " + ", ".join(f"#{name}" for name in absent) if absent else ""
    return {
        "Key": to_item({"subscriber_id": subscriber.subscriber_id}),
        "UpdateExpression": f"SET {', '.join(sets)}{removal}",
        "ConditionExpression": condition,
        # Some of the names are reserved words.
        "ExpressionAttributeNames": {f"#{name}": name for name in names},
        "ExpressionAttributeValues": values,
    }


def from_row(item: Mapping[str, Mapping[str, Any]]) -> Subscriber:
    """Read a row, of whatever hand: what cannot be read is taken as absent."""
    status = str(_text(item, "subscription_status")).upper()
    return Subscriber(
        subscriber_id=item["subscriber_id"]["S"],
        phone_number=_text(item, "phone_number"),
        subscription_status=SubscriptionStatus(status)
        if status in SubscriptionStatus.__members__
        else SubscriptionStatus.NEW,
        created_at=_number(item, "created_at"),
        updated_at=_number(item, "updated_at"),
        opt_in_timestamp=_number(item, "opt_in_timestamp"),
        opt_out_timestamp=_number(item, "opt_out_timestamp"),
        total_messages_sent=_number(item, "total_messages_sent") or 0,
        total_responses=_number(item, "total_responses") or 0,
        last_response_at=_number(item, "last_response_at"),
        attributes=_attributes(item),
        facts=_facts(item.get("facts", {}).get("M")),
        version=_number(item, "version") or 0,
    )


def _text(item: Mapping[str, Mapping[str, Any]], name: str) -> str | None:
    text: str | None = item.get(name, {}).get("S")
    return text


def _number(item: Mapping[str, Mapping[str, Any]], name: str) -> int | None:
    digits = item.get(name, {}).get("N")
    return None if digits is None else int(Decimal(digits))


def _attributes(item: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    members = item.get("attributes", {}).get("M")
    return {} if not members else {name: _PLAIN.deserialize(value) for name, value in members.items()}


def _facts_item(facts: Facts) -> Item:
    """Write ``{"latest": {"DELIVERED": ms}, "strikes": {message id: ms}, "first_opted_out", "asked", …}``."""
    item = to_item(
        {
            "latest": {happening.value: at for happening, at in sorted(facts.latest.items())},
            "strikes": dict(sorted(facts.strikes.items())),
            "first_opted_out": facts.first_opted_out,
        }
    )
    for name, instants in (("asked", facts.asked), ("confirmed", facts.confirmed)):
        if instants:
            item[name] = {"L": [{"N": str(at)} for at in instants]}
    return item


def _facts(item: Mapping[str, Mapping[str, Any]] | None) -> Facts | None:
    if item is None:
        return None
    latest = item.get("latest", {}).get("M", {})
    try:
        return Facts(
            # A happening that a later version of this code has written is of no use to this one.
            latest={
                Happening(name): int(at["N"]) for name, at in latest.items() if name in Happening.__members__
            },
            first_opted_out=_number(item, "first_opted_out"),
            strikes={name: int(at["N"]) for name, at in item.get("strikes", {}).get("M", {}).items()},
            asked=tuple(int(at["N"]) for at in item.get("asked", {}).get("L", ())),
            confirmed=tuple(int(at["N"]) for at in item.get("confirmed", {}).get("L", ())),
        )
    except (KeyError, ValueError):
        # Somebody has been at it by hand: the row is as good as one without.
        return None
