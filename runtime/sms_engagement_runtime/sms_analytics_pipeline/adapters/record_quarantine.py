"""What a consumer could not read, kept in S3 with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from sms_engagement_runtime.channel.adapters.aws_errors import service_call

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from sms_engagement_runtime.sms_analytics_pipeline.adapters.kinesis_records import RejectedRecord

PREFIX: Final = "quarantine/"

_encode_lines = msgspec.json.Encoder().encode_lines


class RecordQuarantine:
    """Keeps records that cannot be read: one object a batch that has some.

    The key is made of consumer, shard and the first of these records, so that a batch that comes again, whole
    or in halves, writes over what it wrote.
    """

    def __init__(self, client: S3Client, *, bucket: str, consumer: str) -> None:
        self._client = client
        self._bucket = bucket
        self._consumer = consumer

    def keep(self, shard_id: str, rejected: Sequence[RejectedRecord]) -> None:
        """Write the records, if there are any: ``{"shardId", "sequenceNumber", "reason", "data"}`` a line.

        Raises
        ------
        ServiceCallError
            S3 did not answer. The batch shall come again.
        """
        if not rejected:
            return
        body = _encode_lines(
            [
                {
                    "shardId": shard_id,
                    "sequenceNumber": record.sequence_number,
                    "reason": record.reason,
                    "data": record.data,
                }
                for record in rejected
            ]
        )
        with service_call("s3:PutObject"):
            self._client.put_object(
                Bucket=self._bucket,
                Key=f"{PREFIX}{self._consumer}/{shard_id}-{rejected[0].sequence_number}.jsonl",
                Body=body,
                ContentType="application/x-ndjson",
            )
