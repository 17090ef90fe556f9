# ruff: noqa: S608 - the queries are the user's own, in a database of their own
"""Athena runs Trino's SQL over the archive as Athena does: partitions, UNLOAD, limits, permissions, results.

Reason
    The archive is compacted by ``UNLOAD`` and asked by saved queries, over tables whose partitions are
    projected. A query that only DuckDB understands, a partition column of the wrong digits, a share that is 0
    since both counts are integers, a role that may start queries and not read the data: all of it must fail
    here as it would there.
AWS
    Engine 3 is Trino. Partitions come from the table's ``projection.*`` parameters, or are registered; a
    folder alone is none. ``UNLOAD`` writes to a prefix that must be empty. A query reads and writes with the
    permissions of who started it, is cancelled beyond the workgroup's ``BytesScannedCutoffPerQuery``, and
    puts its result at ``<output location>/<id>.csv``, all values quoted. An enforced workgroup decides the
    location.
    https://docs.aws.amazon.com/athena/latest/ug/partition-projection.html
    https://docs.aws.amazon.com/athena/latest/ug/unload.html
    https://docs.aws.amazon.com/athena/latest/ug/querying-finding-output-files.html
    https://docs.aws.amazon.com/athena/latest/ug/workgroups-setting-control-limits-cloudwatch.html
MiniStack 1.5.33
    Gives the text to DuckDB; takes folders for partitions; answers success for statements that do nothing;
    checks no permission but for the call; counts the answer as what was scanned; never ends a query early;
    writes to ``<id>.csv/<id>.csv``.
Hook
    Replaces ``athena._execute_query``, and chooses the location before ``_start_query_execution``. Queries
    are translated by SQLGlot; each table that one reads becomes a view in a database of its own. The current
    time is the virtual one, and a query counts as running. Statements but queries, ``UNLOAD`` and DDL of
    tables fail. Of Parquet, whole files count as scanned (AWS: the columns that are read).
"""

import asyncio
import gzip
import importlib
import json
import logging
import math
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from sms_local.emulator.patches._athena_sql import Query, QueryError, Unload, literal, unload_of
from sms_local.emulator.patches._athena_tables import Partition, Table
from sms_local.emulator.patches._pinned import PatchSettings, require
from sms_local.emulator.virtual_clock import VirtualClock, VirtualTime

logger = logging.getLogger(__name__)

LARGEST_PLAIN: Final = 1e7
SMALLEST_PLAIN: Final = 1e-3
"""Outside of these, Java writes a double with an exponent."""

TYPE_NAMES: Final = {"TIMESTAMP WITH TIME ZONE": "timestamp with time zone", "TIMESTAMP_NS": "timestamp"}
"""What MiniStack's own list of types lacks."""

_access_key: ContextVar[str] = ContextVar("athena_access_key", default="")


class QueryCancelledError(Exception):
    """The query went beyond a limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a query gave.

    Attributes
    ----------
    rows
        Values as Athena writes them; None for null.
    scanned
        Bytes of all objects that were read.
    manifest
        Where ``UNLOAD`` lists what it wrote.
    """

    columns: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    rows: list[list[str | None]] = field(default_factory=list)
    scanned: int = 0
    manifest: str = ""


def apply(settings: PatchSettings) -> None:
    """Run queries."""
    from ministack.services import athena, firehose, glue, s3

    for module, names in (
        (
            athena,
            (
                "_start_query_execution",
                "_execute_query",
                "_detect_statement_type",
                "_run_ddl",
                "_Cursor",
                "_table_relation",
                "_DUCKDB_TYPE_MAP",
            ),
        ),
        (s3, ("_get_object_data", "_put_object", "_buckets")),
        (glue, ("_tables", "_databases", "_partitions")),
        (firehose, ("_put_s3_object",)),
    ):
        for name in names:
            require(holds=hasattr(module, name), what=f"{module.__name__}.{name}")
    clock = settings.clock
    handle, start = athena.handle_request, athena._start_query_execution
    statement_type = athena._detect_statement_type

    async def handle_for_caller(method: str, path: str, headers: Any, body: Any, query: Any) -> Any:
        from ministack.core.router import extract_access_key_id

        _access_key.set(extract_access_key_id(headers, query) or "")
        return await handle(method, path, headers, body, query)

    def start_in_workgroup(data: Mapping[str, Any]) -> Any:
        refusal, located = _located(data)
        return refusal or start(located)

    def execute(query_id: str, query: str, database: str, ddl: Any, _catalog: str | None = None) -> Any:
        # The coroutine begins later, and the query counts from now on.
        return _execute(query_id, query, database, ddl, clock, clock.hold())

    def type_of_statement(query: str) -> str:
        is_unload = query.lstrip().upper().startswith("UNLOAD")
        return "DML" if is_unload else str(statement_type(query))

    vars(athena).update(
        time=VirtualTime(clock=clock),
        handle_request=handle_for_caller,
        _start_query_execution=start_in_workgroup,
        _execute_query=execute,
        _detect_statement_type=type_of_statement,
    )


def _located(data: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Decide where the result goes; return a refusal, or None, and the request with the location."""
    from ministack.services import athena

    name = data.get("WorkGroup") or "primary"
    group = athena._workgroups.get(name)
    if group is None:
        return _refused(f"WorkGroup {name} is not found."), {}
    if group.get("State") == "DISABLED":
        return _refused(f"WorkGroup {name} is disabled."), {}
    configuration = group.get("Configuration") or {}
    own = (configuration.get("ResultConfiguration") or {}).get("OutputLocation")
    asked = (data.get("ResultConfiguration") or {}).get("OutputLocation")
    is_enforced = str(configuration.get("EnforceWorkGroupConfiguration", True)).lower() == "true"
    location = (own if is_enforced and name != "primary" else None) or asked or own
    if location:
        location = location.rstrip("/") + "/"
        bucket = location.removeprefix("s3://").partition("/")[0]
        try:
            _require_permission("s3:GetBucketLocation", f"arn:aws:s3:::{bucket}")
        except QueryError:
            return _refused(f"Unable to verify/create output bucket {bucket}"), {}
    return None, {**data, "WorkGroup": name, "ResultConfiguration": {"OutputLocation": location}}


def _refused(message: str) -> Any:
    from ministack.services import athena

    return athena.error_response_json("InvalidRequestException", message, 400)


async def _execute(
    query_id: str, query: str, database: str, ddl: Any, clock: VirtualClock, done: Any
) -> None:
    from ministack.services import athena

    execution = athena._executions[query_id]
    status = execution["Status"]
    status["State"] = "RUNNING"
    try:
        if ddl is not None:
            athena._run_ddl(ddl, database)
            result = Result()
        else:
            limit = _limit(execution)
            result = await asyncio.to_thread(_run, query, database, clock.now(), limit, execution)
        _finish(execution, result)
    except QueryCancelledError as error:
        status.update(State="CANCELLED", StateChangeReason=str(error))
    except Exception as error:  # noqa: BLE001 - whatever DuckDB says fails the query
        logger.warning("Query %s failed: %s", query_id, error)
        status.update(
            State="FAILED",
            StateChangeReason=str(error)[:2000],
            AthenaError={"ErrorCategory": 2, "Retryable": False, "ErrorMessage": str(error)[:2000]},
        )
    finally:
        status["CompletionDateTime"] = int(clock.now())
        done()


def _limit(execution: Mapping[str, Any]) -> int | None:
    from ministack.services import athena

    group = athena._workgroups.get(execution["WorkGroup"]) or {}
    limit = (group.get("Configuration") or {}).get("BytesScannedCutoffPerQuery")
    return None if limit is None else int(limit)


def _finish(execution: dict[str, Any], result: Result) -> None:
    """Write the result, and say that the query succeeded, unless it was stopped meanwhile."""
    if execution["Status"]["State"] == "CANCELLED":
        return
    location = execution["ResultConfiguration"]["OutputLocation"]
    bucket, _, key = location.removeprefix("s3://").partition("/")
    _require_permission("s3:PutObject", f"arn:aws:s3:::{bucket}/{key}")
    if not result.manifest:
        _put(bucket, key, _as_csv(result))
    _put(bucket, f"{key}.metadata", json.dumps({"columns": result.columns, "types": result.types}).encode())
    execution["_results"] = {"columns": result.columns, "rows": result.rows}
    execution["_column_types"] = result.types
    execution["Statistics"].update(
        DataScannedInBytes=result.scanned, DataManifestLocation=result.manifest, EngineExecutionTimeInMillis=1
    )
    execution["Status"]["State"] = "SUCCEEDED"


def _as_csv(result: Result) -> bytes:
    """Return rows as Athena writes them: every value quoted, and nothing for null."""
    lines: list[list[str | None]] = [[*result.columns], *result.rows]
    return "".join(",".join(map(_in_quotes, line)) + "\n" for line in lines).encode()


def _in_quotes(value: str | None) -> str:
    return "" if value is None else '"' + value.replace('"', '""') + '"'


def _put(bucket: str, key: str, body: bytes) -> None:
    from ministack.services import s3

    answer = s3._put_object(bucket, key, body, {"content-length": str(len(body))})
    if isinstance(answer, tuple) and answer[0] >= 300:
        message = f"Access denied when writing output to url: s3://{bucket}/{key}"
        raise QueryError(message)


# Running


def _run(
    statement: str, database: str, now: float, limit: int | None, execution: Mapping[str, Any]
) -> Result:
    unload = unload_of(statement)
    query = Query(unload.query if unload else statement, database)
    with _connection() as connection, _folder() as folder:
        scanned = _prepare(query, connection, folder, now, limit)
        translated = query.to_duckdb(now)
        described = connection.execute(f"DESCRIBE {translated}").fetchall()
        types = [str(row[1]) for row in described]
        if unload:
            manifest = _unload(unload, connection, translated, types, folder, now, execution)
            return Result(scanned=scanned, manifest=manifest)
        rows = connection.execute(_as_text(translated, types)).fetchall()
        return Result(
            columns=[str(row[0]) for row in described],
            types=[_athena_type(each) for each in types],
            rows=[[_text(value) for value in row] for row in rows],
            scanned=scanned,
        )


@contextmanager
def _connection() -> Iterator[Any]:
    connection = importlib.import_module("duckdb").connect(":memory:")
    try:
        connection.execute("SET TimeZone = 'UTC'")
        # As in Trino, one integer divided by another is an integer.
        connection.execute("SET integer_division = true")
        yield connection
    finally:
        connection.close()


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="athena-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(query: Query, connection: Any, folder: Path, now: float, limit: int | None) -> int:
    """Make the tables that a query reads; return how many bytes they are."""
    scanned = 0
    wanted: list[tuple[Table, list[Partition]]] = []
    for name in query.tables:
        _require_table_permission(name.database, name.table)
        table = Table(name)
        partitions = table.wanted(query, connection, now)
        _require_read_permission(table, partitions)
        scanned += sum(partition.size for partition in partitions)
        wanted.append((table, partitions))
    if limit is not None and scanned > limit:
        message = "Bytes scanned limit was exceeded"
        raise QueryCancelledError(message)
    for number, (table, partitions) in enumerate(wanted):
        table.create_view(connection, partitions, folder / str(number))
    return scanned


def _as_text(query: str, types: list[str]) -> str:
    """Return a query whose values are texts as Athena writes them, but for floating point numbers."""
    names = [f"c{number}" for number in range(len(types))]
    values = []
    for name, kind in zip(names, types, strict=True):
        match kind:
            case "DOUBLE" | "FLOAT":
                values.append(name)
            case "TIMESTAMP":
                values.append(f"strftime({name}, '%Y-%m-%d %H:%M:%S.%g')")
            case "TIMESTAMP WITH TIME ZONE":
                values.append(f"strftime({name} AT TIME ZONE 'UTC', '%Y-%m-%d %H:%M:%S.%g') || ' UTC'")
            case _:
                values.append(f"CAST({name} AS VARCHAR)")
    return f"SELECT {', '.join(values)} FROM ({query}) AS result({', '.join(names)})"


def _text(value: object) -> str | None:
    """Return a value as Athena writes it."""
    if not isinstance(value, float):
        return None if value is None else str(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or SMALLEST_PLAIN <= abs(value) < LARGEST_PLAIN:
        return repr(value)
    # The shortest digits that are this number, as Java's.
    _, digits, exponent = Decimal(repr(value)).as_tuple()
    written = "".join(map(str, digits)).rstrip("0")
    power = len(digits) - 1 + int(exponent)
    return f"{'-' if value < 0 else ''}{written[0]}.{written[1:] or '0'}E{power}"


def _athena_type(duckdb_type: str) -> str:
    from ministack.services import athena

    plain = duckdb_type.upper().partition("(")[0].strip()
    if plain.endswith("]"):
        return "array"
    return TYPE_NAMES.get(plain) or str(athena._DUCKDB_TYPE_MAP.get(plain, "varchar"))


# UNLOAD


def _unload(
    unload: Unload,
    connection: Any,
    query: str,
    types: list[str],
    folder: Path,
    now: float,
    execution: Mapping[str, Any],
) -> str:
    """Write what a query gives; return where the list of what was written is."""
    from ministack.services import s3

    bucket, _, prefix = unload.location.removeprefix("s3://").partition("/")
    prefix = f"{prefix.rstrip('/')}/" if prefix.rstrip("/") else ""
    there = s3._buckets.get(bucket)
    if there is None:
        message = f"NoSuchBucket: The specified bucket does not exist: {bucket}"
        raise QueryError(message)
    _require_permission("s3:ListBucket", f"arn:aws:s3:::{bucket}")
    if any(key.startswith(prefix) for key in list(there["objects"])):
        message = (
            f"HIVE_PATH_ALREADY_EXISTS: Target directory for table already exists: {unload.location}. You "
            "may need to manually clean the data at this location before retrying."
        )
        raise QueryError(message)
    if "TIMESTAMP WITH TIME ZONE" in types:
        message = "NOT_SUPPORTED: Unsupported Hive type: timestamp(3) with time zone"
        raise QueryError(message)
    _require_permission("s3:PutObject", f"arn:aws:s3:::{bucket}/{prefix}data")
    file, ending = _written(unload, connection, query, folder)
    written = []
    (count,) = connection.execute(f"SELECT count(*) FROM ({query})").fetchone()
    if count:
        at = datetime.fromtimestamp(now, UTC)
        key = f"{prefix}{at:%Y%m%d_%H%M%S}_00001_{execution['QueryExecutionId'][:5]}_{uuid.uuid4()}{ending}"
        _put(bucket, key, file.read_bytes())
        written.append(f"s3://{bucket}/{key}\n")
    result = execution["ResultConfiguration"]["OutputLocation"].removesuffix(".csv")
    manifest = f"{result}-manifest.csv"
    manifest_bucket, _, manifest_key = manifest.removeprefix("s3://").partition("/")
    _require_permission("s3:PutObject", f"arn:aws:s3:::{manifest_bucket}/{manifest_key}")
    _put(manifest_bucket, manifest_key, "".join(written).encode())
    return manifest


def _written(unload: Unload, connection: Any, query: str, folder: Path) -> tuple[Path, str]:
    """Write to a file; return it, and the ending that the object's name has."""
    folder.mkdir(exist_ok=True)
    file = folder / "unloaded"
    match unload.file_format, unload.compression:
        case "PARQUET", ("SNAPPY" | "GZIP" | "ZSTD" | "UNCOMPRESSED" | "NONE") as compression:
            compression = "UNCOMPRESSED" if compression == "NONE" else compression
            connection.execute(
                f"COPY ({query}) TO {literal(str(file))} (FORMAT PARQUET, COMPRESSION {compression})"
            )
            return file, ""
        case "JSON", "GZIP":
            connection.execute(f"COPY ({query}) TO {literal(str(file))} (FORMAT JSON)")
            file.write_bytes(gzip.compress(file.read_bytes()))
            return file, ".gz"
    message = (
        f"NOT_SUPPORTED: the emulator does not unload as {unload.file_format or '(no format)'} with "
        f"{unload.compression}"
    )
    raise QueryError(message)


# Permissions


def _require_table_permission(database: str, table: str) -> None:
    """Ask for a table in the catalog, in its database, and by itself."""
    from ministack.services import athena

    scope = f"arn:aws:glue:{athena.get_region()}:{athena.get_account_id()}"
    for resource in (f"table/{database}/{table}", f"database/{database}", "catalog"):
        _require_permission("glue:GetTable", f"{scope}:{resource}")


def _require_read_permission(table: Table, partitions: list[Partition]) -> None:
    bucket = str(table.storage.get("Location", "")).removeprefix("s3://").partition("/")[0]
    _require_permission("s3:ListBucket", f"arn:aws:s3:::{bucket}")
    for partition in partitions:
        # All objects of a partition are below one prefix; policies name prefixes.
        for key, _ in partition.objects[:1]:
            _require_permission("s3:GetObject", f"arn:aws:s3:::{partition.bucket}/{key}")


def _require_permission(action: str, resource: str) -> None:
    from ministack.app import AUTH
    from ministack.core.iam_evaluator import enforce
    from ministack.services import athena

    if not AUTH or not _access_key.get():
        return
    service = action.partition(":")[0]
    denied = enforce(_access_key.get(), action, service, athena.get_region(), resource_arn=resource)
    if denied:
        principal = getattr(denied, "principal_arn", "the caller")
        message = (
            f"PERMISSION_DENIED: Insufficient permissions to execute the query. User: {principal} is not "
            f"authorized to perform: {action} on resource: {resource}"
        )
        raise QueryError(message)
