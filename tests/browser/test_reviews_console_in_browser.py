"""The moderators' console in a real browser: by thumb, by keyboard, and without JavaScript."""

from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from sms_engagement_runtime.review_collector.adapters.dynamodb_reviews import DynamoReviews
from sms_engagement_runtime.review_collector.domain.reviews import Opinion, Review, ReviewStatus
from sms_local.testing import Cloud, eventually

PHONE_SIZED = {"width": 390, "height": 844}
DESKTOP_SIZED = {"width": 1280, "height": 900}
SIZES = pytest.mark.parametrize("size", [PHONE_SIZED, DESKTOP_SIZED], ids=["phone", "desktop"])

WORDS = (
    "Quick, friendly, and the coffee was good.",
    "It came two days late, and nobody answered the phone.",
    "Très bien, merci beaucoup !",
    "</p><script>alert(1)</script>\N{RIGHT-TO-LEFT OVERRIDE} مرحبا 👩‍👩‍👧‍👦 " + "Word. " * 800,
    "",
    "Sehr gut, gerne wieder.",
)


@pytest.fixture
def reviews(cloud: Cloud) -> DynamoReviews:
    """Twenty reviews of two weeks: six wait, the newest of them without words."""
    repository = DynamoReviews(cloud.dynamodb, table=cloud.outputs["tables"]["reviews"])
    now = cloud.now()
    for number in range(20):
        asked = now - timedelta(hours=16 * number + 9)
        review_id = f"console-review-{number:02}"
        repository.create(
            Review(
                review_id=review_id,
                user_id=f"customer-{number % 7:03}",
                opinion=Opinion(rating=(4, 2, 5, 1, 5, 3)[number % 6], text=WORDS[(number + 4) % 6]),
                status=ReviewStatus.NEW if number < 6 else ReviewStatus.APPROVED,
                created_at=now - timedelta(hours=16 * number + 1),
                author_name=("John D.", "Zoë M.", None)[number % 3],
            ),
            announcing_until=now,
        )
        for copy in range(1 + number % 3):
            answered = {"answeredAt": {"N": str(int(asked.timestamp()) + 9000)}} if copy == 0 else {}
            cloud.dynamodb.put_item(
                TableName=cloud.outputs["tables"]["review_requests"],
                Item={
                    "requestId": {"S": f"{review_id}-{copy}"},
                    "userId": {"S": "somebody"},
                    "occasion": {"S": "order"},
                    "recordedAt": {"N": str(int(asked.timestamp()))},
                    "askedAt": {"N": str(int(asked.timestamp()))},
                    **answered,
                },
            )
    return repository


def address(cloud: Cloud, path: str = "reviews") -> str:
    return f"{cloud.places.front_door}/admin/{path}"


@SIZES
def test_reviews_are_approved_and_rejected_without_javascript(
    cloud: Cloud, reviews: DynamoReviews, open_window: Any, take_picture: Any, size: dict[str, int]
) -> None:
    label = "phone" if size is PHONE_SIZED else "desktop"
    page = open_window(size, java_script_enabled=False).page
    page.goto(address(cloud))

    expect(page.get_by_role("heading", name="Waiting reviews")).to_be_visible()
    expect(page.locator("article")).to_have_count(6)
    take_picture(page, f"reviews-console-{label}")
    page.locator("article").nth(1).get_by_role("button", name="Approve").click()

    expect(page.get_by_text("The decision is stored.")).to_be_visible()
    expect(page.locator("article")).to_have_count(5)
    page.locator("article").first.locator("summary").click()
    page.locator("article").first.get_by_label("Reason, for your colleagues").fill("Not about us")
    page.locator("article").first.get_by_role("button", name="Reject").click()
    expect(page.locator("article")).to_have_count(4)
    page.get_by_role("link", name="See it, or change it").click()
    expect(page.get_by_text("Not about us")).to_be_visible()
    take_picture(page, f"reviews-console-{label}-one")
    decided = [reviews.get(f"console-review-{number:02}") for number in range(2)]
    assert [one and one.status for one in decided] == [ReviewStatus.REJECTED, ReviewStatus.APPROVED]


@SIZES
def test_nothing_is_wider_than_the_window_and_what_customers_wrote_cannot_act(
    cloud: Cloud, reviews: DynamoReviews, open_window: Any, size: dict[str, int]
) -> None:
    page = open_window(size).page
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))

    for path in ("reviews", "reviews?status=approved&limit=5", "reviews/console-review-05", "figures"):
        page.goto(address(cloud, path))
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]

    assert dialogs == []


def test_by_keyboard_alone(cloud: Cloud, reviews: DynamoReviews, open_window: Any) -> None:
    page = open_window().page
    page.goto(address(cloud))
    expect(page.locator("article")).to_have_count(6)

    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("a")
    expect(page.locator("article")).to_have_count(5)
    page.keyboard.press("j")
    page.keyboard.press("r")
    page.keyboard.type("Just spam")
    page.keyboard.press("Enter")

    expect(page.locator("article")).to_have_count(4)
    rejected, approved = (reviews.get(f"console-review-{number:02}") for number in range(2))
    assert rejected is not None
    assert approved is not None
    assert approved.status is ReviewStatus.APPROVED
    assert rejected.decisions[-1].reason == "Just spam"


def test_an_edit_while_the_page_is_open_is_shown_before_anything_is_decided(
    cloud: Cloud, reviews: DynamoReviews, open_window: Any
) -> None:
    window = open_window(PHONE_SIZED)
    page = window.page
    page.goto(address(cloud))
    table = cloud.outputs["tables"]["reviews"]
    cloud.dynamodb.update_item(
        TableName=table,
        Key={"reviewId": {"S": "console-review-00"}},
        UpdateExpression="SET #version = :two, reviewText = :text",
        ExpressionAttributeNames={"#version": "version"},
        ExpressionAttributeValues={":two": {"N": "2"}, ":text": {"S": "Buy at my shop instead"}},
    )

    page.locator("article").first.get_by_role("button", name="Approve").click()

    expect(page.get_by_role("alert")).to_contain_text("has changed since it was shown")
    expect(page.get_by_text("Buy at my shop instead")).to_be_visible()
    window.complaints[:] = [said for said in window.complaints if "409" not in said]
    review = reviews.get("console-review-00")
    assert review is not None
    assert review.status is ReviewStatus.NEW


def follow(page: Page, name: str) -> None:
    """Follow a link; where the answer says to try again, as on a machine that does much else, do so."""
    with page.expect_navigation() as going:
        page.get_by_role("link", name=name, exact=True).click()
    answer = going.value
    if answer.status >= 500:
        answer = page.reload()
    assert answer is not None
    assert answer.status == 200, answer.text()


@SIZES
def test_the_owner_sees_charts(
    cloud: Cloud, reviews: DynamoReviews, open_window: Any, take_picture: Any, size: dict[str, int]
) -> None:
    page = open_window(size).page
    figures = address(cloud, "figures")
    eventually(
        lambda: (
            cloud.door.get("/admin/figures").json()["ever"]["reviews"] == 20
            and cloud.door.get("/admin/figures").json()["ever"]["asked"] == 39
        ),
        what="twenty reviews and their requests in the figures",
    )

    page.goto(cloud.places.front_door)
    follow(page, "Reviews")
    follow(page, "Figures")

    assert page.url == figures
    expect(page.get_by_role("img")).to_have_count(5)
    expect(page.get_by_text("20 of 39 requests were answered: 51%.")).to_be_visible()
    page.get_by_text("As a table").first.click()
    expect(page.get_by_role("cell", name="6 (30%)")).to_be_visible()
    page.get_by_text("As a table").first.click()
    label = "phone" if size is PHONE_SIZED else "desktop"
    take_picture(page, f"reviews-figures-{label}")
