"""Drives analytics and journeys in the embedded cloud: subscribers, runs, and what was counted and kept."""

import gzip
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from boto3.dynamodb.types import TypeSerializer

from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_counts import DynamoCounts
from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Counts, Group
from sms_local.outputs import output_value
from sms_local.testing import Cloud, eventually
from tests.support.cloud_drive import client, subscriber_of, wait_until_empty

#: Longer than the longest window in which a consumer gathers records.
_WINDOWS = timedelta(minutes=6)

_plain = TypeSerializer()


def subscribe(cloud: Cloud, phone: str, segment: str, *, status: str = "NEW", **attributes: str) -> str:
    """Put a subscriber into the table, as somebody would by hand, and return the id."""
    created_ms = int(cloud.now().timestamp() * 1000)
    subscriber_id = subscriber_of(cloud, phone)
    row: dict[str, Any] = {
        "subscriber_id": subscriber_id,
        "phone_number": phone,
        "subscription_status": status,
        "created_at": created_ms,
        "updated_at": created_ms,
        "total_messages_sent": 0,
        "total_responses": 0,
        "attributes": {"segment": segment, **attributes},
        "segment": segment,
    }
    if status == "ACTIVE":
        row["opt_in_timestamp"] = created_ms
    cloud.dynamodb.put_item(
        TableName=cloud.outputs["tables"]["subscribers"],
        Item={name: _plain.serialize(value) for name, value in row.items()},
    )
    return subscriber_id


def subscriber(cloud: Cloud, phone: str) -> dict[str, Any]:
    """Return the row of a subscriber."""
    (row,) = (row for row in cloud.rows("subscribers") if row["subscriber_id"] == subscriber_of(cloud, phone))
    return row


def start_journey(cloud: Cloud, name: str, request: Mapping[str, Any]) -> str:
    """Start a journey by its key in the outputs, and return the execution's ARN."""
    machine = cloud.outputs["state_machines"][name]
    started = cloud.stepfunctions.start_execution(stateMachineArn=machine, input=json.dumps(request))
    return started["executionArn"]


def bodies_to(cloud: Cloud, phone: str) -> list[str]:
    """Return what a phone got, in order."""
    return [text["body"] for text in cloud.texts(phone)]


def wait_for_texts(cloud: Cloud, phones: list[str], number: int) -> None:
    """Wait until each of the phones has so many texts."""
    eventually(
        lambda: all(len(cloud.texts(phone)) >= number for phone in phones), what=f"{number} texts a phone"
    )


def settle_stream(cloud: Cloud) -> None:
    """Let pass what the stream's consumers wait for, until everything that happened is counted and kept."""
    for queue in ("Ingest", "EventQueue", "InboundQueue"):
        wait_until_empty(cloud, queue)
    cloud.advance(_WINDOWS)


def counted(cloud: Cloud) -> dict[Group, Counts]:
    """Return what the counts table holds, by group."""
    table = output_value(cloud.outputs, "CountsTableName")
    assert table is not None
    today = cloud.now().date()
    counts = DynamoCounts(cloud.dynamodb, table=table, retention=timedelta(days=1))
    return counts.read(today - timedelta(days=40), today)


def metric_sums(cloud: Cloud) -> dict[str, float]:
    """Return the sums of the business metrics without dimensions, as CloudWatch gives them."""
    cloudwatch = client(cloud, "cloudwatch")
    sums = {}
    for name in ("MessagesDelivered", "MessagesFailed", "ResponsesReceived", "OptOuts", "TotalCostUSD"):
        points = cloudwatch.get_metric_statistics(
            Namespace="SMS/Marketing",
            MetricName=name,
            StartTime=cloud.now() - timedelta(days=40),
            EndTime=cloud.now() + timedelta(hours=1),
            Period=86_400,
            Statistics=["Sum"],
        )["Datapoints"]
        sums[name] = sum(point["Sum"] for point in points)
    return sums


def archive_objects(cloud: Cloud, prefix: str = "events/") -> dict[str, bytes]:
    """Return the objects of the archive below a prefix, by key."""
    s3, bucket = client(cloud, "s3"), cloud.outputs["archive_bucket"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {
        found["Key"]: s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()
        for page in pages
        for found in page.get("Contents", [])
    }


def archived_lines(cloud: Cloud) -> list[dict[str, Any]]:
    """Return the lines of all raw objects of the archive."""
    return [
        json.loads(line)
        for body in archive_objects(cloud).values()
        for line in gzip.decompress(body).splitlines()
    ]


def ask_athena(
    cloud: Cloud, name: str, replace: Mapping[str, str] | None = None
) -> list[dict[str, str | None]]:
    """Run a saved query of the workgroup by its name and return its rows.

    Parameters
    ----------
    replace
        Parts of the query to be replaced.
    """
    athena, workgroup = client(cloud, "athena"), cloud.outputs["athena_workgroup"]
    saved = [
        athena.get_named_query(NamedQueryId=id_)["NamedQuery"]
        for id_ in athena.list_named_queries(WorkGroup=workgroup)["NamedQueryIds"]
    ]
    (query,) = (each for each in saved if each["Name"] == name)
    text = query["QueryString"]
    for old, new in (replace or {}).items():
        assert old in text
        text = text.replace(old, new)
    started = athena.start_query_execution(
        QueryString=text, QueryExecutionContext={"Database": query["Database"]}, WorkGroup=workgroup
    )["QueryExecutionId"]

    def status() -> dict[str, Any] | None:
        found: dict[str, Any] = athena.get_query_execution(QueryExecutionId=started)["QueryExecution"][
            "Status"
        ]
        return found if found["State"] in {"SUCCEEDED", "FAILED", "CANCELLED"} else None

    ended = eventually(status, what=f"the end of query {name}")
    assert ended["State"] == "SUCCEEDED", ended
    rows = athena.get_query_results(QueryExecutionId=started)["ResultSet"]["Rows"]
    header, *body = ([cell.get("VarCharValue") for cell in row["Data"]] for row in rows)
    return [dict(zip(header, row, strict=True)) for row in body]
