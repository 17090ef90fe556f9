"""Commands about consent: what a run of them needs, for argparse.

``docs/consent.md`` says which is for what.
"""

import argparse
from typing import Any

from sms_engagement_runtime.channel.domain.consent import ALL_SCOPES, Scope
from sms_engagement_runtime.commands.values import positive

# Modules that need boto3 are imported when a command runs: ``--help`` needs none.


def add_consent_commands(commands: Any, endpoint: argparse.ArgumentParser) -> None:
    """Add the commands.

    Parameters
    ----------
    commands
        What ``add_subparsers`` of the main parser gave.
    endpoint
        Parser with the options that all commands have.
    """
    channel = argparse.ArgumentParser(add_help=False, parents=[endpoint])
    channel.add_argument("--contacts-table", metavar="NAME", required=True, help="output ContactsTableName")
    channel.add_argument(
        "--subscriber-key-secret", metavar="ARN", required=True, help="output SubscriberKeySecretArn"
    )
    channel.add_argument("--opt-out-list", metavar="NAME", required=True, help="output OptOutListName")
    channel.add_argument("--bus", metavar="ARN", required=True, help="output BusArn: told of opt-outs")
    channel.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
    channel.add_argument("--report", metavar="FILE", help="write the report, JSON, there as well")
    _add_reconcile(commands, channel)
    _add_import(commands, channel)


def _add_reconcile(commands: Any, channel: argparse.ArgumentParser) -> None:
    reconcile = commands.add_parser(
        "reconcile",
        parents=[channel],
        help="compare contacts with the opt-out list of the service, both ways",
    )
    reconcile.add_argument(
        "--attention-topic", metavar="ARN", required=True, help="output AttentionTopicArn: what humans read"
    )
    reconcile.set_defaults(run=_reconcile, place="opt-out list {opt_out_list}, or table {contacts_table},")


def _add_import(commands: Any, channel: argparse.ArgumentParser) -> None:
    importing = commands.add_parser(
        "import-contacts", parents=[channel], help="add contacts with their consent, from a CSV file"
    )
    importing.add_argument("file", metavar="FILE", help="CSV with a header: phone, source, date, wording, …")
    importing.add_argument(
        "--scope",
        metavar="SCOPE",
        action="append",
        default=[],
        type=_scope,
        help=f"of lines that name none: {', '.join(ALL_SCOPES)}; may be given several times",
    )
    importing.add_argument(
        "--default-country", metavar="CC", default="US", help="of numbers without one: US when left out"
    )
    importing.add_argument(
        "--encoding", metavar="NAME", help="of the file; by its byte order mark, else UTF-8, when left out"
    )
    importing.add_argument(
        "--customers-table", metavar="NAME", help="add the people to it as well, where they are not in it"
    )
    importing.add_argument(
        "--from-line", metavar="N", type=positive, default=1, help="go on from this line, counted from 1"
    )
    importing.set_defaults(run=_import_contacts, place="file, opt-out list {opt_out_list}, or a table,")


def _scope(text: str) -> Scope:
    try:
        return Scope(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no scope; give one of {', '.join(ALL_SCOPES)}"
        ) from None


def _reconcile(options: argparse.Namespace) -> int:
    from sms_engagement_runtime.commands.reconcile import reconcile

    return reconcile(options)


def _import_contacts(options: argparse.Namespace) -> int:
    from sms_engagement_runtime.commands.contacts import import_contacts

    return import_contacts(options)
