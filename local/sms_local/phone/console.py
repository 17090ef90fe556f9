"""The moderators' console on the page's own address: the command of the product, with the root user's keys.

In AWS somebody starts ``sms-engagement console``; here its code answers below ``/admin/``, so that requests
are signed, and checked by the API, as they are there.
"""

from collections.abc import Mapping
from typing import Any

from botocore.session import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sms_engagement_runtime.commands.console import MAX_BODY_LENGTH, Console
from sms_local import aws
from sms_local.places import REGION


def console_routes(outputs: Mapping[str, Any], *, port: int) -> list[Route]:
    """Return the routes of the console; none where no reviews are deployed.

    Parameters
    ----------
    port
        Of the page: Host and Origin must name it.
    """
    admin_api = outputs["urls"].get("admin_api")
    if admin_api is None:
        return []
    session = Session()
    session.set_credentials(aws.CREDENTIALS["AWS_ACCESS_KEY_ID"], aws.CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
    console = Console(admin_api, session=session, port=port, region=REGION)

    async def answer(request: Request) -> Response:
        if int(request.headers.get("content-length") or 0) > MAX_BODY_LENGTH:
            return Response("The body is too large.\n", status_code=413)
        query = request.scope["query_string"].decode("latin-1")
        target = request.scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        headers = {name.lower(): value for name, value in request.headers.items()}
        given = await run_in_threadpool(console.answer, request.method, target, headers, await request.body())
        return Response(given.body, status_code=given.status, headers=dict(given.headers))

    return [
        Route(path, answer, methods=["GET", "POST"], include_in_schema=False)
        for path in ("/admin", "/admin/{path:path}")
    ]
