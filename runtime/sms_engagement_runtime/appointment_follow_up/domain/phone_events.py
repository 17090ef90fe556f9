"""What the channel tells about the phones of invitees, as this capability reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sms_engagement_runtime.appointment_follow_up.domain.purposes import CONSTRUCT
from sms_engagement_runtime.channel.domain import bus_events


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyReceived:
    """An inbound message that answers one of our prompts."""

    inbound_id: str
    subscriber_id: str
    purpose: str
    occasion: str
    body: str | None
    received_at: datetime
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OptedOut:
    """A person left, by their own words."""

    inbound_id: str
    subscriber_id: str
    body: str | None
    is_cancel: bool
    is_wrong_number: bool
    received_at: datetime
    answered: str | None
    """Occasion of the prompt of ours that was open, None where there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFailed:
    """A text of ours cannot be delivered, for good."""

    purpose: str
    occasion: str
    reason: str


type PhoneEvent = ReplyReceived | OptedOut | TextFailed


def read_event(event_type: object, detail: object) -> PhoneEvent | None:
    """Read what the channel told; None where it is not about us, or malformed."""
    if not isinstance(detail, Mapping):
        return None
    try:
        match event_type:
            case bus_events.REPLY_RECEIVED if detail["construct"] == CONSTRUCT:
                return ReplyReceived(
                    inbound_id=_text(detail, "inboundMessageId"),
                    subscriber_id=_text(detail, "subscriberId"),
                    purpose=_text(detail, "purpose"),
                    occasion=_text(detail, "occasion"),
                    body=_words(detail),
                    received_at=datetime.fromtimestamp(detail["receivedAt"] / 1000, UTC),
                    alternatives=tuple(_text(one, "occasion") for one in detail.get("alternatives", ())),
                )
            case bus_events.OPTED_OUT:
                answered = detail.get("answeredPrompt") or {}
                return OptedOut(
                    inbound_id=_text(detail, "inboundMessageId"),
                    subscriber_id=_text(detail, "subscriberId"),
                    body=_words(detail),
                    is_cancel=bool(detail.get("isCancel")),
                    is_wrong_number=bool(detail.get("isWrongNumber")),
                    received_at=datetime.fromtimestamp(detail["receivedAt"] / 1000, UTC),
                    answered=answered.get("occasion") if answered.get("construct") == CONSTRUCT else None,
                )
            case bus_events.TEXT_FAILED if detail["construct"] == CONSTRUCT:
                return TextFailed(
                    purpose=_text(detail, "purpose"),
                    occasion=_text(detail, "occasion"),
                    reason=_text(detail, "reason"),
                )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError):
        return None
    return None


def _text(detail: Mapping[str, Any], name: str) -> str:
    value = detail[name]
    if not isinstance(value, str) or not value:
        raise ValueError(f"no {name}")
    return value


def _words(detail: Mapping[str, Any]) -> str | None:
    body = detail.get("body")
    if body is not None and not isinstance(body, str):
        raise TypeError("words are text")
    return body
