"""Five virtual days of one shop, from the dry run to the last reminder, with IAM enforced.

Driven by nothing but what other programs may use too: ``StartExecution``, HTTP and carrier control.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sms_local.testing import Cloud, eventually
from tests.support.cloud_drive import Customer, replace_customers

ANSWERS, STOPS, SILENT, ISLAND, LATE = (
    "+12065550121",
    "+13035550122",
    "+16025550123",
    "+18085550124",
    "+13125550125",
)
ZONES = {
    ANSWERS: ZoneInfo("America/Los_Angeles"),
    STOPS: ZoneInfo("America/Denver"),
    SILENT: ZoneInfo("America/Phoenix"),
    ISLAND: ZoneInfo("Pacific/Honolulu"),
    LATE: ZoneInfo("America/Chicago"),
}
CUSTOMERS = [
    Customer(user_id="one", phone=ANSWERS, name="Ann"),
    Customer(user_id="two", phone=STOPS, name="Bob"),
    Customer(user_id="three", phone=SILENT, name="Cleo"),
    Customer(user_id="four", phone=ISLAND, name="Dan"),
    Customer(user_id="twin-of-three", phone=SILENT, name="Cleo at work"),
    Customer(user_id="six", phone=None, name="Eve"),
    Customer(user_id="seven", phone="+442079460199", name="Front Desk"),
    Customer(user_id="eight", phone="+16175550126", name="Gone", status="inactive"),
]
REQUEST = "Please review your recent purchase"
REMINDER = "A reminder to review your recent purchase"
DAY = 24 * 3600
_LINK = re.compile(r"https?://\S+/r/(\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What happened.

    Attributes
    ----------
    rehearsal, summary
        Of the dry run, and of the run itself.
    before_the_island
        Phones that had a text while the run waited for the morning in Honolulu.
    texts
        Everything that the carrier accepted in five days, in order.
    due
        What fell due in the jumps.
    """

    started_at: datetime
    rehearsal: Mapping[str, Any]
    summary: Mapping[str, Any]
    texts_of_the_rehearsal: Sequence[Mapping[str, Any]]
    before_the_island: Sequence[str]
    texts: Sequence[Mapping[str, Any]]
    due: Sequence[Mapping[str, Any]]

    def to(self, phone: str) -> list[Mapping[str, Any]]:
        return [text for text in self.texts if text["to"] == phone]


@pytest.fixture(scope="module")
def story(running_cloud: Cloud) -> Story:
    cloud = running_cloud
    cloud.reset()
    replace_customers(cloud, CUSTOMERS)
    started_at = now(cloud)
    rehearsal = cloud.broadcast({"dryRun": True})
    texts_of_the_rehearsal = cloud.texts()

    run = cloud.stepfunctions.start_execution(
        stateMachineArn=cloud.outputs["state_machines"]["review_broadcast"], input="{}"
    )["executionArn"]
    eventually(lambda: len(cloud.texts()) == 3, what="the texts of those whose morning has begun")
    due = advance(cloud, 0)
    before_the_island = sorted(text["to"] for text in cloud.texts())
    due += advance(cloud, 2 * 3600)
    execution = cloud.stepfunctions.describe_execution(executionArn=run)
    assert execution["status"] == "SUCCEEDED", execution

    link = _LINK.search(cloud.texts(ANSWERS)[0]["body"])
    assert link is not None
    posted = cloud.door.post("/submit-review", json={"token": link[1], "rating": 4, "reviewText": "Good."})
    assert posted.status_code == 201, posted.text
    cloud.text_from(STOPS, "STOP")

    for day in range(1, 6):
        due += advance(cloud, DAY)
        if day == 3:
            replace_customers(cloud, [*CUSTOMERS, Customer(user_id="nine", phone=LATE, name="Fay")])
    return Story(
        started_at=started_at,
        rehearsal=rehearsal,
        summary=json.loads(execution["output"]),
        texts_of_the_rehearsal=texts_of_the_rehearsal,
        before_the_island=before_the_island,
        texts=cloud.texts(),
        due=due,
    )


def now(cloud: Cloud) -> datetime:
    answer = cloud.carrier.get("/control/clock").raise_for_status().json()
    return datetime.fromisoformat(answer["now"])


def advance(cloud: Cloud, seconds: int) -> list[dict[str, Any]]:
    answer = cloud.carrier.post("/control/clock", json={"advance_seconds": seconds}, timeout=300)
    return list(answer.raise_for_status().json()["due"])


def sent_at(text: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(text["sent_at"])


def test_the_clock_starts_at_five_in_the_afternoon_utc(story: Story) -> None:
    assert story.started_at.astimezone(UTC).time().replace(second=0, microsecond=0) == time(17, 0)


def test_the_dry_run_says_who_gets_it_who_not_and_why_and_what_it_costs(story: Story) -> None:
    summary = story.rehearsal

    assert story.texts_of_the_rehearsal == []
    assert summary["dryRun"] is True
    assert summary["outcomes"] == {"SUPPRESSED": 4, "WOULD_SEND": 4}
    assert {
        reason: summary["reasons"][reason]
        for reason in ("DUPLICATE_PHONE", "INACTIVE", "LANDLINE", "NO_PHONE", "QUIET_HOURS")
    } == {"DUPLICATE_PHONE": 1, "INACTIVE": 1, "LANDLINE": 1, "NO_PHONE": 1, "QUIET_HOURS": 1}
    assert summary["parts"] == 4
    assert summary["estimatedCostUsd"] == "0.04"


def test_the_run_ends_as_its_rehearsal_said(story: Story) -> None:
    assert story.summary["outcomes"] == {"ACCEPTED": 4, "SUPPRESSED": 4}
    assert story.summary["customers"] == len(CUSTOMERS)
    assert story.summary["complete"] is True


def test_honolulu_is_texted_when_it_is_eight_there(story: Story) -> None:
    assert story.before_the_island == sorted([ANSWERS, STOPS, SILENT])
    local = sent_at(story.to(ISLAND)[0]).astimezone(ZONES[ISLAND])
    assert time(8, 0) <= local.time() < time(8, 20)


def test_who_is_silent_gets_one_reminder_after_three_days(story: Story) -> None:
    for phone in (SILENT, ISLAND):
        first, reminder = story.to(phone)
        assert REQUEST in first["body"]
        assert REMINDER in reminder["body"]
        assert timedelta(days=3) <= sent_at(reminder) - sent_at(first) < timedelta(days=3, hours=1)


def test_who_answered_is_not_reminded(story: Story) -> None:
    assert [REQUEST in text["body"] for text in story.to(ANSWERS)] == [True]


def test_who_stopped_gets_the_confirmation_and_nothing_after_it(story: Story) -> None:
    assert [text["body"] for text in story.to(STOPS)][1:] == [
        "You have been unsubscribed. Reply START to subscribe again."
    ]


def test_a_customer_of_the_fourth_day_is_asked_by_the_daily_run(story: Story) -> None:
    [text] = story.to(LATE)

    assert sent_at(text) > story.started_at + timedelta(days=3)
    assert sent_at(text).astimezone(ZoneInfo("America/New_York")).time().hour == 10


def test_nobody_is_texted_at_night_or_twice(story: Story) -> None:
    for text in story.texts:
        local = sent_at(text).astimezone(ZONES[text["to"]]).time()
        assert time(8) <= local < time(21), (text["to"], local)
    bodies = Counter((text["to"], text["body"].partition("http")[0]) for text in story.texts)
    assert set(bodies.values()) == {1}


def test_the_first_text_says_who_speaks_and_how_to_opt_out_and_the_next_does_not(story: Story) -> None:
    for phone in (SILENT, ISLAND):
        first, reminder = story.to(phone)
        assert first["body"].endswith("Demo Store: Reply STOP to opt out")
        assert "STOP" not in reminder["body"]
    assert {text["parts"] for text in story.texts} == {1}


def test_the_jumps_tell_what_fell_due_in_order(story: Story) -> None:
    instants = [datetime.fromisoformat(entry["at"]) for entry in story.due]

    assert instants == sorted(instants)
    broadcasts = [
        datetime.fromisoformat(entry["at"]).astimezone(ZoneInfo("America/New_York"))
        for entry in story.due
        if entry["what"] == "schedule" and "Reviews" in entry["name"] and "Digest" not in entry["name"]
    ]
    assert [moment.hour for moment in broadcasts] == [10] * 5
