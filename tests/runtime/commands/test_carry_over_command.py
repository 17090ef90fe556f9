"""``sms-engagement carry-over``: a restored ledger sends nothing again, and forgets no STOP."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.dynamodb_messages import DynamoLedger
from sms_engagement_runtime.channel.domain.consent import ConsentState, Contact, Scope
from sms_engagement_runtime.channel.domain.gate import ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.ledger import Claimed, Intent, MessageState
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.commands import main as command
from tests.support.dynamodb_tables import CONTACTS, MESSAGES, channel_tables

RESTORED_TO = datetime(2026, 11, 21, 12, tzinfo=UTC)
AFTER = RESTORED_TO + timedelta(hours=2)
BEFORE = RESTORED_TO - timedelta(hours=2)
OLD_MESSAGES, OLD_CONTACTS = "old-messages", "old-contacts"


def intent(occasion: str) -> Intent:
    return Intent(
        construct="reviews",
        purpose="review-request",
        occasion=occasion,
        scope=Scope.REVIEWS,
        message_class=MessageClass.PROMOTIONAL,
        consent_rule=ConsentRule.IMPLIED,
        recipient=PhoneNumber("+12065550101"),
        subscriber_id="v1:someone",
        country="US",
        body="Hi",
    )


@pytest.fixture
def client():
    """The tables in use, which are the restored ones, and the old ones beside them."""
    with channel_tables() as client:
        for name, old in ((MESSAGES, OLD_MESSAGES), (CONTACTS, OLD_CONTACTS)):
            table = client.describe_table(TableName=name)["Table"]
            client.create_table(
                TableName=old,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=table["KeySchema"],
                AttributeDefinitions=[
                    attribute
                    for attribute in table["AttributeDefinitions"]
                    if attribute["AttributeName"] in {key["AttributeName"] for key in table["KeySchema"]}
                ],
            )
        yield client


@pytest.fixture
def old(client):
    return DynamoLedger(client, messages_table=OLD_MESSAGES, contacts_table=OLD_CONTACTS)


@pytest.fixture
def restored(client):
    return DynamoLedger(client, messages_table=MESSAGES, contacts_table=CONTACTS)


def claim(ledger, occasion, at):
    wanted = intent(occasion)
    contact = Contact(subscriber_id=wanted.subscriber_id)
    return ledger.claim(wanted, key=wanted.key, contact=contact, parts=1, now=at)


def send(ledger, occasion, at):
    claim(ledger, occasion, at)
    ledger.accept(intent(occasion).key, f"m-{occasion}", at)


def pause():
    assert command.main(["pause", "--contacts-table", CONTACTS]) == 0


def carry(*options, capsys):
    capsys.readouterr()
    status = command.main(
        [
            "carry-over",
            *("--contacts-table", CONTACTS, "--messages-table", MESSAGES),
            *("--old-messages-table", OLD_MESSAGES, "--old-contacts-table", OLD_CONTACTS),
            *("--since", RESTORED_TO.isoformat()),
            *options,
        ]
    )
    return status, capsys.readouterr()


def test_what_was_sent_since_is_not_sent_again(old, restored, capsys):
    send(old, "since", AFTER)
    send(old, "before", BEFORE)
    send(restored, "before", BEFORE)
    pause()

    status, printed = carry(capsys=capsys)

    assert status == 0
    assert json.loads(printed.out)["messages"] == {"seen": 1, "carried": 1, "current": 0}
    assert not isinstance(claim(restored, "since", AFTER + timedelta(hours=1)), Claimed)
    assert restored.get(intent("since").key).message_id == "m-since"


def test_without_it_the_text_would_go_out_again(old, restored):
    send(old, "since", AFTER)

    assert isinstance(claim(restored, "since", AFTER + timedelta(hours=1)), Claimed)


def test_a_row_that_may_be_claimed_never_stands_before_one_that_may_not(old, restored, capsys):
    send(old, "one", AFTER)
    wanted = intent("one")
    restored.suppress(wanted, wanted.key, "PAUSED", 1, AFTER + timedelta(hours=3))
    pause()

    carry(capsys=capsys)

    assert restored.get(wanted.key).state is MessageState.ACCEPTED


def test_a_newer_row_stays(old, restored, capsys):
    send(old, "one", AFTER)
    send(restored, "one", AFTER + timedelta(hours=1))
    pause()

    _, printed = carry(capsys=capsys)

    assert json.loads(printed.out)["messages"] == {"seen": 1, "carried": 0, "current": 1}


def test_a_stop_since_is_remembered(client, capsys):
    contact = Contact(subscriber_id="v1:someone")
    stopped = replace(contact, consents=dict.fromkeys(Scope, ConsentState.OPTED_OUT))
    DynamoContacts(client, table=OLD_CONTACTS).save(stopped, expected_version=0, records=[])
    pause()

    carry(capsys=capsys)

    found = DynamoContacts(client, table=CONTACTS).get("v1:someone")
    assert set(found.consents.values()) == {ConsentState.OPTED_OUT}


@pytest.mark.parametrize("version", [None, 3])
def test_the_frequency_cap_knows_of_the_texts_since(client, capsys, version):
    row = {"subscriberId": {"S": "v1:someone"}, "record": {"S": "contact"}}
    row |= {} if version is None else {"version": {"N": str(version)}}
    texts = {"before": {"N": "1"}}
    client.put_item(TableName=CONTACTS, Item={**row, "recentTexts": {"M": texts}})
    client.put_item(
        TableName=OLD_CONTACTS, Item={**row, "recentTexts": {"M": {**texts, "since": {"N": "2"}}}}
    )
    pause()
    carried = [
        json.loads(carry(*dry, capsys=capsys)[1].out)["contacts"]["carried"]
        for dry in (["--dry-run"], [], [])
    ]

    found = client.get_item(TableName=CONTACTS, Key={name: row[name] for name in ("subscriberId", "record")})
    assert found["Item"]["recentTexts"]["M"].keys() == {"before", "since"}
    assert carried == [1, 1, 0]


def test_a_second_run_finds_everything_there(old, capsys):
    send(old, "since", AFTER)
    pause()
    carry(capsys=capsys)

    _, printed = carry(capsys=capsys)

    assert json.loads(printed.out)["messages"] == {"seen": 1, "carried": 0, "current": 1}


def test_a_dry_run_counts_and_writes_nothing(old, restored, capsys):
    send(old, "since", AFTER)

    status, printed = carry("--dry-run", capsys=capsys)

    assert status == 0
    assert json.loads(printed.out)["messages"]["carried"] == 1
    assert restored.get(intent("since").key) is None


def test_nothing_is_carried_while_sending_is_on(old, restored, capsys):
    send(old, "since", AFTER)

    status, printed = carry(capsys=capsys)

    assert status == 1
    assert "sending is on; run `sms-engagement pause` first" in printed.err
    assert restored.get(intent("since").key) is None


def test_the_pause_is_not_that_of_the_old_table(client, old, capsys):
    command.main(["pause", "--contacts-table", OLD_CONTACTS, "--reason", "old"])
    pause()

    carry(capsys=capsys)

    command.main(["status", "--contacts-table", CONTACTS])
    assert "old" not in capsys.readouterr().out


def test_the_same_table_twice_is_refused(client, capsys):
    status = command.main(
        [
            "carry-over",
            *("--contacts-table", CONTACTS, "--messages-table", MESSAGES),
            *("--old-messages-table", MESSAGES, "--since", RESTORED_TO.isoformat()),
        ]
    )

    assert status == 1
    assert "are the same" in capsys.readouterr().err
