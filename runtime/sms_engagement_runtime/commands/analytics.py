"""Commands of the analytics pipeline: what a run of them needs, for argparse.

``docs/replay.md`` says which is for what.
"""

import argparse
from typing import Any

from sms_engagement_runtime.commands.values import day, positive

# Modules that need boto3 are imported when a command runs: ``--help`` needs none.


def add_analytics_commands(commands: Any, endpoint: argparse.ArgumentParser) -> None:
    """Add the commands.

    Parameters
    ----------
    commands
        What ``add_subparsers`` of the main parser gave.
    endpoint
        Parser with the options that all commands have.
    """
    dry = argparse.ArgumentParser(add_help=False, parents=[endpoint])
    dry.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
    _add_rebuild(commands, dry)


def _archive_options(dry: argparse.ArgumentParser) -> argparse.ArgumentParser:
    archive = argparse.ArgumentParser(add_help=False, parents=[dry])
    archive.add_argument("--archive-bucket", metavar="NAME", required=True, help="where the archive is")
    archive.add_argument(
        "--from", dest="first", metavar="DAY", type=day, help="first day, UTC; of the archive when left out"
    )
    archive.add_argument("--to", dest="last", metavar="DAY", type=day, help="last day, included")
    archive.add_argument("--athena-workgroup", metavar="NAME", help="for days that are compacted")
    archive.add_argument("--athena-database", metavar="NAME", help="of the archive's tables")
    archive.add_argument("--compacted-table", metavar="NAME", default="compacted_events", help="in it")
    archive.add_argument(
        "--raw-only",
        action="store_true",
        help="the raw objects of all these days are still there (they go 30 days after compaction)",
    )
    archive.add_argument(
        "--counts-retention-days",
        metavar="N",
        type=positive,
        default=400,
        help="400, as the table",
    )
    archive.add_argument(
        "--consumers-stopped",
        action="store_true",
        help="analytics and archive are stopped at the end of the stream, so recent counts may be compared",
    )
    archive.set_defaults(place="archive {archive_bucket}, or a table,")
    return archive


def _add_rebuild(commands: Any, dry: argparse.ArgumentParser) -> None:
    archive = _archive_options(dry)
    rebuild = commands.add_parser("rebuild", parents=[archive], help="make rows anew from the archive")
    for table in ("responses", "subscribers", "counts"):
        rebuild.add_argument(f"--{table}-table", metavar="NAME", help=f"rebuild the {table}")
    rebuild.set_defaults(run=_rebuild)
    repair = commands.add_parser("repair", help="compare with the archive, and put right")
    kinds = repair.add_subparsers(required=True, metavar="WHAT")
    counts = kinds.add_parser("counts", parents=[archive], help="texts, answers, opt-outs and cost by hour")
    counts.add_argument("--counts-table", metavar="NAME", required=True, help="where they are")
    counts.add_argument("--write", action="store_true", help="add what the table lacks; else it only says so")
    counts.set_defaults(run=_repair_counts)


def _rebuild(options: argparse.Namespace) -> int:
    from sms_engagement_runtime.commands.rebuild import rebuild

    return rebuild(options)


def _repair_counts(options: argparse.Namespace) -> int:
    from sms_engagement_runtime.commands.rebuild import repair_counts

    return repair_counts(options)
