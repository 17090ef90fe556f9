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
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_subscribers import (
    DynamoSubscribers as PipelineSubscribers,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.lifecycle import Happening
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import Fact, record
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


def test_rows_of_two_journeys_are_two_though_their_runs_have_one_name(enrolments):
    welcome = enrolments.save(ROW)
    promotional = enrolments.save(replace(ROW, journey="promotional", ended=None))

    assert enrolments.get("run", PERSON, journey="welcome") == welcome
    assert enrolments.get("run", PERSON, journey="promotional") == promotional
    assert enrolments.guard(welcome).key != enrolments.guard(promotional).key


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


# Which opt-ins count: rows as people write them, and as the pipeline goes on from there


ASKED_AT, SAID_AT = 1795280500000, 1795280600000


@pytest.fixture
def opt_in(dynamodb):
    """Have a row, then facts written into it by the pipeline, and say whether its opt-in counts."""
    phone = NUMBERS[0]
    written = PipelineSubscribers(dynamodb, SUBSCRIBERS)

    def opt_in(status, *portions, **more):
        dynamodb.put_item(TableName=SUBSCRIBERS, Item=subscriber_item(phone, status, **more))
        for portion in portions:
            (row,) = written.find([id_of(phone)]).values()
            facts = [Fact(happening=what, at=at, id=f"{what}{at}") for what, at in portion]
            changed = record(row, facts, subscriber_id=row.subscriber_id, phone_number=phone)
            written.put(changed, expected_version=row.version)
        (found,) = DynamoSubscribers(dynamodb, table=SUBSCRIBERS).find([id_of(phone)]).values()
        return found

    return opt_in


def test_an_opt_in_that_was_given_counts_and_goes_on_counting(opt_in):
    heard = [(Happening.RESPONDED, SAID_AT), (Happening.CONFIRMED, SAID_AT)]

    assert opt_in("ACTIVE").is_on_record
    assert opt_in("ACTIVE", [(Happening.TEXTED, SAID_AT)], [(Happening.DELIVERED, SAID_AT)]).is_on_record
    assert opt_in("ACTIVE", heard, [(Happening.STARTED, SAID_AT + 1)]).is_on_record


def test_a_yes_to_something_else_is_no_opt_in(opt_in):
    # Imported as PENDING, and then YES to the reminder of an appointment.
    heard = [(Happening.RESPONDED, SAID_AT), (Happening.CONFIRMED, SAID_AT)]

    found = opt_in("PENDING", heard)
    asked = opt_in("NEW", [(Happening.ASKED_TO_CONFIRM, ASKED_AT)], heard)

    assert found.state is asked.state is SubscriberState.ACTIVE
    assert not found.is_on_record
    assert not asked.is_on_record


def test_being_written_down_is_no_opt_in(opt_in):
    assert not opt_in("ACTIVE", opted_in=False).is_on_record
    assert not opt_in("ACTIVE", [(Happening.TEXTED, SAID_AT)], opted_in=False).is_on_record


def test_facts_that_cannot_be_read_prove_nothing(dynamodb):
    for facts in ({"S": "x"}, {"M": {}}, {"M": {"asked": {"S": "1"}, "confirmed": {"S": "1"}}}):
        item = subscriber_item(NUMBERS[0], "ACTIVE") | {"facts": facts}
        dynamodb.put_item(TableName=SUBSCRIBERS, Item=item)

        (found,) = DynamoSubscribers(dynamodb, table=SUBSCRIBERS).find([id_of(NUMBERS[0])]).values()

        assert not found.is_on_record


def test_when_a_person_opted_out_is_read_as_the_pipeline_writes_it(opt_in, dynamodb):
    found = opt_in("ACTIVE", [(Happening.OPTED_OUT, SAID_AT)], attributes={"segment": "vip"})
    (in_index,) = everybody(DynamoSubscribers(dynamodb, table=SUBSCRIBERS), ["OPTED_OUT"], "vip")

    assert found.state is SubscriberState.OPTED_OUT
    assert found.opted_out_at == in_index.opted_out_at == datetime.fromtimestamp(SAID_AT / 1000, UTC)


@pytest.mark.parametrize("given", [{"S": "yesterday"}, {"N": "1e40"}, {"BOOL": True}, {"NULL": True}])
def test_an_opt_out_of_no_known_time_has_none(dynamodb, given):
    item = subscriber_item(NUMBERS[0], "OPTED_OUT") | {"opt_out_timestamp": given}
    dynamodb.put_item(TableName=SUBSCRIBERS, Item=item)

    (found,) = DynamoSubscribers(dynamodb, table=SUBSCRIBERS).find([id_of(NUMBERS[0])]).values()

    assert found.opted_out_at is None
