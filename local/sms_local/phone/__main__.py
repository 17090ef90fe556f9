"""Serve the phone page: `python -m sms_local.phone --port-base N`, for a cloud that is deployed there."""

import argparse

import uvicorn

from sms_local.outputs import read_outputs
from sms_local.phone.app import create_app
from sms_local.places import HOST, Places


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m sms_local.phone", description=__doc__)
    parser.add_argument("--port-base", type=int, required=True)
    places = Places(port_base=parser.parse_args().port_base)
    uvicorn.run(
        create_app(places, read_outputs(places)),
        host=HOST,
        port=places.ports["phone page"],
        # Paths hold tokens of links, so requests are not logged.
        access_log=False,
        log_level="warning",
        # An open event stream would else hold the end back.
        timeout_graceful_shutdown=1,
        proxy_headers=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
