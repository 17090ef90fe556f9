"""Webhooks of Cal.com as booking events.

Payload version 2021-10-20. Source: Cal.com, *Webhooks*, and its code: triggers in ``packages/prisma``
(``WebhookTriggerEvents``), payloads in ``packages/features/webhooks/lib/sendPayload.ts``, no-shows in
``packages/features/handleMarkNoShow.ts``, links in ``packages/lib/CalEventParser.ts``. As with Calendly,
nothing but ids and instants can make a payload unusable.

What this does not do:

- An event with several attendees, or with seats, is read as one appointment of the first attendee, who made
  the booking. Others get no text. A webhook about one of several seats names the booking, so counts for it.
- Cancelling all that remains of a series sends one webhook, for one of its bookings.
- A hook with a template of its own has any body, and mostly an unusable one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote, urlsplit

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

MAX_AGE: Final = timedelta(hours=24)
"""An older event is a replay, or a fault mended by hand: no time is signed, and our memory of ids ends."""

_CREATED: Final = "BOOKING_CREATED"
_REQUESTED: Final = "BOOKING_REQUESTED"
_RESCHEDULED: Final = "BOOKING_RESCHEDULED"
_CANCELLED: Final = "BOOKING_CANCELLED"
_REJECTED: Final = "BOOKING_REJECTED"
_NO_SHOW: Final = "BOOKING_NO_SHOW_UPDATED"
_OF_BOOKINGS: Final = frozenset({_CREATED, _REQUESTED, _RESCHEDULED, _CANCELLED, _REJECTED, _NO_SHOW})
_OF_OTHER_THINGS: Final = frozenset(
    {
        "AFTER_GUESTS_CAL_VIDEO_NO_SHOW",
        "AFTER_HOSTS_CAL_VIDEO_NO_SHOW",
        "BOOKING_PAID",
        "BOOKING_PAYMENT_INITIATED",
        "CALENDAR_ENTRY_REJECTED",
        "DELEGATION_CREDENTIAL_ERROR",
        "DELEGATION_CREDENTIAL_ROTATION_REQUIRED",
        "DELEGATION_CREDENTIAL_SECRET_ROTATED",
        "DELEGATION_CREDENTIAL_SECRET_ROTATION_FAILED",
        "FORM_SUBMITTED",
        "FORM_SUBMITTED_NO_EVENT",
        "INSTANT_MEETING",
        "INSTANT_MEETING_ACCEPTED",
        # These two are flat: the booking beside the trigger, and no payload.
        "MEETING_ENDED",
        "MEETING_STARTED",
        "OOO_CREATED",
        # Of the "ping test" in the settings.
        "PING",
        "RECORDING_READY",
        "RECORDING_TRANSCRIPTION_GENERATED",
        "ROUTING_FORM_FALLBACK_HIT",
        "WRONG_ASSIGNMENT_REPORT",
    }
)


class _Envelope(msgspec.Struct, rename="camel"):
    trigger_event: object = None
    created_at: object = None
    payload: msgspec.Raw = msgspec.Raw(b"null")


class _Payload(msgspec.Struct, rename="camel"):
    """Members of a booking that are used. Of any type, so that one of an unexpected type reads as missing."""

    uid: object = None
    event_title: object = None
    start_time: object = None
    end_time: object = None
    status: object = None
    organizer: object = None
    attendees: object = None
    responses: object = None
    user_fields_responses: object = None
    sms_reminder_number: object = None
    booker_url: object = None
    platform_client_id: object = None
    seats_per_time_slot: object = None
    requires_confirmation: object = None
    reschedule_uid: object = None
    rescheduled_by: object = None
    cancelled_by: object = None
    booking_uid: object = None


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_PAYLOAD: Final = msgspec.json.Decoder(_Payload)

_MALFORMED: Final = Unusable(SkipReason.MALFORMED_PAYLOAD)
_NO_APPOINTMENT: Final = Unusable(SkipReason.NOT_AN_APPOINTMENT)


def read(body: bytes, options: ReadingOptions) -> Sequence[BookingEvent] | Unusable:
    """Read an authentic body; never raises.

    A booking that waits for the host's yes is no appointment yet: ``BOOKING_CREATED`` with the status
    ``ACCEPTED`` follows. One that was moved, on the other hand, is over at that moment, whether or not the
    host still has to agree to the new time (Cal.com, ``handleNewBooking/createBooking.ts``: the original
    becomes ``CANCELLED``), so that ``BOOKING_REQUESTED`` with ``rescheduleUid`` ends it.

    ``createdAt`` more than a day from ``received_at``, either way, is ``STALE_EVENT``, whatever it says.
    """
    if len(body) > MAX_BODY_BYTES:
        return Unusable(SkipReason.TOO_LARGE)
    envelope = decode(_ENVELOPE, body)
    if envelope is None or not isinstance(envelope.trigger_event, str):
        return _MALFORMED
    trigger = envelope.trigger_event
    if trigger not in _OF_BOOKINGS:
        return _NO_APPOINTMENT if trigger in _OF_OTHER_THINGS else Unusable(SkipReason.UNKNOWN_EVENT)
    payload = decode(_PAYLOAD, envelope.payload)
    at = instant_of(envelope.created_at)
    if payload is None or at is None:
        return _MALFORMED
    if abs(options.received_at - at) > MAX_AGE:
        return Unusable(SkipReason.STALE_EVENT)
    if payload.seats_per_time_slot is not None:
        # All seats have the booking's `uid`, and each webhook may be about another one: a text could go to
        # the wrong person, and one who leaves would end it for all.
        return Unusable(SkipReason.GROUP_BOOKING)
    if trigger == _NO_SHOW:
        return _no_show(payload, at)
    if trigger in (_CANCELLED, _REJECTED):
        return _cancelled(trigger, payload, at)
    return _booked(trigger, payload, at, options)


def _booked(
    trigger: str, payload: _Payload, at: datetime, options: ReadingOptions
) -> Sequence[BookingEvent] | Unusable:
    """Read a booking, new or moved.

    A moved one has a new ``uid``, and the old one in ``rescheduleUid``: the old appointment ends first. Where
    both are the same, or there is no old one, as where a host was replaced, it is the same appointment with
    another time: `Booked` again, without `MovedAway` and ``replaces``, so that it does not end itself.
    """
    uid = id_of(payload.uid)
    if uid is None:
        return _MALFORMED
    old = id_of(payload.reschedule_uid)
    replaces = None if old == uid else old
    events: list[BookingEvent] = []
    if replaces is not None:
        key = _key(trigger, uid, at, "moved-from")
        events.append(MovedAway(key=key, at=at, provider=Provider.CALCOM, external_id=replaces, to=uid))
    if trigger != _REQUESTED and _is_accepted(payload.status):
        booking = _booking(uid, replaces, payload, at, options, by_invitee=_is_by_invitee(trigger, payload))
        if booking is None:
            return _MALFORMED
        events.append(Booked(key=_key(trigger, uid, at), at=at, booking=booking))
    return tuple(events) or _NO_APPOINTMENT


def _is_by_invitee(trigger: str, payload: _Payload) -> bool:
    """Whether the invitee did this just now.

    A host agrees to a request whenever they look at it. Who moved a booking is in ``rescheduledBy``, an
    e-mail address that newer versions of Cal.com send.
    """
    if trigger == _CREATED:
        return payload.requires_confirmation is not True
    address = _address(payload.rescheduled_by)
    attendees = payload.attendees if isinstance(payload.attendees, list) else []
    return address is not None and any(address == _address(member(one, "email")) for one in attendees)


def _is_accepted(status: object) -> bool:
    """Whether the host agreed; where there is no status, the trigger alone says so."""
    return status is None or (isinstance(status, str) and status.upper() == "ACCEPTED")


def _booking(
    uid: str,
    replaces: str | None,
    payload: _Payload,
    at: datetime,
    options: ReadingOptions,
    *,
    by_invitee: bool,
) -> Booking | None:
    starts_at = instant_of(payload.start_time)
    ends_at = starts_at if payload.end_time is None else instant_of(payload.end_time)
    if starts_at is None or ends_at is None:
        return None
    attendee = first(payload.attendees)
    reschedule_url, cancel_url = _links(uid, payload)
    return Booking(
        provider=Provider.CALCOM,
        external_id=uid,
        booked_at=at,
        starts_at=starts_at,
        ends_at=max(starts_at, ends_at),
        # Not `title`: it holds the names of both sides, and the name of what was booked goes to the bus.
        event_name=text_of(payload.event_title) or "",
        invitee_name=text_of(member(attendee, "name")),
        host_name=text_of(member(payload.organizer, "name")),
        phones=distinct_phones(_phones(attendee, payload, options)),
        time_zone=text_of(member(attendee, "timeZone")),
        locale=_locale(attendee, payload, options),
        reschedule_url=reschedule_url,
        cancel_url=cancel_url,
        replaces=replaces,
        by_invitee=by_invitee,
    )


def _cancelled(trigger: str, payload: _Payload, at: datetime) -> Sequence[BookingEvent] | Unusable:
    """Read a cancellation, for which the ``uid`` is enough: nothing else may keep it from counting."""
    uid = id_of(payload.uid)
    if uid is None:
        return _MALFORMED
    by = _party(payload)
    return (Cancelled(key=_key(trigger, uid, at), at=at, provider=Provider.CALCOM, external_id=uid, by=by),)


def _party(payload: _Payload) -> Party | None:
    """Tell who cancelled by ``cancelledBy``, an e-mail address; newer versions of Cal.com send it."""
    address = _address(payload.cancelled_by)
    if address is None:
        return None
    if address == _address(member(payload.organizer, "email")):
        return Party.HOST
    attendees = payload.attendees if isinstance(payload.attendees, list) else []
    return Party.INVITEE if any(address == _address(member(one, "email")) for one in attendees) else None


def _address(value: object) -> str | None:
    text = text_of(value)
    return None if text is None else text.casefold()


def _no_show(payload: _Payload, at: datetime) -> Sequence[BookingEvent] | Unusable:
    """Read ``{message, bookingUid, bookingId?, attendees: [{email, noShow}]}``.

    The attendees are those whose mark was changed, by their address alone, which is not kept. Where it was
    changed for several, one who came is enough to spare everybody the text.
    """
    uid = id_of(payload.booking_uid)
    attendees = payload.attendees
    if uid is None or not isinstance(attendees, list):
        return _MALFORMED
    marks = [member(attendee, "noShow") for attendee in attendees]
    if not marks or not all(isinstance(mark, bool) for mark in marks):
        # Nothing was said about anybody but the host.
        return _NO_APPOINTMENT
    return (
        NoShowMarked(
            key=_key(_NO_SHOW, uid, at),
            at=at,
            provider=Provider.CALCOM,
            external_id=uid,
            is_undone=not all(marks),
        ),
    )


def _key(trigger: str, uid: str, at: datetime, *more: str) -> str:
    """Name the event. Cal.com gives none an id, so it is what happened, to which booking, and when."""
    return event_key(Provider.CALCOM, trigger, uid, at.isoformat(), *more)


def _links(uid: str, payload: _Payload) -> tuple[str | None, str | None]:
    """Return the invitee's links for another time and for cancelling.

    None for bookings by a platform's own pages, which are elsewhere.

    Source: Cal.com, ``CalEventParser.ts``, ``getRescheduleLink`` and ``getCancelLink``.
    """
    base = https_url_of(payload.booker_url)
    if base is None or payload.platform_client_id is not None:
        return None, None
    try:
        parts = urlsplit(base)
    except ValueError:
        return None, None
    if not parts.hostname or parts.query or parts.fragment:
        return None, None
    base, path = base.rstrip("/"), quote(uid, safe="")
    return (
        https_url_of(f"{base}/reschedule/{path}"),
        https_url_of(f"{base}/booking/{path}?cancel=true"),
    )


def _phones(attendee: object, payload: _Payload, options: ReadingOptions) -> Iterator[PhoneCandidate | None]:
    yield _candidate(payload.sms_reminder_number, PhoneSource.REMINDER_NUMBER)
    yield _candidate(_response(payload, "smsReminderNumber"), PhoneSource.REMINDER_NUMBER)
    yield _candidate(member(attendee, "phoneNumber"), PhoneSource.QUESTION)
    yield _candidate(_response(payload, "attendeePhoneNumber"), PhoneSource.QUESTION)
    for questions, answer in _answers(payload):
        if any(options.asks_for_phone(question) for question in questions):
            yield _candidate(answer, PhoneSource.QUESTION)
    location = _response(payload, "location")
    # "phone" is the attendee's; "userPhone" is the host's.
    if member(location, "value") == "phone":
        yield _candidate(member(location, "optionValue"), PhoneSource.LOCATION)


def _candidate(value: object, source: PhoneSource) -> PhoneCandidate | None:
    # A question of the type "number" is answered with one.
    raw = str(value) if type(value) is int and 0 < value < 10**15 else text_of(value)
    return None if raw is None else PhoneCandidate(raw, source)


def _locale(attendee: object, payload: _Payload, options: ReadingOptions) -> str | None:
    """Return the language that was chosen where it was asked for; else that of the booking page."""
    for questions, answer in _answers(payload):
        if any(options.asks_for_language(question) for question in questions):
            tag = language_tag(answer)
            if tag is not None:
                return tag
    return language_tag(member(member(attendee, "language"), "locale"))


def _answers(payload: _Payload) -> Iterator[tuple[tuple[object, object], object]]:
    """Return the label and the key of each field of the form, and what was entered."""
    for fields in (payload.responses, payload.user_fields_responses):
        for key, field in fields.items() if isinstance(fields, dict) else ():
            yield (member(field, "label"), key), _value(field)


def _response(payload: _Payload, key: str) -> object:
    return _value(member(payload.responses, key))


def _value(field: object) -> object:
    """Return what was entered: ``{label, value?}``, and in payloads of before 2023 the value itself."""
    return field.get("value") if isinstance(field, dict) else field
