"""What the dashboard's page asks for."""

from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sms_local.phone.carrier import CarrierError
from sms_local.phone.charts import read_width
from sms_local.phone.dashboard import Dashboard, to_json
from sms_local.phone.figures import read_minimum
from sms_local.phone.requests import json_object, problem
from sms_local.phone.state import CLOUD_ERRORS

_NOT_DEPLOYED = "No analytics are deployed."


class DashboardRequests:
    """Requests below ``/api/dashboard``.

    Parameters
    ----------
    dashboard
        None where no analytics are deployed: everything is refused then.
    look_at_clock
        Finds out the virtual time, which nobody knows before the first look.

    Attributes
    ----------
    routes
        For the application.
    """

    def __init__(self, dashboard: Dashboard | None, *, look_at_clock: Callable[[], Awaitable[None]]) -> None:
        self._dashboard = dashboard
        self._look_at_clock = look_at_clock
        self.routes = [
            Route("/api/dashboard", self.numbers),
            Route("/api/dashboard.csv", self.csv),
            Route("/api/athena", self.ask, methods=["POST"]),
        ]

    async def numbers(self, request: Request) -> Response:
        """Answer with everything that is shown: ``?width=640&half=400&minimum=5``."""
        dashboard = self._dashboard
        if dashboard is None:
            return problem(_NOT_DEPLOYED, 404)
        wanted = request.query_params
        width, half = read_width(wanted.get("width")), read_width(wanted.get("half"))
        minimum = read_minimum(wanted.get("minimum"))
        return await self._answer(
            lambda: Response(
                to_json(dashboard.describe(width=width, half=half, minimum=minimum)),
                media_type="application/json",
                headers={"Cache-Control": "no-store"},
            )
        )

    async def csv(self, _request: Request) -> Response:
        """Answer with the counts as a file."""
        dashboard = self._dashboard
        if dashboard is None:
            return problem(_NOT_DEPLOYED, 404)
        headers = {
            "Content-Disposition": 'attachment; filename="sms-counts.csv"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return await self._answer(
            lambda: Response(dashboard.to_csv(), media_type="text/csv", headers=headers)
        )

    async def ask(self, request: Request) -> Response:
        """Ask Athena a saved query: ``{"query": id}``."""
        query = (await json_object(request)).get("query")
        if not isinstance(query, str):
            return problem("Say which saved query.", 400)
        dashboard = self._dashboard
        if dashboard is None:
            return problem(_NOT_DEPLOYED, 404)
        return await self._answer(lambda: JSONResponse(dashboard.ask(query)))

    async def _answer(self, work: Callable[[], Response]) -> Response:
        try:
            await self._look_at_clock()
            return await run_in_threadpool(work)
        except LookupError as error:
            return problem(str(error.args[0]), 404)
        except CarrierError as error:
            return problem(str(error), 502)
        except CLOUD_ERRORS as error:
            return problem(f"The emulator does not answer: {error}", 502)
