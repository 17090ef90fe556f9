"""What may be handed to the webhooks, the answer that it gets, and the reason that is kept."""

import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest

from sms_engagement_runtime.appointment_follow_up.domain.bookings import Provider
from sms_local.booking_site import SIGNATURE_HEADER, Appointment, created
from sms_local.testing import Cloud, eventually
from tests.support.appointment_drive import (
    CALCOM_SIGNATURE_HEADER,
    calcom_body,
    created_body,
    new_appointment,
    new_uid,
    post_webhook,
    said_to,
    settle,
    signed,
    signing_key,
    take,
    webhook_function,
)
from tests.support.booking_payloads import put, sample
from tests.support.cloud_drive import client, new_phone, replace_customers

pytestmark = pytest.mark.cloud

CALENDLY, CALCOM = Provider.CALENDLY, Provider.CALCOM

ACCEPTED = (200, {"status": "accepted"})
IGNORED = (200, {"status": "ignored"})
UNAUTHORIZED = (401, {"message": "Unauthorized"})

REFUSED_LOG, UNUSABLE_LOG = "Webhook refused", "Webhook cannot be used"

_MEGABYTE = 1024 * 1024
_TOO_OLD = 200
"""Seconds; Calendly's tolerance is 180."""


@pytest.fixture(scope="module")
def own_cloud(running_cloud: Cloud) -> Iterator[Cloud]:
    """A cloud on its first day without customers, which is emptied again: conversations wait for days."""
    running_cloud.reset()
    replace_customers(running_cloud, [])
    yield running_cloud
    running_cloud.reset()


def answer_of(response: httpx.Response) -> tuple[int, Any]:
    """Return status and content, which never hold anything of the inside."""
    assert set(response.json()) <= {"status", "message"}
    assert not re.search(r"arn:|Traceback|Error|Exception|\.py|dynamodb|secret|amazon", response.text)
    assert response.headers["cache-control"] == "no-store"
    return response.status_code, response.json()


def varied_booking(appointment: Appointment, changes: Mapping[str, Any]) -> bytes:
    """Return the webhook of a booking with other values at some paths; ``...`` leaves one out."""
    document = created(appointment, at=appointment.booked_at)
    for path, value in changes.items():
        put(document, path.split("."), value)
    return json.dumps(document).encode()


type Line = tuple[str, str, str]
"""Message, provider, reason."""


def logged(cloud: Cloud) -> Counter[Line]:
    """Count what the webhook's function has logged."""
    configuration = client(cloud, "lambda").get_function_configuration(FunctionName=webhook_function(cloud))
    pages = client(cloud, "logs").get_paginator("filter_log_events")
    found: Counter[Line] = Counter()
    for page in pages.paginate(logGroupName=configuration["LoggingConfig"]["LogGroup"]):
        for line in (event["message"] for event in page["events"]):
            if line.startswith("{") and '"api_request_id"' in line:
                entry = json.loads(line)
                found[entry["message"], entry["provider"], entry["reason"]] += 1
    return found


@dataclass(frozen=True)
class Log:
    """What has to be in the webhook's log when all is over: its last lines come with the next call."""

    before: Counter[Line]
    expected: Counter[Line] = field(default_factory=Counter)

    def expect(self, message: str, provider: Provider, reason: str) -> None:
        self.expected[message, provider.value, reason] += 1


@pytest.fixture(scope="module")
def log(own_cloud: Cloud) -> Log:
    return Log(logged(own_cloud))


# --- who may speak at all


def test_a_new_key_counts_at_once_and_the_one_before_goes_on_for_a_while(own_cloud: Cloud) -> None:
    cloud, old_key, new_key = own_cloud, signing_key(own_cloud, CALCOM), b"a-key-that-was-chosen-later"

    def tell(key: bytes) -> int:
        starts_at = cloud.now() + timedelta(days=2)
        body = calcom_body(cloud, "BOOKING_CREATED", phone=new_phone(), uid=new_uid(), starts_at=starts_at)
        return post_webhook(cloud, CALCOM, body, signed(cloud, CALCOM, body, key=key)).status_code

    before = tell(old_key)
    secret = cloud.outputs["secrets"]["calcom_signing_key"]
    client(cloud, "secretsmanager").put_secret_value(SecretId=secret, SecretString=new_key.decode())
    # Whoever guesses keys has the secret read again twice a minute at the most.
    eventually(lambda: tell(new_key) == 200, what="the new key")

    assert before == 200
    assert tell(old_key) == 200
    assert tell(b"a-key-of-nobody") == 401


def _reencoded(cloud: Cloud, provider: Provider, body: bytes) -> tuple[bytes, dict[str, str]]:
    document = json.dumps(json.loads(body), indent=1).encode()
    assert document != body
    return body, signed(cloud, provider, document)


def _calendly_header(cloud: Cloud, body: bytes, change: str) -> dict[str, str]:
    headers = signed(cloud, CALENDLY, body)
    time, signature = headers[SIGNATURE_HEADER].split(",")
    values = {
        "empty": "",
        "without a time": signature,
        "without a signature": time,
        "with two times": f"{time},{time},{signature}",
        "with another time": f"t=1,{signature}",
        "with a time that is none": f"t=now,{signature}",
        "cut": f"{time},{signature[:-1]}",
        "of capitals": f"{time},{signature.upper()}",
        "too long": f"{time},{signature}," + ",".join(["v1=" + "0" * 64] * 100),
        "of other signs": f"{time},v1=%00%ff'\";--<script>",
    }
    return headers | {SIGNATURE_HEADER: values[change]}


@pytest.mark.parametrize(
    "change",
    [
        *("empty", "without a time", "without a signature", "with two times", "with another time"),
        *("with a time that is none", "cut", "of capitals", "too long", "of other signs"),
    ],
)
def test_a_malformed_signature_is_refused(own_cloud: Cloud, change: str) -> None:
    phone = new_phone()
    body = created_body(own_cloud, new_appointment(own_cloud, phone))

    response = post_webhook(own_cloud, CALENDLY, body, _calendly_header(own_cloud, body, change))

    assert answer_of(response) == UNAUTHORIZED
    assert own_cloud.conversation(phone) is None


@pytest.mark.parametrize("provider", [CALENDLY, CALCOM])
@pytest.mark.parametrize(
    "kind", ["none", "other key", "other body", "re-encoded", "base64", "other provider"]
)
def test_a_body_that_the_provider_did_not_sign_is_refused(
    own_cloud: Cloud, log: Log, provider: Provider, kind: str
) -> None:
    cloud, phone = own_cloud, new_phone()
    body = {
        CALENDLY: lambda: created_body(cloud, new_appointment(cloud, phone)),
        CALCOM: lambda: calcom_body(
            cloud, "BOOKING_CREATED", phone=phone, uid=new_uid(), starts_at=cloud.now() + timedelta(days=2)
        ),
    }[provider]()
    other = CALCOM if provider is CALENDLY else CALENDLY
    sent, headers = {
        "none": lambda: (body, {"Content-Type": "application/json"}),
        "other key": lambda: (body, signed(cloud, provider, body, key=b"another")),
        "other body": lambda: (body + b" ", signed(cloud, provider, body)),
        "re-encoded": lambda: _reencoded(cloud, provider, body),
        "base64": lambda: (b64encode(body), signed(cloud, provider, body)),
        "other provider": lambda: (body, signed(cloud, other, body)),
    }[kind]()
    log.expect(REFUSED_LOG, provider, "INVALID")

    response = post_webhook(cloud, provider, sent, headers)

    assert answer_of(response) == UNAUTHORIZED
    assert cloud.conversation(phone) is None


def test_a_hook_without_a_secret_is_refused(own_cloud: Cloud) -> None:
    body = sample("calcom-BOOKING_CREATED-with-phone")

    response = post_webhook(own_cloud, CALCOM, body, {CALCOM_SIGNATURE_HEADER: "no-secret-provided"})

    assert answer_of(response) == UNAUTHORIZED


@pytest.mark.parametrize("seconds_ago", [_TOO_OLD, -_TOO_OLD, 10**9])
def test_a_signature_of_another_time_is_refused_but_for_what_is_known(
    own_cloud: Cloud, log: Log, seconds_ago: int
) -> None:
    cloud, phone = own_cloud, new_phone()
    body = created_body(cloud, new_appointment(cloud, phone))
    headers = signed(cloud, CALENDLY, body, seconds_ago=seconds_ago)
    log.expect(REFUSED_LOG, CALENDLY, "STALE")

    first = post_webhook(cloud, CALENDLY, body, headers)
    unknown = cloud.conversation(phone)
    take(cloud, CALENDLY, body)
    settle(cloud)
    again = post_webhook(cloud, CALENDLY, body, headers)
    settle(cloud)

    assert answer_of(first) == UNAUTHORIZED
    assert unknown is None
    # The provider repeats what was not answered in time, and signs it once.
    assert answer_of(again) == ACCEPTED
    assert [text.purpose for text in said_to(cloud, phone)] == ["confirmation"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_there_is_nothing_but_post(own_cloud: Cloud, method: str) -> None:
    url = own_cloud.outputs["urls"]["calendly_webhook"]

    assert httpx.request(method, url, trust_env=False).status_code == 404


@pytest.mark.parametrize("path", ["acme", "calendly/more", "%2e%2e", "CALENDLY", ""])
def test_there_are_no_other_providers(own_cloud: Cloud, path: str) -> None:
    url = own_cloud.outputs["urls"]["calendly_webhook"].removesuffix("calendly") + path

    assert httpx.post(url, content=b"{}", trust_env=False).status_code == 404


# --- authentic, and of no use


def _padded(body: bytes) -> bytes:
    return body + b" " * (_MEGABYTE - len(body))


@pytest.mark.parametrize(
    ("provider", "body", "reason"),
    [
        pytest.param(CALENDLY, b"", "MALFORMED_PAYLOAD", id="no body"),
        pytest.param(CALENDLY, b'{"event": "invitee.cre', "MALFORMED_PAYLOAD", id="cut"),
        pytest.param(CALENDLY, b"hello", "MALFORMED_PAYLOAD", id="words"),
        pytest.param(CALENDLY, b"[" * 100_000, "MALFORMED_PAYLOAD", id="brackets"),
        pytest.param(CALENDLY, b'"event"', "MALFORMED_PAYLOAD", id="no object"),
        pytest.param(CALENDLY, b'{"event": 7}', "MALFORMED_PAYLOAD", id="a number for an event"),
        pytest.param(CALENDLY, b'{"event": "invitee.renamed"}', "UNKNOWN_EVENT", id="an unknown event"),
        pytest.param(
            CALENDLY,
            sample("calendly-routing_form_submission.created"),
            "NOT_AN_APPOINTMENT",
            id="a routing form",
        ),
        pytest.param(CALENDLY, _padded(sample("calendly-invitee.created")), "TOO_LARGE", id="1 MB"),
        pytest.param(CALCOM, b"triggerEvent=PING", "MALFORMED_PAYLOAD", id="a form"),
        pytest.param(CALCOM, b'{"triggerEvent": "PING"}', "NOT_AN_APPOINTMENT", id="a ping"),
        pytest.param(CALCOM, b'{"triggerEvent": "BOOKING_EATEN"}', "UNKNOWN_EVENT", id="an unknown trigger"),
        pytest.param(CALCOM, _padded(sample("calcom-BOOKING_CREATED")), "TOO_LARGE", id="1 MB of Cal.com"),
        # No time is signed, so that an old event may be a replay.
        pytest.param(CALCOM, sample("calcom-BOOKING_CREATED"), "STALE_EVENT", id="an event of long ago"),
    ],
)
def test_what_is_authentic_and_of_no_use_is_taken_and_its_reason_kept(
    own_cloud: Cloud, log: Log, provider: Provider, body: bytes, reason: str
) -> None:
    rows = len(own_cloud.rows("conversations"))
    log.expect(UNUSABLE_LOG, provider, reason)

    response = post_webhook(own_cloud, provider, body)

    assert answer_of(response) == IGNORED
    assert len(own_cloud.rows("conversations")) == rows


@pytest.mark.parametrize(
    "changes",
    [
        {"payload": None},
        {"payload": "invitee"},
        {"payload.uri": ...},
        {"payload.uri": 17},
        {"payload.uri": "x" * 5000},
        {"payload.scheduled_event": ...},
        {"payload.scheduled_event.start_time": ...},
        {"payload.scheduled_event.start_time": "soon"},
        {"payload.scheduled_event.start_time": "2027-02-30T10:00:00Z"},
        {"payload.scheduled_event.start_time": "2027-02-10T10:00:00"},
        {"created_at": "yesterday"},
    ],
    ids=str,
)
def test_a_booking_without_an_id_or_an_instant_is_taken_and_ignored(
    own_cloud: Cloud, changes: Mapping[str, Any]
) -> None:
    phone = new_phone()
    body = varied_booking(new_appointment(own_cloud, phone), changes)

    response = post_webhook(own_cloud, CALENDLY, body)

    assert answer_of(response) == IGNORED
    assert own_cloud.conversation(phone) is None


# --- bookings that nobody can be told of


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"payload.text_reminder_number": None}, "NO_PHONE"),
        ({"payload.text_reminder_number": ...}, "NO_PHONE"),
        ({"payload.text_reminder_number": "   "}, "NO_PHONE"),
        ({"payload.text_reminder_number": {"number": "+12075550100"}}, "NO_PHONE"),
        ({"payload.text_reminder_number": "call me"}, "INVALID_PHONE"),
        ({"payload.text_reminder_number": "12345"}, "INVALID_PHONE"),
        ({"payload.text_reminder_number": "+1 207 555 01"}, "INVALID_PHONE"),
        ({"payload.text_reminder_number": "9" * 5000}, "INVALID_PHONE"),
        ({"payload.text_reminder_number": "+44 20 7946 0199"}, "LANDLINE"),
        # Of those that ACMA sets aside for fiction.
        ({"payload.text_reminder_number": "+61 491 570 006"}, "COUNTRY_NOT_ALLOWED"),
        (
            {
                "payload.scheduled_event.start_time": "2027-01-31T10:00:00Z",
                "payload.scheduled_event.end_time": "2027-01-31T10:30:00Z",
            },
            "START_IN_PAST",
        ),
    ],
    ids=str,
)
def test_a_booking_that_nobody_can_be_told_of_is_kept_with_the_reason(
    own_cloud: Cloud, changes: Mapping[str, Any], reason: str
) -> None:
    appointment = new_appointment(own_cloud, new_phone())
    texts = len(own_cloud.texts())

    response = post_webhook(own_cloud, CALENDLY, varied_booking(appointment, changes))
    settle(own_cloud)

    assert answer_of(response) == ACCEPTED
    row = own_cloud.conversation(appointment)
    assert row is not None
    assert (row["status"], row["reason"]) == ("FAILED", reason)
    assert len(own_cloud.texts()) == texts


# --- bookings that are odd, and confirmed


def national(phone: str) -> str:
    """Return a number as an American writes it."""
    return f"({phone[2:5]}) {phone[5:8]}-{phone[8:]}"


@pytest.mark.parametrize(
    "changes",
    [
        lambda phone: {"payload.text_reminder_number": national(phone)},
        lambda phone: {"payload.text_reminder_number": f"1-{phone[2:5]}-{phone[5:8]}-{phone[8:]}"},
        lambda phone: {"payload.text_reminder_number": f"\u202a+1\u00a0{national(phone)}\u202c"},
        lambda phone: {
            "payload.text_reminder_number": None,
            "payload.questions_and_answers": [
                {"question": "Anything else?", "answer": "No", "position": 0},
                {"question": "Phone Number:", "answer": national(phone), "position": 1},
            ],
        },
        lambda phone: {
            "payload.text_reminder_number": "none",
            "payload.scheduled_event.location": {"type": "outbound_call", "location": phone},
        },
    ],
    ids=["national", "with a 1", "marks and spaces", "in a question", "in the location"],
)
def test_a_phone_number_is_found_wherever_and_however_it_stands(own_cloud: Cloud, changes: Any) -> None:
    phone = new_phone()
    body = varied_booking(new_appointment(own_cloud, phone), changes(phone))

    take(own_cloud, CALENDLY, body)
    settle(own_cloud)

    assert [text.purpose for text in said_to(own_cloud, phone)] == ["confirmation"]


@pytest.mark.parametrize("zone", ["Mars/Olympus_Mons", "", None, "EST5EDT; DROP", "../../etc/passwd", 7])
def test_a_time_zone_that_does_not_exist_leaves_the_host_s_named(own_cloud: Cloud, zone: Any) -> None:
    phone = new_phone()
    starts_at = own_cloud.now() + timedelta(days=2)
    appointment = new_appointment(own_cloud, phone, starts_at=starts_at)

    take(own_cloud, CALENDLY, varied_booking(appointment, {"payload.timezone": zone}))
    settle(own_cloud)

    [text] = said_to(own_cloud, phone)
    assert re.search(r"on Wed, Feb 3, \d+:\d\d [AP]M EST\. Reply 1 ", text.body)


@pytest.mark.parametrize(
    ("name", "event_name", "begins"),
    [
        ("🧁 Zoë 🎉", "Coffee tasting", "Hi Zoe, your Coffee tasting is on "),
        ("Maximilian " * 30, "Coffee tasting", "Hi Maximilian, your Coffee tasting is on "),
        ("M" * 300, "Coffee tasting", "Hi, your Coffee tasting is on "),
        ("{{time}} {{link}}", "Coffee tasting", "Hi"),
        ("<script>alert(1)</script>", "Coffee tasting", "Hi"),
        ("https://evil.example.com/x", "Coffee tasting", "Hi, your Coffee tasting is on "),
        ("Sam", "☕" * 300, "Hi Sam, your appointment is on "),
        ("Sam", "Coffee " * 60, "Hi Sam, your appointment is on "),
        ("Sam", "Win at https://evil.example.com", "Hi Sam, your appointment is on "),
        ("Sam", "Tasting\r\nBcc: all", "Hi Sam, your Tasting Bcc: all is on "),
        ("Sam", "{{name}}", "Hi Sam, your "),
        (None, None, "Hi, your appointment is on "),
    ],
    ids=lambda value: None if value is None else ascii(value)[:30],
)
def test_names_of_any_kind_stay_within_one_part(
    own_cloud: Cloud, name: str | None, event_name: str | None, begins: str
) -> None:
    phone = new_phone()
    changes = {"payload.name": name, "payload.scheduled_event.name": event_name}

    take(own_cloud, CALENDLY, varied_booking(new_appointment(own_cloud, phone), changes))
    settle(own_cloud)

    [text] = said_to(own_cloud, phone)
    assert text.body.startswith(begins)
    assert text.parts == 1
    assert not re.search(r"[{}<>]|evil|\n", text.body)
    assert "Reply STOP to opt out" in text.body


def test_bytes_that_are_no_text_are_taken_and_ignored(own_cloud: Cloud) -> None:
    body = b"\xff\xfe\x00\x80"
    headers = signed(own_cloud, CALENDLY, body) | {"Content-Type": "application/octet-stream"}

    assert answer_of(post_webhook(own_cloud, CALENDLY, body, headers)) == IGNORED


@pytest.mark.parametrize("content_type", ["application/octet-stream", "text/plain", "image/png", ""])
def test_a_body_of_any_type_is_read_as_it_was_signed(own_cloud: Cloud, content_type: str) -> None:
    # API Gateway hands binary types over in base64.
    phone = new_phone()
    body = created_body(own_cloud, new_appointment(own_cloud, phone, name="Łucja"))
    headers = signed(own_cloud, CALENDLY, body) | {"Content-Type": content_type}

    response = post_webhook(own_cloud, CALENDLY, body, headers)
    settle(own_cloud)

    assert answer_of(response) == ACCEPTED
    assert [text.purpose for text in said_to(own_cloud, phone)] == ["confirmation"]


# --- what was kept


def test_every_reason_is_in_the_log(own_cloud: Cloud, log: Log) -> None:
    def missing() -> Counter[Line]:
        return log.expected - (logged(own_cloud) - log.before)

    def is_all_there() -> bool:
        if missing():
            # The emulator may keep the last lines of a call until the next one.
            post_webhook(own_cloud, CALENDLY, b"{}")
        return not missing()

    eventually(is_all_there, what="the last reason in the log")
