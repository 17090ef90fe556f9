"""Every route that the public can call: too much of anything, the wrong method, and headers of each answer.

Routes are those that are deployed. A new one is asked as well, and has to answer as the others do.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
import pytest

from sms_local.testing import Cloud
from tests.support.cloud_drive import client

#: API Gateway itself takes 10 MB of a body and 10,240 bytes of request line and headers (HTTP API quotas).
_LONG_BODY = 600_000
_LONG_VALUE = 9_000

#: On each answer of a function.
_ALWAYS = {
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
}
#: On each answer to a person behind a link, page or not.
_OF_PAGES = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex, nofollow",
}

_INTERNAL = re.compile(
    r"Traceback|File \"|arn:|\bboto|dynamodb|sms_engagement|local-Reviews|requestId", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Route:
    """One route of an HTTP API, and who is behind it."""

    api_id: str
    method: str
    path: str

    @property
    def is_webhook(self) -> bool:
        return self.path.startswith("/webhooks/")

    @property
    def is_list(self) -> bool:
        """Whether it gives approved reviews to everybody, whose answers may be kept."""
        return self.path.startswith("/reviews")


@dataclass(frozen=True, slots=True)
class Caller:
    """Asks deployed routes by path, without the front door, which is not the product's."""

    base_url: str
    http: httpx.Client

    def ask(
        self,
        route: Route,
        *,
        method: str | None = None,
        path: str | None = None,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        filled = re.sub(r"\{\w+\+?\}", "a" * 40, path or route.path)
        url = f"{self.base_url}/_aws/execute-api/{route.api_id}/$default{filled}"
        return self.http.request(method or route.method, url, content=content, headers=headers, params=query)


@pytest.fixture(scope="module")
def public(running_cloud: Cloud) -> list[Route]:
    """Return the routes without an authoriser."""
    apis = client(running_cloud, "apigatewayv2")
    found = [
        Route(api["ApiId"], *route["RouteKey"].split(" "))
        for api in apis.get_apis()["Items"]
        for route in apis.get_routes(ApiId=api["ApiId"])["Items"]
        if route.get("AuthorizationType", "NONE") == "NONE"
    ]
    assert {"/review", "/r/{token}", "/submit-review", "/webhooks/calendly"} <= {
        route.path for route in found
    }
    return found


@pytest.fixture(scope="module")
def caller(running_cloud: Cloud) -> Caller:
    return Caller(running_cloud.places.aws_endpoint, httpx.Client(timeout=60, trust_env=False))


def assert_closed(route: Route, answer: httpx.Response) -> None:
    """Assert the headers of an answer, and that nothing internal shows."""
    expected = _ALWAYS if route.is_webhook or route.is_list else _ALWAYS | _OF_PAGES
    if route.is_webhook:
        assert answer.headers["cache-control"] == "no-store", route
    assert expected.items() <= dict(answer.headers).items(), (route, answer.status_code, dict(answer.headers))
    if not route.is_webhook:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy
    assert not _INTERNAL.search(answer.text), route
    assert answer.status_code != 500, route


def test_an_answer_to_nothing_has_the_headers_of_security(public: list[Route], caller: Caller) -> None:
    for route in public:
        answer = caller.ask(route)

        assert_closed(route, answer)
        assert 400 <= answer.status_code < 500 or route.is_list, route


def test_a_body_that_is_too_long_is_refused(public: list[Route], caller: Caller) -> None:
    for route in public:
        if route.method != "POST":
            continue
        for kind in ("application/json", "application/x-www-form-urlencoded", "text/plain", "a/b" * 200):
            answer = caller.ask(route, content=b"a" * _LONG_BODY, headers={"content-type": kind})

            assert_closed(route, answer)
            # A provider's webhook without a good signature is none, however long it is.
            assert answer.status_code in ({401} if route.is_webhook else {413, 415}), (route, kind)


def test_headers_and_a_query_that_are_too_long_change_nothing(public: list[Route], caller: Caller) -> None:
    long = "a" * _LONG_VALUE
    for route in public:
        for headers in (
            {"accept": f"text/html, {long}"},
            {"accept-language": ",".join(["en-GB"] * 1_000)},
            {"calendly-webhook-signature": f"t=1,v1={long}", "x-cal-signature-256": long},
            {"content-type": long},
            {"referer": long},
        ):
            answer = caller.ask(route, headers=headers)

            assert_closed(route, answer)
            assert 400 <= answer.status_code < 500 or route.is_list, (route, list(headers))
        answer = caller.ask(route, query={"token": long})

        assert_closed(route, answer)
        assert 400 <= answer.status_code < 500 or route.is_list, route


def test_other_methods_reach_no_function(public: list[Route], caller: Caller) -> None:
    declared = {(route.api_id, route.path): set[str]() for route in public}
    for route in public:
        declared[route.api_id, route.path].add(route.method)
    for route in public:
        for method in {"DELETE", "GET", "PATCH", "POST", "PUT"} - declared[route.api_id, route.path]:
            answer = caller.ask(route, method=method)

            assert answer.status_code in {404, 405}, (route, method)
            assert "strict-transport-security" not in answer.headers, (route, method)


def test_paths_beside_the_routes_reach_no_function(public: list[Route], caller: Caller) -> None:
    for path in ("/", "/review/", "/webhooks", "/webhooks/other", "/.env", "/r", "/$default", "/admin"):
        for api_id in {route.api_id for route in public}:
            answer = caller.ask(Route(api_id, "GET", path))

            assert answer.status_code in {403, 404}, path
            assert not _INTERNAL.search(answer.text), path
