"""``sms-engagement``: stops all sending, lets it go on, and says which it is."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sms_engagement_runtime.channel.adapters.pause import DynamoPauseSwitch, PauseState

_SENTENCES: Final = 500
"""Characters of a reason: a few sentences."""

_EPILOG: Final = """\
The contacts table is the output ContactsTableName of the channel's stack. Credentials and Region come from
where the AWS CLI takes them; they need dynamodb:GetItem and dynamodb:UpdateItem on that table.

exit status: 0 done, or sending is on; 1 the table could not be read or written; 2 wrong usage; 3 (status
only) sending is paused
"""


class ExitStatus(IntEnum):
    """What a script can tell the ends apart by. argparse itself ends with 2."""

    DONE = 0
    FAILED = 1
    PAUSED = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the console script ends with what it returns."""
    options = _parser().parse_args(arguments)
    try:
        # Here, since boto3 comes with the extra only, and ``--help`` needs neither.
        from botocore.exceptions import BotoCoreError

        from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError
    except ModuleNotFoundError as error:
        return _fail(f"{error.name} is missing; install sms-engagement[runtime]")
    try:
        switch = _switch(options.contacts_table, options.endpoint_url)
        run: Callable[[DynamoPauseSwitch, argparse.Namespace], ExitStatus] = options.run
        return run(switch, options)
    except (ServiceCallError, BotoCoreError) as error:
        return _fail(f"the table {options.contacts_table} could not be used: {error}")


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--contacts-table", metavar="NAME", required=True, help="where the switch is")
    shared.add_argument("--endpoint-url", metavar="URL", help="of DynamoDB, where that is not AWS itself")
    parser = argparse.ArgumentParser(
        prog="sms-engagement",
        description="Pause and resume all sending of an SMS channel.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    pause = commands.add_parser("pause", parents=[shared], help="stop every text within a second")
    pause.add_argument("--reason", metavar="TEXT", type=_reason, help="for whoever looks at it later")
    pause.set_defaults(run=_pause)
    resume = commands.add_parser("resume", parents=[shared], help="let the texts that waited go out")
    resume.set_defaults(run=_resume)
    status = commands.add_parser("status", parents=[shared], help="say whether sending is paused, and why")
    status.set_defaults(run=_status)
    return parser


def _reason(text: str) -> str:
    text = " ".join(text.split())
    if not text or len(text) > _SENTENCES:
        raise argparse.ArgumentTypeError(f"must be 1 to {_SENTENCES} characters, or left out")
    return text


def _switch(table: str, endpoint_url: str | None) -> DynamoPauseSwitch:
    from sms_engagement_runtime.channel.adapters import clients
    from sms_engagement_runtime.channel.adapters.clock import SystemClock
    from sms_engagement_runtime.channel.adapters.pause import DynamoPauseSwitch

    return DynamoPauseSwitch(clients.dynamodb_client(endpoint_url), table=table, clock=SystemClock())


def _operator() -> str:
    """Name of whoever runs this, for the row; AWS's own trail knows the credentials."""
    try:
        return getpass.getuser()
    except OSError:
        # Containers run under numbers without a name.
        return "somebody without a user name"


def _pause(switch: DynamoPauseSwitch, options: argparse.Namespace) -> ExitStatus:
    if switch.pause(options.reason, by=_operator()):
        print("All sending is paused. Calls that were under way end within seconds.")
        print("Texts wait for `sms-engagement resume`, and then go out if they are still useful.")
    else:
        print(f"Nothing changed: {_sentence(switch.state())}")
    return ExitStatus.DONE


def _resume(switch: DynamoPauseSwitch, _options: argparse.Namespace) -> ExitStatus:
    if switch.resume(by=_operator()):
        print("Sending goes on. Texts that waited go out within five minutes, if they are still useful.")
    else:
        print("Nothing changed: sending is not paused.")
    return ExitStatus.DONE


def _status(switch: DynamoPauseSwitch, _options: argparse.Namespace) -> ExitStatus:
    state = switch.state()
    sentence = _sentence(state)
    print(sentence[0].upper() + sentence[1:])
    return ExitStatus.PAUSED if state.is_paused else ExitStatus.DONE


def _sentence(state: PauseState) -> str:
    if not state.is_paused:
        if state.changed_at is None:
            return "sending is on, and was never paused."
        return f"sending is on, since {_moment(state.changed_at)}, when {state.changed_by} resumed it."
    sentence = "all sending is paused"
    if state.changed_at is not None:
        sentence += f" since {_moment(state.changed_at)}"
    if state.changed_by is not None:
        sentence += f", by {state.changed_by}"
    return f"{sentence}: {state.reason}" if state.reason else f"{sentence}. No reason was given."


def _moment(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"


def _fail(sentence: str) -> int:
    print(f"sms-engagement: {sentence}", file=sys.stderr)
    return ExitStatus.FAILED
