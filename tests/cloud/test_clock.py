"""Time of the whole embedded cloud, in jumps: what falls due is done, in order, when a jump is answered."""

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from sms_local.lifecycle import next_start
from sms_local.places import Places
from sms_local.record import read_record
from sms_local.testing import Cloud, free_port_base, sms_local
from tests.support.cloud_drive import (
    client,
    ledger_rows,
    new_customers,
    outcome,
    replace_customers,
    requests_to,
    token_in,
)

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def timed_cloud(quiet_cloud: Cloud) -> Iterator[Cloud]:
    """A cloud whose clock a test may move; it is put back for the others."""
    yield quiet_cloud
    quiet_cloud.reset()


def start_of(cloud: Cloud) -> datetime:
    record = read_record(cloud.places)
    assert record is not None
    return record.clock_start


def role(cloud: Cloud) -> str:
    made = client(cloud, "iam").create_role(
        RoleName=f"test-{uuid.uuid4().hex[:8]}", AssumeRolePolicyDocument="{}"
    )
    return str(made["Role"]["Arn"])


def state_machine(cloud: Cloud, definition: dict[str, Any]) -> str:
    name = f"test-{uuid.uuid4().hex[:8]}"
    role = "arn:aws:iam::000000000000:role/none"
    client(cloud, "iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    role = f"arn:aws:iam::000000000000:role/{name}"
    made = cloud.stepfunctions.create_state_machine(
        name=name, definition=json.dumps(definition), roleArn=role
    )
    return made["stateMachineArn"]


def waits(*seconds: int) -> dict[str, Any]:
    names = [f"Wait {number}" for number in range(len(seconds))]
    nexts = [{"Next": name} for name in names[1:]] + [{"End": True}]
    states = {
        name: {"Type": "Wait", "Seconds": length, **next_}
        for name, length, next_ in zip(names, seconds, nexts, strict=True)
    }
    return {"StartAt": names[0], "States": states}


def executions(cloud: Cloud, machine: str) -> dict[str, Any]:
    pages = cloud.stepfunctions.get_paginator("list_executions").paginate(stateMachineArn=machine)
    return {one["executionArn"]: one for page in pages for one in page["executions"]}


def test_time_began_at_five_in_the_afternoon_and_goes_on(quiet_cloud: Cloud) -> None:
    start, now = start_of(quiet_cloud), quiet_cloud.now()

    assert (start.hour, start.minute, start.utcoffset()) == (17, 0, timedelta(0))
    assert start <= now <= quiet_cloud.now()


def test_a_jump_answers_when_receipts_that_fell_due_are_in_the_ledger(timed_cloud: Cloud) -> None:
    [person] = new_customers(1)
    replace_customers(timed_cloud, [person])
    outcome(timed_cloud, phone=person.phone, delay_seconds=3 * 3600)
    timed_cloud.broadcast()
    machine = state_machine(timed_cloud, waits(3600, 3600, 2 * 3600))
    execution = timed_cloud.stepfunctions.start_execution(stateMachineArn=machine)["executionArn"]

    due = timed_cloud.advance(5 * HOUR)

    assert [row["state"] for row in ledger_rows(timed_cloud, person.phone)] == ["DELIVERED"]
    kinds = [one["what"] for one in due if one["what"] in ("wait", "carrier")]
    assert kinds == ["wait", "wait", "carrier", "carrier", "wait"]
    assert [one["at"] for one in due] == sorted(one["at"] for one in due)
    described = timed_cloud.stepfunctions.describe_execution(executionArn=execution)
    assert described["status"] == "SUCCEEDED"
    assert 4 * HOUR <= described["stopDate"] - described["startDate"] < 4 * HOUR + 5 * MINUTE


def test_a_link_expires_with_the_virtual_time_and_a_new_one_works(timed_cloud: Cloud) -> None:
    [person] = new_customers(1)
    replace_customers(timed_cloud, [person])
    timed_cloud.broadcast()
    [text] = requests_to(timed_cloud, person.phone)
    link = {"token": token_in(text)}

    def status() -> int:
        return timed_cloud.door.get("/review", params=link).status_code

    assert status() == 200
    timed_cloud.advance(6 * DAY)
    assert status() == 200
    timed_cloud.advance(2 * DAY)
    assert status() == 410
    before = timed_cloud.texts(person.phone)

    assert timed_cloud.door.post("/new-link", json=link).status_code == 202
    timed_cloud.advance(timedelta(0))

    [newest] = timed_cloud.texts(person.phone)[len(before) :]
    assert timed_cloud.door.get("/review", params={"token": token_in(newest)}).status_code == 200
    assert datetime.fromisoformat(newest["sent_at"]) >= start_of(timed_cloud) + 8 * DAY


def test_a_daily_schedule_runs_a_broadcast_five_times_in_five_days_to_its_end(timed_cloud: Cloud) -> None:
    """At its local time, although the clock jumps once."""
    replace_customers(timed_cloud, new_customers(2))
    machine = timed_cloud.outputs["state_machines"]["review_broadcast"]
    scheduler, name = client(timed_cloud, "scheduler"), f"test-{uuid.uuid4().hex[:8]}"
    scheduler.create_schedule(
        Name=name,
        ScheduleExpression="cron(30 12 * * ? *)",
        ScheduleExpressionTimezone="America/New_York",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": machine,
            "RoleArn": "arn:aws:iam::000000000000:role/none",
            "Input": '{"dryRun": true}',
        },
    )
    before = executions(timed_cloud, machine).keys()

    due = timed_cloud.advance(5 * DAY)
    scheduler.delete_schedule(Name=name)

    local = [
        datetime.fromisoformat(one["at"]).astimezone(ZoneInfo("America/New_York"))
        for one in due
        if one["what"] == "schedule" and one["name"] == name
    ]
    assert [(at.hour, at.minute) for at in local] == [(12, 30)] * 5
    assert len({at.date() for at in local}) == 5
    # The product's own schedule starts some, too.
    runs = [
        run
        for arn, run in executions(timed_cloud, machine).items()
        if arn not in before and run["startDate"].astimezone(ZoneInfo("America/New_York")).hour == 12
    ]
    assert [run["status"] for run in runs] == ["SUCCEEDED"] * 5


def test_reset_puts_the_clock_back_and_ends_what_waits(timed_cloud: Cloud) -> None:
    machine = state_machine(timed_cloud, waits(2 * 24 * 3600))
    execution = timed_cloud.stepfunctions.start_execution(stateMachineArn=machine)["executionArn"]
    timed_cloud.advance(DAY)

    timed_cloud.reset()

    start = start_of(timed_cloud)
    assert start <= timed_cloud.now() < start + 5 * MINUTE
    assert timed_cloud.stepfunctions.describe_execution(executionArn=execution)["status"] == "ABORTED"
    again = timed_cloud.advance(2 * DAY)
    name = machine.rpartition(":")[2]
    assert not [one for one in again if one["name"].startswith(name)]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"advance_seconds": -1}, "`advance_seconds` must be between 0 and"),
        ({"at": "2020-01-01T00:00:00Z"}, "The clock only goes forward"),
        ({}, "The body must have one of"),
    ],
)
def test_the_clock_does_not_go_back(quiet_cloud: Cloud, body: dict[str, Any], sentence: str) -> None:
    before = quiet_cloud.now()

    answer = quiet_cloud.carrier.post("/control/clock", json=body)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith(sentence)
    assert before <= quiet_cloud.now() < before + 5 * MINUTE


@pytest.mark.parametrize(
    ("now", "start"),
    [
        ("2026-11-21T16:59:59", "2026-11-21T17:00:00"),
        ("2026-11-21T17:00:00", "2026-11-21T17:00:00"),
        ("2026-11-21T17:00:00.000001", "2026-11-22T17:00:00"),
        ("2026-12-31T23:59:59", "2027-01-01T17:00:00"),
    ],
)
def test_time_begins_with_the_next_five_in_the_afternoon(now: str, start: str) -> None:
    assert next_start(datetime.fromisoformat(f"{now}+00:00")) == datetime.fromisoformat(f"{start}+00:00")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("tomorrow", "no instant in ISO 8601"), ("2027-03-12T17:00:00", "no offset from UTC")],
)
def test_a_start_that_is_no_instant_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    answer = sms_local("up", "--clock-start", text)

    assert answer.returncode == 2
    assert sentence in answer.stderr


def test_time_begins_where_it_is_told_to() -> None:
    places = Places(port_base=free_port_base())
    command = [sys.executable, "-m", "sms_local", "up", "--port-base", str(places.port_base)]
    command += ["--clock-start", "2027-03-12T12:00:00-05:00"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as up:
        assert up.stdout is not None
        try:
            while "simulator answer" not in (line := up.stdout.readline()):
                assert line, "it ended before the emulator answered"
            answer = httpx.get(f"{places.carrier_endpoint}/control/clock", timeout=60, trust_env=False)
        finally:
            up.send_signal(signal.SIGINT)

    begun = datetime(2027, 3, 12, 17, tzinfo=UTC)
    assert "it is 2027-03-12 17:00 UTC there" in line
    assert begun <= datetime.fromisoformat(answer.json()["now"]) < begun + 5 * MINUTE
