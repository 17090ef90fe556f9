"""Buckets of customers on the function's own disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Final, Self

BUCKETS: Final = 256
"""A million customers leave four thousand in a bucket."""


class DiskBuckets:
    """Files in a folder, one a bucket, deleted at the end: some 110 bytes a customer.

    Lambda's standard half a gigabyte of disk takes over four million customers. Rows hold ids only, no phone
    number.

    Parameters
    ----------
    folder
        Exists, is writable, and used by nobody else.
    """

    def __init__(self, folder: Path, *, count: int = BUCKETS) -> None:
        self._paths = [folder / f"{number:03}" for number in range(count)]
        self._stack = ExitStack()
        self._files = [
            self._stack.enter_context(path.open("w", encoding="utf-8", newline="\n")) for path in self._paths
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()
        for path in self._paths:
            path.unlink(missing_ok=True)

    def add(self, subscriber_id: str, user_id: str) -> None:
        """Put a customer into the bucket of their phone."""
        digest = blake2b(subscriber_id.encode(), digest_size=4).digest()
        # A customer id may hold anything, line ends and tabs included.
        line = f"{subscriber_id}\t{user_id.encode('unicode_escape').decode('ascii')}\n"
        self._files[int.from_bytes(digest) % len(self._files)].write(line)

    def contents(self) -> Iterator[Sequence[tuple[str, str]]]:
        """Return bucket after bucket: pairs of subscriber id and customer id."""
        self._stack.close()
        for path in self._paths:
            with path.open(encoding="utf-8", newline="\n") as file:
                yield [_read(line) for line in file]


def _read(line: str) -> tuple[str, str]:
    subscriber, _, user = line.rstrip("\n").partition("\t")
    return subscriber, user.encode("ascii").decode("unicode_escape")
