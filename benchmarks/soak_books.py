"""Reads the books after a soak: carrier, tables, archive, Athena, queues and executions, from outside."""

from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from benchmarks.soak_audit import Appointment, Books, Heard, Person, Row, Sent, Stored, Totals
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_counts import from_item
from sms_local.outputs import output_value
from sms_local.testing import Cloud

DELIVERED: Final = frozenset({"TEXT_DELIVERED", "TEXT_SUCCESSFUL"})
UNFINISHED: Final = frozenset({None, "TEXT_PENDING", "TEXT_QUEUED", "TEXT_SENT"})
_ATHENA: Final = "Delivery by campaign and country"
_RATES: Final = "Response and opt-out rate by campaign"
_NOT_WELL: Final = ("FAILED", "TIMED_OUT")
"""An execution that was stopped is none: the webhook stops that of an appointment which was called off."""
_ATHENA_SECONDS: Final = 300


def read_books(
    cloud: Cloud,
    *,
    appointments: Sequence[Appointment],
    zones: Mapping[str, ZoneInfo],
    reviewed: Mapping[str, datetime],
    failed_before: Set[str] = frozenset(),
) -> Books:
    """Read everything that is compared.

    Parameters
    ----------
    appointments, zones, reviewed
        The driver's own.
    failed_before
        What `failed_executions` found before the soak: none of its business.
    """
    contacts = cloud.rows("contacts")
    phones = {row["subscriber_id"]: row["phone_number"] for row in cloud.rows("subscribers")}
    sent = _sent(cloud)
    heard = _heard(cloud, contacts)
    return Books(
        now=cloud.now(),
        sent=sent,
        rows=[_row(row) for row in cloud.rows("messages")],
        heard=heard,
        stored=[
            Stored(inbound_id=row["message_id"], phone=row["phone_number"], body=row["response_text"])
            for row in cloud.rows("responses")
        ],
        appointments=appointments,
        zones=zones,
        reviewed=reviewed,
        totals={
            "carrier": Totals(
                delivered=sum(text.is_delivered is True for text in sent),
                failed=sum(text.is_delivered is False for text in sent),
                responses=len(heard),
            ),
            "counts": _counted(cloud),
            "archive": _archived(cloud),
            "athena": _asked(cloud),
        },
        people={
            phones[row["subscriber_id"]]: Person(
                texts=int(row.get("total_messages_sent", 0)),
                responses=int(row.get("total_responses", 0)),
                status=row["subscription_status"],
            )
            for row in cloud.rows("subscribers")
        },
        dead_letters=_dead_letters(cloud),
        failed_executions=_failed_since(cloud, failed_before),
    )


def failed_executions(cloud: Cloud) -> frozenset[str]:
    """Return the ARNs of all executions that failed until now."""
    return frozenset(
        execution["executionArn"] for machine in _machines(cloud) for execution in _not_well(cloud, machine)
    )


def _sent(cloud: Cloud) -> list[Sent]:
    return [
        Sent(
            message_id=text["message_id"],
            phone=text["to"],
            body=text["body"],
            is_promotional=text["message_type"] == "PROMOTIONAL",
            intent=text["context"].get("intent"),
            sent_at=datetime.fromisoformat(text["sent_at"]),
            is_delivered=None if text["status"] in UNFINISHED else text["status"] in DELIVERED,
        )
        for text in cloud.texts()
    ]


def _heard(cloud: Cloud, contacts: Sequence[Mapping[str, Any]]) -> list[Heard]:
    handled = {
        row["subscriberId"].removeprefix("inbound#"): _from_milliseconds(row["handledAt"])
        for row in contacts
        if row["record"] == "handled"
    }
    answer = cloud.carrier.get("/control/inbound").raise_for_status()
    return [
        Heard(
            id=text["inbound_message_id"],
            phone=text["from"],
            body=text["body"],
            told_at=datetime.fromisoformat(text["told_at"]),
            handled_at=handled.get(text["inbound_message_id"]),
        )
        for text in answer.json()
    ]


def _row(row: Mapping[str, Any]) -> Row:
    return Row(
        key=row["messageKey"],
        subscriber_id=row["subscriberId"],
        construct=row["construct"],
        purpose=row["purpose"],
        occasion=row["occasion"],
        state=row["state"],
        message_id=row.get("messageId"),
        claimed_at=_from_milliseconds(row.get("claimedAt")),
        deferred_until=_from_milliseconds(row.get("deferredUntil")),
    )


def _from_milliseconds(value: Any) -> datetime | None:
    return None if value is None else datetime.fromtimestamp(int(value) / 1000, UTC)


def _counted(cloud: Cloud) -> Totals:
    table = output_value(cloud.outputs, "CountsTableName")
    assert table is not None, "no analytics are deployed"
    pages = cloud.dynamodb.get_paginator("scan").paginate(TableName=table)
    found = [counts for page in pages for item in page["Items"] for counts in from_item(item).values()]
    return Totals(
        delivered=sum(one.delivered for one in found),
        failed=sum(one.failed for one in found),
        responses=sum(one.responses for one in found),
    )


def _archived(cloud: Cloud) -> Totals:
    """Sum up the raw objects, where an event that came again lies twice."""
    delivered: set[str] = set()
    failed: set[str] = set()
    received: set[str] = set()
    for line in _archive_lines(cloud):
        kinds = {"_SMS.SUCCESS": delivered, "_SMS.FAILURE": failed, "_SMS.RECEIVED": received}
        if (kind := kinds.get(line["event_type"])) is not None:
            kind.add(line["message_id"])
    return Totals(delivered=len(delivered), failed=len(failed - delivered), responses=len(received))


def _archive_lines(cloud: Cloud) -> Iterator[dict[str, Any]]:
    s3, bucket = cloud.client("s3"), cloud.outputs["archive_bucket"]
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="events/"):
        for found in page.get("Contents", []):
            body = s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()
            yield from map(json.loads, gzip.decompress(body).splitlines())


def _asked(cloud: Cloud) -> Totals:
    delivery, rates = _ask(cloud, _ATHENA), _ask(cloud, _RATES)
    return Totals(
        delivered=sum(int(row["delivered"] or 0) for row in delivery),
        failed=sum(int(row["failed"] or 0) for row in delivery),
        responses=sum(int(row["responses"] or 0) for row in rates),
    )


def _ask(cloud: Cloud, name: str) -> list[dict[str, str | None]]:
    athena, workgroup = cloud.client("athena"), cloud.outputs["athena_workgroup"]
    saved = [
        athena.get_named_query(NamedQueryId=id_)["NamedQuery"]
        for id_ in athena.list_named_queries(WorkGroup=workgroup)["NamedQueryIds"]
    ]
    (query,) = (one for one in saved if one["Name"] == name)
    id_ = athena.start_query_execution(
        QueryString=query["QueryString"],
        QueryExecutionContext={"Database": query["Database"]},
        WorkGroup=workgroup,
    )["QueryExecutionId"]
    deadline = time.monotonic() + _ATHENA_SECONDS
    while (state := _state_of(athena, id_)) in {"QUEUED", "RUNNING"}:
        assert time.monotonic() < deadline, f"query {name} does not end"
        time.sleep(0.2)
    assert state == "SUCCEEDED", f"query {name}: {state}"
    rows: list[list[str | None]] = [
        [cell.get("VarCharValue") for cell in row["Data"]]
        for page in athena.get_paginator("get_query_results").paginate(QueryExecutionId=id_)
        for row in page["ResultSet"]["Rows"]
    ]
    header, *body = rows
    return [dict(zip(map(str, header), row, strict=True)) for row in body]


def _state_of(athena: Any, id_: str) -> str:
    state: str = athena.get_query_execution(QueryExecutionId=id_)["QueryExecution"]["Status"]["State"]
    return state


def _dead_letters(cloud: Cloud) -> dict[str, int]:
    """Return how many messages wait in the queues that no function takes from."""
    taken = {
        mapping["EventSourceArn"].rpartition(":")[2]
        for page in cloud.client("lambda").get_paginator("list_event_source_mappings").paginate()
        for mapping in page["EventSourceMappings"]
    }
    urls = {url.rpartition("/")[2]: url for url in cloud.sqs.list_queues().get("QueueUrls", [])}
    return {
        name: int(
            cloud.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])[
                "Attributes"
            ]["ApproximateNumberOfMessages"]
        )
        for name, url in urls.items()
        if name not in taken and not name.startswith("test-")
    }


def _machines(cloud: Cloud) -> list[Any]:
    return [
        machine
        for page in cloud.stepfunctions.get_paginator("list_state_machines").paginate()
        for machine in page["stateMachines"]
    ]


def _failed_since(cloud: Cloud, failed_before: Set[str]) -> dict[str, int]:
    machines = _machines(cloud)
    failed: Counter[str] = Counter({machine["name"]: 0 for machine in machines})
    for machine in machines:
        for execution in _not_well(cloud, machine):
            if execution["executionArn"] not in failed_before:
                about = cloud.stepfunctions.describe_execution(executionArn=execution["executionArn"])
                failed[f"{machine['name']} ({about.get('error', about['status'])})"] += 1
    return dict(failed)


def _not_well(cloud: Cloud, machine: Mapping[str, Any]) -> Iterator[Any]:
    if machine.get("type") == "EXPRESS":  # its executions are not kept
        return
    pages = cloud.stepfunctions.get_paginator("list_executions")
    for status in _NOT_WELL:
        for page in pages.paginate(
            stateMachineArn=machine["stateMachineArn"],
            statusFilter=status,
        ):
            yield from page["executions"]
