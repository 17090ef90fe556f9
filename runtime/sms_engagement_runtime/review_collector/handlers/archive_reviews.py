"""Reviews that the table has deleted for their age go to the archive.

DynamoDB stream of the reviews table, filtered to deletions by time to live. DynamoDB deletes within a few
days after ``expiresAt``: until then the row can still be read, and whoever reads the table leaves out what
has expired. What somebody deleted on purpose is never archived.

A failure ends the batch: everything from its record on comes again, in order, and writes the same objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.sns_batch import BatchResponse
from sms_engagement_runtime.channel.domain.errors import EngagementError
from sms_engagement_runtime.observability import instrumented, logger, metrics
from sms_engagement_runtime.review_collector.adapters.review_stream import (
    deleted_at,
    is_expiry,
    old_row,
    sequence_number,
)
from sms_engagement_runtime.review_collector.adapters.s3_review_archive import S3ReviewArchive
from sms_engagement_runtime.review_collector.domain.archive import archive_key


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSettings:
    """Environment of this function."""

    review_archive: str


_settings = settings.load(ArchiveSettings)
_archive = S3ReviewArchive(clients.s3_client(), bucket=_settings.review_archive)


@instrumented
def handler(event: Mapping[str, Any], _context: object) -> BatchResponse:
    """Archive a batch; name the first record that could not be, for ``ReportBatchItemFailures``."""
    archived = 0
    failures: BatchResponse = {"batchItemFailures": []}
    for record in event["Records"]:
        # The event source filters already. A row that was erased for a person must not live on here, even
        # if the filter is lost.
        if not is_expiry(record):
            continue
        try:
            _keep(record)
        except EngagementError as error:
            number = sequence_number(record)
            logger.warning("Review was not archived", sequence_number=number, reason=str(error))
            metrics.add_metric(name="ReviewArchiveFailures", unit=MetricUnit.Count, value=1)
            failures["batchItemFailures"].append({"itemIdentifier": number})
            break
        archived += 1
    if archived:
        metrics.add_metric(name="ReviewsArchived", unit=MetricUnit.Count, value=archived)
    logger.info("Expired reviews archived", archived=archived, records=len(event["Records"]))
    return failures


def _keep(record: Mapping[str, Any]) -> None:
    row = old_row(record)
    _archive.keep(archive_key(row, deleted_at=deleted_at(record)), row)
