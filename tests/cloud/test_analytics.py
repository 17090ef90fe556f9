"""From carrier control to Athena rows: a welcome series, its answers, and what is counted and kept of them.

One story, told once; the tests look at what it left behind. IAM policies are enforced.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from sms_engagement_runtime.sms_analytics_pipeline.domain.metrics import total
from sms_local.testing import Cloud
from tests.support.analytics_drive import (
    archive_objects,
    archived_lines,
    ask_athena,
    bodies_to,
    counted,
    invoke,
    metric_sums,
    settle_stream,
    start_journey,
    subscribe,
    subscriber,
    wait_for_texts,
)
from tests.support.cloud_drive import (
    function_with,
    inbound,
    new_phone,
    outcome,
    replace_customers,
    subscriber_of,
)

pytestmark = pytest.mark.cloud

WELCOME = "Welcome! Reply YES to confirm or STOP to unsubscribe."
REMINDER = "Please reply YES to confirm your subscription, or STOP to unsubscribe."
CONFIRMED = "Thank you for confirming! You're now subscribed to our updates."
STOPPED = "You have been unsubscribed. Reply START to subscribe again."
SEGMENT = "story"
PRICE = 581
"""Thousandths of a cent for a text to the US, as the simulator's events say."""


@dataclass
class Story:
    """Who took part, and the journey."""

    cloud: Cloud
    phones: dict[str, str] = field(default_factory=dict)
    execution: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> str:
        try:
            return self.phones[name]
        except KeyError:
            raise AttributeError(name) from None


@pytest.fixture(scope="module")
def story(running_cloud: Cloud) -> Story:
    cloud = running_cloud
    cloud.reset()
    replace_customers(cloud, [])
    names = ("yes", "stop", "no", "silent", "invalid", "twice", "left")
    story = Story(cloud, {name: new_phone() for name in names})
    for name, phone in story.phones.items():
        subscribe(cloud, phone, SEGMENT, status="OPTED_OUT" if name == "left" else "NEW", name=f"Sam {name}")
    outcome(cloud, phone=story.invalid, event_type="TEXT_INVALID")
    # Each event of this one comes three times, late.
    outcome(cloud, phone=story.twice, event_type="TEXT_DELIVERED", delay_seconds=90, duplicates=2)

    arn = start_journey(cloud, "journey_welcome", {"segment": SEGMENT})
    wait_for_texts(cloud, [story.yes, story.stop, story.no, story.silent, story.twice], 1)
    inbound(cloud, from_=story.yes, body="Yes!")
    inbound(cloud, from_=story.stop, body="STOP")
    inbound(cloud, from_=story.no, body="not interested")
    cloud.advance(timedelta(hours=24, minutes=10))
    story.execution = cloud.ended(arn, within=timedelta(days=2))
    settle_stream(cloud)
    return story


def test_the_journey_ends_once_everybody_has_gone_their_way(story: Story) -> None:
    assert story.execution["status"] == "SUCCEEDED"


def test_who_says_yes_is_sent_the_promotion_a_day_later(story: Story) -> None:
    welcome, thanks, promotion = bodies_to(story.cloud, story.yes)

    assert welcome.startswith(WELCOME)
    assert thanks == CONFIRMED
    assert promotion == "Hi Sam, use code WELCOME for 10% off!"


def test_who_stops_hears_nothing_but_that(story: Story) -> None:
    welcome, stopped = bodies_to(story.cloud, story.stop)

    assert welcome.startswith(WELCOME)
    assert stopped == STOPPED


def test_who_is_not_interested_hears_nothing_more(story: Story) -> None:
    assert len(bodies_to(story.cloud, story.no)) == 1


@pytest.mark.parametrize("name", ["silent", "twice"])
def test_who_does_not_answer_is_reminded_once(story: Story, name: str) -> None:
    _, reminder = bodies_to(story.cloud, getattr(story, name))

    assert reminder == REMINDER


def test_who_had_left_is_not_texted(story: Story) -> None:
    assert bodies_to(story.cloud, story.left) == []


@pytest.mark.parametrize(
    ("name", "status", "sent", "answers"),
    [
        ("yes", "ACTIVE", 3, 1),
        ("stop", "OPTED_OUT", 2, 1),
        ("no", "PENDING", 1, 1),
        ("silent", "PENDING", 2, 0),
        ("twice", "PENDING", 2, 0),
        ("left", "OPTED_OUT", 0, 0),
    ],
)
def test_subscribers_show_where_everybody_is(
    story: Story, name: str, status: str, sent: int, answers: int
) -> None:
    row = subscriber(story.cloud, getattr(story, name))

    assert row["subscription_status"] == status
    assert row["total_messages_sent"] == sent
    assert row["total_responses"] == answers
    assert row["attributes"]["segment"] == SEGMENT
    assert row["attributes"]["name"] == f"Sam {name}"


def test_a_number_that_does_not_exist_bounces_and_is_not_reminded(story: Story) -> None:
    row = subscriber(story.cloud, story.invalid)

    assert row["subscription_status"] == "BOUNCED"
    assert len(bodies_to(story.cloud, story.invalid)) == 1


def test_instants_of_a_subscriber_are_those_of_what_happened(story: Story) -> None:
    yes, stop = subscriber(story.cloud, story.yes), subscriber(story.cloud, story.stop)

    assert yes["created_at"] <= yes["opt_in_timestamp"] <= yes["updated_at"]
    assert yes["last_response_at"] == yes["opt_in_timestamp"]
    assert stop["opt_out_timestamp"] == stop["last_response_at"]


def test_answers_are_kept_with_sentiment_and_the_campaign_that_they_answer(story: Story) -> None:
    cloud = story.cloud
    run = story.execution["executionArn"].rpartition(":")[2]
    rows = {row["phone_number"]: row for row in cloud.rows("responses")}

    assert set(rows) == {story.yes, story.stop, story.no}
    assert {rows[phone]["sentiment"] for phone in (story.stop, story.no)} == {"negative"}
    assert rows[story.yes]["sentiment"] == "positive"
    assert rows[story.yes]["normalized_response"] == "yes!"
    for phone, row in rows.items():
        assert row["subscriber_id"] == subscriber_of(cloud, phone)
        assert row["journey_id"] == "welcome"
        assert row["campaign_id"].startswith(run)
        assert row["ttl"] == int(row["response_timestamp"]) // 1000 + 365 * 86_400


def test_every_text_and_every_answer_is_counted_once(story: Story) -> None:
    sums = total(counted(story.cloud).values())

    # Five welcomes, a promotion, two reminders, a confirmation and a thank-you.
    assert sums.delivered == 10
    assert sums.failed == 1
    assert sums.responses == 3
    assert sums.opt_outs == 1
    assert sums.cost_millicents == 11 * PRICE


def test_the_metrics_are_the_counts(story: Story) -> None:
    sums = total(counted(story.cloud).values())
    # Metrics are of the whole run of the tests: the story's share is looked at by its campaigns elsewhere.
    metrics = metric_sums(story.cloud)

    assert metrics["MessagesDelivered"] >= sums.delivered
    assert metrics["OptOuts"] >= sums.opt_outs
    assert metrics["TotalCostUSD"] >= sums.cost_millicents / 100_000


def test_the_archive_has_each_event_once(story: Story) -> None:
    lines = archived_lines(story.cloud)
    finals = Counter(
        line["message_id"] for line in lines if line["event_type"] in {"_SMS.SUCCESS", "_SMS.FAILURE"}
    )
    kinds = Counter(line["event_type"] for line in lines)

    assert len(finals) == 11
    assert set(finals.values()) == {1}
    assert kinds["_SMS.RECEIVED"] == 3
    assert kinds["_SMS.OPTOUT"] == 1
    received = next(line for line in lines if line["event_type"] == "_SMS.RECEIVED")
    assert {"event_timestamp", "subscriber_id", "phone_number", "campaign_id", "archived_at"} <= set(received)


def test_objects_of_the_archive_lie_by_day(story: Story) -> None:
    days = {key.rpartition("/")[0] for key in archive_objects(story.cloud)}
    first = story.cloud.now().date() - timedelta(days=1)

    assert f"events/year={first:%Y}/month={first:%m}/day={first:%d}" in days


def test_athena_gives_the_same_numbers(story: Story) -> None:
    rows = ask_athena(story.cloud, "Delivery by campaign and country")
    sums = total(counted(story.cloud).values())

    assert sum(int(row["delivered"] or 0) for row in rows) == sums.delivered
    assert sum(int(row["failed"] or 0) for row in rows) == sums.failed
    by_campaign: dict[str | None, int] = {}
    for group, counts in counted(story.cloud).items():
        by_campaign[group.campaign_id] = by_campaign.get(group.campaign_id, 0) + counts.delivered
    asked: dict[str | None, int] = {}
    for row in rows:
        asked[row["campaign_id"]] = asked.get(row["campaign_id"], 0) + int(row["delivered"] or 0)
    assert asked == by_campaign


def test_athena_tells_cost_and_answers(story: Story) -> None:
    costs = ask_athena(story.cloud, "Cost by day, campaign and country")
    rates = ask_athena(story.cloud, "Response and opt-out rate by campaign")

    assert sum(float(row["cost_usd"] or 0) for row in costs) == pytest.approx(11 * PRICE / 100_000)
    welcome = max(rates, key=lambda row: int(row["responses"] or 0))
    assert (welcome["delivered"], welcome["responses"], welcome["opt_outs"]) == ("5", "3", "1")
    assert float(welcome["response_rate_percent"] or 0) == 60


def test_athena_tells_cohorts(story: Story) -> None:
    (cohort,) = ask_athena(story.cloud, "Cohorts by week of the first text")

    assert (cohort["people"], cohort["answered_in_7_days"], cohort["opted_out_in_30_days"]) == ("5", "3", "1")


QUERIES = (
    "Delivery by campaign and country",
    "Response and opt-out rate by campaign",
    "Cost by day, campaign and country",
    "Cohorts by week of the first text",
)


def test_a_compacted_day_gives_the_same_answers(story: Story) -> None:
    """By the function itself, with its own rights: raw and compacted lie side by side from then on."""
    cloud = story.cloud
    before = {name: ask_athena(cloud, name) for name in QUERIES}
    days = sorted({key.split("/", 1)[1].rpartition("/")[0] for key in archive_objects(cloud)})
    dates = ["-".join(part.partition("=")[2] for part in day.split("/")) for day in days]
    function, _ = function_with(cloud, "COMPACTION_WORKGROUP")

    report = invoke(cloud, function, {"days": dates})

    assert report["compacted"] == dates
    compacted = archive_objects(cloud, "compacted/")
    assert {key.split("/", 1)[1].rpartition("/")[0] for key in compacted if key.endswith(".parquet")} <= set(
        days
    )
    assert compacted
    assert {name: ask_athena(cloud, name) for name in QUERIES} == before


def test_nothing_waits_in_a_dead_letter_queue(story: Story) -> None:
    sqs = story.cloud.sqs
    waiting = {
        url.rpartition("/")[2]: attributes["ApproximateNumberOfMessages"]
        for url in sqs.list_queues()["QueueUrls"]
        if "Analytics" in url or "Journeys" in url
        for attributes in [
            sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])[
                "Attributes"
            ]
        ]
    }

    assert set(waiting.values()) == {"0"}, waiting


@dataclass
class Again:
    """What was started once the story was told, and how many texts each phone had by then."""

    before: dict[str, int]
    welcome: dict[str, Any]
    promotional: dict[str, Any]
    mistyped: dict[str, Any]


@pytest.fixture(scope="module")
def again(story: Story) -> Again:
    cloud = story.cloud
    before = {name: len(cloud.texts(phone)) for name, phone in story.phones.items()}
    promotion = {"segment": SEGMENT, "values": {"promo": "SPRING", "discount": "20"}}
    started = [
        start_journey(cloud, "journey_welcome", {"segment": SEGMENT}),
        start_journey(cloud, "journey_promotional", promotion),
        start_journey(cloud, "journey_welcome", {"segmnt": SEGMENT}),
    ]
    cloud.advance(timedelta(hours=24, minutes=10))
    welcome, promotional, mistyped = (cloud.ended(arn, within=timedelta(days=2)) for arn in started)
    return Again(before, welcome, promotional, mistyped)


def test_the_same_journey_again_welcomes_nobody_twice(story: Story, again: Again) -> None:
    assert again.welcome["status"] == "SUCCEEDED"
    for name, phone in story.phones.items():
        new = bodies_to(story.cloud, phone)[again.before[name] :]
        assert not [body for body in new if body.startswith((WELCOME, REMINDER))]


def test_a_promotion_goes_to_who_confirmed_and_nobody_else(story: Story, again: Again) -> None:
    assert again.promotional["status"] == "SUCCEEDED"
    got = {
        name: bodies_to(story.cloud, phone)[again.before[name] :]
        for name, phone in story.phones.items()
        if len(story.cloud.texts(phone)) > again.before[name]
    }
    assert got == {"yes": ["Hi Sam, use code SPRING for 20% off!"]}


def test_wrong_input_starts_nothing_and_says_why(again: Again) -> None:
    assert again.mistyped["status"] == "FAILED"
    assert "segmnt" in json.dumps([again.mistyped.get("cause"), again.mistyped.get("error")])
