"""What booking providers tell: one vocabulary, whichever provider it comes from.

A provider's adapter turns an authentic payload into these values and decides nothing else. A third provider
is one more adapter.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Provider(StrEnum):
    """Where bookings come from. The value is part of appointment ids, and of the webhook's path."""

    CALENDLY = "calendly"
    CALCOM = "calcom"


class Party(StrEnum):
    """Who cancelled."""

    HOST = "host"
    INVITEE = "invitee"


class PhoneSource(StrEnum):
    """Where in a booking a phone number stood."""

    REMINDER_NUMBER = "reminder-number"
    QUESTION = "question"
    LOCATION = "location"


@dataclass(frozen=True, slots=True)
class PhoneCandidate:
    """A text that may be the invitee's phone number, as it was typed.

    Attributes
    ----------
    raw
        In whatever notation; never printed.
    """

    raw: str
    source: PhoneSource

    def __repr__(self) -> str:
        return f"PhoneCandidate({self.source})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """An appointment as its provider describes it.

    Attributes
    ----------
    external_id
        The provider's own id: Calendly's invitee URI, Cal.com's booking uid.
    booked_at, starts_at, ends_at
        Aware, UTC.
    event_name
        What was booked; at most 200 characters.
    invitee_name, host_name
        As given, at most 200 characters; None where not given.
    phones
        Candidates in the order in which they are tried: reminder number, configured question, location.
    time_zone
        IANA zone of the invitee as given; whether it exists is looked up later.
    locale
        Language tag of the invitee; None where the provider does not say (Calendly never does, except in a
        question that was configured for it).
    reschedule_url, cancel_url
        The invitee's own links; None where there are none.
    replaces
        External id of the appointment that this one was moved from.
    by_invitee
        Whether it is the invitee who made it, just now: not so where a host agrees to it later, or moves it,
        or where nobody says who moved it. Somebody who did nothing is not texted at night for it.
    """

    provider: Provider
    external_id: str
    booked_at: datetime
    starts_at: datetime
    ends_at: datetime
    event_name: str
    invitee_name: str | None = None
    host_name: str | None = None
    phones: tuple[PhoneCandidate, ...] = ()
    time_zone: str | None = None
    locale: str | None = None
    reschedule_url: str | None = None
    cancel_url: str | None = None
    replaces: str | None = None
    by_invitee: bool = True

    @property
    def appointment_id(self) -> str:
        """Key of the appointment in our tables, executions and events."""
        return appointment_id(self.provider, self.external_id)


def appointment_id(provider: Provider, external_id: str) -> str:
    """Derive the id of an appointment: 27 characters of unpadded base64url, fit for an execution's name."""
    joined = json.dumps([provider.value, external_id]).encode("ascii")
    return urlsafe_b64encode(hashlib.sha256(joined).digest()[:20]).rstrip(b"=").decode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """An appointment was made, or another one was moved to it.

    Attributes
    ----------
    key
        Of the provider's event: the same for every delivery of it, and for no other event of the
        appointment. At most 64 characters.
    at
        When it happened, as the provider says; aware, UTC.
    """

    key: str
    at: datetime
    booking: Booking

    @property
    def appointment_id(self) -> str:
        """Of the appointment."""
        return self.booking.appointment_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """An appointment was cancelled, and not moved."""

    key: str
    at: datetime
    provider: Provider
    external_id: str
    by: Party | None = None

    @property
    def appointment_id(self) -> str:
        """Of the appointment."""
        return appointment_id(self.provider, self.external_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedAway:
    """An appointment ended since another one took its place.

    Attributes
    ----------
    to
        External id of the other one; None where the provider does not say.
    """

    key: str
    at: datetime
    provider: Provider
    external_id: str
    to: str | None = None

    @property
    def appointment_id(self) -> str:
        """Of the appointment that ended."""
        return appointment_id(self.provider, self.external_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoShowMarked:
    """The host says that the invitee did not come; with ``is_undone``, that they did after all."""

    key: str
    at: datetime
    provider: Provider
    external_id: str
    is_undone: bool = False

    @property
    def appointment_id(self) -> str:
        """Of the appointment."""
        return appointment_id(self.provider, self.external_id)


type BookingEvent = Booked | Cancelled | MovedAway | NoShowMarked


class SkipReason(StrEnum):
    """Why an authentic webhook, or the appointment in it, leads to no text. Recorded and counted."""

    MALFORMED_PAYLOAD = "MALFORMED_PAYLOAD"
    """No JSON, or not what the provider's events look like."""
    TOO_LARGE = "TOO_LARGE"
    """Longer than any event of the provider."""
    UNKNOWN_EVENT = "UNKNOWN_EVENT"
    """An event that we do not know."""
    NOT_AN_APPOINTMENT = "NOT_AN_APPOINTMENT"
    """An event that we know, about something else: routing forms, payments, recordings."""
    GROUP_BOOKING = "GROUP_BOOKING"
    """A booking with seats, all of which have one id: whom it is about could not be told apart."""
    STALE_EVENT = "STALE_EVENT"
    """An event from a provider that signs no time, older than a day."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """An authentic payload without anything to do."""

    reason: SkipReason
