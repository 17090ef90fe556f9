"""Plays Calendly: appointments are booked, cancelled, moved and marked here, and webhooks tell of it.

Payloads have the shape that Calendly publishes (developer.calendly.com, *Webhook payload*), down to members
that nobody here reads, so that what works with this works with Calendly. Times in them are of the virtual
clock. The signature states the real time, by which its age is judged.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import httpx
import phonenumbers

from sms_engagement_runtime.appointment_follow_up.domain.bookings import Party, Provider, appointment_id
from sms_engagement_runtime.appointment_follow_up.domain.signatures import sign_calendly
from sms_local.failures import LocalCloudError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

SIGNATURE_HEADER = "Calendly-Webhook-Signature"

#: How long an appointment lasts unless its kind says otherwise.
USUAL_LENGTH = timedelta(minutes=30)

#: Webhooks that are remembered, the newest, to be sent once more.
_MOST_REMEMBERED = 500

_API = "https://api.calendly.com"
_LINKS = "https://calendly.com"
_HOST_NAME = "Maya Brooks"
_HOST_EMAIL = "maya.brooks@example.com"


class BookingSiteError(LocalCloudError):
    """The site did not do it; the message is a sentence for whoever asked."""


class WebhookError(BookingSiteError):
    """The webhook did not take what it was told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    """One booking, as the site knows it.

    Attributes
    ----------
    external_id
        The invitee's URI, which is what a booking goes by at Calendly.
    phone
        As it was typed, in E.164 or in any other notation; None where none was given.
    booked_at, starts_at, ends_at
        Virtual time, aware, in UTC.
    time_zone
        IANA zone of the invitee.
    is_cancelled
        Whether it will not take place, also since it was moved.
    moved_to, replaces
        External id of the one that took its place, and of the one whose place it took.
    is_no_show
        Whether the host has marked the invitee as absent.
    """

    external_id: str
    name: str
    phone: str | None
    event_name: str
    booked_at: datetime
    starts_at: datetime
    ends_at: datetime
    time_zone: str
    is_cancelled: bool = False
    moved_to: str | None = None
    replaces: str | None = None
    is_no_show: bool = False

    @property
    def appointment_id(self) -> str:
        """Key of the conversation about it."""
        return appointment_id(Provider.CALENDLY, self.external_id)

    @property
    def event(self) -> str:
        """URI of the scheduled event, which holds the invitee."""
        return self.external_id.partition("/invitees/")[0]

    @property
    def code(self) -> str:
        """The last part of its id, by which its links go."""
        return self.external_id.rpartition("/")[2]

    @property
    def reschedule_url(self) -> str:
        """Where the invitee would choose another time."""
        return f"{_LINKS}/reschedulings/{self.code}"


class Webhook(Protocol):
    """Takes what the site tells: a signed body and its headers; returns the status of the answer."""

    def __call__(self, body: bytes, headers: Mapping[str, str]) -> int:
        """Deliver it.

        Raises
        ------
        WebhookError
            When nobody answers.
        """
        ...


class HttpWebhook:
    """The URL that was given to Calendly.

    Parameters
    ----------
    client
        Carries the requests.
    url
        ``urls.calendly_webhook`` of the outputs.
    """

    def __init__(self, client: httpx.Client, url: str) -> None:
        self._client = client
        self._url = url

    def __call__(self, body: bytes, headers: Mapping[str, str]) -> int:
        """Post it."""
        try:
            return self._client.post(self._url, content=body, headers=headers).status_code
        except httpx.HTTPError as error:
            msg = f"The webhook does not answer ({type(error).__name__})."
            raise WebhookError(msg) from error


class BookingSite:
    """Where people book.

    Nothing counts as done that the webhook did not take: there are no attempts later, as Calendly makes them.
    May be used from several threads.

    Parameters
    ----------
    webhook
        Takes the webhooks.
    signing_key
        Returns the key that they are signed with.
    now
        Virtual time, aware.
    real_time
        Epoch seconds of the machine.
    new_code
        Makes the last part of an id.
    """

    def __init__(
        self,
        webhook: Webhook,
        *,
        signing_key: Callable[[], bytes],
        now: Callable[[], datetime],
        real_time: Callable[[], float] = time.time,
        new_code: Callable[[], str] = lambda: token_hex(8).upper(),
    ) -> None:
        self._webhook = webhook
        self._signing_key = signing_key
        self._now = now
        self._real_time = real_time
        self._new_code = new_code
        self._lock = Lock()
        self._known: dict[str, Appointment] = {}
        self._told: list[bytes] = []

    @property
    def appointments(self) -> tuple[Appointment, ...]:
        """Everything that was booked, cancelled or not, in the order of booking."""
        with self._lock:
            return tuple(self._known.values())

    @property
    def told(self) -> tuple[bytes, ...]:
        """Bodies of the webhooks that were delivered, oldest first: `deliver` sends one once more."""
        with self._lock:
            return tuple(self._told)

    def find(self, external_id: str) -> Appointment:
        """Return a booking.

        Raises
        ------
        BookingSiteError
            When there is none of this id.
        """
        with self._lock:
            known = self._known.get(external_id)
        if known is None:
            raise BookingSiteError("The booking site knows no such appointment.")
        return known

    def book(
        self,
        *,
        name: str,
        phone: str | None,
        event_name: str,
        starts_at: datetime,
        time_zone: str,
        lasts: timedelta = USUAL_LENGTH,
    ) -> Appointment:
        """Book an appointment, and tell of it.

        Raises
        ------
        WebhookError
            When the webhook does not take it; so for all that follow.
        """
        made = self._make(
            name=name,
            phone=phone,
            event_name=event_name,
            starts_at=starts_at,
            ends_at=starts_at + lasts,
            time_zone=time_zone,
        )
        self.deliver(_body(created(made, at=made.booked_at)))
        self._keep(made)
        return made

    def cancel(self, external_id: str, *, by: Party = Party.HOST) -> Appointment:
        """Cancel an appointment, and tell of it."""
        cancelled = replace(self.find(external_id), is_cancelled=True)
        self.deliver(_body(canceled(cancelled, at=self._now(), by=by)))
        self._keep(cancelled)
        return cancelled

    def move(
        self, external_id: str, starts_at: datetime, *, is_new_one_told_first: bool = False
    ) -> Appointment:
        """Move an appointment, and tell of it by two webhooks; return the one that took its place.

        Parameters
        ----------
        is_new_one_told_first
            Their order; Calendly documents none.
        """
        old = self.find(external_id)
        made = self._make(
            name=old.name,
            phone=old.phone,
            event_name=old.event_name,
            starts_at=starts_at,
            ends_at=starts_at + (old.ends_at - old.starts_at),
            time_zone=old.time_zone,
            replaces=old.external_id,
        )
        gone = replace(old, is_cancelled=True, moved_to=made.external_id)
        bodies = [
            _body(canceled(gone, at=made.booked_at, by=Party.INVITEE)),
            _body(created(made, at=made.booked_at)),
        ]
        for body in reversed(bodies) if is_new_one_told_first else bodies:
            self.deliver(body)
        self._keep(gone, made)
        return made

    def mark_no_show(self, external_id: str, *, is_undone: bool = False) -> Appointment:
        """Say that the invitee did not come, or take that back, and tell of it."""
        marked = replace(self.find(external_id), is_no_show=not is_undone)
        self.deliver(_body(no_show(marked, at=self._now(), code=self._new_code())))
        self._keep(marked)
        return marked

    def deliver(self, body: bytes) -> None:
        """Sign a webhook and send it, once.

        Raises
        ------
        WebhookError
            When it was not answered, or not with success.
        """
        headers = {
            "Content-Type": "application/json",
            SIGNATURE_HEADER: sign_calendly(body, self._signing_key(), self._real_time()),
        }
        status = self._webhook(body, headers)
        if not 200 <= status < 300:
            raise WebhookError(f"The webhook answered {status}, and not with success.")
        with self._lock:
            self._told = [*self._told, body][-_MOST_REMEMBERED:]

    def restore(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Learn from rows of the table ``conversations`` what was booked before this site was opened.

        Parameters
        ----------
        rows
            As plain values; those of other providers, and those without a booking, teach nothing.
        """
        known = sorted(filter(None, map(_booked, rows)), key=lambda one: one.booked_at)
        by_id = {one.appointment_id: one.external_id for one in known}
        with self._lock:
            for row in known:
                one = replace(row, moved_to=by_id.get(row.moved_to or ""))
                mine = self._known.get(one.external_id, one)
                # What the row says is over is over: another program may play Calendly, too.
                self._known[one.external_id] = replace(
                    mine,
                    is_cancelled=mine.is_cancelled or one.is_cancelled,
                    moved_to=mine.moved_to or one.moved_to,
                    is_no_show=one.is_no_show,
                )

    def forget(self) -> None:
        """Forget what was booked."""
        with self._lock:
            self._known.clear()
            self._told.clear()

    def _make(self, **fields: Any) -> Appointment:
        external_id = f"{_API}/scheduled_events/{self._new_code()}/invitees/{self._new_code()}"
        return Appointment(external_id=external_id, booked_at=self._now(), **fields)

    def _keep(self, *appointments: Appointment) -> None:
        with self._lock:
            self._known |= {one.external_id: one for one in appointments}


def site_of(
    outputs: Mapping[str, Any],
    *,
    client: httpx.Client,
    secrets: "SecretsManagerClient",
    now: Callable[[], datetime],
) -> BookingSite | None:
    """Return the booking site of a deployed cloud; None where no appointments are deployed there.

    Parameters
    ----------
    outputs
        As `sms_local.outputs.read_outputs` returns them.
    """
    url = outputs["urls"].get("calendly_webhook")
    key_arn = outputs["secrets"].get("calendly_signing_key")
    if url is None or key_arn is None:
        return None

    def signing_key() -> bytes:
        # Each time: the key may have been rotated.
        return secrets.get_secret_value(SecretId=key_arn)["SecretString"].encode()

    return BookingSite(HttpWebhook(client, url), signing_key=signing_key, now=now)


# --- payloads


def created(appointment: Appointment, *, at: datetime) -> dict[str, Any]:
    """Return the webhook that tells of a booking."""
    return _webhook("invitee.created", {**_invitee(appointment), "status": "active"}, at)


def canceled(appointment: Appointment, *, at: datetime, by: Party) -> dict[str, Any]:
    """Return the webhook that tells that an appointment will not take place, or was moved."""
    payload = _invitee(appointment) | {
        "rescheduled": appointment.moved_to is not None,
        "status": "canceled",
        "updated_at": _stamp(at),
        "cancellation": {
            "canceled_by": appointment.name if by is Party.INVITEE else _HOST_NAME,
            "reason": "",
            "canceler_type": by.value,
            "created_at": _stamp(at),
        },
    }
    payload["scheduled_event"]["status"] = "canceled"
    return _webhook("invitee.canceled", payload, at)


def no_show(appointment: Appointment, *, at: datetime, code: str) -> dict[str, Any]:
    """Return the webhook that tells that an invitee was marked as absent, or is so no longer.

    Parameters
    ----------
    code
        Last part of the mark's own URI.
    """
    event = "invitee_no_show.created" if appointment.is_no_show else "invitee_no_show.deleted"
    mark = {"uri": f"{_API}/invitee_no_shows/{code}", "created_at": _stamp(at)}
    payload = _invitee(appointment) | {"status": "active", "updated_at": _stamp(at), "no_show": mark}
    return _webhook(event, payload, at)


def _webhook(event: str, payload: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    return {
        "created_at": _stamp(at),
        "created_by": f"{_API}/users/DEMOSTORE",
        "event": event,
        "payload": payload,
    }


def _invitee(appointment: Appointment) -> dict[str, Any]:
    booked_at = _stamp(appointment.booked_at)
    return {
        "cancel_url": f"{_LINKS}/cancellations/{appointment.code}",
        "created_at": booked_at,
        "email": "customer@example.com",
        "event": appointment.event,
        "name": appointment.name,
        "new_invitee": appointment.moved_to,
        "old_invitee": appointment.replaces,
        "questions_and_answers": [],
        "reschedule_url": appointment.reschedule_url,
        "rescheduled": False,
        "status": "active",
        "text_reminder_number": _as_calendly_writes(appointment.phone),
        "timezone": appointment.time_zone,
        "tracking": {
            "utm_campaign": None,
            "utm_source": None,
            "utm_medium": None,
            "utm_content": None,
            "utm_term": None,
            "salesforce_uuid": None,
        },
        "updated_at": booked_at,
        "uri": appointment.external_id,
        "scheduled_event": {
            "uri": appointment.event,
            "name": appointment.event_name,
            "meeting_notes_plain": None,
            "meeting_notes_html": None,
            "status": "active",
            "start_time": _stamp(appointment.starts_at),
            "end_time": _stamp(appointment.ends_at),
            "event_type": f"{_API}/event_types/DEMOSTORE",
            "location": {"type": "physical", "location": "12 Canal Street"},
            "invitees_counter": {"total": 1, "active": 1, "limit": 1},
            "created_at": booked_at,
            "updated_at": booked_at,
            "event_memberships": [
                {
                    "user": f"{_API}/users/DEMOSTORE",
                    "user_email": _HOST_EMAIL,
                    "user_name": _HOST_NAME,
                }
            ],
            "event_guests": [],
        },
    }


def _body(webhook: Mapping[str, Any]) -> bytes:
    return json.dumps(webhook, ensure_ascii=False, separators=(",", ":")).encode()


def _stamp(at: datetime) -> str:
    """Return an instant as Calendly writes it, to the microsecond."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _as_calendly_writes(phone: str | None) -> str | None:
    """Return a number in groups, as ``text_reminder_number`` has it: +1 404-555-1234."""
    if phone is None:
        return None
    try:
        number = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return phone
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def _booked(row: Mapping[str, Any]) -> Appointment | None:
    """Return the booking in a row; where it was moved to, as the id in our own tables."""
    needed = ("externalId", "startsAt", "endsAt", "bookedAt")
    if row.get("provider") != Provider.CALENDLY or any(row.get(name) is None for name in needed):
        return None
    status = row.get("status")
    return Appointment(
        external_id=row["externalId"],
        name=row.get("inviteeName") or "",
        phone=row.get("phoneNumber"),
        event_name=row.get("eventName") or "",
        booked_at=_instant(row["bookedAt"]),
        starts_at=_instant(row["startsAt"]),
        ends_at=_instant(row["endsAt"]),
        time_zone=row.get("timeZone") or "UTC",
        is_cancelled=status in ("CANCELED", "RESCHEDULED"),
        moved_to=row.get("movedTo"),
        replaces=row.get("replacesExternalId"),
        is_no_show=status == "NO_SHOW",
    )


def _instant(seconds: Any) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC)
