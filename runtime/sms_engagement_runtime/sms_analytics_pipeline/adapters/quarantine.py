"""What ingest could not read, kept in S3 with its reason."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sms_engagement_runtime.channel.adapters.aws_errors import service_call
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import SetAside

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX: Final = "quarantine/ingest/"

MOST_BYTES: Final = 256 * 1024
"""The largest message of Amazon SQS, when most that arrives was made, and far more than a receipt has."""

_UNFIT: Final = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME: Final = 200


class S3Quarantine:
    """Keeps each payload as an object of its own: ``quarantine/ingest/<day>/<reason>-<name>.json``.

    Day and name are the same for each delivery, so that a payload that comes again writes over itself.
    """

    def __init__(self, client: S3Client, *, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def keep(self, name: str, reason: SetAside, body: str, *, received_at: datetime) -> None:
        """Write the payload as it came, cut where it is too large.

        Raises
        ------
        ServiceCallError
            S3 did not answer. The record shall come again.
        """
        fit = _UNFIT.sub("_", name)[:_LONGEST_NAME]
        # A payload may hold half a surrogate pair, which UTF-8 cannot.
        data = body.encode("utf-8", "replace")
        with service_call("s3:PutObject"):
            self._client.put_object(
                Bucket=self._bucket,
                Key=f"{PREFIX}{received_at:%Y-%m-%d}/{reason}-{fit}.json",
                Body=data[:MOST_BYTES],
                ContentType="application/json",
                Metadata={"reason": reason.value, "bytes": str(len(data))},
            )
