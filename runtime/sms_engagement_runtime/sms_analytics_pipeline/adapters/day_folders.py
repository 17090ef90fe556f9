"""Days that have something below a prefix of the archive's bucket."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

from sms_engagement_runtime.channel.adapters.aws_errors import service_call
from sms_engagement_runtime.sms_analytics_pipeline.domain.archive import day_of_partition

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def days_below(client: S3Client, *, bucket: str, prefix: str) -> Iterator[date]:
    """Walk down ``year=/month=/day=/`` and list no object.

    Raises
    ------
    ServiceCallError
        S3 did not answer.
    """
    for year in _below(client, bucket, prefix):
        for month in _below(client, bucket, year):
            for place in _below(client, bucket, month):
                day = day_of_partition(place.split("/"))
                if day is not None:
                    yield day


def _below(client: S3Client, bucket: str, prefix: str) -> Iterator[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
    with service_call("s3:ListObjectsV2"):
        for page in pages:
            yield from (each["Prefix"] for each in page.get("CommonPrefixes", []))
