"""What the page asks of its own server: the clock, the pause switch, runs, replies, customers."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from sms_engagement_runtime.channel.adapters.pause import DynamoPauseFlag
from sms_local.people import PEOPLE, SITUATIONS, put_person
from tests.support.dynamodb_tables import CONTACTS
from tests.support.phone_page import BUCKET, START, PageTest, at
from tests.support.review_tables import CUSTOMERS, aws_client, review_tables


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    with review_tables() as client:
        aws_client("s3").create_bucket(Bucket=BUCKET)
        for person in PEOPLE:
            put_person(client, CUSTOMERS, person)
        yield client


@pytest.fixture
def page(dynamodb: Any) -> PageTest:
    return PageTest(dynamodb)


def sentences(state: dict[str, Any]) -> list[str]:
    return [
        "".join(word if isinstance(word, str) else word["at"] for word in one["words"])
        for one in state["account"]["steps"]
    ]


# --- state


def test_the_first_look_shows_phones_a_clock_and_nothing_done(page: PageTest) -> None:
    state = page.state()

    assert len(state["phones"]) == 6
    assert state["clock"] == {"offsetSeconds": 7200.0, "jump": None}
    assert state["sending"] == {"isPaused": False, "reason": None, "canPause": True}
    assert state["run"] == {"canSend": True, "latest": None, "followUp": None}
    assert state["account"]["steps"] == []
    assert state["problem"] is None


def test_a_carrier_that_does_not_answer_is_said_in_a_sentence(page: PageTest) -> None:
    page.carrier.is_down = True

    assert page.state()["problem"] == "The carrier simulator does not answer (ConnectError)."
    assert page.state()["clock"]["offsetSeconds"] is None


def test_the_stream_tells_everything_once_and_then_what_has_changed(page: PageTest) -> None:
    told: list[dict[str, Any]] = []

    async def read(_client: httpx.AsyncClient) -> None:
        request = _Endless()
        async for chunk in (await page.page.events(request)).body_iterator:  # type: ignore[arg-type]
            told.append(json.loads(str(chunk).removeprefix("data: ")))
            if len(told) == 2:
                request.is_over = True
            else:
                page.carrier.accept("m1", "+14045550101", sent=at(1))

    page.visit(read)

    assert set(told[0]) == {
        *("phones", "notices", "clock", "sending", "run", "appointments", "account"),
        *("situations", "campaigns", "dashboard", "problem"),
    }
    assert set(told[1]) == {"phones", "account"}


class _Endless:
    """A request whose window stays open."""

    is_over = False

    async def is_disconnected(self) -> bool:
        return self.is_over


def test_a_page_of_a_cloud_without_stacks_says_what_is_missing(dynamodb: Any) -> None:
    page = PageTest(dynamodb, is_deployed=False)

    assert page.state()["run"]["canSend"] is False
    for path, body in (
        ("/api/broadcast", {}),
        ("/api/sending", {"paused": True}),
        ("/api/customers", {"userId": "customer-009"}),
    ):
        answer = page.post(path, body)
        assert answer.status_code == 404
        assert answer.json()["problem"].endswith("is deployed.")


# --- the clock


def test_a_jump_goes_on_in_the_background_and_tells_what_fell_due(page: PageTest) -> None:
    page.carrier.due = [{"at": at(hours=1).isoformat(), "what": "wait", "name": "reviews-broadcast: Wait"}]
    seen: list[dict[str, Any]] = []

    async def skip(client: httpx.AsyncClient) -> None:
        await client.get("/api/state")
        assert (await client.post("/api/skip", json={"seconds": 86_400})).status_code == 202
        seen.append((await client.get("/api/state")).json())

    page.visit(skip)
    state = page.state()

    assert state["clock"]["jump"] == {
        "number": 1,
        "from": at(0).isoformat(),
        "to": at(days=1).isoformat(),
        "running": False,
        "due": 1,
        "problem": None,
    }
    assert state["clock"]["offsetSeconds"] == 7200.0 + 86_400
    assert sentences(state)[0] == "You skipped a day"


def test_a_second_jump_waits_for_the_first(page: PageTest) -> None:
    answers: list[int] = []

    async def skip_twice(client: httpx.AsyncClient) -> None:
        for _ in range(2):
            answers.append((await client.post("/api/skip", json={"seconds": 1800})).status_code)

    async def never_ends(_ahead: timedelta) -> Any:
        await asyncio.Event().wait()

    page.control.advance = never_ends  # type: ignore[method-assign]
    page.visit(skip_twice)

    assert answers == [202, 409]


@pytest.mark.parametrize(
    "wanted",
    [{}, {"seconds": 0}, {"seconds": -60}, {"seconds": True}, {"seconds": "60"}, {"seconds": 1.5}, []],
)
def test_a_skip_of_no_whole_seconds_is_refused(page: PageTest, wanted: Any) -> None:
    answer = page.post("/api/skip", wanted)

    assert answer.status_code == 400
    assert answer.json()["problem"] == "Say how many seconds to skip: a whole number above 0."


def test_a_skip_of_a_year_is_refused(page: PageTest) -> None:
    assert page.post("/api/skip", {"seconds": 366 * 86_400}).status_code == 400


def test_a_jump_that_the_clock_refuses_is_told_and_moves_nothing(page: PageTest) -> None:
    page.carrier.refuses = (504, "Something has been running for 1000 seconds.")

    async def skip(client: httpx.AsyncClient) -> None:
        await client.get("/api/state")
        await client.post("/api/skip", json={"seconds": 1800})
        await client.get("/api/state")

    page.visit(skip)
    state = page.state()

    assert state["clock"]["jump"]["problem"] == (
        "The carrier simulator refused: Something has been running for 1000 seconds."
    )
    assert state["clock"]["offsetSeconds"] == 7200.0


def test_a_clock_that_another_program_moved_is_told_once(page: PageTest) -> None:
    page.state()
    for step in range(1, 4):
        page.carrier.now = at(hours=8 * step)
        page.state()

    state = page.state()

    assert sentences(state) == ["Somebody skipped a day"]
    assert state["clock"]["jump"] is None


# --- the pause switch


def test_sending_is_paused_and_goes_on(page: PageTest) -> None:
    page.state()
    flag = DynamoPauseFlag(page.dynamodb, table=CONTACTS, max_age_seconds=0)

    assert page.post("/api/sending", {"paused": True}).json() == {"paused": True}
    assert flag.is_paused()
    paused = page.state()
    page.post("/api/sending", {"paused": False})
    assert not flag.is_paused()
    resumed = page.state()

    assert paused["sending"]["isPaused"] is True
    assert paused["sending"]["reason"] == "paused on the phone page"
    assert resumed["sending"]["isPaused"] is False
    assert sentences(resumed) == ["All sending is paused (phone page)", "Sending goes on (phone page)"]


@pytest.mark.parametrize("wanted", [{}, {"paused": "yes"}, {"paused": None}, "x"])
def test_the_switch_takes_true_or_false(page: PageTest, wanted: Any) -> None:
    assert page.post("/api/sending", wanted).status_code == 400


# --- runs


def test_a_run_that_began_shows_at_once(page: PageTest) -> None:
    answer = page.post("/api/broadcast", {"dryRun": True})

    latest = page.state()["run"]["latest"]
    assert answer.status_code == 202
    assert (latest["id"], latest["isDry"], latest["status"]) == (answer.json()["id"], True, "RUNNING")


@pytest.mark.parametrize("wanted", ["true", 1, None])
def test_a_mistyped_dry_run_sends_nothing(page: PageTest, wanted: Any) -> None:
    assert page.post("/api/broadcast", {"dryRun": wanted}).status_code == 400
    assert page.stepfunctions.executions == {}


def test_reminders_do_not_hide_the_run_whose_people_they_remind(page: PageTest) -> None:
    run = page.stepfunctions.begin("run-1", {}, begins=at(0))
    page.stepfunctions.end(
        run, {"customers": 8, "outcomes": {"ACCEPTED": 6, "SUPPRESSED": 2}, "parts": 6}, ends=at(9)
    )
    reminders = page.stepfunctions.begin("run-1-follow-up", {"follows": "run-1"}, begins=at(9))
    until = {"until": at(days=3).isoformat()}
    page.stepfunctions.enter(reminders, "Wait", "Wait", until, enters=at(10))

    shown = page.state()["run"]

    assert (shown["latest"]["id"], shown["latest"]["groups"]["now"]) == ("run-1", 6)
    assert (shown["followUp"]["id"], shown["followUp"]["waitsUntil"]) == (
        "run-1-follow-up",
        at(days=3).isoformat(),
    )


# --- replies, customers, forgetting


def test_a_reply_shows_at_once_with_the_virtual_time(page: PageTest) -> None:
    page.state()

    assert page.post("/api/reply", {"phone": "+14045550101", "body": "STOP"}).status_code == 202

    [bubble] = page.state()["phones"][0]["bubbles"]
    assert (bubble["body"], bubble["isFromPhone"], bubble["at"]) == ("STOP", True, at(0).isoformat())
    assert page.carrier.inbound[0]["body"] == "STOP"


@pytest.mark.parametrize(
    "wanted", [{}, {"phone": "+1"}, {"phone": "+1", "body": "  "}, {"phone": 1, "body": "x"}]
)
def test_a_reply_needs_a_phone_and_a_text(page: PageTest, wanted: Any) -> None:
    assert page.post("/api/reply", wanted).json()["problem"] == "Give a phone and a text."


def test_a_reply_that_the_carrier_refuses_is_said_so_and_not_shown(page: PageTest) -> None:
    page.carrier.refuses = (502, "The two-way topic took no message.")

    answer = page.post("/api/reply", {"phone": "+14045550101", "body": "STOP"})

    assert answer.status_code == 502
    assert answer.json()["problem"] == "The carrier simulator refused: The two-way topic took no message."
    assert page.state()["phones"][0]["bubbles"] == []


def test_a_prepared_customer_gets_a_phone_and_one_who_shares_a_phone_does_not(page: PageTest) -> None:
    before = page.state()
    for person in SITUATIONS:
        assert page.post("/api/customers", {"userId": person.user_id}).status_code == 201
    after = page.state()

    assert [one["isAdded"] for one in before["situations"]["people"]] == [False, False]
    assert [one["isAdded"] for one in after["situations"]["people"]] == [True, True]
    assert len(after["phones"]) == len(before["phones"]) + 1
    assert after["phones"][-1]["name"] == "Leilani Kealoha"


@pytest.mark.parametrize("wanted", [{}, {"userId": "customer-001"}, {"userId": ["customer-009"]}])
def test_nobody_else_is_added(page: PageTest, wanted: Any) -> None:
    assert page.post("/api/customers", wanted).status_code == 400


def test_a_reset_leaves_nothing_behind(page: PageTest) -> None:
    page.state()
    page.post("/api/broadcast", {})
    page.post("/api/sending", {"paused": True})
    page.post("/api/skip", {"seconds": 1800})
    page.state()
    page.dynamodb.delete_item(
        TableName=CONTACTS, Key={"subscriberId": {"S": "control"}, "record": {"S": "sending"}}
    )
    page.carrier.now = START

    assert page.post("/api/forget", {}).status_code == 200

    state = page.state()
    assert state["account"]["steps"] == []
    assert state["run"]["latest"] is None
    assert state["clock"] == {"offsetSeconds": 7200.0, "jump": None}
