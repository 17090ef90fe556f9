"""Inbound texts of the two-way topic as drafts.

Source: AWS, *Two-way SMS message payload*. Any member may be missing, and none tells the time: that is the
notification's.
"""

from typing import Final

from sms_engagement_runtime.channel.domain.keywords import Keyword, is_service_opt_out, recognise
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import (
    EventType,
    SetAside,
    opt_out_event_id,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading import draft as values
from sms_engagement_runtime.sms_analytics_pipeline.domain.reading.draft import Draft, Payload

MEMBERS: Final = frozenset({"inboundMessageId", "messageBody", "messageKeyword", "originationNumber"})
"""What tells an inbound text from anything else: it has one of these."""

_OPT_OUTS: Final = frozenset({Keyword.OPT_OUT, Keyword.WRONG_NUMBER})


def read_inbound_text(
    payload: Payload,
    *,
    received_at_ms: int,
    notification_id: str | None,
    service_opts_out: bool = False,
) -> list[Draft] | SetAside:
    """Read ``{"originationNumber", "destinationNumber", "messageBody", "inboundMessageId", …}``.

    A text that opts out is two events. Without ``inboundMessageId`` the id of the notification takes its
    place, as the channel has it.

    Parameters
    ----------
    service_opts_out
        Whether the service opts people out by the keyword that it matched, whatever else they wrote, as the
        channel has it. Where it does not, "Stop by the shop" is none, though the keyword is ``STOP``.
    """
    inbound_id = payload.get("inboundMessageId")
    if not inbound_id and notification_id:
        inbound_id = f"sns-{notification_id}"
    occasion = values.occasion_of(inbound_id, received_at_ms, received_at_ms)
    if isinstance(occasion, SetAside):
        return occasion
    body = values.text(payload.get("messageBody"), values.LONGEST_BODY)
    text = Draft(
        event_type=EventType.RECEIVED.value,
        event_id=occasion.message_id,
        message_id=occasion.message_id,
        event_timestamp=occasion.at,
        arrival_timestamp=received_at_ms,
        phone=values.text(payload.get("originationNumber")),
        # An empty text is an answer too.
        response_text=body or "",
        keyword=values.text(payload.get("messageKeyword")),
        origination=values.text(payload.get("destinationNumber")),
        answers=values.identifier(payload.get("previousPublishedMessageId")),
        is_to_attribute=True,
    )
    return [text, opt_out_of(text)] if opts_out(text, service_opts_out=service_opts_out) else [text]


def opts_out(text: Draft, *, service_opts_out: bool) -> bool:
    """Whether an inbound text is an opt-out."""
    by_service = service_opts_out and is_service_opt_out(text.keyword)
    return by_service or recognise(text.response_text) in _OPT_OUTS


def opt_out_of(text: Draft) -> Draft:
    """Make the opt-out that an inbound text is."""
    return Draft(
        event_type=EventType.OPTOUT.value,
        event_id=opt_out_event_id(text.event_id),
        message_id=text.message_id,
        event_timestamp=text.event_timestamp,
        arrival_timestamp=text.arrival_timestamp,
        phone=text.phone,
        origination=text.origination,
        answers=text.answers,
        is_to_attribute=text.is_to_attribute,
    )
