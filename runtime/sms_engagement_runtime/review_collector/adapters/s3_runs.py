"""Objects of broadcast runs in the bucket."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import batched
from typing import TYPE_CHECKING, Any, Final

from sms_engagement_runtime.channel.adapters.aws_errors import service_call
from sms_engagement_runtime.review_collector.domain.outcomes import PersonOutcome

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_READERS: Final = 16
"""Results are many small objects: reading them one by one would take a second for thirty."""


class S3RunStore:
    """Reads and writes JSON and JSON lines. A retry writes the same keys again."""

    def __init__(self, client: S3Client, *, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def write_people(self, key: str, user_ids: Sequence[str]) -> None:
        """Write a part: ``{"userId": …}`` a line."""
        self._write(key, "".join(_line({"userId": user_id}) for user_id in user_ids), "application/x-ndjson")

    def read_people(self, key: str) -> list[str]:
        """Read a part."""
        return [json.loads(line)["userId"] for line in self._read(key).splitlines()]

    def write_outcomes(self, key: str, outcomes: Iterable[PersonOutcome]) -> None:
        """Write what became of people: ``{"userId", "state", "reason", "messageId", "parts"}`` a line."""
        lines = (
            _line(
                {
                    "userId": outcome.user_id,
                    "state": outcome.state,
                    "reason": outcome.reason,
                    "messageId": outcome.message_id,
                    "parts": outcome.parts,
                }
            )
            for outcome in outcomes
        )
        self._write(key, "".join(lines), "application/x-ndjson")

    def read_outcomes(self, prefix: str, keys: Sequence[str]) -> Iterator[PersonOutcome]:
        """Read what became of people from these keys, a few at a time; a missing object has none.

        Which ones exist is listed first: to who may not list the whole bucket, S3 answers a missing object
        as it answers a forbidden one (*GetObject*, permissions).
        """
        existing = self._list(prefix)
        with ThreadPoolExecutor(_READERS) as pool:
            for chunk in batched((key for key in keys if key in existing), _READERS, strict=False):
                for content in pool.map(self._read, chunk):
                    for line in content.splitlines():
                        row = json.loads(line)
                        yield PersonOutcome(
                            user_id=row["userId"],
                            state=row["state"],
                            reason=row["reason"],
                            message_id=row["messageId"],
                            parts=row["parts"],
                        )

    def write_json(self, key: str, value: Any) -> None:
        """Write a JSON object or array."""
        self._write(key, json.dumps(value, separators=(",", ":")), "application/json")

    def read_json(self, key: str) -> Any:
        """Read it."""
        return json.loads(self._read(key))

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


def _line(value: dict[str, Any]) -> str:
    # ASCII: a customer id with half a surrogate pair or a line separator stays one line that can be written.
    return json.dumps(value, separators=(",", ":")) + "\n"
