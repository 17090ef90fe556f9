"""The embedded cloud for tests: one for the whole test run, driven from outside by HTTP and carrier control.

A pytest plugin (see ``tests/conftest.py``), so that the tests of the cloud and in the browser share it.
"""

import contextlib
import json
import random
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sms_local.places import HOST, Places

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

    from sms_engagement_runtime.appointment_follow_up.domain.bookings import Party
    from sms_local.booking_site import Appointment, BookingSite

#: Below the ports that Linux and macOS hand out for outgoing connections.
_PORT_BASES = range(20_000, 32_000)
_POLL_SECONDS = 0.1

#: A Monday with no change of clocks within five weeks and no holiday within two: what a test shows must not
#: depend on the day on which it runs.
_CLOCK_START = "2027-02-01T17:00:00+00:00"

#: By which time passes while a test waits for something's end.
_STEP = timedelta(minutes=1)

#: A jump may hold a whole broadcast, or hundreds of polls.
_JUMP_SECONDS = 240.0


def free_port_base() -> int:
    """Return a port base whose three ports are free at this moment."""
    for base in random.sample(_PORT_BASES, k=50):
        if all(_is_free(port) for port in Places(port_base=base).ports.values()):
            return base
    pytest.fail("no three free ports in a row")


def sms_local(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run one `sms-local` command to its end."""
    command = [sys.executable, "-m", "sms_local", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, **options
    )


def eventually[T](look: Callable[[], T], *, seconds: float = 90.0, what: str = "it") -> T:
    """Return the first true value of `look`; fail the test when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {seconds:.0f} s; last seen: {found!r}")
        time.sleep(_POLL_SECONDS)
    return found


class Mailbox:
    """A subscriber of a topic: what was published since it was made."""

    def __init__(self, sqs: "SQSClient", queue_url: str) -> None:
        self._sqs = sqs
        self._queue_url = queue_url
        self._received: list[dict[str, Any]] = []

    def messages(self) -> list[dict[str, Any]]:
        """Return all SNS envelopes received so far, oldest first."""
        answer = self._sqs.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1
        )
        for message in answer.get("Messages", []):
            self._received.append(json.loads(message["Body"]))
            self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])
        return list(self._received)


class Cloud:
    """A running embedded cloud and what drives it.

    Attributes
    ----------
    places
        Where it listens.
    outputs
        The JSON of `sms-local outputs`.
    carrier, door
        HTTP clients of the carrier simulator, and of phone page and review form.
    client
        Returns the client of a service, of the account's root user.
    dynamodb, stepfunctions, sqs
        Those that are needed most.
    """

    def __init__(self, places: Places) -> None:
        import httpx

        from sms_local import aws

        answer = sms_local("outputs", "--port-base", str(places.port_base))
        assert answer.returncode == 0, answer.stderr
        self.places = places
        self.outputs: dict[str, Any] = json.loads(answer.stdout)
        self.carrier: httpx.Client = httpx.Client(
            base_url=places.carrier_endpoint, timeout=30, trust_env=False
        )
        self.door: httpx.Client = httpx.Client(base_url=places.front_door, timeout=30, trust_env=False)
        self._webhooks = httpx.Client(timeout=30, trust_env=False)
        self._booking_site: BookingSite | None = None
        self.client = aws.Clients(places.aws_endpoint)
        self.dynamodb: DynamoDBClient = self.client("dynamodb")
        self.stepfunctions: SFNClient = self.client("stepfunctions")
        self.sqs: SQSClient = self.client("sqs")
        self._events = self.client("events")
        self._sns = self.client("sns")

    def close(self) -> None:
        """Close the connections."""
        self.carrier.close()
        self.door.close()
        self._webhooks.close()
        self.client.close()

    def reset(self) -> None:
        """Empty all data and load the demo people, as `sms-local reset` does."""
        from sms_local.reset import empty_everything

        empty_everything(self.places, self.outputs, say=lambda _: None, client=self.client)
        if self._booking_site is not None:
            self._booking_site.forget()

    def texts(self, phone: str | None = None) -> list[dict[str, Any]]:
        """Return what the carrier accepted, for one phone or for all."""
        answer = self.carrier.get("/control/messages", params={"phone": phone} if phone else {})
        return list(answer.raise_for_status().json())

    def text_from(self, phone: str, body: str) -> None:
        """Send a text from a phone."""
        self.carrier.post("/control/inbound", json={"from": phone, "body": body}).raise_for_status()

    def broadcast(self, request: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send today's review requests; return the summary of the run.

        Waits within the run, for a claim to end or for somebody's morning, are passed over.
        """
        machine = self.outputs["state_machines"]["review_broadcast"]
        started = self.stepfunctions.start_execution(stateMachineArn=machine, input=json.dumps(request or {}))
        execution = self.ended(started["executionArn"])
        assert execution["status"] == "SUCCEEDED", execution
        summary: dict[str, Any] = json.loads(execution["output"])
        return summary

    def ended(self, execution_arn: str, *, within: timedelta = timedelta(days=8)) -> dict[str, Any]:
        """Let time pass until an execution has ended, no longer than it needs, and return its description."""
        end = self.now() + within
        self.advance(timedelta(0))
        while True:
            execution = dict(self.stepfunctions.describe_execution(executionArn=execution_arn))
            if execution["status"] != "RUNNING":
                return execution
            assert self.now() < end, f"{execution_arn} has not ended within {within}"
            self.advance(_STEP)

    @property
    def booking_site(self) -> "BookingSite":
        """Who plays Calendly; `deliver` sends a body of ``told`` once more."""
        from sms_local.booking_site import site_of

        if self._booking_site is None:
            self._booking_site = site_of(
                self.outputs,
                client=self._webhooks,
                secrets=self.client("secretsmanager"),
                now=self.now,
            )
        assert self._booking_site is not None, "no appointments are deployed"
        return self._booking_site

    def book(
        self,
        *,
        phone: str | None,
        name: str = "Sam Reed",
        event_name: str = "Coffee tasting",
        starts_at: datetime | None = None,
        time_zone: str = "America/New_York",
    ) -> "Appointment":
        """Book an appointment, in two days unless said otherwise; returns when the webhook has answered."""
        return self.booking_site.book(
            name=name,
            phone=phone,
            event_name=event_name,
            starts_at=starts_at or self.now() + timedelta(days=2),
            time_zone=time_zone,
        )

    def cancel(self, appointment: "Appointment", *, by: "Party | None" = None) -> None:
        """Cancel an appointment, as the host does unless said otherwise."""
        from sms_engagement_runtime.appointment_follow_up.domain.bookings import Party

        self.booking_site.cancel(appointment.external_id, by=by or Party.HOST)

    def move(
        self,
        appointment: "Appointment",
        *,
        starts_at: datetime | None = None,
        is_new_one_told_first: bool = False,
    ) -> "Appointment":
        """Move an appointment, a day later unless said otherwise; return the one that took its place."""
        return self.booking_site.move(
            appointment.external_id,
            starts_at or appointment.starts_at + timedelta(days=1),
            is_new_one_told_first=is_new_one_told_first,
        )

    def no_show(self, appointment: "Appointment", *, is_undone: bool = False) -> None:
        """Mark an invitee as absent, or take that back."""
        self.booking_site.mark_no_show(appointment.external_id, is_undone=is_undone)

    def conversation(self, about: "Appointment | str") -> dict[str, Any] | None:
        """Return the row about an appointment; of a phone, the one whose booking was told of last.

        Parameters
        ----------
        about
            An appointment, its id, or a phone in E.164.
        """
        rows = self.rows("conversations")
        if isinstance(about, str) and about.startswith("+"):
            found = [row for row in rows if row.get("phoneNumber") == about]
        else:
            wanted = about if isinstance(about, str) else about.appointment_id
            found = [row for row in rows if row["appointmentId"] == wanted]
        return max(found, key=lambda row: row.get("createdAt", 0), default=None)

    def publish(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        """Put an event on the bus, as another system of the company would."""
        entry = {
            "Source": "sms-engagement",
            "DetailType": detail_type,
            "Detail": json.dumps(detail),
            "EventBusName": self.outputs["bus"],
        }
        answer = self._events.put_events(Entries=[entry])
        assert answer["FailedEntryCount"] == 0, answer

    def now(self) -> datetime:
        """Return the virtual time."""
        answer = self.carrier.get("/control/clock")
        assert answer.status_code == 200, answer.text
        return datetime.fromisoformat(answer.json()["now"])

    def advance(self, duration: timedelta) -> list[dict[str, str]]:
        """Let time pass; return what fell due, as `/control/clock` answers it, when all of it is done."""
        return self._move_clock({"advance_seconds": duration.total_seconds()})

    def go_to(self, at: datetime) -> list[dict[str, str]]:
        """Let time pass until `at`; as `advance`."""
        return self._move_clock({"at": at.isoformat()})

    def _move_clock(self, body: Mapping[str, Any]) -> list[dict[str, str]]:
        answer = self.carrier.post("/control/clock", json=body, timeout=_JUMP_SECONDS)
        assert answer.status_code == 200, answer.text
        due: list[dict[str, str]] = answer.json()["due"]
        return due

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return all rows of a table, by its key in the outputs, as plain Python values."""
        from boto3.dynamodb.types import TypeDeserializer

        pages = self.dynamodb.get_paginator("scan").paginate(TableName=self.outputs["tables"][table])
        plain = TypeDeserializer()
        return [
            {name: plain.deserialize(value) for name, value in row.items()}
            for page in pages
            for row in page["Items"]
        ]

    def subscribe(self, topic_arn: str) -> Mailbox:
        """Subscribe to a topic."""
        queue_url = self.sqs.create_queue(QueueName=f"test-{secrets.token_hex(6)}")["QueueUrl"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])[
            "Attributes"
        ]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": attributes["QueueArn"],
            "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": policy})
        self._sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=attributes["QueueArn"])
        return Mailbox(self.sqs, queue_url)


@pytest.fixture(scope="session")
def running_cloud() -> Iterator[Cloud]:
    """Start an embedded cloud with IAM policies enforced, always on one day, for the whole test run."""
    base = free_port_base()
    started = sms_local("up", "--port-base", str(base), "--clock-start", _CLOCK_START)
    if started.returncode != 0:
        pytest.fail(f"the embedded cloud did not start: {started.stderr.strip()}")
    places = Places(port_base=base)
    with contextlib.ExitStack() as stack:
        stack.callback(sms_local, "down", "--port-base", str(base))
        running = Cloud(places)
        stack.callback(running.close)
        yield running


@pytest.fixture
def cloud(running_cloud: Cloud) -> Cloud:
    """Empty the embedded cloud, but for the demo people."""
    running_cloud.reset()
    return running_cloud


@pytest.fixture(scope="module")
def cloud_with_texts(running_cloud: Cloud) -> Cloud:
    """Send today's review requests once, for tests that leave everything as it is."""
    running_cloud.reset()
    running_cloud.broadcast()
    return running_cloud


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
