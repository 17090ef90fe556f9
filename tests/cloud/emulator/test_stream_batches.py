"""What becomes of the records of a shard: batches, attempts, and where they go on."""

import json

import pytest

from sms_local.emulator.patches._stream_batches import (
    PAYLOAD_BYTES,
    AfterFailure,
    Batch,
    Lane,
    MappingSettings,
    StreamRecord,
    after_failure,
    failed_from,
    position_before,
)


def record(number, *, payload_bytes=100, arrived_at=0.0):
    return StreamRecord(
        sequence_number=f"{number:030d}",
        arrived_at=arrived_at,
        partition_key="key",
        event={"number": number},
        payload_bytes=payload_bytes,
    )


RECORDS = tuple(record(number) for number in range(1, 5))


def numbers(batch):
    return [int(each.sequence_number) for each in batch.records]


def failures(*named):
    return {"batchItemFailures": [{"itemIdentifier": f"{number:030d}"} for number in named]}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(None, None, id="nothing"),
        pytest.param("", None, id="empty text"),
        pytest.param({}, None, id="empty object"),
        pytest.param({"batchItemFailures": []}, None, id="no failures"),
        pytest.param({"batchItemFailures": None}, None, id="null"),
        pytest.param(failures(4, 2, 3), 1, id="the lowest counts, in any order"),
        pytest.param(json.dumps(failures(3)), 2, id="as JSON"),
        pytest.param({"batchItemFailures": [{"itemIdentifier": ""}]}, 0, id="names nothing"),
        pytest.param({"batchItemFailures": [{"itemIdentifier": None}]}, 0, id="names null"),
        pytest.param({"batchItemFailures": [{"item": "1"}]}, 0, id="another member"),
        pytest.param(failures(3, 99), 0, id="names a record of another batch"),
        pytest.param("done", 0, id="not JSON"),
    ],
)
def test_a_function_says_from_where_it_wants_to_go_on(answer, expected):
    assert failed_from(answer, RECORDS) == expected


@pytest.mark.parametrize(
    ("failed", "retries", "settings", "again", "discarded"),
    [
        pytest.param(2, 0, {}, [([3, 4], 1)], None, id="the rest once more"),
        pytest.param(0, 7, {}, [([1, 2, 3, 4], 8)], None, id="for ever, unless limited"),
        pytest.param(0, 2, {"retries": 2}, [], [1, 2, 3, 4], id="attempts are used up"),
        pytest.param(2, 2, {"retries": 2}, [], [3, 4], id="what is done is not discarded"),
        pytest.param(0, 0, {"retries": 0}, [], [1, 2, 3, 4], id="no further attempt"),
        pytest.param(
            0, 2, {"retries": 2, "bisects": True}, [([1, 2], 2), ([3, 4], 2)], None, id="splitting is none"
        ),
        pytest.param(
            1, 2, {"retries": 2, "bisects": True}, [([2, 3, 4], 2)], None, id="split where it failed"
        ),
        pytest.param(
            3, 0, {"retries": 2, "bisects": True}, [([4], 0)], None, id="split down to the last record"
        ),
    ],
)
def test_after_a_failure(failed, retries, settings, again, discarded):
    follows = after_failure(Batch(records=RECORDS, retries=retries), failed, MappingSettings(**settings))

    assert [(numbers(batch), batch.retries) for batch in follows.again] == again
    assert (follows.discarded and numbers(follows.discarded)) == discarded


def test_one_record_is_not_split():
    settings = MappingSettings(retries=1, bisects=True)
    batch = Batch(records=RECORDS[:1])

    once_more = after_failure(batch, 0, settings)
    last = after_failure(once_more.again[0], 0, settings)

    assert once_more.is_retry
    assert last == AfterFailure(discarded=once_more.again[0])


def lane_with(*records, at=0.0):
    lane = Lane()
    for each in records:
        lane.add(each, at)
    return lane


def test_a_batch_is_taken_when_its_window_is_over():
    settings = MappingSettings(window_seconds=5)
    lane = lane_with(*RECORDS)

    assert lane.due_at(settings) == 5
    assert lane.take(settings, 4.9) is None
    assert numbers(lane.take(settings, 5.0)) == [1, 2, 3, 4]


def test_a_full_batch_waits_for_no_window():
    settings = MappingSettings(window_seconds=5, batch_size=3)

    assert numbers(lane_with(*RECORDS).take(settings, 0.0)) == [1, 2, 3]


def test_a_batch_is_full_with_the_payload_that_an_invocation_may_have():
    settings = MappingSettings(window_seconds=5, batch_size=100)
    large = [record(number, payload_bytes=PAYLOAD_BYTES // 2) for number in range(1, 4)]

    assert numbers(lane_with(*large).take(settings, 0.0)) == [1, 2]


def test_a_lane_has_one_batch_at_a_time_and_goes_on_with_the_next():
    settings = MappingSettings(batch_size=2)
    lane = lane_with(*RECORDS)

    first = lane.take(settings, 0.0)
    meanwhile = lane.take(settings, 0.0)
    lane.finish(2)
    lane.free(1.0)
    second = lane.take(settings, 1.0)

    assert (numbers(first), meanwhile, numbers(second)) == ([1, 2], None, [3, 4])


def test_a_clock_that_was_put_back_does_not_hold_up_a_batch():
    settings = MappingSettings(window_seconds=5)
    lane = lane_with(*RECORDS, at=1_000_000.0)

    assert lane.take(settings, 10.0) is None
    assert lane.take(settings, 15.0) is not None


@pytest.mark.parametrize("written", [int, str])
def test_settings_are_read_as_numbers_or_as_text(written):
    settings = MappingSettings.of(
        {
            "BatchSize": written(1000),
            "MaximumBatchingWindowInSeconds": written(300),
            "ParallelizationFactor": written(10),
            "MaximumRetryAttempts": written(0),
            "MaximumRecordAgeInSeconds": written(-1),
            "BisectBatchOnFunctionError": "true" if written is str else True,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "DestinationConfig": {"OnFailure": {"Destination": "arn"}},
        }
    )

    assert settings == MappingSettings(
        batch_size=1000,
        window_seconds=300,
        lanes=10,
        retries=0,
        record_age_seconds=None,
        bisects=True,
        reports_failures=True,
        destination="arn",
    )


def test_a_position_before_a_record_is_after_all_earlier_ones():
    before = position_before(record(1000).sequence_number)

    assert record(999).sequence_number <= before < record(1000).sequence_number
