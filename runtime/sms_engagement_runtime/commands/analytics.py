"""Commands of the analytics pipeline: what a run of them needs, for argparse.

``docs/replay.md`` says which is for what.
"""

import argparse
from typing import Any

from sms_engagement_runtime.commands.values import day, moment, positive

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
    _add_redrive(commands, dry)
    _add_replay(commands, dry)
    _add_rebuild(commands, dry)
    _add_import(commands, dry)


def _add_redrive(commands: Any, dry: argparse.ArgumentParser) -> None:
    redrive = commands.add_parser(
        "redrive", parents=[dry], help="give consumers the batches that did not get through"
    )
    redrive.add_argument(
        "--queue", metavar="NAME", nargs="+", required=True, help="dead-letter queues of the consumers"
    )
    redrive.add_argument(
        "--function", metavar="NAME", help="give all of them to this one, instead of the one that failed"
    )
    redrive.add_argument(
        "--archive-bucket", metavar="NAME", help="set records aside there that are too large for any function"
    )
    redrive.set_defaults(run=_redrive, place="queue, stream or function")


def _add_replay(commands: Any, dry: argparse.ArgumentParser) -> None:
    replay = commands.add_parser("replay", parents=[dry], help="give a consumer the stream from a time on")
    replay.add_argument("--stream", metavar="NAME", required=True, help="where the events are")
    replay.add_argument("--function", metavar="NAME", required=True, help="which is to get them")
    replay.add_argument(
        "--from", dest="since", metavar="TIME", type=moment, required=True, help="when the stream took them"
    )
    replay.add_argument("--to", dest="until", metavar="TIME", type=moment, help="now when left out")
    replay.add_argument(
        "--batch-size", metavar="N", type=positive, default=100, help="events of one call: 100"
    )
    replay.set_defaults(run=_replay, place="stream {stream}, or the function,")


def _add_import(commands: Any, dry: argparse.ArgumentParser) -> None:
    importing = commands.add_parser(
        "import-events", parents=[dry], help="give ingest the records of an earlier system"
    )
    importing.add_argument("file", metavar="FILE", help="JSON lines, gzipped or not; or s3://bucket/key")
    importing.add_argument("--queue-url", metavar="URL", required=True, help="of the ingest queue")
    importing.add_argument("--rate", metavar="N", type=positive, default=200, help="lines a second: 200")
    importing.add_argument(
        "--from-line", metavar="N", type=positive, default=1, help="go on from this line, counted from 1"
    )
    importing.set_defaults(run=_import_events, place="file or queue")


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
        "--restored", action="store_true", help="files in Deep Archive are restored, and the table reads them"
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
    _add_repair_reviews(kinds, dry)


def _add_repair_reviews(kinds: Any, dry: argparse.ArgumentParser) -> None:
    reviews = kinds.add_parser(
        "reviews", parents=[dry], help="figures of reviews and requests, from their tables"
    )
    for table, what in (
        ("reviews", "the reviews"),
        ("requests", "the review requests"),
        ("figures", "the figures of both"),
    ):
        reviews.add_argument(f"--{table}-table", metavar="NAME", required=True, help=f"where {what} are")
    reviews.add_argument(
        "--time-zone", metavar="ZONE", required=True, help="of the collector's schedule, as America/New_York"
    )
    reviews.add_argument("--write", action="store_true", help="put right what differs; else it only says so")
    reviews.set_defaults(run=_repair_reviews, place="table of reviews, requests or figures")


def _rebuild(options: argparse.Namespace) -> int:
    from sms_engagement_runtime.commands.rebuild import rebuild

    return rebuild(options)


def _repair_counts(options: argparse.Namespace) -> int:
    from sms_engagement_runtime.commands.rebuild import repair_counts

    return repair_counts(options)


def _repair_reviews(options: argparse.Namespace) -> int:
    from sms_engagement_runtime.commands.review_figures import repair_reviews

    return repair_reviews(options)


def _redrive(options: argparse.Namespace) -> int:
    from sms_engagement_runtime.commands.streaming import redrive

    return redrive(options)


def _replay(options: argparse.Namespace) -> int:
    from sms_engagement_runtime.commands.streaming import replay

    return replay(options)


def _import_events(options: argparse.Namespace) -> int:
    from sms_engagement_runtime.commands.importing import import_events

    return import_events(options)
