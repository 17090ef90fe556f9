"""Telling the on-failure destination of an event source mapping what was discarded.

A queue or a topic gets metadata only, with which the records can be read from the stream again; a bucket gets
the records too:
https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html
"""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sms_local.emulator.patches._pinned import require
from sms_local.emulator.patches._stream_batches import Batch, StreamRecord
from sms_local.emulator.virtual_clock import iso


class Condition(StrEnum):
    """Why records were discarded."""

    RETRIES_EXHAUSTED = "RetryAttemptsExhausted"
    TOO_OLD = "RecordAgeExceeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded:
    """Records that the function never gets again.

    Attributes
    ----------
    function_error
        ``Unhandled`` where the last invocation raised; None where it named the records as failed, or where
        there was none.
    at
        Virtual time in epoch seconds.
    """

    batch: Batch
    condition: Condition
    function_error: str | None
    function_arn: str
    executed_version: str
    stream_arn: str
    shard_id: str
    mapping_id: str
    at: float

    def document(self) -> dict[str, Any]:
        """Return what a queue gets."""
        first, last = self._records[0], self._records[-1]
        response: dict[str, Any] = {"statusCode": 200, "executedVersion": self.executed_version}
        if self.function_error:
            response["functionError"] = self.function_error
        return {
            "requestContext": {
                "requestId": str(uuid.uuid4()),
                "functionArn": self.function_arn,
                "condition": self.condition.value,
                "approximateInvokeCount": self.batch.invocations,
            },
            **({"responseContext": response} if self.batch.invocations else {}),
            "version": "1.0",
            "timestamp": iso(self.at),
            "KinesisBatchInfo": {
                "shardId": self.shard_id,
                "startSequenceNumber": first.sequence_number,
                "endSequenceNumber": last.sequence_number,
                "approximateArrivalOfFirstRecord": iso(first.arrived_at),
                "approximateArrivalOfLastRecord": iso(last.arrived_at),
                "batchSize": len(self._records),
                "streamArn": self.stream_arn,
            },
        }

    def object_key(self) -> str:
        """Return where a bucket gets it."""
        at = datetime.fromtimestamp(self.at, UTC)
        name = f"{at:%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"
        return f"aws/lambda/{self.mapping_id}/{self.shard_id}/{at:%Y/%m/%d}/{name}"

    def object_body(self) -> str:
        """Return what a bucket gets: the records, too, as the function got them."""
        payload = json.dumps({"Records": [record.event for record in self._records]})
        return json.dumps({**self.document(), "payload": payload})

    @property
    def _records(self) -> Sequence[StreamRecord]:
        return self.batch.records


def require_destinations() -> None:
    """Stop the start when what destinations are told by is not there."""
    from ministack.services import firehose, sns, sqs

    for module, name in (
        (firehose, "_put_s3_object"),
        (sns, "_fanout"),
        (sqs, "_queue_by_arn"),
        (sqs, "queue_delay"),
    ):
        require(holds=hasattr(module, name), what=f"{module.__name__}.{name}")


def tell(destination: str, discarded: Discarded) -> None:
    """Send what was discarded to a queue, a topic or a bucket; do nothing where that is gone."""
    from ministack.services import firehose, sns

    match destination.split(":")[2]:
        case "sqs":
            _send(destination, json.dumps(discarded.document()), discarded.at)
        case "sns":
            sns._fanout(destination, str(uuid.uuid4()), json.dumps(discarded.document()), "", "", {})
        case "s3":
            bucket = destination.rpartition(":")[2]
            firehose._put_s3_object(bucket, discarded.object_key(), discarded.object_body().encode())


def _send(queue_arn: str, body: str, now: float) -> None:
    from ministack.core import concurrency
    from ministack.services import sqs

    queue: Mapping[str, Any] | None = sqs._queue_by_arn(queue_arn)
    if queue is None:
        return
    queue["messages"].append(
        {
            "id": str(uuid.uuid4()),
            "body": body,
            "md5_body": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
            "md5_attrs": "",
            "receipt_handle": None,
            "sent_at": now,
            "visible_at": now + sqs.queue_delay(queue),
            "receive_count": 0,
            "first_receive_at": None,
            "message_attributes": {},
            "sys": {"SenderId": sqs.get_account_id(), "SentTimestamp": str(int(now * 1000))},
            "group_id": None,
            "dedup_id": None,
            "dedup_cache_key": None,
            "seq": None,
        }
    )
    concurrency.esm_wake.set()
