"""Opt-outs that the bus tells of: the service's, and those of earlier systems (``OptOutReported``)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sms_engagement_runtime.channel.domain.bus_events import OPT_OUT_REPORTED
from sms_engagement_runtime.channel.domain.consent import Contact, Evidence, Source
from sms_engagement_runtime.channel.domain.opting_out import OptOutRecorder, Recorded
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber

_LONGEST_ID: Final = 512
_LONGEST_WORDS: Final = 1600
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = 253_402_300_799_999


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutReport:
    """Somebody opted out, as an event tells.

    Attributes
    ----------
    event_id
        The same for each delivery of the event.
    words
        The person's, or the service's word for it.
    """

    event_id: str
    subscriber_id: str
    phone_number: PhoneNumber | None
    source: Source
    words: str
    at: datetime


def read_report(event_type: object, detail: object) -> OptOutReport | None:
    """Read an event of the bus; None for one that nobody can carry out."""
    if event_type != OPT_OUT_REPORTED or not isinstance(detail, Mapping):
        return None
    event_id, subscriber_id = _text(detail, "eventId"), _text(detail, "subscriberId")
    at = detail.get("at")
    # A boolean is an `int` for Python.
    if event_id is None or subscriber_id is None or type(at) is not int or not 0 <= at <= _LATEST:
        return None
    status = _text(detail, "recordStatus")
    return OptOutReport(
        event_id=event_id,
        subscriber_id=subscriber_id,
        phone_number=_number(detail.get("phoneNumber")),
        # The service's word about a text of ours; anything else is an event that only tells of an opt-out.
        source=Source.CARRIER if status == "OPTED_OUT" else Source.PROVIDER_EVENT,
        words=(_text(detail, "body", longest=_LONGEST_WORDS) or status or _text(detail, "eventType") or ""),
        at=_EPOCH + timedelta(milliseconds=at),
    )


def record_report(recorder: OptOutRecorder, report: OptOutReport) -> Recorded:
    """Opt the person out, unless they came back after the event.

    History that is imported is old: a START that the person wrote since then stands. An instant that lies
    ahead of the clock, as those of other machines may, counts as now.
    """
    at = min(report.at, recorder.clock.now())
    evidence = Evidence(
        source=report.source, words=report.words, message_id=f"event#{report.event_id}", at=at
    )

    def evidence_for(contact: Contact) -> Evidence | None:
        came_back = contact.resubscribed_at
        return None if came_back is not None and came_back >= at else evidence

    return recorder.record(report.subscriber_id, report.phone_number, evidence_for)


def _text(detail: Mapping[str, Any], name: str, *, longest: int = _LONGEST_ID) -> str | None:
    value = detail.get(name)
    return value if isinstance(value, str) and 0 < len(value) <= longest else None


def _number(raw: object) -> PhoneNumber | None:
    try:
        return PhoneNumber(raw) if isinstance(raw, str) else None
    except ValueError:
        return None
