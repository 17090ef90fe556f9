"""What everything promises that counts a campaign's texts: the fake of the tests and DynamoDB alike."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError
from sms_engagement_runtime.channel.adapters.campaign_counts import DynamoCampaignCounts
from sms_engagement_runtime.channel.domain.campaign_counts import Counts
from tests.support.dynamodb_tables import CONTACTS, channel_tables
from tests.support.fakes import START, FakeCampaignCounts, FakeClock

RUN = "run-1"


@pytest.fixture(params=["fake", "dynamodb"])
def counts(request):
    if request.param == "fake":
        yield FakeCampaignCounts()
        return
    with channel_tables() as client:
        yield DynamoCampaignCounts(client, table=CONTACTS, clock=FakeClock())


class TestCounts:
    def test_an_unknown_campaign_has_none(self, counts):
        assert counts.get(RUN) == Counts(delivered=0, failed=0, opted_out=0)

    def test_what_is_added_sums_up(self, counts):
        counts.add(RUN, delivered=90, failed=3)
        counts.add(RUN, delivered=7)
        counts.add(RUN, opted_out=1)

        assert counts.get(RUN) == Counts(delivered=97, failed=3, opted_out=1)

    def test_adding_nothing_changes_nothing(self, counts):
        counts.add(RUN)

        assert counts.get(RUN) == Counts()

    def test_campaigns_do_not_share_counts(self, counts):
        counts.add(RUN, delivered=1, opted_out=1, once="person")

        counts.add("run-2", opted_out=1, once="person")

        assert counts.get(RUN) == Counts(delivered=1, opted_out=1)
        assert counts.get("run-2") == Counts(opted_out=1)

    def test_what_has_a_name_is_counted_once(self, counts):
        counts.add(RUN, opted_out=1, once="v1:someone")
        counts.add(RUN, opted_out=1, once="v1:someone")
        counts.add(RUN, opted_out=1, once="v1:other")

        assert counts.get(RUN) == Counts(opted_out=2)

    def test_nothing_is_lost_between_threads(self, counts):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: counts.add(RUN, delivered=1), range(40)))

        assert counts.get(RUN) == Counts(delivered=40)


class TestRowsInDynamoDB:
    @pytest.fixture
    def client(self):
        with channel_tables() as client:
            yield client

    def rows(self, client):
        return {row["record"]["S"]: row for row in client.scan(TableName=CONTACTS)["Items"]}

    def test_rows_are_left_to_time_to_live_90_days_after_the_last_count(self, client):
        clock = FakeClock()
        counts = DynamoCampaignCounts(client, table=CONTACTS, clock=clock)
        counts.add(RUN, opted_out=1, once="v1:someone")
        clock.advance(days=3)

        counts.add(RUN, delivered=1)

        rows = self.rows(client)
        assert set(rows) == {"counts", "counted#v1:someone"}
        assert {row["subscriberId"]["S"] for row in rows.values()} == {"campaign#run-1"}
        assert int(rows["counts"]["expiresAt"]["N"]) == int((START + timedelta(days=93)).timestamp())
        assert int(rows["counted#v1:someone"]["expiresAt"]["N"]) == int(
            (START + timedelta(days=90)).timestamp()
        )


class _Busy:
    """A client whose writes meet other ones: each call fails so, until ``conflicts`` is used up."""

    def __init__(self, client, conflicts):
        self._client = client
        self._conflicts = conflicts

    def __getattr__(self, name):
        method = getattr(self._client, name)

        def call(**request):
            if name != "get_item" and self._conflicts:
                raise self._conflicts.pop()
            return method(**request)

        return call


def single_conflict():
    return ClientError({"Error": {"Code": "TransactionConflictException"}}, "UpdateItem")


def transaction_conflict():
    return ClientError(
        {
            "Error": {"Code": "TransactionCanceledException"},
            "CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}],
        },
        "TransactWriteItems",
    )


class TestWritesThatMeet:
    @pytest.fixture
    def client(self):
        with channel_tables() as client:
            yield client

    @pytest.mark.parametrize(
        ("conflict", "once"), [(single_conflict, None), (transaction_conflict, "v1:someone")]
    )
    def test_a_write_that_met_another_one_is_tried_again(self, client, conflict, once):
        waits = []
        busy = _Busy(client, [conflict(), conflict()])
        counts = DynamoCampaignCounts(busy, table=CONTACTS, clock=FakeClock(), sleep=waits.append)

        counts.add(RUN, opted_out=1, once=once)

        assert counts.get(RUN) == Counts(opted_out=1)
        assert waits == [0.02, 0.04]

    def test_it_gives_up_at_last(self, client):
        waits = []
        busy = _Busy(client, [single_conflict() for _ in range(6)])
        counts = DynamoCampaignCounts(busy, table=CONTACTS, clock=FakeClock(), sleep=waits.append)

        with pytest.raises(ServiceCallError, match="TransactionConflictException"):
            counts.add(RUN, delivered=1)

        assert len(waits) == 5
        assert counts.get(RUN) == Counts()

    def test_another_fault_is_not_taken_for_a_conflict(self, client):
        fault = ClientError({"Error": {"Code": "ValidationException"}}, "UpdateItem")
        counts = DynamoCampaignCounts(
            _Busy(client, [fault]), table=CONTACTS, clock=FakeClock(), sleep=lambda _: pytest.fail("waited")
        )

        with pytest.raises(ServiceCallError, match="ValidationException"):
            counts.add(RUN, delivered=1)
