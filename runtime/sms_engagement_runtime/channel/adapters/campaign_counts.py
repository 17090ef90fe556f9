"""Counts of campaigns: one row each in the contacts table, and a mark for each person who was counted once.

==================  ====================  ===========================
``subscriberId``    ``record``            other attributes
==================  ====================  ===========================
``campaign#<id>``   ``counts``            delivered, failed, optedOut
``campaign#<id>``   ``counted#<once>``
==================  ====================  ===========================

Both have ``expiresAt`` (time to live) in epoch seconds.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import cancellation_codes, service_call
from sms_engagement_runtime.channel.adapters.busy_rows import write_when_free
from sms_engagement_runtime.channel.adapters.dynamodb_item import Item, from_item, to_item
from sms_engagement_runtime.channel.adapters.instants import to_seconds
from sms_engagement_runtime.channel.domain.campaign_counts import Counts
from sms_engagement_runtime.channel.domain.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import UpdateTypeDef

KEPT_FOR: Final = timedelta(days=90)
"""How long counts stay after they last changed: far longer than any campaign runs."""

SCHEMA_VERSION: Final = 1

_PAUSES_SECONDS: Final = (0.02, 0.04, 0.08, 0.16, 0.32)


class DynamoCampaignCounts:
    """Counts on DynamoDB. Safe to use from several threads.

    Parameters
    ----------
    sleep
        Waits before a write that met another one of the same campaign is tried again.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        *,
        table: str,
        clock: Clock,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._sleep = sleep

    def add(
        self,
        campaign_id: str,
        *,
        delivered: int = 0,
        failed: int = 0,
        opted_out: int = 0,
        once: str | None = None,
    ) -> None:
        """Add to the counts of a campaign.

        Raises
        ------
        TransientError
            The write failed, or other writes were in the way for each of several attempts.
        """
        counts = Counts(delivered=delivered, failed=failed, opted_out=opted_out)
        if counts == Counts():
            return
        update = self._update(campaign_id, counts)
        if once is None:
            self._until_free(lambda: self._client.update_item(**update))
        else:
            mark = self._mark(campaign_id, once)
            self._until_free(lambda: self._add_once(update, mark))

    def get(self, campaign_id: str) -> Counts:
        """Read the counts, strongly consistent; those of an unknown campaign are 0."""
        with service_call("dynamodb:GetItem"):
            response = self._client.get_item(
                TableName=self._table, Key=_key(campaign_id, "counts"), ConsistentRead=True
            )
        row = from_item(response.get("Item", {}))
        return Counts(
            delivered=row.get("delivered", 0), failed=row.get("failed", 0), opted_out=row.get("optedOut", 0)
        )

    def _update(self, campaign_id: str, counts: Counts) -> "UpdateTypeDef":
        figures = {
            name: figure
            for name, figure in (
                ("delivered", counts.delivered),
                ("failed", counts.failed),
                ("optedOut", counts.opted_out),
            )
            if figure
        }
        additions = ", ".join(f"{name} :{name}" for name in figures)
        return {
            "TableName": self._table,
            "Key": _key(campaign_id, "counts"),
            "UpdateExpression": f"ADD {additions} SET expiresAt = :expiresAt, schemaVersion = :schema",
            "ExpressionAttributeValues": to_item(
                {f":{name}": figure for name, figure in figures.items()}
                | {":expiresAt": self._expires_at(), ":schema": SCHEMA_VERSION}
            ),
        }

    def _mark(self, campaign_id: str, once: str) -> Item:
        return {
            **_key(campaign_id, f"counted#{once}"),
            **to_item({"expiresAt": self._expires_at(), "schemaVersion": SCHEMA_VERSION}),
        }

    def _expires_at(self) -> int:
        return to_seconds(self._clock.now() + KEPT_FOR)

    def _add_once(self, update: "UpdateTypeDef", mark: Item) -> None:
        try:
            self._client.transact_write_items(
                TransactItems=[
                    {
                        "Put": {
                            "TableName": self._table,
                            "Item": mark,
                            "ConditionExpression": "attribute_not_exists(subscriberId)",
                        }
                    },
                    {"Update": update},
                ]
            )
        except ClientError as error:
            if (*cancellation_codes(error), "None")[0] != "ConditionalCheckFailed":
                raise

    def _until_free(self, write: Callable[[], object]) -> None:
        write_when_free(write, operation="dynamodb:UpdateItem", pauses=_PAUSES_SECONDS, sleep=self._sleep)


def _key(campaign_id: str, record: str) -> Item:
    return to_item({"subscriberId": f"campaign#{campaign_id}", "record": record})
