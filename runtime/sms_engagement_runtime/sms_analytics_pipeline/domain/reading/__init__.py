"""Whatever arrives, as drafts of canonical events, or the reason for which it is set aside.

Pure functions, one module a shape. None raises for any JSON value.
"""

from collections.abc import Mapping

from sms_engagement_runtime.sms_analytics_pipeline.domain.events import SetAside
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading.canonical import read_canonical
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading.delivery_events import (
    read_bus_event,
    read_delivery_event,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading.draft import Draft
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading.inbound_texts import (
    MEMBERS,
    read_inbound_text,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading.pinpoint import read_pinpoint
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading.sns_logs import (
    log_messages,
    read_delivery_log,
)

__all__ = ["Draft", "log_messages", "read"]


def read(
    payload: object,
    *,
    received_at_ms: int,
    notification_id: str | None = None,
    service_opts_out: bool = False,
) -> list[Draft] | SetAside:
    """Read one payload.

    Parameters
    ----------
    payload
        As decoded by ``channel.domain.delivery.loads``: a delivery event of End User Messaging, bare or in
        EventBridge's envelope; an inbound text; a record of Pinpoint's stream; a delivery log of Amazon SNS;
        a canonical event.
    received_at_ms
        Epoch milliseconds: when the payload was published, else when it came. The same for each delivery.
    notification_id
        Id of the notification that it came in, the same for each delivery.
    service_opts_out
        Whether the service opts people out by the keyword that it matched.
    """
    if not isinstance(payload, Mapping):
        return SetAside.UNKNOWN_SHAPE
    if "schema_version" in payload or ("event_type" in payload and "event_id" in payload):
        return read_canonical(payload, received_at_ms=received_at_ms)
    if "event_type" in payload:
        return read_pinpoint(payload, received_at_ms=received_at_ms)
    if "detail-type" in payload:
        return read_bus_event(payload, received_at_ms=received_at_ms)
    if "eventType" in payload:
        return read_delivery_event(payload, received_at_ms=received_at_ms)
    if "notification" in payload and "delivery" in payload:
        return read_delivery_log(payload, received_at_ms=received_at_ms)
    if MEMBERS & payload.keys():
        return read_inbound_text(
            payload,
            received_at_ms=received_at_ms,
            notification_id=notification_id,
            service_opts_out=service_opts_out,
        )
    return SetAside.UNKNOWN_SHAPE
