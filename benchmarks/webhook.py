"""The webhook's own work: what one booking takes in a warm function, without the network.

``python benchmarks/webhook.py [--runs 2000]`` runs the real handler on events of API Gateway: signature over
the body's bytes, keys, decoding, phone number, rules of the conversation, row, execution. The AWS clients are
real as well, up to the socket: requests are built, signed and serialised, answers parsed. In place of the
connection stands a table of one process that answers at once. A call to DynamoDB or Step Functions in a
Region takes some milliseconds more each.

Three cases: a new booking of Calendly and of Cal.com (read the row, write it, start the execution), and a
forged webhook, which anybody can send as often as they like.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final
from unittest.mock import patch

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.httpsession import URLLib3Session

from sms_engagement_runtime.appointment_follow_up.domain.signatures import sign_calcom, sign_calendly

GOAL_MS: Final = 10.0
"""Of the median."""

_SAMPLES: Final = Path(__file__).resolve().parents[1] / "tests" / "events"
_KEY: Final = "a key of the benchmark"
_WARM_UP: Final = 50

CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "benchmark",
    "AWS_SECRET_ACCESS_KEY": "benchmark",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}

_ENVIRONMENT: Final = {
    **CREDENTIALS,
    "CONVERSATIONS_TABLE": "conversations",
    "SIGNING_KEYS": json.dumps({"calendly": "calendly", "calcom": "calcom"}),
    "STATE_MACHINE_ARN": "arn:aws:states:us-east-1:111122223333:stateMachine:follow-up",
    "SUBSCRIBER_KEY_SECRET_ARN": "subscriber-key",
}


class Cloud:
    """Answers the requests of the AWS clients without a socket.

    Attributes
    ----------
    calls
        Of each operation, since the last look.
    """

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        self._rows: dict[str, Any] = {}

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Answer one request, in place of ``URLLib3Session.send``."""
        operation = _text(request.headers["X-Amz-Target"]).rpartition(".")[2]
        self.calls[operation] = self.calls.get(operation, 0) + 1
        assert isinstance(request.body, bytes)
        answer = self._answer(operation, json.loads(request.body))
        return Response(request.url, json.dumps(answer).encode())

    def _answer(self, operation: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        match operation:
            case "GetItem":
                row = self._rows.get(asked["Key"]["appointmentId"]["S"])
                return {} if row is None else {"Item": row}
            case "PutItem":
                self._rows[asked["Item"]["appointmentId"]["S"]] = asked["Item"]
                return {}
            case "GetSecretValue":
                return {"SecretString": _KEY, "CreatedDate": time.time() - 30 * 86400}
            case "StartExecution":
                return {"executionArn": "arn:aws:states:::execution:x", "startDate": time.time()}
        raise ValueError(f"the webhook calls {operation}, which this benchmark does not know")


class Response(AWSResponse):
    """An answer whose body is there already."""

    def __init__(self, url: str, body: bytes) -> None:
        headers = HTTPHeaders.from_dict({"content-type": "application/x-amz-json-1.0"})
        super().__init__(url, 200, headers, None)
        self._content = body


def new_booking_of_calendly(number: int) -> dict[str, Any]:
    """Make the event of a booking that was never heard of."""
    document = json.loads((_SAMPLES / "calendly-invitee.created-sms-number.json").read_text(encoding="utf-8"))
    starts_at = datetime.now(UTC) + timedelta(days=10)
    document["payload"]["uri"] += str(number)
    document["payload"]["scheduled_event"] |= {
        "start_time": starts_at.isoformat(),
        "end_time": (starts_at + timedelta(minutes=30)).isoformat(),
    }
    body = json.dumps(document).encode()
    return _event("calendly", body, "calendly-webhook-signature", sign_calendly(body, _key(), time.time()))


def new_booking_of_calcom(number: int) -> dict[str, Any]:
    """Make the same of the other provider."""
    document = json.loads((_SAMPLES / "calcom-BOOKING_CREATED-with-phone.json").read_text(encoding="utf-8"))
    starts_at = datetime.now(UTC) + timedelta(days=10)
    document["createdAt"] = datetime.now(UTC).isoformat()
    document["payload"] |= {
        "uid": f"benchmark-{number}",
        "startTime": starts_at.isoformat(),
        "endTime": (starts_at + timedelta(minutes=30)).isoformat(),
    }
    body = json.dumps(document).encode()
    return _event("calcom", body, "x-cal-signature-256", sign_calcom(body, _key()))


def forged(number: int) -> dict[str, Any]:
    """Make an event that is signed with another key."""
    event = new_booking_of_calendly(number)
    signature = sign_calendly(event["body"].encode(), b"of somebody else", time.time())
    return event | {"headers": {"calendly-webhook-signature": signature}}


CASES: Final[Mapping[str, tuple[Callable[[int], dict[str, Any]], int]]] = {
    "a new booking of Calendly": (new_booking_of_calendly, 200),
    "a new booking of Cal.com": (new_booking_of_calcom, 200),
    "a forged webhook": (forged, 401),
}
"""What comes, and the status that it is answered with."""


def measure(
    handler: Callable[[Mapping[str, Any], object], Mapping[str, Any]],
    make: Callable[[int], dict[str, Any]],
    status: int,
    runs: int,
) -> list[float]:
    """Handle so many events one after another; milliseconds of each."""
    spent = []
    for number in range(-_WARM_UP, runs):
        event = make(next(_numbers))
        with contextlib.redirect_stdout(io.StringIO()):
            started = time.perf_counter()
            answer = handler(event, None)
            ended = time.perf_counter()
        if answer["statusCode"] != status:
            raise SystemExit(f"the webhook answers {answer['statusCode']} instead of {status}")
        if number >= 0:
            spent.append((ended - started) * 1000)
    return spent


_numbers: Final = count()


def _event(provider: str, body: bytes, header: str, signature: str) -> dict[str, Any]:
    return {
        "version": "2.0",
        "routeKey": f"POST /webhooks/{provider}",
        "headers": {"content-type": "application/json", header: signature},
        "requestContext": {"http": {"method": "POST"}, "requestId": "benchmark"},
        "isBase64Encoded": False,
        "body": body.decode(),
    }


def _key() -> bytes:
    return _KEY.encode()


def _text(header: str | bytes) -> str:
    return header.decode() if isinstance(header, bytes) else header


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the webhook's own work in a warm function.")
    parser.add_argument("--runs", type=int, default=2000, help="measured events of each case")
    arguments = parser.parse_args()
    os.environ.update(_ENVIRONMENT)
    cloud = Cloud()
    with patch.object(URLLib3Session, "send", cloud.send):
        _compare(cloud, arguments.runs)


def _compare(cloud: Cloud, runs: int) -> None:
    module = import_module("sms_engagement_runtime.appointment_follow_up.handlers.webhook")
    print(f"webhook, {runs} events each, warm, without the network; milliseconds")
    print(f"{'':<28} {'p50':>7} {'p99':>7} {'goal':>6}  {'':<12} calls an event")
    for name, (make, status) in CASES.items():
        cloud.calls.clear()
        spent = measure(module.handler, make, status, runs)
        p50, p99 = median(spent), quantiles(spent, n=100)[98]
        verdict = "reached" if p50 <= GOAL_MS else "NOT REACHED"
        events = runs + _WARM_UP
        calls = ", ".join(
            f"{number / events:.0f} {operation}"
            for operation, number in cloud.calls.items()
            if number >= events
        )
        print(f"{name:<28} {p50:7.2f} {p99:7.2f} {GOAL_MS:6.1f}  {verdict:<12} {calls or 'none'}")


if __name__ == "__main__":
    main()
