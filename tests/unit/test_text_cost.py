"""What the cost command reckons with is what the functions use."""

import json

import pytest

from benchmarks.metering import compact
from benchmarks.text_cost import (
    COMMAND,
    PROFILE,
    measure_analytics,
    measure_appointments,
    measure_journeys,
    measure_reviews,
)

FLOWS = json.loads(PROFILE.read_text(encoding="utf-8"))["flows"]
MEMORY = {
    **dict.fromkeys(("EventRecorder", "Router", "ResponseHandler", "Analytics"), 0.5),
    **dict.fromkeys(("Submit", "Ingest", "Archiver"), 1.0),
    **dict.fromkeys(("Form", "SendPart"), 1769 / 1024),
}

# Log lines hold times of this machine, and what analytics writes to the archive is compressed.
NOT_COUNTED = {"CloudWatch Logs, KB", "S3 bytes written"}


@pytest.mark.parametrize(
    "measure",
    [
        lambda: measure_reviews(MEMORY),
        lambda: measure_journeys(MEMORY),
        lambda: measure_analytics(MEMORY),
        measure_appointments,
    ],
    ids=["reviews", "journeys", "analytics", "appointments"],
)
def test_what_is_reckoned_with_is_what_is_used(measure) -> None:
    for name, usage in measure().items():
        counted = {unit: used for unit, used in compact(usage).items() if unit not in NOT_COUNTED}
        written = {unit: used for unit, used in FLOWS[name].items() if unit not in NOT_COUNTED}

        # On a clock of its own a broadcast takes as many slots of the rate on every machine: nothing but
        # the rounding of the file is let pass.
        assert counted == pytest.approx(written, abs=0.001), f"{name}: run `{COMMAND}`"


@pytest.mark.parametrize("text", ["review request", "promotion"])
def test_a_text_is_one_part(text: str) -> None:
    assert FLOWS[text]["message parts"] == 1
