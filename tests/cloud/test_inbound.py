"""What people write to us: each text is handled once, and answered once or not at all."""

from datetime import timedelta
from typing import Any

import pytest

from sms_local.testing import Cloud, Mailbox, eventually
from tests.support.cloud_drive import (
    asked_phones,
    consents_of,
    handled_inbound,
    inbound,
    ledger_rows,
    new_customers,
    new_phone,
    outcome,
    replace_customers,
    replies_to,
    requests_to,
    subscriber_of,
    wait_for_flag,
)

pytestmark = pytest.mark.cloud

OPTED_OUT = "You have been unsubscribed. Reply START to subscribe again."
WELCOME_BACK = "Welcome back! You're now subscribed."
HELP = "Reply STOP to unsubscribe. For help, visit our website."


@pytest.fixture(scope="module")
def attention(running_cloud: Cloud) -> Mailbox:
    """Whatever a human was told during this module."""
    return running_cloud.subscribe(running_cloud.outputs["stacks"]["local-Channel"]["AttentionTopicArn"])


def told(attention: Mailbox, inbound_id: str) -> list[dict[str, Any]]:
    """Return what a human was told about an inbound text."""
    return [
        notice for notice in attention.messages() if f"Inbound message: {inbound_id}" in notice["Message"]
    ]


def test_stop_that_is_delivered_twice_is_confirmed_once(quiet_cloud: Cloud) -> None:
    phone = new_phone()

    first = inbound(quiet_cloud, from_=phone, body="STOP")
    again = inbound(quiet_cloud, from_=phone, body="STOP", inbound_message_id=first)

    assert again == first
    assert replies_to(quiet_cloud, phone) == [OPTED_OUT]
    assert consents_of(quiet_cloud, phone) == {"OPTED_OUT"}


def test_a_second_stop_gets_no_second_confirmation(quiet_cloud: Cloud) -> None:
    phone = new_phone()

    inbound(quiet_cloud, from_=phone, body="STOP")
    inbound(quiet_cloud, from_=phone, body="stop!!!")

    assert replies_to(quiet_cloud, phone) == [OPTED_OUT]


def test_two_stops_at_the_same_moment_get_one_confirmation(quiet_cloud: Cloud) -> None:
    phones = [new_phone() for _ in range(5)]

    for phone in phones:
        for _ in range(2):
            quiet_cloud.text_from(phone, "STOP")
    for phone in phones:
        inbound(quiet_cloud, from_=phone, body="STOP")

    assert {phone: replies_to(quiet_cloud, phone) for phone in phones} == {
        phone: [OPTED_OUT] for phone in phones
    }


@pytest.mark.parametrize(
    "words",
    [
        "Stop. Thank you",
        "ＳＴＯＰ",
        "st\u200bop",
        "please stop texting me",
        "Take me off this list",
        "OPT-OUT",
    ],
)
def test_every_clear_opt_out_is_honoured(quiet_cloud: Cloud, words: str) -> None:
    (person,) = new_customers(1)
    replace_customers(quiet_cloud, [person])

    inbound(quiet_cloud, from_=person.phone, body=words)
    summary = quiet_cloud.broadcast()

    assert replies_to(quiet_cloud, person.phone) == [OPTED_OUT]
    assert summary["reasons"] == {"OPTED_OUT": 1}
    assert requests_to(quiet_cloud) == []


@pytest.mark.parametrize("words", ["END of month works", "don't stop", "I quit my job"])
def test_what_only_sounds_like_an_opt_out_is_none(quiet_cloud: Cloud, attention: Mailbox, words: str) -> None:
    phone = new_phone()

    inbound_id = inbound(quiet_cloud, from_=phone, body=words)

    (notice,) = told(attention, inbound_id)
    assert words in notice["Message"]
    assert replies_to(quiet_cloud, phone) == []
    assert consents_of(quiet_cloud, phone) == set()


def test_start_after_stop_leads_back(quiet_cloud: Cloud) -> None:
    (person,) = new_customers(1)
    replace_customers(quiet_cloud, [person])
    inbound(quiet_cloud, from_=person.phone, body="STOP")

    inbound(quiet_cloud, from_=person.phone, body="START")
    summary = quiet_cloud.broadcast()

    assert replies_to(quiet_cloud, person.phone) == [OPTED_OUT, WELCOME_BACK]
    assert consents_of(quiet_cloud, person.phone) == {"ACTIVE"}
    assert summary["outcomes"] == {"ACCEPTED": 1}
    assert asked_phones(quiet_cloud) == [person.phone]


def test_start_that_the_service_refuses_changes_nothing_and_tells_a_human(
    quiet_cloud: Cloud, attention: Mailbox
) -> None:
    (person,) = new_customers(1)
    replace_customers(quiet_cloud, [person])
    for words in ("STOP", "START", "STOP"):
        inbound(quiet_cloud, from_=person.phone, body=words)

    # A number leaves an opt-out list once in 30 days.
    refused = inbound(quiet_cloud, from_=person.phone, body="START")
    summary = quiet_cloud.broadcast()

    (notice,) = told(attention, refused)
    assert notice["Subject"] == "START refused by AWS"
    assert consents_of(quiet_cloud, person.phone) == {"OPTED_OUT"}
    assert replies_to(quiet_cloud, person.phone) == [OPTED_OUT, WELCOME_BACK, OPTED_OUT]
    assert summary["reasons"] == {"OPTED_OUT": 1}
    assert requests_to(quiet_cloud) == []


def test_yes_does_not_lead_back_after_an_opt_out(quiet_cloud: Cloud, attention: Mailbox) -> None:
    phone = new_phone()
    inbound(quiet_cloud, from_=phone, body="STOP")

    inbound_id = inbound(quiet_cloud, from_=phone, body="YES")

    assert len(told(attention, inbound_id)) == 1
    assert consents_of(quiet_cloud, phone) == {"OPTED_OUT"}
    assert replies_to(quiet_cloud, phone) == [OPTED_OUT]


@pytest.mark.parametrize("words", ["HELP", "info", "START"])
def test_who_asks_for_help_gets_it(quiet_cloud: Cloud, words: str) -> None:
    phone = new_phone()

    inbound(quiet_cloud, from_=phone, body=words)

    assert replies_to(quiet_cloud, phone) == [HELP]
    assert consents_of(quiet_cloud, phone) == set()


def test_free_text_of_an_unknown_person_reaches_a_human(quiet_cloud: Cloud, attention: Mailbox) -> None:
    phone = new_phone()

    inbound_id = inbound(quiet_cloud, from_=phone, body="Do you open on Sundays?")

    (notice,) = told(attention, inbound_id)
    assert notice["Subject"] == "Inbound message"
    assert f"{phone} wrote “Do you open on Sundays?”" in notice["Message"]
    assert quiet_cloud.texts(phone) == []
    assert ledger_rows(quiet_cloud, phone) == []


def test_a_text_of_1600_characters_reaches_a_human_whole(quiet_cloud: Cloud, attention: Mailbox) -> None:
    phone = new_phone()
    body = ("We waited an hour and would like to tell you all about it. " * 28)[:1600]

    inbound_id = inbound(quiet_cloud, from_=phone, body=body)

    (notice,) = told(attention, inbound_id)
    assert body.strip() in notice["Message"]
    assert quiet_cloud.texts(phone) == []


@pytest.mark.parametrize("fields", [{"body": ""}, {"body": " \u200b\n"}, {}])
def test_a_text_without_words_is_ignored(
    quiet_cloud: Cloud, attention: Mailbox, fields: dict[str, str]
) -> None:
    phone = new_phone()

    inbound_id = inbound(quiet_cloud, from_=phone, **fields)

    assert told(attention, inbound_id) == []
    assert quiet_cloud.texts(phone) == []
    assert consents_of(quiet_cloud, phone) == set()


@pytest.mark.parametrize("sender", [{"from_": ""}, {"from_": "12345"}, {"from_": "MYBANK"}, {}])
def test_what_nobody_can_be_answered_for_reaches_a_human(
    quiet_cloud: Cloud, attention: Mailbox, sender: dict[str, str]
) -> None:
    before = quiet_cloud.texts()

    inbound_id = inbound(quiet_cloud, body="STOP", **sender)

    (notice,) = told(attention, inbound_id)
    assert notice["Subject"] == "Inbound message without a phone number"
    assert quiet_cloud.texts() == before


@pytest.mark.parametrize(
    "words", ["Sorry, you have the wrong number", "Número equivocado", "Wrong number. STOP"]
)
def test_a_wrong_number_gets_one_confirmation_and_nothing_after_it(
    quiet_cloud: Cloud, attention: Mailbox, words: str
) -> None:
    (person,) = new_customers(1)
    replace_customers(quiet_cloud, [person])

    inbound_id = inbound(quiet_cloud, from_=person.phone, body=words)
    summary = quiet_cloud.broadcast()

    (notice,) = told(attention, inbound_id)
    assert notice["Subject"] == "Wrong number"
    assert f"{person.phone} wrote “{words}”" in notice["Message"]
    assert replies_to(quiet_cloud, person.phone) == [OPTED_OUT]
    assert summary["reasons"] == {"OPTED_OUT": 1}
    assert requests_to(quiet_cloud) == []


def test_what_may_be_a_wrong_number_is_for_a_human(quiet_cloud: Cloud, attention: Mailbox) -> None:
    phone = new_phone()

    inbound_id = inbound(quiet_cloud, from_=phone, body="Is this the wrong number?")

    (notice,) = told(attention, inbound_id)
    assert notice["Subject"] == "Possible wrong number"
    assert replies_to(quiet_cloud, phone) == []
    assert consents_of(quiet_cloud, phone) == set()


def test_during_a_pause_an_opt_out_counts_at_once_and_is_confirmed_once_after_it(
    quiet_cloud: Cloud, attention: Mailbox
) -> None:
    phone = new_phone()
    contacts = quiet_cloud.outputs["tables"]["contacts"]
    flag = {"subscriberId": {"S": "control"}, "record": {"S": "sending"}}
    quiet_cloud.dynamodb.put_item(TableName=contacts, Item=flag | {"paused": {"BOOL": True}})
    wait_for_flag()

    try:
        first = quiet_cloud.carrier.post("/control/inbound", json={"from": phone, "body": "STOP"}).json()
        eventually(lambda: consents_of(quiet_cloud, phone) == {"OPTED_OUT"}, what="the opt-out")
        again = handled_inbound(quiet_cloud, from_=phone, body="STOP")
        quiet_cloud.advance(timedelta(minutes=30))
        while_paused = replies_to(quiet_cloud, phone)
    finally:
        quiet_cloud.dynamodb.delete_item(TableName=contacts, Key=flag)

    def replies_after_a_while() -> list[str]:
        quiet_cloud.advance(timedelta(minutes=5))
        return replies_to(quiet_cloud, phone)

    assert eventually(replies_after_a_while, what="the confirmation") == [OPTED_OUT]
    quiet_cloud.advance(timedelta(minutes=30))
    assert while_paused == []
    assert replies_to(quiet_cloud, phone) == [OPTED_OUT]
    assert told(attention, first["inbound_message_id"]) == []
    assert told(attention, again) == []


def test_a_campaign_is_told_what_became_of_its_texts(quiet_cloud: Cloud) -> None:
    people = new_customers(3)
    replace_customers(quiet_cloud, people)
    outcome(quiet_cloud, phone=people[2].phone, event_type="TEXT_BLOCKED")

    summary = quiet_cloud.broadcast()
    inbound(quiet_cloud, from_=people[0].phone, body="STOP")

    def counts() -> dict[str, Any] | None:
        rows = quiet_cloud.rows("contacts")
        of_run = [row for row in rows if row["subscriberId"] == f"campaign#{summary['runId']}"]
        return next((row for row in of_run if row["record"] == "counts" and row.get("failed")), None)

    row = eventually(counts, what="the counts of the run")
    assert row is not None
    eventually(lambda: (counts() or {}).get("delivered") == 2, what="the texts that were delivered")
    assert (row["failed"], row["optedOut"]) == (1, 1)


def test_an_opt_out_that_another_system_tells_of_counts_until_a_start_of_their_own(
    quiet_cloud: Cloud,
) -> None:
    phone = new_phone()
    inbound(quiet_cloud, from_=phone, body="START")
    report = {
        "eventId": f"told-{phone[1:]}",
        "eventType": "_SMS.OPTOUT",
        "recordStatus": "OPTED_OUT",
        "subscriberId": subscriber_of(quiet_cloud, phone),
        "phoneNumber": phone,
        "at": int(quiet_cloud.now().timestamp() * 1000),
        "schemaVersion": 1,
    }

    for _ in range(2):
        quiet_cloud.publish("OptOutReported", report)

    eventually(lambda: consents_of(quiet_cloud, phone) == {"OPTED_OUT"}, what="the opt-out")
    inbound(quiet_cloud, from_=phone, body="START")
    quiet_cloud.publish("OptOutReported", report)
    quiet_cloud.advance(timedelta(0))
    assert consents_of(quiet_cloud, phone) == {"ACTIVE"}
