"""The archive read back, sorted out to files by person: raw objects as they are, compacted days by Athena.

Raw objects are deleted a month after their day was compacted, one by one. So what is compacted is read with
what is raw, and each event taken once: Athena writes compacted files as JSON lines below ``query-results/``,
which the bucket's lifecycle rule clears.
"""

from __future__ import annotations

import gzip
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Final, NamedTuple

import msgspec

from sms_engagement_runtime.channel.adapters.aws_errors import (
    ServiceCallError,
    ServiceRefusedError,
    service_call,
)
from sms_engagement_runtime.channel.domain.errors import PermanentError
from sms_engagement_runtime.sms_analytics_pipeline.adapters.archive_json import ArchiveLine, event_from_line
from sms_engagement_runtime.sms_analytics_pipeline.adapters.day_folders import days_below
from sms_engagement_runtime.sms_analytics_pipeline.adapters.notice_archive import PREFIX as NOTICES_PREFIX
from sms_engagement_runtime.sms_analytics_pipeline.adapters.s3_compaction import S3CompactionStore
from sms_engagement_runtime.sms_analytics_pipeline.domain.archive import (
    RAW_PREFIX,
    RAW_SUFFIX,
    partition,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.compaction import COMPACTED_PREFIX
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import (
    SCHEMA_VERSION,
    CanonicalEvent,
    SetAside,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.rebuilding import Days, export_statement
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscription_notices import Notice

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from sms_engagement_runtime.sms_analytics_pipeline.adapters.athena import AthenaQueries

EXPORT_PREFIX: Final = "query-results/"
"""Where the workgroup's results lie too, and whoever may ask the archive may write."""

EVENTS_PER_FILE: Final = 25_000
"""So many events are held in memory at once, with the rows that they make: some 100 MB."""

_BYTES_PER_EVENT: Final = 50
"""Of a raw object (``docs/performance.md``)."""

_MOST_FILES: Final = 4_096
_BUFFERED_BYTES: Final = 64 * 1024 * 1024
"""Of all files together, before the fullest are written."""

_READERS: Final = 16
_IN_MEMORY: Final = 4 * 1024 * 1024
_CHUNK: Final = 1024 * 1024
_ATTEMPTS: Final = 4

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(ArchiveLine).decode


class DayNotReadableError(PermanentError):
    """A day of the archive cannot be read the way that was asked for."""


class ArchivedObject(NamedTuple):
    """An object with lines of the archive; size in bytes."""

    key: str
    size: int


class Unreadable(NamedTuple):
    """An object that cannot be read, and why; the number of its first bad line, counted from one."""

    key: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactedDays:
    """Reads compacted days.

    Attributes
    ----------
    database, table
        In the catalogue.
    name
        Of the prefix that the lines are written to: one that nothing was written to before.
    """

    queries: AthenaQueries
    database: str
    table: str
    name: str


class S3ArchiveReader:
    """Lists and reads the archive.

    Parameters
    ----------
    compacted
        None where Parquet cannot be read.
    is_raw_whole
        Whether the raw objects of all days are known to be there still, so that compacted files tell nothing
        new.
    is_restored
        Whether files in Deep Archive were restored, and the table reads restored ones.
    """

    def __init__(
        self,
        client: S3Client,
        *,
        bucket: str,
        compacted: CompactedDays | None = None,
        is_raw_whole: bool = False,
        is_restored: bool = False,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._compacted = compacted
        self._is_raw_whole = is_raw_whole
        self._is_restored = is_restored
        self._compactions = S3CompactionStore(client, bucket=bucket)

    def days(self) -> Days | None:
        """Return the first and the last day that the archive has something of; None for an empty one."""
        days = {*self._days(RAW_PREFIX), *self._days(COMPACTED_PREFIX), *self._days(NOTICES_PREFIX)}
        return Days(min(days), max(days)) if days else None

    def objects(self, days: Days, tell: Callable[[str], object] = lambda _: None) -> list[ArchivedObject]:
        """Return the objects with the lines of some days. Compacted days are written as lines first.

        Parameters
        ----------
        tell
            Is told what is being done, which may take minutes.

        Raises
        ------
        DayNotReadableError
            A day is compacted, and there is no way to read Parquet here; or its files are in a storage class
            that they have to be restored from first.
        ServiceCallError
            S3 or Athena did not answer.
        """
        raw: list[ArchivedObject] = []
        to_export: list[date] = []
        for day in sorted({*self._days(RAW_PREFIX), *self._days(COMPACTED_PREFIX)}):
            if day not in days:
                continue
            raw += self._list(f"{RAW_PREFIX}{partition(day)}", RAW_SUFFIX)
            if not self._is_raw_whole and self._is_compacted(day):
                to_export.append(day)
        if to_export and self._compacted is None:
            msg = (
                f"{len(to_export)} days from {to_export[0]} on are compacted, and raw objects of them may be "
                f"gone; give --athena-workgroup and --athena-database, or --raw-only where none is"
            )
            raise DayNotReadableError(msg)
        return [*raw, *self._export(to_export, tell)]

    def _is_compacted(self, day: date) -> bool:
        files = self._compactions.compacted_files(day)
        if not self._is_restored and not all(file.is_readable for file in files):
            # A query would pass them over without a word.
            msg = f"compacted files of {day} are in Deep Archive; restore them, and say so with --restored"
            raise DayNotReadableError(msg)
        return bool(files)

    def _export(self, days: Sequence[date], tell: Callable[[str], object]) -> Iterator[ArchivedObject]:
        for (year, month), of_month in groupby(days, key=lambda day: (day.year, day.month)):
            assert self._compacted is not None
            tell(f"Athena writes {year}-{month:02} as lines")
            prefix = f"{EXPORT_PREFIX}rebuild-{self._compacted.name}/{year}-{month:02}/"
            statement = export_statement(
                of_month,
                database=self._compacted.database,
                table=self._compacted.table,
                destination=f"s3://{self._bucket}/{prefix}",
            )
            token = f"{self._compacted.name}-{year}-{month:02}"
            self._compacted.queries.run(statement, token=token.ljust(32, "-"))
            yield from self._list(prefix, "")

    def _days(self, prefix: str) -> Iterator[date]:
        return days_below(self._client, bucket=self._bucket, prefix=prefix)

    def _list(self, prefix: str, suffix: str) -> Iterator[ArchivedObject]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        with service_call("s3:ListObjectsV2"):
            for page in pages:
                for each in page.get("Contents", []):
                    if each["Key"].endswith(suffix):
                        yield ArchivedObject(each["Key"], each["Size"])

    def fetched(self, objects: Iterable[ArchivedObject]) -> Iterator[tuple[ArchivedObject, IO[bytes]]]:
        """Fetch objects, some ahead of the one that is being read; what is large goes through a file.

        Raises
        ------
        ServiceCallError
            S3 did not answer, time and again.
        """
        waiting: deque[tuple[ArchivedObject, Future[IO[bytes]]]] = deque()
        with ThreadPoolExecutor(_READERS) as readers:
            try:
                for each in objects:
                    waiting.append((each, readers.submit(self._fetch, each)))
                    if len(waiting) > _READERS:
                        yield _next(waiting)
                while waiting:
                    yield _next(waiting)
            finally:
                readers.shutdown(cancel_futures=True)

    def _fetch(self, each: ArchivedObject) -> IO[bytes]:
        return fetched_object(self._client, bucket=self._bucket, key=each.key)


def fetched_object(client: S3Client, *, bucket: str, key: str) -> IO[bytes]:
    """Fetch an object to memory, or to a file where it is large: what is left of it in the end is nothing.

    Raises
    ------
    ServiceCallError
        S3 did not answer, time and again.
    """
    for left in reversed(range(_ATTEMPTS)):
        content: IO[bytes] = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - the reader closes it
        try:
            with service_call("s3:GetObject"):
                body = client.get_object(Bucket=bucket, Key=key)["Body"]
                for chunk in body.iter_chunks(_CHUNK):
                    content.write(chunk)
        except ServiceRefusedError:
            content.close()
            raise
        except ServiceCallError:
            content.close()
            if not left:
                raise
            continue
        content.seek(0)
        return content
    raise AssertionError


def _next(
    waiting: deque[tuple[ArchivedObject, Future[IO[bytes]]]],
) -> tuple[ArchivedObject, IO[bytes]]:
    each, future = waiting.popleft()
    return each, future.result()


class EventFiles:
    """Events sorted out to temporary files, all those of one person to one: what is read at once is small.

    Lines are kept as they are, packed. The number of files follows from how much is to come; each is opened
    for writing and closed again, so that there may be thousands.
    """

    def __init__(self, folder: Path, *, expected_bytes: int) -> None:
        expected = expected_bytes // _BYTES_PER_EVENT
        self._buffers: list[list[bytes]] = [
            [] for _ in range(min(1 + expected // EVENTS_PER_FILE, _MOST_FILES))
        ]
        self._folder = folder
        self._buffered = 0
        self.lines = 0

    def __len__(self) -> int:
        return len(self._buffers)

    def add(self, source: ArchivedObject, content: IO[bytes]) -> Unreadable | None:
        """Take in the lines of an object, up to the first that cannot be read."""
        number = 0
        try:
            with gzip.GzipFile(fileobj=content, mode="rb") as lines:
                for number, line in enumerate(lines, 1):
                    event = _decode(line)
                    if event.schema_version > SCHEMA_VERSION:
                        return Unreadable(source.key, number, SetAside.FUTURE_SCHEMA)
                    self._keep(event.subscriber_id, line)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            return Unreadable(source.key, number + 1, "NOT_GZIP")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Unreadable(source.key, number, SetAside.UNKNOWN_SHAPE)
        return None

    def add_notice(self, notice: Notice) -> None:
        """Take in what the bus told, in the shape of a line whose type is the happening."""
        fact = notice.fact
        line = ArchiveLine(
            event_type=fact.happening,
            event_id=fact.id,
            event_timestamp=fact.at,
            arrival_timestamp=fact.at,
            subscriber_id=notice.subscriber_id,
        )
        self._keep(notice.subscriber_id, _encode(line))

    def _keep(self, subscriber_id: str, line: bytes) -> None:
        number = zlib.crc32(subscriber_id.encode("utf-8", "surrogatepass")) % len(self._buffers)
        self._buffers[number].append(line if line.endswith(b"\n") else line + b"\n")
        self._buffered += len(line)
        self.lines += 1
        if self._buffered >= _BUFFERED_BYTES:
            self._write()

    def _write(self) -> None:
        for number, lines in enumerate(self._buffers):
            if lines:
                with self._path(number).open("ab") as file:
                    file.write(gzip.compress(b"".join(lines), 1))
                lines.clear()
        self._buffered = 0

    def __iter__(self) -> Iterator[Iterator[CanonicalEvent]]:
        """Give the events of one file after the other, in the order in which they were taken in."""
        self._write()
        for number in range(len(self._buffers)):
            yield self._events(self._path(number))

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:04}.gz"

    @staticmethod
    def _events(path: Path) -> Iterator[CanonicalEvent]:
        if path.exists():
            with gzip.open(path) as lines:
                for line in lines:
                    yield event_from_line(_decode(line))


def as_report(unreadable: Iterable[Unreadable]) -> list[Mapping[str, object]]:
    """Return what could not be read, for a report."""
    return [each._asdict() for each in unreadable]
