"""Drives analytics and journeys in the embedded cloud: subscribers, runs, and what was counted and kept.

Also what goes wrong on the way: rights that are lost, batches that come again, what nobody can read.
"""

import base64
import gzip
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from sms_engagement_runtime.sms_analytics_pipeline.adapters.archive_json import unpacked
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_counts import DynamoCounts, from_item
from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import Counts, Group
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import CanonicalEvent
from sms_local.outputs import output_value
from sms_local.testing import Cloud, eventually
from tests.support.cloud_drive import client, subscriber_of, wait_until_empty

#: Longer than the longest window in which a consumer gathers records.
_WINDOWS = timedelta(minutes=6)

#: Parts of their names.
INGEST_QUEUES = ("IngestEvents", "IngestInbound")

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


def settle_stream(
    cloud: Cloud, queues: Sequence[str] = ("EventQueue", "InboundQueue", *INGEST_QUEUES)
) -> None:
    """Let pass what the stream's consumers wait for, until everything that happened is counted and kept.

    Parameters
    ----------
    queues
        Parts of the names of those that are to be empty before.
    """
    for queue in queues:
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


# --- the functions, and what goes wrong with them


def pipeline_function(cloud: Cloud, handler: str) -> str:
    """Return the name of a function of the pipeline by its handler's module."""
    functions = client(cloud, "lambda")
    (name,) = (
        function["FunctionName"]
        for page in functions.get_paginator("list_functions").paginate()
        for function in page["Functions"]
        if function["Handler"].endswith(f"sms_analytics_pipeline.handlers.{handler}.handler")
    )
    return name


@contextmanager
def refused_on(cloud: Cloud, function: str, action: str, resource: str = "*") -> Iterator[None]:
    """Let AWS refuse an action of a function on a resource for a while."""
    with _with_policy(cloud, function, {"Effect": "Deny", "Action": action, "Resource": resource}):
        yield


@contextmanager
def allowed(cloud: Cloud, function: str, action: str) -> Iterator[None]:
    """Let a function do something on any resource for a while."""
    with _with_policy(cloud, function, {"Effect": "Allow", "Action": action, "Resource": "*"}):
        yield


@contextmanager
def _with_policy(cloud: Cloud, function: str, statement: Mapping[str, str]) -> Iterator[None]:
    configuration = client(cloud, "lambda").get_function_configuration(FunctionName=function)
    role, iam = configuration["Role"].rpartition("/")[2], client(cloud, "iam")
    name = f"of-a-test-{secrets.token_hex(4)}"
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=policy)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName=name)


@contextmanager
def patient(cloud: Cloud, *functions: str) -> Iterator[None]:
    """Let consumers try a batch until it is done: how long a fault lasts is for the test to say."""
    lambda_ = client(cloud, "lambda")
    with ExitStack() as stack:
        for function in functions:
            for mapping in lambda_.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]:
                id_, retries = mapping["UUID"], mapping["MaximumRetryAttempts"]
                lambda_.update_event_source_mapping(UUID=id_, MaximumRetryAttempts=-1)
                stack.callback(lambda_.update_event_source_mapping, UUID=id_, MaximumRetryAttempts=retries)
        yield


def invoke(cloud: Cloud, function: str, event: Mapping[str, Any]) -> Any:
    """Call a function as its event source mapping does, and return its answer."""
    answer = client(cloud, "lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    content = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, content
    return content


def dead_letters(cloud: Cloud) -> dict[str, int]:
    """Return how many messages wait in each dead-letter queue of analytics that has any."""
    found = {}
    for url in cloud.sqs.list_queues()["QueueUrls"]:
        name = url.rpartition("/")[2]
        if "Analytics" in name and ("Failures" in name or "DeadLetters" in name):
            attributes = cloud.sqs.get_queue_attributes(
                QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
            )["Attributes"]
            found[name] = int(attributes["ApproximateNumberOfMessages"])
    assert found, "no dead-letter queues"
    return {name: number for name, number in found.items() if number}


# --- what arrives


def delivery_event(
    cloud: Cloud,
    phone: str,
    campaign: str,
    *,
    message_id: str,
    event_type: str = "TEXT_DELIVERED",
    at: datetime | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Return a delivery event as the service publishes it, of now; a field of None is left out."""
    event: dict[str, Any] = {
        "eventType": event_type,
        "eventVersion": "1.0",
        "eventTimestamp": milliseconds(at or cloud.now()),
        "isFinal": event_type not in {"TEXT_QUEUED", "TEXT_PENDING"},
        "originationPhoneNumber": cloud.outputs["origination"],
        "destinationPhoneNumber": phone,
        "isoCountryCode": "US",
        "messageId": message_id,
        "messageEncoding": "GSM",
        "messageType": "PROMOTIONAL",
        "messageStatus": event_type.removeprefix("TEXT_"),
        "context": {"campaign": campaign},
        "totalMessageParts": 1,
        "totalMessagePrice": 0.00581,
        "totalCarrierFee": 0.003,
        **fields,
    }
    return {name: value for name, value in event.items() if value is not None}


def publish_to_event_topic(cloud: Cloud, payloads: Sequence[Mapping[str, Any] | str]) -> None:
    """Publish to the channel's event topic, as the service does; a text as it is."""
    sns, topic = client(cloud, "sns"), cloud.outputs["topics"]["events"]
    for payload in payloads:
        sns.publish(TopicArn=topic, Message=payload if isinstance(payload, str) else json.dumps(payload))


def milliseconds(at: datetime) -> int:
    """Return an instant in epoch milliseconds."""
    return int(at.timestamp() * 1000)


# --- the stream


def put_on_stream(
    cloud: Cloud, subscriber_id: str, records: Sequence[Mapping[str, Any] | bytes]
) -> list[str]:
    """Put records of one person onto the stream in one call, and return their sequence numbers."""
    answer = client(cloud, "kinesis").put_records(
        StreamName=cloud.outputs["stream"],
        Records=[
            {
                "Data": record if isinstance(record, bytes) else json.dumps(record).encode(),
                "PartitionKey": subscriber_id,
            }
            for record in records
        ],
    )
    assert answer["FailedRecordCount"] == 0, answer
    return [record["SequenceNumber"] for record in answer["Records"]]


def stream_records(cloud: Cloud) -> list[dict[str, Any]]:
    """Return all records of the stream as a consumer gets them, each shard in order."""
    kinesis, stream = client(cloud, "kinesis"), cloud.outputs["stream"]
    found = []
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            page = kinesis.get_records(ShardIterator=iterator)
            found += [_as_consumed(shard["ShardId"], record) for record in page["Records"]]
            iterator = page.get("NextShardIterator") if page["Records"] else None
    return found


def _as_consumed(shard_id: str, record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "eventID": f"{shard_id}:{record['SequenceNumber']}",
        "eventSource": "aws:kinesis",
        "kinesis": {
            "partitionKey": record["PartitionKey"],
            "sequenceNumber": record["SequenceNumber"],
            "data": base64.b64encode(record["Data"]).decode(),
            "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
        },
    }


def streamed_event_ids(cloud: Cloud) -> list[str]:
    """Return the ids of all events on the stream; records that are none are passed over."""
    ids = []
    for record in stream_records(cloud):
        try:
            event = json.loads(base64.b64decode(record["kinesis"]["data"]))
            ids.append(event["event_id"])
        except (ValueError, TypeError, KeyError):
            continue
    return ids


# --- what was kept


def all_counted(cloud: Cloud) -> dict[Group, Counts]:
    """Return what the counts table holds of all times, by group."""
    table = output_value(cloud.outputs, "CountsTableName")
    assert table is not None
    sums: dict[Group, Counts] = {}
    for page in cloud.dynamodb.get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            for group, counts in from_item(item).items():
                sums.setdefault(group, Counts()).add(counts)
    return {group: counts for group, counts in sums.items() if counts}


def archived_events(cloud: Cloud) -> list[CanonicalEvent]:
    """Return the events of all raw objects of the archive, those that lie there twice as well."""
    return [event for body in archive_objects(cloud).values() for event in unpacked(body)]


def set_aside(cloud: Cloud, consumer: str) -> dict[str, str]:
    """Return what a consumer of the stream has in the quarantine: the reason by sequence number."""
    lines = [
        json.loads(line)
        for body in archive_objects(cloud, f"quarantine/{consumer}/").values()
        for line in body.splitlines()
    ]
    return {line["sequenceNumber"]: line["reason"] for line in lines}


def set_aside_by_ingest(cloud: Cloud) -> dict[str, str]:
    """Return what ingest has in the quarantine: the reason by what is kept of the payload."""
    return {
        body.decode(): key.rpartition("/")[2].partition("-")[0]
        for key, body in archive_objects(cloud, "quarantine/ingest/").items()
    }


def register_rows(cloud: Cloud) -> dict[str, dict[str, Any]]:
    """Return what ingest knows of messages, by their ids."""
    table = output_value(cloud.outputs, "RegisterTableName")
    assert table is not None
    pages = cloud.dynamodb.get_paginator("scan").paginate(TableName=table)
    values = TypeDeserializer()
    rows = (
        {name: values.deserialize(value) for name, value in item.items()}
        for page in pages
        for item in page["Items"]
    )
    return {row["messageId"]: row for row in rows}


def ingested_with_failures(cloud: Cloud, function: str) -> int:
    """Return how many records ingest has let come again so far, by its log."""
    configuration = client(cloud, "lambda").get_function_configuration(FunctionName=function)
    group = configuration.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{function}"
    pages = client(cloud, "logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    lines = (
        json.loads(event["message"])
        for page in pages
        for event in page["events"]
        if '"events ingested"' in event["message"]
    )
    return sum(line["failed_records"] for line in lines)
