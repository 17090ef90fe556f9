"""GET and HEAD of the review page, as API Gateway asks for it."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sms_engagement_runtime.review_collector.domain.form import CONTENT_SECURITY_POLICY
from sms_engagement_runtime.review_collector.domain.link_keys import LinkKeys, rotated
from tests.support.handlers import Context, fresh_handler
from tests.support.http_events import api_event
from tests.support.review_fakes import LINK_KEYS
from tests.support.secret_server import secret_server

FORM = "sms_engagement_runtime.review_collector.handlers.form"
SECRET = json.dumps({"active": 1, "k1": "a link key of the tests"})
WEEK = timedelta(days=7)
REFERENCE = bytes(range(12))
HTML = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
JSON = {"accept": "application/json"}


@pytest.fixture
def server():
    with secret_server(SECRET) as server:
        yield server


@pytest.fixture
def form(server):
    environment = {"LINK_SECRET_ARN": "link-keys", "LINK_LIFETIME_SECONDS": "604800", **server.environment()}
    with fresh_handler(FORM, environment) as module:
        yield module


def link(expires_in=WEEK, keys=LINK_KEYS):
    return keys.mint(REFERENCE, expires_at=datetime.now(UTC) + expires_in)


def get(form, token, *, headers=HTML, method="GET"):
    return form.handler(api_event(f"{method} /r/{{token}}", token=token, headers=headers), Context())


def test_a_good_link_opens_the_form(form):
    token = link()

    response = get(form, token)

    assert response["statusCode"] == 200
    assert "<h1>Review Your Purchase</h1>" in response["body"]
    assert f'<input type="hidden" name="token" value="{token}">' in response["body"]
    assert 'action="../submit-review"' in response["body"]


def test_the_long_address_opens_it_too(form):
    event = api_event("GET /review", query={"token": link()}, headers=HTML)

    response = form.handler(event, Context())

    assert response["statusCode"] == 200
    assert 'action="submit-review"' in response["body"]


def test_headers_keep_the_page_to_itself(form):
    headers = get(form, link())["headers"]

    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["strict-transport-security"] == "max-age=31536000"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-robots-tag"] == "noindex, nofollow"
    assert "geolocation=()" in headers["permissions-policy"]
    assert "set-cookie" not in headers


@pytest.mark.parametrize("query", [None, {"token": ""}, {"other": "x"}])
def test_no_token_is_400(form, query):
    response = form.handler(api_event("GET /review", query=query, headers=HTML), Context())

    assert response["statusCode"] == 400
    assert "Part of the link is missing" in response["body"]
    assert "<form" not in response["body"]


def bad_tokens():
    good = link()
    other = LinkKeys(1, {1: b"a key of somebody else's"})
    return {
        "forged": good[:-1] + ("A" if good[-1] != "A" else "B"),
        "cut": good[:-1],
        "garbage": "no-token-at-all",
        "padded": good + "=",
        "foreign": link(keys=other),
        "unknown key": link(keys=LinkKeys(9, {9: b"a key of somebody else's"})),
        "future": link(expires_in=timedelta(days=30)),
        "repeated": f"{good},{good}",
        "huge": "A" * 8000,
        "script": "<script>alert(1)</script>",
        "surrogate": "\ud800" * 40,
    }


@pytest.mark.parametrize("kind", bad_tokens())
def test_any_token_that_is_not_ours_is_403_and_says_nothing_internal(form, kind):
    token = bad_tokens()[kind]

    response = get(form, token)

    assert response["statusCode"] == 403
    assert "This link does not work" in response["body"]
    assert token not in response["body"]
    assert "<form" not in response["body"]


def test_an_expired_link_is_410_with_a_button_for_a_new_one(form):
    token = link(expires_in=timedelta(minutes=-1))

    response = get(form, token)

    assert response["statusCode"] == 410
    assert "This link has expired" in response["body"]
    assert 'action="../new-link"' in response["body"]
    assert f'value="{token}"' in response["body"]


@pytest.mark.parametrize(
    ("token", "status"), [(link(), 200), ("x", 403), (link(expires_in=timedelta(minutes=-1)), 410)]
)
def test_programs_get_json(form, token, status):
    response = get(form, token, headers=JSON | {"accept-language": "de"})

    assert response["statusCode"] == status
    assert response["headers"]["content-type"] == "application/json; charset=utf-8"
    assert ("errors" in json.loads(response["body"])) is (status != 200)


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        (None, False),
        ("*/*", False),
        ("text/html", False),
        ("application/json", True),
        ("application/json;q=0.5, text/html;q=0.4", True),
        ("text/html, application/json", False),
        ("application/json;q=0, text/html;q=0", False),
        ("application/json;q=x", False),
        ("image/png", False),
        ("," * 10_000, False),
    ],
)
def test_html_unless_json_is_preferred(form, accept, is_json):
    response = get(form, "x", headers={} if accept is None else {"Accept": accept})

    assert response["headers"]["content-type"].startswith("application/json") is is_json


def test_the_page_speaks_the_language_of_the_browser(form):
    response = get(form, link(), headers=HTML | {"accept-language": "ar-EG,ar;q=0.9"})

    assert response["headers"]["content-language"] == "ar"
    assert '<html lang="ar" dir="rtl">' in response["body"]


def test_head_is_get_without_its_body(form):
    token = link()

    head, whole = get(form, token, method="HEAD"), get(form, token)

    assert head["body"] == ""
    assert (head["statusCode"], head["headers"]) == (whole["statusCode"], whole["headers"])


def test_three_preview_bots_and_a_person_get_the_same_page(form, server):
    token = link()

    bodies = {get(form, token, headers={"user-agent": f"bot {n}"})["body"] for n in range(4)}

    assert len(bodies) == 1
    assert len(server.requests) == 1


def test_a_link_signed_after_a_rotation_opens_at_once(form, server):
    assert get(form, link())["statusCode"] == 200
    server.secret = rotated(SECRET, "the next link key of the tests")
    form._keys._tried_at = float("-inf")
    after = LinkKeys(2, {2: b"the next link key of the tests"})

    assert get(form, link(keys=after))["statusCode"] == 200
    assert get(form, link())["statusCode"] == 200


def test_without_its_secret_the_page_asks_for_patience(form, server, capsys):
    server.answers += [(500, {"__type": "InternalServiceError"})] * 2

    response = get(form, link())

    assert response["statusCode"] == 503
    assert "The fault is ours" in response["body"]
    assert "secretsmanager" not in response["body"]
    assert '"ERROR"' in capsys.readouterr().out


def test_an_event_without_anything_is_answered(form):
    assert form.handler({}, Context())["statusCode"] == 400


def test_the_log_holds_the_route_and_never_the_token(form, capsys):
    token = link()
    get(form, token)
    get(form, token[:-1])
    form.handler(api_event("GET /review", query={"token": token}, headers=HTML), Context())

    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]

    assert [(line["route"], line["status"]) for line in lines] == [
        ("GET /r/{token}", 200),
        ("GET /r/{token}", 403),
        ("GET /review", 200),
    ]
    assert lines[0]["function_request_id"] == "request"
    assert token[:20] not in out + err
    assert "192.0.2.1" not in out


def imported_modules(code, environment):
    runtime = Path(__file__).parents[3] / "runtime"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        env={**os.environ, **environment, "PYTHONPATH": str(runtime)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(result.stdout.splitlines()[-1].split())


def test_the_page_starts_without_heavy_libraries(server):
    modules = imported_modules(f"import {FORM}", {"LINK_SECRET_ARN": "link-keys", **server.environment()})

    assert FORM in modules
    assert not modules & {
        "boto3",
        "botocore",
        "aws_lambda_powertools",
        "msgspec",
        "phonenumbers",
        "aws_xray_sdk",
    }
