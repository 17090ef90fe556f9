"""Buckets of rows in S3: one object a fragment, its buckets one after the other, each read by its range."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from sms_engagement_runtime.channel.adapters.aws_errors import service_call
from sms_engagement_runtime.channel.adapters.run_store import READERS
from sms_engagement_runtime.channel.domain.broadcast.run import Fragment

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKETS: Final = 256
"""A million people leave four thousand in a bucket."""


class S3Shuffle:
    """Keeps rows in memory until they are written as a fragment, and reads one bucket of many fragments.

    Rows are JSON lines. A fragment is ``{"key", "ends": [offset after each bucket]}``.
    """

    def __init__(self, client: S3Client, *, bucket: str, buckets: int = BUCKETS) -> None:
        self.buckets = buckets
        self._client = client
        self._bucket = bucket
        self._rows = [bytearray() for _ in range(buckets)]
        self._size = 0

    @property
    def pending_bytes(self) -> int:
        """Size of the rows that were added and not yet written."""
        return self._size

    def add(self, key: str, row: Any) -> None:
        """Add a row: anything that JSON can hold."""
        # A key may hold half a surrogate pair, which UTF-8 does not know.
        digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=4).digest()
        # ASCII, so that no row has a line end in it.
        line = json.dumps(row, separators=(",", ":")).encode() + b"\n"
        self._rows[int.from_bytes(digest) % self.buckets] += line
        self._size += len(line)

    def write(self, key: str) -> Fragment | None:
        """Write what was added since the last call as one object; None where that is nothing."""
        if self._size == 0:
            return None
        with service_call("s3:PutObject"):
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=b"".join(self._rows),
                ContentType="application/x-ndjson",
            )
        fragment = {"key": key, "ends": list(accumulate(len(rows) for rows in self._rows))}
        self._rows = [bytearray() for _ in range(self.buckets)]
        self._size = 0
        return fragment

    def span_end(self, start: int, fragments: Sequence[Fragment], *, max_bytes: int) -> int:
        """Return the bucket before which to stop reading: at least one, others while they fit."""
        begins = sum(_offset(fragment, start) for fragment in fragments)
        end = start + 1
        while end < self.buckets:
            if sum(_offset(fragment, end + 1) for fragment in fragments) - begins > max_bytes:
                break
            end += 1
        return end

    def read(self, start: int, end: int, fragments: Sequence[Fragment]) -> list[Any]:
        """Read the rows of the buckets from `start` on and before `end`."""
        ranges = [
            (fragment["key"], _offset(fragment, start), _offset(fragment, end)) for fragment in fragments
        ]
        with ThreadPoolExecutor(READERS) as pool:
            return [
                json.loads(line)
                for content in pool.map(self._read_range, ranges)
                for line in content.splitlines()
            ]

    def _read_range(self, where: tuple[str, int, int]) -> bytes:
        key, begin, end = where
        if begin == end:
            return b""
        with service_call("s3:GetObject"):
            # Both ends of an HTTP range belong to it (RFC 9110 §14.1.2).
            answer = self._client.get_object(Bucket=self._bucket, Key=key, Range=f"bytes={begin}-{end - 1}")
            return answer["Body"].read()


def _offset(fragment: Fragment, bucket: int) -> int:
    """Return where the rows of a bucket begin in a fragment, for the number of buckets where it ends."""
    offset: int = fragment["ends"][bucket - 1] if bucket else 0
    return offset
