"""The ``contacts`` table: contact rows, consent records, prompts and the marks of handled inbound messages.

========================  ==========================================  ===============================
``subscriberId``          ``record``                                  other attributes
========================  ==========================================  ===============================
subscriber id             ``contact``                                 version, consents, phoneNumber,
                                                                      pendingSince, erasedAt;
                                                                      sentBeforeErasure;
                                                                      recentTexts, introducedAt
subscriber id             ``consent#<instant>#<message id>#<scope>``  state, source, words
subscriber id             ``prompt#<origination>#<ledger key>``       construct, purpose, occasion;
                                                                      optOutReply
``inbound#<message id>``  ``handled``                                 handledAt
``control``               ``sending``, ``origination#<ARN>``          the pause flag; former settings
``budget#<account>``      ``spent``                                   spentMillicents
``reconcile#<run>``       ``portion#<number>``                        fingerprints
========================  ==========================================  ===============================

Instants are epoch milliseconds, ``expiresAt`` (time to live) epoch seconds. Contact rows and consent
records are never expired: suppressions and their proof hang on them.

A contact row has two writers that never touch the other's attributes: :meth:`DynamoContacts.save`, which
counts ``version``, and the claims of texts. A row that only claims have written has no version yet. What
erasures write (``tombstones``), neither touches.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import (
    cancellation_codes,
    error_code,
    is_failed_condition,
    service_call,
)
from sms_engagement_runtime.channel.adapters.dynamodb_item import (
    Item,
    Value,
    from_item,
    to_attribute,
    to_item,
)
from sms_engagement_runtime.channel.adapters.instants import from_milliseconds, to_milliseconds, to_seconds
from sms_engagement_runtime.channel.domain.consent import ConsentRecord, ConsentState, Contact, Scope
from sms_engagement_runtime.channel.domain.errors import ContactChangedError
from sms_engagement_runtime.channel.domain.ledger import intent_key
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.prompts import Prompt, is_open_on

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

SCHEMA_VERSION: Final = 1
_EMPTY: Final = to_attribute({})
HANDLED_FOR: Final = timedelta(days=90)
"""How long an inbound message id is remembered: far beyond the redelivery of SNS (23 days), SQS (14 days)."""


class DynamoContacts:
    """Contacts and prompts on DynamoDB; every read is strongly consistent."""

    def __init__(self, client: "DynamoDBClient", *, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, subscriber_id: str) -> Contact:
        """Read a contact. An unknown one has version 0 and nothing else."""
        row = self._read(contact_key(subscriber_id))
        return Contact(subscriber_id=subscriber_id) if row is None else contact_of(subscriber_id, row)

    def save(self, contact: Contact, *, expected_version: int, records: Sequence[ConsentRecord]) -> Contact:
        """Write the row as version ``expected_version + 1`` and append the records, in one transaction.

        Raises
        ------
        ContactChangedError
            The stored row has another version, or is being written at this moment.
        """
        update: Any = {"Update": {"TableName": self._table, **_saving(contact, expected_version)}}
        appends = [self._append(record) for record in records]
        with service_call("dynamodb:TransactWriteItems"):
            try:
                self._client.transact_write_items(TransactItems=[update, *appends])
            except ClientError as error:
                there = _proofs_that_are_there(error)
                if there:
                    # A proof is never written again, not even with what it says.
                    left = [record for number, record in enumerate(records) if number not in there]
                    return self.save(contact, expected_version=expected_version, records=left)
                if error_code(error) == "TransactionCanceledException" and _was_overtaken(error):
                    raise ContactChangedError from error
                raise
        return contact_of(contact.subscriber_id, from_item(_row_item(contact, expected_version + 1)))

    def _append(self, record: ConsentRecord) -> "TransactWriteItemTypeDef":
        return {
            "Put": {
                "TableName": self._table,
                "Item": _consent_item(record),
                "ConditionExpression": "attribute_not_exists(subscriberId)",
            }
        }

    def forget_text(self, subscriber_id: str, key: str) -> None:
        """Take a text that was not sent out of the recent ones; one that introduced us did not."""
        self._remove_if(
            subscriber_id,
            "REMOVE recentTexts.#key",
            "attribute_exists(recentTexts.#key)",
            names={"#key": key},
        )
        self._remove_if(
            subscriber_id,
            "REMOVE introducedAt, introducedBy",
            "introducedBy = :key",
            values=to_item({":key": key}),
        )

    def _remove_if(self, subscriber_id: str, update: str, condition: str, **expression: Any) -> None:
        attributes = {"names": "ExpressionAttributeNames", "values": "ExpressionAttributeValues"}
        with service_call("dynamodb:UpdateItem"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=contact_key(subscriber_id),
                    UpdateExpression=update,
                    ConditionExpression=condition,
                    **{attributes[name]: value for name, value in expression.items()},
                )
            except ClientError as error:
                if not is_failed_condition(error):
                    raise

    def was_handled(self, inbound_id: str) -> bool:
        """Whether this inbound message was marked."""
        return self._read(_handled_key(inbound_id)) is not None

    def mark_handled(self, inbound_id: str, at: datetime) -> None:
        """Mark an inbound message; the mark lives for ``HANDLED_FOR``."""
        mark = {
            "handledAt": to_milliseconds(at),
            "expiresAt": to_seconds(at + HANDLED_FOR),
            "schemaVersion": SCHEMA_VERSION,
        }
        with service_call("dynamodb:PutItem"):
            self._client.put_item(TableName=self._table, Item={**_handled_key(inbound_id), **to_item(mark)})

    def open(self, prompt: Prompt) -> None:
        """Store a prompt; one that is there already, answered or not, stays as it is."""
        with service_call("dynamodb:PutItem"):
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item=_prompt_item(prompt),
                    ConditionExpression="attribute_not_exists(subscriberId)",
                )
            except ClientError as error:
                if not is_failed_condition(error):
                    raise

    def open_prompts(
        self, subscriber_id: str, origination: str | None, *, inbound_id: str, now: datetime
    ) -> Sequence[Prompt]:
        """List prompts that wait for an answer, and those that ``inbound_id`` has answered."""
        # A person has few prompts, so that one query for all costs no more than one for a number and one for
        # any number.
        with service_call("dynamodb:Query"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                ConsistentRead=True,
                KeyConditionExpression="subscriberId = :subscriber AND begins_with(#record, :prompts)",
                ExpressionAttributeNames={"#record": "record"},
                ExpressionAttributeValues=to_item({":subscriber": subscriber_id, ":prompts": "prompt#"}),
            )
            prompts = [_prompt(from_item(item)) for page in pages for item in page["Items"]]
        # Time to live deletes days late, so expiry is looked at here.
        return [
            prompt
            for prompt in prompts
            if is_open_on(prompt, origination)
            and prompt.expires_at > now
            and prompt.answered_by in {None, inbound_id}
        ]

    def close(self, prompt: Prompt, *, inbound_id: str) -> None:
        """Record the answer; the first one stays."""
        with service_call("dynamodb:UpdateItem"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=_prompt_key(prompt),
                    UpdateExpression="SET answeredBy = :inbound",
                    ConditionExpression="attribute_exists(subscriberId) AND attribute_not_exists(answeredBy)",
                    ExpressionAttributeValues=to_item({":inbound": inbound_id}),
                )
            except ClientError as error:
                if not is_failed_condition(error):
                    raise

    def _read(self, key: Item) -> dict[str, Any] | None:
        with service_call("dynamodb:GetItem"):
            response = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        return from_item(response["Item"]) if "Item" in response else None


def contact_key(subscriber_id: str) -> Item:
    """Primary key of a contact row."""
    return to_item({"subscriberId": subscriber_id, "record": "contact"})


def claim_write(table: str, contact: Contact, becomes: Contact | None) -> "TransactWriteItemTypeDef":
    """Share of a claim in the contact row, for the transaction that makes the claim.

    A check that the row is as it was read, and what the text leaves with the person: see
    ``MessageLedger.claim``.
    """
    conditions, values = _version_condition(contact.version)
    changes: dict[str, Value | None] = {}
    before: dict[str, Value | None] = {}
    # By identity: a text that is claimed anew within the millisecond leaves equal ones, and yet the check has
    # to see whether another one came between.
    if becomes is not None and becomes.recent_texts is not contact.recent_texts:
        changes["recentTexts"] = _milliseconds_by_key(becomes.recent_texts)
        before["recentTexts"] = _milliseconds_by_key(contact.recent_texts) or None
    if becomes is not None and becomes.introduced_at != contact.introduced_at:
        changes["introducedAt"] = _milliseconds(becomes.introduced_at)
        changes["introducedBy"] = becomes.introduced_by
        before["introducedAt"] = _milliseconds(contact.introduced_at)
    for name, value in before.items():
        if value is None:
            # After `forget_text` a map may be left with nothing in it.
            empty = f" OR {name} = :empty" if name == "recentTexts" else ""
            conditions.append(f"(attribute_not_exists({name}){empty})")
            values |= {":empty": _EMPTY} if empty else {}
        else:
            conditions.append(f"{name} = :was_{name}")
            values[f":was_{name}"] = to_attribute(value)
    request: Any = {
        "TableName": table,
        "Key": contact_key(contact.subscriber_id),
        "ConditionExpression": " AND ".join(conditions),
    }
    if changes:
        changes["schemaVersion"] = SCHEMA_VERSION
        request["UpdateExpression"] = "SET " + ", ".join(f"{name} = :{name}" for name in changes)
        values |= {f":{name}": value for name, value in to_item(changes).items()}
    if values:
        request["ExpressionAttributeValues"] = values
    return {"Update": request} if changes else {"ConditionCheck": request}


def _proofs_that_are_there(error: ClientError) -> set[int]:
    """Places, among the proofs of a save, of those that are stored already.

    None where the row itself has changed.

    The row is the first item of the transaction.
    """
    row, *proofs = cancellation_codes(error) or [""]
    if row != "None":
        return set()
    return {number for number, code in enumerate(proofs) if code == "ConditionalCheckFailed"}


def _was_overtaken(error: ClientError) -> bool:
    return {"ConditionalCheckFailed", "TransactionConflict"} & set(cancellation_codes(error)) != set()


def _version_condition(version: int) -> tuple[list[str], Item]:
    """Condition that a contact row still has the version that was read; 0 means that there was none."""
    if version == 0:
        return ["attribute_not_exists(version)"], {}
    return ["version = :expected"], to_item({":expected": version})


def _saving(contact: Contact, expected_version: int) -> dict[str, Any]:
    """Members of the update that writes what people say, and leaves the claims' attributes alone."""
    conditions, values = _version_condition(expected_version)
    row = _spoken(contact, expected_version + 1)
    given = to_item(row)
    absent = [name for name in row if name not in given]
    update = "SET " + ", ".join(f"{name} = :{name}" for name in given)
    if absent:
        update += " REMOVE " + ", ".join(absent)
    return {
        "Key": contact_key(contact.subscriber_id),
        "UpdateExpression": update,
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeValues": values | {f":{name}": value for name, value in given.items()},
    }


def _spoken(contact: Contact, version: int) -> dict[str, Value | None]:
    return {
        "version": version,
        "consents": {scope.value: state.value for scope, state in contact.consents.items()},
        "phoneNumber": contact.phone_number.e164 if contact.phone_number else None,
        "optedOutBy": contact.opted_out_by,
        "optedOutAt": _milliseconds(contact.opted_out_at),
        "resubscribedAt": _milliseconds(contact.resubscribed_at),
        "pendingSince": _milliseconds(contact.pending_since),
        "changedBy": contact.changed_by,
        "erasedAt": _milliseconds(contact.erased_at),
        "schemaVersion": SCHEMA_VERSION,
    }


def _row_item(contact: Contact, version: int) -> Item:
    claimed: dict[str, Value | None] = {
        "recentTexts": _milliseconds_by_key(contact.recent_texts),
        "introducedAt": _milliseconds(contact.introduced_at),
        "introducedBy": contact.introduced_by,
        "sentBeforeErasure": sorted(contact.sent_before_erasure) or None,
    }
    return to_item({**_spoken(contact, version), **claimed})


def contact_of(subscriber_id: str, row: Mapping[str, Any]) -> Contact:
    """Read a contact row."""
    phone_number = row.get("phoneNumber")
    return Contact(
        subscriber_id=subscriber_id,
        version=row.get("version", 0),
        consents={Scope(scope): ConsentState(state) for scope, state in row.get("consents", {}).items()},
        phone_number=PhoneNumber(phone_number) if phone_number else None,
        opted_out_by=row.get("optedOutBy"),
        opted_out_at=_instant(row.get("optedOutAt")),
        resubscribed_at=_instant(row.get("resubscribedAt")),
        pending_since=_instant(row.get("pendingSince")),
        changed_by=row.get("changedBy"),
        recent_texts={key: from_milliseconds(at) for key, at in row.get("recentTexts", {}).items()},
        introduced_at=_instant(row.get("introducedAt")),
        introduced_by=row.get("introducedBy"),
        erased_at=_instant(row.get("erasedAt")),
        sent_before_erasure=frozenset(row.get("sentBeforeErasure", ())),
    )


def _consent_item(record: ConsentRecord) -> Item:
    at = to_milliseconds(record.at)
    instant = from_milliseconds(at).isoformat(timespec="milliseconds")
    return to_item(
        {
            "subscriberId": record.subscriber_id,
            "record": f"consent#{instant}#{record.message_id}#{record.scope.value}",
            "scope": record.scope.value,
            "state": record.state.value,
            "source": record.source,
            "words": record.words,
            "messageId": record.message_id,
            "at": at,
            "schemaVersion": SCHEMA_VERSION,
        }
    )


def _handled_key(inbound_id: str) -> Item:
    return to_item({"subscriberId": f"inbound#{inbound_id}", "record": "handled"})


def _prompt_key(prompt: Prompt) -> Item:
    key = intent_key(prompt.construct, prompt.subscriber_id, prompt.purpose, prompt.occasion)
    return to_item({"subscriberId": prompt.subscriber_id, "record": f"prompt#{prompt.origination}#{key}"})


def _prompt_item(prompt: Prompt) -> Item:
    return {
        **_prompt_key(prompt),
        **to_item(
            {
                "origination": prompt.origination,
                "construct": prompt.construct,
                "purpose": prompt.purpose,
                "occasion": prompt.occasion,
                "messageId": prompt.message_id,
                "askedAt": to_milliseconds(prompt.asked_at),
                "openUntil": to_milliseconds(prompt.expires_at),
                "answeredBy": prompt.answered_by,
                "optOutReply": prompt.opt_out_reply,
                "asks": prompt.asks,
                "expiresAt": to_seconds(prompt.expires_at) + 1,
                "schemaVersion": SCHEMA_VERSION,
            }
        ),
    }


def _prompt(row: Mapping[str, Any]) -> Prompt:
    return Prompt(
        subscriber_id=row["subscriberId"],
        origination=row["origination"],
        construct=row["construct"],
        purpose=row["purpose"],
        occasion=row["occasion"],
        message_id=row.get("messageId"),
        asked_at=from_milliseconds(row["askedAt"]),
        expires_at=from_milliseconds(row["openUntil"]),
        answered_by=row.get("answeredBy"),
        opt_out_reply=row.get("optOutReply"),
        asks=row.get("asks", True),
    )


def _milliseconds(instant: datetime | None) -> int | None:
    return None if instant is None else to_milliseconds(instant)


def _milliseconds_by_key(instants: Mapping[str, datetime]) -> dict[str, Value]:
    return {key: to_milliseconds(at) for key, at in instants.items()}


def _instant(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else from_milliseconds(milliseconds)
