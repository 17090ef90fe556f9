"""Objects of broadcast runs in the bucket."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import batched
from typing import TYPE_CHECKING, Any, Final

from sms_engagement_runtime.channel.adapters.aws_errors import service_call
from sms_engagement_runtime.channel.domain.broadcast.outcomes import PersonOutcome
from sms_engagement_runtime.channel.domain.broadcast.run import outcome_from_json, outcome_to_json

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

READERS: Final = 16
"""Objects are many and small: reading them one by one would take a second for thirty."""


class S3RunStore:
    """Reads and writes JSON and JSON lines."""

    def __init__(self, client: S3Client, *, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def write_people(self, key: str, recipient_ids: Sequence[str]) -> None:
        """Write a part: ``{"userId": …}`` a line."""
        self._write_lines(key, ({"userId": recipient_id} for recipient_id in recipient_ids))

    def read_people(self, keys: Sequence[str]) -> Iterator[list[str]]:
        """Read parts, a few at a time, in their order."""
        return (
            [json.loads(line)["userId"] for line in content.splitlines()] for content in self._contents(keys)
        )

    def write_outcomes(self, key: str, outcomes: Iterable[PersonOutcome]) -> None:
        """Write what became of people: ``{"userId", "state", "reason", "messageId", "parts"}`` a line."""
        self._write_lines(key, (outcome_to_json(outcome) for outcome in outcomes))

    def read_outcomes(self, keys: Sequence[str]) -> Iterator[list[PersonOutcome]]:
        """Read what became of people, an object at a time, in their order."""
        return (
            [outcome_from_json(json.loads(line)) for line in content.splitlines()]
            for content in self._contents(keys)
        )

    def write_json(self, key: str, value: Any) -> None:
        """Write a JSON object or array."""
        self._write(key, json.dumps(value, separators=(",", ":")), "application/json")

    def read_json(self, keys: Sequence[str], *, prefix: str) -> Iterator[Any]:
        """Read JSON objects, a few at a time, in their order; None in place of a missing one.

        Which ones exist is listed first: to who may not list the whole bucket, S3 answers a missing object
        as it answers a forbidden one (*GetObject*, permissions).
        """
        # The key itself where there is one: a run with thousands of reports is not listed for it.
        existing = self._list(keys[0] if len(keys) == 1 else prefix)
        contents = self._contents([key for key in keys if key in existing])
        return (json.loads(next(contents)) if key in existing else None for key in keys)

    def _contents(self, keys: Sequence[str]) -> Iterator[bytes]:
        if len(keys) == 1:
            yield self._read(keys[0])
            return
        with ThreadPoolExecutor(READERS) as pool:
            for chunk in batched(keys, READERS, strict=False):
                yield from pool.map(self._read, chunk)

    def _write_lines(self, key: str, rows: Iterable[dict[str, Any]]) -> None:
        # ASCII: an id with half a surrogate pair or a line separator stays one line that can be written.
        lines = (json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
        self._write(key, "".join(lines), "application/x-ndjson")

    def _write(self, key: str, content: str, content_type: str) -> None:
        with service_call("s3:PutObject"):
            self._client.put_object(
                Bucket=self._bucket, Key=key, Body=content.encode(), ContentType=content_type
            )

    def _read(self, key: str) -> bytes:
        with service_call("s3:GetObject"):
            return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()

    def _list(self, prefix: str) -> set[str]:
        keys: set[str] = set()
        with service_call("s3:ListObjectsV2"):
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix
            ):
                keys.update(row["Key"] for row in page.get("Contents", []))
        return keys
