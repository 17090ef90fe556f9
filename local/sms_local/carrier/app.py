"""The application: service API at ``/``, control API under ``/control``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sms_local.carrier.account import DEFAULT_PARTS_PER_SECOND, Account
from sms_local.carrier.clock import CloudClock, EmulatorClock, TimeMachine
from sms_local.carrier.cloud_faults import CloudFaults, EmulatorFaults
from sms_local.carrier.control import ControlApi
from sms_local.carrier.loopback import LoopbackOnly
from sms_local.carrier.message_centre import EVENT_INTERVAL, MessageCentre
from sms_local.carrier.operations.sending import RECIPIENT_TEXTS_PER_SECOND, TextSender
from sms_local.carrier.publisher import Publisher, SnsPublisher
from sms_local.carrier.script import Script
from sms_local.carrier.service_api import ServiceApi
from sms_local.carrier.timeline import Timeline, VirtualTimeline


def create_app(
    aws_endpoint: str,
    *,
    region: str = "us-east-1",
    account_id: str = "000000000000",
    parts_per_second: float = DEFAULT_PARTS_PER_SECOND,
    requests_per_second: float | None = None,
    recipient_texts_per_second: float | None = RECIPIENT_TEXTS_PER_SECOND,
    event_interval: timedelta = EVENT_INTERVAL,
    offset_file: Path | None = None,
    timeline: Timeline | None = None,
    cloud: CloudClock | None = None,
    publisher: Publisher | None = None,
    cloud_faults: CloudFaults | None = None,
) -> Starlette:
    """Return the simulator as an ASGI application with state of its own.

    Parameters
    ----------
    aws_endpoint
        Where SNS answers, e.g. ``http://127.0.0.1:4570``.
    parts_per_second
        Message parts a second of the pre-owned number, and of 10DLC and simulator numbers requested later.
        The default is what the AWS user guide gives for long codes.
    requests_per_second
        ``SendTextMessage`` requests a second of the account; none by default, see `TextSender`.
    recipient_texts_per_second
        Of one recipient, one as on AWS; none for tests that write to one phone as fast as they can.
    event_interval
        Time to the first delivery event of a text and between two of them.
    offset_file
        In which the emulator publishes how far its clock is ahead; the machine's own clock, which cannot be
        moved, when left out.
    timeline, cloud, publisher, cloud_faults
        Time, clock and faults of the rest of the cloud, and topics, other than those at `aws_endpoint`.
    """
    timeline = timeline or VirtualTimeline(offset_file)
    emulator = EmulatorClock(aws_endpoint) if offset_file is not None and cloud is None else None
    cloud = cloud or emulator
    time_machine = TimeMachine(timeline, cloud) if cloud and isinstance(timeline, VirtualTimeline) else None
    publisher = publisher or SnsPublisher(endpoint_url=aws_endpoint, region=region)
    script = Script()
    account = Account(
        timeline=timeline, region=region, account_id=account_id, parts_per_second=parts_per_second
    )
    centre = MessageCentre(account, script, timeline, publisher, event_interval=event_interval)
    sender = TextSender(
        account,
        script,
        centre,
        requests_per_second=requests_per_second,
        recipient_texts_per_second=recipient_texts_per_second,
    )
    service = ServiceApi(account, script, sender)
    faults = cloud_faults
    if faults is None and offset_file is not None:
        faults = EmulatorFaults(aws_endpoint)
    control = ControlApi(account, script, centre, sender, time_machine, faults)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await timeline.close()
        if emulator is not None:
            await emulator.close()
        if isinstance(faults, EmulatorFaults):
            await faults.close()
        publisher.close()

    return Starlette(
        routes=[Route("/", service.handle, methods=["POST"]), *control.routes()],
        middleware=[Middleware(LoopbackOnly)],
        exception_handlers={HTTPException: _error},
        lifespan=lifespan,
    )


async def _error(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    return JSONResponse({"error": exc.detail}, exc.status_code, headers=exc.headers)
