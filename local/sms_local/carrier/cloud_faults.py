"""Faults of the rest of the embedded cloud, which are switched through the carrier like its own."""

from collections.abc import Mapping
from typing import Any, Protocol

import httpx

from sms_local.carrier.clock import UnreachableError
from sms_local.emulator.faults import FAULTS_PATH


class CloudFaults(Protocol):
    """The switches of the rest of the cloud."""

    @property
    def are_set(self) -> bool:
        """Whether any was set since all were switched off."""
        ...

    async def set(self, fields: Mapping[str, Any]) -> None:
        """Replace those that are named; switch all off where none is."""
        ...

    async def read(self) -> Mapping[str, Any]:
        """Return all, and under `done` how often each has happened."""
        ...


class EmulatorFaults:
    """The emulator's switches, over HTTP.

    Parameters
    ----------
    endpoint
        Of the emulator, as ``http://127.0.0.1:4570``.
    """

    def __init__(self, endpoint: str) -> None:
        self._url = f"{endpoint}{FAULTS_PATH}"
        self._client = httpx.AsyncClient(trust_env=False, timeout=10)
        self._are_set = False

    @property
    def are_set(self) -> bool:
        """Whether any was set since all were switched off."""
        return self._are_set

    async def set(self, fields: Mapping[str, Any]) -> None:
        """Replace those that are named; switch all off where none is."""
        await self._call("POST", json=dict(fields))
        self._are_set = bool(fields)

    async def read(self) -> Mapping[str, Any]:
        """Return all, and under `done` how often each has happened."""
        return await self._call("GET")

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()

    async def _call(self, method: str, **options: Any) -> Mapping[str, Any]:
        try:
            response = await self._client.request(method, self._url, **options)
        except httpx.TransportError as error:
            raise UnreachableError(f"The emulator does not answer: {type(error).__name__}.") from error
        if response.status_code != httpx.codes.OK:
            raise UnreachableError(f"The emulator answered {response.status_code} when asked for its faults.")
        answer: Mapping[str, Any] = response.json()
        return answer
