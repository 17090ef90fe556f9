"""Schedules and scheduled rules, on a clock that jumps."""

import contextlib
import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NEW_YORK = ZoneInfo("America/New_York")
MONDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Inbox:
    """A queue that schedules put their messages into."""

    def __init__(self, running):
        self.sqs = running.client("sqs")
        self.name = f"inbox-{uuid.uuid4().hex[:8]}"
        # Messages of the first day are still there after five: the default retention is four.
        two_weeks = {"MessageRetentionPeriod": "1209600"}
        self.url = self.sqs.create_queue(QueueName=self.name, Attributes=two_weeks)["QueueUrl"]
        self.arn = f"arn:aws:sqs:us-east-1:000000000000:{self.name}"

    def take(self):
        bodies = []
        while messages := self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                bodies.append(message["Body"])
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return bodies


@pytest.fixture
def schedule(timed):
    """Makes schedules that put what they are given into a queue, and deletes them when the test is over."""
    scheduler, names = timed.client("scheduler"), []

    def make(expression, inbox, *, name=None, **options):
        names.append(name or f"schedule-{uuid.uuid4().hex[:8]}")
        role = timed.role({"Effect": "Allow", "Action": "*", "Resource": "*"})
        target = {"Arn": inbox.arn, "RoleArn": role, "Input": '"<aws.scheduler.scheduled-time>"'}
        scheduler.create_schedule(
            Name=names[-1],
            ScheduleExpression=expression,
            FlexibleTimeWindow={"Mode": "OFF"},
            Target=target,
            **options,
        )
        return names[-1]

    yield make
    for name in names:
        with contextlib.suppress(scheduler.exceptions.ResourceNotFoundException):
            scheduler.delete_schedule(Name=name)


def fired(due, name):
    return [one.at for one in due if one.what == "schedule" and one.name == name]


def test_a_daily_schedule_fires_five_times_in_five_days_at_its_local_time(timed, schedule):
    inbox = Inbox(timed)
    name = schedule("cron(0 10 * * ? *)", inbox, ScheduleExpressionTimezone="America/New_York")

    due = timed.jump(5 * DAY)

    local = [at.astimezone(NEW_YORK) for at in fired(due, name)]
    assert [at.isoformat() for at in local] == [f"2026-11-{day}T10:00:00-05:00" for day in range(23, 28)]
    # Visible, each with the instant it was scheduled for.
    assert sorted(json.loads(body) for body in inbox.take()) == [
        f"2026-11-{day}T15:00:00Z" for day in range(23, 28)
    ]


@pytest.mark.parametrize(
    ("begin", "expression", "local"),
    [
        (
            datetime(2027, 3, 12, 17, tzinfo=UTC),
            "cron(0 10 * * ? *)",
            ["13T10:00:00-05:00", "14T10:00:00-04:00", "15T10:00:00-04:00"],
        ),
        (
            datetime(2027, 3, 12, 17, tzinfo=UTC),
            "cron(30 2 * * ? *)",
            ["13T02:30:00-05:00", "15T02:30:00-04:00"],
        ),
        (
            datetime(2027, 11, 5, 17, tzinfo=UTC),
            "cron(30 1 * * ? *)",
            ["06T01:30:00-04:00", "07T01:30:00-04:00", "08T01:30:00-05:00"],
        ),
        (
            datetime(2027, 11, 5, 17, tzinfo=UTC),
            "cron(0 10 * * ? *)",
            ["06T10:00:00-04:00", "07T10:00:00-05:00", "08T10:00:00-05:00"],
        ),
    ],
    ids=["to summer time", "left out by it", "comes twice", "back to winter time"],
)
def test_local_time_is_kept_over_a_change_of_the_clocks(timed, schedule, begin, expression, local):
    timed.begin_at(begin)
    inbox = Inbox(timed)
    name = schedule(expression, inbox, ScheduleExpressionTimezone="America/New_York")

    due = timed.jump(3 * DAY)

    found = [at.astimezone(NEW_YORK).isoformat().partition(f"{begin:%Y-%m-}")[2] for at in fired(due, name)]
    assert found == local
    assert len(inbox.take()) == len(local)


def test_a_schedule_does_not_fire_because_it_was_made(timed, schedule):
    inbox = Inbox(timed)
    past = f"at({MONDAY - HOUR:%Y-%m-%dT%H:%M:%S})"
    for expression in (past, "rate(1 hour)", "cron(0 * * * ? *)"):
        schedule(expression, inbox)

    assert timed.jump(59 * MINUTE) == []

    assert inbox.take() == []


def test_a_single_time_is_local_fires_once_and_may_delete_its_schedule(timed, schedule):
    inbox = Inbox(timed)
    name = schedule(
        "at(2026-11-23T09:30:00)",
        inbox,
        ScheduleExpressionTimezone="America/New_York",
        ActionAfterCompletion="DELETE",
    )

    due = timed.jump(3 * DAY)

    assert fired(due, name) == [datetime(2026, 11, 23, 14, 30, tzinfo=UTC)]
    assert len(inbox.take()) == 1
    scheduler = timed.client("scheduler")
    with pytest.raises(scheduler.exceptions.ResourceNotFoundException):
        scheduler.get_schedule(Name=name)


def test_a_rate_counts_from_its_creation_and_ends_at_its_end(timed, schedule):
    inbox = Inbox(timed)
    name = schedule("rate(6 hours)", inbox, EndDate=MONDAY + DAY)

    due = timed.jump(3 * DAY)

    first, *others = fired(due, name)
    assert timedelta(0) <= first - (MONDAY + 6 * HOUR) < MINUTE
    assert [at - first for at in others] == [6 * HOUR, 12 * HOUR]
    assert len(inbox.take()) == 3


def test_nothing_fires_before_its_start_or_while_it_is_disabled(timed, schedule):
    inbox = Inbox(timed)
    later = schedule("cron(0 0 * * ? *)", inbox, StartDate=MONDAY + 2 * DAY)
    never = schedule("cron(0 0 * * ? *)", inbox, State="DISABLED")

    due = timed.jump(4 * DAY)

    assert [at.day for at in fired(due, later)] == [26, 27]
    assert fired(due, never) == []


def test_a_week_in_which_nothing_is_due_is_over_in_a_moment(timed):
    before, begun = timed.now(), time.monotonic()

    assert timed.jump(7 * DAY) == []

    assert time.monotonic() - begun < 60
    assert timedelta(0) <= timed.now() - before - 7 * DAY < MINUTE


def test_a_schedule_starts_a_function_whose_work_belongs_to_the_jump(timed, schedule):
    inbox = Inbox(timed)
    source = f"""
import boto3, os
def handler(event, context):
    offset = float(open(os.environ["CLOCK_OFFSET_FILE"]).read())
    boto3.client("sqs").send_message(QueueUrl={inbox.url!r}, MessageBody=str(offset))
"""
    role = timed.role({"Effect": "Allow", "Action": "*", "Resource": "*"})
    name = timed.function(source, role=role)

    class Function:
        arn = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"

    schedule("cron(0 10 * * ? *)", Function, ScheduleExpressionTimezone="America/New_York")
    before = timed.clock()["offset_seconds"]
    timed.jump(2 * DAY)

    # One message a day, and the function saw the day.
    days = [round((float(body) - before) / 3600) for body in inbox.take()]
    assert days == [3, 27]


def rule(running, expression, inbox):
    events = running.client("events")
    name = f"rule-{uuid.uuid4().hex[:8]}"
    events.put_rule(Name=name, ScheduleExpression=expression)
    events.put_targets(Rule=name, Targets=[{"Id": "inbox", "Arn": inbox.arn}])
    return name


def test_rules_fire_once_an_occurrence_and_their_events_have_its_time(timed):
    inbox = Inbox(timed)
    names = [rule(timed, "rate(1 day)", inbox), rule(timed, "cron(0 18 * * ? *)", inbox)]

    due = timed.jump(3 * DAY + HOUR)
    for name in names:
        timed.client("events").disable_rule(Name=name)

    assert [len(fired(due, name)) for name in names] == [3, 3]
    assert [at.hour for at in fired(due, names[1])] == [18, 18, 18]
    times = sorted(json.loads(body)["time"] for body in inbox.take())
    assert len(times) == 6
    assert {f"2026-11-{day}T18:00:00Z" for day in (23, 24, 25)} < set(times)


TEMPLATE = {
    "Resources": {
        "Schedule": {
            "Type": "AWS::Scheduler::Schedule",
            "Properties": {
                "Name": "from-a-template",
                "ScheduleExpression": "cron(0 10 * * ? *)",
                "ScheduleExpressionTimezone": "America/New_York",
                "EndDate": "2026-11-25T00:00:00Z",
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "Target": {
                    "Arn": "arn:aws:sqs:us-east-1:000000000000:none",
                    "RoleArn": "arn:aws:iam::000000000000:role/none",
                },
            },
        }
    }
}


def with_properties(**changed):
    template = json.loads(json.dumps(TEMPLATE))
    template["Resources"]["Schedule"]["Properties"] |= changed
    return template


def test_time_zone_and_end_of_a_schedule_come_from_its_template(timed):
    stack = timed.deploy(TEMPLATE)

    due = timed.jump(4 * DAY)

    hours = [at.hour for at in fired(due, "from-a-template")]
    timed.deploy(
        with_properties(ScheduleExpressionTimezone="America/Los_Angeles", EndDate="2026-12-01T00:00:00Z"),
        stack=stack["StackName"],
    )
    more = [at.hour for at in fired(timed.jump(2 * DAY), "from-a-template")]
    timed.client("cloudformation").delete_stack(StackName=stack["StackName"])
    assert hours == [15, 15]
    assert more == [18, 18]


def test_without_the_patch_a_template_s_time_zone_is_lost(start):
    with start(without=("schedule_properties",)) as running:
        running.deploy(TEMPLATE)

        found = running.client("scheduler").get_schedule(Name="from-a-template")

    assert found["ScheduleExpressionTimezone"] == "UTC"
    assert "EndDate" not in found


@pytest.mark.parametrize("patch", ["schedules", "scheduled_rules"])
def test_without_the_patch_nothing_is_due_in_five_days(start, patch):
    with start(without=(patch,)) as running:
        inbox = Inbox(running)
        if patch == "scheduled_rules":
            rule(running, "cron(0 10 * * ? *)", inbox)
        else:
            role = running.role({"Effect": "Allow", "Action": "*", "Resource": "*"})
            running.client("scheduler").create_schedule(
                Name="daily",
                ScheduleExpression="cron(0 10 * * ? *)",
                FlexibleTimeWindow={"Mode": "OFF"},
                Target={"Arn": inbox.arn, "RoleArn": role, "Input": "1"},
            )

        due = running.jump(5 * DAY)

        # MiniStack's own sweep comes every few seconds; it would fire once at most.
        assert due == []
        assert len(inbox.take()) <= 1
