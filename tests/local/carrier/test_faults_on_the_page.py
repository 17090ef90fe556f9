"""The page's five switches: what each sets, and what the page is told."""

import asyncio
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from sms_local.phone.fault_requests import SWITCHES, FaultRequests


class Page:
    """A browser that asks the page's server."""

    def __init__(self, endpoint: str) -> None:
        self._transport = httpx.ASGITransport(Starlette(routes=FaultRequests(endpoint).routes))

    def get(self, path: str) -> httpx.Response:
        return asyncio.run(self._ask("GET", path))

    def post(self, path: str, json: Any) -> httpx.Response:
        return asyncio.run(self._ask("POST", path, json=json))

    async def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        async with httpx.AsyncClient(transport=self._transport, base_url="http://page") as client:
            return await client.request(method, path, **options)


@pytest.fixture
def endpoint(start_carrier, cloud_switches):
    return start_carrier(cloud_faults=cloud_switches)


@pytest.fixture
def page(endpoint):
    return Page(endpoint.url)


@pytest.mark.parametrize("name", SWITCHES)
def test_each_switch_goes_on_and_off_and_leaves_the_others(page, endpoint, name):
    other = next(one for one in SWITCHES if one != name)
    page.post("/api/faults", json={other: True})

    assert set(page.post("/api/faults", json={name: True}).json()["on"]) == {name, other}
    found = endpoint.control("GET", "fault")
    assert {field: found[field] for field in SWITCHES[name]} == SWITCHES[name]
    assert page.post("/api/faults", json={name: False}).json() == {"on": [other], "done": 0}
    assert page.get("/api/faults").json()["on"] == [other]


@pytest.mark.parametrize("body", [{"loss": True}, {"crash": 0.5}])
def test_what_is_no_switch_is_refused_in_a_sentence(page, body):
    answer = page.post("/api/faults", json=body)

    assert answer.status_code == 400
    assert "The switches are duplicate, reorder, delay, throttle, crash" in answer.json()["problem"]


def test_a_carrier_that_is_away_is_said_in_a_sentence():
    answer = Page("http://127.0.0.1:9").get("/api/faults")

    assert answer.status_code == 502
    assert answer.json()["problem"] == "The carrier simulator does not answer (ConnectError)."
