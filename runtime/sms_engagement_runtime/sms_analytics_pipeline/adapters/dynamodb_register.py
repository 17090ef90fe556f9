"""The register on DynamoDB: one row a message.

==================  ====  ====================================================================================
attribute           type
==================  ====  ====================================================================================
``messageId``       S     partition key
``subscriberId``    S
``phoneNumber``     S     E.164; with the next four as some event of the message told
``campaignId``      S
``journeyId``       S
``countryCode``     S
``messageType``     S
``countedAs``       S     how the message counts: as which event type,
``countedAt``       N     at which instant (all instants are epoch milliseconds)
``countedPrice``    N     and at which price, in thousandths of a US cent
``isSent``          BOOL  whether its subscriber's texts include it
``claims``          M     by event id: ``claimedAt``, ``leasedAt`` and ``event``, the JSON that is to be put
``streamed``        M     by event id: when it was marked as being on the stream
``version``         N     counts the writes
``expiresAt``       N     time to live, epoch seconds
``schemaVersion``   N
==================  ====  ====================================================================================
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import (
    cancellation_codes,
    error_code,
    is_failed_condition,
    service_call,
)
from sms_engagement_runtime.channel.adapters.batch_get import MOST_KEYS, PATIENT_PAUSES_SECONDS, read_batch
from sms_engagement_runtime.channel.adapters.busy_rows import write_when_free
from sms_engagement_runtime.channel.adapters.dynamodb_item import Item, from_item, to_item
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_subscribers import DynamoSubscribers
from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Contribution
from sms_engagement_runtime.sms_analytics_pipeline.domain.register import KEPT_FOR_MS, Claim, RegisterRow
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import Subscriber

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

SCHEMA_VERSION: Final = 1

_PAUSES_SECONDS: Final = (0.02, 0.04, 0.08, 0.16, 0.32, 0.64)

_CHANGED_OR_BUSY: Final = frozenset(
    {
        "ConditionalCheckFailed",
        "ConditionalCheckFailedException",
        "TransactionConflict",
        "TransactionConflictException",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
    }
)
"""Reasons for which nothing was written, and after which the rows are read again."""


class DynamoRegister:
    """The register. Safe to use from several threads.

    Parameters
    ----------
    subscribers
        Makes the share of a transaction that writes the row of a subscriber.
    sleep
        Waits before a call that was not done is made again.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        *,
        table: str,
        subscribers: DynamoSubscribers,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table = table
        self._subscribers = subscribers
        self._sleep = sleep

    def find(self, message_ids: Iterable[str]) -> dict[str, RegisterRow]:
        """Read rows, strongly consistent."""
        wanted = list(dict.fromkeys(message_ids))
        found = {}
        for start in range(0, len(wanted), MOST_KEYS):
            keys = [to_item({"messageId": message_id}) for message_id in wanted[start : start + MOST_KEYS]]
            for item in self._read(keys):
                row = _row(item)
                found[row.message_id] = row
        return found

    def write(self, rows: Sequence[RegisterRow], subscriber: Subscriber | None, *, now: int) -> bool:
        """Write rows in one transaction, while each is as it was read."""
        puts = [self._put(row, now) for row in rows]
        if subscriber is None and len(puts) == 1:
            return self._is_written("dynamodb:PutItem", lambda: self._client.put_item(**puts[0]))
        actions: list[TransactWriteItemTypeDef] = [{"Put": put} for put in puts]
        if subscriber is not None:
            actions.append(self._subscribers.put_action(subscriber, expected_version=subscriber.version))
        return self._is_written(
            "dynamodb:TransactWriteItems", lambda: self._client.transact_write_items(TransactItems=actions)
        )

    def mark(self, message_id: str, event_ids: Sequence[str], *, now: int) -> None:
        """Move events from the claims to those that are on the stream, whatever else became of the row."""
        names = {f"#e{number}": event_id for number, event_id in enumerate(event_ids)}
        streamed = ", ".join(f"streamed.{name} = :now" for name in names)
        claims = ", ".join(f"claims.{name}" for name in names)
        update: Any = {
            "TableName": self._table,
            "Key": to_item({"messageId": message_id}),
            "UpdateExpression": f"SET {streamed}, version = version + :one REMOVE {claims}",
            "ConditionExpression": "attribute_exists(messageId)",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": to_item({":now": now, ":one": 1}),
        }
        write_when_free(
            lambda: self._update_unless_gone(update),
            operation="dynamodb:UpdateItem",
            pauses=_PAUSES_SECONDS,
            sleep=self._sleep,
        )

    def _update_unless_gone(self, update: Any) -> None:
        try:
            self._client.update_item(**update)
        except ClientError as error:
            if not is_failed_condition(error):
                raise

    def _put(self, row: RegisterRow, now: int) -> Any:
        is_new = row.version == 0
        return {
            "TableName": self._table,
            "Item": _item(row, now),
            "ConditionExpression": "attribute_not_exists(messageId)" if is_new else "version = :version",
            **({} if is_new else {"ExpressionAttributeValues": to_item({":version": row.version})}),
        }

    @staticmethod
    def _is_written(operation: str, write: Callable[[], object]) -> bool:
        with service_call(operation):
            try:
                write()
            except ClientError as error:
                if _CHANGED_OR_BUSY.isdisjoint((error_code(error), *cancellation_codes(error))):
                    raise
                return False
        return True

    def _read(self, keys: Sequence[Item]) -> Iterator[Item]:
        return read_batch(
            self._client,
            self._table,
            keys,
            sleep=self._sleep,
            pauses=PATIENT_PAUSES_SECONDS,
            ConsistentRead=True,
        )


def _item(row: RegisterRow, now: int) -> Item:
    counted = row.counted
    return to_item(
        {
            "messageId": row.message_id,
            "subscriberId": row.subscriber_id,
            "phoneNumber": row.phone_number,
            "campaignId": row.campaign_id,
            "journeyId": row.journey_id,
            "countryCode": row.country_code,
            "messageType": row.message_type,
            "countedAs": counted.outcome if counted else None,
            "countedAt": counted.at if counted else None,
            "countedPrice": counted.price_millicents if counted else None,
            "isSent": row.is_sent,
            "claims": {
                event_id: {
                    "claimedAt": claim.claimed_at,
                    "leasedAt": claim.leased_at,
                    "event": claim.event,
                }
                for event_id, claim in row.claims.items()
            },
            "streamed": dict(row.streamed),
            "version": row.version + 1,
            "expiresAt": (now + KEPT_FOR_MS) // 1000,
            "schemaVersion": SCHEMA_VERSION,
        }
    )


def _row(item: Item) -> RegisterRow:
    row = from_item(item)
    counted = (
        Contribution(row["countedAs"], row["countedAt"], row["countedPrice"]) if "countedAs" in row else None
    )
    return RegisterRow(
        message_id=row["messageId"],
        subscriber_id=row["subscriberId"],
        phone_number=row.get("phoneNumber"),
        campaign_id=row.get("campaignId"),
        journey_id=row.get("journeyId"),
        country_code=row.get("countryCode"),
        message_type=row.get("messageType"),
        counted=counted,
        is_sent=row["isSent"],
        claims={
            event_id: Claim(claimed_at=claim["claimedAt"], leased_at=claim["leasedAt"], event=claim["event"])
            for event_id, claim in row["claims"].items()
        },
        streamed=row["streamed"],
        version=row["version"],
    )
