# ruff: noqa: S608 - names and literals are quoted, and the database is the query's own
"""Tables of Glue's catalog as Athena reads them: partitions, files, columns.

https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html
https://docs.aws.amazon.com/athena/latest/ug/partitions.html
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sms_local.emulator.patches._athena_sql import (
    CATALOG,
    Query,
    QueryError,
    TableName,
    duckdb_type,
    literal,
    quoted,
    struct,
)

PLACEHOLDER: Final = re.compile(r"\\\$\\\{(\w+)\\\}")
"""``${name}`` in a location template, once escaped."""

NOW: Final = re.compile(
    r"NOW\s*(?:([+-])\s*(\d+)\s*(SECOND|MINUTE|HOUR|DAY|WEEK|MONTH|YEAR)S?)?", re.IGNORECASE
)
DAYS: Final = {"DAY": 1, "WEEK": 7, "MONTH": 30.4, "YEAR": 365.25}
SECONDS: Final = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600}

JAVA_DATES: Final = (("yyyy", "%Y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H"), ("mm", "%M"), ("ss", "%S"))

WIDENING: Final = {
    ("TINYINT", "BIGINT"),
    ("SMALLINT", "BIGINT"),
    ("INTEGER", "BIGINT"),
    ("SMALLINT", "INTEGER"),
    ("FLOAT", "DOUBLE"),
}
"""Types in a Parquet file that a table may declare wider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """Objects that belong together.

    Attributes
    ----------
    values
        Of the partition columns, as text; empty for a table without any.
    objects
        Key and size of each.
    """

    bucket: str
    values: Mapping[str, str]
    objects: tuple[tuple[str, int], ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(size for _, size in self.objects)


class Table:
    """A table of the catalog.

    Raises
    ------
    QueryError
        When there is none of that name.
    """

    def __init__(self, name: TableName) -> None:
        from ministack.services import glue

        found = glue._tables.get(f"{name.database}/{name.table}")
        if found is None:
            message = (
                f"TABLE_NOT_FOUND: Table '{CATALOG}.{name.database}.{name.table}' does not exist"
                if name.database in glue._databases
                else f"SCHEMA_NOT_FOUND: Schema '{name.database}' does not exist"
            )
            raise QueryError(message)
        self.name = name
        self.definition: Mapping[str, Any] = found
        self.storage: Mapping[str, Any] = found.get("StorageDescriptor") or {}
        self.parameters: Mapping[str, str] = found.get("Parameters") or {}
        self.columns = [_column(column) for column in self.storage.get("Columns") or []]
        self.keys = [_column(column) for column in found.get("PartitionKeys") or []]

    # Partitions

    def partitions(self, now: float) -> list[Partition]:
        """Return its partitions, as far as there are objects in them."""
        location = str(self.storage.get("Location", ""))
        if not self.keys:
            return [Partition(bucket=_bucket(location), values={}, objects=tuple(_objects(location)))]
        if str(self.parameters.get("projection.enabled", "")).lower() == "true":
            return list(self._projected(location, now))
        return list(self._registered())

    def _registered(self) -> Iterator[Partition]:
        from ministack.services import glue

        for found in glue._partitions.get(f"{self.name.database}/{self.name.table}") or []:
            location = found["StorageDescriptor"]["Location"]
            yield Partition(
                bucket=_bucket(location),
                values={
                    name: str(value) for (name, _), value in zip(self.keys, found["Values"], strict=True)
                },
                objects=tuple(_objects(location)),
            )

    def _projected(self, location: str, now: float) -> Iterator[Partition]:
        """Partitions by the table's own rules: those that there are objects in, and that the rules name."""
        names = [name for name, _ in self.keys]
        if missing := [name for name in names if f"projection.{name}.type" not in self.parameters]:
            message = (
                f"INVALID_TABLE_PROPERTY: Table {self.name.database}.{self.name.table} is configured for "
                "partition projection, but the following partition columns are missing projection "
                f"configuration: [{', '.join(missing)}]"
            )
            raise QueryError(message)
        default = location.rstrip("/") + "".join(f"/{name}=${{{name}}}" for name in names)
        template = self.parameters.get("storage.location.template", default).rstrip("/") + "/"
        bucket = _bucket(template)
        prefix = template.removeprefix(f"s3://{bucket}/")
        pattern = re.compile(PLACEHOLDER.sub(lambda found: f"(?P<{found[1]}>[^/]+)", re.escape(prefix)))
        found: dict[tuple[str, ...], list[tuple[str, int]]] = {}
        above = prefix.partition("${")[0].rpartition("/")[0]
        for key, size in _objects(f"s3://{bucket}/{above}"):
            if match := pattern.match(key):
                values = match.groupdict()
                if all(_is_projected(name, values[name], self.parameters, now) for name in names):
                    found.setdefault(tuple(values[name] for name in names), []).append((key, size))
        for texts, objects in found.items():
            values = dict(zip(names, texts, strict=True))
            yield Partition(bucket=bucket, values=values, objects=tuple(objects))

    def wanted(self, query: Query, connection: Any, now: float) -> list[Partition]:
        """Return the partitions that a query reads."""
        partitions = self.partitions(now)
        condition = query.partition_filter(self.name, {name for name, _ in self.keys}, now)
        if condition is None or not self.keys or not partitions:
            return partitions
        rows = [[number, *each.values.values()] for number, each in enumerate(partitions)]
        names = ", ".join(quoted(name) for name, _ in self.keys)
        typed = ", ".join(
            f"CAST({quoted(name)} AS {duckdb_type(kind)}) AS {quoted(name)}" for name, kind in self.keys
        )
        row = f"({', '.join('?' * (len(self.keys) + 1))})"
        values = f"(VALUES {', '.join([row] * len(rows))}) AS t(number, {names})"
        found = connection.execute(
            f"SELECT number FROM (SELECT number, {typed} FROM {values}) WHERE {condition}",
            [value for row in rows for value in row],
        )
        return [partitions[int(number)] for (number,) in found.fetchall()]

    # Files

    def create_view(self, connection: Any, partitions: list[Partition], folder: Path) -> None:
        """Make the table's rows a view in DuckDB, with the files in a folder of their own.

        Raises
        ------
        QueryError
            When the table is of a format that is not known here, or its files are not as it says.
        """
        files = list(self._files(partitions, folder))
        schema, view = quoted(self.name.database), quoted(self.name.table)
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        connection.execute(f"CREATE VIEW {schema}.{view} AS {self._rows(connection, files)}")

    def _files(self, partitions: list[Partition], folder: Path) -> Iterator[str]:
        from ministack.services import s3

        for partition in partitions:
            directory = folder.joinpath(
                *(f"{name}={quote(value, safe='')}" for name, value in partition.values.items())
            )
            directory.mkdir(parents=True, exist_ok=True)
            for number, (key, _) in enumerate(partition.objects):
                data = s3._get_object_data(partition.bucket, key)
                if data is not None:
                    file = directory / f"{number}-{key.rpartition('/')[2]}"
                    file.write_bytes(data)
                    yield str(file)

    def _rows(self, connection: Any, files: list[str]) -> str:
        columns = [*self.columns, *self.keys]
        if not files:
            nothing = ", ".join(
                f"CAST(NULL AS {duckdb_type(kind)}) AS {quoted(name)}" for name, kind in columns
            )
            return f"SELECT {nothing} WHERE FALSE"
        match self._format():
            case "json":
                return f"SELECT {', '.join(quoted(name) for name, _ in columns)} FROM {self._json(files)}"
            case "parquet":
                return self._parquet(connection, files)
        from ministack.services import athena

        return f"SELECT * FROM {athena._table_relation(self.definition, files)}"

    def _format(self) -> str:
        """Return the format by what reads it; ``classification`` is for Glue's own jobs."""
        library = str((self.storage.get("SerdeInfo") or {}).get("SerializationLibrary", "")).lower()
        return next((kind for kind in ("parquet", "json") if kind in library), "text")

    def _hive(self) -> str:
        types = {name: duckdb_type(kind) for name, kind in self.keys}
        return (
            f"hive_partitioning = true, hive_types = {struct(types)}"
            if types
            else "hive_partitioning = false"
        )

    def _json(self, files: list[str]) -> str:
        types = struct({name: duckdb_type(kind) for name, kind in self.columns})
        listed = ", ".join(map(literal, files))
        return f"read_json([{listed}], format = 'newline_delimited', columns = {types}, {self._hive()})"

    def _parquet(self, connection: Any, files: list[str]) -> str:
        listed = ", ".join(map(literal, files))
        relation = f"read_parquet([{listed}], union_by_name = true, {self._hive()})"
        there = _types(connection, f"SELECT * FROM {relation}")
        selected = []
        for name, kind in self.columns:
            declared = _types(connection, f"SELECT CAST(NULL AS {duckdb_type(kind)}) AS c")["c"]
            found = there.get(name, declared)
            if found != declared and (found, declared) not in WIDENING:
                message = (
                    f"HIVE_BAD_DATA: Malformed Parquet file. Field {name}'s type {found} is incompatible "
                    f"with type {kind} defined in table schema"
                )
                raise QueryError(message)
            value = quoted(name) if name in there else "NULL"
            selected.append(f"CAST({value} AS {declared}) AS {quoted(name)}")
        return f"SELECT {', '.join([*selected, *(quoted(name) for name, _ in self.keys)])} FROM {relation}"


def _types(connection: Any, query: str) -> dict[str, str]:
    described = connection.execute(f"DESCRIBE {query}").fetchall()
    return {str(row[0]).lower(): str(row[1]) for row in described}


def _column(column: Mapping[str, Any]) -> tuple[str, str]:
    return str(column["Name"]).lower(), str(column.get("Type") or "string")


def _bucket(location: str) -> str:
    return location.removeprefix("s3://").partition("/")[0]


def _objects(location: str) -> Iterator[tuple[str, int]]:
    """Key and size of all objects below a location; a name that begins with ``_`` or ``.`` is hidden."""
    from ministack.services import s3

    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    prefix = f"{prefix.rstrip('/')}/" if prefix.rstrip("/") else ""
    found = s3._buckets.get(bucket)
    if found is None:
        message = f"NoSuchBucket: The specified bucket does not exist: {bucket}"
        raise QueryError(message)
    for key in sorted(found["objects"].keys()):
        names = key.removeprefix(prefix).split("/")
        is_hidden = any(name.startswith(("_", ".")) for name in names)
        if key.startswith(prefix) and names[-1] and not is_hidden:
            yield key, int(found["objects"][key]["size"])


def _is_projected(name: str, value: str, parameters: Mapping[str, str], now: float) -> bool:
    """Tell whether a value is one that the rules for a column name."""
    rule = {
        option.removeprefix(f"projection.{name}."): text
        for option, text in parameters.items()
        if option.startswith(f"projection.{name}.")
    }
    match rule["type"].lower():
        case "enum":
            return value in [each.strip() for each in rule["values"].split(",")]
        case "integer":
            return _is_projected_integer(value, rule)
        case "date":
            return _is_projected_date(value, rule, now)
        case "injected":
            return True
    message = f"INVALID_TABLE_PROPERTY: Unknown projection type {rule['type']} for column {name}"
    raise QueryError(message)


def _is_projected_integer(value: str, rule: Mapping[str, str]) -> bool:
    lowest, highest = (int(bound) for bound in rule["range"].split(","))
    if not value.isascii() or not value.removeprefix("-").isdigit():
        return False
    number = int(value)
    is_written_so = value == f"{number:0{int(rule.get('digits', 1))}d}"
    steps = int(rule.get("interval", 1))
    return is_written_so and lowest <= number <= highest and (number - lowest) % steps == 0


def _is_projected_date(value: str, rule: Mapping[str, str], now: float) -> bool:
    pattern = rule["format"]
    for java, python in JAVA_DATES:
        pattern = pattern.replace(java, python)
    try:
        at = datetime.strptime(value, pattern).replace(tzinfo=UTC)
        lowest, highest = (_instant(bound.strip(), pattern, now) for bound in rule["range"].split(","))
    except ValueError:
        return False
    return lowest <= at <= highest and at.strftime(pattern) == value


def _instant(bound: str, pattern: str, now: float) -> datetime:
    relative = NOW.fullmatch(bound)
    if relative is None:
        return datetime.strptime(bound, pattern).replace(tzinfo=UTC)
    at = datetime.fromtimestamp(now, UTC)
    if relative[1] is None:
        return at
    unit = relative[3].upper()
    amount = int(relative[2]) * (1 if relative[1] == "+" else -1)
    distance = timedelta(days=amount * DAYS.get(unit, 0), seconds=amount * SECONDS.get(unit, 0))
    return (
        (at + distance).replace(hour=0, minute=0, second=0, microsecond=0) if unit in DAYS else at + distance
    )
