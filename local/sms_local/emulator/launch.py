"""The emulator's process: MiniStack with this product's patches, on loopback, in a clean environment.

Runs on the emulator's own interpreter, where neither the project nor its libraries are installed, so it
imports nothing but the standard library, MiniStack, and the patches beside it. Started through
:func:`sms_local.emulator.command`.
"""

import argparse
import asyncio
import contextlib
import ctypes
import importlib.metadata
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sms_local.emulator import OFFSET_FILE
from sms_local.emulator.patches import PATCHES, apply_patches
from sms_local.emulator.patches._pinned import MINISTACK_VERSION, PatchMismatchError, PatchSettings, require
from sms_local.emulator.virtual_clock import VirtualClock

HOST = "127.0.0.1"
REGION = "us-east-1"
ACCOUNT_ID = "000000000000"
CREDENTIALS = "test"

KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SMS_LOCAL_CLOUD")
"""What may be taken over from the caller; the last is how ``sms_local.processes`` finds its processes.

MiniStack hands its whole environment to every Lambda worker, so anything else (credentials, PYTHONPATH,
endpoints) would reach the code under test and hide what its template forgot.
"""

OFFSET_FILE_VARIABLE = "CLOCK_OFFSET_FILE"
STOP_GRACE_SECONDS = 3.0

_SET_CHILD_SUBREAPER = 36
"""``PR_SET_CHILD_SUBREAPER`` of ``linux/prctl.h``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the emulator until SIGTERM or SIGINT.

    Returns
    -------
    int
        0 after an orderly end; 1 with one sentence on standard error when it cannot start.
    """
    options = _parse(arguments)
    with contextlib.suppress(PermissionError):  # of the leader of a session, which leads its group already
        os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, _end_before_serving)
    signal.signal(signal.SIGINT, _end_before_serving)
    try:
        listener = _listen(options.port)
    except OSError as error:
        print(
            f"The emulator cannot listen on {HOST}:{options.port} ({os.strerror(error.errno or 0)}): "
            "stop the program that holds the port, or choose another one.",
            file=sys.stderr,
        )
        return 1
    _isolate(options)
    _log_to(options.state_dir / "emulator.log", options.log_level)
    try:
        application = _patched_application(options)
    except (PatchMismatchError, ValueError) as error:
        print(f"The emulator cannot start: {error}.", file=sys.stderr)
        return 1
    # Not asyncio.run, which at its end waits for every worker thread; one that waits for the answer of a
    # custom resource may do so for an hour.
    asyncio.new_event_loop().run_until_complete(_serve(application, listener))
    _end_process()
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="emulator", description="MiniStack with the patches of sms-engagement."
    )
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--carrier-url", required=True, help="base URL of the carrier simulator")
    parser.add_argument("--state-dir", type=Path, required=True, help="the only directory that is written to")
    parser.add_argument(
        "--clock-start",
        type=datetime.fromisoformat,
        help="where virtual time begins, in ISO 8601 with an offset from UTC, unless a kept state knows it "
        "(default: now)",
    )
    parser.add_argument(
        "--invocations-at-once", type=int, metavar="N", help="the others wait (default: no limit)"
    )
    parser.add_argument("--no-iam", action="store_true", help="allow every request")
    parser.add_argument("--persist", action="store_true", help="keep the state over an orderly end")
    parser.add_argument(
        "--without", nargs="+", default=[], metavar="PATCH", help=f"leave out: {', '.join(PATCHES)}"
    )
    parser.add_argument("--log-level", default="WARNING", help="of emulator.log in the state directory")
    return parser.parse_args(arguments)


def _end_before_serving(signal_number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's
    sys.exit(0)


def _listen(port: int) -> socket.socket:
    """Take the port before anything else, so that a second emulator stops here and touches nothing."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    listener.listen(512)
    listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return listener


def _isolate(options: argparse.Namespace) -> None:
    """Reduce the environment to what is meant, before MiniStack reads it at import."""
    state = options.state_dir.resolve()
    home, temporary = state / "home", state / "tmp"
    for folder in (home, temporary):
        folder.mkdir(parents=True, exist_ok=True)
    options.state_dir = state
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    kept.setdefault("PATH", os.defpath)
    persist = "1" if options.persist else "0"
    meant = {
        # Not the caller's, whose AWS configuration boto3 in a function would read.
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "GATEWAY_PORT": str(options.port),
        "BIND_HOST": HOST,
        "AUTH": "false" if options.no_iam else "true",
        "LOG_LEVEL": options.log_level,
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
        "AWS_ACCESS_KEY_ID": CREDENTIALS,
        "AWS_SECRET_ACCESS_KEY": CREDENTIALS,
        "STATE_DIR": str(state / "services"),
        "S3_DATA_DIR": str(state / "s3"),
        "PERSIST_STATE": persist,
        "S3_PERSIST": persist,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # Services that would run containers must not find a daemon by chance.
        "DOCKER_HOST": f"unix://{state / 'no-containers'}",
        "LAMBDA_EXECUTOR": "local",
        # Of sms_engagement_runtime.channel.adapters.clock; functions inherit it.
        OFFSET_FILE_VARIABLE: str(state / OFFSET_FILE),
    }
    os.environ.clear()
    os.environ.update(kept | meant)
    os.chdir(state)


def _log_to(path: Path, level: str) -> None:
    """Send all logging to a file. MiniStack's own ``basicConfig`` then finds a handler and does nothing."""
    logging.basicConfig(
        filename=path,
        level=level.upper(),
        format="%(asctime)s %(levelname)s [%(name)s] %(message)s",
        force=True,
    )


def _patched_application(options: argparse.Namespace) -> object:
    """MiniStack's ASGI application with the patches applied.

    Raises
    ------
    PatchMismatchError
        When MiniStack is not the pinned version, or not what a patch expects.
    ValueError
        When ``--without`` names no patch.
    """
    require(
        holds=importlib.metadata.version("ministack") == MINISTACK_VERSION,
        what=f"version number {MINISTACK_VERSION}",
    )
    from ministack import app as gateway

    start: datetime | None = options.clock_start
    clock = VirtualClock(options.state_dir / OFFSET_FILE, start=start.timestamp() if start else None)
    settings = PatchSettings(
        carrier_url=options.carrier_url, clock=clock, invocations_at_once=options.invocations_at_once
    )
    apply_patches(settings, without=frozenset(options.without))
    application: object = gateway.app
    return application


async def _serve(application: object, listener: socket.socket) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = STOP_GRACE_SECONDS
    config.loglevel = "WARNING"
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    await serve(application, config, shutdown_trigger=stop.wait)


def _end_process() -> None:
    """End what Lambda functions run in, and this process with its threads, hung ones included.

    Workers are in this process's group. They get SIGTERM and a moment; what is left after that is killed with
    the group.
    """
    _adopt_orphans()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    deadline = time.monotonic() + STOP_GRACE_SECONDS
    try:
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.02)
    except ChildProcessError:
        logging.shutdown()
        # Not sys.exit, which waits for threads as well.
        os._exit(0)
    os.killpg(0, signal.SIGKILL)


def _adopt_orphans() -> None:
    """Become the one that waits for workers when the process that forked them has ended before them.

    Without it nobody here would know of a worker that ignores SIGTERM (prctl(2), PR_SET_CHILD_SUBREAPER).
    Elsewhere than on Linux workers are children of this process (``forked_workers``).
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
