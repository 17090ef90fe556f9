"""Compaction: once a day, the archive's closed days become Parquet, each event once.

Event: ``{}`` for all days that are closed and have something new, or ``{"days": ["2026-03-01", …]}`` for
these, closed or not. What there is no time for is left to the next call; a day that fails keeps no other
from its turn.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, TypedDict

from aws_lambda_powertools.utilities.typing import LambdaContext

from sms_engagement_runtime import settings
from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.clock import build_clock
from sms_engagement_runtime.channel.domain.errors import EngagementError, PermanentError
from sms_engagement_runtime.observability import instrumented, logger
from sms_engagement_runtime.sms_analytics_pipeline.adapters.athena import AthenaQueries, athena_client
from sms_engagement_runtime.sms_analytics_pipeline.adapters.s3_compaction import S3CompactionStore
from sms_engagement_runtime.sms_analytics_pipeline.domain.compaction import (
    NothingWrittenError,
    Outcome,
    RecordChangedError,
    Tables,
    compact,
    is_closed,
    unload_statement,
)

_SECONDS_TO_SPARE: Final = 60.0
"""Kept after a query for copying, tagging and the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactSettings:
    """Environment of this function."""

    archive_bucket: str
    compaction_workgroup: str
    catalogue_database: str
    raw_table: str
    compacted_table: str


class CompactionReport(TypedDict):
    """Answer: days by what became of them."""

    compacted: list[str]
    finished: list[str]
    left: list[str]


class DaysNotCompactedError(PermanentError):
    """Some days could not be compacted; the log has the reasons."""


_settings = settings.load(CompactSettings)
_clock = build_clock()
_athena = athena_client()
_store = S3CompactionStore(clients.s3_client(), bucket=_settings.archive_bucket)
_tables = Tables(
    database=_settings.catalogue_database, raw=_settings.raw_table, compacted=_settings.compacted_table
)


@instrumented
def handler(event: Mapping[str, Any], context: LambdaContext) -> CompactionReport:
    """Compact days, the oldest first.

    Raises
    ------
    DaysNotCompactedError
        Once the others are done, if some failed.
    """

    def seconds_left() -> float:
        return context.get_remaining_time_in_millis() / 1000 - _SECONDS_TO_SPARE

    queries = AthenaQueries(
        _athena,
        workgroup=_settings.compaction_workgroup,
        sleep=time.sleep,
        seconds_left=seconds_left,
    )
    report: CompactionReport = {"compacted": [], "finished": [], "left": []}
    failed: list[str] = []
    for day in _days(event):
        if seconds_left() <= 0:
            report["left"].append(str(day))
            continue
        try:
            outcome = _compact(day, context.aws_request_id, queries)
        except (EngagementError, RecordChangedError, NothingWrittenError) as error:
            logger.warning("day not compacted", day=str(day), error=type(error).__name__, reason=str(error))
            failed.append(str(day))
            continue
        if outcome is Outcome.COMPACTED:
            report["compacted"].append(str(day))
        elif outcome is Outcome.FINISHED:
            report["finished"].append(str(day))
    logger.info("archive compacted", **report, failed=failed)
    if failed:
        raise DaysNotCompactedError(", ".join(failed))
    return report


def _days(event: Mapping[str, Any]) -> list[date]:
    if "days" in event:
        return sorted(date.fromisoformat(day) for day in event["days"])
    today = _clock.now().date()
    return [day for day in _store.raw_days() if is_closed(day, today)]


def _compact(day: date, request_id: str, queries: AthenaQueries) -> Outcome:
    # Lambda calls a failed function again under the same request id, and its prefix may hold files by then.
    attempt = f"{request_id}-{time.time_ns()}"

    def unload(day: date, staging: str) -> None:
        destination = f"s3://{_settings.archive_bucket}/{staging}"
        queries.run(
            unload_statement(_tables, day, destination=destination), token=f"{day}-{attempt}".ljust(32, "-")
        )

    return compact(day, attempt=attempt, store=_store, unload=unload)
