"""SmsAnalyticsPipeline: every delivery event and every answer, counted, kept and usable."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from aws_cdk import Annotations, Duration, RemovalPolicy, Size
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from sms_engagement._acknowledge import acknowledge, acknowledge_wildcard
from sms_engagement.channel.base import MESSAGES_INDEX, SmsChannelBase, check_range, grant_actions
from sms_engagement.checks import add_doubts, check_key
from sms_engagement.data import place_of_data
from sms_engagement.durations import check_duration
from sms_engagement.functions import FunctionOptions, RuntimeFunction, grant_key
from sms_engagement.metrics import business_metric
from sms_engagement.queues import allow_services, dead_letter_queue, encrypted_queue
from sms_engagement.sms_analytics_pipeline.alarms import pipeline_alarms
from sms_engagement.sms_analytics_pipeline.archive import ArchiveLifecycle, EventArchive
from sms_engagement.sms_analytics_pipeline.consumers import ConsumerBatch, read_stream
from sms_engagement.sms_analytics_pipeline.dashboard import pipeline_dashboard
from sms_engagement.sms_analytics_pipeline.log_queries import pipeline_queries
from sms_engagement.sms_analytics_pipeline.metrics import (
    MINIMUM_VOLUME,
    STANDARD_NAMESPACE,
    MarketingMetrics,
    check_namespace,
    doubt_of_namespace,
)
from sms_engagement.tables import TableKeys, check_table, on_demand_table
from sms_engagement_runtime.sms_analytics_pipeline.domain.answering_patterns import AnsweringPatterns
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import EventType

CAMPAIGN_INDEX: Final = "campaign_id-response_key-index"
"""The answers to a campaign, by time."""

SEGMENT_INDEX: Final = "segment-subscription_status-index"
"""The subscribers of a segment, by status."""

_RESPONSES_KEYS: Final = TableKeys(
    partition_key="subscriber_id",
    sort_key="response_key",
    indexes={CAMPAIGN_INDEX: ("campaign_id", "response_key", dynamodb.AttributeType.STRING)},
    time_to_live="ttl",
)
_SUBSCRIBERS_KEYS: Final = TableKeys(
    partition_key="subscriber_id",
    indexes={SEGMENT_INDEX: ("segment", "subscription_status", dynamodb.AttributeType.STRING)},
    time_to_live=None,
)
_SERVICE: Final = "analytics"
_INGEST_TIMEOUT: Final = Duration.seconds(60)
_COUNTS_RETENTION: Final = Duration.days(400)
_ERASED: Final = "erased"
"""Partition of the contacts table that lists who was erased."""

_QUARANTINE: Final = "quarantine/*"
# A function's environment holds four kilobytes (Lambda, *Quotas*).
_MAX_PATTERN_BYTES: Final = 2_500

EVENT_BATCH: Final = ConsumerBatch(size=100, window=Duration.seconds(5))
REPLY_BATCH: Final = ConsumerBatch(size=100, window=Duration.seconds(5))
ANALYTICS_BATCH: Final = ConsumerBatch(size=2_000, window=Duration.seconds(5))
ARCHIVE_BATCH: Final = ConsumerBatch(size=10_000, window=Duration.minutes(5))


class SmsAnalyticsPipeline(Construct):
    """Channel topics → ingest → Kinesis → four consumers: log, responses, counts, archive.

    Parameters
    ----------
    channel
        Whose delivery events and inbound texts are taken in.
    stream
        A stream that exists already; one is made when left out. Its retention and shards are its owner's.
    responses_table, subscribers_table
        Tables that exist already: the keys ``subscriber_id`` and ``response_key`` with the index
        ``campaign_id-response_key-index`` and time to live ``ttl``; the key ``subscriber_id`` with the index
        ``segment-subscription_status-index``; all strings. Made when left out.
    response_topic
        A topic that exists already, for the answers that match `notify_patterns`; one is made when left out.
    stream_retention
        How long the stream keeps an event, so that consumers can be run again: 1 to 365 days, 365 when left
        out.
    provisioned_shards
        For a load that is known and steady: so many shards, 2 and more. Left out, the stream scales and is
        billed by use.
    enhanced_fan_out
        Each consumer gets two megabytes a second of each shard for itself, at a price. Without it, all
        readers of a shard share two megabytes and five reads a second (AWS, *Quotas and limits*), and the
        four consumers keep up with half a megabyte a second, some thousand events: more than the fastest
        number sends. For more, or for readers of your own, switch it on.
    event_batch, reply_batch, analytics_batch, archive_batch
        What one call of each consumer is given: 100 records or 5 s; 2,000 or 5 s for the counts; 10,000 or
        5 min for the archive, whose objects are better large.
    metrics_by_campaign
        Metrics with dimension ``CampaignId``. Five for each campaign, some $1.50 a month each campaign that
        was sent in it; without it, campaigns are counted in the table and in Athena.
    minimum_volume
        Texts an hour below which the rates of the alarms say nothing.
    metric_namespace
        Of the metrics. Their names and dimensions are fixed, so two pipelines of one account and Region would
        add up their figures: give the second one another, as ``SMS/Marketing/staging``.
    event_bridge_events
        Take delivery events from the account's default event bus, too, as a second way beside the event
        topic. They come without phone number and context and are best-effort (AWS, *Monitoring with
        EventBridge*): one of a message that the topic tells of only later waits for that, and one of a
        message that was never sent through this channel is set aside, since nobody knows whose it is.
    notify_patterns
        Name to words or phrases: an answer that has one of them is told of on `response_topic`.
    scan_limit, archive_lifecycle, compaction_hour
        Of the archive: see `EventArchive`. What people wrote is kept for ever unless `archive_lifecycle` says
        when it is deleted.
    encryption_key
        Customer managed key of stream, tables and archive; the channel's when left out, and keys that AWS
        manages where it has none.
    dashboard
        Whether to make one in CloudWatch ($3 a month from the fourth on in an account).
    function_options
        Of all functions; the channel's when left out.
    alarm_topic
        Where alarms go; the channel's topic when left out.
    data_scope
        Where stream, tables and archive bucket are made; inside this construct when left out.
    removal_policy
        Of stream, tables and archive. ``RETAIN`` protects the tables from deletion as well.

    Attributes
    ----------
    stream
        Canonical events, one a record; the partition key is the subscriber id.
    responses_table, subscribers_table
        Answers of a year, by subscriber and by campaign; who the subscribers are.
    counts_table, register_table
        Counts by batch; which messages were seen.
    archive
        Bucket, catalogue, Athena workgroup and saved queries.
    ingest, event_processor, response_handler, analytics, archiver, subscription_events
        The functions. ``consumers`` are the four that read the stream, by name, ``batches`` what they read.
    ingest_queues
        Between the topics and ingest, by name: ``Events``, ``Inbound``, ``EventBridge``.
    dead_letter_queues
        What could not be processed, by name; 14 days.
    response_topic
        Answers that match `notify_patterns`.
    metrics
        Every metric and rate of the pipeline, also those by campaign and country.
    alarms, dashboard, saved_queries
        What to look at. None for what is left out.

    Notes
    -----
    *Failure path*: a record that cannot be read is set aside with its reason and stops nothing. A batch that
    fails for another reason three times leaves its place in the stream in a dead-letter queue, with an alarm;
    ``sms-engagement redrive`` reads it again once the cause is gone. Every step is idempotent.

    *Cost*: the stream (on demand, billed by the hour and the gigabyte), two writes of the register and one of
    a subscriber for each event, storage. A text itself costs ten times all of it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        channel: SmsChannelBase,
        stream: kinesis.IStream | None = None,
        responses_table: dynamodb.ITable | None = None,
        subscribers_table: dynamodb.ITable | None = None,
        response_topic: sns.ITopic | None = None,
        stream_retention: Duration | None = None,
        provisioned_shards: int | None = None,
        enhanced_fan_out: bool = False,
        event_batch: ConsumerBatch = EVENT_BATCH,
        reply_batch: ConsumerBatch = REPLY_BATCH,
        analytics_batch: ConsumerBatch = ANALYTICS_BATCH,
        archive_batch: ConsumerBatch = ARCHIVE_BATCH,
        metrics_by_campaign: bool = False,
        minimum_volume: int = MINIMUM_VOLUME,
        metric_namespace: str = STANDARD_NAMESPACE,
        event_bridge_events: bool = False,
        notify_patterns: Mapping[str, Sequence[str]] | None = None,
        scan_limit: Size | None = None,
        archive_lifecycle: ArchiveLifecycle | None = None,
        compaction_hour: int = 3,
        encryption_key: kms.IKey | None = None,
        dashboard: bool = True,
        function_options: FunctionOptions | None = None,
        alarm_topic: sns.ITopic | None = None,
        data_scope: Construct | None = None,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        if stream is not None and (stream_retention is not None or provisioned_shards is not None):
            raise ValueError(
                "stream_retention and provisioned_shards are of the stream that is made, got them beside the "
                "stream that exists; leave them out, or leave stream out"
            )
        stream_retention = stream_retention or Duration.days(365)
        check_duration("stream_retention", stream_retention, Duration.days(1), Duration.days(365))
        if provisioned_shards is not None:
            check_range("provisioned_shards", provisioned_shards, 1, 10_000)
        check_range("minimum_volume", minimum_volume, 1, 1_000_000)
        check_namespace(metric_namespace)
        patterns = _patterns_setting(notify_patterns or {})
        if channel.event_topic is None or channel.inbound_topic is None:
            raise ValueError(
                f"channel {channel.node.path} was imported without its topics, so nothing could be counted; "
                f"give event_topic_arn and inbound_topic_arn in SmsChannelAttributes"
            )
        doubts = [
            *check_table("responses_table", responses_table, _RESPONSES_KEYS),
            *check_table("subscribers_table", subscribers_table, _SUBSCRIBERS_KEYS),
        ]
        key = encryption_key or channel.encryption_key
        check_key("responses_table", responses_table, key)
        check_key("subscribers_table", subscribers_table, key)
        channel.check_region(scope)
        super().__init__(scope, id)
        add_doubts(self, doubts)
        self.channel = channel
        self.minimum_volume = minimum_volume
        self.metrics = MarketingMetrics(namespace=metric_namespace, minimum_volume=minimum_volume)
        self.function_options = function_options or channel.function_options
        self._key = key
        if encryption_key is not channel.encryption_key:
            allow_services(self, encryption_key)
        self._removal_policy = removal_policy
        self._data = place_of_data(self, data_scope)
        self._fan_out = enhanced_fan_out
        self.dead_letter_queues: dict[str, sqs.IQueue] = {}
        self.consumers: dict[str, RuntimeFunction] = {}
        self.batches: dict[str, ConsumerBatch] = {}
        self.ingest_queues: dict[str, sqs.Queue] = {}

        self.stream = stream or self._stream(stream_retention, provisioned_shards)
        self._build_tables(responses_table, subscribers_table)
        self.archive = EventArchive(
            self,
            "Archive",
            encryption_key=self._key,
            function_options=self.function_options,
            removal_policy=removal_policy,
            scan_limit=scan_limit,
            lifecycle=archive_lifecycle,
            compaction_hour=compaction_hour,
            data_scope=None if self._data is self else self._data,
        )
        self.dead_letter_queues["CompactionDeadLetters"] = self.archive.dead_letter_queue
        self._build_ingest(channel.event_topic, channel.inbound_topic)
        if event_bridge_events:
            self._take_event_bridge_events()
        self._build_event_processor(event_batch)
        self._build_response_handler(reply_batch, patterns, response_topic)
        self._build_analytics(analytics_batch, by_campaign=metrics_by_campaign)
        self._build_archiver(archive_batch)
        self._build_subscription_events()
        self.alarms = pipeline_alarms(self, alarm_topic or channel.alarm_topic)
        self.saved_queries = pipeline_queries(self) if self.function_options.saved_queries else None
        self.dashboard = pipeline_dashboard(self) if dashboard else None
        if doubt := doubt_of_namespace(self, metric_namespace):
            Annotations.of(self).add_warning_v2("sms-engagement:shared-metrics", doubt)
        if provisioned_shards == 1 and not enhanced_fan_out:
            Annotations.of(self).add_warning_v2(
                "sms-engagement:one-shard",
                "one shard takes a thousand events a second and stops taking any beyond that; "
                "leave provisioned_shards out for a stream that scales",
            )

    def metric_delivered(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Texts that were delivered, each once."""
        return self.metrics.count("MessagesDelivered", period=period, statistic=statistic)

    def metric_failed(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Texts that were not delivered, each once."""
        return self.metrics.count("MessagesFailed", period=period, statistic=statistic)

    def metric_responses(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Inbound texts."""
        return self.metrics.count("ResponsesReceived", period=period, statistic=statistic)

    def metric_opt_outs(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Opt-outs."""
        return self.metrics.count("OptOuts", period=period, statistic=statistic)

    def metric_cost(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """US dollars that the texts cost, without the carriers' fees."""
        return self.metrics.count("TotalCostUSD", period=period, statistic=statistic)

    def metric_set_aside(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Payloads that arrived and could not be read; the quarantine has them, with the reason."""
        return business_metric(self, _SERVICE, "IngestSetAside", period=period, statistic=statistic)

    def metric_malformed_events(
        self, *, period: Duration | None = None, statistic: str | None = None
    ) -> cloudwatch.Metric:
        """Count events of the bus that could not be read, and were left out."""
        return business_metric(self, _SERVICE, "MalformedEvents", period=period, statistic=statistic)

    def metric_delivery_rate(self, *, period: Duration | None = None) -> cloudwatch.MathExpression:
        """Delivered texts per ended one, in per cent; 100 below the minimum volume."""
        return self.metrics.delivery_rate(period=period)

    def metric_opt_out_rate(self, *, period: Duration | None = None) -> cloudwatch.MathExpression:
        """Opt-outs per delivered text, in per cent; 0 below the minimum volume."""
        return self.metrics.opt_out_rate(period=period)

    def metric_response_rate(self, *, period: Duration | None = None) -> cloudwatch.MathExpression:
        """Answers per delivered text, in per cent; 0 below the minimum volume."""
        return self.metrics.response_rate(period=period)

    def grant_read_subscribers(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow reading subscribers and looking them up by segment."""
        return self._grant_reading(grantee, self.subscribers_table, "GetItem", "BatchGetItem", "Query")

    def grant_read_responses(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow reading answers, by subscriber and by campaign."""
        return self._grant_reading(grantee, self.responses_table, "GetItem", "Query")

    def grant_read_counts(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow reading the counts, by day."""
        return self._grant_reading(grantee, self.counts_table, "Query")

    def _grant_reading(self, grantee: iam.IGrantable, table: dynamodb.ITable, *actions: str) -> iam.Grant:
        if self._key:
            self._key.grant_decrypt(grantee)
        arns = [table.table_arn, f"{table.table_arn}/index/*"]
        return grant_actions(grantee, [f"dynamodb:{action}" for action in actions], arns)

    def grant_put_events(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow putting canonical events onto the stream."""
        return self.stream.grant_write(grantee)

    def _stream(self, retention: Duration, shards: int | None) -> kinesis.Stream:
        stream = kinesis.Stream(
            self._data,
            "Stream",
            retention_period=retention,
            stream_mode=kinesis.StreamMode.ON_DEMAND if shards is None else kinesis.StreamMode.PROVISIONED,
            shard_count=shards,
            encryption=kinesis.StreamEncryption.KMS if self._key else kinesis.StreamEncryption.MANAGED,
            encryption_key=self._key,
            removal_policy=self._removal_policy,
        )
        if self._key:
            acknowledge(stream, "KDS3", "the key was chosen by whoever gave it")
        return stream

    def _build_tables(
        self, responses_table: dynamodb.ITable | None, subscribers_table: dynamodb.ITable | None
    ) -> None:
        self.responses_table = responses_table or self._responses_table()
        self.subscribers_table = subscribers_table or self._subscribers_table()
        self.counts_table = self._table("Counts", partition_key="day", sort_key="batch")
        self.register_table = self._table("Register", partition_key="messageId")

    def _responses_table(self) -> dynamodb.TableV2:
        table = self._table(
            "Responses",
            partition_key="subscriber_id",
            sort_key="response_key",
            time_to_live_attribute="ttl",
        )
        self._add_index(table, CAMPAIGN_INDEX, "campaign_id", "response_key")
        return table

    def _subscribers_table(self) -> dynamodb.TableV2:
        table = self._table("Subscribers", partition_key="subscriber_id")
        # Not all of a row: every text changes its counters, and all of a segment with one status are one key
        # of the index, which takes a thousand writes a second.
        self._add_index(
            table,
            SEGMENT_INDEX,
            "segment",
            "subscription_status",
            only=["phone_number", "opt_in_timestamp", "opt_out_timestamp", "attributes"],
        )
        return table

    def _table(
        self,
        id: str,
        *,
        partition_key: str,
        sort_key: str | None = None,
        time_to_live_attribute: str = "expiresAt",
    ) -> dynamodb.TableV2:
        return on_demand_table(
            self._data,
            id,
            partition_key=partition_key,
            sort_key=sort_key,
            encryption_key=self._key,
            removal_policy=self._removal_policy,
            time_to_live_attribute=time_to_live_attribute,
        )

    def _add_index(
        self,
        table: dynamodb.TableV2,
        name: str,
        partition_key: str,
        sort_key: str,
        *,
        only: Sequence[str] | None = None,
    ) -> None:
        string = dynamodb.AttributeType.STRING
        table.add_global_secondary_index(
            index_name=name,
            partition_key=dynamodb.Attribute(name=partition_key, type=string),
            sort_key=dynamodb.Attribute(name=sort_key, type=string),
            projection_type=dynamodb.ProjectionType.INCLUDE if only else dynamodb.ProjectionType.ALL,
            non_key_attributes=list(only) if only else None,
        )

    def _build_ingest(self, event_topic: sns.ITopic, inbound_topic: sns.ITopic) -> None:
        self.ingest = self._function(
            "Ingest",
            handler="ingest",
            description="Makes canonical events of delivery events and inbound texts, each once",
            environment={
                "REGISTER_TABLE": self.register_table.table_name,
                "SUBSCRIBERS_TABLE": self.subscribers_table.table_name,
                "MESSAGES_TABLE": self.channel.messages_table.table_name,
                "CONTACTS_TABLE": self.channel.contacts_table.table_name,
                "STREAM_NAME": self.stream.stream_name,
                "ARCHIVE_BUCKET": self.archive.bucket.bucket_name,
                "SUBSCRIBER_KEY_SECRET_ARN": self.channel.subscriber_key_secret.secret_arn,
                "BUS_NAME": self.channel.bus.event_bus_name,
                "OPT_OUT_MODE": self.channel.opt_outs.value,
                "DEFAULT_COUNTRY": self.channel.policy.default_country,
            },
            timeout=_INGEST_TIMEOUT,
            memory_size=1024,
        )
        self._dead_letters("IngestDeadLetters", of="ingest")
        for name, topic in (("Events", event_topic), ("Inbound", inbound_topic)):
            queue = self.ingest_queues[name] = self._queue(f"Ingest{name}")
            topic.add_subscription(
                subscriptions.SqsSubscription(queue, dead_letter_queue=self._ingest_dead_letters)
            )
            self._feed_ingest(queue)
        self._grant_table(self.ingest, self.register_table, "BatchGetItem", "PutItem", "UpdateItem")
        self._grant_table(self.ingest, self.subscribers_table, "BatchGetItem", "UpdateItem")
        # The text that an inbound text answers.
        messages = self.channel.messages_table.table_arn
        grant_actions(self.ingest, ["dynamodb:GetItem"], [messages])
        grant_actions(self.ingest, ["dynamodb:Query"], [f"{messages}/index/{MESSAGES_INDEX}"])
        grant_actions(
            self.ingest, ["secretsmanager:GetSecretValue"], [self.channel.subscriber_key_secret.secret_arn]
        )
        # Reading back: whether what may have been put was put.
        grant_actions(
            self.ingest,
            ["kinesis:PutRecords", "kinesis:ListShards", "kinesis:GetShardIterator", "kinesis:GetRecords"],
            [self.stream.stream_arn],
        )
        if self.stream.encryption_key is not self._key:
            # Of a stream that was given; the consumers have it by the grant of their event sources.
            grant_key(self.ingest, self.stream.encryption_key)
        self._grant_erased(self.ingest)
        self._let_quarantine(self.ingest)
        # Of opt-outs that the channel's router has not seen.
        self.channel.bus.grant_put_events_to(self.ingest)

    def _queue(self, id: str) -> sqs.Queue:
        return encrypted_queue(
            self,
            id,
            dead_letter_queue=sqs.DeadLetterQueue(max_receive_count=5, queue=self._ingest_dead_letters),
            encryption_key=self._key,
            retention_period=Duration.days(14),
            # Six times the function's, as Lambda asks of queues that it reads.
            visibility_timeout=Duration.seconds(6 * int(_INGEST_TIMEOUT.to_seconds())),
        )

    def _feed_ingest(self, queue: sqs.Queue) -> None:
        self.ingest.add_event_source(
            event_sources.SqsEventSource(
                queue,
                batch_size=100,
                max_batching_window=Duration.seconds(1),
                max_concurrency=20,
                report_batch_item_failures=True,
            )
        )

    def _take_event_bridge_events(self) -> None:
        queue = self.ingest_queues["EventBridge"] = self._queue("IngestEventBridge")
        self._feed_ingest(queue)
        events.Rule(
            self,
            "DeliveryEvents",
            description="Delivery events of texts, from the account's default bus",
            event_pattern=events.EventPattern(
                source=["aws.sms-voice"], detail_type=["Text Message Delivery Status Updated"]
            ),
            targets=[targets.SqsQueue(queue, dead_letter_queue=self._ingest_dead_letters)],
        )

    def _build_event_processor(self, batch: ConsumerBatch) -> None:
        self.event_processor = self._consumer(
            "EventProcessor",
            handler="event_processor",
            description="Says what passes over the stream, and how late",
            environment={
                "ARCHIVE_BUCKET": self.archive.bucket.bucket_name,
                "METRIC_NAMESPACE": self.metrics.namespace,
            },
            batch=batch,
        )

    def _build_response_handler(
        self, batch: ConsumerBatch, patterns: str, response_topic: sns.ITopic | None
    ) -> None:
        self.response_topic: sns.ITopic = response_topic or sns.Topic(
            self,
            "ResponseTopic",
            display_name="Answers that match a pattern",
            master_key=self.channel.topic_key,
            enforce_ssl=True,
        )
        self.response_handler = self._consumer(
            "ResponseHandler",
            handler="response_handler",
            description="Keeps what people answer, with sentiment and campaign",
            environment={
                "METRIC_NAMESPACE": self.metrics.namespace,
                "RESPONSES_TABLE": self.responses_table.table_name,
                "SUBSCRIBERS_TABLE": self.subscribers_table.table_name,
                "CONTACTS_TABLE": self.channel.contacts_table.table_name,
                "ARCHIVE_BUCKET": self.archive.bucket.bucket_name,
                "RESPONSE_TOPIC_ARN": self.response_topic.topic_arn,
                "NOTIFY_PATTERNS": patterns,
            },
            batch=batch,
            only={"event_type": lambda_.FilterRule.is_equal(EventType.RECEIVED.value)},
            timeout=Duration.seconds(60),
        )
        self._grant_table(self.response_handler, self.responses_table, "GetItem", "PutItem")
        self._grant_table(self.response_handler, self.subscribers_table, "BatchGetItem", "UpdateItem")
        self._grant_erased(self.response_handler)
        self.channel.grant_publish(self.response_handler, self.response_topic)

    def _build_analytics(self, batch: ConsumerBatch, *, by_campaign: bool) -> None:
        self.analytics = self._consumer(
            "Analytics",
            handler="analytics",
            description="Counts texts, answers, opt-outs and cost",
            environment={
                "METRIC_NAMESPACE": self.metrics.namespace,
                "COUNTS_TABLE": self.counts_table.table_name,
                "ARCHIVE_BUCKET": self.archive.bucket.bucket_name,
                "COUNTS_RETENTION_SECONDS": str(int(_COUNTS_RETENTION.to_seconds())),
                "METRICS_BY_CAMPAIGN": "true" if by_campaign else "false",
            },
            batch=batch,
        )
        self._grant_table(self.analytics, self.counts_table, "PutItem")

    def _build_archiver(self, batch: ConsumerBatch) -> None:
        self.archiver = self._consumer(
            "Archiver",
            handler="archive",
            description="Keeps every event in S3",
            environment={
                "ARCHIVE_BUCKET": self.archive.bucket.bucket_name,
                "CONTACTS_TABLE": self.channel.contacts_table.table_name,
            },
            batch=batch,
            timeout=Duration.seconds(60),
            memory_size=1024,
        )
        self._grant_erased(self.archiver)
        objects = self.archive.bucket.arn_for_objects("events/*")
        grant_actions(self.archiver, ["s3:PutObject"], [objects])
        acknowledge_wildcard(
            self.archiver.execution_role, objects, "objects are named by day and place in the stream"
        )

    def _build_subscription_events(self) -> None:
        self.subscription_events = self._function(
            "SubscriptionEvents",
            handler="subscription_events",
            description="Notes who was asked to confirm a subscription",
            environment={
                "SUBSCRIBERS_TABLE": self.subscribers_table.table_name,
                "CONTACTS_TABLE": self.channel.contacts_table.table_name,
                "ARCHIVE_BUCKET": self.archive.bucket.bucket_name,
            },
            timeout=Duration.seconds(30),
        )
        self._grant_erased(self.subscription_events)
        notices = self.archive.bucket.arn_for_objects("notices/*")
        grant_actions(self.subscription_events, ["s3:PutObject"], [notices])
        acknowledge_wildcard(
            self.subscription_events.execution_role, notices, "objects are named by day and subscriber"
        )
        self._grant_table(self.subscription_events, self.subscribers_table, "BatchGetItem", "UpdateItem")
        dead_letters = self._dead_letters("SubscriptionEventsDeadLetters", of="subscription events")
        events.Rule(
            self,
            "ConfirmationsAsked",
            description="People who were asked to confirm a subscription",
            event_bus=self.channel.bus,
            event_pattern=events.EventPattern(source=["sms-engagement"], detail_type=["ConfirmationAsked"]),
            targets=[targets.LambdaFunction(self.subscription_events, dead_letter_queue=dead_letters)],
        )

    def _consumer(
        self,
        id: str,
        *,
        handler: str,
        description: str,
        environment: Mapping[str, str],
        batch: ConsumerBatch,
        only: Mapping[str, object] | None = None,
        timeout: Duration | None = None,
        memory_size: int = 512,
    ) -> RuntimeFunction:
        function = self._function(
            id,
            handler=handler,
            description=description,
            environment=environment,
            timeout=timeout or Duration.seconds(30),
            memory_size=memory_size,
        )
        failures = self._dead_letters(f"{id}Failures", of=f"the stream's consumer {id}")
        read_stream(
            self,
            id,
            stream=self.stream,
            function=function,
            batch=batch,
            failures=failures,
            enhanced_fan_out=self._fan_out,
            only=None if only is None else dict(only),
        )
        self._let_quarantine(function)
        self.consumers[id] = function
        self.batches[id] = batch
        return function

    def _function(
        self,
        id: str,
        *,
        handler: str,
        description: str,
        environment: Mapping[str, str],
        timeout: Duration,
        memory_size: int = 512,
    ) -> RuntimeFunction:
        function = RuntimeFunction(
            self,
            id,
            handler=f"sms_analytics_pipeline.handlers.{handler}",
            service=_SERVICE,
            description=description,
            options=self.function_options,
            environment=environment,
            timeout=timeout,
            memory_size=memory_size,
        )
        grant_key(function, self._key)
        return function

    def _dead_letters(self, id: str, *, of: str) -> sqs.Queue:
        queue = dead_letter_queue(self, id, of=of, encryption_key=self._key)
        self.dead_letter_queues[id] = queue
        return queue

    @property
    def _ingest_dead_letters(self) -> sqs.Queue:
        queue = self.dead_letter_queues["IngestDeadLetters"]
        assert isinstance(queue, sqs.Queue)
        return queue

    def _grant_table(self, function: RuntimeFunction, table: dynamodb.ITable, *actions: str) -> None:
        grant_actions(function, [f"dynamodb:{action}" for action in actions], [table.table_arn])

    def _grant_erased(self, function: RuntimeFunction) -> None:
        """Let a function read who was erased: one partition of the channel's contacts, and no contact."""
        function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["dynamodb:Query"],
                resources=[self.channel.contacts_table.table_arn],
                conditions={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [_ERASED]}},
            )
        )
        grant_key(function, self.channel.encryption_key)

    def _let_quarantine(self, function: RuntimeFunction) -> None:
        """Let a function keep what it cannot read."""
        objects = self.archive.bucket.arn_for_objects(_QUARANTINE)
        grant_actions(function, ["s3:PutObject"], [objects])
        acknowledge_wildcard(function.execution_role, objects, "objects are named by what cannot be read")


def _patterns_setting(patterns: Mapping[str, Sequence[str]]) -> str:
    """Return the patterns as the response handler reads them.

    Raises
    ------
    ValueError
        They are none that it could read, or more than fits into a function's environment.
    """
    for name, words in patterns.items():
        if isinstance(words, str):
            raise ValueError(f"notify_patterns[{name!r}] must be a list of words, got the text {words!r}")
    given = {name: list(words) for name, words in patterns.items()}
    try:
        AnsweringPatterns.from_settings(given)
    except ValueError as error:
        raise ValueError(f"notify_patterns: {error}") from error
    setting = json.dumps(given, ensure_ascii=False)
    if len(setting.encode()) > _MAX_PATTERN_BYTES:
        raise ValueError(
            f"notify_patterns take {len(setting.encode())} bytes, and {_MAX_PATTERN_BYTES} at the most fit "
            f"into the environment of a function: leave out some"
        )
    return setting
