"""What the bus told about subscribers, kept in S3 beside the events of the stream.

A fact is an empty object, and its key says all: so listing is reading, a thousand a call, and what is kept
twice is there once::

    notices/year=2026/month=11/day=21/ASKED_TO_CONFIRM/1795280400000-v1%3A4qEld1wnB6MP…
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from sms_engagement_runtime.channel.adapters.aws_errors import service_call
from sms_engagement_runtime.sms_analytics_pipeline.adapters.day_folders import days_below
from sms_engagement_runtime.sms_analytics_pipeline.domain.archive import (
    MILLISECONDS_PER_DAY,
    day_of,
    partition,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.lifecycle import Happening
from sms_engagement_runtime.sms_analytics_pipeline.domain.rebuilding import Days
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import Fact
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscription_notices import Notice

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX: Final = "notices/"


class NoticeArchive:
    """Keeps and lists notices."""

    def __init__(self, client: S3Client, *, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def keep(self, notice: Notice) -> None:
        """Keep a notice; one that is kept already changes nothing.

        Raises
        ------
        ServiceCallError
            S3 did not answer.
        """
        with service_call("s3:PutObject"):
            self._client.put_object(Bucket=self._bucket, Key=key_of(notice), Body=b"")

    def of(self, days: Days) -> Iterator[Notice]:
        """List the notices of some days.

        Raises
        ------
        ServiceCallError
            S3 did not answer.
        """
        for day in days_below(self._client, bucket=self._bucket, prefix=PREFIX):
            if day not in days:
                continue
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=f"{PREFIX}{partition(day)}"
            )
            with service_call("s3:ListObjectsV2"):
                for page in pages:
                    for each in page.get("Contents", []):
                        notice = notice_of(each["Key"])
                        if notice is not None:
                            yield notice


def key_of(notice: Notice) -> str:
    """Return the key of a notice."""
    fact = notice.fact
    day = day_of(fact.at // MILLISECONDS_PER_DAY)
    subscriber = quote(notice.subscriber_id, safe="")
    return f"{PREFIX}{partition(day)}{fact.happening}/{fact.at:013}-{subscriber}"


def notice_of(key: str) -> Notice | None:
    """Return the notice of a key; None where it is none."""
    place, _, name = key.rpartition("/")
    happening = place.rpartition("/")[2]
    at, _, subscriber = name.partition("-")
    if happening not in Happening.__members__ or not at.isdecimal() or not subscriber:
        return None
    fact = Fact(happening=Happening(happening), at=int(at), id=key)
    return Notice(subscriber_id=unquote(subscriber), fact=fact)
