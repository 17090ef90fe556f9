"""The HTTP server of the simulator."""

import uvicorn
from starlette.types import ASGIApp

from sms_local.carrier.connections import HangUpProtocol


def create_server(app: ASGIApp, port: int) -> uvicorn.Server:
    """Return a server for `app` on loopback; port 0 takes a free one.

    There is no access log: its lines would hold the phone numbers of query strings.
    """
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=port,
            http=HangUpProtocol,
            ws="none",
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=2,
        )
    )
