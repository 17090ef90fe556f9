"""Tombstones: what stays of an erased person in the contacts table.

The contact row without a number, a row in the list of the erased, and the consent records with keyed hashes
in place of words and message ids: they prove that something was said, and when, to who still has the words.
The contact row also keeps marks of the texts that were sent: whoever comes back does not get them again.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import (
    cancellation_codes,
    error_code,
    is_failed_condition,
    service_call,
)
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts, contact_key
from sms_engagement_runtime.channel.adapters.dynamodb_item import Value, from_item, to_item
from sms_engagement_runtime.channel.adapters.erased_people import PARTITION
from sms_engagement_runtime.channel.adapters.instants import to_milliseconds
from sms_engagement_runtime.channel.adapters.person_rows import query
from sms_engagement_runtime.channel.domain.consent import Contact, erase, sent_mark
from sms_engagement_runtime.channel.domain.errors import ContactChangedError
from sms_engagement_runtime.channel.domain.keyed_hash import keyed_digest

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SCHEMA_VERSION: Final = 1
_CONSENT: Final = "consent#"
_ATTEMPTS: Final = 5


class Tombstones:
    """Writes what stays of a person; every step can be repeated."""

    def __init__(self, client: DynamoDBClient, *, table: str) -> None:
        self._client = client
        self._table = table
        self._contacts = DynamoContacts(client, table=table)

    def put(self, subscriber_id: str, at: datetime) -> datetime:
        """Close the gate for a person for good, and return when that was done first.

        Raises
        ------
        ContactChangedError
            Others kept writing the row.
        """
        for _ in range(_ATTEMPTS):
            contact = self._contacts.get(subscriber_id)
            tombstone = erase(contact, at)
            assert tombstone.erased_at is not None
            if self._is_written(contact, tombstone):
                return tombstone.erased_at
        raise ContactChangedError

    def mark_sent(self, subscriber_id: str, keys: Iterable[str]) -> None:
        """Keep marks of texts whose rows of the ledger are about to go; those that are there stay.

        Raises
        ------
        ContactChangedError
            Others kept writing them, or somebody lifted the tombstone meanwhile.
        """
        new = frozenset(map(sent_mark, keys))
        for _ in range(_ATTEMPTS):
            kept = self._contacts.get(subscriber_id).sent_before_erasure
            if new <= kept or self._are_kept(subscriber_id, sorted(new | kept), before=sorted(kept)):
                return
        raise ContactChangedError

    def _are_kept(self, subscriber_id: str, marks: Sequence[str], *, before: Sequence[str]) -> bool:
        is_as_read = "sentBeforeErasure = :before" if before else "attribute_not_exists(sentBeforeErasure)"
        with service_call("dynamodb:UpdateItem"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=contact_key(subscriber_id),
                    UpdateExpression="SET sentBeforeErasure = :marks",
                    ConditionExpression=f"attribute_exists(erasedAt) AND {is_as_read}",
                    ExpressionAttributeValues=to_item({":marks": marks, ":before": before or None}),
                )
            except ClientError as error:
                if not is_failed_condition(error):
                    raise
                return False
        return True

    def remove(self, subscriber_id: str) -> bool:
        """Let a person come back: their row stays opted out, so that only a START of their own opens it.

        False where they were not erased.
        """
        contact = self._contacts.get(subscriber_id)
        if not contact.is_erased:
            return False
        update: Any = {
            "TableName": self._table,
            "Key": contact_key(subscriber_id),
            "UpdateExpression": "SET version = version + :one REMOVE erasedAt",
            "ConditionExpression": "attribute_exists(erasedAt)",
            "ExpressionAttributeValues": to_item({":one": 1}),
        }
        delete: Any = {"TableName": self._table, "Key": _listed(subscriber_id)}
        with service_call("dynamodb:TransactWriteItems"):
            self._client.transact_write_items(TransactItems=[{"Update": update}, {"Delete": delete}])
        return True

    def _is_written(self, contact: Contact, tombstone: Contact) -> bool:
        if contact.is_erased:
            return True
        assert tombstone.erased_at is not None
        erased_at = to_milliseconds(tombstone.erased_at)
        row: dict[str, Value | None] = {
            "version": contact.version + 1,
            "consents": {scope.value: state.value for scope, state in tombstone.consents.items()},
            "optedOutBy": tombstone.opted_out_by,
            "erasedAt": erased_at,
            "sentBeforeErasure": sorted(tombstone.sent_before_erasure) or None,
            "schemaVersion": SCHEMA_VERSION,
        }
        # All of it is replaced: texts that were claimed meanwhile have left nothing that may stay.
        condition: Any = (
            {
                "ConditionExpression": "version = :read",
                "ExpressionAttributeValues": to_item({":read": contact.version}),
            }
            if contact.version
            else {"ConditionExpression": "attribute_not_exists(version)"}
        )
        put: Any = {
            "TableName": self._table,
            "Item": {**contact_key(contact.subscriber_id), **to_item(row)},
            **condition,
        }
        listed: Any = {
            "TableName": self._table,
            "Item": {
                **_listed(contact.subscriber_id),
                **to_item({"erasedAt": erased_at, "schemaVersion": SCHEMA_VERSION}),
            },
        }
        with service_call("dynamodb:TransactWriteItems"):
            try:
                self._client.transact_write_items(TransactItems=[{"Put": put}, {"Put": listed}])
            except ClientError as error:
                overtaken = {"ConditionalCheckFailed", "TransactionConflict"}
                if error_code(error) == "TransactionCanceledException" and not overtaken.isdisjoint(
                    cancellation_codes(error)
                ):
                    return False
                raise
        return True

    def consent_records(self, subscriber_id: str) -> Iterator[dict[str, Any]]:
        """Give the consent records that still have words."""
        for item in query(self._client, self._table, "subscriberId", subscriber_id, ConsistentRead=True):
            row = from_item(item)
            if row["record"].startswith(_CONSENT) and "words" in row:
                yield row

    def hash_consents(self, subscriber_id: str, key: bytes) -> int:
        """Put keyed hashes in place of words and message ids; return in how many records."""
        records = list(self.consent_records(subscriber_id))
        for row in records:
            self._hash(row, key)
        return len(records)

    def _hash(self, row: dict[str, Any], key: bytes) -> None:
        message = proof_of(key, row["messageId"])
        instant = row["record"].split("#", 2)[1]
        proof: dict[str, Value | None] = {
            "subscriberId": row["subscriberId"],
            "record": f"{_CONSENT}{instant}#{message}#{row['scope']}",
            **{name: row[name] for name in ("scope", "state", "source", "at") if name in row},
            "wordsHash": proof_of(key, row["words"]),
            "messageHash": message,
            "schemaVersion": SCHEMA_VERSION,
        }
        old = to_item({"subscriberId": row["subscriberId"], "record": row["record"]})
        writes: Sequence[Any] = [
            {"Delete": {"TableName": self._table, "Key": old}},
            {"Put": {"TableName": self._table, "Item": to_item(proof)}},
        ]
        with service_call("dynamodb:TransactWriteItems"):
            self._client.transact_write_items(TransactItems=writes)


def proof_of(key: bytes, words: str) -> str:
    """Return the keyed hash of what somebody said: 43 characters, for who has the key and the words."""
    return urlsafe_b64encode(keyed_digest(key, words.encode())).rstrip(b"=").decode()


def _listed(subscriber_id: str) -> dict[str, Any]:
    return to_item({"subscriberId": PARTITION, "record": subscriber_id})
