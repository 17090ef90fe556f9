"""The review requests table.

Row: ``requestId`` (PK), ``userId``, ``occasion``, ``name``, ``firstName``, ``locale``, ``askedAt``,
``answeredAt``, ``newLinkAt`` (epoch seconds), ``schemaVersion``.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import error_code, service_call
from sms_engagement_runtime.channel.adapters.dynamodb_item import from_item, to_item
from sms_engagement_runtime.channel.adapters.instants import from_milliseconds, to_seconds
from sms_engagement_runtime.review_collector.domain.requests import ReviewRequest

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SCHEMA_VERSION: Final = 1
BY_CUSTOMER: Final = "userId-askedAt-index"
CONDITION_FAILED: Final = "ConditionalCheckFailedException"


class DynamoReviewRequests:
    """Review requests, every change a conditional write: none is created by accident, none is overwritten."""

    def __init__(self, client: DynamoDBClient, *, table: str) -> None:
        self._client = client
        self._table = table

    def reserve(self, request: ReviewRequest) -> ReviewRequest | None:
        """Write a request, unless it exists: then return what is there; None after writing."""
        with service_call("dynamodb:PutItem"):
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item=_to_item(request),
                    ConditionExpression="attribute_not_exists(requestId)",
                )
            except ClientError as error:
                if error_code(error) != CONDITION_FAILED:
                    raise
            else:
                return None
        # Absent again only where it was erased in this very moment: then what we wanted to write is what was
        # there.
        return self.get(request.request_id) or request

    def get(self, request_id: str) -> ReviewRequest | None:
        """Read one, consistently: a link may be opened a second after its row was written."""
        with service_call("dynamodb:GetItem"):
            response = self._client.get_item(
                TableName=self._table, Key={"requestId": {"S": request_id}}, ConsistentRead=True
            )
        item = response.get("Item")
        return None if item is None else _from_item(item)

    def was_asked(self, user_id: str, *, besides: str) -> bool:
        """Say whether this customer was asked by another request; only rows with ``askedAt`` are indexed."""
        with service_call("dynamodb:Query"):
            response = self._client.query(
                TableName=self._table,
                IndexName=BY_CUSTOMER,
                KeyConditionExpression="userId = :userId",
                ExpressionAttributeValues={":userId": {"S": user_id}},
                ProjectionExpression="requestId",
                Limit=2,
            )
        return any(item["requestId"]["S"] != besides for item in response["Items"])

    def mark_asked(self, request_id: str, at: datetime) -> None:
        """Record when the text went out, where that is not recorded yet."""
        self._mark("askedAt", request_id, at)

    def mark_answered(self, request_id: str, at: datetime) -> None:
        """Record the first answer."""
        self._mark("answeredAt", request_id, at)

    def mark_new_link(self, request_id: str, at: datetime) -> None:
        """Record that a new link was asked for, where that is not recorded yet."""
        self._mark("newLinkAt", request_id, at)

    def withdraw(self, request_id: str, at: datetime) -> None:
        """Take ``askedAt`` back, where it is still the one that was written at this instant."""
        self._update(
            request_id,
            UpdateExpression="REMOVE askedAt",
            ConditionExpression="askedAt = :at",
            ExpressionAttributeValues={":at": {"N": str(to_seconds(at))}},
        )

    def _mark(self, attribute: str, request_id: str, at: datetime) -> None:
        # Without the first condition the mark of an erased request would bring a row of it back.
        self._update(
            request_id,
            UpdateExpression="SET #attribute = :at",
            ConditionExpression="attribute_exists(requestId) AND attribute_not_exists(#attribute)",
            ExpressionAttributeNames={"#attribute": attribute},
            ExpressionAttributeValues={":at": {"N": str(to_seconds(at))}},
        )

    def _update(self, request_id: str, **expressions: Any) -> None:
        with service_call("dynamodb:UpdateItem"):
            try:
                self._client.update_item(
                    TableName=self._table, Key={"requestId": {"S": request_id}}, **expressions
                )
            except ClientError as error:
                if error_code(error) != CONDITION_FAILED:
                    raise


def _to_item(request: ReviewRequest) -> dict[str, Any]:
    return to_item(
        {
            "requestId": request.request_id,
            "userId": request.user_id,
            "occasion": request.occasion,
            "name": request.name,
            "firstName": request.first_name,
            "locale": request.locale,
            "askedAt": None if request.asked_at is None else to_seconds(request.asked_at),
            "schemaVersion": SCHEMA_VERSION,
        }
    )


def _from_item(item: dict[str, Any]) -> ReviewRequest:
    row = from_item(item)
    return ReviewRequest(
        request_id=row["requestId"],
        user_id=row["userId"],
        occasion=row["occasion"],
        name=row.get("name"),
        first_name=row.get("firstName"),
        locale=row.get("locale"),
        asked_at=_instant(row.get("askedAt")),
        answered_at=_instant(row.get("answeredAt")),
        new_link_at=_instant(row.get("newLinkAt")),
    )


def _instant(seconds: int | None) -> datetime | None:
    return None if seconds is None else from_milliseconds(seconds * 1000)
