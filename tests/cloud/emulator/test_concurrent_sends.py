"""Claims and reservations of many at once, on a table that is really shared: cap and budget are exact."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest

from sms_engagement_runtime.channel.adapters.budget import DynamoBudget
from sms_engagement_runtime.channel.adapters.dynamodb_contacts import DynamoContacts
from sms_engagement_runtime.channel.adapters.dynamodb_messages import DynamoLedger
from sms_engagement_runtime.channel.domain.budget import SpendLimits
from sms_engagement_runtime.channel.domain.consent import Scope
from sms_engagement_runtime.channel.domain.frequency import FrequencyCap
from sms_engagement_runtime.channel.domain.gate import ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.ledger import Intent
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.reasons import Reason
from sms_engagement_runtime.channel.domain.sending import SendPolicy, SendService
from tests.support.fakes import FakeClock, FakePacer, FakePause, FakePlaces, FakeSender

NOW = datetime(2026, 11, 21, 17, tzinfo=UTC)
SENDERS = 8
PRICE = 881
INTENT = Intent(
    construct="reviews",
    purpose="review-request",
    occasion="order",
    scope=Scope.REVIEWS,
    message_class=MessageClass.PROMOTIONAL,
    consent_rule=ConsentRule.IMPLIED,
    recipient=PhoneNumber("+12065550123"),
    subscriber_id="v1:person",
    country="US",
    body="Hi John! How was it?",
    campaign_id="spring",
)


@pytest.fixture
def tables(patched: Any) -> Iterator[tuple[Any, str, str]]:
    client = patched.client("dynamodb")
    names = [f"{kind}-{uuid4().hex[:8]}" for kind in ("contacts", "messages")]
    keys = (["subscriberId", "record"], ["messageKey"])
    for name, (partition, *sort) in zip(names, keys, strict=True):
        client.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": partition, "KeyType": "HASH"},
                *({"AttributeName": key, "KeyType": "RANGE"} for key in sort),
            ],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in (partition, *sort)],
        )
    yield client, *names
    for name in names:
        client.delete_table(TableName=name)


def at_once(count: int, run: Any) -> list[Any]:
    """Results of so many threads that begin together, each given its number."""
    barrier = Barrier(count, timeout=60)

    def begin(number: int) -> Any:
        barrier.wait()
        return run(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


def test_two_broadcasts_over_the_same_people_never_pass_the_cap(tables: tuple[Any, str, str]) -> None:
    client, contacts, messages = tables
    sender = FakeSender()

    def send(number: int) -> list[Any]:
        # A process of its own, as far as its state goes.
        service = SendService(
            contacts=DynamoContacts(client, table=contacts),
            ledger=DynamoLedger(client, messages_table=messages, contacts_table=contacts),
            sender=sender,
            pause=FakePause(),
            pacer=FakePacer(),
            places=FakePlaces(),
            clock=FakeClock(),
            policy=SendPolicy(allowed_countries=frozenset({"US"}), frequency_cap=FrequencyCap(texts=2)),
        )
        return [
            service.send(replace(INTENT, subscriber_id=f"v1:{person}", occasion=f"order-{number}"))
            for person in range(6)
        ]

    outcomes = [outcome for of_sender in at_once(SENDERS, send) for outcome in of_sender]

    sent = [outcome for outcome in outcomes if outcome.state is OutcomeState.ACCEPTED]
    assert len(sent) == len(sender.sent) == 6 * 2
    assert {outcome.reason for outcome in outcomes} <= {
        None, Reason.FREQUENCY_CAP, Reason.CONTACT_CHANGED,
    }  # fmt: skip
    introductions = [message for message in sender.sent if message.body.endswith("Reply STOP to opt out")]
    assert len(introductions) == 6
    store = DynamoContacts(client, table=contacts)
    assert all(len(store.get(f"v1:{person}").recent_texts) == 2 for person in range(6))


def test_processes_that_spend_at_once_never_pass_the_budget(tables: tuple[Any, str, str]) -> None:
    client, contacts, _ = tables
    limits = SpendLimits(per_day=100 * PRICE, per_campaign=100 * PRICE)

    def spend(number: int) -> int:
        budget = DynamoBudget(client, table=contacts, limits=limits, millicents_per_part=PRICE, most_ahead=10)
        granted = 0
        for turn in range(40):
            if budget.reserve("spring", 1, NOW) is None:
                granted += 1
                if turn % 10 == number:
                    budget.give_back("spring", 1, NOW)
                    granted -= 1
        budget.settle()
        return granted

    granted = at_once(4, spend)

    spent = client.get_item(
        TableName=contacts,
        Key={"subscriberId": {"S": "budget#day#2026-11-21"}, "record": {"S": "spent"}},
    )["Item"]["spentMillicents"]["N"]
    assert sum(granted) <= 100
    assert int(spent) == sum(granted) * PRICE
