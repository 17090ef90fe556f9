from datetime import date

import pytest

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_subscribers import DynamoSubscribers
from sms_engagement_runtime.sms_analytics_pipeline.adapters.notice_archive import NoticeArchive
from sms_engagement_runtime.sms_analytics_pipeline.domain.lifecycle import Happening, SubscriptionStatus
from sms_engagement_runtime.sms_analytics_pipeline.domain.rebuilding import Days
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import (
    Fact,
    SubscriberChangedError,
    record,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscription_notices import (
    MOST_ATTEMPTS,
    SubscriptionRecorder,
    read_notice,
)
from tests.support.aws_faults import failing
from tests.support.dynamodb_tables import CONTACTS, erased_at_once
from tests.support.handlers import Context, fresh_handler
from tests.support.review_tables import aws_client
from tests.support.subscriber_tables import SUBSCRIBERS, subscriber_tables

AT = 1_795_280_400_000
BUCKET = "archive-bucket"
DAY = date(2026, 11, 21)
ENVIRONMENT = {"SUBSCRIBERS_TABLE": SUBSCRIBERS, "CONTACTS_TABLE": CONTACTS, "ARCHIVE_BUCKET": BUCKET}


@pytest.fixture
def client():
    with subscriber_tables() as client:
        aws_client("s3").create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture(scope="module")
def module():
    name = "sms_engagement_runtime.sms_analytics_pipeline.handlers.subscription_events"
    with fresh_handler(name, ENVIRONMENT) as module:
        yield module


def asked(at=AT, **event):
    detail = {"subscriberId": "v1:a", "journeyId": "welcome", "at": at, "schemaVersion": 1}
    return {"id": "e-1", "detail-type": "ConfirmationAsked", "detail": detail, **event}


def stored(client):
    return DynamoSubscribers(client, SUBSCRIBERS).find(["v1:a"]).get("v1:a")


def fact(happening, at):
    return Fact(happening=happening, at=at, id="e")


def put(client, *facts):
    row = stored(client)
    row = record(row, facts, subscriber_id="v1:a", phone_number="+12025550101")
    DynamoSubscribers(client, SUBSCRIBERS).put(row, expected_version=row.version)


def test_who_was_asked_is_kept_for_a_rebuild_before_the_row_is_written(module, client):
    with failing("UpdateItem"), pytest.raises(ServiceCallError):
        module.handler(asked(), Context())

    (notice,) = NoticeArchive(aws_client("s3"), bucket=BUCKET).of(Days(DAY, DAY))
    assert (notice.subscriber_id, notice.fact.happening, notice.fact.at) == (
        "v1:a",
        Happening.ASKED_TO_CONFIRM,
        AT,
    )
    assert stored(client) is None


def test_where_it_cannot_be_kept_it_comes_again(module, client):
    with failing("PutObject", "SlowDown"), pytest.raises(ServiceCallError):
        module.handler(asked(), Context())

    assert stored(client) is None


def test_who_was_asked_is_pending(module, client):
    put(client, fact(Happening.DELIVERED, AT - 5))

    assert module.handler(asked(), Context()) == {"status": "PENDING"}

    assert stored(client).subscription_status == SubscriptionStatus.PENDING
    assert stored(client).phone_number == "+12025550101"


def test_an_event_that_comes_again_writes_nothing(module, client):
    module.handler(asked(), Context())
    before = stored(client)

    assert module.handler(asked(id="e-2"), Context()) == {"status": "PENDING"}

    assert stored(client) == before


def test_a_question_that_comes_to_be_known_after_its_yes(module, client):
    put(client, fact(Happening.RESPONDED, AT + 5), fact(Happening.CONFIRMED, AT + 5))

    assert module.handler(asked(), Context()) == {"status": "ACTIVE"}

    assert stored(client).opt_in_timestamp == AT + 5


def test_asking_changes_nothing_for_who_opted_out(module, client):
    put(client, fact(Happening.OPTED_OUT, AT - 5))

    assert module.handler(asked(), Context()) == {"status": "OPTED_OUT"}


@pytest.mark.parametrize(
    "event",
    [
        asked(**{"detail-type": "SomethingElse"}),
        asked(detail=None),
        asked(detail=[]),
        asked(detail={"at": AT}),
        asked(detail={"subscriberId": "", "at": AT}),
        asked(detail={"subscriberId": "x" * 600, "at": AT}),
        asked(detail={"subscriberId": 5, "at": AT}),
        asked(at="yesterday"),
        asked(at=True),
        asked(at=-1),
        asked(at=10**18),
        asked(at=None),
        {},
    ],
)
def test_an_event_that_nobody_can_carry_out_is_counted_and_gone(module, client, event, capsys):
    assert module.handler(event, Context()) == {"status": None}

    assert stored(client) is None
    assert "MalformedEvents" in capsys.readouterr().out


@pytest.mark.parametrize("operation", ["BatchGetItem", "UpdateItem"])
def test_a_table_that_does_not_answer_brings_the_event_back(module, client, operation):
    with failing(operation), pytest.raises(ServiceCallError):
        module.handler(asked(), Context())

    assert module.handler(asked(), Context()) == {"status": "PENDING"}


class Contested:
    """A row that somebody else writes just before we do, so many times."""

    def __init__(self, times):
        self.left, self.row = times, None

    def find(self, ids):
        return {} if self.row is None else {"v1:a": self.row}

    def put(self, subscriber, *, expected_version):
        if self.left:
            self.left -= 1
            other = record(
                self.row, [fact(Happening.TEXTED, self.left)], subscriber_id="v1:a", phone_number=None
            )
            self.row = other.written()
        if expected_version != (self.row.version if self.row else 0):
            raise SubscriberChangedError
        self.row = subscriber.written()


def recorder(rows):
    return SubscriptionRecorder(subscribers=rows, sleep=lambda seconds: None, jitter=lambda: 0.5)


def test_a_row_that_others_write_at_the_same_time_is_read_again():
    rows = Contested(MOST_ATTEMPTS - 1)

    notice = read_notice("ConfirmationAsked", {"subscriberId": "v1:a", "at": AT}, "e")
    assert recorder(rows).record(notice) == SubscriptionStatus.PENDING

    assert rows.row.facts.latest == {Happening.TEXTED: MOST_ATTEMPTS - 2}


def test_a_row_that_never_rests_brings_the_event_back():
    notice = read_notice("ConfirmationAsked", {"subscriberId": "v1:a", "at": AT}, "e")

    with pytest.raises(SubscriberChangedError):
        recorder(Contested(MOST_ATTEMPTS)).record(notice)


def test_of_an_erased_person_nothing_is_noted(module, client):
    with erased_at_once(module, "v1:a"):
        assert module.handler(asked(), Context()) == {"status": None}

    assert stored(client) is None
    assert "Contents" not in aws_client("s3").list_objects_v2(Bucket=BUCKET)
