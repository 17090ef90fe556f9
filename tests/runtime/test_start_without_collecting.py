"""Garbage collection stays out of a function's start, and is back when the function is called."""

import json
import subprocess
import sys

_REPORT = """
import gc, json
thresholds = gc.get_threshold()
collected = gc.get_stats()[2]["collections"]
import sms_engagement_runtime.review_collector.handlers.rotate_link_key
print(json.dumps({
    "unchanged": gc.get_threshold() == thresholds and gc.isenabled(),
    "frozen": gc.get_freeze_count(),
    "full collections": gc.get_stats()[2]["collections"] - collected,
}))
"""


def test_start_ends_with_python_s_own_thresholds_and_nothing_of_it_to_look_through():
    finished = subprocess.run([sys.executable, "-c", _REPORT], capture_output=True, text=True, check=True)

    report = json.loads(finished.stdout)
    assert report["unchanged"]
    assert report["frozen"] > 10_000
    assert report["full collections"] == 0
