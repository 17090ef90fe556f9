"""The table of figures: exact under repetition, conflict and many days at once."""

from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError
from sms_engagement_runtime.review_collector.adapters.dynamodb_figures import DynamoFigures, DynamoVotes
from sms_engagement_runtime.review_collector.domain.figures import Change, Entry
from sms_engagement_runtime.review_collector.domain.votes import Vote
from tests.support.review_tables import FIGURES, REVIEWS, aws_client, review_tables

NOW = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
GOOD = Entry("2026-11-21", ("rating5", "positive", "new"))
BAD = Entry("2026-11-20", ("rating1", "negative", "new"))


@pytest.fixture
def client():
    with review_tables():
        yield aws_client("dynamodb")


@pytest.fixture
def figures(client):
    return DynamoFigures(client, table=FIGURES, sleep=lambda _seconds: None)


def only_counted(days):
    return {day: {name: value for name, value in row.items() if value} for day, row in days.items()}


def test_changes_are_counted_by_day_and_in_all(figures):
    assert figures.apply([Change("review#1", GOOD), Change("review#2", BAD)]) == 2

    assert figures.since("2026-11-20") == {
        "2026-11-20": {"rating1": 1, "negative": 1, "new": 1},
        "2026-11-21": {"rating5": 1, "positive": 1, "new": 1},
        "total": {"rating1": 1, "negative": 1, "rating5": 1, "positive": 1, "new": 2},
    }
    assert set(figures.since("2026-11-21")) == {"2026-11-21", "total"}


def test_what_comes_twice_is_counted_once(figures):
    changes = [Change("review#1", GOOD), Change("request#1", Entry("2026-11-21", ("asked",)))]
    figures.apply(changes)
    before = figures.since("2026")

    assert figures.apply(changes) == 0
    assert figures.since("2026") == before


def test_an_approval_moves_a_review_from_one_status_to_the_other(figures):
    figures.apply([Change("review#1", GOOD)])

    figures.apply([Change("review#1", Entry(GOOD.day, ("rating5", "positive", "approved")))])

    assert only_counted(figures.since("2026"))["total"] == {"rating5": 1, "positive": 1, "approved": 1}


def test_what_is_deleted_is_gone_from_figures_and_entries(figures, client):
    figures.apply([Change("review#1", GOOD)])

    figures.apply([Change("review#1", None)])
    figures.apply([Change("review#1", None)])

    assert only_counted(figures.since("2026")) == {"2026-11-21": {}, "total": {}}
    rows = client.scan(TableName=FIGURES)["Items"]
    assert not any("review#1" in str(row) for row in rows)


def test_many_changes_on_many_days_take_several_transactions(figures):
    day = datetime(2026, 1, 1, tzinfo=UTC)
    changes = [
        Change(f"review#{number}", Entry(f"{day + timedelta(days=number):%Y-%m-%d}", GOOD.counters))
        for number in range(130)
    ]

    assert figures.apply(changes) == 130
    assert figures.since("2026")["total"]["rating5"] == 130


def test_what_another_function_wrote_meanwhile_is_read_again(figures, client):
    other = DynamoFigures(client, table=FIGURES)
    real = client.transact_write_items
    calls = []

    def late(**request):
        calls.append(request)
        if len(calls) == 1:
            with patch.object(client, "transact_write_items", real):
                other.apply([Change("review#1", BAD)])
        return real(**request)

    with patch.object(client, "transact_write_items", late):
        figures.apply([Change("review#1", GOOD)])

    assert only_counted(figures.since("2026")) == {
        "2026-11-20": {},
        "2026-11-21": {"rating5": 1, "positive": 1, "new": 1},
        "total": {"rating5": 1, "positive": 1, "new": 1},
    }


@pytest.mark.parametrize(
    ("code", "attempts"), [("TransactionCanceledException", 8), ("AccessDeniedException", 1)]
)
def test_a_conflict_is_tried_again_and_a_lasting_fault_is_told(figures, client, code, attempts):
    answer = {"Error": {"Code": code}, "CancellationReasons": [{"Code": "TransactionConflict"}]}
    if code == "AccessDeniedException":
        del answer["CancellationReasons"]
    failure = ClientError(answer, "TransactWriteItems")

    with (
        patch.object(client, "transact_write_items", side_effect=failure) as write,
        pytest.raises(ServiceCallError),
    ):
        figures.apply([Change("review#1", GOOD)])

    assert write.call_count == attempts
    assert figures.since("2026") == {}


class TestVotes:
    @pytest.fixture
    def votes(self, client):
        client.put_item(
            TableName=REVIEWS,
            Item={
                "reviewId": {"S": "r1"},
                "status": {"S": "approved"},
                "timestamp": {"N": "1"},
                "userId": {"S": "u"},
                "helpful": {"N": "0"},
            },
        )
        adapter = DynamoVotes(
            client, reviews_table=REVIEWS, figures_table=FIGURES, sleep=lambda _seconds: None
        )
        return lambda review_id="r1", bucket="00000", now=NOW: adapter.add(
            review_id, bucket, now=now, until=now + timedelta(days=30)
        )

    def helpful(self, client):
        row = client.get_item(TableName=REVIEWS, Key={"reviewId": {"S": "r1"}})["Item"]
        return int(row["helpful"]["N"])

    def test_a_vote_counts_once_a_bucket(self, votes, client):
        assert [votes(), votes(), votes(bucket="00001")] == [Vote.COUNTED, Vote.REPEATED, Vote.COUNTED]
        assert self.helpful(client) == 2

    def test_after_a_month_a_bucket_is_free_again(self, votes, client):
        votes()

        assert votes(now=NOW + timedelta(days=30)) is Vote.COUNTED
        assert self.helpful(client) == 2

    @pytest.mark.parametrize("status", ["new", "rejected", "missing", "expired"])
    def test_what_the_public_cannot_read_gets_no_votes_and_no_row(self, votes, client, status):
        if status == "missing":
            client.delete_item(TableName=REVIEWS, Key={"reviewId": {"S": "r1"}})
        elif status == "expired":
            client.update_item(
                TableName=REVIEWS,
                Key={"reviewId": {"S": "r1"}},
                UpdateExpression="SET expiresAt = :at",
                ExpressionAttributeValues={":at": {"N": str(int(NOW.timestamp()))}},
            )
        else:
            client.update_item(
                TableName=REVIEWS,
                Key={"reviewId": {"S": "r1"}},
                UpdateExpression="SET #status = :status",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={":status": {"S": status}},
            )

        assert votes() is Vote.UNKNOWN
        assert client.scan(TableName=FIGURES)["Items"] == []
        assert (status == "missing") == (client.scan(TableName=REVIEWS)["Items"] == [])

    def test_a_busy_row_is_tried_again_and_then_told(self, votes, client):
        failure = ClientError(
            {
                "Error": {"Code": "TransactionCanceledException"},
                "CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}],
            },
            "TransactWriteItems",
        )
        with (
            patch.object(client, "transact_write_items", side_effect=failure) as write,
            pytest.raises(ServiceCallError),
        ):
            votes()

        assert write.call_count == 5
