"""Statements of Athena: what they read, which partitions they ask for, and how DuckDB is told the same.

Athena's queries are Trino's SQL (https://docs.aws.amazon.com/athena/latest/ug/functions.html). SQLGlot parses
and translates them; it is in the emulator's environment only, and so is imported where it is used.
"""

import importlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

CATALOG: Final = "awsdatacatalog"

RENAMED: Final = {"EVERY": "BOOL_AND", "FORMAT": "PRINTF"}
"""Functions that SQLGlot takes over although DuckDB has them by another name, or means another thing."""


def _module(name: str) -> Any:
    return importlib.import_module(name)


class QueryError(Exception):
    """The query cannot be run; the message is Athena's as far as it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unload:
    """``UNLOAD (query) TO 'location' WITH (…)``.

    https://docs.aws.amazon.com/athena/latest/ug/unload.html
    """

    query: str
    location: str
    file_format: str
    compression: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableName:
    """A table in a database, in lower case as Athena sees it."""

    database: str
    table: str


def unload_of(statement: str) -> Unload | None:
    """Return what a statement unloads; None when it is another statement.

    Raises
    ------
    QueryError
        When it begins as ``UNLOAD`` and goes on in a way that is not known here.
    """
    from ministack.services import athena

    cursor = athena._Cursor(statement.rstrip().removesuffix(";"))
    if not cursor.keywords("unload"):
        return None
    begin = cursor.peek()[2]
    if not cursor.punct("("):
        raise _syntax_error(statement)
    cursor.skip_group()
    end = cursor.tokens[cursor.i - 1][2]
    location = cursor.string() if cursor.keywords("to") else None
    if location is None or not location.startswith("s3://"):
        raise _syntax_error(statement)
    options: dict[str, str] = {}
    if cursor.keywords("with"):
        cursor.punct("(")
        while not cursor.punct(")"):
            name = cursor.identifier()
            value = cursor.string() if name and cursor.punct("=") else None
            if value is None:
                raise _syntax_error(statement)
            options[name.lower()] = value
            cursor.punct(",")
    if not cursor.at_end() or options.keys() - {"format", "compression"}:
        raise _syntax_error(statement)
    return Unload(
        query=statement[begin + 1 : end],
        location=location,
        file_format=options.get("format", "").upper(),
        compression=options.get("compression", "GZIP").upper(),
    )


def _syntax_error(statement: str) -> QueryError:
    return QueryError(f"SYNTAX_ERROR: the emulator cannot read the statement {statement.strip()[:80]!r}")


class Query:
    """A query, parsed.

    Parameters
    ----------
    database
        Of tables that are named alone.

    Raises
    ------
    QueryError
        When it is no query in Trino's SQL.
    """

    def __init__(self, text: str, database: str) -> None:
        sqlglot, exp = _module("sqlglot"), _module("sqlglot.expressions")

        try:
            tree = sqlglot.parse_one(text, read="trino")
        except sqlglot.errors.SqlglotError as error:
            message = f"SYNTAX_ERROR: {str(error).splitlines()[0]}"
            raise QueryError(message) from error
        if not isinstance(tree, exp.Query):
            message = f"NOT_SUPPORTED: the emulator has queries and UNLOAD only, not {tree.key.upper()}"
            raise QueryError(message)
        self._tree: Any = tree
        self._filters: dict[TableName, list[list[Any] | None]] = defaultdict(list)
        for use in self._uses():
            self._name(use, database)

    @property
    def tables(self) -> list[TableName]:
        """The tables that it reads."""
        return list(self._filters)

    def _uses(self) -> Iterator[Any]:
        """Every place where a table is read; a name that ``WITH`` gives is none."""
        exp, scopes = _module("sqlglot.expressions"), _module("sqlglot.optimizer.scope")

        for scope in scopes.traverse_scope(self._tree):
            for alias, (node, source) in scope.selected_sources.items():
                if isinstance(source, exp.Table):
                    yield scope, alias, node

    def _name(self, use: Any, database: str) -> None:
        scope, alias, node = use
        exp = _module("sqlglot.expressions")

        table = node if isinstance(node, exp.Table) else node.find(exp.Table)
        if table.catalog and table.catalog.lower() != CATALOG:
            message = f"CATALOG_NOT_FOUND: Catalog '{table.catalog}' does not exist"
            raise QueryError(message)
        name = TableName(database=(table.db or database).lower(), table=table.name.lower())
        self._filters[name].append(_conditions(scope, alias))
        if not table.alias:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name)))
        table.set("catalog", None)
        table.set("db", exp.to_identifier(name.database, quoted=True))
        table.set("this", exp.to_identifier(name.table, quoted=True))

    def partition_filter(self, name: TableName, keys: set[str], now: float) -> str | None:
        """Return a condition in DuckDB's SQL that all partitions that are read fulfil; None for all.

        Parameters
        ----------
        keys
            Names of the columns by which the table is partitioned.
        now
            The virtual time, in epoch seconds.
        """
        exp = _module("sqlglot.expressions")

        alternatives = []
        for conditions in self._filters[name]:
            usable = [each for each in conditions or [] if _columns(each) and _columns(each) <= keys]
            if not usable:
                return None
            alternatives.append(exp.and_(*(_unqualified(each) for each in usable)))
        return _in_duckdb(exp.or_(*alternatives), now)

    def to_duckdb(self, now: float) -> str:
        """Return it in DuckDB's SQL, with the virtual time as the current one."""
        return _in_duckdb(self._tree, now)


def _in_duckdb(tree: Any, now: float) -> str:
    """Return a query, or a part of one, in DuckDB's SQL, with the virtual time as the current one."""
    exp = _module("sqlglot.expressions")

    at = datetime.fromtimestamp(now, UTC)
    timestamp = f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d}"
    instants = {
        "CurrentDate": exp.cast(exp.Literal.string(f"{at:%Y-%m-%d}"), "date"),
        "CurrentTimestamp": exp.cast(exp.Literal.string(f"{timestamp}+00"), "timestamptz"),
        "Localtimestamp": exp.cast(exp.Literal.string(timestamp), "timestamp"),
    }

    def translate(node: Any) -> Any:
        if (instant := instants.get(type(node).__name__)) is not None:
            return instant.copy()
        called = node.sql_name() if isinstance(node, exp.Func) else ""
        called = node.name.upper() if isinstance(node, exp.Anonymous) else called
        if called in RENAMED:
            arguments = node.expressions if isinstance(node, exp.Anonymous) else _arguments(node)
            return exp.Anonymous(this=RENAMED[called], expressions=arguments)
        return node

    return str(_keep_dates(tree.copy().transform(translate)).sql(dialect="duckdb"))


def _keep_dates(tree: Any) -> Any:
    """Let a date plus or minus days stay a date; DuckDB makes a timestamp of it."""
    exp, types = _module("sqlglot.expressions"), _module("sqlglot.optimizer.annotate_types")
    sums = (exp.Add, exp.Sub, exp.DateAdd, exp.DateSub)
    annotated = types.annotate_types(tree, dialect="trino")
    dates = [
        node
        for node in annotated.find_all(*sums)
        if node.this.is_type("date") and (isinstance(node.expression, exp.Interval) or node.args.get("unit"))
    ]
    for node in dates:
        node.replace(exp.cast(exp.paren(node.copy()), "date"))
    return annotated


def _arguments(node: Any) -> list[Any]:
    arguments: list[Any] = []
    for value in node.args.values():
        arguments += value if isinstance(value, list) else [value]
    return [each for each in arguments if each is not None]


def _conditions(scope: Any, alias: str) -> list[Any] | None:
    """Return what a row of a table must fulfil to count in a ``SELECT``; None where that cannot be told.

    An outer join keeps rows that have no match, so there a condition on one side may be about its absence.
    """
    exp = _module("sqlglot.expressions")

    select = scope.expression
    if not isinstance(select, exp.Select) or any(join.side for join in select.args.get("joins") or []):
        return None
    where = select.args.get("where")
    if where is None:
        return None
    is_alone = len(scope.selected_sources) == 1
    conditions = where.this.flatten() if isinstance(where.this, exp.And) else [where.this]
    return [
        condition
        for condition in conditions
        if not condition.find(exp.Query)
        and all(
            column.table.lower() == alias.lower() or (is_alone and not column.table)
            for column in condition.find_all(exp.Column)
        )
    ]


def _columns(condition: Any) -> set[str]:
    exp = _module("sqlglot.expressions")

    return {column.name.lower() for column in condition.find_all(exp.Column)}


def _unqualified(condition: Any) -> Any:
    exp = _module("sqlglot.expressions")

    def translate(node: Any) -> Any:
        return exp.column(node.name.lower(), quoted=True) if isinstance(node, exp.Column) else node

    return condition.copy().transform(translate)


def duckdb_type(hive_type: str) -> str:
    """Return a column type of Glue's as DuckDB's."""
    exp = _module("sqlglot.expressions")

    return str(exp.DataType.build(hive_type, dialect="hive").sql(dialect="duckdb"))


def quoted(name: str) -> str:
    """Return an identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a string literal."""
    return "'" + text.replace("'", "''") + "'"


def struct(members: Mapping[str, str]) -> str:
    """Return a struct of strings, as DuckDB's table functions take options."""
    return "{" + ", ".join(f"{literal(name)}: {literal(value)}" for name, value in members.items()) + "}"
