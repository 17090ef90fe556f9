from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.sentiment import analyse
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_responses import DynamoResponses
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_subscribers import DynamoSubscribers
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import CanonicalEvent
from sms_engagement_runtime.sms_analytics_pipeline.domain.responses import response_of
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import (
    Subscriber,
    SubscriberChangedError,
)
from tests.support.aws_faults import failing
from tests.support.subscriber_tables import RESPONSES, SUBSCRIBERS, subscriber_tables

NUMBER = "+12025550101"
NOW = datetime(2026, 11, 21, 17, tzinfo=UTC)
YEAR = timedelta(days=365)


@pytest.fixture
def client():
    with subscriber_tables() as client:
        yield client


@pytest.fixture
def subscribers(client):
    return DynamoSubscribers(client, SUBSCRIBERS)


@pytest.fixture
def responses(client, subscribers):
    return DynamoResponses(client, RESPONSES, subscribers)


def response(at=NOW, number=0, *, person="v1:a", campaign="spring"):
    event = CanonicalEvent(
        event_type="_SMS.RECEIVED",
        event_id=f"in-{number}",
        event_timestamp=round(at.timestamp() * 1000),
        arrival_timestamp=0,
        subscriber_id=person,
        phone_number=NUMBER,
        message_id=f"in-{number}",
        campaign_id=campaign,
        response_text="Great!",
    )
    return response_of(event, analyse)


def test_an_answer_and_its_subscriber_are_written_together(client, responses, subscribers):
    assert responses.add(response(), Subscriber(subscriber_id="v1:a", total_responses=1))

    (item,) = client.scan(TableName=RESPONSES)["Items"]
    assert item == {
        "subscriber_id": {"S": "v1:a"},
        "response_key": {"S": "1795280400000#in-0"},
        "response_timestamp": {"N": "1795280400000"},
        "phone_number": {"S": NUMBER},
        "response_text": {"S": "Great!"},
        "normalized_response": {"S": "great!"},
        "sentiment": {"S": "positive"},
        "campaign_id": {"S": "spring"},
        "message_id": {"S": "in-0"},
        "ttl": {"N": "1826816400"},
        "schemaVersion": {"N": "1"},
    }
    assert subscribers.find(["v1:a"])["v1:a"].total_responses == 1
    assert responses.exists("v1:a", "1795280400000#in-0")
    assert not responses.exists("v1:a", "1795280400000#in-1")


def test_an_answer_that_is_kept_changes_nothing(responses, subscribers):
    responses.add(response(), Subscriber(subscriber_id="v1:a", total_responses=1))

    for version in (0, 1, 5):
        again = Subscriber(subscriber_id="v1:a", total_responses=2, version=version)
        assert not responses.add(response(), again)

    assert subscribers.find(["v1:a"])["v1:a"].total_responses == 1


def test_a_subscriber_that_changed_keeps_the_answer_out(responses, subscribers):
    subscribers.put(Subscriber(subscriber_id="v1:a"), expected_version=0)

    with pytest.raises(SubscriberChangedError):
        responses.add(response(), Subscriber(subscriber_id="v1:a"))

    assert not responses.exists("v1:a", response().response_key)


@pytest.mark.parametrize("operation", ["TransactWriteItems", "GetItem", "Query"])
def test_a_throttled_table_is_a_transient_error(responses, operation):
    calls = {
        "TransactWriteItems": lambda: responses.add(response(), Subscriber(subscriber_id="v1:a")),
        "GetItem": lambda: responses.exists("v1:a", "k"),
        "Query": lambda: responses.of_subscriber("v1:a", now=NOW),
    }
    with failing(operation), pytest.raises(TransientError, match="ThrottlingException"):
        calls[operation]()


def add_all(responses, subscribers, rows):
    for row in rows:
        version = subscribers.find([row.subscriber_id]).get(row.subscriber_id)
        stored = version.version if version else 0
        assert responses.add(row, Subscriber(subscriber_id=row.subscriber_id, version=stored))


def pages(ask):
    found, page, count = [], None, 0
    while True:
        result = ask(page)
        found += result.responses
        count += 1
        page = result.next_page
        if page is None:
            return found, count


def test_the_answers_of_a_year_newest_first(responses, subscribers):
    year = [response(NOW - timedelta(days=30 * n), n) for n in range(13)]
    too_old = response(NOW - YEAR, 99)
    add_all(responses, subscribers, [*year, too_old, response(NOW, 50, person="v1:b")])

    found, count = pages(lambda page: responses.of_subscriber("v1:a", now=NOW, limit=5, page=page))

    assert found == year
    assert count == 3
    last = responses.of_subscriber("v1:a", now=NOW - timedelta(milliseconds=1))
    assert last.responses[-1] == too_old


def test_the_answers_since_an_instant(responses, subscribers):
    rows = [response(NOW - timedelta(days=n), n) for n in range(5)]
    add_all(responses, subscribers, rows)

    since = responses.of_subscriber("v1:a", now=NOW, since=NOW - timedelta(days=2))
    longer_than_kept = responses.of_subscriber("v1:a", now=NOW, since=NOW - 2 * YEAR)

    assert since.responses == tuple(rows[:3])
    assert longer_than_kept.responses == tuple(rows)


def test_the_answers_to_a_campaign(responses, subscribers):
    rows = [response(NOW - timedelta(hours=n), n, person=f"v1:{n % 3}") for n in range(7)]
    others = [response(NOW, 20, campaign="autumn"), response(NOW, 21, campaign=None)]
    add_all(responses, subscribers, [*rows, *others, response(NOW - YEAR, 30)])

    found, count = pages(lambda page: responses.of_campaign("spring", now=NOW, limit=3, page=page))

    assert found == rows
    assert count == 3


def test_one_who_only_reads_needs_no_subscribers(client, responses, subscribers):
    row = replace(response(), keyword="K", journey_id="welcome")
    add_all(responses, subscribers, [row])

    assert DynamoResponses(client, RESPONSES).of_subscriber("v1:a", now=NOW).responses == (row,)
