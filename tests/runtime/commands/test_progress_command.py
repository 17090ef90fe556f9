"""``sms-engagement progress``, over a bucket in moto."""

import json

import boto3
import pytest
from moto import mock_aws

from sms_engagement_runtime.channel.adapters.run_store import S3RunStore
from sms_engagement_runtime.channel.domain.broadcast.outcomes import Tally
from sms_engagement_runtime.channel.domain.broadcast.planning import Next, Progress, Turn
from sms_engagement_runtime.channel.domain.broadcast.run import Part, PartReport, Run
from sms_engagement_runtime.commands import main as command
from tests.support.fakes import START

BUCKET = "broadcast"
RUN = Run(run_id="run-1", started_at=START)


@pytest.fixture
def store():
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield S3RunStore(client, bucket=BUCKET)


def progress(run_id, bucket=BUCKET):
    return command.main(["progress", "--broadcast-bucket", bucket, "--run", run_id])


def test_a_run_is_shown_in_figures_as_they_are_at_this_moment(store, capsys):
    parts = [Part(key=RUN.part_key(f"00000{n}-t"), group="America/New_York", people=3) for n in (1, 2)]
    plan = Progress(
        run=RUN,
        customers=7,
        recipients=6,
        parts=[],
        tally=Tally(people=1, outcomes={"SUPPRESSED": 1}, reasons={"NO_PHONE": 1}),
        results=[],
        turn=1,
        answer=Turn(number=1, next=Next.SEND, manifest_key=RUN.wave_key(1)),
        waves=1,
        wave_parts=parts,
    )
    store.write_json(RUN.plan_key, plan.to_json())
    report = PartReport(ended_at=START, final=Tally(people=3, outcomes={"ACCEPTED": 3}, parts=3))
    store.write_json(f"{RUN.report_prefix(1)}{parts[0].name}.json", report.to_json())

    assert progress("run-1") == 0

    shown = json.loads(capsys.readouterr().out)
    assert (shown["customers"], shown["remaining"], shown["sending"]) == (7, 3, 3)
    assert shown["outcomes"] == {"ACCEPTED": 3, "SUPPRESSED": 1}


def test_a_run_that_nobody_knows_is_an_error_in_one_sentence(store, capsys):
    assert progress("run-0") == 1
    assert capsys.readouterr().err == (
        "sms-engagement: there is no run run-0, or it has not seen its whole audience yet\n"
    )


def test_a_bucket_that_cannot_be_read_is_an_error_in_one_sentence(store, capsys):
    assert progress("run-1", bucket="elsewhere") == 1
    assert capsys.readouterr().err == (
        "sms-engagement: the bucket elsewhere could not be used: s3:ListObjectsV2: NoSuchBucket\n"
    )
