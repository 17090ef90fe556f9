"""The reviews table.

Row: ``reviewId`` (PK), ``userId``, ``timestamp`` (epoch ms of the first submission), ``rating``,
``reviewText``, ``status``, ``helpful``, ``createdAt`` and ``updatedAt`` (epoch seconds), ``version``,
``announcingUntil`` and ``announcedAt`` (epoch ms), ``expiresAt`` where old reviews are deleted,
``schemaVersion``; ``authorName`` (first name and initial), ``sentiment`` once it is judged, and
``decisions``, a list of ``{status, version, at (epoch seconds), by, reason}``, once there are any. Rows that
lack the last three are read as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError, error_code, service_call
from sms_engagement_runtime.channel.adapters.dynamodb_item import from_item, to_item
from sms_engagement_runtime.channel.adapters.instants import (
    from_milliseconds,
    to_milliseconds,
    to_seconds,
)
from sms_engagement_runtime.review_collector.adapters.dynamodb_requests import CONDITION_FAILED
from sms_engagement_runtime.review_collector.domain.moderation import Shown
from sms_engagement_runtime.review_collector.domain.queries import Position, Slice
from sms_engagement_runtime.review_collector.domain.reviews import Decision, Opinion, Review, ReviewStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from sms_engagement_runtime.channel.domain.ports import Clock

SCHEMA_VERSION: Final = 1
BY_CUSTOMER: Final = "userId-timestamp-index"
BY_STATUS: Final = "status-timestamp-index"


# Reads of an index for one page of an answer: what lies past its retention is read and left out, and may fill
# whole reads for the few days until DynamoDB deletes it.
_MOST_READS: Final = 5


class DynamoReviews:
    """Reviews, one an occasion by their key.

    Parameters
    ----------
    retention
        After which DynamoDB deletes a review; None keeps it.
    clock
        Tells which reviews are past their retention; needed by whoever lists reviews.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        *,
        table: str,
        retention: timedelta | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._client = client
        self._table = table
        self._retention = retention
        self._clock = clock

    def create(self, review: Review, *, announcing_until: datetime) -> Review | None:
        """Write a review, unless its id exists: then return what is there; None after writing."""
        expires_at = None if self._retention is None else to_seconds(review.created_at + self._retention)
        item = to_item(
            {
                "reviewId": review.review_id,
                "userId": review.user_id,
                "timestamp": to_milliseconds(review.created_at),
                "rating": review.opinion.rating,
                "reviewText": review.opinion.text,
                "status": review.status.value,
                "helpful": review.helpful,
                "authorName": review.author_name,
                "createdAt": to_seconds(review.created_at),
                "version": review.version,
                "announcingUntil": to_milliseconds(announcing_until),
                "expiresAt": expires_at,
                "schemaVersion": SCHEMA_VERSION,
            }
        )
        if self._write("PutItem", Item=item, ConditionExpression="attribute_not_exists(reviewId)"):
            return None
        existing = self.get(review.review_id)
        if existing is None:
            raise ServiceCallError("dynamodb:PutItem: the review was deleted while it was written")
        return existing

    def update(self, review: Review, *, expected_version: int) -> bool:
        """Write an edited review over the version it was made from; False where that version is gone."""
        return self._update(
            review.review_id,
            UpdateExpression=(
                "SET rating = :rating, reviewText = :text, #status = :status, "
                "updatedAt = :updated, #version = :version REMOVE sentiment"
            ),
            ConditionExpression=_is_version(":expected", expected_version),
            ExpressionAttributeNames={"#status": "status", "#version": "version"},
            ExpressionAttributeValues=to_item(
                {
                    ":rating": review.opinion.rating,
                    ":text": review.opinion.text,
                    ":status": review.status.value,
                    ":updated": to_seconds(review.updated_at or review.created_at),
                    ":version": review.version,
                    ":expected": expected_version,
                }
            ),
        )

    def get(self, review_id: str) -> Review | None:
        """Read one, consistently."""
        with service_call("dynamodb:GetItem"):
            response = self._client.get_item(
                TableName=self._table, Key={"reviewId": {"S": review_id}}, ConsistentRead=True
            )
        item = response.get("Item")
        return None if item is None else _from_item(item)

    def of_status(
        self, status: ReviewStatus, *, since: datetime | None, after: Position | None, limit: int
    ) -> Slice:
        """Read reviews of a status, newest first."""
        return self._slice(BY_STATUS, "status", status.value, since, after, limit)

    def of_customer(
        self, user_id: str, *, since: datetime | None, after: Position | None, limit: int
    ) -> Slice:
        """Read reviews of a customer, newest first."""
        return self._slice(BY_CUSTOMER, "userId", user_id, since, after, limit)

    def decide(self, review_id: str, decision: Decision, *, shown: Shown) -> bool:
        """Set status and add to the decisions, where version and status are those that were shown."""
        values = to_item(
            {
                ":status": decision.status.value,
                ":shownStatus": shown.status.value,
                ":version": shown.version,
                ":none": [],
                ":decision": [
                    {
                        "status": decision.status.value,
                        "version": decision.version,
                        "at": to_seconds(decision.decided_at),
                        "by": decision.decided_by,
                        **({"reason": decision.reason} if decision.reason is not None else {}),
                    }
                ],
            }
        )
        return self._update(
            review_id,
            UpdateExpression=(
                "SET #status = :status, decisions = list_append(if_not_exists(decisions, :none), :decision)"
            ),
            ConditionExpression=f"{_is_version(':version', shown.version)} AND #status = :shownStatus",
            ExpressionAttributeNames={"#status": "status", "#version": "version"},
            ExpressionAttributeValues=values,
        )

    def set_sentiment(self, review_id: str, sentiment: str, *, version: int) -> bool:
        """Record what the text of this version says; False where the version is gone."""
        return self._update(
            review_id,
            UpdateExpression="SET sentiment = :sentiment",
            ConditionExpression=_is_version(":version", version),
            ExpressionAttributeNames={"#version": "version"},
            ExpressionAttributeValues=to_item({":sentiment": sentiment, ":version": version}),
        )

    def _slice(
        self,
        index: str,
        key: str,
        value: str,
        since: datetime | None,
        after: Position | None,
        limit: int,
    ) -> Slice:
        now = None if self._clock is None else self._clock.now()
        names = {"#key": key}
        values: dict[str, Any] = {":value": value}
        condition = "#key = :value"
        if since is not None:
            names["#timestamp"], values[":since"] = "timestamp", to_milliseconds(since)
            condition += " AND #timestamp >= :since"
        request: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": index,
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ScanIndexForward": False,
        }
        if now is not None:
            values[":now"] = to_seconds(now)
            request["FilterExpression"] = "attribute_not_exists(expiresAt) OR expiresAt > :now"
        request["ExpressionAttributeValues"] = to_item(values)
        reviews: list[Review] = []
        for _ in range(_MOST_READS):
            if after is not None:
                request["ExclusiveStartKey"] = to_item(
                    {key: value, "timestamp": after.timestamp, "reviewId": after.review_id}
                )
            with service_call("dynamodb:Query"):
                page = self._client.query(**request, Limit=limit - len(reviews))
            reviews += map(_from_item, page["Items"])
            last = page.get("LastEvaluatedKey")
            if not last:
                return Slice(reviews, None)
            after = Position(int(last["timestamp"]["N"]), last["reviewId"]["S"])
            if len(reviews) >= limit:
                break
        return Slice(reviews, after)

    def submitted_between(
        self, status: ReviewStatus, start: datetime, end: datetime
    ) -> Iterator[tuple[str, int]]:
        """Read id and rating of the reviews of a status, from a start on and before an end, oldest first."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": BY_STATUS,
            "KeyConditionExpression": "#status = :status AND #timestamp BETWEEN :start AND :last",
            "ProjectionExpression": "reviewId, rating",
            "ExpressionAttributeNames": {"#status": "status", "#timestamp": "timestamp"},
            "ExpressionAttributeValues": to_item(
                {
                    ":status": status.value,
                    ":start": to_milliseconds(start),
                    # Both ends belong to BETWEEN.
                    ":last": to_milliseconds(end) - 1,
                }
            ),
        }
        while True:
            with service_call("dynamodb:Query"):
                page = self._client.query(**request)
            for item in page["Items"]:
                row = from_item(item)
                yield row["reviewId"], row["rating"]
            last = page.get("LastEvaluatedKey")
            if not last:
                return
            request["ExclusiveStartKey"] = last

    def claim_announcement(self, review_id: str, *, now: datetime, until: datetime) -> bool:
        """Take the right to announce a review, unless it was announced or somebody holds the right now."""
        return self._update(
            review_id,
            UpdateExpression="SET announcingUntil = :until",
            ConditionExpression=(
                "attribute_exists(reviewId) AND attribute_not_exists(announcedAt) AND announcingUntil <= :now"
            ),
            ExpressionAttributeValues=to_item(
                {":until": to_milliseconds(until), ":now": to_milliseconds(now)}
            ),
        )

    def mark_announced(self, review_id: str, at: datetime) -> None:
        """Record that a review was announced."""
        self._update(
            review_id,
            UpdateExpression="SET announcedAt = :at",
            ConditionExpression="attribute_exists(reviewId)",
            ExpressionAttributeValues=to_item({":at": to_milliseconds(at)}),
        )

    def _update(self, review_id: str, **expressions: Any) -> bool:
        return self._write("UpdateItem", Key={"reviewId": {"S": review_id}}, **expressions)

    def _write(self, operation: str, **parameters: Any) -> bool:
        call: Any = self._client.put_item if operation == "PutItem" else self._client.update_item
        with service_call(f"dynamodb:{operation}"):
            try:
                call(TableName=self._table, **parameters)
            except ClientError as error:
                if error_code(error) != CONDITION_FAILED:
                    raise
                return False
        return True


_FIRST_VERSION: Final = 1
"""Also of rows that others brought into the table, which have none."""


def _is_version(value: str, version: int) -> str:
    """Return the condition that a review has a version, as `_from_item` reads it."""
    same = f"#version = {value}"
    if version != _FIRST_VERSION:
        return same
    return f"attribute_exists(reviewId) AND (attribute_not_exists(#version) OR {same})"


def _from_item(item: dict[str, Any]) -> Review:
    row = from_item(item)
    updated_at, announced_at = row.get("updatedAt"), row.get("announcedAt")
    expires_at = row.get("expiresAt")
    return Review(
        review_id=row["reviewId"],
        user_id=row["userId"],
        opinion=Opinion(rating=row["rating"], text=row.get("reviewText") or ""),
        status=ReviewStatus(row["status"]),
        created_at=from_milliseconds(row["timestamp"]),
        updated_at=None if updated_at is None else from_milliseconds(updated_at * 1000),
        # Rows that others brought into the table lack what we alone write.
        version=row.get("version", _FIRST_VERSION),
        announced_at=None if announced_at is None else from_milliseconds(announced_at),
        author_name=row.get("authorName"),
        sentiment=row.get("sentiment"),
        helpful=row.get("helpful", 0),
        decisions=tuple(map(_decision, row.get("decisions", ()))),
        expires_at=None if expires_at is None else from_milliseconds(expires_at * 1000),
    )


def _decision(entry: dict[str, Any]) -> Decision:
    return Decision(
        status=ReviewStatus(entry["status"]),
        version=entry["version"],
        decided_at=from_milliseconds(entry["at"] * 1000),
        decided_by=entry["by"],
        reason=entry.get("reason"),
    )
