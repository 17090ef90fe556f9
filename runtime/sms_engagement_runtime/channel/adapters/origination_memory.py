"""What an origination identity had before the channel took it over, as a row of the contacts table."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from sms_engagement_runtime.channel.adapters.dynamodb_item import Item, from_item, to_item
from sms_engagement_runtime.channel.adapters.origination_model import (
    Before,
    Identity,
    KeywordAnswer,
    TwoWaySettings,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SCHEMA_VERSION: Final = 1


class OriginationMemory:
    """Keeps one row an identity: ``control`` / ``origination#<ARN>`` ``{settings, keywords, schemaVersion}``.

    A keyword that did not exist is an empty map.
    """

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def load(self, identity: Identity) -> Before | None:
        """Return what was kept for this identity."""
        response = self._client.get_item(TableName=self._table, Key=_key(identity), ConsistentRead=True)
        if "Item" not in response:
            return None
        row = from_item(response["Item"])
        settings = row["settings"]
        return Before(
            settings=TwoWaySettings(
                two_way_enabled=settings["two_way_enabled"],
                topic_arn=settings.get("topic_arn"),
                role_arn=settings.get("role_arn"),
                opt_out_list=settings.get("opt_out_list"),
                self_managed_opt_outs=settings["self_managed_opt_outs"],
            ),
            keywords={
                keyword: KeywordAnswer(**answer) if answer else None
                for keyword, answer in row["keywords"].items()
            },
        )

    def save(self, identity: Identity, before: Before) -> None:
        """Keep, or replace what was kept."""
        keywords: dict[str, Any] = {
            keyword: asdict(answer) if answer else {} for keyword, answer in before.keywords.items()
        }
        row: dict[str, Any] = {
            "settings": asdict(before.settings),
            "keywords": keywords,
            "schemaVersion": SCHEMA_VERSION,
        }
        self._client.put_item(TableName=self._table, Item={**_key(identity), **to_item(row)})

    def delete(self, identity: Identity) -> None:
        """Forget the identity."""
        self._client.delete_item(TableName=self._table, Key=_key(identity))


def _key(identity: Identity) -> Item:
    return to_item({"subscriberId": "control", "record": f"origination#{identity.arn}"})
