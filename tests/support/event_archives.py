"""A day of the archive to compact, in memory and in S3 (moto). Events are numbers; an object has some."""

import json
from collections.abc import Callable, Collection, Iterable
from datetime import date
from itertools import count
from typing import Any

from sms_engagement_runtime.sms_analytics_pipeline.adapters.s3_compaction import S3CompactionStore
from sms_engagement_runtime.sms_analytics_pipeline.domain.archive import partition, raw_key
from sms_engagement_runtime.sms_analytics_pipeline.domain.compaction import (
    COMPACTED_PREFIX,
    COMPACTED_TAG,
    CompactedFile,
    CompactionStore,
    DayRecord,
    Outcome,
    RawObject,
    RecordChangedError,
    compact,
)

DAY = date(2026, 3, 1)
BUCKET = "archive-bucket"


class EventArchive:
    """What both have in common.

    Attributes
    ----------
    events
        All that was ever written.
    """

    store: CompactionStore

    def __init__(self) -> None:
        self.events: set[int] = set()
        self._attempts = count()

    def put(self, key: str, events: Iterable[int]) -> None:
        raise NotImplementedError

    def delete(self, key: str) -> None:
        raise NotImplementedError

    def keys(self, prefix: str) -> list[str]:
        raise NotImplementedError

    def content(self, key: str) -> list[int]:
        """Return the events of an object; none where a query cannot read it."""
        raise NotImplementedError

    def is_tagged(self, key: str) -> bool:
        raise NotImplementedError

    def move_to_deep_archive(self, key: str) -> None:
        raise NotImplementedError

    def write(self, first: int, *events: int) -> None:
        """Do what the stream's consumer does."""
        self.events.update(events)
        self.put(raw_key(DAY, "shard", str(first)), events)

    def unload(self, _day: date, staging: str) -> None:
        """Do what Athena does: each event once, in two files, into a prefix that must be empty."""
        assert not self.keys(staging)
        found = sorted(set(self.read("events/")) | set(self.read(COMPACTED_PREFIX)))
        for number, part in enumerate((found[::2], found[1::2])):
            if part:
                self.put(f"{staging}file-{number}", part)

    def compact(self, unload: Callable[[date, str], None] | None = None) -> Outcome:
        """Compact the day, under a name of its own."""
        return compact(
            DAY, attempt=f"attempt-{next(self._attempts)}", store=self.store, unload=unload or self.unload
        )

    def read(self, prefix: str) -> list[int]:
        """Return the events of all objects below a prefix, as often as they lie there."""
        return [event for key in self.keys(prefix) for event in self.content(key)]

    def expire(self) -> None:
        """Do what the lifecycle rule does, long after: raw objects that have the tag are gone."""
        for key in self.keys("events/"):
            if self.is_tagged(key):
                self.delete(key)


class S3EventArchive(EventArchive):
    """In a versioned bucket."""

    def __init__(self, client: Any) -> None:
        super().__init__()
        client.create_bucket(Bucket=BUCKET)
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        self.client = client
        self.store = S3CompactionStore(client, bucket=BUCKET)

    def put(self, key: str, events: Iterable[int]) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(list(events)).encode())

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=BUCKET, Key=key)

    def keys(self, prefix: str) -> list[str]:
        listed = self.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [found["Key"] for found in listed.get("Contents", [])]

    def content(self, key: str) -> list[int]:
        if self.client.head_object(Bucket=BUCKET, Key=key).get("StorageClass") == "DEEP_ARCHIVE":
            return []
        events: list[int] = json.loads(self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read())
        return events

    def is_tagged(self, key: str) -> bool:
        name, value = COMPACTED_TAG
        tags = self.client.get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"]
        return {"Key": name, "Value": value} in tags

    def move_to_deep_archive(self, key: str) -> None:
        body = json.dumps(self.content(key)).encode()
        self.client.put_object(Bucket=BUCKET, Key=key, Body=body, StorageClass="DEEP_ARCHIVE")


class MemoryEventArchive(EventArchive):
    """In memory. `before` is called with the number of each step before it is done."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, tuple[str, list[int]]] = {}
        self.tagged: set[RawObject] = set()
        self.deep: set[str] = set()
        self.before: Callable[[int], None] = lambda _: None
        self.steps = 0
        self._versions = count()
        self.store = MemoryCompactionStore(self)

    def step(self) -> None:
        self.steps += 1
        self.before(self.steps)

    def version(self) -> str:
        return str(next(self._versions))

    def put(self, key: str, events: Iterable[int]) -> None:
        self.objects[key] = (self.version(), list(events))

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))

    def content(self, key: str) -> list[int]:
        return [] if key in self.deep else self.objects[key][1]

    def is_tagged(self, key: str) -> bool:
        return RawObject(key, self.objects[key][0]) in self.tagged

    def move_to_deep_archive(self, key: str) -> None:
        self.deep.add(key)

    def unload(self, day: date, staging: str) -> None:
        self.step()
        super().unload(day, staging)


class MemoryCompactionStore:
    """The store of an archive in memory; each change to a single object is a step of its own."""

    def __init__(self, archive: MemoryEventArchive) -> None:
        self._archive = archive
        self._records: dict[date, tuple[DayRecord, str]] = {}

    def raw_objects(self, day: date) -> Collection[RawObject]:
        self._archive.step()
        prefix = f"events/{partition(day)}"
        return [RawObject(key, self._archive.objects[key][0]) for key in self._archive.keys(prefix)]

    def compacted_files(self, day: date) -> Collection[CompactedFile]:
        self._archive.step()
        keys = self._archive.keys(f"{COMPACTED_PREFIX}{partition(day)}")
        return [CompactedFile(key, is_readable=key not in self._archive.deep) for key in keys]

    def record(self, day: date) -> tuple[DayRecord | None, str | None]:
        self._archive.step()
        return self._records.get(day, (None, None))

    def put_record(self, day: date, record: DayRecord, *, over: str | None) -> str:
        self._archive.step()
        if self._records.get(day, (None, None))[1] != over:
            raise RecordChangedError(str(day))
        version = self._archive.version()
        self._records[day] = (record, version)
        return version

    def take_over(self, day: date, staging: str, attempt: str) -> Collection[str]:
        copied = []
        for number, key in enumerate(self._archive.keys(staging)):
            self._archive.step()
            target = f"{COMPACTED_PREFIX}{partition(day)}{attempt}-{number}"
            self._archive.put(target, self._archive.content(key))
            copied.append(target)
        return copied

    def delete_files(self, keys: Collection[str]) -> None:
        for key in sorted(keys):
            self._archive.step()
            self._archive.delete(key)

    def clear(self, staging: str) -> None:
        self._archive.step()
        for key in self._archive.keys(staging):
            self._archive.delete(key)

    def tag(self, objects: Iterable[RawObject]) -> None:
        for each in objects:
            self._archive.step()
            self._archive.tagged.add(each)
