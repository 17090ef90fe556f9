"""What the tests of the phone page share: finding its parts, going by keyboard, looking at colours."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from sms_local.testing import Cloud

PHONE_SIZED = {"width": 390, "height": 844}
DESKTOP_SIZED = {"width": 1280, "height": 900}
SIZES = pytest.mark.parametrize("size", [PHONE_SIZED, DESKTOP_SIZED], ids=["phone", "desktop"])

#: Runs and jumps end in seconds; a busy machine may take longer.
PATIENCE_MS = 90_000


def phone_of(page: Page, name: str) -> Locator:
    return page.get_by_role("article", name=name)


def account_of(page: Page) -> Locator:
    return page.get_by_role("region", name="What the cloud did")


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def open_page(
    cloud: Cloud, open_window: Any, size: Mapping[str, int] = DESKTOP_SIZED, **options: Any
) -> Page:
    page: Page = open_window(size, **options).page
    page.goto(cloud.outputs["phone_url"])
    expect(page.get_by_role("article")).to_have_count(6)
    expect(button(page, "Send now")).to_be_enabled()
    return page


@dataclass(frozen=True, slots=True)
class Keyboard:
    """Somebody who has no mouse, and looks where they are."""

    page: Page

    def press(self, name: str, key: str = "Enter") -> None:
        """Go to a control by the Tab key, and press another one there."""
        self.go_to(name)
        self.page.keyboard.press(key)

    def go_to(self, name: str) -> None:
        for _ in range(250):
            self.page.keyboard.press("Tab")
            if self._here() == name:
                return
        pytest.fail(f"{name} cannot be reached by the Tab key")

    def _here(self) -> str:
        here = self.page.evaluate(
            """() => {
                const at = document.activeElement, style = getComputedStyle(at);
                const name = at.ariaLabel ?? at.labels?.[0]?.textContent ?? at.textContent;
                return {name: name.trim(), isSeen: at === document.body || style.outlineStyle !== "none"};
            }"""
        )
        assert here["isSeen"], f"nobody sees that {here['name']} has the focus"
        return str(here["name"])


def show(page: Page, element: Locator) -> None:
    """Bring a part of the page to the top of the window, as its link at the bottom of a small one does."""
    element.evaluate("one => one.scrollIntoView({behavior: 'instant', block: 'start'})")


def skip(keyboard: Keyboard, name: str) -> None:
    status = keyboard.page.get_by_role("status")
    before = status.inner_text()
    keyboard.press(name)
    # What it says during the jump may be over before anybody looks.
    expect(status).not_to_have_text(before)
    expect(status).to_contain_text("It is ", timeout=PATIENCE_MS)


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
