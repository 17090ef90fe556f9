"""What the functions that text invitees meet: AWS in moto, and the carrier at a socket."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns import sns_backends

from sms_engagement_runtime.appointment_follow_up.adapters.dynamodb_conversations import DynamoConversations
from sms_engagement_runtime.appointment_follow_up.domain import conversation as rules
from sms_engagement_runtime.appointment_follow_up.domain.conversation import Recipient, unknown
from sms_engagement_runtime.channel.adapters.event_bus import EventBridgeBus
from sms_engagement_runtime.channel.adapters.pause import DynamoPauseFlag
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from tests.support.appointment_fakes import booked, id_of
from tests.support.appointment_tables import CONVERSATIONS, appointment_tables
from tests.support.bus_schemas import hold_to_schema
from tests.support.carrier import PHONE_NUMBER_ARN, carrier_server
from tests.support.dynamodb_tables import CONTACTS, MESSAGES
from tests.support.review_tables import aws_client

KEY_TEXT = "the text of the subscriber key secret"
LATER_ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:later"
TOPIC_ARN = f"arn:aws:sns:us-east-1:{DEFAULT_ACCOUNT_ID}:host"
PHONE = "+12025550123"
NOON = datetime(2026, 11, 21, 17, tzinfo=UTC)
STARTS_AT = NOON + timedelta(days=3, hours=2)


@pytest.fixture(scope="module")
def server():
    with carrier_server() as server:
        yield server


@pytest.fixture
def carrier(server):
    server.restart()
    server.client.create_configuration_set(ConfigurationSetName="channel")
    return server


@pytest.fixture(scope="module")
def clock_file(tmp_path_factory):
    return tmp_path_factory.mktemp("clock") / "offset"


@pytest.fixture
def move(clock_file):
    """Set the time that decisions are taken by; it is noon in New York at first."""

    def move(instant):
        clock_file.write_text(str((instant - datetime.now(UTC)).total_seconds()))

    move(NOON)
    return move


@pytest.fixture
def dynamodb():
    with appointment_tables() as client:
        aws_client("secretsmanager").create_secret(Name="subscriber-key", SecretString=KEY_TEXT)
        aws_client("sns").create_topic(Name="host")
        for bus in ("crm", "channel"):
            aws_client("events").create_event_bus(Name=bus)
        aws_client("stepfunctions").create_state_machine(
            name="later", definition="{}", roleArn="arn:aws:iam::123456789012:role/later"
        )
        yield client


@pytest.fixture
def environment(server, clock_file):
    return {
        "AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2": server.url,
        "AWS_LAMBDA_FUNCTION_NAME": "phone-events",
        "BUS_NAME": "crm",
        "CHANNEL_BUS_NAME": "channel",
        "CONFIGURATION_SET": "channel",
        "CONTACTS_TABLE": CONTACTS,
        "CONVERSATIONS_TABLE": CONVERSATIONS,
        "CLOCK": "virtual",
        "CLOCK_OFFSET_FILE": str(clock_file),
        "DEFAULT_TIME_ZONE": "America/New_York",
        "HOST_TOPIC_ARN": TOPIC_ARN,
        "LATER_ARN": LATER_ARN,
        "MESSAGES_TABLE": MESSAGES,
        "ORIGINATION_IDENTITY": PHONE_NUMBER_ARN,
        "PARTS_PER_SECOND": "1000",
        "SENDER": "eum",
        "SUBSCRIBER_KEY_SECRET_ARN": "subscriber-key",
    }


@pytest.fixture
def person():
    return subscriber_id(PhoneNumber(PHONE), KEY_TEXT.encode())


@pytest.fixture
def desk(dynamodb, move, person, monkeypatch):
    """The rows, and what the buses, the host and the waiting machine were told."""
    conversations = DynamoConversations(
        dynamodb, table=CONVERSATIONS, retention=timedelta(days=90), sleep=lambda _: None
    )
    events = []
    publish = EventBridgeBus.publish

    def noted(self, event_type, detail):
        hold_to_schema(event_type, detail)
        events.append((self._bus_name, event_type, dict(detail)))
        publish(self, event_type, detail)

    monkeypatch.setattr(EventBridgeBus, "publish", noted)
    # Looked at each time, where a function keeps it for a second.
    monkeypatch.setattr(DynamoPauseFlag, "is_paused", DynamoPauseFlag._read)

    def book(name="A", **changes):
        facts = {"starts_at": STARTS_AT, "booked_at": NOON, **changes}
        event = booked(name, phone=PHONE, **facts)
        recipient = Recipient(number=PhoneNumber(PHONE), country="US", subscriber_id=person)
        conversations.save(rules.book(unknown(id_of(name), NOON), event, recipient))
        return id_of(name)

    def pause(*, paused=True):
        item = {"subscriberId": {"S": "control"}, "record": {"S": "sending"}, "paused": {"BOOL": paused}}
        dynamodb.put_item(TableName=CONTACTS, Item=item)

    def notices():
        topics = sns_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].topics
        return [(subject, message) for _, message, subject, *_ in topics[TOPIC_ARN].sent_notifications]

    def waiting():
        client = aws_client("stepfunctions")
        return {
            execution["name"]: json.loads(
                client.describe_execution(executionArn=execution["executionArn"])["input"]
            )
            for execution in client.list_executions(stateMachineArn=LATER_ARN)["executions"]
        }

    return SimpleNamespace(
        book=book, conversations=conversations, events=events, notices=notices, pause=pause, waiting=waiting
    )
