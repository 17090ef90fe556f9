"""What the page asks for about journeys."""

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sms_local.people import PEOPLE
from sms_local.phone.campaigns import Journeys, WishError, read_wish
from sms_local.phone.requests import json_object, problem
from sms_local.phone.state import CLOUD_ERRORS
from sms_local.subscribers import SubscriberIds


class CampaignRequests:
    """Requests below ``/api/journeys``.

    Parameters
    ----------
    journeys
        None where none are deployed: everything is refused then.
    ids
        Makes subscriber ids; None where nobody can be named.
    done
        Called after something was done.

    Attributes
    ----------
    routes
        For the application.
    """

    def __init__(
        self, journeys: Journeys | None, ids: SubscriberIds | None, *, done: Callable[[], None]
    ) -> None:
        self._journeys = journeys
        self._ids = ids
        self._done = done
        self.routes = [Route("/api/journeys", self.start, methods=["POST"])]

    async def start(self, request: Request) -> Response:
        """Start a journey: as `read_wish` reads it."""
        try:
            wish = read_wish(await json_object(request))
        except WishError as error:
            return problem(str(error), 400)
        journeys = self._journeys
        if journeys is None or wish.journey not in journeys.machines:
            return problem("That journey is not deployed.", 404)
        phone = None
        if wish.user_id is not None:
            phone = next((person.phone for person in PEOPLE if person.user_id == wish.user_id), None)
            if phone is None:
                return problem("Nobody of that id has a phone.", 400)
            if self._ids is None:
                return problem("The channel does not say how it makes its ids; start it for everybody.", 404)

        def start() -> str:
            subscriber = None if phone is None or self._ids is None else self._ids.of(phone)
            return journeys.start(wish, subscriber_id=subscriber)

        try:
            run = await run_in_threadpool(start)
        except CLOUD_ERRORS as error:
            return problem(f"The journey could not be started: {error}", 502)
        self._done()
        return JSONResponse({"id": run}, status_code=202)
