"""Athena's SQL on DuckDB: the same text, translated, over the lines and files that the archive really has.

Skips where DuckDB and SQLGlot are not installed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from sms_engagement_runtime.sms_analytics_pipeline.domain.archive import RAW_PREFIX
from sms_engagement_runtime.sms_analytics_pipeline.domain.compaction import (
    COLUMNS,
    COMPACTED_PREFIX,
    ArchivedPerson,
    Tables,
    unload_statement,
)

duckdb = pytest.importorskip("duckdb")
sqlglot = pytest.importorskip("sqlglot")

TABLES = Tables(database="archive", raw="raw_events", compacted="compacted_events")
RAW = '"archive"."raw_events"'
COMPACTED = '"archive"."compacted_events"'

_TYPES = {"string": "VARCHAR", "bigint": "BIGINT"}


class ArchiveSql:
    """An archive in a folder, and SQL over it.

    Attributes
    ----------
    folder
        Stands for the bucket.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._connection = duckdb.connect()
        self._connection.execute("CREATE SCHEMA archive")

    def write(self, key: str, body: bytes) -> None:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    def ask(self, statement: str) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        self._look_again()
        (translated,) = sqlglot.transpile(statement, read="trino", write="duckdb")
        found = self._connection.execute(translated)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def compact(self, day: date, name: str, *, without: ArchivedPerson | None = None) -> None:
        """Write a day's events where compaction does, but for those of somebody."""
        destination = f"{COMPACTED_PREFIX}year={day:%Y}/month={day:%m}/day={day:%d}/"
        statement = unload_statement(TABLES, day, destination=f"s3://bucket/{destination}", without=without)
        assert statement.startswith("UNLOAD (")
        select, _, options = statement.removeprefix("UNLOAD (").rpartition("\n)\nTO ")
        assert options.startswith(f"'s3://bucket/{destination}'\nWITH (format = 'PARQUET'")
        self._look_again()
        (translated,) = sqlglot.transpile(select, read="trino", write="duckdb")
        path = self.folder / destination / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection.execute(f"COPY ({translated}) TO '{path}.parquet' (FORMAT PARQUET)")

    def delete_raw(self) -> None:
        for path in (self.folder / RAW_PREFIX).rglob("*.gz"):
            path.unlink()

    def _look_again(self) -> None:
        """Make the two tables over what lies there by now, as the catalogue does."""
        raw = {name: _TYPES[type_] for name, type_ in COLUMNS} | {"event_id_ending": "VARCHAR"}
        self._view(RAW, sorted(self.folder.glob(f"{RAW_PREFIX}**/*.gz")), "read_json", raw)
        compacted = {name: _TYPES[type_] for name, type_ in COLUMNS}
        files = sorted(self.folder.glob(f"{COMPACTED_PREFIX}**/*.parquet"))
        self._view(COMPACTED, files, "read_parquet", compacted)

    def _view(self, name: str, files: Iterable[Path], reader: str, columns: dict[str, str]) -> None:
        names = [str(file) for file in files]
        self._connection.execute(f"DROP VIEW IF EXISTS {name}")
        if not names:
            nothing = ", ".join(f"CAST(NULL AS {type_}) AS {column}" for column, type_ in columns.items())
            days = "0 AS year, 0 AS month, 0 AS day"
            self._connection.execute(f"CREATE VIEW {name} AS SELECT {nothing}, {days} WHERE false")
            return
        options = f", columns = {columns}, format = 'newline_delimited'" if reader == "read_json" else ""
        days = "hive_partitioning = true, hive_types = {'year': INTEGER, 'month': INTEGER, 'day': INTEGER}"
        self._connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {reader}({names}{options}, {days})")
