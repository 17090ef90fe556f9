"""How the consumers of the stream read it."""

from dataclasses import dataclass
from typing import Any, Final

from aws_cdk import Duration, Token
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from sms_engagement.channel.base import check_range
from sms_engagement.durations import check_duration
from sms_engagement.functions import RuntimeFunction

RETRIES: Final = 3
"""How often a batch is tried again before its place in the stream goes to the on-failure destination."""

PARALLEL: Final = 2
"""Batches of one shard that are worked on at once; those of one subscriber never are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerBatch:
    """How much of the stream one call of a consumer is given.

    Attributes
    ----------
    size
        Records, 1 to 10,000; six megabytes end a batch before that (AWS Lambda, *CreateEventSourceMapping*).
    window
        How long it waits for so many, up to five minutes.
    """

    size: int
    window: Duration

    def __post_init__(self) -> None:
        check_range("size of a batch", self.size, 1, 10_000)
        if not Token.is_unresolved(self.window):
            check_duration("window of a batch", self.window, Duration.seconds(0), Duration.minutes(5))


def read_stream(
    scope: Construct,
    id: str,
    *,
    stream: kinesis.IStream,
    function: RuntimeFunction,
    batch: ConsumerBatch,
    failures: sqs.IQueue,
    enhanced_fan_out: bool,
    only: dict[str, Any] | None = None,
) -> None:
    """Let a function consume a stream from its beginning.

    A batch that fails is tried again from the record that the function names, then in halves, so that what
    cannot be worked on is found and does not hold up the others; where it still is in the stream goes to
    `failures`.

    Parameters
    ----------
    enhanced_fan_out
        Whether the consumer has two megabytes a second of each shard for itself.
    only
        Filter over the record's JSON (AWS Lambda, *Filtering event sources*).
    """
    pattern = None if only is None else [lambda_.FilterCriteria.filter({"data": only})]
    props: dict[str, Any] = {
        "starting_position": lambda_.StartingPosition.TRIM_HORIZON,
        "batch_size": batch.size,
        "max_batching_window": batch.window,
        "parallelization_factor": PARALLEL,
        "retry_attempts": RETRIES,
        "bisect_batch_on_error": True,
        "report_batch_item_failures": True,
        "on_failure": event_sources.SqsDlq(failures),
        "filters": pattern,
    }
    if enhanced_fan_out:
        consumer = kinesis.StreamConsumer(scope, f"{id}FanOut", stream_consumer_name=id, stream=stream)
        function.add_event_source(event_sources.KinesisConsumerEventSource(consumer, **props))
    else:
        function.add_event_source(event_sources.KinesisEventSource(stream, **props))
