"""Drives appointments in the embedded cloud: signed webhooks, what was said to whom, executions, the bus."""

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from time import time
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from sms_engagement_runtime.appointment_follow_up.domain.bookings import (
    Party,
    Provider,
    appointment_id,
)
from sms_engagement_runtime.appointment_follow_up.domain.signatures import sign_calcom, sign_calendly
from sms_local.booking_site import SIGNATURE_HEADER, Appointment, canceled, created, no_show
from sms_local.testing import Cloud, Mailbox
from tests.support.booking_payloads import varied
from tests.support.cloud_drive import client, functions_with

CALCOM_SIGNATURE_HEADER = "X-Cal-Signature-256"
HOST_TOPIC_OUTPUT = "HostTopicArn"
_STACK = "local-Appointments"

#: One zone for each hour of the day, all without a change of clocks.
_ZONES = (
    *("Pacific/Pago_Pago", "Pacific/Honolulu", "Pacific/Gambier", "Pacific/Pitcairn", "America/Phoenix"),
    *("America/Costa_Rica", "America/Bogota", "America/La_Paz", "America/Montevideo", "America/Noronha"),
    *("Atlantic/Cape_Verde", "Africa/Abidjan", "Africa/Lagos", "Africa/Johannesburg", "Africa/Nairobi"),
    *("Asia/Dubai", "Asia/Tashkent", "Asia/Dhaka", "Asia/Bangkok", "Asia/Singapore", "Asia/Tokyo"),
    *("Australia/Brisbane", "Pacific/Guadalcanal", "Pacific/Tarawa"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A text that the carrier accepted.

    Attributes
    ----------
    purpose
        As the ledger has it, without the construct: ``confirmation``, ``reminder-1440``, ``keyword-reply``.
    at
        When it was sent, virtual time.
    """

    purpose: str
    at: datetime
    body: str
    parts: int
    message_id: str


def settle(cloud: Cloud) -> None:
    """Wait until nothing runs any more: what a webhook or a text began is done."""
    cloud.advance(timedelta(0))


def said(cloud: Cloud) -> dict[str, list[Said]]:
    """Return every text that the carrier accepted, by phone, in order, each with what it was for."""
    rows = {row["messageKey"]: row for row in cloud.rows("messages")}
    found: dict[str, list[Said]] = {}
    for text in cloud.texts():
        found.setdefault(text["to"], []).append(
            Said(
                purpose=rows[text["context"]["intent"]]["purpose"],
                at=datetime.fromisoformat(text["sent_at"]),
                body=text["body"],
                parts=text["parts"],
                message_id=text["message_id"],
            )
        )
    return found


def said_to(cloud: Cloud, phone: str) -> list[Said]:
    """Return the texts to one phone."""
    return said(cloud).get(phone, [])


def purposes_to(cloud: Cloud, phone: str) -> list[str]:
    """Return what the texts to one phone were for, in order."""
    return [text.purpose for text in said_to(cloud, phone)]


def settle_until_said(cloud: Cloud, phone: str, purposes: Sequence[str]) -> None:
    """Wait until a phone has got the texts of these purposes, and nothing runs any more.

    Two bookings of one phone at one moment want the same contact: a machine that is slow enough makes one of
    them try again some seconds later, and `settle` waits for what runs, not for what waits.
    """
    for _ in range(20):
        settle(cloud)
        if len(purposes_to(cloud, phone)) >= len(purposes):
            break
        cloud.advance(timedelta(seconds=30))
    assert purposes_to(cloud, phone) == list(purposes)


def status_of(cloud: Cloud, about: Appointment | str) -> str:
    """Return the state of the conversation about an appointment, its id or its phone."""
    row = cloud.conversation(about)
    assert row is not None, "there is no conversation"
    return str(row["status"])


def executions_of(cloud: Cloud, appointment: Appointment | str) -> dict[str, str]:
    """Return the status of every execution of an appointment, by its name without the appointment's id.

    The one that confirms, follows up and reminds has the name "".
    """
    wanted = appointment if isinstance(appointment, str) else appointment.appointment_id
    machine = cloud.outputs["state_machines"]["appointment_follow_up"]
    pages = cloud.stepfunctions.get_paginator("list_executions").paginate(stateMachineArn=machine)
    executions = [one for page in pages for one in page["executions"]]
    return {
        one["name"].removeprefix(wanted): one["status"]
        for one in executions
        if one["name"].startswith(wanted)
    }


def execution_arn(cloud: Cloud, appointment: Appointment) -> str:
    """Return the ARN of the execution that confirms, follows up and reminds."""
    machine: str = cloud.outputs["state_machines"]["appointment_follow_up"]
    return f"{machine.replace(':stateMachine:', ':execution:')}:{appointment.appointment_id}"


# --- webhooks


def post_webhook(
    cloud: Cloud, provider: Provider, body: bytes, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """Send a body to a provider's webhook, signed as it does unless other headers are given."""
    return httpx.post(
        cloud.outputs["urls"][f"{provider}_webhook"],
        content=body,
        headers=signed(cloud, provider, body) if headers is None else headers,
        timeout=30,
        trust_env=False,
    )


def take(cloud: Cloud, provider: Provider, body: bytes) -> None:
    """Let a provider deliver a webhook that is taken."""
    answer = post_webhook(cloud, provider, body)
    assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
    assert answer.json() == {"status": "accepted"}


def signed(
    cloud: Cloud, provider: Provider, body: bytes, *, seconds_ago: float = 0, key: bytes | None = None
) -> dict[str, str]:
    """Return the headers of a webhook.

    Parameters
    ----------
    seconds_ago
        How long ago it was signed, in real time, as the provider's clock runs.
    key
        Another key than the one in the secret.
    """
    key = key or signing_key(cloud, provider)
    kind = {"Content-Type": "application/json"}
    if provider is Provider.CALENDLY:
        return kind | {SIGNATURE_HEADER: sign_calendly(body, key, time() - seconds_ago)}
    return kind | {CALCOM_SIGNATURE_HEADER: sign_calcom(body, key)}


def signing_key(cloud: Cloud, provider: Provider) -> bytes:
    """Return the key that a provider signs with."""
    arn = cloud.outputs["secrets"][f"{provider}_signing_key"]
    text: str = client(cloud, "secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    return text.encode()


def new_appointment(
    cloud: Cloud,
    phone: str | None,
    *,
    starts_at: datetime | None = None,
    replaces: Appointment | None = None,
    name: str = "Sam Reed",
    event_name: str = "Coffee tasting",
) -> Appointment:
    """Return an appointment of Calendly that nobody was told of yet: in two days unless said otherwise.

    Whenever it is booked, it is ten in the morning where the invitee is: nothing has to wait for the day.
    """
    now = cloud.now()
    starts_at = starts_at or now + timedelta(days=2)
    code = secrets.token_hex(8).upper()
    return Appointment(
        external_id=f"https://api.calendly.com/scheduled_events/{code}/invitees/{code}",
        name=name,
        phone=phone,
        event_name=event_name,
        booked_at=now,
        starts_at=starts_at,
        ends_at=starts_at + timedelta(minutes=30),
        time_zone=zone_at(now, 10),
        replaces=replaces and replaces.external_id,
    )


def zone_at(instant: datetime, hour: int) -> str:
    """Return an IANA zone in which it is this hour at an instant."""
    return next(zone for zone in _ZONES if instant.astimezone(ZoneInfo(zone)).hour == hour)


def created_body(cloud: Cloud, appointment: Appointment) -> bytes:
    """Return the webhook about a booking."""
    return _written(created(appointment, at=appointment.booked_at))


def canceled_body(cloud: Cloud, appointment: Appointment, *, moved_to: Appointment | None = None) -> bytes:
    """Return the webhook about a cancellation by the host, or about a move."""
    gone = replace(appointment, is_cancelled=True, moved_to=moved_to and moved_to.external_id)
    return _written(canceled(gone, at=cloud.now(), by=Party.HOST))


def no_show_body(cloud: Cloud, appointment: Appointment) -> bytes:
    """Return the webhook about an invitee who did not come."""
    absent = replace(appointment, is_no_show=True)
    return _written(no_show(absent, at=cloud.now(), code=secrets.token_hex(8)))


def deliver(cloud: Cloud, *bodies: bytes) -> None:
    """Let Calendly deliver webhooks, one after the other, each with success."""
    for body in bodies:
        take(cloud, Provider.CALENDLY, body)


def _written(webhook: Mapping[str, Any]) -> bytes:
    return json.dumps(webhook, ensure_ascii=False, separators=(",", ":")).encode()


def calcom_body(
    cloud: Cloud,
    trigger: str,
    *,
    phone: str,
    uid: str,
    starts_at: datetime,
    time_zone: str = "America/New_York",
    locale: str = "en",
    name: str = "Sam Reed",
    event_name: str = "Coffee tasting",
    replaces: str | None = None,
) -> bytes:
    """Return what Cal.com sends of a booking, made a moment ago, of half an hour."""
    status = {"BOOKING_CANCELLED": "CANCELLED"}.get(trigger, "ACCEPTED")
    return varied(
        "calcom-BOOKING_CREATED-with-phone",
        ("triggerEvent", trigger),
        ("createdAt", _stamp(cloud.now())),
        ("payload.uid", uid),
        ("payload.status", status),
        ("payload.startTime", _stamp(starts_at)),
        ("payload.endTime", _stamp(starts_at + timedelta(minutes=30))),
        ("payload.eventTitle", event_name),
        ("payload.attendees.0.name", name),
        ("payload.attendees.0.phoneNumber", phone),
        ("payload.attendees.0.timeZone", time_zone),
        ("payload.attendees.0.language.locale", locale),
        ("payload.responses.attendeePhoneNumber.value", phone),
        *((("payload.rescheduleUid", replaces),) if replaces else ()),
    )


def calcom(cloud: Cloud, trigger: str, **fields: Any) -> str:
    """Let Cal.com tell of a booking; return the appointment's id. For `fields` see `calcom_body`."""
    take(cloud, Provider.CALCOM, calcom_body(cloud, trigger, **fields))
    return appointment_id(Provider.CALCOM, fields["uid"])


def new_uid() -> str:
    """Return an id that no booking has."""
    return f"test-{secrets.token_hex(8)}"


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


# --- what else is listened to


def host_mailbox(cloud: Cloud) -> Mailbox:
    """Subscribe to what hosts of appointments read."""
    return cloud.subscribe(cloud.outputs["stacks"][_STACK][HOST_TOPIC_OUTPUT])


def notices(mailbox: Mailbox) -> list[dict[str, Any]]:
    """Return all that a human was told so far, however much it is."""
    found: list[dict[str, Any]] = []
    while len(more := mailbox.messages()) > len(found):
        found = more
    return found


@dataclass
class BusListener:
    """What was published on the bus since it began to listen, envelopes of EventBridge."""

    cloud: Cloud
    queue_url: str
    _received: list[dict[str, Any]] = field(default_factory=list)

    def events(self) -> list[dict[str, Any]]:
        """Return everything received so far."""
        while found := self.cloud.sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=0
        ).get("Messages"):
            for message in found:
                self._received.append(json.loads(message["Body"]))
                self.cloud.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return list(self._received)

    def details_of(self, appointment: Appointment | str) -> dict[str, list[dict[str, Any]]]:
        """Return what was told of an appointment, by detail type, each event once however often it came."""
        wanted = appointment if isinstance(appointment, str) else appointment.appointment_id
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for event in self.events():
            detail = event["detail"]
            if detail.get("appointmentId") == wanted:
                found.setdefault(event["detail-type"], {})[detail["eventId"]] = detail
        return {kind: list(by_id.values()) for kind, by_id in found.items()}


@contextmanager
def listening(cloud: Cloud) -> Iterator[BusListener]:
    """Listen to the bus as a CRM does: by a rule and a queue."""
    events = client(cloud, "events")
    name, bus = f"test-{secrets.token_hex(6)}", cloud.outputs["bus"].rpartition("/")[2]
    url = cloud.sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = cloud.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = json.dumps({"source": ["sms-engagement"]})
    events.put_rule(Name=name, EventBusName=bus, EventPattern=pattern)
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    try:
        yield BusListener(cloud, url)
    finally:
        events.remove_targets(Rule=name, EventBusName=bus, Ids=["queue"])
        events.delete_rule(Name=name, EventBusName=bus)
        cloud.sqs.delete_queue(QueueUrl=url)


def follow_up_function(cloud: Cloud) -> str:
    """Return the name of the function that carries out the steps."""
    (name,) = functions_with(cloud, "CHANNEL_BUS_NAME")
    return name


def webhook_function(cloud: Cloud) -> str:
    """Return the name of the function that takes webhooks."""
    (name,) = functions_with(cloud, "SIGNING_KEYS")
    return name


@contextmanager
def refused(cloud: Cloud, function_name: str, action: str) -> Iterator[None]:
    """Let AWS refuse an action of a function for a while."""
    configuration = client(cloud, "lambda").get_function_configuration(FunctionName=function_name)
    role, iam = configuration["Role"].rpartition("/")[2], client(cloud, "iam")
    statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName="refused-by-a-test", PolicyDocument=policy)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="refused-by-a-test")


def invoke_step(cloud: Cloud, appointment: Appointment, step: str, **more: Any) -> dict[str, Any]:
    """Call a step as the state machine does; return what it answers."""
    answer = client(cloud, "lambda").invoke(
        FunctionName=follow_up_function(cloud),
        Payload=json.dumps({"step": step, "appointmentId": appointment.appointment_id, **more}),
    )
    content: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, content
    return content
