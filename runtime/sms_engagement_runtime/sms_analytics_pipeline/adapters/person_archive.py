"""One person in the archive: their lines found, and taken out of it for good.

The bucket is versioned, so every version of every object is looked at: a line that is only written over can
be read as before. What lies where is in ``docs/archive.md``.
"""

from __future__ import annotations

import gzip
import re
import uuid
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from sms_engagement_runtime.channel.adapters.aws_errors import service_call
from sms_engagement_runtime.sms_analytics_pipeline.adapters.archive_json import compressed
from sms_engagement_runtime.sms_analytics_pipeline.adapters.day_folders import days_below
from sms_engagement_runtime.sms_analytics_pipeline.adapters.notice_archive import PREFIX as NOTICES_PREFIX
from sms_engagement_runtime.sms_analytics_pipeline.adapters.notice_archive import notice_of
from sms_engagement_runtime.sms_analytics_pipeline.adapters.record_quarantine import (
    PREFIX as QUARANTINE_PREFIX,
)
from sms_engagement_runtime.sms_analytics_pipeline.adapters.s3_compaction import S3CompactionStore
from sms_engagement_runtime.sms_analytics_pipeline.adapters.s3_deletion import delete_objects
from sms_engagement_runtime.sms_analytics_pipeline.domain.archive import (
    MILLISECONDS_PER_DAY,
    RAW_PREFIX,
    day_of,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.compaction import (
    COMPACTED_PREFIX,
    STAGING_PREFIX,
    ArchivedPerson,
    Tables,
    rewrite,
    unload_statement,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.rebuilding import Days, person_statement

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from sms_engagement_runtime.sms_analytics_pipeline.adapters.athena import AthenaQueries

RESULTS_PREFIX: Final = "query-results/"

_READERS: Final = 16
_DATA: Final = re.compile(rb'"data":"([A-Za-z0-9+/=]+)"')

type Line = dict[str, Any]
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class Version(NamedTuple):
    """One version of an object."""

    key: str
    version_id: str
    is_latest: bool


class Hit(NamedTuple):
    """A version that has something of the person.

    Attributes
    ----------
    lines
        Theirs. All others are read again when the object is written anew: of thousands of objects they would
        fill the memory.
    """

    version: Version
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """How compacted days are asked by SQL."""

    queries: AthenaQueries
    tables: Tables


@dataclass(slots=True)
class Inventory:
    """What of the archive is about the person.

    Attributes
    ----------
    raw, quarantine
        Versions with lines, or payloads, of theirs.
    notices
        Versions of objects that are named after them.
    results
        All versions of results of queries: anybody's may be among them, and each can be asked again.
    compacted
        Lines of compacted days.
    old_versions
        Versions of compacted files that others have taken the place of; a file cannot be looked into without
        a query, so all of them go.
    out_of_reach
        Days with compacted files that cannot be asked: no workgroup was given, or they are in Deep Archive.
    """

    raw: list[Hit] = field(default_factory=list)
    quarantine: list[Hit] = field(default_factory=list)
    notices: list[Version] = field(default_factory=list)
    results: list[Version] = field(default_factory=list)
    compacted: list[Line] = field(default_factory=list)
    old_versions: list[Version] = field(default_factory=list)
    out_of_reach: list[date] = field(default_factory=list)

    @property
    def lines(self) -> list[Line]:
        """Lines of theirs that are not written over, raw and compacted."""
        return [line for hit in self.raw if hit.version.is_latest for line in hit.lines] + self.compacted

    @property
    def message_ids(self) -> set[str]:
        """Of all texts that the lines tell of."""
        lines = [line for hit in self.raw for line in hit.lines] + self.compacted
        return {line["message_id"] for line in lines if line.get("message_id")}

    @property
    def compacted_days(self) -> list[date]:
        """Days to be written anew."""
        return sorted({day_of(line["event_timestamp"] // MILLISECONDS_PER_DAY) for line in self.compacted})

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the person is left that can be reached."""
        return not (self.raw or self.quarantine or self.notices or self.compacted)

    def to_json(self) -> dict[str, object]:
        """Return the figures, for a report."""
        return {
            "raw_objects": len({hit.version.key for hit in self.raw if hit.version.is_latest}),
            "old_versions_of_raw_objects": sum(not hit.version.is_latest for hit in self.raw),
            "lines": len(self.lines),
            "compacted_days": [str(day) for day in self.compacted_days],
            "old_versions_of_compacted_files": len(self.old_versions),
            "notices": len(self.notices),
            "quarantined": len(self.quarantine),
            "query_results": len(self.results),
            "days_out_of_reach": [str(day) for day in self.out_of_reach],
        }


class PersonArchive:
    """Finds and erases one person.

    Parameters
    ----------
    catalogue
        None where no workgroup was given.
    """

    def __init__(
        self, client: S3Client, *, bucket: str, person: ArchivedPerson, catalogue: Catalogue | None = None
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._person = person
        self._catalogue = catalogue
        self._compactions = S3CompactionStore(client, bucket=bucket)
        self._needles = [person.phone_number[1:].encode(), person.subscriber_id.encode()]

    def look(self, progress: Callable[[], object] = lambda: None) -> Inventory:
        """Go through all of the archive.

        Parameters
        ----------
        progress
            Called for each version that was read.
        """
        found = Inventory()
        found.raw = list(self._hits(self._versions(RAW_PREFIX), self._raw_hit, progress))
        found.quarantine = list(self._hits(self._versions(QUARANTINE_PREFIX), self._loose_hit, progress))
        for version in self._versions(NOTICES_PREFIX):
            notice = notice_of(version.key)
            if notice is not None and notice.subscriber_id == self._person.subscriber_id:
                found.notices.append(version)
        found.compacted, found.out_of_reach = self._compacted()
        found.results = list(self._versions(RESULTS_PREFIX))
        found.old_versions = [
            version
            for prefix in (COMPACTED_PREFIX, STAGING_PREFIX)
            for version in self._versions(prefix)
            if not version.is_latest
        ]
        return found

    def erase(self, found: Inventory, progress: Callable[[], object] = lambda: None) -> None:
        """Take out what was found. Every step can be repeated; `look` finds what an attempt left."""
        for hit in (*found.raw, *found.quarantine):
            self._take_out(hit)
            progress()
        for day in found.compacted_days:
            self._write_anew(day)
            progress()
        self._delete([*found.notices, *found.results])
        # What the days' new files have taken the place of has become an old version just now.
        self._delete(
            version
            for prefix in (COMPACTED_PREFIX, STAGING_PREFIX)
            for version in self._versions(prefix)
            if not version.is_latest
        )
        # The query for compacted lines has left its own.
        self._delete(self._versions(RESULTS_PREFIX))

    def _take_out(self, hit: Hit) -> None:
        version = hit.version
        rest = self._rest(version) if version.is_latest else b""
        if rest:
            packed = version.key.endswith(".gz")
            with service_call("s3:PutObject"):
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=version.key,
                    Body=compressed(rest) if packed else rest,
                    ContentType="application/gzip" if packed else "application/x-ndjson",
                )
        # A version that is deleted by its id is gone; one that is only written over is not.
        self._delete([version])

    def _write_anew(self, day: date) -> None:
        assert self._catalogue is not None
        catalogue = self._catalogue
        attempt = uuid.uuid4().hex

        def unload(day: date, staging: str) -> None:
            statement = unload_statement(
                catalogue.tables,
                day,
                destination=f"s3://{self._bucket}/{staging}",
                without=self._person,
            )
            catalogue.queries.run(statement, token=f"{day}-{attempt}")

        rewrite(day, attempt=attempt, store=self._compactions, unload=unload)

    def _compacted(self) -> tuple[list[Line], list[date]]:
        days = sorted(days_below(self._client, bucket=self._bucket, prefix=COMPACTED_PREFIX))
        files = {day: self._compactions.compacted_files(day) for day in days}
        days = [day for day in days if files[day]]
        if not days:
            return [], []
        if self._catalogue is None:
            return [], days
        lines = self._lines_by_query(self._catalogue, Days(days[0], days[-1]))
        frozen = [day for day in days if not all(file.is_readable for file in files[day])]
        return lines, frozen

    def _lines_by_query(self, catalogue: Catalogue, days: Days) -> list[Line]:
        name = uuid.uuid4().hex
        prefix = f"{RESULTS_PREFIX}{name}/"
        statement = person_statement(
            self._person,
            days,
            database=catalogue.tables.database,
            table=catalogue.tables.compacted,
            destination=f"s3://{self._bucket}/{prefix}",
        )
        catalogue.queries.run(statement, token=f"{name}-person")
        lines: list[Line] = []
        for version in self._versions(prefix):
            content = self._read(version)
            lines += [
                {name: value for name, value in _decode(line).items() if value is not None}
                for line in (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).splitlines()
            ]
        return lines

    def _versions(self, prefix: str) -> Iterator[Version]:
        pages = self._client.get_paginator("list_object_versions").paginate(
            Bucket=self._bucket, Prefix=prefix
        )
        with service_call("s3:ListObjectVersions"):
            for page in pages:
                for each in page.get("Versions", []):
                    yield Version(each["Key"], each["VersionId"], each["IsLatest"])

    def _hits(
        self,
        versions: Iterable[Version],
        look: Callable[[Version], Hit | None],
        progress: Callable[[], object],
    ) -> Iterator[Hit]:
        with ThreadPoolExecutor(_READERS) as readers:
            for hit in readers.map(look, versions):
                progress()
                if hit is not None:
                    yield hit

    def _raw_hit(self, version: Version) -> Hit | None:
        theirs, _ = self._split(gzip.decompress(self._read(version)))
        return Hit(version, [_decode(line) for line in theirs]) if theirs else None

    def _loose_hit(self, version: Version) -> Hit | None:
        """Look into what could not be read: whole payloads, and lines with records in base64."""
        theirs, _ = self._split_loose(version, self._read(version))
        return (
            Hit(version, [{"payload": each.decode("utf-8", "replace")} for each in theirs])
            if theirs
            else None
        )

    def _rest(self, version: Version) -> bytes:
        content = self._read(version)
        if version.key.startswith(RAW_PREFIX):
            return self._split(gzip.decompress(content))[1]
        return self._split_loose(version, content)[1]

    def _split(self, content: bytes) -> tuple[list[bytes], bytes]:
        # Of millions of lines hardly one is theirs: none other is read as JSON.
        if not self._is_in(content):
            return [], content
        theirs: list[bytes] = []
        rest: list[bytes] = []
        for line in content.splitlines(keepends=True):
            is_theirs = self._is_in(line) and self._is_theirs(_decode(line))
            (theirs if is_theirs else rest).append(line)
        return theirs, b"".join(rest)

    def _split_loose(self, version: Version, content: bytes) -> tuple[list[bytes], bytes]:
        if not version.key.endswith(".jsonl"):
            return ([content], b"") if self._is_in(content) else ([], content)
        theirs: list[bytes] = []
        rest: list[bytes] = []
        for line in content.splitlines(keepends=True):
            is_theirs = self._is_in(line) or self._is_in(_unpacked(line))
            (theirs if is_theirs else rest).append(line)
        return theirs, b"".join(rest)

    def _is_theirs(self, line: Line) -> bool:
        person = self._person
        return line.get("subscriber_id") == person.subscriber_id or (
            line.get("phone_number") == person.phone_number
        )

    def _is_in(self, content: bytes) -> bool:
        return any(needle in content for needle in self._needles)

    def _read(self, version: Version) -> bytes:
        with service_call("s3:GetObject"):
            return self._client.get_object(
                Bucket=self._bucket, Key=version.key, VersionId=version.version_id
            )["Body"].read()

    def _delete(self, versions: Iterable[Version]) -> None:
        delete_versions(self._client, self._bucket, versions)


def delete_versions(client: S3Client, bucket: str, versions: Iterable[Version]) -> None:
    """Delete versions for good."""
    delete_objects(client, bucket, [{"Key": each.key, "VersionId": each.version_id} for each in versions])


def _unpacked(line: bytes) -> bytes:
    """Return what a set-aside record holds, as far as it can be read."""
    found = _DATA.search(line)
    try:
        return b64decode(found[1]) if found else b""
    except Base64Error:
        return b""
