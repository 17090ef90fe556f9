"""What the phone page shows, and whom it listens to."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from sms_engagement_runtime.channel.domain.broadcast.outcomes import REMAINING
from sms_engagement_runtime.channel.domain.outcome_state import OutcomeState
from sms_engagement_runtime.review_collector.domain.reasons import AskReason
from sms_local.front_door import front_door_routes
from sms_local.people import PEOPLE
from sms_local.phone.listener import Listener
from sms_local.phone.loopback import LoopbackOnly
from sms_local.phone.runs import sort_out
from sms_local.phone.threads import Reply, phones
from sms_local.phone.words import OUTCOMES, REASONS, explain
from sms_local.places import Places

OWN = "http://127.0.0.1:4572"
ADMIN_TOPIC = "arn:aws:sns:us-east-1:000000000000:admin"
INBOUND_TOPIC = "arn:aws:sns:us-east-1:000000000000:inbound"


class Browser:
    """Sends requests to an application; what it does not state itself is not sent."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url=OWN) as client:
                return await client.request(method, path, **options)

        return asyncio.run(once())


def _text(to: str, at: str, body: str = "Hi John!") -> dict[str, object]:
    return {
        "message_id": f"id-{at}",
        "from": "+12065550100",
        "to": to,
        "body": body,
        "parts": 1,
        "encoding": "GSM",
        "message_type": "PROMOTIONAL",
        "context": {},
        "status": "TEXT_DELIVERED",
        "sent_at": at,
    }


# --- threads


def test_every_demo_customer_who_can_take_a_text_has_a_phone() -> None:
    shown = phones(PEOPLE, [], [])

    assert [phone["name"] for phone in shown] == [person.name for person in PEOPLE if person.phone]
    assert {person.name for person in PEOPLE if not person.phone} == {"Priya Nair", "Harbour Front Desk"}
    assert all(phone["bubbles"] == [] for phone in shown)


def test_a_thread_holds_both_sides_in_the_order_of_time() -> None:
    sent = [
        _text("+14045550101", "2026-11-21T10:00:00+00:00"),
        _text("+14045550101", "2026-11-21T10:02:00+00:00"),
    ]
    replies = [Reply(id="r1", phone="+14045550101", body="STOP", at="2026-11-21T10:01:00+00:00")]

    john = phones(PEOPLE, sent, replies)[0]

    assert [(bubble["isFromPhone"], bubble["body"]) for bubble in john["bubbles"]] == [
        (False, "Hi John!"),
        (True, "STOP"),
        (False, "Hi John!"),
    ]


def test_a_number_of_nobody_known_gets_a_phone_of_its_own() -> None:
    stranger = phones(PEOPLE, [_text("+15005550199", "2026-11-21T10:00:00+00:00")], [])[-1]

    assert (stranger["name"], stranger["id"], len(stranger["bubbles"])) == (
        "+15005550199",
        "number-15005550199",
        1,
    )


# --- report


def test_the_report_sorts_people_and_words_their_reasons() -> None:
    lines = [
        {"userId": "customer-002", "state": "SUPPRESSED", "reason": "OPTED_OUT"},
        {"userId": "customer-001", "state": "ACCEPTED", "messageId": "m1"},
        {"userId": "stranger", "state": "UNCERTAIN", "reason": "OUTCOME_UNKNOWN"},
        {"userId": "customer-003", "state": "ALREADY_SENT"},
        {"userId": "customer-004"},
    ]

    report = sort_out(lines)

    assert [person["name"] for person in report["reached"]] == ["John Doe"]
    assert [(person["name"], person["words"], person["code"]) for person in report["leftOut"]] == [
        ("Łukasz Wójcik", "answered STOP", "OPTED_OUT"),
        ("Zoë Fontaine", "got this text before", "ALREADY_SENT"),
    ]
    assert [person["name"] for person in report["uncertain"]] == ["stranger"]


def test_every_outcome_has_words() -> None:
    assert set(OUTCOMES) == {*map(str, OutcomeState), REMAINING}
    assert set(map(str, AskReason)) - {AskReason.NO_REQUEST} <= set(REASONS)


def test_a_code_of_the_carrier_is_shown_as_it_is() -> None:
    assert (
        explain("FAILED", "DESTINATION_COUNTRY_BLOCKED")
        == "the carrier refused the text (DESTINATION_COUNTRY_BLOCKED)"
    )
    assert explain("NEW_STATE", None) == "NEW_STATE"


# --- listener


@pytest.fixture
def listener() -> Listener:
    return Listener(Places(), {ADMIN_TOPIC: "admin", INBOUND_TOPIC: "inbound"})


def _envelope(topic: str, message: str, identifier: str = "n1", at: str = "2026-11-21T10:00:00.000Z") -> str:
    return json.dumps(
        {
            "TopicArn": topic,
            "MessageId": identifier,
            "Message": message,
            "Subject": "New review",
            "Timestamp": at,
        }
    )


def test_a_notice_heard_twice_is_shown_once_and_the_newest_comes_first(listener: Listener) -> None:
    listener.hear(_envelope(ADMIN_TOPIC, "New 5★ review from John Doe"))
    listener.hear(_envelope(ADMIN_TOPIC, "New 5★ review from John Doe"))
    listener.hear(_envelope(ADMIN_TOPIC, "New 1★ review from Zoë", "n2", "2026-11-21T11:00:00.000Z"))

    assert [notice.text for notice in listener.notices] == [
        "New 1★ review from Zoë",
        "New 5★ review from John Doe",
    ]


def test_a_reply_sent_here_is_not_doubled_by_the_inbound_topic(listener: Listener) -> None:
    listener.add_reply(Reply(id="in-1", phone="+14045550101", body="STOP", at="2026-11-21T10:00:00+00:00"))
    inbound = {"inboundMessageId": "in-1", "originationNumber": "+14045550101", "messageBody": "STOP"}

    listener.hear(_envelope(INBOUND_TOPIC, json.dumps(inbound)))
    listener.hear(
        _envelope(INBOUND_TOPIC, json.dumps(inbound | {"inboundMessageId": "in-2", "messageBody": None}))
    )

    assert [(reply.id, reply.body) for reply in listener.replies] == [("in-1", "STOP"), ("in-2", "")]


@pytest.mark.parametrize(
    "body", ["not json", "[]", "{}", _envelope("arn:of:another", "x"), _envelope(INBOUND_TOPIC, "not json")]
)
def test_what_is_not_understood_is_dropped(listener: Listener, body: str) -> None:
    listener.hear(body)

    assert listener.notices == []
    assert listener.replies == []


# --- loopback only


@pytest.fixture
def guarded() -> Browser:
    async def fine(_request: object) -> PlainTextResponse:
        return PlainTextResponse("fine")

    routes = [
        Route("/api/reply", fine, methods=["GET", "POST"]),
        Route("/submit-review", fine, methods=["POST"]),
    ]
    guard = Middleware(LoopbackOnly, port=4572, own_paths=("/api/",))
    return Browser(Starlette(routes=routes, middleware=[guard]))


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4572", "127.0.0.1", "127.0.0.1:4571", ""])
def test_a_foreign_host_gets_nothing(guarded: Browser, host: str) -> None:
    assert guarded.send("GET", "/api/reply", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1:4572", "localhost:4572"])
def test_this_address_is_served_under_both_its_names(guarded: Browser, host: str) -> None:
    assert guarded.send("GET", "/api/reply", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8000"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_site_cannot_act_through_the_browser(guarded: Browser, headers: dict[str, str]) -> None:
    assert guarded.send("POST", "/api/reply", json={}, headers=headers).status_code == 403


def test_our_own_page_can_act(guarded: Browser) -> None:
    headers = {"origin": OWN, "sec-fetch-site": "same-origin"}

    assert guarded.send("POST", "/api/reply", json={}, headers=headers).status_code == 200


def test_a_form_post_is_refused_since_a_foreign_page_could_send_one(guarded: Browser) -> None:
    assert guarded.send("POST", "/api/reply", data={"phone": "+14045550101"}).status_code == 415


def test_the_review_form_may_be_sent_from_its_page_without_referrer(guarded: Browser) -> None:
    answer = guarded.send("POST", "/submit-review", data={"rating": "5"}, headers={"origin": "null"})

    assert answer.status_code == 200


# --- front door


@pytest.fixture
def passed_on() -> list[httpx.Request]:
    return []


@pytest.fixture
def door(passed_on: list[httpx.Request]) -> Browser:
    def answer(request: httpx.Request) -> httpx.Response:
        passed_on.append(request)
        if request.url.path.endswith("/new-link"):
            raise httpx.ConnectError("refused")
        headers = [
            ("content-type", "text/html"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("connection", "close"),
        ]
        body = b"" if request.method == "HEAD" else b"<h1>Review</h1>"
        return httpx.Response(
            201, headers=[*headers, ("content-length", "15")], stream=httpx.ByteStream(body)
        )

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    routes = front_door_routes(client, aws_endpoint="http://127.0.0.1:4570", api_id="abc123")
    return Browser(Starlette(routes=routes))


def test_a_request_passes_untouched(door: Browser, passed_on: list[httpx.Request]) -> None:
    door.send(
        "POST",
        "/submit-review?a=1&a=%C3%A9",
        content=b"rating=5&token=x",
        headers={
            "content-type": "application/x-www-form-urlencoded",
            "accept-language": "fr-CA",
            "accept": "text/html",
        },
    )

    [request] = passed_on
    assert str(request.url) == (
        "http://127.0.0.1:4570/_aws/execute-api/abc123/$default/submit-review?a=1&a=%C3%A9"
    )
    assert (request.method, request.content) == ("POST", b"rating=5&token=x")
    assert request.headers["accept-language"] == "fr-CA"
    assert request.headers["accept"] == "text/html"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"


def test_a_token_with_escaped_characters_keeps_them(door: Browser, passed_on: list[httpx.Request]) -> None:
    door.send("GET", "/r/%2e%2e%2fadmin%20x")

    assert passed_on[0].url.raw_path == b"/_aws/execute-api/abc123/$default/r/%2e%2e%2fadmin%20x"


def test_an_answer_passes_untouched_but_for_the_connection(door: Browser) -> None:
    answer = door.send("GET", "/r/token")

    assert (answer.status_code, answer.text) == (201, "<h1>Review</h1>")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert "connection" not in answer.headers


def test_the_answer_to_head_states_the_length_of_get(door: Browser, passed_on: list[httpx.Request]) -> None:
    answer = door.send("HEAD", "/review?token=x")

    assert passed_on[0].method == "HEAD"
    assert answer.headers["content-length"] == "15"


def test_an_emulator_that_does_not_answer_is_said_so(door: Browser) -> None:
    answer = door.send("POST", "/new-link")

    assert answer.status_code == 502
    assert "does not answer" in answer.text
