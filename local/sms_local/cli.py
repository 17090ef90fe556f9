"""`sms-local`: the embedded cloud on the command line."""

import argparse
import json
import shlex
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import FrameType

from sms_local import deploy, lifecycle, reset
from sms_local.failures import LocalCloudError
from sms_local.faults import FAULTS, switch_faults
from sms_local.places import DEFAULT_PORT_BASE, Places, recorded_places

_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: What a shell expects of a command that Ctrl-C ended (128 + SIGINT).
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command; return its exit code.

    0 when done, 1 with one sentence on standard error when not, 2 for wrong usage, 130 after Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    for number in _ENDING_SIGNALS:
        signal.signal(number, _interrupt)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except LocalCloudError as error:
        print(f"sms-local: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sms-local: interrupted; nothing is left running", file=sys.stderr)
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sms-local", description="The embedded cloud: AWS, a carrier and phones on this machine."
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, command: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=summary, description=summary)
        added.set_defaults(command=command)
        return added

    for name, command, summary in (
        ("up", _up, "start it in the background; returns when everything answers"),
        ("demo", _demo, "start it and stay until Ctrl-C"),
    ):
        starting = add(name, command, summary)
        starting.add_argument(
            "--port-base",
            type=_port_base,
            default=DEFAULT_PORT_BASE,
            metavar="N",
            help="emulator on N, carrier on N+1, phones on N+2 (default %(default)s)",
        )
        starting.add_argument(
            "--clock-start",
            type=_instant,
            metavar="ISO",
            help="where virtual time begins, as 2026-11-21T17:00:00Z (default: the next 17:00 UTC)",
        )
        starting.add_argument(
            "--parts-per-second",
            type=int,
            metavar="N",
            help="rate of the simulated number, for runs of many people: functions then run six at a time "
            "(default: the local stage's, 10)",
        )
        starting.add_argument(
            "--empty",
            action="store_true",
            help="deploy nothing: for an app, or a stage, of your own (see `sms-local environment`)",
        )
        starting.add_argument("--no-iam", action="store_true", help="let every role do everything")
        starting.add_argument(
            "--without",
            action="append",
            default=[],
            metavar="PATCH",
            help="leave out a patch of the emulator, to see what it is for; may be repeated",
        )
    for name, command, summary in (
        ("down", _down, "end it; nothing is left running"),
        ("status", _status, "exit with 0 only when everything answers"),
        ("outputs", _outputs, "print addresses, names and ARNs as JSON"),
        ("environment", _environment, "print what a shell exports so that CDK and AWS CLI know it only"),
        ("reset", _reset, "empty all data, load the demo people, keep the stacks"),
    ):
        add(name, command, summary).add_argument(
            "--port-base", type=_port_base, metavar="N", help="which one, when several are up"
        )
    faults = add("faults", _faults, "switch what goes wrong, and print what is set and has happened, as JSON")
    faults.add_argument("--port-base", type=_port_base, metavar="N", help="which one, when several are up")
    faults.add_argument("--off", action="store_true", help="switch all off first")
    for name, (kind, summary) in FAULTS.items():
        faults.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N", help=summary)
    add("prepare", _prepare, "make the emulator's environment and the Lambda layer, and start nothing")
    return parser


def _up(options: argparse.Namespace) -> int:
    places = Places(port_base=options.port_base)
    _start(options, places)
    return 0


def _demo(options: argparse.Namespace) -> int:
    places = Places(port_base=options.port_base)
    if not _start(options, places):
        return 0
    print("Ctrl-C ends it.", flush=True)
    try:
        stopped = lifecycle.wait_for_a_stop(places)
    except KeyboardInterrupt:
        lifecycle.take_down(places)
        print("\nStopped; nothing is left running.")
        return 0
    problem = lifecycle.explain_status(places) or f"the {stopped} has stopped"
    lifecycle.take_down(places)
    raise LocalCloudError(problem)


def _start(options: argparse.Namespace, places: Places) -> bool:
    say = _Stages()
    started = lifecycle.bring_up(
        places,
        iam=not options.no_iam,
        without=options.without,
        say=say,
        clock_start=options.clock_start,
        parts_per_second=options.parts_per_second,
        is_empty=options.empty,
    )
    if started:
        say(f"Ready: open {places.front_door}/")
    else:
        print(f"It is up already: open {places.front_door}/ (`sms-local down` ends it)")
    return started


def _down(options: argparse.Namespace) -> int:
    chosen = _chosen(options)
    ended = chosen is not None and lifecycle.take_down(chosen)
    print("Stopped; nothing is left running." if ended else "Nothing was running.")
    return 0


def _status(options: argparse.Namespace) -> int:
    places = _chosen(options) or Places()
    problem = lifecycle.explain_status(places)
    if problem is not None:
        raise LocalCloudError(problem)
    print(f"Ready: {places.front_door}/")
    return 0


def _outputs(options: argparse.Namespace) -> int:
    outputs = lifecycle.outputs_of(_chosen(options) or Places())
    print(json.dumps(outputs, indent=2, ensure_ascii=False))
    return 0


def _environment(options: argparse.Namespace) -> int:
    try:
        places = _chosen(options) or Places()
        if problem := lifecycle.explain_status(places):
            raise LocalCloudError(problem)
    except LocalCloudError:
        # `eval "$(sms-local environment)" && cdk deploy …` must not go on to somebody's real account.
        print("false")
        raise
    for name in deploy.to_unset():
        print(f"unset {name}")
    for name, value in deploy.account_environment(places).items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _reset(options: argparse.Namespace) -> int:
    places = _chosen(options) or Places()
    reset.empty_everything(places, lifecycle.outputs_of(places), say=_Stages())
    return 0


def _faults(options: argparse.Namespace) -> int:
    places = _chosen(options) or Places()
    lifecycle.outputs_of(places)
    given = {name: getattr(options, name) for name in FAULTS if getattr(options, name) is not None}
    print(json.dumps(switch_faults(places.carrier_endpoint, given, is_cleared=options.off), indent=2))
    return 0


def _prepare(_options: argparse.Namespace) -> int:
    lifecycle.prepare(_Stages())
    return 0


def _chosen(options: argparse.Namespace) -> Places | None:
    """Return the cloud that is meant: the one named, else the only one there is.

    Raises
    ------
    LocalCloudError
        When several are up and none was named.
    """
    if options.port_base is not None:
        return Places(port_base=options.port_base)
    known = list(recorded_places())
    if len(known) > 1:
        bases = ", ".join(str(places.port_base) for places in known)
        msg = f"several embedded clouds are up (port bases {bases}); say which one with --port-base"
        raise LocalCloudError(msg)
    return known[0] if known else None


def _port_base(text: str) -> int:
    try:
        return Places(port_base=int(text)).port_base
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is no instant in ISO 8601, as 2026-11-21T17:00:00Z"
        raise argparse.ArgumentTypeError(message) from error
    if instant.tzinfo is None:
        message = f"{text!r} has no offset from UTC; write it as 2026-11-21T17:00:00Z"
        raise argparse.ArgumentTypeError(message)
    return instant.astimezone(UTC)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # A Ctrl-C reaches us twice, from the terminal and from `uv run`, and people press it again: it must
    # not interrupt the ending of what was started a second time.
    for number in _ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


class _Stages:
    """Print one sentence a stage, with the seconds since the beginning."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def __call__(self, sentence: str) -> None:
        print(f"{time.monotonic() - self._begun:5.1f} s  {sentence}.", flush=True)
