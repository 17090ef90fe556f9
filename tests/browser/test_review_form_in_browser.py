"""The review form in a real browser: in small and large windows, without JavaScript, by keyboard alone."""

from typing import Any

import pytest
from playwright.sync_api import expect

from sms_local.testing import Cloud
from tests.support.cloud_drive import link_in

PHONE_SIZED = {"width": 390, "height": 844}
DESKTOP_SIZED = {"width": 1280, "height": 900}
SIZES = pytest.mark.parametrize("size", [PHONE_SIZED, DESKTOP_SIZED], ids=["phone", "desktop"])
SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["with-javascript", "without-javascript"])
JOHN = "+14045550101"


@pytest.fixture
def link(cloud: Cloud) -> str:
    cloud.broadcast()
    return link_in(cloud.texts(JOHN)[0])


@SIZES
@SCRIPTS
def test_a_review_is_given(
    cloud: Cloud, link: str, open_window: Any, take_picture: Any, size: dict[str, int], scripts: bool
) -> None:
    page = open_window(size, java_script_enabled=scripts).page
    page.goto(link)
    label = "phone" if size is PHONE_SIZED else "desktop"

    expect(page.get_by_role("heading", name="Review Your Purchase")).to_be_visible()
    expect(page.get_by_placeholder("Your feedback...")).to_have_attribute("maxlength", "5000")
    expect(page.get_by_role("radio")).to_have_count(5)
    page.locator("label[for=rating-4]").click()
    page.get_by_label("Tell us more (optional):").fill("Quick & friendly. 😀\nمرحبا <b>bold</b>")
    if scripts:
        take_picture(page, f"review-form-{label}")
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    page.get_by_role("button", name="Submit Review").click()

    expect(page.get_by_text("Thank you for your review!")).to_be_visible()
    if scripts:
        take_picture(page, f"review-thanks-{label}")
    [review] = cloud.rows("reviews")
    assert (review["rating"], review["status"]) == (4, "new")
    assert review["reviewText"] == "Quick & friendly. 😀\nمرحبا <b>bold</b>"


def test_by_keyboard_alone(cloud: Cloud, link: str, open_window: Any) -> None:
    page = open_window().page
    page.goto(link)

    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.type("Typed.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.get_by_text("Thank you for your review!")).to_be_visible()
    [review] = cloud.rows("reviews")
    assert (review["rating"], review["reviewText"]) == (5, "Typed.")


@SCRIPTS
def test_a_missing_rating_is_said_and_what_was_typed_is_kept(
    cloud: Cloud, link: str, open_window: Any, scripts: bool
) -> None:
    window = open_window(PHONE_SIZED, java_script_enabled=scripts)
    page = window.page
    page.goto(link)
    page.get_by_label("Tell us more (optional):").fill(
        "I forgot the stars </textarea><script>alert(1)</script>"
    )

    page.get_by_role("button", name="Submit Review").click()

    expect(page.get_by_text("Rating is required").first).to_be_visible()
    kept = page.get_by_label("Tell us more (optional):")
    expect(kept).to_have_value("I forgot the stars </textarea><script>alert(1)</script>")
    # The browser itself notes every answer of 400 or above on the console.
    window.complaints[:] = [said for said in window.complaints if "400 (Bad Request)" not in said]
    page.locator("label[for=rating-2]").click()
    page.get_by_role("button", name="Submit Review").click()
    expect(page.get_by_text("Thank you for your review!")).to_be_visible()
    assert len(cloud.rows("reviews")) == 1


@SIZES
def test_a_forged_link_gets_a_humane_page(
    cloud: Cloud, link: str, open_window: Any, size: dict[str, int]
) -> None:
    window = open_window(size)
    window.page.goto(link[:-4] + "AAAA")

    expect(window.page.get_by_role("heading")).to_be_visible()
    assert window.page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert all("403" in said for said in window.complaints)
    window.complaints.clear()
    assert cloud.rows("reviews") == []


@pytest.mark.parametrize(("locale", "direction"), [("fr-CA", "ltr"), ("ar", "rtl"), ("en-GB", "ltr")])
def test_the_form_speaks_the_language_of_the_browser(
    cloud: Cloud, link: str, open_window: Any, locale: str, direction: str
) -> None:
    page = open_window(PHONE_SIZED, locale=locale).page
    page.goto(link)

    root = page.evaluate("[document.documentElement.lang.split('-')[0], document.documentElement.dir]")
    assert root == [locale.split("-")[0], direction]
    page.locator("label[for=rating-3]").click()
    page.get_by_role("button").click()
    expect(page.locator("form")).to_have_count(0)
    assert len(cloud.rows("reviews")) == 1
