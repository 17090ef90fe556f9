"""Alarms of the pipeline: what fails, what falls behind, and what the texts themselves come to."""

from typing import TYPE_CHECKING, Final

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns

from sms_engagement.alarms import Alarms

if TYPE_CHECKING:
    from sms_engagement.sms_analytics_pipeline.construct import SmsAnalyticsPipeline

MIN_DELIVERY_PERCENT: Final = 95
MAX_OPT_OUT_PERCENT: Final = 5
MAX_ITERATOR_AGE: Final = Duration.millis(60_000)


def pipeline_alarms(pipeline: "SmsAnalyticsPipeline", topic: sns.ITopic | None) -> Alarms:
    """Make the alarms of a pipeline that is complete but for them."""
    alarms = Alarms(pipeline, "Alarms", system="analytics", topic=topic)
    alarms.add_functions(
        {
            "Ingest": pipeline.ingest,
            **pipeline.consumers,
            "SubscriptionEvents": pipeline.subscription_events,
        }
    )
    alarms.add_seldom_called({"Compaction": pipeline.archive.compact})
    alarms.add_queues(
        {
            f"Ingest{name}": (
                queue,
                Duration.minutes(15),
                "events have waited for a quarter of an hour to be taken in; figures and subscribers fall "
                "behind",
            )
            for name, queue in pipeline.ingest_queues.items()
        }
    )
    alarms.add_dead_letter_queues(pipeline.dead_letter_queues)
    alarms.add_tables(
        {
            "Responses": pipeline.responses_table,
            "Subscribers": pipeline.subscribers_table,
            "Counts": pipeline.counts_table,
            "Register": pipeline.register_table,
        }
    )
    alarms.add(
        "DeliveryRate",
        pipeline.metric_delivery_rate(),
        threshold=MIN_DELIVERY_PERCENT,
        comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
        description="fewer than 95 % of an hour's texts were delivered; ask by campaign and country which",
    )
    alarms.add(
        "OptOutRate",
        pipeline.metric_opt_out_rate(),
        threshold=MAX_OPT_OUT_PERCENT,
        comparison=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
        description="more than 5 % of those who got a text in this hour opted out; stop what is being sent",
    )
    for name, consumer in pipeline.consumers.items():
        # The last record of a batch may have waited for the others as long as the window is.
        window = int(pipeline.batches[name].window.to_milliseconds())
        alarms.add(
            f"{name}Behind",
            consumer.metric("IteratorAge", period=Duration.minutes(5), statistic=cloudwatch.Stats.MAXIMUM),
            threshold=MAX_ITERATOR_AGE.to_milliseconds() + window,
            comparison=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            description=f"{name} is more than a minute behind the stream",
        )
    alarms.add(
        "StreamThrottles",
        pipeline.stream.metric_write_provisioned_throughput_exceeded(
            period=Duration.minutes(5), statistic="Sum"
        ),
        threshold=1,
        # An on-demand stream scales within minutes; what it refused meanwhile, the queue brings again.
        periods=3,
        description="the stream has refused events for a quarter of an hour; it needs more shards",
    )
    alarms.add(
        "MalformedEvents",
        pipeline.metric_malformed_events(),
        threshold=1,
        description="an event of the bus could not be read and was left out; the log has its id",
    )
    alarms.add(
        "IngestSetAside",
        pipeline.metric_set_aside(period=Duration.minutes(15)),
        threshold=1,
        description="something arrived that is no event of a text; the quarantine keeps it with the reason",
    )
    alarms.add(
        "RecordsSetAside",
        pipeline.metrics.count("RecordsSetAside", period=Duration.minutes(15)),
        threshold=1,
        description="the stream has records that cannot be read; the quarantine keeps them with the reason",
    )
    return alarms
