"""Where reviews go before the table forgets them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Protocol
from urllib.parse import quote

ARCHIVE_PREFIX: Final = "reviews/"
"""Everything of the archive lies below it."""

type Row = Mapping[str, object]
"""A row of the reviews table as plain values, whatever attributes it has."""


class ReviewArchive(Protocol):
    """Keeps reviews after the table has deleted them."""

    def keep(self, key: str, row: Row) -> None:
        """Write a review under its key; writing it again changes nothing.

        Raises
        ------
        TransientError
            The archive does not answer.
        """
        ...


def archive_key(row: Row, *, deleted_at: datetime) -> str:
    """Return ``reviews/year=YYYY/month=MM/<reviewId>.json``: the month in which the review was written, UTC.

    The same review has the same key in every attempt. The folders are named as Athena and Glue read
    partitions from them (Amazon Athena user guide, *Partition your data*, Hive style).

    Parameters
    ----------
    row
        With ``reviewId``, and ``timestamp`` in epoch milliseconds.
    deleted_at
        When the table deleted it, for a row whose ``timestamp`` is not what we write.
    """
    timestamp = row.get("timestamp")
    written_at = deleted_at
    if isinstance(timestamp, int) and 0 <= timestamp < _END_OF_TIME_MS:
        written_at = datetime.fromtimestamp(timestamp // 1000, tz=UTC)
    name = quote(str(row["reviewId"]), safe="")
    return f"{ARCHIVE_PREFIX}year={written_at:%Y}/month={written_at:%m}/{name}.json"


# The first instant that a datetime cannot hold, in the year 10000.
_END_OF_TIME_MS: Final = 253_402_300_800_000
