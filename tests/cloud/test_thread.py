"""A text goes out, a review comes back, STOP is honoured: all of it from outside, with IAM enforced."""

from collections.abc import Callable
from typing import Any

import pytest

from sms_local.people import PEOPLE
from sms_local.testing import Cloud, eventually
from tests.support.cloud_drive import link_in

JOHN, LUKASZ, ZOE = "+14045550101", "+12125550102", "+14155550103"
REACHABLE = [person.phone for person in PEOPLE if person.phone is not None]
CONFIRMATION = "You have been unsubscribed. Reply START to subscribe again."


def with_status(cloud: Cloud, phone: str, status: str) -> Callable[[], list[dict[str, Any]]]:
    return lambda: [text for text in cloud.texts(phone) if text["status"] == status]


def test_from_the_text_to_the_review_and_to_the_opt_out(cloud: Cloud) -> None:
    admin = cloud.subscribe(cloud.outputs["topics"]["admin"])

    first = cloud.broadcast()

    assert first["outcomes"]["ACCEPTED"] == len(REACHABLE)
    assert first["reasons"]["NO_PHONE"] == 1
    assert first["reasons"]["LANDLINE"] == 1
    assert first["parts"] == len(REACHABLE)
    texts = {text["to"]: text for text in cloud.texts()}
    assert sorted(texts) == sorted(REACHABLE)
    assert {text["parts"] for text in texts.values()} == {1}
    assert {text["encoding"] for text in texts.values()} == {"GSM"}
    assert texts[JOHN]["body"].startswith("Hi John! Please review your recent purchase: ")
    assert texts[LUKASZ]["body"].startswith("Hi Lukasz! ")
    assert texts[JOHN]["message_type"] == "PROMOTIONAL"
    eventually(with_status(cloud, JOHN, "TEXT_DELIVERED"), what="the delivery")

    link = link_in(texts[JOHN])
    assert link.startswith(cloud.places.front_door)
    form = cloud.door.get(link)
    assert form.status_code == 200
    assert "Review Your Purchase" in form.text
    token = link.rpartition("/")[2]
    assert len(token) <= 40

    posted = cloud.door.post(
        "/submit-review",
        data={"token": token, "rating": "5", "reviewText": "Warm on arrival."},
        headers={"accept": "text/html"},
    )

    assert posted.status_code == 201
    assert "Thank you for your review!" in posted.text
    [review] = cloud.rows("reviews")
    assert (review["userId"], review["rating"], review["status"]) == ("customer-001", 5, "new")
    assert review["reviewText"] == "Warm on arrival."
    [notice] = eventually(admin.messages, what="the notice to the admin")
    assert notice["Subject"] == "New review"
    assert notice["Message"].splitlines()[0] == "New 5★ review from John Doe"

    cloud.text_from(LUKASZ, "STOP")

    eventually(lambda: len(cloud.texts(LUKASZ)) == 2, what="the confirmation of the opt-out")
    assert cloud.texts(LUKASZ)[1]["body"] == CONFIRMATION

    before = [text["message_id"] for text in cloud.texts()]
    second = cloud.broadcast()

    assert second["outcomes"].get("ACCEPTED", 0) == 0
    assert second["reasons"]["OPTED_OUT"] == 1
    assert second["outcomes"]["ALREADY_SENT"] == len(REACHABLE) - 1
    assert [text["message_id"] for text in cloud.texts()] == before


def test_an_opt_out_before_the_first_text_prevents_it(cloud: Cloud) -> None:
    cloud.text_from(ZOE, "Stop. Thank you")
    eventually(lambda: cloud.texts(ZOE), what="the confirmation of the opt-out")

    summary = cloud.broadcast()

    assert summary["reasons"]["OPTED_OUT"] == 1
    assert [text["body"] for text in cloud.texts(ZOE)] == [CONFIRMATION]
    assert len(cloud.texts(JOHN)) == 1


def test_start_leads_back(cloud: Cloud) -> None:
    cloud.text_from(ZOE, "stop")
    eventually(lambda: cloud.texts(ZOE), what="the confirmation of the opt-out")
    # The emulator's topics stamp whole seconds, and of two keywords of one instant the opt-out counts.
    stopped = int(cloud.now().timestamp())
    eventually(lambda: int(cloud.now().timestamp()) > stopped, what="the next second")
    cloud.text_from(ZOE, "START")

    eventually(lambda: len(cloud.texts(ZOE)) == 2, what="the answer to START")
    assert cloud.texts(ZOE)[1]["body"] == "Welcome back! You're now subscribed."

    summary = cloud.broadcast()

    assert summary["outcomes"]["ACCEPTED"] == len(REACHABLE)


def test_help_is_answered(cloud: Cloud) -> None:
    cloud.text_from(JOHN, "help")

    [answer] = eventually(lambda: cloud.texts(JOHN), what="the answer to HELP")

    assert answer["body"] == "Reply STOP to unsubscribe. For help, visit our website."


def test_a_dry_run_sends_nothing_and_says_who_and_why(cloud: Cloud) -> None:
    summary = cloud.broadcast({"dryRun": True, "reason": "a look before the real thing"})

    assert summary["dryRun"] is True
    assert summary["reason"] == "a look before the real thing"
    assert summary["outcomes"]["WOULD_SEND"] == len(REACHABLE)
    assert summary["parts"] == len(REACHABLE)
    assert cloud.texts() == []
    assert cloud.rows("messages") == []


def test_two_runs_at_once_send_each_text_once(cloud: Cloud) -> None:
    machine = cloud.outputs["state_machines"]["review_broadcast"]
    runs = [
        cloud.stepfunctions.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
        for _ in range(2)
    ]

    # Whom both run into at the same moment, one of them looks at again a minute later.
    assert [cloud.ended(run)["status"] for run in runs] == ["SUCCEEDED", "SUCCEEDED"]

    assert sorted(text["to"] for text in cloud.texts()) == sorted(REACHABLE)


def test_a_review_on_the_bus_is_asked_for_at_once(cloud: Cloud) -> None:
    cloud.publish("ReviewRequested", {"userId": "customer-006", "occasion": "order-17"})

    [text] = eventually(lambda: cloud.texts("+15035550106"), what="the review request")

    assert text["body"].startswith("Hi Grace! ")
    assert text["parts"] == 1
    # Who was asked about a purchase is not asked about the registration on top.
    assert cloud.broadcast()["reasons"]["NO_OCCASION"] == 1
    assert len(cloud.texts("+15035550106")) == 1


@pytest.mark.parametrize(
    ("answer", "errors"),
    [
        ({}, ["Rating is required"]),
        ({"rating": "five"}, ["Rating must be a number"]),
        ({"rating": 4.5}, ["Rating must be a number"]),
        ({"rating": 0}, ["Rating must be between 1 and 5"]),
        (
            {"rating": 6, "reviewText": "x" * 5001},
            ["Rating must be between 1 and 5", "Review text exceeds 5000 character limit"],
        ),
    ],
)
def test_bad_answers_are_all_named_and_leave_no_row(
    cloud_with_texts: Cloud, answer: dict[str, Any], errors: list[str]
) -> None:
    token = link_in(cloud_with_texts.texts(JOHN)[0]).rpartition("/")[2]

    posted = cloud_with_texts.door.post("/submit-review", json={"token": token, **answer})

    assert (posted.status_code, posted.json()) == (400, {"errors": errors})
    assert cloud_with_texts.rows("reviews") == []


@pytest.mark.parametrize("token", ["x", "A" * 40, "../admin", "%00", "é" * 10])
def test_a_forged_link_is_refused_humanely(cloud_with_texts: Cloud, token: str) -> None:
    page = cloud_with_texts.door.get("/review", params={"token": token}, headers={"accept": "text/html"})

    assert page.status_code == 403
    assert page.headers["content-type"].startswith("text/html")
    posted = cloud_with_texts.door.post("/submit-review", json={"token": token, "rating": 5})
    assert posted.status_code == 403
    assert cloud_with_texts.rows("reviews") == []


def test_a_form_sent_twice_at_once_makes_one_review(cloud: Cloud) -> None:
    from concurrent.futures import ThreadPoolExecutor

    cloud.broadcast()
    token = link_in(cloud.texts(JOHN)[0]).rpartition("/")[2]

    def post(text: str) -> int:
        return cloud.door.post(
            "/submit-review", json={"token": token, "rating": 4, "reviewText": text}
        ).status_code

    with ThreadPoolExecutor(4) as pool:
        codes = sorted(pool.map(post, ["a", "b", "c", "d"]))

    assert codes == [200, 200, 200, 201]
    assert len(cloud.rows("reviews")) == 1


def test_previews_of_a_link_spend_nothing(cloud: Cloud) -> None:
    cloud.broadcast()
    link = link_in(cloud.texts(JOHN)[0])
    before = cloud.rows("review_requests")

    for method in ("GET", "HEAD", "GET"):
        answer = cloud.door.request(method, link, headers={"user-agent": "facebookexternalhit/1.1"})
        assert answer.status_code == 200

    assert cloud.rows("review_requests") == before
    token = link.rpartition("/")[2]
    assert cloud.door.post("/submit-review", json={"token": token, "rating": 3}).status_code == 201
