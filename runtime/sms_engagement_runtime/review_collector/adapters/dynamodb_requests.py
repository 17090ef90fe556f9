"""The review requests table.

Row: ``requestId`` (PK), ``userId``, ``occasion``, ``name``, ``firstName``, ``locale``, ``occurredAt``,
``recordedAt``, ``askedAt``, ``remindedAt``, ``answeredAt``, ``newLinkAt`` (epoch seconds), ``subscriberId``,
``runId``, ``text``, ``textLocale``, ``schemaVersion``. Index by customer and ``recordedAt``, which every row
has.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import error_code, service_call
from sms_engagement_runtime.channel.adapters.dynamodb_item import from_item, to_item
from sms_engagement_runtime.channel.adapters.instants import from_milliseconds, to_seconds
from sms_engagement_runtime.channel.domain.broadcast.audience import Cursor, Page
from sms_engagement_runtime.review_collector.domain.requests import GivenText, ReviewRequest

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SCHEMA_VERSION: Final = 2
BY_CUSTOMER: Final = "userId-recordedAt-index"
CONDITION_FAILED: Final = "ConditionalCheckFailedException"

# What a broadcast has to know of everybody: no name is read by the million.
_HISTORY: Final = (
    "requestId",
    "userId",
    "occasion",
    "occurredAt",
    "recordedAt",
    "askedAt",
    "remindedAt",
    "answeredAt",
    "runId",
)


class DynamoReviewRequests:
    """Review requests. Every change is a conditional write: what went out or was answered stays as it is."""

    def __init__(self, client: DynamoDBClient, *, table: str) -> None:
        self._client = client
        self._table = table

    def page(self, cursor: Cursor | None) -> Page[ReviewRequest]:
        """Read a page of the table (1 MB of it), without names."""
        start: dict[str, Any] = {"ExclusiveStartKey": dict(cursor)} if cursor else {}
        with service_call("dynamodb:Scan"):
            page = self._client.scan(
                TableName=self._table,
                ProjectionExpression=", ".join(f"#{name}" for name in _HISTORY),
                ExpressionAttributeNames={f"#{name}": name for name in _HISTORY},
                **start,
            )
        return Page(rows=list(map(_from_item, page["Items"])), next=page.get("LastEvaluatedKey"))

    def of_customer(self, user_id: str) -> list[ReviewRequest]:
        """Read the requests of one customer by the index, which lags behind the table by moments."""
        rows: list[ReviewRequest] = []
        start: dict[str, Any] = {}
        while True:
            with service_call("dynamodb:Query"):
                page = self._client.query(
                    TableName=self._table,
                    IndexName=BY_CUSTOMER,
                    KeyConditionExpression="userId = :userId",
                    ExpressionAttributeValues={":userId": {"S": user_id}},
                    **start,
                )
            rows += map(_from_item, page["Items"])
            last = page.get("LastEvaluatedKey")
            if not last:
                return rows
            start = {"ExclusiveStartKey": last}

    def get(self, request_id: str) -> ReviewRequest | None:
        """Read one, consistently: a link may be opened a second after its row was written."""
        with service_call("dynamodb:GetItem"):
            response = self._client.get_item(
                TableName=self._table, Key={"requestId": {"S": request_id}}, ConsistentRead=True
            )
        item = response.get("Item")
        return None if item is None else _from_item(item)

    def record(self, request: ReviewRequest) -> bool:
        """Write an occasion, unless there is a row of it."""
        return self._changed(
            "PutItem",
            Item={
                **_key(request.request_id),
                **to_item(
                    _fixed(request)
                    | {"recordedAt": to_seconds(request.recorded_at)}
                    | _once(request)
                    | _text(request)
                ),
            },
            ConditionExpression="attribute_not_exists(requestId)",
        )

    def reserve(self, request: ReviewRequest, *, instead_of: datetime | None = None) -> ReviewRequest | None:
        """Write a request that is about to go out, in one call whether its occasion is on record or not."""
        assert request.asked_at is not None
        said = {
            "name": request.name,
            "firstName": request.first_name,
            "locale": request.locale,
            "subscriberId": request.subscriber_id,
            "runId": request.run_id,
        } | _text(request)
        changed = _fixed(request) | {"askedAt": to_seconds(request.asked_at)} | said
        values = to_item({f":{name}": value for name, value in changed.items() if value is not None})
        first = {"recordedAt": to_seconds(request.recorded_at)} | _once(request)
        values |= to_item({f":{name}": value for name, value in first.items()})
        sets = [f"#{name} = :{name}" for name, value in changed.items() if value is not None]
        sets += [f"#{name} = if_not_exists(#{name}, :{name})" for name in first]
        # What an earlier attempt wrote and nobody says now.
        gone = [f"#{name}" for name, value in changed.items() if value is None]
        unasked = "attribute_not_exists(askedAt)"
        if instead_of is not None:
            unasked = f"({unasked} OR askedAt = :insteadOf)"
            values[":insteadOf"] = {"N": str(to_seconds(instead_of))}
        written = self._changed(
            "UpdateItem",
            Key=_key(request.request_id),
            UpdateExpression=f"SET {', '.join(sets)}" + (f" REMOVE {', '.join(gone)}" if gone else ""),
            ConditionExpression=f"{unasked} AND attribute_not_exists(answeredAt)",
            ExpressionAttributeNames={f"#{name}": name for name in (*changed, *first)},
            ExpressionAttributeValues=values,
        )
        if written:
            return None
        # Absent only where it was erased in this very moment: then what we wanted to write is what was there.
        return self.get(request.request_id) or request

    def withdraw(self, request_id: str, at: datetime) -> None:
        """Take ``askedAt`` back, where it is still the one that was written at this instant."""
        self._changed(
            "UpdateItem",
            Key=_key(request_id),
            UpdateExpression="REMOVE askedAt",
            ConditionExpression="askedAt = :at",
            ExpressionAttributeValues={":at": {"N": str(to_seconds(at))}},
        )

    def mark_reminded(self, request_id: str, at: datetime) -> None:
        """Record when the reminder went out, where that is not recorded yet."""
        self._mark("remindedAt", request_id, at)

    def mark_answered(self, request_id: str, at: datetime) -> None:
        """Record the first answer."""
        self._mark("answeredAt", request_id, at)

    def mark_new_link(self, request_id: str, at: datetime) -> None:
        """Record that a new link was asked for, where that is not recorded yet."""
        self._mark("newLinkAt", request_id, at)

    def _mark(self, attribute: str, request_id: str, at: datetime) -> None:
        # Without the first condition the mark of an erased request would bring a row of it back.
        self._changed(
            "UpdateItem",
            Key=_key(request_id),
            UpdateExpression="SET #attribute = :at",
            ConditionExpression="attribute_exists(requestId) AND attribute_not_exists(#attribute)",
            ExpressionAttributeNames={"#attribute": attribute},
            ExpressionAttributeValues={":at": {"N": str(to_seconds(at))}},
        )

    def _changed(self, action: str, **request: Any) -> bool:
        """Write; False where the condition fails."""
        write: Any = self._client.put_item if action == "PutItem" else self._client.update_item
        with service_call(f"dynamodb:{action}"):
            try:
                write(TableName=self._table, **request)
            except ClientError as error:
                if error_code(error) != CONDITION_FAILED:
                    raise
                return False
        return True


def _key(request_id: str) -> dict[str, Any]:
    return {"requestId": {"S": request_id}}


def _fixed(request: ReviewRequest) -> dict[str, Any]:
    return {"userId": request.user_id, "occasion": request.occasion, "schemaVersion": SCHEMA_VERSION}


def _once(request: ReviewRequest) -> dict[str, Any]:
    return {} if request.occurred_at is None else {"occurredAt": to_seconds(request.occurred_at)}


def _text(request: ReviewRequest) -> dict[str, Any]:
    """Nothing where the request has none of its own: what the row has of it stays."""
    return {} if request.text is None else {"text": request.text.template, "textLocale": request.text.locale}


def _from_item(item: dict[str, Any]) -> ReviewRequest:
    row = from_item(item)
    # Missing only in a row that was put in by hand, which the index does not hold.
    recorded_at = int(row.get("recordedAt", row.get("askedAt", 0)))
    return ReviewRequest(
        request_id=row["requestId"],
        user_id=row["userId"],
        occasion=row["occasion"],
        recorded_at=from_milliseconds(recorded_at * 1000),
        name=row.get("name"),
        first_name=row.get("firstName"),
        locale=row.get("locale"),
        occurred_at=_instant(row.get("occurredAt")),
        asked_at=_instant(row.get("askedAt")),
        reminded_at=_instant(row.get("remindedAt")),
        answered_at=_instant(row.get("answeredAt")),
        new_link_at=_instant(row.get("newLinkAt")),
        subscriber_id=row.get("subscriberId"),
        run_id=row.get("runId"),
        text=GivenText(row["text"], row.get("textLocale")) if "text" in row else None,
    )


def _instant(seconds: int | None) -> datetime | None:
    return None if seconds is None else from_milliseconds(seconds * 1000)
