"""The carrier simulator's control API, for the page: texts, replies, and the virtual clock."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx

#: A jump is answered when all that fell due is done, which takes as long as it takes.
_NO_LIMIT = httpx.Timeout(10, read=None)


class CarrierError(Exception):
    """The carrier simulator did not do it; the text is a sentence for the person at the page."""


class CarrierControl:
    """Asks the carrier simulator.

    Parameters
    ----------
    client
        Carries the requests.
    endpoint
        Where the simulator listens.
    """

    def __init__(self, client: httpx.AsyncClient, endpoint: str) -> None:
        self._client = client
        self._endpoint = endpoint

    async def messages(self) -> list[dict[str, Any]]:
        """Return what the service accepted, in order.

        Raises
        ------
        CarrierError
        """
        listed: list[dict[str, Any]] = await self._ask("GET", "/control/messages")
        return listed

    async def now(self) -> datetime:
        """Return the virtual time, aware, in UTC.

        Raises
        ------
        CarrierError
        """
        return _instant(await self._ask("GET", "/control/clock"))

    async def advance(self, ahead: timedelta) -> tuple[datetime, list[dict[str, Any]]]:
        """Move the clock; return the time then, and what fell due in order: ``{"at", "what", "name"}``.

        Raises
        ------
        CarrierError
        """
        wanted = {"advance_seconds": ahead.total_seconds()}
        answer = await self._ask("POST", "/control/clock", json=wanted, timeout=_NO_LIMIT)
        return _instant(answer), answer.get("due", [])

    async def text(self, inbound: Mapping[str, str]) -> None:
        """Send a text from a phone: ``{"from", "body", "inbound_message_id"}``.

        Raises
        ------
        CarrierError
        """
        await self._ask("POST", "/control/inbound", json=inbound)

    async def _ask(self, method: str, path: str, **options: Any) -> Any:
        try:
            answer = await self._client.request(method, f"{self._endpoint}{path}", **options)
            said = answer.json()
        except httpx.HTTPError as error:
            raise CarrierError(f"The carrier simulator does not answer ({type(error).__name__}).") from error
        except ValueError as error:
            raise CarrierError(
                f"The carrier simulator answered {path} with {answer.status_code}, without saying why."
            ) from error
        if answer.is_error:
            reason = said.get("error") if isinstance(said, dict) else None
            raise CarrierError(f"The carrier simulator refused: {reason or answer.status_code}")
        return said


def _instant(answer: Any) -> datetime:
    try:
        return datetime.fromisoformat(answer["now"])
    except (KeyError, TypeError, ValueError) as error:
        raise CarrierError("The clock gave an answer that this page does not understand.") from error
