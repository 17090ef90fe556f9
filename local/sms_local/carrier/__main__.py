"""``python -m sms_local.carrier --port 4571 --aws-endpoint http://127.0.0.1:4570``."""

import argparse
import logging
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

from sms_local.carrier.account import DEFAULT_PARTS_PER_SECOND
from sms_local.carrier.app import create_app
from sms_local.carrier.server import create_server


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; return the exit code, 1 where the port cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m sms_local.carrier", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--aws-endpoint", required=True, help="where SNS answers")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--account-id", default="000000000000")
    parser.add_argument(
        "--parts-per-second",
        type=float,
        default=DEFAULT_PARTS_PER_SECOND,
        help="message parts a second of the pre-owned number (default %(default)s)",
    )
    parser.add_argument(
        "--requests-per-second",
        type=float,
        help="SendTextMessage requests a second of the account (default: no limit)",
    )
    parser.add_argument(
        "--clock-offset-file",
        type=Path,
        help="in which the emulator publishes how far its clock is ahead (default: the machine's own clock)",
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    # A line for each step of each jump.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    app = create_app(
        options.aws_endpoint,
        region=options.region,
        account_id=options.account_id,
        parts_per_second=options.parts_per_second,
        requests_per_second=options.requests_per_second,
        offset_file=options.clock_offset_file,
    )
    try:
        # Bound here: uvicorn would end the process by itself, in lines of its log.
        listener = socket.create_server(("127.0.0.1", options.port))
    except OSError as exc:
        cause = os.strerror(exc.errno) if exc.errno else str(exc)
        print(f"Port {options.port} cannot be used: {cause}.", file=sys.stderr)
        return 1
    # uvicorn shuts down by itself on Ctrl-C and raises it once more afterwards.
    with listener, suppress(KeyboardInterrupt):
        create_server(app, options.port).run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(main())
