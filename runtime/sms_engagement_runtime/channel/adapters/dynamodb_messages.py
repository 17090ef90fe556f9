"""The ``messages`` table: one row an intended text.

What a row becomes is decided by the domain's ``ledger`` module; here it is written, on the condition that it
still is the row that was read.

Key ``messageKey``; index ``subscriberId-claimedAt-index`` (keys only). Instants are epoch milliseconds. A
row holds no phone number and no body.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import (
    ServiceCallError,
    cancellation_codes,
    cancellation_reasons,
    error_code,
    is_failed_condition,
    service_call,
)
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import claim_write
from sms_engagement_runtime.channel.adapters.dynamodb_item import Item, from_item, to_item
from sms_engagement_runtime.channel.adapters.instants import from_milliseconds, to_milliseconds, to_seconds
from sms_engagement_runtime.channel.domain import ledger as rules
from sms_engagement_runtime.channel.domain.consent import Contact
from sms_engagement_runtime.channel.domain.ledger import (
    Claimed,
    ClaimResult,
    ContactChanged,
    DeliveryEvent,
    FoldResult,
    Guard,
    Held,
    Intent,
    LedgerRow,
    MessageState,
)
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

SCHEMA_VERSION: Final = 1
INDEX: Final = "subscriberId-claimedAt-index"
KEPT_FOR: Final = timedelta(days=5 * 365 + 2)
"""How long a row lives. While it does, no attempt can send its text again, and the claim that a text was
sent (or was not) can be answered: the limitation period of TCPA claims is four years (28 U.S.C. § 1658(a)),
a year is added for the process."""

_ATTEMPTS: Final = 6
_FIRST_PAUSE_SECONDS: Final = 0.02
_REMEMBERED_CLAIMS: Final = 1_000
_EVENT_SEARCH_DEPTH: Final = 50

_CLAIMABLE: Final = {
    f":claimable{index}": state.value for index, state in enumerate(sorted(rules.CLAIMABLE_STATES))
}
_CLAIMABLE_VALUES: Final = to_item(_CLAIMABLE)
_MAY_CLAIM: Final = f"attribute_not_exists(messageKey) OR #state IN ({', '.join(_CLAIMABLE)})"
_MUTABLE: Final = (
    "state",
    "rank",
    "reason",
    "messageId",
    "parts",
    "claimedAt",
    "updatedAt",
    "priceMillicents",
    "campaignId",
    "journeyId",
)

_MUTABLE_NAMES: Final = {f"#{name}": name for name in _MUTABLE}

type Rule = Callable[[LedgerRow], LedgerRow | None]


class DynamoLedger:
    """The message ledger on DynamoDB. Safe to use from several threads.

    Parameters
    ----------
    messages_table, contacts_table
        A claim is one transaction over both.
    subscriber_id_of
        Finds the rows of a destination phone number, for delivery events that echo no key. Without it such
        events stay unknown.
    sleep
        Waits before a write that met another one is tried again.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        *,
        messages_table: str,
        contacts_table: str,
        subscriber_id_of: Callable[[PhoneNumber], str] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._messages = messages_table
        self._contacts = contacts_table
        self._subscriber_id_of = subscriber_id_of
        self._sleep = sleep
        # The rows that this process has claimed, so that recording the answer needs no read. They are only
        # a guess: the write is conditional on each.
        self._claimed: dict[str, _Stored] = {}

    def claim(
        self,
        intent: Intent,
        *,
        key: str,
        contact: Contact,
        becomes: Contact | None = None,
        parts: int,
        now: datetime,
        guard: Guard | None = None,
    ) -> ClaimResult:
        """Put the row as CLAIMED while the contact row is still as it was read, and write what becomes of it.

        The guard is one more check of the transaction, on whose table its caller has
        ``dynamodb:ConditionCheckItem``.

        Raises
        ------
        TransientError
            Other writes were in the way for each of several attempts.
        """
        # As it will be read.
        now = from_milliseconds(to_milliseconds(now))
        row = rules.open_row(intent, state=MessageState.CLAIMED, reason=None, parts=parts, now=now)
        item = _item(row)
        of_contact = claim_write(self._contacts, contact, becomes)
        checks = [] if guard is None else [_check(guard)]
        for pause in _pauses():
            try:
                with service_call("dynamodb:TransactWriteItems"):
                    result = self._try_claim({**item, **_key(key)}, of_contact, checks)
            except _BusyError:
                self._sleep(pause)
                continue
            if isinstance(result, Claimed):
                self._remember(_Stored(row, item))
            return result
        raise ServiceCallError("dynamodb:TransactWriteItems: TransactionConflict")

    def accept(self, key: str, message_id: str, now: datetime) -> None:
        """Record the message id that the service answered with."""
        self._change(key, lambda row: rules.accept(row, message_id, now))

    def release(self, key: str, reason: str, now: datetime) -> None:
        """Turn a claim into DEFERRED."""
        self._change(key, lambda row: rules.release(row, reason, now))

    def fail(self, key: str, reason: str, now: datetime) -> None:
        """Record a refusal for good."""
        self._change(key, lambda row: rules.fail(row, reason, now))

    def suppress(self, intent: Intent, key: str, reason: str, parts: int, now: datetime) -> Held | None:
        """Record that the gate refused; without effect on a row that is claimed or further."""
        row = rules.open_row(intent, state=MessageState.SUPPRESSED, reason=reason, parts=parts, now=now)
        return self._put_open(_item(row), key)

    def defer(
        self, intent: Intent, key: str, reason: str, until: datetime | None, now: datetime
    ) -> Held | None:
        """Record that the text waits; without effect on a row that is claimed or further."""
        row = rules.open_row(intent, state=MessageState.DEFERRED, reason=reason, parts=0, now=now)
        waiting = {"deferredUntil": None if until is None else to_milliseconds(until)}
        return self._put_open({**_item(row), **to_item(waiting)}, key)

    def get(self, key: str) -> LedgerRow | None:
        """Read one row, strongly consistent."""
        stored = self._read(key)
        return None if stored is None else stored.row

    def record_event(self, event: DeliveryEvent, now: datetime) -> FoldResult:  # noqa: ARG002 - the port's
        """Fold a delivery event into the row of its message.

        An event of a message that the ledger does not hold changes nothing: a row made from an event alone
        would name no construct and no occasion, and would guard nothing.
        """
        stored = self._stored_for(event)
        if stored is None:
            return FoldResult(row=None)
        return self._write_until_current(stored, lambda current: rules.fold(current, event))

    def recent(self, subscriber_id: str, limit: int) -> Sequence[LedgerRow]:
        """List the rows of a person, newest claim first. The index follows writes within moments."""
        with service_call("dynamodb:Query"):
            found = self._client.query(
                TableName=self._messages,
                IndexName=INDEX,
                KeyConditionExpression="subscriberId = :subscriber",
                ExpressionAttributeValues=to_item({":subscriber": subscriber_id}),
                ScanIndexForward=False,
                Limit=limit,
            )
        rows = (self.get(item["messageKey"]["S"]) for item in found["Items"])
        return [row for row in rows if row is not None]

    def _try_claim(
        self, item: Item, of_contact: "TransactWriteItemTypeDef", checks: "list[TransactWriteItemTypeDef]"
    ) -> ClaimResult:
        try:
            self._client.transact_write_items(
                TransactItems=[
                    of_contact,
                    {
                        "Put": {
                            "TableName": self._messages,
                            "Item": item,
                            "ConditionExpression": _MAY_CLAIM,
                            "ExpressionAttributeNames": {"#state": "state"},
                            "ExpressionAttributeValues": _CLAIMABLE_VALUES,
                            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                        }
                    },
                    *checks,
                ]
            )
        except ClientError as error:
            if error_code(error) != "TransactionCanceledException":
                raise
            return self._refused_claim(error)
        return Claimed()

    @staticmethod
    def _refused_claim(error: ClientError) -> ClaimResult:
        # In the order of the transaction's items: contact, row, and the guard where there is one.
        codes = cancellation_codes(error)
        if codes[1:2] == ["ConditionalCheckFailed"]:
            return Held(_row(cancellation_reasons(error)[1]["Item"]))
        if "ConditionalCheckFailed" in codes:
            return ContactChanged()
        if not {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}.isdisjoint(codes):
            raise _BusyError from error
        raise error

    def _put_open(self, item: Item, key: str) -> Held | None:
        with service_call("dynamodb:PutItem"):
            try:
                self._client.put_item(
                    TableName=self._messages,
                    Item={**item, **_key(key)},
                    ConditionExpression=_MAY_CLAIM,
                    ExpressionAttributeNames={"#state": "state"},
                    ExpressionAttributeValues=_CLAIMABLE_VALUES,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                if not is_failed_condition(error):
                    raise
                refusal: Any = error.response
                return Held(_row(refusal["Item"]))
        return None

    def _read(self, key: str) -> "_Stored | None":
        with service_call("dynamodb:GetItem"):
            response = self._client.get_item(TableName=self._messages, Key=_key(key), ConsistentRead=True)
        return _Stored(_row(response["Item"]), response["Item"]) if "Item" in response else None

    def _change(self, key: str, rule: Rule) -> None:
        stored = self._claimed.pop(key, None) or self._read(key)
        if stored is None:
            raise ServiceCallError("dynamodb:GetItem: the row of a claimed text is gone")
        self._write_until_current(stored, rule)

    def _write_until_current(self, stored: "_Stored", rule: Rule) -> FoldResult:
        """Apply a rule to the row as it is, and again where somebody else writes it in between."""
        for pause in _pauses():
            after = rule(stored.row)
            if after is None:
                return rules.fold_result(stored.row, None)
            current = self._replace(stored, after)
            if current is None:
                return rules.fold_result(stored.row, after)
            stored = current
            self._sleep(pause)
        raise ServiceCallError("dynamodb:PutItem: the row changed again and again")

    def _replace(self, before: "_Stored", after: LedgerRow) -> "_Stored | None":
        """Write ``after`` if the stored row still is ``before``; else return the stored row."""
        with service_call("dynamodb:PutItem"):
            try:
                self._client.put_item(
                    TableName=self._messages,
                    Item=_item(after),
                    ConditionExpression=_unchanged(frozenset(before.item)),
                    ExpressionAttributeNames=_MUTABLE_NAMES,
                    ExpressionAttributeValues={
                        f":{name}": before.item[name] for name in _MUTABLE if name in before.item
                    },
                )
            except ClientError as error:
                if not is_failed_condition(error):
                    raise
            else:
                return None
        current = self._read(before.row.key)
        if current is None:
            raise ServiceCallError("dynamodb:PutItem: the row is gone")
        return current

    def _stored_for(self, event: DeliveryEvent) -> "_Stored | None":
        stored = self._read(event.key) if event.key else None
        if stored is not None or event.destination is None or self._subscriber_id_of is None:
            return stored
        recent = self.recent(self._subscriber_id_of(event.destination), _EVENT_SEARCH_DEPTH)
        row = next((found for found in recent if found.message_id == event.message_id), None)
        return None if row is None else _Stored(row, _item(row))

    def _remember(self, stored: "_Stored") -> None:
        if len(self._claimed) >= _REMEMBERED_CLAIMS:
            self._claimed.clear()
        self._claimed[stored.row.key] = stored


class _Stored(NamedTuple):
    """A row, and its form in the table."""

    row: LedgerRow
    item: Item


class _BusyError(Exception):
    """Another transaction holds one of the rows at this moment."""


def _pauses() -> Sequence[float]:
    return [_FIRST_PAUSE_SECONDS * 2**attempt for attempt in range(_ATTEMPTS)]


def _check(guard: Guard) -> "TransactWriteItemTypeDef":
    name, value = guard.key
    return {
        "ConditionCheck": {
            "TableName": guard.table,
            "Key": to_item({name: value}),
            "ConditionExpression": "version = :version",
            "ExpressionAttributeValues": to_item({":version": guard.version}),
        }
    }


def _key(key: str) -> Item:
    return to_item({"messageKey": key})


def _item(row: LedgerRow) -> Item:
    return to_item(
        {
            "messageKey": row.key,
            "construct": row.construct,
            "subscriberId": row.subscriber_id,
            "purpose": row.purpose,
            "occasion": row.occasion,
            "state": row.state.value,
            "rank": row.rank,
            "reason": row.reason,
            "messageId": row.message_id,
            "parts": row.parts,
            "claimedAt": to_milliseconds(row.claimed_at),
            "updatedAt": to_milliseconds(row.updated_at),
            "priceMillicents": row.price_millicents,
            "campaignId": row.campaign_id,
            "journeyId": row.journey_id,
            "expiresAt": to_seconds(row.claimed_at + KEPT_FOR),
            "schemaVersion": SCHEMA_VERSION,
        }
    )


def _row(item: Mapping[str, Any]) -> LedgerRow:
    row = from_item(item)
    return LedgerRow(
        key=row["messageKey"],
        construct=row["construct"],
        subscriber_id=row["subscriberId"],
        purpose=row["purpose"],
        occasion=row["occasion"],
        state=MessageState(row["state"]),
        rank=row["rank"],
        reason=row.get("reason"),
        message_id=row.get("messageId"),
        parts=row["parts"],
        claimed_at=from_milliseconds(row["claimedAt"]),
        updated_at=from_milliseconds(row["updatedAt"]),
        price_millicents=row.get("priceMillicents"),
        campaign_id=row.get("campaignId"),
        journey_id=row.get("journeyId"),
    )


@cache
def _unchanged(present: frozenset[str]) -> str:
    """Condition that every attribute that ever changes is as it was read, given those that were there."""
    return " AND ".join(
        f"#{name} = :{name}" if name in present else f"attribute_not_exists(#{name})" for name in _MUTABLE
    )
