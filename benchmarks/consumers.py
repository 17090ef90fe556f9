"""The consumers of the stream behind the baseline's contract: the product's own code over ``env``.

Each consumer is given the batches that the construct gives it. What a handler adds, settings and logging
context, is left out on this side, as it is on the other one; so is the one line that the handlers of answers
and of the archive log for a batch.

The response handler gets a hundred answers a call. Those are some 4,000 events of the stream, of which the
event source mapping hands it the answers only. Here nothing is filtered for it: of each 2,000 events it finds
the fifty answers itself.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final, cast

from benchmarks.answer_tables import RESPONSES, SUBSCRIBERS, AnswerTables
from sms_engagement_runtime.channel.adapters.dynamodb_item import from_item
from sms_engagement_runtime.channel.domain.sentiment import analyse
from sms_engagement_runtime.sms_analytics_pipeline.adapters import (
    answer_batches,
    counted_batches,
    monitored_batches,
    s3_archive,
)
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_counts import DynamoCounts
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_responses import DynamoResponses
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_subscribers import DynamoSubscribers
from sms_engagement_runtime.sms_analytics_pipeline.adapters.s3_archive import S3EventArchive, objects_of
from sms_engagement_runtime.sms_analytics_pipeline.domain.answering_patterns import AnsweringPatterns
from sms_engagement_runtime.sms_analytics_pipeline.domain.responses import ResponseKeeper

CANONICAL: Final = True
"""Consumers read what ingest writes."""

BATCH: Final = {"event_processor": 100, "response_handler": 2_000, "analytics": 2_000, "archive": 5_000}
"""Records a call, as the construct has them; of the archive's 10,000 six megabytes hold some 5,000."""

_RETENTION: Final = timedelta(days=400)
_workers: Final = ThreadPoolExecutor(answer_batches.WORKERS)
"""Of the process, as the handler has them."""


def analyze_sentiment(text: str) -> str:
    """Judge an inbound text."""
    return analyse(text).value


def event_processor(event: Mapping[str, Any], env: Any) -> dict[str, Any]:
    """Log and count a batch."""
    batch = monitored_batches.read(event)
    now = time.time()
    env.log.write(monitored_batches.line(batch, service="analytics", now=now, at_ms=int(now * 1000)))
    return {"processed": len(batch.events)}


def response_handler(event: Mapping[str, Any], env: Any) -> dict[str, Any]:
    """Keep the answers of a batch, each with the row of its subscriber."""
    batch = answer_batches.read(event)
    if batch is None:
        return {"processed": 0}
    counts, failed_at = answer_batches.keep_batch(batch, answer_keeper(_Answers(env)), _workers)
    assert failed_at is None
    return {"processed": sum(counts.values())}


def answer_keeper(client: AnswerTables) -> ResponseKeeper:
    """Return what keeps answers, over these tables; nobody wants to hear of any."""
    subscribers = DynamoSubscribers(cast("Any", client), SUBSCRIBERS)
    return ResponseKeeper(
        store=DynamoResponses(cast("Any", client), RESPONSES, subscribers),
        subscribers=subscribers,
        analyse=analyse,
        patterns=AnsweringPatterns.from_settings({}),
        topic=None,
        sleep=time.sleep,
        jitter=random.random,
    )


def analytics_processor(event: Mapping[str, Any], env: Any) -> dict[str, Any]:
    """Count a batch into its item and into metrics."""
    counts = DynamoCounts(cast("Any", _Table(env.messages)), table="counts", retention=_RETENTION)
    batch = counted_batches.read(event)
    for added in counted_batches.record(batch, counts):
        for line in counted_batches.lines(added, by_campaign=False, at_ms=int(time.time() * 1000)):
            env.log.write(line)
    return {"processed": len(batch.events)}


def archive_consumer(event: Mapping[str, Any], env: Any) -> dict[str, Any]:
    """Archive a batch."""
    archive = S3EventArchive(cast("Any", _Bucket(env.s3)), bucket=env.bucket)
    batch = s3_archive.read(event)
    archive.keep(objects_of(batch))
    return {"processed": batch.events}


class _Answers(AnswerTables):
    """The tables of answers and subscribers in ``env``, which counts each call and takes its time."""

    def __init__(self, env: Any) -> None:
        super().__init__(env.responses.by, env.subscribers.by)
        self._env = env
        # The benchmark assumes no latency for it: a hundred rows take about what a page of a scan does.
        env.latency.setdefault("dynamodb.BatchGetItem", env.latency.get("dynamodb.Scan", 0.0))

    def batch_get_item(self, *, RequestItems: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        """Read subscribers."""
        self._env.hit("dynamodb.BatchGetItem")
        return super().batch_get_item(RequestItems=RequestItems)

    def transact_write_items(self, *, TransactItems: Sequence[Any]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        """Write an answer and its subscriber."""
        self._env.transact_write_items(TransactItems)
        answer = super().transact_write_items(TransactItems=TransactItems)
        self._env.responses.puts.append(from_item(TransactItems[0]["Put"]["Item"]))
        return answer


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
