"""Commands about one person: what a run of them needs, for argparse.

``docs/privacy.md`` says which is for what.
"""

import argparse
from pathlib import Path
from typing import Any

# Modules that need boto3 are imported when a command runs: ``--help`` needs none.


def add_person_commands(commands: Any, endpoint: argparse.ArgumentParser) -> None:
    """Add the commands.

    Parameters
    ----------
    commands
        What ``add_subparsers`` of the main parser gave.
    endpoint
        Parser with the options that all commands have.
    """
    timeline = commands.add_parser(
        "timeline", parents=[endpoint], help="say why somebody did or did not get a text"
    )
    _add_person(timeline)
    timeline.add_argument("--unmask", action="store_true", help="show the number, and what people wrote")
    timeline.add_argument("--json", action="store_true", help="for a program")
    timeline.set_defaults(run=_timeline)
    export = commands.add_parser(
        "export", parents=[endpoint], help="write everything about a person to a file"
    )
    _add_person(export)
    export.add_argument("--to", metavar="FILE", type=Path, required=True, help="JSON, for its owner alone")
    export.set_defaults(run=_export)
    erase = commands.add_parser("erase", parents=[endpoint], help="erase a person, who is never texted again")
    _add_person(erase)
    erase.add_argument("--dry-run", action="store_true", help="say what would be erased, and change nothing")
    erase.add_argument("--yes", action="store_true", help="do not ask whether this is meant")
    erase.add_argument("--settle-seconds", type=float, default=15.0, help=argparse.SUPPRESS)
    erase.set_defaults(run=_erase)
    readmit = commands.add_parser(
        "readmit", parents=[endpoint], help="let an erased number come back by a START of its own"
    )
    _add_person(readmit)
    readmit.set_defaults(run=_readmit)


def _add_person(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("phone", metavar="PHONE", help="in any usual notation, as +12065550123")
    parser.add_argument(
        "--outputs",
        metavar="FILE",
        type=Path,
        help="JSON of `cdk deploy --outputs-file` or `sms-local outputs`: where everything is",
    )
    for name in PLACES:
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="NAME", help=argparse.SUPPRESS)
    parser.add_argument(
        "--user-id", metavar="ID", action="append", default=[], help="of a customer who is this person, too"
    )
    parser.add_argument("--default-country", metavar="CODE", default="US", help="of numbers without +: US")
    parser.set_defaults(place="place of a person's data")


PLACES = (
    "contacts_table",
    "messages_table",
    "subscriber_key_secret",
    "opt_out_list",
    "conversations_table",
    "appointments_machine",
    "customers_table",
    "reviews_table",
    "review_requests_table",
    "review_archive",
    "enrolments_table",
    "responses_table",
    "subscribers_table",
    "register_table",
    "archive_bucket",
    "athena_workgroup",
    "athena_database",
    "stream",
)
"""Options that name one place each, over what ``--outputs`` says of it."""


def _timeline(options: argparse.Namespace) -> int:
    from sms_engagement_runtime.commands.timeline import show_timeline

    return show_timeline(options)


def _export(options: argparse.Namespace) -> int:
    from sms_engagement_runtime.commands.erase import export

    return export(options)


def _erase(options: argparse.Namespace) -> int:
    from sms_engagement_runtime.commands.erase import erase

    return erase(options)


def _readmit(options: argparse.Namespace) -> int:
    from sms_engagement_runtime.commands.erase import readmit

    return readmit(options)
