"""The control API and who may call the simulator."""

import signal
import socket
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from botocore.exceptions import ClientError

US = "+14255550182"
ROOT = Path(__file__).parents[3]


def test_it_says_when_it_is_ready_and_what_time_it_is(carrier):
    before = datetime.now(UTC)

    assert carrier.http.get("/control/health").json() == {"status": "ok"}
    now = datetime.fromisoformat(carrier.http.get("/control/clock").json()["now"])

    assert before <= now <= datetime.now(UTC)


BAD_BODIES = [
    ("inbound", {"from": US, "text": "Hi"}, "Unknown field text"),
    ("inbound", {"from": 14255550182}, "`from` must be a string"),
    ("outcome", {"phone": US, "event": "TEXT_SPAM"}, "Unknown field event"),
    ("outcome", {"event_type": "TEXT_SENT"}, "`event_type` must be one of"),
    ("outcome", {"event_type": "VOICE_COMPLETED"}, "`event_type` must be one of"),
    ("outcome", {"delay_seconds": -1}, "`delay_seconds` must be between 0 and"),
    ("outcome", {"delay_seconds": "1"}, "`delay_seconds` must be a number"),
    ("outcome", {"duplicates": 1.5}, "`duplicates` must be a whole number"),
    ("outcome", {"duplicates": True}, "`duplicates` must be a number"),
    ("outcome", {"error": "TeapotException"}, "`error` must begin with one of"),
    ("outcome", {"error": "ConflictException:NONSENSE"}, "`error` must be ConflictException: and one of"),
    ("outcome", {"error": "ConflictException"}, "`error` must be ConflictException: and one of"),
    ("fault", {"throttle": 1.01}, "`throttle` must be between 0 and 1"),
    ("fault", {"throttle": "half"}, "`throttle` must be a number"),
    ("fault", {"after_accept_crash": -1}, "`after_accept_crash` must be between 0 and"),
    ("fault", {"after_accept_crash": 0.5}, "`after_accept_crash` must be a whole number"),
    ("fault", {"crash": 1}, "Unknown field crash; known: accept_crash, after_accept_crash, "),
    ("fault", [], "The body must be a JSON object"),
]


@pytest.mark.parametrize(("path", "body", "sentence"), BAD_BODIES)
def test_what_it_does_not_understand_is_refused_with_a_sentence(carrier, path, body, sentence):
    response = carrier.http.post(f"/control/{path}", json=body)

    assert response.status_code == 400
    assert response.json()["error"].startswith(sentence)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b'{"from": "\\ud800"}', b'{"from": NaN, "x": 1', b"[" * 100_000]
)
def test_bodies_that_are_not_json_are_refused(carrier, content):
    response = carrier.http.post("/control/inbound", content=content)

    assert (response.status_code, response.json()) == (400, {"error": "The body must be JSON in UTF-8."})


def test_a_refused_fault_changes_nothing(carrier):
    response = carrier.http.post("/control/fault", json={"after_accept_crash": 1, "throttle": 2})

    assert response.status_code == 400
    assert carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody="Hi")["MessageId"]


def test_unknown_query_parameters_are_refused(carrier):
    response = carrier.http.get("/control/messages", params={"number": US})

    assert response.status_code == 400


def test_an_outcome_holds_until_it_is_replaced(carrier, until):
    def status_of_next(body: str) -> str:
        carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody=body)
        final = {"TEXT_SPAM", "TEXT_BLOCKED", "TEXT_DELIVERED"}
        return until(lambda: final & {m["status"] for m in carrier.messages() if m["body"] == body}).pop()

    carrier.control("POST", "outcome", phone="*", event_type="TEXT_SPAM")
    seen = [status_of_next("1"), status_of_next("2")]
    carrier.control("POST", "outcome", phone=US, event_type="TEXT_BLOCKED")
    seen.append(status_of_next("3"))
    carrier.control("POST", "outcome", phone=US)
    seen.append(status_of_next("4"))

    assert seen == ["TEXT_SPAM", "TEXT_SPAM", "TEXT_BLOCKED", "TEXT_DELIVERED"]


def test_clearing_forgets_messages_outcomes_and_faults(carrier, until):
    carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody="old")
    carrier.control("POST", "outcome", phone=US, event_type="TEXT_SPAM", error="ThrottlingException")
    carrier.control("POST", "fault", after_accept_crash=1, throttle=1)

    assert carrier.control("DELETE", "messages") == {"cleared": 1}
    assert carrier.messages() == []
    carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody="new")

    until(lambda: [m["status"] for m in carrier.messages()] == ["TEXT_DELIVERED"])


def test_clearing_drops_the_events_still_to_come(start_carrier, timeline):
    carrier = start_carrier(timeline=timeline)
    carrier.sms.create_configuration_set(ConfigurationSetName="set")
    carrier.sms.create_event_destination(
        ConfigurationSetName="set",
        EventDestinationName="topic",
        MatchingEventTypes=["ALL"],
        SnsDestination={"TopicArn": "arn:aws:sns:us-east-1:000000000000:events"},
    )
    carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody="Hi", ConfigurationSetName="set")
    carrier.control("DELETE", "messages")

    timeline.run(timedelta(days=4))

    assert carrier.topics.published == []


def test_delays_pass_on_the_timeline(start_carrier, timeline):
    carrier = start_carrier(timeline=timeline)
    carrier.control("POST", "outcome", phone=US, delay_seconds=3600)
    carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody="Hi")

    timeline.run(timedelta(seconds=3600))
    before = carrier.messages()[0]["status"]
    timeline.run(timedelta(seconds=1))

    assert (before, carrier.messages()[0]["status"]) == (None, "TEXT_DELIVERED")
    assert carrier.messages()[0]["sent_at"] == "2026-11-21T17:00:00+00:00"


def test_opt_outs_are_cleared_with_the_memory_of_the_thirty_days(carrier):
    def delete() -> None:
        carrier.sms.delete_opted_out_number(OptOutListName="Default", OptedOutNumber=US)

    def put() -> None:
        carrier.sms.put_opted_out_number(OptOutListName="Default", OptedOutNumber=US)

    put()
    delete()
    put()

    assert carrier.control("DELETE", "opt-outs") == {"cleared": 1}
    put()
    delete()


def test_a_number_leaves_a_list_once_in_thirty_days(start_carrier, timeline):
    carrier = start_carrier(timeline=timeline)
    entry = {"OptOutListName": "Default", "OptedOutNumber": US}
    carrier.sms.put_opted_out_number(**entry)
    carrier.sms.delete_opted_out_number(**entry)
    carrier.sms.put_opted_out_number(**entry)
    timeline.run(timedelta(days=30) - timedelta(seconds=1))

    with pytest.raises(ClientError) as caught:
        carrier.sms.delete_opted_out_number(**entry)
    timeline.run(timedelta(seconds=1))
    carrier.sms.delete_opted_out_number(**entry)

    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert caught.value.response["Reason"] == "PHONE_NUMBER_CANNOT_BE_OPTED_IN"


def test_the_rate_recovers_with_time(start_carrier, timeline):
    carrier = start_carrier(timeline=timeline, parts_per_second=2)

    def accepted(count: int) -> int:
        before = len(carrier.messages())
        for _ in range(count):
            with suppress(carrier.sms.exceptions.ThrottlingException):
                carrier.sms.send_text_message(DestinationPhoneNumber=US, MessageBody="Hi")
        return len(carrier.messages()) - before

    counts = [accepted(5)]
    timeline.run(timedelta(milliseconds=500))
    counts.append(accepted(5))
    timeline.run(timedelta(hours=1))
    counts.append(accepted(5))

    assert counts == [2, 1, 2]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:4571", "[::2]", ""])
@pytest.mark.parametrize("path", ["/control/messages", "/control/health"])
def test_other_hosts_are_refused(carrier, host, path):
    assert carrier.http.get(path, headers={"host": host}).status_code == 403


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example", "http://["]
)
def test_pages_of_elsewhere_are_refused(carrier, origin):
    response = carrier.http.post("/control/fault", json={"throttle": 1}, headers={"origin": origin})

    assert response.status_code == 403
    assert carrier.sms.describe_pools()["Pools"] == []


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]"])
def test_this_machine_is_welcome(carrier, name):
    headers = {"host": f"{name}:4571", "origin": f"http://{name}:4572"}

    assert carrier.http.get("/control/messages", headers=headers).status_code == 200


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as candidate:
        port: int = candidate.getsockname()[1]
    return port


def run_module(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sms_local.carrier", *arguments],
        cwd=ROOT,
        env={"PYTHONPATH": "local:runtime", "PATH": "/usr/bin:/bin"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_module_serves_until_it_is_interrupted(until):
    port = free_port()
    with (
        run_module(
            "--port", str(port), "--aws-endpoint", "http://127.0.0.1:9", "--parts-per-second", "3"
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        try:
            until(lambda: process.poll() is None and is_up(client))
            described = client.post(
                "/", json={}, headers={"x-amz-target": "PinpointSMSVoiceV2.DescribePhoneNumbers"}
            ).json()
            process.send_signal(signal.SIGINT)
            _, log = process.communicate(timeout=60)
        finally:
            process.kill()

    assert described["PhoneNumbers"][0]["MessagingLimits"] == {"RateLimits": {"SMS": 3}}
    assert process.returncode == 0
    assert "Traceback" not in log


def is_up(client: httpx.Client) -> bool:
    try:
        return client.get("/control/health").status_code == 200
    except httpx.TransportError:
        return False


def test_a_taken_port_ends_the_module_with_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with run_module("--port", str(port), "--aws-endpoint", "http://127.0.0.1:9") as process:
            _, complaint = process.communicate(timeout=60)

    assert process.returncode == 1
    assert complaint == f"Port {port} cannot be used: Address already in use.\n"
