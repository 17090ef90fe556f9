"""Archive: every event of the stream as a line of an object in S3, named so that a retry writes over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.erased_people import ErasedPeople
from sms_engagement_runtime.channel.domain.errors import TransientError
from sms_engagement_runtime.observability import instrumented, logger
from sms_engagement_runtime.sms_analytics_pipeline.adapters.kinesis_records import (
    ALL_DONE,
    StreamResponse,
    failed_from,
    start_of,
)
from sms_engagement_runtime.sms_analytics_pipeline.adapters.record_quarantine import RecordQuarantine
from sms_engagement_runtime.sms_analytics_pipeline.adapters.s3_archive import (
    S3EventArchive,
    objects_of,
    read,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSettings:
    """Environment of this function.

    Attributes
    ----------
    contacts_table
        Holds the list of who was erased.
    """

    archive_bucket: str
    contacts_table: str


_settings = settings.load(ArchiveSettings)
_s3 = clients.s3_client()
_archive = S3EventArchive(_s3, bucket=_settings.archive_bucket)
_erased = ErasedPeople(clients.dynamodb_client(), table=_settings.contacts_table)
_quarantine = RecordQuarantine(_s3, bucket=_settings.archive_bucket, consumer="archive")


@instrumented
def handler(event: dict[str, Any], _: LambdaContext) -> StreamResponse:
    """Archive one batch of canonical events."""
    try:
        erased = _erased()
    except TransientError as error:
        logger.warning("batch not archived", reason=str(error))
        return failed_from(start_of(event["Records"])[1])
    batch = read(event, erased=erased)
    objects = objects_of(batch)
    try:
        _quarantine.keep(batch.shard_id, batch.rejected)
        _archive.keep(objects)
    except TransientError as error:
        logger.warning("batch not archived", reason=str(error))
        return failed_from(batch.first_sequence_number)
    logger.info(
        "events archived",
        events=batch.events,
        objects=len(objects),
        bytes=sum(len(each.body) for each in objects),
        set_aside=len(batch.rejected),
    )
    return ALL_DONE
