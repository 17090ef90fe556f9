"""Empty the embedded cloud of data; the stacks stay as they are deployed."""

from collections.abc import Callable, Iterator, Mapping
from itertools import batched
from typing import TYPE_CHECKING, Any

import httpx

from sms_local import aws, people
from sms_local.carrier.clock import CLOCK_PATH
from sms_local.outputs import output_value
from sms_local.places import Places
from sms_local.record import read_record
from sms_local.subscribers import load_subscribers

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

#: BatchWriteItem takes 25 requests, DeleteObjects 1,000 keys (their API references).
_ROWS_A_CALL = 25
_KEYS_A_CALL = 1000

#: Outputs of tables that nobody drives from outside, and of buckets.
_FIGURES = "ReviewFiguresTableName"
_INNER_TABLES = ("CountsTableName", "RegisterTableName", "EnrolmentsTableName")
_BUCKETS = ("BroadcastBucketName", "ReviewArchiveName", "ArchiveBucketName", "JourneyBucketName")

#: A function of a stopped execution runs to its end; rows that it writes after this long stay.
_QUIET_SECONDS = 15


def empty_everything(
    places: Places,
    outputs: Mapping[str, Any],
    *,
    say: Callable[[str], None],
    client: Callable[[str], Any] | None = None,
) -> None:
    """Stop what runs, delete all rows, run data, queued and sent messages, and load the demo people.

    The clock goes back to where it began.

    Parameters
    ----------
    places
        Where the embedded cloud listens.
    outputs
        As `sms_local.outputs.read_outputs` returns them.
    say
        Takes one sentence a stage.
    client
        Makes the client of a service, as `sms_local.aws.Clients`, for whoever does this again and again.
    """
    client = client or aws.Clients(places.aws_endpoint)
    runs = _stop_executions(client("stepfunctions"))
    for what in ("messages", "opt-outs"):
        answer = httpx.delete(f"{places.carrier_endpoint}/control/{what}", timeout=10, trust_env=False)
        answer.raise_for_status()
    _purge_queues(client("sqs"))
    _put_clock_back(places)
    inner = (output_value(outputs, name) for name in _INNER_TABLES)
    # The figures first: a review that is deleted then has nothing left to be taken off.
    tables = [
        table
        for table in (output_value(outputs, _FIGURES), *outputs["tables"].values(), *inner)
        if table is not None
    ]
    rows = sum(_empty_table(client("dynamodb"), table) for table in tables)
    buckets = (output_value(outputs, name) for name in _BUCKETS)
    objects = sum(_empty_bucket(client("s3"), bucket) for bucket in buckets if bucket)
    say(f"Deleted {rows} rows and {objects} objects, stopped {runs} executions")
    httpx.post(f"{places.front_door}/api/forget", json={}, timeout=10, trust_env=False).raise_for_status()
    say("Cleared the carrier simulator and the phones")
    customers = outputs["tables"].get("customers")
    if customers is not None:
        say(f"Loaded {people.load_people(client('dynamodb'), customers)} demo people")
    subscribed = load_subscribers(outputs, client)
    if subscribed:
        say(f"{subscribed} of them are subscribers")


def _put_clock_back(places: Places) -> None:
    """Put the clock back to its start, once what still ran has ended, or is not waited for any longer."""
    record = read_record(places)
    if record is None:
        return
    url = f"{places.aws_endpoint}{CLOCK_PATH}"
    httpx.get(url, params={"quiet_within": _QUIET_SECONDS}, timeout=2 * _QUIET_SECONDS, trust_env=False)
    back = {"at": record.clock_start.isoformat(), "back": True}
    httpx.post(url, json=back, timeout=20, trust_env=False).raise_for_status()


def _stop_executions(stepfunctions: "SFNClient") -> int:
    """Stop the executions of all state machines; one that nobody knows would go on by the former clock."""
    machines = [
        machine["stateMachineArn"]
        for page in stepfunctions.get_paginator("list_state_machines").paginate()
        for machine in page["stateMachines"]
    ]
    stopped = 0
    for machine in machines:
        pages = stepfunctions.get_paginator("list_executions").paginate(
            stateMachineArn=machine, statusFilter="RUNNING"
        )
        for execution in (one for page in pages for one in page["executions"]):
            stepfunctions.stop_execution(executionArn=execution["executionArn"], cause="sms-local reset")
            stopped += 1
    return stopped


def _purge_queues(sqs: "SQSClient") -> None:
    for url in sqs.list_queues().get("QueueUrls", []):
        sqs.purge_queue(QueueUrl=url)


def _empty_table(dynamodb: "DynamoDBClient", table: str) -> int:
    names = [
        element["AttributeName"] for element in dynamodb.describe_table(TableName=table)["Table"]["KeySchema"]
    ]
    deleted = 0
    for keys in batched(_keys(dynamodb, table, names), _ROWS_A_CALL, strict=False):
        requests: dict[str, Any] = {table: [{"DeleteRequest": {"Key": key}} for key in keys]}
        while requests:
            requests = dict(dynamodb.batch_write_item(RequestItems=requests)["UnprocessedItems"])
        deleted += len(keys)
    return deleted


def _keys(dynamodb: "DynamoDBClient", table: str, names: list[str]) -> Iterator[dict[str, Any]]:
    pages = dynamodb.get_paginator("scan").paginate(TableName=table)
    # Read whole before anything is deleted: a scan over a table that shrinks meanwhile may leave rows out.
    rows = [row for page in pages for row in page["Items"] if not _belongs_to_the_stack(row)]
    return ({name: row[name] for name in names} for row in rows)


def _belongs_to_the_stack(row: Mapping[str, Any]) -> bool:
    """Tell whether a row is no data: what the origination identity had before the stack came."""
    return str(row.get("record", {}).get("S", "")).startswith("origination#")


def _empty_bucket(s3: "S3Client", bucket: str) -> int:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
    for some in batched(keys, _KEYS_A_CALL, strict=False):
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in some]})
    return len(keys)
