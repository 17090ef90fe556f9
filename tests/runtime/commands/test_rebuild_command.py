"""Tables rebuilt from the archive, against what the pipeline wrote; everything in moto."""

import gzip
import json
import random
from collections import defaultdict
from datetime import timedelta
from unittest.mock import patch

import pytest

from sms_engagement_runtime.channel.adapters.clock import SystemClock
from sms_engagement_runtime.commands import main as command
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_counts import DynamoCounts
from tests.support.pipeline_drive import (
    BUCKET,
    COUNTS,
    create_counts,
    pipeline,
    random_payloads,
    rows,
)
from tests.support.review_tables import aws_client
from tests.support.subscriber_tables import RESPONSES, SUBSCRIBERS, _create


@pytest.fixture
def system():
    with pipeline() as system, patch.object(SystemClock, "now", lambda _: system.clock.now()):
        yield system


def fill(system, seed, amount):
    system.chance = random.Random(seed)
    payloads = random_payloads(system.chance, amount, now=system.clock.now())
    system.ingest(payloads[: amount // 2])
    system.consume()
    system.ingest(payloads[amount // 2 :])
    system.consume()


def run(capsys, *options, tables=("responses", "subscribers", "counts"), name="rebuild", stopped=True):
    names = {"responses": RESPONSES, "subscribers": SUBSCRIBERS, "counts": COUNTS}
    arguments = [*name.split(), "--archive-bucket", BUCKET]
    for table in tables:
        arguments += [f"--{table}-table", names[table]]
    capsys.readouterr()
    status = command.main([*arguments, *(["--consumers-stopped"] if stopped else []), *options])
    streams = capsys.readouterr()
    return status, json.loads(streams.out) if streams.out else None, streams.err


def empty(system, *tables):
    """Delete tables and make them again."""
    for table in tables or (RESPONSES, SUBSCRIBERS, COUNTS):
        system.dynamodb.delete_table(TableName=table)
        if table == COUNTS:
            create_counts(system.dynamodb)
        elif table == RESPONSES:
            _create(
                system.dynamodb, table, ("subscriber_id", "response_key"), ("campaign_id", "response_key")
            )
        else:
            _create(system.dynamodb, table, ("subscriber_id",), ("segment", "subscription_status"))


def unversioned(people):
    """Rows without the number of their writes, which is no fact."""
    return [{name: value for name, value in row.items() if name != "version"} for row in people]


def counted(system):
    table = DynamoCounts(system.dynamodb, table=COUNTS, retention=timedelta(days=400))
    today = system.clock.now().date()
    return table.read(today - timedelta(days=9), today)


def archive_some_again(chance):
    """Lines of many objects under other names, before and after those that they were in, in any order."""
    s3 = aws_client("s3")
    by_day = defaultdict(list)
    for each in s3.list_objects_v2(Bucket=BUCKET, Prefix="events/")["Contents"]:
        body = s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read()
        by_day[each["Key"].rpartition("/")[0]] += gzip.decompress(body).splitlines(keepends=True)
    for folder, lines in by_day.items():
        for name in ("a", "z"):
            some = chance.sample(lines, k=len(lines) // 2)
            s3.put_object(
                Bucket=BUCKET, Key=f"{folder}/{name}-1.jsonl.gz", Body=gzip.compress(b"".join(some))
            )


@pytest.mark.parametrize("seed", range(3))
def test_everything_from_the_archive_into_empty_tables_gives_the_same_rows(system, capsys, seed):
    fill(system, seed, 150)
    responses, people, counts = (
        rows(system.dynamodb, RESPONSES),
        rows(system.dynamodb, SUBSCRIBERS),
        counted(system),
    )
    assert len(responses) > 20
    assert len(people) > 8
    archive_some_again(system.chance)
    empty(system)

    status, report, _ = run(capsys)

    assert status == 0
    assert rows(system.dynamodb, RESPONSES) == responses
    assert unversioned(rows(system.dynamodb, SUBSCRIBERS)) == unversioned(people)
    assert counted(system) == counts
    assert report["responses"]["written"] == len(responses)
    assert report["subscribers"]["written"] == len(people)

    people = rows(system.dynamodb, SUBSCRIBERS)
    status, report, _ = run(capsys)
    assert status == 0
    for table in ("responses", "subscribers"):
        assert report[table]["written"] == report[table]["missing"] == report[table]["different"] == 0
    assert report["counts"]["days"] == {}
    assert rows(system.dynamodb, SUBSCRIBERS) == people
