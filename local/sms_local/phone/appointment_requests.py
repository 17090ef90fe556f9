"""What the page asks for about appointments."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sms_engagement_runtime.appointment_follow_up.domain.bookings import Party
from sms_local.booking_site import Appointment, BookingSiteError, WebhookError
from sms_local.phone.appointments import Bookings, read_wish
from sms_local.phone.carrier import CarrierError
from sms_local.phone.requests import json_object, problem
from sms_local.phone.state import CLOUD_ERRORS


class AppointmentRequests:
    """Requests below ``/api/appointments``.

    Parameters
    ----------
    bookings
        None where no appointments are deployed: everything is refused then.
    look_at_clock
        Finds out the virtual time, which nobody knows before the first look.
    done
        Called after something was done.

    Attributes
    ----------
    routes
        For the application.
    """

    def __init__(
        self,
        bookings: Bookings | None,
        *,
        look_at_clock: Callable[[], Awaitable[None]],
        done: Callable[[], None],
    ) -> None:
        self._bookings = bookings
        self._look_at_clock = look_at_clock
        self._done = done
        self.routes = [
            Route("/api/appointments", self.book, methods=["POST"]),
            Route("/api/appointments/cancel", self.cancel, methods=["POST"]),
            Route("/api/appointments/move", self.move, methods=["POST"]),
            Route("/api/appointments/no-show", self.no_show, methods=["POST"]),
        ]

    async def book(self, request: Request) -> Response:
        """Book: ``{"userId": "customer-001", "eventName": "Coffee tasting", "days": 2, "hour": 15}``."""
        try:
            wish = read_wish(await json_object(request))
        except ValueError as error:
            return problem(str(error), 400)
        return await self._do(lambda bookings: bookings.book(wish), status=201)

    async def cancel(self, request: Request) -> Response:
        """Cancel: ``{"id": appointment id, "by": "host"}``, or by the ``invitee``."""
        wanted = await json_object(request)
        by = wanted.get("by", Party.HOST)
        if by not in tuple(Party):
            return problem("Say who cancels: host or invitee.", 400)
        return await self._do(lambda bookings: bookings.cancel(_id(wanted), by=Party(by)))

    async def move(self, request: Request) -> Response:
        """Move to the same hour of the next day: ``{"id": appointment id}``."""
        wanted = await json_object(request)
        return await self._do(lambda bookings: bookings.move_a_day(_id(wanted)))

    async def no_show(self, request: Request) -> Response:
        """Mark as absent: ``{"id": appointment id}``; take it back: ``"undone": true`` beside it."""
        wanted = await json_object(request)
        is_undone = wanted.get("undone", False)
        if not isinstance(is_undone, bool):
            return problem("Say true or false for taking it back.", 400)
        return await self._do(lambda bookings: bookings.mark(_id(wanted), is_undone=is_undone))

    async def _do(self, act: Callable[[Bookings], Appointment], *, status: int = 200) -> Response:
        if self._bookings is None:
            return problem("No appointment follow-up is deployed.", 404)
        try:
            await self._look_at_clock()
            appointment = await run_in_threadpool(act, self._bookings)
        except (WebhookError, CarrierError) as error:
            return problem(str(error), 502)
        except BookingSiteError as error:
            return problem(str(error), 409)
        except CLOUD_ERRORS as error:
            return problem(f"The signing key could not be read: {error}", 502)
        self._done()
        return JSONResponse({"id": appointment.appointment_id}, status_code=status)


def _id(wanted: dict[str, Any]) -> str:
    return str(wanted.get("id", ""))
