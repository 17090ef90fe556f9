"""``sms-engagement carry-over``: what was sent and refused since the instant that a table was restored to."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sms_engagement_runtime.commands.exits import ExitStatus, end, fail
from sms_engagement_runtime.commands.progress import Progress
from sms_engagement_runtime.commands.values import moment

if TYPE_CHECKING:
    from sms_engagement_runtime.channel.adapters.carrying_over import Carried

_EPILOG = """\
A table that was restored to an instant has forgotten what came after it, and a ledger that has forgotten a
text would send it again. Pause sending first: docs/operations.md has the steps. Needs dynamodb:Scan on the
old tables, dynamodb:GetItem and dynamodb:PutItem on the restored ones. It can be run again at any time.
"""


def add_carry_over_command(commands: Any, endpoint: argparse.ArgumentParser) -> None:
    """Add the command to its parser."""
    carry = commands.add_parser(
        "carry-over",
        parents=[endpoint],
        help="bring what a restored table has forgotten from the one it replaces",
        description="Bring what a restored table has forgotten from the table that it takes the place of.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    carry.add_argument(
        "--contacts-table", metavar="NAME", required=True, help="that the functions use now; has the pause"
    )
    carry.add_argument("--messages-table", metavar="NAME", required=True, help="that the functions use now")
    carry.add_argument("--old-messages-table", metavar="NAME", help="where that one was restored")
    carry.add_argument("--old-contacts-table", metavar="NAME", help="where that one was restored")
    carry.add_argument(
        "--since", type=moment, metavar="TIME", required=True, help="what it was restored to, or a bit before"
    )
    carry.add_argument("--dry-run", action="store_true", help="only count")
    carry.set_defaults(run=_carry_over, place="table {messages_table} or {contacts_table}")


def _carry_over(options: argparse.Namespace) -> ExitStatus:
    from sms_engagement_runtime.channel.adapters import clients
    from sms_engagement_runtime.channel.adapters.carrying_over import carry_contacts, carry_messages
    from sms_engagement_runtime.channel.adapters.clock import SystemClock
    from sms_engagement_runtime.channel.adapters.pause import DynamoPauseSwitch

    if not (options.old_messages_table or options.old_contacts_table):
        return fail("give --old-messages-table, --old-contacts-table or both")
    pairs = {
        options.messages_table: options.old_messages_table,
        options.contacts_table: options.old_contacts_table,
    }
    if any(restored == old for restored, old in pairs.items()):
        return fail("a table is carried over into another one; the old and the restored are the same")
    client = clients.dynamodb_client(options.endpoint_url)
    switch = DynamoPauseSwitch(client, table=options.contacts_table, clock=SystemClock())
    if not options.dry_run and not switch.state().is_paused:
        return fail("sending is on; run `sms-engagement pause` first, or texts go out again meanwhile")
    report: dict[str, object] = {"dryRun": options.dry_run}
    if options.old_contacts_table:
        report["contacts"] = _count(
            "contacts",
            carry_contacts(
                client,
                old=options.old_contacts_table,
                restored=options.contacts_table,
                dry_run=options.dry_run,
            ),
        )
    if options.old_messages_table:
        report["messages"] = _count(
            "messages",
            carry_messages(
                client,
                old=options.old_messages_table,
                restored=options.messages_table,
                since=options.since,
                dry_run=options.dry_run,
            ),
        )
    return end(report, is_done=True)


def _count(label: str, steps: Iterator[Carried]) -> dict[str, int]:
    counts = {"seen": 0, "carried": 0, "current": 0}
    with Progress(label) as progress:
        for carried in steps:
            counts = asdict(carried)
            progress.advance()
    return counts
