"""Enrolments and subscribers on DynamoDB and in memory behave the same."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sms_engagement_runtime.channel.adapters.dynamodb_messages import DynamoLedger
from sms_engagement_runtime.channel.domain.consent import Contact, Scope
from sms_engagement_runtime.channel.domain.gate import ConsentRule, MessageClass
from sms_engagement_runtime.channel.domain.ledger import Claimed, ContactChanged, Intent
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.journeys.adapters.dynamodb_enrolments import DynamoEnrolments
from sms_engagement_runtime.journeys.adapters.dynamodb_subscribers import DynamoSubscribers
from sms_engagement_runtime.journeys.domain.conditions import ReplyKind, SubscriberState
from sms_engagement_runtime.journeys.domain.enrolment import Enrolment, EnrolmentChangedError, Sent
from sms_engagement_runtime.journeys.domain.subscribers import Subscriber
from tests.support.dynamodb_tables import CONTACTS, MESSAGES
from tests.support.fakes import FakeContacts, FakeLedger
from tests.support.journey_drive import ENROLMENTS, SUBSCRIBERS, id_of, journey_cloud, subscriber_item
from tests.support.journey_fakes import FakeEnrolments, FakeSubscribers

AT = datetime(2026, 11, 21, 17, tzinfo=UTC)
PERSON = "v1:a"
ROW = Enrolment(
    run_id="run",
    subscriber_id=PERSON,
    journey="welcome",
    settled=1,
    attempt="reminder",
    attempt_decided={"2": False},
    decided={"0": True},
    sent={1: Sent(name="welcome", at=AT)},
    replies=frozenset({ReplyKind.NEUTRAL, ReplyKind.NEGATIVE}),
    ended="DECLINED",
    updated_at=AT + timedelta(hours=1),
    kept_until=AT + timedelta(days=90),
)
NUMBERS = [f"+1206555{n:04}" for n in range(100, 112)]


@pytest.fixture
def dynamodb():
    with journey_cloud() as client:
        yield client


@pytest.fixture(params=["dynamodb", "memory"])
def system(request):
    """Enrolments, and a ledger that looks at them."""
    if request.param == "memory":
        rows, contacts = FakeEnrolments(), FakeContacts()
        ledger = FakeLedger(contacts)
        ledger.holds = rows.holds
        yield rows, ledger
        return
    client = request.getfixturevalue("dynamodb")
    ledger = DynamoLedger(client, messages_table=MESSAGES, contacts_table=CONTACTS)
    yield DynamoEnrolments(client, table=ENROLMENTS), ledger


@pytest.fixture
def enrolments(system):
    return system[0]


def test_a_row_comes_back_as_it_was_written(enrolments):
    saved = enrolments.save(ROW)

    assert saved == replace(ROW, version=1)
    assert enrolments.get("run", PERSON, journey="welcome") == saved


def test_a_row_that_nobody_wrote_has_no_version(enrolments):
    unknown = enrolments.get("run", PERSON, journey="welcome")

    assert unknown == Enrolment(run_id="run", subscriber_id=PERSON, journey="welcome")


def test_a_row_with_nothing_in_it_comes_back_too(enrolments):
    empty = Enrolment(
        run_id="run",
        subscriber_id=PERSON,
        journey="welcome",
        updated_at=AT,
        kept_until=AT + timedelta(days=1),
    )

    assert enrolments.get("run", PERSON, journey="x") != empty
    assert enrolments.save(empty) == enrolments.get("run", PERSON, journey="welcome")


def test_of_two_writers_the_second_is_told(enrolments):
    first = enrolments.save(ROW)
    enrolments.save(replace(first, settled=2))

    for late in (ROW, first):
        with pytest.raises(EnrolmentChangedError):
            enrolments.save(late)
    assert enrolments.get("run", PERSON, journey="welcome").settled == 2


def test_rows_of_two_runs_are_two(enrolments):
    enrolments.save(ROW)

    assert enrolments.get("run-2", PERSON, journey="welcome").version == 0


def test_a_text_is_claimed_only_while_the_row_is_as_it_was_read(system):
    enrolments, ledger = system
    intent = Intent(
        construct="journeys",
        purpose="welcome/reminder",
        occasion="once",
        scope=Scope.MARKETING,
        message_class=MessageClass.PROMOTIONAL,
        consent_rule=ConsentRule.ASKING,
        recipient=PhoneNumber("+12065550101"),
        subscriber_id=PERSON,
        country="US",
        body="Hello",
    )

    def claim(guard):
        contact = Contact(subscriber_id=PERSON)
        return ledger.claim(intent, key=intent.key, contact=contact, parts=1, now=AT, guard=guard)

    read = enrolments.save(ROW)
    changed = enrolments.save(read)

    assert isinstance(claim(enrolments.guard(read)), ContactChanged)
    assert isinstance(claim(enrolments.guard(changed)), Claimed)


# Subscribers


@pytest.fixture(params=["dynamodb", "memory"])
def subscribers(request):
    people = [
        (phone, ("NEW", "PENDING", "ACTIVE", "OPTED_OUT")[number % 4], "vip" if number % 2 else "new")
        for number, phone in enumerate(NUMBERS)
    ]
    if request.param == "memory":
        rows = {
            id_of(phone): Subscriber(
                subscriber_id=id_of(phone),
                phone_number=phone,
                state=SubscriberState(state),
                has_opted_in=state == "ACTIVE",
                segment=segment,
                attributes={"segment": segment},
            )
            for phone, state, segment in people
        }
        return FakeSubscribers(rows)
    client = request.getfixturevalue("dynamodb")
    for phone, state, segment in people:
        client.put_item(
            TableName=SUBSCRIBERS, Item=subscriber_item(phone, state, attributes={"segment": segment})
        )
    return DynamoSubscribers(client, table=SUBSCRIBERS)


def everybody(subscribers, states, segment):
    found, cursor = [], None
    while True:
        page = subscribers.page(cursor, states=frozenset(map(SubscriberState, states)), segment=segment)
        found += page.rows
        cursor = page.next
        if cursor is None:
            return found


@pytest.mark.parametrize(
    ("states", "segment", "numbers"),
    [
        (("NEW", "PENDING"), None, {0, 1, 4, 5, 8, 9}),
        (("ACTIVE",), "new", {2, 6, 10}),
        (("NEW", "PENDING"), "vip", {1, 5, 9}),
        (("BOUNCED",), None, set()),
        (("ACTIVE",), "nobody", set()),
    ],
)
def test_the_subscribers_of_an_audience_come_once_each(subscribers, states, segment, numbers):
    found = everybody(subscribers, states, segment)

    assert sorted(one.phone_number for one in found) == sorted(NUMBERS[n] for n in numbers)
    assert all(one.has_opted_in is (one.state == "ACTIVE") for one in found)


def test_subscribers_are_found_by_id_and_others_are_absent(subscribers):
    found = subscribers.find([id_of(NUMBERS[2]), id_of(NUMBERS[2]), "v1:nobody"])

    assert [*found] == [id_of(NUMBERS[2])]
    assert found[id_of(NUMBERS[2])].attributes == {"segment": "new"}


def test_a_table_of_many_pages_is_read_to_its_end(dynamodb):
    padding = "x" * 390_000
    for number in range(9):
        phone = f"+1206555{120 + number:04}"
        item = subscriber_item(phone, attributes={"segment": "vip", "note": padding})
        dynamodb.put_item(TableName=SUBSCRIBERS, Item=item)
    table = DynamoSubscribers(dynamodb, table=SUBSCRIBERS)

    by_index = everybody(table, ["NEW", "ACTIVE"], "vip")

    assert len({one.subscriber_id for one in by_index}) == len(by_index) == 9


@pytest.mark.parametrize(
    "item",
    [
        {"subscriber_id": {"S": "v1:a"}},
        {"subscriber_id": {"S": "v1:a"}, "subscription_status": {"S": "ASLEEP"}, "attributes": {"S": "x"}},
        {
            "subscriber_id": {"S": "v1:a"},
            "phone_number": {"N": "12065550101"},
            "opt_in_timestamp": {"NULL": True},
        },
        {"subscriber_id": {"S": "v1:a"}, "attributes": {"M": {"segment": {"L": [{"S": "x"}]}}}},
    ],
)
def test_a_row_that_somebody_wrote_by_hand_is_read_as_far_as_it_can_be(dynamodb, item):
    dynamodb.put_item(TableName=SUBSCRIBERS, Item=item)

    found = DynamoSubscribers(dynamodb, table=SUBSCRIBERS).find(["v1:a"])["v1:a"]

    assert (found.state, found.has_opted_in, found.segment) == (None, False, None)
