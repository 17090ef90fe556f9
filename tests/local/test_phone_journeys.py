"""Journeys on the phone page: starting them, how far they are, and whom they are for."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_engagement_runtime.channel.domain.subscriber import subscriber_id
from sms_engagement_runtime.journeys.domain.reasons import JourneyReason
from sms_engagement_runtime.journeys.domain.runs import StartedStep, start
from sms_engagement_runtime.journeys.domain.stock import promotional, welcome_series
from sms_engagement_runtime.journeys.domain.subscribers import read_subscriber
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_subscribers import from_row
from sms_local.people import PEOPLE
from sms_local.phone.words import REASONS
from sms_local.subscribers import OPTED_IN, SEGMENT, SubscriberIds, demo_rows, load_subscribers
from tests.support.counted_tables import SUBSCRIBERS, counted_tables, put_answer, put_subscriber
from tests.support.phone_page import (
    BUCKET,
    ENGINE,
    JOURNEY_BUCKET,
    PROMOTIONAL_MACHINE,
    START,
    WELCOME_MACHINE,
    PageTest,
    at,
)
from tests.support.review_tables import aws_client

KEY = "a key of the tests, long enough"
JOHN = "+14045550101"
JOHN_ID = subscriber_id(PhoneNumber(JOHN), KEY.encode())


def milliseconds(seconds: float = 0) -> int:
    return int(at(seconds).timestamp() * 1000)


@pytest.fixture
def tables() -> Iterator[Any]:
    with counted_tables() as client:
        for bucket in (BUCKET, JOURNEY_BUCKET):
            aws_client("s3").create_bucket(Bucket=bucket)
        yield client


@pytest.fixture
def secret_arn(tables: Any) -> str:
    made = aws_client("secretsmanager").create_secret(Name="subscriber-key", SecretString=KEY)
    return str(made["ARN"])


@pytest.fixture
def page(tables: Any, secret_arn: str) -> PageTest:
    ids = SubscriberIds(aws_client("secretsmanager"), secret_arn=secret_arn)
    return PageTest(tables, has_analytics=True, ids=ids)


def started(page: PageTest) -> list[tuple[str, dict[str, Any]]]:
    return [
        (one["stateMachineArn"], json.loads(one["input"])) for one in page.stepfunctions.executions.values()
    ]


# --- demo subscribers


def test_the_demo_people_are_subscribers_under_the_ids_of_the_channel(tables: Any, secret_arn: str) -> None:
    outputs = {
        "tables": {"subscribers": SUBSCRIBERS},
        "stacks": {"local-Channel": {"SubscriberKeySecretArn": secret_arn}},
    }

    loaded = load_subscribers(outputs, aws_client)

    rows = {row["subscriber_id"]["S"]: from_row(row) for row in tables.scan(TableName=SUBSCRIBERS)["Items"]}
    assert loaded == len(rows) == len([person for person in PEOPLE if person.phone])
    john = rows[JOHN_ID]
    assert (john.phone_number, john.subscription_status, john.created_at) == (JOHN, "NEW", 1_767_603_600_000)
    assert john.attributes["segment"] == SEGMENT
    assert [row.phone_number for row in rows.values() if row.subscription_status == "ACTIVE"] == [
        "+15035550106"
    ]


def test_loading_them_again_starts_them_anew(tables: Any, secret_arn: str) -> None:
    outputs = {
        "tables": {"subscribers": SUBSCRIBERS},
        "stacks": {"local-Channel": {"SubscriberKeySecretArn": secret_arn}},
    }
    load_subscribers(outputs, aws_client)
    put_subscriber(tables, JOHN_ID, "OPTED_OUT", phone_number=JOHN)

    load_subscribers(outputs, aws_client)

    row = tables.get_item(TableName=SUBSCRIBERS, Key={"subscriber_id": {"S": JOHN_ID}})["Item"]
    assert row["subscription_status"] == {"S": "NEW"}


@pytest.mark.parametrize("missing", ["table", "key"])
def test_without_analytics_or_without_the_key_nobody_is_loaded(
    tables: Any, secret_arn: str, missing: str
) -> None:
    outputs = {
        "tables": {} if missing == "table" else {"subscribers": SUBSCRIBERS},
        "stacks": {"c": {} if missing == "key" else {"SubscriberKeySecretArn": secret_arn}},
    }

    assert load_subscribers(outputs, aws_client) == 0
    assert tables.scan(TableName=SUBSCRIBERS)["Count"] == 0


def test_journeys_read_the_rows_as_they_are_written() -> None:
    from boto3.dynamodb.types import TypeDeserializer

    plain = TypeDeserializer()
    rows = [
        read_subscriber({name: plain.deserialize(value) for name, value in row.items()})
        for row in demo_rows(lambda phone: f"v1:{phone}")
    ]

    assert {row.segment for row in rows} == {SEGMENT}
    assert rows[0].attributes["name"] == "John Doe"
    assert sum(row.is_on_record for row in rows) == len(OPTED_IN)


# --- starting


def test_the_welcome_series_begins_for_the_segment(page: PageTest) -> None:
    answer = page.post("/api/journeys", {"journey": "welcome"})

    assert answer.status_code == 202
    assert started(page) == [
        (WELCOME_MACHINE, {"reason": "started on the phone page", "segment": "demo"}),
    ]


def test_a_journey_for_one_phone_names_its_subscriber(page: PageTest) -> None:
    page.post("/api/journeys", {"journey": "welcome", "userId": "customer-001"})

    [(_, given)] = started(page)
    assert given == {"reason": "started on the phone page", "subscriberIds": [JOHN_ID]}


def test_a_promotion_has_its_code_and_discount(page: PageTest) -> None:
    page.post("/api/journeys", {"journey": "promotional", "promo": " SPRING ", "discount": "020"})

    [(machine, given)] = started(page)
    assert machine == PROMOTIONAL_MACHINE
    assert given["values"] == {"promo": "SPRING", "discount": "20"}


@pytest.mark.parametrize("journey", ["welcome", "promotional"])
def test_the_journeys_take_what_the_page_gives_them(page: PageTest, journey: str) -> None:
    page.post("/api/journeys", {"journey": journey, "promo": "SPRING", "discount": "20"})
    definition = welcome_series() if journey == "welcome" else promotional()

    [(_, given)] = started(page)
    event = {"runId": "run-1", "journey": definition.to_json(), "input": given}

    assert len(start(event, now=START, max_parts=3)) == len(definition.offsets)


@pytest.mark.parametrize(
    ("wish", "problem"),
    [
        ({}, "Say which journey"),
        ({"journey": "other"}, "Say which journey"),
        ({"journey": "welcome", "userId": 3}, "by the id of a customer"),
        ({"journey": "welcome", "userId": "customer-999"}, "Nobody of that id has a phone"),
        ({"journey": "welcome", "userId": "customer-007"}, "Nobody of that id has a phone"),
        ({"journey": "promotional"}, "Give a code"),
        ({"journey": "promotional", "promo": "  ", "discount": "20"}, "Give a code"),
        ({"journey": "promotional", "promo": "X" * 21, "discount": "20"}, "Give a code"),
        ({"journey": "promotional", "promo": "A", "discount": "0"}, "1 to 99"),
        ({"journey": "promotional", "promo": "A", "discount": "100"}, "1 to 99"),
        ({"journey": "promotional", "promo": "A", "discount": "٢"}, "whole number"),
        ({"journey": "promotional", "promo": "A", "discount": 20}, "whole number"),
    ],
)
def test_what_makes_no_sense_starts_nothing(page: PageTest, wish: dict[str, Any], problem: str) -> None:
    answer = page.post("/api/journeys", wish)

    assert answer.status_code == 400
    assert problem in answer.json()["problem"]
    assert started(page) == []


def test_without_journeys_there_is_no_tab_and_nothing_to_start(tables: Any) -> None:
    page = PageTest(tables)

    assert page.state()["campaigns"] is None
    assert page.post("/api/journeys", {"journey": "welcome"}).status_code == 404


def test_one_phone_cannot_be_named_where_the_key_is_not_known(tables: Any) -> None:
    page = PageTest(tables, has_analytics=True)

    assert page.post("/api/journeys", {"journey": "welcome", "userId": "customer-001"}).status_code == 404
    assert page.post("/api/journeys", {"journey": "welcome"}).status_code == 202


# --- subscribers


def test_subscribers_are_listed_as_the_phones_are_with_masked_numbers(page: PageTest, tables: Any) -> None:
    for row in demo_rows(lambda phone: f"v1:{phone[-4:]}"):
        tables.put_item(TableName=SUBSCRIBERS, Item=row)

    listed = page.state()["campaigns"]["subscribers"]

    assert [one["name"] for one in listed] == [person.name for person in PEOPLE if person.phone]
    assert listed[0] | {"id": ""} == {
        "id": "",
        "name": "John Doe",
        "phone": "+1••••••0101",
        "status": "NEW",
        "words": "not asked yet",
        "mark": "",
        "texts": 0,
        "answers": 0,
        "last": None,
    }


def test_the_last_answer_is_told_with_how_it_sounds(page: PageTest, tables: Any) -> None:
    put_subscriber(
        tables,
        "v1:a",
        "ACTIVE",
        phone_number=JOHN,
        total_messages_sent=2,
        total_responses=2,
        last_response_at=milliseconds(60),
        opt_in_timestamp=milliseconds(),
    )
    put_answer(tables, "v1:a", "YES", "positive", at=at())
    put_answer(tables, "v1:a", "not interested", "negative", at=at(60))

    [one] = page.state()["campaigns"]["subscribers"]

    assert (one["words"], one["texts"], one["answers"]) == ("subscribed", 2, 2)
    assert one["last"] == {"text": "not interested", "sentiment": "negative", "at": at(60).isoformat()}


def test_an_answer_is_read_again_only_when_there_is_another(page: PageTest, tables: Any) -> None:
    put_subscriber(tables, "v1:a", last_response_at=milliseconds(), total_responses=1)
    put_answer(tables, "v1:a", "first", "neutral", at=at())
    assert page.state()["campaigns"]["subscribers"][0]["last"]["text"] == "first"

    put_answer(tables, "v1:a", "second", "neutral", at=at(5))
    unchanged = page.state()["campaigns"]["subscribers"][0]["last"]["text"]
    put_subscriber(tables, "v1:a", last_response_at=milliseconds(5), total_responses=2)

    assert unchanged == "first"
    assert page.state()["campaigns"]["subscribers"][0]["last"]["text"] == "second"


def test_whom_nobody_confirmed_for_a_month_is_not_shown_as_pending(page: PageTest, tables: Any) -> None:
    put_subscriber(tables, "v1:a", "PENDING", updated_at=milliseconds())

    before = page.state()["campaigns"]["subscribers"][0]["status"]
    page.carrier.now = START + timedelta(days=31)

    assert (before, page.state()["campaigns"]["subscribers"][0]["status"]) == ("PENDING", "NEW")


# --- progress


def begin(page: PageTest) -> tuple[str, list[StartedStep]]:
    """Begin a welcome series as its state machine does; return its execution and its steps."""
    event = {"runId": "run-9", "journey": welcome_series().to_json(), "input": {"segment": "demo"}}
    steps = list(start(event, now=START, max_parts=3))
    arn = page.stepfunctions.begin("run-9", {"segment": "demo"}, begins=START, machine=WELCOME_MACHINE)
    data = {
        "dryRun": False,
        "steps": {
            f"step{number}": {"startsAt": step.starts_at.isoformat(), "name": step.run_id, "input": {}}
            for number, step in enumerate(steps, start=1)
        },
    }
    page.stepfunctions.enter(arn, "Task", "Check input", {"segment": "demo"}, enters=at(1))
    page.stepfunctions.leave(arn, "Task", "Check input", data, leaves=at(2))
    page.stepfunctions.enter(arn, "Parallel", "Text everybody", data, enters=at(2))
    return arn, steps


def begin_step(page: PageTest, step: StartedStep, *, seconds: float) -> str:
    return page.stepfunctions.begin(step.run_id, step.engine_input, begins=at(seconds), machine=ENGINE)


def put_results(run_id: str, *lines: dict[str, Any]) -> None:
    aws_client("s3").put_object(
        Bucket=JOURNEY_BUCKET,
        Key=f"runs/{run_id}/results/000001.jsonl",
        Body="\n".join(json.dumps(line) for line in lines),
    )


def line(user_id: str, state: str, reason: str | None = None) -> dict[str, Any]:
    return {"userId": user_id, "state": state, "reason": reason, "parts": int(state == "ACCEPTED")}


def test_a_running_journey_tells_its_texts_and_when_the_next_is_due(page: PageTest) -> None:
    _, [first, _] = begin(page)
    step = begin_step(page, first, seconds=3)
    put_results(first.run_id, line("v1:a", "ACCEPTED"), line("v1:b", "SUPPRESSED", "OPTED_OUT"))
    page.stepfunctions.end(step, {"customers": 2, "outcomes": {"ACCEPTED": 1, "SUPPRESSED": 1}}, ends=at(9))

    [run] = page.state()["campaigns"]["runs"]

    assert (run["title"], run["status"]) == ("Welcome series", "RUNNING")
    assert run["nextAt"] == at(days=1).isoformat()
    [text] = run["texts"]
    assert (text["number"], text["words"]) == (1, "1 text sent, 1 without")
    assert (text["done"], text["total"], text["isRunning"]) == (2, 2, False)


def test_once_the_last_text_has_begun_none_is_waited_for(page: PageTest) -> None:
    _, steps = begin(page)
    for number, step in enumerate(steps):
        begin_step(page, step, seconds=number)

    [run] = page.state()["campaigns"]["runs"]

    assert run["nextAt"] is None


def test_the_start_of_the_first_text_is_no_wait(page: PageTest) -> None:
    arn = page.stepfunctions.begin("run-9", {}, begins=START, machine=WELCOME_MACHINE)
    data = {"steps": {"step1": {"startsAt": at(2).isoformat(), "name": "run-9-1", "input": {}}}}
    page.stepfunctions.enter(arn, "Parallel", "Text everybody", data, enters=at(1))

    [run] = page.state()["campaigns"]["runs"]

    assert run["nextAt"] is None


def test_a_journey_that_is_over_waits_for_nothing(page: PageTest) -> None:
    arn, _ = begin(page)
    page.stepfunctions.end(arn, {}, ends=at(days=1, minutes=5))

    [run] = page.state()["campaigns"]["runs"]

    assert (run["status"], run["nextAt"]) == ("SUCCEEDED", None)


def test_a_journey_that_failed_says_why(page: PageTest) -> None:
    arn, _ = begin(page)
    page.stepfunctions.fail(arn, "StepFailed", "A run of the engine failed", ends=at(9))

    state = page.state()

    [run] = state["campaigns"]["runs"]
    assert run["problem"] == "A run of the engine failed (StepFailed)"
    told = [step["words"] for step in state["account"]["steps"] if step["kind"] == "problem"]
    assert told == [["The welcome series ended as FAILED: A run of the engine failed (StepFailed)"]]


def test_the_account_tells_a_journey_below_its_own_headings(page: PageTest, tables: Any) -> None:
    put_subscriber(tables, "v1:b", "OPTED_OUT", phone_number=JOHN)
    _, [first, _] = begin(page)
    step = begin_step(page, first, seconds=3)
    page.carrier.accept("m1", "+12125550102", sent=at(5), campaign=first.run_id)
    put_results(first.run_id, line("v1:b", "SUPPRESSED", "DECLINED"))
    page.stepfunctions.end(step, {"customers": 1, "outcomes": {"SUPPRESSED": 1}}, ends=at(9))

    account = page.state()["account"]

    titles = {
        run: "".join(word for word in words if isinstance(word, str))
        for run, words in account["titles"].items()
    }
    assert titles == {"run-9": "Welcome series of ", first.run_id: "Welcome series, text 1, "}
    told = {(one["chapter"], str(one["words"][0])) for one in account["steps"]}
    assert ("run-9", "The welcome series begins for the segment “demo”") in told
    assert ("run-9", "Its next text is due at ") in told
    assert (first.run_id, "Text to Łukasz Wójcik accepted, 1 part") in told


def test_the_newest_run_stands_first_and_old_ones_are_left_out(page: PageTest) -> None:
    for number in range(5):
        page.stepfunctions.begin(f"run-{number}", {}, begins=at(number), machine=PROMOTIONAL_MACHINE)

    assert [run["id"] for run in page.state()["campaigns"]["runs"]] == ["run-4", "run-3", "run-2"]


def test_what_was_before_a_reset_is_forgotten(page: PageTest) -> None:
    begin(page)
    assert page.post("/api/forget", {}).status_code == 200

    assert page.state()["campaigns"]["runs"] == []


def test_an_execution_of_another_kind_is_no_step_of_a_journey(page: PageTest) -> None:
    for number, about in enumerate(({}, {"run": 3}, {"run": "r", "number": 1, "journey": "welcome"}, [])):
        page.stepfunctions.begin(f"run-{number}", {"about": about}, begins=at(number), machine=ENGINE)

    assert page.state()["campaigns"]["runs"] == []


def test_every_reason_of_a_journey_has_words() -> None:
    assert {reason.value for reason in JourneyReason} <= set(REASONS)
