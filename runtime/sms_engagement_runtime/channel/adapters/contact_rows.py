"""Contact rows many at a time, and what the daily comparison keeps between its steps."""

import json
import sys
import time
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import batched
from typing import TYPE_CHECKING, Any, Final

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError, service_call
from sms_engagement_runtime.channel.adapters.batch_get import MOST_KEYS, PATIENT_PAUSES_SECONDS, read_batch
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import (
    SCHEMA_VERSION,
    contact_key,
    contact_of,
)
from sms_engagement_runtime.channel.adapters.dynamodb_item import from_item, to_item
from sms_engagement_runtime.channel.adapters.instants import to_milliseconds, to_seconds
from sms_engagement_runtime.channel.domain.consent import Contact
from sms_engagement_runtime.channel.domain.ports import Clock
from sms_engagement_runtime.channel.domain.reconcile import ContactPage

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEPT_FOR: Final = timedelta(days=3)
"""Longer than a run lasts, and than somebody takes to let one go on that failed."""


class DynamoContactRows:
    """Contacts of the ``contacts`` table, in batches and by a scan."""

    def __init__(
        self, client: "DynamoDBClient", *, table: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._table = table
        self._sleep = sleep

    def find(self, subscriber_ids: Iterable[str]) -> Mapping[str, Contact]:
        """Read contacts, strongly consistent; unknown ones are left out.

        Raises
        ------
        TransientError
            A call failed, or DynamoDB kept handing keys back unread.
        """
        found: dict[str, Contact] = {}
        for some in batched(subscriber_ids, MOST_KEYS):
            for item in read_batch(
                self._client,
                self._table,
                [contact_key(each) for each in some],
                sleep=self._sleep,
                pauses=PATIENT_PAUSES_SECONDS,
                ConsistentRead=True,
            ):
                row = from_item(item)
                found[row["subscriberId"]] = contact_of(row["subscriberId"], row)
        return found

    def page(self, cursor: str | None, *, came_back_since: datetime) -> ContactPage:
        """Scan on, eventually consistent: whoever acts on a contact reads it again.

        A scan reads the whole table, proofs and prompts included: half a read unit for 4 KB.

        Raises
        ------
        TransientError
            The call failed.
        """
        start: dict[str, Any] = {} if cursor is None else {"ExclusiveStartKey": to_item(json.loads(cursor))}
        with service_call("dynamodb:Scan"):
            answer = self._client.scan(
                TableName=self._table,
                FilterExpression="#record = :contact AND "
                "(attribute_exists(optedOutBy) OR resubscribedAt >= :since)",
                ExpressionAttributeNames={"#record": "record"},
                ExpressionAttributeValues=to_item(
                    {":contact": "contact", ":since": to_milliseconds(came_back_since)}
                ),
                **start,
            )
        contacts = []
        for item in answer["Items"]:
            row = from_item(item)
            behind = _cursor({"subscriberId": row["subscriberId"], "record": row["record"]})
            contacts.append((contact_of(row["subscriberId"], row), behind))
        following = answer.get("LastEvaluatedKey")
        return ContactPage(contacts, None if following is None else _cursor(from_item(following)))


def _cursor(key: Mapping[str, Any]) -> str:
    return json.dumps(key, separators=(",", ":"))


class DynamoSeenNumbers:
    """Portions of fingerprints as rows ``reconcile#<run>`` of the ``contacts`` table, for three days."""

    def __init__(self, client: "DynamoDBClient", *, table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def keep(self, run_id: str, portion: int, fingerprints: "array[int]") -> None:
        """Keep a portion; the same one again replaces the former.

        Raises
        ------
        TransientError
            The call failed.
        """
        row = {
            "expiresAt": to_seconds(self._clock.now() + _KEPT_FOR),
            "schemaVersion": SCHEMA_VERSION,
        }
        with service_call("dynamodb:PutItem"):
            self._client.put_item(
                TableName=self._table,
                Item={
                    **_portion_key(run_id, portion),
                    "fingerprints": {"B": _big_endian(fingerprints).tobytes()},
                    **to_item(row),
                },
            )

    def load(self, run_id: str, portions: int) -> Sequence["array[int]"]:
        """Read all portions, strongly consistent.

        Raises
        ------
        TransientError
            A call failed, or a portion is gone: the run has to begin again.
        """
        loaded = []
        for portion in range(portions):
            with service_call("dynamodb:GetItem"):
                answer = self._client.get_item(
                    TableName=self._table, Key=_portion_key(run_id, portion), ConsistentRead=True
                )
            if "Item" not in answer:
                # Without it, numbers that are on the list would be put there again, ten a second.
                raise ServiceCallError(f"portion {portion} of run {run_id} is not there any more")
            fingerprints = array("Q")
            content: Any = answer["Item"]["fingerprints"]["B"]
            fingerprints.frombytes(bytes(content))
            loaded.append(_big_endian(fingerprints))
        return loaded


class SeenInMemory:
    """Portions in the memory of a process that does a whole run."""

    def __init__(self) -> None:
        self._portions: dict[tuple[str, int], array[int]] = {}

    def keep(self, run_id: str, portion: int, fingerprints: "array[int]") -> None:
        """Keep a portion."""
        self._portions[run_id, portion] = fingerprints

    def load(self, run_id: str, portions: int) -> Sequence["array[int]"]:
        """Give them back."""
        return [self._portions[run_id, portion] for portion in range(portions)]


def _portion_key(run_id: str, portion: int) -> dict[str, Any]:
    return to_item({"subscriberId": f"reconcile#{run_id}", "record": f"portion#{portion:05d}"})


def _big_endian(numbers: "array[int]") -> "array[int]":
    """Turn stored into native, and back."""
    turned = array("Q", numbers)
    if sys.byteorder == "little":
        turned.byteswap()
    return turned
