"""A million events in small; and that a loss or a double would be noticed."""

import json
from itertools import count

import pytest

from benchmarks import million_events
from benchmarks.million_events import Figures
from sms_engagement_runtime.sms_analytics_pipeline.adapters import counted_batches
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_counts import DynamoCounts
from sms_engagement_runtime.sms_analytics_pipeline.adapters.record_quarantine import RecordQuarantine
from sms_engagement_runtime.sms_analytics_pipeline.adapters.s3_archive import S3EventArchive
from sms_engagement_runtime.sms_analytics_pipeline.domain import responses

EVENTS = 6_000


def misses(folder, events=EVENTS):
    return million_events.run(events, seed=7, folder=folder, chunk=3_000).differences


def test_everything_adds_up_whatever_comes_again(capsys):
    assert million_events.main(["--events", "20000", "--chunk", "5000"]) == 0

    printed = json.loads(capsys.readouterr().out)
    assert printed["misses"] == []
    # So many came again that it matters.
    assert printed["deliveries"]["archive"] > 22_000
    assert printed["deliveries"]["answers that came again"] > 0
    assert printed["archive_bytes_per_event"] <= 52


def numbered():
    number = count()
    return lambda at, event_id: f"{at:013d}#{event_id}#{next(number)}"


def forget_one_object(keep):
    return lambda self, objects: keep(self, objects[1:])


def keep_under_new_keys(keep):
    number = count()
    return lambda self, objects: keep(
        self, [each._replace(key=f"{each.key}.{next(number)}") for each in objects]
    )


@pytest.mark.parametrize(
    ("owner", "name", "broken", "expected"),
    [
        (S3EventArchive, "keep", keep_under_new_keys, ["archive"]),
        (S3EventArchive, "keep", forget_one_object, ["archive"]),
        (counted_batches, "difference", lambda _: lambda now, before: now, ["metrics"]),
        (DynamoCounts, "put", lambda _: lambda *_, **__: {}, ["counts table", "metrics"]),
        (
            responses,
            "response_key",
            lambda _: numbered(),
            ["responses", "responses of subscribers", "answers that were new"],
        ),
        (
            RecordQuarantine,
            "keep",
            lambda _: lambda *_: None,
            [f"quarantine of {name}" for name in ("event-processor", "analytics", "archive")],
        ),
    ],
    ids=["a key a delivery", "a lost object", "added again", "no item", "a row a delivery", "no quarantine"],
)
def test_each_error_is_noticed(tmp_path, monkeypatch, owner, name, broken, expected):
    monkeypatch.setattr(owner, name, broken(getattr(owner, name)))

    assert misses(tmp_path)[: len(expected)] == [f"{each} differs" for each in expected]


def test_memory_that_grows_is_a_miss():
    figures = Figures(
        events=1,
        seconds=1,
        deliveries={},
        log_lines_per_1000={},
        archive_puts_per_1000=1,
        archive_bytes_per_event=1,
        memory_mb=(100.0, 120.0),
        differences=[],
    )

    assert figures.misses() == ["memory grew by 20.0 MB"]
