import random
from decimal import Decimal
from unittest.mock import patch

import pytest
from botocore.client import BaseClient

from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_subscribers import (
    SEGMENT_INDEX,
    DynamoSubscribers,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.lifecycle import Happening, SubscriptionStatus
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import (
    Fact,
    Subscriber,
    SubscriberChangedError,
    record,
)
from tests.support.aws_faults import failing
from tests.support.subscriber_tables import SUBSCRIBERS, subscriber_tables

NUMBER = "+12025550101"
NEW, PENDING, ACTIVE, OPTED_OUT, BOUNCED = SubscriptionStatus
H = Happening


@pytest.fixture
def client():
    with subscriber_tables() as client:
        yield client


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def subscribers(client, pauses):
    return DynamoSubscribers(client, SUBSCRIBERS, sleep=pauses.append)


def happened(row, *facts, **counters):
    return record(
        row,
        [Fact(happening=happening, at=at, id=f"m{at}") for happening, at in facts],
        subscriber_id="v1:a",
        phone_number=NUMBER,
        **counters,
    )


def item_of(client, subscriber_id="v1:a"):
    key = {"subscriber_id": {"S": subscriber_id}}
    return client.get_item(TableName=SUBSCRIBERS, Key=key, ConsistentRead=True).get("Item")


def test_a_row_has_the_fields_of_the_contract(client, subscribers):
    row = happened(None, (H.ASKED_TO_CONFIRM, 1), (H.CONFIRMED, 2), (H.RESPONDED, 2), (H.OPTED_OUT, 9))

    subscribers.put(row, expected_version=0)

    item = item_of(client)
    assert {name: item[name] for name in item if name != "facts"} == {
        "subscriber_id": {"S": "v1:a"},
        "phone_number": {"S": NUMBER},
        "subscription_status": {"S": "OPTED_OUT"},
        "created_at": {"N": "1"},
        "updated_at": {"N": "9"},
        "opt_in_timestamp": {"N": "2"},
        "opt_out_timestamp": {"N": "9"},
        "total_messages_sent": {"N": "0"},
        "total_responses": {"N": "0"},
        "last_response_at": {"N": "2"},
        "version": {"N": "1"},
        "schemaVersion": {"N": "1"},
    }


def test_what_was_written_is_read(subscribers):
    chance = random.Random(7)
    facts = [(chance.choice(list(Happening)), chance.randrange(10**12)) for _ in range(60)]
    row = happened(None, *facts, messages_sent=3, responses=2)

    subscribers.put(row, expected_version=0)

    (found,) = subscribers.find(["v1:a", "v1:nobody", "v1:a"]).values()
    assert found.version == 1
    assert found.facts == row.facts
    assert happened(found) == happened(found, *facts)
    assert (found.subscription_status, found.total_messages_sent, found.total_responses) == (
        row.subscription_status,
        3,
        2,
    )


def test_of_two_writers_one_is_told_to_read_again(subscribers):
    subscribers.put(happened(None, (H.TEXTED, 1)), expected_version=0)

    for version in (0, 2):
        with pytest.raises(SubscriberChangedError):
            subscribers.put(happened(None, (H.TEXTED, 2)), expected_version=version)

    subscribers.put(happened(None, (H.TEXTED, 2)), expected_version=1)
    assert subscribers.find(["v1:a"])["v1:a"].version == 2


def test_what_others_write_stays_as_it_is(client, subscribers):
    client.put_item(
        TableName=SUBSCRIBERS,
        Item={
            "subscriber_id": {"S": "v1:a"},
            "subscription_status": {"S": "active"},
            "created_at": {"N": "5"},
            "attributes": {"M": {"segment": {"S": "vip"}, "preferred_time": {"S": "morning"}}},
            "notes": {"L": [{"S": "likes tea"}]},
        },
    )
    row = subscribers.find(["v1:a"])["v1:a"]
    # Somebody changes an attribute after we have read the row.
    client.update_item(
        TableName=SUBSCRIBERS,
        Key={"subscriber_id": {"S": "v1:a"}},
        UpdateExpression="SET attributes.#l = :es",
        ExpressionAttributeNames={"#l": "language"},
        ExpressionAttributeValues={":es": {"S": "es"}},
    )

    subscribers.put(happened(row, (H.DELIVERED, 9)), expected_version=row.version)

    item = item_of(client)
    assert item["attributes"]["M"] == {
        "segment": {"S": "vip"},
        "preferred_time": {"S": "morning"},
        "language": {"S": "es"},
    }
    assert item["notes"] == {"L": [{"S": "likes tea"}]}
    assert item["subscription_status"] == {"S": "ACTIVE"}
    assert "opt_in_timestamp" not in item


def test_a_segment_is_found_by_status(client, subscribers):
    row = Subscriber(
        subscriber_id="v1:a", subscription_status=ACTIVE, attributes={"segment": "vip", "visits": 3}
    )
    subscribers.put(happened(row, (H.TEXTED, 1)), expected_version=0)

    found = client.query(
        TableName=SUBSCRIBERS,
        IndexName=SEGMENT_INDEX,
        KeyConditionExpression="#s = :s AND subscription_status = :active",
        ExpressionAttributeNames={"#s": "segment"},
        ExpressionAttributeValues={":s": {"S": "vip"}, ":active": {"S": "ACTIVE"}},
    )["Items"]

    assert [item["subscriber_id"]["S"] for item in found] == ["v1:a"]
    assert found[0]["attributes"]["M"]["visits"] == {"N": "3"}


@pytest.mark.parametrize("segment", ["", 7, None, ["vip"]])
def test_a_segment_that_is_no_name_is_in_no_index(client, subscribers, segment):
    row = Subscriber(subscriber_id="v1:a", attributes={"segment": segment})

    subscribers.put(happened(row, (H.TEXTED, 1)), expected_version=0)

    assert "segment" not in item_of(client)


def test_an_opt_in_that_turns_out_to_be_none_goes(client, subscribers):
    row = happened(None, (H.ASKED_TO_CONFIRM, 5), (H.CONFIRMED, 6))
    subscribers.put(row, expected_version=0)

    # The opt-out came first, and came late.
    subscribers.put(happened(row, (H.OPTED_OUT, 4)), expected_version=1)

    assert "opt_in_timestamp" not in item_of(client)


def test_a_row_of_any_hand_is_read(client, subscribers):
    client.put_item(
        TableName=SUBSCRIBERS,
        Item={
            "subscriber_id": {"S": "v1:a"},
            "subscription_status": {"S": "whatever"},
            "created_at": {"S": "2026-01-01"},
            "updated_at": {"N": "1.5E3"},
            "total_responses": {"NULL": True},
            "phone_number": {"N": "5"},
            "attributes": {"M": {"score": {"N": "1.5"}, "tags": {"SS": ["a"]}, "gone": {"NULL": True}}},
            "facts": {"S": "none"},
            "version": {"N": "0"},
        },
    )

    row = subscribers.find(["v1:a"])["v1:a"]

    assert (row.subscription_status, row.created_at, row.updated_at) == (NEW, None, 1500)
    assert (row.phone_number, row.total_responses, row.facts) == (None, 0, None)
    assert row.attributes == {"score": Decimal("1.5"), "tags": {"a"}, "gone": None}
    subscribers.put(happened(row, (H.STARTED, 2000)), expected_version=row.version)
    assert item_of(client)["subscription_status"] == {"S": "ACTIVE"}


def test_facts_of_a_later_version_of_the_code_are_passed_over(client, subscribers):
    subscribers.put(happened(None, (H.STARTED, 1)), expected_version=0)
    client.update_item(
        TableName=SUBSCRIBERS,
        Key={"subscriber_id": {"S": "v1:a"}},
        UpdateExpression="SET facts.latest.HYPNOTISED = :n",
        ExpressionAttributeValues={":n": {"N": "5"}},
    )

    assert subscribers.find(["v1:a"])["v1:a"].facts.latest == {H.STARTED: 1}


def test_more_than_a_hundred_rows_are_found(subscribers):
    for n in range(105):
        subscribers.put(Subscriber(subscriber_id=f"v1:{n}"), expected_version=0)

    assert len(subscribers.find(f"v1:{n}" for n in range(110))) == 105


def test_keys_that_the_table_left_are_asked_for_again(subscribers, pauses):
    subscribers.put(happened(None, (H.STARTED, 1)), expected_version=0)
    with unprocessed(times=3):
        found = subscribers.find(["v1:a"])

    assert list(found) == ["v1:a"]
    assert pauses == [0.05, 0.1, 0.2]


def test_a_table_that_leaves_keys_for_ever_fails_the_read(subscribers):
    with unprocessed(times=1000), pytest.raises(TransientError, match="unprocessed"):
        subscribers.find(["v1:a"])


def test_a_throttled_table_is_a_transient_error(subscribers):
    with failing("BatchGetItem"), pytest.raises(TransientError, match="ThrottlingException"):
        subscribers.find(["v1:a"])
    with failing("UpdateItem"), pytest.raises(TransientError, match="ThrottlingException"):
        subscribers.put(happened(None, (H.STARTED, 1)), expected_version=0)


@pytest.mark.parametrize("wrong", [{"S": "x"}, {"N": "1.5"}, {"NULL": True}])
def test_facts_that_somebody_wrote_by_hand_are_as_good_as_none(client, subscribers, wrong):
    subscribers.put(happened(None, (H.STARTED, 1)), expected_version=0)
    client.update_item(
        TableName=SUBSCRIBERS,
        Key={"subscriber_id": {"S": "v1:a"}},
        UpdateExpression="SET facts.latest.STARTED = :wrong",
        ExpressionAttributeValues={":wrong": wrong},
    )

    row = subscribers.find(["v1:a"])["v1:a"]

    assert (row.facts, row.subscription_status) == (None, ACTIVE)


def unprocessed(*, times):
    real, left = BaseClient._make_api_call, [times]

    def call(self, name, arguments):
        if name == "BatchGetItem" and left[0]:
            left[0] -= 1
            return {"Responses": {}, "UnprocessedKeys": arguments["RequestItems"]}
        return real(self, name, arguments)

    return patch.object(BaseClient, "_make_api_call", call)
