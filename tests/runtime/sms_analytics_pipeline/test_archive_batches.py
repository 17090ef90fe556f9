"""What a batch leaves in the bucket: every event once, whatever came between."""

import gzip
import json
from collections import Counter
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.sms_analytics_pipeline.adapters.s3_archive import objects_of, read
from tests.support.aws_faults import failing
from tests.support.dynamodb_tables import CONTACTS, channel_tables, erased_at_once
from tests.support.handlers import Context, fresh_handler
from tests.support.kinesis_events import NOON_MS, SHARD, canonical, stream_batch, stream_record
from tests.support.logs import captured_logs
from tests.support.review_tables import aws_client

BUCKET = "archive-bucket"
DAY_MS = 86_400_000
DONE = {"batchItemFailures": []}


@pytest.fixture(scope="module")
def module():
    name = "sms_engagement_runtime.sms_analytics_pipeline.handlers.archive"
    with fresh_handler(name, {"ARCHIVE_BUCKET": BUCKET, "CONTACTS_TABLE": CONTACTS}) as module:
        yield module


@pytest.fixture
def s3():
    with channel_tables():
        client = aws_client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client


def keys(s3):
    return [found["Key"] for found in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def lines(content):
    return [json.loads(line) for line in gzip.decompress(content).splitlines()]


def archived(s3):
    return {
        key: lines(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
        for key in keys(s3)
        if key.startswith("events/")
    }


def on_day(number, day=0, **fields):
    return canonical(number, event_timestamp=NOON_MS + day * DAY_MS + number, **fields)


def test_a_batch_is_one_object_of_its_day_named_after_its_first_event(module, s3):
    batch = stream_batch([canonical(number) for number in range(3)], first=10)

    assert module.handler(batch, Context()) == DONE

    ((key, content),) = archived(s3).items()
    first = batch["Records"][0]["kinesis"]["sequenceNumber"]
    assert key == f"events/year=2026/month=11/day=21/{SHARD}-{first}.jsonl.gz"
    assert [line["message_id"] for line in content] == ["message-0", "message-1", "message-2"]


def test_a_thousand_events_are_one_put():
    assert len(objects_of(read(stream_batch([canonical(number) for number in range(1000)])))) == 1


def test_events_lie_with_the_day_on_which_they_happened(module, s3):
    last_of_the_year = 1_798_761_599_999  # 2026-12-31T23:59:59.999Z
    module.handler(
        stream_batch(
            [
                canonical(1, event_timestamp=last_of_the_year + 1),
                canonical(2, event_timestamp=last_of_the_year),
                canonical(3, event_timestamp=last_of_the_year + 2),
            ]
        ),
        Context(),
    )

    assert {
        key.rpartition("/")[0]: [line["message_id"] for line in content]
        for key, content in archived(s3).items()
    } == {
        "events/year=2026/month=12/day=31": ["message-2"],
        "events/year=2027/month=01/day=01": ["message-1", "message-3"],
    }


def test_a_batch_that_comes_again_writes_the_same_bytes_over_itself(module, s3):
    batch = stream_batch([on_day(number, number % 2) for number in range(20)])
    module.handler(batch, Context())
    before = {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys(s3)}

    module.handler(batch, Context())

    assert before == {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys(s3)}


def test_a_put_that_fails_once_brings_the_whole_batch_again_and_loses_nothing(module, s3):
    batch = stream_batch([on_day(number, number % 3) for number in range(9)], first=5)
    with failing("PutObject", times=1):
        answer = module.handler(batch, Context())

    first = batch["Records"][0]["kinesis"]["sequenceNumber"]
    assert answer == {"batchItemFailures": [{"itemIdentifier": first}]}
    assert module.handler(batch, Context()) == DONE
    assert Counter(line["message_id"] for content in archived(s3).values() for line in content) == Counter(
        f"message-{number}" for number in range(9)
    )


def test_a_batch_of_many_days_is_written_and_fails_as_a_whole(module, s3):
    batch = stream_batch([on_day(number, -number) for number in range(60)])

    with failing("PutObject", times=1):
        assert module.handler(batch, Context()) != DONE
    assert module.handler(batch, Context()) == DONE

    assert len(archived(s3)) == 60


def test_records_that_cannot_be_read_are_kept_with_their_reason_and_stop_nothing(module, s3):
    batch = stream_batch([b"no JSON", canonical(1), canonical(2, price_millicents="581"), canonical(3), "a"])

    assert module.handler(batch, Context()) == DONE

    ((key, content),) = archived(s3).items()
    assert [line["message_id"] for line in content] == ["message-1", "message-3"]
    assert key.endswith(f"-{batch['Records'][1]['kinesis']['sequenceNumber']}.jsonl.gz")
    (quarantined,) = (key for key in keys(s3) if not key.startswith("events/"))
    kept = [
        json.loads(line) for line in s3.get_object(Bucket=BUCKET, Key=quarantined)["Body"].read().splitlines()
    ]
    assert quarantined.startswith("quarantine/archive/")
    assert [record["reason"] for record in kept] == ["NOT_JSON", "UNKNOWN_SHAPE", "NOT_BASE64"]


def test_a_quarantine_that_cannot_be_written_brings_the_batch_again(module, s3):
    with failing("PutObject", times=1):
        answer = module.handler(stream_batch([b"no JSON"]), Context())

    assert answer != DONE


def test_the_log_has_no_phone_number_and_no_text(module, s3):
    with captured_logs() as log:
        module.handler(
            stream_batch([canonical(1, response_text="call me"), b"+12025550123 no JSON"]), Context()
        )

    assert "events archived" in log.getvalue()
    assert "5550" not in log.getvalue()
    assert "call me" not in log.getvalue()


def test_two_shards_never_write_the_same_object(module, s3):
    for shard in ("shardId-000000000001", "shardId-000000000002"):
        module.handler(stream_batch([canonical(1)], shard=shard), Context())

    assert len(archived(s3)) == 2


# ---- any retries -------------------------------------------------------------------------------------------


class Bucket:
    """Objects by key, and puts that fail when they are told to."""

    def __init__(self):
        self.objects = {}

    def put(self, objects, most):
        for each in objects[:most]:
            self.objects[each.key] = each.body

    def lines(self):
        return [line for content in self.objects.values() for line in lines(content)]


days_of_events = st.lists(st.sampled_from([0, 0, 0, -1, -2, 1]), min_size=1, max_size=24)
unreadable = st.sets(st.integers(0, 23), max_size=4)


@given(days_of_events, unreadable, st.data())
def test_whatever_fails_and_however_a_batch_is_halved_each_event_lies_there_once(days, broken, data):
    """Lambda repeats a batch whole or halves it; an attempt may have written any part of its objects."""
    records = [
        stream_record(number, b"no JSON" if number in broken else on_day(number, day))
        for number, day in enumerate(days)
    ]
    bucket = Bucket()

    def attempt(part, tries_left):
        objects = objects_of(read({"Records": part}))
        outcomes = ["done"] if not tries_left else ["done", "again", "halves"]
        outcome = data.draw(st.sampled_from(outcomes))
        bucket.put(objects, len(objects) if outcome == "done" else data.draw(st.integers(0, len(objects))))
        if outcome == "again":
            attempt(part, tries_left - 1)
        elif outcome == "halves" and len(part) > 1:
            middle = data.draw(st.integers(1, len(part) - 1))
            halves = [part[:middle], part[middle:]]
            # Not always in order: two batches of a shard are worked on at once.
            for half in data.draw(st.permutations(halves)):
                attempt(half, tries_left - 1)
        elif outcome == "halves":
            attempt(part, tries_left - 1)

    attempt(records, 4)

    alone = Bucket()
    alone.put(objects_of(read({"Records": records})), 1000)
    by_id = lambda line: line["message_id"]  # noqa: E731
    assert sorted(bucket.lines(), key=by_id) == sorted(alone.lines(), key=by_id)


def test_the_test_above_would_see_objects_named_after_the_batch():
    """Named after the first record of the batch, a day that the first half has not stays as it was."""
    records = [stream_record(number, on_day(number, day)) for number, day in enumerate([0, 1, 1, 0])]
    name = "sms_engagement_runtime.sms_analytics_pipeline.adapters.s3_archive.raw_key"
    bucket = Bucket()

    for part in (records, records[:1], records[1:]):
        first = part[0]["kinesis"]["sequenceNumber"]
        with patch(name, lambda day, shard, _, first=first: f"{day}/{shard}-{first}"):
            bucket.put(objects_of(read({"Records": part})), 1000)

    assert len(bucket.lines()) > len(records)


def test_events_of_an_erased_person_become_no_lines_and_the_batch_keeps_its_names(module, s3):
    events = [canonical(number, subscriber_id=f"v1:{number % 2}") for number in range(4)]
    batch = stream_batch(events, first=10)
    module.handler(batch, Context())
    before = keys(s3)

    with erased_at_once(module, "v1:0"):
        assert module.handler(batch, Context()) == DONE

    assert keys(s3) == before
    ((_, content),) = archived(s3).items()
    assert [line["subscriber_id"] for line in content] == ["v1:1", "v1:1"]


def test_a_batch_of_nobody_but_an_erased_person_is_no_object(module, s3):
    with erased_at_once(module, "v1:0"):
        batch = stream_batch([canonical(0, subscriber_id="v1:0")], first=10)
        assert module.handler(batch, Context()) == DONE

    assert keys(s3) == []


@pytest.mark.usefixtures("s3")
def test_where_nobody_says_who_was_erased_the_batch_comes_again(module):
    batch = stream_batch([canonical(0)], first=10)

    with erased_at_once(module), failing("Query"):
        answer = module.handler(batch, Context())

    first = batch["Records"][0]["kinesis"]["sequenceNumber"]
    assert answer == {"batchItemFailures": [{"itemIdentifier": first}]}
