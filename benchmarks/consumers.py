"""The consumers of the stream behind the baseline's contract: the product's own code over ``env``.

Each consumer is given the batches that the construct gives it. What a handler adds, settings and logging
context, is left out on this side, as it is on the other one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, cast

from sms_engagement_runtime.sms_analytics_pipeline.adapters import counted_batches, monitored_batches
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_counts import DynamoCounts

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


class _Table:
    """The methods of a DynamoDB client that the consumers call, on one table of ``env``."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def put_item(self, *, Item: Mapping[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's name
        """Put an item that was not there before."""
        self._table.put_item(Item=Item)
        return {}
