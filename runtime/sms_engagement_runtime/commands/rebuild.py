"""``rebuild`` and ``repair counts``: tables compared with the archive, and made what it says."""

from __future__ import annotations

import argparse
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, cast

from sms_engagement_runtime.channel.adapters import clients
from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError
from sms_engagement_runtime.channel.adapters.clock import SystemClock
from sms_engagement_runtime.channel.domain.errors import PermanentError
from sms_engagement_runtime.channel.domain.sentiment import analyse
from sms_engagement_runtime.commands.exits import ExitStatus, end, fail
from sms_engagement_runtime.commands.progress import Progress, say
from sms_engagement_runtime.sms_analytics_pipeline.adapters.archive_reader import (
    ArchivedObject,
    CompactedDays,
    EventFiles,
    S3ArchiveReader,
    Unreadable,
    as_report,
)
from sms_engagement_runtime.sms_analytics_pipeline.adapters.athena import AthenaQueries, athena_client
from sms_engagement_runtime.sms_analytics_pipeline.adapters.dynamodb_subscribers import DynamoSubscribers
from sms_engagement_runtime.sms_analytics_pipeline.adapters.notice_archive import NoticeArchive
from sms_engagement_runtime.sms_analytics_pipeline.adapters.rebuild_store import (
    CountedHours,
    CountsChangedError,
    CountsRebuild,
    ResponseRebuild,
    RowTally,
    SubscriberRebuild,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.compaction import is_closed
from sms_engagement_runtime.sms_analytics_pipeline.domain.counting import (
    Countable,
    Counts,
    Group,
    count,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.events import EventType
from sms_engagement_runtime.sms_analytics_pipeline.domain.rebuilding import (
    COUNTS_REACH,
    Days,
    History,
    distinct,
    histories,
    hours_of,
)
from sms_engagement_runtime.sms_analytics_pipeline.domain.subscribers import SubscriberChangedError

_WRITERS: Final = 16
_EVENT_TYPES: Final = frozenset(EventType)
_LONGEST_QUERY_SECONDS: Final = 1_800.0
"""Athena ends a statement after half an hour (*Service quotas*)."""


@dataclass(slots=True)
class _Outcome:
    """What a run came to, as far as it came."""

    objects: int = 0
    lines: int = 0
    notices: int = 0
    events: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)
    responses: RowTally = field(default_factory=RowTally)
    subscribers: RowTally = field(default_factory=RowTally)
    archived: dict[Group, Counts] = field(default_factory=dict)


def rebuild(options: argparse.Namespace) -> ExitStatus:
    """Make rows anew from the archive."""
    if not (options.responses_table or options.subscribers_table or options.counts_table):
        return fail("nothing to rebuild: give --responses-table, --subscribers-table or --counts-table")
    report: dict[str, object] = {"command": "rebuild", "dry_run": options.dry_run}
    return _run(options, report, write=not options.dry_run)


def repair_counts(options: argparse.Namespace) -> ExitStatus:
    """Compare counts with the archive, and write the difference where that is asked for."""
    options.responses_table = options.subscribers_table = None
    is_to_write = options.write and not options.dry_run
    report: dict[str, object] = {"command": "repair counts", "dry_run": not is_to_write}
    return _run(options, report, write=is_to_write)


def _run(options: argparse.Namespace, report: dict[str, object], *, write: bool) -> ExitStatus:
    outcome = _Outcome()
    try:
        return _rebuild(options, report, outcome, write=write)
    except KeyboardInterrupt:
        _tell(report, options, outcome)
        end(report | {"interrupted": True}, is_done=False)
        return fail("interrupted; what is written is right, and running it again does the rest")
    except ServiceCallError:
        _tell(report, options, outcome)
        end(report, is_done=False)
        raise
    except PermanentError as error:
        return fail(str(error))
    except SubscriberChangedError:
        return fail("others kept writing the row of a subscriber; run it again, which does the rest")


def _rebuild(
    options: argparse.Namespace, report: dict[str, object], outcome: _Outcome, *, write: bool
) -> ExitStatus:
    archive = _archive(options)
    known = archive.days()
    if known is None:
        return fail(f"the archive {options.archive_bucket} is empty")
    days = Days(options.first or known.first, options.last or known.last)
    if days.first > days.last:
        return fail(f"there is no day between {days.first} and {days.last}")
    counting = _counting_days(options, days)
    if isinstance(counting, str):
        return fail(counting)
    report |= {"from": str(days.first), "to": str(days.last)}
    table = _counts_table(options) if counting else None
    before = table.read(counting) if table and counting else None
    objects = archive.objects(_reading(options, days, counting), say)
    outcome.objects = len(objects)
    with TemporaryDirectory(prefix="sms-engagement-") as folder:
        files = EventFiles(Path(folder), expected_bytes=sum(each.size for each in objects))
        _take_in(archive, objects, files, outcome)
        # A table that is compared with half of the archive would be made as wrong as that.
        if not outcome.unreadable:
            if options.subscribers_table:
                _take_in_notices(options, days, files, outcome)
            _work_through(options, files, days, counting, outcome, write=write)
    _tell(report, options, outcome)
    if outcome.unreadable:
        end(report, is_done=False)
        return fail("some objects of the archive could not be read, so nothing was written; see the report")
    if table and before:
        try:
            _correct(table, before, outcome, report, write=write)
        except CountsChangedError as error:
            end(report, is_done=False)
            return fail(str(error))
    return end(report, is_done=True)


def _archive(options: argparse.Namespace) -> S3ArchiveReader:
    compacted = None
    if options.athena_workgroup and options.athena_database:
        started = time.monotonic()
        queries = AthenaQueries(
            athena_client(),
            workgroup=options.athena_workgroup,
            sleep=time.sleep,
            seconds_left=lambda: _LONGEST_QUERY_SECONDS - (time.monotonic() - started),
        )
        compacted = CompactedDays(
            queries=queries,
            database=options.athena_database,
            table=options.compacted_table,
            name=uuid.uuid4().hex,
        )
    return S3ArchiveReader(
        clients.s3_client(options.endpoint_url),
        bucket=options.archive_bucket,
        compacted=compacted,
        is_raw_whole=options.raw_only,
        is_restored=options.restored,
    )


def _counting_days(options: argparse.Namespace, days: Days) -> Days | str | None:
    """Return which days' counts to compare; or why these cannot be."""
    if not options.counts_table:
        return None
    today = SystemClock().now().date()
    if options.consumers_stopped or is_closed(days.last, today):
        return days
    closed = today - COUNTS_REACH
    if options.last is not None:
        return (
            f"events of {days.last} may still come in, and the archive is minutes behind the counts: give a "
            f"day up to {closed}, or stop the analytics and archive functions' event source mappings at the "
            f"end of the stream and say so with --consumers-stopped"
        )
    if closed < days.first:
        return f"the counts of {days.first} and later cannot be compared before {days.first + COUNTS_REACH}"
    return Days(days.first, closed)


def _reading(options: argparse.Namespace, days: Days, counting: Days | None) -> Days:
    """Return the days whose events are needed: for counts also those that may take back what was counted."""
    if counting is None:
        return days
    wide = counting.wider(COUNTS_REACH)
    if not (options.responses_table or options.subscribers_table):
        return wide
    return Days(min(days.first, wide.first), max(days.last, wide.last))


def _counts_table(options: argparse.Namespace) -> CountsRebuild:
    return CountsRebuild(
        clients.dynamodb_client(options.endpoint_url),
        table=options.counts_table,
        retention=timedelta(days=options.counts_retention_days),
        now=int(SystemClock().now().timestamp()),
    )


def _take_in(
    archive: S3ArchiveReader, objects: list[ArchivedObject], files: EventFiles, outcome: _Outcome
) -> None:
    with Progress("reading the archive", sum(each.size for each in objects)) as progress:
        for each, content in archive.fetched(objects):
            with content:
                unreadable = files.add(each, content)
            if unreadable is not None:
                outcome.unreadable.append(unreadable)
            progress.advance(each.size)
    outcome.lines = files.lines


def _take_in_notices(options: argparse.Namespace, days: Days, files: EventFiles, outcome: _Outcome) -> None:
    notices = NoticeArchive(clients.s3_client(options.endpoint_url), bucket=options.archive_bucket)
    for notice in notices.of(days):
        files.add_notice(notice)
        outcome.notices += 1


def _work_through(
    options: argparse.Namespace,
    files: EventFiles,
    days: Days,
    counting: Days | None,
    outcome: _Outcome,
    *,
    write: bool,
) -> None:
    client = clients.dynamodb_client(options.endpoint_url)
    with ThreadPoolExecutor(_WRITERS) as writers, Progress("comparing rows", len(files)) as progress:
        responses = options.responses_table and ResponseRebuild(
            client,
            table=options.responses_table,
            analyse=analyse,
            now=int(SystemClock().now().timestamp()),
            is_dry=not write,
        )
        subscribers = options.subscribers_table and SubscriberRebuild(
            DynamoSubscribers(client, options.subscribers_table), is_dry=not write, run_all=writers.map
        )
        for portion in files:
            events = list(distinct(portion))
            outcome.events += sum(1 for event in events if event.event_type in _EVENT_TYPES)
            if counting is not None:
                hours = hours_of(counting)
                # They are only read.
                for group, counts in count(cast("list[Countable]", events)).items():
                    if group.hour in hours:
                        outcome.archived.setdefault(group, Counts()).add(counts)
            people: list[History] = []
            if responses or subscribers:
                people = list(histories(events, days).values())
            if responses:
                outcome.responses.add(responses.write(people))
            if subscribers:
                outcome.subscribers.add(subscribers.write(people))
            progress.advance()


def _tell(report: dict[str, object], options: argparse.Namespace, outcome: _Outcome) -> None:
    report["archive"] = {
        "objects": outcome.objects,
        "lines": outcome.lines,
        "notices": outcome.notices,
        "events": outcome.events,
        "unreadable": as_report(outcome.unreadable),
    }
    if options.responses_table:
        report["responses"] = outcome.responses.as_report()
    if options.subscribers_table:
        report["subscribers"] = outcome.subscribers.as_report()


def _correct(
    table: CountsRebuild,
    before: CountedHours,
    outcome: _Outcome,
    report: dict[str, object],
    *,
    write: bool,
) -> None:
    days = table.compare(before, outcome.archived, write=write)
    report["counts"] = {
        "from": str(before.days.first),
        "to": str(before.days.last),
        "days_that_differ": sum(1 for each in days.values() if each.differing),
        "days": {str(day): each.as_report() for day, each in days.items() if each.differing or each.written},
    }
