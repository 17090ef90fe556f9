"""Journeys on the phone page as a person uses them."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from sms_local.testing import Cloud
from tests.browser.phone_page_driving import (
    DESKTOP_SIZED,
    PATIENCE_MS,
    PHONE_SIZED,
    SIZES,
    Keyboard,
    account_of,
    button,
    contrast,
    open_page,
    phone_of,
    show,
    skip,
)

JOHN, LUKASZ, ZOE, OLGA, GRACE = (
    "+14045550101",
    "+12125550102",
    "+14155550103",
    "+16175550104",
    "+15035550106",
)

WELCOME = "Welcome! Reply YES to confirm or STOP to unsubscribe."
REMINDER = "Please reply YES to confirm your subscription, or STOP to unsubscribe."
PROMOTION = ", use code "

type TakePicture = Callable[[Page, str], None]


def panel_of(page: Page) -> Locator:
    return page.get_by_role("region", name="Campaigns", exact=True)


def subscriber_row(page: Page, name: str) -> Locator:
    return panel_of(page).get_by_role("row").filter(has_text=name)


def open_campaigns(cloud: Cloud, open_window: Any, size: dict[str, int] = DESKTOP_SIZED) -> Page:
    page = open_page(cloud, open_window, size)
    page.get_by_role("tab", name="Campaigns").click()
    expect(panel_of(page)).to_be_visible()
    return page


def texts_of_journeys(cloud: Cloud, phone: str) -> list[str]:
    """What a phone got of journeys, and nothing else: reviews are asked for by schedule meanwhile."""
    bodies = [text["body"] for text in cloud.texts(phone)]
    kinds = (WELCOME, REMINDER, PROMOTION)
    return [kind for body in bodies for kind in kinds if kind in body]


@SIZES
def test_the_welcome_series_by_keyboard_alone(
    cloud: Cloud, open_window: Any, take_picture: TakePicture, size: dict[str, int]
) -> None:
    page = open_page(cloud, open_window, size)
    keyboard, label = Keyboard(page), "phone" if size is PHONE_SIZED else "desktop"
    panel, account = panel_of(page), account_of(page)

    keyboard.press("Review requests", "ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(panel).to_be_visible()
    expect(subscriber_row(page, "John Doe")).to_contain_text("not asked yet")
    keyboard.press("Start the welcome series")
    expect(page.get_by_role("status")).to_have_text("The welcome series begins.")

    for name in ("John Doe", "Łukasz Wójcik", "Zoë Fontaine", "Ольга Мельник"):
        expect(phone_of(page, name)).to_contain_text(WELCOME, timeout=PATIENCE_MS)
    expect(panel).to_contain_text("Welcome series is under way")
    expect(panel).to_contain_text("5 texts sent", timeout=PATIENCE_MS)
    expect(panel).to_contain_text("The next text is due")
    expect(account).to_contain_text("The welcome series begins for the segment “demo”")
    # She agreed before, so that nobody asks her.
    assert cloud.texts(GRACE) == []

    keyboard.press("Answer YES as John Doe")
    keyboard.press("Answer STOP as Łukasz Wójcik")
    keyboard.go_to("Text from Zoë Fontaine")
    page.keyboard.type("not interested")
    page.keyboard.press("Enter")

    expect(phone_of(page, "John Doe")).to_contain_text("Thank you for confirming!", timeout=PATIENCE_MS)
    expect(phone_of(page, "Łukasz Wójcik")).to_contain_text("You have been unsubscribed.")
    expect(subscriber_row(page, "John Doe")).to_contain_text("subscribed", timeout=PATIENCE_MS)
    expect(subscriber_row(page, "Łukasz Wójcik")).to_contain_text("opted out", timeout=PATIENCE_MS)
    expect(subscriber_row(page, "Zoë Fontaine")).to_contain_text("not interested", timeout=PATIENCE_MS)
    expect(subscriber_row(page, "Zoë Fontaine")).to_contain_text("negative")
    show(page, page.locator(".desk"))
    take_picture(page, f"campaigns-{label}")

    skip(keyboard, "Skip a day")

    expect(phone_of(page, "John Doe")).to_contain_text(
        "Hi John, use code WELCOME for 10% off!", timeout=PATIENCE_MS
    )
    expect(phone_of(page, "Ольга Мельник")).to_contain_text(REMINDER, timeout=PATIENCE_MS)
    expect(panel).to_contain_text("Welcome series is over", timeout=PATIENCE_MS)
    assert {phone: texts_of_journeys(cloud, phone) for phone in (JOHN, LUKASZ, ZOE, OLGA)} == {
        JOHN: [WELCOME, PROMOTION],
        LUKASZ: [WELCOME],
        ZOE: [WELCOME],
        OLGA: [WELCOME, REMINDER],
    }
    show(page, phone_of(page, "John Doe") if size is PHONE_SIZED else page.locator(".desk"))
    take_picture(page, f"campaigns-{label}-a-day-later")


def test_one_phone_alone_is_welcomed_and_only_once(cloud: Cloud, open_window: Any) -> None:
    page = open_campaigns(cloud, open_window)
    panel = panel_of(page)
    page.get_by_label("Whom", exact=True).select_option(label="Only Zoë Fontaine")

    button(page, "Start the welcome series").click()
    expect(phone_of(page, "Zoë Fontaine")).to_contain_text(WELCOME, timeout=PATIENCE_MS)
    expect(panel).to_contain_text("1 text sent", timeout=PATIENCE_MS)
    button(page, "Start the welcome series").click()

    expect(panel.get_by_text("Welcome series is under way")).to_have_count(2, timeout=PATIENCE_MS)
    expect(panel).to_contain_text("0 texts sent, 1 without", timeout=PATIENCE_MS)
    assert texts_of_journeys(cloud, ZOE) == [WELCOME]
    assert {text["to"] for text in cloud.texts()} == {ZOE}


def test_a_promotion_goes_to_who_agreed_with_its_code(cloud: Cloud, open_window: Any) -> None:
    page = open_campaigns(cloud, open_window)
    page.get_by_label("Code", exact=True).fill("harvest")
    page.get_by_label("%", exact=True).fill("15")

    button(page, "Send a promotion").click()

    expect(page.get_by_role("status")).to_have_text("The promotion HARVEST begins.")
    expect(phone_of(page, "Grace Okafor")).to_contain_text(
        "Hi Grace, use code HARVEST for 15% off!", timeout=PATIENCE_MS
    )
    expect(panel_of(page)).to_contain_text("Promotion is over", timeout=PATIENCE_MS)
    assert {text["to"] for text in cloud.texts()} == {GRACE}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_the_tab_says_can_be_read_in_light_and_dark(cloud: Cloud, open_window: Any, scheme: str) -> None:
    page = open_page(cloud, open_window, color_scheme=scheme)
    page.get_by_role("tab", name="Campaigns").click()
    expect(subscriber_row(page, "John Doe")).to_be_visible()

    for selector in (
        "#tab-campaigns",
        "#welcome-button",
        "#promotion-button",
        "#campaigns a",
        "#campaign-hints li",
        "#subscribers th span",
        "#subscribers th small",
        "#subscribers .state code",
        "#link-to-dashboard",
    ):
        assert contrast(page, selector) >= 4.5, selector


@SIZES
def test_nothing_is_wider_than_the_window(cloud: Cloud, open_window: Any, size: dict[str, int]) -> None:
    page = open_campaigns(cloud, open_window, size)
    expect(subscriber_row(page, "John Doe")).to_be_visible()

    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    tabs = page.get_by_role("tab")
    edges = [tabs.nth(number).bounding_box() for number in range(tabs.count())]
    assert all(box is not None and box["x"] + box["width"] <= size["width"] for box in edges)


def test_a_link_to_the_campaigns_opens_their_tab(cloud: Cloud, open_window: Any) -> None:
    page: Page = open_window().page

    page.goto(f"{cloud.outputs['phone_url']}#campaigns")

    expect(panel_of(page)).to_be_visible()
