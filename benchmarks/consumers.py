"""The consumers of the stream behind the baseline's contract: the product's own code over ``env``.

Each consumer is given the batches that the construct gives it. What a handler adds, settings and logging
context, is left out on this side, as it is on the other one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, cast

from sms_engagement_runtime.sms_analytics_pipeline.adapters import (
    counted_batches,
    monitored_batches,
    s3_archive,
)
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_counts import DynamoCounts
from sms_engagement_runtime.sms_analytics_pipeline.adapters.s3_archive import S3EventArchive, objects_of

CANONICAL: Final = True
"""Consumers read what ingest writes."""

BATCH: Final = {"event_processor": 100, "response_handler": 100, "analytics": 2_000, "archive": 5_000}
"""Records a call, as the construct has them; of the archive's 10,000 six megabytes hold some 5,000."""

_RETENTION: Final = timedelta(days=400)


def event_processor(event: Mapping[str, Any], env: Any) -> dict[str, Any]:
    """Log and count a batch."""
    batch = monitored_batches.read(event)
    now = time.time()
    env.log.write(monitored_batches.line(batch, service="analytics", now=now, at_ms=int(now * 1000)))
    return {"processed": len(batch.events)}


def analytics_processor(event: Mapping[str, Any], env: Any) -> dict[str, Any]:
    """Count a batch into its item and into metrics."""
    counts = DynamoCounts(cast("Any", _Table(env.messages)), table="counts", retention=_RETENTION)
    batch = counted_batches.read(event)
    added = counted_batches.record(batch, counts)
    for line in counted_batches.lines(added, by_campaign=False, at_ms=int(time.time() * 1000)):
        env.log.write(line)
    return {"processed": len(batch.events)}


def archive_consumer(event: Mapping[str, Any], env: Any) -> dict[str, Any]:
    """Archive a batch."""
    archive = S3EventArchive(cast("Any", _Bucket(env.s3)), bucket=env.bucket)
    batch = s3_archive.read(event)
    archive.keep(objects_of(batch))
    return {"processed": len(batch.events)}


class _Bucket:
    """The methods of an S3 client that the consumers call."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    def put_object(self, **arguments: Any) -> dict[str, Any]:
        """Put an object."""
        self._s3.put_object(**arguments)
        return {}


class _Table:
    """The methods of a DynamoDB client that the consumers call, on one table of ``env``."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def put_item(self, *, Item: Mapping[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's name
        """Put an item that was not there before."""
        self._table.put_item(Item=Item)
        return {}
