"""Compaction: wherever it ends, no event is lost, and in the end each lies there once."""

import itertools
from collections import Counter
from contextlib import suppress
from datetime import date

import pytest
from moto import mock_aws

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError
from sms_engagement_runtime.sms_analytics_pipeline.domain.archive import raw_key
from sms_engagement_runtime.sms_analytics_pipeline.domain.compaction import (
    COMPACTED_PREFIX,
    STAGING_PREFIX,
    NothingWrittenError,
    Outcome,
    RecordChangedError,
    is_closed,
)
from tests.support.aws_faults import failing
from tests.support.event_archives import BUCKET, DAY, MemoryEventArchive, S3EventArchive
from tests.support.review_tables import aws_client
from tests.support.turns import Turns, schedules


class ProcessEndedError(Exception):
    """The function's process is gone."""


@pytest.fixture
def s3():
    with mock_aws():
        yield S3EventArchive(aws_client("s3"))


@pytest.fixture(params=["memory", "s3"])
def archive(request):
    return MemoryEventArchive() if request.param == "memory" else request.getfixturevalue("s3")


def is_whole_when_all_has_expired_that_may(archive):
    archive.expire()
    return set(archive.read("events/")) | set(archive.read(COMPACTED_PREFIX)) == archive.events


def is_compacted_once(archive):
    return Counter(archive.read(COMPACTED_PREFIX)) == Counter(archive.events)


def never(day, staging):
    raise AssertionError("nothing is to be written")


def test_a_day_becomes_files_with_each_event_once_and_its_raw_objects_may_expire(archive):
    archive.write(1, 1, 2, 3)
    archive.write(2, 2, 3)  # what a replay left

    assert archive.compact() is Outcome.COMPACTED

    assert is_compacted_once(archive)
    assert archive.keys(STAGING_PREFIX) == []
    archive.expire()
    assert archive.keys("events/") == []


def test_a_day_without_anything_new_is_left_alone(archive):
    archive.write(1, 1, 2)
    archive.compact()
    before = archive.keys(COMPACTED_PREFIX)

    assert archive.compact(never) is Outcome.NOTHING_NEW
    archive.expire()
    assert archive.compact(never) is Outcome.NOTHING_NEW
    assert archive.keys(COMPACTED_PREFIX) == before


def test_a_day_that_never_had_anything_is_left_alone(archive):
    assert archive.compact(never) is Outcome.NOTHING_NEW
    assert archive.keys("") == []


def test_what_comes_after_the_compaction_is_compacted_too_once_raw_objects_are_gone(archive):
    archive.write(1, 1, 2)
    archive.compact()
    archive.expire()
    archive.write(3, 3)

    assert archive.compact() is Outcome.COMPACTED

    archive.expire()
    assert is_compacted_once(archive)


def test_an_object_that_is_written_over_after_it_was_tagged_is_compacted_again(archive):
    archive.write(1, 1, 2)
    archive.compact()
    archive.write(1, 1, 2, 3)

    archive.expire()

    assert archive.keys("events/") != []
    assert archive.compact() is Outcome.COMPACTED
    assert is_compacted_once(archive)


def test_an_object_that_comes_while_the_query_runs_is_not_given_up(archive):
    archive.write(1, 1, 2)

    def late(day, staging):
        archive.unload(day, staging)
        archive.write(1, 1, 2, 7)
        archive.write(9, 8)

    archive.compact(late)

    assert is_whole_when_all_has_expired_that_may(archive)
    assert archive.compact() is Outcome.COMPACTED
    assert is_compacted_once(archive)


def test_a_query_that_writes_nothing_is_no_compaction(archive):
    archive.write(1, 1, 2)

    with pytest.raises(NothingWrittenError, match="2026-03-01"):
        archive.compact(lambda day, staging: None)

    assert is_whole_when_all_has_expired_that_may(archive)


def test_a_query_that_fails_half_way_leaves_everything_as_it_was(archive):
    archive.write(1, 1, 2)

    def failed(day, staging):
        archive.put(f"{staging}half-a-file", [1])
        raise ServiceCallError("query: FAILED")

    with pytest.raises(ServiceCallError):
        archive.compact(failed)

    assert archive.keys(COMPACTED_PREFIX) == []
    assert is_whole_when_all_has_expired_that_may(archive)


def test_files_in_deep_archive_which_no_query_reads_stay_beside_new_ones(archive):
    archive.write(1, 1, 2)
    archive.compact()
    archive.expire()
    (old,) = (key for key in archive.keys(COMPACTED_PREFIX) if archive.content(key) == [1])
    archive.move_to_deep_archive(old)
    archive.write(3, 3)

    archive.compact()

    assert old in archive.keys(COMPACTED_PREFIX)
    assert set(archive.read(COMPACTED_PREFIX)) == {2, 3}


def test_an_attempt_that_was_overtaken_changes_nothing(archive):
    archive.write(1, 1, 2)

    def overtaken(day, staging):
        archive.unload(day, staging)
        archive.compact()

    with pytest.raises(RecordChangedError):
        archive.compact(overtaken)

    assert is_whole_when_all_has_expired_that_may(archive)
    archive.write(3, 3)
    archive.compact()
    assert is_compacted_once(archive)


@pytest.mark.parametrize("is_first", [True, False], ids=["first time", "again"])
def test_wherever_it_ends_no_event_is_lost_and_the_next_one_makes_it_whole(is_first):
    for number in itertools.count(1):
        archive = MemoryEventArchive()
        archive.write(1, 1, 2, 3)
        if not is_first:
            archive.compact()
            archive.expire()
        archive.write(2, 4, 5)
        archive.write(3, 5, 6)
        end = archive.steps + number

        def stop(step, end=end):
            if step == end:
                raise ProcessEndedError

        archive.before = stop
        try:
            archive.compact()
        except ProcessEndedError:
            assert is_whole_when_all_has_expired_that_may(archive), f"ended at step {number}"
            archive.compact()
            is_over = False
        else:
            is_over = True

        assert is_whole_when_all_has_expired_that_may(archive)
        assert is_compacted_once(archive), f"ended at step {number}"
        if is_over:
            break
    assert number > 12  # All of its steps have had their turn.


@pytest.mark.parametrize("schedule", schedules(14, 14, count=120), ids=lambda turns: "".join(map(str, turns)))
def test_two_at_once_lose_nothing_however_their_steps_follow_one_another(schedule):
    archive = MemoryEventArchive()
    archive.write(1, 1, 2, 3)
    archive.compact()
    archive.expire()
    archive.write(2, 3, 4)
    turns = Turns(schedule)
    archive.before = lambda _: turns.pause()

    def first():
        with suppress(RecordChangedError):
            archive.compact()

    def second():
        archive.write(3, 5)
        first()

    turns.play(first, second)

    assert min(turns.calls) >= 2
    assert is_whole_when_all_has_expired_that_may(archive)
    archive.write(9, 9)
    archive.compact()
    assert is_whole_when_all_has_expired_that_may(archive)
    assert is_compacted_once(archive)


@pytest.mark.parametrize(
    "operation", ["ListObjectVersions", "GetObject", "CopyObject", "PutObject", "PutObjectTagging"]
)
def test_a_service_that_does_not_answer_is_tried_again_the_next_time(s3, operation):
    s3.write(1, 1, 2)
    s3.put(f"{STAGING_PREFIX}done/file", [1, 2])

    def unload(day, staging):
        """The file above is what the query wrote."""

    take_over = s3.store.take_over
    s3.store.take_over = lambda day, _, attempt: take_over(day, f"{STAGING_PREFIX}done/", attempt)
    with failing(operation), pytest.raises(ServiceCallError, match="ThrottlingException"):
        s3.compact(unload)

    s3.store.take_over = take_over
    assert is_whole_when_all_has_expired_that_may(s3)
    s3.compact()
    assert is_compacted_once(s3)


def test_days_with_raw_objects_are_found_whatever_else_lies_there(s3):
    for day in (DAY, date(2025, 12, 31), date(2026, 2, 28)):
        s3.put(raw_key(day, "shard", "1"), [])
    for key in ("events/year=2026/month=02/day=30/a", "events/readme", "events/year=x/month=02/day=01/a"):
        s3.client.put_object(Bucket=BUCKET, Key=key, Body=b"")

    assert s3.store.raw_days() == [date(2025, 12, 31), date(2026, 2, 28), DAY]


@pytest.mark.parametrize(
    ("today", "closed"),
    [(date(2026, 3, 1), False), (date(2026, 3, 4), False), (date(2026, 3, 5), True)],
)
def test_a_day_is_closed_when_the_latest_receipt_is_in(today, closed):
    assert is_closed(DAY, today) is closed


def test_days_of_a_clock_that_was_wrong_are_not_compacted():
    assert not is_closed(date(1970, 1, 1), date(2026, 3, 1))
