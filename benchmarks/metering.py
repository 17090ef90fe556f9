"""What the functions' own handlers ask of AWS: every call that leaves boto3, counted in what is billed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import Any, Final
from unittest.mock import patch

from botocore.client import BaseClient

from benchmarks.request_units import Usage, read_units, write_units

_READS: Final = {"GetItem", "Query", "Scan", "BatchGetItem"}
_WRITES: Final = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem"}

_S3_UNITS: Final = {
    # Amazon S3 pricing: one class of requests writes and lists, the other reads; deletions are free.
    "PutObject": "S3 writes",
    "ListObjectsV2": "S3 writes",
    "CreateMultipartUpload": "S3 writes",
    "UploadPart": "S3 writes",
    "CompleteMultipartUpload": "S3 writes",
    "GetObject": "S3 reads",
    "HeadObject": "S3 reads",
}


class Meter:
    """Counts what calls of any boto3 client cost, while it is on.

    Attributes
    ----------
    usage
        Units so far; clear it between flows.
    calls
        How many calls of each service, by its name in boto3.

    Parameters
    ----------
    on_call
        Told the service of each call; a clock may take it for the time that the call needs.
    """

    def __init__(self, on_call: Callable[[str], object] = str) -> None:
        self._on_call = on_call
        self.usage: Usage = Counter()
        self.calls: Counter[str] = Counter()
        self._schemas: dict[str, Any] = {}
        self._lock = RLock()

    def restart(self) -> None:
        """Begin at nothing."""
        self.usage, self.calls = Counter(), Counter()

    @contextmanager
    def on(self) -> Iterator[Meter]:
        """Look at every call of every client."""
        real = BaseClient._make_api_call  # type: ignore[attr-defined] # not in the stubs

        def call(client: Any, operation: str, params: dict[str, Any]) -> Any:
            with self._lock:
                return self._metered(lambda name, given: real(client, name, given), client, operation, params)

        with patch.object(BaseClient, "_make_api_call", call):
            yield self

    def _metered(self, real: Any, client: Any, operation: str, params: dict[str, Any]) -> Any:
        service = client.meta.service_model.service_name
        self.calls[service] += 1
        self._on_call(service)
        if service == "dynamodb" and operation in _WRITES:
            return self._write(real, operation, params)
        answer = real(operation, params)
        match service:
            case "dynamodb" if operation in _READS:
                self._read(operation, params, answer)
            case "dynamodb":
                raise NotImplementedError(operation)
            case "s3" if operation in _S3_UNITS:
                self.usage[_S3_UNITS[operation]] += 1
                self.usage["S3 bytes written"] += _length(params.get("Body", b""))
            case "kinesis" if operation == "PutRecords":
                # On demand, each record is rounded up to a kilobyte (Kinesis Data Streams pricing).
                sizes = [len(each["Data"]) + len(each["PartitionKey"]) for each in params["Records"]]
                self.usage["Kinesis KB in"] += sum(-(-size // 1024) for size in sizes)
            case "sns":
                self.usage["SNS messages"] += 1
            case "sqs":
                self.usage["SQS requests"] += 1
            case "events":
                self.usage["EventBridge events"] += len(params["Entries"])
            case "secretsmanager":
                self.usage["Secrets Manager requests"] += 1
            case "stepfunctions" | "kinesis" | "s3":
                # What is paid for there is not the call, or the measurement itself makes it.
                pass
            case "pinpoint-sms-voice-v2":
                self.usage["message parts"] += 1
            case _:
                raise NotImplementedError(f"{service} {operation}")
        return answer

    def _write(self, real: Any, operation: str, params: dict[str, Any]) -> Any:
        requests = list(_requests(operation, params))
        before = [self._item(real, table, self._key(real, table, request)) for table, request in requests]
        try:
            return real(operation, params)
        finally:
            # A condition that fails costs as much as the write.
            factor = 2 if operation == "TransactWriteItems" else 1
            for (table, request), was in zip(requests, before, strict=True):
                is_now = self._item(real, table, self._key(real, table, request))
                units = write_units(self._schema(real, table), was, is_now)
                self.usage["DynamoDB write units"] += factor * units

    def _read(self, operation: str, params: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        is_consistent = params.get("ConsistentRead", False)
        match operation:
            case "GetItem":
                units = read_units([answer.get("Item", {})], is_consistent=is_consistent)
            case "BatchGetItem":
                # Each item is rounded up by itself, and what is not found costs half a unit as well.
                found = [item for items in answer["Responses"].values() for item in items]
                asked = sum(len(request["Keys"]) for request in params["RequestItems"].values())
                units = sum(read_units([item], is_consistent=False) for item in found)
                units += (asked - len(found)) / 2
            case _:
                units = read_units(answer.get("Items", []), is_consistent=is_consistent)
        # Half units, as in `RequestUnits`.
        self.usage["DynamoDB read units"] += units  # type: ignore[assignment]

    def _schema(self, real: Any, table: str) -> Any:
        if table not in self._schemas:
            self._schemas[table] = real("DescribeTable", {"TableName": table})["Table"]
        return self._schemas[table]

    def _key(self, real: Any, table: str, request: Mapping[str, Any]) -> dict[str, Any]:
        keys = [each["AttributeName"] for each in self._schema(real, table)["KeySchema"]]
        found = request.get("Key") or request["Item"]
        return {name: found[name] for name in keys}

    def _item(self, real: Any, table: str, key: Mapping[str, Any]) -> dict[str, Any]:
        item: dict[str, Any] = real("GetItem", {"TableName": table, "Key": key}).get("Item", {})
        return item


def _requests(operation: str, params: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    match operation:
        case "TransactWriteItems":
            for item in params["TransactItems"]:
                (request,) = item.values()
                yield request["TableName"], request
        case "BatchWriteItem":
            for table, items in params["RequestItems"].items():
                for item in items:
                    (request,) = item.values()
                    yield table, request
        case _:
            yield params["TableName"], params


def _length(body: Any) -> int:
    return len(body.getbuffer()) if hasattr(body, "getbuffer") else len(body)


def log_kilobytes(text: str, invocations: int) -> float:
    """Return what Lambda writes for some invocations: their lines, and its own three of each.

    Lambda's lines (START, END, REPORT with the trace) are some 400 bytes; CloudWatch bills 26 bytes more a
    line (CloudWatch Logs, *PutLogEvents*).
    """
    lines = text.count("\n")
    return (len(text.encode()) + 26 * lines + invocations * (400 + 3 * 26)) / 1000


def compact(usage: Mapping[str, float]) -> dict[str, float]:
    """Round what was measured, so that the same code gives the same file."""
    rounded: dict[str, float] = json.loads(
        json.dumps({unit: round(amount, 3) for unit, amount in sorted(usage.items()) if round(amount, 3)})
    )
    return rounded
