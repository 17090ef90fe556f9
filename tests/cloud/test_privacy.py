"""A person with something everywhere: why she got what she got, all that is kept of her, and then nothing."""

import gzip
import json
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from sms_engagement_runtime.commands.exits import ExitStatus
from sms_local.outputs import output_value
from sms_local.testing import Cloud
from tests.support.analytics_drive import (
    invoke,
    pipeline_function,
    settle_stream,
    start_journey,
    stream_records,
    subscribe,
    wait_for_texts,
)
from tests.support.appointment_drive import created_body, deliver, executions_of, new_appointment, settle
from tests.support.cloud_drive import (
    client,
    inbound,
    ledger_rows,
    new_customers,
    replace_customers,
    requests_to,
    subscriber_of,
    token_in,
    wait_until_empty,
)

NAME = "Wilhelmina Quince"
WORDS = "the marmalade was a revelation"
REPLY = "see you there, bring the accordion"
SEGMENT = "privacy"


def run(cloud: Cloud, folder: Path, *arguments: str) -> tuple[int, str]:
    """Run a command about a person; give its exit status and what it said on standard output."""
    outputs = folder / "outputs.json"
    outputs.write_text(json.dumps(cloud.outputs))
    installed = Path(sys.executable).with_name("sms-engagement")
    finished = subprocess.run(
        [installed, *arguments, "--outputs", str(outputs), "--endpoint-url", cloud.places.aws_endpoint],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=300,
    )
    return finished.returncode, finished.stdout


def everything(cloud: Cloud) -> Iterator[tuple[str, str]]:
    """Give all rows of all tables and all versions of the archives' objects as text, by where they are."""
    for page in cloud.dynamodb.get_paginator("list_tables").paginate():
        for table in page["TableNames"]:
            for rows in cloud.dynamodb.get_paginator("scan").paginate(TableName=table):
                for row in rows["Items"]:
                    yield table, json.dumps(row, ensure_ascii=False, default=repr)
    s3 = client(cloud, "s3")
    for output in ("ArchiveBucketName", "ReviewArchiveName"):
        bucket = str(output_value(cloud.outputs, output))
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for each in page.get("Versions", []):
                body = s3.get_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])[
                    "Body"
                ].read()
                text = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
                yield f"{bucket}/{each['Key']}", text.decode("latin-1")


def traces(cloud: Cloud, *needles: str) -> list[str]:
    return [place for place, text in everything(cloud) if any(each in text for each in needles)]


def test_a_person_can_be_explained_exported_and_erased_and_stays_away(
    quiet_cloud: Cloud, tmp_path: Path
) -> None:
    cloud = quiet_cloud
    (her,) = new_customers(1, name=NAME)
    phone = her.phone
    own = subscriber_of(cloud, phone)
    replace_customers(cloud, [her])
    cloud.broadcast()
    (request,) = requests_to(cloud, phone)
    review = {"token": token_in(request), "rating": 5, "reviewText": WORDS}
    assert cloud.door.post("/submit-review", json=review).status_code == 201
    appointment = new_appointment(cloud, phone, name=NAME)
    deliver(cloud, created_body(cloud, appointment))
    settle(cloud)
    subscribe(cloud, phone, SEGMENT, name=NAME)
    start_journey(cloud, "journey_welcome", {"segment": SEGMENT})
    wait_for_texts(cloud, [phone], 3)
    inbound(cloud, from_=phone, body=REPLY)
    settle_stream(cloud)
    days = [f"{cloud.now() - timedelta(days=ago):%Y-%m-%d}" for ago in (0, 1)]
    invoke(cloud, pipeline_function(cloud, "compact"), {"days": days})

    # Why she got it: by one call, which gives nothing away, and by one command.
    function = str(output_value(cloud.outputs, "TimelineFunctionName"))
    told: dict[str, Any] = invoke(cloud, function, {"phoneNumber": phone})
    assert told["subscriberId"] == own
    assert "The last text (" in told["conclusion"]
    assert {"text", "question"} <= {entry["what"] for entry in told["entries"]}
    assert phone not in json.dumps(told)
    status, text = run(cloud, tmp_path, "timeline", phone, "--json")
    assert status == ExitStatus.DONE
    whats = {entry["what"] for entry in json.loads(text)["entries"]}
    assert whats >= {"review", "reply", "appointment", "subscriber", "journey"}
    assert phone not in text

    # All that is kept of her.
    status, _ = run(cloud, tmp_path, "export", phone, "--to", str(tmp_path / "her.json"))
    assert status == ExitStatus.DONE
    document = json.loads((tmp_path / "her.json").read_text())
    assert all(document["tables"].values()), {kind: len(rows) for kind, rows in document["tables"].items()}
    assert REPLY in json.dumps(document["archive"]["events"])
    assert WORDS in json.dumps(document["tables"]["reviews"])

    # And then nothing.
    status, report = run(cloud, tmp_path, "erase", phone, "--yes")
    assert status == ExitStatus.DONE, report
    rewritten = json.loads(report)["archive"]["compacted_days"]
    assert rewritten
    assert set(rewritten) <= set(days)
    assert traces(cloud, phone, phone[2:], NAME, WORDS, REPLY) == []
    contacts = cloud.outputs["tables"]["contacts"]
    assert set(traces(cloud, own)) == {contacts}
    assert "RUNNING" not in executions_of(cloud, appointment).values()

    # Whatever tries to text her, or to bring her back, is refused.
    before = len(cloud.texts(phone))
    replace_customers(cloud, [her])
    cloud.broadcast()
    assert {(row["state"], row["reason"]) for row in ledger_rows(cloud, phone)} == {("SUPPRESSED", "ERASED")}
    for words in ("START", "HELP", "a word to whom it may concern"):
        inbound(cloud, from_=phone, body=words)
    for queue in ("EventQueue", "InboundQueue"):
        wait_until_empty(cloud, queue)
    settle_stream(cloud)
    assert len(cloud.texts(phone)) == before
    # The stream still has her, and gives her to whoever reads it anew.
    hers = [each for each in stream_records(cloud) if own.encode() in b64decode(each["kinesis"]["data"])]
    assert hers
    for name in ("response_handler", "archive"):
        invoke(cloud, pipeline_function(cloud, name), {"Records": hers})
    replace_customers(cloud, [])
    assert traces(cloud, phone, phone[2:], REPLY, "to whom it may concern") == []
