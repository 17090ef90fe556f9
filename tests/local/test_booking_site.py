"""The booking site plays Calendly: what it sends is what Calendly would send."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from sms_engagement_runtime.appointment_follow_up.adapters import calendly
from sms_engagement_runtime.appointment_follow_up.domain.bookings import (
    Booked,
    Cancelled,
    MovedAway,
    NoShowMarked,
    Party,
    PhoneSource,
)
from sms_engagement_runtime.appointment_follow_up.domain.bookings_reading import ReadingOptions
from sms_engagement_runtime.appointment_follow_up.domain.signatures import SignatureResult, verify_calendly
from sms_local.booking_site import (
    SIGNATURE_HEADER,
    Appointment,
    BookingSite,
    BookingSiteError,
    HttpWebhook,
    WebhookError,
    site_of,
)

SAMPLES = Path(__file__).parent.parent / "events"
KEY = b"a key of the tests"
NOW = datetime(2026, 11, 21, 17, 0, 5, 250_000, tzinfo=UTC)
START = datetime(2026, 11, 23, 20, tzinfo=UTC)
REAL_TIME = 1_764_000_000.9


class Webhook:
    """Keeps what it is told; answers as a test says."""

    def __init__(self) -> None:
        self.taken: list[tuple[bytes, Mapping[str, str]]] = []
        self.answers: list[int] = []

    def __call__(self, body: bytes, headers: Mapping[str, str]) -> int:
        self.taken.append((body, headers))
        return self.answers.pop(0) if self.answers else 202

    @property
    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body, _ in self.taken]


@pytest.fixture
def webhook() -> Webhook:
    return Webhook()


@pytest.fixture
def site(webhook: Webhook) -> BookingSite:
    codes = count(1)
    return BookingSite(
        webhook,
        signing_key=lambda: KEY,
        now=lambda: NOW,
        real_time=lambda: REAL_TIME,
        new_code=lambda: f"CODE{next(codes):012}",
    )


def book(site: BookingSite, **further: Any) -> Appointment:
    fields: dict[str, Any] = {
        "name": "John Doe",
        "phone": "+14045550101",
        "event_name": "Coffee tasting",
        "starts_at": START,
        "time_zone": "America/New_York",
    }
    return site.book(**fields | further)


def shape(value: Any) -> Any:
    """Names of the members, at every depth; what a location has depends on its type."""
    if isinstance(value, dict):
        return {
            name: shape(member) for name, member in value.items() if name not in ("location", "event_guests")
        }
    return [shape(member) for member in value[:1]] if isinstance(value, list) else None


# --- payloads


@pytest.mark.parametrize(
    ("act", "sample"),
    [
        (book, "invitee.created-sms-number"),
        (lambda site: site.cancel(book(site).external_id), "invitee.canceled"),
        (lambda site: site.mark_no_show(book(site).external_id), "invitee_no_show.created"),
        (lambda site: site.move(book(site).external_id, START), "invitee.created-rescheduled"),
        (
            lambda site: site.move(book(site).external_id, START, is_new_one_told_first=True),
            "invitee.canceled-rescheduled",
        ),
    ],
)
def test_payloads_have_the_shape_of_calendlys_samples(
    site: BookingSite, webhook: Webhook, act: Callable[[BookingSite], object], sample: str
) -> None:
    published = json.loads((SAMPLES / f"calendly-{sample}.json").read_text())

    act(site)

    told = webhook.told[-1]
    assert told["event"] == published["event"]
    assert shape(told) == shape(published)
    for name in ("status", "rescheduled"):
        assert told["payload"][name] == published["payload"][name]


def read(told: tuple[bytes, Mapping[str, str]]) -> Any:
    return calendly.read(told[0], ReadingOptions(received_at=NOW))


def test_a_booking_is_read_as_it_was_made(site: BookingSite, webhook: Webhook) -> None:
    booked = book(site)

    [event] = read(webhook.taken[0])
    assert isinstance(event, Booked)
    assert event.appointment_id == booked.appointment_id
    assert event.at == event.booking.booked_at == NOW
    assert (event.booking.starts_at, event.booking.ends_at) == (START, START + timedelta(minutes=30))
    assert (event.booking.invitee_name, event.booking.event_name) == ("John Doe", "Coffee tasting")
    assert event.booking.time_zone == "America/New_York"
    assert event.booking.reschedule_url is not None
    assert event.booking.cancel_url is not None
    [phone] = event.booking.phones
    assert (phone.raw, phone.source) == ("+1 404-555-0101", PhoneSource.REMINDER_NUMBER)


@pytest.mark.parametrize(("phone", "written"), [(None, None), ("not a number", "not a number")])
def test_what_is_no_number_is_told_as_it_was_typed(
    site: BookingSite, webhook: Webhook, phone: str | None, written: str | None
) -> None:
    book(site, phone=phone)

    assert webhook.told[0]["payload"]["text_reminder_number"] == written


@pytest.mark.parametrize("by", list(Party))
def test_a_cancellation_says_who_cancelled(site: BookingSite, webhook: Webhook, by: Party) -> None:
    booked = book(site)

    cancelled = site.cancel(booked.external_id, by=by)

    [event] = read(webhook.taken[-1])
    assert isinstance(event, Cancelled)
    assert (event.appointment_id, event.by) == (booked.appointment_id, by)
    assert cancelled.is_cancelled
    assert site.appointments == (cancelled,)


@pytest.mark.parametrize("is_new_one_told_first", [False, True])
def test_a_move_is_two_webhooks_in_either_order(
    site: BookingSite, webhook: Webhook, is_new_one_told_first: bool
) -> None:
    old = book(site)

    new = site.move(old.external_id, START + timedelta(days=1), is_new_one_told_first=is_new_one_told_first)

    order = [one["event"] for one in webhook.told[1:]]
    assert order == (["invitee.canceled", "invitee.created"][:: -1 if is_new_one_told_first else 1])
    events = [event for told in webhook.taken[1:] for event in read(told)]
    moved = {(one.appointment_id, one.to) for one in events if isinstance(one, MovedAway)}
    assert moved == {(old.appointment_id, new.external_id)}
    [created] = [one for one in events if isinstance(one, Booked)]
    assert (created.appointment_id, created.booking.replaces) == (new.appointment_id, old.external_id)
    assert created.booking.starts_at == START + timedelta(days=1)
    gone, kept = site.appointments
    assert (gone.is_cancelled, gone.moved_to) == (True, new.external_id)
    assert (kept, kept.is_cancelled) == (new, False)


def test_a_no_show_is_marked_and_taken_back_and_marked_again_by_three_events(
    site: BookingSite, webhook: Webhook
) -> None:
    booked = book(site)

    marks = [site.mark_no_show(booked.external_id, is_undone=undone) for undone in (False, True, False)]

    events = [event for told in webhook.taken[1:] for event in read(told)]
    assert all(isinstance(one, NoShowMarked) for one in events)
    assert [one.is_undone for one in events] == [False, True, False]
    assert {one.appointment_id for one in events} == {booked.appointment_id}
    assert len({one.key for one in events}) == 3
    assert [one.is_no_show for one in marks] == [True, False, True]


def test_two_bookings_of_one_person_are_two(site: BookingSite) -> None:
    first, second = book(site), book(site)

    assert first.appointment_id != second.appointment_id
    assert site.appointments == (first, second)


# --- signatures and delivery


def test_a_webhook_is_signed_as_calendly_signs_by_the_real_time(site: BookingSite, webhook: Webhook) -> None:
    book(site, name="Łukasz 🎈")

    [(body, headers)] = webhook.taken
    header = headers[SIGNATURE_HEADER]
    assert header.startswith("t=1764000000,v1=")
    assert verify_calendly(header, body, [KEY], REAL_TIME) is SignatureResult.VALID
    assert verify_calendly(header, body, [KEY], NOW.timestamp()) is SignatureResult.STALE
    assert verify_calendly(header, body + b" ", [KEY], REAL_TIME) is SignatureResult.INVALID


def test_a_key_that_was_rotated_is_used_at_once(webhook: Webhook) -> None:
    keys = [b"old", b"new"]
    site = BookingSite(webhook, signing_key=lambda: keys.pop(0), now=lambda: NOW, real_time=lambda: REAL_TIME)

    book(site)
    book(site)

    for (body, headers), key in zip(webhook.taken, (b"old", b"new"), strict=True):
        assert verify_calendly(headers[SIGNATURE_HEADER], body, [key], REAL_TIME) is SignatureResult.VALID


def test_a_webhook_can_be_sent_once_more(site: BookingSite, webhook: Webhook) -> None:
    book(site)

    site.deliver(site.told[0])

    assert webhook.taken[0] == webhook.taken[1]
    assert len(site.appointments) == 1


@pytest.mark.parametrize("status", [302, 401, 404, 500])
def test_what_the_webhook_does_not_take_did_not_happen(
    site: BookingSite, webhook: Webhook, status: int
) -> None:
    booked = book(site)
    webhook.answers = [status] * 4

    for act in (
        lambda: book(site),
        lambda: site.cancel(booked.external_id),
        lambda: site.move(booked.external_id, START + timedelta(days=1)),
        lambda: site.mark_no_show(booked.external_id),
    ):
        with pytest.raises(WebhookError, match=f"The webhook answered {status}, and not with success"):
            act()

    assert site.appointments == (booked,)
    assert len(site.told) == 1


def test_a_webhook_that_does_not_answer_is_said_so() -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    url = "http://127.0.0.1:4570/webhooks/calendly"
    webhook = HttpWebhook(httpx.Client(transport=httpx.MockTransport(refuse)), url)

    with pytest.raises(WebhookError, match=r"The webhook does not answer \(ConnectError\)"):
        webhook(b"{}", {})


def test_nobody_can_cancel_what_was_never_booked(site: BookingSite, webhook: Webhook) -> None:
    with pytest.raises(BookingSiteError, match="knows no such appointment"):
        site.cancel("https://api.calendly.com/scheduled_events/X/invitees/Y")

    assert webhook.taken == []


# --- a cloud that is deployed


class Secrets:
    def get_secret_value(self, **wanted: str) -> dict[str, str]:
        assert wanted == {"SecretId": "arn:calendly"}
        return {"SecretString": KEY.decode()}


def test_a_deployed_cloud_is_told_at_its_webhook_with_its_key() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    url = "http://127.0.0.1:4570/_aws/execute-api/a1/$default/webhooks/calendly"
    outputs = {"urls": {"calendly_webhook": url}, "secrets": {"calendly_signing_key": "arn:calendly"}}
    client = httpx.Client(transport=httpx.MockTransport(answer))
    site = site_of(outputs, client=client, secrets=Secrets(), now=lambda: NOW)  # type: ignore[arg-type]
    assert site is not None

    book(site)

    [request] = seen
    assert str(request.url) == url
    assert request.headers["content-type"] == "application/json"
    header = request.headers[SIGNATURE_HEADER]
    real_time = float(header.partition(",")[0].removeprefix("t="))
    assert verify_calendly(header, request.content, [KEY], real_time) is SignatureResult.VALID


def test_a_cloud_without_appointments_has_no_booking_site() -> None:
    outputs: dict[str, Any] = {"urls": {}, "secrets": {}}

    assert site_of(outputs, client=httpx.Client(), secrets=Secrets(), now=lambda: NOW) is None  # type: ignore[arg-type]


# --- opened anew


def row(appointment: Appointment, **further: Any) -> dict[str, Any]:
    return {
        "appointmentId": appointment.appointment_id,
        "status": "CONFIRMED_SENT",
        "provider": "calendly",
        "externalId": appointment.external_id,
        "phoneNumber": "+14045550101",
        "inviteeName": appointment.name,
        "eventName": appointment.event_name,
        "timeZone": appointment.time_zone,
        "startsAt": appointment.starts_at.timestamp(),
        "endsAt": appointment.ends_at.timestamp(),
        "bookedAt": appointment.booked_at.timestamp(),
    } | further


def test_a_site_that_was_opened_anew_goes_on_with_what_the_table_knows(
    site: BookingSite, webhook: Webhook
) -> None:
    kept, gone = book(site), book(site)
    new = site.move(gone.external_id, START + timedelta(days=1))
    rows = [
        row(new, replaces=gone.appointment_id, replacesExternalId=gone.external_id),
        row(gone, status="RESCHEDULED", movedTo=new.appointment_id),
        row(kept, status="NO_SHOW"),
    ]
    opened = BookingSite(webhook, signing_key=lambda: KEY, now=lambda: NOW)

    opened.restore(rows)

    by_id = {one.external_id: one for one in opened.appointments}
    assert by_id.keys() == {one.external_id for one in site.appointments}
    assert by_id[gone.external_id] == site.find(gone.external_id)
    assert by_id[new.external_id] == site.find(new.external_id)
    assert by_id[kept.external_id].is_no_show
    opened.cancel(new.external_id)
    [event] = read(webhook.taken[-1])
    assert event.appointment_id == new.appointment_id


def test_what_another_program_ended_is_over_here_too(site: BookingSite) -> None:
    booked = book(site)

    site.restore([row(booked, status="CANCELED")])
    site.restore([row(booked, status="OPTED_OUT")])

    assert site.find(booked.external_id).is_cancelled


@pytest.mark.parametrize(
    "stranger",
    [
        {"appointmentId": "a1", "status": "CANCELED"},
        {"provider": "calcom", "externalId": "u1", "startsAt": 1, "endsAt": 2, "bookedAt": 0},
        {"provider": "calendly", "externalId": "u1", "startsAt": None, "endsAt": 2, "bookedAt": 0},
    ],
)
def test_rows_of_others_and_without_a_booking_teach_nothing(
    site: BookingSite, stranger: dict[str, Any]
) -> None:
    site.restore([stranger])

    assert site.appointments == ()


def test_everything_is_forgotten_on_request(site: BookingSite) -> None:
    book(site)

    site.forget()

    assert (site.appointments, site.told) == ((), ())
