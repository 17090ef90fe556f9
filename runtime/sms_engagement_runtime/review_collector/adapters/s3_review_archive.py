"""The archive of reviews in S3: one JSON object a review."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sms_engagement_runtime.channel.adapters.aws_errors import service_call
from sms_engagement_runtime.review_collector.domain.archive import Row

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3ReviewArchive:
    """Writes reviews; reads and deletes nothing, so that its role needs no right to."""

    def __init__(self, client: S3Client, *, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def keep(self, key: str, row: Row) -> None:
        """Write a review under its key: the row as it was, names in order, so that a retry is identical."""
        # One line of ASCII: Athena reads a row a line, and other readers take U+2028 for the end of one.
        content = json.dumps(row, sort_keys=True, separators=(",", ":")) + "\n"
        with service_call("s3:PutObject"):
            self._client.put_object(
                Bucket=self._bucket, Key=key, Body=content.encode(), ContentType="application/json"
            )
