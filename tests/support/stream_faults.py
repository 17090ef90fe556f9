"""What Lambda does around the consumers of the stream: invocations, and batches that did not get through."""

import io
import json
from collections.abc import Callable
from typing import Any

from tests.support.handlers import Context
from tests.support.pipeline_drive import STREAM

STREAM_ARN = f"arn:aws:kinesis:us-east-1:123456789012:stream/{STREAM}"
_PACKAGE = "sms_engagement_runtime.sms_analytics_pipeline.handlers"


class InProcessLambda:
    """A Lambda client whose functions are handlers of this process, by name."""

    def __init__(self, functions: dict[str, Callable[..., Any]]) -> None:
        self.functions = functions
        self.batches: list[tuple[str, list[dict[str, Any]]]] = []

    def get_function_configuration(self, FunctionName: str) -> dict[str, Any]:  # noqa: N803
        return {"Handler": f"{_PACKAGE}.{_name(FunctionName)}.handler"}

    def invoke(self, FunctionName: str, InvocationType: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        assert InvocationType == "RequestResponse"
        event = json.loads(Payload)
        self.batches.append((_name(FunctionName), event["Records"]))
        try:
            answer = self.functions[_name(FunctionName)](event, Context())
        except Exception as error:  # noqa: BLE001 - as Lambda does
            text = json.dumps({"errorType": type(error).__name__, "errorMessage": "+12025550123"})
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(text.encode())}
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


def _name(function: str) -> str:
    return function.rpartition("function:")[2].partition(":")[0]


def on_failure_document(records: list[dict[str, Any]], function: str, *, size: int | None = None) -> str:
    """What the event source mapping sends where a batch did not get through."""
    first, last = records[0], records[-1]
    return json.dumps(
        {
            "requestContext": {
                "requestId": "c9b8fa9f-5a7f-xmpl-af9c-0c604cde93a5",
                "functionArn": f"arn:aws:lambda:us-east-1:123456789012:function:{function}:$LATEST",
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": 4,
            },
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": None},
            "version": "1.0",
            "timestamp": "2026-11-21T17:00:00.000Z",
            "KinesisBatchInfo": {
                "shardId": first["eventID"].partition(":")[0],
                "startSequenceNumber": first["kinesis"]["sequenceNumber"],
                "endSequenceNumber": last["kinesis"]["sequenceNumber"],
                "approximateArrivalOfFirstRecord": "2026-11-21T17:00:00.000Z",
                "approximateArrivalOfLastRecord": "2026-11-21T17:00:00.000Z",
                "batchSize": len(records) if size is None else size,
                "streamArn": STREAM_ARN,
            },
        }
    )
