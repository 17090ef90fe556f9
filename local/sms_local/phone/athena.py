"""The saved queries of the archive, and what Athena answers to them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sms_engagement_runtime.channel.domain.errors import TransientError

#: Saved queries that are offered, and rows of a result that are read, its header included: what one call
#: of ListNamedQueries and GetQueryResults brings (their API references).
_MOST_QUERIES: Final = 50
_ROWS_A_CALL: Final = 1000

_WAIT_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.2
_OVER: Final = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


class QueryError(TransientError):
    """Athena did not answer a query; the message says why, to a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedQuery:
    """A query of the workgroup."""

    id: str
    name: str
    description: str
    database: str
    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryResult:
    """What Athena answered.

    Attributes
    ----------
    rows
        Texts, None for null.
    is_cut
        Whether there are more rows than were read.
    scanned_bytes
        What Athena bills by.
    """

    query: SavedQuery
    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    is_cut: bool
    scanned_bytes: int


class AthenaQueries:
    """Runs the saved queries of one workgroup.

    Parameters
    ----------
    client
        Athena client.
    workgroup
        Its name.
    """

    def __init__(self, client: Any, *, workgroup: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._workgroup = workgroup
        self._sleep = sleep
        self._saved: tuple[SavedQuery, ...] | None = None

    def saved(self) -> tuple[SavedQuery, ...]:
        """Return the saved queries by name; they are asked for until there are any, then kept."""
        if not self._saved:
            self._saved = self._read()
        return self._saved

    def _read(self) -> tuple[SavedQuery, ...]:
        ids = self._client.list_named_queries(WorkGroup=self._workgroup, MaxResults=_MOST_QUERIES).get(
            "NamedQueryIds", []
        )
        if not ids:
            return ()
        found = self._client.batch_get_named_query(NamedQueryIds=ids)["NamedQueries"]
        return tuple(
            sorted(
                (
                    SavedQuery(
                        id=one.get("NamedQueryId", ""),
                        name=one["Name"],
                        description=one.get("Description", ""),
                        database=one["Database"],
                        sql=one["QueryString"],
                    )
                    for one in found
                ),
                key=lambda query: query.name,
            )
        )

    def ask(self, query: SavedQuery) -> QueryResult:
        """Run a query to its end.

        Raises
        ------
        QueryError
            It failed, or took longer than a minute.
        """
        execution_id = self._client.start_query_execution(
            QueryString=query.sql,
            QueryExecutionContext={"Database": query.database},
            WorkGroup=self._workgroup,
        )["QueryExecutionId"]
        execution = self._await(execution_id)
        answer = self._client.get_query_results(QueryExecutionId=execution_id, MaxResults=_ROWS_A_CALL)
        columns = tuple(one["Name"] for one in answer["ResultSet"]["ResultSetMetadata"]["ColumnInfo"])
        rows = [
            tuple(cell.get("VarCharValue") for cell in row.get("Data", []))
            for row in answer["ResultSet"]["Rows"]
        ]
        # The first row of a SELECT's result repeats the names (GetQueryResults, API reference).
        if rows and rows[0] == columns:
            rows = rows[1:]
        return QueryResult(
            query=query,
            columns=columns,
            rows=tuple(rows),
            is_cut="NextToken" in answer,
            scanned_bytes=execution.get("Statistics", {}).get("DataScannedInBytes", 0),
        )

    def _await(self, execution_id: str) -> Any:
        polls = int(_WAIT_SECONDS / _POLL_SECONDS)
        for _ in range(polls):
            execution = self._client.get_query_execution(QueryExecutionId=execution_id)["QueryExecution"]
            status = execution["Status"]
            if status["State"] in _OVER:
                if status["State"] != "SUCCEEDED":
                    why = status.get("StateChangeReason") or status["State"].lower()
                    msg = f"Athena did not answer: {why}"
                    raise QueryError(msg)
                return execution
            self._sleep(_POLL_SECONDS)
        msg = f"Athena did not answer within {_WAIT_SECONDS:.0f} seconds"
        raise QueryError(msg)
