"""The phone page as a person uses it."""

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from sms_local.people import PEOPLE
from sms_local.testing import Cloud, eventually

JOHN, LUKASZ = "+14045550101", "+12125550102"
PHONE_SIZED = {"width": 390, "height": 844}
DESKTOP_SIZED = {"width": 1280, "height": 900}
SIZES = pytest.mark.parametrize("size", [PHONE_SIZED, DESKTOP_SIZED], ids=["phone", "desktop"])


def phone_of(page: Any, name: str) -> Any:
    return page.get_by_role("article", name=name)


@SIZES
def test_the_whole_demo(cloud: Cloud, open_window: Any, take_picture: Any, size: dict[str, int]) -> None:
    window = open_window(size)
    page = window.page
    label = "phone" if size is PHONE_SIZED else "desktop"
    page.goto(cloud.outputs["phone_url"])
    expect(page.get_by_role("article")).to_have_count(6)
    expect(phone_of(page, "John Doe")).to_contain_text("No texts yet")
    take_picture(page, f"phones-{label}-at-first")

    page.get_by_role("button", name="Send today’s review requests").click()

    john = phone_of(page, "John Doe")
    expect(john).to_contain_text("Hi John! Please review your recent purchase:")
    expect(john).to_contain_text("1 part")
    run = page.get_by_role("region", name="Today’s run")
    expect(run).to_contain_text("6 of 8 people got a text", timeout=60_000)
    expect(run).to_contain_text("Priya Nair")
    expect(run).to_contain_text("gave no phone number")
    expect(run).to_contain_text("the number is a landline")
    expect(john).to_contain_text("Delivered")

    with page.context.expect_page() as opened:
        john.get_by_role("link").click()
    form = opened.value
    expect(form.get_by_role("heading", name="Review Your Purchase")).to_be_visible()
    assert form.evaluate("window.opener") is None
    form.locator("label[for=rating-5]").click()
    form.get_by_label("Tell us more (optional):").fill("Lovely kettle, and quick.")
    form.get_by_role("button", name="Submit Review").click()
    expect(form.get_by_text("Thank you for your review!")).to_be_visible()
    form.close()

    admin = page.get_by_role("region", name="The admin’s line")
    expect(admin).to_contain_text("New 5★ review from John Doe")
    [review] = cloud.rows("reviews")
    assert (review["status"], review["rating"]) == ("new", 5)

    lukasz = phone_of(page, "Łukasz Wójcik")
    lukasz.get_by_role("button", name="Answer STOP as Łukasz Wójcik").click()
    expect(lukasz).to_contain_text("You have been unsubscribed. Reply START to subscribe again.")

    page.get_by_role("button", name="Send today’s review requests").click()

    expect(run).to_contain_text("0 of 8 people got a text", timeout=60_000)
    expect(run.get_by_role("listitem").filter(has_text="Łukasz Wójcik")).to_contain_text("answered STOP")
    assert len(cloud.texts(JOHN)) == 1
    assert len(cloud.texts(LUKASZ)) == 2
    page.evaluate("window.scrollTo(0, 0)")
    take_picture(page, f"phones-{label}")
    if size is PHONE_SIZED:
        run.scroll_into_view_if_needed()
        take_picture(page, "phones-phone-report")


@SIZES
def test_nothing_reaches_beyond_the_window(cloud: Cloud, open_window: Any, size: dict[str, int]) -> None:
    page = open_window(size).page
    page.goto(cloud.outputs["phone_url"])
    expect(page.get_by_role("article")).to_have_count(6)

    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]


def test_by_keyboard_alone(cloud: Cloud, open_window: Any) -> None:
    page = open_window().page
    page.goto(cloud.outputs["phone_url"])
    send = page.get_by_role("button", name="Send today’s review requests")
    expect(send).to_be_enabled()

    def tab_to(wanted: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if (
                page.evaluate(
                    "document.activeElement.getAttribute('aria-label') ?? document.activeElement.id"
                )
                == wanted
            ):
                return
        pytest.fail(f"{wanted} cannot be reached by the Tab key")

    tab_to("send")
    page.keyboard.press("Enter")
    grace = phone_of(page, "Grace Okafor")
    expect(grace).to_contain_text("Hi Grace!")
    tab_to("Texts of Grace Okafor")
    tab_to("Text from Grace Okafor")
    page.keyboard.type("help")
    page.keyboard.press("Enter")

    expect(grace).to_contain_text("Reply STOP to unsubscribe. For help, visit our website.")
    expect(grace.get_by_role("textbox")).to_have_value("")


def test_whatever_is_texted_is_shown_as_text(cloud: Cloud, open_window: Any) -> None:
    page = open_window().page
    page.goto(cloud.outputs["phone_url"])
    john = phone_of(page, "John Doe")
    nasty = "<img src=x onerror=alert(1)> javascript:alert(2) مرحبا 😀"

    john.get_by_role("textbox").fill(nasty)
    john.get_by_role("button", name="Send the text from John Doe").click()

    expect(john).to_contain_text(nasty)
    assert john.locator("ol img").count() == 0
    assert john.locator("ol a").count() == 0


def test_texts_of_others_appear_without_reloading(cloud: Cloud, open_window: Any) -> None:
    page = open_window().page
    page.goto(cloud.outputs["phone_url"])
    expect(page.get_by_role("article")).to_have_count(6)

    cloud.text_from("+15035550106", "INFO")

    grace = phone_of(page, "Grace Okafor")
    expect(grace).to_contain_text("INFO")
    expect(grace).to_contain_text("Reply STOP to unsubscribe.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_control_has_a_name_and_text_stands_out(cloud: Cloud, open_window: Any, scheme: str) -> None:
    page = open_window(color_scheme=scheme).page
    page.goto(cloud.outputs["phone_url"])
    expect(page.get_by_role("article")).to_have_count(6)

    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, a, input')]
            .filter((one) => !(one.getAttribute('aria-label') ?? one.textContent).trim())
            .map((one) => one.outerHTML)"""
    )
    assert nameless == []
    for selector in (".brand p", ".primary:not(:disabled)", ".who p", ".quick button", ".steps li", ".empty"):
        assert contrast(page, selector) >= 4.5, selector


def test_a_page_without_javascript_says_what_it_needs(cloud: Cloud, open_window: Any) -> None:
    page = open_window(java_script_enabled=False).page
    page.goto(cloud.outputs["phone_url"])

    expect(page.get_by_text("needs JavaScript")).to_be_visible()


def test_another_page_in_the_same_browser_cannot_text(cloud: Cloud, browser: Any) -> None:
    context = browser.new_context()
    page = context.new_page()
    # The carrier's address is another origin on the same machine.
    page.goto(f"{cloud.places.carrier_endpoint}/control/health")
    outcome = page.evaluate(
        """async (url) => {
            try { return (await fetch(url, {method: 'POST', mode: 'no-cors', body: '{}'})).type; }
            catch (error) { return String(error); }
        }""",
        f"{cloud.places.front_door}/api/broadcast",
    )
    context.close()

    assert outcome in ("opaque", "TypeError: Failed to fetch")
    machine = cloud.outputs["state_machines"]["review_broadcast"]
    running = cloud.stepfunctions.list_executions(stateMachineArn=machine, statusFilter="RUNNING")[
        "executions"
    ]
    assert running == []
    assert cloud.texts() == []


def test_an_emulator_that_is_gone_is_said_so(cloud: Cloud, browser: Any) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.route("**/api/events", lambda route: route.abort())
    page.goto(cloud.outputs["phone_url"])

    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    context.close()


def test_each_person_of_the_demo_is_there(cloud: Cloud, open_window: Any) -> None:
    page = open_window().page
    page.goto(cloud.outputs["phone_url"])

    for person in PEOPLE:
        expected = 1 if person.phone else 0
        expect(page.get_by_role("article", name=person.name)).to_have_count(expected)


def contrast(page: Any, selector: str) -> float:
    """Contrast ratio of an element's text to the nearest colour behind it (WCAG 2.2, 1.4.3)."""
    found = page.evaluate(
        """(selector) => {
            const element = document.querySelector(selector);
            if (!element) return null;
            let back = element, colour;
            do { colour = getComputedStyle(back).backgroundColor; back = back.parentElement; }
            while (back && /rgba\\(.*, 0\\)|transparent/.test(colour));
            return [getComputedStyle(element).color, colour];
        }""",
        selector,
    )
    assert found is not None, selector
    lighter, darker = sorted((luminance(colour) for colour in found), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    channels = [int(value) / 255 for value in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_status_line_tells_when_a_run_is_over(cloud: Cloud, open_window: Any) -> None:
    page = open_window().page
    page.goto(cloud.outputs["phone_url"])

    page.get_by_role("button", name="Send today’s review requests").click()

    expect(page.get_by_role("status")).to_have_text("Done: 6 texts sent.", timeout=60_000)
    eventually(lambda: len(cloud.texts()) == 6, what="the six texts")
