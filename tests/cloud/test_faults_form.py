"""Links that machines open first, and forms that are sent twice."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from sms_local.testing import Cloud, eventually
from tests.support.cloud_drive import new_customers, replace_customers, requests_to, token_in

pytestmark = pytest.mark.cloud

JSON = {"accept": "application/json"}
PREVIEW_BOTS = (
    "facebookexternalhit/1.1;line-poker/1.0",
    "WhatsApp/2.23.20.0",
    "Mozilla/5.0 (Macintosh) Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0",
)


@pytest.fixture
def token(quiet_cloud: Cloud) -> str:
    """The token of a link that was texted a moment ago."""
    replace_customers(quiet_cloud, new_customers(1, name="Ada Quill"))
    quiet_cloud.broadcast()
    (text,) = requests_to(quiet_cloud)
    return token_in(text)


def reviews_of(cloud: Cloud, review_id: str) -> list[dict]:
    return [row for row in cloud.rows("reviews") if row["reviewId"] == review_id]


def test_previews_of_a_link_spend_nothing(quiet_cloud: Cloud, token: str) -> None:
    before = quiet_cloud.rows("review_requests"), quiet_cloud.rows("reviews"), quiet_cloud.rows("messages")

    for agent in PREVIEW_BOTS:
        for method in ("HEAD", "GET", "GET"):
            answer = quiet_cloud.door.request(method, f"/r/{token}", headers={"user-agent": agent})
            assert answer.status_code == 200
            assert (answer.text == "") is (method == "HEAD")
    after = quiet_cloud.rows("review_requests"), quiet_cloud.rows("reviews"), quiet_cloud.rows("messages")
    form = quiet_cloud.door.get(f"/r/{token}")
    posted = quiet_cloud.door.post("/submit-review", json={"token": token, "rating": 4, "reviewText": "Good"})

    assert stable(after) == stable(before)
    assert "Review Your Purchase" in form.text
    assert posted.status_code == 201
    (review,) = reviews_of(quiet_cloud, posted.json()["reviewId"])
    assert review["rating"] == 4


def test_a_form_that_is_submitted_twice_in_parallel_is_one_review_and_one_notice(
    quiet_cloud: Cloud, token: str
) -> None:
    admin = quiet_cloud.subscribe(quiet_cloud.outputs["topics"]["admin"])
    form = {"token": token, "rating": "5", "reviewText": "Sent by a finger that shakes"}

    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(lambda _: quiet_cloud.door.post("/submit-review", data=form, headers=JSON), range(2))
        )
    late = quiet_cloud.door.post("/submit-review", data=form, headers=JSON)

    assert sorted(answer.status_code for answer in answers) == [200, 201]
    assert late.status_code == 200
    (review_id,) = {answer.json()["reviewId"] for answer in [*answers, late]}
    (review,) = reviews_of(quiet_cloud, review_id)
    assert "updatedAt" not in review
    eventually(admin.messages, what="the notice")
    # Published within the posts, so a second one would have come by now.
    (notice,) = admin.messages()
    assert notice["Message"].splitlines()[0] == "New 5★ review from Ada Quill"


def test_a_second_post_with_other_words_edits_the_review(quiet_cloud: Cloud, token: str) -> None:
    first = quiet_cloud.door.post("/submit-review", json={"token": token, "rating": 2, "reviewText": "Cold"})
    (before,) = reviews_of(quiet_cloud, first.json()["reviewId"])

    second = quiet_cloud.door.post("/submit-review", json={"token": token, "rating": 5, "reviewText": "Hot!"})

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()
    (after,) = reviews_of(quiet_cloud, first.json()["reviewId"])
    assert (after["rating"], after["reviewText"], after["status"]) == (5, "Hot!", "new")
    assert after["createdAt"] == before["createdAt"]
    assert after["updatedAt"] >= after["createdAt"]


def stable(tables: tuple[list[dict], ...]) -> list[list[dict]]:
    """Leave out what a delivery event changes while the test looks."""
    passing = {"state", "rank", "updatedAt", "priceMillicents"}
    return [
        [{name: value for name, value in row.items() if name not in passing} for row in rows]
        for rows in tables
    ]
