"""Ingest: delivery events, inbound texts and older records become canonical events on the stream, each once.

SQS batches of SNS envelopes and EventBridge events; answers with the records that failed. A subscription of
CloudWatch Logs, or anything else that invokes the function directly, is invoked again where something failed.
"""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.adapters.dynamodb_messages import DynamoLedger
from sms_engagement_runtime.channel.adapters.erased_people import ErasedPeople
from sms_engagement_runtime.channel.adapters.event_bus import EventBridgeBus
from sms_engagement_runtime.channel.adapters.instants import to_milliseconds
from sms_engagement_runtime.channel.adapters.phone_numbers import LibPhoneNumberParser
from sms_engagement_runtime.channel.adapters.sns_batch import BatchResponse
from sms_engagement_runtime.channel.adapters.subscriber_ids import build_subscriber_id
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.observability import instrumented, logger, metrics
from sms_engagement_runtime.sms_analytics_pipeline.adapters.arrivals import arrivals_of, is_queue_batch
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_register import DynamoRegister
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_subscribers import DynamoSubscribers
from sms_engagement_runtime.sms_analytics_pipeline.adapters.kinesis_stream import (
    KinesisEventStream,
    putting_client,
)
from sms_engagement_runtime.sms_analytics_pipeline.adapters.quarantine import S3Quarantine
from sms_engagement_runtime.sms_analytics_pipeline.adapters.text_attribution import LedgerAttribution
from sms_engagement_runtime.sms_analytics_pipeline.domain.ingesting import IngestReport, IngestService

_THREADS: Final = 16
_FIRST_PAUSE_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Environment of this function.

    Attributes
    ----------
    messages_table
        The channel's ledger, which knows what an inbound text answers.
    contacts_table
        Holds the list of who was erased.
    archive_bucket
        Holds the quarantine too.
    subscriber_key_secret_arn
        Secret whose whole text is the key of the subscriber ids.
    opt_out_mode
        ``aws`` where the service answers opt-outs, by the keywords that it matches; else ``self``.
    """

    register_table: str
    subscribers_table: str
    messages_table: str
    contacts_table: str
    stream_name: str
    archive_bucket: str
    subscriber_key_secret_arn: str
    bus_name: str
    opt_out_mode: str = "self"
    default_country: str = "US"


class NotIngestedError(TransientError):
    """Something of a direct invocation failed: the function shall be invoked again."""


_jitter: Final = random.random


def _pause(attempt: int) -> None:
    time.sleep((0.5 + _jitter()) * _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))


_settings = settings.load(Settings)
_clock = build_clock()
_dynamodb = clients.dynamodb_client()
_subscribers = DynamoSubscribers(_dynamodb, _settings.subscribers_table)
_threads = ThreadPoolExecutor(_THREADS)
_service = IngestService(
    register=DynamoRegister(_dynamodb, table=_settings.register_table, subscribers=_subscribers),
    subscribers=_subscribers,
    stream=KinesisEventStream(putting_client(), stream=_settings.stream_name),
    # Nothing is claimed here, so that no contact is written.
    attribution=LedgerAttribution(
        DynamoLedger(_dynamodb, messages_table=_settings.messages_table, contacts_table="")
    ),
    quarantine=S3Quarantine(clients.s3_client(), bucket=_settings.archive_bucket),
    parser=LibPhoneNumberParser(_settings.default_country),
    subscriber_id_of=build_subscriber_id(_settings.subscriber_key_secret_arn),
    clock=_clock,
    pause=_pause,
    bus=EventBridgeBus(clients.events_client(), bus_name=_settings.bus_name),
    service_opts_out=_settings.opt_out_mode == "aws",
    run_all=_threads.map,
    erased=ErasedPeople(_dynamodb, table=_settings.contacts_table),
)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> BatchResponse:
    """Take in a batch."""
    arrivals = arrivals_of(event, request_id=context.aws_request_id, now_ms=to_milliseconds(_clock.now()))
    report = _service.ingest(arrivals)
    _tell(report, len(arrivals))
    if report.failed and not is_queue_batch(event):
        raise NotIngestedError
    return {"batchItemFailures": [{"itemIdentifier": record} for record in sorted(report.failed)]}


def _tell(report: IngestReport, payloads: int) -> None:
    """Write one line a batch, and three figures."""
    tell = logger.warning if report.failed else logger.info
    tell(
        "events ingested",
        payloads=payloads,
        ingested=report.ingested,
        duplicates=report.duplicates,
        of_erased_people=report.erased,
        set_aside=dict(report.set_aside),
        failed_records=len(report.failed),
        errors=dict(report.errors),
    )
    for name, count in (
        ("IngestedEvents", report.ingested),
        ("IngestDuplicates", report.duplicates),
        ("IngestSetAside", report.set_aside.total()),
    ):
        if count:
            metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
