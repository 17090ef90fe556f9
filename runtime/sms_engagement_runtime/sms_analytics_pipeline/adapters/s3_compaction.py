"""The archive's bucket, as compaction needs it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import msgspec
from botocore.exceptions import ClientError

from sms_engagement_runtime.channel.adapters.aws_errors import error_code, service_call
from sms_engagement_runtime.sms_analytics_pipeline.adapters.s3_deletion import delete_objects
from sms_engagement_runtime.sms_analytics_pipeline.domain.archive import (
    RAW_PREFIX,
    day_of_partition,
    partition,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.compaction import (
    COMPACTED_PREFIX,
    COMPACTED_TAG,
    RECORD_PREFIX,
    CompactedFile,
    DayRecord,
    RawObject,
    RecordChangedError,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TAGGING_THREADS: Final = 16

# Amazon S3 user guide, *Restoring an archived object*.
_UNREADABLE: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})


class _Record(msgspec.Struct, rename="camel"):
    """``{"files": [key…], "raw": [[key, version id]…], "isDone": bool, "schemaVersion": 1}``."""

    files: list[str]
    raw: list[tuple[str, str]]
    is_done: bool
    schema_version: int = 1


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(_Record).decode


class S3CompactionStore:
    """Raw objects, compacted files and records of days in S3. Raw objects are tagged and never changed."""

    def __init__(self, client: S3Client, *, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def raw_days(self) -> list[date]:
        """Return the days that have raw objects, the oldest first."""
        days = [
            day
            for year in self._folders(RAW_PREFIX)
            for month in self._folders(year)
            for folder in self._folders(month)
            if (day := day_of_partition(folder.removeprefix(RAW_PREFIX).split("/"))) is not None
        ]
        return sorted(days)

    def _folders(self, prefix: str) -> Iterator[str]:
        for page in self._pages("list_objects_v2", Prefix=prefix, Delimiter="/"):
            for folder in page.get("CommonPrefixes", []):
                yield folder["Prefix"]

    def raw_objects(self, day: date) -> Collection[RawObject]:
        """Return the day's raw objects in their current versions."""
        return [
            RawObject(version["Key"], version["VersionId"])
            for page in self._pages("list_object_versions", Prefix=f"{RAW_PREFIX}{partition(day)}")
            for version in page.get("Versions", [])
            if version["IsLatest"]
        ]

    def compacted_files(self, day: date) -> Collection[CompactedFile]:
        """Return what lies among the day's compacted files."""
        return [
            CompactedFile(found["Key"], is_readable=found.get("StorageClass") not in _UNREADABLE)
            for page in self._pages("list_objects_v2", Prefix=f"{COMPACTED_PREFIX}{partition(day)}")
            for found in page.get("Contents", [])
        ]

    def record(self, day: date) -> tuple[DayRecord | None, str | None]:
        """Return the day's record and its entity tag."""
        try:
            with service_call("s3:GetObject"):
                found = self._client.get_object(Bucket=self._bucket, Key=_record_key(day))
                content = found["Body"].read()
        except Exception as error:
            if isinstance(error.__cause__, ClientError) and error_code(error.__cause__) == "NoSuchKey":
                return None, None
            raise
        record = _decode(content)
        return (
            DayRecord(
                files=frozenset(record.files),
                raw=frozenset(RawObject(*each) for each in record.raw),
                is_done=record.is_done,
            ),
            found["ETag"],
        )

    def put_record(self, day: date, record: DayRecord, *, over: str | None) -> str:
        """Write the day's record over the one with this entity tag, or where there is none.

        Raises
        ------
        RecordChangedError
            There is another one by now.
        """
        content = _Record(
            files=sorted(record.files),
            raw=[(each.key, each.version_id) for each in sorted(record.raw)],
            is_done=record.is_done,
        )
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if over is None else {"IfMatch": over}
        try:
            with service_call("s3:PutObject"):
                answer = self._client.put_object(
                    Bucket=self._bucket,
                    Key=_record_key(day),
                    Body=_encode(content),
                    ContentType="application/json",
                    **condition,
                )
        except Exception as error:
            # Amazon S3 user guide, *How to prevent object overwrites with conditional writes*.
            if isinstance(error.__cause__, ClientError) and error_code(error.__cause__) in {
                "PreconditionFailed",
                "ConditionalRequestConflict",
            }:
                raise RecordChangedError(str(day)) from error
            raise
        return answer["ETag"]

    def take_over(self, day: date, staging: str, attempt: str) -> Collection[str]:
        """Copy the files below a prefix to where the tables look; return their keys there."""
        copied: list[str] = []
        staged = sorted(key for key, size in self._objects(staging) if size)
        for number, key in enumerate(staged):
            target = f"{COMPACTED_PREFIX}{partition(day)}{_short(attempt)}-{number:04}.parquet"
            with service_call("s3:CopyObject"):
                self._client.copy_object(
                    Bucket=self._bucket,
                    Key=target,
                    CopySource={"Bucket": self._bucket, "Key": key},
                    TaggingDirective="REPLACE",
                )
            copied.append(target)
        return copied

    def delete_files(self, keys: Collection[str]) -> None:
        """Delete compacted files."""
        self._delete(sorted(keys))

    def clear(self, staging: str) -> None:
        """Delete what lies below a prefix of ``compacting/``."""
        self._delete([key for key, _ in self._objects(staging)])

    def tag(self, objects: Iterable[RawObject]) -> None:
        """Tag these versions of raw objects as compacted. Versions that are gone are passed over."""
        with ThreadPoolExecutor(_TAGGING_THREADS) as threads:
            # Consumed, so that an error of one of them is raised here.
            list(threads.map(self._tag, objects))

    def _tag(self, found: RawObject) -> None:
        tag, value = COMPACTED_TAG
        try:
            with service_call("s3:PutObjectTagging"):
                self._client.put_object_tagging(
                    Bucket=self._bucket,
                    Key=found.key,
                    VersionId=found.version_id,
                    Tagging={"TagSet": [{"Key": tag, "Value": value}]},
                )
        except Exception as error:
            cause = error.__cause__
            if isinstance(cause, ClientError) and error_code(cause) in {"NoSuchKey", "NoSuchVersion"}:
                return
            raise

    def _objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        for page in self._pages("list_objects_v2", Prefix=prefix):
            for found in page.get("Contents", []):
                yield found["Key"], found["Size"]

    def _pages(self, operation: Any, **request: Any) -> Iterator[Any]:
        pages = self._client.get_paginator(operation).paginate(Bucket=self._bucket, **request)
        iterator = iter(pages)
        while True:
            with service_call(f"s3:{operation}"):
                page = next(iterator, None)
            if page is None:
                return
            yield page

    def _delete(self, keys: list[str]) -> None:
        delete_objects(self._client, self._bucket, [{"Key": key} for key in keys])


def _record_key(day: date) -> str:
    return f"{RECORD_PREFIX}{partition(day)}day.json"


def _short(attempt: str) -> str:
    return hashlib.sha256(attempt.encode()).hexdigest()[:16]
