"""The two-way payload of End User Messaging as a domain value.

Source: AWS, *Two-way SMS message payload*: ``originationNumber``, ``destinationNumber``,
``messageKeyword``, ``messageBody``, ``inboundMessageId``, ``previousPublishedMessageId``, any of which may
be missing.
"""

from collections.abc import Mapping

from sms_engagement_runtime.channel.adapters.sns_batch import Notification
from sms_engagement_runtime.channel.domain.inbound import InboundMessage

_OWN_MEMBERS = frozenset({"inboundMessageId", "messageBody", "messageKeyword", "originationNumber"})


def inbound_message(notification: Notification) -> InboundMessage | None:
    """Read an inbound message; ``None`` for a JSON value of another kind.

    Without ``inboundMessageId`` the id of the notification takes its place, which is as stable over
    redeliveries.
    """
    payload = notification.payload
    if not isinstance(payload, Mapping) or not _OWN_MEMBERS & payload.keys():
        return None
    return InboundMessage(
        id=_text(payload, "inboundMessageId") or f"sns-{notification.message_id}",
        from_=_text(payload, "originationNumber"),
        to=_text(payload, "destinationNumber"),
        body=_text(payload, "messageBody"),
        received_at=notification.published_at,
        previous_message_id=_text(payload, "previousPublishedMessageId"),
        keyword=_text(payload, "messageKeyword"),
    )


def _text(payload: Mapping[object, object], name: str) -> str | None:
    """Return a text that can be passed on, or None.

    Half of a surrogate pair, as a cut text ends with, becomes U+FFFD: JSON can spell it, and no request to a
    service can hold it, so that a STOP with it would not be recorded.
    """
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        return None
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
