"""Timeline of a person by one call, over tables in moto."""

from dataclasses import replace
from datetime import UTC, datetime

import boto3
import pytest

from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.dynamodb_messages import DynamoLedger
from sms_engagement_runtime.channel.domain.consent import Contact, Evidence, Scope, Source, opt_out
from sms_engagement_runtime.channel.domain.gate import ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.ledger import Intent
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from tests.support.dynamodb_tables import CONTACTS, MESSAGES, channel_tables
from tests.support.handlers import Context, fresh_handler

KEY = "a key of the subscriber ids"
PERSON = PhoneNumber("+12065550123")
ID = subscriber_id(PERSON, KEY.encode())
NOW = datetime(2026, 11, 21, 17, tzinfo=UTC)


@pytest.fixture
def client():
    with channel_tables() as client:
        boto3.client("secretsmanager").create_secret(Name="subscriber-key", SecretString=KEY)
        yield client


@pytest.fixture
def ask(client):
    environment = {
        "MESSAGES_TABLE": MESSAGES,
        "CONTACTS_TABLE": CONTACTS,
        "SUBSCRIBER_KEY_SECRET_ARN": "subscriber-key",
    }
    with fresh_handler("sms_engagement_runtime.channel.handlers.timeline", environment) as module:
        yield lambda event: module.handler(event, Context())


@pytest.fixture
def intent():
    return Intent(
        construct="reviews",
        purpose="review-request",
        occasion="order-1",
        scope=Scope.REVIEWS,
        message_class=MessageClass.PROMOTIONAL,
        consent_rule=ConsentRule.IMPLIED,
        recipient=PERSON,
        subscriber_id=ID,
        country="US",
        body="Please review",
    )


@pytest.fixture
def opted_out(client, intent):
    contacts = DynamoContacts(client, table=CONTACTS)
    evidence = Evidence(
        source=Source.INBOUND_MESSAGE, words="leave me alone, Bob Miller", message_id="in-1", at=NOW
    )
    change = opt_out(contacts.get(ID), evidence)
    contacts.save(replace(change.contact, phone_number=PERSON), expected_version=0, records=change.records)
    ledger = DynamoLedger(client, messages_table=MESSAGES, contacts_table=CONTACTS)
    ledger.suppress(intent, intent.key, "OPTED_OUT", 1, NOW)
    return ledger


@pytest.mark.usefixtures("opted_out")
@pytest.mark.parametrize(
    "event", [{"phoneNumber": "+12065550123"}, {"phoneNumber": "(206) 555-0123"}, {"subscriberId": ID}]
)
def test_one_call_says_why_she_did_not_get_the_text_and_gives_nothing_away(ask, event):
    answer = ask(event)

    assert answer["subscriberId"] == ID
    assert (
        "The last text (reviews, review-request) was not sent because they opted out" in answer["conclusion"]
    )
    assert "OPTED_OUT" in [entry.get("reason") for entry in answer["entries"]]
    assert {entry["what"] for entry in answer["entries"]} == {"consent", "text"}
    for secret in (PERSON.e164, PERSON.e164[2:], "Miller", "alone"):
        assert secret not in str(answer)


def test_a_text_is_told_from_its_claim_to_its_end(ask, client, intent):
    ledger = DynamoLedger(client, messages_table=MESSAGES, contacts_table=CONTACTS)
    ledger.claim(intent, key=intent.key, contact=Contact(subscriber_id=ID), parts=1, now=NOW)
    ledger.accept(intent.key, "m-1", NOW)

    answer = ask({"phoneNumber": PERSON.e164})

    sentences = [entry["sentence"] for entry in answer["entries"]]
    assert sentences == [
        "reviews, review-request: the gate let it pass, and it was claimed to be sent, once (1 part).",
        "reviews, review-request: AWS took it, message m-1.",
    ]


@pytest.mark.parametrize("event", [{}, {"phoneNumber": "tomorrow"}, {"phoneNumber": 7}, {"subscriberId": 7}])
def test_what_is_no_person_is_an_answer_and_no_error(ask, event):
    assert ask(event) in ({"error": "NO_PHONE"}, {"error": "INVALID_PHONE"})


def test_of_who_is_unknown_the_conclusion_says_so(ask):
    answer = ask({"phoneNumber": PERSON.e164})

    assert answer["entries"] == []
    assert "ever decided about" in answer["conclusion"]
