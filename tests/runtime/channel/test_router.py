import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns import sns_backends
from moto.sqs import sqs_backends

from sms_engagement_runtime.channel.adapters.campaign_counts import DynamoCampaignCounts
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.dynamodb_messages import DynamoLedger
from sms_engagement_runtime.channel.domain.campaign_counts import Counts
from sms_engagement_runtime.channel.domain.consent import ConsentState, Contact, Scope
from sms_engagement_runtime.channel.domain.gate import ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.ledger import Intent
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.prompts import ANY_ORIGINATION, Prompt
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from tests.support.bus_schemas import FOLDER as SCHEMAS
from tests.support.carrier import PHONE_NUMBER_ARN, carrier_server
from tests.support.dynamodb_tables import CONTACTS, MESSAGES, channel_tables
from tests.support.fakes import FakeBus, FakeClock
from tests.support.handlers import Context, fresh_handler
from tests.support.logs import captured_logs
from tests.support.personal_data import personal_data
from tests.support.sqs_records import PUBLISHED, envelope, failed, sqs_event

EVENTS = Path(__file__).parents[2] / "events"
STOP = json.loads((EVENTS / "eum-inbound-STOP.json").read_text())
PHONE = STOP["originationNumber"]
KEY_TEXT = "the text of the subscriber key secret"
PERSON = subscriber_id(PhoneNumber(PHONE), KEY_TEXT.encode())
QUEUE_URL = f"https://sqs.us-east-1.amazonaws.com/{DEFAULT_ACCOUNT_ID}/inbound"
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
    return {service: boto3.client(service) for service in ("secretsmanager", "events", "sns", "sqs")}


@pytest.fixture
def cloud(carrier, dynamodb, clients, clock_offset):
    """What the router needs, new for each test, a second after the texts were published."""
    ahead = datetime.fromisoformat(PUBLISHED) + timedelta(seconds=1) - datetime.now(UTC)
    clock_offset.write_text(str(ahead.total_seconds()))
    clients["secretsmanager"].create_secret(Name="subscriber-key", SecretString=KEY_TEXT)
    clients["events"].create_event_bus(Name="channel")
    clients["sns"].create_topic(Name="attention")
    clients["sqs"].create_queue(QueueName="inbound")


@pytest.fixture(scope="module")
def clock_offset(tmp_path_factory):
    return tmp_path_factory.mktemp("clock") / "offset"


@pytest.fixture(scope="module")
def environment(server, clock_offset):
    return {
        "CLOCK": "virtual",
        "CLOCK_OFFSET_FILE": str(clock_offset),
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
        "INBOUND_QUEUE_URL": QUEUE_URL,
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


@pytest.fixture
def texted(dynamodb):
    """A text of a campaign that the person got an hour ago."""
    intent = Intent(
        construct="reviews",
        purpose="review-request",
        occasion="order-1",
        scope=Scope.REVIEWS,
        message_class=MessageClass.PROMOTIONAL,
        consent_rule=ConsentRule.IMPLIED,
        recipient=PhoneNumber(PHONE),
        subscriber_id=PERSON,
        country="US",
        body="Hi",
        campaign_id="run-1",
    )
    ledger = DynamoLedger(dynamodb, messages_table=MESSAGES, contacts_table=CONTACTS)
    sent_at = datetime.fromisoformat(PUBLISHED) - timedelta(hours=1)
    ledger.claim(intent, key=intent.key, contact=Contact(subscriber_id=PERSON), parts=1, now=sent_at)
    ledger.accept(intent.key, "m-1", sent_at)

    return intent


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


def queued():
    """What was put back into the queue: body and delay in seconds of each."""
    queue = sqs_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].queues["inbound"]
    return [(message.body, message.delayed_until - message.sent_timestamp) for message in queue._messages]


def test_a_reply_that_has_to_wait_puts_the_text_back_and_comes_later(router, carrier, monkeypatch):
    carrier.control("POST", "fault", throttle=1)
    monkeypatch.setattr(router._send_service.pacer, "_sleep", lambda _: None)
    body = envelope(inbound("STOP"))

    assert failed(router.handler(sqs_event(body), Context())) == []
    carrier.control("DELETE", "messages")
    ((copy, delay),) = queued()
    assert copy == body
    assert 5_000 <= delay <= 240_000
    assert failed(router.handler(sqs_event(copy), Context())) == []

    assert carrier.texts(PHONE) == [STOPPED]
    assert carrier.opted_out("channel") == {PHONE}
    assert len(queued()) == 1


def test_while_paused_an_opt_out_is_recorded_and_its_text_waits_in_the_queue(
    router, carrier, contacts, dynamodb, monkeypatch
):
    monkeypatch.setattr(router._send_service.pause, "_max_age_seconds", 0)
    flag = {"subscriberId": {"S": "control"}, "record": {"S": "sending"}}
    dynamodb.put_item(TableName=CONTACTS, Item=flag | {"paused": {"BOOL": True}})
    body = envelope(inbound("STOP"))

    assert failed(router.handler(sqs_event(body), Context())) == []
    assert contacts.get(PERSON).is_opted_out
    assert (carrier.texts(PHONE), carrier.opted_out("channel"), notices()) == ([], set(), [])
    dynamodb.delete_item(TableName=CONTACTS, Key=flag)
    router.handler(sqs_event(queued()[0][0]), Context())

    assert carrier.texts(PHONE) == [STOPPED]
    assert carrier.opted_out("channel") == {PHONE}


def test_a_text_that_cannot_be_put_back_is_delivered_again_by_the_queue(router, carrier, clients):
    carrier.control("POST", "fault", throttle=1)
    router._queue.cache_clear()
    clients["sqs"].delete_queue(QueueUrl=QUEUE_URL)

    response = router.handler(sqs_event(envelope(inbound("STOP"))), Context())

    assert failed(response) == ["r-0"]


@pytest.fixture
def published(router, monkeypatch):
    """What the router publishes, held to the schemas."""
    bus = FakeBus()
    monkeypatch.setattr(type(router._bus), "publish", lambda _, *event: bus.publish(*event))
    return bus.events


def test_a_wrong_number_is_suppressed_and_the_bus_and_a_human_are_told(
    router, carrier, contacts, texted, published
):
    router.handler(sqs_event(envelope(inbound("Sorry, wrong number"))), Context())

    assert contacts.get(PERSON).is_opted_out
    assert carrier.texts(PHONE) == [STOPPED]
    opted_out, wrong_number = published
    assert (opted_out[0], opted_out[1]["isWrongNumber"]) == ("OptedOut", True)
    assert (wrong_number[0], wrong_number[1]["answeredText"]["messageId"]) == ("WrongNumber", "m-1")
    assert [subject for subject, _ in notices()] == ["Wrong number"]


@pytest.mark.parametrize("detail_type", ["OptedOut", "ReplyReceived", "WrongNumber"])
def test_the_schemas_name_every_field_and_ask_for_each(router, contacts, texted, published, detail_type):
    body = {"OptedOut": "STOP", "ReplyReceived": "yes", "WrongNumber": "wrong number"}[detail_type]
    ask(contacts)

    router.handler(sqs_event(envelope(inbound(body))), Context())

    (detail,) = [detail for published_type, detail in published if published_type == detail_type]
    schema = json.loads((SCHEMAS / f"{detail_type}.schema.json").read_text())
    assert set(detail) == set(schema["required"])
    # Only an opt-out that comes from elsewhere says from where.
    assert set(schema["properties"]) - set(detail) == ({"source"} if detail_type == "OptedOut" else set())
    for subject in [*detail.get("conversations", []), detail.get("answeredText")]:
        if subject is not None:
            named = schema["$defs"]["subject"]
            assert set(subject) == set(named["required"]) == set(named["properties"])


def ask(contacts, **fields):
    """A question about an appointment, put a minute ago from whatever number."""
    published = datetime.fromisoformat(PUBLISHED)
    contacts.open(
        Prompt(
            subscriber_id=PERSON,
            origination=ANY_ORIGINATION,
            construct="appointments",
            purpose="confirmation",
            occasion="booking-1",
            message_id=None,
            asked_at=published - timedelta(minutes=1),
            expires_at=published + timedelta(days=1),
            **fields,
        )
    )


def test_an_answer_to_a_question_from_any_number_reaches_who_asked(router, contacts, published):
    ask(contacts)

    router.handler(sqs_event(envelope(inbound("yes", destinationNumber="+12065550177"))), Context())
    router.handler(sqs_event(envelope(inbound("and more", inbound_id="in-2"))), Context())

    ((detail_type, detail),) = published
    assert (detail_type, detail["occasion"]) == ("ReplyReceived", "booking-1")
    assert detail["origination"] == "+12065550177"
    assert [subject for subject, _ in notices()] == ["Inbound message"]


def test_a_cancel_is_confirmed_once_in_the_words_of_who_asked(router, carrier, contacts, published):
    ask(contacts, opt_out_reply="No more texts. Your appointment stands.")
    event = sqs_event(envelope(inbound("CANCEL")), envelope(inbound("Stop", inbound_id="in-2")))

    router.handler(event, Context())
    router.handler(event, Context())

    assert contacts.get(PERSON).is_opted_out
    assert carrier.texts(PHONE) == ["No more texts. Your appointment stands."]
    ((detail_type, detail),) = published
    assert (detail_type, detail["isCancel"], detail["answeredPrompt"]["occasion"]) == (
        "OptedOut", True, "booking-1",
    )  # fmt: skip


def test_an_opt_out_that_the_bus_does_not_take_is_recorded_and_delivered_again(
    router, carrier, contacts, clients
):
    clients["events"].delete_event_bus(Name="channel")

    response = router.handler(sqs_event(envelope(inbound("STOP"))), Context())

    assert failed(response) == ["r-0"]
    assert contacts.get(PERSON).is_opted_out
    clients["events"].create_event_bus(Name="channel")
    assert failed(router.handler(sqs_event(envelope(inbound("STOP"))), Context())) == []
    assert carrier.texts(PHONE) == [STOPPED]


def test_an_opt_out_counts_against_the_campaign_whose_text_it_answers(router, dynamodb, texted):
    router.handler(sqs_event(envelope(inbound("STOP"))), Context())

    counts = DynamoCampaignCounts(dynamodb, table=CONTACTS, clock=FakeClock())
    assert counts.get(texted.campaign_id) == Counts(opted_out=1)


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


def test_a_reply_that_the_gate_refuses_is_logged_with_its_reason(router, carrier):
    # Jamaica is none of the countries that are sent to.
    payload = inbound("HELP", originationNumber="+18765550100")

    with captured_logs() as logs:
        response = router.handler(sqs_event(envelope(payload)), Context())

    assert failed(response) == []
    assert carrier.texts("+18765550100") == []
    (line,) = map(json.loads, logs.getvalue().splitlines())
    assert (line["action"], line["reply"], line["reply_reason"]) == (
        "HELPED",
        "SUPPRESSED",
        "COUNTRY_NOT_ALLOWED",
    )
