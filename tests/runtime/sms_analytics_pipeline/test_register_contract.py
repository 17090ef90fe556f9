"""What every register promises: the fake of the tests and the one on DynamoDB alike."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_register import DynamoRegister
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_subscribers import DynamoSubscribers
from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Contribution
from sms_engagement_runtime.sms_analytics_pipeline.domain.register import KEPT_FOR_MS, Claim, RegisterRow
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import record
from tests.support.analytics_fakes import FakeRegister, FakeSubscriberRows
from tests.support.aws_faults import failing
from tests.support.dynamodb_tables import channel_tables, create_table

NOW = 1_795_280_400_123
CLAIM = Claim(claimed_at=NOW, leased_at=NOW + 1, event='{"event_id":"m-1/SUCCESS/DELIVERED"}')
EVENT = "m-1/SUCCESS/DELIVERED"
ROW = RegisterRow(
    message_id="m-1",
    subscriber_id="v1:a",
    phone_number="+12025550101",
    campaign_id="run-1",
    journey_id="welcome",
    country_code="US",
    message_type="PROMOTIONAL",
    counted=Contribution("_SMS.SUCCESS", NOW, 581),
    is_sent=True,
    claims={EVENT: CLAIM, "m-1/FAILURE/UNKNOWN": CLAIM},
    streamed={"m-1/BUFFERED/QUEUED": NOW},
)
BARE = RegisterRow(message_id="m/2 #é", subscriber_id="v1:b")


@dataclass
class Stores:
    register: Any
    subscribers: Any
    client: Any = None


@pytest.fixture(params=["fake", "dynamodb"])
def stores(request):
    if request.param == "fake":
        register = FakeRegister()
        yield Stores(register, FakeSubscriberRows(register))
        return
    with channel_tables() as client:
        create_table(client, "register", "messageId")
        create_table(client, "subscribers", "subscriber_id")
        yield on_dynamodb(client)


def on_dynamodb(client):
    subscribers = DynamoSubscribers(client, "subscribers", sleep=lambda _: None)
    register = DynamoRegister(client, table="register", subscribers=subscribers, sleep=lambda _: None)
    return Stores(register, subscribers, client)


@pytest.fixture
def dynamodb():
    with channel_tables() as client:
        create_table(client, "register", "messageId")
        create_table(client, "subscribers", "subscriber_id")
        yield on_dynamodb(client)


def person(subscriber_id="v1:a", **fields):
    return record(None, [], subscriber_id=subscriber_id, phone_number="+12025550101", **fields)


def test_rows_are_read_as_they_were_written(stores):
    assert stores.register.write([ROW, BARE], person(), now=NOW)

    found = stores.register.find(["m-1", "m/2 #é", "m-3", "m-1"])

    assert found == {"m-1": replace(ROW, version=1), "m/2 #é": replace(BARE, version=1)}
    assert stores.subscribers.find(["v1:a"])["v1:a"].phone_number == "+12025550101"


def test_a_row_alone_is_written_too(stores):
    assert stores.register.write([BARE], None, now=NOW)
    assert not stores.register.write([BARE], None, now=NOW)

    assert stores.register.find([BARE.message_id])[BARE.message_id].version == 1


def test_a_row_that_changed_since_it_was_read_stops_all_of_them(stores):
    stores.register.write([ROW], None, now=NOW)

    assert not stores.register.write([BARE, ROW], person(), now=NOW)

    assert stores.register.find([BARE.message_id]) == {}
    assert stores.subscribers.find(["v1:a"]) == {}


def test_a_subscriber_who_changed_since_they_were_read_stops_the_rows(stores):
    stores.register.write([BARE], person(), now=NOW)

    assert not stores.register.write([ROW], person(messages_sent=1), now=NOW)

    assert stores.register.find(["m-1"]) == {}
    assert stores.subscribers.find(["v1:a"])["v1:a"].total_messages_sent == 0


def test_a_mark_moves_its_events_and_leaves_the_others(stores):
    stores.register.write([ROW], None, now=NOW)

    stores.register.mark("m-1", [EVENT], now=NOW + 5)

    (row,) = stores.register.find(["m-1"]).values()
    assert row == replace(
        ROW,
        version=2,
        claims={"m-1/FAILURE/UNKNOWN": CLAIM},
        streamed={"m-1/BUFFERED/QUEUED": NOW, EVENT: NOW + 5},
    )


def test_a_mark_is_not_lost_to_whoever_read_the_row_before_it(stores):
    stores.register.write([ROW], None, now=NOW)
    (before,) = stores.register.find(["m-1"]).values()

    stores.register.mark("m-1", [EVENT, "m-1/FAILURE/UNKNOWN"], now=NOW)

    assert not stores.register.write([before], None, now=NOW)


def test_a_mark_again_and_of_a_row_that_is_gone_does_no_harm(stores):
    stores.register.write([ROW], None, now=NOW)

    for _ in range(2):
        stores.register.mark("m-1", [EVENT], now=NOW + 5)
    stores.register.mark("m-3", [EVENT], now=NOW)

    (row,) = stores.register.find(["m-1", "m-3"]).values()
    assert row.streamed[EVENT] == NOW + 5


def test_more_rows_are_read_than_one_call_takes(stores):
    for number in range(130):
        stores.register.write([RegisterRow(message_id=f"m-{number}", subscriber_id="v1:a")], None, now=NOW)

    assert len(stores.register.find(f"m-{number}" for number in range(150))) == 130


def test_a_row_lives_for_ninety_days_after_its_last_change(dynamodb):
    dynamodb.register.write([ROW], None, now=NOW)

    item = dynamodb.client.get_item(TableName="register", Key={"messageId": {"S": "m-1"}})["Item"]

    assert int(item["expiresAt"]["N"]) == (NOW + KEPT_FOR_MS) // 1000
    assert KEPT_FOR_MS == 90 * 24 * 3600 * 1000
    assert item["schemaVersion"] == {"N": "1"}


@pytest.mark.parametrize("error", ["TransactionConflictException", "ConditionalCheckFailedException"])
def test_a_row_that_is_just_being_written_is_to_be_read_again(dynamodb, error):
    with failing("PutItem", error):
        assert not dynamodb.register.write([BARE], None, now=NOW)


def test_a_mark_waits_for_a_transaction_that_holds_the_row(dynamodb):
    dynamodb.register.write([ROW], None, now=NOW)

    with failing("UpdateItem", "TransactionConflictException", times=3):
        dynamodb.register.mark("m-1", [EVENT], now=NOW)

    assert EVENT in dynamodb.register.find(["m-1"])["m-1"].streamed


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("PutItem", lambda register: register.write([BARE], None, now=NOW)),
        ("TransactWriteItems", lambda register: register.write([BARE], person(), now=NOW)),
        ("BatchGetItem", lambda register: register.find(["m-1"])),
        ("UpdateItem", lambda register: register.mark("m-1", [EVENT], now=NOW)),
    ],
)
def test_a_table_that_does_not_answer_is_a_transient_error(dynamodb, operation, call):
    with failing(operation, "InternalServerError"), pytest.raises(ServiceCallError):
        call(dynamodb.register)
