"""What the ports of the broadcast engine promise: the fakes of the tests and the adapters alike."""

import json
import random
from datetime import UTC, datetime

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError
from sms_engagement_runtime.channel.adapters.run_store import READERS, S3RunStore
from sms_engagement_runtime.channel.adapters.shuffle import S3Shuffle
from sms_engagement_runtime.channel.domain.broadcast.outcomes import PersonOutcome
from tests.support.broadcast_fakes import FakeRunStore, FakeShuffle

BUCKET = "broadcast"
STRANGE = ["a\nb", "tab\t", "Łukasz", "\u2028", '"quoted"', " ", "half a pair \ud83d", "x" * 2000]
UNTIL = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)


@pytest.fixture
def s3():
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture(params=["fake", "s3"])
def store(request):
    if request.param == "fake":
        return FakeRunStore()
    return S3RunStore(request.getfixturevalue("s3"), bucket=BUCKET)


@pytest.fixture(params=["fake", "s3"])
def shuffle(request):
    if request.param == "fake":
        return FakeShuffle(8)
    return S3Shuffle(request.getfixturevalue("s3"), bucket=BUCKET, buckets=8)


class TestRunStore:
    def test_people_are_read_as_written_whatever_their_ids(self, store):
        store.write_people("runs/r/parts/1.jsonl", STRANGE)
        store.write_people("runs/r/parts/2.jsonl", [])

        read = list(store.read_people(["runs/r/parts/1.jsonl", "runs/r/parts/2.jsonl"]))

        assert read == [STRANGE, []]

    def test_outcomes_are_read_as_written(self, store):
        outcomes = [
            PersonOutcome(user_id="a", state="ACCEPTED", message_id="m", parts=1),
            PersonOutcome(user_id="b\n", state="DEFERRED", reason="QUIET_HOURS", until=UNTIL),
        ]
        store.write_outcomes("runs/r/results/1.jsonl", iter(outcomes))

        assert list(store.read_outcomes(["runs/r/results/1.jsonl"])) == [outcomes]

    def test_many_objects_come_in_the_order_of_their_keys(self, store):
        keys = [f"runs/r/parts/{number:03}.jsonl" for number in range(3 * READERS + 1)]
        for key in keys:
            store.write_people(key, [key])
        random.Random(1).shuffle(keys)

        assert list(store.read_people(keys)) == [[key] for key in keys]

    def test_a_missing_object_is_none_in_its_place(self, store):
        store.write_json("runs/r/reports/1.json", {"n": 1})
        store.write_json("runs/r/reports/3.json", {"n": 3})
        keys = [f"runs/r/reports/{number}.json" for number in range(1, 5)]

        found = list(store.read_json(keys, prefix="runs/r/reports/"))

        assert found == [{"n": 1}, None, {"n": 3}, None]
        assert list(store.read_json(["runs/r/plan.json"], prefix="runs/r/")) == [None]
        assert list(store.read_json([], prefix="runs/r/")) == []

    def test_a_key_that_only_begins_another_is_missing(self, store):
        store.write_json("runs/r/plan.json2", {})

        assert list(store.read_json(["runs/r/plan.json"], prefix="runs/r/")) == [None]

    def test_the_last_write_of_a_key_counts(self, store):
        for number in (1, 2):
            store.write_json("runs/r/plan.json", {"n": number})

        assert list(store.read_json(["runs/r/plan.json"], prefix="runs/r/")) == [{"n": 2}]


class TestShuffle:
    def test_rows_of_a_key_meet_in_one_bucket_over_all_fragments(self, shuffle):
        fragments = []
        for number in range(5):
            for key in (*STRANGE, *(f"key-{n}" for n in range(20))):
                shuffle.add(key, [key, number])
            fragments.append(shuffle.write(f"shuffle/r/{number}"))

        by_bucket = [shuffle.read(n, n + 1, fragments) for n in range(shuffle.buckets)]

        rows = [row for bucket in by_bucket for row in bucket]
        assert len(rows) == 5 * 28
        for key in STRANGE:
            (bucket,) = [bucket for bucket in by_bucket if any(row[0] == key for row in bucket)]
            assert sorted(row[1] for row in bucket if row[0] == key) == [0, 1, 2, 3, 4]
        assert sum(bool(bucket) for bucket in by_bucket) > 1

    def test_buckets_can_be_read_together(self, shuffle):
        for number in range(30):
            shuffle.add(f"key-{number}", number)
        fragments = [shuffle.write("shuffle/r/1")]

        together = shuffle.read(2, 7, fragments)

        one_by_one = [row for n in range(2, 7) for row in shuffle.read(n, n + 1, fragments)]
        assert sorted(together) == sorted(one_by_one)
        assert 0 < len(together) < 30

    def test_a_span_is_one_bucket_at_least_and_all_that_fits(self, shuffle):
        for number in range(40):
            shuffle.add(f"key-{number}", "x" * 100)
        fragments = [shuffle.write("shuffle/r/1")]

        assert shuffle.span_end(0, fragments, max_bytes=1) == 1
        assert shuffle.span_end(7, fragments, max_bytes=1) == 8
        assert shuffle.span_end(0, fragments, max_bytes=1_000_000) == 8
        end = shuffle.span_end(0, fragments, max_bytes=2500)
        assert 1 < end < 8
        # Two quotation marks a row, and a line end where rows are lines.
        assert len(shuffle.read(0, end, fragments)) * 102 <= 2500
        assert len(shuffle.read(0, end + 1, fragments)) * 103 > 2500

    def test_nothing_to_write_is_no_fragment(self, shuffle):
        assert shuffle.write("shuffle/r/1") is None
        assert shuffle.span_end(0, [], max_bytes=10) == 8
        assert shuffle.read(0, 8, []) == []

    def test_what_waits_to_be_written_is_known_by_its_size(self, shuffle):
        assert shuffle.pending_bytes == 0
        shuffle.add("key", ["x" * 100])
        assert 100 < shuffle.pending_bytes < 120
        shuffle.write("shuffle/r/1")
        assert shuffle.pending_bytes == 0

    def test_a_fragment_is_json(self, shuffle):
        shuffle.add("key", {"any": ["json", 1, None]})
        fragment = json.loads(json.dumps(shuffle.write("shuffle/r/1")))

        assert shuffle.read(0, 8, [fragment]) == [{"any": ["json", 1, None]}]


def test_a_service_that_refuses_is_a_fault_that_may_pass(s3):
    store, shuffle = S3RunStore(s3, bucket="elsewhere"), S3Shuffle(s3, bucket="elsewhere")
    shuffle.add("key", 1)

    for call in (
        lambda: store.write_json("runs/r/plan.json", {}),
        lambda: list(store.read_json(["runs/r/plan.json"], prefix="runs/r/")),
        lambda: list(store.read_people(["runs/r/parts/1.jsonl", "runs/r/parts/2.jsonl"])),
        lambda: shuffle.write("shuffle/r/1"),
        lambda: shuffle.read(0, 1, [{"key": "shuffle/r/1", "ends": [9] * 256}]),
    ):
        with pytest.raises(ServiceCallError, match="NoSuchBucket") as caught:
            call()
        assert isinstance(caught.value.__cause__, ClientError)


def test_parts_hold_ids_and_nothing_else(s3):
    S3RunStore(s3, bucket=BUCKET).write_people("runs/r/parts/1.jsonl", ["u1"])

    assert s3.get_object(Bucket=BUCKET, Key="runs/r/parts/1.jsonl")["Body"].read() == b'{"userId":"u1"}\n'
