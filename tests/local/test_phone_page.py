"""The phones of the page, and whom the page listens to."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from sms_engagement_runtime.channel.adapters.number_places import NumberPlaces
from sms_engagement_runtime.channel.domain.phone_number import PhoneNumber
from sms_local.front_door import front_door_routes
from sms_local.people import PEOPLE, SITUATIONS, Person
from sms_local.phone.listener import Listener
from sms_local.phone.loopback import LoopbackOnly
from sms_local.phone.threads import MOST_BUBBLES, MOST_STRANGERS, Reply, phones
from sms_local.places import Places

OWN = "http://127.0.0.1:4572"
ADMIN_TOPIC = "arn:aws:sns:us-east-1:000000000000:admin"
EVENTS_TOPIC = "arn:aws:sns:us-east-1:000000000000:events"
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
        "+1 500 555 0199",
        "number-15005550199",
        1,
    )


def test_a_broadcast_to_thousands_does_not_put_thousands_of_phones_on_the_page() -> None:
    sent = [_text(f"+1500555{number:04}", f"2026-11-21T10:{number:02}:00+00:00") for number in range(40)]

    shown = phones(PEOPLE, sent, [])

    strangers = [phone["phone"] for phone in shown if phone["id"].startswith("number-")]
    assert strangers == [f"+1500555{number:04}" for number in range(40 - MOST_STRANGERS, 40)]


def test_a_long_thread_shows_its_newest_texts() -> None:
    sent = [_text("+14045550101", f"2026-11-21T{n // 60:02}:{n % 60:02}:00+00:00") for n in range(100)]

    john = phones(PEOPLE, sent, [])[0]

    assert len(john["bubbles"]) == MOST_BUBBLES
    assert john["bubbles"][-1]["at"] == sent[-1]["sent_at"]


def test_who_shares_a_phone_has_none_of_their_own() -> None:
    shown = phones((*PEOPLE, *SITUATIONS), [], [])

    assert [phone["name"] for phone in shown if phone["phone"] == "+14045550101"] == ["John Doe"]
    assert shown[-1]["name"] == "Leilani Kealoha"


def test_a_phone_tells_the_hour_where_it_is() -> None:
    [leilani] = [phone for phone in phones(SITUATIONS, [], []) if phone["name"] == "Leilani Kealoha"]

    assert (leilani["town"], leilani["timeZone"]) == ("Honolulu", "Pacific/Honolulu")


@pytest.mark.parametrize(
    "person", [one for one in (*PEOPLE, *SITUATIONS) if one.phone], ids=lambda one: one.name
)
def test_the_zone_that_the_page_shows_is_one_that_the_product_finds(person: Person) -> None:
    assert person.phone is not None
    place = NumberPlaces().place_of(PhoneNumber(person.phone), "US", None)

    assert person.time_zone in place.zones


# --- listener


@pytest.fixture
def listener() -> Listener:
    return Listener(Places(), {ADMIN_TOPIC: "admin", INBOUND_TOPIC: "inbound", EVENTS_TOPIC: "events"})


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


def _delivery(**further: object) -> dict[str, object]:
    event = {
        "eventType": "TEXT_DELIVERED",
        "isFinal": True,
        "messageId": "m1",
        "destinationPhoneNumber": "+14045550101",
        "eventTimestamp": 1_795_280_400_000,
    }
    return event | further


def test_a_delivery_event_heard_twice_is_one_and_one_without_a_message_is_none(listener: Listener) -> None:
    for event in (
        _delivery(),
        _delivery(),
        _delivery(eventType="TEXT_SUCCESSFUL"),
        {"eventType": "VOICE_ANSWERED"},
    ):
        listener.hear(_envelope(EVENTS_TOPIC, json.dumps(event)))

    assert [event["eventType"] for event in listener.deliveries] == ["TEXT_DELIVERED", "TEXT_SUCCESSFUL"]


def test_everything_heard_is_forgotten_on_request(listener: Listener) -> None:
    listener.hear(_envelope(ADMIN_TOPIC, "New 5★ review from John Doe"))
    listener.hear(_envelope(EVENTS_TOPIC, json.dumps(_delivery())))
    listener.add_reply(Reply(id="in-1", phone="+14045550101", body="STOP", at="2026-11-21T10:00:00+00:00"))

    listener.forget()

    assert (listener.notices, listener.replies, listener.deliveries) == ([], [], [])


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
