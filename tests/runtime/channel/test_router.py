import json
from pathlib import Path

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns import sns_backends

from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.domain.consent import ConsentState, Scope
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from tests.support.carrier import PHONE_NUMBER_ARN, carrier_server
from tests.support.dynamodb_tables import CONTACTS, MESSAGES, channel_tables
from tests.support.handlers import Context, fresh_handler
from tests.support.logs import captured_logs
from tests.support.personal_data import personal_data
from tests.support.sqs_records import envelope, failed, sqs_event

EVENTS = Path(__file__).parents[2] / "events"
STOP = json.loads((EVENTS / "eum-inbound-STOP.json").read_text())
PHONE = STOP["originationNumber"]
KEY_TEXT = "the text of the subscriber key secret"
PERSON = subscriber_id(PhoneNumber(PHONE), KEY_TEXT.encode())
ROUTER = "sms_engagement_runtime.channel.handlers.router"
STOPPED = "You have been unsubscribed. Reply START to subscribe again."


@pytest.fixture(scope="module")
def server():
    with carrier_server() as server:
        yield server


@pytest.fixture
def carrier(server):
    server.restart().client.create_opt_out_list(OptOutListName="channel")
    server.client.create_configuration_set(ConfigurationSetName="channel")
    return server


@pytest.fixture
def dynamodb():
    with channel_tables() as client:
        yield client


@pytest.fixture(scope="module")
def clients():
    return {service: boto3.client(service) for service in ("secretsmanager", "events", "sns")}


@pytest.fixture
def cloud(carrier, dynamodb, clients):
    """What the router needs, new for each test."""
    clients["secretsmanager"].create_secret(Name="subscriber-key", SecretString=KEY_TEXT)
    clients["events"].create_event_bus(Name="channel")
    clients["sns"].create_topic(Name="attention")


@pytest.fixture(scope="module")
def environment(server):
    return {
        "AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2": server.url,
        "CONTACTS_TABLE": CONTACTS,
        "MESSAGES_TABLE": MESSAGES,
        "SUBSCRIBER_KEY_SECRET_ARN": "subscriber-key",
        "SENDER": "eum",
        "ORIGINATION_IDENTITY": PHONE_NUMBER_ARN,
        "CONFIGURATION_SET": "channel",
        "ALLOWED_COUNTRIES": "US,CA",
        "DEFAULT_COUNTRY": "US",
        "MAX_PARTS": "1",
        "PARTS_PER_SECOND": "1000",
        "BUS_NAME": "channel",
        "ATTENTION_TOPIC_ARN": f"arn:aws:sns:us-east-1:{DEFAULT_ACCOUNT_ID}:attention",
        "OPT_OUT_LIST": "channel",
        "OPT_OUT_MODE": "self",
        "REPLIES": "{}",
    }


@pytest.fixture(scope="module")
def module(environment):
    with fresh_handler(ROUTER, environment) as module:
        yield module


@pytest.fixture
def router(module, cloud):
    return module


@pytest.fixture
def contacts(dynamodb):
    return DynamoContacts(dynamodb, table=CONTACTS)


def inbound(body, *, inbound_id="in-1", **fields):
    return {**STOP, "messageBody": body, "inboundMessageId": inbound_id, "messageKeyword": "K", **fields}


def notices():
    topics = sns_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].topics
    return [(subject, text) for topic in topics.values() for _, text, subject, *_ in topic.sent_notifications]


def test_stop_is_recorded_confirmed_once_and_listed(router, carrier, contacts):
    response = router.handler(sqs_event(envelope(inbound("STOP"))), Context())

    assert failed(response) == []
    assert contacts.get(PERSON).consents == dict.fromkeys(Scope, ConsentState.OPTED_OUT)
    assert carrier.texts(PHONE) == [STOPPED]
    assert carrier.opted_out("channel") == {PHONE}


def test_no_opt_out_of_a_batch_waits_for_the_replies_before_it(router, contacts, monkeypatch):
    service = router._service()
    seen = []
    monkeypatch.setattr(
        type(service), "handle", lambda *_: seen.append(contacts.get(PERSON).is_opted_out) or 1 / 0
    )

    response = router.handler(
        sqs_event(
            envelope(inbound("HELP", originationNumber="+12065550199")),
            envelope(inbound("STOP", inbound_id="in-2"), message_id="n-2"),
        ),
        Context(),
    )

    assert seen == [True, True]
    assert failed(response) == ["r-0", "r-1"]


def test_stop_delivered_twice_is_confirmed_once(router, carrier):
    event = sqs_event(envelope(inbound("STOP")), envelope(inbound("STOP"), message_id="n-2"))

    router.handler(event, Context())
    router.handler(event, Context())

    assert carrier.texts(PHONE) == [STOPPED]


def test_start_after_stop_is_welcomed(router, carrier, contacts):
    router.handler(sqs_event(envelope(inbound("STOP"))), Context())

    start = envelope(inbound("START", inbound_id="in-2"), published="2026-11-21T17:05:00.000Z")
    router.handler(sqs_event(start), Context())

    assert carrier.texts(PHONE) == [STOPPED, "Welcome back! You're now subscribed."]
    assert not contacts.get(PERSON).is_opted_out
    assert carrier.opted_out("channel") == set()


def test_the_time_of_an_inbound_text_is_that_of_the_envelope(router, dynamodb):
    router.handler(sqs_event(envelope(inbound("STOP"))), Context())

    rows = dynamodb.scan(TableName=CONTACTS)["Items"]
    proofs = [row for row in rows if row["record"]["S"].startswith("consent#")]
    assert {proof["at"]["N"] for proof in proofs} == {"1795280400123"}
    assert {proof["messageId"]["S"] for proof in proofs} == {"in-1"}


def test_free_text_reaches_a_human_with_the_number_and_the_words(router):
    router.handler(sqs_event(envelope(inbound("Where are you?"))), Context())

    ((subject, text),) = notices()
    assert subject == "Inbound message"
    assert PHONE in text
    assert "Where are you?" in text


def test_texts_of_the_settings_replace_the_standard_ones(environment, cloud, carrier):
    with fresh_handler(ROUTER, environment | {"REPLIES": '{"help": "Call us."}'}) as router:
        router.handler(sqs_event(envelope(inbound("HELP"))), Context())

    assert carrier.texts(PHONE) == ["Call us."]


def test_a_text_of_the_settings_that_does_not_exist_fails_at_the_start(environment):
    with (
        pytest.raises(TypeError, match="helpp"),
        fresh_handler(ROUTER, environment | {"REPLIES": '{"helpp": "Call us."}'}),
    ):
        pass


def test_a_notification_of_another_kind_is_acknowledged(router, carrier):
    response = router.handler(sqs_event(envelope({"eventType": "TEXT_DELIVERED"})), Context())

    assert failed(response) == []
    assert carrier.texts(PHONE) == []


def test_a_text_without_inbound_id_is_known_by_its_notification(router, carrier):
    payload = inbound("STOP")
    del payload["inboundMessageId"]
    event = sqs_event(envelope(payload), envelope(payload))

    router.handler(event, Context())

    assert carrier.texts(PHONE) == [STOPPED]


@pytest.mark.parametrize(
    "fields", [{"messageBody": None}, {"messageBody": 5}, {"originationNumber": None}, {}]
)
def test_odd_texts_are_handled_without_an_answer(router, carrier, fields):
    payload = {**inbound(" "), **fields}

    response = router.handler(sqs_event(envelope(payload)), Context())

    assert failed(response) == []
    assert carrier.texts(PHONE) == []


def test_half_a_surrogate_pair_keeps_no_text_from_its_way(router, carrier, contacts):
    where = router.handler(sqs_event(envelope(inbound("Where? \ud83d", inbound_id="in-0"))), Context())
    stop = router.handler(sqs_event(envelope(inbound("Stop. Thank you \ud83d"))), Context())

    assert failed(where) == failed(stop) == []
    ((_, text),) = notices()
    assert "Where? \N{REPLACEMENT CHARACTER}" in text
    assert contacts.get(PERSON).is_opted_out
    assert carrier.texts(PHONE) == [STOPPED]


def test_a_text_of_1600_characters_reaches_a_human(router):
    router.handler(sqs_event(envelope(inbound("word " * 320))), Context())

    assert len(notices()) == 1


def test_an_unreadable_record_fails_alone(router, carrier):
    response = router.handler(sqs_event("garbage", envelope(inbound("STOP"))), Context())

    assert failed(response) == ["r-0"]
    assert carrier.texts(PHONE) == [STOPPED]


def test_a_reply_that_has_to_wait_sends_the_record_back_and_comes_later(router, carrier, monkeypatch):
    carrier.control("POST", "fault", throttle=1)
    monkeypatch.setattr(router._send_service.pacer, "_sleep", lambda _: None)
    event = sqs_event(envelope(inbound("STOP")))

    assert failed(router.handler(event, Context())) == ["r-0"]
    carrier.control("DELETE", "messages")
    assert failed(router.handler(event, Context())) == []

    assert carrier.texts(PHONE) == [STOPPED]
    assert carrier.opted_out("channel") == {PHONE}


@pytest.mark.parametrize("sample", sorted(EVENTS.glob("eum-*.json")), ids=lambda path: path.stem)
def test_no_log_line_shows_a_number_or_a_body(router, sample, capsys):
    payload = json.loads(sample.read_text())
    bodies = (
        [record.get("body") or envelope(record["Sns"]["Message"]) for record in payload["Records"]]
        if "Records" in payload
        else [envelope(payload)]
    )

    with captured_logs() as logs:
        response = router.handler(sqs_event(*bodies), Context())

    printed = capsys.readouterr()
    written = logs.getvalue() + printed.out + printed.err
    assert failed(response) == []
    assert logs.getvalue()
    # A keyword is what was recognised, not what was written.
    for text in personal_data(payload) - {"STOP", "START", "HELP"}:
        assert text not in written
