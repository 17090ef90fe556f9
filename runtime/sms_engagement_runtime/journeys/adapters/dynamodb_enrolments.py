"""The enrolments table: one row a person on a run of a journey.

Row: ``enrolment_id`` (PK, ``<journey>/<run id>#<subscriber id>``), ``version``, ``run_id``,
``subscriber_id``, ``journey_id``, ``settled``, ``attempt``, ``attempt_decided`` and ``decided`` (maps of
booleans), ``sent`` (map by number of ``{"name", "at"}``), ``replies`` (kinds, joined by a space),
``ended``, ``updated_at``, ``expiresAt`` (epoch seconds, time to live). Instants are epoch milliseconds.
No phone number and no name. The key is one attribute, since a claim can look at a row without a sort key
only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import is_failed_condition, service_call
from sms_engagement_runtime.channel.adapters.busy_rows import write_when_free
from sms_engagement_runtime.channel.adapters.dynamodb_item import Item, Value, from_item, to_item
from sms_engagement_runtime.channel.adapters.instants import from_milliseconds, to_milliseconds, to_seconds
from sms_engagement_runtime.channel.domain.ledger import Guard
from sms_engagement_runtime.journeys.domain.conditions import ReplyKind
from sms_engagement_runtime.journeys.domain.enrolment import (
    Enrolment,
    EnrolmentChangedError,
    Sent,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEY: Final = "enrolment_id"
_PAUSES: Final = (0.02, 0.05, 0.1, 0.2, 0.4)


class DynamoEnrolments:
    """Enrolments on DynamoDB.

    Parameters
    ----------
    sleep
        Waits before a write that met another one is tried again.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        *,
        table: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table = table
        self._sleep = sleep

    def get(self, run_id: str, subscriber_id: str, *, journey: str) -> Enrolment:
        """Read a row, strongly consistent."""
        with service_call("dynamodb:GetItem"):
            response = self._client.get_item(
                TableName=self._table,
                Key=to_item({KEY: _id(journey, run_id, subscriber_id)}),
                ConsistentRead=True,
            )
        if "Item" not in response:
            return Enrolment(run_id=run_id, subscriber_id=subscriber_id, journey=journey)
        return _enrolment(from_item(response["Item"]))

    def save(self, enrolment: Enrolment) -> Enrolment:
        """Write the row, if it still has the version that was read; 0 means that there was none."""
        saved = replace(enrolment, version=enrolment.version + 1)
        item = self._item(saved)
        # A text may be under way in a transaction that looks at the row.
        write_when_free(
            lambda: self._put(item, expected=enrolment.version),
            operation="dynamodb:PutItem",
            pauses=_PAUSES,
            sleep=self._sleep,
        )
        return saved

    def guard(self, enrolment: Enrolment) -> Guard:
        """Give the condition that this row is as it was read."""
        key = (KEY, _id(enrolment.journey, enrolment.run_id, enrolment.subscriber_id))
        return Guard(table=self._table, key=key, version=enrolment.version)

    def _put(self, item: Item, *, expected: int) -> None:
        condition: dict[str, Any] = {"ConditionExpression": f"attribute_not_exists({KEY})"}
        if expected:
            condition = {
                "ConditionExpression": "version = :version",
                "ExpressionAttributeValues": to_item({":version": expected}),
            }
        try:
            self._client.put_item(TableName=self._table, Item=item, **condition)
        except ClientError as error:
            if is_failed_condition(error):
                raise EnrolmentChangedError from error
            raise

    def _item(self, row: Enrolment) -> Item:
        assert row.updated_at is not None
        assert row.kept_until is not None
        sent: dict[str, Value] = {
            str(number): {"name": text.name, "at": to_milliseconds(text.at)}
            for number, text in row.sent.items()
        }
        return to_item(
            {
                KEY: _id(row.journey, row.run_id, row.subscriber_id),
                "version": row.version,
                "run_id": row.run_id,
                "subscriber_id": row.subscriber_id,
                "journey_id": row.journey,
                "settled": row.settled,
                "attempt": row.attempt,
                "attempt_decided": dict(row.attempt_decided),
                "decided": dict(row.decided),
                "sent": sent,
                "replies": " ".join(sorted(row.replies)) or None,
                "ended": row.ended,
                "updated_at": to_milliseconds(row.updated_at),
                "expiresAt": to_seconds(row.kept_until),
            }
        )


def _id(journey: str, run_id: str, subscriber_id: str) -> str:
    # Runs of two journeys may have one name.
    return f"{journey}/{run_id}#{subscriber_id}"


def _enrolment(row: Mapping[str, Any]) -> Enrolment:
    return Enrolment(
        run_id=row["run_id"],
        subscriber_id=row["subscriber_id"],
        journey=row["journey_id"],
        version=row["version"],
        settled=row["settled"],
        attempt=row.get("attempt"),
        attempt_decided=row["attempt_decided"],
        decided=row["decided"],
        sent={
            int(number): Sent(name=text["name"], at=from_milliseconds(text["at"]))
            for number, text in row["sent"].items()
        },
        replies=frozenset(map(ReplyKind, row.get("replies", "").split())),
        ended=row.get("ended"),
        updated_at=from_milliseconds(row["updated_at"]),
        kept_until=datetime.fromtimestamp(row["expiresAt"], UTC),
    )
