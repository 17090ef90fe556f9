"""The channel's EventBridge bus."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError, service_call

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

SOURCE: Final = "sms-engagement"
"""Source of every event that this system publishes."""


class EventBridgeBus:
    """Publishes domain events under the source ``sms-engagement``."""

    def __init__(self, client: "EventBridgeClient", *, bus_name: str) -> None:
        self._client = client
        self._bus_name = bus_name

    def publish(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        """Publish one event.

        Raises
        ------
        TransientError
            The call failed, or the bus refused the entry: ``PutEvents`` answers 200 for entries that it did
            not take.
        """
        with service_call("events:PutEvents"):
            response = self._client.put_events(
                Entries=[
                    {
                        "EventBusName": self._bus_name,
                        "Source": SOURCE,
                        "DetailType": detail_type,
                        "Detail": json.dumps(detail, ensure_ascii=False, separators=(",", ":")),
                    }
                ]
            )
        if response["FailedEntryCount"]:
            raise ServiceCallError(f"events:PutEvents: {response['Entries'][0].get('ErrorCode', 'Unknown')}")
