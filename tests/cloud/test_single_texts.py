"""Single texts in the embedded cloud: what waits for its hour, the reminder, and the digest of the day."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sms_local.testing import Cloud, eventually
from tests.support.cloud_drive import (
    Customer,
    client,
    new_phone,
    replace_customers,
    requests_to,
    token_in,
    wait_for_flag,
)

TOKYO, NEW_YORK = ZoneInfo("Asia/Tokyo"), ZoneInfo("America/New_York")
REQUEST, REMINDER = "Please review your recent purchase", "A reminder to review your recent purchase"


def customer_at(cloud: Cloud, hour: int) -> tuple[str, str]:
    """Let it be this hour in Tokyo, where a customer lives by their record; return their id and phone.

    The customer comes after the hour: the daily broadcasts that fall into the time before ask nobody.
    """
    go_to_hour(cloud, hour, TOKYO)
    phone = new_phone()
    customer = Customer(user_id=f"in-tokyo-{phone}", phone=phone)
    replace_customers(cloud, [customer])
    cloud.dynamodb.update_item(
        TableName=cloud.outputs["tables"]["customers"],
        Key={"userId": {"S": customer.user_id}},
        UpdateExpression="SET #zone = :zone",
        ExpressionAttributeNames={"#zone": "timeZone"},
        ExpressionAttributeValues={":zone": {"S": TOKYO.key}},
    )
    return customer.user_id, phone


def go_to_hour(cloud: Cloud, hour: int, zone: ZoneInfo) -> None:
    """Let time pass until the next time that it is this hour in a zone."""
    local = cloud.now().astimezone(zone)
    target = local.replace(hour=hour, minute=0, second=0, microsecond=0)
    cloud.go_to(target if target > local else target + timedelta(days=1))


def later(cloud: Cloud) -> str:
    """State machine in which review requests wait."""
    machines = cloud.stepfunctions.list_state_machines()["stateMachines"]
    (arn,) = (machine["stateMachineArn"] for machine in machines if "ReviewsLater" in machine["name"])
    return arn


def waits(cloud: Cloud) -> list[dict[str, Any]]:
    """Executions that wait for a single text."""
    running = cloud.stepfunctions.list_executions(stateMachineArn=later(cloud), statusFilter="RUNNING")
    return [
        json.loads(cloud.stepfunctions.describe_execution(executionArn=execution["executionArn"])["input"])
        for execution in running["executions"]
    ]


def waits_of(cloud: Cloud, user_id: str, detail_type: str) -> list[dict[str, Any]]:
    return [
        wait
        for wait in waits(cloud)
        if wait["event"]["detail-type"] == detail_type and wait["event"]["detail"]["userId"] == user_id
    ]


def ask(cloud: Cloud, user_id: str, occasion: str) -> None:
    cloud.publish("ReviewRequested", {"userId": user_id, "occasion": occasion})


def review(cloud: Cloud, text: dict[str, Any], rating: int) -> None:
    answer = {"token": token_in(text), "rating": rating, "reviewText": "Just as I said."}
    assert cloud.door.post("/submit-review", json=answer).status_code == 201


def customer_who_answered(cloud: Cloud, hour: int, occasion: str, rating: int) -> str:
    """Let it be this hour in Tokyo, and a customer review what they are asked about; return the phone."""
    user_id, phone = customer_at(cloud, hour)
    ask(cloud, user_id, occasion)
    [asked] = eventually(lambda: requests_to(cloud, phone), what="the request")
    review(cloud, asked, rating)
    return phone


def test_a_request_at_night_goes_out_in_the_morning_and_its_reminder_three_days_later(
    quiet_cloud: Cloud,
) -> None:
    cloud = quiet_cloud
    user_id, phone = customer_at(cloud, 3)

    ask(cloud, user_id, "order-17")
    [waiting] = eventually(lambda: waits_of(cloud, user_id, "ReviewRequested"), what="the wait")
    cloud.advance(timedelta(hours=4, minutes=45))
    assert requests_to(cloud, phone) == []
    cloud.advance(timedelta(minutes=30))
    [asked] = requests_to(cloud, phone)
    cloud.advance(timedelta(days=3))

    _, reminded = requests_to(cloud, phone)
    assert set(waiting["event"]["detail"]) == {"userId", "occasion"}
    assert REQUEST in asked["body"]
    assert REMINDER in reminded["body"]
    cloud.advance(timedelta(days=4))
    assert len(requests_to(cloud, phone)) == 2
    assert waits_of(cloud, user_id, "ReviewReminderDue") == []


def test_a_request_that_is_answered_is_not_reminded_of(quiet_cloud: Cloud) -> None:
    cloud = quiet_cloud
    phone = customer_who_answered(cloud, 12, "order-18", rating=5)

    cloud.advance(timedelta(days=4))

    assert len(requests_to(cloud, phone)) == 1


def test_a_request_during_a_pause_goes_out_when_it_is_over(quiet_cloud: Cloud) -> None:
    cloud = quiet_cloud
    user_id, phone = customer_at(cloud, 12)
    pause(cloud, paused=True)
    wait_for_flag()
    try:
        ask(cloud, user_id, "order-19")
        eventually(lambda: waits_of(cloud, user_id, "ReviewRequested"), what="the wait")
        cloud.advance(timedelta(minutes=20))
        assert requests_to(cloud, phone) == []
    finally:
        pause(cloud, paused=False)

    def asked_after_a_while() -> list[dict[str, Any]]:
        # The function keeps the switch for a second of the real time, in which hours can pass here.
        cloud.advance(timedelta(minutes=10))
        return requests_to(cloud, phone)

    [asked] = eventually(asked_after_a_while, what="the request")
    assert REQUEST in asked["body"]
    assert waits_of(cloud, user_id, "ReviewRequested") == []


def pause(cloud: Cloud, *, paused: bool) -> None:
    cloud.dynamodb.put_item(
        TableName=cloud.outputs["tables"]["contacts"],
        Item={"subscriberId": {"S": "control"}, "record": {"S": "sending"}, "paused": {"BOOL": paused}},
    )


def test_the_console_script_pauses_and_resumes(quiet_cloud: Cloud) -> None:
    def script(name: str) -> int:
        place = ["--contacts-table", quiet_cloud.outputs["tables"]["contacts"]]
        place += ["--endpoint-url", quiet_cloud.places.aws_endpoint]
        installed = Path(sys.executable).with_name("sms-engagement")
        return subprocess.run([installed, name, *place], check=False, timeout=120).returncode

    assert [script(name) for name in ("status", "pause", "status", "resume", "status")] == [0, 0, 3, 0, 0]


def test_an_occasion_is_asked_about_by_the_next_daily_broadcast(quiet_cloud: Cloud) -> None:
    cloud = quiet_cloud
    # One in the morning in Tokyo is eleven in New York: today's broadcast is over.
    user_id, phone = customer_at(cloud, 1)
    detail = {"userId": user_id, "occasion": "order-20", "occurredAt": cloud.now().isoformat()}

    def rows() -> list[dict[str, Any]]:
        return [row for row in cloud.rows("review_requests") if row["userId"] == user_id]

    cloud.publish("OccasionRecorded", detail)
    [recorded] = eventually(rows, what="the row of the occasion")
    cloud.advance(timedelta(days=2))

    [asked] = requests_to(cloud, phone)
    [row] = rows()
    assert "askedAt" not in recorded
    assert REQUEST in asked["body"]
    assert row["occasion"] == "order-20"
    # The run takes its snapshot at midnight in Tokyo, and waits for the morning there.
    assert row["askedAt"] > row["recordedAt"] + 24 * 3600


def test_the_admins_get_a_digest_every_morning(quiet_cloud: Cloud) -> None:
    cloud = quiet_cloud
    customer_who_answered(cloud, 18, "order-21", rating=2)
    admin = cloud.subscribe(cloud.outputs["topics"]["admin"])

    # Eight in New York is ten in the evening in Tokyo.
    go_to_hour(cloud, 9, NEW_YORK)

    def digests() -> list[dict[str, Any]]:
        return [notice for notice in admin.messages() if notice["Subject"] == "Daily review digest"]

    [digest] = eventually(digests, what="the digest")
    assert digest["Message"].splitlines()[0].endswith("★ on average")
    assert "(2★)" in digest["Message"]
    assert "Just as I said" not in digest["Message"]


def test_what_fails_for_good_is_kept(quiet_cloud: Cloud) -> None:
    cloud = quiet_cloud
    queues = [url for url in cloud.sqs.list_queues()["QueueUrls"] if "ReviewsDeadLetters" in url]
    lost = {"functionName": "no-such-function", "event": {"id": "lost"}}
    start = lost | {"outcome": {"state": "DEFERRED", "until": cloud.now().strftime("%Y-%m-%dT%H:%M:%SZ")}}

    execution = cloud.stepfunctions.start_execution(stateMachineArn=later(cloud), input=json.dumps(start))
    ended = cloud.ended(execution["executionArn"])

    assert ended["status"] == "FAILED"
    [queue] = queues
    [message] = eventually(
        lambda: client(cloud, "sqs").receive_message(QueueUrl=queue).get("Messages"), what="the message"
    )
    kept = json.loads(message["Body"])
    assert (kept["functionName"], kept["event"]) == ("no-such-function", {"id": "lost"})
    assert kept["error"]["Error"]
    client(cloud, "sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
