"""What the cost command reckons with is what the functions use."""

import json

import pytest

from benchmarks.text_cost import COMMAND, PROFILE, measure_analytics, measure_appointments, measure_reviews

FLOWS = json.loads(PROFILE.read_text(encoding="utf-8"))["flows"]
MEMORY = {
    **dict.fromkeys(("EventRecorder", "Router", "ResponseHandler", "Analytics"), 0.5),
    **dict.fromkeys(("Submit", "Ingest", "Archiver"), 1.0),
    **dict.fromkeys(("Form", "SendPart"), 1769 / 1024),
}

# Of the rest, time is assumed and log lines hold times.
COUNTED = (
    "DynamoDB write units",
    "DynamoDB read units",
    "Kinesis KB in",
    "SNS messages",
    "state transitions",
)


@pytest.mark.parametrize(
    "measure",
    [lambda: measure_reviews(MEMORY), lambda: measure_analytics(MEMORY), measure_appointments],
    ids=["reviews", "analytics", "appointments"],
)
def test_what_is_reckoned_with_is_what_is_used(measure) -> None:
    for name, usage in measure().items():
        counted = {unit: usage[unit] for unit in COUNTED if usage[unit]}
        written = {unit: FLOWS[name][unit] for unit in COUNTED if unit in FLOWS[name]}

        # A broadcast takes its slots of the rate anew as time passes: more often on a busy machine.
        tolerance = 0.6 if name == "review request" else 0.1
        assert counted == pytest.approx(written, rel=tolerance, abs=0.2), f"{name}: run `{COMMAND}`"


def test_a_review_request_is_one_part() -> None:
    assert FLOWS["review request"]["message parts"] == 1
