"""What every budget promises: the fake of the tests and the one on DynamoDB alike."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sms_engagement_runtime.channel.adapters.budget import DynamoBudget
from sms_engagement_runtime.channel.domain.budget import SpendLimits
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.channel.domain.reasons import Reason
from tests.support.dynamodb_tables import CONTACTS, channel_tables
from tests.support.fakes import FakeBudget

NOW = datetime(2026, 11, 21, 17, tzinfo=UTC)
PRICE = 881
CAMPAIGN = "spring"
DAY_ROW = "budget#day#2026-11-21"
CAMPAIGN_ROW = "budget#campaign#spring"


@dataclass
class ManualTime:
    """Seconds that only grow, when told to."""

    seconds: float = 0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class OnDynamoDB:
    """Processes that share one table."""

    client: Any
    time: ManualTime = field(default_factory=ManualTime)
    pauses: list[float] = field(default_factory=list)

    def budget(self, *, day: int | None = None, campaign: int | None = None, **options: Any) -> DynamoBudget:
        return DynamoBudget(
            options.pop("client", self.client),
            table=CONTACTS,
            limits=_limits(day, campaign),
            millicents_per_part=PRICE,
            clock=self.time,
            sleep=self.pauses.append,
            jitter=lambda: 1.0,
            **options,
        )

    def row(self, name: str = DAY_ROW) -> dict[str, Any]:
        answer = self.client.get_item(
            TableName=CONTACTS, Key={"subscriberId": {"S": name}, "record": {"S": "spent"}}
        )
        row: dict[str, Any] = answer.get("Item", {})
        return row

    def spent(self, name: str = DAY_ROW) -> float:
        """Message parts that are reserved."""
        return int(self.row(name)["spentMillicents"]["N"]) / PRICE


def _limits(day: int | None, campaign: int | None) -> SpendLimits:
    return SpendLimits(
        per_day=None if day is None else day * PRICE,
        per_campaign=None if campaign is None else campaign * PRICE,
    )


@pytest.fixture
def dynamodb() -> Iterator[OnDynamoDB]:
    with channel_tables() as client:
        yield OnDynamoDB(client)


type Make = Callable[..., Any]


@pytest.fixture(params=["fake", "one by one", "ahead"])
def make(request: pytest.FixtureRequest, dynamodb: OnDynamoDB) -> Make:
    """Make a budget of so many parts."""
    if request.param == "fake":
        return lambda day=None, campaign=None: FakeBudget(_limits(day, campaign), millicents_per_part=PRICE)
    return lambda **limits: dynamodb.budget(**limits, most_ahead=1 if request.param == "one by one" else 64)


class TestEveryBudget:
    def test_as_much_as_the_limit_and_no_more(self, make: Make) -> None:
        budget = make(day=10)

        answers = [budget.reserve(CAMPAIGN, 1, NOW) for _ in range(12)]

        assert answers == [None] * 10 + [Reason.DAY_BUDGET] * 2

    def test_a_text_of_several_parts_costs_several(self, make: Make) -> None:
        budget = make(day=10)

        assert budget.reserve(CAMPAIGN, 4, NOW) is None
        assert budget.reserve(CAMPAIGN, 4, NOW) is None
        assert budget.reserve(CAMPAIGN, 4, NOW) is Reason.DAY_BUDGET
        assert budget.reserve(CAMPAIGN, 2, NOW) is None

    def test_a_text_that_is_dearer_than_the_budget_never_goes(self, make: Make) -> None:
        assert make(day=3).reserve(CAMPAIGN, 4, NOW) is Reason.DAY_BUDGET

    def test_what_is_given_back_may_be_spent_again(self, make: Make) -> None:
        budget = make(day=1, campaign=1)
        assert budget.reserve(CAMPAIGN, 1, NOW) is None
        assert budget.reserve(CAMPAIGN, 1, NOW) is Reason.DAY_BUDGET

        budget.give_back(CAMPAIGN, 1, NOW)

        assert budget.reserve(CAMPAIGN, 1, NOW) is None

    def test_a_campaign_has_a_budget_of_its_own(self, make: Make) -> None:
        budget = make(day=10, campaign=2)

        answers = [budget.reserve(CAMPAIGN, 1, NOW) for _ in range(3)]

        assert answers == [None, None, Reason.CAMPAIGN_BUDGET]
        assert budget.reserve("summer", 1, NOW) is None

    def test_what_the_campaign_refuses_the_day_has_still(self, make: Make) -> None:
        budget = make(day=2, campaign=1)

        answers = [budget.reserve(CAMPAIGN, 1, NOW) for _ in range(4)]

        assert answers == [None] + [Reason.CAMPAIGN_BUDGET] * 3
        assert budget.reserve("summer", 1, NOW) is None
        assert budget.reserve("autumn", 1, NOW) is Reason.DAY_BUDGET

    def test_texts_of_no_campaign_count_towards_the_day_alone(self, make: Make) -> None:
        budget = make(day=3, campaign=1)

        answers = [budget.reserve(None, 1, NOW) for _ in range(4)]

        assert answers == [None] * 3 + [Reason.DAY_BUDGET]

    def test_a_new_day_begins_at_midnight_of_utc(self, make: Make) -> None:
        budget = make(day=1)
        late = datetime(2026, 11, 21, 23, 59, 59, 999_999, tzinfo=UTC)
        assert budget.reserve(CAMPAIGN, 1, late) is None

        assert budget.reserve(CAMPAIGN, 1, late) is Reason.DAY_BUDGET
        assert budget.reserve(CAMPAIGN, 1, late + timedelta(microseconds=1)) is None

    def test_what_is_given_back_after_midnight_is_yesterdays(self, make: Make) -> None:
        budget, tomorrow = make(day=1), NOW + timedelta(days=1)
        assert budget.reserve(CAMPAIGN, 1, NOW) is None
        assert budget.reserve(CAMPAIGN, 1, tomorrow) is None

        budget.give_back(CAMPAIGN, 1, NOW)

        assert budget.reserve(CAMPAIGN, 1, tomorrow) is Reason.DAY_BUDGET
        assert budget.reserve(CAMPAIGN, 1, NOW) is None

    def test_exempt_texts_go_out_and_count_towards_the_day(self, make: Make) -> None:
        budget = make(day=2, campaign=1)

        answers = [budget.reserve(CAMPAIGN, 1, NOW, is_exempt=True) for _ in range(3)]

        assert answers == [None] * 3
        assert budget.reserve(CAMPAIGN, 1, NOW) is Reason.DAY_BUDGET
        assert budget.reserve(CAMPAIGN, 1, NOW + timedelta(days=1)) is None

    def test_an_exempt_text_that_was_not_sent_does_not_count(self, make: Make) -> None:
        budget = make(day=1, campaign=1)
        budget.reserve(CAMPAIGN, 1, NOW, is_exempt=True)

        budget.give_back(CAMPAIGN, 1, NOW, is_exempt=True)

        assert budget.reserve(CAMPAIGN, 1, NOW) is None
        assert budget.reserve(CAMPAIGN, 1, NOW) is Reason.DAY_BUDGET

    def test_settling_changes_nothing_of_what_may_be_spent(self, make: Make) -> None:
        budget = make(day=5, campaign=4)
        answers = []

        for _ in range(5):
            answers.append(budget.reserve(CAMPAIGN, 1, NOW))
            budget.settle()

        assert answers == [None] * 4 + [Reason.CAMPAIGN_BUDGET]
        assert budget.reserve(None, 1, NOW) is None
        assert budget.reserve(None, 1, NOW) is Reason.DAY_BUDGET


class Counting:
    """A client that counts what is called, and may fail."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: list[str] = []
        self.fails = False
        self.errors: list[ClientError] = []

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)

        def counted(**request: Any) -> Any:
            self.calls.append(name)
            if self.fails:
                raise TransientError("no answer")
            if self.errors:
                raise self.errors.pop(0)
            return call(**request)

        return counted


def met_transaction() -> ClientError:
    return ClientError({"Error": {"Code": "TransactionConflictException"}}, "UpdateItem")


def met_by_transaction(reason: str) -> ClientError:
    answer: Any = {
        "Error": {"Code": "TransactionCanceledException"},
        "CancellationReasons": [{"Code": reason}],
    }
    return ClientError(answer, "TransactWriteItems")


class TestOnDynamoDB:
    def test_a_process_in_demand_reserves_ahead_in_ever_larger_pieces(self, dynamodb: OnDynamoDB) -> None:
        client = Counting(dynamodb.client)
        budget = dynamodb.budget(day=100_000, most_ahead=100, client=client)

        for _ in range(1_000):
            assert budget.reserve(CAMPAIGN, 1, NOW) is None

        # 1, 2, 4 … 64, and then a hundred at a time.
        assert len(client.calls) == 7 + 9
        budget.settle()
        assert dynamodb.spent() == 1_000

    def test_one_text_now_and_then_is_reserved_by_itself(self, dynamodb: OnDynamoDB) -> None:
        budget = dynamodb.budget(day=100, most_ahead=100)

        for number in range(1, 4):
            budget.reserve(CAMPAIGN, 1, NOW)
            dynamodb.time.seconds += 3
            assert dynamodb.spent() == number

    def test_towards_the_limit_the_last_texts_are_reserved_one_by_one(self, dynamodb: OnDynamoDB) -> None:
        one, other = (dynamodb.budget(day=100, most_ahead=64) for _ in range(2))
        sent = 0

        while one.reserve(CAMPAIGN, 1, NOW) is None and other.reserve(CAMPAIGN, 1, NOW) is None:
            sent += 2

        assert sent >= 98

    def test_what_one_process_returns_another_may_spend(self, dynamodb: OnDynamoDB) -> None:
        one, other = (dynamodb.budget(day=8, most_ahead=64) for _ in range(2))
        for _ in range(8):
            assert one.reserve(CAMPAIGN, 1, NOW) is None
        for _ in range(3):
            one.give_back(CAMPAIGN, 1, NOW)
        assert other.reserve(CAMPAIGN, 1, NOW) is Reason.DAY_BUDGET

        one.settle()

        assert [other.reserve(CAMPAIGN, 1, NOW) for _ in range(4)] == [None] * 3 + [Reason.DAY_BUDGET]

    def test_giving_back_makes_no_call(self, dynamodb: OnDynamoDB) -> None:
        client = Counting(dynamodb.client)
        budget = dynamodb.budget(day=8, campaign=8, client=client)
        budget.reserve(CAMPAIGN, 1, NOW)
        client.calls.clear()

        for _ in range(5):
            budget.give_back(CAMPAIGN, 1, NOW)
            assert budget.reserve(CAMPAIGN, 1, NOW) is None

        assert client.calls == []

    def test_what_is_not_limited_is_not_written(self, dynamodb: OnDynamoDB) -> None:
        client = Counting(dynamodb.client)
        budget = dynamodb.budget(campaign=8, client=client)

        assert budget.reserve(None, 1, NOW) is None
        assert budget.reserve(CAMPAIGN, 1, NOW, is_exempt=True) is None
        budget.settle()

        assert client.calls == []

    def test_what_a_process_held_when_it_died_stays_reserved(self, dynamodb: OnDynamoDB) -> None:
        dying = dynamodb.budget(day=20, most_ahead=64)
        for _ in range(4):
            dying.reserve(CAMPAIGN, 1, NOW)
        held = dynamodb.spent()
        del dying

        survivor = dynamodb.budget(day=20)
        granted = 0
        while survivor.reserve(CAMPAIGN, 1, NOW) is None:
            granted += 1

        assert granted == 20 - held
        assert dynamodb.spent() == 20

    def test_a_row_that_cannot_be_written_spends_nothing(self, dynamodb: OnDynamoDB) -> None:
        client = Counting(dynamodb.client)
        budget = dynamodb.budget(day=5, campaign=5, client=client)
        client.fails = True

        with pytest.raises(TransientError):
            budget.reserve(CAMPAIGN, 1, NOW)

        client.fails = False
        assert [budget.reserve(CAMPAIGN, 1, NOW) for _ in range(6)] == [None] * 5 + [Reason.DAY_BUDGET]

    def test_a_campaign_that_cannot_be_written_costs_the_day_nothing(self, dynamodb: OnDynamoDB) -> None:
        client = Counting(dynamodb.client)
        budget = dynamodb.budget(day=1, campaign=1, client=client)
        budget.reserve(None, 1, NOW)
        budget.give_back(None, 1, NOW)
        client.fails = True
        with pytest.raises(TransientError):
            budget.reserve(CAMPAIGN, 1, NOW)

        client.fails = False

        assert budget.reserve(CAMPAIGN, 1, NOW) is None

    def test_what_cannot_be_returned_stays_reserved_and_is_not_returned_later(
        self, dynamodb: OnDynamoDB
    ) -> None:
        client = Counting(dynamodb.client)
        budget = dynamodb.budget(day=2, client=client)
        budget.reserve(CAMPAIGN, 1, NOW)
        budget.give_back(CAMPAIGN, 1, NOW)
        client.fails = True

        budget.settle()

        client.fails = False
        budget.settle()
        assert dynamodb.spent() == 1

    def test_a_return_that_is_repeated_counts_once(self, dynamodb: OnDynamoDB) -> None:
        client = Counting(dynamodb.client)
        budget = dynamodb.budget(day=2, client=client)
        budget.reserve(CAMPAIGN, 1, NOW)
        budget.give_back(CAMPAIGN, 1, NOW)

        budget.settle()

        # botocore gives a transaction a token, by which DynamoDB knows it again.
        assert client.calls[-1] == "transact_write_items"
        operation = dynamodb.client.meta.service_model.operation_model("TransactWriteItems")
        assert operation.input_shape.members["ClientRequestToken"].metadata["idempotencyToken"]

    def test_a_return_that_met_another_write_is_repeated(self, dynamodb: OnDynamoDB) -> None:
        client = Counting(dynamodb.client)
        budget = dynamodb.budget(day=8, most_ahead=64, client=client)
        for _ in range(4):
            budget.reserve(CAMPAIGN, 1, NOW)
        for _ in range(3):
            budget.give_back(CAMPAIGN, 1, NOW)
        client.errors = [met_by_transaction("TransactionConflict"), met_by_transaction("ThrottlingError")]

        budget.settle()

        assert dynamodb.spent() == 1
        assert dynamodb.pauses == [0.02, 0.04]

    def test_what_others_kept_from_being_returned_is_returned_later(self, dynamodb: OnDynamoDB) -> None:
        client = Counting(dynamodb.client)
        budget = dynamodb.budget(day=2, client=client)
        budget.reserve(CAMPAIGN, 1, NOW)
        budget.give_back(CAMPAIGN, 1, NOW)
        client.errors = [met_by_transaction("TransactionConflict") for _ in range(7)]

        budget.settle()

        assert (dynamodb.spent(), client.errors) == (1, [])
        assert dynamodb.pauses == [0.02, 0.04, 0.08, 0.16, 0.32, 0.64]
        budget.settle()
        assert dynamodb.spent() == 0

    def test_a_reservation_that_met_a_return_is_repeated(self, dynamodb: OnDynamoDB) -> None:
        client = Counting(dynamodb.client)
        budget = dynamodb.budget(day=2, campaign=2, client=client)
        client.errors = [met_transaction(), met_transaction()]

        assert budget.reserve(CAMPAIGN, 1, NOW) is None

        assert [dynamodb.spent(row) for row in (DAY_ROW, CAMPAIGN_ROW)] == [1, 1]
        assert dynamodb.pauses == [0.02, 0.04]

    def test_a_reservation_that_others_kept_from_being_made_costs_nothing(self, dynamodb: OnDynamoDB) -> None:
        client = Counting(dynamodb.client)
        budget = dynamodb.budget(day=1, client=client)
        client.errors = [met_transaction() for _ in range(7)]
        with pytest.raises(TransientError, match="UpdateItem: TransactionConflictException"):
            budget.reserve(CAMPAIGN, 1, NOW)

        assert budget.reserve(CAMPAIGN, 1, NOW) is None

    def test_a_return_that_failed_in_another_way_is_not_repeated(self, dynamodb: OnDynamoDB) -> None:
        """It may have been done: repeated, it would allow too much."""
        client = Counting(dynamodb.client)
        budget = dynamodb.budget(day=2, client=client)
        budget.reserve(CAMPAIGN, 1, NOW)
        budget.give_back(CAMPAIGN, 1, NOW)
        client.errors = [ClientError({"Error": {"Code": "InternalServerError"}}, "TransactWriteItems")]

        budget.settle()
        budget.settle()

        assert client.calls == ["update_item", "transact_write_items"]
        assert (dynamodb.spent(), dynamodb.pauses) == (1, [])

    def test_rows_name_no_person_and_go_after_90_days(self, dynamodb: OnDynamoDB) -> None:
        budget = dynamodb.budget(day=5, campaign=5)

        budget.reserve(CAMPAIGN, 2, NOW)

        for row in (DAY_ROW, CAMPAIGN_ROW):
            stored = dynamodb.row(row)
            assert stored["spentMillicents"] == {"N": str(2 * PRICE)}
            assert stored["expiresAt"] == {"N": str(int((NOW + timedelta(days=90)).timestamp()))}
            assert stored["schemaVersion"] == {"N": "1"}


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["reserve", "reserve", "reserve", "give back", "settle", "die"]),
        st.integers(1, 3),
        st.floats(0, 3),
    ),
    max_size=40,
)


@given(
    steps=STEPS, day=st.integers(1, 30), campaign=st.integers(1, 30), most_ahead=st.sampled_from([1, 4, 64])
)
@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
def test_whatever_the_interleaving_of_processes_never_more_than_the_limit(
    steps: list[tuple[int, str, int, float]], day: int, campaign: int, most_ahead: int
) -> None:
    with channel_tables() as client:
        shared = OnDynamoDB(client)

        def process() -> DynamoBudget:
            return shared.budget(day=day, campaign=campaign, most_ahead=most_ahead)

        budgets = [process() for _ in range(3)]
        spent: list[list[int]] = [[], [], []]
        gone = 0
        has_died = False
        for number, step, parts, seconds in steps:
            shared.time.seconds += seconds
            match step:
                case "reserve":
                    if budgets[number].reserve(CAMPAIGN, parts, NOW) is None:
                        spent[number].append(parts)
                case "give back" if spent[number]:
                    budgets[number].give_back(CAMPAIGN, spent[number].pop(), NOW)
                case "settle":
                    budgets[number].settle()
                case "die":
                    gone += sum(spent[number])
                    budgets[number], spent[number], has_died = process(), [], True
            assert gone + sum(map(sum, spent)) <= min(day, campaign)
        for budget in budgets:
            budget.settle()

        reserved = {row: shared.spent(row) for row in (DAY_ROW, CAMPAIGN_ROW) if shared.row(row)}

    for amount in reserved.values():
        assert gone + sum(map(sum, spent)) <= amount
        if not has_died:
            # Everything that was not spent has been returned.
            assert amount == sum(map(sum, spent))
    assert reserved.get(DAY_ROW, 0) <= day
    assert reserved.get(CAMPAIGN_ROW, 0) <= campaign
