"""``sms-engagement``: stops sending, lets it go on, keeps consent, tells of people, and repairs analytics."""

from __future__ import annotations

import argparse
import getpass
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sms_engagement_runtime.commands.analytics import add_analytics_commands
from sms_engagement_runtime.commands.carry_over import add_carry_over_command
from sms_engagement_runtime.commands.consent import add_consent_commands
from sms_engagement_runtime.commands.console import add_console_command
from sms_engagement_runtime.commands.cost import add_cost_command
from sms_engagement_runtime.commands.exits import ExitStatus, fail
from sms_engagement_runtime.commands.privacy import add_person_commands

if TYPE_CHECKING:
    from sms_engagement_runtime.channel.adapters.pause import DynamoPauseSwitch, PauseState

_SENTENCES: Final = 500
"""Characters of a reason: a few sentences."""

_EPILOG: Final = """\
The contacts table is the output ContactsTableName of the channel's stack, the broadcast bucket the output
BroadcastBucketName of the capability's. Credentials and Region come from where the AWS CLI takes them; they
need dynamodb:GetItem and dynamodb:UpdateItem on that table, s3:ListBucket and s3:GetObject on that bucket.
What the commands about consent need is in docs/consent.md, those about one person in docs/privacy.md, and
those of the analytics pipeline in docs/replay.md.

exit status: 0 done, or sending is on; 1 it could not be read or written, or there is no such run; 2 wrong
usage; 3 (status only) sending is paused
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the console script ends with what it returns."""
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], ExitStatus] = options.run
    if getattr(options, "is_offline", False):
        return run(options)
    try:
        # Here, since boto3 comes with the extra only, and ``--help`` needs neither.
        from botocore.exceptions import BotoCoreError

        from sms_engagement_runtime.channel.adapters.aws_errors import ServiceCallError
    except ModuleNotFoundError as error:
        return fail(f"{error.name} is missing; install sms-engagement[runtime]")
    try:
        return run(options)
    except (ServiceCallError, BotoCoreError) as error:
        return fail(f"the {options.place.format(**vars(options))} could not be used: {error}")


def _parser() -> argparse.ArgumentParser:
    endpoint = argparse.ArgumentParser(add_help=False)
    endpoint.add_argument(
        "--endpoint-url", metavar="URL", help="of the service, where that is not AWS itself"
    )
    shared = argparse.ArgumentParser(add_help=False, parents=[endpoint])
    shared.add_argument("--contacts-table", metavar="NAME", required=True, help="where the switch is")
    shared.set_defaults(place="table {contacts_table}")
    parser = argparse.ArgumentParser(
        prog="sms-engagement",
        description="Pause and resume all sending of an SMS channel, keep its consent in order, look at its "
        "broadcasts, tell, export or erase what is kept of one person, and do again or repair what its "
        "analytics made of events.",
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
    progress = commands.add_parser("progress", parents=[endpoint], help="say how far a broadcast is, as JSON")
    progress.add_argument("--broadcast-bucket", metavar="NAME", required=True, help="where its objects are")
    progress.add_argument("--run", metavar="ID", required=True, dest="run_id", help="name of its execution")
    progress.set_defaults(run=_progress, place="bucket {broadcast_bucket}")
    add_consent_commands(commands, endpoint)
    add_person_commands(commands, endpoint)
    add_analytics_commands(commands, endpoint)
    add_carry_over_command(commands, endpoint)
    add_cost_command(commands)
    add_console_command(commands)
    return parser


def _reason(text: str) -> str:
    text = " ".join(text.split())
    if not text or len(text) > _SENTENCES:
        raise argparse.ArgumentTypeError(f"must be 1 to {_SENTENCES} characters, or left out")
    return text


def _switch(options: argparse.Namespace) -> DynamoPauseSwitch:
    from sms_engagement_runtime.channel.adapters import clients
    from sms_engagement_runtime.channel.adapters.clock import SystemClock
    from sms_engagement_runtime.channel.adapters.pause import DynamoPauseSwitch

    client = clients.dynamodb_client(options.endpoint_url)
    return DynamoPauseSwitch(client, table=options.contacts_table, clock=SystemClock())


def _operator() -> str:
    """Name of whoever runs this, for the row; AWS's own trail knows the credentials."""
    try:
        return getpass.getuser()
    except OSError:
        # Containers run under numbers without a name.
        return "somebody without a user name"


def _pause(options: argparse.Namespace) -> ExitStatus:
    switch = _switch(options)
    if switch.pause(options.reason, by=_operator()):
        print("All sending is paused. Calls that were under way end within seconds.")
        print("Texts wait for `sms-engagement resume`, and then go out if they are still useful.")
    else:
        print(f"Nothing changed: {_sentence(switch.state())}")
    return ExitStatus.DONE


def _resume(options: argparse.Namespace) -> ExitStatus:
    switch = _switch(options)
    if switch.resume(by=_operator()):
        print("Sending goes on. Texts that waited go out within five minutes, if they are still useful.")
    else:
        print("Nothing changed: sending is not paused.")
    return ExitStatus.DONE


def _status(options: argparse.Namespace) -> ExitStatus:
    state = _switch(options).state()
    sentence = _sentence(state)
    print(sentence[0].upper() + sentence[1:])
    return ExitStatus.PAUSED if state.is_paused else ExitStatus.DONE


def _progress(options: argparse.Namespace) -> ExitStatus:
    from sms_engagement_runtime.channel.adapters import clients
    from sms_engagement_runtime.channel.adapters.clock import SystemClock
    from sms_engagement_runtime.channel.adapters.run_store import S3RunStore
    from sms_engagement_runtime.channel.domain.broadcast.planning import look_at
    from sms_engagement_runtime.channel.domain.broadcast.run import Run

    store = S3RunStore(clients.s3_client(options.endpoint_url), bucket=options.broadcast_bucket)
    now = SystemClock().now()
    figures = look_at(Run(run_id=options.run_id, started_at=now), store=store, now=now)
    if figures is None:
        return fail(f"there is no run {options.run_id}, or it has not seen its whole audience yet")
    print(json.dumps(figures, indent=2))
    return ExitStatus.DONE


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
