"""Webhooks of Calendly as booking events.

Source: Calendly API v2, *Webhook payload*, *Webhook events*; the location of an outbound call is of the shape
that public code expects, since the reference leaves it open. Nothing but ids and instants can make a payload
unusable: a member of another type than expected is as good as none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from sms_engagement_runtime.appointment_follow_up.adapters.booking_json import decode, first, member
from sms_engagement_runtime.appointment_follow_up.domain.bookings import (
    Booked,
    Booking,
    BookingEvent,
    Cancelled,
    MovedAway,
    NoShowMarked,
    Party,
    PhoneCandidate,
    PhoneSource,
    Provider,
    SkipReason,
    Unusable,
)
from sms_engagement_runtime.appointment_follow_up.domain.bookings_reading import (
    MAX_BODY_BYTES,
    ReadingOptions,
    distinct_phones,
    event_key,
    https_url_of,
    id_of,
    instant_of,
    language_tag,
    text_of,
)

_CREATED: Final = "invitee.created"
_CANCELED: Final = "invitee.canceled"
_NO_SHOW: Final = "invitee_no_show.created"
_NO_SHOW_UNDONE: Final = "invitee_no_show.deleted"
_OF_INVITEES: Final = frozenset({_CREATED, _CANCELED, _NO_SHOW, _NO_SHOW_UNDONE})
_OF_OTHER_THINGS: Final = ("routing_form_submission.", "event_type.")


class _Envelope(msgspec.Struct):
    event: object = None
    created_at: object = None
    payload: msgspec.Raw = msgspec.Raw(b"null")


class _Payload(msgspec.Struct):
    """Members of an invitee that are used.

    Of any type, so that one which changed its type is read as missing: see the module.
    """

    uri: object = None
    invitee: object = None
    name: object = None
    first_name: object = None
    last_name: object = None
    text_reminder_number: object = None
    questions_and_answers: object = None
    timezone: object = None
    rescheduled: object = None
    old_invitee: object = None
    new_invitee: object = None
    cancel_url: object = None
    reschedule_url: object = None
    cancellation: object = None
    no_show: object = None
    scheduled_event: object = None
    created_at: object = None
    updated_at: object = None


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_PAYLOAD: Final = msgspec.json.Decoder(_Payload)

_MALFORMED: Final = Unusable(SkipReason.MALFORMED_PAYLOAD)


def read(body: bytes, options: ReadingOptions) -> Sequence[BookingEvent] | Unusable:
    """Read an authentic body; never raises.

    An invitee who moves an appointment causes two webhooks, ``invitee.canceled`` with ``rescheduled`` and
    ``invitee.created`` with ``old_invitee``, in no documented order. Each says by itself that the old
    appointment is over: the second is read as two events, the end of the old one first.

    ``invitee.created`` is read even where its answers, names or links are of an unexpected type. Without the
    invitee's URI, or without a start that says its zone, there is no appointment to speak of.
    """
    if len(body) > MAX_BODY_BYTES:
        return Unusable(SkipReason.TOO_LARGE)
    envelope = decode(_ENVELOPE, body)
    if envelope is None or not isinstance(envelope.event, str):
        return _MALFORMED
    event = envelope.event
    if event not in _OF_INVITEES:
        known = event.startswith(_OF_OTHER_THINGS)
        return Unusable(SkipReason.NOT_AN_APPOINTMENT if known else SkipReason.UNKNOWN_EVENT)
    payload = decode(_PAYLOAD, envelope.payload)
    at = instant_of(envelope.created_at)
    if payload is None or at is None:
        return _MALFORMED
    if event == _CREATED:
        return _created(payload, at, options)
    return _canceled(payload, at) if event == _CANCELED else _no_show(event, payload, at)


def _created(payload: _Payload, at: datetime, options: ReadingOptions) -> Sequence[BookingEvent] | Unusable:
    uri = id_of(payload.uri)
    starts_at = instant_of(member(payload.scheduled_event, "start_time"))
    if uri is None or starts_at is None:
        return _MALFORMED
    end = member(payload.scheduled_event, "end_time")
    ends_at = starts_at if end is None else instant_of(end)
    if ends_at is None:
        return _MALFORMED
    old = id_of(payload.old_invitee)
    replaces = None if old == uri else old
    booking = Booking(
        provider=Provider.CALENDLY,
        external_id=uri,
        booked_at=instant_of(payload.created_at) or at,
        starts_at=starts_at,
        ends_at=max(starts_at, ends_at),
        event_name=text_of(member(payload.scheduled_event, "name")) or "",
        invitee_name=_invitee_name(payload),
        host_name=text_of(member(first(member(payload.scheduled_event, "event_memberships")), "user_name")),
        phones=distinct_phones(_phones(payload, options)),
        time_zone=text_of(payload.timezone),
        locale=_locale(payload, options),
        reschedule_url=https_url_of(payload.reschedule_url),
        cancel_url=https_url_of(payload.cancel_url),
        replaces=replaces,
        # Who moved it is in the other webhook of the pair, which may come later.
        by_invitee=replaces is None,
    )
    booked = Booked(key=_key(_CREATED, uri, payload), at=at, booking=booking)
    if replaces is None:
        return (booked,)
    moved = MovedAway(
        key=_key(_CREATED, uri, payload, "moved-from"),
        at=at,
        provider=Provider.CALENDLY,
        external_id=replaces,
        to=uri,
    )
    return (moved, booked)


def _canceled(payload: _Payload, at: datetime) -> Sequence[BookingEvent] | Unusable:
    """Read a cancellation, for which the invitee's URI is enough: nothing else may keep it from counting."""
    uri = id_of(payload.uri)
    if uri is None:
        return _MALFORMED
    key = _key(_CANCELED, uri, payload)
    new = id_of(payload.new_invitee)
    if payload.rescheduled is True or new is not None:
        return (MovedAway(key=key, at=at, provider=Provider.CALENDLY, external_id=uri, to=new),)
    by = {"host": Party.HOST, "invitee": Party.INVITEE}.get(
        text_of(member(payload.cancellation, "canceler_type")) or ""
    )
    return (Cancelled(key=key, at=at, provider=Provider.CALENDLY, external_id=uri, by=by),)


def _no_show(event: str, payload: _Payload, at: datetime) -> Sequence[BookingEvent] | Unusable:
    """Read a no-show. The payload is the invitee; were it the mark itself, that names its ``invitee``.

    A mark can be set, taken back and set again, and nothing says that this touches ``updated_at`` of the
    invitee. So the key also has the URI of the mark, which is new each time, or else the event's own time.
    """
    uri = id_of(payload.invitee) or id_of(payload.uri)
    if uri is None:
        return _MALFORMED
    mark = id_of(member(payload.no_show, "uri")) or at.isoformat()
    return (
        NoShowMarked(
            key=_key(event, uri, payload, mark),
            at=at,
            provider=Provider.CALENDLY,
            external_id=uri,
            is_undone=event == _NO_SHOW_UNDONE,
        ),
    )


def _key(event: str, uri: str, payload: _Payload, *more: str) -> str:
    """Name the event. Calendly gives it no id, so it is what happened, to whom, in which state of them."""
    state = text_of(payload.updated_at) or text_of(payload.created_at) or ""
    return event_key(Provider.CALENDLY, event, uri, state, *more)


def _invitee_name(payload: _Payload) -> str | None:
    """Return the name; where event types ask for it in two fields, ``name`` still has both."""
    parts = (text_of(payload.first_name), text_of(payload.last_name))
    return text_of(payload.name) or text_of(" ".join(part for part in parts if part))


def _phones(payload: _Payload, options: ReadingOptions) -> Iterator[PhoneCandidate | None]:
    yield _candidate(payload.text_reminder_number, PhoneSource.REMINDER_NUMBER)
    for question, answer in _answers(payload):
        if options.asks_for_phone(question):
            yield _candidate(answer, PhoneSource.QUESTION)
    location = member(payload.scheduled_event, "location")
    # For an outbound call the host calls the invitee; for an inbound one the number is the host's. A location
    # without a type could be either, and is nobody's.
    if member(location, "type") == "outbound_call":
        number = member(location, "location")
        yield _candidate(member(number, "location") or number, PhoneSource.LOCATION)


def _candidate(value: object, source: PhoneSource) -> PhoneCandidate | None:
    raw = text_of(value)
    return None if raw is None else PhoneCandidate(raw, source)


def _locale(payload: _Payload, options: ReadingOptions) -> str | None:
    answers = (answer for question, answer in _answers(payload) if options.asks_for_language(question))
    return next(filter(None, map(language_tag, answers)), None)


def _answers(payload: _Payload) -> Iterator[tuple[object, object]]:
    asked = payload.questions_and_answers
    for pair in asked if isinstance(asked, list) else ():
        yield member(pair, "question"), member(pair, "answer")
