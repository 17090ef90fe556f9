"""The ``responses`` table: one row an answer.

=======================  ====  ==============================================================================
attribute                type
=======================  ====  ==============================================================================
``subscriber_id``        S     partition key
``response_key``         S     sort key: ``<epoch milliseconds, 13 digits>#<event id>``
``response_timestamp``   N     epoch milliseconds
``phone_number``         S     E.164
``response_text``        S
``normalized_response``  S
``sentiment``            S     ``positive``, ``negative``, ``neutral``
``campaign_id``          S     of the text that it answers
``journey_id``           S
``message_id``           S     inbound message id
``keyword``              S
``ttl``                  N     time to live, epoch seconds: 365 days after the answer
``schemaVersion``        N
=======================  ====  ==============================================================================

Index ``campaign_id-response_key-index``: answers to a campaign, in the order of time.

DynamoDB deletes rows days after their time to live. Whoever reads asks by time, so that a year is a year.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import cancellation_codes, error_code, service_call
from sms_engagement_runtime.channel.adapters.dynamodb_item import Item, from_item, to_item
from sms_engagement_runtime.channel.adapters.instants import to_milliseconds
from sms_engagement_runtime.sms_analytics_pipeline.domain.responses import (
    KEPT_FOR_SECONDS,
    PageKey,
    Response,
    ResponsePage,
    earliest_key,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import (
    Subscriber,
    SubscriberChangedError,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_subscribers import DynamoSubscribers

SCHEMA_VERSION: Final = 1
CAMPAIGN_INDEX: Final = "campaign_id-response_key-index"
_KEPT_FOR: Final = timedelta(seconds=KEPT_FOR_SECONDS)
_TAKEN: Final = "ConditionalCheckFailed"
_CONFLICT: Final = "TransactionConflict"
_AFTER_ALL_DIGITS: Final = ":"


class DynamoResponses:
    """Answers on DynamoDB.

    Parameters
    ----------
    subscribers
        Whose rows are written in the same transactions; None for whoever only reads.
    """

    def __init__(
        self, client: DynamoDBClient, table: str, subscribers: DynamoSubscribers | None = None
    ) -> None:
        self._client = client
        self._table = table
        self._subscribers = subscribers

    def exists(self, subscriber_id: str, response_key: str) -> bool:
        """Whether an answer is kept; strongly consistent."""
        with service_call("dynamodb:GetItem"):
            answer = self._client.get_item(
                TableName=self._table,
                Key=to_item({"subscriber_id": subscriber_id, "response_key": response_key}),
                ConsistentRead=True,
                ProjectionExpression="response_key",
            )
        return "Item" in answer

    def add(self, response: Response, subscriber: Subscriber) -> bool:
        """Keep an answer and the row of its subscriber, in one transaction: see ``ResponseStore``."""
        assert self._subscribers is not None
        put: Any = {
            "Put": {
                "TableName": self._table,
                "Item": to_row(response),
                "ConditionExpression": "attribute_not_exists(response_key)",
            }
        }
        update = self._subscribers.put_action(subscriber, expected_version=subscriber.version)
        with service_call("dynamodb:TransactWriteItems"):
            try:
                self._client.transact_write_items(TransactItems=[put, update])
            except ClientError as error:
                if error_code(error) != "TransactionCanceledException":
                    raise
                codes = cancellation_codes(error)
                if codes[:1] == [_TAKEN]:
                    return False
                if _TAKEN in codes or _CONFLICT in codes:
                    raise SubscriberChangedError from error
                raise
        return True

    def of_subscriber(
        self,
        subscriber_id: str,
        *,
        now: datetime,
        since: datetime | None = None,
        limit: int = 100,
        page: PageKey | None = None,
    ) -> ResponsePage:
        """Return the answers of a person, the newest first.

        Parameters
        ----------
        since
            Those from this instant on; of the whole year when left out.
        limit
            So many at the most. DynamoDB gives fewer where they are long, and then a next page.
        page
            Where the page before ended.
        """
        start = PageKey(*page)._asdict() if page else None
        return self._query({}, "subscriber_id", subscriber_id, now, since, limit, start)

    def of_campaign(
        self,
        campaign_id: str,
        *,
        now: datetime,
        since: datetime | None = None,
        limit: int = 100,
        page: PageKey | None = None,
    ) -> ResponsePage:
        """Return the answers to a campaign, the newest first; parameters as for :meth:`of_subscriber`.

        The index follows the table within moments.
        """
        start = {**PageKey(*page)._asdict(), "campaign_id": campaign_id} if page else None
        index = {"IndexName": CAMPAIGN_INDEX}
        return self._query(index, "campaign_id", campaign_id, now, since, limit, start)

    def _query(
        self,
        index: Mapping[str, str],
        key: str,
        value: str,
        now: datetime,
        since: datetime | None,
        limit: int,
        start: Mapping[str, str] | None,
    ) -> ResponsePage:
        # A row of the very millisecond of a year ago is due.
        first = to_milliseconds(now - _KEPT_FOR) + 1
        if since is not None:
            first = max(first, to_milliseconds(since))
        request: Any = {
            **index,
            "TableName": self._table,
            "KeyConditionExpression": f"{key} = :value AND response_key BETWEEN :first AND :last",
            "ExpressionAttributeValues": to_item(
                {":value": value, ":first": earliest_key(first), ":last": _AFTER_ALL_DIGITS}
            ),
            "ScanIndexForward": False,
            "Limit": limit,
        }
        if start is not None:
            request["ExclusiveStartKey"] = to_item(start)
        with service_call("dynamodb:Query"):
            answer = self._client.query(**request)
        last = answer.get("LastEvaluatedKey")
        return ResponsePage(
            tuple(_response(from_item(item)) for item in answer["Items"]),
            None if not last else PageKey(last["subscriber_id"]["S"], last["response_key"]["S"]),
        )


def to_row(response: Response) -> Item:
    """Row of an answer in wire format."""
    return to_item(
        {
            "subscriber_id": response.subscriber_id,
            "response_key": response.response_key,
            "response_timestamp": response.response_timestamp,
            "phone_number": response.phone_number,
            "response_text": response.response_text,
            "normalized_response": response.normalized_response,
            "sentiment": response.sentiment,
            "campaign_id": response.campaign_id,
            "journey_id": response.journey_id,
            "message_id": response.message_id,
            "keyword": response.keyword,
            "ttl": response.ttl,
            "schemaVersion": SCHEMA_VERSION,
        }
    )


def _response(row: Mapping[str, Any]) -> Response:
    return Response(
        subscriber_id=row["subscriber_id"],
        response_key=row["response_key"],
        response_timestamp=row["response_timestamp"],
        response_text=row["response_text"],
        normalized_response=row["normalized_response"],
        sentiment=row["sentiment"],
        ttl=row["ttl"],
        phone_number=row.get("phone_number"),
        campaign_id=row.get("campaign_id"),
        journey_id=row.get("journey_id"),
        message_id=row.get("message_id"),
        keyword=row.get("keyword"),
    )
