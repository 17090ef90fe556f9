"""Garbage collection stays out of a function's start, and is back when the function is called."""

import json
import os
import subprocess
import sys

import pytest

_REPORT = """
import gc, json
thresholds = gc.get_threshold()
collected = gc.get_stats()[2]["collections"]
import sms_engagement_runtime.{handler}
print(json.dumps({{
    "unchanged": gc.get_threshold() == thresholds and gc.isenabled(),
    "frozen": gc.get_freeze_count(),
    "full collections": gc.get_stats()[2]["collections"] - collected,
}}))
"""

SENDING = {
    "BUS_NAME": "bus",
    "CHANNEL_BUS_NAME": "bus",
    "CONFIGURATION_SET": "set",
    "CONTACTS_TABLE": "contacts",
    "CONVERSATIONS_TABLE": "conversations",
    "HOST_TOPIC_ARN": "topic",
    "LATER_ARN": "later",
    "MESSAGES_TABLE": "messages",
    "ORIGINATION_IDENTITY": "number",
    "SUBSCRIBER_KEY_SECRET_ARN": "secret",
}


def start(handler, environment):
    finished = subprocess.run(
        [sys.executable, "-c", _REPORT.format(handler=handler)],
        capture_output=True,
        env={**os.environ, **environment},
        text=True,
        check=True,
    )
    return json.loads(finished.stdout)


@pytest.mark.parametrize(
    ("handler", "environment"),
    [
        ("review_collector.handlers.rotate_link_key", {}),
        ("appointment_follow_up.handlers.follow_up", SENDING),
        ("appointment_follow_up.handlers.phone_events", SENDING),
    ],
)
def test_start_ends_with_python_s_own_thresholds_and_nothing_of_it_to_look_through(handler, environment):
    report = start(handler, environment)

    assert report["unchanged"]
    assert report["frozen"] > 10_000
    assert report["full collections"] == 0


def test_what_does_without_powertools_starts_without_collecting_too():
    environment = {
        "CONVERSATIONS_TABLE": "conversations",
        "SIGNING_KEYS": '{"calendly": "secret"}',
        "STATE_MACHINE_ARN": "machine",
        "SUBSCRIBER_KEY_SECRET_ARN": "secret",
    }

    assert start("appointment_follow_up.handlers.webhook", environment)["full collections"] == 0
