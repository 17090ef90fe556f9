"""What the page asks for about faults: five switches, each with shares that let things go on."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sms_local.failures import LocalCloudError
from sms_local.faults import switch_faults
from sms_local.phone.requests import json_object, problem

SWITCHES: Final[Mapping[str, Mapping[str, float]]] = {
    "duplicate": {"duplicate": 0.25},
    "reorder": {"reorder": 0.25},
    "delay": {"delay": 20},
    "throttle": {"throttle": 0.2, "service_throttle": 0.05},
    "crash": {"accept_crash": 0.1, "function_crash": 0.1},
}
"""What each switch of the page sets in the carrier's control API."""


class FaultRequests:
    """Requests below ``/api/faults``.

    Parameters
    ----------
    carrier_endpoint
        Of the carrier simulator.

    Attributes
    ----------
    routes
        For the application.
    """

    def __init__(self, carrier_endpoint: str) -> None:
        self._endpoint = carrier_endpoint
        self.routes = [
            Route("/api/faults", self.read, methods=["GET"]),
            Route("/api/faults", self.switch, methods=["POST"]),
        ]

    async def read(self, request: Request) -> Response:  # noqa: ARG002 - Starlette passes the request
        """Answer which switches are on, and how often anything has happened: ``{"on": […], "done": n}``."""
        return await self._set({})

    async def switch(self, request: Request) -> Response:
        """Turn switches on or off: ``{"duplicate": true}``; those that are not named stay."""
        wanted = await json_object(request)
        if not wanted.keys() <= SWITCHES.keys() or not all(isinstance(on, bool) for on in wanted.values()):
            return problem(f"The switches are {', '.join(SWITCHES)}, each true or false.", 400)
        return await self._set(
            {
                field: share if is_on else 0
                for name, is_on in wanted.items()
                for field, share in SWITCHES[name].items()
            }
        )

    async def _set(self, fields: Mapping[str, float]) -> Response:
        try:
            found = await run_in_threadpool(switch_faults, self._endpoint, fields)
        except LocalCloudError as error:
            return problem(f"{str(error)[0].upper()}{str(error)[1:]}.", 502)
        return JSONResponse(described(found))


def described(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page shows of the carrier's answer."""
    on = [name for name, fields in SWITCHES.items() if any(found.get(field) for field in fields)]
    return {"on": on, "done": sum(found["done"].values())}
