"""Journeys by their handlers, called as the state machines call them; tables and bucket in moto."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID

from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.journeys.domain.description import JourneyDefinition
from tests.support.bus_schemas import hold_to_schema
from tests.support.carrier import PHONE_NUMBER_ARN
from tests.support.dynamodb_tables import CONTACTS, MESSAGES, channel_tables
from tests.support.handlers import Context
from tests.support.review_tables import aws_client
from tests.support.sqs_records import envelope, sqs_event

JOURNEYS, CHANNEL = (f"sms_engagement_runtime.{name}.handlers" for name in ("journeys", "channel"))
HANDLERS = {
    "start": f"{JOURNEYS}.start_journey",
    "audience": f"{JOURNEYS}.audience",
    "send_part": f"{JOURNEYS}.send_part",
    "phone_events": f"{JOURNEYS}.phone_events",
    "plan": f"{CHANNEL}.plan_broadcast",
    "summary": f"{CHANNEL}.summarise_broadcast",
    "router": f"{CHANNEL}.router",
}
KEY_TEXT = "the text of the subscriber key secret"
SUBSCRIBERS, ENROLMENTS, BUCKET = "subscribers", "enrolments", "journeys"


def environment(carrier_url: str, clock_file: Path) -> dict[str, str]:
    """Settings of all of them together."""
    return {
        "CLOCK": "virtual",
        "CLOCK_OFFSET_FILE": str(clock_file),
        "AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2": carrier_url,
        "CONTACTS_TABLE": CONTACTS,
        "MESSAGES_TABLE": MESSAGES,
        "SUBSCRIBERS_TABLE": SUBSCRIBERS,
        "ENROLMENTS_TABLE": ENROLMENTS,
        "BROADCAST_BUCKET": BUCKET,
        "SUBSCRIBER_KEY_SECRET_ARN": "subscriber-key",
        "RECIPIENTS_PER_PART": "3",
        "RECIPIENTS_PER_SECOND": "1000",
        "RUN_EXPIRY_SECONDS": "1209600",
        "SENDER": "eum",
        "ORIGINATION_IDENTITY": PHONE_NUMBER_ARN,
        "CONFIGURATION_SET": "channel",
        "DEFAULT_COUNTRY": "US",
        "ALLOWED_COUNTRIES": "US",
        "PARTS_PER_SECOND": "1000",
        "BUS_NAME": "channel",
        "ATTENTION_TOPIC_ARN": f"arn:aws:sns:us-east-1:{DEFAULT_ACCOUNT_ID}:attention",
        "INBOUND_QUEUE_URL": f"https://sqs.us-east-1.amazonaws.com/{DEFAULT_ACCOUNT_ID}/inbound",
        "OPT_OUT_LIST": "channel",
        "OPT_OUT_MODE": "self",
        "REPLIES": "{}",
    }


@contextmanager
def journey_cloud() -> Iterator[Any]:
    """Mock AWS, empty, and yield a DynamoDB client."""
    with channel_tables() as client:
        client.create_table(
            TableName=SUBSCRIBERS,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "subscriber_id", "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"}
                for name in ("subscriber_id", "segment", "subscription_status")
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "segment-subscription_status-index",
                    "KeySchema": [
                        {"AttributeName": "segment", "KeyType": "HASH"},
                        {"AttributeName": "subscription_status", "KeyType": "RANGE"},
                    ],
                    "Projection": {
                        "ProjectionType": "INCLUDE",
                        "NonKeyAttributes": [
                            "phone_number",
                            "opt_in_timestamp",
                            "opt_out_timestamp",
                            "attributes",
                        ],
                    },
                }
            ],
        )
        client.create_table(
            TableName=ENROLMENTS,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "enrolment_id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "enrolment_id", "AttributeType": "S"}],
        )
        aws_client("secretsmanager").create_secret(Name="subscriber-key", SecretString=KEY_TEXT)
        aws_client("s3").create_bucket(Bucket=BUCKET)
        aws_client("events").create_event_bus(Name="channel")
        aws_client("sns").create_topic(Name="attention")
        aws_client("sqs").create_queue(QueueName="inbound")
        yield client


def id_of(phone: str) -> str:
    """Subscriber id of a phone."""
    return subscriber_id(PhoneNumber(phone), KEY_TEXT.encode())


def subscriber_item(phone: str, status: str = "NEW", **more: Any) -> dict[str, Any]:
    """A row with the fields that others write, and no other."""
    attributes = {name: {"S": value} for name, value in more.pop("attributes", {}).items()}
    row: dict[str, Any] = {
        "subscriber_id": {"S": more.pop("id", id_of(phone))},
        "phone_number": {"S": phone},
        "subscription_status": {"S": status},
        "created_at": {"N": "1795280400000"},
        "attributes": {"M": attributes},
    }
    if status == "ACTIVE" and more.pop("opted_in", True):
        row["opt_in_timestamp"] = {"N": "1795280400000"}
    if "segment" in attributes:
        row["segment"] = attributes["segment"]
    return row


@dataclass
class Call(Context):
    """One call of a function that has all its time."""

    remaining: float = 900_000

    def get_remaining_time_in_millis(self) -> int:
        return int(self.remaining)


@dataclass
class JourneyDrive:
    """The state machines' steps; waits move the clock.

    Attributes
    ----------
    published
        What went over the bus. Answers are handed to their function as they are published.
    """

    modules: Mapping[str, ModuleType]
    clock_file: Path
    morning: datetime
    published: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._calls, self._inbound = count(1), count(1)
        self.move(self.morning)

    def move(self, instant: datetime) -> None:
        self.clock_file.write_text(str((instant - datetime.now(UTC)).total_seconds()))

    def skip(self, **span: float) -> None:
        self.move(self.now() + timedelta(**span))

    def now(self) -> datetime:
        instant: datetime = self.modules["plan"]._clock.now()
        return instant

    def publish(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        """Stand in for the bus."""
        hold_to_schema(detail_type, detail)
        event = json.loads(json.dumps(detail))
        self.published.append((detail_type, event))
        if detail_type == "OptedOut" or event.get("construct") == "journeys":
            self.call("phone_events", {"id": "e", "detail-type": detail_type, "detail": event})

    def call(self, name: str, event: Mapping[str, Any], **context: Any) -> Any:
        if name == "send_part":
            # The flag of a moment ago is remembered for a second.
            self.modules[name]._service.pause._read_at = float("-inf")
        answer = self.modules[name].handler(
            event, Call(aws_request_id=f"call-{next(self._calls)}", **context)
        )
        # As it goes through Step Functions.
        return json.loads(json.dumps(answer))

    def start(
        self, journey: JourneyDefinition, given: Mapping[str, Any] | None = None, run_id: str = "run"
    ) -> dict[str, Any]:
        """Do what the journey's first state does, and return its steps."""
        event = {"runId": run_id, "input": dict(given or {}), "journey": journey.to_json()}
        started: dict[str, Any] = self.call("start", json.loads(json.dumps(event)))
        return started

    def snapshot(self, started: Mapping[str, Any], number: int, **context: Any) -> Any:
        step = started["steps"][f"step{number}"]
        starts_at = datetime.fromisoformat(step["startsAt"])
        if self.now() < starts_at:
            self.move(starts_at)
        event = {
            "runId": step["name"],
            "startedAt": self.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            # As the state machine puts it together.
            "input": {
                **step["input"],
                "about": {**step["input"]["about"], "journey": started["journey"]},
            },
        }
        taken = self.call("audience", event, **context)
        while taken["more"]:
            taken = self.call("audience", event, **context)
        return taken

    def send(self, plan: Mapping[str, Any]) -> None:
        body = aws_client("s3").get_object(Bucket=plan["bucket"], Key=plan["manifestKey"])["Body"].read()
        for part in json.loads(body):
            self.call("send_part", part)

    def step(self, started: Mapping[str, Any], number: int) -> Any:
        """Let one moment's run of the engine go to its end, and return its summary."""
        return self.finish(self.snapshot(started, number))

    def finish(self, plan: Any) -> Any:
        plan = self.call("plan", plan)
        while plan["next"] != "DONE":
            if plan["next"] == "WAIT":
                self.move(datetime.fromisoformat(plan["until"]))
            else:
                self.send(plan)
            plan = self.call("plan", plan)
        return self.call("summary", plan)

    def write(self, phone: str, words: str) -> None:
        """Have a person write to us, some seconds from now."""
        self.skip(seconds=20)
        published = self.now() - timedelta(seconds=1)
        payload = {
            "originationNumber": phone,
            "destinationNumber": "+12065550199",
            "messageKeyword": "KEYWORD_123456789012",
            "messageBody": words,
            "inboundMessageId": f"in-{next(self._inbound)}",
        }
        stamp = published.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        response = self.call("router", sqs_event(envelope(payload, published=stamp)))
        assert response["batchItemFailures"] == []

    def outcomes(self, run: str) -> dict[str, tuple[str, str | None]]:
        """State and reason of everybody in the results of a run of the engine that count."""
        s3 = aws_client("s3")

        def read(key: str) -> str:
            content: bytes = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            return content.decode()

        listed = json.loads(read(f"runs/{run}/results.json"))
        rows: Sequence[Any] = [
            json.loads(line) for result in listed["results"] for line in read(result["key"]).splitlines()
        ]
        found = {row["userId"]: (row["state"], row["reason"]) for row in rows}
        assert len(found) == len(rows)
        return found
